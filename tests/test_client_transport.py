"""Transport: stamping sockets under httpx's own API; TLS, dead connections, odd heads, floods and names."""

import asyncio
import gzip
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from fake import Running, fake_server

from bench.client import Client, new_event_loop
from bench.client.exchange import HIGH_WATER_BYTES, Exchange
from bench.client.stamps import Stamper
from bench.client.transport import Transport, make_room_for_files
from bench.records import Endpoint, Measurement, Request

DONE = b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


def run(main: Callable[[], Awaitable[Any]], loop: Callable[[], Any] = new_event_loop) -> Any:
    async def whole() -> Any:
        return await main()

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(whole())


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def scripted(script: Script, host: str = "127.0.0.1") -> Any:
    """A server in this loop that does exactly what the script says, once a request has come; yields its URL."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, host, 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
    finally:
        server.close()


async def a_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    return head + await reader.readexactly(length)


def endpoint(url: str, **more: Any) -> Endpoint:
    limits = {"first_token_timeout_s": 5.0, "stall_timeout_s": 5.0, "total_timeout_s": 10.0}
    return Endpoint(target_id="t", base_url=url, wire="openai_chat", model="m", **{**limits, **more})


def ask(n: int = 0, prompt: str = "hello") -> Request:
    return Request(request_id=f"t{n}", request_key="k", prompt=prompt)


def sent_to(script: Script, n: int = 1, **more: Any) -> list[Measurement]:
    async def main() -> list[Measurement]:
        async with scripted(script) as url, Client(endpoint(url, **more)) as client:
            return [await client.send(ask(i)) for i in range(n)]

    return run(main)


def answering(*raw: bytes) -> Script:
    """Writes the pieces one by one, then closes."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await a_request(reader)
        for piece in raw:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.002)

    return script


# ── httpx's API over it ──


