"""httpx's own transport: used behind a proxy and for a caller's transport; the row says that the stamps are httpx's."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake import Running, fake_server

from bench.client import Client
from bench.client.stock import stock_transport
from bench.errors import ConfigError
from bench.records import Endpoint, Measurement, Request

STREAM = (
    b'data: {"id":"c","choices":[{"delta":{"content":"hi"}}]}\n\n'
    b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with fake_server(tmp_path_factory.mktemp("fake")) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def endpoint(url: str = "http://far.invalid/v1", **more: Any) -> Endpoint:
    return Endpoint(target_id="t", base_url=url, wire="openai_chat", model="fake?tokens=5&gap_ms=2", **more)


def send(endpoint: Endpoint, n: int = 1, **client: Any) -> list[Measurement]:
    async def main() -> list[Measurement]:
        async with Client(endpoint, **client) as c:
            return [await c.send(Request(request_id=f"s{i}", request_key="k", prompt="hello")) for i in range(n)]

    return asyncio.run(main())


def test_behind_a_proxy_httpx_serves_and_the_row_says_so(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
    first, second = send(endpoint(), 2)
    assert (first.status, first.chunks, first.stamp_source, first.connection_reused) == ("ok", 5, "httpx", False)
    assert (second.status, second.connection_reused) == ("ok", True)
    assert server.truth("s0").path == "http://far.invalid/v1/chat/completions"
    assert first.sent_ns < first.headers_ns <= first.first_token_ns <= first.end_ns


def test_a_server_on_this_machine_and_an_excepted_host_need_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "near.invalid")
    assert stock_transport(endpoint("http://127.0.0.1:8000/v1")) is None
    assert stock_transport(endpoint("http://localhost:8000/v1")) is None
    assert stock_transport(endpoint("http://[::1]:8000/v1")) is None
    assert stock_transport(endpoint("http://near.invalid/v1")) is None
    assert stock_transport(endpoint("https://far.invalid/v1")) is None
    assert stock_transport(endpoint("http://far.invalid/v1")) is not None


def test_a_dead_proxy_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert [m.status for m in send(endpoint())] == ["connect_error"]


@pytest.mark.parametrize("proxy", ["ftp://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_a_config_error(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(ConfigError):
        stock_transport(endpoint())


def test_a_callers_transport_is_used() -> None:
    rows = send(endpoint(), transport=httpx.MockTransport(lambda _: httpx.Response(200, content=STREAM)))
    assert [(m.status, m.answer, m.stamp_source) for m in rows] == [("ok", "hi", "httpx")]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (httpx.ConnectError("x"), "connect_error"),
        (httpx.ConnectTimeout("x"), "connect_error"),
        (httpx.ReadTimeout("x"), "timeout"),
        (httpx.ReadError("x"), "stream_cut"),
        (httpx.RemoteProtocolError("x"), "stream_cut"),
        (httpx.ReadError(""), "stream_cut"),
    ],
)
def test_every_error_of_httpx_is_a_row(error: httpx.HTTPError, status: str) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    (m,) = send(endpoint(), transport=httpx.MockTransport(fail))
    assert m.status == status
    assert m.error


def test_a_stream_cut_under_httpx_is_a_cut_and_a_cancelled_one_leaves_no_task(server: Running, tmp_path: Path) -> None:
    async def main() -> None:
        model = "fake?tokens=500&gap_ms=5"
        slow = Endpoint(target_id="t", base_url=server.url, wire="openai_chat", model=model)
        async with Client(slow, transport=httpx.AsyncHTTPTransport()) as client:
            task = asyncio.create_task(
                client.send(Request(request_id="c", request_key="k", prompt="x", max_tokens=999))
            )
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    cut = Endpoint(target_id="t", base_url=server.url, wire="openai_chat", model="fake?fault=cut_mid")
    assert [m.status for m in send(cut, transport=httpx.AsyncHTTPTransport())] == ["stream_cut"]
