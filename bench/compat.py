"""What other load tools would have printed for the same requests: `compat.*`, so that like is compared with like.

Each tool's own formula, on our stamps; docs/compat.md says how each differs from ours and in which direction it
misleads. Sources, read as code:
  vllm      vLLM, main branch of 2026: vllm/benchmarks/serve.py and lib/endpoint_request_func.py (openai-chat)
  guidellm  guidellm 0.8.1, schemas/base/{request_stats,statistics}.py and benchmark/schemas/metrics.py
  aiperf    aiperf 0.13.0, metrics/types/*.py, metrics/metric_dicts.py, records/records_manager.py
  mlperf    mlcommons/inference, loadgen/{results,loadgen,logging}.cc: scenario Server with token latencies

Where a tool prints 0 because it has nothing to print (vLLM, guidellm), the figure here is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from bench.records import ANSWERED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]

Figures: TypeAlias = dict[str, float | None]

COLUMNS = (
    "status", "sched_ns", "sent_ns", "first_event_ns", "first_token_ns", "last_token_ns", "end_ns",
    "in_tokens", "out_tokens", "chunks",
)  # fmt: skip
"""What `figures` reads of each request."""


def figures(
    requests: Mapping[str, Array],
    *,
    window_start_ns: float | None = None,
    window_end_ns: float | None = None,
    start_ns: float | None,
    end_ns: float | None,
) -> Figures:
    """All `compat.*` figures of one step; the same keys whatever is known, None = can't be said.

    `requests`: arrays as `bench.steps` takes them, one entry per request of the whole step, NaN = unknown, `status` of
    texts. `chunk_gaps_ms`, if there, holds for each request the gaps between its token-bearing chunks [ms].
    None of the tools knows a steady window: all divide by the whole step, ramp and drain included, so the window is
    taken for the sake of one signature and changes nothing.
    """
    whole_s = None if start_ns is None or end_ns is None or end_ns <= start_ns else (end_ns - start_ns) / 1e9
    found: Figures = {}
    for tool, told in (
        ("vllm", _vllm(requests, whole_s)),
        ("guidellm", _guidellm(requests) | _guidellm_rates(requests, end_ns, whole_s)),
        ("aiperf", _aiperf(requests, whole_s)),
        ("mlperf", _mlperf(requests, start_ns)),
    ):
        found |= {f"compat.{tool}.{name}": value for name, value in told.items()}
    return found


def names() -> tuple[str, ...]:
    """Every key of `figures`, in its order."""
    import numpy as np

    none = {name: np.empty(0) for name in COLUMNS}
    return tuple(figures(none, start_ns=None, end_ns=None))


# ---------------------------------------------------------------------------------------------------------- the tools


def _vllm(requests: Mapping[str, Array], whole_s: float | None) -> Figures:
    """`vllm bench serve`: TTFT stops at the first chunk that has `choices`, also where it is role-only and empty.

    Latency ends at the last such chunk; TPOT = (latency - TTFT) / (tokens - 1). Linear percentiles over successes.
    """
    ok = _answered(requests)
    first, end = ok["first_event_ns"], ok["end_ns"]
    ttft_ms, e2el_ms = (first - ok["sent_ns"]) / 1e6, (end - ok["sent_ns"]) / 1e6
    tpot_ms = _over(e2el_ms - ttft_ms, ok["out_tokens"] - 1)
    found = {f"{key}_ttft_ms": value for key, value in _mean_median_p99(ttft_ms).items()}
    found |= {f"{key}_tpot_ms": value for key, value in _mean_median_p99(tpot_ms).items()}
    found |= {f"{key}_itl_ms": value for key, value in _vllm_itl_ms(ok).items()}
    found |= {f"{key}_e2el_ms": value for key, value in _mean_median_p99(e2el_ms).items()}
    return found | {
        "request_throughput_rps": _per(len(first) or None, whole_s),
        "output_throughput_tps": _per(_total(ok["out_tokens"]), whole_s),
        "total_token_throughput_tps": _per(_total(ok["in_tokens"] + ok["out_tokens"]), whole_s),
    }


def _vllm_itl_ms(ok: Mapping[str, Any]) -> Figures:
    """Pooled gaps between chunks with `choices`: role-only chunk to first token, and last token to finish, included.

    The mean needs no gaps, only how many there were. A role or finish chunk that came in the same read as a token has
    its token's stamp and is not seen here; vLLM counts a gap of about 0 for it, so its mean can be slightly lower.
    """
    import numpy as np

    known = ~np.isnan(ok["first_event_ns"] + ok["first_token_ns"] + ok["last_token_ns"] + ok["end_ns"])
    known &= ok["chunks"] >= 1
    first_event, first, last, end = (
        ok[f"{name}_ns"][known] / 1e6 for name in ("first_event", "first_token", "last_token", "end")
    )
    edges = np.concatenate([_positive(first - first_event), _positive(end - last)])
    gaps_ms = _gaps_ms(ok, known)
    if gaps_ms is not None:
        return _mean_median_p99(np.concatenate([edges, gaps_ms]))
    n_gaps = float((ok["chunks"][known] - 1).sum()) + len(edges)
    return {"mean": float((end - first_event).sum()) / n_gaps if n_gaps else None, "median": None, "p99": None}


def _guidellm(requests: Mapping[str, Array]) -> Figures:
    """guidellm without warm-up or cool-down: TTFT as ours; its TPOT has the first token in it, its ITL is our TPOT.

    TPOT and ITL are weighted by tokens; percentiles are values that occurred (inverse of the distribution, not
    interpolated). Without a count by the server it takes chunks for tokens.
    """
    import numpy as np

    ok = _answered(requests)
    tokens = _tokens_or_chunks(ok)
    last = np.where(np.isnan(ok["last_token_ns"]), ok["end_ns"], ok["last_token_ns"])
    found: Figures = {}
    for name, values, weights in (
        ("ttft_ms", (ok["first_token_ns"] - ok["sent_ns"]) / 1e6, np.ones(len(tokens))),
        ("itl_ms", _over((ok["last_token_ns"] - ok["first_token_ns"]) / 1e6, tokens - 1), tokens - 1),
        ("tpot_ms", _over((last - ok["sent_ns"]) / 1e6, tokens), tokens),
        ("request_latency_s", (ok["end_ns"] - ok["sent_ns"]) / 1e9, np.ones(len(tokens))),
    ):
        found |= {f"{key}_{name}": value for key, value in _weighted(values, weights).items()}
    return found


def _guidellm_rates(every: Mapping[str, Array], end_ns: float | None, whole_s: float | None) -> Figures:
    """Its table headed "All Requests": failures count as requests, and the tokens of what was cut off count.

    What ends after the step does not: the request itself, and the tokens that came later, which it lays evenly between
    the first and the last.
    """
    import numpy as np

    end = float("inf") if end_ns is None else end_ns
    over = (every["end_ns"] <= end) & (every["status"] != "cancelled")
    tokens = np.nan_to_num(_tokens_or_chunks(every))
    spread = np.clip(_over(end - every["first_token_ns"], every["last_token_ns"] - every["first_token_ns"]), None, 1)
    steps = np.maximum(every["chunks"] - 1, 1)
    came = np.where(spread < 0, 0, 1 + np.floor(np.nan_to_num(spread, nan=1) * steps) * (tokens - 1) / steps)
    busy_s = (np.minimum(every["end_ns"], end) - every["sent_ns"]) / 1e9
    return {
        "requests_rps": _per(float(over.sum()) if len(over) else None, whole_s),
        "output_tps": _per(float(came[tokens > 0].sum()) if len(over) else None, whole_s),
        "mean_concurrency": _per(_total(busy_s), whole_s),
    }


def _aiperf(requests: Mapping[str, Array], whole_s: float | None) -> Figures:
    """aiperf: TTFT as ours; latency ends at the last chunk with content; ITL = (latency - TTFT) / (tokens - 1).

    Output TPS/User is the plain mean of 1 / ITL, which fast requests pull up. Linear percentiles over valid requests;
    throughput divides their tokens by the phase, from its start to the last request's return.
    """
    import numpy as np

    ok = _answered(requests)
    valid = ~np.isnan(ok["first_token_ns"])
    ttft_ms = (ok["first_token_ns"] - ok["sent_ns"])[valid] / 1e6
    latency_ms = (ok["last_token_ns"] - ok["sent_ns"])[valid] / 1e6
    tokens = ok["out_tokens"][valid]
    itl_ms = _over(latency_ms - ttft_ms, tokens - 1)
    found: Figures = {}
    for name, values in (("ttft_ms", ttft_ms), ("itl_ms", itl_ms), ("request_latency_ms", latency_ms)):
        found |= {f"{key}_{name}": value for key, value in _avg_p50_p99(values).items()}
    gaps_ms = _gaps_ms(ok, valid)
    return found | {
        "avg_icl_ms": None if gaps_ms is None else _mean(gaps_ms),
        "avg_output_tps_per_user": _mean(_over(np.full(len(itl_ms), 1000.0), itl_ms)),
        "request_throughput_rps": _per(len(tokens) or None, whole_s),
        "output_throughput_tps": _per(_total(tokens), whole_s),
    }


def _mlperf(requests: Mapping[str, Array], start_ns: float | None) -> Figures:
    """MLPerf loadgen, Server: latencies from the scheduled time; TPOT = (latency - TTFT) / (tokens - 1).

    Percentile p of n values is the one at place floor(n * p), not interpolated; rates divide by the time until the last
    answer, samples less one. Nothing is scheduled in closed loop: then from the sending.
    """
    import numpy as np

    ok = _answered(requests)
    due = np.where(np.isnan(ok["sched_ns"]), ok["sent_ns"], ok["sched_ns"])
    ttft_ms, latency_ms = (ok["first_token_ns"] - due) / 1e6, (ok["end_ns"] - due) / 1e6
    tpot_ms = _over(latency_ms - ttft_ms, ok["out_tokens"] - 1)
    ends = ok["end_ns"][~np.isnan(ok["end_ns"])]
    done_s = (float(ends.max()) - start_ns) / 1e9 if len(ends) and start_ns is not None else None
    found: Figures = {}
    for name, values in (("ttft_ms", ttft_ms), ("tpot_ms", tpot_ms), ("latency_ms", latency_ms)):
        known = np.sort(values[~np.isnan(values)])
        found |= {f"mean_{name}": _mean(known), f"p99_{name}": _at_floor(known, 0.99)}
    return found | {
        "completed_samples_rps": _per(len(due) - 1 if len(due) else None, done_s),
        "completed_tokens_tps": _per(_total(ok["out_tokens"]), done_s),
    }


# ----------------------------------------------------------------------------------------------------------- arithmetic


def _answered(requests: Mapping[str, Any]) -> dict[str, Any]:
    """The requests that a tool would call successful."""
    import numpy as np

    return _cut(requests, np.array([status in ANSWERED for status in requests["status"]], dtype=bool))


def _cut(requests: Mapping[str, Any], good: Any) -> dict[str, Any]:
    """Each column, cut to the requests that are wanted."""
    cut: dict[str, Any] = {name: requests[name][good] for name in COLUMNS}
    if "chunk_gaps_ms" in requests:
        cut["chunk_gaps_ms"] = _kept(requests["chunk_gaps_ms"], good)
    return cut


def _gaps_ms(requests: Mapping[str, Any], wanted: Any) -> Array | None:
    """The gaps of the wanted requests, pooled; None where one of them lacks gaps between the chunks it had."""
    import numpy as np

    if "chunk_gaps_ms" not in requests:
        return None
    gaps = _kept(requests["chunk_gaps_ms"], wanted)
    whole = [len(of_one) == max(n - 1, 0) for of_one, n in zip(gaps, requests["chunks"][wanted], strict=True)]
    return np.concatenate([np.empty(0), *gaps]) if all(whole) else None


def _kept(gaps: Any, wanted: Any) -> list[Array]:
    """Of an array of arrays those that are wanted."""
    import numpy as np

    chosen = (of_one for of_one, kept in zip(gaps, wanted, strict=True) if kept)
    return [np.asarray([] if of_one is None else of_one, dtype=float) for of_one in chosen]


def _tokens_or_chunks(requests: Mapping[str, Array]) -> Array:
    import numpy as np

    tokens: Array = np.where(np.isnan(requests["out_tokens"]), requests["chunks"], requests["out_tokens"])
    return tokens


def _over(above: Array, below: Array) -> Array:
    """Quotients, NaN where the divisor is not positive."""
    import numpy as np

    quotients: Array = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return quotients


def _positive(values: Array) -> Array:
    return values[values > 0]


def _total(values: Array) -> float | None:
    """The sum; None when one of the values is unknown, or there are none."""
    import numpy as np

    return None if not len(values) or np.isnan(values).any() else float(values.sum())


def _per(count: float | None, seconds: float | None) -> float | None:
    return None if count is None or seconds is None or seconds <= 0 else count / seconds


def _mean(values: Array) -> float | None:
    import numpy as np

    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _mean_median_p99(values: Array) -> Figures:
    return {"mean": _mean(values), **_linear(values, {"median": 50.0, "p99": 99.0})}


def _avg_p50_p99(values: Array) -> Figures:
    return {"avg": _mean(values), **_linear(values, {"p50": 50.0, "p99": 99.0})}


def _linear(values: Array, percents: Mapping[str, float]) -> Figures:
    """Percentiles by linear interpolation, as numpy's default; NaN left out."""
    import numpy as np

    known = values[~np.isnan(values)]
    return {key: float(np.percentile(known, percent)) if len(known) else None for key, percent in percents.items()}


def _weighted(values: Array, weights: Array) -> Figures:
    """Mean, median and p95 of weighted values; a percentile is the first whose share of the weight reaches it."""
    import numpy as np

    known = ~np.isnan(values) & (weights > 0)
    if not known.any():
        return {"mean": None, "median": None, "p95": None}
    order = np.argsort(values[known])
    ordered, share = values[known][order], weights[known][order] / weights[known].sum()
    reached = np.cumsum(share)
    found: Figures = {"mean": float((ordered * share).sum())}
    for key, wanted in (("median", 0.5), ("p95", 0.95)):
        place = min(int(np.searchsorted(reached, wanted, side="left")), len(ordered) - 1)
        found[key] = float(ordered[place])
    return found


def _at_floor(ordered: Array, part: float) -> float | None:
    return float(ordered[int(len(ordered) * part)]) if len(ordered) else None
