"""The chart of quality against cost shows what its frame says, and nothing it doesn't know."""

from __future__ import annotations

import pandas as pd

from bench.analysis.quality_cost import QUALITY_COST_COLUMNS
from bench.charts import CLOSED, OPEN
from bench.charts.quality_cost import LIKELY, chart

ROW = {
    "target": "a:x", "layer": "hosted-open", "provider": "a", "open": True, "provenance": "own", "quality": 0.8,
    "quality_low": 0.75, "quality_high": 0.84, "usd_per_task": 0.001, "usd_low": 0.0009, "usd_high": 0.0011,
    "p_dominated": 0.0, "on_front": True, "n": 400, "measured": "2026-11-01",
}  # fmt: skip


def frame(*rows) -> pd.DataFrame:
    found = pd.DataFrame([{**ROW, **row} for row in rows], columns=list(QUALITY_COST_COLUMNS))
    found.attrs.update(use_case="letters", wanted=0.7, edge=[(0.001, 0.7), (0.002, 0.75)], without_price=["v@m"])
    return found


def test_open_and_closed_have_their_colours_and_what_is_dominated_is_faint():
    closed = {"target": "b:y", "open": False, "usd_per_task": 0.01, "p_dominated": 0.95, "on_front": False}
    figure = chart(frame({}, {**closed, "usd_low": 0.009, "usd_high": 0.011}))
    found = {trace.name: trace for trace in figure.data}
    one, two = found["1 a:x (open)"], found["2 b:y (closed)"]
    assert (one.marker.color, two.marker.color) == (OPEN, CLOSED)
    assert one.opacity == 1.0
    assert two.opacity < 1.0
    assert closed["p_dominated"] >= LIKELY
    assert list(found["front"].x) == [0.001]
    assert found["probably dominated"].fill == "toself"


def test_published_ones_are_diamonds_and_intervals_are_drawn_both_ways():
    (trace,) = [t for t in chart(frame({"provenance": "published"})).data if str(t.name).startswith("1 ")]
    assert trace.marker.symbol == "diamond"
    assert trace.error_y.array[0] == 0.84 - 0.8
    assert trace.error_x.arrayminus[0] == 0.001 - 0.0009


def test_the_caption_has_n_the_day_the_provenance_and_what_is_not_shown():
    told = chart(frame({})).layout.title.subtitle.text.replace("<br>", " ")
    for text in (
        "letters: n = 400 items a target, measured here, 2026-11-01",
        "the 0.7 that is wanted",
        "Not shown: 1",
    ):
        assert text in told


def test_a_frame_without_rows_is_an_empty_chart_that_says_so():
    assert "no target with a known price" in chart(frame()).layout.title.subtitle.text.replace("<br>", " ")


def test_ticks_are_plain_decimals():
    figure = chart(frame({}, {"target": "b:y", "usd_per_task": 0.004}))
    assert list(figure.layout.xaxis.ticktext) == ["0.001", "0.002", "0.005"]
