"""Proxies, authorities and certificates: each against a real server on loopback, from options and from variables."""

import asyncio
import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pytest
import trustme
from fake import Running, fake_server

from bench.catalog import Options
from bench.client import Client
from bench.client.stock import stock_transport
from bench.client.way import passwords_of, proxy_of
from bench.errors import ConfigError
from bench.records import Endpoint, Measurement, Request

PASSWORD = "s3cret/of the-proxy"


class Tunnels:
    """A proxy that opens tunnels, and shuts the door on whoever has no pass."""

    def __init__(self, *, answer: bytes = b"HTTP/1.1 200 ok\r\nX-Proxy: yes\r\n\r\n", wanted: str = "") -> None:
        self.answer, self.wanted = answer, wanted
        self.heads: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError), self._listener:
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            self._tunnel(client)

    def _tunnel(self, client: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        self.heads.append(head.decode())
        if self.wanted and self.wanted not in head.decode():
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        client.sendall(self.answer)
        _, _, port = head.split()[1].decode().rpartition(":")
        if b" 2" not in self.answer[:13]:
            return
        with socket.create_connection(("127.0.0.1", int(port))) as server:
            back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
            back.start()
            self._pump(client, server)
            back.join()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "requests_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def folder(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("way")
    authority.cert_pem.write_to_path(path / "ca.pem")
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(path / "server.pem")
    mine = authority.issue_cert("me@example.org")
    mine.private_key_and_cert_chain_pem.write_to_path(path / "me.pem")
    mine.private_key_pem.write_to_path(path / "me.key")
    mine.cert_chain_pems[0].write_to_path(path / "me.crt")
    return path


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    (folder / "plain").mkdir()
    with fake_server(folder / "plain", cert=folder / "server.pem") as running:
        yield running


@pytest.fixture(scope="module")
def strict_server(folder: Path) -> Iterator[Running]:
    (folder / "strict").mkdir()
    with fake_server(folder / "strict", cert=folder / "server.pem", client_ca=folder / "ca.pem") as running:
        yield running


def endpoint(url: str, **more: Any) -> Endpoint:
    return Endpoint(target_id="t", base_url=url, wire="openai_chat", model="fake?tokens=5&gap_ms=2", **more)


def send(endpoint: Endpoint, n: int = 1, lane: Literal["httpx", "raw"] = "httpx") -> list[Measurement]:
    async def main() -> list[Measurement]:
        async with Client(endpoint, lane=lane) as client:
            return [await client.send(Request(request_id=f"s{i}", request_key="k", prompt="hello")) for i in range(n)]

    return asyncio.run(main())


@pytest.mark.parametrize("lane", ["httpx", "raw"])
def test_a_tunnel_keeps_our_own_sockets_and_its_connections(
    server: Running, folder: Path, lane: Literal["httpx", "raw"]
) -> None:
    proxy = Tunnels()
    way = endpoint(server.url, proxy=f"http://127.0.0.1:{proxy.port}", ca_file=str(folder / "ca.pem"))
    first, second = send(way, 2, lane)
    proxy.close()
    assert (first.status, first.chunks, first.stamp_source) == ("ok", 5, "read"), first.error
    assert [first.connection_reused, second.connection_reused] == [False, True]
    assert len(proxy.heads) == 1
    assert proxy.heads[0].startswith(f"CONNECT 127.0.0.1:{server.url.split(':')[2][:-3]} HTTP/1.1\r\n")


def test_a_tunnel_needs_its_password_and_never_shows_it(
    server: Running, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    proxy = Tunnels(wanted=f"Proxy-Authorization: Basic {told}")
    monkeypatch.setenv(
        "WORK_PROXY", f"http://me:{PASSWORD.replace('/', '%2F').replace(' ', '%20')}@127.0.0.1:{proxy.port}"
    )
    good = endpoint(server.url, proxy="env:WORK_PROXY", ca_file=str(folder / "ca.pem"))
    assert [m.status for m in send(good)] == ["ok"]
    monkeypatch.setenv("WORK_PROXY", f"http://me:wrong-one@127.0.0.1:{proxy.port}")
    [m] = send(good)
    proxy.close()
    assert m.status == "connect_error"
    assert "407" in (m.error or "")
    assert "wrong-one" not in (m.error or "")


@pytest.mark.parametrize(
    ("answer", "said"),
    [(b"HTTP/1.1 403 Forbidden\r\n\r\n", "403"), (b"SSH-2.0-x\r\n\r\n", "SSH"), (b"", "closed the connection")],
)
def test_a_proxy_that_opens_no_tunnel_is_a_row(server: Running, answer: bytes, said: str) -> None:
    proxy = Tunnels(answer=answer)
    [m] = send(endpoint(server.url, proxy=f"http://127.0.0.1:{proxy.port}"))
    proxy.close()
    assert m.status == "connect_error"
    assert said in (m.error or "")


def test_a_dead_proxy_is_named(server: Running) -> None:
    [m] = send(endpoint(server.url, proxy="http://127.0.0.1:9"))
    assert (m.status, m.retryable) == ("connect_error", True)
    assert "the proxy 127.0.0.1:9" in (m.error or "")


def test_options_come_before_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    far = "https://far.invalid/v1"
    assert proxy_of(endpoint(far)) == "http://127.0.0.1:1"
    assert proxy_of(endpoint(far, proxy="none")) is None
    assert proxy_of(endpoint(far, proxy="http://127.0.0.1:2")) == "http://127.0.0.1:2"
    assert proxy_of(endpoint("https://127.0.0.1/v1")) is None
    assert proxy_of(endpoint("https://127.0.0.1/v1", proxy="http://127.0.0.1:2")) == "http://127.0.0.1:2"
    monkeypatch.setenv("NO_PROXY", "far.invalid")
    assert proxy_of(endpoint(far)) is None
    assert stock_transport(endpoint(far)) is None


@pytest.mark.parametrize("proxy", ["ftp://127.0.0.1:9", "http://", "env:NOT_SET_ANYWHERE"])
def test_what_is_no_proxy_is_said_before_anything_is_sent(proxy: str) -> None:
    with pytest.raises(ConfigError, match="proxy"):
        Client(endpoint("https://far.invalid/v1", proxy=proxy))


def test_a_proxys_password_belongs_into_a_variable() -> None:
    with pytest.raises(ValueError, match="env:NAME") as caught:
        Options(proxy="http://me:hunter22@proxy:3128")
    assert "hunter22" not in str(caught.value).split("[type=")[0]
    with pytest.raises(ValueError, match="http://HOST:PORT"):
        Options(proxy="proxy:3128")
    assert Options(proxy="env:WORK_PROXY").proxy == "env:WORK_PROXY"
    assert passwords_of("http://me:p%40ss-word@proxy:1") == ("p%40ss-word", "p@ss-word", "bWU6cEBzcy13b3Jk")


def test_the_authority_can_be_an_option_or_a_variable(
    server: Running, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [m.status for m in send(endpoint(server.url))] == ["connect_error"]
    assert [m.status for m in send(endpoint(server.url, ca_file=str(folder / "ca.pem")))] == ["ok"]
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder / "ca.pem"))
    assert [m.status for m in send(endpoint(server.url))] == ["ok"]


def test_a_server_that_wants_a_certificate_gets_it(strict_server: Running, folder: Path) -> None:
    trust = {"ca_file": str(folder / "ca.pem")}
    [bare] = send(endpoint(strict_server.url, **trust))
    assert bare.status in ("connect_error", "stream_cut")
    one = endpoint(strict_server.url, **trust, client_cert=str(folder / "me.pem"))
    two = endpoint(strict_server.url, **trust, client_cert=str(folder / "me.crt"), client_key=str(folder / "me.key"))
    assert [m.status for m in send(one) + send(two)] == ["ok", "ok"]


def test_files_that_are_none_are_named_before_anything_is_sent(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("hello")
    url = "https://127.0.0.1:1/v1"
    for files, said in [
        ({"ca_file": str(tmp_path / "nowhere.pem")}, "is not there"),
        ({"ca_file": str(tmp_path / "text.pem")}, "no PEM certificates"),
        ({"client_cert": str(tmp_path / "nowhere.pem")}, "is not there"),
        ({"client_cert": str(tmp_path / "text.pem")}, "no certificate with its key"),
        ({"client_cert": str(folder / "me.crt")}, "no certificate with its key"),
        ({"client_key": str(folder / "me.key")}, "without client_cert"),
    ]:
        with pytest.raises(ConfigError, match=said):
            Client(endpoint(url, **files))


def test_an_encrypted_key_is_refused_instead_of_asking_at_the_terminal(folder: Path, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key((folder / "me.key").read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x"),
    )
    (tmp_path / "locked.key").write_bytes(locked)
    files = {"client_cert": str(folder / "me.crt"), "client_key": str(tmp_path / "locked.key")}
    with pytest.raises(ConfigError, match="is encrypted"):
        Client(endpoint("https://127.0.0.1:1/v1", **files))
