"""The steady window of a load step: where its warm-up ends, and whether what follows stands still.

MSER-5 (White 1997; White, Cobb & Spratt 2000) on batch means of five finds the warm-up of each series (tokens/s,
requests under way, TTFT); the longest counts. Then the slope of each series over the rest is tested on batch means:
a drift that is both sure and large is no steady state.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from bench.load.rows import BIN_NS

if TYPE_CHECKING:
    import numpy as np

BATCH = 5
SERIES = 250
"""A series is brought to about so many values."""
DRIFT = 0.15
"""Largest change over the window, as a share of the mean, that is let pass."""
SURE_T = 3.25
"""t of a slope on batch means, 9 degrees of freedom: 99%."""
BATCHES = 11
CLIP = 0.1
LEAST_SHARE = 0.3
"""A window shorter than this share of the step says that the step was too short."""
LEAST_REQUESTS = 10


@dataclass(frozen=True, kw_only=True)
class Window:
    """Where the step stood still, on the clock of the stamps, or why it did not."""

    start_ns: int | None
    end_ns: int | None
    reasons: tuple[str, ...]
    rising: bool = False
    """Requests pile up: the target gets more than it can do."""


def find(
    *, start_ns: int, end_ns: int, tokens: np.ndarray, sent_ns: np.ndarray, over_ns: np.ndarray, ttft_ns: np.ndarray,
    at_ns: np.ndarray,
) -> Window:  # fmt: skip
    """The window of a step from `start_ns` to `end_ns`.

    tokens (b,): output tokens by bin of `BIN_NS`. sent_ns, over_ns (n,): of each request, NaN where it never was.
    at_ns, ttft_ns (m,): when requests were due and their TTFT.
    """
    import numpy as np

    n_bins = (end_ns - start_ns) // BIN_NS
    if n_bins < 4 * BATCH:
        return Window(start_ns=None, end_ns=None, reasons=(f"shorter than {4 * BATCH * BIN_NS / 1e9:g} s",))
    under_way = inflight(sent_ns, over_ns, start_ns, n_bins)
    inside = (at_ns < end_ns) & ~np.isnan(ttft_ns)
    order = np.argsort(at_ns[inside], kind="stable")
    at_ns, ttft_ns = at_ns[inside][order], ttft_ns[inside][order]
    if len(at_ns) < LEAST_REQUESTS:
        return Window(start_ns=None, end_ns=None, reasons=(f"only {len(at_ns)} requests were answered in it",))
    coarse = max(1, n_bins // SERIES)
    ends = [mser(_means(series[:n_bins], coarse)) * coarse * BIN_NS for series in (tokens, under_way)]
    by_request = max(1, len(ttft_ns) // SERIES)
    first = mser(_means(ttft_ns, by_request)) * by_request
    ends.append(int(at_ns[min(first, len(at_ns) - 1)]) - start_ns if first else 0)
    begin = -(-max(ends) // BIN_NS)
    window = Window(start_ns=start_ns + begin * BIN_NS, end_ns=start_ns + n_bins * BIN_NS, reasons=())
    later = at_ns >= start_ns + begin * BIN_NS
    drifts = {
        "tokens/s": drift(tokens[begin:n_bins]),
        "requests under way": drift(under_way[begin:]),
        "TTFT": drift(ttft_ns[later]),
    }
    reasons = [
        f"no steady state: {name} {'rose' if change > 0 else 'fell'} by {abs(change):.0%} over the window"
        for name, change in drifts.items()
        if change is not None
    ]
    if n_bins - begin < LEAST_SHARE * n_bins:
        reasons.append(f"too short: its warm-up took {begin * BIN_NS / 1e9:.1f} s of {n_bins * BIN_NS / 1e9:.1f} s")
    rising = (drifts["requests under way"] or 0) > 0
    return Window(start_ns=window.start_ns, end_ns=window.end_ns, reasons=tuple(reasons), rising=rising)


def mser(series: np.ndarray) -> int:
    """Values to leave out at the beginning, by MSER-5: the cut d that makes s²/(n-d) smallest, at most half.

    Of values clipped to their middle 80%: a level that is still being reached moves those too, a stall of the server
    does not, and must not be cut off as if it were a warm-up.
    """
    import numpy as np

    means = _means(series, BATCH)
    n = len(means)
    if n < 4:
        return 0
    means = np.clip(means, *np.quantile(means, (CLIP, 1 - CLIP)))
    # Sums from the end, so that the variance of every tail costs one pass.
    tail, squares = np.cumsum(means[::-1])[::-1], np.cumsum((means**2)[::-1])[::-1]
    left = np.arange(n, 0, -1)
    errors = (squares / left - (tail / left) ** 2) / left
    return int(np.argmin(errors[: n // 2 + 1])) * BATCH


def drift(series: np.ndarray) -> float | None:
    """Change over the whole series by its slope, as a share of its mean; None unless it is sure and large."""
    import numpy as np

    if len(series) < 2 * BATCHES or not series.mean():
        return None
    means = np.array([part.mean() for part in np.array_split(series, BATCHES)])
    x = np.arange(BATCHES) - (BATCHES - 1) / 2
    slope = float((x * means).sum() / (x**2).sum())
    rest = means - means.mean() - slope * x
    stderr = sqrt(float((rest**2).sum()) / (BATCHES - 2) / float((x**2).sum()))
    change = slope * BATCHES / float(means.mean())
    return change if abs(change) > DRIFT and abs(slope) > SURE_T * stderr else None


def inflight(sent_ns: np.ndarray, over_ns: np.ndarray, start_ns: int, n_bins: int) -> np.ndarray:
    """Requests under way at the middle of each bin (n_bins,)."""
    import numpy as np

    known = ~np.isnan(sent_ns) & ~np.isnan(over_ns)
    middles = start_ns + (np.arange(n_bins) + 0.5) * BIN_NS
    begun = np.searchsorted(np.sort(sent_ns[known]), middles, side="right")
    return (begun - np.searchsorted(np.sort(over_ns[known]), middles, side="right")).astype(np.float64)


def _means(series: np.ndarray, size: int) -> np.ndarray:
    n = len(series) // size
    means: np.ndarray = series[: n * size].reshape(n, size).mean(axis=1) if n else series[:0]
    return means
