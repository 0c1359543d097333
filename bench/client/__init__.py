"""Sends one Request to one Endpoint, stamps what returns, and makes it a Measurement.

The bytes are stamped by `bench.client.transport` as they arrive; they are parsed here later, in short slices, one
answer at a time, so that reading always comes first. A failure is a row, never an exception and never an answer.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

import httpx

from bench.client.attempt import Attempt
from bench.client.auth import signer_of
from bench.client.exchange import Exchange, NotHttp
from bench.client.failures import failure_of, one_line
from bench.client.fold import Fold
from bench.client.keys import Secrets, key_of
from bench.client.loop import collector, new_event_loop
from bench.client.stock import opened, stock_transport
from bench.client.transport import Transport, origin_of, serialised
from bench.client.way import passwords_of, proxy_of, tls_of, tunnel_of
from bench.errors import Broken, ConfigError, Garbled, RequestError, TimedOut, Unreachable
from bench.records import Endpoint, Measurement, Request
from bench.wires import Outgoing, listing_path, wire

__all__ = ["Client", "Lane", "Prepared", "key_of", "new_event_loop", "probe"]

Lane = Literal["httpx", "raw"]
OnHead = Callable[[int, Mapping[str, str]], None]
MAX_ERROR_BYTES = 64 << 10
MAX_ANSWER_BYTES = 256 << 20
_NOTHING = httpx.ByteStream(b"")
_ID_MARK = "the-id-of-this-request"
_LOOK_S = 1.0
"""How often a stream is looked at while it runs: for its deadlines, and for an end that the server never closes."""
_SLICE = 32
"""Reads folded before other tasks, and the sockets, get their turn: about 0.2 ms."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request, and what will go out for it: bytes in the raw lane, unless it is to be signed as it leaves."""

    request: Request
    outgoing: httpx.Request | bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back of a request that asks no question: the listing of batches, a file."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes = field(repr=False)


