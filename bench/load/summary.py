"""What one step of a load says: its window, what was credited in it, how exact it is, and what speaks against it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.load import window as steady
from bench.load.rows import BIN_NS, StepRows
from bench.load.slo import Verdict, judged
from bench.records import ANSWERED
from bench.stats import wilson

if TYPE_CHECKING:
    import numpy as np

    from bench.load.selfcheck import SelfCheck
    from bench.load.step import StepRun, Traffic
    from bench.machine import Sampler

LAG_SHARE = 0.05
"""A step is invalid when client lag p99 is over this share of TTFT p50 (open loop), or slots idle so much (closed)."""
MUCH_IDLE = 0.2
"""With slots idle for more than this a step says nothing of its level: the load was another one."""
MOST_BUSY = 0.8
CUT_SHARE = 0.01
AT_THE_EDGES = 2
"""Requests due in the window that may be sent just outside it."""
FULL_RATE = 0.99
"""A step that sent fewer of its due requests than this is invalid."""


@dataclass(kw_only=True)
class StepResult:
    """A step as a row of `load_step`, and what a ladder wants to know of it."""

    row: dict[str, Any]
    verdict: Verdict = "undecided"
    over_saturated: bool = False
    out_tps: float | None = None
    n_answered: int = 0
    client_bound: bool = False
    """It is this client that was late, or could not do more: the step says nothing of the target's limit."""


