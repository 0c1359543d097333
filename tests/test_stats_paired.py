"""Paired differences against hand-computed tables, statsmodels on the same rows, and published formulas."""

from __future__ import annotations

from dataclasses import replace
from math import comb, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

from bench.stats import RARE
from bench.stats.bootstrap import bootstrap, with_bootstrap
from bench.stats.paired import Pairs, midp_mcnemar, of_means, paired

NAN = float("nan")


def noisy(n: int = 200, m: int = 4, repeats: int = 3, seed: int = 0) -> Pairs:
    dice = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(n // m), m)
    p = dice.uniform(0.2, 0.8, n // m)[clusters]
    a, b = (dice.binomial(repeats, p + shift) / repeats for shift in (0.1, 0.0))
    return of_means(a, b, clusters)


def test_the_difference_and_its_error_are_those_of_a_table_done_by_hand():
    # items of three clusters; A's and B's means over two repeats; differences 1/2, 0, 1/2, 1/2, -1/2, 0
    found = paired(of_means([1, 0.5, 1, 0.5, 0, 1], [0.5, 0.5, 0.5, 0, 0.5, 1], list("aabbcc")))
    # mean 1/6; cluster sums of differences less the mean: 1/6, 4/6, -5/6; C = 3: sqrt(3/2 * 42/36) / 6
    assert found.difference == pytest.approx(1 / 6)
    assert found.spread.stderr == pytest.approx(sqrt(1.5 * 42 / 36) / 6)
    assert (found.a, found.b, found.n, found.n_clusters, found.degrees) == (pytest.approx(4 / 6), 0.5, 6, 3, 2)


def test_the_interval_is_students_with_one_degree_less_than_clusters():
    found = paired(noisy())
    assert found.method == "clustered-t"
    reach = student.ppf(0.975, 49) * found.stderr
    assert (found.ci_low, found.ci_high) == pytest.approx((found.difference - reach, found.difference + reach))
    assert found.p == pytest.approx(2 * student.sf(found.difference / found.stderr, 49))
    assert paired(noisy(), confidence=0.9).ci_low > found.ci_low


@pytest.mark.parametrize("seed", range(3))
def test_statsmodels_cluster_robust_regression_on_a_constant_says_the_same(seed):
    import statsmodels.api as sm

    pairs = noisy(seed=seed)
    fitted = sm.OLS(pairs.a - pairs.b, np.ones(len(pairs.a))).fit(
        cov_type="cluster", cov_kwds={"groups": pairs.clusters, "use_correction": True}, use_t=True
    )
    found = paired(pairs)
    assert (found.difference, found.stderr) == pytest.approx((fitted.params[0], fitted.bse[0]), rel=1e-10)
    assert found.p == pytest.approx(fitted.pvalues[0], rel=1e-8)
    assert (found.ci_low, found.ci_high) == pytest.approx(tuple(fitted.conf_int()[0]), rel=1e-8)


def test_few_differing_items_get_bonett_and_prices_two_pseudo_pairs():
    # 40 pairs, 5 won, 2 lost: Wald's variance on 42 pairs with 6 won and 3 lost
    found = paired(of_means([1] * 5 + [0] * 2 + [1] * 33, [0] * 5 + [1] * 2 + [1] * 33))
    won, lost = 6 / 42, 3 / 42
    wald = (won + lost - (won - lost) ** 2) / 42
    assert found.method == "clustered-t with pseudo-pairs"
    assert found.stderr == pytest.approx(sqrt(wald * 42 / 41))
    assert found.difference == pytest.approx(3 / 40)
    assert found.spread.unusual == 7 < RARE


def test_nobody_is_proven_equal_by_having_agreed_on_a_few_items():
    found = paired(of_means([1] * 10, [1] * 10))
    assert found.difference == 0
    assert found.ci_low < -0.2
    assert found.ci_high > 0.2
    assert found.p == 1
    assert found.correlation is None
    swept = paired(of_means([1] * 10, [0] * 10))
    assert swept.difference == 1 == swept.ci_high
    assert 0.6 < swept.ci_low < 1


def test_clusters_that_differ_as_one_weigh_a_pseudo_pair_as_one_of_them():
    ten_each = paired(of_means([1] * 10 + [0] * 10 + [1] * 180, [0] * 10 + [1] * 10 + [1] * 180, np.arange(200) // 10))
    alone = paired(of_means([1, 0] + [1] * 18, [0, 1] + [1] * 18))
    assert ten_each.spread.effect == pytest.approx(10, abs=0.6)
    assert ten_each.spread.unusual == pytest.approx(2, abs=0.2)
    assert ten_each.stderr == pytest.approx(alone.stderr, rel=0.03)


def test_unscored_items_leave_the_mean_and_open_the_bounds():
    found = paired(of_means([1, NAN, 1, 0], [0, 1, NAN, 0]))
    # complete cases: items 1 and 4. Against A: its second wrong, B's third right; for A: the reverse
    assert (found.difference, found.n, found.n_unscored, found.unscored_share) == (0.5, 2, 2, 0.25)
    assert found.low_bound == pytest.approx((1 + (0 - 1) + (1 - 1) + 0) / 4)
    assert found.high_bound == pytest.approx((1 + (1 - 1) + (1 - 0) + 0) / 4)


def test_an_unscored_repeat_counts_as_one_of_its_item():
    pairs = replace(
        of_means([0.5, 1.0], [0.0, 0.0]),
        repeats_a=np.array([4, 4]),
        unscored_a=np.array([2, 0]),
    )
    found = paired(pairs)
    assert found.difference == 0.75
    # item 1: one of the two scored repeats of four was right: 1/4 with the missing wrong, 3/4 with them right
    assert (found.low_bound, found.high_bound) == (pytest.approx((0.25 + 1) / 2), pytest.approx((0.75 + 1) / 2))
    assert found.unscored_share == 2 / 8


def test_what_cannot_be_said_is_none():
    nothing = paired(of_means([NAN, NAN], [1, 0]))
    assert (nothing.difference, nothing.stderr, nothing.p, nothing.a) == (None, None, None, None)
    assert nothing.method == "none (no scores)"
    one = paired(of_means([1, 0], [0, 0], ["a", "a"]))
    assert (one.difference, one.stderr, one.ci_low, one.mde_80, one.method) == (
        0.5,
        None,
        None,
        None,
        "none (one cluster)",
    )
    empty = paired(of_means([], []))
    assert (empty.difference, empty.low_bound, empty.unscored_share) == (None, None, 0)


def test_the_correlation_is_pearsons():
    pairs = noisy()
    assert paired(pairs).correlation == pytest.approx(np.corrcoef(pairs.a, pairs.b)[0, 1])


def test_uneven_arrays_are_refused():
    with pytest.raises(ValueError, match="2 and 3 items"):
        of_means([1, 0], [1, 0, 1])


def mid_p_by_enumeration(won: int, lost: int) -> float:
    n = won + lost
    law = [comb(n, k) / 2**n for k in range(n + 1)]
    off = abs(won - n / 2)
    return sum(p * (1 if abs(k - n / 2) > off else 0.5 if abs(k - n / 2) == off else 0) for k, p in enumerate(law))


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (1, 0), (0, 5), (3, 3), (7, 2), (2, 7), (12, 5), (30, 30), (4, 19)])
def test_mid_p_mcnemar_is_the_enumeration_of_all_outcomes(won, lost):
    expected = mid_p_by_enumeration(won, lost) if won + lost else 1.0
    assert midp_mcnemar(won, lost) == pytest.approx(expected, rel=1e-12)


def test_mid_p_is_statsmodels_exact_p_less_the_probability_of_what_was_seen():
    from statsmodels.stats.contingency_tables import mcnemar

    for won, lost in ((5, 14), (2, 9), (20, 11)):
        exact = mcnemar([[40, won], [lost, 30]], exact=True).pvalue
        assert midp_mcnemar(won, lost) == pytest.approx(exact - comb(won + lost, won) / 2 ** (won + lost))


def test_mcnemars_test_stands_beside_only_where_it_holds():
    binary = of_means([1, 1, 1, 0, 0], [0, 0, 1, 0, 1])
    assert paired(binary).mcnemar_p == midp_mcnemar(2, 1)
    assert paired(of_means([1, 1, 1, 0, 0], [0, 0, 1, 0, 1], list("aabbc"))).mcnemar_p is None
    assert paired(of_means([1, 0.5], [0, 0])).mcnemar_p is None
    assert paired(replace(binary, repeats_b=np.full(5, 2))).mcnemar_p is None


def test_the_bootstrap_of_clusters_has_the_clustered_error_and_is_seeded():
    pairs = noisy(n=400)
    draws = bootstrap(pairs, draws=20_000, seed=3)
    found = paired(pairs)
    assert draws.mean() == pytest.approx(found.difference, abs=0.001)
    assert draws.std() == pytest.approx(found.stderr * sqrt(99 / 100), rel=0.02)
    assert np.array_equal(draws[:5], bootstrap(pairs, draws=20_000, seed=3)[:5])
    assert not np.array_equal(draws[:5], bootstrap(pairs, draws=20_000, seed=4)[:5])
    beside = with_bootstrap(found, draws, 0.95)
    assert (beside.boot_low, beside.boot_high) == pytest.approx((found.ci_low, found.ci_high), abs=0.005)


def test_the_bootstrap_of_many_unlike_clusters_draws_groups_of_them():
    dice = np.random.default_rng(1)
    pairs = of_means(dice.random(30_000), dice.random(30_000), np.arange(30_000) // 3)
    assert bootstrap(pairs, draws=4_000).std() == pytest.approx(paired(pairs).stderr, rel=0.08)
    assert len(bootstrap(of_means([NAN], [1]))) == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 1.0, NAN]), st.sampled_from([0.0, 1.0, NAN])), min_size=1, max_size=30
    ),
    st.integers(1, 4),
)
def test_who_is_named_first_changes_only_signs(rows, m):
    clusters = np.arange(len(rows)) // m
    there = paired(of_means(*zip(*rows, strict=True), clusters))
    back = paired(of_means(*zip(*((b, a) for a, b in rows), strict=True), clusters))
    for one, other in (("difference", "difference"), ("ci_low", "ci_high"), ("low_bound", "high_bound")):
        x, y = getattr(there, one), getattr(back, other)
        assert (x is None) == (y is None)
        assert x is None or x == pytest.approx(-y, abs=1e-12)
    assert (there.stderr, there.p) == pytest.approx((back.stderr, back.p)) if there.stderr else back.stderr is None
    if there.difference is not None:
        assert there.low_bound - 1e-12 <= there.high_bound
    if there.ci_low is not None:
        assert -1 <= there.ci_low <= there.difference <= there.ci_high <= 1
