"""The throttle against targets of known limits: how wide it opens, how long it holds, what it says that cost."""

import ast
import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import bench.load
from bench.budget import Budget
from bench.client import Client
from bench.errors import RateLimited
from bench.records import ANSWERED, Endpoint, Measurement, Message, Request
from bench.throttle import SLOWEST, Change, Lost, Throttle, is_limited
from bench.traffic import Patience, Traffic
from tests.fake import Running, fake_server
from tests.test_traffic import Notes, answer

PATIENT = Patience(first_wait_s=0.05, longest_wait_s=1.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with fake_server(tmp_path_factory.mktemp("fake")) as running:
        yield running


def request(n: int) -> Request:
    return Request(
        request_id=f"r{n}", request_key=f"k{n}", messages=(Message(role="user", content=f"say w{n}"),), max_tokens=20
    )


def refusal(n: int, wait_s: float | None = None, status: int = 429) -> Measurement:
    return answer(
        request(n), "http_error", http_status=status, retryable=True, retry_after_s=wait_s, error=f"HTTP {status}: no"
    )


class Bench:
    """A throttle driven by hand: whom it lets through, and what it wrote down."""

    def __init__(self, asked: int, **more: object) -> None:
        self.history: list[Change] = []
        self.throttle = Throttle(asked=asked, note=self.history.append, first_wait_s=0.01, longest_wait_s=0.01, **more)
        self.next = 0

    @property
    def widths(self) -> list[int]:
        return [change.width for change in self.history]

    def let_through(self) -> list[int]:
        """Sends as many as may go now; their numbers."""
        sent = []
        while self.throttle._pause(request(self.next))[0] <= 0:
            self.throttle.enter(request(self.next))
            sent.append(self.next)
            self.next += 1
        return sent

    def answer(self, *numbers: int) -> None:
        for n in numbers:
            self.throttle.leave(answer(request(n)))

    def refuse(self, *numbers: int, wait_s: float | None = None) -> None:
        for n in numbers:
            self.throttle.leave(refusal(n, wait_s))


def test_a_burst_of_refusals_halves_the_window_once() -> None:
    bench = Bench(16)
    sent = bench.let_through()
    assert len(sent) == 16, "it begins at the concurrency asked for"
    bench.refuse(*sent[4:])
    assert bench.widths == [8]
    assert bench.let_through() == [16, 17, 18, 19], "four of the first are still under way"
    bench.refuse(16)
    assert bench.widths == [8, 4]


def test_the_window_grows_by_one_for_a_window_of_answers_up_to_what_was_asked() -> None:
    bench = Bench(4)
    bench.refuse(*bench.let_through())
    assert bench.widths == [2]
    counts = []
    for _ in range(20):
        sent = bench.let_through()
        counts.append(len(sent))
        bench.answer(*sent)
    assert counts[:3] == [2, 3, 4]
    assert bench.widths == [2, 3, 4]
    assert counts[-1] == 4, "and never more than was asked for"


def test_answers_to_what_was_sent_before_it_narrowed_do_not_widen_it() -> None:
    bench = Bench(8)
    sent = bench.let_through()
    bench.refuse(sent[0])
    bench.answer(*sent[1:])
    assert bench.widths == [4]


def test_a_width_that_is_refused_again_and_again_is_tried_less_and_less() -> None:
    bench = Bench(8)
    answered_between: list[int] = []
    n_answered = 0
    for _ in range(4000):
        sent = bench.let_through()
        if len(sent) > 4:
            bench.refuse(sent[-1])
            answered_between.append(n_answered)
            n_answered = 0
            sent = sent[:-1]
        bench.answer(*sent)
        n_answered += len(sent)
    assert answered_between[1] < answered_between[3] < answered_between[-1]
    assert answered_between[-1] <= 4 * SLOWEST + 12


def test_one_at_a_time_is_the_least_and_is_held_when_even_that_is_refused() -> None:
    bench = Bench(1)
    bench.refuse(*bench.let_through())
    assert bench.widths[0] == 1
    assert bench.history[-1].why in ("hold: refused one at a time", "HTTP 429")
    assert bench.throttle.holds == 1


def test_a_hold_is_for_everybody_and_no_other_answer_shortens_it() -> None:
    bench = Bench(4)
    sent = bench.let_through()
    bench.refuse(sent[0], wait_s=50.0)
    bench.refuse(sent[1], wait_s=1.0)
    bench.answer(sent[2])
    pause_s = bench.throttle._pause(request(99))[0]
    assert 49.0 < pause_s <= 51.0
    bench.refuse(sent[3], wait_s=90.0)
    assert 89.0 < bench.throttle._pause(request(99))[0] <= 91.0
    assert bench.throttle.lost.holds == 1, "one that was lengthened is still one"


def test_after_a_hold_requests_come_one_by_one_and_not_as_a_herd() -> None:
    bench = Bench(16)
    bench.refuse(*bench.let_through(), wait_s=0.001)
    time.sleep(0.01)
    first = bench.let_through()
    assert len(first) == 1
    bench.throttle.learn(200, {})  # this task sent it: the target has begun to answer
    second = bench.let_through()
    assert len(second) == 1
    bench.answer(*first, *second)
    assert len(bench.let_through()) == 3


@pytest.mark.parametrize(
    ("status", "error", "limited"),
    [
        (429, "x", True), (503, "x", True), (529, "x", True), (498, "x", True), (500, "x", False), (None, "x", False),
        (200, "error inside the stream (as HTTP 529): overloaded_error Overloaded", True),
        (200, "error inside the stream (as HTTP 500): api_error x", False),
    ],
)  # fmt: skip
def test_what_counts_as_a_refusal_for_limits(status: int | None, error: str, limited: bool) -> None:
    failed = answer(request(0), "http_error", http_status=status, error=error, retryable=True)
    assert is_limited(failed) is limited
    assert not is_limited(answer(request(0), "http_error", http_status=status, error=error)), "it would not pass"


def test_time_lost_is_a_union_and_nothing_without_limits() -> None:
    async def scene() -> Lost:
        throttle = Throttle(asked=4)
        began = time.monotonic()
        with throttle.waiting(), throttle.waiting():
            await asyncio.sleep(0.02)
        assert throttle.lost.lost_s <= time.monotonic() - began, "two who wait at once lose the time once"
        return throttle.lost

    assert asyncio.run(scene()).lost_s >= 0.02
    untouched = Bench(4)
    untouched.answer(*untouched.let_through())
    assert untouched.throttle.lost.told() is None


def test_the_summary_reads_as_one_line() -> None:
    lost = Lost(lost_s=12.34, holds=4, refusals=1, asked=16, lowest=3, last=9)
    assert lost.told() == "lost 12.3 s to limits: 4 holds, 1 refusal, window 16 → 3 → 9"
    assert Lost(lost_s=2, holds=0, refusals=0, asked=4, lowest=4, last=4).told() == (
        "lost 2.0 s to limits: paced by what it announced"
    )


# ── servers of known limits ───────────────────────────────────────────────────────────────────────────────────────


def ask(
    server: Running, plan: str, n: int, *, concurrency: int = 16, patience: Patience = PATIENT
) -> tuple[list[Measurement], list[Change], Lost]:
    """`n` questions to the server under a plan of its own; every row, the history, and what limits cost."""
    endpoint = Endpoint(target_id="t", base_url=server.url, wire="openai_chat", model=f"fake?tokens=3&{plan}")
    history: list[Change] = []

    async def scene() -> tuple[list[Measurement], Lost]:
        notes = Notes()
        async with Client(endpoint) as client:
            traffic = Traffic(
                client,
                notes,
                concurrency=concurrency,
                patience=patience,
                budget=Budget(max_usd=None, price=None),
                throttle=Throttle(asked=concurrency, note=history.append),
            )
            answers = await traffic.ask_all([request(i) for i in range(n)])
        assert sum(a.status in ANSWERED for a in answers.values()) == n
        return notes.rows, traffic.throttle.lost

    rows, lost = asyncio.run(scene())
    return rows, history, lost


def refusals(rows: list[Measurement]) -> int:
    return sum(row.http_status == 429 for row in rows)


@pytest.mark.parametrize("at_most", [1, 4, 12])
def test_a_server_that_takes_so_many_at_once_is_found_out(server: Running, at_most: int) -> None:
    rows, history, lost = ask(server, f"at_most={at_most}&ttft_ms=20", 150)
    assert refusals(rows) == lost.refusals == len(rows) - 150
    assert refusals(rows) <= 16 + 150 / at_most / 2, "the first burst, then one for each try of one more"
    settled = [change.width for change in history if change.refusals >= 16 - at_most]
    assert settled
    assert max(settled) <= at_most + 2
    assert min(settled) >= at_most // 4
    assert lost.asked == 16 > lost.last
    assert all(row.waited_s is not None for row in rows)
    assert sum(row.waited_s or 0 for row in rows) >= 0.5 * lost.lost_s, "a union of what the requests waited"


@pytest.mark.parametrize("limit", ["requests=30&refill_s=1", "tokens_in_out=660&refill_s=1"])
@pytest.mark.parametrize("announce", ["openai", "anthropic"])
def test_announced_limits_are_kept_to_without_running_into_them(server: Running, limit: str, announce: str) -> None:
    rows, _, lost = ask(server, f"{limit}&announce={announce}", 60)
    assert refusals(rows) <= 2
    assert lost.lost_s > 0.5, "30 at once and 30 a second: the second half of 60 takes a second"


def test_a_fixed_window_is_recognised_by_its_refusal_and_then_waited_out(server: Running) -> None:
    rows, history, lost = ask(server, "requests=30&refill_s=1&refill=fixed", 90)
    assert refusals(rows) <= 4
    assert lost.holds >= 1
    assert "hold: requests" in {change.why for change in history}


def test_limits_that_nobody_announces_cost_refusals_but_no_answers(server: Running) -> None:
    rows, _, _ = ask(server, "requests=20&refill_s=1&announce=none", 40)
    assert refusals(rows) > 0


def test_a_limit_that_is_used_up_for_longer_than_our_patience_stops_the_run_and_says_until_when(
    server: Running,
) -> None:
    patient = Patience(deadline_s=5.0)
    with pytest.raises(RateLimited, match=r"limit of requests is used up; run the same command after 20.* UTC"):
        ask(server, "requests=10&refill_s=86400", 20, patience=patient)


def test_without_limits_nothing_is_lost_and_nothing_narrows(server: Running) -> None:
    rows, history, lost = ask(server, "ttft_ms=1", 60)
    assert len(rows) == 60
    assert [change.why for change in history] == ["start", "end"]
    assert lost.told() is None
    assert {row.waited_s for row in rows} == {0.0}


def test_load_traffic_knows_no_throttle() -> None:
    files = sorted(Path(bench.load.__file__).parent.glob("*.py"))
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            named = [node.module] if isinstance(node, ast.ImportFrom) else []
            named += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not {"bench.throttle", "bench.traffic", "bench.announced"} & set(named), file
