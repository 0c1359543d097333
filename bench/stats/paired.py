"""Two targets on the same items: the difference, how sure it is, and what difference could have been seen.

Sources, by the letters used below
  M   Miller 2024, Adding error bars to evals, arXiv:2411.00640: paired, clustered standard error, t with C - 1 degrees
  P   Bonett & Price 2012, J. Educational and Behavioral Statistics 37:479: two pseudo-pairs, one won and one lost
  F   Fagerland, Lydersen & Laake 2013, BMC Medical Research Methodology 13:91: the mid-p McNemar test
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.stats import RARE
from bench.stats.power import detectable, t_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Items that both were asked, one place each in every array."""

    a: Floats
    """Mean over the repeats that have a score, in [0, 1]; NaN = none has."""
    b: Floats
    clusters: Ints
    """Any integers; equal = not independent."""
    repeats_a: Ints
    repeats_b: Ints
    unscored_a: Ints
    """Of the repeats."""
    unscored_b: Ints

    @property
    def unscored_share(self) -> float:
        """Of the samples of the side that has more of them: over 2%, no verdict (METRICS section 5)."""
        shares = (_share(self.unscored_a, self.repeats_a), _share(self.unscored_b, self.repeats_b))
        return max(shares)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """What the differences of one task say of their own spread."""

    stderr: float
    """Clustered (M), with nothing added."""
    effect: float
    """Design effect: how many items are worth one independent one, from 1 to the size of a cluster."""
    unusual: float
    """Independent items whose difference isn't the most common one; under RARE the spread is hardly known."""

    @property
    def known(self) -> bool:
        return self.unusual >= RARE


@dataclass(frozen=True, kw_only=True)
class Paired:
    """A minus B. None = can't be said; never 0 instead."""

    difference: float | None
    """Mean over the items that both have a score of (complete cases)."""
    stderr: float | None
    """The one that interval, p and mde are made from."""
    ci_low: float | None
    ci_high: float | None
    p: float | None
    """Two-sided, of no difference."""
    degrees: float
    a: float | None
    """A's mean over the same items."""
    b: float | None
    correlation: float | None
    """Of the two targets' items: the higher, the more pairing has bought."""
    mde_80: float | None
    """Minimal detectable effect: the true difference that such a comparison finds in 80% of its repetitions."""
    mcnemar_p: float | None
    """Mid-p McNemar (F); only of items asked once, right or wrong, each its own cluster."""
    n: int
    """Items with a score on both sides."""
    n_clusters: int
    n_unscored: int
    """Samples of either side."""
    unscored_share: float
    low_bound: float | None
    """All that A misses wrong, all that B misses right."""
    high_bound: float | None
    method: str
    """`clustered-t`, `clustered-t with pseudo-pairs`, `macro` or `none (why)`."""
    spread: Spread | None = None
    boot_low: float | None = None
    """Percentiles of the cluster bootstrap: a check, no verdict hangs on it."""
    boot_high: float | None = None


def of_means(a: ArrayLike, b: ArrayLike, clusters: ArrayLike | None = None) -> Pairs:
    """Pairs of items asked once, or of means whose repeats all have a score; NaN = unscored."""
    import numpy as np

    left, right = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    codes = np.arange(len(left)) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    if not len(left) == len(right) == len(codes):
        raise ValueError(f"{len(left)} and {len(right)} items, {len(codes)} clusters")
    once = np.ones(len(left), dtype=np.int64)
    return Pairs(
        a=left,
        b=right,
        clusters=codes.astype(np.int64),
        repeats_a=once,
        repeats_b=once,
        unscored_a=np.isnan(left).astype(np.int64),
        unscored_b=np.isnan(right).astype(np.int64),
    )


def paired(pairs: Pairs, *, confidence: float = 0.95) -> Paired:
    """Mean over items of A's mean over repeats less B's, with the clustered standard error of the differences (M).

    Where the two differ on too few items to learn a variance from, the standard error is that of the sample with two
    pseudo-pairs more (P): nobody is proven equal by having agreed on ten items.
    """
    import numpy as np

    both = ~(np.isnan(pairs.a) | np.isnan(pairs.b))
    a, b = pairs.a[both], pairs.b[both]
    codes = np.unique(pairs.clusters[both], return_inverse=True)[1]
    n, n_clusters = len(a), int(codes.max()) + 1 if len(codes) else 0
    low_bound, high_bound = _bounds(pairs)
    spread = spread_of(a - b, codes)
    stderr, method = (
        (spread.stderr, "clustered-t") if spread else (None, f"none ({'one cluster' if n else 'no scores'})")
    )
    if spread and not spread.known:
        stderr = max(spread.stderr, _with_pseudo_pairs(a - b, codes, spread.effect))
        method = "clustered-t with pseudo-pairs"
    difference = float(np.mean(a - b)) if n else None
    degrees = float(n_clusters - 1)
    low, high, p = interval(difference, stderr, degrees, confidence)
    return Paired(
        difference=difference,
        stderr=stderr,
        ci_low=low,
        ci_high=high,
        p=p,
        degrees=degrees,
        a=float(np.mean(a)) if n else None,
        b=float(np.mean(b)) if n else None,
        correlation=_correlation(a, b),
        mde_80=None if stderr is None else detectable(stderr, degrees, confidence=confidence),
        mcnemar_p=_mcnemar(pairs, a, b, n_clusters),
        n=n,
        n_clusters=n_clusters,
        n_unscored=int(pairs.unscored_a.sum() + pairs.unscored_b.sum()),
        unscored_share=pairs.unscored_share,
        low_bound=low_bound,
        high_bound=high_bound,
        method=method,
        spread=spread,
    )


