"""A step's figures against numbers worked out by hand, and its interval ranks against scipy's."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from bench import steps
from bench.stats import percentile_interval

MS = 1e6
STEP = {
    "arrivals": "poisson:4",
    "start_ns": 0,
    "end_ns": 10_000 * MS,
    "window_start_ns": 2_000 * MS,
    "window_end_ns": 10_000 * MS,
}
NAMES = [
    *("sched_ns", "sent_ns", "first_event_ns", "first_token_ns", "first_answer_ns", "last_token_ns", "end_ns"),
    *("in_tokens", "in_cached_tokens", "out_tokens", "chunks", "read_lag_max_ns", "merged_reads"),
    *("ttft_ms", "ttft_sched_ms", "ttfat_ms", "tpot_ms", "e2e_ms", "client_lag_ms", "decode_tps"),
]


def requests(n: int, **columns: object) -> dict[str, np.ndarray]:
    """Due every 10 ms of the window from its start, TTFT 1, 2, … n ms from being sent, 3 ms more from being due."""
    found = {name: np.full(n, np.nan) for name in NAMES} | {"status": np.array(["truncated"] * n, dtype=object)}
    due = 2_000 * MS + np.arange(n) * 10 * MS
    wait = np.arange(1.0, n + 1)
    found |= {
        "sched_ns": due, "sent_ns": due + 3 * MS, "ttft_ms": wait, "ttft_sched_ms": wait + 3, "e2e_ms": wait + 100,
        "in_tokens": np.full(n, 100.0), "out_tokens": np.full(n, 30.0), "chunks": np.full(n, 10.0),
    }  # fmt: skip
    return found | {name: np.asarray(values) for name, values in columns.items()}


def test_percentiles_of_a_hundred_waits_are_the_interpolated_ones_with_their_order_statistics():
    found = steps.figures(STEP, requests(100))
    assert (found["n"], found["ttft_ms_n"], found["headline"]) == (100, 100, "ttft_sched_ms")
    assert (found["ttft_ms_p50"], found["ttft_ms_p95"]) == pytest.approx((50.5, 95.05))
    assert (found["ttft_ms_p50_low"], found["ttft_ms_p50_high"]) == (40, 61)  # the textbook's ranks for the median
    assert (found["ttft_ms_p95_low"], found["ttft_ms_p95_high"]) == (90, 100)
    assert found["ttft_ms_p99"] == pytest.approx(99.01)
    assert (found["ttft_ms_p99_low"], found["ttft_ms_p99_high"]) == (97, None)
    assert found["ttft_sched_ms_p50"] == pytest.approx(53.5)
    assert (found["e2e_ms_p50"], found["tpot_ms_p50"], found["tpot_ms_n"]) == (150.5, None, 0)


def test_only_the_windows_answered_requests_count_and_what_became_of_the_others_is_said():
    status = np.array(["truncated", "http_error", "cancelled", "timeout", "ok", "ok"], dtype=object)
    due = np.array([2_000, 3_000, 4_000, 5_000, 9_999, 1_999]) * MS  # 10,000 would be past the window
    found = steps.figures(STEP, requests(6, status=status, sched_ns=due))
    assert (found["n"], found["n_window"], found["n_window_failed"], found["n_window_cancelled"]) == (2, 5, 2, 1)
    assert found["ttft_ms_p50"] == 3.0  # of 1 and 5


def test_a_closed_step_goes_by_what_was_sent_and_an_open_one_by_what_was_due():
    due, sent = np.array([1_000.0, 3_000.0]) * MS, np.array([2_500.0, 11_000.0]) * MS
    both = requests(2, sched_ns=due, sent_ns=sent)
    assert steps.in_window(STEP, both).tolist() == [False, True]
    assert steps.in_window(STEP | {"arrivals": "closed:4"}, both).tolist() == [True, False]
    assert steps.headline({"arrivals": "closed:4"}) == "ttft_ms"
    assert steps.headline({"arrivals": "trace:day.jsonl"}) == "ttft_sched_ms"


def test_without_a_steady_window_nothing_is_said():
    found = steps.figures(STEP | {"window_start_ns": None, "window_end_ns": None}, requests(100))
    assert (found["n"], found["n_window"], found["ttft_ms_p50"], found["in_tokens_mean"]) == (0, 0, None, None)


def test_an_answer_without_a_token_has_no_ttft_and_is_not_the_fastest():
    found = steps.figures(STEP, requests(3, ttft_ms=[np.nan, 20.0, 40.0]))
    assert (found["n"], found["ttft_ms_n"], found["ttft_ms_p50"]) == (3, 2, 30.0)


@pytest.mark.parametrize(("n", "few", "p999"), [(499, True, None), (500, False, None), (5_000, False, 4_995.001)])
def test_far_percentiles_are_marked_or_left_out_where_few_requests_made_them(n, few, p999):
    found = steps.figures(STEP | {"window_end_ns": 1e15}, requests(n))
    assert found["ttft_ms_p99_few"] is few
    assert found["ttft_ms_p999"] == (None if p999 is None else pytest.approx(p999))


def test_tokens_are_shares_of_sums_and_unknown_counts_are_left_out():
    changes = {"in_cached_tokens": [50.0, np.nan], "out_tokens": [30.0, 10.0], "chunks": [10.0, 10.0]}
    found = steps.figures(STEP, requests(2, **changes))
    assert (found["in_cached_share"], found["tokens_per_chunk"], found["out_tokens_mean"]) == (0.5, 2.0, 20.0)


def test_decoding_speed_is_its_median_and_the_slow_end():
    found = steps.figures(STEP, requests(100, decode_tps=np.arange(1.0, 101.0)))
    assert (found["decode_tps_p50"], found["decode_tps_p5"]) == pytest.approx((50.5, 5.95))


def test_stalls_are_the_longest_gap_of_each_answer_and_gaps_are_pooled():
    gaps = [[10.0, 20.0, 30.0], [40.0], [], [1_000.0]]
    status = np.array(["ok", "ok", "ok", "timeout"], dtype=object)
    found = steps.figures(STEP, requests(4, status=status) | {"chunk_gaps_ms": gaps})
    assert (found["chunk_gap_ms_n"], found["chunk_gap_ms_p50"]) == (4, 25.0)
    assert (found["chunk_gap_max_ms_n"], found["chunk_gap_max_ms_p50"], found["chunk_gap_max_ms_max"]) == (
        2,
        35.0,
        40.0,
    )
    assert steps.figures(STEP, requests(3))["chunk_gap_max_ms_max"] is None


def test_every_promised_key_is_there_and_values_are_pythons_own():
    found = steps.figures(STEP, requests(600))
    others = {name for name in found if name.startswith("compat.")}
    assert list(found)[: len(STEP) + len(steps.columns())] == [*STEP, *steps.columns()]
    assert set(found) == {*STEP, *steps.columns(), *others}
    assert {type(value) for value in found.values()} <= {int, float, bool, str, type(None)}


@pytest.mark.parametrize("q", [0.05, 0.5, 0.95, 0.99, 0.999])
def test_interval_ranks_are_those_scipy_gives(q):
    for n in [*range(1, 120), 368, 369, 500, 5_000, 200_000]:
        bound = percentile_interval(range(1, n + 1), q)
        ends = tuple(None if end is None else int(end) for end in (bound.ci_low, bound.ci_high))
        assert steps.interval_ranks(n, q) == ends, n


def test_intervals_cover_what_they_promise():
    rng = np.random.default_rng(0)
    low, high = steps.interval_ranks(200, 0.95)
    ordered = np.sort(rng.exponential(size=(4_000, 200)), axis=1)
    true = -np.log(0.05)
    covered = ((ordered[:, low - 1] <= true) & (true < ordered[:, high - 1])).mean()
    assert 0.94 <= covered <= 0.985


def test_no_scipy_and_no_pandas_are_needed():
    code = (
        "import sys, numpy as np; from bench import steps; steps.interval_ranks(100, 0.5);"
        "sys.exit(' '.join({'scipy', 'pandas'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
