"""`batches.jsonl`: what became of every batch of this run, written down before and after each step that may cost money.

A line is one step of one batch; the lines of a batch together are what is known of it. A batch is open until it is
`collected` (all its requests have rows) or `dropped` (it was never made, or is not ours). Its first line holds the
requests in it, so they need no other announcement: they stay under way when the process that sent them is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.errors import RunError
from bench.records import Request
from bench.runs import journal
from bench.runs.folder import read_requests

FILE = "batches.jsonl"
CLOSED = frozenset({"collected", "dropped"})
KEPT = ("request_id", "request_key", "attempt", "kind", "task", "doc_id", "repeat")
"""Fields of a Request that name it; its text is in the task."""


@dataclass(frozen=True, kw_only=True)
class Noted:
    """One batch, its lines folded together."""

    tag: str
    """Our name for it; the provider is told it where its API takes one."""
    state: str
    """The last step: planned, uploaded, creating, created, ended, collected, dropped."""
    facts: Mapping[str, Any]
    """Everything noted (`api`, `file`, `id` …), later lines over earlier ones."""
    requests: tuple[Request, ...]
    """What is in it, without the text."""

    @property
    def is_open(self) -> bool:
        return self.state not in CLOSED


class Batches:
    """The file while a run is open; every note is on the disk when `note` returns."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        journal.mend(self.path)
        self._journal = journal.Journal(self.path, durable=False)

    def plan(self, tag: str, requests: Sequence[Request], **facts: Any) -> None:
        """A batch that is about to be sent."""
        items = [[getattr(request, name) for name in KEPT] for request in requests]
        self.note(tag, "planned", **facts, requests=items)

    def note(self, tag: str, state: str, **facts: Any) -> None:
        """One step of that batch, with what is now known of it."""
        at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        self._journal.append({"batch": tag, "state": state, "at": at, **facts})
        self._journal.sync()

    def noted(self) -> list[Noted]:
        """Every batch of the run, the oldest first."""
        return _read(self.path)

    def close(self) -> None:
        self._journal.close()


def unsettled(folder: Path) -> list[Noted]:
    """Batches that may still bring answers nobody has written down: asking their questions again may pay twice."""
    open_ones = [batch for batch in _read(folder / FILE) if batch.is_open]
    if not open_ones:
        return []
    ended = frozenset(read_requests(folder)[0]["request_id"].to_pylist())
    return [batch for batch in open_ones if any(r.request_id not in ended for r in batch.requests)]


def _read(file: Path) -> list[Noted]:
    rows, _ = journal.read(file)
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        if not isinstance(row.get("batch"), str) or not isinstance(row.get("state"), str):
            raise RunError(f"{file}: a line names no batch or no state; restore the file from a copy")
        found[row["batch"]] = {**found.get(row["batch"], {}), **row}
    return [_noted(file, facts) for facts in found.values()]


def _noted(file: Path, facts: dict[str, Any]) -> Noted:
    try:
        requests = tuple(Request(**dict(zip(KEPT, item, strict=True))) for item in facts.pop("requests", ()))
    except (TypeError, ValueError) as error:
        raise RunError(f"{file}: batch {facts['batch']} holds no requests; restore the file from a copy") from error
    return Noted(tag=facts["batch"], state=facts["state"], facts=facts, requests=requests)
