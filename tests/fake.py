"""An OpenAI-compatible server of known timing and known faults, in its own process; its log is the truth.

    python tests/fake.py --port 0 [--log FILE] [--answers FILE]      prints its URL; ends when its standard input does

What a request gets is chosen by the model's name, `fake?tokens=64&ttft_ms=50&gap_ms=10&fault=crlf`, or by an object
`fake` in the body; keys are the fields of `Plan`, faults are in FRAMING (the answer is right all the same) and BROKEN
(the status a client must report). The answer is the prompt's in the `--answers` file, else the prompt's last word.
Token n is due at arrival + ttft + n * gap: absolute, so lateness does not add up. Each line of the log is one request:
its id, the kernel's stamp of its arrival and the CLOCK_MONOTONIC stamp before each write, all in nanoseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from heapq import heappop, heappush
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

FRAMING = (
    "plain", "bytewise", "merged", "crlf", "cr", "comments", "no_space", "bom", "multiline", "split_utf8", "cross_utf8",
    "surrogates", "no_done", "empties", "null_choices", "unknown_events", "usage_missing", "usage_on_finish",
    "usage_every", "finish_with_text", "whole", "content_length", "until_close", "close", "drop_idle", "gzip",
    "think", "think_split", "think_close_only", "reasoning", "reasoning_content", "interim",
)  # fmt: skip
BROKEN = {
    "error_in_band": "http_error", "error_first": "http_error", "error_text": "http_error",
    "finish_error": "http_error", "finish_unknown": "garbled",
    "cut_before": "stream_cut", "cut_mid": "stream_cut", "cut_in_frame": "stream_cut", "cut_end": "stream_cut",
    "done_without_finish": "stream_cut", "reset": "stream_cut", "reset_before": "stream_cut",
    "garbage": "garbled", "not_http": "garbled", "bad_utf8": "garbled", "html_200": "garbled", "huge": "garbled",
    "429": "http_error", "429_date": "http_error", "429_money": "http_error", "401": "http_error", "400": "http_error",
    "404": "http_error", "500_html": "http_error", "503": "http_error", "redirect": "http_error",
    "error_200": "http_error",
    "stall_headers": "timeout", "stall_mid": "timeout", "stall_first": "timeout", "never_ending": "timeout",
    "echo_auth": "http_error", "echo_auth_in_band": "http_error", "echo_auth_garbage": "garbled",
}  # fmt: skip
OTHER = ("refusal", "tool", "length", "content_filter", "echo_auth_answer", "stall_after_finish", "drop_on_reuse")
UTF8 = ("split_utf8", "cross_utf8", "surrogates")
LOUD = "ansürd 🙂 näive 東京"
"""Said by the UTF-8 faults after the answer's first word: characters of two, three and four bytes."""
SOON_S = 0.00005
HUGE_BYTES = 64 << 20


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one request gets."""

    tokens: int | None = None
    """So many numbered tokens, whatever was asked; None: the answer in pieces of four characters."""
    ttft_ms: float = 0.0
    gap_ms: float = 0.0
    fault: str = "plain"
    """A name, or `rotate` (FRAMING in turn, by request) or `rotate_all` (BROKEN in turn between good ones)."""
    answer: str | None = None


@dataclass(kw_only=True)
class Truth:
    """One request as the server saw it: a line of the log."""

    request_id: str
    path: str
    arrived_ns: int
    fault: str = ""
    frames_ns: list[int] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    """Of each write: `head`, `role`, `token`, `finish`, `usage`, `done`, `other`."""
    over: str = "ended"
    body: dict[str, Any] = field(default_factory=dict)
    connection: int = 0

    def first(self, kind: str) -> int:
        return self.frames_ns[self.kinds.index(kind)]


Frame = tuple[str, bytes]


# ── what is said ──────────────────────────────────────────────────────────────────────────────────────────────────


class Script:
    """Frames of one answer, before the faults of transport."""

    def __init__(self, plan: Plan, body: dict[str, Any], answers: dict[str, str], auth: str) -> None:
        self.plan, self.body, self.auth = plan, body, auth
        self.chat = "messages" in body
        prompt = body["messages"][-1]["content"] if self.chat else str(body.get("prompt", ""))
        self.prompt = prompt
        cap = body.get("max_tokens") or body.get("max_completion_tokens") or 1 << 30
        pieces = self._pieces(plan, prompt, answers)
        self.pieces = pieces[:cap]
        self.finish = "length" if len(pieces) > cap or plan.fault == "length" else "stop"
        finishes = {"finish_error": "error", "finish_unknown": "because", "content_filter": "content_filter"}
        self.finish = finishes.get(plan.fault, "tool_calls" if plan.fault == "tool" else self.finish)

    def _pieces(self, plan: Plan, prompt: str, answers: dict[str, str]) -> list[str]:
        if plan.tokens is not None:
            return [f" w{n}" for n in range(plan.tokens)]
        text = plan.answer if plan.answer is not None else _answer(prompt, answers)
        if plan.fault == "echo_auth_answer":
            text = f"you sent {self.auth} I think"
        if plan.fault in UTF8:
            text = f"{LOUD} {text}"
        return [text[i : i + 4] for i in range(0, len(text), 4)] or [""]

    def usage(self, out: int) -> dict[str, Any]:
        n_in = len(self.prompt.split())
        return {
            "prompt_tokens": n_in,
            "completion_tokens": out,
            "total_tokens": n_in + out,
            "prompt_tokens_details": {"cached_tokens": 0},
        }

    def chunk(self, piece: dict[str, Any] | None, finish: str | None = None, **more: Any) -> dict[str, Any]:
        choice = {"index": 0, "finish_reason": finish}
        if self.chat:
            choice["delta"] = piece or {}
        else:
            choice["text"] = (piece or {}).get("content") or ""
            if piece and self.body.get("logprobs") is not None and choice["text"]:
                choice["logprobs"] = _logprobs(choice["text"], first=piece.get("echo", False))
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        common = {"id": "fake-1", "object": kind, "created": 1, "model": "fake", "system_fingerprint": "fp_fake"}
        return {**common, "choices": [choice], **more}

    def frames(self) -> Iterator[tuple[str, dict[str, Any] | bytes]]:
        """(kind, chunk) in order; bytes go out as they are."""
        fault, out = self.plan.fault, len(self.pieces)
        if self.chat:
            yield "role", self.chunk({"role": "assistant", "content": "", "refusal": None})
        if fault == "null_choices":
            yield "other", {"id": "fake-1", "choices": None, "prompt_filter_results": []}
            yield "other", {"id": "fake-1", "choices": [{"index": 0, "finish_reason": None}]}
        if fault == "error_first":
            yield "other", {"error": {"message": "overloaded, try again in 1.5s", "type": "server_error", "code": 503}}
            return
        if self.body.get("echo"):
            yield "other", self.chunk({"content": self.prompt, "echo": True})
        yield from self._thoughts()
        for count, delta in enumerate(self._deltas(), start=1):
            if fault == "empties":
                yield "other", self.chunk({"content": ""})
                yield "other", self.chunk({"content": None, "reasoning": "", "tool_calls": []} if self.chat else {})
            last = fault == "finish_with_text" and count == out
            usage = {"usage": self.usage(count)} if fault == "usage_every" else {"usage": None}
            yield "token", self.chunk(delta, self.finish if last else None, **usage)
            if count == max(1, out // 2):
                yield from self._middle()
        if fault == "stall_after_finish":
            yield "finish", self.chunk(None, self.finish)
            return
        if fault not in ("finish_with_text", "cut_end", "done_without_finish"):
            usage = {"usage": self.usage(out)} if fault in ("usage_on_finish", "usage_every") else {}
            yield "finish", self.chunk(None, self.finish, **usage)
        if fault not in ("usage_missing", "usage_on_finish", "cut_end"):
            yield "usage", {**self.chunk(None), "choices": [], "usage": self.usage(out)}
        if fault not in ("no_done", "cut_end"):
            yield "done", b"[DONE]"

    def _thoughts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        shapes = {
            "think": ["<think>hm, ", "let me see</think>", "\n\n"],
            "think_split": ["\n<th", "ink>hm, ", "let me see</", "think>", "\n\n"],
            "think_close_only": ["hm, ", "let me see</think>\n\n"],
        }
        for text in shapes.get(self.plan.fault, []):
            yield "thought", self.chunk({"content": text})
        if self.plan.fault in ("reasoning", "reasoning_content") and self.chat:
            for text in ("hm, ", "let me see"):
                yield "thought", self.chunk({self.plan.fault: text})

    def _deltas(self) -> Iterator[dict[str, Any]]:
        if self.plan.fault == "refusal":
            yield {"refusal": "I will not "}
            yield {"refusal": "say that."}
        elif self.plan.fault == "tool":
            yield {
                "tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}]
            }
            yield {"tool_calls": [{"index": 0, "function": {"arguments": '{"a": 1}'}}]}
        else:
            for piece in self.pieces:
                yield {"content": piece}

    def _middle(self) -> Iterator[tuple[str, dict[str, Any] | bytes]]:
        """What some faults put into the middle of an answer."""
        match self.plan.fault:
            case "error_in_band":
                yield "other", {"error": {"message": "the GPU fell off the bus", "type": "server_error", "code": None}}
            case "error_text":
                yield "other", {"error": "out of memory"}
            case "echo_auth_in_band":
                yield "other", {"error": {"message": f"what is {self.auth} {'x' * 400}?"}}
            case "echo_auth_garbage":
                yield "other", b"{oops " + b"y" * 50 + self.auth.encode() + b"}"
            case "garbage":
                yield "other", b"{this is not JSON"
            case "bad_utf8":
                raw = json.dumps(self.chunk({"content": "X"})).encode()
                yield "other", raw.replace(b'"X"', b'"\xff\xfe"')
            case "unknown_events":
                yield "other", {"object": "something.new", "id": "fake-1", "hello": [1, 2]}
            case "huge":
                yield "other", b"x" * HUGE_BYTES

    def whole(self) -> bytes:
        """The answer of a server that ignores `stream`."""
        text = "".join(self.pieces)
        done = self.chunk(None, self.finish, usage=self.usage(len(self.pieces)))
        done["choices"][0] |= {"message": {"role": "assistant", "content": text}} if self.chat else {"text": text}
        done["choices"][0].pop("delta", None)
        return json.dumps(done).encode()


def _answer(prompt: str, answers: dict[str, str]) -> str:
    if prompt in answers:
        return answers[prompt]
    held = [key for key in answers if key in prompt]
    if held:
        return answers[max(held, key=len)]
    return (prompt.split() or ["nothing"])[-1]


def _logprobs(text: str, *, first: bool) -> dict[str, Any]:
    words = [w if i == 0 else f" {w}" for i, w in enumerate(text.split(" "))]
    values: list[float | None] = [-(len(w) / 8) for w in words]
    if first:
        values[0] = None
    return {"tokens": words, "token_logprobs": values, "top_logprobs": None, "text_offset": [0] * len(words)}


# ── how it is framed ──────────────────────────────────────────────────────────────────────────────────────────────


def written(script: Script) -> list[Frame]:
    """The frames as bytes, with this plan's faults of framing."""
    fault = script.plan.fault
    out: list[Frame] = []
    for kind, chunk in script.frames():
        payload = chunk if isinstance(chunk, bytes) else json.dumps(chunk, ensure_ascii=fault not in UTF8).encode()
        out += _framed(fault, kind, payload)
    if fault == "bom":
        out[0] = (out[0][0], b"\xef\xbb\xbf" + out[0][1])
    if fault in ("surrogates", "cross_utf8"):
        out = _cut_characters(script, out, escapes=fault == "surrogates")
    if fault == "merged":
        out = [(out[i][0], b"".join(raw for _, raw in out[i : i + 3])) for i in range(0, len(out), 3)]
    return out


