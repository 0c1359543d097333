"""Estimates with honest intervals: pure functions over numbers, METRICS section 5.

Sources, by the letters used below
  M   Miller 2024, Adding error bars to evals, arXiv:2411.00640: clustered standard error, t with C - 1 degrees
  B   Bowyer et al. 2025, Don't use the CLT in LLM evals with fewer than a few hundred datapoints, arXiv:2503.01747
  W   Wilson 1927; Newcombe 1998, Statistics in Medicine 17:857
  K   Korn & Graubard 1998, Survey Methodology 24:193: effective sample size of a clustered proportion
  Z   Zou, Huang & Zhang 2009, Computational Statistics & Data Analysis 53:1080: a linear function of proportions
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, sqrt
from typing import Protocol

from bench.records import Sample, Score

SMALL_N = 300
"""Below this many items the normal approximation isn't trusted (B)."""
RARE = 15.0
"""Nor is it with fewer effective successes or failures than this, however many items there are."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean in [0, 1] and how well it is known. None = can't be said; never 0 instead."""

    value: float | None
    """Mean over the items that have a score (complete cases)."""
    stderr: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    """Items with at least one score."""
    n_clusters: int
    n_unscored: int
    """Missing scores: repeats, not items, where an item has several."""
    low_bound: float | None
    """All missing scores wrong."""
    high_bound: float | None
    """All missing scores right."""
    method: str
    """How the interval was made: `wilson`, `wilson-effective-n`, `clustered-t`, `mover` or `none (why)`."""


@dataclass(frozen=True, kw_only=True)
class Percentile:
    """A percentile with a distribution-free interval; an end is None where the sample is too small to bound it."""

    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int


def mean_of_items(
    values: Sequence[Sequence[float | None]], clusters: Sequence[str], *, confidence: float = 0.95
) -> Estimate:
    """Mean over items of the mean over repeats; `values[i]` are item i's repeats, None = unscored.

    From 300 items on, and away from 0 and 1, the interval is the clustered t (M). Else it is Wilson's (W, as B advises
    for few items) on the effective number of trials (K): what a simple random sample would need to have the clustered
    standard error. Repeats enter by the same door: they shrink the standard error as far as they are independent, so
    the effective number lies between the items and the repeats, as in a beta-binomial, without its iterations.
    """
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} items but {len(clusters)} clusters")
    bounds = [_mean_over_items(values, missing) for missing in (0.0, 1.0)]
    scored = [([v for v in item if v is not None], cluster) for item, cluster in zip(values, clusters, strict=True)]
    scored = [(item, cluster) for item, cluster in scored if item]
    means = [sum(item) / len(item) for item, _ in scored]
    n_trials = sum(len(item) for item, _ in scored)
    kept = [cluster for _, cluster in scored]
    plain = Estimate(
        value=None,
        stderr=None,
        ci_low=None,
        ci_high=None,
        n=len(means),
        n_clusters=len(set(kept)),
        n_unscored=sum(len(item) for item in values) - n_trials,
        low_bound=bounds[0],
        high_bound=bounds[1],
        method="none (no scores)",
    )
    if not means:
        return plain
    value = sum(means) / len(means)
    stderr = clustered_stderr(means, kept)
    low, high, method = _interval(value, stderr, plain.n, plain.n_clusters, n_trials, confidence)
    return replace(plain, value=value, stderr=stderr, ci_low=low, ci_high=high, method=method)


def _mean_over_items(values: Sequence[Sequence[float | None]], missing: float) -> float | None:
    means = [sum(missing if v is None else v for v in item) / len(item) for item in values if item]
    return sum(means) / len(means) if means else None


def _interval(
    value: float, stderr: float | None, n: int, n_clusters: int, n_trials: int, confidence: float
) -> tuple[float | None, float | None, str]:
    if stderr is None and n > 1:
        return None, None, "none (one cluster)"
    trials = effective_n(value, stderr, n=n, n_clusters=n_clusters, n_trials=n_trials, confidence=confidence)
    if n >= SMALL_N and stderr and trials * min(value, 1 - value) >= RARE:
        reach = _t_quantile(confidence, n_clusters - 1) * stderr
        return max(0.0, value - reach), min(1.0, value + reach), "clustered-t"
    low, high = wilson(value * trials, trials, confidence)
    return low, high, "wilson" if trials == n else "wilson-effective-n"


