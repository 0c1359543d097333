"""Gemini generateContent, as the Gemini API and Vertex AI speak it.

Quirks besides those of `bench.wires.reasoning`: `stop_max` (5 where nothing is said), `seed_field` (false: no seed),
`logprobs` (false), `structured` (`json_object`: only the MIME type; false: no schema), `tools` (false, or `auto`: no
forced call), `extra_body`. Thoughts are asked for, so that they are seen and not only billed, unless `reasoning` is
`none` or thinking is switched off, where asking is a 400. `none` is sent as a budget of 0 unless `reasoning_off` says
otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from bench.errors import ConfigError, Garbled
from bench.records import Endpoint, Message, Request, TokenLogprob
from bench.wires import Event, Outgoing, ToolDelta, Usage
from bench.wires.common import (
    checked_logprobs,
    checked_stops,
    count,
    merged,
    name_of,
    number,
    object_at,
    parse,
    placed,
    text_of,
)
from bench.wires.openai_chunk import checked_tools
from bench.wires.reasoning import reasoning, temperature_of
from bench.wires.sse import Framer

LISTING = "/models?pageSize=1000"
BLOCKED = "blockReason "
"""Before the reason, in the finish reason of an answer that never began because its prompt was blocked."""

_THINKING = "generationConfig.thinkingConfig"
_EFFORT_AT = f"{_THINKING}.thinkingLevel"
_ASKED = {
    "effort_words": {word: word.upper() for word in ("minimal", "low", "medium", "high", "xhigh")},
    "reasoning_off": placed(f"{_THINKING}.thinkingBudget", 0),
}
_CHOICES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_TIERS = {"ON_DEMAND_FLEX": "flex", "ON_DEMAND_PRIORITY": "priority"}
"""Vertex' words for the tiers that have a price of their own."""
_ROOTS = ("models/", "tunedModels/")
_STOP_MAX = 5


def encode(endpoint: Endpoint, request: Request) -> Outgoing:
    """A streaming request; system messages go apart, a plain prompt as one user message.

    ConfigError for an echoed prompt, and for what the quirks rule out.
    """
    if request.echo:
        raise ConfigError(
            "chat wires cannot echo a prompt; log-likelihood tasks need a target on wire 'openai_completions'"
        )
    messages = request.messages or (Message(role="user", content=request.prompt or ""),)
    body: dict[str, Any] = {
        "contents": [
            {"role": "model" if message.role == "assistant" else "user", "parts": [{"text": message.content}]}
            for message in messages
            if message.role != "system"
        ]
    }
    system = "\n\n".join(message.content for message in messages if message.role == "system")
    if system:
        body["systemInstruction"] = {"parts": [{"text": system}]}
    body |= _tools(endpoint, request)
    body["generationConfig"] = _config(endpoint, request)
    body = merged(body, _thinking(endpoint, request))
    body = merged(merged(body, endpoint.quirks.get("extra_body") or {}), request.extra)
    model = endpoint.model if endpoint.model.startswith(_ROOTS) else f"models/{endpoint.model}"
    return Outgoing(path=f"/{quote(model, safe='/@:')}:streamGenerateContent?alt=sse", body=body)


