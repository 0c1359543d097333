"""Anthropic's Message Batches: one POST with all requests, one listing, one file of results.

Source: anthropic-sdk-python 2.12.0 (`resources/messages/batches.py` and its types). A batch carries no name or metadata
of ours, so one whose making was cut short is looked for by its time and size, and proved by the ids in its results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bench.batch import MAX_RESULT_BYTES, Job, Result, State, compact, object_of, objects_of
from bench.errors import Garbled
from bench.wires.common import count, name_of, object_at

if TYPE_CHECKING:
    from bench.client import Client

WIRES = frozenset({"anthropic"})
PROVES = False
STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The HTTP status that goes with an error's type where a request is not in a batch."""
SKEW = timedelta(minutes=2)
"""How far two clocks may be apart."""
LONGEST = timedelta(minutes=40)
"""How long after it was sent a batch may still come into being."""
PAGES = 50


def line(job: Job, custom_id: str, body: Mapping[str, Any]) -> bytes:
    return compact({"custom_id": custom_id, "params": body})


async def upload(client: Client, job: Job, lines: Sequence[bytes]) -> str | None:
    return None


async def create(client: Client, job: Job, lines: Sequence[bytes]) -> State:
    content = b'{"requests":[' + b",".join(lines) + b"]}"
    answered = await client.call("POST", "/messages/batches", content=content, headers=job.headers)
    return _state(object_of(answered.body, "the answer to a new batch"))


async def look(client: Client, job: Job, batch_id: str) -> State:
    answered = await client.call("GET", f"/messages/batches/{batch_id}", headers=job.headers)
    return _state(object_of(answered.body, "the state of a batch"))


async def find(client: Client, job: Job, since: datetime) -> list[str]:
    """Of the right size and time, the oldest first."""
    after, found = "", []
    for _ in range(PAGES):
        answered = await client.call("GET", f"/messages/batches?limit=100{after}", headers=job.headers)
        whole = object_of(answered.body, "the list of batches")
        page = [batch for batch in whole.get("data") or [] if isinstance(batch, dict)]
        for batch in page:
            made = _time(batch.get("created_at"))
            size = sum(count(n) or 0 for n in object_at(batch, "request_counts").values())
            if made is not None and since - SKEW <= made <= since + LONGEST and size == job.n and batch.get("id"):
                found.append((made, str(batch["id"])))
        oldest = _time(page[-1].get("created_at")) if page else None
        if not whole.get("has_more") or (oldest is not None and oldest < since - SKEW):
            break
        after = f"&after_id={whole.get('last_id') or page[-1].get('id')}"
    return [batch_id for _, batch_id in sorted(found)]


async def results(client: Client, job: Job, state: State) -> tuple[list[Result], int]:
    """From the address the batch names if it is below ours; behind a gateway it is not, and the path is known."""
    named = name_of(state.raw.get("results_url")) or ""
    path = f"/messages/batches/{state.id}/results"
    address = named if named.startswith(job.base_url + "/") else path
    answered = await client.call("GET", address, headers=job.headers, at_most_bytes=MAX_RESULT_BYTES)
    rows, unread = objects_of(answered.body)
    return [_result(row) for row in rows], unread


def _result(row: Mapping[str, Any]) -> Result:
    custom_id, result = str(row.get("custom_id") or ""), object_at(row, "result")
    match result.get("type"):
        case "succeeded":
            return Result(custom_id, 200, result.get("message"))
        case "expired":
            return Result(custom_id, fate="expired")
        case "canceled":
            return Result(custom_id, fate="cancelled")
        case _:
            error = object_at(result, "error")
            inner = object_at(error, "error") or error
            status = STATUS.get(str(inner.get("type")))
            return Result(custom_id, status, {"error": inner}, response_id=name_of(error.get("request_id")))


def _state(told: Mapping[str, Any]) -> State:
    """An ended batch is `done` even if it was cancelled or expired: its results say so one by one."""
    batch_id, remote = name_of(told.get("id")), str(told.get("processing_status") or "")
    if batch_id is None:
        raise Garbled("the state of a batch names no batch")
    counts = object_at(told, "request_counts")
    done = sum(count(n) or 0 for key, n in counts.items() if key != "processing")
    return State(batch_id, "done" if remote == "ended" else "waiting", remote, done if counts else None, raw=told)


def _time(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
