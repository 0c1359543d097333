"""Observations become index rows: chance taken out, one score per group by a rule that is told, nothing lost unsaid."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from bench.errors import ConfigError
from bench.frontier.index import fit, index_rows, of_versions
from tests.index_world import RULES, world


@dataclass(frozen=True, kw_only=True)
class Fact:
    id: str
    name: str = ""
    scale: Literal["proportion", "points"] = "proportion"
    chance: float = 0.0
    ceiling: float = 1.0
    n_items: int | None = None


FACTS = {
    "quiz": Fact(id="quiz", chance=0.25),
    "hard": Fact(id="hard", ceiling=0.9),
    "votes": Fact(id="votes", scale="points"),
}


def observed(*rows: tuple[str, str, str | None, str, float, str | None]) -> pd.DataFrame:
    """model, version, effort, benchmark, score, released"""
    frame = pd.DataFrame(rows, columns=["model", "version", "effort", "benchmark", "score", "released"])
    return frame.assign(released=pd.to_datetime(frame["released"]), stderr=np.nan)


SCORES = observed(
    ("ada", "ada-0101", "high", "quiz", 0.85, "2024-01-01"),
    ("ada", "ada-0101", "low", "quiz", 0.70, "2024-01-01"),
    ("ada", "ada-0101", None, "hard", 0.45, "2024-01-01"),
    ("ada", "ada-0601", None, "quiz", 0.95, "2024-06-01"),
    ("bob", "bob-1", None, "quiz", 0.10, "2024-03-05"),
    ("bob", "bob-1-chat", None, "quiz", 0.40, "2024-03-20"),
    ("old", "old-1", None, "quiz", 0.50, "2022-12-31"),
    ("ada", "ada-0101", None, "votes", 1300.0, "2024-01-01"),
    ("ada", "ada-0101", None, "unknown", 0.5, "2024-01-01"),
    ("bob", "bob-1", None, "hard", float("nan"), "2024-03-05"),
)


def values(**how: object) -> dict[tuple[str, str], float]:
    rows = index_rows(SCORES, FACTS, **how).rows  # type: ignore[arg-type]
    return {(model, benchmark): round(value, 4) for model, benchmark, value, *_ in rows.itertuples(index=False)}


def test_versions_of_a_model_in_one_month_are_one_and_the_best_effort_counts() -> None:
    assert values() == {
        ("ada 2024-01", "quiz"): 0.8,  # (0.85 - 0.25) / 0.75
        ("ada 2024-01", "hard"): 0.5,  # 0.45 / 0.9
        ("ada 2024-06", "quiz"): 0.9333,
        ("bob", "quiz"): 0.2,
    }


def test_the_group_rule_may_be_the_model_or_the_version() -> None:
    assert values(group="model") == {("ada", "quiz"): 0.9333, ("ada", "hard"): 0.5, ("bob", "quiz"): 0.2}
    assert values(group="version")[("bob-1", "quiz")] == 0.0
    assert len(values(group="version")) == 5


def test_the_effort_rule_is_the_frontiers() -> None:
    assert values(effort_rule="mean")[("ada 2024-01", "quiz")] == 0.7  # of 0.8 and 0.6
    assert ("ada 2024-01", "quiz") not in values(effort_rule="none")
    each = values(effort_rule="each")
    assert (each[("ada 2024-01_high", "quiz")], each[("ada 2024-01_low", "quiz")]) == (0.8, 0.6)
    assert each[("ada 2024-01", "hard")] == 0.5


def test_below_chance_is_chance_or_left_out() -> None:
    assert ("bob-1", "quiz") not in values(group="version", below="drop")


def test_a_standard_error_is_told_in_the_unit_of_the_value() -> None:
    rows = index_rows(SCORES.assign(stderr=0.03), FACTS, group="version").rows.set_index(["model", "benchmark"])
    assert rows.loc[("bob-1", "quiz"), "stderr"] == pytest.approx(0.04)  # 0.03 / 0.75


def test_every_observation_is_accounted_for() -> None:
    told = index_rows(SCORES, FACTS, below="drop").table
    assert dict(zip(told["reason"], told["n_rows"], strict=True)) == {
        "kept": 5,
        "not a benchmark of the index": 2,
        "no score": 1,
        "no proportion from 0 to 1": 0,
        "released before 2023-01-01": 1,
        "below chance": 1,
    }
    assert told["n_rows"].sum() == len(SCORES)


def test_the_first_day_is_a_parameter() -> None:
    assert ("old", "quiz") in values(since=None)
    assert ("bob", "quiz") not in values(since=dt.date(2024, 6, 1))


def test_a_model_without_a_date_joins_its_models_first_release() -> None:
    undated = pd.concat([SCORES, observed(("ada", "ada-web", None, "hard", 0.9, None))])
    rows = index_rows(undated, FACTS).rows.set_index(["model", "benchmark"])
    assert rows.loc[("ada 2024-01", "hard"), "value"] == pytest.approx(1.0)


def test_a_host_that_offers_weights_later_does_not_make_another_release() -> None:
    later = pd.concat([SCORES, observed(("ada", "ada-0101", None, "hard", 0.81, "2024-09-01"))])
    rows = index_rows(later, FACTS).rows.set_index(["model", "benchmark"])
    assert rows.loc[("ada 2024-01", "hard"), "value"] == pytest.approx(0.9)


def test_a_misspelt_rule_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"group 'releases' isn't known.*release"):
        index_rows(SCORES, FACTS, group="releases")  # type: ignore[arg-type]


def test_the_index_of_a_group_is_that_of_each_of_its_versions() -> None:
    rows = world(1).rows
    seen = rows.assign(version=rows["model"] + "-a", effort=None, score=rows["value"], stderr=np.nan)
    twin = seen[seen["model"] == "m003"].assign(version="m003-b")
    seen = pd.concat([seen, twin], ignore_index=True).assign(released=pd.Timestamp("2024-01-01"))
    prepared = index_rows(seen, {name: Fact(id=name) for name in rows["benchmark"].unique()})
    found = fit(prepared.rows, RULES)
    told = of_versions(found, prepared).set_index("version")["index"]
    assert told["m003-a"] == told["m003-b"] == found.index()["m003"]
