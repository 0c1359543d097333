"""The draws are the posterior they claim to be: exact where it is known, calibrated where it is simulated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.choice.draws import draws


def items_of(values, *, target="a", task="t", clusters=None, usd=None) -> pd.DataFrame:
    n = len(values)
    return pd.DataFrame(
        {
            "target": target,
            "task": task,
            "item": [f"i{k}" for k in range(n)],
            "cluster": clusters if clusters is not None else [f"i{k}" for k in range(n)],
            "value": np.asarray(values, dtype=float),
            "usd": np.asarray(usd, dtype=float) if usd is not None else np.nan,
        }
    )


@pytest.mark.parametrize(("right", "n"), [(17, 20), (20, 20), (0, 5), (1, 1), (160, 200)])
def test_right_or_wrong_answers_to_one_task_give_the_beta_posterior_of_a_flat_prior(right, n):
    drawn = draws(items_of([1.0] * right + [0.0] * (n - right)), {"t": 1.0}, ["a"]).quality_of("a")
    exact = stats.beta(1 + right, 1 + n - right)
    assert stats.kstest(drawn, exact.cdf).statistic < 0.02
    for wanted in (0.3, 0.7, 0.8, 0.9):
        assert (drawn >= wanted).mean() == pytest.approx(exact.sf(wanted), abs=0.015)


def many(right, *, tasks=1, clusters=None) -> pd.DataFrame:
    """Items of many targets at once; `right` is an array of targets x tasks x items."""
    parts = [
        items_of(right[t, k], target=f"m{t}", task=f"t{k}", clusters=clusters)
        for t in range(len(right))
        for k in range(tasks)
    ]
    return pd.concat(parts, ignore_index=True)


def test_ninety_per_cent_sure_is_right_in_ninety_of_a_hundred_with_a_flat_prior():
    rng = np.random.default_rng(1)
    p = rng.uniform(size=(1500, 1, 1))
    calibrated(many(rng.random((1500, 1, 30)) < p), p.mean(axis=(1, 2)), rng)


@pytest.mark.parametrize("alike", [True, False])
def test_the_mean_of_several_tasks_is_calibrated_whether_they_are_alike_or_not(alike):
    rng = np.random.default_rng(2)
    p = np.broadcast_to(rng.uniform(size=(600, 1, 1)), (600, 4, 1)) if alike else rng.uniform(size=(600, 4, 1))
    calibrated(many(rng.random((600, 4, 30)) < p, tasks=4), p.mean(axis=(1, 2)), rng)


def test_a_few_clusters_make_as_sure_as_their_number_allows():
    rng = np.random.default_rng(3)
    p = rng.uniform(size=(1000, 1, 1))
    each = np.repeat(rng.beta(6 * p, 6 * (1 - p), size=(1000, 1, 10)), 6, axis=2)
    calibrated(many(rng.random((1000, 1, 60)) < each, clusters=[f"c{k // 6}" for k in range(60)]), p.ravel(), rng)


def test_targets_asked_the_same_items_are_compared_as_pairs():
    """Ten of a hundred items differ: the difference is as exact as ten discordant pairs allow."""
    both = np.r_[np.ones(60), np.zeros(30)]
    a, b = np.r_[both, np.ones(8), np.zeros(2)], np.r_[both, np.zeros(8), np.ones(2)]
    drawn = draws(pd.concat([items_of(a), items_of(b, target="b")]), {"t": 1.0}, ["a", "b"])
    difference = drawn.quality_of("a") - drawn.quality_of("b")
    assert difference.mean() == pytest.approx(0.06, abs=0.004)
    assert difference.std() == pytest.approx(np.sqrt((0.1 - 0.06**2) / 100), rel=0.12)
    alone = np.sqrt(drawn.quality_of("a").var() + drawn.quality_of("b").var())
    assert difference.std() < 0.6 * alone


def test_equal_answers_on_few_items_don_t_make_two_targets_equal_for_sure():
    drawn = draws(pd.concat([items_of([1.0] * 5), items_of([1.0] * 5, target="b")]), {"t": 1.0}, ["a", "b"])
    difference = drawn.quality_of("a") - drawn.quality_of("b")
    assert (difference >= -0.02).mean() < 0.75


def test_the_mean_cost_has_the_width_of_t_and_an_unknown_price_is_not_free():
    usd = np.random.default_rng(4).exponential(0.01, size=20)
    both = pd.concat([items_of([1.0] * 20, usd=usd), items_of([1.0] * 20, target="b")])
    drawn = draws(both, {"t": 1.0}, ["a", "b"])
    low, high = np.quantile(drawn.usd_of("a"), [0.025, 0.975])
    reach = stats.t(19).ppf(0.975) * usd.std(ddof=1) / np.sqrt(20)
    assert (high - low) / 2 == pytest.approx(reach, rel=0.06)
    assert np.isnan(drawn.usd_of("b")).all()


def test_a_task_that_was_not_measured_leaves_the_mean_unknown():
    assert np.isnan(draws(items_of([1.0]), {"t": 1.0, "u": 1.0}, ["a"]).quality_of("a")).all()


def test_missing_scores_are_bounded_by_all_right_and_all_wrong():
    items = items_of([1.0] * 8 + [np.nan] * 2)
    means = [draws(items, {"t": 1.0}, ["a"], missing=m).quality_of("a").mean() for m in (0.0, None, 1.0)]
    assert means == pytest.approx([9 / 12, 9 / 10, 11 / 12], abs=0.01)


def calibrated(items: pd.DataFrame, truth, rng) -> None:
    """Of what was told to be so likely, as much is true; the level wanted is drawn without a look at the truth."""
    targets = list(dict.fromkeys(items["target"]))
    weights = dict.fromkeys(items["task"], 1.0)
    drawn = draws(items, weights, targets, most=2000)
    wanted = np.clip(rng.permutation(truth) + rng.uniform(-0.1, 0.1, size=len(truth)), 0, 1)
    told = (drawn.quality >= wanted).mean(axis=0)
    true = (truth >= wanted).astype(float)
    assert true.mean() == pytest.approx(told.mean(), abs=0.03)
    for low, high in ((0.0, 0.1), (0.1, 0.5), (0.5, 0.85), (0.8, 0.97), (0.97, 1.0)):
        band = (told >= low) & (told <= high)
        expected = told[band].mean()
        slack = 3.5 * np.sqrt(max(expected * (1 - expected), 0.01) / band.sum())
        assert true[band].mean() == pytest.approx(expected, abs=slack), (low, high, band.sum())
