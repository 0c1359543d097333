"""Whether structured output is what was asked for: answers against a schema, tool calls against their parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bench.records import Request, ToolCall


def follows(request: Request, answer: str | None, calls: Sequence[ToolCall] | None) -> bool | None:
    """True if everything asked for in a shape has it; None where no shape was asked for, or nothing came that has one.

    An answer must be one JSON value that fits `answer_schema`, without any text around it. A call must name a known
    tool, and its arguments fit that tool's parameters; a tool that was required must be called.
    """
    if request.answer_schema is None and not request.tools:
        return None
    verdicts = [_call_fits(request, call) for call in calls or ()]
    if request.answer_schema is not None and not calls:
        verdicts.append(_fits(answer or "", request.answer_schema))
    if request.tools and request.tool_choice not in (None, "auto", "none"):
        wanted = None if request.tool_choice == "required" else request.tool_choice
        verdicts.append(any(wanted in (None, call.name) for call in calls or ()))
    return all(verdicts) if verdicts else None


def _call_fits(request: Request, call: ToolCall) -> bool:
    known = {tool.name: tool.parameters for tool in request.tools}
    # A tool without parameters may be called with no text at all.
    return call.name in known and _fits(call.arguments or "{}", known[call.name])


def _fits(text: str, schema: Mapping[str, Any]) -> bool:
    from jsonschema import validators  # late: most requests ask for no shape

    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return bool(validators.validator_for(schema)(schema).is_valid(value))