def _config(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    quirks = endpoint.quirks
    config: dict[str, Any] = {"maxOutputTokens": request.max_tokens}
    temperature = temperature_of(endpoint, request, _EFFORT_AT)
    if temperature is not None:
        config["temperature"] = temperature
    seed_field = quirks.get("seed_field", "seed")
    if request.seed is not None and seed_field:
        config[seed_field] = request.seed
    if request.stop and quirks.get("stop_max", _STOP_MAX):
        config["stopSequences"] = checked_stops(request, quirks.get("stop_max", _STOP_MAX))
    if checked_logprobs(endpoint, request) is not None:
        config["responseLogprobs"] = True
        if request.logprobs:
            config["logprobs"] = request.logprobs
    return config | _schema(endpoint, request)


def _schema(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    if request.answer_schema is None:
        return {}
    taken = endpoint.quirks.get("structured", "json_schema")
    if not taken:
        raise ConfigError(f"target {endpoint.target_id} takes no schema for its answer; take another model")
    shape = {"responseJsonSchema": dict(request.answer_schema)} if taken == "json_schema" else {}
    return {"responseMimeType": "application/json", **shape}


def _tools(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    declared, choice = [], request.tool_choice
    for tool in checked_tools(endpoint, request):
        described = {"description": tool.description} if tool.description else {}
        declared.append({"name": tool.name, **described, "parametersJsonSchema": dict(tool.parameters)})
    if not declared:
        return {}
    tools = {"tools": [{"functionDeclarations": declared}]}
    if choice is None:
        return tools
    told = {"mode": _CHOICES[choice]} if choice in _CHOICES else {"mode": "ANY", "allowedFunctionNames": [choice]}
    return {**tools, "toolConfig": {"functionCallingConfig": told}}


def _bent(endpoint: Endpoint) -> Endpoint:
    return replace(endpoint, quirks={**_ASKED, **endpoint.quirks})


def _thinking(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    told = reasoning(_bent(endpoint), request, effort_at=_EFFORT_AT, budget_at=f"{_THINKING}.thinkingBudget")
    quirks = endpoint.quirks
    off = request.effort == "none" or (quirks.get("effort_default") == "none" and not told)
    if off or quirks.get("reasoning") == "none":
        return told
    return merged(placed(f"{_THINKING}.includeThoughts", True), told)


class Framing(Framer):
    """Server-sent events, among which an error may stand as bare JSON, also spread over several lines."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0
        self._quoted = self._escaped = False

    def close(self) -> list[bytes]:
        payloads = super().close()
        self._give(payloads)
        return payloads

    def _line(self, line: bytes, payloads: list[bytes]) -> None:
        if self._depth and line.startswith(b"data:"):
            self._give(payloads)
        if not self._depth and (self._open or not line.lstrip().startswith((b"{", b"["))):
            super()._line(line, payloads)
            return
        self._open.append(line)
        self._open_bytes += len(line)
        self._weigh(line)
        if not self._depth:
            self._give(payloads)

    def _give(self, payloads: list[bytes]) -> None:
        if self._open:
            payloads.append(b"\n".join(self._open))
        self._open.clear()
        self._open_bytes = self._depth = 0
        self._quoted = self._escaped = False

    def _weigh(self, line: bytes) -> None:
        """Counts the brackets that are open after this line, those inside strings left out."""
        for sign in line:
            if self._quoted:
                self._quoted = self._escaped or sign != 0x22
                self._escaped = sign == 0x5C and not self._escaped
            elif sign == 0x22:
                self._quoted = True
            elif sign in b"{[":
                self._depth += 1
            elif sign in b"}]":
                self._depth -= 1


def framing() -> Framing:
    """What cuts one body into payloads."""
    return Framing()


class Decoder:
    """Decodes the chunks of one stream: tool calls come whole and without a number, so they are counted here."""

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self, payload: bytes) -> Event:
        if not payload.lstrip().startswith(b"["):
            return self._chunk(parse(payload))
        chunks = parse(b'{"all":' + payload + b"}")["all"]
        if not all(isinstance(chunk, dict) for chunk in chunks):
            raise Garbled("the body is not a list of JSON objects")
        return _together([self._chunk(chunk) for chunk in chunks])

    def _chunk(self, chunk: Mapping[str, Any]) -> Event:
        candidate = _first(chunk)
        parts = object_at(candidate, "content").get("parts") or []
        if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
            raise Garbled("`parts` of an event is not a list of objects")
        said: dict[bool, str] = {False: "", True: ""}
        for part in parts:
            said[part.get("thought") is True] += text_of(part.get("text"), "text")
        calls = tuple(self._call(part["functionCall"]) for part in parts if part.get("functionCall"))
        usage, finish = object_at(chunk, "usageMetadata"), _finish(chunk, candidate)
        return Event(
            said[False],
            said[True],
            "".join(call.name + call.arguments for call in calls),
            finish_reason=finish,
            usage=_usage(usage, ended=finish is not None) if usage else None,
            error=_error(chunk["error"]) if chunk.get("error") else None,
            response_id=name_of(chunk.get("responseId")),
            model=name_of(chunk.get("modelVersion")),
            logprobs=_logprobs(candidate),
            tool_calls=calls,
            service_tier=_TIERS.get(str(usage.get("trafficType")), name_of(usage.get("trafficType"))),
        )

    def _call(self, call: object) -> ToolDelta:
        if not isinstance(call, dict):
            raise Garbled("`functionCall` of an event is not an object")
        self._calls += 1
        arguments = json.dumps(call.get("args") or {}, ensure_ascii=False)
        return ToolDelta(self._calls - 1, name_of(call.get("id")), name_of(call.get("name")) or "", arguments)


def decode(payload: bytes) -> Event:
    """One chunk by itself, or a whole answer: one object, or the array that comes without `alt=sse`."""
    return Decoder()(payload)


def decoder(_: Endpoint) -> Decoder:
    """The function that decodes one stream."""
    return Decoder()


def _first(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    candidates = chunk.get("candidates")
    if not candidates:
        return {}
    if not isinstance(candidates, list) or not isinstance(candidates[0], dict):
        raise Garbled("`candidates` of an event is not a list of objects")
    return candidates[0]


def _finish(chunk: Mapping[str, Any], candidate: Mapping[str, Any]) -> str | None:
    reason = candidate.get("finishReason")
    if reason is not None and reason != "FINISH_REASON_UNSPECIFIED":
        return str(reason)
    blocked = object_at(chunk, "promptFeedback").get("blockReason")
    return f"{BLOCKED}{blocked}" if blocked and not candidate else None


def _usage(usage: Mapping[str, Any], *, ended: bool) -> Usage:
    """Thoughts are counted beside the answer, tokens of tools' results beside the prompt; what is absent is 0.

    The counts run along with the stream; before its end, no count of the output is not yet 0.
    """
    thoughts = _count(usage, "thoughtsTokenCount")
    out = _sum(_count(usage, "candidatesTokenCount"), thoughts)
    if not ended and "candidatesTokenCount" not in usage and "thoughtsTokenCount" not in usage:
        out = thoughts = None
    return Usage(
        in_tokens=_sum(_count(usage, "promptTokenCount"), _count(usage, "toolUsePromptTokenCount")),
        in_cached_tokens=_count(usage, "cachedContentTokenCount"),
        out_tokens=out,
        reasoning_tokens=thoughts,
    )


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    found = usage.get(name)
    return 0 if found is None else count(found)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _logprobs(candidate: Mapping[str, Any]) -> tuple[TokenLogprob, ...]:
    chosen = object_at(candidate, "logprobsResult").get("chosenCandidates")
    if not isinstance(chosen, list):
        return ()
    return tuple(
        TokenLogprob(token=text_of(pair.get("token"), "token"), logprob=number(pair.get("logProbability")))
        for pair in chosen
        if isinstance(pair, dict)
    )


def _error(error: object) -> dict[str, Any]:
    """The details say how long to wait and which quota is used up, so they go along with the message."""
    if not isinstance(error, dict):
        return {"message": str(error)}
    told = [str(error["message"])] if error.get("message") else []
    if error.get("details"):
        told.append(json.dumps(error["details"], ensure_ascii=False))
    return {"type": error.get("status"), "code": error.get("code"), "message": " ".join(told)}


def _together(events: Sequence[Event]) -> Event:
    """One event of all that the chunks of a whole body say."""
    found = Event()
    for event in events:
        late = {name: value for name, value in event._asdict().items() if value not in (None, "", ())}
        for name in ("text", "reasoning", "tool", "logprobs", "tool_calls"):
            if name in late:
                late[name] = getattr(found, name) + late[name]
        found = found._replace(**late)
    return found
