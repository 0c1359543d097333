"""AWS Bedrock's Converse stream: one API for all its models, in binary frames (`eventstream`).

What Converse has no place for goes into `additionalModelRequestFields`, under the model's own names; quirks say where
(`effort_at`, `budget_at`, `seed_field`, all with that prefix). Without quirks an effort goes to `outputConfig.effort`
and a number of thinking tokens is asked for in Anthropic's words, the only ones on Bedrock that take a number
(`budget_min`: 1024 where nothing is said).

Source: the service model `bedrock-runtime` of botocore 1.44.8, docs.aws.amazon.com/bedrock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from bench.errors import ConfigError, Garbled
from bench.records import Endpoint, Message, Request
from bench.wires import Event, Outgoing, ToolDelta, Usage
from bench.wires.common import checked_stops, count, merged, name_of, object_at, parse, placed, text_of, value_at
from bench.wires.eventstream import EventStream
from bench.wires.openai_chunk import checked_tools
from bench.wires.reasoning import checked_budget, reasoning, temperature_of

LISTING = "/foundation-models"
"""ListFoundationModels of the API; it answers at the host `bedrock`, not at `bedrock-runtime`."""
_EFFORT_AT = "outputConfig.effort"
_BUDGET_AT = "additionalModelRequestFields.thinking.budget_tokens"
_BUDGET_MIN = 1024
_BUDGET_ON = {"additionalModelRequestFields": {"thinking": {"type": "enabled"}}}
_CODES = {
    "accessDeniedException": 403,
    "internalServerException": 500,
    "modelNotReadyException": 429,
    "modelTimeoutException": 408,
    "resourceNotFoundException": 404,
    "serviceQuotaExceededException": 400,
    "serviceUnavailableException": 503,
    "throttlingException": 429,
    "validationException": 400,
}
"""HTTP status of each exception, as the service model has it. `modelStreamErrorException` has 424 there and says to ask
again: it gets none, which makes it a fault of the server."""


def encode(endpoint: Endpoint, request: Request) -> Outgoing:
    """A streaming request; the model is part of the path, percent-encoded (ids hold colons, ARNs slashes)."""
    if request.echo or request.logprobs is not None:
        raise ConfigError(
            "wire 'bedrock' has neither echo nor log-probabilities; such tasks need wire 'openai_completions'"
        )
    messages = request.messages or (Message(role="user", content=request.prompt or ""),)
    body: dict[str, Any] = {"messages": [_message(message) for message in messages if message.role != "system"]}
    system = [{"text": message.content} for message in messages if message.role == "system"]
    if system:
        body["system"] = system
    body["inferenceConfig"] = _inference(endpoint, request)
    seed_field = endpoint.quirks.get("seed_field")
    if request.seed is not None and seed_field:
        body = merged(body, placed(seed_field, request.seed))
    body |= _tools(endpoint, request)
    body = merged(merged(body, _schema(endpoint, request)), _thinking(endpoint, request))
    body = merged(merged(body, endpoint.quirks.get("extra_body") or {}), request.extra)
    return Outgoing(
        path=f"/model/{quote(endpoint.model, safe='')}/converse-stream",
        headers={"Accept": "application/vnd.amazon.eventstream, application/json"},
        body=body,
    )


def _message(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": [{"text": message.content}]}


def _inference(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    config: dict[str, Any] = {"maxTokens": request.max_tokens}
    temperature = temperature_of(endpoint, request, _EFFORT_AT)
    if temperature is not None:
        config["temperature"] = temperature
    most = endpoint.quirks.get("stop_max")
    if request.stop and most != 0:
        config["stopSequences"] = checked_stops(request, most)
    return config


def _tools(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    """Converse has no choice `none`: the tools then stay out."""
    specs, choice = [], request.tool_choice
    for tool in checked_tools(endpoint, request) if choice != "none" else ():
        told = {"description": tool.description} if tool.description else {}
        specs.append({"toolSpec": {"name": tool.name, **told, "inputSchema": {"json": dict(tool.parameters)}}})
    if not specs:
        return {}
    config: dict[str, Any] = {"tools": specs}
    if choice is not None:
        words: dict[str, Any] = {"auto": {"auto": {}}, "required": {"any": {}}}
        config["toolChoice"] = words.get(choice, {"tool": {"name": choice}})
    return {"toolConfig": config}


def _schema(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    if request.answer_schema is None:
        return {}
    if endpoint.quirks.get("structured", "json_schema") != "json_schema":
        raise ConfigError(f"target {endpoint.target_id} takes no schema for its answer; choose another for this task")
    schema = {"name": "answer", "schema": json.dumps(request.answer_schema, ensure_ascii=False)}
    return {"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}}


def _thinking(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    quirks = {"budget_on": _BUDGET_ON, **endpoint.quirks}
    wordless = not {"reasoning_off", "effort_at", "effort_words"} & quirks.keys()
    if request.effort == "none" and wordless and quirks.get("reasoning") not in ("none", "always"):
        raise ConfigError(
            f"target {endpoint.target_id}: Bedrock has no word for reasoning_effort = 'none'; leave it out, or say how "
            "this model is told, in the quirk reasoning_off"
        )
    told = reasoning(replace(endpoint, quirks=quirks), request, effort_at=_EFFORT_AT, budget_at=_BUDGET_AT)
    checked_budget(endpoint, request, value_at(told, _BUDGET_AT), _BUDGET_MIN)
    return told


def framing() -> EventStream:
    """Frames whose type is put beside their JSON."""
    return EventStream()


def decode(payload: bytes) -> Event:
    """One frame as `EventStream` gives it, or the whole body of a Converse answer."""
    chunk = parse(payload)
    if "exception" in chunk:
        return Event(error=_error(chunk))
    if "contentBlockDelta" in chunk:
        return _delta(_object(chunk["contentBlockDelta"]))
    if "contentBlockStart" in chunk:
        return _start(_object(chunk["contentBlockStart"]))
    if "messageStop" in chunk:
        return Event(finish_reason=name_of(_object(chunk["messageStop"]).get("stopReason")))
    if "metadata" in chunk:
        return _metadata(_object(chunk["metadata"]))
    return _whole(chunk) if "stopReason" in chunk or "output" in chunk else Event()


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Garbled("a frame of the stream holds no JSON object")
    return value


def _delta(body: Mapping[str, Any]) -> Event:
    delta = object_at(body, "delta")
    call = object_at(delta, "toolUse")
    arguments = text_of(call.get("input"), "input")
    return Event(
        text=text_of(delta.get("text"), "text"),
        reasoning=text_of(object_at(delta, "reasoningContent").get("text"), "reasoningContent.text"),
        tool=arguments,
        tool_calls=(ToolDelta(_slot(body), arguments=arguments),) if call else (),
    )


def _start(body: Mapping[str, Any]) -> Event:
    call = object_at(object_at(body, "start"), "toolUse")
    if not call:
        return Event()
    name = text_of(call.get("name"), "name")
    return Event(tool=name, tool_calls=(ToolDelta(_slot(body), name_of(call.get("toolUseId")), name),))


def _slot(body: Mapping[str, Any]) -> int:
    return count(body.get("contentBlockIndex")) or 0


def _metadata(body: Mapping[str, Any]) -> Event:
    """Usage, tier, and the model that a prompt router chose. `latencyMs` is the whole answer's: it has no column."""
    return Event(
        usage=_usage(body.get("usage")),
        model=name_of(value_at(body, "trace.promptRouter.invokedModelId")),
        service_tier=_tier(body),
    )


