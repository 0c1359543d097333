"""The gap as a whole: every figure on a small table by hand, its states, its properties, its words."""

from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.frontier import posterior
from bench.frontier.measure import measure, series
from bench.frontier.seen import last_of_both
from tests.frontier_world import POINTS, SHARE, Bench, months, table

LADDER = table(
    ("c", "2023-01-10", 50.0, 1.0),
    ("c", "2023-06-01", 45.0, 1.0),
    ("c", "2024-01-10", 60.0, 1.0),
    ("c", "2024-07-10", 70.0, 1.0),
    ("o", "2023-05-10", 30.0, 1.0),
    ("o", "2024-05-10", 55.0, 1.0),
    ("o", "2024-12-10", 62.0, 1.0),
    ("c", "2025-02-10", 80.0, 1.0),
)


def test_a_small_table_by_hand() -> None:
    """As of 2024-12-10: closed 70, open 62; 62 was passed on 2024-07-10; waits 5.03 (going on), 11.01, 15.97.

    At 11.01 one of the two still waiting is matched: S = 0.5.
    """
    found = measure(LADDER, benchmark=POINTS, today=date(2025, 3, 10))
    assert found.as_of == date(2024, 12, 10)
    assert found.closed is not None
    assert found.open is not None
    assert (found.closed.version, found.closed.score, found.closed.released) == ("c3", 70.0, date(2024, 7, 10))
    assert (found.open.version, found.open.score, found.open.released) == ("o6", 62.0, date(2024, 12, 10))
    assert found.gap.points == 8.0
    assert found.gap.logit is None
    slope = np.polyfit(np.array([0, 365, 547]) / 30.4375, [50.0, 60.0, 70.0], 1)[0]
    assert found.gap.months == pytest.approx(8 / slope)
    assert (found.lag_now.state, found.lag_now.matches_closed_of) == ("value", date(2024, 7, 10))
    assert found.lag_now.months == pytest.approx(153 / 30.4375)
    match = found.time_to_match
    assert (match.records, match.unmatched, match.already_open) == (3, 1, 0)
    assert match.median_months == pytest.approx(months("2024-01-10", "2024-12-10"))
    assert found.mean_horizontal_months == pytest.approx((5 * 121 + 5 * 335 + 2 * 153) / 12 / 30.4375)
    assert found.variants == {"closed": 4, "open": 3}
    assert (found.stale_days, found.stale) == (90, False)
    assert found.unit == "points"


def test_shares_are_told_in_percentage_points_and_in_logit() -> None:
    four = Bench(scale="proportion", chance=0.25, n_items=100)
    rows = table(("c", "2024-01-01", 0.8, 0.02), ("o", "2024-03-01", 0.5, 0.03)).assign(score=[0.85, 0.625])
    found = measure(rows, benchmark=four)
    assert found.gap.points == pytest.approx(30)
    assert found.gap.logit == pytest.approx(np.log(4))
    assert found.unit == "chance-corrected percentage points"
    assert found.closed is not None
    assert (found.closed.score, found.closed.raw_score) == (pytest.approx(80), 0.85)
    assert found.closed.stderr == pytest.approx(2)


def test_the_json_has_every_key_that_was_promised_and_is_plain() -> None:
    drawn = posterior.draws(LADDER, POINTS)
    told = json.loads(json.dumps(measure(LADDER, benchmark=POINTS, draws=drawn).as_dict(), allow_nan=False))
    assert {
        "benchmark", "as_of", "unit", "closed", "open", "gap", "lag_now", "time_to_match", "mean_horizontal_months",
        "variants", "stale_days", "forecast", "provenance", "method",
    } <= set(told)  # fmt: skip
    assert {"model", "score", "released"} <= set(told["closed"]) & set(told["open"])
    assert {"points", "low", "high", "logit", "months"} <= set(told["gap"])
    assert {"state", "months", "low", "high", "matches_closed_of"} <= set(told["lag_now"])
    assert {"median_months", "low", "high", "records", "unmatched"} <= set(told["time_to_match"])
    assert {"open", "closed"} == set(told["variants"])
    assert {"state", "p12", "p24", "p36", "reason"} <= set(told["forecast"])
    assert told["as_of"] == "2024-12-10"
    assert told["lag_now"]["matches_closed_of"] == "2024-07-10"


