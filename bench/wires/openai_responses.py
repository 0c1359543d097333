"""OpenAI Responses: named events about numbered items of output, of which some are the answer and some are not.

A message of the phase `commentary` is visible text, but not the answer: it goes where reasoning goes. Stop strings and
seeds do not exist on this wire and are not sent. Quirks besides those of `openai_chunk` (without `cap_field`,
`seed_field` and `stop_max`): `system_role`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.errors import ConfigError, Garbled
from bench.records import Endpoint, Message, Request
from bench.wires import Decode, Event, Outgoing, ToolDelta, Usage
from bench.wires.common import checked_logprobs, count, first_count, merged, name_of, object_at, parse, text_of
from bench.wires.openai_chat import logprob_entries, role_messages
from bench.wires.openai_chunk import (
    DONE,
    bent,
    can_be_strict,
    checked_tools,
    error_of,
    routed_by,
    structured,
    tier_of,
    timings_of,
    usd_of,
)
from bench.wires.reasoning import reasoning, temperature_of

_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_DELTAS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.function_call_arguments.delta": "tool",
    "response.custom_tool_call_input.delta": "tool",
}
_REFUSALS = ("bio_policy", "data_residency_mismatch", "misalignment_policy_violation", "image_content_policy_violation")
_CALLS = frozenset({"function_call", "custom_tool_call"})


def encode(endpoint: Endpoint, request: Request) -> Outgoing:
    """A streaming request that the server neither stores nor shortens; a plain prompt goes as one user message."""
    if request.echo:
        raise ConfigError(
            "chat wires cannot echo a prompt; log-likelihood tasks need a target on wire 'openai_completions'"
        )
    quirks = endpoint.quirks
    messages = request.messages or (Message(role="user", content=request.prompt or ""),)
    body: dict[str, Any] = {
        "model": endpoint.model,
        "input": role_messages(messages, quirks.get("system_role", "system")),
        "max_output_tokens": request.max_tokens,
        "store": False,
        "truncation": "disabled",
        "stream": True,
    }
    temperature = temperature_of(endpoint, request, "reasoning.effort")
    if temperature is not None:
        body["temperature"] = temperature
    # The usage is always sent here; the option that asks for it belongs to the other wires.
    told = quirks.get("stream_options", {}) or {}
    if quirks.get("stream_options") is not False:
        body["stream_options"] = {"include_obfuscation": told.get("include_obfuscation", False)}
    if checked_logprobs(endpoint, request) is not None:
        body["include"] = ["message.output_text.logprobs"]
        body["top_logprobs"] = request.logprobs
    body |= _shapes(endpoint, request)
    body = merged(body, reasoning(endpoint, request, effort_at="reasoning.effort", budget_at=None))
    return Outgoing(path="/responses", body=merged(merged(body, quirks.get("extra_body") or {}), request.extra))


def _shapes(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    """Tools, which of them must be called, and the schema of the answer."""
    body: dict[str, Any] = {}
    tools = checked_tools(endpoint, request, "reasoning.effort")
    if tools:
        body["tools"] = [
            {
                "type": "function",
                "name": tool.name,
                **({"description": tool.description} if tool.description else {}),
                "parameters": dict(tool.parameters),
                "strict": can_be_strict(tool.parameters),
            }
            for tool in tools
        ]
    if tools and request.tool_choice is not None:
        word = request.tool_choice in ("auto", "none", "required")
        body["tool_choice"] = request.tool_choice if word else {"type": "function", "name": request.tool_choice}
    shape = structured(endpoint, request)
    if shape is not None:
        body["text"] = {"format": shape}
    return body


def decode(payload: bytes) -> Event:
    """One event by itself, of whose item nothing is known, or a whole response from a server that ignored `stream`."""
    return _Stream(alone=True).event(payload)


def decoder(endpoint: Endpoint) -> Decode:
    """Decodes one stream, in which an item says once what the pieces that come after it are."""
    return _Stream(endpoint).event


class _Stream:
    """The items of one response so far."""

    def __init__(self, endpoint: Endpoint | None = None, *, alone: bool = False) -> None:
        quirks = endpoint.quirks if endpoint else {}
        self._bending = endpoint if "cost_at" in quirks or "route_at" in quirks else None
        self._alone = alone
        self._items: dict[str, int] = {}
        """Number of each item by its id, for events that name only one of the two."""
        self._asides: set[int] = set()
        """Numbers of the messages that are commentary."""
        self._answered = False
        """Whether any of the answer itself was heard, and not only thoughts and commentary."""
        self._said: set[int] = set()
        """Numbers of the items of which a piece was heard: what repeats it whole says nothing new."""

    def event(self, payload: bytes) -> Event:
        """What one payload says."""
        if payload == b"[DONE]":
            return DONE
        chunk = parse(payload)
        event = self._event(chunk)
        self._answered = self._answered or bool(event.text or event.refusal or event.tool)
        return event if self._bending is None else bent(event, _response(chunk) or chunk, self._bending)

    def _event(self, chunk: Mapping[str, Any]) -> Event:
        kind = name_of(chunk.get("type")) or ""
        if kind in _DELTAS:
            return self._delta(chunk, _DELTAS[kind])
        if kind == "response.output_item.added":
            return self._added(chunk)
        if kind == "response.output_item.done":
            return Event() if self._alone else self._whole([(self._number(chunk), _item(chunk))])
        if kind == "error":
            flat = {key: chunk[key] for key in ("code", "message", "param") if chunk.get(key) is not None}
            return Event(error=error_of(chunk) or _final(flat))
        response = _response(chunk)
        if response is chunk:
            return self._told(response, "", _output(response))
        if response is not None:
            # Some servers send an answer whole, with the end of the stream.
            unheard = not self._answered and not self._alone
            return self._told(response, kind, _output(response) if unheard and kind in _ENDS else [])
        return Event(error=error_of(chunk))

    def _delta(self, chunk: Mapping[str, Any], kind: str) -> Event:
        piece = text_of(chunk.get("delta"), "delta")
        number = self._number(chunk)
        if piece:
            self._said.add(number)
        if kind == "reasoning" or (kind == "text" and number in self._asides):
            return Event(reasoning=piece)
        if kind == "refusal":
            return Event(refusal=piece)
        if kind == "tool":
            return Event(tool=piece, tool_calls=(ToolDelta(number, arguments=piece),))
        return Event(text=piece, logprobs=logprob_entries(chunk.get("logprobs")))

    def _added(self, chunk: Mapping[str, Any]) -> Event:
        """A new item: its kind and phase, and the name of a call. By itself it starts no clock."""
        item, number = _item(chunk), self._number(chunk)
        if item.get("phase") == "commentary":
            self._asides.add(number)
        if item.get("type") not in _CALLS:
            return Event()
        call = _call(number, item)
        if call.arguments:
            self._said.add(number)
        return Event(tool=call.arguments, tool_calls=(call,))

    def _told(self, response: Mapping[str, Any], kind: str, output: list[Mapping[str, Any]]) -> Event:
        """What the response object says of itself, beside items of its output that nothing was heard of."""
        usage, usd = _usage(response)
        finish = _finish(response, kind)
        return self._whole(list(enumerate(output)))._replace(
            finish_reason=finish,
            usage=usage,
            error=_failure(response),
            response_id=name_of(response.get("id")),
            model=name_of(response.get("model")),
            fingerprint=name_of(response.get("system_fingerprint")),
            routed_provider=routed_by(response),
            provider_usd=usd,
            # Before the end it is the tier that was asked for.
            service_tier=tier_of(response) if finish else None,
            timings=timings_of(response),
        )

    def _whole(self, items: list[tuple[int, Mapping[str, Any]]]) -> Event:
        """The items that came whole, without pieces before."""
        events = [_said(number, item) for number, item in items if number not in self._said]
        self._said.update(number for number, _ in items)
        return Event(
            "".join(event.text for event in events),
            "".join(event.reasoning for event in events),
            "".join(event.tool for event in events),
            "".join(event.refusal for event in events),
            logprobs=tuple(pair for event in events for pair in event.logprobs),
            tool_calls=tuple(call for event in events for call in event.tool_calls),
        )

    def _number(self, chunk: Mapping[str, Any]) -> int:
        """The number of the item that an event is about; by the item's id where the event leaves the number out."""
        number, identity = chunk.get("output_index"), name_of(chunk.get("item_id"))
        identity = identity or name_of(object_at(chunk, "item").get("id")) or ""
        if isinstance(number, int):
            self._items[identity] = number
        return self._items.setdefault(identity, len(self._items))


