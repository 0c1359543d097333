"""OpenAI Chat Completions, as OpenAI, vLLM, SGLang, llama.cpp, Ollama and most hosts speak it.

Quirks besides those of `openai_chunk`: `system_role` (`developer`, or `user`: put before the first question).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bench.errors import ConfigError, Garbled
from bench.records import Endpoint, Message, Request, TokenLogprob
from bench.wires import Decode, Event, Outgoing, ToolDelta
from bench.wires.common import checked_logprobs, name_of, number, parse, text_of
from bench.wires.openai_chunk import (
    DONE,
    bent,
    checked_tools,
    common_body,
    error_of,
    finished,
    first_choice,
    routed_by,
    structured,
    tier_of,
    timings_of,
    usage_of,
)

VERBATIM = True
"""The text of an event is a JSON string of its payload as it stands: `bench.client.pattern` may skip the parsing."""

_COUNTED = frozenset({"usage", "x_groq", "time_info", "timings", "metrics"})
"""Where tokens and times may be told; most events of a stream have none of these."""


def encode(endpoint: Endpoint, request: Request) -> Outgoing:
    """A streaming request; a plain prompt goes as one user message."""
    if request.echo:
        raise ConfigError(
            "chat wires cannot echo a prompt; log-likelihood tasks need a target on wire 'openai_completions'"
        )
    messages = request.messages or (Message(role="user", content=request.prompt or ""),)
    body = common_body(endpoint, request)
    body["messages"] = role_messages(messages, endpoint.quirks.get("system_role", "system"))
    if checked_logprobs(endpoint, request) is not None:
        body["logprobs"] = True
        if request.logprobs:
            body["top_logprobs"] = request.logprobs
    return Outgoing(path="/chat/completions", body=finished(body | _shapes(endpoint, request), endpoint, request))


def role_messages(messages: tuple[Message, ...], system_role: str) -> list[dict[str, str]]:
    """Messages with the system's under another role; `user` puts its text before the first question."""
    out = [{"role": message.role, "content": message.content} for message in messages]
    if system_role == "user" and len(out) > 1 and out[0]["role"] == "system":
        head, second, *rest = out
        return [{"role": "user", "content": f"{head['content']}\n\n{second['content']}"}, *rest]
    return [{**message, "role": system_role} if message["role"] == "system" else message for message in out]


def _shapes(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    """Tools, which of them must be called, and the schema of the answer."""
    body: dict[str, Any] = {}
    tools = checked_tools(endpoint, request)
    if tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    **({"description": tool.description} if tool.description else {}),
                    "parameters": dict(tool.parameters),
                },
            }
            for tool in tools
        ]
    if tools and request.tool_choice is not None:
        word = request.tool_choice in ("auto", "none", "required")
        named = {"type": "function", "function": {"name": request.tool_choice}}
        body["tool_choice"] = request.tool_choice if word else named
    shape = structured(endpoint, request)
    if shape is not None:
        kind = shape.pop("type")
        body["response_format"] = {"type": kind, **({"json_schema": shape} if shape else {})}
    return body


def decode(payload: bytes) -> Event:
    """One chunk of a stream, or a whole answer from a server that ignored `stream`."""
    return _Stream().event(payload)


def decoder(endpoint: Endpoint) -> Decode:
    """Decodes one stream, in which whole tool calls may come without a number, one event each."""
    return _Stream(endpoint).event


