"""OpenAI Chat Completions, as OpenAI, vLLM, SGLang, llama.cpp, Ollama and most hosts speak it.

Quirks besides those of `openai_chunk`: `system_role` (`developer`, or `user`: put before the first question).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.errors import ConfigError, Garbled
from bench.records import Endpoint, Message, Request, TokenLogprob
from bench.wires import Event, Outgoing
from bench.wires.common import name_of, number, parse, text_of
from bench.wires.openai_chunk import (
    DONE,
    common_body,
    error_of,
    finished,
    first_choice,
    usage_of,
)

VERBATIM = True
"""The text of an event is a JSON string of its payload as it stands: `bench.client.pattern` may skip the parsing."""


def encode(endpoint: Endpoint, request: Request) -> Outgoing:
    """A streaming request; a plain prompt goes as one user message."""
    if request.echo:
        raise ConfigError(
            "chat wires cannot echo a prompt; log-likelihood tasks need a target on wire 'openai_completions'"
        )
    messages = request.messages or (Message(role="user", content=request.prompt or ""),)
    body = common_body(endpoint, request)
    body["messages"] = _messages(messages, endpoint.quirks.get("system_role", "system"))
    if request.logprobs is not None:
        body["logprobs"] = True
        if request.logprobs:
            body["top_logprobs"] = request.logprobs
    return Outgoing(path="/chat/completions", body=finished(body, endpoint, request))


def _messages(messages: tuple[Message, ...], system_role: str) -> list[dict[str, str]]:
    out = [{"role": message.role, "content": message.content} for message in messages]
    if system_role == "user" and len(out) > 1 and out[0]["role"] == "system":
        head, second, *rest = out
        return [{"role": "user", "content": f"{head['content']}\n\n{second['content']}"}, *rest]
    return [{**message, "role": system_role} if message["role"] == "system" else message for message in out]


def decode(payload: bytes) -> Event:
    """One chunk of a stream, or a whole answer from a server that ignored `stream`."""
    if payload == b"[DONE]":
        return DONE
    chunk = parse(payload)
    choice = first_choice(chunk)
    delta = choice.get("delta") or choice.get("message") or {}
    if not isinstance(delta, dict):
        raise Garbled("`delta` of an event is not an object")
    text, thought = _content(delta.get("content"))
    usage, usd = usage_of(chunk, choice) if "usage" in chunk or "x_groq" in chunk or "usage" in choice else (None, None)
    finish = choice.get("finish_reason")
    return Event(
        text,
        thought or _reasoning(delta),
        _tools(delta) if "tool_calls" in delta or "function_call" in delta else "",
        text_of(delta.get("refusal"), "refusal"),
        None if finish is None else str(finish),
        usage,
        error_of(chunk),
        name_of(chunk.get("id")),
        name_of(chunk.get("model")),
        name_of(chunk.get("system_fingerprint")),
        _logprobs(choice["logprobs"]) if choice.get("logprobs") else (),
        name_of(chunk.get("provider")),
        usd,
    )


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


def _tools(delta: Mapping[str, Any]) -> str:
    calls = delta.get("tool_calls") or [{"function": delta.get("function_call")}]
    if not isinstance(calls, list):
        raise Garbled("`tool_calls` of an event is not a list")
    functions = [call.get("function") for call in calls if isinstance(call, dict)]
    pieces = [
        function.get(key) for function in functions if isinstance(function, dict) for key in ("name", "arguments")
    ]
    return "".join(piece if isinstance(piece, str) else str(piece) for piece in pieces if piece)


def _logprobs(logprobs: object) -> tuple[TokenLogprob, ...]:
    entries = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(entries, list):
        return ()
    return tuple(
        TokenLogprob(token=str(entry.get("token", "")), logprob=number(entry.get("logprob")))
        for entry in entries
        if isinstance(entry, dict)
    )
