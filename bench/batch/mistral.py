"""Mistral's batch API: like OpenAI's, with jobs of one model, states of its own, and lines of `custom_id` and `body`.

Source: mistralai 3.7.0 (`client/batch_jobs.py`, `client/files.py`, `extra/batch/client.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bench.batch import Job, Phase, Result, State, compact, object_of
from bench.batch.openai import fetched, upload
from bench.errors import Garbled
from bench.wires.common import count, name_of

if TYPE_CHECKING:
    from bench.client import Client

__all__ = ["PROVES", "WIRES", "create", "find", "line", "look", "results", "upload"]

WIRES = frozenset({"openai_chat"})
PROVES = True
PHASES: Mapping[str, Phase] = {
    "SUCCESS": "done",
    "TIMEOUT_EXCEEDED": "expired",
    "CANCELLED": "cancelled",
    "FAILED": "failed",
}
PAGES = 50


def line(job: Job, custom_id: str, body: Mapping[str, Any]) -> bytes:
    """The job names the model, once for all."""
    return compact({"custom_id": custom_id, "body": {key: value for key, value in body.items() if key != "model"}})


async def create(client: Client, job: Job, lines: Sequence[bytes]) -> State:
    body = {
        "input_files": [job.file],
        "endpoint": job.terms.path + job.path,
        "model": job.model,
        "metadata": {"gapbench": job.tag},
        "timeout_hours": 24,
    }
    answered = await client.call("POST", "/batch/jobs", content=compact(body))
    return _state(object_of(answered.body, "the answer to a new batch"))


async def look(client: Client, job: Job, batch_id: str) -> State:
    answered = await client.call("GET", f"/batch/jobs/{batch_id}")
    return _state(object_of(answered.body, "the state of a batch"))


async def find(client: Client, job: Job, since: datetime) -> list[str]:
    for page in range(PAGES):
        answered = await client.call("GET", f"/batch/jobs?page={page}&page_size=100&order_by=-created")
        listed = object_of(answered.body, "the list of batches").get("data") or []
        found = [b for b in listed if isinstance(b, dict) and job.file in (b.get("input_files") or ())]
        if found or len(listed) < 100:
            return [str(batch["id"]) for batch in found if batch.get("id")]
        if (count(listed[-1].get("created_at")) or since.timestamp()) < since.timestamp() - 3600:
            return []
    return []


async def results(client: Client, job: Job, state: State) -> tuple[list[Result], int]:
    found: list[Result] = []
    unread = 0
    for key in ("output_file", "error_file"):
        file = name_of(state.raw.get(key))
        if file is not None:
            some, bad = await fetched(client, file)
            found += some
            unread += bad
    return found, unread


def _state(told: Mapping[str, Any]) -> State:
    batch_id, remote = name_of(told.get("id")), str(told.get("status") or "")
    if batch_id is None:
        raise Garbled("the state of a batch names no batch")
    errors = told.get("errors") or []
    said = [str(e["message"]) for e in errors if isinstance(e, dict) and e.get("message")]
    done = count(told.get("completed_requests"))
    return State(batch_id, PHASES.get(remote, "waiting"), remote, done, said[0] if said else None, told)