def test_where_one_class_ended_before_the_other_began_the_gap_is_told_from_the_beginning() -> None:
    rows = table(("c", "2022-01-01", 40.0), ("c", "2022-05-01", 42.0), ("o", "2024-03-01", 41.0))
    found = measure(rows, benchmark=POINTS, today=date(2024, 4, 1))
    assert (found.as_of, found.gap.points) == (date(2024, 3, 1), 1.0)
    assert (found.stale_days, found.stale) == (701, True)


@pytest.mark.parametrize("gone", ["closed", "open", "both"])
def test_a_missing_class_is_a_state_and_no_exception(gone: str) -> None:
    rows = LADDER[(LADDER["cls"] != gone) & (gone != "both")]
    found = measure(rows, benchmark=POINTS, draws=np.zeros((10, len(rows))), today=date(2025, 1, 1))
    assert found.lag_now.state == found.forecast.state == "undefined"
    assert found.as_of is found.gap.points is found.stale_days is found.mean_horizontal_months is None
    assert found.time_to_match.median_months is None
    assert "no gap can be told" in found.paragraph()
    json.dumps(found.as_dict(), allow_nan=False)


def test_the_as_of_date_is_the_last_on_which_both_classes_got_new_models() -> None:
    assert last_of_both(LADDER) == date(2024, 12, 10)
    assert last_of_both(LADDER, date(2024, 8, 1)) == date(2024, 5, 10)
    assert last_of_both(LADDER[LADDER["cls"] == "open"]) is None


def test_a_given_date_is_kept_and_its_distance_from_the_last_news_is_the_age() -> None:
    found = measure(LADDER, benchmark=POINTS, as_of=date(2025, 3, 1))
    assert found.as_of == date(2025, 3, 1)
    assert found.closed is not None
    assert found.closed.version == "c7"
    assert found.stale_days == (date(2025, 3, 1) - date(2024, 12, 10)).days


def test_a_stale_benchmark_is_marked_because_its_lag_grows_when_nobody_looks() -> None:
    fresh, old = (measure(LADDER, benchmark=POINTS, as_of=day) for day in (date(2025, 9, 6), date(2025, 9, 7)))
    assert (fresh.stale_days, fresh.stale, old.stale_days, old.stale) == (270, False, 271, True)
    assert "Caution" in old.paragraph()
    assert "Caution" not in fresh.paragraph()
    assert old.forecast.reason is not None
    assert "stale" in old.forecast.reason
    assert fresh.lag_now.months is not None
    assert old.lag_now.months is not None
    assert old.lag_now.months > fresh.lag_now.months


def test_without_today_the_age_is_unknown() -> None:
    found = measure(LADDER, benchmark=POINTS)
    assert (found.stale_days, found.stale) == (None, None)


def test_a_tolerance_is_in_the_unit_of_the_answer() -> None:
    found = measure(LADDER, benchmark=POINTS, tolerance=8.0)
    assert (found.time_to_match.unmatched, found.lag_now.state, found.lag_now.months) == (0, "value", 153 / 30.4375)
    shares = LADDER.assign(value=LADDER["value"] / 100)
    same = measure(shares, benchmark=SHARE, tolerance=8.0 + 1e-9)
    assert same.time_to_match.unmatched == 0
    assert same.gap.points == pytest.approx(8)


def test_both_ways_of_counting_are_always_told() -> None:
    rows = LADDER.assign(stderr=4.0)
    within = measure(rows, benchmark=POINTS).not_distinguishable
    assert within.z == pytest.approx(1.6449, abs=1e-4)
    assert within.unmatched == 0
    assert within.lag_months == 0
    assert within.median_months == pytest.approx(153 / 30.4375)
    assert within.mean_horizontal_months is not None


