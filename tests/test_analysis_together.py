"""Many targets at once: ranks as sets, the own gap and its selection, a composite with declared weights."""

from __future__ import annotations

import os
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from bench import analysis, database
from bench.analysis.composite import COMPOSITE_COLUMNS
from bench.analysis.own_gap import OWN_GAP_COLUMNS
from bench.analysis.ranks import RANK_COLUMNS
from bench.errors import ConfigError
from tests.judged_runs import judged

API, WEIGHTS = {"access": "api-only"}, {"access": "open weights"}
TASKS = ("quick_copy", "quick_sort")


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


def drawn(right: float, seed: int, n: int = 120) -> dict[str, list[list[float | None]]]:
    dice, hard = np.random.default_rng(seed), np.random.default_rng(99).uniform(-0.1, 0.1, (2, n))
    return {task: (dice.random(n) < right + hard[k]).astype(float)[:, None].tolist() for k, task in enumerate(TASKS)}


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    results = tmp_path_factory.mktemp("results")
    put = lambda name, right, seed, facts, **more: judged(  # noqa: E731
        results, f"2026110{seed}T000000000Z-r", name, drawn(right, seed), about={"facts": facts}, **more
    )
    put("lab:best", 0.85, 1, API, layer="hosted-closed")
    put("lab:next", 0.6, 2, API, layer="hosted-closed")
    for k in range(4):
        put(f"lab:free{k}", 0.55, 3 + k, WEIGHTS)
    put("lab:who", 0.9, 7, None, layer="hosted-open")
    put("embedded:own", 0.9, 8, WEIGHTS, layer="reference")
    put("lab:few", 0.9, 9, API, limit=3)
    lost = drawn(0.8, 9)
    lost["quick_copy"] = [*lost["quick_copy"][:-20], *[[None]] * 20]
    judged(results, "20261111T000000000Z-lost", "lab:lost", lost, about={"facts": API}, layer="hosted-closed")
    assert database.build(results).problems == []
    return results


def test_ranks_are_sets_that_noise_cannot_tell_apart(results):
    frame = analysis.ranks(results, "quick")
    assert tuple(frame.columns) == RANK_COLUMNS
    by_target = frame.set_index("target")
    assert "lab:few" not in by_target.index  # a limited run is of other items
    free = by_target.loc[[f"lab:free{k}" for k in range(4)]]
    assert (free["rank_low"] <= 6).all()  # five are truly better, and the four are equals
    assert (free["rank_high"] == 9).all()
    assert by_target.loc["lab:best", "rank_high"] <= 4
    assert by_target.loc["lab:lost", "ranks"] == f"1–{len(frame)}"  # too much unscored: told from none
    assert (frame["rank_low"] <= frame["rank_high"]).all()
    assert frame["value"].is_monotonic_decreasing


def test_the_value_of_a_rank_is_the_reports_macro(results):
    report = analysis.report(results)
    macro = report[report["task"] == "macro"].set_index("target")["value"]
    ranks = analysis.ranks(results, "quick@1").set_index("target")["value"]
    assert ranks["lab:best"] == pytest.approx(macro["lab:best"])


def test_the_own_gap_is_closed_less_open_without_reference_models(results):
    frame = analysis.own_frontier_gap(results, "quick")
    assert tuple(frame.columns) == OWN_GAP_COLUMNS
    assert frame["method"].tolist() == ["naive", "cross-fit", "bootstrap"]
    assert set(frame["closed"]) == {"lab:best"}
    assert frame["open"].str.startswith("lab:free").all()
    assert frame[["n_closed", "n_open"]].iloc[0].tolist() == [2, 4]
    naive, fitted = frame["gap"].iloc[:2]
    assert 0.2 < naive < fitted < 0.4  # the luckiest of four equals narrows the naive gap
    left = frame.attrs["left_out"]
    assert left["lab:who"] == "nobody tells how open it is"
    assert left["lab:lost"].endswith("unscored")
    assert "embedded:own" in left


def test_reference_models_enter_only_when_asked(results):
    frame = analysis.own_frontier_gap(results, "quick", include_reference=True)
    assert frame["n_open"].iloc[0] == 5
    assert frame["open"].iloc[0] == "embedded:own"


def test_the_threshold_of_openness_is_the_readers(results):
    with pytest.raises(ConfigError, match="no open target"):
        analysis.own_frontier_gap(results, "quick", open_at_least="fully-open")
    with pytest.raises(ConfigError, match="open_at_least 'fully-opn' is unknown; did you mean 'fully-open'"):
        analysis.own_frontier_gap(results, "quick", open_at_least="fully-opn")
    with pytest.raises(ConfigError, match="no finished run of suite 'quik'"):
        analysis.own_frontier_gap(results, "quik")


def test_a_composite_has_the_declared_weights(results):
    frame = analysis.composite(results, {"quick_copy": 3, "quick_sort": 1})
    assert tuple(frame.columns) == COMPOSITE_COLUMNS
    row = frame.set_index("target").loc["lab:best"]
    tasks = database.query(results, "report", run_ids=["20261101T000000000Z-r"])
    copy, sort = (tasks[(tasks["task"] == name) & (tasks["metric"] == "acc")].iloc[0] for name in TASKS)
    assert row["value"] == pytest.approx(0.75 * copy["value"] + 0.25 * sort["value"])
    assert row["stderr"] == pytest.approx(sqrt((0.75 * copy["stderr"]) ** 2 + (0.25 * sort["stderr"]) ** 2))
    assert "lab:few" not in set(frame["target"])
    assert analysis.composite(results, {"quick_copy": 1}, rescale=True)["value"].notna().all()


def test_a_target_without_a_task_has_no_composite(results, tmp_path):
    judged(tmp_path, "20261101T000000000Z-a", "lab:a", drawn(0.5, 1))
    judged(tmp_path, "20261101T000000000Z-b", "lab:b", {"quick_copy": drawn(0.5, 2)["quick_copy"]})
    database.build(tmp_path)
    frame = analysis.composite(tmp_path, dict.fromkeys(TASKS, 1.0)).set_index("target")
    assert np.isnan(frame.loc["lab:b", "value"])
    assert frame.loc["lab:b", "lacking"] == ["quick_sort"]
    assert frame.loc["lab:a", "value"] > 0
    with pytest.raises(ConfigError, match="quick_sort"):
        analysis.ranks(tmp_path, "quick")


@pytest.mark.parametrize(
    ("weights", "said"), [({"quick_cpy": 1}, "quick_copy"), ({}, "weights"), ({"quick_copy": -1}, "weights")]
)
def test_wrong_weights_are_refused(results, weights, said):
    with pytest.raises(ConfigError, match=said):
        analysis.composite(results, weights)
