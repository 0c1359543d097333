"""What intervals, verdicts and corrections promise, held against 1,000 simulated comparisons of known truth.

Items sit in clusters, A's advantage varies by cluster, and every item is asked several times: all that a comparison has
to see through. Rates are allowed two standard errors of the simulation itself; the slow ones have hardly any.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from bench.analysis.compare import _judged
from bench.stats.composite import macro_difference
from bench.stats.multiple import holm
from bench.stats.paired import Paired, of_means, paired
from bench.stats.parity import judge, tost


def comparison(dice: np.random.Generator, shift: float, *, n: int = 300, m: int = 5, repeats: int = 3) -> Paired:
    """True difference exactly `shift` (at most 0.1): probabilities stay inside [0, 1] whatever is drawn."""
    clusters = np.repeat(np.arange(n // m), m)
    p = dice.uniform(0.3, 0.7, n // m)[clusters] + dice.uniform(-0.1, 0.1, n)
    more = dice.uniform(-0.1, 0.1, n // m)[clusters] + shift
    a, b = dice.binomial(repeats, p + more) / repeats, dice.binomial(repeats, p) / repeats
    return paired(of_means(a, b, clusters))


def rare(dice: np.random.Generator, lost: float, won: float, n: int = 100) -> Paired:
    """Right or wrong once; the two differ on few items."""
    u = dice.random(n)
    return paired(of_means((u >= lost) * 1.0, (u < 1 - won) * 1.0))


def within(rate: float, low: float, high: float, times: int) -> bool:
    error = 2 * sqrt(0.05 * 0.95 / times)
    return low - error <= rate <= high + error


def covered(found: list[Paired], truth: float) -> float:
    return float(np.mean([one.ci_low <= truth <= one.ci_high for one in found]))


@pytest.mark.parametrize(
    ("design", "times"),
    [
        ({}, 1000),
        ({"n": 150, "m": 10, "repeats": 2}, 1000),  # fifteen clusters, as in `core`
        ({"n": 120, "m": 1, "repeats": 1}, 1000),
        pytest.param({}, 20_000, marks=pytest.mark.slow),
        pytest.param({"n": 150, "m": 10, "repeats": 2}, 20_000, marks=pytest.mark.slow),
    ],
)
def test_an_interval_of_95_covers_the_truth_in_93_to_97_of_100(design, times):
    dice = np.random.default_rng(1)
    rate = covered([comparison(dice, 0.05, **design) for _ in range(times)], 0.05)
    assert 0.93 <= rate <= 0.97


@pytest.mark.parametrize(("lost", "won"), [(0.01, 0.03), (0.0, 0.02), (0.03, 0.03)])
def test_where_two_hardly_differ_an_interval_errs_on_the_safe_side(lost, won):
    dice = np.random.default_rng(2)
    assert covered([rare(dice, lost, won) for _ in range(1000)], won - lost) >= 0.94


@pytest.mark.parametrize("hard", [0.3, 0.02])
def test_a_macro_mean_covers_too(hard):
    dice = np.random.default_rng(3)
    found = [macro_difference([rare(dice, hard, hard + 0.02, n=30) for _ in range(8)], [1] * 8) for _ in range(600)]
    assert 0.93 <= covered(found, 0.02) <= 0.99


@pytest.mark.parametrize("times", [1000, pytest.param(20_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("side", [1, -1])
def test_two_that_differ_by_the_margin_are_called_equal_in_at_most_5_of_100(side, times):
    dice = np.random.default_rng(4)
    found = [comparison(dice, side * 0.05, n=1000) for _ in range(times)]
    rate = float(np.mean([tost(one.difference, one.stderr, one.degrees, 0.05) < 0.05 for one in found]))
    assert within(rate, 0.03, 0.05, times)


def test_equals_are_called_different_in_at_most_5_of_100_and_the_surely_equal_at_parity():
    dice = np.random.default_rng(5)
    verdicts = []
    for _ in range(1000):
        one = comparison(dice, 0.0, n=1500)
        verdicts.append(judge(one.difference, one.p, tost(one.difference, one.stderr, one.degrees, 0.05), alpha=0.05))
    named = [found.verdict for found in verdicts]
    assert named.count("at parity") > 970
    different = sum(found.why != "within the margin" for found in verdicts if found.verdict == "at parity")
    assert within((different + named.count("ahead") + named.count("behind")) / 1000, 0.03, 0.05, 1000)


def test_holm_errs_anywhere_in_eight_tasks_in_at_most_5_of_100():
    dice = np.random.default_rng(6)
    wrong, wrong_uncorrected, families = 0, 0, 1000
    for _ in range(families):
        ps = [comparison(dice, 0.0, n=60, m=2, repeats=1).p for _ in range(8)]
        wrong += min(holm(ps)) < 0.05
        wrong_uncorrected += min(ps) < 0.05
    assert within(wrong / families, 0.0, 0.05, families)
    assert wrong_uncorrected / families > 0.25


def test_the_verdicts_of_tasks_are_the_corrected_ones():
    dice = np.random.default_rng(7)
    named = 0
    for _ in range(200):
        rows = {f"task{k}": comparison(dice, 0.0, n=60, m=2, repeats=1) for k in range(8)}
        judged = _judged(
            {**rows, "macro": macro_difference(list(rows.values()), [1] * 8)}, margin=0.02, alpha=0.05, explore=False
        )
        named += any(row["verdict"] != "inconclusive" for name, row in judged.items() if name != "macro")
    assert within(named / 200, 0.0, 0.05, 200)


def test_the_minimal_detectable_effect_is_found_in_80_of_100():
    dice = np.random.default_rng(8)
    design = {"n": 600, "m": 3, "repeats": 2}
    mde = float(np.mean([comparison(dice, 0.05, **design).mde_80 for _ in range(200)]))
    assert mde < 0.1
    found = [comparison(dice, mde, **design).p < 0.05 for _ in range(1000)]
    assert np.mean(found) == pytest.approx(0.8, abs=2.5 * sqrt(0.8 * 0.2 / 1000))
