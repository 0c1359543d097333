"""Anthropic Messages, as Anthropic, the clouds that resell Claude, and the `/anthropic` faces of other hosts speak it.

Quirks besides those of `bench.wires.reasoning`: `path` (Vertex: the model stands in the address and not in the body),
`stop_max`, `structured` (false: no schema), `tools` (false, or `auto`: no forced call), `budget_min` (1024 where
nothing is said), `extra_body`. A budget is sent as `thinking.type = enabled` and `none` as `disabled` unless
`budget_on` and `reasoning_off` say otherwise.

There is no seed. Not sent either: stop strings of white space alone, which the server refuses, and a temperature where
the model is asked to think or the version header is of 2026-10-21 or later; both are a 400.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench.errors import ConfigError, Garbled
from bench.records import Endpoint, Message, Request
from bench.wires import Event, Outgoing, ToolDelta, Usage
from bench.wires.common import checked_stops, count, merged, name_of, object_at, parse, text_of
from bench.wires.openai_chunk import checked_tools
from bench.wires.reasoning import checked_budget, reasoning, temperature_of

LISTING = "/models?limit=1000"
VERBATIM = True
"""The text of a `text_delta` is a JSON string of its payload as it stands, and changes nothing for later events."""

VERSION = "2023-06-01"
"""API version asked for where the endpoint's headers name none: the only one that takes a temperature."""
_NO_SAMPLING = "2026-10-21"
_ASKED = {"budget_on": {"thinking": {"type": "enabled"}}, "reasoning_off": {"thinking": {"type": "disabled"}}}
_EFFORT_AT = "output_config.effort"
_BUDGET_MIN = 1024
_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
_HTTP = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""What an error event would have been as a status, had the answer not begun."""


def encode(endpoint: Endpoint, request: Request) -> Outgoing:
    """A streaming request; system messages go apart, a plain prompt as one user message.

    ConfigError for log-probabilities, and for what the quirks rule out.
    """
    if request.echo or request.logprobs is not None:
        raise ConfigError(
            f"target {endpoint.target_id}: wire 'anthropic' has no log-probabilities; log-likelihood tasks need a "
            "target on wire 'openai_completions'"
        )
    quirks = endpoint.quirks
    messages = request.messages or (Message(role="user", content=request.prompt or ""),)
    body: dict[str, Any] = {
        "model": endpoint.model,
        "max_tokens": request.max_tokens,
        "messages": [{"role": m.role, "content": m.content} for m in messages if m.role != "system"],
        "stream": True,
    }
    system = "\n\n".join(message.content for message in messages if message.role == "system")
    if system:
        body["system"] = system
    body |= _stops(endpoint, request) | _tools(endpoint, request)
    body = merged(merged(body, _schema(endpoint, request)), _thinking(endpoint, request))
    body = merged(merged(body, quirks.get("extra_body") or {}), request.extra)
    headers = _version(endpoint)
    temperature = temperature_of(endpoint, request, _EFFORT_AT)
    if temperature is not None and not _refuses_temperature(body, {**headers, **endpoint.headers}):
        body.setdefault("temperature", temperature)
    path = "/messages"
    if "path" in quirks:
        path = str(quirks["path"]).replace("{model}", str(body.pop("model")))
    return Outgoing(path=path, headers=headers, body=body)


def _version(endpoint: Endpoint) -> dict[str, str]:
    named = any(name.lower() == "anthropic-version" for name in endpoint.headers)
    return {} if named else {"anthropic-version": VERSION}


def _refuses_temperature(body: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    version = next(value for name, value in headers.items() if name.lower() == "anthropic-version")
    return version >= _NO_SAMPLING or object_at(body, "thinking").get("type") in ("enabled", "adaptive")


def _stops(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    most = endpoint.quirks.get("stop_max")
    taken = replace(request, stop=tuple(stop for stop in request.stop if stop.strip()))
    return {"stop_sequences": checked_stops(taken, most)} if taken.stop and most != 0 else {}


def _tools(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    tools, choice = [], request.tool_choice
    for tool in checked_tools(endpoint, request):
        described = {"description": tool.description} if tool.description else {}
        tools.append({"name": tool.name, **described, "input_schema": dict(tool.parameters)})
    if not tools:
        return {}
    if choice is None:
        return {"tools": tools}
    told = {"type": _CHOICES[choice]} if choice in _CHOICES else {"type": "tool", "name": choice}
    return {"tools": tools, "tool_choice": told}


def _schema(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    if request.answer_schema is None:
        return {}
    if endpoint.quirks.get("structured", "json_schema") != "json_schema":
        raise ConfigError(f"target {endpoint.target_id} takes no schema for its answer; take another model")
    return {"output_config": {"format": {"type": "json_schema", "schema": dict(request.answer_schema)}}}


def _thinking(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    bent = replace(endpoint, quirks={**_ASKED, **endpoint.quirks})
    told = reasoning(bent, request, effort_at=_EFFORT_AT, budget_at="thinking.budget_tokens")
    checked_budget(endpoint, request, object_at(told, "thinking").get("budget_tokens"), _BUDGET_MIN)
    return told


class Decoder:
    """Decodes the events of one stream: usage comes in parts, and tool calls in blocks with a number."""

    def __init__(self) -> None:
        self._counts: dict[str, Any] = {}
        self._calls: dict[int, tuple[ToolDelta, bool]] = {}
        """Calls that brought no arguments yet, and whether they are the model's own (not run by the server)."""
        self._theirs: set[int] = set()

    def __call__(self, payload: bytes) -> Event:
        if payload == b"[DONE]":
            return Event(done=True)
        chunk = parse(payload)
        kind = chunk.get("type")
        if kind == "error" or chunk.get("error"):
            return Event(error=_error(chunk))
        match kind:
            case "content_block_delta":
                return self._delta(_number(chunk), object_at(chunk, "delta"))
            case "content_block_start":
                return self._begun(_number(chunk), object_at(chunk, "content_block"))
            case "content_block_stop":
                return self._ended(_number(chunk))
            case "message_start":
                # Its count of output is of tokens that nobody has seen yet, and is not the last word.
                return self._message({**object_at(chunk, "message"), "stop_reason": None}, ("output_tokens",))
            case "message_delta":
                return self._message({**object_at(chunk, "delta"), "usage": chunk.get("usage")})
            case "message_stop":
                return Event(done=True)
            case "message":
                return self._whole(chunk)
            case str():
                return Event()
        raise Garbled("an event of the stream has no `type`")

    def _delta(self, slot: int, delta: Mapping[str, Any]) -> Event:
        match delta.get("type"):
            case "text_delta":
                return Event(text_of(delta.get("text"), "text"))
            case "thinking_delta":
                return Event(reasoning=text_of(delta.get("thinking"), "thinking"))
            case "input_json_delta":
                piece = text_of(delta.get("partial_json"), "partial_json")
                if piece:
                    self._calls.pop(slot, None)
                return _piece(ToolDelta(slot, arguments=piece), piece, slot not in self._theirs)
        return Event()

    def _begun(self, slot: int, block: Mapping[str, Any]) -> Event:
        kind = str(block.get("type"))
        if kind == "text":
            return Event(text_of(block.get("text"), "text"))
        if kind == "thinking":
            return Event(reasoning=text_of(block.get("thinking"), "thinking"))
        if not kind.endswith("tool_use"):
            return Event()
        own = kind == "tool_use"
        call = ToolDelta(slot, name_of(block.get("id")), name_of(block.get("name")) or "", _arguments(block))
        self._calls[slot] = call, own
        if not own:
            self._theirs.add(slot)
            return Event()
        return Event(tool_calls=(call._replace(arguments=""),))

    def _ended(self, slot: int) -> Event:
        """A call that brought no pieces has what it has from its beginning, and is seen now."""
        call, own = self._calls.pop(slot, (None, False))
        if call is None:
            return Event()
        return _piece(ToolDelta(slot, arguments=call.arguments), call.name + call.arguments, own)

    def _message(self, message: Mapping[str, Any], left_out: tuple[str, ...] = ()) -> Event:
        usage = object_at(message, "usage")
        self._counts |= {name: value for name, value in usage.items() if value is not None and name not in left_out}
        speed = name_of(usage.get("speed"))
        stop = message.get("stop_reason")
        return Event(
            finish_reason=None if stop is None else str(stop),
            usage=_usage(self._counts) if usage else None,
            response_id=name_of(message.get("id")),
            model=name_of(message.get("model")),
            routed_provider=name_of(usage.get("inference_geo")),
            service_tier=speed if speed not in (None, "standard") else name_of(usage.get("service_tier")),
        )

    def _whole(self, message: Mapping[str, Any]) -> Event:
        blocks = message.get("content") or []
        if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
            raise Garbled("`content` of the message is not a list of blocks")
        said: list[Event] = []
        for slot, block in enumerate(blocks):
            said += [self._begun(slot, block), self._ended(slot)]
        return self._message(message)._replace(
            text="".join(event.text for event in said),
            reasoning="".join(event.reasoning for event in said),
            tool="".join(event.tool for event in said),
            tool_calls=tuple(piece for event in said for piece in event.tool_calls),
            done=True,
        )


