"""The way to an endpoint: through which proxy, trusting whom, showing which certificate.

A target's options come first, then the variables that other clients obey: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY;
SSL_CERT_FILE, SSL_CERT_DIR, REQUESTS_CA_BUNDLE.
"""

from __future__ import annotations

import os
import ssl
from base64 import b64encode
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

import httpx

from bench.catalog.address import is_loopback_host, safe
from bench.errors import ConfigError
from bench.records import Endpoint

NO_PROXY = "none"
SCHEMES = ("http", "https", "socks5", "socks5h")


def proxy_of(endpoint: Endpoint) -> str | None:
    """The proxy's URL, or None; a server on this machine is never asked through one that only the environment names.

    ConfigError for what is no proxy, or for a reference to a variable that is not set.
    """
    if endpoint.proxy is not None:
        return None if endpoint.proxy == NO_PROXY else _checked(_resolved(endpoint), endpoint)
    url = httpx.URL(endpoint.base_url)
    if is_loopback_host(url.host):
        return None
    proxies = getproxies()
    if proxy_bypass(f"{url.host}:{url.port}" if url.port else url.host):
        return None
    found = proxies.get(url.scheme) or proxies.get("all")
    return _checked(found, endpoint) if found else None


def tunnel_of(endpoint: Endpoint) -> httpx.URL | None:
    """The proxy, where it is an HTTP proxy to be asked for a tunnel: https through it keeps our own sockets."""
    proxy = proxy_of(endpoint)
    if proxy is None or not proxy.startswith("http:") or not endpoint.base_url.startswith("https:"):
        return None
    return httpx.URL(proxy)


def passwords_of(proxy: str | None) -> tuple[str, ...]:
    """What of a proxy's URL must never be shown, as it stands there and as it is meant."""
    if proxy is None or not (password := httpx.URL(proxy).password):
        return ()
    userinfo = httpx.URL(proxy).userinfo.decode("ascii", "replace")
    told = b64encode(unquote(userinfo).encode()).decode()
    return tuple(dict.fromkeys((userinfo.partition(":")[2], password, told)))


def tls_of(endpoint: Endpoint) -> ssl.SSLContext:
    """What this endpoint's server is checked against, and what it gets to see; ConfigError names the file at fault."""
    trusted = endpoint.ca_file
    if trusted is None and not os.environ.get("SSL_CERT_FILE"):
        trusted = os.environ.get("REQUESTS_CA_BUNDLE") or None
    if trusted is not None and not Path(trusted).expanduser().exists():
        raise ConfigError(f"target {endpoint.target_id}: the file of authorities {trusted} is not there")
    try:
        context = _context(trusted)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"target {endpoint.target_id}: {trusted} holds no PEM certificates: {error}") from error
    if endpoint.client_cert is not None:
        _show(context, endpoint, endpoint.client_cert)
    elif endpoint.client_key is not None:
        raise ConfigError(f"target {endpoint.target_id}: client_key without client_cert; name the certificate too")
    return context


def _context(trusted: str | None) -> ssl.SSLContext:
    if trusted is None:
        return ssl.create_default_context()
    path = Path(trusted).expanduser()
    if path.is_dir():
        return ssl.create_default_context(capath=str(path))
    return ssl.create_default_context(cafile=str(path))


def _show(context: ssl.SSLContext, endpoint: Endpoint, certificate: str) -> None:
    files = [str(Path(name).expanduser()) for name in (certificate, endpoint.client_key) if name is not None]
    for name in files:
        if not Path(name).is_file():
            raise ConfigError(f"target {endpoint.target_id}: the file {name} for mutual TLS is not there")

    def locked() -> NoReturn:
        raise ConfigError(
            f"target {endpoint.target_id}: the key for mutual TLS in {files[-1]} is encrypted; "
            "give an unencrypted one that only you can read"
        )

    try:
        context.load_cert_chain(files[0], files[1] if len(files) > 1 else None, password=locked)
    except (OSError, ssl.SSLError) as error:
        what, why = " and ".join(files), getattr(error, "reason", None) or error
        raise ConfigError(
            f"target {endpoint.target_id}: {what} hold no certificate with its key (PEM): {why}"
        ) from error


def _resolved(endpoint: Endpoint) -> str:
    proxy = str(endpoint.proxy)
    if not proxy.startswith("env:"):
        return proxy
    found = os.environ.get(proxy.removeprefix("env:"), "")
    if not found:
        raise ConfigError(f"target {endpoint.target_id}: its proxy is in {proxy[4:]}, which is not set")
    return found


def _checked(proxy: str, endpoint: Endpoint) -> str:
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        url = httpx.URL(proxy)
        known = url.scheme in SCHEMES and bool(url.host)
    except httpx.InvalidURL:
        known = False
    if not known:
        raise ConfigError(
            f"the proxy {safe(proxy)} for target {endpoint.target_id} is no proxy's address; write http://HOST:PORT"
        )
    return proxy
