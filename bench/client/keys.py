"""Keys by reference: found when a client is made, put on the wire, and cut out of everything that comes back.

A key is never in an Endpoint, a row, an error or a repr; servers that echo the Authorization header exist.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.errors import ConfigError
from bench.records import Endpoint

MASK = "***"
_SHORT = 8
"""Shorter keys are place-holders of local servers (`EMPTY`, `none`): cutting each such word out would spoil answers."""


def key_of(endpoint: Endpoint) -> str | None:
    """The key that `endpoint.key_ref` points at; None without one; `ConfigError` naming what is missing."""
    return None if endpoint.key_ref is None else _resolved(endpoint.key_ref, f"target {endpoint.target_id}")


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """What one endpoint's client must send and must never show."""

    headers: Mapping[str, str] = field(repr=False)
    """The endpoint's headers and the key's own, references resolved."""
    values: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, endpoint: Endpoint) -> Secrets:
        """Quirk `auth`: `bearer`, or the name of the header that carries the bare key."""
        key = key_of(endpoint)
        owner = f"header of target {endpoint.target_id}"
        hidden = {name: _resolved(value, owner) for name, value in endpoint.headers.items() if _is_reference(value)}
        headers = {**endpoint.headers, **hidden}
        auth = endpoint.quirks.get("auth", "bearer")
        if key is not None:
            headers["Authorization" if auth == "bearer" else auth] = f"Bearer {key}" if auth == "bearer" else key
        values = {key, *hidden.values()} - {None, ""}
        return cls(headers=headers, values=tuple(sorted((v for v in values if v), key=len, reverse=True)))

    def also(self, values: Iterable[str]) -> Secrets:
        """The same, with more that must never be shown."""
        both = {*self.values, *values} - {""}
        return replace(self, values=tuple(sorted(both, key=len, reverse=True)))

    def redact(self, text: str) -> str:
        """The text without any secret; short place-holders are cut out only where they stand as a credential."""
        for value in self.values:
            if value not in text:
                continue
            if len(value) >= _SHORT:
                text = text.replace(value, MASK)
            else:
                text = re.sub(rf"(?i)((?:bearer|key)\W{{1,4}}){re.escape(value)}(?!\w)", rf"\1{MASK}", text)
        return text


def _is_reference(value: str) -> bool:
    return value.startswith(("env:", "file:"))


def _resolved(reference: str, owner: str) -> str:
    kind, _, name = reference.partition(":")
    if kind == "env" and name:
        value = os.environ.get(name, "").strip()
        if not value:
            raise ConfigError(f"{owner} needs the key in {name}, which is not set; export {name}=…")
    elif kind == "file" and name:
        try:
            value = Path(name).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise ConfigError(f"{owner} needs the key in the file {name}, which cannot be read: {reason}") from error
        if not value:
            raise ConfigError(f"{owner} needs the key in the file {name}, which is empty")
    else:
        # The value is not shown: somebody may have written the key itself.
        raise ConfigError(f"{owner}: a key is given by reference, env:NAME or file:PATH, never as itself")
    if not value.isascii() or not value.isprintable():
        raise ConfigError(f"{owner}: the key in {name} holds a line break or a character that no header can carry")
    return value
