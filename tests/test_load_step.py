"""One step: when a search may stop, what ended early, and what is this client's own doing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.load.allowance import Allowance
from bench.load.arrivals import Arrivals
from bench.load.shapes import parse as shape
from bench.load.slo import Slo
from bench.load.step import StepRun, Traffic
from bench.load.summary import summary
from bench.load.traces import Trace
from bench.machine import Sampler

MS = 1_000_000


def step_of(arrivals: str, *, seconds: float = 20.0, search: bool = True, trace: Trace | None = None) -> StepRun:
    from bench.load.arrivals import parse

    traffic = Traffic(
        run_id="r", shape=shape("20x4"), cache="cold", lane="raw", seed=0, duration_s=seconds, grace_s=5.0,
        slo=Slo(limits={"ttft_ms": 100.0}, target=0.9), fixed_lengths=True, exact_prompts=True, options={},
        trace=trace, allowance=Allowance(price=None),
    )  # fmt: skip
    return StepRun(traffic, 0, parse(arrivals, trace).steps[0], search=search)


def row(step: StepRun, number: int, at_ms: float, *, ttft_ms: float = 20.0, **changes: Any) -> dict[str, Any]:
    """Four tokens, 10 ms apart; sent as it was due."""
    sent = step.start_ns + round(at_ms * MS)
    first = sent + round(ttft_ms * MS)
    plain = {
        "request_id": str(number), "doc_id": number, "status": "truncated", "sched_ns": sent, "sent_ns": sent,
        "first_event_ns": first, "first_token_ns": first, "first_answer_ns": first, "last_token_ns": first + 30 * MS,
        "end_ns": first + 30 * MS, "in_tokens": 20, "out_tokens": 4, "chunks": 4, "stamp_source": "kernel",
        "chunk_offsets_ns": [first - sent + n * 10 * MS for n in range(4)], "connection_reused": True,
        "read_lag_max_ns": 1000, "merged_reads": 0,
    }  # fmt: skip
    return plain | changes


def played(step: StepRun, n: int, every_ms: float, missing: frozenset[int] = frozenset()) -> bool:
    """Rows of n requests, those `missing` still under way; whether the search had enough on the way."""
    for number in range(n):
        if number not in missing:
            step.take(row(step, number, 2_000 + number * every_ms))
            if step.enough():
                return True
    return False


@pytest.mark.parametrize("arrivals", ["closed:8", "constant:50"])
def test_a_search_has_its_verdict_once_enough_requests_were_good(arrivals: str) -> None:
    step = step_of(arrivals)
    assert played(step, 400, 20)
    assert step.verdict == "passes"
    assert len(step.rows) < 120


@pytest.mark.parametrize("arrivals", ["closed:8", "constant:50"])
def test_requests_that_hang_keep_those_after_them_from_speaking_for_all(arrivals: str) -> None:
    step = step_of(arrivals)
    assert not played(step, 400, 20, missing=frozenset({3}))
    assert step.verdict == "undecided"


def test_the_processes_of_a_closed_step_leave_no_number_out() -> None:
    for slots, workers in ((1, 2), (3, 2), (8, 3)):
        told = [one for one in step_of(f"closed:{slots}").commands(workers) if one["slots"]]
        assert sum(one["slots"] for one in told) == slots
        numbers = sorted(one["first_number"] + n * one["stride"] for one in told for n in range(10))
        assert numbers == list(range(10 * len(told)))


def test_a_request_that_hung_to_the_end_is_bad_and_counts_in_the_last_judgement() -> None:
    step = step_of("closed:8")
    hung = frozenset(range(0, 400, 4))
    assert not played(step, 400, 20, missing=hung)
    for number in hung:
        at_ns = step.start_ns + round((2_000 + number * 20) * MS)
        step.take({
            "request_id": str(number), "doc_id": number, "status": "cancelled", "sched_ns": at_ns, "sent_ns": at_ns,
            "end_ns": at_ns + 5_000 * MS,
        })  # fmt: skip
    step.judge()
    assert step.verdict == "fails"


def test_a_step_that_was_stopped_ends_when_it_was_told_to() -> None:
    """Nothing that would have been due after that is missing, and no empty time is part of the window."""
    step = step_of("constant:50")
    for number in range(450):
        step.take(row(step, number, (number + 1) * 20))
    step.stopped_ns = step.start_ns + 9_000 * MS
    result = summary(step, workers=1, busy=0.1, sampler=Sampler())
    assert result.row["end_ns"] == step.start_ns + 9_000 * MS
    assert result.row["window_end_ns"] <= step.stopped_ns
    assert not result.client_bound


def test_connections_that_the_server_refuses_are_its_failures_and_not_this_clients() -> None:
    step = step_of("constant:50", seconds=10.0, search=False)
    for number, due_ns in enumerate(step.due_ns):
        if due_ns < 10_000 * MS:
            refused: dict[str, Any] = {"status": "connect_error", "sent_ns": None, "chunk_offsets_ns": []}
            refused |= dict.fromkeys(("first_event_ns", "first_token_ns", "first_answer_ns", "last_token_ns"))
            step.take(row(step, number, due_ns / MS) | (refused if number % 2 else {}))
    step.stopped_ns = step.end_ns
    result = summary(step, workers=1, busy=0.1, sampler=Sampler())
    assert not result.client_bound
    assert not any("this client" in reason for reason in result.row["reasons"])
    assert result.row["n_bad"] == pytest.approx(result.row["n_good"], abs=1)


def test_a_late_client_is_the_limit_in_open_loop_and_connecting_is_not_lateness() -> None:
    for reused, bound in ((True, True), (False, False)):
        step = step_of("constant:50", seconds=10.0, search=False)
        for number in range(500):
            late = row(step, number, number * 20 + 10, connection_reused=reused)
            step.take(late | {"sched_ns": late["sent_ns"] - 10 * MS})
        step.stopped_ns = step.end_ns
        assert summary(step, workers=1, busy=0.1, sampler=Sampler()).client_bound is bound


def test_idle_slots_of_a_closed_loop_are_seen() -> None:
    step = step_of("closed:1", seconds=10.0, search=False)
    for number in range(160):
        late = row(step, number, number * 60 + 10)
        step.take(late | {"sched_ns": late["sent_ns"] - 10 * MS})
    step.stopped_ns = step.end_ns
    result = summary(step, workers=1, busy=0.1, sampler=Sampler())
    assert any("left 17% of each slot's time without a request" in reason for reason in result.row["reasons"])
    assert not result.client_bound


def test_how_exact_a_step_is_follows_from_its_reads() -> None:
    def error_ms(**changes: Any) -> float | None:
        from bench.load.selfcheck import SelfCheck

        step = step_of("constant:50", seconds=10.0, search=False)
        check = SelfCheck(ttft_error_p99_ms=0.01, e2e_error_p99_ms=0.02, events_per_s=1.0, n=1)
        object.__setattr__(step.traffic, "self_check", check)
        for number in range(100):
            step.take(row(step, number, number * 20, **changes))
        step.stopped_ns = step.end_ns
        found: float | None = summary(step, workers=1, busy=0.1, sampler=Sampler()).row["stamp_error_p99_ms"]
        return found

    assert error_ms() == 0.02
    merged = [20 * MS] * 3 + [30 * MS]
    assert error_ms(chunk_offsets_ns=merged) == pytest.approx(2 * 10.0)
    assert error_ms(stamp_source="read", read_lag_max_ns=3 * MS) == pytest.approx(3.0)
    assert error_ms(stamp_source="httpx", read_lag_max_ns=None) is None


def test_a_trace_ends_its_step() -> None:
    trace = Trace(name="t", due_ns=tuple(n * 50 * MS for n in range(101)), lengths=())
    step = step_of("trace:t", seconds=60.0, trace=trace)
    assert (step.end_ns - step.start_ns) / 1e9 == pytest.approx(5.1, abs=0.06)
    assert len(step.due_ns) == 101


def test_an_allowance_counts_what_is_under_way_at_the_most_it_can_cost() -> None:
    from decimal import Decimal

    from bench.catalog import Price

    price = Price(id="p", model="m", usd_per_mtok_in=Decimal(10), usd_per_mtok_out=Decimal(100), source="a test")
    allowance = Allowance(price=price, max_usd=Decimal("0.01"))
    each = Decimal(20 * 10 + 4 * 100) / 1_000_000
    allowance.settle({"status": "ok", "in_tokens": 20, "out_tokens": 4})
    allowance.settle({"status": "http_error", "in_tokens": None})
    allowance.settle({"status": "stream_cut", "asked_in_tokens": 20, "asked_out_tokens": 4})
    assert allowance.spent_usd == 2 * each
    most = int(Decimal("0.01") / each)
    assert not allowance.used_up(most - 2, shape("20x4"))
    assert allowance.used_up(most, shape("20x4"))
    with pytest.raises(Exception, match=r"closed:50: 50 requests under way may cost up to 0\.0300"):
        allowance.check(Arrivals(kind="closed", concurrency=50), shape("20x4"))


def test_a_calibration_that_may_cost_more_than_is_allowed_is_not_begun() -> None:
    from decimal import Decimal

    from bench.catalog import Price

    price = Price(id="p", model="m", usd_per_mtok_in=Decimal(100), usd_per_mtok_out=Decimal(1000), source="a test")
    with pytest.raises(Exception, match="nothing was sent"):
        Allowance(price=price, max_usd=Decimal("0.0001")).check_calibration(1_500, 100)
    Allowance(price=price, max_usd=Decimal(1)).check_calibration(1_500, 100)
    Allowance(price=price).check_calibration(1_500, 100)


def test_credit_and_rates_add_up() -> None:
    step = step_of("constant:50", seconds=10.0, search=False)
    for number in range(500):
        step.take(row(step, number, number * 20))
    step.stopped_ns = step.end_ns
    found = summary(step, workers=1, busy=0.1, sampler=Sampler()).row
    assert found["valid"], found["reasons"]
    assert found["system_out_tps"] == pytest.approx(200, rel=0.01)
    assert found["system_in_tps"] == pytest.approx(1000, rel=0.01)
    assert found["goodput_rps"] == pytest.approx(50, rel=0.01)
    assert found["inflight_mean"] == pytest.approx(2.5, abs=0.5)
    assert np.isclose(found["slo_attainment"], 1.0)
