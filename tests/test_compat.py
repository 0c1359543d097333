"""`compat.*` against tables worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench import compat

MS = 1_000_000
UNKNOWN = np.nan


def row(**changes: Any) -> dict[str, Any]:
    """Due at 0 ms, sent at 10, role-only event at 20, 5 tokens from 110 to 190 ms, 20 ms apart, finish at 200."""
    plain = {
        "status": "ok", "sched_ns": 0, "sent_ns": 10 * MS, "first_event_ns": 20 * MS, "first_token_ns": 110 * MS,
        "last_token_ns": 190 * MS, "end_ns": 200 * MS, "in_tokens": 7, "out_tokens": 5, "chunks": 5,
    }  # fmt: skip
    return plain | changes


SECOND = row(
    sched_ns=500 * MS, sent_ns=500 * MS, first_event_ns=800 * MS, first_token_ns=800 * MS, last_token_ns=1000 * MS,
    end_ns=1000 * MS, in_tokens=3, out_tokens=11, chunks=11,
)  # fmt: skip
"""No role-only event; 11 tokens in 200 ms."""
FAILED = row(
    status="http_error", sent_ns=600 * MS, first_event_ns=UNKNOWN, first_token_ns=UNKNOWN, last_token_ns=UNKNOWN,
    end_ns=610 * MS, in_tokens=UNKNOWN, out_tokens=UNKNOWN, chunks=0,
)  # fmt: skip
CUT = row(
    status="cancelled", sched_ns=1500 * MS, sent_ns=1500 * MS, first_event_ns=1600 * MS, first_token_ns=1600 * MS,
    last_token_ns=1900 * MS, end_ns=2000 * MS, in_tokens=UNKNOWN, out_tokens=UNKNOWN, chunks=4,
)  # fmt: skip


def columns(*rows: dict[str, Any]) -> dict[str, Any]:
    kinds = {"status": object}
    return {name: np.array([r[name] for r in rows], dtype=kinds.get(name, float)) for name in compat.COLUMNS}


def figures(*rows: dict[str, Any], **more: Any) -> dict[str, float | None]:
    """Of one step that lasts from 0 to 2 s."""
    return compat.figures(columns(*rows) | more, start_ns=0, end_ns=2_000 * MS)


def of(tool: str, found: dict[str, float | None]) -> dict[str, float | None]:
    start = f"compat.{tool}."
    return {name.removeprefix(start): value for name, value in found.items() if name.startswith(start)}


def test_vllm_stops_at_the_role_only_chunk_and_divides_by_the_whole_step() -> None:
    found = of("vllm", figures(row(), SECOND, FAILED, CUT))
    assert found == pytest.approx(
        {
            "mean_ttft_ms": (10 + 300) / 2,
            "median_ttft_ms": 155,
            "p99_ttft_ms": 10 + 0.99 * 290,
            "mean_tpot_ms": (180 / 4 + 200 / 10) / 2,
            "median_tpot_ms": 32.5,
            "p99_tpot_ms": 20 + 0.99 * 25,
            "mean_itl_ms": (180 + 200) / (6 + 10),  # 4 gaps between tokens, role to first, last to finish; 10
            "median_itl_ms": None,
            "p99_itl_ms": None,
            "mean_e2el_ms": (190 + 500) / 2,
            "median_e2el_ms": 345,
            "p99_e2el_ms": 190 + 0.99 * 310,
            "request_throughput_rps": 2 / 2,
            "output_throughput_tps": 16 / 2,
            "total_token_throughput_tps": 26 / 2,
        }
    )


def test_vllm_itl_percentiles_need_the_gaps_and_pool_role_and_finish_chunks_with_them() -> None:
    gaps = np.array([np.full(4, 20.0), np.full(10, 20.0), np.empty(0), np.full(3, 100.0)], dtype=object)
    found = of("vllm", figures(row(), SECOND, FAILED, CUT, chunk_gaps_ms=gaps))
    pooled = [90.0, 10.0, *[20.0] * 14]
    assert found["mean_itl_ms"] == pytest.approx(380 / 16)
    assert found["median_itl_ms"] == pytest.approx(20)
    assert found["p99_itl_ms"] == pytest.approx(np.percentile(pooled, 99))


def test_guidellm_weights_by_tokens_counts_failures_as_requests_and_puts_the_first_token_into_tpot() -> None:
    found = of("guidellm", figures(row(), SECOND, FAILED, CUT))
    assert found == pytest.approx(
        {
            "mean_ttft_ms": (100 + 300) / 2,
            "median_ttft_ms": 100,  # a value that occurred, the lower of two
            "p95_ttft_ms": 300,
            "mean_itl_ms": (20 * 4 + 20 * 10) / 14,
            "median_itl_ms": 20,
            "p95_itl_ms": 20,
            "mean_tpot_ms": (180 / 5 * 5 + 500 / 11 * 11) / 16,
            "median_tpot_ms": 500 / 11,  # 36 ms has 5/16 of the weight
            "p95_tpot_ms": 500 / 11,
            "mean_request_latency_s": 0.345,
            "median_request_latency_s": 0.19,
            "p95_request_latency_s": 0.5,
            "requests_rps": 3 / 2,  # the failed one, too; not the one that the end cut off
            "output_tps": (5 + 11 + 0 + 4) / 2,  # of the one cut off: a token per chunk
            "mean_concurrency": (0.19 + 0.5 + 0.01 + 0.5) / 2,
        }
    )


def test_guidellm_leaves_out_what_came_after_the_end_and_spreads_tokens_evenly() -> None:
    found = compat.figures(columns(row(), SECOND), start_ns=0, end_ns=900 * MS)
    assert found["compat.guidellm.output_tps"] == pytest.approx((5 + 6) / 0.9)  # at 800, 820 … 900 ms
    assert found["compat.guidellm.requests_rps"] == pytest.approx(1 / 0.9)
    assert found["compat.guidellm.mean_concurrency"] == pytest.approx((0.19 + 0.4) / 0.9)


def test_aiperf_ends_a_request_at_its_last_token_and_averages_rates() -> None:
    found = of("aiperf", figures(row(), SECOND, FAILED, CUT))
    assert found == pytest.approx(
        {
            "avg_ttft_ms": 200,
            "p50_ttft_ms": 200,
            "p99_ttft_ms": 100 + 0.99 * 200,
            "avg_itl_ms": 20,
            "p50_itl_ms": 20,
            "p99_itl_ms": 20,
            "avg_request_latency_ms": (180 + 500) / 2,
            "p50_request_latency_ms": 340,
            "p99_request_latency_ms": 180 + 0.99 * 320,
            "avg_icl_ms": None,
            "avg_output_tps_per_user": 50,
            "request_throughput_rps": 1,
            "output_throughput_tps": 8,
        }
    )


def test_aiperf_tps_per_user_is_the_mean_of_rates_not_the_rate_of_the_mean() -> None:
    slow = row(last_token_ns=510 * MS, end_ns=510 * MS)  # 100 ms a token, against 20
    assert of("aiperf", figures(row(), slow))["avg_output_tps_per_user"] == pytest.approx((50 + 10) / 2)


def test_aiperf_inter_chunk_latency_is_the_pooled_mean_of_the_gaps() -> None:
    gaps = np.array([np.full(4, 10.0), np.full(10, 24.0), np.array([999.0]), np.array([999.0])], dtype=object)
    assert of("aiperf", figures(row(), SECOND, FAILED, CUT, chunk_gaps_ms=gaps))["avg_icl_ms"] == pytest.approx(20)


def test_gaps_that_are_missing_are_not_taken_for_none() -> None:
    gaps = np.array([np.full(4, 20.0), None], dtype=object)
    found = figures(row(), SECOND, chunk_gaps_ms=gaps)
    assert found["compat.aiperf.avg_icl_ms"] is found["compat.vllm.p99_itl_ms"] is None
    assert found["compat.vllm.mean_itl_ms"] == pytest.approx(380 / 16)


def test_mlperf_counts_from_the_schedule_to_the_last_answer() -> None:
    found = of("mlperf", figures(row(), SECOND, FAILED, CUT))
    assert found == pytest.approx(
        {
            "mean_ttft_ms": (110 + 300) / 2,
            "p99_ttft_ms": 300,
            "mean_tpot_ms": ((200 - 110) / 4 + 20) / 2,
            "p99_tpot_ms": 22.5,
            "mean_latency_ms": (200 + 500) / 2,
            "p99_latency_ms": 500,
            "completed_samples_rps": (2 - 1) / 1.0,  # the last answer came at 1 s
            "completed_tokens_tps": 16 / 1.0,
        }
    )


def test_mlperf_takes_the_value_at_floor_of_n_times_p() -> None:
    rows = [row(first_token_ns=n * MS, sent_ns=0, first_event_ns=n * MS) for n in range(1, 201)]
    assert of("mlperf", figures(*rows))["p99_ttft_ms"] == 199  # place 198 of 0 to 199


def test_in_closed_loop_mlperf_counts_from_the_sending() -> None:
    assert of("mlperf", figures(row(sched_ns=UNKNOWN)))["mean_ttft_ms"] == 100


def test_nothing_answered_is_unknown_and_not_zero() -> None:
    found = figures(FAILED)
    rates = {"compat.guidellm.requests_rps", "compat.guidellm.output_tps", "compat.guidellm.mean_concurrency"}
    assert found["compat.guidellm.output_tps"] == 0
    assert {name for name, value in found.items() if value is not None} == rates
    assert set(compat.figures(columns(), start_ns=None, end_ns=None).values()) == {None}


def test_without_the_step_s_times_there_is_no_rate_but_every_latency() -> None:
    found = compat.figures(columns(row()), start_ns=None, end_ns=None)
    assert all(found[name] is None for name in found if name.endswith(("_rps", "_tps", "concurrency")))
    assert found["compat.vllm.mean_ttft_ms"] == 10


def test_an_unknown_token_count_makes_the_sum_unknown_where_the_tool_would_count_again() -> None:
    found = figures(row(), row(out_tokens=UNKNOWN))
    assert found["compat.vllm.output_throughput_tps"] is None
    assert found["compat.vllm.mean_tpot_ms"] == 45
    assert found["compat.guidellm.output_tps"] == 5  # it takes chunks for tokens


def test_a_single_token_has_no_tpot_and_weighs_nothing() -> None:
    one = row(out_tokens=1, chunks=1, last_token_ns=110 * MS)
    found = figures(one)
    assert found["compat.vllm.mean_tpot_ms"] is found["compat.guidellm.mean_itl_ms"] is None
    assert found["compat.aiperf.avg_itl_ms"] is found["compat.mlperf.mean_tpot_ms"] is None


def test_the_window_changes_nothing_and_the_keys_are_always_the_same() -> None:
    whole = figures(row(), SECOND)
    cut = compat.figures(columns(row(), SECOND), window_start_ns=1, window_end_ns=2, start_ns=0, end_ns=2_000 * MS)
    assert cut == whole
    assert tuple(whole) == compat.names()
