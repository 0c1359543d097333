"""Quality traffic: every question is asked until it is answered, refused for good, or out of time.

A fixed number of workers keeps that many requests ready, and `bench.throttle` lets as many under way as the target
takes. Every attempt is journalled, before and after. A `Retry-After` holds the whole endpoint; other failures back off
with full jitter; a plain 4xx is never asked again. What concerns the endpoint as a whole (no connection for long, no
answer for its limits for long, a key or quota it does not take) stops the run.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import uuid4

from bench.budget import Budget
from bench.errors import BudgetStop, RateLimited, Refused, RequestError, TooLong, Unreachable, meant_status
from bench.records import ANSWERED, Measurement, Request
from bench.throttle import Throttle, is_limited, resumes

AGAINST_US: frozenset[int] = frozenset({401, 402, 403, 404, 429})
"""Statuses that, once they are not worth a retry, are about who asks and not about the question."""


class Sends(Protocol):
    """What a client is to us."""

    async def send(self, request: Request) -> Measurement: ...


class Journal(Protocol):
    """Where attempts are written; a run folder, or nothing at all."""

    def announce(self, request: Request) -> None: ...
    def append(self, measurement: Measurement) -> None: ...


class Listener(Protocol):
    """Who wants to see progress."""

    def attempted(self, measurement: Measurement, *, final: bool) -> None: ...
    def holding(self, seconds: float) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a failing endpoint is asked again."""

    max_attempts: int = 6
    deadline_s: float = 900.0
    """For one question, from its first attempt on, without the time it was kept back; also the longest wait a server
    may ask for, and the longest time in which it may refuse everything."""
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    unreachable_s: float = 30.0
    """An endpoint to which no connection succeeds for this long stops the run."""


