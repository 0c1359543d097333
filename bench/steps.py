"""One load step's requests -> its percentiles, each with an interval. Pure functions over numpy arrays.

METRICS section 2: linear interpolation, order-statistic intervals; only the steady window's answered requests count,
failures are counted apart, and what can't be said is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from bench.records import ANSWERED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]
    Mask: TypeAlias = NDArray[np.bool_]

LATENCIES = ("ttft_ms", "ttft_sched_ms", "ttfat_ms", "tpot_ms", "e2e_ms")
PERCENTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999))
ENOUGH = {"p99": 500, "p999": 5_000}
"""Requests from which a percentile is shown plain; below it p99 is marked (`…_few`) and p99.9 isn't said."""
COUNTS = ("n", "n_window", "n_window_failed", "n_window_cancelled")
MEANS = ("in_tokens_mean", "out_tokens_mean", "tokens_per_chunk", "in_cached_share")
CONFIDENCE = 0.95


def is_open(step: Mapping[str, Any]) -> bool:
    """Whether the step's arrivals did not wait for answers."""
    return not str(step["arrivals"]).startswith("closed")


def headline(step: Mapping[str, Any]) -> str:
    """The latency to quote: from the intended time in open loop, which hides no queueing of our own."""
    return "ttft_sched_ms" if is_open(step) else "ttft_ms"


def columns() -> tuple[str, ...]:
    """What `figures` adds to a step's row, less the `compat.*` figures, in its order."""
    names = ["headline", *COUNTS, *MEANS]
    for latency in LATENCIES:
        names += [f"{latency}_n", *(name for key, _ in PERCENTILES for name in _names(latency, key))]
    names += ["chunk_gap_ms_n", "chunk_gap_ms_p50", "chunk_gap_ms_p95", "chunk_gap_ms_p99"]
    names += ["chunk_gap_max_ms_n", "chunk_gap_max_ms_max"]
    names += [name for key, _ in PERCENTILES[:3] for name in _names("chunk_gap_max_ms", key)]
    names += [name for key in ("p50", "p5") for name in _names("decode_tps", key)]
    return tuple(names)


def in_window(step: Mapping[str, Any], requests: Mapping[str, Array]) -> Mask:
    """Which requests belong to the steady window: those due (open loop) or sent (closed) in it; none without one."""
    import numpy as np

    stamps: Array = requests["sched_ns" if is_open(step) else "sent_ns"]
    low, high = step.get("window_start_ns"), step.get("window_end_ns")
    if low is None or high is None:
        return np.zeros(len(stamps), dtype=bool)
    inside: Mask = (stamps >= low) & (stamps < high)
    return inside


def figures(step: Mapping[str, Any], requests: Mapping[str, Array]) -> dict[str, Any]:
    """The step's row and what its requests say: `columns()`, then `compat.*`; plain Python values, None = unknown.

    `requests`: one array per column of the view `latency` and the stamps and counts of `request`, NaN = unknown;
    `status` holds texts; `chunk_gaps_ms` (of each request its gaps between token-bearing events) may be absent.
    A percentile `ttft_ms_p95` has `ttft_ms_p95_low` and `…_high`, the ends of its 95% interval; `ttft_ms_p99_few` says
    that fewer than 500 requests made it. `n` = answered requests of the window, the sample of every percentile.
    """
    window = in_window(step, requests)
    answered = window & _is(requests["status"], ANSWERED)
    found: dict[str, Any] = {"headline": headline(step), **_counts(requests, window, answered)}
    found |= _means(requests, answered)
    for latency in LATENCIES:
        found |= _percentiles(latency, requests[latency][answered], PERCENTILES)
    found |= _gaps(requests, answered)
    found |= _percentiles("decode_tps", requests["decode_tps"][answered], (("p50", 0.5), ("p5", 0.05)))
    return {**step, **{name: found.get(name) for name in columns()}, **_compat(step, requests)}


def _counts(requests: Mapping[str, Array], window: Mask, answered: Mask) -> dict[str, int]:
    cut = window & _is(requests["status"], {"cancelled"})
    return {
        "n": int(answered.sum()),
        "n_window": int(window.sum()),
        "n_window_failed": int((window & ~answered & ~cut).sum()),
        "n_window_cancelled": int(cut.sum()),
    }


def _means(requests: Mapping[str, Array], answered: Mask) -> dict[str, float | None]:
    """Sums over sums: a request without a count says nothing about the share."""
    asked, cached, told, chunks = (
        requests[name][answered] for name in ("in_tokens", "in_cached_tokens", "out_tokens", "chunks")
    )
    return {
        "in_tokens_mean": _mean(asked),
        "out_tokens_mean": _mean(told),
        "tokens_per_chunk": _ratio(told, chunks),
        "in_cached_share": _ratio(cached, asked),
    }


def longest_gaps_ms(gaps_ms: Sequence[Any]) -> Array:
    """The longest silence inside each answer; NaN where it came in one piece."""
    import numpy as np

    return np.array([np.max(gaps) if len(gaps) else np.nan for gaps in gaps_ms], dtype=float)


