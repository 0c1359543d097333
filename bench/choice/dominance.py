"""Which targets are on the front of quality against cost, and how likely it is that another is better and cheaper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, numpy.dtype[numpy.float64]]
    Bools = numpy.ndarray[Any, numpy.dtype[numpy.bool_]]


def on_front(quality: Array, usd: Array) -> Bools:
    """Whether no other is as good and as cheap, and better in one of the two; NaN is on no front."""
    import numpy as np

    found: Bools = ~(np.isnan(quality) | np.isnan(usd) | _beaten(quality[None, :], usd[None, :])[0])
    return found


def dominated(quality: Array, usd: Array) -> Array:
    """P(another is better and no dearer, or as good and cheaper) of each target; arrays of draws x targets.

    NaN where the target's own quality or cost is not known; others that are not known dominate nobody.
    """
    import numpy as np

    share = _beaten(quality, usd).mean(axis=0)
    unknown = np.isnan(quality).any(axis=0) | np.isnan(usd).any(axis=0)
    return np.where(unknown, np.nan, share)


def edge(quality: Array, usd: Array, at_usd: Array, sure: float = 0.9) -> Array:
    """At each cost the quality below which something would be dominated with at least that probability, or NaN."""
    import numpy as np

    found = np.full(len(at_usd), np.nan)
    for k, limit in enumerate(at_usd):
        best = np.where(usd <= limit, quality, -np.inf).max(axis=1)
        level = float(np.quantile(best, 1 - sure, method="lower"))
        found[k] = level if np.isfinite(level) else np.nan
    return found


def _beaten(quality: Array, usd: Array) -> Bools:
    import numpy as np

    beaten = np.zeros(quality.shape, dtype=bool)
    for k in range(quality.shape[1]):
        no_worse = (quality >= quality[:, [k]]) & (usd <= usd[:, [k]])
        better = (quality > quality[:, [k]]) | (usd < usd[:, [k]])
        beaten[:, k] = (no_worse & better).any(axis=1)
    return beaten
