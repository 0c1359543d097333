"""An OpenAI-compatible server of known timing and known faults, in its own process; its log is the truth.

    python tests/fake.py --port 0 [--log FILE] [--answers FILE]      prints its URL; ends when its standard input does

What a request gets is chosen by the model's name, `fake?tokens=64&ttft_ms=50&gap_ms=10&fault=crlf`, or by an object
`fake` in the body; keys are the fields of `Plan`, faults are in FRAMING (the answer is right all the same), BROKEN
(the status a client must report), OTHER and LOADED (by turns, counted per model string). The answer is the prompt's in
the `--answers` file, else the prompt's last word; a token of a prompt is a word (`/tokenize` counts them too).
Token n is due at arrival + ttft + n * gap: absolute, so lateness does not add up. Each line of the log is one request:
its id, the kernel's stamp of its arrival and the CLOCK_MONOTONIC stamp before each write, all in nanoseconds. Without
`--log` no stamps are kept.

Of numbered tokens one core writes about 100,000 a second, if nobody else needs that core.
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
from functools import cache, cached_property
from heapq import heappop, heappush, heapreplace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl
from zlib import crc32

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
    "429": "http_error", "429_soon": "http_error", "429_date": "http_error", "429_money": "http_error",
    "429_bare": "http_error", "502_html": "http_error", "500": "http_error", "slow_loris": "timeout",
    "401": "http_error", "400": "http_error", "404": "http_error", "500_html": "http_error", "503": "http_error",
    "redirect": "http_error", "error_200": "http_error",
    "stall_headers": "timeout", "stall_mid": "timeout", "stall_first": "timeout", "never_ending": "timeout",
    "echo_auth": "http_error", "echo_auth_in_band": "http_error", "echo_auth_garbage": "garbled",
}  # fmt: skip
OTHER = ("refusal", "tool", "length", "content_filter", "echo_auth_answer", "stall_after_finish", "drop_on_reuse",
         "renamed", "big_frame", "empty", "usage_twice", "usage_negative", "wrong_type")  # fmt: skip
LOADED = {
    "half_429": ("plain", "429_soon"),
    "reset_half": ("plain", "reset"),
    "mixed_load": (
        "plain", "429_soon", "reset", "cut_before", "cut_mid", "usage_missing", "drop_idle", "renamed",
        "error_in_band", "503", "length",
    ),
}  # fmt: skip
"""What requests of one model string get in turn, the first one first."""
LEAN = ("plain", "length", "renamed", "usage_missing", "drop_idle", "reset", "cut_before", "cut_mid")
"""Faults whose frames of numbered tokens are made once and used by every request."""
UNCHUNKED = ("content_length", "until_close")
UTF8 = ("split_utf8", "cross_utf8", "surrogates")
LOUD = "ansürd 🙂 näive 東京"
"""Said by the UTF-8 faults after the answer's first word: characters of two, three and four bytes."""
TIMED = ("token", "thought")
SOON_NS = 50_000
HUGE_BYTES = 64 << 20
BIG_BYTES = 10_000_000
MAX_MODEL_LEN = 8192


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one request gets."""

    tokens: int | Literal["asked"] | None = None
    """So many numbered tokens, at most `max_tokens`; `asked`: exactly `max_tokens`; None: the answer in pieces of four
    characters, but exactly `max_tokens` numbered tokens when the body says `ignore_eos`."""
    ttft_ms: float = 0.0
    gap_ms: float = 0.0
    fault: str = "plain"
    """A name, or `rotate` (FRAMING in turn, by request) or `rotate_all` (BROKEN in turn between good ones)."""
    answer: str | None = None
    role: Literal["early", "late"] = "early"
    """When the chat's first chunk, which has no text, goes out: at once, or as in vLLM with the first token."""
    overrun: int = 0
    """Ignores the cap: so many times `max_tokens` numbered tokens."""
    in_factor: int = 1
    """The usage counts the prompt's tokens so many times."""
    usd: str | None = None
    """What the usage says was billed, as `usage.cost`."""
    template_tokens: int = 0
    """What a chat template would add to the prompt's words; counted in the usage."""
    freeze_ms: float = 0.0
    """The whole server sleeps so long, once, when request number `freeze_at` (from 1) of this model string comes."""
    freeze_at: int = 1
    wait_s: float | None = None
    """What an answer of 429 or 503 asks to wait, instead of its own number."""
    at_most: int = 0
    """So many answers of this model string at once; more are refused with 429. 0: any number."""
    requests: int = 0
    tokens_in_out: int = 0
    """Buckets of requests, and of prompt words plus `max_tokens`, that fill in `refill_s`; 0: none. What finds them
    empty is refused with 429, which names no wait."""
    refill_s: float = 60.0
    refill: Literal["bucket", "fixed"] = "bucket"
    """All the time, or all at once every `refill_s`."""
    announce: Literal["openai", "anthropic", "none"] = "openai"
    """How every answer's headers tell of these buckets."""

    @classmethod
    def of(cls, raw: dict[str, Any]) -> Plan:
        """From texts or JSON values; ValueError for what is unknown."""
        known = {f.name for f in fields(cls)}
        if set(raw) - known:
            raise ValueError(f"unknown plan keys {sorted(set(raw) - known)}")
        kinds = {
            "ttft_ms": float,
            "gap_ms": float,
            "freeze_ms": float,
            "wait_s": float,
            "refill_s": float,
            "template_tokens": int,
            "overrun": int,
            "in_factor": int,
            "freeze_at": int,
            "at_most": int,
            "requests": int,
            "tokens_in_out": int,
        }
        values = {key: kinds[key](value) if key in kinds else value for key, value in raw.items()}
        if values.get("tokens") not in (None, "asked"):
            values["tokens"] = int(values["tokens"])
        return cls(**values)


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

    def last(self, kind: str) -> int:
        return self.frames_ns[-1 - self.kinds[::-1].index(kind)]