def clustered_stderr(values: Sequence[float], clusters: Sequence[str]) -> float | None:
    """sqrt(C/(C-1) · Σ_c (Σ_{i in c} (s_i - mean))²) / n (M); None with fewer than two clusters."""
    n, mean = len(values), sum(values) / len(values)
    sums: dict[str, float] = {}
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + value - mean
    if len(sums) < 2:
        return None
    return sqrt(len(sums) / (len(sums) - 1) * sum(s * s for s in sums.values())) / n


def effective_n(
    value: float, stderr: float | None, *, n: int, n_clusters: int, n_trials: int, confidence: float = 0.95
) -> float:
    """Independent trials that would be as informative: p(1-p)/SE², less for the few clusters SE was learnt from (K).

    Never more than the trials there were, nor than the items where successes or failures are rare (too few to learn how
    much repeats agree from). Items that are their own cluster and were asked once are n trials. At
    exactly 0 or 1 nothing can be learnt about clustering: n items, repeats not counted.
    """
    if not stderr or not 0 < value < 1:
        return float(n)
    if n_clusters == n == n_trials:
        return float(n)
    few = (z_quantile(confidence) / _t_quantile(confidence, n_clusters - 1)) ** 2
    most = n if min(value, 1 - value) * n < RARE else n_trials
    return min(float(most), value * (1 - value) / stderr**2 * few)


