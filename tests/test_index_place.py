"""A target lands where the fit would put it, with an interval that covers, or is refused with the reason."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.frontier.index import fit, of_capability, place
from tests.index_world import RULES, world

TRUTH = world(1, models=60, benchmarks=14)
FIT = fit(TRUTH.rows, RULES)


def test_a_fitted_model_is_placed_where_the_fit_put_it() -> None:
    for model, rows in TRUTH.rows[TRUTH.rows["model"].isin(FIT.models["model"])].groupby("model"):
        placed = place(rows, FIT)
        assert placed.index == pytest.approx(FIT.index()[str(model)], abs=0.02)
        assert placed.n == len(rows)


def scores(ability: float, benchmarks: list[str], rng: np.random.Generator, noise: float) -> pd.DataFrame:
    p = 1 / (1 + np.exp(-TRUTH.slope[benchmarks] * (ability - TRUTH.difficulty[benchmarks])))
    return pd.DataFrame({"benchmark": benchmarks, "value": np.clip(p + rng.normal(0, noise, len(p)), 0, 1).to_numpy()})


def test_the_interval_covers_a_new_target_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(300):
        ability = rng.uniform(-0.5, 1.5)
        asked = list(rng.choice(TRUTH.difficulty.index, 6, replace=False))
        placed = place(scores(ability, asked, rng, 0.04), FIT)
        true = place(scores(ability, TRUTH.difficulty.index.tolist(), rng, 0.0), FIT).index  # on the fitted scale
        assert true is not None
        inside.append((placed.low is None or placed.low <= true) and (placed.high is None or true <= placed.high))
    assert 0.85 < np.mean(inside) < 0.95  # 90% by name


def test_more_benchmarks_and_less_noise_make_it_narrower() -> None:
    rng = np.random.default_rng(1)
    few = place(scores(0.5, ["b01", "b02", "b03"], rng, 0.0), FIT)
    many = place(scores(0.5, TRUTH.difficulty.index.tolist(), rng, 0.0), FIT)
    noisy = place(scores(0.5, ["b01", "b02", "b03"], rng, 0.0).assign(stderr=0.1), FIT)
    assert width(many) < width(few) < width(noisy)


def width(placed: object) -> float:
    return placed.high - placed.low  # type: ignore[attr-defined, no-any-return]


def test_two_benchmarks_are_no_point() -> None:
    placed = place(pd.DataFrame({"benchmark": ["b01", "b02", "unheard"], "value": [0.5, 0.6, 0.7]}), FIT)
    assert (placed.index, placed.low, placed.high, placed.n) == (None, None, None, 2)
    assert placed.reason == "2 of the index's benchmarks measured, needs 3"
    assert placed.ignored == ("unheard",)


def test_a_missing_score_is_no_score() -> None:
    assert place(pd.DataFrame({"benchmark": ["b01", "b02", "b03"], "value": [0.5, 0.6, np.nan]}), FIT).n == 2


def test_an_unbounded_side_is_none_and_not_a_number() -> None:
    easy = FIT.benchmarks["benchmark"].tolist()[:3]
    perfect = place(pd.DataFrame({"benchmark": easy, "value": 1.0}), FIT)
    assert perfect.index is not None
    assert perfect.low is not None
    assert perfect.low < perfect.index
    assert perfect.high is None or perfect.high > perfect.index + (perfect.index - perfect.low)


def test_one_capability_is_told_on_the_scale_of_the_whole() -> None:
    told = of_capability(TRUTH.rows, FIT, "maths", ["b01", "b02", "b03", "b04", "b05"])
    assert told.reason is None
    assert told.benchmarks == tuple(name for name in FIT.benchmarks["benchmark"] if name in told.benchmarks)
    assert told.models["n_benchmarks"].min() >= 3
    assert (told.refused["n_benchmarks"] < 3).all()
    assert np.corrcoef(told.models["index"], told.models["model"].map(TRUTH.index))[0, 1] > 0.97


def test_a_capability_with_two_benchmarks_is_refused() -> None:
    told = of_capability(TRUTH.rows, FIT, "long-context", ["b01", "b02", "elsewhere"])
    assert told.reason == "2 benchmarks of long-context are in the index, needs 3"
    assert told.models.empty
