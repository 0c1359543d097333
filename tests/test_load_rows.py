"""Rows of a step kept small, and their tokens credited to bins by numbers worked out by hand."""

import sys
from typing import Any

import numpy as np
import pytest

from bench.load.rows import BIN_NS, COUNTS, DERIVED, STAMPS, StepRows

START_NS = 5_000_000_000_000
MS = 1_000_000
assert BIN_NS == 50 * MS


def row(status: str = "truncated", *, sent_ms: float = 0, at_ms: tuple[float, ...] = (), **more: Any) -> dict[str, Any]:
    """A request sent `sent_ms` into the step, its chunks at `at_ms` of the step."""
    sent_ns = START_NS + round(sent_ms * MS)
    offsets = [round((at - sent_ms) * MS) for at in at_ms]
    first = sent_ns + offsets[0] if offsets else None
    return {
        "status": status, "sched_ns": sent_ns, "sent_ns": sent_ns, "first_token_ns": first, "first_answer_ns": first,
        "chunk_offsets_ns": offsets, "out_tokens": None, "in_tokens": None, "stamp_source": "kernel",
    } | more  # fmt: skip


def kept(*rows: dict[str, Any]) -> StepRows:
    found = StepRows(START_NS)
    for one in rows:
        found.add(one)
    return found


def credited(*rows: dict[str, Any], n_bins: int = 4) -> list[list[float]]:
    """(output, input, wasted) tokens in each of the first bins of 50 ms."""
    return [series.tolist() for series in kept(*rows).tokens(n_bins)]


def test_the_tokens_of_an_answer_are_shared_out_among_its_chunks_where_they_came() -> None:
    # 12 tokens in 4 chunks: 3 each.
    out, in_, wasted = credited(row(sent_ms=5, at_ms=(10, 49.9, 50, 170), out_tokens=12, in_tokens=100))
    assert out == [6, 3, 0, 3]
    assert in_ == [100, 0, 0, 0]  # the prompt was done when the first token came
    assert wasted == [0, 0, 0, 0]


def test_two_answers_add_up() -> None:
    out, in_, _ = credited(
        row(at_ms=(10, 60), out_tokens=2, in_tokens=30), row("ok", at_ms=(60, 110), out_tokens=8, in_tokens=7)
    )
    assert out == [1, 5, 4, 0]
    assert in_ == [30, 7, 0, 0]


def test_an_answer_cut_off_is_credited_at_the_tokens_per_chunk_of_those_that_were_counted() -> None:
    whole = row(at_ms=(10, 60), out_tokens=5)  # 2.5 tokens a chunk
    out, in_, wasted = credited(whole, row("cancelled", at_ms=(20, 120, 130), in_tokens=None))
    assert out == [2.5 + 2.5, 2.5, 5, 0]
    assert (sum(in_), sum(wasted)) == (0, 0)


def test_an_answer_whose_tokens_nobody_counted_is_credited_the_same_way() -> None:
    out, _, _ = credited(row(at_ms=(10,), out_tokens=4), row("ok", at_ms=(60, 110)))
    assert out == [4, 4, 4, 0]


def test_without_any_count_a_chunk_is_taken_for_a_token() -> None:
    assert kept(row(at_ms=(10, 60))).tokens_per_chunk == 1
    assert credited(row(at_ms=(10, 60)))[0] == [1, 1, 0, 0]


@pytest.mark.parametrize("status", ["http_error", "stream_cut", "timeout", "garbled"])
def test_the_tokens_of_a_failed_answer_are_wasted_and_its_prompt_is_not_counted(status: str) -> None:
    whole = row(at_ms=(10, 60), out_tokens=6)  # 3 tokens a chunk
    out, in_, wasted = credited(whole, row(status, at_ms=(70, 80, 199), in_tokens=50, out_tokens=99))
    assert out == [3, 3, 0, 0]
    assert in_ == [0, 0, 0, 0]
    assert wasted == [0, 6, 0, 3]


@pytest.mark.parametrize("status", ["ok", "refused", "truncated", "filtered"])
def test_every_kind_of_answer_is_output(status: str) -> None:
    assert credited(row(status, at_ms=(10,), out_tokens=6))[0] == [6, 0, 0, 0]


def test_hidden_thoughts_are_not_credited_to_the_chunks_that_came_after_them() -> None:
    """1,000 thought tokens before the first visible one were not made in the 50 ms of the answer."""
    whole = row(at_ms=(10, 60), out_tokens=4)  # 2 a chunk
    hidden = row(at_ms=(110, 120), out_tokens=1004, reasoning_tokens=1000)
    assert credited(whole, hidden)[0] == [2, 2, 4, 0]
    assert kept(whole, hidden).tokens_per_chunk == 2


