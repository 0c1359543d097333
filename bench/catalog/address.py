"""Addresses people type: what a base URL may be, and which of them is this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qsl, urlsplit

from bench.catalog.keys import SUSPECT_NAME

_LISTENING = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
_OPEN = re.compile(r"\{([A-Z][A-Z0-9_]*)(?:(=)([^{}]*))?\}")


def checked_url(url: str) -> str:
    """`url` without a trailing slash; refuses other schemes, no host, and credentials (never repeated)."""
    parts = split(url)
    if any(c.isspace() or not c.isprintable() for c in url):
        raise ValueError("the address holds a blank or a control character; remove it")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("not an address; write http://HOST:PORT/v1 or https://HOST/v1")
    if parts.username or parts.password or "@" in parts.netloc:
        raise ValueError('the address holds credentials; remove them and write key = "env:NAME"')
    if any(SUSPECT_NAME.search(name) for name, _ in parse_qsl(parts.query)):
        raise ValueError('the address holds a key in its query; remove it and write key = "env:NAME"')
    return url.rstrip("/")


def variables_in(url: str) -> dict[str, str | None]:
    """Variables that the address leaves open, each with its default: `{REGION=us-east-1}`, `{ACCOUNT}`."""
    return {name: default if mark else None for name, mark, default in _OPEN.findall(url)}


def filled(url: str, values: Mapping[str, str]) -> str:
    """The address with its variables put in.

    A variable that begins it holds an origin, as the tools it belongs to take one: `HOST`, `HOST:PORT`, a whole URL, or
    a URL that already ends with what follows here (`https://proxy/v1` in `{ANTHROPIC_BASE_URL}/v1`).
    """
    head = _OPEN.match(url)
    if head is None:
        return _put(url, values)
    begin, rest = _origin(values.get(head[1]) or "", like=head[3] or "https://x"), _put(url[head.end() :], values)
    return begin if rest and begin.endswith(rest) else begin + rest


def _put(text: str, values: Mapping[str, str]) -> str:
    return _OPEN.sub(lambda found: values.get(found[1]) or found[3] or "", text)


def _origin(given: str, *, like: str) -> str:
    """A scheme, host and port from what was given; what it leaves out is as in `like`.

    An address that servers listen on (`0.0.0.0`) is reached at loopback.
    """
    scheme, _, place = given.strip().rstrip("/").rpartition("://")
    usual = urlsplit(like)
    host, slash, path = (place or usual.netloc).partition("/")
    if host.startswith(":"):
        host = f"{usual.hostname}{host}"
    if not scheme and usual.port and re.fullmatch(r"[^:]+|\[.*\]", host):
        host = f"{host}:{usual.port}"
    for everywhere, here in _LISTENING.items():
        if host == everywhere or host.startswith(f"{everywhere}:"):
            host = here + host.removeprefix(everywhere)
    return f"{scheme or usual.scheme}://{host}{slash}{path}"


def split(url: str) -> SplitResult:
    """The parts of an address; a port that is no number is said so."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"not an address ({error})") from error
    try:
        _ = parts.port
    except ValueError as error:
        raise ValueError("the port is not a number from 0 to 65535") from error
    return parts


def safe(url: str) -> str:
    """The address as a message may show it: no user, no password, no query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.partition(":")[0] + "://…"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def is_loopback(url: str) -> bool:
    """Whether traffic to this address stays on this machine."""
    return is_loopback_host(urlsplit(url).hostname or "")


def is_loopback_host(host: str) -> bool:
    """The same for a bare host name or address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
