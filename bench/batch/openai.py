"""OpenAI's batch API, as Azure, Groq and Together speak it too: a file of requests, a batch over it, files of answers.

Source: openai-python 3.54.0, groq-python 1.7.0 and together-python 3.1.1 (types and paths). Together writes states in
capitals, wraps the new batch in `job`, lists batches as a bare array and keeps no metadata, so a batch is found again
by its input file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from bench.batch import MAX_RESULT_BYTES, Job, Phase, Result, State, compact, object_of, objects_of
from bench.errors import Garbled
from bench.wires.common import count, name_of, object_at

if TYPE_CHECKING:
    from bench.client import Client

WIRES = frozenset({"openai_chat", "openai_completions", "openai_responses"})
PROVES = True
PHASES: Mapping[str, Phase] = {
    "completed": "done",
    "expired": "expired",
    "cancelled": "cancelled",
    "failed": "failed",
}
PAGES = 50
"""Of a hundred batches each, the newest first: as far as a lost batch is looked for."""


def line(job: Job, custom_id: str, body: Mapping[str, Any]) -> bytes:
    if job.terms.bare_lines:
        return compact({"custom_id": custom_id, "body": body})
    return compact({"custom_id": custom_id, "method": "POST", "url": job.terms.path + job.path, "body": body})


async def upload(client: Client, job: Job, lines: Sequence[bytes]) -> str | None:
    name = f"{job.tag}.jsonl"
    fields = {"purpose": job.terms.purpose}
    if job.terms.upload != "/files":
        fields |= {"file_name": name, "file_type": "jsonl"}
    kind, content = multipart(fields, name, b"\n".join(lines) + b"\n")
    answered = await client.call("POST", job.terms.upload, content=content, headers={"Content-Type": kind})
    file = name_of(object_of(answered.body, "the answer to an upload").get("id"))
    if file is None:
        raise Garbled("the answer to an upload names no file")
    return file


async def create(client: Client, job: Job, lines: Sequence[bytes]) -> State:
    body: dict[str, Any] = {"input_file_id": job.file, "endpoint": job.terms.path + job.path}
    body["completion_window"] = job.terms.window
    if not job.terms.bare_lines:
        body["metadata"] = {"gapbench": job.tag}
    answered = await client.call("POST", "/batches", content=compact(body))
    return _state(object_of(answered.body, "the answer to a new batch"))


async def look(client: Client, job: Job, batch_id: str) -> State:
    answered = await client.call("GET", f"/batches/{batch_id}")
    return _state(object_of(answered.body, "the state of a batch"))


async def find(client: Client, job: Job, since: datetime) -> list[str]:
    after = ""
    for _ in range(PAGES):
        answered = await client.call("GET", f"/batches?limit=100{after}")
        page, more = _page(answered.body)
        found = [batch for batch in page if batch.get("input_file_id") == job.file]
        if found or not more or not page:
            return [str(batch["id"]) for batch in found if batch.get("id")]
        made = count(page[-1].get("created_at"))
        if made is not None and made < since.timestamp() - 3600:
            return []
        after = f"&after={page[-1].get('id')}"
    return []


async def results(client: Client, job: Job, state: State) -> tuple[list[Result], int]:
    found: list[Result] = []
    unread = 0
    for key in ("output_file_id", "error_file_id"):
        file = name_of(state.raw.get(key))
        if file is not None:
            some, bad = await fetched(client, file)
            found += some
            unread += bad
    return found, unread


async def fetched(client: Client, file: str) -> tuple[list[Result], int]:
    """The results in one file of the provider's."""
    answered = await client.call("GET", f"/files/{file}/content", at_most_bytes=MAX_RESULT_BYTES)
    rows, unread = objects_of(answered.body)
    return [result_of(row) for row in rows], unread


def result_of(row: Mapping[str, Any]) -> Result:
    """One line: `response` with a status of its own and a body, or `error`."""
    custom_id = str(row.get("custom_id") or "")
    response, error = row.get("response"), row.get("error")
    if isinstance(response, dict) and (response.get("body") is not None or not error):
        status = count(response.get("status_code"))
        body = response.get("body", response)
        return Result(
            custom_id, 200 if status is None else status, body, response_id=name_of(response.get("request_id"))
        )
    code = str(error.get("code") or "") if isinstance(error, dict) else ""
    if code in ("batch_expired", "batch_cancelled"):
        return Result(custom_id, fate="expired" if code == "batch_expired" else "cancelled")
    status = count(object_at(row, "response").get("status_code"))
    return Result(custom_id, status, {"error": error or "the provider gives no reason"})


def _page(body: bytes) -> tuple[list[dict[str, Any]], bool]:
    """(batches, whether there are more) of one page: an object with `data`, or a bare array."""
    if body.lstrip().startswith(b"["):
        body = b'{"data":' + body + b"}"
    whole = object_of(body, "the list of batches")
    return [batch for batch in whole.get("data") or [] if isinstance(batch, dict)], bool(whole.get("has_more"))


def multipart(fields: Mapping[str, str], name: str, content: bytes) -> tuple[str, bytes]:
    """(content type, body) of a form with these fields and one file."""
    mark = uuid4().hex
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    head += "Content-Type: application/jsonl\r\n\r\n"
    return f"multipart/form-data; boundary={mark}", b"".join(
        (*parts, head.encode(), content, f"\r\n--{mark}--\r\n".encode())
    )


def _state(told: Mapping[str, Any]) -> State:
    batch = object_at(told, "job") or told
    batch_id = name_of(batch.get("id"))
    if batch_id is None:
        raise Garbled("the state of a batch names no batch")
    remote = str(batch.get("status") or "")
    counts = object_at(batch, "request_counts")
    done = [count(counts.get(key)) for key in ("completed", "failed")]
    return State(
        batch_id,
        PHASES.get(remote.lower(), "waiting"),
        remote,
        sum(n or 0 for n in done) if counts else None,
        _error(batch),
        batch,
    )


def _error(batch: Mapping[str, Any]) -> str | None:
    """Why validation failed: the first of `errors.data`, or Together's `error`."""
    listed = object_at(batch, "errors").get("data")
    first = listed[0] if isinstance(listed, list) and listed else None
    if isinstance(first, dict):
        told = [str(first[key]) for key in ("code", "message") if first.get(key)]
        more = f" (and {len(listed) - 1} more)" if isinstance(listed, list) and len(listed) > 1 else ""
        at = f", line {first['line']}" if first.get("line") else ""
        return " ".join(told) + at + more
    return name_of(batch.get("error"))
