"""Quality traffic through a batch API: what is sent when, what is waited for, and what is done after a crash.

Every step is noted in the run's `batches.jsonl` before it is taken and after. A batch costs money from `create` on, so
only one that got so far can have been paid for: after a crash there it is looked for at the provider before anything
is sent again. What has no batch is planned anew. A batch that runs is never cancelled by us: whoever interrupts the run
finds it again with the same command.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar
from uuid import uuid4

from bench.batch import Api, Job, Pace, Result, State
from bench.batch.rows import Rows, batch_failure
from bench.budget import asked
from bench.catalog.nouns import BatchTerms
from bench.client import Client
from bench.errors import BudgetStop, RateLimited, Refused, RequestError, ServerFault, TooLong, Unreachable, meant_status
from bench.records import ANSWERED, Endpoint, Measurement, Request
from bench.runs import Batches, Run, read_requests
from bench.runs.batches import Noted
from bench.traffic import AGAINST_US
from bench.wires import wire as wire_named

T = TypeVar("T")
MOST_REQUESTS = 10_000
"""In one batch of ours, whatever the provider takes: its results are held in memory."""
NOT_STREAMED = ("stream", "stream_options")


class Allowance(Protocol):
    def reserve(self, request: Request) -> bool: ...
    def hold(self, request: Request) -> None: ...
    def settle(self, measurement: Measurement) -> object: ...


class Listener(Protocol):
    """Who wants to see progress."""

    def attempted(self, measurement: Measurement, *, final: bool) -> None: ...
    def holding(self, seconds: float) -> None: ...
    def told(self, line: str) -> None: ...


@dataclass
class Sent:
    """A batch that is at the provider, or may be."""

    job: Job
    requests: tuple[Request, ...]
    ids: list[str]
    """The provider's id; several where it is one of these."""
    proved: bool
    at: str
    remote: str = ""