def wilson(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval (W); `n` may be an effective number. n = 0 says nothing: (0, 1)."""
    if n <= 0:
        return 0.0, 1.0
    z2 = z_quantile(confidence) ** 2
    p = successes / n
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    reach = sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return (0.0 if p <= 0 else max(0.0, centre - reach)), (1.0 if p >= 1 else min(1.0, centre + reach))


def macro(estimates: Sequence[Estimate], weights: Sequence[float]) -> Estimate:
    """Weighted mean of tasks, weights brought to sum 1; SE = sqrt(Σ w² SE²).

    The interval recovers each task's own, distance by distance (MOVER, Z): low = value - sqrt(Σ w² (v - low)²), high
    likewise. So a task with every item right, whose SE is 0, still adds its doubt. Unknown if any task is unknown.
    """
    if not estimates or len(estimates) != len(weights):
        raise ValueError(f"{len(estimates)} estimates, {len(weights)} weights")
    if min(weights) < 0 or sum(weights) <= 0:
        raise ValueError(f"weights must not be negative, nor all zero: {list(weights)}")
    shares = [w / sum(weights) for w in weights]
    value = _weighted(shares, [e.value for e in estimates])
    down = [None if e.value is None or e.ci_low is None else e.value - e.ci_low for e in estimates]
    up = [None if e.value is None or e.ci_high is None else e.ci_high - e.value for e in estimates]
    below, above = _root_of_squares(shares, down), _root_of_squares(shares, up)
    return Estimate(
        value=value,
        stderr=_root_of_squares(shares, [e.stderr for e in estimates]),
        ci_low=None if value is None or below is None else value - below,
        ci_high=None if value is None or above is None else value + above,
        n=sum(e.n for e in estimates),
        n_clusters=sum(e.n_clusters for e in estimates),
        n_unscored=sum(e.n_unscored for e in estimates),
        low_bound=_weighted(shares, [e.low_bound for e in estimates]),
        high_bound=_weighted(shares, [e.high_bound for e in estimates]),
        method="mover" if value is not None else "none (a task has no score)",
    )


def _weighted(shares: Sequence[float], values: Sequence[float | None]) -> float | None:
    known = [share * v for share, v in zip(shares, values, strict=True) if v is not None]
    return sum(known) if len(known) == len(values) else None


def _root_of_squares(shares: Sequence[float], values: Sequence[float | None]) -> float | None:
    known = [(share * v) ** 2 for share, v in zip(shares, values, strict=True) if v is not None]
    return sqrt(sum(known)) if len(known) == len(values) else None


def rescale_for_chance(estimate: Estimate, chance: float) -> Estimate:
    """(s - chance) / (1 - chance): 0 = guessing, 1 = perfect; worse than guessing is below 0, and not clipped."""
    if not 0 <= chance < 1:
        raise ValueError(f"chance {chance}: must be in [0, 1)")

    def moved(s: float | None) -> float | None:
        return None if s is None else (s - chance) / (1 - chance)

    return replace(
        estimate,
        value=moved(estimate.value),
        stderr=None if estimate.stderr is None else estimate.stderr / (1 - chance),
        ci_low=moved(estimate.ci_low),
        ci_high=moved(estimate.ci_high),
        low_bound=moved(estimate.low_bound),
        high_bound=moved(estimate.high_bound),
    )


def percentile_interval(xs: Sequence[float], q: float, confidence: float = 0.95) -> Percentile:
    """Percentile `q` in [0, 1] by linear interpolation, bounded by the order statistics the binomial law names.

    At least `confidence`, whatever the distribution: P(X_(r) <= x_q < X_(s)) = P(r <= Bin(n, q) <= s - 1).
    """
    import numpy as np
    from scipy.stats import binom

    if not 0 <= q <= 1:
        raise ValueError(f"q = {q}: must be in [0, 1]")
    ordered = np.sort(np.asarray(xs, dtype=float))
    n = len(ordered)
    if n == 0:
        return Percentile(value=None, ci_low=None, ci_high=None, n=0)
    tail = (1 - confidence) / 2
    below = int(binom.ppf(tail, n, q))  # smallest k with F(k) >= tail
    rank_low = below + 1 if binom.cdf(below, n, q) <= tail else below
    rank_high = int(binom.ppf(1 - tail, n, q)) + 1
    return Percentile(
        value=float(np.quantile(ordered, q)),
        ci_low=float(ordered[rank_low - 1]) if rank_low >= 1 else None,
        ci_high=float(ordered[rank_high - 1]) if rank_high <= n else None,
        n=n,
    )


class SuiteTask(Protocol):
    """What scoring needs to know of a task; `bench.catalog.SuiteTask` is one."""

    @property
    def name(self) -> str: ...
    @property
    def metric(self) -> str: ...
    @property
    def weight(self) -> float: ...
    @property
    def chance(self) -> float: ...


class Suite(Protocol):
    @property
    def tasks(self) -> Sequence[SuiteTask]: ...


def scores(samples: Sequence[Sample], suite: Suite) -> list[Score]:
    """Every metric of every task, the primary one also rescaled for chance, and the macro means.

    A refusal scores 0: the server answered, and the answer was no. Unscored is missing, not wrong. A macro mean exists
    only of a metric that all tasks of the suite have; weights are the suite's.
    """
    found: dict[str, dict[str, Estimate]] = {}
    for task in suite.tasks:
        mine = [sample for sample in samples if sample.task == task.name]
        estimates = {metric: _estimate([s for s in mine if s.metric == metric]) for metric in _metrics(mine)}
        if task.metric in estimates:
            estimates[f"{task.metric}_rescaled"] = rescale_for_chance(estimates[task.metric], task.chance)
        found[task.name] = estimates
    rows = [score(name, metric, e) for name, estimates in found.items() for metric, e in estimates.items()]
    weights = [task.weight for task in suite.tasks]
    shared = [metric for metric in next(iter(found.values()), {}) if all(metric in e for e in found.values())]
    return rows + [score("macro", metric, macro([e[metric] for e in found.values()], weights)) for metric in shared]


def _metrics(samples: Sequence[Sample]) -> list[str]:
    return list(dict.fromkeys(sample.metric for sample in samples))


def _estimate(samples: Sequence[Sample]) -> Estimate:
    values: dict[str, list[float | None]] = {}
    clusters: dict[str, str] = {}
    for sample in samples:
        value = 0.0 if sample.state == "refused" else sample.value if sample.state == "scored" else None
        values.setdefault(sample.item_id, []).append(value)
        clusters[sample.item_id] = sample.cluster or sample.item_id
    return mean_of_items(list(values.values()), [clusters[item] for item in values])


def score(task: str, metric: str, e: Estimate) -> Score:
    """The row of `score` that an estimate makes."""
    return Score(
        task=task,
        metric=metric,
        value=e.value,
        stderr=e.stderr,
        ci_low=e.ci_low,
        ci_high=e.ci_high,
        n=e.n,
        n_unscored=e.n_unscored,
        low_bound=e.low_bound,
        high_bound=e.high_bound,
        method=e.method,
    )


def z_quantile(confidence: float) -> float:
    """Half the width of an interval, in standard errors."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(0.5 + confidence / 2)


def _t_quantile(confidence: float, degrees: int) -> float:
    from scipy.stats import t

    reach = float(t.ppf(0.5 + confidence / 2, degrees)) if degrees > 0 else inf
    if not isfinite(reach):
        raise ValueError(f"no t with {degrees} degrees of freedom")
    return reach
