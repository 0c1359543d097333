"""The steady window of a load step: where its warm-up ends, and whether what follows stands still.

MSER-5 (White 1997; White, Cobb & Spratt 2000) on batch means of five finds the warm-up of each series (tokens/s,
requests under way, TTFT); the longest counts. Then the slope of each series over the rest is tested on batch means:
a drift that is both sure and large is no steady state.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from typing import TYPE_CHECKING

from bench.load.rows import BIN_NS

if TYPE_CHECKING:
    import numpy as np

BATCH = 5
SERIES = 250
"""A series is brought to about so many values."""
DRIFT = 0.15
"""Largest change over the window, as a share of the mean, that is let pass."""
BATCHES = 11
FEWEST_BATCHES = 4
SURE_T = {2: 9.92, 3: 5.84, 4: 4.60, 5: 4.03, 6: 3.71, 7: 3.50, 8: 3.36, 9: 3.25}
"""99% of Student's t, two-sided, by degrees of freedom: two less than there are batches."""
ANSWERS_PER_BATCH = 2
"""A batch is at least so many answers long: the requests under way are the same ones for the time of one."""
CLIP = 0.1
SURE_RISE = 3.0
"""Standard deviations beyond which a change of a Poisson count is none by chance."""
TOKENS, UNDER_WAY, TTFT = "tokens/s", "requests under way", "TTFT"
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
    at_ns: np.ndarray, open_loop: bool = True,
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
    answer_bins = float(np.nanmedian(over_ns - sent_ns)) / BIN_NS
    change = _changes(tokens[begin:n_bins], under_way[begin:], ttft_ns[later], answer_bins, open_loop=open_loop)
    reasons = [
        f"no steady state: {name} {'rose' if by > 0 else 'fell'} by {abs(by):.0%} over the window"
        for name, by in change.items()
        if by is not None
    ]
    if n_bins - begin < LEAST_SHARE * n_bins:
        reasons.append(f"too short: its warm-up took {begin * BIN_NS / 1e9:.1f} s of {n_bins * BIN_NS / 1e9:.1f} s")
    if (n_later := int(later.sum())) < LEAST_REQUESTS:
        reasons.append(f"only {n_later} requests of its window were answered")
    if n_bins - begin < 2 * answer_bins:
        answer_s = answer_bins * BIN_NS / 1e9
        reasons.append(f"too short: an answer takes {answer_s:.1f} s, and the window has less than two of them")
    rising = open_loop and (change[UNDER_WAY] or 0) > 0 and (change[TTFT] or 0) > 0
    return Window(start_ns=window.start_ns, end_ns=window.end_ns, reasons=tuple(reasons), rising=rising)


def _changes(
    tokens: np.ndarray, under_way: np.ndarray, ttft_ns: np.ndarray, answer_bins: float, *, open_loop: bool
) -> dict[str, float | None]:
    """What each series changed by over the window, where that is sure and large.

    In open loop requests under way, and with them tokens/s, wander by chance: in a system that stands still their
    number has the variance of a Poisson count (M/G/infinity), and only what exceeds that is a change. In closed loop
    answers come in waves, so that a batch must hold several.
    """
    if open_loop:
        mean = float(under_way.mean())
        chance = SURE_RISE * sqrt(2 / mean) if mean else inf
        return {
            TOKENS: drift(tokens, least=max(DRIFT, chance)),
            UNDER_WAY: drift(under_way, least=max(DRIFT, chance)),
            TTFT: drift(ttft_ns),
        }
    batches = int(min(BATCHES, max(FEWEST_BATCHES, len(tokens) / (ANSWERS_PER_BATCH * answer_bins + 1e-9))))
    return {TOKENS: drift(tokens, batches), UNDER_WAY: None, TTFT: drift(ttft_ns, batches)}


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
    means = means - means.mean()  # else rounding decides where nothing varies
    # Sums from the end, so that the variance of every tail costs one pass.
    tail, squares = np.cumsum(means[::-1])[::-1], np.cumsum((means**2)[::-1])[::-1]
    left = np.arange(n, 0, -1)
    errors = (squares / left - (tail / left) ** 2) / left
    return int(np.argmin(errors[: n // 2 + 1])) * BATCH


def drift(series: np.ndarray, batches: int = BATCHES, *, least: float = DRIFT) -> float | None:
    """Change over the whole series by its slope, as a share of its mean; None unless it is sure and over `least`."""
    import numpy as np

    if len(series) < 2 * batches or not series.mean():
        return None
    means = np.array([part.mean() for part in np.array_split(series, batches)])
    x = np.arange(batches) - (batches - 1) / 2
    slope = float((x * means).sum() / (x**2).sum())
    rest = means - means.mean() - slope * x
    stderr = sqrt(float((rest**2).sum()) / (batches - 2) / float((x**2).sum()))
    change = slope * batches / float(means.mean())
    return change if abs(change) > least and abs(slope) > SURE_T[batches - 2] * stderr else None


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