def test_the_observed_value_stands_beside_the_median_and_ends_of_the_draws() -> None:
    """Four draws by hand: gaps 8, 7, 9, -2; the last one has open in the lead."""
    drawn = np.tile(LADDER["value"].to_numpy(), (4, 1))
    drawn[1, 3] = 69
    drawn[2, 6] = 61
    drawn[3, 6] = 72
    found = measure(LADDER, benchmark=POINTS, draws=drawn, confidence=0.5)
    assert (found.gap.points, found.gap.median) == (8.0, 7.5)
    assert (found.gap.low, found.gap.high) == (pytest.approx(4.75), pytest.approx(8.25))
    assert found.lag_now.states == {"value": 0.75, ">=": 0.0, "open leads": 0.25, "undefined": 0.0}
    assert found.lag_now.low == pytest.approx(0.75 * 153 / 30.4375)
    assert found.draws == 4


def test_draws_whose_lag_is_a_lower_bound_leave_the_upper_end_open() -> None:
    drawn = np.tile(LADDER["value"].to_numpy(), (10, 1))
    drawn[:3, 6] = 49
    drawn[:3, 5] = 49
    found = measure(LADDER, benchmark=POINTS, draws=drawn)
    assert found.lag_now.states[">="] == pytest.approx(0.3)
    assert found.lag_now.low == pytest.approx(153 / 30.4375)
    assert (found.lag_now.median, found.lag_now.high) == (pytest.approx(153 / 30.4375), None)


def test_a_draw_without_a_holder_may_be_anything() -> None:
    drawn = np.tile(LADDER["value"].to_numpy(), (10, 1))
    drawn[0, 3] = np.nan
    found = measure(LADDER, benchmark=POINTS, draws=drawn)
    assert (found.gap.low, found.gap.median, found.gap.high) == (None, 8.0, None)
    assert found.lag_now.states["undefined"] == pytest.approx(0.1)
    drawn[0, 3], drawn[0, 1] = 70, np.nan
    assert measure(LADDER, benchmark=POINTS, draws=drawn).gap.low == 8.0


def test_where_a_holder_s_error_is_unknown_there_is_no_interval_and_the_words_say_so() -> None:
    rows = LADDER.assign(stderr=[1.0, 1, 1, np.nan, 1, 1, 1, 1])
    found = measure(rows, benchmark=POINTS, draws=posterior.draws(rows, POINTS))
    assert (found.gap.low, found.gap.high, found.draws) == (None, None, 0)
    assert "the error of a frontier's score is unknown" in found.method
    assert "1 of 7 scores have an unknown error" in found.method
    assert "how noisy these scores are is not known" in found.paragraph()
    elsewhere = LADDER.assign(stderr=[1.0, np.nan, 1, 1, 1, 1, 1, 1])
    assert measure(elsewhere, benchmark=POINTS, draws=posterior.draws(elsewhere, POINTS)).gap.low is not None


def test_draws_of_another_table_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(5, 3\) don't fit 8 rows"):
        measure(LADDER, benchmark=POINTS, draws=np.zeros((5, 3)))


def test_the_draws_of_every_metric_are_those_of_measuring_each_draw() -> None:
    rng = np.random.default_rng(0)
    models = [
        ("co"[i % 2], str(np.datetime64("2023-01-01") + int(d)), 10 + d / 30 + 4 * rng.standard_normal(), 2.0)
        for i, d in enumerate(rng.integers(0, 700, 40))
    ]
    rows = table(*models)
    drawn = posterior.draws(rows, POINTS, 60)
    found = measure(rows, benchmark=POINTS, draws=drawn)
    each = [measure(rows.assign(value=draw), benchmark=POINTS, as_of=found.as_of) for draw in drawn]
    assert found.gap.median == pytest.approx(np.median([one.gap.points for one in each]))
    states = pd.Series([one.lag_now.state for one in each]).value_counts(normalize=True)
    assert {state: share for state, share in found.lag_now.states.items() if share} == pytest.approx(states.to_dict())
    waits = [np.inf if (m := one.time_to_match.median_months) is None else m for one in each]
    assert found.time_to_match.of_draws.median == pytest.approx(np.median(waits))
    areas = [np.inf if (m := one.mean_horizontal_months) is None else m for one in each]
    assert found.mean_horizontal.median == pytest.approx(np.median(areas))


