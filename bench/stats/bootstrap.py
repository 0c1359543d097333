"""The cluster bootstrap of a paired difference: a check that believes in no formula."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bench.stats.paired import Paired, Pairs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DRAWS = 2_000
GROUPS = 1_000
"""A bootstrap of more different clusters than this draws random groups of them: a check needs no more."""


def bootstrap(pairs: Pairs, *, draws: int = DRAWS, seed: int = 0) -> Floats:
    """Differences of `draws` samples of clusters, drawn with replacement; empty where there are none to draw.

    Clusters of the same size and the same sum are drawn together, as many as the multinomial law says: the same
    distribution, and a million items take no longer than a hundred.
    """
    import numpy as np

    both = ~(np.isnan(pairs.a) | np.isnan(pairs.b))
    codes = np.unique(pairs.clusters[both], return_inverse=True)[1]
    if not len(codes):
        return np.empty(0)
    dice = np.random.default_rng(seed)
    d = pairs.a[both] - pairs.b[both]
    size, total, count = _alike(np.bincount(codes), np.bincount(codes, d))
    if len(size) > GROUPS:
        group = dice.permutation(np.arange(codes.max() + 1) % GROUPS)[codes]
        size, total, count = np.bincount(group), np.bincount(group, d), np.ones(GROUPS)
    drawn = dice.multinomial(int(count.sum()), count / count.sum(), size=draws)
    means: Floats = (drawn @ total) / (drawn @ size)
    return means


def _alike(size: Any, total: Any) -> tuple[Any, Any, Any]:
    """Clusters of the same size and sum (to a millionth) as one, and how many they are."""
    import numpy as np

    key = size.astype(np.int64) * (1 << 40) + np.round(total * (1 << 20)).astype(np.int64)
    _, first, count = np.unique(key, return_index=True, return_counts=True)
    return size[first], total[first], count


def with_bootstrap(found: Paired, draws: Floats, confidence: float) -> Paired:
    """With the middle `confidence` of the draws beside its interval."""
    import numpy as np

    if not len(draws):
        return found
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return replace(found, boot_low=float(low), boot_high=float(high))
