"""A chat server that does what it is asked, but for the peculiarities it is given: what `bench doctor` must find.

    with peculiar("ignores_stop", "needs_key") as url: ...

It counts, repeats, and obeys system messages, seeds, temperatures, stop strings, caps, tools and schemas; a token is a
word with its blank, and a prompt's tokens are its words and TEMPLATE more. What it was sent is in `Server.bodies`.
"""

from __future__ import annotations

import json
import random
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from math import log
from pathlib import Path
from typing import Any
from zlib import crc32

PECULIARITIES = frozenset({
    "ignores_max_tokens", "ignores_max_completion_tokens", "ignores_every_cap", "refuses_max_tokens",
    "refuses_max_completion_tokens", "refuses_temperature", "ignores_temperature", "fixed_temperature",
    "ignores_seed", "refuses_seed", "ignores_stop", "refuses_stop", "refuses_stream_options", "refuses_obfuscation",
    "refuses_system", "ignores_system", "refuses_developer", "refuses_logprobs", "ignores_logprobs",
    "positive_logprobs", "fat_logprobs", "shifted_echo", "refuses_echo", "truncates", "buffers", "one_piece",
    "renamed", "any_model", "no_usage", "zero_usage", "constant_usage", "wrong_tokenize", "late_clock", "needs_key",
    "needs_key_for_questions", "no_listing", "not_listed", "retires", "priced", "below_v1", "think_tags",
    "reasoning", "reasoning_content", "hidden", "reasoning_apart", "off_by_template", "off_by_effort",
    "off_by_thinking", "broken_characters", "refuses_tools", "cannot_force_tools", "ignores_tools", "wrong_call",
    "refuses_schema", "json_only", "ignores_schema", "says_cost", "says_route", "serial", "breaks_under_load",
    "cached", "limits_rate",
})  # fmt: skip
MODEL = "honest-1"
OTHER = "cheap-1"
KEY = "the-right-key-of-this-test"
CONTEXT = 400
TEMPLATE = 7
SENTENCES = (
    "The sea is wide and deep and blue and cold today indeed my friend yes.",
    "Waves roll over the sand while gulls cry out above the harbour walls again.",
    "Salt and wind and light are what the grey water gives to those who look.",
)
SEA = [sentence.split(" ") for sentence in SENTENCES]
THOUGHT = "seven times seven is forty nine and three more makes fifty two so it is that number"


