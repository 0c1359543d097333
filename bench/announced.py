"""What a target has announced of its limits, and how long the next request had better wait for them.

An announcement is as old as the request it answers: what was sent after that request is counted against it at its
estimate, and a newer request's announcement replaces it. A limit that refills (a token bucket: what OpenAI, Anthropic
and Groq describe, whose reset is when all of it is there again) frees a request's share long before its reset, so the
wait is for that share. A limit without a size, or one that refused although the share should have been there, is taken
for a fixed window and waited out.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bench.budget import Asked, asked
from bench.limits import Counts, Window, windows
from bench.records import Request

REMEMBERED = 4096
"""Requests that are counted against announcements, at the most."""


@dataclass(frozen=True)
class _Seen:
    """A window as an answer announced it."""

    window: Window
    at_s: float
    number: int
    """Of the request it answered."""
    refills: bool


@dataclass(frozen=True)
class _Sent:
    number: int
    at_s: float
    asked: Asked


class Announced:
    """The windows of one endpoint. Times are seconds of one monotonic clock, requests are numbered as they are sent."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._fixed: set[str] = set()
        self._sent: deque[_Sent] = deque(maxlen=REMEMBERED)

    def sent(self, number: int, request: Request, now_s: float) -> None:
        """A request is on its way."""
        self._sent.append(_Sent(number, now_s, asked(request)))

    def learn(self, number: int, headers: Mapping[str, str], now_s: float, now: datetime | None = None) -> None:
        """The head of the answer to request `number`."""
        for window in windows(headers, now or datetime.now(UTC)):
            before = self._seen.get(window.name)
            if before is None or number >= before.number:
                refills = window.limit is not None and window.name not in self._fixed
                self._seen[window.name] = _Seen(window, now_s, number, refills)

    def refused(self, number: int, request: Request) -> None:
        """Request `number` was refused without a word on when to come again: what its own answer says is used up, is a
        fixed window."""
        for name, seen in self._seen.items():
            window = seen.window
            if (
                seen.number == number
                and window.remaining is not None
                and window.remaining < need(window, asked(request))
            ):
                self._fixed.add(name)
                self._seen[name] = replace(seen, refills=False)

    def pause(self, request: Request, now_s: float) -> tuple[float, str]:
        """How long `request` has to wait [s] and for which window; infinite = until a newer announcement."""
        if not self._seen:
            return 0.0, ""
        ask = asked(request)
        return max((self._pause_s(seen, ask, now_s), name) for name, seen in self._seen.items())

    def _pause_s(self, seen: _Seen, ask: Asked, now_s: float) -> float:
        window = seen.window
        if window.remaining is None or window.reset_s is None:
            return 0.0
        reset_at_s = seen.at_s + window.reset_s
        if now_s >= reset_at_s:
            spent = self._spent(window.counts, seen.number, since_s=reset_at_s)
            fits = window.limit is None or need(window, ask) <= window.limit - spent
            return 0.0 if fits else math.inf
        short = need(window, ask) - (window.remaining - self._spent(window.counts, seen.number))
        if short <= 0:
            return 0.0
        if not seen.refills or window.limit is None or window.limit <= window.remaining:
            return reset_at_s - now_s
        per_s = (window.limit - window.remaining) / max(window.reset_s, 1e-9)
        return max(0.0, min(short / per_s, window.reset_s) - (now_s - seen.at_s))

    def _spent(self, counts: Counts, number: int, *, since_s: float = -math.inf) -> float:
        """What requests after `number` take, those before `since_s` left out."""
        spent = 0.0
        for sent in reversed(self._sent):
            if sent.number <= number or sent.at_s < since_s:
                break
            spent += estimate(counts, sent.asked)
        return spent


def need(window: Window, ask: Asked) -> float:
    """What a request takes of a window; never more than there can be, because waiting would not help it."""
    wanted = estimate(window.counts, ask)
    return wanted if window.limit is None else min(wanted, window.limit)


def estimate(counts: Counts, ask: Asked) -> float:
    """The most a request is charged: providers that count tokens before they answer take the whole answer's cap."""
    match counts:
        case "requests":
            return 1.0
        case "input-tokens":
            return float(ask.in_tokens)
        case "output-tokens":
            return float(ask.out_tokens)
        case "tokens":
            return float(ask.in_tokens + ask.out_tokens)