def test_it_serves_plain_httpx(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        async with httpx.AsyncClient(transport=Transport()) as http:
            assert (await http.get(f"{url}/models")).json()["data"][0]["id"] == "fake"
            body = {"model": "fake?tokens=30&gap_ms=1", "messages": [{"role": "user", "content": "x"}]}
            async with http.stream("POST", f"{url}/chat/completions", json=body) as response:
                exchange: Exchange = response.extensions["exchange"]
                lines = [line async for line in response.aiter_lines() if line]
            assert (len(lines), lines[-1]) == (34, "data: [DONE]")
            assert exchange.source == "kernel"
            assert exchange.sent_ns <= exchange.headers_ns <= exchange.last_ns

    with fake_server(tmp_path) as server:
        run(lambda: main(server.url))


def test_httpx_timeouts_hold(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        async with httpx.AsyncClient(transport=Transport(), timeout=0.2) as http:
            for fault in ("stall_headers", "stall_mid"):
                body = {"model": f"fake?fault={fault}", "messages": [{"role": "user", "content": "x"}]}
                with pytest.raises(httpx.ReadTimeout):
                    await http.post(f"{url}/chat/completions", json=body)

    with fake_server(tmp_path) as server:
        run(lambda: main(server.url))


# ── TLS ──


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls_server(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("tls")
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "cert.pem")
    with fake_server(folder, cert=folder / "cert.pem") as running:
        yield running


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, new_event_loop], ids=["asyncio", "uvloop"])
def test_tls_with_the_systems_certificates_streams_and_is_kept(
    tls_server: Running, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: Any
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    async def main() -> list[Measurement]:
        url = tls_server.url.replace("127.0.0.1", "localhost")
        tls = Endpoint(target_id="t", base_url=url, wire="openai_chat", model="fake?tokens=40&gap_ms=1")
        async with Client(tls) as client:
            rows = [await client.send(Request(request_id=f"tls{i}", request_key="k", prompt="x")) for i in range(3)]
            return rows + await asyncio.gather(*(client.send(ask(i)) for i in range(8)))

    rows = run(main, loop)
    assert {(m.status, m.chunks, m.stamp_source) for m in rows} == {("ok", 40, "read")}
    assert [m.connection_reused for m in rows[:3]] == [False, True, True]


def test_an_untrusted_certificate_is_a_row_that_says_what_to_do(
    tls_server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)

    async def main() -> Measurement:
        async with Client(endpoint(tls_server.url)) as client:
            return await client.send(ask())

    m = run(main)
    assert m.status == "connect_error"
    assert "SSL_CERT_FILE" in (m.error or "")


def test_plain_where_tls_is_spoken_and_tls_where_it_is_not_are_rows(tls_server: Running, tmp_path: Path) -> None:
    async def main(plain: str) -> tuple[Measurement, Measurement]:
        async with Client(endpoint(tls_server.url.replace("https", "http"))) as client:
            one = await client.send(ask())
        async with Client(endpoint(plain.replace("http", "https"), connect_timeout_s=0.5)) as client:
            return one, await client.send(ask())

    with fake_server(tmp_path) as server:
        plain, tls = run(lambda: main(server.url))
    assert plain.status in ("stream_cut", "garbled")
    assert tls.status == "connect_error"


# ── heads and bodies ──


def test_an_interim_head_is_passed_over() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    rows = sent_to(answering(early, HEAD + b"Content-Length: %d\r\n\r\n" % len(DONE), DONE))
    assert [(m.status, m.answer, m.http_status) for m in rows] == [("ok", "hi", 200)]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (HEAD + b"Content-Length: %d\r\n\r\n" % (len(DONE) + 5) + DONE, "ok"),
        (HEAD + b"Content-Length: %d\r\n\r\n" % len(DONE) + DONE[:40], "stream_cut"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", "stream_cut"),
        (HEAD + b"\r\n" + DONE, "ok"),
        (HEAD.replace(b"/1.1", b"/1.0") + b"\r\n" + DONE, "ok"),
        (HEAD + b"\r\n" + DONE[:40], "stream_cut"),
        (b"", "stream_cut"),
        (b"HTTP/1.1 200 O", "stream_cut"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "garbled"),
        (HEAD + b"X: " + b"x" * 300_000, "garbled"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "http_error"),
        (HEAD + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\nxx", "garbled"),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx", "garbled"),
        (HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(DONE), "ok"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value[-24:]),
)
def test_every_way_a_body_can_end(raw: bytes, status: str) -> None:
    (m,) = sent_to(answering(raw))
    assert m.status == status, m.error


def test_bytes_after_the_answer_close_the_connection_instead_of_confusing_the_next() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await a_request(reader)
        writer.write(
            HEAD + b"Content-Length: %d\r\n\r\n" % len(DONE) + DONE + b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"
        )
        await a_request(reader)

    rows = sent_to(script, n=2)
    assert [(m.status, m.connection_reused) for m in rows] == [("ok", False)] * 2


def test_an_answer_before_the_request_is_read_is_still_an_answer() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large")
        await writer.drain()
        await asyncio.sleep(0.1)

    async def main() -> Measurement:
        async with scripted(script) as url, Client(endpoint(url)) as client:
            return await client.send(ask(prompt="x" * 8_000_000))

    m = run(main)
    assert (m.status, m.http_status) == ("http_error", 413)


def test_a_large_request_is_sent_whole() -> None:
    lengths: list[int] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        lengths.append(len(await a_request(reader)))
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(DONE) + DONE)

    async def main() -> Measurement:
        async with scripted(script) as url, Client(endpoint(url)) as client:
            return await client.send(ask(prompt="y" * 6_000_000))

    assert run(main).status == "ok"
    assert lengths[0] > 6_000_000


def test_a_flood_stops_being_read_until_it_is_looked_at() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await a_request(reader)
        writer.write(HEAD + b"\r\n")
        for _ in range(400):
            writer.write(b": " + b"x" * 99_998)
            await writer.drain()

    async def main() -> int:
        async with scripted(script) as url, httpx.AsyncClient(transport=Transport()) as http:
            async with http.stream("POST", f"{url}/x", content=b"x") as response:
                exchange: Exchange = response.extensions["exchange"]
                for _ in range(500):
                    await asyncio.sleep(0.02)
                    if exchange.bytes_waiting > 2 * HIGH_WATER_BYTES:
                        break
                await asyncio.sleep(0.1)
                held = exchange.bytes_waiting
                total = sum([len(piece) async for piece in response.aiter_raw()])
                assert total == 40_000_000
            return held

    assert 2 * HIGH_WATER_BYTES < run(main) < 4 * HIGH_WATER_BYTES


