"""Tool calls and answers to a schema: accepted and obeyed are two findings."""

from __future__ import annotations

from typing import Any

from bench.doctor.visit import Visit, answered, refused, why
from bench.records import Tool

WEATHER = Tool(
    name="get_weather",
    description="Weather of a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
)
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "population": {"type": "integer"}},
    "required": ["city", "population"],
    "additionalProperties": False,
}
ASKED = "What is the weather in Paris?"
BIG = "Name a big city and its population, as JSON with the keys city and population."


async def tools(visit: Visit) -> None:
    """A call that must be made; where it can't be forced, one that may."""
    told: dict[str, Any] = {"cap": 64, "tools": (WEATHER,)}
    if not visit.changes(visit.request(ASKED, tool_choice="required", **told), visit.request(ASKED, cap=64)):
        visit.tell("tools", "note", "none on this wire, or for this model")
        return
    answer = await visit.ask(ASKED, tool_choice="required", **told)
    forced = answered(answer) and bool(answer.tool_calls)
    if not forced:
        free = await visit.ask(ASKED, **told)
        if refused(answer) and refused(free):
            visit.tell("tools", "note", f"refused: {why(free)}", quirks={"tools": False})
            return
        if refused(answer):
            visit.tell("tools", "note", f"accepted; a call can't be forced: {why(answer)}", quirks={"tools": "auto"})
        answer = free if answered(free) else answer
    if not answered(answer):
        visit.tell("tools", "note", f"the question with one failed: {why(answer)}")
    elif not answer.tool_calls:
        visit.tell("tools", "note", f"accepted, and none called: {(answer.answer or '')[:40]!r}")
    else:
        call = answer.tool_calls[0]
        good = call.name == WEATHER.name and answer.schema_valid is not False
        visit.tell("tools", "ok" if good else "note", f"called {call.name}({call.arguments[:60]})"
                   + ("" if good else ", which is not what was declared"))  # fmt: skip


async def structured(visit: Visit) -> None:
    """An answer that is to follow a schema."""
    fields: dict[str, Any] = {"cap": 48, "answer_schema": SCHEMA}
    if not visit.changes(visit.request(BIG, **fields), visit.request(BIG, cap=48)):
        visit.tell("structured", "note", "no answers to a schema on this wire, or from this model")
        return
    answer = await visit.ask(BIG, **fields)
    if refused(answer):
        first, request = why(answer), visit.request(BIG, **fields)
        if not visit.changes(request, request, {"structured": "json_object"}):
            visit.tell("structured", "note", f"refused: {first}", quirks={"structured": False})
            return
        answer = await visit.ask(BIG, **fields, bend={"structured": "json_object"})
        if not answered(answer):
            visit.tell("structured", "note", f"refused: {first}", quirks={"structured": False})
            return
        visit.tell(
            "structured", "note", f"a schema is refused, JSON is taken: {first}", quirks={"structured": "json_object"}
        )
    if not answered(answer):
        visit.tell("structured", "note", f"the question failed: {why(answer)}")
    elif answer.schema_valid:
        visit.tell("structured", "ok", f"the answer follows the schema: {(answer.answer or '').strip()[:60]}")
    elif answer.status == "truncated":
        visit.tell("structured", "note", "accepted; the answer was cut off before it could follow the schema")
    else:
        visit.tell("structured", "note", f"accepted, and not followed: {(answer.answer or '')[:60]!r}")
