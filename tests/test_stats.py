"""Estimates against published and hand-computed numbers, and against what an interval promises."""

from __future__ import annotations

from math import sqrt
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats import (
    Estimate,
    clustered_stderr,
    effective_n,
    macro,
    mean_of_items,
    percentile_interval,
    rescale_for_chance,
    scores,
    wilson,
)
from tests.store import sample


def estimate(**changes) -> Estimate:
    plain = {"value": 0.5, "stderr": 0.1, "ci_low": 0.3, "ci_high": 0.7, "n": 30, "n_clusters": 30, "n_unscored": 0}
    return Estimate(**{**plain, "low_bound": 0.5, "high_bound": 0.5, "method": "wilson", **changes})


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_of_nothing_says_nothing_and_its_ends_are_exact():
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 7)[0] == 0.0
    assert wilson(7, 7)[1] == 1.0
    z2 = 1.644854**2
    assert wilson(50, 100, 0.9)[0] == pytest.approx(0.5 - sqrt(z2 * (25 + z2 / 4)) / (100 + z2))


def test_the_clustered_error_is_the_papers_formula_by_hand():
    values, clusters = [1, 1, 0, 0, 1, 0], ["a", "a", "b", "b", "c", "c"]
    # mean 1/2; cluster sums of deviations 1, -1, 0; C = 3: sqrt(3/2 * 2) / 6
    assert clustered_stderr(values, clusters) == pytest.approx(sqrt(3) / 6)
    # each its own cluster: the sample standard deviation over sqrt(n)
    assert clustered_stderr(values, list("abcdef")) == pytest.approx(np.std(values, ddof=1) / sqrt(6))
    assert clustered_stderr(values, ["a"] * 6) is None


def test_independent_items_get_the_plain_wilson_interval():
    found = mean_of_items([[1.0]] * 15 + [[0.0]] * 5, [str(i) for i in range(20)])
    assert (found.value, found.n, found.n_clusters, found.method) == (0.75, 20, 20, "wilson")
    assert (found.ci_low, found.ci_high) == wilson(15, 20)
    assert found.stderr == pytest.approx(sqrt(0.75 * 0.25 / 19))


def test_clusters_that_agree_widen_the_interval_to_that_of_fewer_items():
    values = [[float(c % 2)] for c in range(20) for _ in range(5)]
    clusters = [str(c) for c in range(20) for _ in range(5)]
    found = mean_of_items(values, clusters)
    # every cluster is all or nothing: SE = sqrt(.25/19), as of 20 items, and t with 19 degrees is 2.093
    assert found.stderr == pytest.approx(sqrt(0.25 / 19))
    trials = effective_n(0.5, found.stderr, n=100, n_clusters=20, n_trials=100)
    assert trials == pytest.approx(19 * (1.959964 / 2.093024) ** 2)
    assert (found.ci_low, found.ci_high) == pytest.approx(wilson(trials / 2, trials))
    assert found.method == "wilson-effective-n"


