"""Best of these against best of those: the gap of two maxima, without the luck that choosing them adds.

The best of many noisy scores is better than that model is, and the more models a side has the more so. Two remedies:
  cross-fit  half of the clusters choose the frontier model of each side, the other half estimate it, both ways; the
             mean over several splits, its variance theirs and that among them. Chernozhukov et al. 2018, Econometrics
             Journal 21:C1, definition 3.3
  bootstrap  every draw chooses anew; the interval is the reflected one (2 gap - quantiles), which takes the bias off
             once. Efron & Tibshirani 1993, An Introduction to the Bootstrap, section 13.4
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bench.stats.paired import interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

SPLITS = 50
DRAWS = 1_000


@dataclass(frozen=True, kw_only=True)
class FrontierGap:
    """Best closed less best open, in [-1, 1]. None = can't be said."""

    method: Literal["naive", "cross-fit", "bootstrap"]
    gap: float | None
    stderr: float | None
    ci_low: float | None
    ci_high: float | None
    closed: str | None
    """The model that was chosen; the most often chosen one, where it was chosen several times."""
    open: str | None
    closed_share: float
    """How often it was."""
    open_share: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Items:
    """Scores of several models on the same items, summed by cluster; a cluster belongs to one task."""

    names: tuple[str, ...]
    totals: Floats
    """clusters x models: sums of the scores there are."""
    counts: Floats
    """clusters x models: how many there are."""
    tasks: NDArray[np.int64]
    """Of each cluster."""
    weights: Floats
    """Of each task, of sum 1."""


def items(
    values: ArrayLike,
    clusters: ArrayLike,
    tasks: ArrayLike,
    *,
    names: tuple[str, ...],
    weights: ArrayLike | None = None,
) -> Items:
    """`values[i, m]` is model m's mean over the repeats of item i, NaN = unscored; tasks are numbered from 0."""
    import numpy as np

    scores, task = np.asarray(values, dtype=float), np.asarray(tasks, dtype=np.int64)
    _, first, codes = np.unique(
        np.column_stack([task, np.unique(np.asarray(clusters), return_inverse=True)[1]]),
        axis=0,
        return_index=True,
        return_inverse=True,
    )
    codes, known = codes.ravel(), ~np.isnan(scores)
    totals, counts = np.zeros((len(first), len(names))), np.zeros((len(first), len(names)))
    np.add.at(totals, codes, np.nan_to_num(scores))
    np.add.at(counts, codes, known)
    share = np.ones(int(task.max()) + 1) if weights is None else np.asarray(weights, dtype=float)
    return Items(names=names, totals=totals, counts=counts, tasks=task[first], weights=share / share.sum())


