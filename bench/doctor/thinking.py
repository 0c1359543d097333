"""Reasoning: in which field, hidden or not, and which switch turns it off, told by what came and not by a 200."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.doctor.visit import Visit, answered, why
from bench.errors import ConfigError
from bench.records import Measurement
from bench.wires.common import value_at

PUZZLE = "How many days are 7 weeks and 3 days? Answer with the number only."
CAP = 128
SHORT = 48
HIDDEN_TOKENS = 24
"""More tokens than the visible text can hold are taken for hidden thoughts from here on."""
FIELDS = (
    "choices.0.delta.reasoning", "choices.0.delta.reasoning_content", "choices.0.delta.reasoning_details",
    "choices.0.message.reasoning", "choices.0.message.reasoning_content", "message.thinking", "delta.thinking",
)  # fmt: skip
OFF: tuple[Mapping[str, Any], ...] = (
    {"reasoning_effort": "none"},
    {"chat_template_kwargs": {"enable_thinking": False}},
    {"thinking": {"type": "disabled"}},
    {"enable_thinking": False},
)
BUDGET = 4000


async def reasoning(visit: Visit) -> None:
    """A small puzzle; where it is thought about, each switch in turn until one works."""
    answer = await visit.ask(PUZZLE, cap=CAP)
    if not answered(answer):
        visit.tell("reasoning", "note", f"the puzzle failed: {why(answer)}")
        return
    how = _how(visit, answer)
    if how is None:
        visit.tell("reasoning", "ok", "none seen")
        return
    visit.tell("reasoning", "note", how)
    off = await _switch(visit)
    budget = {} if visit.target.options.reasoning_budget else {"reasoning_budget": BUDGET}
    if off is None:
        declared = visit.endpoint.quirks.get("reasoning")
        visit.tell(
            "reasoning off",
            "note",
            "no switch that is known turns it off; thoughts count against the cap, so give them room",
            quirks={} if declared == "always" else {"reasoning": "always"},
            options=budget,
        )
        return
    visit.tell(
        "reasoning off",
        "ok",
        f"{_told(off)} turns it off; as it is asked now it thinks, so give its thoughts room",
        quirks=_quirks(visit, off),
        options=budget,
    )


def _how(visit: Visit, answer: Measurement) -> str | None:
    """Where the thoughts are; None where there are none."""
    n, counted = answer.out_tokens or 0, answer.reasoning_tokens
    if answer.reasoning:
        field = _field(visit)
        told = f"{len(answer.reasoning)} characters of thought in {field}"
        return told + (f", {counted} tokens by its usage" if counted else ", not counted apart in its usage")
    if counted:
        return f"hidden: {counted} of {n} tokens are thoughts that never come; TTFT holds the thinking"
    visible = len(answer.answer or "")
    if n - visible > HIDDEN_TOKENS:
        return f"hidden, it seems: {n} tokens counted for {visible} characters of text; TTFT holds the thinking"
    return None


def _field(visit: Visit) -> str:
    payloads = visit.payloads()
    for path in FIELDS:
        if any(value_at(payload, path) for payload in payloads):
            return f"`{path.rpartition('.')[2]}`"
    return "<think> inside the text" if b"think>" in bytes(visit.tape.raw) else "events of their own"


async def _switch(visit: Visit) -> Mapping[str, Any] | None:
    """The first fragment (or the word `none`) after which nothing is thought."""
    tried = []
    for fragment in _candidates(visit):
        word = fragment.get("effort")
        try:
            fields: dict[str, Any] = {"effort": word} if word else {"extra": fragment}
            answer = await visit.ask(PUZZLE, cap=SHORT, **fields)
        except ConfigError:
            continue
        if not answered(answer):
            tried.append(f"{_told(fragment)} refused")
            continue
        if _how(visit, answer) is None:
            _list(visit, tried)
            return fragment
        tried.append(f"{_told(fragment)} accepted and without effect")
    _list(visit, tried)
    return None


def _candidates(visit: Visit) -> list[Mapping[str, Any]]:
    if "reasoning_off" in visit.endpoint.quirks or visit.endpoint.wire != "openai_chat":
        return [{"effort": "none"}]
    return list(OFF)


def _list(visit: Visit, tried: list[str]) -> None:
    if tried:
        visit.tell("switches", "note", "; ".join(tried))


def _told(fragment: Mapping[str, Any]) -> str:
    if "effort" in fragment:
        return f"effort {fragment['effort']}"
    return "; ".join(f"{name} = {value}" for name, value in fragment.items())


def _quirks(visit: Visit, off: Mapping[str, Any]) -> dict[str, Any]:
    """`reasoning_effort = none` is what is sent without a quirk."""
    quirks: dict[str, Any] = {}
    if visit.endpoint.quirks.get("reasoning") != "optional":
        quirks["reasoning"] = "optional"
    if "effort" not in off and off != OFF[0]:
        quirks["reasoning_off"] = dict(off)
    return quirks
