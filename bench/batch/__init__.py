"""Batch APIs: questions handed over in bulk, answered within a day, at a lower price and without any latency.

Each module here that defines `create` speaks one such API, and the folder is the registry; others add theirs by the
entry-point group `bench.batch`. A module only says what is sent and how it is read: bodies are the wire's own without
streaming, results go through the wire's `decode` (`bench.batch.rows`), and `bench.batch.driver` decides what is sent
when, and what is done after a crash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, cast

from bench import registry
from bench.errors import ConfigError, Garbled

if TYPE_CHECKING:
    from bench.catalog import Catalog, Target
    from bench.catalog.nouns import BatchTerms
    from bench.client import Client

Phase = Literal["waiting", "done", "expired", "cancelled", "failed"]
"""`waiting`: ask again later. All others are ends, and any of them may have brought some answers."""
MAX_RESULT_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How patiently batches are waited for."""

    first_s: float = 5.0
    """Between two looks at the beginning; the waits are drawn between nothing and that (full jitter)."""
    longest_s: float = 120.0
    growth: float = 1.3
    give_up_s: float = 3600.0
    """A provider that answers no look for this long stops the run; the batch goes on."""
    submit_s: float = 600.0
    """The same while a batch is being sent."""
    unreachable_s: float = 30.0
    """The same where no connection has been made at all."""
    settle_s: float = 60.0
    """A batch whose making was cut short may take so long to be listed; then there is none."""
    max_attempts: int = 3
    """Of one request, in batches of this session."""
    fetches: int = 3
    """Of results that lack some request, before it counts as lost."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One batch as we ask for it."""

    tag: str
    """Our name for it, told the provider where the API has a place for it."""
    model: str
    path: str
    """Of the wire, below the base URL: `/chat/completions`."""
    base_url: str
    terms: BatchTerms
    n: int
    """Requests in it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What the wire sends beside the body (an API's version)."""
    file: str | None = None
    """The provider's id of the uploaded requests."""


class State(NamedTuple):
    """One batch as the provider tells of it."""

    id: str
    phase: Phase
    remote: str
    """The provider's own word."""
    n_done: int | None = None
    error: str | None = None
    """Why the batch as a whole failed."""
    raw: Mapping[str, Any] = {}


class Result(NamedTuple):
    """What became of one request; exactly one of answer and failure."""

    custom_id: str
    status: int | None = None
    """HTTP status of its own answer; None where the provider gives none."""
    body: object = None
    """The answer's body, or the error's."""
    fate: Literal["answered", "expired", "cancelled"] = "answered"
    response_id: str | None = None


class Api(Protocol):
    """What a module of this folder has. All raise `RequestError`."""

    WIRES: frozenset[str]
    """Whose bodies it takes."""
    PROVES: bool
    """Whether what `find` finds is surely ours; else the ids in its results have to say so."""

    def line(self, job: Job, custom_id: str, body: Mapping[str, Any]) -> bytes:
        """One request, JSON without a line break."""
        ...

    async def upload(self, client: Client, job: Job, lines: Sequence[bytes]) -> str | None:
        """The id of the file that holds them; None where `create` takes them along. Costs nothing."""
        ...

    async def create(self, client: Client, job: Job, lines: Sequence[bytes]) -> State:
        """From here on it costs money. Anything but a refusal may have made the batch all the same."""
        ...

    async def look(self, client: Client, job: Job, batch_id: str) -> State: ...

    async def find(self, client: Client, job: Job, since: datetime) -> list[str]:
        """Ids of batches that may be this job, made at `since` or a little later."""
        ...

    async def results(self, client: Client, job: Job, state: State) -> tuple[list[Result], int]:
        """In any order, some perhaps missing or twice; and the number of lines that nobody can read."""
        ...


def api(name: str) -> Api:
    return cast(Api, registry.found("bench.batch", "create", name, "batch API"))


def terms_of(target: Target, catalog: Catalog) -> BatchTerms:
    """The batch API of the target's provider; ConfigError with those that have one."""
    having = sorted(provider.id for provider in catalog.providers.values() if provider.batch is not None)
    provider = catalog.providers.get(target.provider or "")
    terms = provider.batch if provider is not None else None
    if provider is None or terms is None:
        raise ConfigError(
            f"{target.id}: --mode batch needs a provider with a batch API, and "
            f"{target.provider or target.engine or 'an address of its own'} has none; these have: {', '.join(having)}"
        )
    if target.wire not in api(terms.api).WIRES:
        wires = sorted(api(terms.api).WIRES & set(provider.wires))
        raise ConfigError(
            f"{target.id}: the batch API of {provider.id} takes the wires {', '.join(wires)}, not {target.wire}; "
            f"write {provider.id}+{wires[0] if wires else 'WIRE'}:{target.model}"
        )
    return terms


def compact(value: object) -> bytes:
    """JSON in one line, as the client writes bodies."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def object_of(body: bytes, what: str) -> dict[str, Any]:
    """One JSON object; `Garbled` with what it should have been."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Garbled(f"{what} is not JSON") from error
    if not isinstance(found, dict):
        raise Garbled(f"{what} is not a JSON object")
    return found


def objects_of(body: bytes) -> tuple[list[dict[str, Any]], int]:
    """The objects of JSON lines, and how many lines are none."""
    found: list[dict[str, Any]] = []
    unread = 0
    for line in body.split(b"\n"):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            found.append(value)
        else:
            unread += 1
    return found, unread
