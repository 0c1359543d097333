"""An `httpx.AsyncBaseTransport` on non-blocking sockets that stamps bytes before anything else happens to them.

HTTP/1.1 over TCP (kernel stamps on Linux) or TLS (stamped when read), with keep-alive. The read callback does a
`recvmsg`, a stamp and `httptools`, nothing more; whoever sent the request looks at the pieces when it suits.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import sys
import time
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

import httpx

from bench.client.connection import Connection, Origin, Tls, reason_of
from bench.client.exchange import MAX_HEAD_BYTES, Exchange
from bench.client.readiness import Readiness, readiness
from bench.client.stamps import KERNEL_STAMPS, SO_TIMESTAMPNS, Stamper

_READ_BYTES = 256 << 10
_STALE_S = 0.3
"""A kept connection that ends this soon without a word had been closed before the request came; one that ends later may
have been at work on it."""
_OTHER_ADDRESS_S = 1.0
"""How long an address may keep us waiting while the host has another one."""

Address = tuple[int, Any]
Timeouts = Mapping[str, float | None]
"""Seconds by what is waited for: `connect`, `read`; None = for ever."""
Begun = Callable[[Exchange], None]


class Transport(httpx.AsyncBaseTransport):
    """A pool of stamping connections; belongs to the event loop it is first used in."""

    def __init__(
        self,
        *,
        max_connections: int | None = None,
        stamper: Callable[[], Stamper] = Stamper,
        tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        proxy: httpx.URL | None = None,
    ) -> None:
        """`proxy`: an HTTP proxy that opens tunnels; for https addresses only."""
        self._slots = asyncio.Semaphore(max_connections) if max_connections else None
        self._stamper = stamper
        self._idle: defaultdict[Origin, list[Connection]] = defaultdict(list)
        self._all: set[Connection] = set()
        self._make_tls = tls
        self._proxy = proxy
        self._tls: ssl.SSLContext | None = None
        self._keeper: socket.socket | None = None
        self._readers: Readiness | None = None
        self._buffer = memoryview(bytearray(_READ_BYTES))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends, and returns when the head has come; `extensions["exchange"]` goes on filling.

        A callable in the request's extension `begun` gets each exchange as its bytes are handed to the socket.
        """
        raw = serialised(request, await request.aread())
        timeouts = request.extensions.get("timeout", {})
        exchange = await self.exchange(origin_of(request.url), raw, timeouts, request.extensions.get("begun"))
        return httpx.Response(
            exchange.status,
            headers=exchange.headers,
            stream=exchange,
            extensions={"exchange": exchange, "http_version": b"HTTP/1.1"},
        )

    async def exchange(self, origin: Origin, raw: bytes, timeouts: Timeouts, begun: Begun | None = None) -> Exchange:
        """Sends the bytes of one request; the exchange with its head, which goes on filling.

        `begun` gets each exchange as its bytes are handed to the socket.
        """
        if self._slots is not None:
            await self._slots.acquire()
        try:
            exchange = await self._answered(origin, raw, timeouts, begun)
        except BaseException:
            self._free_slot()
            raise
        exchange.when_over(self._free_slot)
        return exchange

    async def aclose(self) -> None:
        for connection in list(self._all):
            connection.close()
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
        if self._readers is not None:
            self._readers.close()
            self._readers = None

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def _answered(self, origin: Origin, raw: bytes, timeouts: Timeouts, begun: Begun | None) -> Exchange:
        """The exchange with its head. A kept connection that the server had closed is replaced once: one that ended at
        once and without a word."""
        silence_s = timeouts.get("read")
        kept = self._kept(origin)
        if kept is not None:
            exchange = self._begin(kept, raw, silence_s, begun, reused=True)
            try:
                return await self._head(kept, exchange, timeouts)
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                if exchange.bytes_in or time.perf_counter_ns() - (exchange.sent_ns or 0) > _STALE_S * 1e9:
                    raise
        fresh = await self._connect(origin, timeouts.get("connect"))
        return await self._head(fresh, self._begin(fresh, raw, silence_s, begun, reused=False), timeouts)

    def _begin(
        self, connection: Connection, raw: bytes, silence_s: float | None, begun: Begun | None, *, reused: bool
    ) -> Exchange:
        exchange = Exchange(asyncio.get_running_loop(), reused=reused, silence_s=silence_s)
        connection.begin(exchange, raw)
        if begun is not None:
            begun(exchange)
        return exchange

    async def _head(self, connection: Connection, exchange: Exchange, timeouts: Timeouts) -> Exchange:
        arrived = False
        try:
            await exchange.head(timeouts.get("read"))
            arrived = True
        finally:
            if not arrived:
                connection.close()
        return exchange

    def _kept(self, origin: Origin) -> Connection | None:
        idle = self._idle[origin]
        while idle:
            connection = idle.pop()
            if not connection.closed:
                return connection
        return None

    def _free_slot(self) -> None:
        if self._slots is not None:
            self._slots.release()

    def _done(self, connection: Connection, *, keep: bool) -> None:
        """A connection has finished its exchange, or is gone."""
        if keep:
            self._idle[connection.origin].append(connection)
        else:
            self._all.discard(connection)
            idle = self._idle[connection.origin]
            if connection in idle:
                idle.remove(connection)

    async def _connect(self, origin: Origin, at_most_s: float | None) -> Connection:
        scheme, host, port = origin
        if self._keeper is None:
            make_room_for_files()
            self._keeper = _stamping_on()
        try:
            async with asyncio.timeout(at_most_s):
                sock = await (_connected(host, port) if self._proxy is None else _tunnelled(self._proxy, host, port))
                tls = await self._handshaken(sock, host) if scheme == "https" else None
        except TimeoutError as error:
            limit = f" within {at_most_s:g} s" if at_most_s else ""
            raise httpx.ConnectTimeout(f"no connection to {host}:{port}{limit}") from error
        except ssl.SSLCertVerificationError as error:
            why = f"{error.verify_message}; name the right authority in SSL_CERT_FILE, or as the target's ca_file"
            raise httpx.ConnectError(f"the certificate of {host}:{port} is not trusted: {why}") from error
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(f"no connection to {host}:{port}: {reason_of(error)}") from error
        loop = asyncio.get_running_loop()
        if self._readers is None:
            self._readers = readiness(loop)
        connection = Connection(loop, self._readers, sock, tls, origin, self._stamper(), self._buffer, self._done)
        self._all.add(connection)
        return connection

    async def _handshaken(self, sock: socket.socket, host: str) -> Tls:
        if self._tls is None:
            self._tls = self._make_tls()
            self._tls.set_alpn_protocols(["http/1.1"])
        tls = Tls(self._tls, host)
        done = False
        try:
            await tls.handshake(asyncio.get_running_loop(), sock)
            done = True
        finally:
            if not done:
                sock.close()
        return tls


