"""One connection: a non-blocking socket, TLS in memory if need be, and the read callback that stamps what arrives."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

import httpx

from bench.client.exchange import HIGH_WATER_BYTES, Exchange
from bench.client.readiness import Readiness
from bench.client.stamps import ANCILLARY_BYTES, Stamper, kernel_ns

Origin = tuple[str, str, int]


class Tls:
    """TLS in memory: the socket stays ours, so that reading it stays one callback."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.plain = context.wrap_bio(self.incoming, self.outgoing, server_hostname=host)

    async def handshake(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        while True:
            try:
                self.plain.do_handshake()
            except ssl.SSLWantReadError:
                await loop.sock_sendall(sock, self.outgoing.read())
                received = await loop.sock_recv(sock, 1 << 16)
                if not received:
                    raise ConnectionResetError("the server closed the connection during the TLS handshake") from None
                self.incoming.write(received)
            else:
                await loop.sock_sendall(sock, self.outgoing.read())
                return

    def encrypted(self, raw: bytes) -> bytes:
        self.plain.write(raw)
        return self.outgoing.read()

    def decrypted(self, raw: memoryview) -> tuple[bytes, bool]:
        """(plain bytes of one read, whether the server said that it sends no more)."""
        self.incoming.write(raw)
        pieces: list[bytes] = []
        while True:
            try:
                piece = self.plain.read(1 << 16)
            except ssl.SSLWantReadError:
                return b"".join(pieces), False
            except ssl.SSLZeroReturnError:
                return b"".join(pieces), True
            if not piece:
                return b"".join(pieces), True
            pieces.append(piece)


class Connection:
    """One socket. Reads whenever something comes, also between requests, so that a server's close is seen at once."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        readers: Readiness,
        sock: socket.socket,
        tls: Tls | None,
        origin: Origin,
        stamper: Stamper,
        buffer: memoryview,
        done: Callable[..., None],
    ) -> None:
        self.origin = origin
        self.closed = False
        self._loop = loop
        self._readers = readers
        self._sock = sock
        self._fd = sock.fileno()
        self._tls = tls
        self._stamper = stamper
        self._buffer = buffer
        self._done = done
        self._unsent = b""
        self._paused = False
        self._exchange: Exchange | None = None
        readers.add(self._fd, self._readable)

    def begin(self, exchange: Exchange, raw: bytes) -> None:
        """Hands a request to the socket; `sent_ns` is the moment before its first byte."""
        self._exchange = exchange
        exchange.on_drained, exchange.on_abandoned = self._resume, self.close
        self._unsent = self._tls.encrypted(raw) if self._tls else raw
        exchange.sent_ns = self._stamper.start()
        self._writable()

    def close(self) -> None:
        """Closes the socket, with whatever was under way."""
        if self.closed:
            return
        self.closed = True
        self._readers.remove(self._fd)
        self._loop.remove_writer(self._fd)
        self._sock.close()
        self._leave(httpx.ReadError("the connection was closed by us"))
        self._done(self, keep=False)

    def _writable(self) -> None:
        try:
            sent = self._sock.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            # The reader learns why, and may still find an answer (413) before the end.
            self._unsent = b""
            sent = 0
        self._unsent = self._unsent[sent:]
        if self._unsent:
            self._loop.add_writer(self._fd, self._writable)
        else:
            self._loop.remove_writer(self._fd)

    def _readable(self) -> None:
        try:
            count, ancillary, _, _ = self._sock.recvmsg_into([self._buffer], ANCILLARY_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lost(httpx.ReadError(f"the connection broke: {reason_of(error)}"))
            return
        exchange = self._exchange
        if not count or exchange is None:
            self._closed_by_server()
            return
        stamp = self._stamper.arrived(kernel_ns(ancillary), use=self._tls is None)
        raw: bytes | memoryview = self._buffer[:count]
        closing = False
        if self._tls:
            try:
                raw, closing = self._tls.decrypted(self._buffer[:count])
            except ssl.SSLError as error:
                self._lost(httpx.ReadError(f"TLS broke: {reason_of(error)}"))
                return
            self._flush_tls()
        if len(raw):
            exchange.read(stamp, raw)
        if exchange.ended:
            self._finish(exchange)
        elif closing:
            self._closed_by_server()
        elif exchange.bytes_waiting > 2 * HIGH_WATER_BYTES:
            self._paused = True
            self._readers.remove(self._fd)

    def _flush_tls(self) -> None:
        """What TLS itself has to say (key updates)."""
        assert self._tls is not None
        if self._tls.outgoing.pending:
            self._unsent += self._tls.outgoing.read()
            self._writable()

    def _finish(self, exchange: Exchange) -> None:
        if exchange.keep_alive and not self._unsent:
            self._leave(None)
            self._done(self, keep=True)
        else:
            self.close()

    def _closed_by_server(self) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.status and exchange.until_close:
            exchange.end()
            self.close()
        else:
            self._lost(httpx.RemoteProtocolError("the server closed the connection before the answer was complete"))

    def _lost(self, error: httpx.TransportError) -> None:
        self._leave(error)
        self.close()

    def _leave(self, error: httpx.TransportError | None) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        exchange.source = self._stamper.source
        # Without any stamp of the kernel's nobody knows how late a read was.
        exchange.lag_max_ns = self._stamper.lag_max_ns or (None if exchange.source == "read" else 0)
        exchange.leave()
        if error is not None:
            exchange.fail(error)

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._readers.add(self._fd, self._readable)


def reason_of(error: OSError | UnicodeError) -> str:
    """What the system says of an error, without its number."""
    return str(getattr(error, "strerror", None) or error)
