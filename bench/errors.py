"""What can go wrong.

BenchError
├─ ConfigError        the user can fix it; one line, no traceback, before anything is spent      exit 2
├─ BudgetStop         the allowance is spent; the run is kept and can be resumed                 exit 4
├─ EngineError        a local engine died, was slow or is missing; ends with its log's last lines  exit 5
├─ RequestError       one request failed: becomes a row; stops a run only where it is about the endpoint as a whole
│   ├─ Refused        4xx that will not get better by asking again
│   │   └─ TooLong    the question does not fit: about the question, never about the endpoint
│   ├─ RateLimited    429 of the rate kind; carries how long the server asked us to wait
│   ├─ ServerFault    5xx, or an error object inside a stream
│   ├─ Unreachable    no connection was made
│   ├─ TimedOut       a deadline passed
│   ├─ Broken         the stream ended without a finish event
│   └─ Garbled        the bytes are not the protocol's
├─ JudgeError         the suite could not be judged at all                                      exit 5
└─ RunError           a run folder or the store is incomplete, locked, or of an unknown schema     exit 5

A message names the thing, the value and the way out, in one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar

from bench.records import Status


class BenchError(Exception):
    """Root of everything we raise on purpose; `exit_code` is what the command line ends with."""

    exit_code: ClassVar[int] = 5


class ConfigError(BenchError):
    """Something the user typed or configured; always one line, raised before anything is spent."""

    exit_code: ClassVar[int] = 2


class BudgetStop(BenchError):
    """The run's allowance is used up; what was answered is kept."""

    exit_code: ClassVar[int] = 4


class EngineError(BenchError):
    """A local engine is missing, died or was too slow; the message ends with its log's last lines."""


class JudgeError(BenchError):
    """A suite could not be judged at all."""


class RunError(BenchError):
    """A run folder or the store is incomplete, locked by another process, or of an unknown schema."""


class RequestError(BenchError):
    """One request failed. It becomes a row with `status`, and never an answer."""

    status: ClassVar[Status] = "http_error"

    def __init__(self, message: str, *, http_status: int | None = None) -> None:
        super().__init__(message)
        self.http_status = http_status


class Refused(RequestError):
    """A 4xx that asking again will not change."""


class TooLong(Refused):
    """The question does not fit the target's context, or its limit for one request; no later time changes that.

    A row knows it by the beginning of its error, which `limit_of` reads.
    """

    def __init__(self, message: str, *, http_status: int | None = None, limit_tokens: int | None = None) -> None:
        told = f" ({limit_tokens} tokens)" if limit_tokens else ""
        super().__init__(f"{_TOO_LONG}{told}: {message}", http_status=http_status)

    @staticmethod
    def limit_of(error: str | None) -> int | None:
        """The limit in tokens that a row's `error` tells, 0 where it tells none; None for any other error."""
        found = _TOLD_LIMIT.match(error or "")
        return int(found.group(1) or 0) if found else None


_TOO_LONG = "too long for the target"
_TOLD_LIMIT = re.compile(rf"{_TOO_LONG}(?: \((\d+) tokens\))?: ")


class RateLimited(RequestError):
    """A 429 (or its like): ask again, after `retry_after_s` if the server said so."""

    def __init__(self, message: str, *, http_status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, http_status=http_status)
        self.retry_after_s = retry_after_s


class ServerFault(RequestError):
    """A 5xx, or an error object inside a stream that began with 200."""

    def __init__(self, message: str, *, http_status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, http_status=http_status)
        self.retry_after_s = retry_after_s


class Unreachable(RequestError):
    """No connection was made (DNS, refused, TLS)."""

    status: ClassVar[Status] = "connect_error"


class TimedOut(RequestError):
    """A deadline of ours passed."""

    status: ClassVar[Status] = "timeout"


class Broken(RequestError):
    """The stream ended without a finish event: never a short answer."""

    status: ClassVar[Status] = "stream_cut"


class Garbled(RequestError):
    """The bytes that came are not the protocol's."""

    status: ClassVar[Status] = "garbled"


def meant_status(http_status: int | None, error: str | None) -> int | None:
    """The HTTP status of a row, or what its error says it would be: inside a stream that began with 200."""
    found = _MEANT.search(error or "") if http_status in (None, 200) else None
    return int(found.group(1)) if found else http_status


_MEANT = re.compile(r"^[^:]*(?:: )?error inside the stream \(as HTTP (\d{3})\)")


def nearest(wrong: str, known: Iterable[str]) -> str:
    """`; did you mean X?` for the closest known name, else the first few names there are."""
    names = sorted(set(known))
    close = get_close_matches(wrong, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    if not names:
        return ""
    return f"; known: {', '.join(names[:12])}{' …' if len(names) > 12 else ''}"