class Refusal(Exception):
    """Answered with a status and a message."""

    def __init__(self, message: str, status: int = 400, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, oddities: frozenset[str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.oddities = oddities
        self.bodies: list[dict[str, Any]] = []
        self.authorizations: list[str] = []
        self.turn = threading.Lock()
        self.under_way = 0
        self.seen: set[str] = set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def version_string(self) -> str:
        return "peculiar/1.0"

    def date_time_string(self, timestamp: float | None = None) -> str:
        late = timedelta(hours=1) if "late_clock" in self.server.oddities else timedelta()
        return format_datetime(datetime.now(UTC) - late, usegmt=True)

    def do_GET(self) -> None:
        odd, path = self.server.oddities, self.path.partition("?")[0]
        if path == "/version":
            self.said({"version": "0.1.0-peculiar"})
        elif path.endswith("/models") and "no_listing" not in odd and not ("below_v1" in odd and path != "/v1/models"):
            if "needs_key" in odd and not self.known():
                self.refuse(Refusal("no or wrong key", 401, "invalid_api_key"))
                return
            self.said({"object": "list", "data": self.listing()})
        else:
            self.refuse(Refusal(f"nothing at {path}", 404, "not_found"))

    def listing(self) -> list[dict[str, Any]]:
        entry: dict[str, Any] = {"id": MODEL, "owned_by": "peculiar", "max_model_len": CONTEXT}
        if "retires" in self.server.oddities:
            entry["shutdown_date"] = "2027-01-14"
        if "priced" in self.server.oddities:
            entry["pricing"] = {"prompt": "0.0000002", "completion": "0.0000006"}
        return [*([] if "not_listed" in self.server.oddities else [entry]), {"id": OTHER}]

    def known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {KEY}"

    def do_POST(self) -> None:
        odd = self.server.oddities
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.authorizations.append(self.headers.get("Authorization", ""))
        try:
            if odd & {"needs_key", "needs_key_for_questions"} and not self.known():
                raise Refusal("no or wrong key", 401, "invalid_api_key")
            if self.path == "/tokenize":
                factor = 2 if "wrong_tokenize" in odd else 1
                self.said({"count": factor * len(body["prompt"].split())})
                return
            if not self.path.startswith("/v1/"):
                raise Refusal(f"nothing at {self.path}", 404)
            self.server.bodies.append(body)
            if "limits_rate" in odd and len(self.server.bodies) % 4 == 0:
                raise Refusal("slow down", 429, "rate_limit_exceeded")
            self.answer(Answer(body, odd, self.server.seen))
        except Refusal as refusal:
            self.refuse(refusal)

    def answer(self, answer: Answer) -> None:
        odd = self.server.oddities
        self.server.under_way += 1
        try:
            if "breaks_under_load" in odd and self.server.under_way > 1:
                raise Refusal("only one at a time", 503)
            if "serial" in odd:
                with self.server.turn:
                    self.stream(answer, pause_s=0.004)
            else:
                self.stream(answer, pause_s=0.004 if "breaks_under_load" in odd else 0.0)
        finally:
            self.server.under_way -= 1

    def stream(self, answer: Answer, *, pause_s: float) -> None:
        events = [*answer.events()]
        if "buffers" in self.server.oddities:
            time.sleep(0.15)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("x-request-id", "req-from-the-server")
        self.send_header("x-ratelimit-remaining-requests", "99")
        if "says_route" in self.server.oddities:
            self.send_header("x-inference-provider", "node-7")
        self.end_headers()
        raw = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events] + [b"data: [DONE]\n\n"]
        if "one_piece" in self.server.oddities or "buffers" in self.server.oddities:
            raw = [b"".join(raw)]
        try:
            for piece in raw:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                if pause_s:
                    time.sleep(pause_s)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    def said(self, value: object) -> None:
        self.whole(200, json.dumps(value).encode())

    def refuse(self, refusal: Refusal) -> None:
        error = {"error": {"message": str(refusal), "type": "invalid_request_error", "code": refusal.code}}
        self.whole(refusal.status, json.dumps(error).encode())

    def whole(self, status: int, raw: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        if status == 429:
            self.send_header("Retry-After", "0.01")
        self.end_headers()
        self.wfile.write(raw)


class Answer:
    """What is said to one body; raises `Refusal`."""

    def __init__(self, body: dict[str, Any], odd: frozenset[str], seen: set[str]) -> None:
        self.body, self.odd = body, odd
        self.chat = "messages" in body
        self.check()
        self.prompt = body["messages"][-1]["content"] if self.chat else body["prompt"]
        words = " ".join(m["content"] for m in body["messages"]).split() if self.chat else self.prompt.split()
        self.in_tokens = len(words) + (TEMPLATE if self.chat else 0)
        if self.in_tokens > CONTEXT:
            if "truncates" not in odd:
                raise Refusal(
                    f"the prompt of {self.in_tokens} tokens exceeds {CONTEXT}", code="context_length_exceeded"
                )
            self.in_tokens = CONTEXT
        if "constant_usage" in odd:
            self.in_tokens = 5
        self.cached = self.in_tokens - 1 if "cached" in odd and self.prompt in seen else 0
        seen.add(self.prompt)
        self.call = self.calls()
        self.thoughts = self.thinks()
        self.words, self.finish = self.capped(self.stopped(self.says()))

    def check(self) -> None:
        body, odd = self.body, self.odd
        if body["model"] != MODEL and "any_model" not in odd:
            raise Refusal(f"the model {body['model']!r} does not exist", 404, "model_not_found")
        for cap, other in (("max_tokens", "max_completion_tokens"), ("max_completion_tokens", "max_tokens")):
            if cap in body and f"refuses_{cap}" in odd:
                raise Refusal(
                    f"Unsupported parameter: '{cap}' is not supported with this model. Use '{other}' instead."
                )
        for name in ("temperature", "seed", "stop", "stream_options", "logprobs", "tools", "echo"):
            if not (body.get(name) is None or body[name] is False) and f"refuses_{name}" in odd:
                raise Refusal(f"Unsupported parameter: {name!r}")
        if "refuses_obfuscation" in odd and "include_obfuscation" in (body.get("stream_options") or {}):
            raise Refusal("stream_options.include_obfuscation: extra fields not permitted")
        for message in body.get("messages", []):
            if f"refuses_{message['role']}" in odd:
                raise Refusal(f"role {message['role']!r} is not supported")
        if "cannot_force_tools" in odd and body.get("tool_choice") not in (None, "auto"):
            raise Refusal("tool_choice: only auto is supported")
        form = (body.get("response_format") or {}).get("type")
        if form and ("refuses_schema" in odd or ("json_only" in odd and form == "json_schema")):
            raise Refusal(f"response_format {form} is not supported")

    def dice(self) -> random.Random:
        seed = self.body.get("seed") if "ignores_seed" not in self.odd else None
        return random.Random(seed)

    def says(self) -> list[str]:
        prompt, system = (
            str(self.prompt),
            [m for m in self.body.get("messages", []) if m["role"] in ("system", "developer")],
        )
        if self.call:
            return []
        if "blue" in (system[0]["content"] if system else prompt) and "ignores_system" not in self.odd:
            return ["blue"]
        if self.body.get("response_format") and "ignores_schema" not in self.odd:
            return ['{"city":', ' "Paris",', ' "population":', " 2100000}"]
        if "Count from 1 to" in prompt:
            last = int(prompt.partition("Count from 1 to ")[2].partition(" ")[0].strip(",."))
            return (
                ["1", *(f" {n}" for n in range(2, last + 1))]
                if last > 9
                else ["1", *(f", {n}" for n in range(2, last + 1))]
            )
        if "one sentence" in prompt:
            return self.sentence()
        if "Repeat exactly: " in prompt:
            text = prompt.partition("Repeat exactly: ")[2]
            text = text.encode().decode("latin-1") if "broken_characters" in self.odd else text
            return [text[i : i + 2] for i in range(0, len(text), 2)]
        if "weeks" in prompt:
            return ["52"]
        if "copy: " in prompt:
            return [f" {c}" if i == 0 else c for i, c in enumerate(prompt.rpartition("copy: ")[2].partition("\n")[0])]
        return ["ok"]

    def sentence(self) -> list[str]:
        heat = self.body.get("temperature", 1.0)
        if "ignores_temperature" in self.odd:
            heat = 1.0
        if "fixed_temperature" in self.odd:
            heat = 0.0
        if not heat:
            return [f" {word}" for word in SEA[0]]
        dice = self.dice()
        return [f" {dice.choice(dice.choice(SEA))}" for _ in range(16)]

    def calls(self) -> dict[str, Any] | None:
        if not self.body.get("tools") or "ignores_tools" in self.odd:
            return None
        name, value = ("get_time", 7) if "wrong_call" in self.odd else ("get_weather", "Paris")
        function = {"name": name, "arguments": json.dumps({"city": value})}
        return {"index": 0, "id": "call_1", "type": "function", "function": function}

    def thinks(self) -> list[str]:
        shapes = self.odd & {"think_tags", "reasoning", "reasoning_content", "hidden"}
        body = self.body
        off = (
            ("off_by_template" in self.odd and body.get("chat_template_kwargs") == {"enable_thinking": False})
            or ("off_by_effort" in self.odd and body.get("reasoning_effort") == "none")
            or ("off_by_thinking" in self.odd and body.get("thinking") == {"type": "disabled"})
        )
        return [f" {word}" for word in THOUGHT.split(" ")] * 2 if shapes and not off else []

    def stopped(self, words: list[str]) -> list[str]:
        if "ignores_stop" in self.odd:
            return words
        text = "".join(words)
        at = min((text.find(stop) for stop in self.body.get("stop") or [] if stop in text), default=None)
        out, length = [], 0
        for word in words:
            if at is not None and length + len(word) > at:
                return [*out, word[: at - length]] if at > length else out
            out.append(word)
            length += len(word)
        return out

    def capped(self, words: list[str]) -> tuple[list[str], str]:
        caps = [self.body[name] for name in ("max_tokens", "max_completion_tokens")
                if name in self.body and f"ignores_{name}" not in self.odd]  # fmt: skip
        cap = min(caps, default=1 << 20) if "ignores_every_cap" not in self.odd else 1 << 20
        if len(self.thoughts) >= cap:
            self.thoughts = self.thoughts[:cap]
            return [], "length"
        room = cap - len(self.thoughts)
        if self.call:
            return [], "tool_calls"
        return (words[:room], "length") if len(words) > room else (words, "stop")

    def events(self) -> Iterator[dict[str, Any]]:
        if self.chat:
            yield self.event({"role": "assistant", "content": ""})
        yield from self.thinking()
        if self.body.get("echo"):
            yield self.event(self.prompt, told=self.told(self.prompt_words(), shift="shifted_echo" in self.odd))
        if self.call:
            yield self.event({"tool_calls": [self.call]})
        before = self.prompt_words()[-1:] if not self.chat else []
        for word in self.words:
            told = self.told([*before, word])[1:] if before else self.told([word])
            yield self.event({"content": word} if self.chat else word, told=told)
            before = [word]
        yield self.event({} if self.chat else "", self.finish)
        if "no_usage" not in self.odd and ("stream_options" in self.body or "refuses_stream_options" in self.odd):
            yield {**self.event({}, None), "choices": [], "usage": self.usage()}

    def thinking(self) -> Iterator[dict[str, Any]]:
        if not self.thoughts or "hidden" in self.odd:
            return
        if "think_tags" in self.odd:
            yield self.event({"content": "<think>"})
        field = next(iter(self.odd & {"reasoning", "reasoning_content"}), "content")
        for word in self.thoughts:
            yield self.event({field: word})
        if "think_tags" in self.odd and self.finish != "length":
            yield self.event({"content": "</think>\n"})

    def prompt_words(self) -> list[str]:
        pieces = str(self.prompt).split(" ")
        words = [pieces[0], *(f" {piece}" for piece in pieces[1:])]
        out = [part for word in words for part in word.partition("\nAnswer:") if part]
        tail = out[-1] if out else ""
        return [*out[:-1], *([tail[:2], *tail[2:]] if len(tail) > 1 and tail.startswith(" ") else [tail])]

    def told(self, words: list[str], *, shift: bool = False) -> list[tuple[str, float | None]]:
        """Words with the log-probability that each has after the one before it."""
        values: list[float | None] = [None]
        for before, word in pairwise(words):
            values.append(log((1 + crc32(f"{before.strip()}|{word.strip()}".encode()) % 90) / 100))
        if not self.body.get("echo") and len(words) == 1:
            values = [log(0.5)]
        if shift:
            values = [None, *values[2:], -0.5]
        return list(zip(words, values, strict=True))

    def event(
        self, said: dict[str, Any] | str, finish: str | None = None, told: list[tuple[str, float | None]] | None = None
    ) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
        choice |= {"delta": said} if self.chat else {"text": said if isinstance(said, str) else ""}
        asked = self.body.get("logprobs") not in (None, False) and "ignores_logprobs" not in self.odd
        if told and asked:
            choice["logprobs"] = self.chat_logprobs(told) if self.chat else self.plain_logprobs(told)
        model = OTHER if "renamed" in self.odd else self.body["model"]
        return {"id": "c1", "object": "chunk", "created": 1, "model": model, "choices": [choice]}

    def chat_logprobs(self, told: list[tuple[str, float | None]]) -> dict[str, Any]:
        return {"content": [{"token": word, "logprob": self.odd_value(value), "top_logprobs": self.top(word, value)}
                            for word, value in told]}  # fmt: skip

    def top(self, word: str, value: float | None) -> list[dict[str, Any]]:
        fat = "fat_logprobs" in self.odd
        rest = [{"token": f"~{n}", "logprob": log(0.4 if fat else 0.05)} for n in range(4)]
        return [{"token": word, "logprob": self.odd_value(value)}, *rest]

    def plain_logprobs(self, told: list[tuple[str, float | None]]) -> dict[str, Any]:
        return {"tokens": [word for word, _ in told], "token_logprobs": [self.odd_value(v) for _, v in told]}

    def odd_value(self, value: float | None) -> float | None:
        return 3.0 if "positive_logprobs" in self.odd else value

    def usage(self) -> dict[str, Any]:
        thought = len(self.thoughts)
        out = len(self.words) + (1 if self.call else 0)
        said = {"prompt_tokens": self.in_tokens, "completion_tokens": 0 if "zero_usage" in self.odd else out + thought}
        if "reasoning_apart" in self.odd:
            said["completion_tokens"] = out
        usage: dict[str, Any] = {**said, "prompt_tokens_details": {"cached_tokens": self.cached}}
        if thought:
            usage["completion_tokens_details"] = {"reasoning_tokens": thought}
        if "says_cost" in self.odd:
            usage["cost"] = 0.00042
        return usage


@contextmanager
def peculiar(*oddities: str, cert: Path | None = None) -> Iterator[tuple[str, Server]]:
    """(base URL, server) for the length of the block; over TLS with a PEM of key and certificate."""
    if unknown := set(oddities) - PECULIARITIES:
        raise ValueError(f"nobody is peculiar in that way: {unknown}")
    server = Server(frozenset(oddities))
    scheme = "http"
    if cert is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}/v1", server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