def test_over_time_every_date_sees_only_what_was_out() -> None:
    days = [date(2023, 1, 9), date(2023, 3, 1), date(2023, 6, 1), date(2024, 6, 1), date(2025, 3, 1)]
    found = series(LADDER, POINTS, days, draws=posterior.draws(LADDER, POINTS))
    assert found.columns.tolist() == [
        "date", "closed", "open", "gap", "gap_low", "gap_high", "lag_months", "lag_state",
    ]  # fmt: skip
    assert found["closed"].tolist() == pytest.approx([np.nan, 50, 50, 60, 80], nan_ok=True)
    assert found["open"].tolist() == pytest.approx([np.nan, np.nan, 30, 55, 62], nan_ok=True)
    assert found["gap"].tolist() == pytest.approx([np.nan, np.nan, 20, 5, 18], nan_ok=True)
    assert found["lag_state"].tolist() == ["undefined", "undefined", ">=", "value", "value"]
    assert ((found["gap_low"] < found["gap_high"]) | found["gap"].isna()).all()
    assert series(LADDER, POINTS, []).empty


def test_the_last_line_over_time_is_the_measurement() -> None:
    drawn = posterior.draws(LADDER, POINTS)
    found = measure(LADDER, benchmark=POINTS, draws=drawn)
    assert found.as_of is not None
    line = series(LADDER, POINTS, [found.as_of], draws=drawn).iloc[0]
    assert (line["gap"], line["gap_low"], line["gap_high"]) == (found.gap.points, found.gap.low, found.gap.high)
    assert line["lag_months"] == found.lag_now.months


# ---------------------------------------------------------------------------------------------------------- properties

MODELS = st.lists(
    st.tuples(st.sampled_from("co"), st.integers(0, 900), st.integers(0, 40)), min_size=1, max_size=25
).map(lambda models: table(*((c, (date(2022, 1, 1) + timedelta(d)).isoformat(), float(v)) for c, d, v in models)))


def answers(rows: pd.DataFrame, as_of: date | None = None, but: tuple[str, ...] = ()) -> dict[str, object]:
    found = measure(rows, benchmark=POINTS, as_of=as_of).as_dict()
    return {name: told for name, told in found.items() if name not in but}


@settings(deadline=None, max_examples=60)
@given(MODELS, st.sampled_from("co"), st.integers(0, 900), st.integers(1, 30))
def test_a_dominated_model_changes_nothing(rows: pd.DataFrame, cls: str, day: int, below: int) -> None:
    """But how many there are, and how fresh the news is (which a forecast may be refused for)."""
    fresh = ("variants", "rows", "method", "stale_days", "stale", "forecast")
    name = {"c": "closed", "o": "open"}[cls]
    when = pd.Timestamp("2022-01-01") + pd.Timedelta(days=day)
    better = rows[(rows["cls"] == name) & (rows["since"] <= when)]
    as_of = last_of_both(rows)
    if better.empty or as_of is None:
        return
    weak = table((cls, str(when.date()), float(better["value"].max()) - below)).assign(version="weak")
    assert answers(pd.concat([rows, weak], ignore_index=True), as_of, fresh) == answers(rows, as_of, fresh)


@settings(deadline=None, max_examples=60)
@given(MODELS, st.integers(1, 400))
def test_a_later_world_is_the_same_world(rows: pd.DataFrame, days: int) -> None:
    before = measure(rows, benchmark=POINTS)
    after = measure(rows.assign(since=rows["since"] + pd.Timedelta(days=days)), benchmark=POINTS)
    assert (before.gap, before.mean_horizontal_months) == (after.gap, after.mean_horizontal_months)
    assert before.lag_now.months == after.lag_now.months
    assert before.time_to_match == after.time_to_match