class _Stream:
    """What has been heard of one answer so far."""

    def __init__(self, endpoint: Endpoint | None = None) -> None:
        quirks = endpoint.quirks if endpoint else {}
        self._bending = endpoint if "cost_at" in quirks or "route_at" in quirks else None
        self._apart = bool(quirks.get("output_excludes_reasoning"))
        self._heard = False
        self._ids: list[str | None] = []
        """Id of the tool call in each slot."""
        self._arguments: list[str] = []
        """What each call's arguments are so far."""
        self._slots: dict[int, int] = {}
        """Slot of the newest call under each number of the server's."""

    def event(self, payload: bytes) -> Event:
        """What one payload says."""
        if payload == b"[DONE]":
            return DONE
        chunk = parse(payload)
        event = self._event(chunk)
        if not self._heard:
            self._heard = bool(event.text or event.reasoning or event.tool or event.refusal)
        return event if self._bending is None else bent(event, chunk, self._bending)

    def _event(self, chunk: Mapping[str, Any]) -> Event:
        choice = first_choice(chunk)
        delta = self._delta(chunk, choice)
        text, thought = _content(delta.get("content"))
        counted = not _COUNTED.isdisjoint(chunk) or "usage" in choice
        usage, usd = usage_of(chunk, choice, excludes_reasoning=self._apart) if counted else (None, None)
        finish = choice.get("finish_reason")
        calls = self._calls(delta) if delta.get("tool_calls") or delta.get("function_call") else ()
        return Event(
            text,
            thought or _reasoning(delta),
            "".join(call.name + call.arguments for call in calls) if calls else "",
            text_of(delta.get("refusal"), "refusal"),
            str(finish) if finish else None,
            usage,
            error_of(chunk),
            name_of(chunk.get("id")),
            name_of(chunk.get("model")),
            name_of(chunk.get("system_fingerprint")),
            _logprobs(choice["logprobs"]) if choice.get("logprobs") else (),
            routed_by(chunk),
            usd,
            False,
            calls,
            tier_of(chunk) if counted or "service_tier" in chunk else None,
            timings_of(chunk) if counted else None,
        )

    def _delta(self, chunk: Mapping[str, Any], choice: Mapping[str, Any]) -> Mapping[str, Any]:
        """The new piece; the whole `message` only of an answer that came at once.

        Perplexity sends both: the piece, and beside it the message so far.
        """
        delta, message = choice.get("delta"), choice.get("message")
        if message and not self._heard and chunk.get("object") != "chat.completion.chunk" and not _says(delta):
            delta = message
        if type(delta) is dict:
            return delta
        if not isinstance(delta or {}, dict):
            raise Garbled("`delta` of an event is not an object")
        return delta or {}

    def _calls(self, delta: Mapping[str, Any]) -> tuple[ToolDelta, ...]:
        pieces = delta.get("tool_calls") or [{"index": 0, "function": delta["function_call"]}]
        if not isinstance(pieces, list) or not all(isinstance(piece, dict) for piece in pieces):
            raise Garbled("`tool_calls` of an event is not a list of objects")
        return tuple(map(self._call, pieces))

    def _call(self, piece: Mapping[str, Any]) -> ToolDelta:
        function = piece.get("function")
        if not isinstance(function or {}, dict):
            raise Garbled("`function` of a tool call is not an object")
        function = function or {}
        name, identity = text_of(function.get("name"), "name"), name_of(piece.get("id"))
        arguments = function.get("arguments")
        if arguments is not None and not isinstance(arguments, str):
            # Whole calls of some servers carry an object instead of its text.
            arguments = json.dumps(arguments, ensure_ascii=False)
        slot = self._slot(piece.get("index"), identity, name)
        self._arguments[slot] += arguments or ""
        return ToolDelta(slot, identity, name, arguments or "")

    def _slot(self, index: object, identity: str | None, name: str) -> int:
        """Which call a piece belongs to: by number, unless another id and name say that it is a new one."""
        ids = self._ids
        if isinstance(index, int):
            slot = self._slots.get(index)
            other = slot is not None and identity and name and ids[slot] not in (None, identity)
            # A call that is whole already, and another name without an id: some servers number all calls 0.
            whole = slot is not None and name and identity is None and _is_json(self._arguments[slot])
            fresh = slot is None or other or whole
        else:
            slot = ids.index(identity) if identity in ids and identity else len(ids) - 1
            fresh = slot < 0 or bool(name and (identity is None or ids[slot] != identity))
        if fresh or slot is None:
            slot = len(ids)
            ids.append(identity)
            self._arguments.append("")
        if isinstance(index, int):
            self._slots[index] = slot
        ids[slot] = ids[slot] or identity
        return slot


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _says(delta: object) -> bool:
    """Whether a piece holds anything but a role."""
    return bool(delta) and (not isinstance(delta, dict) or any(value and key != "role" for key, value in delta.items()))


def _content(content: object) -> tuple[str, str]:
    """(visible text, reasoning) of `content`: text, or Mistral's list of text and thinking parts."""
    if isinstance(content, str):
        return content, ""
    if not isinstance(content, list):
        return text_of(content, "content"), ""
    text = thought = ""
    for part in content:
        if not isinstance(part, dict):
            raise Garbled("a part of `content` is not an object")
        if part.get("type") == "thinking":
            inner = part.get("thinking")
            thought += "".join(_content(inner)) if isinstance(inner, list) else text_of(inner, "thinking")
        else:
            text += text_of(part.get("text"), "text")
    return text, thought


def _reasoning(delta: Mapping[str, Any]) -> str:
    """Hosts write `reasoning` or `reasoning_content` (some both, the same twice), or only structured details."""
    plain = delta.get("reasoning") or delta.get("reasoning_content")
    if plain:
        return text_of(plain, "reasoning")
    details = delta.get("reasoning_details")
    if not isinstance(details, list):
        return ""
    return "".join(
        text_of(part.get("text") or part.get("summary"), "reasoning") for part in details if isinstance(part, dict)
    )


def _logprobs(logprobs: object) -> tuple[TokenLogprob, ...]:
    entries = logprobs.get("content") if isinstance(logprobs, dict) else None
    return logprob_entries(entries)


def logprob_entries(entries: object) -> tuple[TokenLogprob, ...]:
    """Entries of `token` and `logprob`, as Chat and Responses write them."""
    if not isinstance(entries, list):
        return ()
    return tuple(
        TokenLogprob(token=str(entry.get("token", "")), logprob=number(entry.get("logprob")))
        for entry in entries
        if isinstance(entry, dict)
    )
