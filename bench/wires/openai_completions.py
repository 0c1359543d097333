"""OpenAI Completions, the log-likelihood wire: a plain prompt, its echo, and log-probabilities of every token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.errors import ConfigError, Garbled
from bench.records import Endpoint, Request, TokenLogprob
from bench.wires import Decode, Event, Outgoing
from bench.wires.common import checked_logprobs, name_of, number, parse, text_of
from bench.wires.openai_chunk import (
    DONE,
    bent,
    common_body,
    error_of,
    finished,
    first_choice,
    routed_by,
    tier_of,
    timings_of,
    usage_of,
)

VERBATIM = True
"""The text of an event is a JSON string of its payload as it stands: `bench.client.pattern` may skip the parsing."""


def encode(endpoint: Endpoint, request: Request) -> Outgoing:
    """A streaming request; messages need a chat wire, because the template is the server's."""
    if request.prompt is None:
        raise ConfigError(
            "wire 'openai_completions' takes a plain prompt; messages need a target on wire 'openai_chat'"
        )
    if request.tools or request.answer_schema is not None:
        raise ConfigError("wire 'openai_completions' takes no tools and no answer_schema; use a target on a chat wire")
    body = common_body(endpoint, request)
    body["prompt"] = request.prompt
    if checked_logprobs(endpoint, request) is not None:
        body["logprobs"] = request.logprobs
    if request.echo:
        body["echo"] = True
    return Outgoing(path="/completions", body=finished(body, endpoint, request))


def decode(payload: bytes) -> Event:
    """One chunk of a stream, or a whole answer: both have one shape."""
    return DONE if payload == b"[DONE]" else _event(parse(payload))


def decoder(endpoint: Endpoint) -> Decode:
    """`decode`, with cost and route from where the endpoint's quirks say they stand."""
    quirks = endpoint.quirks
    apart = bool(quirks.get("output_excludes_reasoning"))
    if not apart and "cost_at" not in quirks and "route_at" not in quirks:
        return decode

    def decode_bent(payload: bytes) -> Event:
        if payload == b"[DONE]":
            return DONE
        chunk = parse(payload)
        return bent(_event(chunk, apart=apart), chunk, endpoint)

    return decode_bent


def _event(chunk: Mapping[str, Any], *, apart: bool = False) -> Event:
    choice = first_choice(chunk)
    usage, usd = usage_of(chunk, choice, excludes_reasoning=apart)
    finish = choice.get("finish_reason")
    return Event(
        text_of(choice.get("text"), "text"),
        "",
        "",
        "",
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
        (),
        tier_of(chunk),
        timings_of(chunk),
    )


def _logprobs(logprobs: object) -> tuple[TokenLogprob, ...]:
    """`tokens` beside `token_logprobs`; the first token of an echoed prompt has none."""
    if not isinstance(logprobs, dict):
        raise Garbled("`logprobs` of an event is not an object")
    tokens, values = logprobs.get("tokens") or [], logprobs.get("token_logprobs") or []
    if not isinstance(tokens, list) or not isinstance(values, list) or len(tokens) != len(values):
        raise Garbled("`logprobs` of an event has tokens and values that do not pair up")
    return tuple(TokenLogprob(token=str(t), logprob=number(v)) for t, v in zip(tokens, values, strict=True))
