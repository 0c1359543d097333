"""How hard a model is told to think, and what that does to sampling: one rule for all wires, bent by quirks.

Quirks read here: `reasoning` (`always`: cannot be switched off), `reasoning_levels` (the words that are accepted),
`effort_default` (the word that holds when none is said), `effort_at`, `effort_words`, `effort_on`, `reasoning_off`,
`budget_at`, `budget_on`, `sampling`, `temperature_min`.
"""

from __future__ import annotations

from typing import Any

from bench.errors import ConfigError
from bench.records import Endpoint, Request
from bench.wires.common import merged, placed


def reasoning(endpoint: Endpoint, request: Request, *, effort_at: str | None, budget_at: str | None) -> dict[str, Any]:
    """The fragment of the body that says how to think; `…_at` are the wire's own places, None where it has none.

    ConfigError for a word that this model does not take, and for `none` where thinking cannot be switched off.
    """
    quirks = endpoint.quirks
    effort, told = request.effort, {}
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


def temperature_of(endpoint: Endpoint, request: Request) -> float | None:
    """The temperature to send: None where it was not asked for, or where this model refuses one as it is asked."""
    quirks, wanted = endpoint.quirks, request.temperature
    sampling = quirks.get("sampling", "free")
    if wanted is None or sampling not in ("free", "when_none"):
        return None
    said = request.effort or request.extra.get("reasoning_effort") or quirks.get("effort_default")
    thinks = said != "none" or (request.effort is None and request.thinking_tokens and quirks.get("budget_at"))
    if sampling == "when_none" and thinks:
        return None
    return None if wanted < quirks.get("temperature_min", 0) else wanted


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
