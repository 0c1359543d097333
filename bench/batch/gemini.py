"""Gemini's batch API: an uploaded file of keyed requests, an operation over it, answers in a file or in the operation.

Source: python-genai 3.4.0 (`batches.py`, `files.py`, `_api_client.py`) and the reference of the batch API. Requests go
as a file because its lines carry a key: inlined responses have come without their metadata, and in another order than
the requests (googleapis/python-genai issues 1886 and 1909). Small batches are answered inline whatever they came as.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bench.batch import MAX_RESULT_BYTES, Job, Phase, Result, State, compact, object_of, objects_of
from bench.errors import Garbled
from bench.wires.common import count, name_of, object_at

if TYPE_CHECKING:
    from bench.client import Client

WIRES = frozenset({"gemini"})
PROVES = True
PHASES: Mapping[str, Phase] = {
    "SUCCEEDED": "done",
    "PARTIALLY_SUCCEEDED": "done",
    "EXPIRED": "expired",
    "CANCELLED": "cancelled",
    "FAILED": "failed",
}
STATUS = {1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 11: 400, 12: 501, 13: 500, 14: 503, 16: 401}
"""The HTTP status of a code of google.rpc.Code."""
PAGES = 50


def line(job: Job, custom_id: str, body: Mapping[str, Any]) -> bytes:
    return compact({"key": custom_id, "request": body})


async def upload(client: Client, job: Job, lines: Sequence[bytes]) -> str | None:
    """The resumable protocol in its shortest form: begin, then everything at once."""
    content = b"\n".join(lines) + b"\n"
    root, _, version = job.base_url.rpartition("/")
    begun = await client.call(
        "POST",
        f"{root}/upload/{version}/files",
        content=compact({"file": {"displayName": job.tag, "mimeType": "application/jsonl"}}),
        headers={
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": str(len(content)),
            "X-Goog-Upload-Header-Content-Type": "application/jsonl",
        },
    )
    address = begun.headers.get("x-goog-upload-url")
    if not address:
        raise Garbled("the server does not say where to upload to")
    answered = await client.call(
        "POST",
        address,
        content=content,
        headers={"X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "0"},
    )
    file = name_of(object_at(object_of(answered.body, "the answer to an upload"), "file").get("name"))
    if file is None:
        raise Garbled("the answer to an upload names no file")
    return file


async def create(client: Client, job: Job, lines: Sequence[bytes]) -> State:
    body = {"batch": {"displayName": job.tag, "inputConfig": {"fileName": job.file}}}
    model, _, _ = job.path.partition(":streamGenerateContent")
    answered = await client.call("POST", f"{model}:batchGenerateContent", content=compact(body))
    return _state(object_of(answered.body, "the answer to a new batch"))


async def look(client: Client, job: Job, batch_id: str) -> State:
    answered = await client.call("GET", f"/{batch_id}", at_most_bytes=MAX_RESULT_BYTES)
    return _state(object_of(answered.body, "the state of a batch"))


async def find(client: Client, job: Job, since: datetime) -> list[str]:
    token = ""
    for _ in range(PAGES):
        answered = await client.call("GET", f"/batches?pageSize=100{token}", at_most_bytes=MAX_RESULT_BYTES)
        whole = object_of(answered.body, "the list of batches")
        listed = [operation for operation in whole.get("operations") or [] if isinstance(operation, dict)]
        found = [operation for operation in listed if _told(operation).get("displayName") == job.tag]
        if found or not whole.get("nextPageToken"):
            return [str(operation["name"]) for operation in found if operation.get("name")]
        token = f"&pageToken={quote(str(whole['nextPageToken']))}"
    return []


async def results(client: Client, job: Job, state: State) -> tuple[list[Result], int]:
    output = object_at(state.raw, "response") or object_at(_told(state.raw), "output")
    inlined = object_at(output, "inlinedResponses").get("inlinedResponses")
    rows, unread = [row for row in inlined or [] if isinstance(row, dict)], 0
    file = name_of(output.get("responsesFile"))
    if file is not None:
        answered = await client.call("GET", f"/{file}:download?alt=media", at_most_bytes=MAX_RESULT_BYTES)
        rows, unread = objects_of(answered.body)
    return [_result(row) for row in rows], unread


def _result(row: Mapping[str, Any]) -> Result:
    """The key stands on its own in a file, and in the metadata of an inlined response."""
    key = name_of(row.get("key")) or name_of(object_at(row, "metadata").get("key")) or ""
    response, error = object_at(row, "response"), object_at(row, "error")
    error = error or object_at(response, "error")
    if not error:
        return Result(key, 200, response)
    code = count(error.get("code")) or 0
    return Result(key, code if code >= 400 else STATUS.get(code), {"error": error})


def _told(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    return object_at(operation, "metadata") or operation


def _state(operation: Mapping[str, Any]) -> State:
    name = name_of(operation.get("name"))
    if name is None:
        raise Garbled("the state of a batch names no batch")
    told = _told(operation)
    remote = str(told.get("state") or "")
    word = remote.removeprefix("BATCH_STATE_").removeprefix("JOB_STATE_")
    error = object_at(operation, "error")
    phase = PHASES.get(word, "waiting")
    if phase == "waiting" and operation.get("done"):
        phase = "failed" if error else "done"
    stats = object_at(told, "batchStats")
    done = [_int(stats.get(key)) for key in ("successfulRequestCount", "failedRequestCount")]
    said = " ".join(str(error[key]) for key in ("status", "message") if error.get(key)) or None
    return State(name, phase, remote, sum(done) if stats else None, said, operation)


def _int(value: object) -> int:
    """Google writes 64-bit integers as text."""
    return int(value) if isinstance(value, str) and value.isdigit() else count(value) or 0