class Client:
    """One endpoint's client; an async context manager that belongs to the event loop it is used in."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        run_id: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        max_connections: int | None = None,
        lane: Lane = "httpx",
    ) -> None:
        """Raises `ConfigError` for an unknown wire, a missing key or a base URL that is none.

        Lane `raw` hands bytes to the same sockets without httpx's objects around them: the same stamps and rows, for
        rates where those objects cost too much. It goes through no proxy and speaks no HTTP/2.
        """
        self.endpoint = endpoint
        self.run_id = run_id
        self.wire = wire(endpoint.wire)
        self.secrets = Secrets.of(endpoint)
        self.inflight = 0
        """Requests under way, those waiting for a connection included."""
        self.on_head: OnHead | None = None
        """Told the status and headers of every answer to a question, as they come: limits are announced there."""
        self._base = _base_url(endpoint)
        self._origin = origin_of(self._base)
        first_s = endpoint.first_token_timeout_s
        self._timeouts = {"connect": endpoint.connect_timeout_s, "read": first_s, "write": first_s, "pool": None}
        self.secrets = self.secrets.also(passwords_of(proxy_of(endpoint)))
        files = endpoint.ca_file or endpoint.client_cert or endpoint.client_key
        trust = tls_of(endpoint) if files else None  # what is wrong with a file is said before anything is sent
        own = (
            transport
            or stock_transport(endpoint)
            or Transport(
                max_connections=max_connections,
                tls=lambda: trust or tls_of(endpoint),
                proxy=tunnel_of(endpoint),
            )
        )
        self._http = httpx.AsyncClient(transport=own, trust_env=False)
        self._transport = own if isinstance(own, Transport) else None
        self._raw = lane == "raw"
        if self._raw and self._transport is None:
            raise ConfigError(
                f"target {endpoint.target_id}: the raw client speaks no HTTP/2 and no proxy that opens no tunnel; "
                "use --client httpx"
            )
        self._signer = signer_of(endpoint, self.secrets)
        self._urls: dict[str, httpx.URL] = {}
        self._heads: dict[tuple[Any, ...], tuple[bytes, bytes]] = {}
        # Guards the processor, not data: between two reads of the sockets one request is built or one slice of an
        # answer is parsed, however many begin or end together.
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        collector.hold()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        collector.release()
        await self._http.__aexit__(exc_type, exc_value, traceback)

    def prepare(self, request: Request) -> Prepared:
        """The request as it will go out, built before it is due; ConfigError when this wire cannot carry it."""
        outgoing = self.wire.encode(self.endpoint, request)
        content = json.dumps(outgoing.body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        if self._raw and self._signer is None:
            return Prepared(request, self._raw_request(outgoing, request.request_id, content))
        headers = {"x-request-id": request.request_id, **outgoing.headers}
        return Prepared(request, self._request("POST", outgoing.path, headers, content))

    async def send(
        self,
        request: Request | Prepared,
        *,
        sched_ns: int | None = None,
        on_cancel: Callable[[Measurement], None] | None = None,
    ) -> Measurement:
        """One attempt at one question; a failure is a row. What is prepared goes out at once, else it takes turns.

        `sched_ns`: when it was due, where the request could not know it.

        Raises only `ConfigError` (this wire cannot carry the request) and the caller's own cancellation, which closes
        the connection first and hands the row with status `cancelled` to `on_cancel`.
        """
        asked = request.request if isinstance(request, Prepared) else request
        fold = Fold(self.wire, self.endpoint, asked, self.secrets.redact)
        attempt = Attempt(asked, fold, self.run_id, self.endpoint.target_id, self.secrets.redact)
        attempt.sched_ns = sched_ns or asked.sched_ns
        self.inflight += 1
        try:
            async with asyncio.timeout(self.endpoint.total_timeout_s):
                prepared = request if isinstance(request, Prepared) else await self._prepared(request)
                await self._converse(attempt, prepared)
            return attempt.answered()
        except RequestError as error:
            return attempt.failed(error)
        except TimeoutError:
            limit = self.endpoint.total_timeout_s
            return attempt.failed(TimedOut(f"no complete answer within {limit:g} s, {attempt.fold.progress()}"))
        except asyncio.CancelledError:
            if on_cancel is not None:
                on_cancel(attempt.cancelled())
            raise
        finally:
            self.inflight -= 1

    async def models(self) -> list[str]:
        """The names that the endpoint lists; raises `RequestError`."""
        listed = await self.get_json(listing_path(self.wire))
        entries = listed.get("data", listed.get("models")) if isinstance(listed, dict) else listed
        if not isinstance(entries, list):
            raise Garbled(f"{self.endpoint.base_url}/models is not a list of models")
        found = [entry.get("id") or entry.get("name") for entry in entries if isinstance(entry, dict)]
        return [name.removeprefix("models/") for name in found if isinstance(name, str)]

    async def get_json(self, path: str) -> Any:
        """One GET below the base URL; raises `RequestError`."""
        return await self._json(self._request("GET", path, {}, b""), path)

    async def post_json(
        self, path: str, body: Mapping[str, Any], *, beside: bool = False, timeout_s: float | None = None
    ) -> Any:
        """One POST of a JSON body below the base URL, or `beside` its version part (`/tokenize`); `RequestError`."""
        request = self._request("POST", path, {}, json.dumps(body, ensure_ascii=False).encode())
        if beside:
            head, mark, query = self._base.raw_path.partition(b"?")
            root = re.sub(rb"/v\d+/*$", b"", head.rstrip(b"/"))
            request.url = self._base.copy_with(raw_path=root + path.encode() + mark + query)
        return await self._json(request, path, timeout_s)

    async def call(
        self,
        method: str,
        address: str,
        *,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        at_most_bytes: int = MAX_ANSWER_BYTES,
    ) -> Answered:
        """One request beside the questions; `address` is a path below the base URL, or a URL of the same origin.

        Raises `RequestError` unless the status is 2xx, `Garbled` for an address elsewhere (the key goes nowhere else)
        and for a body that reaches `at_most_bytes`.
        """
        request = self._request(method, address if address.startswith("/") else "/", headers or {}, content)
        if not address.startswith("/"):
            request.url = self._same_origin(address)
        limit_s = self.endpoint.total_timeout_s
        try:
            async with (
                asyncio.timeout(limit_s),
                self._open(request, lambda _: None) as (status, head, exchange),
            ):
                fine = 200 <= status < 300
                body = await _whole(exchange, at_most_bytes) if fine else await _body(exchange, MAX_ERROR_BYTES)
                if exchange.error is not None and fine:
                    raise Broken(f"{method} {request.url.path}: the answer was cut: {exchange.error}")
        except TimeoutError as error:
            raise TimedOut(f"{method} {request.url.path}: no answer within {limit_s:g} s") from error
        if not fine:
            raise failure_of(status, head, body, redact=self.secrets.redact)
        if len(body) >= at_most_bytes:
            raise Garbled(f"{method} {request.url.path}: the answer is larger than {at_most_bytes >> 20} MiB")
        return Answered(status, {name.lower(): value for name, value in head.items()}, body)

    def _same_origin(self, address: str) -> httpx.URL:
        try:
            url = httpx.URL(address)
            elsewhere = origin_of(url) != self._origin
        except (httpx.InvalidURL, ValueError) as error:
            raise Garbled(f"the server names an address that is none: {one_line(address)[:80]!r}") from error
        if elsewhere:
            raise Garbled(f"the server points to {url.host}, which is not its own address; no key is sent there")
        return url

    async def _json(self, request: httpx.Request, path: str, timeout_s: float | None = None) -> Any:
        limit_s = timeout_s or self.endpoint.first_token_timeout_s
        try:
            async with (
                asyncio.timeout(limit_s),
                self._open(request, lambda _: None) as (status, headers, exchange),
            ):
                body = await _body(exchange, MAX_ANSWER_BYTES)
        except TimeoutError as error:
            raise TimedOut(f"{path}: no answer within {limit_s:g} s") from error
        if status != 200:
            raise failure_of(status, headers, body, redact=self.secrets.redact)
        try:
            return json.loads(self.secrets.redact(body.decode("utf-8", "replace")))
        except (ValueError, RecursionError) as error:
            raise Garbled(f"{path}: the answer is not JSON", http_status=200) from error

    async def _prepared(self, request: Request) -> Prepared:
        async with self._turn:
            # Others' reads come first: a burst of requests is handed out one per round of the loop.
            await asyncio.sleep(0)
        return self.prepare(request)

    async def _converse(self, attempt: Attempt, prepared: Prepared) -> None:
        """Sends, and folds what comes until it is over or a deadline has passed."""

        def begun(exchange: Exchange) -> None:
            attempt.begun(exchange, self.inflight)

        async with self._open(prepared.outgoing, begun) as (status, headers, exchange):
            attempt.headed(status, headers)
            if self.on_head is not None:
                self.on_head(status, headers)
            if status != 200:
                body = await _body(exchange, MAX_ERROR_BYTES)
                raise failure_of(status, headers, body, redact=self.secrets.redact)
            unpack = await self._unpacking(attempt.fold, headers, exchange)
            await self._stream(attempt.fold, exchange, unpack)

    async def _unpacking(self, fold: Fold, headers: Mapping[str, str], exchange: Exchange) -> Unpack | None:
        """Looks at the content's type and coding; raises `Garbled` for a page where a stream should be."""
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json" or kind.endswith("+json"):
            fold.expect_json()
        elif kind in ("text/html", "application/xhtml+xml"):
            page = self.secrets.redact((await _body(exchange, MAX_ERROR_BYTES)).decode("utf-8", "replace"))
            raise Garbled(f"HTTP 200 with {kind} instead of a stream: {one_line(page)[:80]!r}", http_status=200)
        coding = headers.get("content-encoding", "identity").strip().lower()
        if coding in ("gzip", "deflate"):
            return zlib.decompressobj(47 if coding == "gzip" else 15).decompress
        if coding != "identity":
            raise Garbled(f"the server sent content-encoding {one_line(coding)!r}, which was not asked for")
        return None

    async def _stream(self, fold: Fold, exchange: Exchange, unpack: Unpack | None) -> None:
        first_ns, stall_ns = (
            int(s * 1e9) for s in (self.endpoint.first_token_timeout_s, self.endpoint.stall_timeout_s)
        )
        sent_ns = exchange.sent_ns or time.perf_counter_ns()
        while not exchange.ended:
            due_ns = exchange.last_ns + stall_ns if fold.token_ns else sent_ns + first_ns
            await exchange.wait(max(0.0, min(_LOOK_S, (due_ns - time.perf_counter_ns()) / 1e9)))
            await self._fold(fold, exchange, unpack)
            silence_ns = time.perf_counter_ns() - exchange.last_ns
            if exchange.ended:
                break
            if fold.end_ns is not None:
                if silence_ns > min(stall_ns, _LOOK_S * 1e9):
                    return
            elif fold.token_ns and silence_ns > stall_ns:
                raise TimedOut(f"silence of {self.endpoint.stall_timeout_s:g} s inside the stream, {fold.progress()}")
            elif fold.token_ns and time.perf_counter_ns() - fold.token_ns[-1] > first_ns:
                limit = self.endpoint.first_token_timeout_s
                raise TimedOut(f"no token for {limit:g} s inside the stream, although bytes came, {fold.progress()}")
            elif not fold.token_ns and time.perf_counter_ns() - sent_ns > first_ns:
                raise TimedOut(f"no token within {self.endpoint.first_token_timeout_s:g} s")
        await self._fold(fold, exchange, unpack)
        if exchange.error is None:
            fold.close()
        elif fold.end_ns is None:
            raise Broken(f"the stream was cut {fold.progress()}: {exchange.error}") from exchange.error

    async def _fold(self, fold: Fold, exchange: Exchange, unpack: Unpack | None) -> None:
        if exchange.bytes_in > MAX_ANSWER_BYTES:
            raise Garbled(f"the answer is larger than {MAX_ANSWER_BYTES >> 20} MiB; it was given up")
        async with self._turn:
            stamps, pieces = exchange.take()
            for start in range(0, len(pieces), _SLICE):
                some: Iterable[bytes] = pieces[start : start + _SLICE]
                try:
                    fold.take(zip(stamps[start : start + _SLICE], map(unpack, some) if unpack else some, strict=True))
                except zlib.error as error:
                    raise Garbled(f"the compressed answer cannot be unpacked: {error}") from error
                await asyncio.sleep(0)

    def _request(self, method: str, path: str, headers: Mapping[str, str], content: bytes) -> httpx.Request:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = self._base.copy_with(raw_path=_below(self._base, path))
        return httpx.Request(
            method,
            url,
            headers={
                "Accept": "text/event-stream, application/json",
                "Accept-Encoding": "identity",
                "Content-Type": "application/json",
                "User-Agent": "gapbench",
                **headers,
                **self.secrets.headers,
            },
            content=content,
            extensions={"timeout": self._timeouts},
        )

    def _raw_request(self, outgoing: Outgoing, request_id: str, content: bytes) -> bytes:
        """What httpx would send, from a head that is built once for each path and set of headers."""
        kind = (outgoing.path, *outgoing.headers.items())
        head = self._heads.get(kind)
        if head is None:
            headers = {"x-request-id": _ID_MARK, **outgoing.headers}
            whole = serialised(self._request("POST", outgoing.path, headers, b""), b"")
            before, _, after = whole.replace(b"Content-Length: 0\r\n", b"").partition(_ID_MARK.encode())
            head = self._heads[kind] = before, after[:-2]
        return b"%b%b%bContent-Length: %d\r\n\r\n%b" % (head[0], request_id.encode(), head[1], len(content), content)

    @asynccontextmanager
    async def _open(
        self, outgoing: httpx.Request | bytes, begun: Callable[[Exchange], None]
    ) -> AsyncIterator[tuple[int, Mapping[str, str], Exchange]]:
        """An answer whose head has come; closed at the end. The one place where httpx's errors become ours."""
        try:
            if self._signer is not None and isinstance(outgoing, httpx.Request):
                await self._signer.fresh()
                self._signer.sign(outgoing)
                outgoing = serialised(outgoing, outgoing.content) if self._raw else outgoing
            if isinstance(outgoing, bytes):
                assert self._transport is not None
                exchange = await self._transport.exchange(self._origin, outgoing, self._timeouts, begun)
                try:
                    yield exchange.status, _plain_headers(exchange), exchange
                finally:
                    await exchange.aclose()
                return
            if self._transport is None:
                async with opened(self._http, outgoing, begun) as (response, exchange):
                    yield response.status_code, response.headers, exchange
                return
            outgoing.extensions["begun"] = begun
            response = await self._http.send(outgoing, stream=True)
            try:
                yield response.status_code, response.headers, response.extensions["exchange"]
            finally:
                await response.aclose()
                # Answer and request hold each other, and the answer its stream: only the collector would free them.
                outgoing.extensions.clear()
                response.stream = _NOTHING
        except httpx.HTTPError as error:
            raise self._translated(error) from error

    def _translated(self, error: httpx.HTTPError) -> RequestError | ConfigError:
        said = one_line(self.secrets.redact(str(error))) or type(error).__name__
        match error:
            case httpx.LocalProtocolError() | httpx.UnsupportedProtocol():
                return ConfigError(f"target {self.endpoint.target_id}: {said}")
            case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.ProxyError():
                return Unreachable(said)
            case httpx.TimeoutException():
                return TimedOut(said)
            case NotHttp():
                return Garbled(said)
            case _:
                return Broken(said)


