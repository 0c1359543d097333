"""One plain GET with all that the way there showed: names, TCP, TLS, the HTTP version, status, headers, body.

For looking at an endpoint, never for measuring one: it goes through httpx's own transport and a connection of its own.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any

import httpx

from bench.catalog.address import safe
from bench.client.auth import signer_of
from bench.client.failures import one_line
from bench.client.keys import Secrets
from bench.client.way import passwords_of, proxy_of, tls_of
from bench.errors import ConfigError, Garbled, RequestError, TimedOut, Unreachable
from bench.records import Endpoint

MAX_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What the server showed, checked against this endpoint's authorities."""

    version: str
    """Of the protocol: `TLSv1.3`."""
    issuer: str
    ends: datetime
    """UTC; after it every client refuses."""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What one GET brought."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """Cut at 4 MiB."""
    http_version: str
    """`HTTP/1.1`, or `HTTP/2` where the server offers it and the package h2 is installed."""
    at: datetime
    """This machine's time in the middle of the request, UTC."""
    connect_ms: float | None
    """Of the TCP handshake; None through a proxy."""
    proxy: str | None
    """Without user and password."""
    certificate: Certificate | None


async def look(
    endpoint: Endpoint,
    path: str,
    *,
    beside: bool = False,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 20.0,
) -> Looked:
    """GET `path` below the base URL, or `beside` its version part, with the endpoint's key, or signed, if it has one.

    Raises `Unreachable` with the step that failed (name, TCP, TLS) and the way out, or another `RequestError`.
    """
    secrets = Secrets.of(endpoint)
    proxy = proxy_of(endpoint)
    secrets = secrets.also(passwords_of(proxy))
    url = _url(endpoint.base_url, path, beside)
    connect_ms = None if proxy else await _connected(url, timeout_s)
    try:
        async with asyncio.timeout(timeout_s):
            return await _got(endpoint, url, secrets, proxy, connect_ms, headers or {})
    except TimeoutError as error:
        raise TimedOut(f"{url.host} took the connection and said nothing within {timeout_s:g} s") from error
    except httpx.HTTPError as error:
        raise _translated(error, url, secrets) from error


def _url(base_url: str, path: str, beside: bool) -> httpx.URL:
    base = httpx.URL(base_url)
    head, _, query = base.raw_path.partition(b"?")
    parts = head.rstrip(b"/").split(b"/")
    if beside and parts[-1][:1] == b"v" and parts[-1][1:2].isdigit():
        parts.pop()
    below, _, more = path.encode().partition(b"?")
    queries = b"&".join(part for part in (more, query) if part)
    return base.copy_with(raw_path=b"/".join(parts) + below + (b"?" + queries if queries else b""))


async def _connected(url: httpx.URL, timeout_s: float) -> float:
    """Milliseconds of a TCP handshake; says which step failed."""
    port = url.port or (443 if url.scheme == "https" else 80)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            addresses = await loop.getaddrinfo(url.host, port)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise Unreachable(
            f"DNS: the name {url.host} has no address ({one_line(str(why))}); "
            "check base_url, the network, or name a proxy in options.proxy"
        ) from error
    last: OSError | None = None
    for *_, address in addresses:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(min(timeout_s, 10.0)):
                _, writer = await asyncio.open_connection(str(address[0]), port)
        except OSError as error:  # TimeoutError is one
            last = error
            continue
        took_ms = (time.perf_counter() - began) * 1e3
        writer.close()
        return took_ms
    if isinstance(last, ConnectionRefusedError):
        why = "refuses connections: is the server running, and is that its port?"
    elif isinstance(last, TimeoutError):
        why = "does not answer: a firewall between, or the wrong address?"
    else:
        why = f"can't be reached ({getattr(last, 'strerror', None) or last})"
    raise Unreachable(f"TCP: {url.host}:{port} {why}") from last


async def _got(
    endpoint: Endpoint,
    url: httpx.URL,
    secrets: Secrets,
    proxy: str | None,
    connect_ms: float | None,
    more: Mapping[str, str],
) -> Looked:
    try:
        transport = httpx.AsyncHTTPTransport(
            verify=tls_of(endpoint), proxy=proxy, http2=find_spec("h2") is not None and url.scheme == "https"
        )
    except ImportError as error:
        raise ConfigError(
            f"target {endpoint.target_id} asks for a SOCKS proxy; pip install 'httpx[socks]' first"
        ) from error
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "gapbench", **more}
    signer = signer_of(endpoint, secrets)
    async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=None) as http:
        request = http.build_request("GET", url, headers={**headers, **secrets.headers})
        if signer is not None:
            await signer.fresh()
            signer.sign(request)
        began = datetime.now(UTC)
        answer = await http.send(request, stream=True)
        try:
            at = began + (datetime.now(UTC) - began) / 2
            body = b""
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > MAX_BYTES:
                    break
            return Looked(
                status=answer.status_code,
                headers={name.lower(): secrets.redact(value) for name, value in answer.headers.items()},
                body=secrets.redact(body[:MAX_BYTES].decode("utf-8", "replace")).encode(),
                http_version=answer.http_version,
                at=at,
                connect_ms=connect_ms,
                proxy=safe(proxy) if proxy else None,
                certificate=_certificate(answer.extensions.get("network_stream")),
            )
        finally:
            await answer.aclose()


def _certificate(stream: Any) -> Certificate | None:
    tls: Any = stream.get_extra_info("ssl_object") if stream is not None else None
    shown = tls.getpeercert() if tls is not None else None
    if not shown:
        return None
    names = {key: value for part in shown.get("issuer", ()) for key, value in part}
    issuer = names.get("organizationName") or names.get("commonName") or "unnamed"
    return Certificate(
        version=str(tls.version()),
        issuer=one_line(str(issuer)),
        ends=datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC),
    )


def _translated(error: httpx.HTTPError, url: httpx.URL, secrets: Secrets) -> RequestError:
    said = one_line(secrets.redact(str(error))) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in said:
        why = said.partition("verify failed:")[2].partition("(_ssl")[0].strip() or said
        return Unreachable(
            f"TLS: the certificate of {url.host} is not trusted: {why}; "
            "name its authority in options.ca_file or SSL_CERT_FILE"
        )
    if isinstance(error, httpx.ProxyError):
        return Unreachable(f"proxy: {said}; see options.proxy, HTTPS_PROXY and NO_PROXY")
    if isinstance(error, httpx.RemoteProtocolError):
        return Garbled(f"{url.host} does not speak HTTP ({said}); is it https instead of http, or another port?")
    if isinstance(error, httpx.ConnectError | httpx.ReadError) and url.scheme == "https":
        return Unreachable(f"TLS: no encrypted connection to {url.host}: {said}; does the server speak http there?")
    return Unreachable(f"{url.host}: {said}")
