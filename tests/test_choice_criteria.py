"""How sure a criterion is, against exact laws and simulated truth; and what it takes to decide it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bench.choice import criteria as of


def test_a_percentile_is_as_sure_as_the_binomial_law_says_whatever_the_distribution():
    observed = [100.0] * 97 + [900.0] * 3
    found = of.share("ttft_ms_p95", observed, 200, certainty=0.9)
    assert found.certainty == pytest.approx(stats.beta.sf(0.95, 98, 4))
    assert (found.n, found.value, found.state(0.9)) == (100, 100.0, "not known")


def test_ninety_per_cent_sure_of_a_percentile_is_right_in_ninety_of_a_hundred():
    """The true share within the limit is drawn flat; what is told is how often that share is at least 95%."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.8, 1.0, size=40_000)  # below 0.8 nothing of 60 answers leaves any doubt
    good = rng.binomial(60, truth)
    told = stats.beta.sf(0.95, 1 + np.arange(61), 61 - np.arange(61))
    checked = 0
    for k in range(50, 61):
        mine = truth[good == k] >= 0.95
        found = of.share("e2e_ms_p95", [1.0] * k + [9.0] * (60 - k), 5, certainty=0.9).certainty
        assert found == pytest.approx(told[k])
        if len(mine) > 500:
            checked += 1
            assert mine.mean() == pytest.approx(found, abs=4 * np.sqrt(0.25 / len(mine)))
    assert checked > 5


def test_an_answer_that_never_came_keeps_no_limit_and_has_no_latency():
    kept = of.share("ttft_ms_p95", [10.0] * 100, 200, certainty=0.9)
    lost = of.share("ttft_ms_p95", [10.0] * 100, 200, certainty=0.9, n_failed=20)
    assert kept.state(0.9) == "met"
    assert (lost.state(0.9), lost.n, lost.value) == ("missed", 120, None)


def test_speed_is_a_least_and_half_of_the_answers_decide():
    found = of.share("decode_tps_p50", [50.0] * 40 + [10.0] * 10, 30, certainty=0.9)
    assert (found.at_least, found.value, found.state(0.9)) == (True, 50.0, "met")
    assert found.certainty == pytest.approx(stats.beta.sf(0.5, 41, 11))


def test_what_was_not_measured_is_not_known_and_not_met():
    found = of.share("ttft_ms_p95", [], 200, certainty=0.9)
    assert (found.certainty, found.state(0.9), found.why) == (None, "not known", "not measured")
    money = of.amount("usd_per_task", np.full(9, np.nan), 1.0, value=None, n=20, certainty=0.9)
    assert (money.state(0.9), money.why) == ("not known", "price unknown")


def test_the_number_of_answers_to_decide_does_decide_and_one_less_does_not():
    found = of.share("ttft_ms_p95", [1.0] * 20, 5, certainty=0.9)
    assert found.state(0.9) == "not known"
    n = found.n + (found.more() or 0)
    assert of.share("ttft_ms_p95", [1.0] * n, 5, certainty=0.9).state(0.9) == "met"
    assert of.share("ttft_ms_p95", [1.0] * (n - 1), 5, certainty=0.9).state(0.9) == "not known"


def test_the_number_of_items_to_decide_is_that_of_the_normal_law():
    drawn = np.random.default_rng(0).normal(0.82, 0.04, size=200_000)
    found = quality(drawn, 0.8, value=0.82, n=100)
    assert found.state(0.9) == "not known"
    assert found.n_to_decide == pytest.approx((stats.norm.ppf(0.9) * 0.04 / 0.02) ** 2 * 100, rel=0.02)
    assert quality(drawn, 0.82, value=0.82, n=100).more() is None


def test_many_answers_without_a_score_keep_it_from_sufficing_but_not_from_failing():
    high, low = np.full(1000, 0.95), np.full(1000, 0.5)
    assert quality(high, 0.8, value=0.95, n=90, unscored=0.019).state(0.9) == "met"
    found = quality(high, 0.8, value=0.95, n=90, unscored=0.03)
    assert (found.state(0.9), found.why) == ("not known", "3.0% of the answers have no score")
    assert quality(low, 0.8, value=0.5, n=90, unscored=0.1, at_best=low + 0.1).state(0.9) == "missed"
    assert quality(low, 0.8, value=0.5, n=50, unscored=0.5, at_best=low + 0.4).state(0.9) == "not known"


def test_all_together_are_at_least_as_sure_as_the_doubts_leave():
    rows = [quality(np.r_[np.ones(k), np.zeros(100 - k)], 0.5, value=0.9, n=9) for k in (97, 95, 99)]
    assert of.together(rows) == pytest.approx(1 - 0.03 - 0.05 - 0.01)
    assert of.together([*rows, of.unknown("x", 1, "why", at_least=False)]) == 0


def quality(drawn, wanted, *, value, n, unscored=0.0, at_best=None):
    best = drawn if at_best is None else at_best
    return of.quality(drawn, wanted, value=value, n=n, unscored=unscored, at_best=best, certainty=0.9)