Unpack = Callable[[bytes], bytes]


async def probe(base_url: str, *, timeout_s: float = 0.5) -> list[str] | None:
    """The models of an OpenAI-compatible server, if one answers there in time; None if none does."""
    endpoint = Endpoint(
        target_id=base_url,
        base_url=base_url,
        wire="openai_chat",
        model="",
        connect_timeout_s=timeout_s,
        first_token_timeout_s=timeout_s,
    )
    try:
        async with Client(endpoint) as client:
            return await client.models()
    except (RequestError, ConfigError):
        return None


async def _body(exchange: Exchange, at_most_bytes: int) -> bytes:
    """The body so far as it comes, cut at the bound; what a broken connection left is enough for a message."""
    body = b""
    while True:
        ended = exchange.ended
        body += b"".join(exchange.take()[1])
        if ended or len(body) >= at_most_bytes:
            return body[:at_most_bytes]
        await exchange.wait(_LOOK_S)


async def _whole(exchange: Exchange, at_most_bytes: int) -> bytes:
    """The same for large bodies: joined once."""
    pieces: list[bytes] = []
    size = 0
    while True:
        ended = exchange.ended
        arrived = exchange.take()[1]
        pieces += arrived
        size += sum(map(len, arrived))
        if ended or size >= at_most_bytes:
            return b"".join(pieces)[:at_most_bytes]
        await exchange.wait(_LOOK_S)


def _plain_headers(exchange: Exchange) -> dict[str, str]:
    """The answer's headers by lower-case name; of several by one name the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in exchange.headers}


def _base_url(endpoint: Endpoint) -> httpx.URL:
    try:
        url = httpx.URL(endpoint.base_url)
    except (httpx.InvalidURL, TypeError) as error:
        raise ConfigError(f"target {endpoint.target_id}: base_url {endpoint.base_url!r} is no URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(
            f"target {endpoint.target_id}: base_url {endpoint.base_url!r} is no URL; write http://HOST:PORT/v1"
        )
    return url


def _below(base: httpx.URL, path: str) -> bytes:
    """The path below the base URL's, the queries of both (Azure's `api-version`, Gemini's `alt`) kept behind."""
    head, _, query = base.raw_path.partition(b"?")
    below, _, more = path.encode().partition(b"?")
    queries = b"&".join(part for part in (more, query) if part)
    return head.rstrip(b"/") + below + (b"?" + queries if queries else b"")
