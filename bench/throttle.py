"""Lets quality traffic through as fast as its target takes it: no faster, and after trouble one by one.

Three things hold a request back.

A *hold* is what the server asked for (`Retry-After`, a hint in the body): nothing is sent to the endpoint until it is
over. Holds only ever grow, and end up to a tenth later than asked, at random, so that several clients don't return
together.

The *window* is how many requests may be under way (AIMD, as TCP does it). It begins at the concurrency asked for, is
halved (rounded up) when the target refuses for its limits (429, 498, 503, 529, or such an error inside a stream), once
for all requests that were sent before it was halved, and grows by one after as many answers as it is wide; never above
what was asked for, never below 1. A width that was refused is tried again after as many answers, then after twice as
many, and so on up to 32 times, until it is taken. Refused at a width of 1, the endpoint is held with full jitter. After
a hold one request goes first, and each that is taken lets one more be under way, up to the window.

An *allowance* is what the headers announce (`bench.announced`): a request that would not find room waits for it.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bench.announced import Announced
from bench.errors import RateLimited, meant_status
from bench.records import ANSWERED, Measurement, Request

LIMITED: frozenset[int] = frozenset({429, 498, 503, 529})
"""Statuses that say: not so much at once."""
NOTED_S = 0.1
"""Waits for an allowance shorter than this are pacing: they count as lost time, but are no hold worth a line."""
LATER = 0.1
"""Share of a hold by which it may end later than asked."""
LATEST_S = 1.0
SLOWEST = 32
"""How many windows of answers a refused width waits for, at the most, before it is tried again."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One line of the history: what the throttle did, and what limits have cost by then."""

    changed_at: str
    """UTC wall time, ISO 8601 with `Z`."""
    after_s: float
    """Since this process began to ask; of a clock that nobody moves."""
    width: int
    """Of the window: requests that may be under way from now on."""
    why: str
    """`start`, `end`, `answered` (grew), `hold: …`, or what the target refused with."""
    held_s: float = 0.0
    """How long nothing is sent from now on, of a hold."""
    lost_s: float = 0.0
    """As `Lost.lost_s`, up to now."""
    refusals: int = 0
    """Answers so far that were about limits."""


@dataclass(frozen=True, kw_only=True)
class Lost:
    """What limits have cost one run, in one process."""

    lost_s: float
    """Time in which at least one request was ready and kept back because of limits: by a hold, by a window smaller than
    the concurrency asked for, by an announced allowance, or backing off after such a refusal. Such times overlap; their
    union is counted, so it is never more than the run took. Waiting for the budget, or after other failures, is not in
    it."""
    holds: int
    refusals: int
    asked: int
    lowest: int
    last: int
    """The window: asked for, at its narrowest, at the end."""

    def told(self) -> str | None:
        """`lost 12.3 s to limits: 4 holds, 17 refusals, window 16 → 3 → 9`; None where limits cost nothing."""
        if self.lost_s < NOTED_S and not self.refusals:
            return None
        parts = [_counted(self.holds, "hold"), _counted(self.refusals, "refusal")]
        if self.lowest < self.asked:
            parts.append(f"window {self.asked} → {self.lowest} → {self.last}")
        return f"lost {self.lost_s:.1f} s to limits: {', '.join(filter(None, parts)) or 'paced by what it announced'}"


def is_limited(measurement: Measurement) -> bool:
    """Whether the target refused an attempt because of its limits, in a way that passes."""
    return measurement.retryable and meant_status(measurement.http_status, measurement.error) in LIMITED


@dataclass
class _Pass:
    """A request under way."""

    number: int
    """Of all that were sent, in their order."""
    epoch: int
    """How often the window had been narrowed when it was sent."""
    request: Request
    taken: bool = False
    """The target has begun to answer it."""


_under_way: ContextVar[str] = ContextVar("_under_way")
"""The request whose answer this task is waiting for: heads are told without it."""


