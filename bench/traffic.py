"""Quality traffic: every question is asked until it is answered, refused for good, or out of time.

A fixed number of workers keeps that many requests under way. Every attempt is journalled, before and after. A
`Retry-After` holds the whole endpoint; other failures back off with full jitter; a plain 4xx is never asked again.
What concerns the endpoint as a whole (no connection for long, a key or quota it does not take) stops the run.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import uuid4

from bench.budget import Budget
from bench.errors import BudgetStop, RateLimited, Refused, RequestError, Unreachable
from bench.records import ANSWERED, Measurement, Request

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
    """For one question, all attempts together."""
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
    ) -> None:
        self._client = client
        self._journal = journal
        self._concurrency = concurrency
        self._patience = patience
        self._budget = budget
        self._listener = listener
        self._hold_until = 0.0
        self._down_since: float | None = None
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

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._concurrency):
                    group.create_task(worker())
        except ExceptionGroup as failed:
            # A worker failing (a full disk) has cancelled the others: its reason is enough.
            raise failed.exceptions[0] from failed
        if self._stop is not None:
            raise self._stop
        return last

    async def _ask(self, request: Request) -> Measurement | None:
        """Attempts until one counts; None when the run stops before the first."""
        give_up_at = time.monotonic() + self._patience.deadline_s
        measurement: Measurement | None = None
        tries = 0
        while True:
            if not await self._may_send(request):
                return measurement
            measurement = await self._attempt(request)
            tries += not _told_to_wait(measurement)  # being told when to come again is not a failure
            final = not self._again(measurement, tries, give_up_at)
            if self._listener is not None:
                self._listener.attempted(measurement, final=final)
            if final:
                return measurement
            await self._back_off(measurement, tries)
            request = replace(request, attempt=request.attempt + 1, request_id=uuid4().hex)

    async def _may_send(self, request: Request) -> bool:
        """Waits for a hold to end and for room in the allowance; False when the run is to stop instead."""
        while True:
            await self._pause(self._hold_until)
            if self._stop is not None:
                return False
            try:
                if self._budget.reserve(request):
                    return True
            except BudgetStop as stop:
                self._end(stop)
                return False
            self._settled.clear()
            await self._settled.wait()

    def _end(self, stop: BudgetStop | RequestError) -> None:
        self._stop = self._stop or stop
        self._settled.set()

    async def _attempt(self, request: Request) -> Measurement:
        self._journal.announce(request)
        measurement = await self._client.send(request)
        self._journal.append(measurement)
        self._budget.settle(measurement)
        self._settled.set()
        self._notice(measurement)
        return measurement

    def _again(self, measurement: Measurement, tries: int, give_up_at: float) -> bool:
        if measurement.status in ANSWERED or not measurement.retryable or self._stop is not None:
            return False
        return tries < self._patience.max_attempts and time.monotonic() < give_up_at

    async def _pause(self, until: float) -> None:
        """Sleeps in short steps, because others may lengthen a hold or stop the run meanwhile."""
        while (left_s := max(until, self._hold_until) - time.monotonic()) > 0 and self._stop is None:  # noqa: ASYNC110
            await asyncio.sleep(min(left_s, 1.0))

    async def _back_off(self, measurement: Measurement, tries: int) -> None:
        if not _told_to_wait(measurement):
            ceiling_s = min(self._patience.longest_wait_s, self._patience.first_wait_s * 2 ** max(tries - 1, 0))
            await self._pause(time.monotonic() + random.uniform(0, ceiling_s))
            return
        wait_s = measurement.retry_after_s or 0.0
        self._hold_until = max(self._hold_until, time.monotonic() + wait_s)
        if self._listener is not None:
            self._listener.holding(wait_s)

    def _notice(self, measurement: Measurement) -> None:
        """What an attempt says of the endpoint as a whole: trouble that will not pass must not cost every item its
        patience, and must not pass for an answer."""
        who, why = measurement.target_id, measurement.error
        if measurement.http_status in AGAINST_US and not measurement.retryable:
            self._end(Refused(f"{who} does not serve us: {why}; mend that and run the same command to go on"))
        if (measurement.retry_after_s or 0) > self._patience.deadline_s:
            asked_s = f"{measurement.retry_after_s:.0f} s"
            self._end(RateLimited(f"{who} asks us to wait {asked_s} ({why}); run the same command then to go on"))
        now = time.monotonic()
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
