"""A server that does nothing but keep time: against it a client sees its own error, and nothing else.

    python -m bench.load.null_server        (prints its URL; ends when its standard input does)

Each answer is `tokens` events, one every `gap_ms` (0: all at once), by the model's name: `null?tokens=40&gap_ms=20`.
When each was written is said in the last event's `system_fingerprint`, `FIRST,FINISH`, in nanoseconds of the machine's
monotonic clock, which is the client's clock too.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import sys
import time
from typing import cast
from urllib.parse import parse_qsl

from bench.client.loop import new_event_loop

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_CHAT = (
    '{{"id":"null","object":"chat.completion.chunk","model":"null",'
    '"choices":[{{"index":0,"delta":{},"finish_reason":{}}}]{}}}'
)


class Line(asyncio.Protocol):
    """One connection: one answer after the other."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._inbox = b""
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._left = self._tokens = 0
        self._gap_s = self._due_s = 0.0
        self._first_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._inbox += data
        head, found, body = self._inbox.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or (length and len(body) < int(length[1])):
            return
        self._inbox = b""
        asked = json.loads(body)
        plan = dict(parse_qsl(asked["model"].partition("?")[2]))
        self._tokens = self._left = int(plan.get("tokens", 40))
        self._gap_s = float(plan.get("gap_ms", 20)) / 1000
        self._due_s = self._loop.time() + self._gap_s
        self._write(_HEAD)
        if self._gap_s:
            self._timer = self._loop.call_at(self._due_s, self._token)
        else:
            self._first_ns = time.perf_counter_ns()
            self._write(TOKEN * self._tokens)
            self._finish()

    def _token(self) -> None:
        if self._transport is None:
            return
        if self._left == self._tokens:
            self._first_ns = time.perf_counter_ns()
        self._write(TOKEN)
        self._left -= 1
        if self._left:
            self._due_s += self._gap_s
            self._timer = self._loop.call_at(self._due_s, self._token)
        else:
            self._finish()

    def _finish(self) -> None:
        usage = f',"usage":{{"prompt_tokens":1,"completion_tokens":{self._tokens}}}'
        stamps = f',"system_fingerprint":"{self._first_ns},{time.perf_counter_ns()}"'
        self._write(_event(_CHAT.format("{}", '"stop"', usage + stamps)) + _event("[DONE]") + b"0\r\n\r\n")

    def _write(self, raw: bytes) -> None:
        if self._transport is not None:
            self._transport.write(raw)


def _event(payload: str) -> bytes:
    data = f"data: {payload}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


TOKEN = _event(_CHAT.format('{"content":" null"}', "null", ""))


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Line, "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    gone = asyncio.Event()
    loop.add_reader(0, lambda: None if os.read(0, 64) else gone.set())
    await gone.wait()


def main() -> int:
    gc.disable()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
