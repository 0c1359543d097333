"""What a server announces of its limits: rate-limit headers as windows, and the ways they write a span of time.

Pure: headers and the wall time in, windows out. Read are `x-ratelimit-{limit,remaining,reset}-NAME` (OpenAI, Azure,
Groq, Together, Fireworks, Cerebras with `-minute` or `-day`, Mistral with `req`), the same without a name (OpenRouter),
and `anthropic-ratelimit-NAME-{limit,remaining,reset}`. What nobody has described is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

Counts = Literal["requests", "tokens", "input-tokens", "output-tokens"]
SPAN = r"(?:\d{1,9}(?:\.\d{1,9})?\s*(?:ms|milliseconds?|d|days?|h|hours?|m|min|minutes?|s|sec|secs|seconds?)\b\s*)+"
"""Pattern of a span with units: `6m0s`, `20ms`, `1h5m30.5s`, `20 seconds`."""
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milli|d|h|m|s)")
_UNIT_S = {"ms": 0.001, "milli": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = re.compile(r"\s*-?\d{1,15}(?:\.\d{1,15})?\s*")
_X = re.compile(r"(?:x-)?ratelimit-(limit|remaining|reset)(?:-(.+))?")
_ANTHROPIC = re.compile(r"anthropic-ratelimit-(.+)-(limit|remaining|reset)")
_COUNTED: tuple[tuple[re.Pattern[str], Counts], ...] = (
    (re.compile(r"(?:project-)?req(?:uests)?"), "requests"),
    (re.compile(r"(?:project-)?tokens"), "tokens"),
    (re.compile(r"input-tokens|tokens-prompt"), "input-tokens"),
    (re.compile(r"output-tokens|tokens-generated"), "output-tokens"),
)
_PERIOD_S = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
_EPOCH_S, _EPOCH_MS = 1e9, 1e12
"""A plain number from here on is no span but a moment since 1970: in seconds, in milliseconds."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """One limit as it stood when an answer was sent."""

    name: str
    """As the header has it: `requests`, `tokens-minute`, `output-tokens`."""
    counts: Counts
    limit: float | None = None
    remaining: float | None = None
    """Never negative."""
    reset_s: float | None = None
    """Until the whole limit is there again, counted from the answer; never negative. Where no header says, the period
    in the window's name."""


def windows(headers: Mapping[str, str], now: datetime) -> tuple[Window, ...]:
    """The windows that an answer's headers (names in any case) announce; values that can't be read are unknown.

    Moments are compared with the answer's own `Date`, and with `now` only where it has none: clocks differ.
    """
    now = server_time(headers) or now
    found: dict[str, dict[str, float | None]] = {}
    for key, text in headers.items():
        name, what = _named(key.lower())
        if not name:
            continue
        number = reset_s(text, now) if what == "reset" else _number(text)
        found.setdefault(name, {})[what] = number
    seen = []
    for name, values in found.items():
        counts, period_s = _counted(name)
        if counts is None or (values.get("remaining") is None and values.get("limit") is None):
            continue
        ends_s = values.get("reset")
        seen.append(
            Window(
                name=name,
                counts=counts,
                limit=values.get("limit"),
                remaining=values.get("remaining"),
                reset_s=period_s if ends_s is None else ends_s,
            )
        )
    return tuple(seen)


def server_time(headers: Mapping[str, str]) -> datetime | None:
    """When the server says that it answered."""
    text = headers.get("date") or headers.get("Date")
    try:
        then = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return then.replace(tzinfo=UTC) if then is not None and then.tzinfo is None else then


def reset_s(text: str, now: datetime) -> float | None:
    """Seconds until a reset written as a span, in seconds, as an epoch (s or ms), in RFC 3339 or as an HTTP date."""
    number = _number(text)
    if number is not None:
        if number >= _EPOCH_MS:
            return max(0.0, number / 1000 - now.timestamp())
        return max(0.0, number - now.timestamp()) if number >= _EPOCH_S else number
    span = span_s(text)
    return span if span is not None else until_s(text, now)


def span_s(text: str) -> float | None:
    """`6m0s`, `20ms`, `1h5m`, `2 seconds` in seconds; None for anything else."""
    if not re.fullmatch(rf"\s*{SPAN}", _spaced(text), re.IGNORECASE):
        return None
    return sum(float(count) * _UNIT_S[unit] for count, unit in _PART.findall(text.lower()))


def until_s(text: str, now: datetime) -> float | None:
    """Seconds until a date in RFC 3339 or as HTTP writes it, 0 for one that is past; None for anything else."""
    try:
        due = datetime.fromisoformat(text.strip()) if re.match(r"\s*\d{4}-", text) else parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return max(0.0, (due if due.tzinfo else due.replace(tzinfo=UTC)).timestamp() - now.timestamp())


def hint_s(text: str) -> float | None:
    """The wait that a message asks for (`try again in 1m2.5s`, `retryDelay: "46s"`); None without one."""
    found = _HINT.search(_spaced(text))
    return span_s(found.group(1)) if found else None


_HINT = re.compile(rf"(?:try again in|retry in|retry after|retryDelay\W{{1,6}})\s*({SPAN})", re.IGNORECASE)


def _spaced(text: str) -> str:
    """With a blank between a unit and the number after it, so that every unit ends at a word's end."""
    return re.sub(r"(?<=[dhms])(?=\d)", " ", text)


def _number(text: str) -> float | None:
    return max(0.0, float(text)) if _NUMBER.fullmatch(text) else None


def _named(header: str) -> tuple[str, str]:
    """(window, `limit` | `remaining` | `reset`); two empty strings for another header."""
    if found := _X.fullmatch(header):
        return found.group(2) or "requests", found.group(1)
    if found := _ANTHROPIC.fullmatch(header):
        return found.group(1), found.group(2)
    return "", ""


def _counted(name: str) -> tuple[Counts | None, float | None]:
    """What a window counts, and the period in its name [s]."""
    head, _, last = name.rpartition("-")
    period_s = _PERIOD_S.get(last)
    what = head if period_s is not None else name
    counts = next((counts for pattern, counts in _COUNTED if pattern.fullmatch(what)), None)
    return counts, period_s