Frame = tuple[str, bytes]
ROLE = {"role": "assistant", "content": "", "refusal": None}


# ── what is said ──────────────────────────────────────────────────────────────────────────────────────────────────


class Script:
    """Frames of one answer, before the faults of transport."""

    def __init__(self, plan: Plan, body: dict[str, Any], answers: dict[str, str], auth: str) -> None:
        self.plan, self.body, self.answers, self.auth = plan, body, answers, auth
        self.chat = "messages" in body
        self.prompt = text_of(body["messages"][-1]) if self.chat else body.get("prompt", "")
        self.cap = body.get("max_tokens") or body.get("max_completion_tokens") or 1 << 30
        self.model = "fake-2" if plan.fault == "renamed" else "fake"

    @cached_property
    def numbered(self) -> int | None:
        """How many numbered tokens this answer is; None when it is text."""
        if self.plan.overrun:
            return self.plan.overrun * self.cap
        asked = self.plan.tokens == "asked" or (self.plan.tokens is None and self.body.get("ignore_eos"))
        if asked:
            return self.cap if self.cap < 1 << 30 else 16
        return None if self.plan.tokens is None else min(int(self.plan.tokens), self.cap)

    @cached_property
    def prompt_tokens(self) -> int:
        return len(token_ids(self.body)) * self.plan.in_factor + self.plan.template_tokens

    @cached_property
    def pieces(self) -> list[str]:
        if self.numbered is not None:
            return [f" w{n}" for n in range(self.numbered)]
        return self._text_pieces()[: self.cap]

    @cached_property
    def finish(self) -> str:
        finishes = {"finish_error": "error", "finish_unknown": "because", "tool": "tool_calls"}
        finishes |= {"content_filter": "content_filter", "length": "length"}
        if self.plan.fault in finishes:
            return finishes[self.plan.fault]
        if self.numbered is None:
            return "length" if len(self._text_pieces()) > self.cap else "stop"
        whole = isinstance(self.plan.tokens, int) and self.plan.tokens <= self.cap
        return "stop" if whole else "length"

    def _text_pieces(self) -> list[str]:
        text = self.plan.answer if self.plan.answer is not None else _answer(str(self.prompt), self.answers)
        if self.plan.fault == "empty":
            return [""]
        if self.plan.fault == "echo_auth_answer":
            text = f"you sent {self.auth} I think"
        if self.plan.fault in UTF8:
            text = f"{LOUD} {text}"
        return [text[i : i + 4] for i in range(0, len(text), 4)] or [""]

    def usage(self, out: int) -> dict[str, Any]:
        if self.plan.fault == "usage_negative":
            return {"prompt_tokens": -3, "completion_tokens": -out, "total_tokens": -3 - out}
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": out,
            "total_tokens": self.prompt_tokens + out,
            "prompt_tokens_details": {"cached_tokens": 0},
            **({} if self.plan.usd is None else {"cost": float(self.plan.usd)}),
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
        common = {"id": "fake-1", "object": kind, "created": 1, "model": self.model, "system_fingerprint": "fp_fake"}
        return {**common, "choices": [choice], **more}

    def frames(self) -> Iterator[tuple[str, dict[str, Any] | bytes]]:
        """(kind, chunk) in order; bytes go out as they are."""
        fault, out = self.plan.fault, len(self.pieces)
        if self.chat:
            yield "role", self.chunk(ROLE)
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
            if fault == "usage_twice":
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
            case "big_frame":
                yield "big", _big(self.chat)

    def whole(self) -> bytes:
        """The answer of a server that ignores `stream`."""
        text = "".join(self.pieces)
        done = self.chunk(None, self.finish, usage=self.usage(len(self.pieces)))
        done["choices"][0] |= {"message": {"role": "assistant", "content": text}} if self.chat else {"text": text}
        done["choices"][0].pop("delta", None)
        done["object"] = done["object"].removesuffix(".chunk")
        return json.dumps(done).encode()


