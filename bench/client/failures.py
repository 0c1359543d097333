"""What a failed answer means: HTTP status, headers and body to one error, and whether asking again can help.

Pure functions of what came back. The rules are those of the providers' own clients: a 429 that means money is never
asked again, `x-should-retry` overrides the status, and the wait is the first of `retry-after-ms`, `retry-after`
(seconds or a date), a hint in the body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any

from bench.errors import RateLimited, Refused, RequestError, ServerFault

Redact = Callable[[str], str]
MAX_ERROR_CHARS = 400
RETRYABLE = frozenset({408, 409, 425, 429, 498, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 529})
_RATE = frozenset({429, 498})
_MONEY = re.compile(
    r"insufficient_quota|credit_balance|spend_limit|billing_hard_limit|billing_error|insufficient.{0,10}(balance|credit)"
    r"|limit: 0\b|per ?day.{0,20}quota|quota.{0,40}per ?day",
    re.IGNORECASE,
)
_HINT = re.compile(
    r"(?:try again in|retry in|retryDelay\W{1,6})\s*(?:(\d+)m(?!s))?\s*(\d+(?:\.\d+)?)\s*(ms|s)\b", re.IGNORECASE
)
_TAG = re.compile(rb"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)


def failure_of(
    status: int, headers: Mapping[str, str], body: bytes, *, redact: Redact = str, now: datetime | None = None
) -> RequestError:
    """The error of an HTTP answer that is not 200; `body` may be cut. Redacted first, shortened second."""
    detail = one_line(redact(_detail(body)))
    message = f"HTTP {status}: {detail}" if detail else f"HTTP {status} without a body"
    if 300 <= status < 400:
        message = f"HTTP {status}: the address moved to {one_line(redact(headers.get('location', 'nowhere')))}"
    return _error(status, message, _wait_s(headers, detail, now or datetime.now(UTC)), headers.get("x-should-retry"))


def in_band(error: Mapping[str, Any], *, redact: Redact = str) -> RequestError:
    """The error of an object inside a stream that began with 200; its `code` decides if it is an HTTP status."""
    code = error.get("code")
    said = " ".join(str(error[key]) for key in ("type", "code", "message") if error.get(key) not in (None, ""))
    message = f"error inside the stream: {one_line(redact(said or json.dumps(dict(error), default=str)))}"
    status = int(code) if isinstance(code, (int, float)) or (isinstance(code, str) and code.isdigit()) else 0
    if 400 <= status < 600:
        return _error(status, message, _hint_s(message), None)
    if _MONEY.search(message):
        return Refused(message)
    return ServerFault(message, retry_after_s=_hint_s(message))


def one_line(text: str) -> str:
    """White space folded, length bounded; nothing that could break a log line."""
    folded = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return folded if len(folded) <= MAX_ERROR_CHARS else folded[: MAX_ERROR_CHARS - 1] + "…"


def _error(status: int, message: str, wait_s: float | None, should_retry: str | None) -> RequestError:
    again = status in RETRYABLE and not (status in _RATE and _MONEY.search(message))
    if should_retry in ("true", "false"):
        again = should_retry == "true"
    if not again:
        return Refused(message, http_status=status)
    if status in _RATE:
        return RateLimited(message, http_status=status, retry_after_s=wait_s)
    return ServerFault(message, http_status=status, retry_after_s=wait_s)


def _detail(body: bytes) -> str:
    """The message of an error body: the usual JSON shapes, else its text without markup."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return unescape(_TAG.sub(b" ", body).decode("utf-8", "replace"))
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    if not isinstance(parsed, dict):
        return str(parsed)
    error = parsed.get("error", parsed)
    if not isinstance(error, dict):
        return str(error)
    said = [str(error[key]) for key in ("type", "code", "message", "detail") if error.get(key) not in (None, "")]
    details = json.dumps(error["details"], default=str) if error.get("details") else ""
    return " ".join([*dict.fromkeys(said), details]) if said else json.dumps(error, default=str)


def _wait_s(headers: Mapping[str, str], detail: str, now: datetime) -> float | None:
    """How long the server asks us to wait [s]; never negative."""
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _seconds(text)
    if seconds is not None:
        return seconds
    try:
        due = parsedate_to_datetime(text) if text else None
    except ValueError:
        due = None
    if due is None:
        return _hint_s(detail)
    return max(0.0, (due if due.tzinfo else due.replace(tzinfo=UTC)).timestamp() - now.timestamp())


def _seconds(text: str | None) -> float | None:
    if text is None or not re.fullmatch(r"\s*\d{1,9}(\.\d{1,9})?\s*", text):
        return None
    return float(text)


def _hint_s(text: str) -> float | None:
    found = _HINT.search(text)
    if not found:
        return None
    minutes, count, unit = found.groups()
    return int(minutes or 0) * 60 + float(count) / (1000 if unit.lower() == "ms" else 1)