def _framed(fault: str, kind: str, payload: bytes) -> list[Frame]:
    match fault:
        case "crlf":
            return [(kind, b"data: " + payload + b"\r\n\r\n")]
        case "cr":
            return [(kind, b"data: " + payload + b"\r\r")]
        case "no_space":
            return [(kind, b"data:" + payload + b"\n\n")]
        case "comments":
            return [
                ("other", b": keep-alive\n\n"),
                (kind, b"event: m\nid: 7\ndata: " + payload + b"\nretry: 10\n\n"),
                ("other", b":\n\n"),
            ]
        case "multiline" if payload.startswith(b"{"):
            return [(kind, b"data: {\ndata: " + payload[1:] + b"\n\n")]
        case _:
            return [(kind, b"data: " + payload + b"\n\n")]


def _cut_characters(script: Script, frames: list[Frame], *, escapes: bool) -> list[Frame]:
    """Puts LOUD's emoji over two events: as two surrogate escapes, or as two pairs of raw bytes."""
    halves = (rb"\ud83d", rb"\ude42") if escapes else ("🙂".encode()[:2], "🙂".encode()[2:])
    out: list[Frame] = []
    for kind, raw in frames:
        before, emoji, after = raw.partition("🙂".encode())
        if not emoji:
            out.append((kind, raw))
            continue
        head, quote, said = before.rpartition(b'"')
        tail_text, end_quote, tail = after.partition(b'"')
        out.append((kind, head + quote + said + halves[0] + end_quote + tail))
        out.append((kind, head + quote + halves[1] + tail_text + end_quote + tail))
    return out


