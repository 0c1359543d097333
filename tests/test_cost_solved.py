"""Dollars per task and per solved task: by hand, at the edges, and how often the interval is right."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from bench.cost.solved import Trial, solved_cost


def trials(values: list[float | None], usd: str = "0.01", per_cluster: int = 1) -> list[Trial]:
    return [
        Trial(task="t", item=f"i{k}", cluster=f"c{k // per_cluster}", usd=Decimal(usd), value=value)
        for k, value in enumerate(values)
    ]


def test_by_hand_failures_and_retries_are_paid_and_not_solved() -> None:
    """Four questions: two right at 1 and 3 cents, one wrong at 2, one given up after retries for 4: 10 cents for 2."""
    asked = [
        Trial(task="t", item="a", cluster="a", usd=Decimal("0.01"), value=1.0),
        Trial(task="t", item="b", cluster="b", usd=Decimal("0.03"), value=1.0),
        Trial(task="t", item="c", cluster="c", usd=Decimal("0.02"), value=0.0),
        Trial(task="t", item="d", cluster="d", usd=Decimal("0.04"), value=None),
    ]
    found = solved_cost(asked)
    assert found is not None
    assert (found.usd_total, found.n, found.solved) == (Decimal("0.10"), 4, 2.0)
    assert (found.usd_per_task, found.usd_per_solved) == (Decimal("0.025"), Decimal("0.05"))
    assert found.usd_per_solved_low is not None
    assert found.usd_per_solved_low < 0.05
    assert found.usd_per_solved_high is None  # a draw without a solved task has no price
    assert found.usd_per_task_low is not None
    assert 0.01 <= found.usd_per_task_low < 0.025


def test_nothing_solved_gives_a_lower_bound_only() -> None:
    """0 of 10: the true share is at most 1 - 0.025^(1/10) = 30.85% (Clopper and Pearson), so at least 0.0324 $."""
    found = solved_cost(trials([0.0] * 10))
    assert found is not None
    assert found.usd_per_solved is None
    assert found.usd_per_solved_low == pytest.approx(0.01 / 0.3085, rel=1e-3)
    assert found.usd_per_solved_high is None
    assert "lower bound" in found.method


def test_everything_solved_still_leaves_doubt() -> None:
    found = solved_cost(trials([1.0] * 20))
    assert found is not None
    assert found.usd_per_solved == Decimal("0.01")
    assert found.usd_per_solved_low == pytest.approx(0.01)
    assert found.usd_per_solved_high == pytest.approx(0.01 / 0.8389, rel=1e-3)  # Wilson's lower end of 20 of 20


def test_no_trials_no_cost() -> None:
    assert solved_cost([]) is None


def test_one_cluster_has_no_interval() -> None:
    found = solved_cost(trials([1.0, 0.0, 1.0, 0.0], per_cluster=4))
    assert found is not None
    assert found.usd_per_solved == Decimal("0.02")
    assert (found.usd_per_solved_low, found.usd_per_solved_high) == (None, None)
    assert (found.usd_per_task_low, found.method) == (None, "none (one cluster)")


def test_the_interval_does_not_hang_on_the_order() -> None:
    asked = trials([1.0, 0.0, 1.0, 1.0, 0.0, 1.0] * 5)
    assert solved_cost(asked) == solved_cost(list(reversed(asked)))


def test_questions_that_go_together_widen_the_interval() -> None:
    values: list[float | None] = [1.0] * 5 + [0.0] * 5
    alone, together = solved_cost(trials(values * 6)), solved_cost(trials(values * 6, per_cluster=5))
    assert alone is not None
    assert together is not None
    assert alone.usd_per_solved_high is not None
    assert together.usd_per_solved_high is not None
    assert together.usd_per_solved_high > alone.usd_per_solved_high


def test_money_scales() -> None:
    once, ten = solved_cost(trials([1.0, 0.0] * 20)), solved_cost(trials([1.0, 0.0] * 20, usd="0.10"))
    assert once is not None
    assert ten is not None
    assert once.usd_per_solved is not None
    assert ten.usd_per_solved == once.usd_per_solved * 10
    assert ten.usd_per_solved_high == pytest.approx(10 * (once.usd_per_solved_high or 0))


def test_a_95_percent_interval_covers_about_95_percent() -> None:
    """200 experiments of 100 items, 60% solved, prices lognormal: the true figure is E[usd] / 0.6."""
    rng = np.random.default_rng(3)
    truth = float(np.exp(0.5**2 / 2)) / 0.6
    covered = 0
    for _ in range(200):
        usd, right = rng.lognormal(0, 0.5, 100), rng.random(100) < 0.6
        asked = [
            Trial(task="t", item=str(k), cluster=str(k), usd=Decimal(repr(float(usd[k]))), value=float(right[k]))
            for k in range(100)
        ]
        found = solved_cost(asked, draws=400)
        assert found is not None
        covered += (found.usd_per_solved_low or 0) <= truth <= (found.usd_per_solved_high or np.inf)
    assert 180 <= covered <= 198
