"""How hard a model is told to think, and what that does to sampling: one rule for all wires, bent by quirks.

Quirks read here: `reasoning` (`always`: cannot be switched off), `reasoning_levels` (the words that are accepted),
`effort_default` (the word that holds when none is said), `effort_at`, `effort_words`, `effort_on`, `reasoning_off`,
`budget_at`, `budget_on`, `budget_min`, `sampling`, `temperature_min`.
"""

from __future__ import annotations

from typing import Any

from bench.errors import ConfigError
from bench.records import Endpoint, Request
from bench.wires.common import merged, placed, value_at


def reasoning(endpoint: Endpoint, request: Request, *, effort_at: str | None, budget_at: str | None) -> dict[str, Any]:
    """The fragment of the body that says how to think; `…_at` are the wire's own places, None where it has none.

    ConfigError for a word that this model does not take, and for `none` where thinking cannot be switched off. A model
    that never thinks is told nothing of it by `none`.
    """
    quirks = endpoint.quirks
    effort, told = request.effort, {}
    if effort == "none" and quirks.get("reasoning") == "none":
        return {}
    if effort is not None:
        _check(endpoint, effort)
        if effort == "none" and "reasoning_off" in quirks:
            return dict(quirks["reasoning_off"])
        path = quirks.get("effort_at", effort_at)
        if not path:
            raise ConfigError(
                f"target {endpoint.target_id} takes no word for the effort; leave reasoning_effort = {effort!r} out, "
                "or write what this server wants into options.extra"
            )
        told = merged(quirks.get("effort_on") or {}, placed(path, quirks.get("effort_words", {}).get(effort, effort)))
    path = quirks.get("budget_at", budget_at)
    if path and request.thinking_tokens and effort != "none":
        told = merged(merged(told, quirks.get("budget_on") or {}), placed(path, request.thinking_tokens))
    return told


def checked_budget(endpoint: Endpoint, request: Request, budget: object, least: int) -> None:
    """ConfigError for a number of thinking tokens that Claude's API refuses; None is no number.

    `least` is the smallest one it takes, unless the quirk `budget_min` says otherwise.
    """
    if not isinstance(budget, int):
        return
    least = endpoint.quirks.get("budget_min", least)
    if budget < least:
        raise ConfigError(
            f"target {endpoint.target_id}: {budget} tokens for thinking are fewer than the {least} that it takes at "
            "least; raise reasoning_budget or leave it out"
        )
    if budget >= request.max_tokens:
        raise ConfigError(
            f"target {endpoint.target_id}: {budget} tokens for thinking are not less than max_tokens = "
            f"{request.max_tokens}, of which they are a part; raise max_tokens or lower reasoning_budget"
        )
    if request.tools and request.tool_choice not in (None, "auto", "none"):
        raise ConfigError(
            f"target {endpoint.target_id} cannot be made to call a tool while it thinks: tool_choice = "
            f"{request.tool_choice!r}; use 'auto', or leave reasoning_budget out"
        )


def thinks(endpoint: Endpoint, request: Request, effort_at: str | None = "reasoning_effort") -> bool:
    """Whether the model will think as it is asked; `effort_at` is the wire's own place for the word, as above.

    A word in the request's `extra` is the last one. Where nobody says anything, a model is taken to think.
    """
    quirks = endpoint.quirks
    said = _in_extra(endpoint, request, effort_at) or request.effort
    if said is None and request.thinking_tokens and quirks.get("budget_at"):
        return True
    return (said or quirks.get("effort_default")) != "none" and quirks.get("reasoning") != "none"


def temperature_of(endpoint: Endpoint, request: Request, effort_at: str | None = "reasoning_effort") -> float | None:
    """The temperature to send: None where it was not asked for, or where this model refuses one as it is asked."""
    quirks, wanted = endpoint.quirks, request.temperature
    sampling = quirks.get("sampling", "free")
    if wanted is None or sampling not in ("free", "when_none"):
        return None
    if sampling == "when_none" and thinks(endpoint, request, effort_at):
        return None
    return None if wanted < quirks.get("temperature_min", 0) else wanted


def _in_extra(endpoint: Endpoint, request: Request, effort_at: str | None) -> object:
    """The word for the effort that `extra` brings, in our words; None where it brings none."""
    quirks = endpoint.quirks
    path = quirks.get("effort_at", effort_at)
    said = value_at(request.extra, path) if path else None
    if said is None:
        said = request.extra.get("reasoning_effort")
    return "none" if said is not None and said == quirks.get("effort_words", {}).get("none", "none") else said


def _check(endpoint: Endpoint, effort: str) -> None:
    levels = endpoint.quirks.get("reasoning_levels")
    if effort == "none" and endpoint.quirks.get("reasoning") == "always":
        raise ConfigError(
            f"target {endpoint.target_id} always thinks: reasoning_effort = 'none' is refused"
            + (f"; it takes {', '.join(levels)}" if levels else "")
        )
    off = effort == "none" and "reasoning_off" in endpoint.quirks
    if levels is not None and effort not in levels and not off:
        raise ConfigError(
            f"target {endpoint.target_id}: reasoning_effort = {effort!r} is none of its words: {', '.join(levels)}"
        )