def decode(payload: bytes) -> Event:
    """One event of a stream by itself, or a whole message from a server that ignored `stream`."""
    return Decoder()(payload)


def decoder(_: Endpoint) -> Decoder:
    """The function that decodes one stream."""
    return Decoder()


def _number(chunk: Mapping[str, Any]) -> int:
    return count(chunk.get("index")) or 0


def _piece(piece: ToolDelta, text: str, own: bool) -> Event:
    return Event(tool=text, tool_calls=(piece,) if own and text else ())


def _arguments(block: Mapping[str, Any]) -> str:
    """A block begins with empty input and brings it in pieces; some servers begin with all of it."""
    found = block.get("input")
    return json.dumps(found, ensure_ascii=False) if found else ""


def _usage(counts: Mapping[str, Any]) -> Usage:
    fresh, read, written = (
        count(counts.get(name)) for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    )
    return Usage(
        in_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
        in_cached_tokens=read,
        in_cache_write_tokens=written,
        out_tokens=count(counts.get("output_tokens")),
        reasoning_tokens=count(object_at(counts, "output_tokens_details").get("thinking_tokens")),
    )


def _error(chunk: Mapping[str, Any]) -> dict[str, Any]:
    error = chunk.get("error")
    found = dict(error) if isinstance(error, dict) else {"message": str(error or chunk.get("message") or "no message")}
    why = object_at(found, "details").get("error_code")
    if why:
        found["message"] = f"{found.get('message') or ''} ({why})".strip()
    found.setdefault("code", _HTTP.get(str(found.get("type"))))
    return found
