"""Wire protocols: each module here that has `encode` and `decode` is one, and the folder is the registry.

Both functions are pure: no sockets, no clocks, no keys. Others add theirs by the entry-point group `bench.wires`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import Any, NamedTuple, Protocol, cast

from bench.errors import ConfigError, nearest
from bench.records import Endpoint, Request, TokenLogprob
from bench.wires.sse import Framer

_PARTS = frozenset({"sse", "finish", "openai_chunk", "reasoning", "common", "eventstream"})
"""Modules of this folder that wires are made of, and are not wires."""


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """What is to be sent, without the key: the client adds it as it leaves."""

    path: str
    """Appended to the endpoint's `base_url`; begins with a slash, may end with a query."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: dict[str, Any]


class Usage(NamedTuple):
    """Token counts in the arithmetic of METRICS section 1; `None` where the server did not say."""

    in_tokens: int | None = None
    """The whole prompt, cached and newly cached tokens included."""
    in_cached_tokens: int | None = None
    in_cache_write_tokens: int | None = None
    out_tokens: int | None = None
    """Everything generated, reasoning included."""
    reasoning_tokens: int | None = None


class ToolDelta(NamedTuple):
    """A piece of a tool call; pieces of one `slot` belong together."""

    slot: int
    id: str | None = None
    name: str = ""
    arguments: str = ""


class Timings(NamedTuple):
    """The server's own word on where its time went [ms]."""

    queue_ms: float | None = None
    prefill_ms: float | None = None
    decode_ms: float | None = None


class Event(NamedTuple):
    """What one payload of a stream says. Empty strings are no tokens; a tuple, because there is one for every token."""

    text: str = ""
    reasoning: str = ""
    tool: str = ""
    """Name and argument text of tool calls, as they came: not empty, if this event brought any."""
    refusal: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None
    error: Mapping[str, Any] | None = None
    """An error object inside a stream that began with 200: `message`, `code`, `type`, each possibly missing."""
    response_id: str | None = None
    model: str | None = None
    fingerprint: str | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    routed_provider: str | None = None
    provider_usd: str | None = None
    done: bool = False
    """The wire's end marker. A stream ends well when a finish reason was seen, not when this was."""
    tool_calls: tuple[ToolDelta, ...] = ()
    service_tier: str | None = None
    timings: Timings | None = None


Decode = Callable[[bytes], Event]


class Framing(Protocol):
    """Cuts a body into the payloads that `decode` takes; `bench.wires.sse.Framer` is one."""

    def feed(self, piece: bytes) -> list[bytes]:
        """The payloads that this piece completed; raises `Garbled`."""
        ...

    def close(self) -> list[bytes]:
        """What is left at the end of the body."""
        ...


class Wire(Protocol):
    """A module with two pure functions; what else it may have is told by the functions of this module that look."""

    def encode(self, endpoint: Endpoint, request: Request) -> Outgoing:
        """The JSON body and path of one request; `endpoint.quirks` bend it."""
        ...

    def decode(self, payload: bytes) -> Event:
        """What one `data` payload of a stream, or a whole JSON body, says; raises `Garbled` if it is not the wire's."""
        ...


def names() -> list[str]:
    """Every wire there is, ours and others'."""
    ours = {module.name for module in pkgutil.iter_modules(__path__)} - _PARTS
    return sorted(ours | {point.name for point in entry_points(group="bench.wires")})


def decoder_of(wire: Wire, endpoint: Endpoint) -> Decode:
    """The function that decodes one stream: `wire.decoder(endpoint)` where events of a wire lean on earlier ones."""
    make = getattr(wire, "decoder", None)
    return wire.decode if make is None else cast(Decode, make(endpoint))


def framing_of(wire: Wire) -> Framing:
    """What cuts one body into payloads: `wire.framing()`, else server-sent events."""
    make = getattr(wire, "framing", Framer)
    return cast(Framing, make())


def listing_path(wire: Wire) -> str:
    """Where the models are listed below the base URL: `wire.LISTING`, else `/models`."""
    return str(getattr(wire, "LISTING", "/models"))


@cache
def wire(name: str) -> Wire:
    """The wire of that name; `ConfigError` with the nearest one if there is none."""
    if name not in names():
        raise ConfigError(f"unknown wire {name!r}{nearest(name, names())}")
    for point in entry_points(group="bench.wires"):
        if point.name == name:
            return cast(Wire, point.load())
    return cast(Wire, importlib.import_module(f"{__name__}.{name}"))
