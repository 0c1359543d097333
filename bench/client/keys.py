"""Keys by reference: found when a client is made, put on the wire, and cut out of everything that comes back.

A key is never in an Endpoint, a row, an error or a repr; servers that echo the Authorization header exist.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from bench.errors import ConfigError
from bench.records import Endpoint

MASK = "***"
SIGNED = ("sigv4", "google")
"""Values of the quirk `auth` under which, without a key, `bench.client.auth` signs each request or mints a token."""
_AWS_KEY = "AWS_BEARER_TOKEN_BEDROCK"
_SHORT = 8
"""Shorter keys are place-holders of local servers (`EMPTY`, `none`): cutting each such word out would spoil answers."""
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_SIGNATURES = 4096
"""So many are remembered: each is good for one request, and for minutes."""
_LONG = 100
"""Escaped forms are told by so many characters; what follows them unbroken is cut out too (AWS's session tokens)."""
_ESCAPES = "%\\&"
"""Without one of these a text holds no escaped form of anything."""


def key_of(endpoint: Endpoint) -> str | None:
    """The key that `endpoint.key_ref` points at; None without one; `ConfigError` naming what is missing."""
    return None if endpoint.key_ref is None else _resolved(endpoint.key_ref, f"target {endpoint.target_id}")


@dataclass(kw_only=True)
class Secrets:
    """What one endpoint's client must send and must never show; grows by what is minted while it runs."""

    headers: Mapping[str, str] = field(repr=False)
    """The endpoint's headers and the key's own, references resolved."""
    values: tuple[str, ...] = field(repr=False)
    """The longest first, so that no half of one is left."""
    signatures: dict[str, None] = field(default_factory=dict, repr=False)
    """Of requests, 64 hexadecimal digits each; the latest ones."""

    @classmethod
    def of(cls, endpoint: Endpoint) -> Secrets:
        """Quirk `auth`: `bearer`, or the name of the header that carries the bare key.

        Under `sigv4` and `google` a key that is given goes as `bearer`; Bedrock's is also looked for where AWS has it.
        """
        auth = endpoint.quirks.get("auth", "bearer")
        key = key_of(endpoint)
        if key is None and auth == "sigv4" and os.environ.get(_AWS_KEY):
            key = _resolved(f"env:{_AWS_KEY}", f"target {endpoint.target_id}")
        owner = f"header of target {endpoint.target_id}"
        hidden = {name: _resolved(value, owner) for name, value in endpoint.headers.items() if _is_reference(value)}
        headers = {**endpoint.headers, **hidden}
        bearer = auth == "bearer" or auth in SIGNED
        if key is not None:
            headers["Authorization" if bearer else auth] = f"Bearer {key}" if bearer else key
        values = {key, *hidden.values()} - {None, ""}
        return cls(headers=headers, values=tuple(sorted((v for v in values if v), key=len, reverse=True)))

    def also(self, values: Iterable[str]) -> Secrets:
        """The same, with more that must never be shown."""
        both = {*self.values, *values} - {""}
        return replace(self, values=tuple(sorted(both, key=len, reverse=True)))

    def hide(self, *values: str | None) -> None:
        """Never shows these from now on, also not by those who hold `redact` already."""
        both = {*self.values, *(value for value in values if value)}
        self.values = tuple(sorted(both, key=len, reverse=True))

    def hide_signature(self, signature: str) -> None:
        self.signatures[signature] = None
        while len(self.signatures) > _SIGNATURES:
            del self.signatures[next(iter(self.signatures))]

    def redact(self, text: str) -> str:
        """The text without any secret, in whatever coding it came back: as it is, in base64 (alone or inside something
        longer), percent-encoded, or escaped as in JSON, HTML and source code.

        Short place-holders are cut out only where they stand as a credential.
        """
        for value in self.values:
            if len(value) < _SHORT:
                if value in text:
                    text = re.sub(rf"(?i)((?:bearer|key)\W{{1,4}}){re.escape(value)}(?!\w)", rf"\1{MASK}", text)
                continue
            written, escaped = _forms(value)
            for form in written:
                if form in text:
                    text = text.replace(form, MASK)
            if any(mark in text for mark in _ESCAPES):
                text = escaped.sub(MASK, text)
        if self.signatures:
            text = _SIGNATURE.sub(lambda found: MASK if found[0] in self.signatures else found[0], text)
        return text


@lru_cache(maxsize=256)
def _forms(value: str) -> tuple[tuple[str, ...], re.Pattern[str]]:
    """(a value as it is and in base64, a pattern of it with any of its characters escaped)."""
    written = [value]
    for shift in range(3):
        # What stands before it shifts it against the groups of three bytes; characters that it shares are left out.
        coded = b64encode(b"\0" * shift + value.encode()).decode()
        core = coded[(shift * 8 + 5) // 6 : (shift + len(value.encode())) * 8 // 6]
        written += [core, core.translate(str.maketrans("+/", "-_"))]
    escaped = "".join(_escaped(character) for character in value[:_LONG])
    rest = r"[^\s\"'<>]*" if len(value) > _LONG else ""
    return tuple(dict.fromkeys(written)), re.compile(escaped + rest)


def _escaped(character: str) -> str:
    """A pattern of one ASCII character, as it is or in the escapes of URLs, JSON, source code and HTML."""
    code = f"{ord(character):02x}"
    digits = "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in code)
    named = {"&": "|&amp;", "<": "|&lt;", ">": "|&gt;", '"': "|&quot;"}.get(character, "")
    in_url, in_code = rf"%(?:25)?{digits}", rf"\\{{1,4}}(?:u00|x){digits}"
    in_html = rf"&\#(?:0{{0,4}}{ord(character)}|[xX]0{{0,4}}{digits});{named}"
    return rf"(?:\\{{0,4}}{re.escape(character)}|{in_url}|{in_code}|{in_html})"


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