def text_of(message: dict[str, Any]) -> str:
    """What a message says; its content is a text, or parts of which some have one."""
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(str(part.get("text", "")) for part in content)


def token_ids(body: dict[str, Any]) -> list[int]:
    """A request's prompt as tokens: each word of its texts is one, and numbers are tokens already."""
    if "messages" in body:
        words = " ".join(text_of(message) for message in body["messages"]).split()
    elif isinstance(body.get("prompt"), list):
        return list(body["prompt"])
    else:
        words = str(body.get("prompt", "")).split()
    return [crc32(word.encode()) % 50_000 for word in words]


@cache
def _big(chat: bool) -> bytes:
    """One event of BIG_BYTES of text."""
    body: dict[str, Any] = {"messages": [{"content": ""}]} if chat else {"prompt": ""}
    return json.dumps(Script(Plan(), body, {}, "").chunk({"content": " big" * (BIG_BYTES // 4)})).encode()


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


def chunked(raw: bytes) -> bytes:
    """A chunk of HTTP/1.1."""
    return b"%x\r\n%b\r\n" % (len(raw), raw)


def lean(script: Script) -> list[Frame]:
    """What `written` makes of numbered tokens, in chunks of HTTP: only the usage is made anew."""
    count, fault = script.numbered or 0, script.plan.fault
    tokens = _token_frames(script.chat, script.model)
    while len(tokens) < count:
        tokens.append(_lean("token", script.chunk({"content": f" w{len(tokens)}"}, usage=None)))
    role, finish, done = _frames_around(script.chat, script.model, script.finish)
    usage = {**script.chunk(None), "choices": [], "usage": script.usage(count)}
    return [*role, *tokens[:count], finish, *([] if fault == "usage_missing" else [_lean("usage", usage)]), done]


@cache
def _token_frames(chat: bool, model: str) -> list[Frame]:
    """Those of token 0, 1, …; grows with need."""
    return []


@cache
def _frames_around(chat: bool, model: str, finish: str) -> tuple[list[Frame], Frame, Frame]:
    """(role if it is a chat, finish, done)."""
    script = Script(Plan(), {"messages": [{"content": ""}]} if chat else {}, {}, "")
    script.model = model
    role = [_lean("role", script.chunk(ROLE))] if chat else []
    return role, _lean("finish", script.chunk(None, finish)), ("done", chunked(b"data: [DONE]\n\n"))


def _lean(kind: str, chunk: dict[str, Any]) -> Frame:
    return kind, chunked(b"data: " + json.dumps(chunk, ensure_ascii=True).encode() + b"\n\n")


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
    """Replies due at a time [ns]: one timer for all of them, because asyncio's own cost 5 us each."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._due: list[tuple[int, int, Reply]] = []
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._armed_ns = 0

    def at(self, due_ns: int, reply: Reply) -> None:
        self._count += 1
        heappush(self._due, (due_ns, self._count, reply))
        if self._timer is None or due_ns < self._armed_ns:
            self._arm(due_ns)

    def _arm(self, due_ns: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed_ns = due_ns
        self._timer = self.loop.call_at(due_ns / 1e9, self._ring)

    def _ring(self) -> None:
        self._timer = None
        due = self._due
        until_ns = time.perf_counter_ns() + SOON_NS
        while due and due[0][0] <= until_ns:
            reply = due[0][2]
            next_ns = reply.advance() if reply.line.reply is reply else 0
            if next_ns:
                self._count += 1
                heapreplace(due, (next_ns, self._count, reply))
            else:
                heappop(due)
        if due:
            self._arm(due[0][0])


class Limiter:
    """The limits of one model string."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.under_way = 0
        self.began_s = self.filled_s = time.monotonic()
        self.sizes = {"requests": plan.requests, "tokens": plan.tokens_in_out}
        self.left = {name: float(size) for name, size in self.sizes.items() if size}

    def admits(self, tokens: int) -> bool:
        """Takes a request in, and from the buckets what it costs; or takes nothing."""
        self._fill()
        costs = {"requests": 1, "tokens": tokens}
        if self.plan.at_most and self.under_way >= self.plan.at_most:
            return False
        if any(left < costs[name] for name, left in self.left.items()):
            return False
        for name in self.left:
            self.left[name] -= costs[name]
        self.under_way += 1
        return True

    def _fill(self) -> None:
        now_s = time.monotonic()
        if self.plan.refill == "bucket":
            for name in self.left:
                gained = (now_s - self.filled_s) / self.plan.refill_s * self.sizes[name]
                self.left[name] = min(self.sizes[name], self.left[name] + gained)
            self.filled_s = now_s
        elif now_s - self.filled_s >= self.plan.refill_s:
            self.left = {name: float(self.sizes[name]) for name in self.left}
            self.filled_s += (now_s - self.filled_s) // self.plan.refill_s * self.plan.refill_s

    def headers(self) -> list[str]:
        """As they stand now: until all of it is there again."""
        lines = []
        for name, left in self.left.items():
            reset_s = self.plan.refill_s * (1 - left / self.sizes[name])
            if self.plan.refill == "fixed":
                reset_s = self.filled_s + self.plan.refill_s - time.monotonic()
            if self.plan.announce == "openai":
                values = {"limit": self.sizes[name], "remaining": int(left), "reset": f"{reset_s * 1000:.0f}ms"}
                lines += [f"x-ratelimit-{what}-{name}: {value}" for what, value in values.items()]
            elif self.plan.announce == "anthropic":
                reset = (datetime.now(UTC) + timedelta(seconds=reset_s)).isoformat().replace("+00:00", "Z")
                values = {"limit": self.sizes[name], "remaining": int(left), "reset": reset}
                lines += [f"anthropic-ratelimit-{name}-{what}: {value}" for what, value in values.items()]
        return lines


class Server:
    def __init__(self, log: Path | None, answers: dict[str, str]) -> None:
        self.loop = asyncio.get_running_loop()
        self.alarms = Alarms(self.loop)
        self.written: dict[tuple[object, str, str], list[Frame]] = {}
        self.answers = answers
        self.requests = 0
        self.asked: dict[tuple[str, Plan], int] = {}
        self.connections = 0
        self.rules: list[dict[str, Any]] = []
        self.ruled = 0
        self.limiters: dict[str, Limiter] = {}
        self._log = log.open("a", encoding="utf-8") if log else None
        self.logs = log is not None

    def planned(self, body: dict[str, Any]) -> Plan:
        model = str(body.get("model", ""))
        plan = Plan.of({**dict(parse_qsl(model.partition("?")[2])), **(body.get("fake") or {})})
        self.requests += 1
        plan = self._ruled(plan)
        number = self.asked[(model, plan)] = self.asked.get((model, plan), 0) + 1
        if plan.freeze_ms and number == plan.freeze_at:
            time.sleep(plan.freeze_ms / 1000)
        if plan.fault == "never_ending":
            plan = replace(plan, gap_ms=max(plan.gap_ms, 1.0))
        fault = self._turn(plan.fault, number)
        if fault not in (*FRAMING, *BROKEN, *OTHER):
            raise ValueError(f"unknown fault {plan.fault!r}")
        return plan if fault == plan.fault else replace(plan, fault=fault)

    def limiter(self, body: dict[str, Any], plan: Plan) -> Limiter | None:
        if not (plan.at_most or plan.requests or plan.tokens_in_out):
            return None
        model = str(body.get("model", ""))
        if model not in self.limiters:
            self.limiters[model] = Limiter(plan)
        return self.limiters[model]

    def _ruled(self, plan: Plan) -> Plan:
        """What `POST /control` has ordered: a list of `{"first": 3, "last": 9, …}` with the fields of a Plan, for the
        requests of those numbers since then."""
        self.ruled += 1
        for rule in self.rules:
            if rule.get("first", 1) <= self.ruled <= rule.get("last", 1 << 40):
                wanted = {key: value for key, value in rule.items() if key not in ("first", "last")}
                return replace(plan, **{key: getattr(Plan.of(wanted), key) for key in wanted})
        return plan

    def _turn(self, fault: str, number: int) -> str:
        """The fault whose turn it is: of this server's requests, or of those of one model string for LOADED."""
        if fault in LOADED:
            return LOADED[fault][(number - 1) % len(LOADED[fault])]
        if fault == "rotate":
            return FRAMING[self.requests % len(FRAMING)]
        if fault == "rotate_all":
            slow = ("stall", "slow", "never", "huge", "401", "400", "404", "429", "redirect")
            quick = [name for name in BROKEN if not name.startswith(slow)]
            return quick[self.requests // 2 % len(quick)] if self.requests % 2 else "plain"
        return fault

    def frames(self, script: Script, raw: bytes) -> list[Frame]:
        """What goes onto the wire for a request; kept for the next one that says the same."""
        fault = script.plan.fault
        said: object = raw
        if script.numbered is not None and not script.body.keys() & {"echo", "logprobs"}:
            if fault in LEAN:
                return lean(script)
            said = (script.chat, script.numbered, script.finish, script.prompt_tokens)
        key = (said, fault, script.auth)
        if key in self.written:
            return self.written[key]
        frames = written(script)
        if fault not in (*UNCHUNKED, "bytewise", "split_utf8", "gzip"):
            frames = [(kind, chunked(each)) for kind, each in frames]
        if fault not in ("huge", "big_frame"):
            if len(self.written) > 300:
                self.written.clear()
            self.written[key] = frames
        return frames

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
        self.frames: list[Frame] = []
        self.at = 0
        self.due_ns = self.gap_ns = 0
        self.chunked = True
        self.plan = Plan()
        self.limiter: Limiter | None = None
        self.told: list[str] = []

    def start(self) -> None:
        if "/models" in self.truth.path:
            self.said({"object": "list", "data": [{"id": "fake", "object": "model", "max_model_len": MAX_MODEL_LEN}]})
            return
        try:
            body = json.loads(self.raw)
            if self.truth.path.endswith("/tokenize"):
                tokens = token_ids(body)
                self.said({"count": len(tokens), "max_model_len": MAX_MODEL_LEN, "tokens": tokens})
                return
            if self.truth.path.endswith("/control"):
                self.server.rules, self.server.ruled = body, 0
                self.said({"rules": len(body)})
                return
            self.plan = plan = self.server.planned(body)
        except (ValueError, TypeError) as error:
            self.simple(400, json.dumps({"error": {"message": str(error), "type": "invalid_request_error"}}).encode())
            return
        self.truth.fault, self.truth.body = plan.fault, body
        self.due_ns = self.truth.arrived_ns + round(plan.ttft_ms * 1e6)
        self.gap_ns = round(plan.gap_ms * 1e6)
        script = Script(plan, body, self.server.answers, self.auth)
        if limiter := self.server.limiter(body, plan):
            admitted = limiter.admits(script.prompt_tokens + script.cap)
            self.told = limiter.headers()
            if not admitted:
                self.truth.fault = "limited"
                self.simple(429, _error("too much at once", type="rate_limit_exceeded"))
                return
            self.limiter = limiter
        if plan.fault == "stall_headers":
            return
        if plan.fault == "drop_on_reuse" and self.line.served > 1:
            self.over("dropped", close=True)
        elif plan.fault in ERRORS:
            ERRORS[plan.fault](self)
        elif plan.fault in ("whole", "error_200"):
            error = b'{"error": {"message": "no such thing", "code": 1000}}'
            self.head("application/json")
            self.frames = [("token", chunked(script.whole() if plan.fault == "whole" else error))]
            self.schedule()
        else:
            self.stream(script)

    def said(self, answer: dict[str, Any]) -> None:
        self.simple(200, json.dumps(answer).encode())

    def simple(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        more = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in headers.items())
        more += "".join(f"{line}\r\n" for line in self.told)
        self.truth.over = f"http {status}"
        self.line.write(
            f"HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode()
            + body
        )
        self.over(self.truth.over)

    def stream(self, script: Script) -> None:
        fault = self.plan.fault
        self.frames = self.server.frames(script, self.raw)
        if fault == "reset_before":
            self.over("reset", close=True, reset=True)
            return
        if fault == "interim":
            self.line.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        if fault == "gzip":
            import zlib

            packer = zlib.compressobj(wbits=31)
            packed = [(k, packer.compress(raw) + packer.flush(zlib.Z_SYNC_FLUSH)) for k, raw in self.frames]
            self.frames = [(k, chunked(raw)) for k, raw in [*packed, ("other", packer.flush())]]
        lengths = {"content_length": sum(len(raw) for _, raw in self.frames), "until_close": -1}
        kind = "application/octet-stream" if fault == "wrong_type" else "text/event-stream; charset=utf-8"
        self.head(kind, lengths.get(fault))
        if fault == "cut_before":
            self.over("cut", close=True)
        else:
            self.schedule()

    def head(self, kind: str, length: int | None = None) -> None:
        """`length` None: chunked; -1: until the connection closes."""
        self.chunked = length is None
        lines = [f"Content-Type: {kind}", f"x-request-id: srv-{self.truth.request_id}", *self.told]
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
        if self.server.logs:
            self.truth.kinds.append(kind)
            self.truth.frames_ns.append(time.perf_counter_ns())
        self.line.write(raw)

    def schedule(self) -> None:
        due_ns = self.advance()
        if due_ns:
            self.server.alarms.at(due_ns, self)

    def advance(self) -> int:
        """Writes all that is due; the next token's time [ns], or 0. What is no token goes with what is before it."""
        frames, line, fault = self.frames, self.line, self.plan.fault
        stops, late = STOPS.get(fault), self.plan.role == "late"
        while self.at < len(frames):
            if line.reply is not self:
                return 0
            kind, raw = frames[self.at]
            if stops and self.at and stops(self):
                return 0
            token = kind in TIMED
            if token or (late and kind == "role"):
                if self.due_ns - time.perf_counter_ns() > SOON_NS:
                    return self.due_ns
                if token:
                    self.due_ns += self.gap_ns
            self.emit(kind, raw)
            self.at += 1
            if fault == "never_ending" and self.at == len(frames) - 3:
                self.at -= 1
        if fault != "stall_after_finish":
            self.end()
        return 0

    def end(self) -> None:
        if self.chunked:
            self.line.write(b"0\r\n\r\n")
        self.over("ended", close=self.plan.fault in ("close", "until_close", "drop_idle"))

    def emit(self, kind: str, raw: bytes) -> None:
        if self.plan.fault in ("bytewise", "split_utf8"):
            for n in range(len(raw)):
                self.put(kind if n == len(raw) - 1 else "other", b"1\r\n%c\r\n" % raw[n])
        else:
            self.put(kind, raw)

    def over(self, how: str, *, close: bool = False, reset: bool = False) -> None:
        self.stop(how)
        if close:
            self.line.close(reset=reset)
        else:
            self.loop.call_soon(self.line.look)

    def stop(self, how: str) -> None:
        if self.limiter is not None:
            self.limiter.under_way -= 1
            self.limiter = None
        self.truth.over = how
        self.server.record(self.truth)
        self.line.reply = None


def _html(reply: Reply) -> None:
    reply.simple(
        500, b"<html><head><title>Oh no</title></head><body><h1>Internal\nerror</h1></body></html>", "text/html"
    )


def _wait(reply: Reply, seconds: float) -> str:
    return f"{seconds if reply.plan.wait_s is None else reply.plan.wait_s:g}"


def _later(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def _error(message: str, **more: Any) -> bytes:
    return json.dumps({"error": {"message": message, **more}}).encode()


ERRORS: dict[str, Callable[[Reply], None]] = {
    "429": lambda r: r.simple(429, _error("slow down", type="rate_limit"), Retry_After=_wait(r, 7)),
    "429_soon": lambda r: r.simple(429, _error("slow down", type="rate_limit"), Retry_After=_wait(r, 1)),
    "429_bare": lambda r: r.simple(429, _error("slow down", type="rate_limit")),
    "500": lambda r: r.simple(500, _error("something broke", type="server_error")),
    "502_html": lambda r: r.simple(502, b"<html><head><title>502</title></head>Bad <b>Gateway</b></html>", "text/html"),
    "429_date": lambda r: r.simple(429, _error("slow down"), Retry_After=_later(float(_wait(r, 30)))),
    "429_money": lambda r: r.simple(429, _error("no money left", type="insufficient_quota")),
    "401": lambda r: r.simple(401, _error("who are you?")),
    "400": lambda r: r.simple(400, _error("context too long", code="context_length_exceeded")),
    "404": lambda r: r.simple(404, _error("no such model")),
    "500_html": _html,
    "503": lambda r: r.simple(503, b"", Retry_After=_wait(r, 0.5)),
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
        reply.put("other", raw[: len(raw) // 2])
    reply.over("cut", close=True, reset=reset)
    return True


def _trickle(reply: Reply) -> bool:
    """From here on a byte of a comment every 20 ms, for ever: never silent, and nothing said."""

    def one() -> None:
        if reply.line.reply is reply and not reply.line.closed:
            reply.line.write(b"1\r\n:\r\n")
            reply.loop.call_later(0.02, one)

    one()
    return True


STOPS: dict[str, Callable[[Reply], bool]] = {
    "cut_mid": _cut,
    "cut_in_frame": lambda r: _cut(r, half=True),
    "reset": lambda r: _cut(r, reset=True),
    "slow_loris": lambda r: _trickle(r),
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
    parser.add_argument("--client-ca", type=Path, help="PEM: clients must show a certificate of this authority")
    options = parser.parse_args()
    answers = json.loads(options.answers.read_text()) if options.answers else {}
    tls = None
    if options.cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.cert)
        if options.client_ca:
            tls.verify_mode = ssl.CERT_REQUIRED
            tls.load_verify_locations(options.client_ca)
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
        with self.log_path.open() as lines:
            return [Truth(**json.loads(line)) for line in lines if line.endswith("\n")]

    def truth(self, request_id: str) -> Truth:
        return next(truth for truth in reversed(self.log()) if truth.request_id == request_id)


@contextmanager
def fake_server(
    folder: Path,
    answers: dict[str, str] | None = None,
    cert: Path | None = None,
    *,
    client_ca: Path | None = None,
    logs: bool = True,
) -> Iterator[Running]:
    """Runs one for the length of the block; `folder` keeps its log. It ends with this process, however that ends."""
    log = folder / "fake.jsonl"
    command = [sys.executable, str(Path(__file__).resolve()), "--port", "0"]
    if logs:
        log.touch()
        command += ["--log", str(log)]
    if answers is not None:
        path = folder / "answers.json"
        path.write_text(json.dumps(answers))
        command += ["--answers", str(path)]
    if cert is not None:
        command += ["--cert", str(cert)]
    if client_ca is not None:
        command += ["--client-ca", str(client_ca)]
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
