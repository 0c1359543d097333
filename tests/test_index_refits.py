"""Refits cover the truth about as often as they say, leave out what a draw cannot place, and are kept on disk whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.errors import ConfigError
from bench.frontier.index import fit, refits
from tests.index_world import RULES, world


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return world(1, models=14, benchmarks=6).rows


def test_the_interval_of_refits_covers_the_truth_about_as_often_as_it_says() -> None:
    inside = []
    for seed in range(16):
        truth = world(seed)
        found = fit(truth.rows, RULES)
        low, high = np.nanpercentile(refits(truth.rows, found, 60, seed), [5, 95], axis=0)
        true = found.models["model"].map(truth.index).to_numpy()
        inside.append(((low <= true) & (true <= high))[~found.models["model"].isin(["low", "high"])].mean())
    assert 0.80 < np.mean(inside) < 0.94  # 90% by name; resampling eight scores a model is a little too sure


def test_refits_scatter_as_the_standard_errors_say() -> None:
    truth = world(3)
    found = fit(truth.rows, RULES)
    scatter = np.nanstd(refits(truth.rows, found, 100, 0), axis=0)
    assert np.median((scatter / found.models["stderr"])[scatter > 0]) == pytest.approx(1, abs=0.3)


def test_a_column_is_a_model_in_the_order_of_the_fit_and_the_anchors_stand_still(rows: pd.DataFrame) -> None:
    found = fit(rows, RULES)
    drawn = refits(rows, found, 40, 0)
    assert drawn.shape == (40, len(found.models))
    anchors = found.models.index[found.models["model"].isin(["low", "high"])]
    assert np.nanstd(drawn[:, anchors], axis=0) == pytest.approx([0, 0], abs=1e-9)
    assert np.nanmedian(drawn, axis=0) == pytest.approx(found.models["index"].to_numpy(), abs=6)


def test_the_same_seed_draws_the_same_and_another_does_not(rows: pd.DataFrame) -> None:
    found = fit(rows, RULES)
    shuffled = rows.sample(frac=1, random_state=1)
    assert np.array_equal(refits(rows, found, 5, 7), refits(shuffled, found, 5, 7), equal_nan=True)
    assert not np.array_equal(refits(rows, found, 5, 7), refits(rows, found, 5, 8), equal_nan=True)


def test_a_draw_that_leaves_a_model_on_one_benchmark_does_not_place_it(rows: pd.DataFrame) -> None:
    few = pd.concat([rows, pd.DataFrame({"model": "thin", "benchmark": ["b00", "b01"], "value": [0.6, 0.5]})])
    found = fit(few, replace(RULES, min_benchmarks=2))
    drawn = refits(few, found, 200, 0)
    thin = found.models["model"].tolist().index("thin")
    assert np.isnan(drawn[:, thin]).mean() == pytest.approx(0.5, abs=0.12)  # two scores: both or one twice
    assert not np.isnan(np.delete(drawn, thin, axis=1)).any(axis=None) or np.isnan(drawn).mean() < 0.1


def test_a_bridge_that_is_not_drawn_leaves_the_far_side_out() -> None:
    near = world(2, models=8, benchmarks=5, share=1.0).rows
    far = world(3, models=8, benchmarks=5, share=1.0).rows
    far = far.assign(model="far " + far["model"], benchmark="far " + far["benchmark"])
    bridge = pd.DataFrame({"model": "m000", "benchmark": [f"far b0{i}" for i in range(2)], "value": [0.5, 0.6]})
    both = pd.concat([near, far, bridge])
    found = fit(both, RULES)
    beyond = found.models["model"].str.startswith("far").to_numpy()
    missing = np.isnan(refits(both, found, 150, 0)[:, beyond]).all(axis=1).mean()
    assert missing == pytest.approx((5 / 7) ** 7, abs=0.07)  # none of the two among seven draws


def test_other_rows_than_were_fitted_are_refused(rows: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match="fit the same rows first"):
        refits(rows.iloc[3:], fit(rows, RULES), 2, 0)


def test_progress_counts_to_the_end(rows: pd.DataFrame) -> None:
    heard: list[tuple[int, int]] = []
    refits(rows, fit(rows, RULES), 4, 0, progress=lambda done, of: heard.append((done, of)))
    assert heard == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_asked_again_the_draws_come_from_the_cache(rows: pd.DataFrame, tmp_path: Path) -> None:
    found = fit(rows, RULES)
    heard: list[tuple[int, int]] = []
    first = refits(rows, found, 6, 0, tmp_path / "index")
    again = refits(rows, found, 6, 0, tmp_path / "index", progress=lambda *x: heard.append(x))
    assert np.array_equal(first, again, equal_nan=True)
    assert heard == [(6, 6)]
    assert [path.suffix for path in (tmp_path / "index").iterdir()] == [".npz"]


@pytest.mark.parametrize("changed", ["row", "ridge", "seed", "n"])
def test_anything_that_changes_the_answer_changes_the_name(rows: pd.DataFrame, tmp_path: Path, changed: str) -> None:
    refits(rows, fit(rows, RULES), 3, 0, tmp_path)
    other = rows.assign(value=rows["value"].where(rows.index != 0, 0.5)) if changed == "row" else rows
    rules = replace(RULES, ridge=0.2) if changed == "ridge" else RULES
    refits(other, fit(other, rules), 4 if changed == "n" else 3, 1 if changed == "seed" else 0, tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 2


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut short", None])
def test_a_damaged_file_is_made_anew(rows: pd.DataFrame, tmp_path: Path, damage: bytes | None) -> None:
    found = fit(rows, RULES)
    first = refits(rows, found, 3, 0, tmp_path)
    (path,) = tmp_path.glob("*.npz")
    path.write_bytes(path.read_bytes()[:-40] if damage is None else damage)
    assert np.array_equal(refits(rows, found, 3, 0, tmp_path), first, equal_nan=True)
    with np.load(path) as kept:
        assert kept["draws"].shape == first.shape
