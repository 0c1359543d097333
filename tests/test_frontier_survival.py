"""Kaplan-Meier by hand, against statsmodels, and its coverage in a simulated race that is still going on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight

from bench.frontier.survival import kaplan_meier, median


def test_five_waits_by_hand() -> None:
    """At risk 5, 4, 3, (one gone) 1: S = 0.8, 0.6, 0.4, 0.0; var of log S adds d/(n(n-d))."""
    found = kaplan_meier([1, 2, 3, 3, 5], [True, True, True, False, True])
    assert found.curve["time"].tolist() == [1, 2, 3, 5]
    assert found.curve["at_risk"].tolist() == [5, 4, 3, 1]
    assert found.curve["survival"].tolist() == pytest.approx([0.8, 0.6, 0.4, 0.0])
    assert found.median == 3
    reach = 1.6448536 * np.sqrt(1 / 20 + 1 / 12 + 1 / 6) / -np.log(0.4)
    assert found.curve["low"][2] == pytest.approx(0.4 ** np.exp(reach), rel=1e-6)
    assert found.curve["high"][2] == pytest.approx(0.4 ** np.exp(-reach), rel=1e-6)


def test_half_is_enough_for_the_median() -> None:
    assert kaplan_meier([1, 2, 3, 4], [True] * 4).median == 2
    assert median(np.array([1.0, 2, 3, 4]), np.array([True] * 4)) == 2


def test_dropping_the_unmatched_would_make_the_wait_look_shorter() -> None:
    waits, seen = [2.0, 3.0, 4.0, 9.0, 9.0, 9.0], [True, True, True, False, False, False]
    assert kaplan_meier(waits, seen).median == 4.0
    assert kaplan_meier(waits[:3], seen[:3]).median == 3.0


def test_fewer_than_half_matched_is_not_reached() -> None:
    found = kaplan_meier([1, 5, 5, 5], [True, False, False, False])
    assert (found.median, found.high) == (None, None)
    assert median(np.array([1.0, 5, 5, 5]), np.array([True, False, False, False])) == np.inf


def test_nothing_at_all_is_not_reached() -> None:
    found = kaplan_meier([], [])
    assert (found.median, found.low, found.high, len(found.curve)) == (None, None, None, 0)


def test_matched_at_once_is_a_wait_of_nought() -> None:
    assert kaplan_meier([0, 0, 0, 7], [True, True, True, False]).median == 0


def test_a_negative_wait_is_refused() -> None:
    with pytest.raises(ValueError, match=">= 0"):
        kaplan_meier([-1.0], [True])


@given(
    st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=2, max_size=40).filter(
        lambda w: any(e for _, e in w)
    ),
    st.sampled_from([0.8, 0.9, 0.95]),
)
def test_it_agrees_with_statsmodels(waits: list[tuple[int, bool]], confidence: float) -> None:
    times, seen = [float(t) for t, _ in waits], [e for _, e in waits]
    ours = kaplan_meier(times, seen, confidence)
    with np.errstate(all="ignore"):
        theirs = SurvfuncRight(np.array(times), np.array(seen, dtype=float))
    assert ours.curve["time"].tolist() == theirs.surv_times.tolist()
    assert ours.curve["survival"].tolist() == pytest.approx(theirs.surv_prob.tolist(), abs=1e-12)
    if not np.isclose(ours.curve["survival"], 0.5).any():  # there theirs waits for S < 0.5, the method says S <= 0.5
        assert ours.median == (None if np.isnan(theirs.quantile(0.5)) else theirs.quantile(0.5))


def their_interval(times: np.ndarray, seen: np.ndarray, confidence: float) -> tuple[float, float]:
    with np.errstate(all="ignore"):
        theirs = SurvfuncRight(times, seen.astype(float))
        low, high = theirs.quantile_ci(0.5, alpha=1 - confidence, method="cloglog")
    return float(low), float(high)


def test_the_interval_of_the_median_is_statsmodels_on_five_hundred_draws() -> None:
    """Where S falls past the whole interval in one step theirs has none; ours tells that step."""
    rng, compared = np.random.default_rng(0), 0
    for _ in range(500):
        n = int(rng.integers(5, 40))
        wait, end = rng.exponential(10, n), rng.uniform(0, 30, n)
        times, seen = np.minimum(wait, end), wait <= end
        if not seen.any():
            continue
        ours = kaplan_meier(times, seen)
        low, high = their_interval(times, seen, 0.9)
        if np.isnan(low):
            continue
        compared += 1
        assert ours.low == low
        assert (np.inf if ours.high is None else ours.high) == high
    assert compared > 400


def test_the_median_s_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Closed records come every month for 40; each is matched after a log-normal wait of median 8; we look at 40."""
    rng, hits, n = np.random.default_rng(1), 0, 1000
    released = np.arange(40.0)
    for _ in range(n):
        wait = np.exp(rng.normal(np.log(8), 0.6, len(released)))
        left = 40 - released
        found = kaplan_meier(np.minimum(wait, left), wait <= left)
        assert found.low is not None
        hits += found.low <= 8 and (found.high is None or found.high >= 8)
    assert 0.87 <= hits / n <= 0.95