def _tier(body: Mapping[str, Any]) -> str | None:
    latency = name_of(value_at(body, "performanceConfig.latency"))
    return name_of(value_at(body, "serviceTier.type")) or (latency if latency != "standard" else None)


def _usage(usage: object) -> Usage | None:
    """`inputTokens` leaves out what the cache gave and took."""
    if not isinstance(usage, dict):
        return None
    fresh, read, written = (
        count(usage.get(name)) for name in ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
    )
    return Usage(
        in_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
        in_cached_tokens=read,
        in_cache_write_tokens=written,
        out_tokens=count(usage.get("outputTokens")),
    )


def _whole(chunk: Mapping[str, Any]) -> Event:
    """The answer of `/converse`, which a gateway may send to those who asked for a stream."""
    content = value_at(chunk, "output.message.content") or []
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise Garbled("`content` of the answer is not a list of objects")
    calls = []
    for slot, block in enumerate(content):
        if call := object_at(block, "toolUse"):
            arguments = json.dumps(call.get("input") or {}, ensure_ascii=False)
            calls.append(ToolDelta(slot, name_of(call.get("toolUseId")), text_of(call.get("name"), "name"), arguments))
    return _metadata(chunk)._replace(
        text="".join(text_of(block.get("text"), "text") for block in content),
        reasoning="".join(
            text_of(value_at(block, "reasoningContent.reasoningText.text"), "reasoningText") for block in content
        ),
        tool="".join(call.name + call.arguments for call in calls),
        tool_calls=tuple(calls),
        finish_reason=name_of(chunk.get("stopReason")),
    )


def _error(chunk: Mapping[str, Any]) -> dict[str, Any]:
    """`type`, `code` (an HTTP status where the exception has one) and `message` of an exception's frame."""
    kind, said = str(chunk["exception"]), text_of(chunk.get("said"), "said")
    try:
        told = json.loads(said)
    except (ValueError, RecursionError):
        told = None
    message = told.get("message") or told.get("Message") if isinstance(told, dict) else None
    code = _CODES.get(kind[:1].lower() + kind[1:])
    return {"type": kind, "message": str(message or said)} | ({} if code is None else {"code": code})