def _response(chunk: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The response object of an event, or the payload itself where it is one."""
    response = chunk.get("response")
    if isinstance(response, dict):
        return response
    return chunk if chunk.get("object") == "response" or ("output" in chunk and "type" not in chunk) else None


def _output(response: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    output = response.get("output") or []
    if not isinstance(output, list) or not all(isinstance(item, dict) for item in output):
        raise Garbled("`output` of a response is not a list of objects")
    return output


def _item(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    item = chunk.get("item")
    if not isinstance(item, dict):
        raise Garbled("`item` of an event is not an object")
    return item


def _said(number: int, item: Mapping[str, Any]) -> Event:
    """A whole item of the output."""
    if item.get("type") in _CALLS:
        call = _call(number, item)
        return Event(tool=call.name + call.arguments, tool_calls=(call,))
    parts = _parts(item.get("content"))
    text = _texts(parts, "text")
    if item.get("type") == "reasoning":
        return Event(reasoning=_texts(_parts(item.get("summary")), "text") + text)
    if item.get("phase") == "commentary":
        return Event(reasoning=text)
    logprobs = tuple(pair for part in parts for pair in logprob_entries(part.get("logprobs")))
    return Event(text, refusal=_texts(parts, "refusal"), logprobs=logprobs)


def _call(number: int, item: Mapping[str, Any]) -> ToolDelta:
    arguments = text_of(item.get("arguments") or item.get("input"), "arguments")
    return ToolDelta(number, name_of(item.get("call_id")), text_of(item.get("name"), "name"), arguments)


def _parts(content: object) -> list[Mapping[str, Any]]:
    if isinstance(content, str):
        return [{"text": content}]
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _texts(parts: list[Mapping[str, Any]], key: str) -> str:
    return "".join(text_of(part.get(key), key) for part in parts)


def _finish(response: Mapping[str, Any], kind: str) -> str | None:
    """The status it ended with, or why it is incomplete; None while it goes on."""
    status = name_of(response.get("status")) or kind.removeprefix("response.")
    if status == "incomplete":
        return name_of(object_at(response, "incomplete_details").get("reason")) or status
    return None if status in ("", "created", "queued", "in_progress") else status


def _failure(response: Mapping[str, Any]) -> Mapping[str, Any] | None:
    error = response.get("error")
    if not error:
        return None
    return _final(error) if isinstance(error, dict) else {"message": str(error)}


def _final(error: Mapping[str, Any]) -> Mapping[str, Any]:
    """An error object; with the code of a refused request where its word means that asking again is of no use."""
    word = error.get("code")
    return {**error, "type": word, "code": 400} if word in _REFUSALS else error


def _usage(response: Mapping[str, Any]) -> tuple[Usage | None, str | None]:
    usage = response.get("usage")
    if not isinstance(usage, dict):
        return None, None
    given, made = object_at(usage, "input_tokens_details"), object_at(usage, "output_tokens_details")
    counted = Usage(
        in_tokens=count(usage.get("input_tokens")),
        in_cached_tokens=first_count(given.get("cached_tokens"), usage.get("cached_tokens")),
        in_cache_write_tokens=count(given.get("cache_write_tokens")),
        out_tokens=count(usage.get("output_tokens")),
        reasoning_tokens=first_count(made.get("reasoning_tokens"), usage.get("reasoning_tokens")),
    )
    return counted, usd_of(usage)
