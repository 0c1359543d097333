"""One change at a time: which lab, which tolerance, which rule, which grade carries the answer."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from bench.frontier import scores
from bench.frontier.sensitivity import COLUMNS, THRESHOLDS, alternatives, lines, record_labs
from tests.frontier_world import POINTS, table

ROWS = table(
    ("c", "2024-01-01", 50.0, 2.0),
    ("c", "2024-03-01", 60.0, 2.0),
    ("c", "2024-05-01", 70.0, 2.0),
    ("o", "2024-04-01", 52.0, 2.0),
    ("o", "2024-06-01", 58.0, 2.0),
).assign(vendor=["Ash", "Birch", "Ash", "Cedar", "Dogwood"])

JUNE = date(2024, 6, 1)


def line(found: pd.DataFrame, name: str, what: str) -> dict[str, object]:
    rows = found[(found["line"] == name) & (found["what"] == what)]
    assert len(rows) == 1
    return rows.iloc[0].to_dict()


def test_without_each_lab_that_holds_a_record() -> None:
    found = lines(ROWS, POINTS, as_of=JUNE)
    assert found.columns.tolist() == COLUMNS
    assert record_labs(ROWS, date(2024, 6, 1)) == ["Ash", "Birch", "Cedar", "Dogwood"]
    assert record_labs(ROWS, date(2024, 3, 1)) == ["Ash", "Birch"]
    assert line(found, "as measured", "")["gap_points"] == 12
    assert line(found, "leave one lab out", "Ash")["gap_points"] == 2
    assert line(found, "leave one lab out", "Ash")["lag_state"] == ">="
    birch = line(found, "leave one lab out", "Birch")
    assert (birch["gap_points"], birch["lag_months"]) == (12, pytest.approx(31 / 30.4375))
    assert line(found, "leave one lab out", "Dogwood")["gap_points"] == 18


def test_all_lines_are_of_one_date() -> None:
    """Without Dogwood the last open model is of April; the lag is still counted to June."""
    dogwood = line(lines(ROWS, POINTS, as_of=JUNE), "leave one lab out", "Dogwood")
    assert dogwood["lag_months"] == pytest.approx(92 / 30.4375)


def test_the_two_ways_of_counting_stand_side_by_side() -> None:
    found = lines(ROWS, POINTS, as_of=JUNE)
    exact, within = line(found, "tolerance", "0"), line(found, "tolerance", "not distinguishable")
    assert exact["gap_points"] == within["gap_points"] == 12
    assert exact["ttm_months"] == pytest.approx(91 / 30.4375)
    assert within["ttm_months"] == pytest.approx(91 / 30.4375)
    assert exact["lag_months"] == pytest.approx(92 / 30.4375)
    assert within["lag_months"] == pytest.approx(31 / 30.4375)


def test_a_class_of_one_lab_is_undefined_without_it() -> None:
    alone = ROWS.assign(vendor=["Ash", "Ash", "Ash", "Cedar", "Dogwood"])
    found = line(lines(alone, POINTS), "leave one lab out", "Ash")
    assert found["lag_state"] == "undefined"
    assert pd.isna(found["gap_points"])
    assert pd.isna(found["ttm_months"])


def test_no_rows_are_one_undefined_line_each() -> None:
    found = lines(table(), POINTS)
    assert set(found["lag_state"]) == {"undefined"}


OBSERVED = pd.DataFrame(
    {
        "version": ["shut", "shut", "shut", "free", "free", "kept"],
        "model": ["shut", "shut", "shut", "free", "free", "kept"],
        "vendor": "Ash",
        "effort": ["high", None, None, None, "high", None],
        "score": [90.0, 70.0, 60.0, 55.0, 80.0, 65.0],
        "stderr": 1.0,
        "evaluated_on": pd.to_datetime(["2024-02-01", "2024-02-01", "2024-03-01", "2024-02-01", "2024-02-01", None]),
        "closed_since": pd.to_datetime(["2024-01-01"] * 3 + [None] * 3),
        "open_since": pd.to_datetime([None] * 3 + ["2024-02-01"] * 2 + ["2024-03-01"]),
    }
)


def test_other_rules_and_other_grades_are_lines() -> None:
    """From non-commercial weights on both are open; from unrestricted on only `kept`; nothing is fully open."""

    def at_grade(threshold: str) -> pd.DataFrame:
        open_ = {"weights-noncommercial": ["free", "kept"], "weights-unrestricted": ["kept"]}.get(threshold, [])
        return OBSERVED.assign(open_since=OBSERVED["open_since"].where(OBSERVED["version"].isin(open_)))

    rows = scores.rows(OBSERVED, POINTS)
    others = alternatives(OBSERVED, POINTS, at_grade=at_grade)
    found = lines(rows, POINTS, as_of=date(2024, 3, 1), alternatives=others)
    assert line(found, "as measured", "")["gap_points"] == 10
    assert line(found, "effort rule", "none")["gap_points"] == 5
    assert line(found, "one score per version", "mean")["gap_points"] == 10
    assert line(found, "one score per version", "latest")["gap_points"] == 10
    grades = [line(found, "open at least", grade)["gap_points"] for grade in THRESHOLDS]
    assert grades == pytest.approx([10, float("nan"), 25, float("nan")], nan_ok=True)
    assert ("effort rule", "best") in alternatives(OBSERVED, POINTS, effort_rule="none")
    assert ("open at least", "fully-open") not in alternatives(OBSERVED, POINTS)


def test_leaving_a_benchmark_out_of_an_index_is_a_callback_that_may_fail() -> None:
    weaker = ROWS.assign(value=ROWS["value"] - 20 * (ROWS["cls"] == "open"))
    found = lines(
        ROWS,
        POINTS,
        as_of=JUNE,
        alternatives={
            ("leave one benchmark out", "gpqa-diamond"): lambda: weaker,
            ("leave one benchmark out", "mmlu"): lambda: None,
        },
    )
    assert line(found, "leave one benchmark out", "gpqa-diamond")["gap_points"] == 32
    assert line(found, "leave one benchmark out", "mmlu")["lag_state"] == "undefined"
