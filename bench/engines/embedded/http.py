"""HTTP/1.1 for the embedded server: httptools reads, a transport writes; requests of a connection go in order."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Protocol

import httptools

Json = dict[str, Any]
MOST_BODY_BYTES = 8 << 20


class Cancellable(Protocol):
    def cancel(self) -> None: ...


Route = Callable[[str, str, bytes, "Exchange"], Cancellable | None]
"""(method, path, body, exchange) -> what to cancel if the client goes away; answers through the exchange."""


class Exchange:
    """The answer to one request: either `finish(body)`, or `event` any number of times and `finish(None)`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._streaming = False

    def event(self, data: bytes) -> None:
        """One server-sent event, written at once."""
        head = b""
        if not self._streaming:
            self._streaming = True
            head = _head(
                200, "text/event-stream; charset=utf-8", "transfer-encoding: chunked\r\ncache-control: no-cache"
            )
        self._connection.write(head + f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def finish(self, body: Json | None, status: int = 200) -> None:
        if body is None:
            self._connection.write(b"0\r\n\r\n")
        else:
            raw = json.dumps(body, separators=(",", ":")).encode()
            self._connection.write(_head(status, "application/json", f"content-length: {len(raw)}") + raw)
        self._connection.answered()


class Connection(asyncio.Protocol):
    """One client. httptools calls the `on_*` methods as the bytes come in."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[str, str, bytes, bool]] = deque()
        self._busy = False
        self._keep_alive = True
        self._running: Cancellable | None = None
        self._url, self._body = b"", b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._running:
            self._running.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if self._busy and self._transport is not None:
                return self._transport.abort()  # an answer is under way: nothing may be written into it
            self._keep_alive = False
            Exchange(self).finish({"error": {"message": f"not HTTP: {error}", "type": "invalid_request_error"}}, 400)

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def answered(self) -> None:
        """The answer is out: close, or turn to the next request of this connection."""
        self._busy, self._running = False, None
        if not self._keep_alive and self._transport is not None:
            self._transport.close()
        elif self._waiting:
            asyncio.get_running_loop().call_soon(self._next)

    def on_message_begin(self) -> None:
        self._url, self._body = b"", b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"expect":
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > MOST_BODY_BYTES:
            raise httptools.HttpParserError(f"body over {MOST_BODY_BYTES} bytes")

    def on_message_complete(self) -> None:
        path = httptools.parse_url(self._url).path.decode()
        method = self._parser.get_method().decode()
        self._waiting.append((method, path, self._body, self._parser.should_keep_alive()))
        if not self._busy:
            self._next()

    def _next(self) -> None:
        if self._busy or not self._waiting:
            return
        method, path, body, self._keep_alive = self._waiting.popleft()
        self._busy = True
        running = self._route(method, path, body, Exchange(self))
        if self._busy:
            self._running = running


def _head(status: int, content_type: str, more: str) -> bytes:
    reason = HTTPStatus(status).phrase
    return f"HTTP/1.1 {status} {reason}\r\ncontent-type: {content_type}\r\n{more}\r\n\r\n".encode()
