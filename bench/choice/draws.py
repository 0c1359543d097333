"""What the true quality and cost of each target may be, given its items: joint draws, so that pairs stay paired.

A Bayesian bootstrap (Rubin 1981, Annals of Statistics 9:130): each draw gives every cluster of items a weight, the
same for all targets, so a difference of two columns is the paired difference. To the items come two imaginary ones, one
right and one wrong, which make it exactly the Beta posterior of a flat prior where items are right or wrong and are
asked once; K tasks share the two between them (Perks 1947), so that many tasks don't pull their mean to one half. Where
items come in clusters, deviations are widened to Student's t with C - 1 degrees of freedom (METRICS section 5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy
    import pandas

    Array = numpy.ndarray[Any, numpy.dtype[numpy.float64]]
    Codes = numpy.ndarray[Any, numpy.dtype[numpy.intp]]

MOST_DRAWS, LEAST_DRAWS, CELLS = 10_000, 2_000, 2e7


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Arrays of draws x targets; a column is NaN where a task of the use case was not measured, or has no price."""

    targets: tuple[str, ...]
    quality: Array
    usd_per_task: Array

    def quality_of(self, target: str) -> Array:
        return self.quality[:, self.targets.index(target)]

    def usd_of(self, target: str) -> Array:
        return self.usd_per_task[:, self.targets.index(target)]

    def usd_per_solved_of(self, target: str) -> Array:
        """Beyond every bound where a draw has nothing solved."""
        import numpy as np

        with np.errstate(divide="ignore"):
            return self.usd_of(target) / self.quality_of(target)


def draws(
    items: pandas.DataFrame,
    weights: Mapping[str, float],
    targets: Sequence[str],
    *,
    published: pandas.DataFrame | None = None,
    seed: int = 0,
    missing: float | None = None,
    most: int = MOST_DRAWS,
) -> Draws:
    """Draws of the weighted mean over tasks; dollars over those tasks alone that were measured here.

    `items`: one row per target, task and item: `target, task, item, cluster, value` (in [0, 1], NaN = no score), `usd`
    (NaN = unknown). `published`: `target, task, value, stderr`, drawn from a normal law within [0, 1]. `missing` fills
    in for values that are NaN: 0 and 1 bound what they could have been. At `most` so many draws.
    """
    import numpy as np

    largest = max((int(n) for n in items.groupby("task")["item"].nunique()), default=1)
    n = int(min(most, max(LEAST_DRAWS, CELLS / largest)))
    own = set(items["task"])
    shares = {task: weight / sum(weights.values()) for task, weight in weights.items()}
    paid = sum(share for task, share in shares.items() if task in own)
    quality, usd = np.zeros((n, len(targets))), np.zeros((n, len(targets)))
    for k, (task, share) in enumerate(shares.items()):
        rng = np.random.default_rng([seed, k])
        if task not in own:
            quality += share * _told(published, task, targets, n, rng)
            continue
        part = items[items["task"] == task]
        found = _of_task(part, targets, imaginary=1 / len(weights), n=n, rng=rng, missing=missing)
        quality += share * found[0]
        usd += share / paid * found[1]
    return Draws(targets=tuple(targets), quality=quality, usd_per_task=usd if paid else np.full_like(usd, np.nan))


def _told(
    published: pandas.DataFrame | None, task: str, targets: Sequence[str], n: int, rng: numpy.random.Generator
) -> Array:
    """NaN where nobody published it, or not how exact it is."""
    import numpy as np

    if published is None:
        return np.full((n, len(targets)), np.nan)
    mine = published[published["task"] == task].set_index("target")[["value", "stderr"]].reindex(list(targets))
    normal = rng.standard_normal((n, len(targets)))
    return (mine["value"].to_numpy(float) + mine["stderr"].to_numpy(float) * normal).clip(0, 1)


def _of_task(
    part: pandas.DataFrame,
    targets: Sequence[str],
    *,
    imaginary: float,
    n: int,
    rng: numpy.random.Generator,
    missing: float | None,
) -> tuple[Array, Array]:
    import numpy as np

    value, usd, clusters = _by_item(part, targets)
    if missing is not None:
        asked = _pivot(part.assign(asked=1.0), targets, "asked").reindex(value.index).notna()
        value = value.where(value.notna() | ~asked, missing)
    weights = rng.standard_exponential((n, int(clusters.max()) + 1))
    spread = rng.uniform(size=n)
    right = rng.gamma(imaginary, size=(n, len(targets)))
    wrong = rng.gamma(imaginary, size=(n, len(targets)))
    sums, counts = _per_cluster(value.to_numpy(), clusters)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (weights @ sums + right) / (weights @ counts + right + wrong)
        mean[:, counts.sum(axis=0) == 0] = np.nan
        n_clusters = (counts > 0).sum(axis=0)
        clustered = np.where(n_clusters < counts.sum(axis=0), n_clusters, 0)
        quality = np.where(clustered > 0, _widened(mean, clustered, spread), mean).clip(0, 1)
        sums, counts = _per_cluster(usd.to_numpy(), clusters)
        cost = _widened((weights @ sums) / (weights @ counts), (counts > 0).sum(axis=0), spread)
    return quality, np.maximum(cost, 0)


def _by_item(part: pandas.DataFrame, targets: Sequence[str]) -> tuple[pandas.DataFrame, pandas.DataFrame, Codes]:
    """Values and dollars as items x targets, and the number of each item's cluster."""
    import pandas as pd

    value = _pivot(part, targets, "value")
    cluster = part.drop_duplicates("item").set_index("item")["cluster"].reindex(value.index)
    return value, _pivot(part, targets, "usd"), pd.factorize(cluster)[0]


def _pivot(part: pandas.DataFrame, targets: Sequence[str], column: str) -> pandas.DataFrame:
    return part.pivot(index="item", columns="target", values=column).reindex(columns=list(targets)).astype(float)


def _per_cluster(values: Array, clusters: Codes) -> tuple[Array, Array]:
    """Sums and counts of what is known, as clusters x targets."""
    import numpy as np

    sums = np.zeros((int(clusters.max()) + 1, values.shape[1]))
    counts = np.zeros_like(sums)
    np.add.at(sums, clusters, np.nan_to_num(values))
    np.add.at(counts, clusters, ~np.isnan(values))
    return sums, counts


def _widened(mean: Array, n_clusters: Array, spread: Array) -> Array:
    """Deviations of a bootstrap over C clusters, whose variance is Σd²/(C(C+1)), brought to those of t: NaN for one."""
    import numpy as np
    from scipy.stats import chi2

    wide = np.full_like(mean, np.nan)
    centre = mean.mean(axis=0)
    for c in {int(c) for c in n_clusters} - {0, 1}:
        mine = n_clusters == c
        factor = np.sqrt((c + 1) / chi2.ppf(spread, c - 1))[:, None]
        wide[:, mine] = centre[mine] + (mean[:, mine] - centre[mine]) * factor
    return wide