# ── the server ────────────────────────────────────────────────────────────────────────────────────────────────────


class Alarms:
    """Calls due at a time of the loop's clock: one timer for all of them, because asyncio's own cost 5 us each."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._due: list[tuple[float, int, Reply]] = []
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None

    def at(self, due_s: float, reply: Reply) -> None:
        self._count += 1
        heappush(self._due, (due_s, self._count, reply))
        if self._timer is None or due_s < self._timer.when():
            self._arm(due_s)

    def _arm(self, due_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(due_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        until = self.loop.time() + SOON_S
        while self._due and self._due[0][0] <= until:
            reply = heappop(self._due)[2]
            if reply.line.reply is reply:
                reply.schedule()
        if self._due and (self._timer is None or self._due[0][0] < self._timer.when()):
            self._arm(self._due[0][0])


class Server:
    def __init__(self, log: Path | None, answers: dict[str, str]) -> None:
        self.loop = asyncio.get_running_loop()
        self.alarms = Alarms(self.loop)
        self.written: dict[tuple[bytes, str, str], list[Frame]] = {}
        self.answers = answers
        self.requests = 0
        self.connections = 0
        self._log = log.open("a", encoding="utf-8") if log else None

    def planned(self, body: dict[str, Any]) -> Plan:
        raw: dict[str, Any] = dict(parse_qsl(str(body.get("model", "")).partition("?")[2]))
        raw |= body.get("fake") or {}
        known = {f.name for f in fields(Plan)}
        if set(raw) - known:
            raise ValueError(f"unknown plan keys {sorted(set(raw) - known)}")
        for key in ("ttft_ms", "gap_ms"):
            if key in raw:
                raw[key] = float(raw[key])
        if raw.get("tokens") is not None:
            raw["tokens"] = int(raw["tokens"])
        plan = Plan(**raw)
        self.requests += 1
        if plan.fault == "never_ending":
            plan = replace(plan, gap_ms=max(plan.gap_ms, 1.0))
        if plan.fault == "rotate":
            return replace(plan, fault=FRAMING[self.requests % len(FRAMING)])
        if plan.fault == "rotate_all":
            quick = [
                name
                for name in BROKEN
                if not name.startswith(("stall", "never", "huge", "401", "400", "404", "429", "redirect"))
            ]
            return replace(plan, fault=quick[self.requests // 2 % len(quick)] if self.requests % 2 else "plain")
        if plan.fault not in (*FRAMING, *BROKEN, *OTHER):
            raise ValueError(f"unknown fault {plan.fault!r}")
        return plan

    def record(self, truth: Truth) -> None:
        if self._log:
            self._log.write(json.dumps(vars(truth)) + "\n")
            self._log.flush()


class Line:
    """One client connection: a socket read with kernel stamps and written at once; requests one after another."""

    def __init__(self, server: Server, sock: socket.socket) -> None:
        self.server, self.sock = server, sock
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, 35, 1)
        self.begin()
        server.loop.add_reader(sock.fileno(), self._readable)

    def begin(self) -> None:
        self.server.connections += 1
        self.number = self.server.connections
        self.inbox = bytearray()
        self.outbox = bytearray()
        self.arrived_ns = 0
        self.served = 0
        self.reply: Reply | None = None
        self.closed = False

    def _readable(self) -> None:
        try:
            data, control, _, _ = self.sock.recvmsg(1 << 16, 64)
        except BlockingIOError:
            return
        except OSError:
            data, control = b"", []
        if not data:
            self.gone()
            return
        stamp = time.perf_counter_ns()
        for _, kind, raw in control:
            if kind == 35 and len(raw) == 16:
                seconds, nanoseconds = struct.unpack("=qq", raw)
                stamp = seconds * 10**9 + nanoseconds - clock_distance_ns()
        self.received(data, stamp)

    def received(self, data: bytes, stamp: int) -> None:
        self.inbox += data
        self.arrived_ns = stamp
        self.look()

    def look(self) -> None:
        """Starts the next request if it is whole and none is being answered."""
        if self.reply is not None:
            return
        head, found, rest = bytes(self.inbox).partition(b"\r\n\r\n")
        if not found:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        del self.inbox[: len(head) + 4 + length]
        self.served += 1
        self.reply = Reply(self, first.split(" ")[1], headers, rest[:length])
        self.reply.start()

    def write(self, data: bytes) -> None:
        if self.closed:
            return
        if not self.outbox:
            try:
                data = data[self.sock.send(data) :]
            except BlockingIOError:
                pass
            except OSError:
                self.gone()
                return
        if data:
            self.outbox += data
            self.server.loop.add_writer(self.sock.fileno(), self._writable)

    def _writable(self) -> None:
        try:
            del self.outbox[: self.sock.send(self.outbox)]
        except BlockingIOError:
            return
        except OSError:
            self.gone()
            return
        if not self.outbox:
            self.server.loop.remove_writer(self.sock.fileno())

    def gone(self) -> None:
        """The client went away."""
        if self.reply is not None:
            self.reply.stop("client gone")
        self.close()

    def close(self, *, reset: bool = False) -> None:
        if self.closed:
            return
        self.closed = True
        self.server.loop.remove_reader(self.sock.fileno())
        self.server.loop.remove_writer(self.sock.fileno())
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif self.outbox:
            self.sock.setblocking(True)
            with suppress(OSError):
                self.sock.sendall(self.outbox)
        self.sock.close()


def clock_distance_ns() -> int:
    """Wall minus monotonic clock; of three samples the one that was least interrupted."""
    samples = []
    for _ in range(3):
        before = time.perf_counter_ns()
        wall = time.time_ns()
        samples.append((time.perf_counter_ns() - before, wall - before))
    return min(samples)[1]


class TlsLine(asyncio.Protocol, Line):
    """The same over TLS, on asyncio's own transport; stamps are those of the read."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.begin()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received(data, time.perf_counter_ns())

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self.reply is not None:
            self.reply.stop("client gone")

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def close(self, *, reset: bool = False) -> None:
        self.closed = True
        self.transport.abort() if reset else self.transport.close()


