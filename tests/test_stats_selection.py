"""Best against best: the naive gap leans to the side with more models, the cross-fitted one doesn't."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from bench.stats.paired import of_means, paired
from bench.stats.selection import frontier_gaps, items

N_TASKS, CLUSTERS, PER_CLUSTER = 2, 30, 4


def world(dice: np.random.Generator, ability: np.ndarray) -> dict:
    """Items in clusters, asked once; a model's true score is 0.5 + its ability."""
    n = N_TASKS * CLUSTERS * PER_CLUSTER
    clusters = np.arange(n) // PER_CLUSTER
    p = 0.5 + dice.uniform(-0.2, 0.2, N_TASKS * CLUSTERS)[clusters] + dice.uniform(-0.2, 0.2, n)
    values = (dice.random((n, len(ability))) < p[:, None] + ability).astype(float)
    return {"values": values, "clusters": clusters, "tasks": np.arange(n) // (CLUSTERS * PER_CLUSTER)}


def gaps(found: dict, n_open: int, **options):
    m = found["values"].shape[1]
    names = tuple(f"m{k}" for k in range(m))
    return {
        gap.method: gap for gap in frontier_gaps(items(**found, names=names), [k < n_open for k in range(m)], **options)
    }


@pytest.fixture(scope="module")
def many_worlds():
    """Twenty equally good open models against two closed ones, as good: the true gap is 0."""
    dice = np.random.default_rng(0)
    return [gaps(world(dice, np.zeros(22)), 20, splits=12, draws=60, seed=k) for k in range(250)]


def mean_and_error(many_worlds, method):
    found = np.array([one[method].gap for one in many_worlds])
    return found.mean(), found.std() / sqrt(len(found))


def test_the_naive_gap_leans_to_the_side_with_more_models(many_worlds):
    mean, error = mean_and_error(many_worlds, "naive")
    assert mean < -0.02 < -10 * error


def test_cross_fitting_takes_the_lean_away(many_worlds):
    mean, error = mean_and_error(many_worlds, "cross-fit")
    assert abs(mean) < 3 * error
    assert error < 0.003


def test_the_reflected_bootstrap_takes_some_of_it_away(many_worlds):
    assert mean_and_error(many_worlds, "naive")[0] < mean_and_error(many_worlds, "bootstrap")[0] < 0


def test_the_cross_fitted_interval_covers_at_least_as_often_as_it_says(many_worlds):
    covered = np.mean([one["cross-fit"].ci_low <= 0 <= one["cross-fit"].ci_high for one in many_worlds])
    assert covered >= 0.93


def test_of_two_models_the_naive_gap_is_their_paired_difference():
    found = world(np.random.default_rng(1), np.array([-0.1, 0.1]))
    naive = gaps(found, 1)["naive"]
    parts = [
        paired(of_means(found["values"][at, 1], found["values"][at, 0], found["clusters"][at]))
        for at in (found["tasks"] == t for t in range(N_TASKS))
    ]
    assert naive.gap == pytest.approx(np.mean([p.difference for p in parts]))
    assert naive.stderr == pytest.approx(sqrt(sum(p.stderr**2 for p in parts)) / 2)
    assert (naive.open, naive.closed, naive.open_share) == ("m0", "m1", 1.0)


def test_a_clear_gap_is_left_as_it_is_by_all_three():
    found = gaps(world(np.random.default_rng(2), np.array([-0.1, -0.05, 0.1, -0.1])), 2)
    assert {gap.closed for gap in found.values()} == {"m2"}
    values = [gap.gap for gap in found.values()]
    assert max(values) - min(values) < 0.025
    assert all(gap.ci_low < 0.15 < gap.ci_high for gap in found.values())


def test_it_is_seeded():
    found = world(np.random.default_rng(3), np.zeros(6))
    assert gaps(found, 3, seed=5, splits=4, draws=20) == gaps(found, 3, seed=5, splits=4, draws=20)
    assert gaps(found, 3, seed=5, splits=4, draws=20) != gaps(found, 3, seed=6, splits=4, draws=20)


def test_weights_and_unscored_items_are_heeded():
    found = world(np.random.default_rng(4), np.array([0.0, 0.1]))
    found["values"][:7, 0] = np.nan
    names = ("m0", "m1")
    only_second = frontier_gaps(items(**found, names=names, weights=[0, 1]), [True, False])[0]
    second = found["values"][found["tasks"] == 1]
    assert only_second.gap == pytest.approx(second[:, 1].mean() - second[:, 0].mean())
    both = frontier_gaps(items(**found, names=names), [True, False])[0]
    first = found["values"][found["tasks"] == 0]
    halves = only_second.gap + first[:, 1].mean() - np.nanmean(first[:, 0])
    assert both.gap == pytest.approx(halves / 2)


def test_a_gap_needs_two_sides_and_clusters_to_halve():
    found = world(np.random.default_rng(5), np.zeros(2))
    with pytest.raises(ValueError, match="either side"):
        gaps(found, 2)
    few = {name: values[:12] for name, values in found.items()}
    with pytest.raises(ValueError, match="fewer than 4 clusters"):
        gaps(few, 1)
