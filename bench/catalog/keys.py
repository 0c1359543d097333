"""Secrets by reference only: `env:NAME` or `file:PATH`, and what looks like a secret where none may stand."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+")
KNOWN_PREFIX = re.compile(
    r"^(Bearer\s+\S|Basic\s+\S|(sk|pk|gsk|hf|xai|csk|cpk|fw|tgp|nvapi|ghp|gho|glpat|r8|sess)[-_][A-Za-z0-9_-]{8,}|AIza[\w-]{20,}|eyJ[\w-]{10,}\.)"
)
OPAQUE = re.compile(r"^(?=.*[0-9])(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9_+=-]{32,}$")
"""One long word of mixed letters and digits; hex digests are lower case and pass."""
KEY_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "set-cookie"}
)
SUSPECT_NAME = re.compile(r"auth|key|token|secret|password|session|cookie", re.IGNORECASE)


def looks_secret(value: str) -> bool:
    """Whether this text is shaped like a credential."""
    return bool(KNOWN_PREFIX.match(value) or OPAQUE.match(value))


def checked_reference(value: str) -> str:
    """`value` if it is a reference; the message of the refusal never repeats it."""
    if REFERENCE.fullmatch(value):
        return value
    raise ValueError('a key is given by reference, never itself: write key = "env:NAME" or key = "file:PATH"')


def checked_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Headers without credentials in them."""
    for name, value in headers.items():
        if name.lower() in KEY_HEADERS or looks_secret(value):
            raise ValueError(f'header {name!r} carries a credential; remove it and write key = "env:NAME"')
    return headers


def redacted(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers as they may be written down: anything that could be a credential is left out of its value."""
    return {
        name: "(redacted)" if SUSPECT_NAME.search(name) or looks_secret(value) else value
        for name, value in headers.items()
    }


def problem_with(reference: str | None) -> str | None:
    """Why the key can't be read now, with the way out; None when it can, or when none is needed."""
    if reference is None:
        return None
    kind, _, name = reference.partition(":")
    if kind == "env":
        return None if os.environ.get(name) else f"the variable {name} is not set; run: export {name}=<your key>"
    try:
        empty = not Path(name).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return f"the key file {name} can't be read; create it with the key as its only line"
    return f"the key file {name} is empty; put the key into it" if empty else None


def public_reference(reference: str | None) -> str | None:
    """The reference as it may be shared: a file's folder names its owner, so only its name stays."""
    if reference is None or not reference.startswith("file:"):
        return reference
    return f"file:{Path(reference.removeprefix('file:')).name}"
