"""Frontiers are steps; lag, matching and horizontal distance between them are those one reads off by hand."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from bench.frontier import curves
from bench.frontier.curves import Lag, lag, side, steps
from bench.frontier.matching import matches, matching
from tests.frontier_world import months, table

LADDER = table(
    ("c", "2023-01-10", 50.0),
    ("c", "2023-06-01", 45.0),
    ("c", "2024-01-10", 60.0),
    ("c", "2024-07-10", 70.0),
    ("o", "2023-05-10", 30.0),
    ("o", "2024-05-10", 55.0),
    ("o", "2024-12-10", 62.0),
)


def both(rows: pd.DataFrame, as_of: str | None = None) -> tuple[curves.Side, curves.Side]:
    when = date.fromisoformat(as_of) if as_of else None
    return steps(side(rows, "closed", when)), steps(side(rows, "open", when))


def lag_at(rows: pd.DataFrame, day: str, tolerance: float = 0.0) -> tuple[str, float | None, str | None]:
    told: Lag = lag(*both(rows), curves.day_of(date.fromisoformat(day)), tolerance)
    since = None if told.since_day is None else curves.date_of(told.since_day).isoformat()
    return told.state, told.days, since


def test_a_record_is_strictly_better_than_all_before_and_the_best_of_its_day() -> None:
    rows = table(
        ("c", "2024-02-01", 10.0),
        ("c", "2024-01-01", 5.0),
        ("c", "2024-02-01", 12.0),
        ("c", "2024-03-01", 12.0),
        ("c", "2024-04-01", 11.0),
        ("c", "2024-05-01", 13.0),
        ("o", "2024-01-01", 99.0),
    )
    assert curves.records(rows, "closed")["version"].tolist() == ["c1", "c2", "c5"]
    assert curves.records(rows, "closed", date(2024, 3, 1))["version"].tolist() == ["c1", "c2"]


def test_of_two_equal_models_of_one_day_the_same_one_holds_the_record_in_any_order() -> None:
    rows = table(("c", "2024-01-01", 5.0), ("c", "2024-01-01", 5.0))
    assert curves.records(rows, "closed")["version"].tolist() == ["c0"]
    assert curves.records(rows.iloc[::-1], "closed")["version"].tolist() == ["c0"]


def test_rows_without_a_date_or_a_score_are_in_no_frontier() -> None:
    rows = table(("c", "2024-01-01", 5.0), ("c", "2024-01-02", float("nan")), ("c", "2024-01-03", 9.0))
    rows.loc[2, "since"] = pd.NaT
    assert curves.records(rows, "closed")["version"].tolist() == ["c0"]


def test_the_frontier_on_a_day_includes_what_came_that_day() -> None:
    closed, _ = both(LADDER)
    days = [curves.day_of(date.fromisoformat(d)) for d in ("2023-01-09", "2023-01-10", "2024-07-09", "2024-07-10")]
    assert [curves.level(closed, day) for day in days] == [None, 50.0, 60.0, 70.0]


def test_the_lag_counts_from_the_first_closed_model_as_good() -> None:
    assert lag_at(LADDER, "2024-12-10") == ("value", 153, "2024-07-10")
    assert lag_at(LADDER, "2024-06-10") == ("value", 152, "2024-01-10")


def test_the_lag_grows_by_a_day_a_day_until_a_new_open_record() -> None:
    assert [lag_at(LADDER, f"2024-06-{day}")[1] for day in (10, 11, 20)] == [152, 153, 162]


def test_a_level_that_the_first_closed_record_had_already_gives_a_lower_bound() -> None:
    assert lag_at(LADDER, "2023-12-01") == (">=", 325, "2023-01-10")


def test_an_equal_closed_model_is_enough_and_one_of_the_same_day_gives_no_lag() -> None:
    tied = table(("c", "2024-01-01", 40.0), ("c", "2024-02-01", 50.0), ("o", "2024-04-01", 50.0))
    assert lag_at(tied, "2024-04-01") == ("value", 60, "2024-02-01")
    same_day = table(("c", "2024-01-01", 40.0), ("c", "2024-02-01", 50.0), ("o", "2024-02-01", 50.0))
    assert lag_at(same_day, "2024-02-01") == ("value", 0, "2024-02-01")


def test_above_every_closed_model_open_leads() -> None:
    rows = table(("c", "2024-01-01", 40.0), ("o", "2024-02-01", 41.0), ("c", "2024-03-01", 42.0))
    assert lag_at(rows, "2024-02-15") == ("open leads", None, None)
    assert lag_at(rows, "2024-03-01") == ("value", 0, "2024-03-01")


@pytest.mark.parametrize("gone", ["closed", "open"])
def test_without_a_class_the_lag_is_undefined(gone: str) -> None:
    assert lag_at(LADDER[LADDER["cls"] != gone], "2024-12-10") == ("undefined", None, None)


def test_before_a_class_s_first_model_the_lag_is_undefined() -> None:
    assert lag_at(LADDER, "2023-05-09") == ("undefined", None, None)


def test_within_the_tolerance_a_model_counts_as_the_better_one() -> None:
    assert lag_at(LADDER, "2024-06-10", 5.0) == ("value", 152, "2024-01-10")
    assert lag_at(LADDER, "2024-06-10", 5.5)[1:] == (0, "2024-01-10")
    assert lag_at(LADDER, "2024-12-10", 9.0)[:2] == ("value", 0)


def test_each_closed_record_waits_for_the_first_open_model_as_good() -> None:
    closed, opened = both(LADDER, "2024-12-10")
    found = matching(closed, opened, curves.day_of(date(2024, 12, 10)))
    assert found.matched.tolist() == [True, True, False]
    assert found.months.tolist() == pytest.approx(
        [months("2023-01-10", "2024-05-10"), months("2024-01-10", "2024-12-10"), months("2024-07-10", "2024-12-10")]
    )


def test_a_level_that_open_had_before_is_matched_at_nought_and_told_apart() -> None:
    rows = table(("o", "2024-01-01", 60.0), ("c", "2024-03-01", 55.0), ("c", "2024-04-01", 65.0))
    closed, opened = both(rows)
    found = matching(closed, opened, curves.day_of(date(2024, 6, 1)))
    assert found.months.tolist() == pytest.approx([-60 / 30.4375, 61 / 30.4375])
    assert found.durations.tolist() == pytest.approx([0.0, 61 / 30.4375])
    assert found.matched.tolist() == [True, False]


def test_the_evidence_names_who_matched_whom_and_when() -> None:
    found = matches(LADDER, date(2024, 12, 10))
    assert found["closed"].tolist() == ["c0", "c2", "c3"]
    assert found["matched_by"].fillna("").tolist() == ["o5", "o6", ""]
    assert found["matched_on"].dt.strftime("%Y-%m-%d").fillna("").tolist() == ["2024-05-10", "2024-12-10", ""]
    assert matches(LADDER, date(2024, 12, 10), 8.0)["matched_by"].tolist() == ["o5", "o5", "o6"]


def test_nobody_open_leaves_every_record_unmatched() -> None:
    found = matches(LADDER[LADDER["cls"] == "closed"], date(2024, 12, 10))
    assert found["matched"].tolist() == [False] * 3
    assert found["matched_by"].isna().all()


def test_the_mean_horizontal_distance_is_the_area_over_the_common_levels() -> None:
    """Levels 50 to 55 took from 2024-01-10 to 2024-05-10, 55 to 60 to 2024-12-10, 60 to 62 from 2024-07-10 on."""
    closed, opened = both(LADDER)
    by_hand = (5 * 121 + 5 * 335 + 2 * 153) / 12
    assert curves.mean_horizontal_days(closed, opened) == pytest.approx(by_hand)


def test_without_common_levels_there_is_no_horizontal_distance() -> None:
    apart = table(
        ("c", "2024-01-01", 50.0), ("c", "2024-02-01", 60.0), ("o", "2024-03-01", 20.0), ("o", "2024-04-01", 50.0)
    )
    assert curves.mean_horizontal_days(*both(apart)) is None
    assert curves.mean_horizontal_days(*both(apart[apart["cls"] == "open"])) is None


def test_a_curve_moved_in_time_is_apart_by_just_that() -> None:
    """50 days: the open class repeats the closed one, whatever its steps."""
    days, heights = np.array([0, 13, 40, 41, 90]), [1.0, 2.5, 2.6, 7.0, 9.0]
    rows = pd.concat(
        [
            table(*(("c", str(np.datetime64("2024-01-01") + d), h) for d, h in zip(days, heights, strict=True))),
            table(*(("o", str(np.datetime64("2024-02-20") + d), h) for d, h in zip(days, heights, strict=True))),
        ],
        ignore_index=True,
    )
    assert curves.mean_horizontal_days(*both(rows)) == pytest.approx(50)


def test_what_cannot_be_told_apart_counts_as_reached() -> None:
    """z = 1, errors 3 and 4: up to 5 below is as good; the third open model is too precise for that."""
    rows = table(
        ("c", "2024-01-01", 40.0, 3.0),
        ("c", "2024-02-01", 50.0, 3.0),
        ("o", "2024-03-01", 30.0, 0.0),
        ("o", "2024-04-01", 45.0, 4.0),
        ("o", "2024-05-01", 46.5, 0.0),
    )
    closed, opened = steps(side(rows, "closed")), side(rows, "open")
    assert curves.indistinct(closed, opened, 1.0).tolist() == [[3.0, 5.0, 3.0]] * 2
    found = matching(closed, opened, curves.day_of(date(2024, 6, 1)), curves.indistinct(closed, opened, 1.0))
    assert found.months.tolist() == pytest.approx([91 / 30.4375, 60 / 30.4375])
    # levels 40 to 50 were within reach on 2024-04-01, two months (60 days) after 2024-02-01
    assert curves.mean_horizontal_days_within(closed, opened, 1.0) == pytest.approx(60)


def test_without_errors_nothing_is_indistinct() -> None:
    closed, opened = both(LADDER)
    assert curves.mean_horizontal_days_within(closed, side(LADDER, "open"), 1.645) == pytest.approx(
        curves.mean_horizontal_days(closed, opened)
    )


def test_the_closed_slope_is_that_of_the_record_setters_of_two_years() -> None:
    rows = table(
        ("c", "2020-01-01", 1.0),
        ("c", "2024-01-01", 10.0),
        ("c", "2024-03-01", 14.0),
        ("c", "2024-03-15", 13.0),
        ("c", "2024-07-01", 16.0),
    )
    x = np.array([0, 60, 182]) / 30.4375
    expected = np.polyfit(x, [10.0, 14.0, 16.0], 1)[0]
    record, _ = both(rows)
    assert curves.slope_per_month(record, curves.day_of(date(2024, 7, 1))) == pytest.approx(expected)
    assert curves.slope_per_month(record, curves.day_of(date(2024, 6, 30))) is None