class Batching:
    """Asks questions of one endpoint in batches; one object per run, used inside one event loop."""

    def __init__(
        self,
        endpoint: Endpoint,
        run: Run,
        terms: BatchTerms,
        api: Api,
        *,
        budget: Allowance,
        listener: Listener,
        pace: Pace,
    ) -> None:
        self._endpoint, self._run, self._terms, self._api = endpoint, run, terms, api
        self._budget, self._listener, self._pace = budget, listener, pace
        self._wire = wire_named(endpoint.wire)
        self._notes: Batches = run.batches()
        self._waiting: deque[Request] = deque()
        self._open: list[Sent] = []
        self._tries: Counter[str] = Counter()
        self._last: dict[str, Measurement] = {}
        self._most = min(terms.requests, MOST_REQUESTS)
        self._not_before = 0.0
        self._reached = False

    async def ask_all(self, requests: Sequence[Request]) -> dict[str, Measurement]:
        """The last attempt of each request, by `request_key`; batches of this run that are still open are taken up.

        Raises what stopped the run (BudgetStop, or a RequestError about the endpoint); open batches stay open.
        """
        async with Client(self._endpoint, run_id=self._run.header.run_id) as client:
            self._client = client
            self._plain = self._plain_job()
            self._rows = Rows(self._wire, self._endpoint, self._run.header.run_id, client.secrets.redact)
            self._waiting.extend(requests)
            await self._take_up()
            while self._waiting or self._open:
                await self._send_what_fits()
                if self._open:
                    await self._wait_for_some()
                else:
                    await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
            return self._last

    # ------------------------------------------------------------------------------------------------ after a crash

    async def _take_up(self) -> None:
        """Batches of an earlier session: found again, waited for again, or dropped where they were never made."""
        asked = {request.request_key: request for request in self._waiting}
        under_way: set[str] = set()
        for noted in self._notes.noted():
            if not noted.is_open:
                continue
            sent = await self._recovered(noted, asked)
            if sent is None:
                continue
            self._open.append(sent)
            ended = self._ended_ids()
            pending = [request for request in sent.requests if request.request_id not in ended]
            under_way |= {request.request_key for request in pending}
            for request in pending:
                self._tries[request.request_key] += 1
                self._budget.hold(request)
            self._tell(f"waiting again for batch {sent.ids[0]}, {len(pending)} requests")
        self._waiting = deque(request for request in self._waiting if request.request_key not in under_way)

    async def _recovered(self, noted: Noted, asked: dict[str, Request]) -> Sent | None:
        facts = noted.facts
        if noted.state in ("planned", "uploaded"):
            self._notes.note(noted.tag, "dropped", why="the process that planned it ended before it was sent")
            return None
        requests = tuple(_with_text(request, asked) for request in noted.requests)
        job = replace(self._plain, tag=noted.tag, n=len(requests), file=facts.get("file"))
        at = str(facts.get("sent_at") or facts["at"])
        if noted.state == "creating":
            ids = await self._found(job, _time(at))
            if not ids:
                self._notes.note(noted.tag, "dropped", why="the provider has no such batch: it was never made")
                return None
            self._notes.note(noted.tag, "created", ids=ids, proved=self._api.PROVES)
            return Sent(job, requests, ids, self._api.PROVES, at)
        return Sent(job, requests, list(facts.get("ids") or ()), bool(facts.get("proved", True)), at)

    def _ended_ids(self) -> frozenset[str]:
        """Requests that have their row."""
        return frozenset(read_requests(self._run.path)[0]["request_id"].to_pylist())

    async def _found(self, job: Job, since: datetime) -> list[str]:
        """Ids of batches that may be this one; looked for until a new one would surely be listed."""
        known = {batch_id for noted in self._notes.noted() for batch_id in noted.facts.get("ids") or ()}
        until = since + timedelta(seconds=self._pace.settle_s)
        while True:
            found = await self._calmly(lambda: self._api.find(self._client, job, since), self._pace.give_up_s)
            left_s = (until - datetime.now(UTC)).total_seconds()
            if new := [batch_id for batch_id in found if batch_id not in known]:
                return new
            if left_s <= 0:
                return []
            await asyncio.sleep(min(left_s, self._pace.first_s))

    # ------------------------------------------------------------------------------------------------------ sending

    async def _send_what_fits(self) -> None:
        while self._waiting and time.monotonic() >= self._not_before:
            batch = self._next_batch()
            if not batch:
                return
            await self._send(batch)

    def _next_batch(self) -> list[tuple[Request, bytes]]:
        """As many requests as the limits and the allowance take; none = wait for what is under way.

        BudgetStop when nothing is under way that could leave room.
        """
        batch: list[tuple[Request, bytes]] = []
        size = 0
        while self._waiting and len(batch) < self._most:
            request = self._waiting[0]
            line = self._line(request)
            size += len(line) + 1
            if batch and size > (self._terms.mib << 20):
                break
            try:
                fits = self._budget.reserve(request)
            except BudgetStop:
                if not batch and not self._open:
                    raise
                fits = False
            if not fits:
                if not batch and not self._open:
                    raise BudgetStop(f"{self._endpoint.target_id}: nothing more fits into the allowance")
                break
            batch.append((self._waiting.popleft(), line))
        return batch

    def _line(self, request: Request) -> bytes:
        outgoing = self._wire.encode(self._endpoint, request)
        body = {key: value for key, value in outgoing.body.items() if key not in NOT_STREAMED}
        return self._api.line(self._plain, request.request_id, body)

    def _plain_job(self) -> Job:
        """What all batches of this endpoint have in common: its path, and the headers the wire sends beside a body."""
        outgoing = self._wire.encode(self._endpoint, Request(request_id="x", request_key="x", prompt="x"))
        return Job(
            tag="",
            model=self._endpoint.model,
            path=outgoing.path,
            base_url=self._endpoint.base_url,
            terms=self._terms,
            n=0,
            headers=dict(outgoing.headers),
        )

    async def _send(self, batch: list[tuple[Request, bytes]]) -> None:
        requests, lines = tuple(request for request, _ in batch), [line for _, line in batch]
        job = replace(self._plain, tag=f"gapbench-{uuid4().hex[:16]}", n=len(batch))
        self._notes.plan(job.tag, requests, api=self._terms.api)
        try:
            job = replace(job, file=await self._uploaded(job, lines))
            ids, proved = await self._created(job, lines)
        except Refused as error:
            self._notes.note(job.tag, "dropped", why=str(error))
            raise self._against_us(error) from error
        self._tries.update(request.request_key for request in requests)
        sent = Sent(job, requests, ids, proved, self._sent_at)
        self._open.append(sent)
        more = f", {len(self._waiting)} more wait" if self._waiting else ""
        self._tell(
            f"batch {ids[0]}: {len(requests)} requests sent{more}; "
            "interrupting leaves it running, and the same command waits for it again"
        )

    async def _uploaded(self, job: Job, lines: list[bytes]) -> str | None:
        file = await self._calmly(lambda: self._api.upload(self._client, job, lines), self._pace.submit_s)
        if file is not None:
            self._notes.note(job.tag, "uploaded", file=file)
        return file

    async def _created(self, job: Job, lines: list[bytes]) -> tuple[list[str], bool]:
        """Its id, or the ids it may have, and whether that is sure.

        An answer that is lost on the way is no reason to make a second batch.
        """
        give_up_at = time.monotonic() + self._pace.submit_s
        tries = 0
        while True:
            self._sent_at = _now()
            self._notes.note(job.tag, "creating", sent_at=self._sent_at)
            try:
                # On a connection of its own: one that was kept may be dead, and then a request is silently sent again.
                async with Client(self._endpoint, run_id=self._run.header.run_id) as client:
                    state = await self._api.create(client, job, lines)
                self._notes.note(job.tag, "created", ids=[state.id], proved=True, remote=state.remote)
                return [state.id], True
            except Refused:
                raise
            except RequestError as error:
                unmade = isinstance(error, (RateLimited, Unreachable))
                made = [] if unmade else await self._found(job, _time(self._sent_at))
                if made:
                    self._notes.note(job.tag, "created", ids=made, proved=self._api.PROVES)
                    return made, self._api.PROVES
                if time.monotonic() >= give_up_at:
                    raise
                tries += 1
                await self._back_off(error, tries)

    # ------------------------------------------------------------------------------------------------------ waiting

    async def _wait_for_some(self) -> None:
        """Looks, ever more rarely, until a batch has ended and its results are rows."""
        ceiling_s = self._pace.first_s
        while True:
            await asyncio.sleep(random.uniform(0, ceiling_s))
            ended = 0
            for sent in list(self._open):
                state = await self._looked(sent)
                if state.phase != "waiting":
                    await self._collect(sent, state)
                    ended += 1
            if ended:
                return
            ceiling_s = min(ceiling_s * self._pace.growth, self._pace.longest_s)

    async def _looked(self, sent: Sent) -> State:
        batch_id = sent.ids[0]
        state = await self._asked_about(batch_id, lambda: self._api.look(self._client, sent.job, batch_id))
        seen = f"{state.remote}, {state.n_done} of {sent.job.n}" if state.n_done is not None else state.remote
        if seen != sent.remote:
            sent.remote = seen
            self._tell(f"batch {batch_id}: {seen}")
        return state

    async def _collect(self, sent: Sent, state: State) -> None:
        """Every request of an ended batch becomes a row; those worth it are asked again."""
        self._notes.note(sent.job.tag, "ended", remote=state.remote)
        results, told = await self._results(sent, state)
        if not sent.proved and not results.keys() & {request.request_id for request in sent.requests}:
            self._not_ours(sent)
            return
        ended = self._ended_ids()
        failure = batch_failure(state.error) if state.phase == "failed" else None
        rows = [
            self._row(request, results.get(request.request_id), state, failure, sent.at)
            for request in sent.requests
            if request.request_id not in ended
        ]
        retried = self._again(rows, failure)
        for row in rows:
            self._run.append(row)
            self._budget.settle(row)
            self._listener.attempted(row, final=row.request_key not in retried)
            self._last[row.request_key] = row
        lost = sum(request.request_id not in results for request in sent.requests)
        self._notes.note(sent.job.tag, "collected", id=state.id, rows=len(rows), lost=lost, **told)
        self._open.remove(sent)
        self._ask_again(sent, rows, retried)
        self._stop_if_against_us(state, rows, failure)

    async def _results(self, sent: Sent, state: State) -> tuple[dict[str, Result], dict[str, int]]:
        """By request id, an answer before a failure; and what was odd. Asked for again while some are missing."""
        ours = {request.request_id for request in sent.requests}
        for fetch in range(self._pace.fetches):
            found, unread = await self._asked_about(state.id, lambda: self._api.results(self._client, sent.job, state))
            best: dict[str, Result] = {}
            for result in found:
                held = best.get(result.custom_id)
                if held is None or (_good(result) and not _good(held)):
                    best[result.custom_id] = result
            whole = not unread and (ours <= best.keys() or state.phase != "done")
            if whole or not (ours & best.keys() or sent.proved) or fetch == self._pace.fetches - 1:
                break
            await asyncio.sleep(random.uniform(0, self._pace.first_s))
        named = Counter(result.custom_id for result in found)
        told = {
            "twice": sum(n - 1 for n in named.values()),
            "unknown": len(named.keys() - ours),
            "unread": unread,
        }
        return {key: result for key, result in best.items() if key in ours}, {k: n for k, n in told.items() if n}

    def _row(
        self, request: Request, result: Result | None, state: State, failure: RequestError | None, sent_at: str
    ) -> Measurement:
        """With what was reserved for it, so that the ledger can be read again."""
        if result is not None:
            row = self._rows.of(request, result, sent_at=sent_at)
        elif failure is not None:
            row = self._rows.failed(request, failure, sent_at=sent_at)
        elif state.phase in ("expired", "cancelled"):
            row = self._rows.of(request, Result(request.request_id, fate=state.phase), sent_at=sent_at)
        else:
            why = f"batch {state.id} ended without a word of this request; it may have been billed"
            row = self._rows.lost(request, why, sent_at=sent_at)
        ask = asked(request)
        return replace(row, asked_in_tokens=ask.in_tokens, asked_out_tokens=ask.out_tokens)

    def _again(self, rows: list[Measurement], failure: RequestError | None) -> set[str]:
        """Keys of the questions that go into another batch."""
        if failure is not None and not isinstance(failure, RateLimited):
            return set()
        if failure is not None and len(rows) > 1:
            # The provider never ran it because it was too large: smaller ones follow, and this was no try.
            self._tries.subtract(row.request_key for row in rows)
        return {
            row.request_key
            for row in rows
            if row.status not in ANSWERED and row.retryable and self._tries[row.request_key] < self._pace.max_attempts
        }

    def _ask_again(self, sent: Sent, rows: list[Measurement], retried: set[str]) -> None:
        attempts = {row.request_key: row.attempt for row in rows}
        for request in sent.requests:
            if request.request_key in retried:
                attempt = attempts[request.request_key] + 1
                self._waiting.append(replace(request, attempt=attempt, request_id=uuid4().hex))

    def _not_ours(self, sent: Sent) -> None:
        """The ids in the results are others': the next that may be it, or none was ever made."""
        sent.ids.pop(0)
        if sent.ids:
            self._notes.note(sent.job.tag, "created", ids=sent.ids, proved=False)
            return
        self._notes.note(sent.job.tag, "dropped", why="the batches that might have been it are others'")
        self._open.remove(sent)
        for request in sent.requests:
            self._budget.settle(self._rows.failed(request, ServerFault("it was never sent"), sent_at=sent.at))
        self._waiting.extend(sent.requests)

    # ------------------------------------------------------------------------------------------------------- trouble

    def _stop_if_against_us(self, state: State, rows: list[Measurement], failure: RequestError | None) -> None:
        who = self._endpoint.target_id
        if isinstance(failure, RateLimited):
            self._most = max(1, min(self._most, len(rows)) // 2)
            self._hold(self._pace.longest_s)
        elif failure is not None:
            raise Refused(f"{who}: batch {state.id}: {failure}; mend that and run the same command to go on")
        for row in rows:
            status = meant_status(row.http_status, row.error)
            if status in AGAINST_US and not row.retryable and TooLong.limit_of(row.error) is None:
                raise Refused(f"{who} does not serve us: {row.error}; mend that and run the same command to go on")
        cancelled = sum(row.status == "cancelled" for row in rows)
        if state.phase == "cancelled" or (cancelled and state.phase == "done" and _by_someone(rows)):
            raise Refused(
                f"{who}: batch {state.id} was cancelled at the provider with {cancelled} of {len(rows)} requests "
                "unanswered; run the same command to ask only those again"
            )

    def _against_us(self, error: Refused) -> Refused:
        return Refused(
            f"{self._endpoint.target_id} does not take the batch: {error}; mend that and run the same command to go on",
            http_status=error.http_status,
        )

    async def _asked_about(self, batch_id: str, call: Callable[[], Awaitable[T]]) -> T:
        """What the provider says of a batch; a refusal stops the run, because the batch may be paid for."""
        try:
            return await self._calmly(call, self._pace.give_up_s)
        except Refused as error:
            raise Refused(
                f"{self._endpoint.target_id}: batch {batch_id} can't be looked at: {error}; mend that and run the same "
                "command to go on, or give it up with --fresh",
                http_status=error.http_status,
            ) from error

    async def _calmly(self, call: Callable[[], Awaitable[T]], give_up_s: float) -> T:
        """Until it succeeds, is refused, or has failed for so long."""
        began, tries = time.monotonic(), 0
        while True:
            try:
                answer = await call()
            except Refused:
                raise
            except RequestError as error:
                tries += 1
                never = isinstance(error, Unreachable) and not self._reached
                if time.monotonic() - began >= (min(give_up_s, self._pace.unreachable_s) if never else give_up_s):
                    raise
                await self._back_off(error, tries)
            else:
                self._reached = True
                return answer

    async def _back_off(self, error: RequestError, tries: int) -> None:
        asked_s = error.retry_after_s if isinstance(error, (RateLimited, ServerFault)) else None
        if (asked_s or 0.0) > self._pace.give_up_s:
            raise error
        if asked_s:
            self._listener.holding(asked_s)
            await asyncio.sleep(asked_s)
            return
        ceiling_s = min(self._pace.longest_s, self._pace.first_s * self._pace.growth**tries)
        await asyncio.sleep(random.uniform(0, ceiling_s))

    def _hold(self, seconds: float) -> None:
        self._listener.holding(seconds)
        self._not_before = time.monotonic() + seconds

    def _tell(self, line: str) -> None:
        self._listener.told(f"{self._endpoint.target_id}: {line}")


def _good(result: Result) -> bool:
    return result.fate == "answered" and result.status == 200


def _by_someone(rows: list[Measurement]) -> bool:
    """Whether somebody cancelled the batch, rather than that its results lack a request."""
    return any(row.status == "cancelled" and "was cancelled" in (row.error or "") for row in rows)


def _with_text(request: Request, asked: dict[str, Request]) -> Request:
    """A noted request with the text of the question it asks."""
    whole = asked.get(request.request_key)
    if whole is None:
        return request
    return replace(whole, request_id=request.request_id, attempt=request.attempt)


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