def _gaps(requests: Mapping[str, Any], answered: Mask) -> dict[str, Any]:
    """Stalls with intervals; the pooled gaps without: those of one answer depend on each other."""
    import numpy as np

    if "chunk_gaps_ms" not in requests:
        return {}
    mine = [np.asarray(requests["chunk_gaps_ms"][i], dtype=float) for i in np.flatnonzero(answered)]
    pooled, longest = np.concatenate([[], *mine]), _known(longest_gaps_ms(mine))
    found: dict[str, Any] = {"chunk_gap_ms_n": len(pooled)}
    if len(pooled):
        quantiles = np.quantile(pooled, [q for _, q in PERCENTILES[:3]])
        found |= {f"chunk_gap_ms_{key}": float(v) for (key, _), v in zip(PERCENTILES[:3], quantiles, strict=True)}
        found["chunk_gap_max_ms_max"] = float(longest.max())
    return found | _percentiles("chunk_gap_max_ms", longest, PERCENTILES[:3])


def _mean(values: Array) -> float | None:
    known = _known(values)
    return float(known.mean()) if len(known) else None


def _ratio(above: Array, below: Array) -> float | None:
    import numpy as np

    both = ~np.isnan(above) & ~np.isnan(below)
    total = float(below[both].sum())
    return float(above[both].sum()) / total if total > 0 else None


def _is(statuses: Any, wanted: frozenset[str] | set[str]) -> Mask:
    import numpy as np

    return np.isin(np.asarray(statuses, dtype=str), sorted(wanted))


def _known(values: Any) -> Array:
    import numpy as np

    found: Array = np.asarray(values, dtype=float)
    return found[~np.isnan(found)]


# --------------------------------------------------------------------------------------------------------- percentiles


def _names(quantity: str, key: str) -> list[str]:
    """`ttft_ms_p99`, its interval's ends, and the mark of a small sample where there is one."""
    name = f"{quantity}_{key}"
    return [name, f"{name}_low", f"{name}_high", *([f"{name}_few"] if key == "p99" else [])]


def _percentiles(quantity: str, values: Array, wanted: tuple[tuple[str, float], ...]) -> dict[str, Any]:
    import numpy as np

    ordered = np.sort(_known(values))
    found: dict[str, Any] = {f"{quantity}_n": len(ordered)}
    for key, q in wanted:
        if not len(ordered) or (key == "p999" and len(ordered) < ENOUGH[key]):
            continue
        name = f"{quantity}_{key}"
        found[name] = float(np.quantile(ordered, q))
        low, high = interval_ranks(len(ordered), q)
        found[f"{name}_low"] = float(ordered[low - 1]) if low is not None else None
        found[f"{name}_high"] = float(ordered[high - 1]) if high is not None else None
        if key == "p99":
            found[f"{name}_few"] = len(ordered) < ENOUGH[key]
    return found


@lru_cache(maxsize=4096)
def interval_ranks(n: int, q: float) -> tuple[int | None, int | None]:
    """Ranks (from 1) of the order statistics that bound percentile `q` of `n` values with 95%; None = no bound.

    The ranks `bench.stats.percentile_interval` takes from scipy, without scipy's seconds and its 100 MB of imports.
    """
    import numpy as np

    k = np.arange(1, n + 1)
    log_odds = np.log(q) - np.log1p(-q)
    log_mass = n * np.log1p(-q) + np.concatenate([[0.0], np.cumsum(np.log((n - k + 1) / k) + log_odds)])
    below = np.cumsum(np.exp(log_mass))  # P(Bin(n, q) <= k), k = 0 … n
    tail = (1 - CONFIDENCE) / 2
    first = int(np.searchsorted(below, tail))  # smallest k with P(<= k) >= tail
    low = first + 1 if below[min(first, n)] <= tail else first
    high = int(np.searchsorted(below, 1 - tail)) + 1
    return (low if low >= 1 else None), (high if high <= n else None)


# ------------------------------------------------------------------------------------------------------- others


def _compat(step: Mapping[str, Any], requests: Mapping[str, Array]) -> dict[str, float | None]:
    """What other tools would have printed for the same stamps.

    They send nothing past their end and wait for what they have sent: so of the requests sent before the step's end, to
    the end of the last of them. In closed loop nothing is due before it is sent.
    """
    import numpy as np

    from bench import compat

    start, end = step.get("start_ns"), step.get("end_ns")
    mine: dict[str, Any] = dict(requests)
    if not is_open(step):
        mine["sched_ns"] = mine["sent_ns"]
    if end is not None:
        kept = np.flatnonzero(~(requests["sent_ns"] >= end))
        mine = {name: column[kept] if hasattr(column, "dtype") else [column[i] for i in kept]
                for name, column in mine.items()}  # fmt: skip
        end = max([end, *mine["end_ns"][~np.isnan(mine["end_ns"])]])
    return compat.figures(mine, start_ns=start, end_ns=end)
