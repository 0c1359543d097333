"""The macro difference: weights, degrees of freedom, chance, and tasks on which nobody differs."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from bench.stats.composite import macro_difference, rescaled, shares
from bench.stats.paired import of_means, paired


def task(seed: int, n: int = 120, m: int = 3, shift: float = 0.1):
    dice = np.random.default_rng(seed)
    p = dice.uniform(0.3, 0.7, n)
    a, b = (dice.random(n) < p + shift).astype(float), (dice.random(n) < p).astype(float)
    return paired(of_means(a, b, np.arange(n) // m))


def test_the_error_of_the_mean_is_the_root_of_weighted_squares():
    one, two = task(1), task(2, n=300)
    found = macro_difference([one, two], [1, 3])
    assert found.difference == pytest.approx(0.25 * one.difference + 0.75 * two.difference)
    variances = [(0.25 * one.stderr) ** 2, (0.75 * two.stderr) ** 2]
    assert found.stderr == pytest.approx(sqrt(sum(variances)))
    # Satterthwaite by hand, with 39 and 99 degrees
    assert found.degrees == pytest.approx(sum(variances) ** 2 / (variances[0] ** 2 / 39 + variances[1] ** 2 / 99))
    assert (found.n, found.n_clusters) == (420, 140)
    assert found.low_bound == pytest.approx(found.difference)


def test_a_single_task_is_its_own_mean():
    one = task(3)
    found = macro_difference([one], [7])
    for name in ("difference", "stderr", "ci_low", "ci_high", "p", "mde_80", "a", "b"):
        assert getattr(found, name) == pytest.approx(getattr(one, name))


def test_unknown_is_contagious():
    lone = paired(of_means([1, 0], [0, 0], ["a", "a"]))
    found = macro_difference([task(1), lone], [1, 1])
    assert found.difference is not None
    assert (found.stderr, found.ci_low, found.p, found.mde_80) == (None, None, None, None)
    nothing = macro_difference([task(1), paired(of_means([float("nan")], [1]))], [1, 1])
    assert nothing.difference is None


def test_tasks_without_a_difference_get_one_pseudo_pair_together():
    same = paired(of_means([1] * 30, [1] * 30))
    found = macro_difference([same] * 8, [1] * 8)
    # as one sample of 240 items that never differ: two pseudo-items of weight 1/240
    assert found.stderr == pytest.approx(sqrt(2) / 240)
    assert found.p == 1
    lopsided = macro_difference([same] * 8, [9, *[1] * 7])
    assert lopsided.stderr == pytest.approx(sqrt(2) * 9 / 16 / 30)


def test_rescaling_for_chance_stretches_lengths_and_keeps_p():
    one = task(4)
    found = rescaled(one, 0.25)
    assert found.difference == pytest.approx(one.difference / 0.75)
    assert (found.stderr, found.p) == (pytest.approx(one.stderr / 0.75), one.p)
    assert found.a == pytest.approx((one.a - 0.25) / 0.75)
    macro = macro_difference([found], [1], reach=float("inf"))
    assert (macro.stderr, macro.p) == pytest.approx((found.stderr, found.p))
    with pytest.raises(ValueError, match="chance"):
        rescaled(one, 1.0)


@pytest.mark.parametrize("weights", [[], [-1, 2], [0, 0]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="weights"):
        shares(weights)
