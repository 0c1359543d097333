import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from bench.budget import Budget
from bench.errors import BudgetStop, RateLimited, Refused, Unreachable
from bench.records import Measurement, Request, Status
from bench.traffic import Patience, Traffic

QUICK = Patience(first_wait_s=0.001, longest_wait_s=0.002, unreachable_s=0.05)


def requests(n: int) -> list[Request]:
    return [Request(request_id=f"r{i}", request_key=f"k{i}", prompt="abc", max_tokens=10) for i in range(n)]


def answer(request: Request, status: Status = "ok", **more: object) -> Measurement:
    return Measurement(
        request_id=request.request_id,
        request_key=request.request_key,
        attempt=request.attempt,
        target_id="t",
        kind="quality",
        status=status,
        started_at="2026-11-23T00:00:00.000000Z",
        sent_ns=1,
        **more,
    )


class Scripted:
    """A client whose answers are a function of the request; it notes what was sent, when, and how many at once."""

    def __init__(self, reply: Callable[[Request], Measurement], pause_s: float = 0.0) -> None:
        self.reply, self.pause_s = reply, pause_s
        self.sent: list[tuple[float, Request]] = []
        self.under_way = self.most = 0

    async def send(self, request: Request) -> Measurement:
        self.sent.append((time.monotonic(), request))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(self.pause_s)
        self.under_way -= 1
        return self.reply(request)


class Notes:
    """A journal in memory."""

    def __init__(self) -> None:
        self.announced: list[str] = []
        self.rows: list[Measurement] = []

    def announce(self, request: Request) -> None:
        self.announced.append(request.request_id)

    def append(self, measurement: Measurement) -> None:
        self.rows.append(measurement)


def ask(
    client: Scripted,
    wanted: list[Request],
    *,
    concurrency: int = 4,
    patience: Patience = QUICK,
    budget: Budget | None = None,
) -> tuple[dict[str, Measurement], Notes]:
    notes = Notes()
    traffic = Traffic(
        client, notes, concurrency=concurrency, patience=patience, budget=budget or Budget(max_usd=None, price=None)
    )
    return asyncio.run(traffic.ask_all(wanted)), notes


def test_every_question_is_asked_once_and_never_more_at_once_than_allowed() -> None:
    client = Scripted(answer, pause_s=0.002)
    answers, notes = ask(client, requests(20), concurrency=3)
    assert set(answers) == {f"k{i}" for i in range(20)}
    assert len(notes.rows) == len(notes.announced) == 20
    assert client.most == 3


def test_a_failure_that_may_pass_is_asked_again_under_a_new_attempt() -> None:
    client = Scripted(lambda r: answer(r, "ok" if r.attempt == 2 else "stream_cut", retryable=True))
    answers, notes = ask(client, requests(1))
    assert answers["k0"].status == "ok"
    assert [row.attempt for row in notes.rows] == [0, 1, 2]
    assert len({row.request_id for row in notes.rows}) == 3


def test_a_plain_4xx_is_never_asked_again() -> None:
    client = Scripted(lambda r: answer(r, "http_error", http_status=400, retryable=False))
    answers, notes = ask(client, requests(3))
    assert len(notes.rows) == 3
    assert {a.status for a in answers.values()} == {"http_error"}


def test_attempts_end_and_the_last_failure_is_what_is_returned() -> None:
    client = Scripted(lambda r: answer(r, "timeout", retryable=True))
    answers, notes = ask(client, requests(1), patience=replace(QUICK, max_attempts=3))
    assert len(notes.rows) == 3
    assert answers["k0"].attempt == 2


def test_retry_after_holds_the_whole_endpoint() -> None:
    def reply(request: Request) -> Measurement:
        if request.request_key == "k0" and request.attempt == 0:
            return answer(request, "http_error", http_status=429, retryable=True, retry_after_s=0.15)
        return answer(request)

    client = Scripted(reply)
    ask(client, requests(6), concurrency=1)
    first, rest = client.sent[0][0], [at for at, _ in client.sent[1:]]
    assert min(rest) - first >= 0.15


@pytest.mark.parametrize("http_status", [401, 402, 403, 404, 429])
def test_a_key_or_quota_that_is_not_taken_stops_the_run_at_once(http_status: int) -> None:
    client = Scripted(lambda r: answer(r, "http_error", http_status=http_status, error="no"), pause_s=0.001)
    with pytest.raises(Refused, match="does not serve us"):
        ask(client, requests(100), concurrency=2)
    assert len(client.sent) <= 2


def test_a_wait_longer_than_our_patience_stops_the_run_instead_of_hanging() -> None:
    client = Scripted(lambda r: answer(r, "http_error", http_status=429, retryable=True, retry_after_s=3600.0))
    began = time.monotonic()
    with pytest.raises(RateLimited, match="3600 s"):
        ask(client, requests(5))
    assert time.monotonic() - began < 60


def test_what_is_under_way_may_turn_out_cheap_so_the_next_waits_for_it() -> None:
    client = Scripted(lambda r: answer(r, in_tokens=16, out_tokens=1), pause_s=0.001)
    budget = Budget(max_usd=Decimal("0.0005"), price=TwoDollars())  # type: ignore[arg-type]
    notes = Notes()
    traffic = Traffic(client, notes, concurrency=50, patience=QUICK, budget=budget)
    with pytest.raises(BudgetStop):
        asyncio.run(traffic.ask_all(requests(100)))
    assert len(notes.rows) == 14, "34 millionths each, until the 52 of a worst case no longer fit into 500"


def test_an_endpoint_that_is_gone_stops_the_run_instead_of_failing_every_item() -> None:
    client = Scripted(lambda r: answer(r, "connect_error", retryable=True, error="refused"), pause_s=0.01)
    with pytest.raises(Unreachable, match="not been reachable"):
        ask(client, requests(500), concurrency=2)
    assert len(client.sent) < 100


class TwoDollars:
    """A price of 2 $ per million tokens, both ways."""

    usd_per_mtok_in = Decimal(2)
    usd_per_mtok_out = Decimal(2)
    usd_per_mtok_cached = None
    usd_per_mtok_cache_write = None


def test_the_allowance_is_never_exceeded_and_what_is_under_way_is_finished() -> None:
    client = Scripted(lambda r: answer(r, in_tokens=16, out_tokens=10), pause_s=0.001)
    budget = Budget(max_usd=Decimal("0.0005"), price=TwoDollars())  # type: ignore[arg-type]
    notes = Notes()
    traffic = Traffic(client, notes, concurrency=4, patience=QUICK, budget=budget)
    with pytest.raises(BudgetStop, match="used up"):
        asyncio.run(traffic.ask_all(requests(100)))
    assert len(notes.rows) == len(notes.announced)
    assert 0 < budget.spent_usd <= Decimal("0.0005")
    assert budget.spent_usd == Decimal("0.000052") * len(notes.rows)
