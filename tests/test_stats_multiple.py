"""Corrections against statsmodels on the same p values; ranks as sets by hand and in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats.multiple import benjamini_hochberg, holm, rank_sets

PS = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(PS)
def test_holm_and_benjamini_hochberg_are_statsmodels(ps):
    from statsmodels.stats.multitest import multipletests

    assert holm(ps) == pytest.approx(list(multipletests(ps, method="holm")[1]))
    assert benjamini_hochberg(ps) == pytest.approx(list(multipletests(ps, method="fdr_bh")[1]))


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])


def test_an_unknown_p_stays_unknown_and_in_the_family():
    assert holm([0.01, None]) == [0.02, None]
    assert benjamini_hochberg([0.02, None, 0.5]) == pytest.approx([0.06, None, 0.75])
    assert holm([]) == []


def test_ranks_are_sets_of_what_is_not_ruled_out():
    # 0 beats 2 surely, 1 lies between and is told from neither
    differences = [[None, 0.02, 0.2], [None, None, 0.18], [None] * 3]
    ps = [[None, 0.5, 0.001], [None, None, 0.04], [None] * 3]
    assert rank_sets(differences, ps) == [(1, 2), (1, 3), (2, 3)]
    assert rank_sets([[None]], [[None]]) == [(1, 1)]
    unknown = [[None] * 2] * 2
    assert rank_sets(unknown, unknown) == [(1, 2), (1, 2)]


def test_all_sets_hold_the_true_ranks_in_95_of_100_worlds():
    dice, truth, missed = np.random.default_rng(0), np.array([0.0, 0.1, 0.1, 0.5]), 0
    worlds = 400
    from scipy.stats import norm

    for _ in range(worlds):
        seen = truth + dice.normal(0, 0.05, 4)
        differences = [[float(seen[i] - seen[j]) for j in range(4)] for i in range(4)]
        ps = [[float(2 * norm.sf(abs(d) / (0.05 * 2**0.5))) for d in row] for row in differences]
        sets = rank_sets(differences, ps)
        true = [(1 + int((truth > x).sum()), int((truth >= x).sum())) for x in truth]  # ties share their ranks
        missed += any(low > best or high < worst for (low, high), (best, worst) in zip(sets, true, strict=True))
    assert missed / worlds <= 0.05 + 2 * (0.05 * 0.95 / worlds) ** 0.5