def test_clusters_that_balance_each_other_never_count_as_more_items_than_there_are():
    found = mean_of_items([[1.0], [0.0]] * 20, [str(i // 2) for i in range(40)])
    assert (found.ci_low, found.ci_high) == wilson(20, 40)


def test_repeats_narrow_the_interval_only_as_far_as_they_differ():
    clusters = [str(i) for i in range(40)]
    once = mean_of_items([[float(i % 2)] for i in range(40)], clusters)
    same = mean_of_items([[float(i % 2)] * 4 for i in range(40)], clusters)
    mixed = mean_of_items(
        [[1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0], [0.0] * 2 + [1.0] * 2] * 10, clusters
    )
    assert same.value == once.value == mixed.value == 0.5
    assert same.ci_high - same.ci_low >= once.ci_high - once.ci_low
    assert mixed.ci_high - mixed.ci_low < once.ci_high - once.ci_low


def test_many_items_away_from_the_edges_get_the_clustered_t():
    values = [[float(i % 5 < 3)] for i in range(400)]
    clusters = [str(i // 8) for i in range(400)]
    found = mean_of_items(values, clusters)
    assert (found.method, found.n_clusters) == ("clustered-t", 50)
    assert found.ci_high - found.value == pytest.approx(2.009575 * found.stderr, rel=1e-5)  # t, 49 degrees
    assert mean_of_items([[float(i < 396)] for i in range(400)], [str(i) for i in range(400)]).method == "wilson"


def test_unscored_is_missing_and_the_bounds_say_how_much_it_could_matter():
    found = mean_of_items([[1.0], [0.0], [None], [1.0]], list("abcd"))
    assert (found.value, found.n, found.n_unscored) == (pytest.approx(2 / 3), 3, 1)
    assert (found.low_bound, found.high_bound) == (0.5, 0.75)
    repeats = mean_of_items([[1.0, None], [None, None]], list("ab"))
    assert (repeats.value, repeats.n, repeats.n_unscored) == (1.0, 1, 3)
    assert (repeats.low_bound, repeats.high_bound) == (0.25, 1.0)


def test_what_cannot_be_said_is_none():
    nothing = mean_of_items([[None], [None]], ["a", "b"])
    assert (nothing.value, nothing.ci_low, nothing.stderr, nothing.method) == (None, None, None, "none (no scores)")
    assert (nothing.low_bound, nothing.high_bound) == (0.0, 1.0)
    assert mean_of_items([], []).low_bound is None
    one_cluster = mean_of_items([[1.0], [0.0]], ["a", "a"])
    assert (one_cluster.value, one_cluster.ci_low, one_cluster.method) == (0.5, None, "none (one cluster)")
    one_item = mean_of_items([[1.0]], ["a"])
    assert (one_item.ci_low, one_item.ci_high, one_item.stderr) == (*wilson(1, 1), None)
    with pytest.raises(ValueError, match="1 items but 2 clusters"):
        mean_of_items([[1.0]], ["a", "b"])


def test_the_macro_mean_is_weighted_and_its_error_is_the_root_of_squares():
    found = macro([estimate(value=0.2, stderr=0.06), estimate(value=0.8, stderr=0.08)], [1, 1])
    assert (found.value, found.stderr) == (pytest.approx(0.5), pytest.approx(0.05))
    assert macro([estimate(value=0.2), estimate(value=0.8)], [3, 1]).value == pytest.approx(0.35)
    assert (found.n, found.n_clusters) == (60, 60)


def test_the_macro_interval_recovers_each_tasks_own_by_hand():
    tasks = [estimate(value=0.5, ci_low=0.3, ci_high=0.6), estimate(value=0.7, ci_low=0.4, ci_high=0.9)]
    found = macro(tasks, [1, 1])
    assert found.ci_low == pytest.approx(0.6 - sqrt(0.1**2 + 0.15**2))
    assert found.ci_high == pytest.approx(0.6 + sqrt(0.05**2 + 0.1**2))
    alone = macro([tasks[0]], [7.0])
    assert (alone.ci_low, alone.ci_high) == (pytest.approx(0.3), pytest.approx(0.6))


def test_tasks_with_every_item_right_still_leave_doubt_in_the_macro_mean():
    right = mean_of_items([[1.0]] * 30, [str(i) for i in range(30)])
    found = macro([right] * 8, [1] * 8)
    assert (found.value, found.stderr, found.ci_high) == (1.0, 0.0, 1.0)
    assert right.ci_low < found.ci_low < 0.99


def test_a_task_without_a_score_leaves_the_macro_mean_unknown_not_lower():
    nothing = mean_of_items([[None]], ["a"])
    found = macro([estimate(), nothing], [1, 1])
    assert (found.value, found.ci_low, found.stderr) == (None, None, None)
    assert (found.low_bound, found.high_bound, found.n_unscored) == (0.25, 0.75, 1)
    for weights in ([1], [0, 0], [-1, 2]):
        with pytest.raises(ValueError, match="weights"):
            macro([estimate(), estimate()], weights)


def test_rescaling_puts_guessing_at_zero_and_worse_below_it():
    found = rescale_for_chance(estimate(value=0.75, stderr=0.1, ci_low=0.4, ci_high=1.0), 0.5)
    assert (found.value, found.stderr, found.ci_low, found.ci_high) == pytest.approx((0.5, 0.2, -0.2, 1.0))
    assert rescale_for_chance(estimate(value=0.5), 0.5).value == 0
    with pytest.raises(ValueError, match=r"chance 1"):
        rescale_for_chance(estimate(), 1)


def test_percentiles_are_interpolated_and_bounded_by_the_textbooks_order_statistics():
    ten = percentile_interval([float(x) for x in range(10, 0, -1)], 0.5)
    assert (ten.value, ten.ci_low, ten.ci_high, ten.n) == (5.5, 2.0, 9.0, 10)  # (x2, x9), coverage 97.9%
    assert percentile_interval([1.0, 2.0, 4.0], 0.5).ci_low is None  # 3 values can't bound a median at 95%
    tail = percentile_interval([float(x) for x in range(1, 101)], 0.99)
    assert (tail.value, tail.ci_high) == (pytest.approx(99.01), None)  # the p99 of 100 values has no upper bound
    assert percentile_interval([], 0.5).value is None
    with pytest.raises(ValueError, match="q = 50"):
        percentile_interval([1.0], 50)


def covered(dice, *, n, n_clusters, repeats, p, correlation) -> float:
    """Share of 400 simulated tests whose interval holds p; clusters and items are beta-binomial."""
    clusters = [str(i * n_clusters // n) for i in range(n)]
    at = np.array([int(c) for c in clusters])
    spread = (1 - correlation) / correlation if correlation else None
    hits = 0
    for _ in range(400):
        rate = dice.beta(p * spread, (1 - p) * spread, n_clusters)[at] if spread else np.full(n, p)
        rate = np.clip(rate, 1e-9, 1 - 1e-9)
        rate = dice.beta(rate, 1 - rate) if repeats > 1 else rate
        values = (dice.random((n, repeats)) < rate[:, None]).astype(float)
        found = mean_of_items(values.tolist(), clusters)
        hits += found.ci_low <= p <= found.ci_high
    return hits / 400


@pytest.mark.parametrize(
    "case",
    [
        {"n": 30, "n_clusters": 30, "repeats": 1, "p": 0.5, "correlation": 0},
        {"n": 30, "n_clusters": 30, "repeats": 1, "p": 0.9, "correlation": 0},
        {"n": 30, "n_clusters": 6, "repeats": 1, "p": 0.7, "correlation": 0.1},
        {"n": 150, "n_clusters": 25, "repeats": 1, "p": 0.5, "correlation": 0.2},
        {"n": 150, "n_clusters": 25, "repeats": 1, "p": 0.95, "correlation": 0.2},
        {"n": 60, "n_clusters": 60, "repeats": 3, "p": 0.8, "correlation": 0},
        {"n": 400, "n_clusters": 40, "repeats": 1, "p": 0.5, "correlation": 0.2},
    ],
    ids=lambda case: "-".join(f"{k}{v}" for k, v in case.items()),
)
def test_a_95_percent_interval_covers_about_95_percent(case):
    assert 0.92 <= covered(np.random.default_rng(20261123), **case) <= 0.99


@pytest.mark.parametrize(("p", "repeats", "agreement"), [(0.97, 10, 0.7), (0.9, 5, 0.5)])
def test_repeats_that_agree_with_each_other_do_not_narrow_the_interval_unduly(p, repeats, agreement):
    """Thirty items near the edge: each has its own rate (beta-binomial), so repeats of an item tell little new."""
    dice = np.random.default_rng(1)
    a, b = p * (1 - agreement) / agreement, (1 - p) * (1 - agreement) / agreement
    hits = 0
    for _ in range(300):
        drawn = dice.random((30, repeats)) < dice.beta(a, b, 30)[:, None]
        found = mean_of_items(drawn.astype(float).tolist(), [str(i) for i in range(30)])
        hits += found.ci_low <= p <= found.ci_high
    assert hits / 300 >= 0.94


def test_the_macro_interval_covers_about_95_percent():
    dice, rates = np.random.default_rng(7), [0.05, 0.3, 0.6, 0.9, 0.97, 0.99, 0.8, 0.5]
    hits = 0
    for _ in range(300):
        drawn = [(dice.random(30) < p).astype(float) for p in rates]
        tasks = [mean_of_items([[v] for v in values], [str(i) for i in range(30)]) for values in drawn]
        found = macro(tasks, [1] * 8)
        hits += found.ci_low <= np.mean(rates) <= found.ci_high
    assert 0.92 <= hits / 300 <= 0.99


def test_a_percentile_interval_covers_at_least_95_percent():
    dice = np.random.default_rng(3)
    true = -np.log(1 - 0.9)  # the 90th percentile of an exponential
    hits = sum(
        f.ci_low <= true <= f.ci_high
        for f in (percentile_interval(dice.exponential(size=200), 0.9) for _ in range(400))
    )
    assert 0.94 <= hits / 400 <= 0.995


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from([0.0, 0.5, 1.0, None]), min_size=1, max_size=3), st.sampled_from("abcd")),
        min_size=1,
        max_size=40,
    )
)
def test_an_estimate_lies_in_its_interval_and_between_its_bounds_whatever_the_scores(items):
    found = mean_of_items([values for values, _ in items], [cluster for _, cluster in items])
    assert 0 <= found.low_bound <= found.high_bound <= 1
    if found.ci_low is not None:
        assert 0 <= found.ci_low <= found.value + 1e-12
        assert found.value - 1e-12 <= found.ci_high <= 1


def suite(*names: str, **changes) -> SimpleNamespace:
    task = {"metric": "acc", "weight": 1.0, "chance": 0.5, **changes}
    return SimpleNamespace(tasks=[SimpleNamespace(name=name, **task) for name in names])


def test_scores_have_every_metric_of_every_task_and_the_macro_of_what_all_share():
    both = [sample(n, float(n > 2), metric=m) for n in range(10) for m in ("acc", "acc_strict")]
    other = [sample(n, 1.0, task="quick_add") for n in range(10)]
    found = {(s.task, s.metric): s for s in scores(both + other, suite("quick_copy", "quick_add"))}
    assert list(found) == [
        ("quick_copy", "acc"),
        ("quick_copy", "acc_strict"),
        ("quick_copy", "acc_rescaled"),
        ("quick_add", "acc"),
        ("quick_add", "acc_rescaled"),
        ("macro", "acc"),
        ("macro", "acc_rescaled"),
    ]
    assert found["quick_copy", "acc"].value == pytest.approx(0.7)
    assert found["quick_copy", "acc_rescaled"].value == pytest.approx(0.4)
    assert found["macro", "acc"].value == pytest.approx(0.85)
    assert (found["macro", "acc"].n, found["macro", "acc"].method) == (20, "mover")


def test_a_suite_of_which_a_task_did_not_run_has_no_macro_mean():
    assert {s.task for s in scores([sample(0), sample(1)], suite("quick_copy", "quick_add"))} == {"quick_copy"}
    assert scores([], suite("quick_copy")) == []


def test_a_refusal_is_wrong_and_an_error_is_missing():
    rows = [sample(0, 1.0), sample(1, None, state="refused"), sample(2, None), sample(3, 0.0, state="unscored_empty")]
    acc = scores(rows, suite("quick_copy"))[0]
    assert (acc.value, acc.n, acc.n_unscored) == (0.5, 2, 2)
    assert (acc.low_bound, acc.high_bound) == (0.25, 0.75)


def test_repeats_of_an_item_are_one_item():
    rows = [sample(n, float(k), repeat=k) for n in range(6) for k in range(2)]
    acc = scores(rows, suite("quick_copy"))[0]
    assert (acc.n, acc.value) == (6, 0.5)