class Traffic:
    """Asks questions of one endpoint; one object per run, used inside one event loop."""

    def __init__(
        self,
        client: Sends,
        journal: Journal,
        *,
        concurrency: int,
        patience: Patience,
        budget: Budget,
        listener: Listener | None = None,
        throttle: Throttle | None = None,
    ) -> None:
        """A client that has `on_head` is listened to for what the target announces of its limits."""
        self._client = client
        self._journal = journal
        self._concurrency = concurrency
        self._patience = patience
        self._budget = budget
        self._listener = listener
        self.throttle = throttle or Throttle(asked=concurrency)
        self.throttle.longest_s = patience.deadline_s
        self.throttle.first_wait_s, self.throttle.longest_wait_s = patience.first_wait_s, patience.longest_wait_s
        if listener is not None:
            self.throttle.hear = listener.holding
        if hasattr(client, "on_head"):
            client.on_head = self.throttle.learn
        self._n_answered = 0
        self._down_since: float | None = None
        self._refused_since: float | None = None
        self._stop: BudgetStop | RequestError | None = None
        self._settled = asyncio.Event()

    async def ask_all(self, requests: Iterable[Request]) -> dict[str, Measurement]:
        """The last attempt of each request, by `request_key`.

        Raises what stopped the run (BudgetStop, or a RequestError about the endpoint) once nothing is under way.
        """
        waiting = iter(requests)
        last: dict[str, Measurement] = {}

        async def worker() -> None:
            for request in waiting:
                if self._stop is not None:
                    return
                measurement = await self._ask(request)
                if measurement is not None:
                    last[request.request_key] = measurement

        self.throttle.tell("start")
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._concurrency):
                    group.create_task(worker())
        except ExceptionGroup as failed:
            # A worker failing (a full disk) has cancelled the others: its reason is enough.
            raise failed.exceptions[0] from failed
        self.throttle.tell("end")
        if self._stop is not None:
            raise self._stop
        return last

    async def _ask(self, request: Request) -> Measurement | None:
        """Attempts until one counts; None when the run stops before the first."""
        measurement: Measurement | None = None
        give_up_at = float("inf")
        tries = 0
        waited_s = 0.0
        while True:
            n_before = self._n_answered
            kept_s = await self._may_send(request)
            if kept_s is None:
                return measurement
            waited_s += kept_s
            if measurement is None:
                give_up_at = time.monotonic() + self._patience.deadline_s
            else:
                give_up_at += waited_s
            measurement = await self._attempt(request, waited_s)
            tries += self._counts_as_try(measurement, n_before)
            final = not self._again(measurement, tries, give_up_at)
            if self._listener is not None:
                self._listener.attempted(measurement, final=final)
            if final:
                return measurement
            waited_s = await self._back_off(measurement, tries)
            request = replace(request, attempt=request.attempt + 1, request_id=uuid4().hex)

    async def _may_send(self, request: Request) -> float | None:
        """Waits for the target's limits and for room in the allowance. How long the limits took [s]; None when the run
        is to stop instead."""
        kept_s = 0.0
        while True:
            try:
                kept_s += await self.throttle.room(request)
                if self._stop is not None:
                    return None
                if self._budget.reserve(request):
                    self.throttle.enter(request)
                    return kept_s
            except (BudgetStop, RateLimited) as stop:
                self._end(stop)
                return None
            self._settled.clear()
            await self._settled.wait()

    def _end(self, stop: BudgetStop | RequestError) -> None:
        self._stop = self._stop or stop
        self._settled.set()
        self.throttle.stop()

    async def _attempt(self, request: Request, waited_s: float) -> Measurement:
        self._journal.announce(request)
        measurement = replace(await self._client.send(request), waited_s=round(waited_s, 3))
        self._journal.append(measurement)
        self._budget.settle(measurement)
        self._settled.set()
        self._n_answered += measurement.status in ANSWERED
        self.throttle.leave(measurement)
        self._notice(measurement)
        return measurement

    def _counts_as_try(self, measurement: Measurement, n_before: int) -> bool:
        """Being told when to come again is no failure, and neither is a refusal while the target answers others."""
        return not _told_to_wait(measurement) and not (is_limited(measurement) and self._n_answered > n_before)

    def _again(self, measurement: Measurement, tries: int, give_up_at: float) -> bool:
        if measurement.status in ANSWERED or not measurement.retryable or self._stop is not None:
            return False
        return tries < self._patience.max_attempts and time.monotonic() < give_up_at

    async def _back_off(self, measurement: Measurement, tries: int) -> float:
        """Sleeps with full jitter, unless a hold of the whole endpoint says when to go on; how long that took [s]."""
        if _told_to_wait(measurement):
            return 0.0
        ceiling_s = min(self._patience.longest_wait_s, self._patience.first_wait_s * 2 ** max(tries - 1, 0))
        began = time.monotonic()
        with self.throttle.waiting() if is_limited(measurement) else nullcontext():
            await self.throttle.sleep(random.uniform(0, ceiling_s))
        return time.monotonic() - began

    def _notice(self, measurement: Measurement) -> None:
        """What an attempt says of the endpoint as a whole: trouble that will not pass must not cost every item its
        patience, and must not pass for an answer."""
        who, why = measurement.target_id, measurement.error
        status = meant_status(measurement.http_status, why)
        if status in AGAINST_US and not measurement.retryable and TooLong.limit_of(why) is None:
            self._end(Refused(f"{who} does not serve us: {why}; mend that and run the same command to go on"))
        if (measurement.retry_after_s or 0) > self._patience.deadline_s:
            asked_s = f"{measurement.retry_after_s:.0f} s"
            again = resumes(measurement.retry_after_s or 0)
            self._end(RateLimited(f"{who} asks us to wait {asked_s} ({why}); {again}"))
        now = time.monotonic()
        self._refused_since = (self._refused_since or now) if is_limited(measurement) else None
        if self._refused_since is not None and now - self._refused_since >= self._patience.deadline_s:
            refused_s = f"{now - self._refused_since:.0f} s"
            kept = "what was answered is kept, run the same command later to go on"
            self._end(RateLimited(f"{who} has taken nothing for {refused_s} ({why}); {kept}"))
        if measurement.status != "connect_error":
            self._down_since = None
            return
        self._down_since = self._down_since if self._down_since is not None else now
        if now - self._down_since >= self._patience.unreachable_s:
            down_s = f"{now - self._down_since:.0f} s"
            kept = "what was answered is kept, run the same command to go on"
            self._end(Unreachable(f"{who} has not been reachable for {down_s} ({why}); {kept}"))


def _told_to_wait(measurement: Measurement) -> bool:
    return (measurement.retry_after_s or 0.0) > 0.05
