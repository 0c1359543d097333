"""When lines would cross: right where lines are lines, refused with the reason where they mislead."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from bench.frontier.answer import Forecast
from bench.frontier.forecast import forecast
from bench.frontier.lines import crossings
from bench.frontier.measure import measure
from bench.frontier.posterior import expit
from tests.frontier_world import POINTS, SHARE, table

END = date(2025, 1, 1)


def line(
    cls: str, now: float, per_month: float, *, every: int = 3, records: int = 16, noise: float = 0.0
) -> list[tuple[str, str, float]]:
    """Records on a line that stands at `now` on END; the last one on END."""
    rng = np.random.default_rng(len(cls) + records)
    ago = np.arange(records)[::-1] * every
    heights = now - ago * per_month + noise * rng.standard_normal(records)
    return [(cls, (END - timedelta(round(m * 30.4375))).isoformat(), h) for m, h in zip(ago, heights, strict=True)]


def told(*sides: list[tuple[str, str, float]], **more: object) -> Forecast:
    rows = table(*(model for side in sides for model in side))
    return forecast(rows, POINTS, END, **more)  # type: ignore[arg-type]


def test_exact_lines_cross_when_arithmetic_says_so() -> None:
    """12 points apart, closing by 0.5 a month: in 24 months, in every draw."""
    found = told(line("c", 100, 1.0), line("o", 88, 1.5))
    assert (found.state, found.p12, found.p36) == ("given", 0.0, 1.0)
    assert found.low_months == pytest.approx(24, rel=0.01)
    assert found.high_months == pytest.approx(24, rel=0.01)
    assert found.no_crossing == 0
    assert found.windows["all"].records == {"closed": 16, "open": 16}
    assert found.windows["last 24 months"].records == {"closed": 9, "open": 9}
    assert found.windows["all"].closing_points_per_month == pytest.approx(0.5, rel=0.01)


def test_parting_lines_never_cross() -> None:
    found = told(line("c", 100, 1.5), line("o", 88, 1.0))
    assert (found.state, found.p36, found.no_crossing) == ("given", 0.0, 1.0)
    assert (found.low_months, found.high_months) == (None, None)


def test_a_crossing_in_more_than_ten_years_is_none() -> None:
    found = told(line("c", 100, 1.0), line("o", 88, 1.05))
    assert (found.no_crossing, found.low_months) == (1.0, None)


def test_noise_makes_a_range_and_never_a_date() -> None:
    found = told(line("c", 100, 1.0, noise=2.0, records=24), line("o", 88, 1.5, noise=2.0, records=24))
    assert found.state == "given"
    assert found.p12 is not None
    assert found.p24 is not None
    assert found.p36 is not None
    assert 0 <= found.p12 <= found.p24 <= found.p36 <= 1
    assert 0 < found.p24 < 1
    assert found.low_months is not None
    assert found.low_months < 24


def test_the_chance_of_a_crossing_is_right_as_often_as_it_says() -> None:
    """The true lines cross in 24 months: of the draws about half do so by then, over many worlds."""
    rng, said = np.random.default_rng(0), []
    for _ in range(60):
        rows = table(
            *line("c", 100, 1.0),
            *line("o", 88, 1.5),
        )
        rows["value"] += 0.4 * rng.standard_normal(len(rows))
        found = forecast(rows, POINTS, END)
        if found.p24 is not None:
            said.append(found.p24)
    assert len(said) > 55
    assert 0.35 < np.mean(said) < 0.65


def test_the_share_of_lines_that_have_crossed_already_is_left_out_and_told() -> None:
    closed = np.array([[10.0, 1.0], [10.0, 1.0], [10.0, 1.0], [9.0, 1.0]])
    opened = np.array([[8.0, 2.0], [8.0, 1.0], [11.0, 1.5], [3.0, 1.5]])
    months, left_out = crossings(closed, opened)
    assert months.tolist() == [2.0, np.inf, 12.0]
    assert left_out == 0.25


def test_if_open_leads_already_nothing_is_foretold() -> None:
    found = told(line("c", 100, 1.0), line("o", 101, 1.5))
    assert (found.state, found.p12) == ("open leads", None)
    assert found.reason == "the best open model is already 1.0 points ahead of the best closed one"
    assert told(line("c", 100, 1.0), line("o", 100, 1.5)).reason == (
        "the best open model is already level with the best closed one"
    )


@pytest.mark.parametrize("few", ["c", "o"])
def test_under_five_records_in_a_class_are_too_few(few: str) -> None:
    n = {"c": 16, "o": 16} | {few: 4}
    found = told(line("c", 100, 1.0, records=n["c"]), line("o", 88, 1.5, records=n["o"]))
    assert found.state == "refused"
    name = {"c": "closed", "o": "open"}[few]
    assert found.reason == f"only 4 {name} records (at least 5 are needed)"


def test_two_records_in_two_years_make_no_recent_line() -> None:
    found = told(line("c", 100, 1.0, every=15), line("o", 88, 1.5))
    assert found.reason == "only 2 closed records in the last 24 months (a line needs 3)"


def test_a_benchmark_stale_for_over_nine_months_is_refused() -> None:
    sides = line("c", 100, 1.0), line("o", 88, 1.5)
    assert told(*sides, stale_days=270).state == "given"
    found = told(*sides, stale_days=300)
    assert (found.state, found.reason) == (
        "refused",
        "stale: one of the classes got no new model here for 10 months",
    )


def test_windows_that_disagree_are_refused_with_both_shown() -> None:
    """Open was closing in until two years ago and has been falling back since."""
    early = [(c, d, v - 60) for c, d, v in line("o", 88, 3.0, records=8)]
    early = [(c, (date.fromisoformat(d) - timedelta(760)).isoformat(), v) for c, d, v in early]
    found = told(line("c", 100, 1.0, records=26), [*early, *line("o", 42, 0.6, records=8)])
    assert found.state == "refused"
    assert found.reason == "the windows disagree (last 24 months: parting, all: closing)"
    assert set(found.windows) == {"last 24 months", "all"}


def share_table(closed: list[float], opened: list[float]) -> pd.DataFrame:
    days = [(END - timedelta(75 * (len(closed) - 1 - i))).isoformat() for i in range(len(closed))]
    return table(
        *(("c", d, v, 0.01) for d, v in zip(days, closed, strict=True)),
        *(("o", d, v, 0.01) for d, v in zip(days, opened, strict=True)),
    )


CLOSED = [0.40, 0.55, 0.70, 0.80, 0.86, 0.90, 0.93, 0.955, 0.96, 0.965]
OPEN = [0.10, 0.20, 0.35, 0.52, 0.68, 0.80, 0.88, 0.93, 0.95, 0.955]


def test_on_a_saturated_benchmark_the_logit_lines_cross_while_closed_still_leads() -> None:
    """The trap: both are at the top, the logit lines say that open has overtaken or is about to. Refused."""
    rows = share_table(CLOSED, OPEN)
    x = np.arange(10.0)
    closed, opened = (np.polyfit(x, np.log(np.array(p) / (1 - np.array(p))), 1) for p in (CLOSED, OPEN))
    assert np.polyval(opened - closed, 12) > 0  # the lines are crossed a few months on, at the latest
    assert CLOSED[-1] > OPEN[-1]
    found = forecast(rows, SHARE, END)
    assert (found.state, found.p12) == ("refused", None)
    assert found.reason is not None
    assert found.reason.startswith("saturated: the frontier is at 96% of what can be had")


def test_between_nine_tenths_and_saturation_a_logit_line_is_not_drawn_either() -> None:
    found = forecast(share_table(CLOSED[:7], OPEN[:7]), SHARE, END)
    assert found.reason == "nearly saturated: the frontier is at 93%, lines in logit mislead from 90% on"
    assert forecast(share_table(CLOSED[:5], OPEN[:5]), SHARE, END).state == "given"


def test_lines_that_have_crossed_while_closed_still_leads_are_refused() -> None:
    """Open rose steeply and has stood still lately: its line lies above what it is."""
    closed = line("c", 100, 0.5, records=10)
    opened = [*line("o", 120, 6.0, records=9)[:6], ("o", "2024-11-01", 99.0), ("o", END.isoformat(), 99.5)]
    opened = [(c, d, min(v, 99.0 - 0.5 * (8 - i))) for i, (c, d, v) in enumerate(opened[:6])] + opened[6:]
    found = told(closed, opened)
    assert found.state == "refused"
    assert found.reason is not None
    assert "have crossed already while the closed side still leads" in found.reason


def test_lines_of_shares_are_drawn_in_logit() -> None:
    months = np.arange(10)[::-1] * 75 / 30.4375
    rows = share_table([float(v) for v in expit(1.5 - 0.05 * months)], [float(v) for v in expit(0.9 - 0.10 * months)])
    found = forecast(rows, SHARE, END)
    assert found.state == "given"
    assert found.windows["all"].closing_points_per_month == pytest.approx(0.05, rel=1e-3)
    assert found.low_months == pytest.approx(12, rel=0.02)


def test_all_records_in_two_years_are_one_window_and_it_says_so() -> None:
    found = told(line("c", 100, 1.0, records=7), line("o", 88, 1.5, records=7))
    assert found.reason == "all records lie in the last 24 months, so the two windows are one"


def test_the_back_test_of_exact_lines_misses_nothing() -> None:
    """A year before the gap was 18 and closing by 0.5 a month: 12 foretold, 12 seen."""
    test = told(line("c", 100, 1.0), line("o", 88, 1.5)).back_test
    assert test is not None
    assert test.as_of == END - timedelta(365)
    assert test.predicted_points == pytest.approx(12, abs=0.02)
    assert test.observed_points == pytest.approx(12)
    assert test.miss_points == pytest.approx(0, abs=0.02)


def test_the_back_test_shows_how_far_a_broken_trend_missed() -> None:
    """Open closed in by 0.5 a month until a year ago and has stood still since: foretold 12, seen 18 + 12."""
    opened = [m for m in line("o", 88, 1.5) if m[1] <= "2024-01-02"]
    test = told(line("c", 100, 1.0), opened).back_test
    assert test is not None
    assert test.predicted_points == pytest.approx(12, abs=0.02)
    assert test.observed_points == pytest.approx(30)
    assert test.miss_points == pytest.approx(-18, abs=0.02)


def test_a_back_test_that_cannot_be_made_says_why() -> None:
    test = told(line("c", 100, 1.0, records=6), line("o", 88, 1.5, records=16)).back_test
    assert test is not None
    assert test.predicted_points is None
    assert test.reason == "only 2 closed records (at least 5 are needed)"


def test_the_same_seed_says_the_same() -> None:
    sides = line("c", 100, 1.0, noise=1.0), line("o", 88, 1.5, noise=1.0)
    assert told(*sides, seed=3) == told(*sides, seed=3)
    assert told(*sides, seed=3) != told(*sides, seed=4)


def test_the_words_give_chances_and_the_miss_of_a_year_ago() -> None:
    rows = table(*line("c", 100, 1.0), *line("o", 88, 1.5))
    said = measure(rows, benchmark=POINTS, today=END).paragraph()
    assert "the chance that open models draw level is under 5% within 12 months and over 95% within 36" in said
    assert "(a year ago the same lines foretold a gap of 12 for today; it is 12)" in said
