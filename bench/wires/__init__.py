"""Wire protocols: each module here that has `encode` and `decode` is one, and the folder is the registry.

Both functions are pure: no sockets, no clocks, no keys. Others add theirs by the entry-point group `bench.wires`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import Any, NamedTuple, Protocol, cast

from bench.errors import ConfigError, nearest
from bench.records import Endpoint, Request, TokenLogprob

_PARTS = frozenset({"sse", "finish", "openai_chunk"})
"""Modules of this folder that wires are made of, and are not wires."""


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """What is to be sent, without the key: the client adds it as it leaves."""

    path: str
    """Appended to the endpoint's `base_url`; begins with a slash."""
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


class Event(NamedTuple):
    """What one payload of a stream says. Empty strings are no tokens; a tuple, because there is one for every token."""

    text: str = ""
    reasoning: str = ""
    tool: str = ""
    """Name and argument text of tool calls, as they came."""
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


class Wire(Protocol):
    """A module with two pure functions."""

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


@cache
def wire(name: str) -> Wire:
    """The wire of that name; `ConfigError` with the nearest one if there is none."""
    if name not in names():
        raise ConfigError(f"unknown wire {name!r}{nearest(name, names())}")
    for point in entry_points(group="bench.wires"):
        if point.name == name:
            return cast(Wire, point.load())
    return cast(Wire, importlib.import_module(f"{__name__}.{name}"))