@dataclass(kw_only=True)
class Throttle:
    """One endpoint's throttle; belongs to the event loop it is used in."""

    asked: int
    """Concurrency asked for."""
    longest_s: float = 900.0
    """A wait longer than this ends the run instead."""
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    """Bounds of the random holds, doubled from refusal to refusal, when even one request at a time is refused."""
    note: Callable[[Change], None] | None = None
    """Told every change."""
    hear: Callable[[float], None] | None = None
    """Told the seconds of every hold."""
    who: str = "the target"
    holds: int = 0
    refusals: int = 0
    _window: int = field(init=False)
    _open: int = field(init=False)
    """What of the window is open: all of it, or less on the way back from a hold."""
    _lowest: int = field(init=False)
    _credit: int = 0
    """Answers since the window last changed."""
    _ceiling: int = 0
    """Width that was refused last; 0 once it was taken."""
    _slow: int = 1
    _n_alone: int = 0
    """Refusals in a row at a width of 1."""
    _epoch: int = 0
    _number: int = 0
    _passes: dict[str, _Pass] = field(default_factory=dict)
    _announced: Announced = field(default_factory=Announced)
    _held_until_s: float = 0.0
    _line: asyncio.Lock = field(default_factory=asyncio.Lock)  # who holds it is next: first come, first served
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _n_waiting: int = 0
    _waiting_since_s: float = 0.0
    _lost_s: float = 0.0
    _began_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._window = self._open = self._lowest = self.asked

    # ------------------------------------------------------------------------------------------------ the way through

    async def room(self, request: Request) -> float:
        """Waits until `request` may be sent; how long that took [s]. Then `enter`, before anything else is awaited.

        Raises RateLimited when an announced limit asks for more than `longest_s`.
        """
        if not self._line.locked() and self._pause(request)[0] <= 0:
            return 0.0
        began_s = time.monotonic()
        told = False
        with self.waiting():
            async with self._line:
                while not self._stopped.is_set():
                    pause_s, name = self._pause(request)
                    if pause_s <= 0:
                        break
                    if name and pause_s > NOTED_S and not told:
                        self._held(pause_s, name)
                        told = True
                    self._changed.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(min(pause_s, 60.0)):
                            await self._changed.wait()
        return time.monotonic() - began_s

    def enter(self, request: Request) -> None:
        """`request` is being sent, by this task."""
        self._number += 1
        self._passes[request.request_id] = _Pass(self._number, self._epoch, request)
        self._announced.sent(self._number, request, time.monotonic())
        _under_way.set(request.request_id)

    def learn(self, status: int, headers: Mapping[str, str]) -> None:
        """The head of an answer to what this task has sent."""
        mine = self._passes.get(_under_way.get(""))
        if mine is None:
            return
        self._announced.learn(mine.number, headers, time.monotonic())
        if status == 200:
            self._taken(mine)
        self._changed.set()

    def leave(self, measurement: Measurement) -> None:
        """The attempt is over."""
        mine = self._passes.get(measurement.request_id)
        if mine is None:
            return
        self.who = measurement.target_id
        if is_limited(measurement):
            self._refused(mine, measurement)
        del self._passes[measurement.request_id]
        wait_s = 0.0 if measurement.status in ANSWERED else measurement.retry_after_s or 0.0
        if wait_s > 0:
            self._hold(wait_s, "asked to wait")
        if measurement.status in ANSWERED:
            self._taken(mine)
            self._answered(mine)
        self._changed.set()

    def stop(self) -> None:
        """Lets everybody through, to see that nothing is to be sent any more."""
        self._stopped.set()
        self._changed.set()

    async def sleep(self, seconds: float) -> None:
        """Sleeps, unless all is stopped meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()

    # --------------------------------------------------------------------------------------------------- what it cost

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Somebody is kept back by limits for the length of the block."""
        if not self._n_waiting:
            self._waiting_since_s = time.monotonic()
        self._n_waiting += 1
        try:
            yield
        finally:
            self._n_waiting -= 1
            if not self._n_waiting:
                self._lost_s += time.monotonic() - self._waiting_since_s

    @property
    def lost(self) -> Lost:
        """So far."""
        running_s = time.monotonic() - self._waiting_since_s if self._n_waiting else 0.0
        return Lost(
            lost_s=self._lost_s + running_s,
            holds=self.holds,
            refusals=self.refusals,
            asked=self.asked,
            lowest=self._lowest,
            last=self._window,
        )

    def tell(self, why: str, held_s: float = 0.0) -> None:
        """A line of the history."""
        if self.note is not None:
            lost = self.lost
            self.note(
                Change(
                    changed_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
                    after_s=round(time.monotonic() - self._began_s, 3),
                    width=self._window,
                    why=why,
                    held_s=round(held_s, 3),
                    lost_s=round(lost.lost_s, 3),
                    refusals=self.refusals,
                )
            )

    # -------------------------------------------------------------------------------------------------------- how long

    def _pause(self, request: Request) -> tuple[float, str]:
        """How long `request` has to wait as things stand [s], infinite = until something changes; and which announced
        limit it waits for, if any."""
        now_s = time.monotonic()
        if self._held_until_s > now_s:
            return self._held_until_s - now_s, ""
        if len(self._passes) >= self._open:
            return math.inf, ""
        pause_s, name = self._announced.pause(request, now_s)
        if not math.isfinite(pause_s):
            return (pause_s, "") if self._passes else (0.0, "")
        if pause_s > self.longest_s:
            raise RateLimited(f"{self.who} announces that its limit of {name} is used up; {resumes(pause_s)}")
        return pause_s, name

    def _held(self, pause_s: float, name: str) -> None:
        """An announced limit keeps the next request back for more than a moment."""
        self.holds += 1
        self.tell(f"hold: {name}", pause_s)
        if self.hear is not None:
            self.hear(pause_s)

    # ------------------------------------------------------------------------------------------------------ what comes

    def _refused(self, mine: _Pass, measurement: Measurement) -> None:
        """Narrows the window, once for all that was sent before it was narrowed."""
        self.refusals += 1
        self._credit = 0
        if not measurement.retry_after_s:
            self._announced.refused(mine.number, mine.request)
        if mine.epoch != self._epoch:
            return
        self._epoch += 1
        width = min(self._window, len(self._passes))
        self._slow = min(SLOWEST, 2 * self._slow) if width <= self._ceiling else 1
        self._ceiling = width
        self._window = self._open = (width + 1) // 2
        self._lowest = min(self._lowest, self._window)
        self.tell((measurement.error or "refused").partition(": ")[0])
        if width == 1 and not measurement.retry_after_s:
            ceiling_s = min(self.longest_wait_s, self.first_wait_s * 2**self._n_alone)
            self._n_alone += 1
            self._hold(random.uniform(0, ceiling_s), "refused one at a time")

    def _hold(self, seconds: float, why: str) -> None:
        """Nothing goes out for so long; what is held longer already stays so."""
        now_s = time.monotonic()
        if now_s + seconds <= self._held_until_s:
            return
        begins = self._held_until_s <= now_s
        before_s, self._held_until_s = self._held_until_s, now_s + seconds
        self._held_until_s += random.uniform(0, min(LATEST_S, seconds * LATER))
        self._open = 1  # what comes after it comes one by one
        self._epoch += begins
        self.holds += begins
        if begins or self._held_until_s - before_s > NOTED_S:
            self.tell(f"hold: {why}", self._held_until_s - now_s)
            if self.hear is not None:
                self.hear(seconds)

    def _taken(self, mine: _Pass) -> None:
        """The target takes requests: after a hold, more may follow."""
        if not mine.taken:
            mine.taken = True
            if mine.epoch == self._epoch and self._open < self._window:
                self._open += 1

    def _answered(self, mine: _Pass) -> None:
        self._n_alone = 0
        if mine.epoch != self._epoch or self._open < self._window:
            return
        self._credit += 1
        if self._credit >= self._window >= self._ceiling:
            self._ceiling, self._slow = 0, 1
        slow = self._slow if self._window + 1 >= self._ceiling > 0 else 1
        if self._credit >= self._window * slow and self._window < self.asked:
            self._credit = 0
            self._window += 1
            self._open = self._window
            self.tell("answered")


def resumes(wait_s: float) -> str:
    """When to go on, for a message."""
    then = datetime.now(UTC) + timedelta(seconds=wait_s)
    return f"run the same command after {then:%Y-%m-%d %H:%M} UTC (in {wait_s:.0f} s) to go on"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}" if count else ""