@settings(deadline=None, max_examples=60)
@given(MODELS, st.integers(0, 300))
def test_delaying_every_open_model_delays_every_match_and_leaves_the_gap(rows: pd.DataFrame, days: int) -> None:
    as_of = date(2026, 1, 1)
    late = rows["since"].where(rows["cls"] == "closed", rows["since"] + pd.Timedelta(days=days))
    before, after = (measure(r, benchmark=POINTS, as_of=as_of) for r in (rows, rows.assign(since=late)))
    assert before.gap == after.gap
    assert before.lag_now == after.lag_now
    if before.mean_horizontal_months is not None:
        assert after.mean_horizontal_months == pytest.approx(before.mean_horizontal_months + days / 30.4375)


@settings(deadline=None, max_examples=60)
@given(MODELS)
def test_with_the_classes_swapped_the_gap_and_the_distance_change_sign(rows: pd.DataFrame) -> None:
    other = rows.assign(cls=rows["cls"].map({"closed": "open", "open": "closed"}))
    one, two = measure(rows, benchmark=POINTS), measure(other, benchmark=POINTS)
    if one.gap.points is None:
        assert two.gap.points is None
        return
    assert two.gap.points == -one.gap.points
    if one.mean_horizontal_months is not None:
        assert two.mean_horizontal_months == pytest.approx(-one.mean_horizontal_months)
    if one.gap.points < 0:
        assert one.lag_now.state == "open leads"


@settings(deadline=None, max_examples=40)
@given(MODELS, st.floats(0, 10), st.floats(0, 10))
def test_more_tolerance_never_makes_the_open_side_look_worse(rows: pd.DataFrame, one: float, more: float) -> None:
    strict, lax = (measure(rows, benchmark=POINTS, tolerance=t) for t in (one, one + more))
    assert lax.time_to_match.unmatched <= strict.time_to_match.unmatched
    if strict.lag_now.months is not None:
        assert lax.lag_now.months is not None
        assert lax.lag_now.months <= strict.lag_now.months


@settings(deadline=None, max_examples=40)
@given(MODELS, st.integers(0, 2**32 - 1))
def test_the_order_of_the_rows_does_not_matter(rows: pd.DataFrame, seed: int) -> None:
    shuffled = rows.sample(frac=1, random_state=seed).reset_index(drop=True)
    assert answers(shuffled) == answers(rows)


# --------------------------------------------------------------------------------------------------------------- words


def test_the_paragraph_is_what_a_manager_would_say() -> None:
    rows = LADDER.assign(model=["A", "B", "C", "Gamma", "E", "F", "Omega", "H"])
    found = measure(rows, benchmark=POINTS, draws=posterior.draws(rows, POINTS), today=date(2025, 1, 10))
    told = found.paragraph()
    assert told.startswith(
        "On Made-up, as of 2024-12-10, the best closed model (Gamma by lab C, 70) is 8.0 points ahead of the best open "
        "one (Omega by lab O, 62) (90% interval of closed minus open: "
    )
    assert "Today's best open model equals the closed models of 2024-07-10, 5 months before" in told
    assert "It takes an open model about 11 months to match a closed record" in told
    assert "1 of 3 closed records still unmatched" in told
    assert "No forecast is given: only 3 closed records (at least 5 are needed)" in told


def test_a_first_record_is_said_to_be_a_bound() -> None:
    found = measure(LADDER, benchmark=POINTS, as_of=date(2023, 12, 1))
    assert "of 2023-01-10 or earlier: the records begin there, so it is at least 11 months behind" in found.paragraph()
    assert "No open model has reached the level of any closed record yet (1 closed record)" in found.paragraph()


def test_the_open_lead_is_told_from_the_open_side() -> None:
    rows = table(("c", "2024-01-01", 40.0), ("c", "2024-02-01", 42.0), ("o", "2024-03-01", 50.0))
    found = measure(rows, benchmark=POINTS)
    assert found.forecast.state == "open leads"
    assert "the best open model (model o2 by lab O, 50) is 8.0 points ahead of the best closed one" in found.paragraph()
    assert "No closed model so far is better than it." in found.paragraph()
    level = table(("c", "2024-01-01", 40.0), ("o", "2024-03-01", 40.0))
    assert "is level with" in measure(level, benchmark=POINTS).paragraph()