def test_a_header_that_would_break_the_line_is_refused_before_it_is_sent() -> None:
    async def main() -> None:
        async with httpx.AsyncClient(transport=Transport()) as http:
            with pytest.raises(httpx.LocalProtocolError, match="x-bad"):
                await http.get("http://127.0.0.1:9/", headers=[(b"x-bad", b"a\r\nb: c")])

    run(main)


# ── addresses and limits ──


def test_ipv6_and_names_are_reached() -> None:
    script = answering(HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(DONE) + DONE)

    async def main() -> list[str]:
        statuses = []
        for host in ("127.0.0.1", "::1"):
            try:
                async with scripted(script, host) as url, Client(endpoint(url)) as client:
                    statuses.append((await client.send(ask())).status)
                    if host == "127.0.0.1":
                        async with Client(endpoint(url.replace(host, "localhost"))) as named:
                            statuses.append((await named.send(ask())).status)
            except OSError:
                assert host == "::1", "this machine has no IPv6"
        return statuses

    assert set(run(main)) == {"ok"}


def test_a_name_nobody_knows_is_a_row() -> None:
    async def main() -> Measurement:
        async with Client(endpoint("http://no-such-host.invalid/v1")) as client:
            return await client.send(ask())

    m = run(main)
    assert m.status == "connect_error"
    assert "no-such-host.invalid:80" in (m.error or "")


def test_a_connection_that_is_never_accepted_ends_by_its_deadline() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())

        async def main() -> Measurement:
            url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
            async with Client(endpoint(url, connect_timeout_s=0.2)) as client:
                return await client.send(ask())

        m = run(main)
        for one in waiting:
            one.close()
    assert m.status == "connect_error"
    assert "0.2 s" in (m.error or "")


def test_a_stepped_wall_clock_marks_the_row_and_changes_no_latency(tmp_path: Path) -> None:
    """The kernel stamps by the true clock; this client believes that an hour passed between its send and each read."""
    import time

    steps = iter(range(10**6))

    class Stepped(Stamper):
        def __init__(self) -> None:
            super().__init__(wall=lambda: time.time_ns() + next(steps) * 3_600 * 10**9)

    async def main(url: str) -> Measurement:
        fake = endpoint(url).__class__(**{**vars(endpoint(url)), "model": "fake?tokens=5&ttft_ms=10&gap_ms=2"})
        async with Client(fake, transport=Transport(stamper=Stepped)) as client:
            return await client.send(ask())

    with fake_server(tmp_path) as server:
        m = run(lambda: main(server.url))
    assert (m.status, m.stamp_source) == ("ok", "read")
    assert m.end_ns - m.sent_ns < 5 * 10**9


def test_the_limit_on_open_files_is_raised_and_never_lowered() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    make_room_for_files()
    after = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert after[0] >= before[0]
    assert after[1] == before[1]


def test_the_certificates_are_the_systems() -> None:
    assert ssl.create_default_context().verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("lane", ["httpx", "raw"])
def test_a_request_that_was_worked_on_for_long_is_never_sent_again_unasked(lane: Any) -> None:
    """A kept connection that ends in the middle of the work (a balancer's patience) is a row, not a second bill."""
    whole = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'
    seen = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        for turn in range(2):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(x for x in head.lower().split(b"\r\n") if x.startswith(b"content-length")).split(b":")[1]
            await reader.readexactly(int(length))
            seen += 1
            if turn == 1:
                await asyncio.sleep(0.6)
                break
            said = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            writer.write(said % (len(whole), whole))
            await writer.drain()
        writer.close()

    async def main() -> list[Measurement]:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with Client(endpoint(f"http://127.0.0.1:{port}/v1"), lane=lane) as client:
                return [await client.send(ask()) for _ in range(2)]

    first, second = run(main)
    assert (first.status, second.status, second.retryable, seen) == ("ok", "stream_cut", True, 2)
