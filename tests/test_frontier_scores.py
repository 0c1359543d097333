"""Scores become comparable: chance-corrected, clipped, with an error, one per model version by a rule."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pandas as pd
import pytest

from bench.errors import ConfigError
from bench.frontier import scores
from bench.frontier.classes import classed
from tests.frontier_world import POINTS, Bench

FOUR = Bench(id="four", scale="proportion", unit="proportion", chance=0.25, n_items=100)


def frame(**columns: object) -> pd.DataFrame:
    told = pd.DataFrame(columns)
    for name in ("released", "open_since", "closed_since", "evaluated_on"):
        if name in told:
            told[name] = pd.to_datetime(told[name])
    return told


def test_guessing_is_nothing_and_the_ceiling_is_all() -> None:
    found = scores.corrected(frame(version=["a", "b", "c", "d"], score=[0.25, 0.625, 1.0, 0.1]), FOUR)
    assert found["value"].tolist() == pytest.approx([0.005, 0.5, 0.995, 0.005])


def test_a_ceiling_below_one_counts_as_all() -> None:
    leaky = Bench(scale="proportion", chance=0.1, ceiling=0.9, n_items=1000)
    found = scores.corrected(frame(version=["a", "b"], score=[0.5, 0.95]), leaky)
    assert found["value"].tolist() == pytest.approx([0.5, 0.9995])


def test_without_a_known_number_of_items_the_clip_is_that_of_a_thousand_and_says_so() -> None:
    unknown = Bench(scale="proportion")
    found = scores.corrected(frame(version=["a"], score=[1.0]), unknown)
    assert found["value"].tolist() == pytest.approx([0.9995])
    assert found["stderr"].isna().all()
    assert found["stderr_from"].tolist() == ["unknown"]
    assert "1000, as the number of items is unknown" in scores.correction(unknown)
    assert "n = 100" in scores.correction(FOUR)


def test_a_row_s_own_number_of_items_comes_before_the_benchmark_s() -> None:
    found = scores.corrected(frame(version=["a", "b"], score=[1.0, 1.0], n_items=[50, np.nan]), FOUR)
    assert found["value"].tolist() == pytest.approx([0.99, 0.995])


def test_an_error_is_the_published_one_else_the_binomial_one_in_the_corrected_unit() -> None:
    found = scores.corrected(frame(version=["a", "b", "c"], score=[0.64, 0.64, 1.0], stderr=[0.03, np.nan, 0.0]), FOUR)
    perfect = sqrt(0.995 * 0.005 / 100)
    assert found["stderr"].tolist() == pytest.approx([0.03 / 0.75, 0.048 / 0.75, perfect / 0.75])
    assert found["stderr_from"].tolist() == ["published", "binomial", "binomial"]


def test_points_stay_points_and_an_unknown_error_stays_unknown() -> None:
    found = scores.corrected(frame(version=["a", "b"], score=[1450.0, 1400.0], stderr=[5.0, np.nan]), POINTS)
    assert found["value"].tolist() == [1450.0, 1400.0]
    assert found["stderr"].tolist() == pytest.approx([5.0, np.nan], nan_ok=True)


def test_a_percent_among_proportions_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"four: the score 77 of 'b' is no proportion from 0 to 1; .*divisor"):
        scores.corrected(frame(version=["a", "b"], score=[0.5, 77.0]), FOUR)


def test_a_model_whose_weights_came_later_is_in_both_classes_each_from_its_own_day() -> None:
    found = classed(
        frame(
            version=["late", "shut", "free", "nowhere"],
            score=[1.0, 2.0, 3.0, 4.0],
            closed_since=["2024-01-01", "2024-02-01", None, None],
            open_since=["2025-01-01", None, "2024-03-01", None],
        )
    )
    told = list(zip(found["version"], found["cls"], found["since"].dt.strftime("%Y-%m-%d"), strict=True))
    assert told == [
        ("late", "closed", "2024-01-01"),
        ("shut", "closed", "2024-02-01"),
        ("free", "open", "2024-03-01"),
        ("late", "open", "2025-01-01"),
    ]


ROWS = frame(
    version=["v", "v", "v", "w"],
    effort=[None, None, "high", "low"],
    score=[0.5, 0.7, 0.9, 0.8],
    stderr=[0.03, 0.04, 0.02, np.nan],
    evaluated_on=["2025-02-01", "2025-01-01", "2024-01-01", None],
)


def one(**rules: str) -> dict[str, float]:
    found = scores.one_per_version(ROWS, **rules)  # type: ignore[arg-type]
    return dict(zip(found["version"], found["score"], strict=True))


def test_the_best_the_mean_or_the_latest_row_of_a_version_counts() -> None:
    assert one() == {"v": 0.9, "w": 0.8}
    assert one(rule="mean", effort_rule="none") == {"v": pytest.approx(0.6)}
    assert one(rule="latest", effort_rule="none") == {"v": 0.5}
    assert one(rule="best", effort_rule="none") == {"v": 0.7}


def test_efforts_are_one_group_or_each_on_its_own() -> None:
    assert one(effort_rule="mean") == {"v": pytest.approx(0.8), "w": 0.8}
    assert one(effort_rule="each") == {"v": 0.7, "v_high": 0.9, "w_low": 0.8}


def test_a_mean_has_the_error_of_a_mean_and_an_unknown_part_leaves_it_unknown() -> None:
    found = scores.one_per_version(ROWS, rule="mean", effort_rule="none")
    assert found["stderr"].tolist() == pytest.approx([sqrt(0.03**2 + 0.04**2) / 2])
    half = ROWS.assign(stderr=[0.03, np.nan, 0.02, np.nan])
    assert scores.one_per_version(half, rule="mean", effort_rule="none")["stderr"].isna().all()


def test_it_is_counted_how_many_rows_a_version_stands_for() -> None:
    found = scores.one_per_version(ROWS)
    assert dict(zip(found["version"], found["n_rows"], strict=True)) == {"v": 3, "w": 1}


def test_an_unknown_rule_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="rule 'bset' isn't known; did you mean 'best'"):
        scores.one_per_version(ROWS, rule="bset")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="effort rule 'hgih' isn't known"):
        scores.one_per_version(ROWS, effort_rule="hgih")  # type: ignore[arg-type]


def test_the_whole_way_from_observations_says_its_rules() -> None:
    told = ROWS.assign(closed_since=pd.Timestamp("2024-01-01"), open_since=pd.NaT)
    found = scores.rows(told, FOUR, rule="latest")
    assert found.attrs["rules"][0] == "the row of a version that was evaluated last counts"
    assert found["cls"].tolist() == ["closed", "closed"]
    assert found.set_index("version")["value"]["v"] == pytest.approx((0.9 - 0.25) / 0.75)


def test_no_row_at_all_gives_no_row_and_no_error() -> None:
    told = ROWS.assign(closed_since=pd.NaT, open_since=pd.NaT).astype(
        {"closed_since": "datetime64[us]", "open_since": "datetime64[us]"}
    )
    found = scores.rows(told, FOUR)
    assert found.empty
    assert {"value", "stderr", "since", "cls"} <= set(found.columns)


def test_unknown_errors_are_assumed_from_the_known_ones_of_that_time_and_said() -> None:
    import pandas as pd

    from bench.frontier.scores import FEWEST_KNOWN, NEIGHBOURS, assuming_errors

    early = pd.DataFrame({"since": pd.Timestamp("2023-01-01"), "stderr": [8.0] * FEWEST_KNOWN})
    late = pd.DataFrame({"since": pd.Timestamp("2025-01-01"), "stderr": [1.0, 3.0] * (FEWEST_KNOWN // 2)})
    unknown = pd.DataFrame({"since": pd.to_datetime(["2023-02-01", "2026-01-01"]), "stderr": float("nan")})
    frame = pd.concat([early, late, unknown], ignore_index=True).assign(stderr_from="published")
    found = assuming_errors(frame)
    assert found["stderr"].tolist()[-2:] == [8.0, 1.0]  # of nine neighbours, five have 1 and four have 3
    assert found["stderr_from"].tolist()[-2:] == ["assumed", "assumed"]
    assert f"2 of {len(frame)} scores come without an error" in found.attrs["rules"][-1]
    assert NEIGHBOURS == 9
    few = frame.tail(FEWEST_KNOWN + 1)
    assert assuming_errors(few)["stderr"].isna().sum() == 2