def frontier_gaps(
    found: Items,
    is_open: ArrayLike,
    *,
    confidence: float = 0.95,
    splits: int = SPLITS,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[FrontierGap]:
    """The naive gap, the cross-fitted one, and the bootstrap of the whole arg-max, in that order.

    ValueError without a model on either side, or with a task of fewer than four clusters: halves need two each.
    """
    import numpy as np

    opened = np.asarray(is_open, dtype=bool)
    if opened.all() or not opened.any():
        raise ValueError("a gap needs a model on either side")
    if np.bincount(found.tasks, minlength=len(found.weights)).min() < 4:
        raise ValueError(
            "a task has fewer than 4 clusters: too few to choose with one half and estimate with the other"
        )
    dice = np.random.default_rng(seed)
    degrees = float(len(found.tasks) - len(found.weights))
    return [
        _naive(found, opened, degrees, confidence),
        _cross_fit(found, opened, degrees, confidence, splits, dice),
        _bootstrap(found, opened, confidence, draws, dice),
    ]


def _means(found: Items, times: Floats) -> tuple[Floats, Floats]:
    """Macro score of each model, and its means by task, with every cluster taken `times` over."""
    import numpy as np

    taken = np.zeros((len(found.weights), len(times)))
    taken[found.tasks, np.arange(len(times))] = times
    counts = taken @ found.counts
    means = np.divide(taken @ found.totals, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    return found.weights @ means, means


def _best(scores: Floats, opened: NDArray[np.bool_]) -> tuple[int, int]:
    """(closed, open)."""
    import numpy as np

    closed = np.where(opened | np.isnan(scores), -np.inf, scores)
    return int(np.argmax(closed)), int(np.argmax(np.where(~opened | np.isnan(scores), -np.inf, scores)))


def _influence(found: Items, times: Floats, closed: int, opened: int) -> Floats:
    """How much each cluster moves the gap of two given models: the clustered standard error is made of these."""
    import numpy as np

    _, means = _means(found, times)
    moved = np.zeros(len(times))
    for model, sign in ((closed, 1.0), (opened, -1.0)):
        seen = np.bincount(found.tasks, times * found.counts[:, model], minlength=len(found.weights))
        off = found.totals[:, model] - found.counts[:, model] * means[found.tasks, model]
        moved += sign * times * (found.weights / seen)[found.tasks] * off
    return moved


def _stderr(found: Items, moved: Floats) -> float:
    import numpy as np

    n = np.bincount(found.tasks)
    return float(np.sqrt((np.bincount(found.tasks, moved**2) * n / (n - 1)).sum()))


def _told(
    method: Any, gap: float, stderr: float, ends: tuple[Any, Any], found: Items, chosen: list[tuple[int, int]]
) -> FrontierGap:
    from collections import Counter

    (closed, n_closed), (opened, n_opened) = (
        Counter(pair[side] for pair in chosen).most_common(1)[0] for side in (0, 1)
    )
    return FrontierGap(
        method=method,
        gap=gap,
        stderr=stderr,
        ci_low=ends[0],
        ci_high=ends[1],
        closed=found.names[closed],
        open=found.names[opened],
        closed_share=n_closed / len(chosen),
        open_share=n_opened / len(chosen),
    )


def _naive(found: Items, opened: NDArray[np.bool_], degrees: float, confidence: float) -> FrontierGap:
    import numpy as np

    once = np.ones(len(found.tasks))
    scores, _ = _means(found, once)
    best = _best(scores, opened)
    gap = float(scores[best[0]] - scores[best[1]])
    stderr = _stderr(found, _influence(found, once, *best))
    low, high, _ = interval(gap, stderr, degrees, confidence)
    return _told("naive", gap, stderr, (low, high), found, [best])


def _cross_fit(
    found: Items, opened: NDArray[np.bool_], degrees: float, confidence: float, splits: int, dice: np.random.Generator
) -> FrontierGap:
    import numpy as np

    gaps, variances, chosen = [], [], []
    for _ in range(splits):
        half, both, moved = _half(found, dice), 0.0, np.zeros(len(found.tasks))
        for chooser in (half, 1 - half):
            best = _best(_means(found, chooser)[0], opened)
            scores, _ = _means(found, 1 - chooser)
            both += float(scores[best[0]] - scores[best[1]]) / 2
            moved += _influence(found, 1 - chooser, *best) / 2
            chosen.append(best)
        gaps.append(both)
        variances.append(_stderr(found, moved) ** 2)
    gap = float(np.mean(gaps))
    stderr = float(np.sqrt(np.mean(variances) + np.var(gaps)))
    low, high, _ = interval(gap, stderr, degrees, confidence)
    return _told("cross-fit", gap, stderr, (low, high), found, chosen)


def _half(found: Items, dice: np.random.Generator) -> Floats:
    """1 for half of the clusters of every task, 0 for the others; an odd one goes to either."""
    import numpy as np

    order = np.lexsort((dice.random(len(found.tasks)), found.tasks))
    sizes = np.bincount(found.tasks)
    place = (
        np.arange(len(order))
        - np.repeat(np.cumsum(sizes) - sizes, sizes)
        + np.repeat(dice.integers(2, size=len(sizes)), sizes)
    )
    half = np.empty(len(order))
    half[order] = place % 2
    return half


def _bootstrap(
    found: Items, opened: NDArray[np.bool_], confidence: float, draws: int, dice: np.random.Generator
) -> FrontierGap:
    import numpy as np

    scores, _ = _means(found, np.ones(len(found.tasks)))
    best = _best(scores, opened)
    gap = float(scores[best[0]] - scores[best[1]])
    drawn, chosen = np.empty(draws), []
    places = [np.flatnonzero(found.tasks == t) for t in range(len(found.weights))]
    for k in range(draws):
        times = np.zeros(len(found.tasks))
        for place in places:
            times[place] = dice.multinomial(len(place), np.full(len(place), 1 / len(place)))
        again, _ = _means(found, times)
        pair = _best(again, opened)
        drawn[k] = again[pair[0]] - again[pair[1]]
        chosen.append(pair)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    corrected = 2 * gap - float(np.mean(drawn))
    return _told(
        "bootstrap",
        corrected,
        float(np.std(drawn, ddof=1)),
        (2 * gap - float(high), 2 * gap - float(low)),
        found,
        chosen,
    )
