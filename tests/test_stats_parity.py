"""Verdicts: TOST against statsmodels, the four outcomes, and what stands in a verdict's way."""

from __future__ import annotations

import numpy as np
import pytest

from bench.stats.paired import of_means, paired
from bench.stats.parity import judge, tost
from bench.stats.power import detectable, detectable_by_parity, t_quantile, times_more_items


def test_tost_is_statsmodels_on_the_same_differences():
    from statsmodels.stats.weightstats import DescrStatsW

    dice = np.random.default_rng(0)
    a, b = dice.random(80), dice.random(80)
    found = paired(of_means(a, b))
    for margin in (0.02, 0.05, 0.1):
        assert tost(found.difference, found.stderr, found.degrees, margin) == pytest.approx(
            DescrStatsW(a - b).ttost_mean(-margin, margin)[0]
        )


def test_tost_agrees_with_the_interval_of_twice_its_alpha():
    for difference in (-0.03, 0.0, 0.012, 0.03):
        reach = t_quantile(0.95, 40) * 0.01
        inside = difference - reach > -0.03 and difference + reach < 0.03
        assert (tost(difference, 0.01, 40, 0.03) < 0.05) == inside
    assert tost(None, None, 0, 0.02) is None


@pytest.mark.parametrize(
    ("difference", "p", "p_parity", "verdict", "why"),
    [
        (0.10, 0.001, 0.99, "ahead", "a difference beyond chance"),
        (-0.10, 0.001, 0.99, "behind", "a difference beyond chance"),
        (0.00, 0.90, 0.01, "at parity", "within the margin"),
        (0.01, 0.01, 0.01, "at parity", "ahead, by less than the margin"),
        (-0.01, 0.01, 0.01, "at parity", "behind, by less than the margin"),
        (0.02, 0.20, 0.40, "inconclusive", "neither a difference nor parity is shown"),
        (None, None, None, "inconclusive", "no item has a score on both sides"),
        (0.20, None, None, "inconclusive", "one cluster: its items say nothing of others"),
    ],
)
def test_a_verdict_has_four_outcomes(difference, p, p_parity, verdict, why):
    found = judge(difference, p, p_parity, alpha=0.05)
    assert (found.verdict, found.why) == (verdict, why)


def test_over_two_per_cent_unscored_there_is_no_verdict():
    assert judge(0.5, 0.0, 1.0, alpha=0.05, unscored_share=0.02).verdict == "ahead"
    late = judge(0.5, 0.0, 1.0, alpha=0.05, unscored_share=0.021)
    assert (late.verdict, late.why) == ("inconclusive", "2.1% unscored, over 2%")


def test_a_margin_of_nothing_is_never_reached():
    assert tost(0.0, 0.01, 100, 0.0) == 0.5


def test_the_detectable_difference_is_millers_with_t_for_z():
    assert detectable(0.01, 1e7) == pytest.approx((1.959964 + 0.841621) * 0.01, rel=1e-5)
    assert detectable(0.01, 9) > detectable(0.01, 99)
    # of two equals both one-sided tests pass in 80%: each fails in 10%
    assert detectable_by_parity(0.01, 1e7) == pytest.approx((1.644854 + 1.281552) * 0.01, rel=1e-5)
    assert times_more_items(0.06, 0.02) == 9
    assert times_more_items(0.01, 0.02) == 1
    with pytest.raises(ValueError, match="no t with 0"):
        t_quantile(0.9, 0)