class Reply:
    """One answer being written on schedule."""

    def __init__(self, line: Line, path: str, headers: dict[str, str], raw: bytes) -> None:
        self.line, self.server, self.loop = line, line.server, line.server.loop
        self.truth = Truth(
            request_id=headers.get("x-request-id", ""), path=path, arrived_ns=line.arrived_ns, connection=line.number
        )
        self.auth = headers.get("authorization", "none")
        self.raw = raw
        self.arrived_s = self.truth.arrived_ns / 1e9
        self.frames: list[Frame] = []
        self.at = self.tokens = 0
        self.chunked = True
        self.plan = Plan()

    def start(self) -> None:
        if "/models" in self.truth.path:
            self.simple(200, b'{"object": "list", "data": [{"id": "fake", "object": "model"}]}')
            return
        try:
            body = json.loads(self.raw)
            self.plan = plan = self.server.planned(body)
        except (ValueError, TypeError) as error:
            self.simple(400, json.dumps({"error": {"message": str(error), "type": "invalid_request_error"}}).encode())
            return
        self.truth.fault, self.truth.body = plan.fault, body
        script = Script(plan, body, self.server.answers, self.auth)
        if plan.fault == "stall_headers":
            return
        if plan.fault == "drop_on_reuse" and self.line.served > 1:
            self.over("dropped", close=True)
        elif plan.fault in ERRORS:
            ERRORS[plan.fault](self)
        elif plan.fault in ("whole", "error_200"):
            error = b'{"error": {"message": "no such thing", "code": 1000}}'
            self.head("application/json")
            self.frames = [("token", script.whole() if plan.fault == "whole" else error)]
            self.schedule()
        else:
            self.stream(script)

    def simple(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        more = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in headers.items())
        self.truth.over = f"http {status}"
        self.line.write(
            f"HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode()
            + body
        )
        self.over(self.truth.over)

    def stream(self, script: Script) -> None:
        fault = self.plan.fault
        key = (self.raw, fault, self.auth)
        if key not in self.server.written:
            if len(self.server.written) > 1000:
                self.server.written.clear()
            self.server.written[key] = written(script)
        self.frames = self.server.written[key]
        if fault == "reset_before":
            self.over("reset", close=True, reset=True)
            return
        if fault == "interim":
            self.line.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        if fault == "gzip":
            import zlib

            packer = zlib.compressobj(wbits=31)
            self.frames = [(k, packer.compress(raw) + packer.flush(zlib.Z_SYNC_FLUSH)) for k, raw in self.frames]
            self.frames.append(("other", packer.flush()))
        lengths = {"content_length": sum(len(raw) for _, raw in self.frames), "until_close": -1}
        self.head("text/event-stream; charset=utf-8", lengths.get(fault))
        if fault == "cut_before":
            self.over("cut", close=True)
        else:
            self.schedule()

    def head(self, kind: str, length: int | None = None) -> None:
        """`length` None: chunked; -1: until the connection closes."""
        self.chunked = length is None
        lines = [f"Content-Type: {kind}", f"x-request-id: srv-{self.truth.request_id}"]
        if length is None:
            lines.append("Transfer-Encoding: chunked")
        elif length >= 0:
            lines.append(f"Content-Length: {length}")
        if self.plan.fault in ("close", "until_close"):
            lines.append("Connection: close")
        if self.plan.fault == "gzip":
            lines.append("Content-Encoding: gzip")
        self.put("head", "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode())

    def put(self, kind: str, raw: bytes) -> None:
        self.truth.kinds.append(kind)
        self.truth.frames_ns.append(time.perf_counter_ns())
        self.line.write(raw)

    def schedule(self) -> None:
        """Writes all that is due, then sleeps until the next token; what is no token goes with what is before it."""
        frames, fault = self.frames, self.plan.fault
        while self.at < len(frames):
            if self.line.reply is not self:
                return
            kind, raw = frames[self.at]
            if self.at and fault in STOPS and STOPS[fault](self):
                return
            if kind in ("token", "thought"):
                due_s = self.arrived_s + self.plan.ttft_ms / 1000 + self.tokens * self.plan.gap_ms / 1000
                if due_s - self.loop.time() > SOON_S:
                    self.server.alarms.at(due_s, self)
                    return
                self.tokens += 1
            self.emit(kind, raw)
            self.at += 1
            if fault == "never_ending" and self.at == len(frames) - 3:
                self.at -= 1
        if fault == "stall_after_finish":
            return
        if self.chunked:
            self.line.write(b"0\r\n\r\n")
        self.over("ended", close=fault in ("close", "until_close", "drop_idle"))

    def emit(self, kind: str, raw: bytes) -> None:
        if self.plan.fault in ("bytewise", "split_utf8"):
            for n in range(len(raw)):
                self.put(kind if n == len(raw) - 1 else "other", b"1\r\n%c\r\n" % raw[n])
        else:
            self.put(kind, b"%x\r\n%b\r\n" % (len(raw), raw) if self.chunked else raw)

    def over(self, how: str, *, close: bool = False, reset: bool = False) -> None:
        self.stop(how)
        if close:
            self.line.close(reset=reset)
        else:
            self.loop.call_soon(self.line.look)

    def stop(self, how: str) -> None:
        self.truth.over = how
        self.server.record(self.truth)
        self.line.reply = None


def _html(reply: Reply) -> None:
    reply.simple(
        500, b"<html><head><title>Oh no</title></head><body><h1>Internal\nerror</h1></body></html>", "text/html"
    )


def _error(message: str, **more: Any) -> bytes:
    return json.dumps({"error": {"message": message, **more}}).encode()


ERRORS: dict[str, Callable[[Reply], None]] = {
    "429": lambda r: r.simple(429, _error("slow down", type="rate_limit"), Retry_After="7"),
    "429_date": lambda r: r.simple(
        429, _error("slow down"), Retry_After=format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    ),
    "429_money": lambda r: r.simple(429, _error("no money left", type="insufficient_quota")),
    "401": lambda r: r.simple(401, _error("who are you?")),
    "400": lambda r: r.simple(400, _error("context too long", code="context_length_exceeded")),
    "404": lambda r: r.simple(404, _error("no such model")),
    "500_html": _html,
    "503": lambda r: r.simple(503, b"", Retry_After="0.5"),
    "redirect": lambda r: r.simple(307, b"", Location="https://elsewhere.invalid/v1/chat/completions"),
    "html_200": lambda r: r.simple(200, b"<html><body>Please log in to the WLAN</body></html>", "text/html"),
    "echo_auth": lambda r: r.simple(500, _error(f"I got {r.auth} {'x' * 500}")),
    "not_http": lambda r: (r.line.write(b"SSH-2.0-OpenSSH_9.6\r\n"), r.over("not http", close=True))[1],
}


def _cut(reply: Reply, *, reset: bool = False, half: bool = False) -> bool:
    if reply.at < len(reply.frames) // 2:
        return False
    if half:
        raw = reply.frames[reply.at][1]
        reply.put("other", b"%x\r\n%b" % (len(raw), raw[: len(raw) // 2]))
    reply.over("cut", close=True, reset=reset)
    return True


STOPS: dict[str, Callable[[Reply], bool]] = {
    "cut_mid": _cut,
    "cut_in_frame": lambda r: _cut(r, half=True),
    "reset": lambda r: _cut(r, reset=True),
    "stall_mid": lambda r: r.at >= len(r.frames) // 2,
    "stall_first": lambda r: r.at >= 1,
}
"""Called before each frame but the first; True: nothing more is written."""


async def serve(port: int, log: Path | None, answers: dict[str, str], tls: ssl.SSLContext | None) -> None:
    loop = asyncio.get_running_loop()
    server = Server(log, answers)
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    listener.setblocking(False)
    gone = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), lambda: None if sys.stdin.buffer.raw.read(1) else gone.set())
    if tls:
        await loop.create_server(lambda: TlsLine(server), sock=listener, ssl=tls)
    print(f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}/v1", flush=True)
    if not tls:
        loop.add_reader(listener.fileno(), lambda: _accept(server, listener))
    await gone.wait()


def _accept(server: Server, listener: socket.socket) -> None:
    with suppress(BlockingIOError):
        while True:
            Line(server, listener.accept()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--answers", type=Path, help="JSON object: prompt -> answer")
    parser.add_argument("--cert", type=Path, help="PEM with key and certificate: speak TLS")
    options = parser.parse_args()
    answers = json.loads(options.answers.read_text()) if options.answers else {}
    tls = None
    if options.cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.cert)
    gc.disable()
    asyncio.run(serve(options.port, options.log, answers, tls))


# ── for tests ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True)
class Running:
    """A fake server in its own process."""

    url: str
    """With `/v1`, as an endpoint's base URL."""
    pid: int
    log_path: Path

    def log(self) -> list[Truth]:
        """Every request that is over, oldest first."""
        return [Truth(**json.loads(line)) for line in self.log_path.read_text().splitlines()]

    def truth(self, request_id: str) -> Truth:
        return next(truth for truth in reversed(self.log()) if truth.request_id == request_id)


@contextmanager
def fake_server(folder: Path, answers: dict[str, str] | None = None, cert: Path | None = None) -> Iterator[Running]:
    """Runs one for the length of the block; `folder` keeps its log. It ends with this process, however that ends."""
    log = folder / "fake.jsonl"
    log.touch()
    command = [sys.executable, str(Path(__file__).resolve()), "--port", "0", "--log", str(log)]
    if answers is not None:
        path = folder / "answers.json"
        path.write_text(json.dumps(answers))
        command += ["--answers", str(path)]
    if cert is not None:
        command += ["--cert", str(cert)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError("the fake server did not start")
        yield Running(url=url, pid=process.pid, log_path=log)
    finally:
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


if __name__ == "__main__":
    main()
