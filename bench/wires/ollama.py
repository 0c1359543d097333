"""Ollama's own chat, one JSON object a line; its OpenAI face cannot set the context and hides the server's clock.

Prompts that do not fit the context are refused: by itself the server cuts off their head without a word (`truncate`,
`shift`: servers since 0.12.6; older ones ignore both, so set `options.num_ctx` in `extra`). A plain prompt goes as one
user message, as on every chat wire, so that all targets are asked the same; `extra = { raw = true }` sends it as it is,
without the model's template.

Source: api/types.go and server/routes.go of Ollama's main branch, docs.ollama.com, and the types of its SDK 0.6.3.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.errors import ConfigError, Garbled
from bench.records import Endpoint, Message, Request, TokenLogprob
from bench.wires import Event, Outgoing, Timings, ToolDelta, Usage
from bench.wires.common import count, merged, name_of, number, object_at, parse, text_of
from bench.wires.reasoning import reasoning, temperature_of

LISTING = "/api/tags"
_SWITCH = {"none": False, "off": False, "on": True}
"""Words for what most models know only as a switch; levels go as they are, and a wrong one is ignored by the server."""


def encode(endpoint: Endpoint, request: Request) -> Outgoing:
    """A streaming request; `base_url` is the host's root. The cap, sampling and context stand under `options`."""
    if request.echo:
        raise ConfigError("wire 'ollama' cannot echo a prompt; log-likelihood tasks need wire 'openai_completions'")
    raw = bool(request.extra.get("raw"))
    if raw and request.prompt is None:
        raise ConfigError("extra = { raw = true } takes a plain prompt; the messages of this task need the template")
    body: dict[str, Any] = {"model": endpoint.model}
    if raw:
        body["prompt"] = request.prompt
    else:
        messages = request.messages or (Message(role="user", content=request.prompt or ""),)
        body["messages"] = [{"role": message.role, "content": message.content} for message in messages]
    body |= {"stream": True, "truncate": False, "shift": False, "options": _options(endpoint, request)}
    body |= _shape(endpoint, request)
    if request.logprobs is not None:
        body["logprobs"] = True
        if request.logprobs:
            body["top_logprobs"] = request.logprobs
    body = merged(body, _thinking(endpoint, request))
    body = merged(merged(body, endpoint.quirks.get("extra_body") or {}), request.extra)
    return Outgoing(path="/api/generate" if raw else "/api/chat", body=body)


def _options(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    options: dict[str, Any] = {"num_predict": request.max_tokens}
    temperature = temperature_of(endpoint, request, "think")
    if temperature is not None:
        options["temperature"] = temperature
    seed_field = endpoint.quirks.get("seed_field", "seed")
    if request.seed is not None and seed_field:
        options[seed_field] = request.seed
    if request.stop:
        options["stop"] = list(request.stop)
    return options


def _shape(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    """Tools and the answer's schema. A call cannot be forced: the server knows no `tool_choice`."""
    shape: dict[str, Any] = {}
    if request.tools and request.tool_choice not in (None, "auto", "none"):
        raise ConfigError(
            f"target {endpoint.target_id}: wire 'ollama' cannot force a tool call; leave tool_choice = "
            f"{request.tool_choice!r} out, or use wire 'openai_chat' of a server that can"
        )
    if request.tools and request.tool_choice != "none":
        shape["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": dict(tool.parameters),
                },
            }
            for tool in request.tools
        ]
    if request.answer_schema is not None:
        shape["format"] = dict(request.answer_schema)
    return shape


def _thinking(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    words = {**_SWITCH, **endpoint.quirks.get("effort_words", {})}
    switched = replace(endpoint, quirks={**endpoint.quirks, "effort_words": words})
    return reasoning(switched, request, effort_at="think", budget_at=None)


def decode(payload: bytes) -> Event:
    """One line of a stream, or a whole answer: both have one shape. Calls of a line are counted from slot 0."""
    chunk = parse(payload)
    message = chunk.get("message")
    if message is None:
        message = {"content": chunk.get("response"), "thinking": chunk.get("thinking")}
    if not isinstance(message, dict):
        raise Garbled("`message` of an event is not an object")
    calls = _calls(message["tool_calls"]) if message.get("tool_calls") else ()
    done = chunk.get("done") is True
    return Event(
        text=text_of(message.get("content"), "content"),
        reasoning=text_of(message.get("thinking"), "thinking"),
        tool="".join(call.name + call.arguments for call in calls),
        tool_calls=calls,
        # A connection that the runner lost ends with `done` and without a reason: that is no good end.
        finish_reason=name_of(chunk.get("done_reason")) if done else None,
        usage=_usage(chunk) if done else None,
        timings=_timings(chunk) if done else None,
        error=_error(chunk) if chunk.get("error") else None,
        model=name_of(chunk.get("model")),
        logprobs=_logprobs(chunk["logprobs"]) if chunk.get("logprobs") else (),
        routed_provider=name_of(chunk.get("remote_host")) or name_of(chunk.get("remote_model")),
        done=done,
    )


def decoder(endpoint: Endpoint) -> Callable[[bytes], Event]:
    """`decode` for one stream: each call comes whole, so every one is a call of its own, whatever its index says."""
    slots = 0

    def decode_next(payload: bytes) -> Event:
        nonlocal slots
        event = decode(payload)
        if not event.tool_calls:
            return event
        calls = tuple(call._replace(slot=slots + call.slot) for call in event.tool_calls)
        slots += len(calls)
        return event._replace(tool_calls=calls)

    return decode_next


def _calls(calls: object) -> tuple[ToolDelta, ...]:
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise Garbled("`tool_calls` of an event is not a list of objects")
    out = []
    for slot, call in enumerate(calls):
        function = object_at(call, "function")
        arguments = function.get("arguments")
        told = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
        out.append(ToolDelta(slot, name_of(call.get("id")), text_of(function.get("name"), "name"), told))
    return tuple(out)


def _usage(chunk: Mapping[str, Any]) -> Usage | None:
    """`prompt_eval_count` is the whole prompt, tokens read from the cache included; those are told since 0.34."""
    counted = Usage(
        in_tokens=count(chunk.get("prompt_eval_count")),
        in_cached_tokens=count(chunk.get("prompt_eval_cached_count")),
        out_tokens=count(chunk.get("eval_count")),
    )
    return None if counted == Usage() else counted


def _timings(chunk: Mapping[str, Any]) -> Timings | None:
    """`load_duration` runs from the request's arrival until the model is ready for it: waiting, not only loading."""
    timings = Timings(*(_ms(chunk.get(name)) for name in ("load_duration", "prompt_eval_duration", "eval_duration")))
    return None if timings == Timings() else timings


def _ms(nanoseconds: object) -> float | None:
    found = number(nanoseconds)
    return None if found is None or found < 0 else found / 1e6


def _error(chunk: Mapping[str, Any]) -> dict[str, Any]:
    error = chunk["error"]
    found = dict(error) if isinstance(error, dict) else {"message": str(error)}
    code = chunk.get("status_code", chunk.get("status"))
    return found if code is None else {"code": code, **found}


def _logprobs(entries: Sequence[object]) -> tuple[TokenLogprob, ...]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Garbled("`logprobs` of an event is not a list of objects")
    return tuple(TokenLogprob(token=str(e.get("token")), logprob=number(e.get("logprob"))) for e in entries)