def interval(
    difference: float | None, stderr: float | None, degrees: float, confidence: float, reach: float = 1.0
) -> tuple[float | None, float | None, float | None]:
    """Low, high and the two-sided p of one t test, so that p and interval never disagree; ends within +-`reach`."""
    if difference is None or stderr is None:
        return None, None, None
    from scipy.special import stdtr

    half = t_quantile(0.5 + confidence / 2, degrees) * stderr
    p = 2 * float(stdtr(degrees, -abs(difference) / stderr))
    return max(-reach, difference - half), min(reach, difference + half), p


def spread_of(d: Floats, codes: Ints) -> Spread | None:
    """sqrt(C/(C-1) sum_c (sum_{i in c} (d_i - mean))^2) / n, and how well it is known; None with under two clusters."""
    import numpy as np

    n, size, total = len(d), np.bincount(codes), np.bincount(codes, d)
    if len(size) < 2:
        return None
    mean = d.mean()
    plain = len(size) / (len(size) - 1) * float(((total - size * mean) ** 2).sum()) / n**2
    alone = float(((d - mean) ** 2).sum()) / (n - 1) / n
    effect = min(max(plain / alone, 1.0), n / len(size)) if alone > 0 else 1.0
    unusual = n - int((np.abs(d - np.median(d)) < 1e-12).sum())
    return Spread(stderr=plain**0.5, effect=effect, unusual=unusual / effect)


def _with_pseudo_pairs(d: Floats, codes: Ints, weight: float) -> float:
    """The clustered standard error with two clusters more, +1 and -1, each of `weight` items: one independent one."""
    import numpy as np

    size, total = np.bincount(codes), np.bincount(codes, d)
    n, c = len(d) + 2 * weight, len(size) + 2
    mean = float(d.sum()) / n
    spread = float(((total - size * mean) ** 2).sum()) + weight**2 * ((1 - mean) ** 2 + (1 + mean) ** 2)
    return float((c / (c - 1) * spread) ** 0.5) / n


def _bounds(pairs: Pairs) -> tuple[float | None, float | None]:
    import numpy as np

    if not len(pairs.a):
        return None, None

    def ends(mean: Floats, repeats: Ints, unscored: Ints) -> tuple[Floats, Floats]:
        known = np.nan_to_num(mean) * (repeats - unscored)
        return known / repeats, (known + unscored) / repeats

    low_a, high_a = ends(pairs.a, pairs.repeats_a, pairs.unscored_a)
    low_b, high_b = ends(pairs.b, pairs.repeats_b, pairs.unscored_b)
    return float(np.mean(low_a - high_b)), float(np.mean(high_a - low_b))


def _share(some: Ints, of_all: Ints) -> float:
    total = int(of_all.sum())
    return int(some.sum()) / total if total else 0.0


def _correlation(a: Floats, b: Floats) -> float | None:
    if len(a) < 2 or a.min() == a.max() or b.min() == b.max():
        return None
    x, y = a - a.mean(), b - b.mean()
    return float((x * y).sum() / ((x**2).sum() * (y**2).sum()) ** 0.5)


def _mcnemar(pairs: Pairs, a: Floats, b: Floats, n_clusters: int) -> float | None:
    import numpy as np

    asked_once = pairs.repeats_a.max(initial=1) == pairs.repeats_b.max(initial=1) == 1
    if not len(a) or not asked_once or n_clusters < len(a) or not np.isin([a, b], (0.0, 1.0)).all():
        return None
    return midp_mcnemar(int((a > b).sum()), int((a < b).sum()))


def midp_mcnemar(won: int, lost: int) -> float:
    """Two-sided mid-p of `won` against `lost` discordant pairs (F): the exact binomial test, less half of what was
    observed."""
    from scipy.special import bdtr

    n, few = won + lost, min(won, lost)
    if n == 0:
        return 1.0
    at_most = float(bdtr(few, n, 0.5))
    observed = at_most - (float(bdtr(few - 1, n, 0.5)) if few else 0.0)
    return 1 - observed / 2 if won == lost else 2 * at_most - observed
