"""A provider of batches on loopback that plays four APIs by a known schedule, and knows what it has billed.

Base URLs are `URL/openai/v1`, `/together/v1`, `/mistral/v1`, `/anthropic/v1` and `/gemini/v1beta`. A batch is done at
the `polls`-th look; what comes of the k-th batch made is `plans[k]` (a plain one when there are no more). An item is
billed when its batch runs and its plan gives it an answer. Bodies that no such API would take are refused with 400.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs
from zlib import crc32

KEY = "canary-key-5f0d9c3b7a"
IN_TOKENS, OUT_TOKENS = 20, 10
NO_IDEA = "I have no idea."
CUSTOM_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass
class Plan:
    """What becomes of one batch. Items are counted from 0 in the order they were sent."""

    end: str = "done"
    """done, expired, cancelled, failed (validation), limit (too many tokens enqueued)."""
    answered: int | None = None
    """So many of the first items are answered before the batch ends; None = all."""
    items: dict[int, str] = field(default_factory=dict)
    """An HTTP status, or: expired, error (no status), lost, twice, garbled."""
    backwards: bool = False


@dataclass
class Batch:
    id: str
    api: str
    n: int
    items: list[tuple[str, dict[str, Any]]]
    plan: Plan
    made: float
    named: str = ""
    file: str = ""
    endpoint: str = ""
    looks: int = 0
    ran: bool = False


@dataclass
class Trouble:
    """What happens to the next `times` requests that match, instead of an answer."""

    method: str
    path: str
    what: str
    """A status, garbage, cut_before (the connection is closed in the middle of the request), cut_after (it is done,
    and then the connection is closed), half (the answer is cut)."""
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Hold:
    """A request that matches is done, and its answer is held back until somebody lets it go."""

    method: str
    path: str
    reached: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)


class Fake:
    """Its whole state; tests read and change it while it serves."""

    def __init__(self, answers: Mapping[str, str] | None = None) -> None:
        self.answers = dict(answers or {})
        self.lock = threading.Lock()
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Batch] = {}
        self.plans: list[Plan] = []
        self.troubles: list[Trouble] = []
        self.holds: list[Hold] = []
        self.polls = 2
        self.inline = False
        """Gemini: answers stand in the operation."""
        self.billed: Counter[str] = Counter()
        """By prompt."""
        self.log: list[tuple[str, str]] = []
        self.refused: list[str] = []
        self.url = ""
        self.clock = time.time

    def said(self, prompt: str) -> str:
        """Right for three prompts in four."""
        return NO_IDEA if crc32(prompt.encode()) % 4 == 0 else self.answers.get(prompt, prompt.split()[-1])

    def count(self, method: str, path: str) -> int:
        return sum(m == method and re.search(path, p) is not None for m, p in self.log)


@contextmanager
def batch_fake(answers: Mapping[str, str] | None = None) -> Iterator[Fake]:
    fake = Fake(answers)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"fake": fake}))
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        for hold in fake.holds:
            hold.let_go.set()
        server.shutdown()
        server.server_close()
        thread.join()


class Refusal(Exception):
    """Answered with this status."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: Fake

    def log_message(self, *_: Any) -> None:
        """The log is in the fake."""

    def do_GET(self) -> None:
        self._served("GET")

    def do_POST(self) -> None:
        self._served("POST")

    def _served(self, method: str) -> None:
        fake = self.fake
        with fake.lock:
            fake.log.append((method, self.path))
            trouble = next(
                (t for t in fake.troubles if t.times and t.method == method and re.search(t.path, self.path)), None
            )
            if trouble is not None:
                trouble.times -= 1
        length = int(self.headers.get("Content-Length") or 0)
        if trouble is not None and trouble.what == "cut_before":
            self.rfile.read(length // 2)
            self.close_connection = True
            return
        body = self.rfile.read(length)
        if trouble is not None and trouble.what.isdigit():
            self._say(int(trouble.what), {"error": {"message": f"planned {trouble.what}"}}, trouble.headers)
            return
        if trouble is not None and trouble.what == "garbage":
            self._say_bytes(200, b"<html>busy</html>", {})
            return
        try:
            with fake.lock:
                status, answer, headers = self._answer(method, body)
        except Refusal as refusal:
            fake.refused.append(str(refusal))
            status, answer, headers = refusal.status, {"error": {"message": str(refusal)}}, {}
        for hold in fake.holds:
            if hold.method == method and re.search(hold.path, self.path) and not hold.let_go.is_set():
                hold.reached.set()
                hold.let_go.wait(30)
        if trouble is not None and trouble.what == "cut_after":
            self.close_connection = True
            return
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self._say_bytes(status, raw, headers, half=trouble is not None and trouble.what == "half")

    def _say(self, status: int, answer: object, headers: Mapping[str, str]) -> None:
        self._say_bytes(status, json.dumps(answer).encode(), headers)

    def _say_bytes(self, status: int, raw: bytes, headers: Mapping[str, str], *, half: bool = False) -> None:
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if half:  # cut where no length says so
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(raw[: len(raw) // 2])
                self.close_connection = True
                return
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)
        except OSError:
            self.close_connection = True

    def _answer(self, method: str, body: bytes) -> tuple[int, object, Mapping[str, str]]:
        _, name, rest = self.path.split("/", 2)
        path, _, query = rest.partition("?")
        key = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}.get(name)
        shown = (key and self.headers.get(key)) or (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if shown != KEY and "upload_id" not in query:  # such an address is its own credential
            raise Refusal(401, "no such key")
        api = {"anthropic": Anthropic, "gemini": Gemini, "mistral": Mistral, "together": Together}.get(name, OpenAI)
        asked = {key: values[-1] for key, values in parse_qs(query).items()}
        return api(self.fake, name, self.headers).answer(method, path, asked, body)


class Api:
    """What the four have in common: batches that run when they have been looked at often enough."""

    def __init__(self, fake: Fake, name: str, headers: Message) -> None:
        self.fake, self.name, self.headers = fake, name, headers

    def answer(
        self, method: str, path: str, asked: Mapping[str, str], body: bytes
    ) -> tuple[int, object, Mapping[str, str]]:
        raise NotImplementedError

    def make(self, items: list[tuple[str, dict[str, Any]]], **named: str) -> Batch:
        fake = self.fake
        for custom_id, inner in items:
            if not CUSTOM_ID.fullmatch(custom_id):
                raise Refusal(400, f"custom_id {custom_id!r}")
            if inner.keys() & {"stream", "stream_options"}:
                raise Refusal(400, "a batch does not stream")
        if len({custom_id for custom_id, _ in items}) != len(items) or not items:
            raise Refusal(400, "custom_id not unique")
        number = len(fake.batches)
        plan = fake.plans[number] if number < len(fake.plans) else Plan()
        batch = Batch(f"batch_{number}_{self.name}", self.name, len(items), items, plan, fake.clock(), **named)
        fake.batches[batch.id] = batch
        return batch

    def look(self, batch_id: str) -> Batch:
        batch = self.fake.batches.get(batch_id)
        if batch is None or batch.api != self.name:
            raise Refusal(404, f"no batch {batch_id}")
        batch.looks += 1
        if batch.looks >= self.fake.polls and not batch.ran:
            batch.ran = True
            for i, (_, body) in enumerate(batch.items):
                if batch.plan.end not in ("failed", "limit") and self.fate(batch, i) in ("ok", "twice", "lost"):
                    self.fake.billed[self.prompt(body)] += 1
        return batch

    def fate(self, batch: Batch, i: int) -> str:
        """ok, or what went wrong with item `i`."""
        plan = batch.plan
        if i in plan.items:
            return plan.items[i]
        cut = plan.answered is not None and i >= plan.answered
        return {"expired": "expired", "cancelled": "cancelled"}.get(plan.end, "ok") if cut else "ok"

    def prompt(self, body: Mapping[str, Any]) -> str:
        return str(body["messages"][-1]["content"])

    def state(self, batch: Batch) -> str:
        """waiting, or the plan's end."""
        return batch.plan.end if batch.ran else "waiting"

    def lines(self, batch: Batch, wanted: bool | None = None) -> bytes:
        """The results as a file: `wanted` True = answers, False = errors, None = both."""
        if batch.plan.end in ("failed", "limit"):
            return b""
        found: list[bytes] = []
        for i, (custom_id, body) in enumerate(batch.items):
            fate = self.fate(batch, i)
            good = fate in ("ok", "twice", "garbled")
            if fate == "lost" or (wanted is not None and good != wanted):
                continue
            row = json.dumps(self.row(custom_id, body, fate), ensure_ascii=False).encode()
            found += [row] * (2 if fate == "twice" else 1) if fate != "garbled" else [row[: len(row) // 2]]
        return b"\n".join(found[::-1] if batch.plan.backwards else found) + (b"\n" if found else b"")

    def row(self, custom_id: str, body: Mapping[str, Any], fate: str) -> dict[str, Any]:
        raise NotImplementedError


class OpenAI(Api):
    bare = False
    purpose = "batch"
    upload = "files"
    states: Mapping[str, str] = {"waiting": "in_progress", "done": "completed", "limit": "failed"}

    def answer(
        self, method: str, path: str, asked: Mapping[str, str], body: bytes
    ) -> tuple[int, object, Mapping[str, str]]:
        path = path.removeprefix("v1/")
        if method == "POST" and path == "chat/completions":
            return self.stream(json.loads(body))
        if method == "POST" and path == self.upload:
            return self.uploaded(body)
        if method == "GET" and (found := re.fullmatch(r"files/([^/]+)/content", path)):
            return 200, self.content(found[1]), {"Content-Type": "application/jsonl"}
        if method == "POST" and path == "batches":
            return self.created(json.loads(body))
        if method == "GET" and path == "batches":
            return self.listed(asked)
        if method == "GET" and (found := re.fullmatch(r"batches/([^/]+)", path)):
            return 200, self.shown(self.look(found[1])), {}
        raise Refusal(404, f"no such path: {method} {path}")

    def uploaded(self, body: bytes) -> tuple[int, object, Mapping[str, str]]:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        form = {part.get_param("name", header="content-disposition"): part for part in _parts(head + body)}
        if form["purpose"].get_payload() != self.purpose:
            raise Refusal(400, "purpose")
        content = form["file"].get_payload(decode=True)
        file = f"file-{len(self.fake.files)}"
        self.fake.files[file] = content  # type: ignore[assignment]
        shown = {"id": file, "object": "file", "bytes": len(content), "created_at": int(self.fake.clock())}
        shown |= {"filename": form["file"].get_filename(), "purpose": self.purpose, "status": "processed"}
        return 200, shown, {}

    def items(self, file: str, endpoint: str) -> list[tuple[str, dict[str, Any]]]:
        if file not in self.fake.files:
            raise Refusal(404, f"no file {file}")
        rows = [json.loads(line) for line in self.fake.files[file].splitlines()]
        for row in rows:
            if row.keys() != ({"custom_id", "body"} if self.bare else {"custom_id", "method", "url", "body"}):
                raise Refusal(400, f"keys of a line: {sorted(row)}")
            if not self.bare and (row["method"], row["url"]) != ("POST", endpoint):
                raise Refusal(400, "method and url of a line")
        return [(row["custom_id"], row["body"]) for row in rows]

    def created(self, asked: Mapping[str, Any]) -> tuple[int, object, Mapping[str, str]]:
        if asked["completion_window"] != "24h" or not str(asked["endpoint"]).startswith("/v1/"):
            raise Refusal(400, "endpoint or window")
        items = self.items(asked["input_file_id"], asked["endpoint"])
        return 200, self.shown(self.make(items, file=asked["input_file_id"], endpoint=asked["endpoint"])), {}

    def listed(self, asked: Mapping[str, str]) -> tuple[int, object, Mapping[str, str]]:
        """Pages of two, however many are asked for: a client has to turn them."""
        mine = [batch for batch in reversed(self.fake.batches.values()) if batch.api == self.name]
        ids = [batch.id for batch in mine]
        start = ids.index(asked["after"]) + 1 if "after" in asked else 0
        data = [self.shown(batch) for batch in mine[start : start + 2]]
        return 200, {"object": "list", "data": data, "has_more": start + 2 < len(mine)}, {}

    def shown(self, batch: Batch) -> dict[str, Any]:
        state = self.state(batch)
        first = "validating" if batch.looks < 1 else "in_progress"
        status = first if state == "waiting" else self.states.get(state, state)
        files = {}
        if batch.ran:
            for key, wanted in (("output_file_id", True), ("error_file_id", False)):
                if self.lines(batch, wanted):
                    files[key] = f"{batch.id}-{key}"
        errors = None
        if state == "failed":
            errors = {"data": [{"code": "invalid_json_line", "message": "This line is not JSON.", "line": 3}]}
        if state == "limit":
            errors = {"data": [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached for m"}]}
        done = batch.n if batch.ran else 0
        return {
            "id": batch.id, "object": "batch", "endpoint": batch.endpoint, "input_file_id": batch.file,
            "completion_window": "24h", "status": status, "created_at": int(batch.made), "errors": errors,
            "request_counts": {"total": batch.n, "completed": done, "failed": 0}, **files,
        }  # fmt: skip

    def content(self, file: str) -> bytes:
        batch_id, _, kind = file.rpartition("-")
        batch = self.fake.batches.get(batch_id)
        if batch is None or not batch.ran:
            raise Refusal(404, f"no file {file}")
        return self.lines(batch, kind.startswith("output"))

    def row(self, custom_id: str, body: Mapping[str, Any], fate: str) -> dict[str, Any]:
        row: dict[str, Any] = {"id": f"batch_req_{custom_id}", "custom_id": custom_id, "response": None, "error": None}
        if fate in ("expired", "cancelled"):
            row["error"] = {"code": f"batch_{fate}", "message": f"This request was {fate}."}
        elif fate == "error":
            row["error"] = {"code": "mystery", "message": "Nobody knows."}
        else:
            status = int(fate) if fate.isdigit() else 200
            inner = self.completion(body) if status == 200 else {"error": {"message": f"item {fate}", "type": "x"}}
            row["response"] = {"status_code": status, "request_id": f"req_{custom_id}", "body": inner}
        return row

    def prompt(self, body: Mapping[str, Any]) -> str:
        said = body["messages"] if "messages" in body else body["input"]
        return str(said if isinstance(said, str) else said[-1]["content"])

    def completion(self, body: Mapping[str, Any]) -> dict[str, Any]:
        text = self.fake.said(self.prompt(body))
        if "input" in body:
            usage = {"input_tokens": IN_TOKENS, "output_tokens": OUT_TOKENS, "total_tokens": IN_TOKENS + OUT_TOKENS}
            part = {"type": "output_text", "text": text, "annotations": []}
            message = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
            return {"id": "resp_1", "object": "response", "status": "completed", "model": body["model"],
                    "output": [message], "usage": usage}  # fmt: skip
        usage = {"prompt_tokens": IN_TOKENS, "completion_tokens": OUT_TOKENS, "total_tokens": IN_TOKENS + OUT_TOKENS}
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body.get("model", "m"),
                "choices": [choice], "usage": usage}  # fmt: skip

    def stream(self, body: Mapping[str, Any]) -> tuple[int, object, Mapping[str, str]]:
        """The same answers without a batch."""
        whole = self.completion(body)
        choice = {"index": 0, "delta": {"content": whole["choices"][0]["message"]["content"]}, "finish_reason": "stop"}
        events = [{**whole, "choices": [choice], "usage": None}, {**whole, "choices": []}]
        text = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        return 200, text.encode(), {"Content-Type": "text/event-stream"}


class Together(OpenAI):
    bare = True
    purpose = "batch-api"
    upload = "files/upload"
    states: Mapping[str, str] = {"waiting": "IN_PROGRESS", "done": "COMPLETED", "limit": "FAILED"}

    def created(self, asked: Mapping[str, Any]) -> tuple[int, object, Mapping[str, str]]:
        if "metadata" in asked:
            raise Refusal(400, "metadata")
        _, batch, headers = super().created(asked)
        return 201, {"job": batch, "warning": ""}, headers

    def listed(self, asked: Mapping[str, str]) -> tuple[int, object, Mapping[str, str]]:
        return 200, [self.shown(b) for b in reversed(self.fake.batches.values()) if b.api == self.name], {}

    def shown(self, batch: Batch) -> dict[str, Any]:
        made = datetime.fromtimestamp(batch.made, UTC).isoformat()
        shown = super().shown(batch) | {"created_at": made, "progress": 100.0 if batch.ran else 0.0}
        error = {"failed": "bad file", "limit": "rate limit: too many enqueued tokens"}.get(self.state(batch), "")
        shown = {key: value for key, value in shown.items() if key not in ("errors", "request_counts", "object")}
        return shown | {"status": shown["status"].upper(), "error": error}


class Mistral(OpenAI):
    bare = True
    states: Mapping[str, str] = {
        "waiting": "RUNNING", "done": "SUCCESS", "expired": "TIMEOUT_EXCEEDED", "cancelled": "CANCELLED",
        "failed": "FAILED", "limit": "FAILED",
    }  # fmt: skip

    def answer(
        self, method: str, path: str, asked: Mapping[str, str], body: bytes
    ) -> tuple[int, object, Mapping[str, str]]:
        return super().answer(method, path.replace("batch/jobs", "batches"), asked, body)

    def created(self, asked: Mapping[str, Any]) -> tuple[int, object, Mapping[str, str]]:
        (file,) = asked["input_files"]
        items = self.items(file, asked["endpoint"])
        if any("model" in body for _, body in items) or not asked["model"]:
            raise Refusal(400, "the job names the model")
        return 200, self.shown(self.make(items, file=file, endpoint=asked["endpoint"])), {}

    def listed(self, asked: Mapping[str, str]) -> tuple[int, object, Mapping[str, str]]:
        mine = [self.shown(batch) for batch in reversed(self.fake.batches.values()) if batch.api == self.name]
        page, size = int(asked["page"]), int(asked["page_size"])
        return 200, {"object": "list", "total": len(mine), "data": mine[page * size : (page + 1) * size]}, {}

    def shown(self, batch: Batch) -> dict[str, Any]:
        shown = super().shown(batch)
        state = self.state(batch)
        said = [f"{error['message']} ({error['code']})" for error in (shown["errors"] or {}).get("data", ())]
        return {
            "id": batch.id, "object": "batch", "input_files": [batch.file], "endpoint": batch.endpoint, "model": "m",
            "errors": [{"message": text, "count": 1} for text in said], "created_at": int(batch.made),
            "status": "QUEUED" if batch.looks < 1 else self.states[state], "total_requests": batch.n,
            "completed_requests": batch.n if batch.ran else 0, "succeeded_requests": 0, "failed_requests": 0,
            "output_file": shown.get("output_file_id"), "error_file": shown.get("error_file_id"),
        }  # fmt: skip


class Anthropic(Api):
    def answer(
        self, method: str, path: str, asked: Mapping[str, str], body: bytes
    ) -> tuple[int, object, Mapping[str, str]]:
        if not self.headers.get("anthropic-version"):
            raise Refusal(400, "anthropic-version is missing")
        path = path.removeprefix("v1/messages/batches").strip("/")
        if method == "POST" and not path:
            rows = json.loads(body)["requests"]
            if any(row.keys() != {"custom_id", "params"} for row in rows):
                raise Refusal(400, "keys of a request")
            return 200, self.shown(self.make([(row["custom_id"], row["params"]) for row in rows])), {}
        if method == "GET" and not path:
            mine = [batch for batch in reversed(self.fake.batches.values()) if batch.api == self.name]
            ids = [batch.id for batch in mine]
            start = ids.index(asked["after_id"]) + 1 if "after_id" in asked else 0
            page = [self.shown(batch) for batch in mine[start : start + 2]]
            last = page[-1]["id"] if page else None
            return 200, {"data": page, "has_more": start + 2 < len(mine), "first_id": None, "last_id": last}, {}
        if method == "GET" and path.endswith("/results"):
            return 200, self.lines(self.fake.batches[path.removesuffix("/results")]), {}
        if method == "GET":
            return 200, self.shown(self.look(path)), {}
        raise Refusal(404, f"no such path: {method} {path}")

    def shown(self, batch: Batch) -> dict[str, Any]:
        counts = {"processing": 0, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
        if not batch.ran:
            counts["processing"] = batch.n
        else:
            for i in range(batch.n):
                fate = self.fate(batch, i)
                counts[{"expired": "expired", "cancelled": "canceled"}.get(fate, "succeeded")] += 1
        made = datetime.fromtimestamp(batch.made, UTC).isoformat()
        url = f"{self.fake.url}/{self.name}/v1/messages/batches/{batch.id}/results" if batch.ran else None
        return {
            "id": batch.id, "type": "message_batch", "processing_status": "ended" if batch.ran else "in_progress",
            "request_counts": counts, "created_at": made, "expires_at": made, "ended_at": made if batch.ran else None,
            "results_url": url,
        }  # fmt: skip

    def row(self, custom_id: str, body: Mapping[str, Any], fate: str) -> dict[str, Any]:
        if fate in ("expired", "cancelled"):
            return {"custom_id": custom_id, "result": {"type": fate.replace("cancelled", "canceled")}}
        if fate.isdigit() or fate == "error":
            names = {"400": "invalid_request_error", "401": "authentication_error", "429": "rate_limit_error",
                     "500": "api_error"}  # fmt: skip
            inner = {"type": names.get(fate, "mystery_error"), "message": f"item {fate}"}
            error = {"type": "error", "error": inner, "request_id": f"req_{custom_id}"}
            return {"custom_id": custom_id, "result": {"type": "errored", "error": error}}
        text = [{"type": "text", "text": self.fake.said(self.prompt(body))}]
        usage = {"input_tokens": IN_TOKENS, "output_tokens": OUT_TOKENS}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": text,
                   "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}  # fmt: skip
        return {"custom_id": custom_id, "result": {"type": "succeeded", "message": message}}


class Gemini(Api):
    def answer(
        self, method: str, path: str, asked: Mapping[str, str], body: bytes
    ) -> tuple[int, object, Mapping[str, str]]:
        if method == "POST" and path == "upload/v1beta/files":
            return self.uploaded(asked, body)
        if method == "GET" and (found := re.fullmatch(r"v1beta/files/([^/]+):download", path)):
            if asked.get("alt") != "media":
                raise Refusal(400, "alt")
            return 200, self.lines(self.fake.batches[f"batches/{found[1].removeprefix('batch-')}"]), {}
        path = path.removeprefix("v1beta/")
        if method == "POST" and re.fullmatch(r"models/[^/]+:batchGenerateContent", path):
            batch = json.loads(body)["batch"]
            content = self.fake.files[batch["inputConfig"]["fileName"]]
            rows = [json.loads(line) for line in content.splitlines()]
            if any(row.keys() != {"key", "request"} for row in rows):
                raise Refusal(400, "keys of a line")
            made = self.make([(row["key"], row["request"]) for row in rows], named=batch["displayName"])
            del self.fake.batches[made.id]
            made.id = f"batches/{made.id.replace('_', '')}"
            self.fake.batches[made.id] = made
            return 200, self.shown(made), {}
        if method == "GET" and path == "batches":
            mine = [batch for batch in reversed(self.fake.batches.values()) if batch.api == self.name]
            start = int(asked.get("pageToken", "0"))
            more = {"nextPageToken": str(start + 2)} if start + 2 < len(mine) else {}
            return 200, {"operations": [self.shown(batch) for batch in mine[start : start + 2]], **more}, {}
        if method == "GET" and path.startswith("batches/"):
            return 200, self.shown(self.look(path)), {}
        raise Refusal(404, f"no such path: {method} {path}")

    def uploaded(self, asked: Mapping[str, str], body: bytes) -> tuple[int, object, Mapping[str, str]]:
        command = self.headers.get("X-Goog-Upload-Command")
        if command == "start":
            url = f"{self.fake.url}/gemini/upload/v1beta/files?upload_id=u{len(self.fake.files)}"
            return 200, {}, {"X-Goog-Upload-URL": url, "X-Goog-Upload-Status": "active"}
        if command != "upload, finalize" or self.headers.get("X-Goog-Upload-Offset") != "0":
            raise Refusal(400, "upload command")
        name = f"files/{len(self.fake.files)}"
        self.fake.files[name] = body
        return 200, {"file": {"name": name, "sizeBytes": str(len(body))}}, {"X-Goog-Upload-Status": "final"}

    def prompt(self, body: Mapping[str, Any]) -> str:
        return str(body["contents"][-1]["parts"][0]["text"])

    def shown(self, batch: Batch) -> dict[str, Any]:
        state = self.state(batch)
        word = {"waiting": "PENDING" if batch.looks < 1 else "RUNNING", "done": "SUCCEEDED", "limit": "FAILED"}
        stats = {"requestCount": str(batch.n), "successfulRequestCount": str(batch.n if batch.ran else 0)}
        told: dict[str, Any] = {
            "displayName": batch.named,
            "state": f"BATCH_STATE_{word.get(state, state.upper())}",
            "name": batch.id,
            "model": "models/m",
            "batchStats": stats,
        }
        operation: dict[str, Any] = {"name": batch.id, "metadata": told, "done": batch.ran}
        if state == "failed":
            operation["error"] = {"code": 3, "message": "bad file", "status": "INVALID_ARGUMENT"}
        elif state == "limit":
            operation["error"] = {"code": 8, "message": "rate limit: enqueued tokens", "status": "RESOURCE_EXHAUSTED"}
        elif batch.ran and self.fake.inline:  # only in the metadata, as the SDK reads it
            rows = [json.loads(line) for line in self.lines(batch).splitlines()]
            inlined = [
                {key: value for key, value in row.items() if key != "key"} | {"metadata": {"key": row["key"]}}
                for row in rows
            ]
            told["output"] = {"inlinedResponses": {"inlinedResponses": inlined}}
        elif batch.ran:
            told["output"] = {"responsesFile": f"files/batch-{batch.id.removeprefix('batches/')}"}
            operation["response"] = told["output"]
        return operation

    def row(self, custom_id: str, body: Mapping[str, Any], fate: str) -> dict[str, Any]:
        codes = {"400": 3, "401": 16, "429": 8, "500": 13, "error": 99, "expired": 4, "cancelled": 1}
        if fate in codes:
            return {"key": custom_id, "error": {"code": codes[fate], "message": f"item {fate}"}}
        content = {"role": "model", "parts": [{"text": self.fake.said(self.prompt(body))}]}
        usage = {"promptTokenCount": IN_TOKENS, "candidatesTokenCount": OUT_TOKENS,
                 "totalTokenCount": IN_TOKENS + OUT_TOKENS}  # fmt: skip
        response = {"candidates": [{"content": content, "finishReason": "STOP", "index": 0}], "usageMetadata": usage,
                    "modelVersion": "m", "responseId": "r1"}  # fmt: skip
        return {"key": custom_id, "response": response}


def _parts(raw: bytes) -> list[Any]:
    whole = BytesParser().parsebytes(raw)
    return list(whole.get_payload())