def summary(step: StepRun, *, workers: int, busy: float | None, sampler: Sampler) -> StepResult:
    """Everything a step says, as a row of `load_step`."""
    traffic, rows, arrivals = step.traffic, step.rows, step.arrivals
    columns = rows.columns()
    end_ns = min(step.end_ns, step.stopped_ns or time.perf_counter_ns())
    n_bins = max(0, (end_ns - step.start_ns) // BIN_NS)
    tokens = rows.tokens(n_bins)
    begun = columns["sched_ns"] if arrivals.is_open else columns["sent_ns"]
    ttft_ns = columns["first_token_ns"] - begun
    found = steady.find(
        start_ns=step.start_ns, end_ns=step.start_ns + n_bins * BIN_NS, tokens=tokens[0],
        sent_ns=columns["sent_ns"], over_ns=columns["end_ns"], ttft_ns=ttft_ns, at_ns=begun, open_loop=arrivals.is_open,
    )  # fmt: skip
    steady_rows = begun >= (found.start_ns or step.start_ns)
    later = {name: column[steady_rows] for name, column in columns.items()}
    client = _client(later, busy, open_loop=arrivals.is_open)
    row: dict[str, Any] = {
        "step": step.number,
        "arrivals": str(arrivals),
        "concurrency": arrivals.concurrency,
        "asked_rps": arrivals.rate_rps if arrivals.is_open else None,
        "shape": traffic.shape.name,
        "cache": traffic.cache,
        "lane": traffic.lane,
        "workers": workers,
        "seed": traffic.seed,
        "fixed_lengths": traffic.fixed_lengths,
        "exact_prompts": traffic.exact_prompts,
        "duration_s": traffic.duration_s,
        "start_ns": step.start_ns,
        "end_ns": end_ns,
        "window_start_ns": found.start_ns,
        "window_end_ns": found.end_ns,
        "slo": dict(traffic.slo.limits) if traffic.slo else None,
        "slo_target": traffic.slo.target if traffic.slo else None,
        "idle_power_w": traffic.idle_power_w,
        "n_sent": len(rows),
        "n_failed": int((~_among(columns["status"], (*ANSWERED, "cancelled"))).sum()),
        "search_verdict": step.verdict if step.search else None,
        **_own_error(columns, traffic.self_check),
        **{name: value for name, value in client.items() if name not in ("reasons", "overworked", "late")},
        "notes": _notes(rows, traffic),
    }
    reasons = [*found.reasons, *client["reasons"]]
    short = False
    if found.start_ns is not None and found.end_ns is not None:
        row |= _in_window(step, columns, tokens, found.start_ns, found.end_ns, sampler)
        row["notes"] += _left_out(ttft_ns, begun, found.start_ns)
        if end_ns == step.end_ns:  # of one that ended before its time it is no surprise
            row["notes"] += _cut_off(columns["status"][(begun >= found.start_ns) & (begun < found.end_ns)])
        short = row["n_due"] - row["n_delivered"] > max(AT_THE_EDGES, (1 - FULL_RATE) * row["n_due"])
        if short:
            reasons.append(f"this client sent {row['n_delivered']:,} requests of {row['n_due']:,} that were due")
    over = arrivals.is_open and found.rising
    if over:
        row["notes"].append("over-saturated: requests come faster than they are answered")
    row |= {"valid": not reasons, "reasons": reasons, "over_saturated": over}
    return StepResult(
        row={name: value for name, value in row.items() if name not in ("n_due", "n_delivered")},
        verdict=step.verdict,
        over_saturated=over,
        out_tps=row.get("system_out_tps"),
        n_answered=int(_among(columns["status"], ANSWERED).sum()),
        client_bound=client["overworked"] or client["late"] or short,
    )


def _in_window(
    step: StepRun, columns: Mapping[str, np.ndarray], tokens: tuple[np.ndarray, ...], begin_ns: int, end_ns: int,
    sampler: Sampler,
) -> dict[str, Any]:  # fmt: skip
    """Throughput, goodput and energy of the steady window."""
    import numpy as np

    open_loop = step.arrivals.is_open
    seconds = (end_ns - begin_ns) / 1e9
    first, last = ((at_ns - step.start_ns) // BIN_NS for at_ns in (begin_ns, end_ns))
    out, in_, wasted = (float(series[first:last].sum()) / seconds for series in tokens)
    begun = columns["sched_ns"] if open_loop else columns["sent_ns"]
    inside = (begun >= begin_ns) & (begun < end_ns)
    good = judged(columns, step.traffic.slo, open_loop=open_loop)[inside]
    n_good, n_bad = int((good == 1).sum()), int((good == 0).sum())
    low, high = wilson(n_good, n_good + n_bad)
    # One that found no connection was sent as far as this client goes: that is the server's failure, not ours.
    left_ns = np.where(columns["status"] == "connect_error", columns["sched_ns"], columns["sent_ns"])
    sent = int(((left_ns >= begin_ns) & (left_ns < end_ns)).sum())
    due = sum(begin_ns <= step.start_ns + at_ns < end_ns for at_ns in step.due_ns) if open_loop else sent
    under_way = steady.inflight(columns["sent_ns"], columns["end_ns"], begin_ns, last - first)
    sampler.read()
    energy = sampler.between(begin_ns, end_ns)
    return {
        "delivered_rps": sent / seconds,
        "n_delivered": sent,
        "n_due": due,
        "system_out_tps": out,
        "system_in_tps": in_ if not np.isnan(columns["in_tokens"]).all() else None,
        "wasted_tps": wasted,
        "n_good": n_good,
        "n_bad": n_bad,
        "n_left_out": int(np.isnan(good).sum()),
        "slo_attainment": n_good / (n_good + n_bad) if n_good + n_bad else None,
        "slo_low": low,
        "slo_high": high,
        "goodput_rps": n_good / seconds,
        "inflight_mean": float(under_way.mean()),
        "inflight_max": int(under_way.max()),
        "energy_j": energy.energy_j,
        "j_per_tok_out": energy.energy_j / (out * seconds) if energy.energy_j is not None and out else None,
        "energy_note": energy.reason if sampler.samples else None,
    }


def _client(columns: Mapping[str, np.ndarray], busy: float | None, *, open_loop: bool) -> dict[str, Any]:
    """How well this client kept up once the load stood still, and what speaks against the step."""
    lag_ms = (columns["sent_ns"] - columns["sched_ns"]) / 1e6
    lag_p99 = _quantile(lag_ms, 0.99)
    idle = 0.0 if open_loop else _idle_share(columns, lag_ms)
    late = _late(columns) if open_loop else _idle(idle)
    reasons = [f"{late}; --client raw is quicker"] if late else []
    overworked = busy is not None and busy > MOST_BUSY
    if overworked:
        reasons.append(f"this client was {busy:.0%} busy; give it more --workers and cores, or --client raw")
    answered = _among(columns["status"], ANSWERED)
    return {
        "client_lag_p99_ms": lag_p99,
        "client_busy": busy,
        "read_lag_p99_ms": _quantile(columns["read_lag_max_ns"] / 1e6, 0.99),
        "merged_share": float((columns["merged_reads"][answered] > 0).mean()) if answered.any() else None,
        "reasons": reasons,
        "overworked": overworked,
        "late": (open_loop and late is not None) or idle > MUCH_IDLE,
    }


def _late(columns: Mapping[str, np.ndarray]) -> str | None:
    """In open loop a late request is a lower load and a longer latency. Of requests that had to connect first, how long
    that took is the network's and the server's doing."""
    kept = columns["reused"] > 0
    lag_ms = (columns["sent_ns"] - columns["sched_ns"])[kept] / 1e6
    lag_p99 = _quantile(lag_ms, 0.99)
    ttft_p50 = _quantile((columns["first_token_ns"] - columns["sched_ns"]) / 1e6, 0.5)
    if lag_p99 is None or ttft_p50 is None or lag_p99 <= LAG_SHARE * ttft_p50:
        return None
    return f"this client was {lag_p99:.2f} ms late (p99), over {LAG_SHARE:.0%} of TTFT {ttft_p50:.2f} ms"


def _idle_share(columns: Mapping[str, np.ndarray], lag_ms: np.ndarray) -> float:
    """Of the time of the slots that had no request under way, because the client was slow to send the next."""
    import numpy as np

    idle, busy = np.nansum(lag_ms), np.nansum((columns["end_ns"] - columns["sent_ns"]) / 1e6)
    return float(idle / (idle + busy)) if idle + busy else 0.0


def _idle(share: float) -> str | None:
    """In closed loop nothing is due before the answer that it follows, and latency counts from the sending; what a slow
    client takes away is load."""
    if share <= LAG_SHARE:
        return None
    return f"this client left {share:.0%} of each slot's time without a request, over {LAG_SHARE:.0%}"


def _own_error(columns: Mapping[str, np.ndarray], check: SelfCheck | None) -> dict[str, Any]:
    """How exact the stamps are: what the null server showed, or what this step's reads make of it if that is more.

    Of what the kernel merges into one read it keeps the newest stamp. So an end is exact, and a first token that came
    in one read with those after it may have come as much earlier as those took, at the pace of the answer. A stamp that
    is not the kernel's (TLS, a proxy) is late by what the loop was.
    """
    import numpy as np

    with np.errstate(invalid="ignore", divide="ignore"):
        pace_ns = (columns["last_token_ns"] - columns["first_token_ns"]) / (columns["chunks"] - 1)
        merged_ns = np.where(columns["first_merged"] > 0, columns["first_merged"] * pace_ns, 0.0)
    off_ns = np.where(columns["by_read"] > 0, columns["read_lag_max_ns"], merged_ns)
    answered = ~np.isnan(columns["first_token_ns"])
    unknown = np.isnan(off_ns[answered]).mean() > 0.01 if answered.any() else False
    seen = _quantile(off_ns[answered] / 1e6, 0.99)
    known = [error for error in (seen, check.error_p99_ms if check else None) if error is not None]
    return {
        "stamp_error_p99_ms": max(known, default=None) if check and not unknown else None,
        "self_ttft_error_p99_ms": check.ttft_error_p99_ms if check else None,
        "self_e2e_error_p99_ms": check.e2e_error_p99_ms if check else None,
        "self_events_per_s": check.events_per_s if check else None,
    }


def _notes(rows: StepRows, traffic: Traffic) -> list[str]:
    """What happened that is no reason against the step."""
    told = [f"{n} requests: {what}" for what, n in rows.failures.most_common(6)]
    if len(rows.models) > 1:
        told.append("the server answered as several models: " + ", ".join(sorted(rows.models)[:4]))
    if rows.n_unstamped:
        told.append(f"{rows.n_unstamped} answers were stamped when read, not by the kernel")
    if not traffic.fixed_lengths:
        told.append("answers end where the model ends them")
    return told


def _left_out(ttft_ns: np.ndarray, begun: np.ndarray, window_ns: int) -> list[str]:
    """Says when the warm-up that was cut off held worse than what is shown."""
    import numpy as np

    early, later = ttft_ns[begun < window_ns], ttft_ns[begun >= window_ns]
    if np.isnan(early).all() or np.isnan(later).all() or np.nanmax(early) < 1.5 * np.nanmax(later):
        return []
    worst_ms = [float(np.nanmax(part)) / 1e6 for part in (early, later)]
    return [
        f"the warm-up that is left out had a TTFT of {worst_ms[0]:,.0f} ms, the window none over {worst_ms[1]:,.0f}"
    ]


def _cut_off(status: np.ndarray) -> list[str]:
    """Says when the longest answers of the window were not waited for."""
    cut = int((status == "cancelled").sum())
    if cut <= CUT_SHARE * len(status):
        return []
    told = f"{cut:,} of {len(status):,} answers were cut off by the end of the step"
    return [f"{told}: percentiles are of the shorter ones"]


def _quantile(values: np.ndarray, q: float) -> float | None:
    import numpy as np

    known = values[~np.isnan(values)]
    return float(np.quantile(known, q)) if len(known) else None


def _among(status: np.ndarray, names: Iterable[str]) -> np.ndarray:
    import numpy as np

    return np.isin(status, list(names))