def test_streamed_thoughts_are_tokens_like_others() -> None:
    shown = row(at_ms=(10, 20, 60, 110), out_tokens=8, reasoning_tokens=4, first_answer_ns=START_NS + 60 * MS)
    assert credited(shown)[0] == [4, 2, 2, 0]


def test_what_came_before_the_step_or_after_its_bins_is_left_out() -> None:
    out, in_, _ = credited(row(sent_ms=-100, at_ms=(-60, -10, 10, 149, 150, 500), out_tokens=6, in_tokens=9), n_bins=3)
    assert out == [1, 0, 1]
    assert in_ == [0, 0, 0]


def test_a_request_without_a_token_is_credited_nothing() -> None:
    assert credited(row("connect_error"), row("ok", out_tokens=0), row("cancelled")) == [[0] * 4] * 3


def test_columns_are_floats_and_unknown_is_nan_and_never_zero() -> None:
    columns = kept(
        row(at_ms=(10,), out_tokens=0, in_tokens=7, doc_id=0, merged_reads=2), row("timeout", first_token_ns=None)
    ).columns()
    assert set(columns) == {*STAMPS, *COUNTS, *DERIVED, "status"}
    assert all(values.shape == (2,) for values in columns.values())
    assert all(values.dtype == np.float64 for name, values in columns.items() if name != "status")
    assert columns["status"].tolist() == ["truncated", "timeout"]
    assert columns["out_tokens"][0] == 0
    assert columns["doc_id"][0] == 0
    assert np.isnan([columns["out_tokens"][1], columns["doc_id"][1], columns["first_token_ns"][1]]).all()
    assert columns["sent_ns"][0] == START_NS
    assert columns["merged_reads"][0] == 2


def test_columns_of_no_rows_are_empty() -> None:
    columns = kept().columns()
    assert {values.shape for values in columns.values()} == {(0,)}
    assert [series.tolist() for series in kept().tokens(2)] == [[0, 0]] * 3


def test_columns_stay_as_they_were_while_rows_go_on_coming() -> None:
    rows = kept(row(at_ms=(10,)))
    before = rows.columns()
    rows.add(row(at_ms=(20,)))
    assert len(before["sent_ns"]) == 1
    assert len(rows) == len(rows.columns()["sent_ns"]) == 2


def test_a_first_token_read_together_with_the_second_is_marked() -> None:
    together, apart, single = row(at_ms=(10, 10, 20)), row(at_ms=(10, 20, 20)), row(at_ms=(10,))
    assert kept(together, apart, single).columns()["first_merged"].tolist() == [1, 0, 0]


def test_stamps_of_a_machine_long_awake_are_exact_to_the_microsecond() -> None:
    a_month_ns = 30 * 86_400 * 1_000_000_000 + 123
    rows = StepRows(a_month_ns)
    rows.add({"status": "ok", "sent_ns": a_month_ns + 1000})
    assert abs(rows.columns()["sent_ns"][0] - a_month_ns - 1000) < 1000


def test_what_failed_requests_said_is_counted_by_what_they_have_in_common() -> None:
    rows = kept(
        row("http_error", http_status=429, error="slow down, request 1"),
        row("http_error", http_status=429, error="slow down, request 2"),
        row("http_error", http_status=200, error="in the stream"),
        row("stream_cut", http_status=200),
        row("connect_error", error="refused " * 20),
        row("cancelled"),
        row("refused"),
    )
    assert rows.failures == {
        "http_error 429": 2,
        "http_error": 1,
        "stream_cut": 1,
        f"connect_error ({('refused ' * 20)[:60]})": 1,
    }


def test_models_and_stamps_not_of_the_kernel_are_counted() -> None:
    rows = kept(
        row(response_model="a"),
        row(response_model="b", stamp_source="read"),
        row(response_model="a", stamp_source=None),
    )
    assert rows.models == {"a": 2, "b": 1}
    assert rows.n_unstamped == 1


def held_bytes(rows: StepRows) -> int:
    """All that grows with the rows, texts that they share left out."""
    columns = sum(sys.getsizeof(column) for column in rows._columns.values())
    bins = sum(sys.getsizeof(credit._bins) for credit in (rows._out, rows._in, rows._loose, rows._waste))
    return columns + bins + sys.getsizeof(rows.statuses)


def test_a_hundred_thousand_rows_of_a_hundred_chunks_stay_small() -> None:
    rows = StepRows(START_NS)
    one = row(at_ms=tuple(range(10, 1010, 10)), out_tokens=100, in_tokens=500, doc_id=3)
    for _ in range(100_000):
        rows.add(one)
    assert held_bytes(rows) / 100_000 < 160
    assert rows.tokens(30)[0].sum() == pytest.approx(100 * 100_000)
    assert len({id(status) for status in rows.statuses}) == 1


def test_a_server_that_counts_absurdly_does_not_end_the_run() -> None:
    assert len(kept(row(at_ms=(10,), out_tokens=10**30))) == 1
