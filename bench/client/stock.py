"""httpx's own transport, where ours does not serve: behind a proxy, for HTTP/2, or when the caller brings one.

Stamps are then taken after httpx has parsed each read, and the row says so: `stamp_source` is `httpx`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx

from bench.client.exchange import HIGH_WATER_BYTES, Exchange
from bench.client.way import proxy_of, tls_of, tunnel_of
from bench.errors import ConfigError
from bench.records import Endpoint


def stock_transport(endpoint: Endpoint) -> httpx.AsyncBaseTransport | None:
    """A transport of httpx if this endpoint needs one (quirk `http2`, or a proxy that opens no tunnel), else None."""
    proxy = proxy_of(endpoint)
    http2 = bool(endpoint.quirks.get("http2"))
    if (proxy is None or tunnel_of(endpoint) is not None) and not http2:
        return None
    try:
        return httpx.AsyncHTTPTransport(
            verify=tls_of(endpoint),
            http2=http2,
            proxy=proxy,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
        )
    except ImportError as error:
        what = "HTTP/2" if http2 else "a SOCKS proxy"
        extra = "http2" if http2 else "socks"
        raise ConfigError(f"target {endpoint.target_id} asks for {what}; pip install 'httpx[{extra}]' first") from error


@asynccontextmanager
async def opened(
    http: httpx.AsyncClient, request: httpx.Request, begun: Callable[[Exchange], None]
) -> AsyncIterator[tuple[httpx.Response, Exchange]]:
    """Sends through httpx's transport; the exchange fills by a task that stamps each piece httpx hands over."""
    exchange = Exchange(asyncio.get_running_loop(), reused=None, silence_s=None)
    exchange.source = "httpx"
    exchange.sent_ns = time.perf_counter_ns()

    async def trace(name: str, _: dict[str, Any]) -> None:
        if name == "connection.connect_tcp.started":
            exchange.reused = False
        elif name.endswith("send_request_headers.started"):
            exchange.reused = exchange.reused is None
            exchange.sent_ns = time.perf_counter_ns()

    request.extensions["trace"] = trace
    begun(exchange)
    response = await http.send(request, stream=True)
    exchange.status, exchange.headers_ns = response.status_code, time.perf_counter_ns()
    exchange.last_ns = exchange.headers_ns
    pump = asyncio.create_task(_pump(response, exchange))
    try:
        yield response, exchange
    finally:
        pump.cancel()
        with suppress(asyncio.CancelledError):
            await pump
        await response.aclose()


async def _pump(response: httpx.Response, exchange: Exchange) -> None:
    drained = asyncio.Event()
    exchange.on_drained = drained.set
    assert isinstance(response.stream, httpx.AsyncByteStream)
    try:
        async for piece in response.stream:
            exchange.last_ns = time.perf_counter_ns()
            exchange.bytes_in += len(piece)
            exchange.on_body(piece)
            if exchange.bytes_waiting > 2 * HIGH_WATER_BYTES:
                exchange.wake()
                drained.clear()
                await drained.wait()
    except httpx.TransportError as error:
        exchange.fail(error)
    else:
        exchange.end()
    finally:
        # Whatever happened, nobody waits for more.
        exchange.fail(httpx.ReadError("reading the answer was given up"))
