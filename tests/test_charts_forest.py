"""The forest plot shows every task, its interval, the margin and the macro mean, and nothing else."""

from __future__ import annotations

import pandas as pd
import pytest

from bench.charts import forest

ROWS = [
    ("quick_copy", 0.10, 0.04, 0.16, "ahead"),
    ("quick_sort", -0.01, -0.02, 0.01, "at parity"),
    ("quick_add", -0.2, -0.3, -0.1, "behind"),
    ("quick_sub", 0.05, float("nan"), float("nan"), "inconclusive"),
    ("quick_none", float("nan"), float("nan"), float("nan"), "inconclusive"),
    ("macro", 0.01, -0.02, 0.04, "inconclusive"),
    ("macro_rescaled", 0.02, -0.03, 0.06, "inconclusive"),
]


@pytest.fixture
def figure():
    frame = pd.DataFrame(ROWS, columns=["task", "difference", "ci_low", "ci_high", "verdict"]).assign(n=30, why="why")
    told = {"a": "lab:a<b>", "b": "lab:b", "suite": "quick@1", "measured": "2026-11-01"}
    return forest.chart(frame, **told, margin=0.02, confidence=0.9)


def test_tasks_stand_in_order_with_their_intervals_in_points(figure):
    assert list(figure.layout.yaxis.ticktext) == ["copy", "sort", "add", "sub", "<b>macro</b>"]
    ahead = next(trace for trace in figure.data if trace.name == "ahead")
    assert list(ahead.x) == [10.0]
    assert list(ahead.y) == [4.0]
    assert (ahead.error_x.array[0], ahead.error_x.arrayminus[0]) == pytest.approx((6.0, 6.0))
    assert {trace.name for trace in figure.data} == {
        "ahead",
        "behind",
        "at parity",
        "inconclusive",
        "macro: inconclusive",
    }
    assert {trace.marker.symbol for trace in figure.data if trace.mode == "markers"} == {"circle"}


def test_the_diamond_spans_the_interval_of_the_macro_mean(figure):
    diamond = figure.data[-1]
    assert (min(diamond.x), max(diamond.x)) == (-2.0, 4.0)
    assert diamond.fill == "toself"


def test_the_margin_is_a_band_and_the_caption_says_n_day_and_where(figure):
    band = next(shape for shape in figure.layout.shapes if shape.type == "rect")
    assert (band.x0, band.x1) == (-2.0, 2.0)
    caption = figure.layout.title.subtitle.text.replace("<br>", " ")
    assert figure.layout.title.text == forest.QUESTION
    for part in (
        "quick@1",
        "n = 30 items",
        "measured here, 2026-11-01",
        "90% intervals",
        "margin of 2 points",
        "a&lt;b&gt;",
    ):
        assert part in caption


def test_verdicts_have_other_colours_than_open_and_closed():
    from bench.charts import CLOSED, OPEN

    assert not {OPEN, CLOSED} & set(forest.VERDICT_COLOURS.values())
    assert len(set(forest.VERDICT_COLOURS.values())) == 4