def origin_of(url: httpx.URL) -> Origin:
    """Where a connection for this address goes."""
    return url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)


def make_room_for_files() -> None:
    """Raises the limit on open files as far as the system allows, up to 65,536: each stream needs one.

    Also makes the process's table of them grow now: Linux holds a process for some 10 ms each time it doubles, which
    would fall into the middle of a burst.
    """
    if sys.platform == "win32":
        return
    import fcntl
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    with suppress(OSError), socket.socket() as one:
        os.close(fcntl.fcntl(one, fcntl.F_DUPFD, min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 8192) - 1))


def _stamping_on() -> socket.socket:
    """A socket that keeps the kernel stamping: it starts late for the first socket to ask, and ends with the last."""
    keeper = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if KERNEL_STAMPS:
        with suppress(OSError):
            keeper.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return keeper


async def _connected(host: str, port: int) -> socket.socket:
    """A connected socket to the first address of the host that answers."""
    loop = asyncio.get_running_loop()
    addresses = await _addresses(host, port)
    for index, (family, address) in enumerate(addresses):
        last = index == len(addresses) - 1
        sock = socket.socket(family, socket.SOCK_STREAM)
        done = False
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if KERNEL_STAMPS:
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            async with asyncio.timeout(None if last else _OTHER_ADDRESS_S):
                await loop.sock_connect(sock, address)
            done = True
            return sock
        except OSError:
            # TimeoutError is one: the next address gets its turn.
            if last:
                raise
        finally:
            if not done:
                sock.close()
    raise OSError(f"{host} has no address")


async def _tunnelled(proxy: httpx.URL, host: str, port: int) -> socket.socket:
    """A socket that a proxy has connected to the host; raises `ProxyError` if it did not (RFC 9110, section 9.3.6)."""
    loop = asyncio.get_running_loop()
    at = f"{proxy.host}:{proxy.port or 80}"
    try:
        sock = await _connected(proxy.host, proxy.port or 80)
    except OSError as error:
        raise httpx.ProxyError(f"no connection to the proxy {at}: {reason_of(error)}") from error
    done = False
    try:
        await loop.sock_sendall(sock, _connect_request(proxy, host, port))
        answer = b""
        # Byte by byte at the end of the head: what follows belongs to whoever speaks through the tunnel.
        while not answer.endswith(b"\r\n\r\n"):
            piece = await loop.sock_recv(sock, 1)
            if not piece or len(answer) > MAX_HEAD_BYTES:
                raise httpx.ProxyError(f"the proxy {at} closed the connection instead of opening a tunnel")
            answer += piece
        status = answer.partition(b"\r\n")[0].decode("latin-1")
        if not re.match(r"HTTP/1\.[01] 2\d\d\b", status):
            raise httpx.ProxyError(f"the proxy {at} opens no tunnel to {host}:{port}: {status}")
        done = True
        return sock
    finally:
        if not done:
            sock.close()


def _connect_request(proxy: httpx.URL, host: str, port: int) -> bytes:
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}", "User-Agent: gapbench"]
    if proxy.userinfo:
        told = b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {told}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def _addresses(host: str, port: int) -> list[Address]:
    try:
        # A literal address needs no resolver, and so no thread.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


def serialised(request: httpx.Request, body: bytes) -> bytes:
    """The bytes of a request; raises `LocalProtocolError` for a header that would break its line."""
    lines = [b"%b %b HTTP/1.1\r\n" % (request.method.encode("ascii"), request.url.raw_path)]
    for name, value in request.headers.raw:
        if b"\n" in value or b"\r" in value or b"\0" in value:
            raise httpx.LocalProtocolError(f"header {name.decode('latin-1')!r} holds a line break")
        lines.append(b"%b: %b\r\n" % (name, value))
    return b"".join((*lines, b"\r\n", body))
