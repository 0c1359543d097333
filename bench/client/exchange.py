"""One answer as it comes off a socket: head, and pieces of the body with the stamp of the read that brought each.

The socket's reader fills it, whoever asked empties it; nothing of the body is parsed in between. A reader that runs
more than `HIGH_WATER_BYTES` ahead wakes the asker, and stops reading the socket at twice that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Literal

import httptools
import httpx

HIGH_WATER_BYTES = 1 << 20
MAX_HEAD_BYTES = 256 << 10

Taken = tuple[list[int], list[bytes]]


class NotHttp(httpx.RemoteProtocolError):
    """What came is no HTTP/1.1."""


class Exchange(httpx.AsyncByteStream):
    """Also the byte stream of the `httpx.Response`, so that everything httpx does with a response works."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, reused: bool | None, silence_s: float | None) -> None:
        self._loop = loop
        self._silence_s = silence_s
        self._waiter: asyncio.Future[None] | None = None
        self._interim = False
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self.on_drained: Callable[[], None] | None = None
        self.on_abandoned: Callable[[], None] | None = None
        self._on_over: Callable[[], None] | None = None
        self.reused = reused
        self.source: Literal["kernel", "read", "httpx"] | None = None
        self.lag_max_ns: int | None = None
        self.sent_ns: int | None = None
        self.headers_ns: int | None = None
        self.last_ns = 0
        """Stamp of the read under way, or of the last one; 0 before the first byte."""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        # Two lists and no pairs: a container for every event would wake the garbage collector, which stops everything.
        self._stamps: list[int] = []
        self._pieces: list[bytes] = []
        self.bytes_waiting = 0
        self.bytes_in = 0
        self.until_close = False
        """The body has neither a length nor chunks: it ends where the connection does."""
        self.keep_alive = False
        self.ended = False
        self.error: httpx.TransportError | None = None

    def read(self, stamp: int, raw: bytes | memoryview) -> None:
        """Bytes of one read, straight from the socket; `httptools` calls the `on_…` methods below."""
        self.last_ns = stamp
        self.bytes_in += len(raw)
        if self._parser is None:
            return
        try:
            self._parser.feed_data(raw)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.keep_alive = False
            self.fail(NotHttp(f"the bytes are not HTTP/1.1: {error}"))
            return
        if not self.status and self.bytes_in > MAX_HEAD_BYTES:
            self.fail(NotHttp(f"the answer's head is larger than {MAX_HEAD_BYTES >> 10} KiB"))
        elif self.bytes_waiting > HIGH_WATER_BYTES:
            self.wake()

    def on_message_begin(self) -> None:
        # A second answer nobody asked for: the connection is out of step.
        self.keep_alive = self.keep_alive and not self.ended

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.ended:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.ended or self._parser is None:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._interim = True
            self.headers.clear()
            return
        named = {name.lower() for name, _ in self.headers}
        self.until_close = not named & {b"content-length", b"transfer-encoding"} and status not in (204, 304)
        self.status, self.headers_ns = status, self.last_ns
        self.wake()

    def on_body(self, piece: bytes) -> None:
        if self.ended:
            return
        self._stamps.append(self.last_ns)
        self._pieces.append(piece)
        self.bytes_waiting += len(piece)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        elif not self.ended and self._parser is not None:
            self.keep_alive = self._parser.should_keep_alive()
            self.end()

    def end(self) -> None:
        """Nothing more will come."""
        self.ended = True
        self.wake()
        if self._on_over is not None:
            self._on_over()
            self._on_over = None

    def leave(self) -> None:
        """The connection has let go of it. Parser and exchange hold each other: without this only the collector, which
        is kept from looking at all there is while streams run, would free them."""
        self.on_drained = self.on_abandoned = None
        self._parser = None

    def when_over(self, act: Callable[[], None]) -> None:
        """Calls `act` once, when the answer is over or given up; now, if it already is."""
        if self.ended:
            act()
        else:
            self._on_over = act

    def fail(self, error: httpx.TransportError) -> None:
        """The answer is over, badly; what came before is kept."""
        if not self.ended:
            self.error = error
            self.end()

    async def wait(self, at_most_s: float) -> None:
        """Until there is something to do: head complete, answer over, high water reached, or time is up."""
        if self.ended or self.bytes_waiting > HIGH_WATER_BYTES:
            return
        self._waiter = self._loop.create_future()
        alarm = self._loop.call_later(at_most_s, self.wake)
        try:
            await self._waiter
        finally:
            alarm.cancel()
            self._waiter = None

    async def head(self, at_most_s: float | None) -> None:
        """Until the head has come; raises what went wrong before it."""
        try:
            async with asyncio.timeout(at_most_s):
                while not self.status and not self.ended:
                    await self.wait(3600)
        except TimeoutError as error:
            if not self.status:  # a process that was held up finds the answer there, and the time over
                raise httpx.ReadTimeout(f"no answer within {at_most_s:g} s") from error
        if not self.status:
            raise self.error or httpx.RemoteProtocolError("the answer ended before its head")

    def take(self) -> Taken:
        """Stamps and pieces of what has come since the last call, in order."""
        taken = self._stamps, self._pieces
        self._stamps, self._pieces, self.bytes_waiting = [], [], 0
        if self.on_drained is not None:
            self.on_drained()
        return taken

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            ended, before = self.ended, self.bytes_in
            for piece in self.take()[1]:
                yield piece
            if ended:
                if self.error is not None:
                    raise self.error
                return
            try:
                async with asyncio.timeout(self._silence_s):
                    while not self.ended and self.bytes_in == before:
                        await self.wait(0.05)
            except TimeoutError as error:
                raise httpx.ReadTimeout(f"silence of {self._silence_s:g} s inside the answer") from error

    async def aclose(self) -> None:
        """Give up what has not come yet; the connection is closed unless the answer was complete."""
        if self.on_abandoned is not None:
            self.on_abandoned()

    def wake(self) -> None:
        """Lets `wait` return."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
