"""The front and the shading are what counting pair by pair gives."""

from __future__ import annotations

import numpy as np
import pytest

from bench.choice.dominance import dominated, edge, on_front


def by_hand(quality, usd, k) -> bool:
    return any(
        quality[j] >= quality[k] and usd[j] <= usd[k] and (quality[j] > quality[k] or usd[j] < usd[k])
        for j in range(len(quality))
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_front_and_the_probability_are_those_of_counting_every_pair(seed):
    rng = np.random.default_rng(seed)
    quality = rng.integers(0, 6, size=(50, 7)) / 5
    usd = rng.integers(1, 5, size=(50, 7)) / 100
    beaten = np.array([[by_hand(q, c, k) for k in range(7)] for q, c in zip(quality, usd, strict=True)])
    assert dominated(quality, usd) == pytest.approx(beaten.mean(axis=0))
    assert on_front(quality[0], usd[0]).tolist() == (~beaten[0]).tolist()


def test_equal_twins_don_t_dominate_each_other():
    assert on_front(np.array([0.5, 0.5]), np.array([1.0, 1.0])).all()


def test_what_is_not_known_is_on_no_front_and_dominates_nobody():
    quality, usd = np.array([[0.9, 0.5]]), np.array([[np.nan, 1.0]])
    assert on_front(quality[0], usd[0]).tolist() == [False, True]
    found = dominated(quality, usd)
    assert np.isnan(found[0])
    assert found[1] == 0


def test_something_below_the_edge_is_dominated_with_ninety_per_cent_and_something_above_is_not():
    rng = np.random.default_rng(0)
    quality = np.clip(rng.normal([0.6, 0.8, 0.9], 0.03, size=(4000, 3)), 0, 1)
    usd = rng.normal([1.0, 2.0, 4.0], 0.1, size=(4000, 3))
    at = np.array([0.5, 1.5, 3.0, 6.0])
    levels = edge(quality, usd, at)
    assert np.isnan(levels[0])
    for limit, level in zip(at[1:], levels[1:], strict=True):
        for step, least, most in ((-0.01, 0.9, 1.0), (0.01, 0.0, 0.9)):
            beaten = ((quality >= level + step) & (usd <= limit)).any(axis=1).mean()
            assert least <= beaten <= most


def test_a_store_without_prices_has_no_edge_and_no_front():
    nothing = np.empty((100, 0))
    assert dominated(nothing, nothing).shape == (0,)
