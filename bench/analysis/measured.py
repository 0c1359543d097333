"""What was measured here: quality, latency, loads and what limits cost."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import database, steps
from bench.errors import ConfigError, nearest

if TYPE_CHECKING:
    import pandas

REPORT_COLUMNS = (
    "target",
    "layer",
    "suite",
    "suite_version",
    "task",
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "n",
    "n_unscored",
    "decode_tps_p50",
    "ttft_ms_p50",
    "ttft_ms_p95",
    "e2e_ms_p50",
    "usd_per_mtok_in",
    "usd_per_mtok_out",
    "usd_total",
    "run_ids",
)
LOAD_COLUMNS = (
    "run_id", "target", "layer", "suite", "fingerprint", "status", "started_at",
    "step", "arrivals", "concurrency", "asked_rps", "delivered_rps", "shape", "cache", "lane", "workers", "seed",
    "fixed_lengths", "exact_prompts", "duration_s", "start_ns", "end_ns", "window_start_ns", "window_end_ns",
    "valid", "reasons", "notes", "over_saturated",
    "slo", "slo_target", "n_good", "n_bad", "n_left_out", "slo_attainment", "slo_low", "slo_high", "goodput_rps",
    "search_verdict", "system_out_tps", "system_in_tps", "wasted_tps", "inflight_mean", "inflight_max",
    "n_sent", "n_failed", "client_lag_p99_ms", "client_busy", "read_lag_p99_ms", "merged_share",
    "stamp_error_p99_ms", "self_ttft_error_p99_ms", "self_e2e_error_p99_ms", "self_events_per_s",
    "energy_j", "idle_power_w", "j_per_tok_out", "energy_note",
    *steps.columns(),
)  # fmt: skip
LOAD_REQUEST_COLUMNS = (
    "run_id", "target", "step", "arrivals", "doc_id", "worker", "status", "in_window",
    "sched_ms", "sent_ms", "first_token_ms", "last_token_ms", "end_ms",
    "ttft_ms", "ttft_sched_ms", "ttfat_ms", "tpot_ms", "e2e_ms", "client_lag_ms", "decode_tps", "chunk_gap_max_ms",
    "prompt_cache", "asked_in_tokens", "asked_out_tokens", "in_tokens", "in_cached_tokens", "out_tokens", "chunks",
)  # fmt: skip


def report(results: Path, run_ids: Sequence[str] | None = None) -> pandas.DataFrame:
    """One row per run and task, and one with `task = "macro"` where all tasks of the suite ran; REPORT_COLUMNS.

    Without `run_ids`: the newest finished run of each target revision and suite version, a full one before one under a
    limit. Suite versions stay apart. `metric` is the task's primary one; `value` and its 95% interval are in [0, 1];
    speeds are of quality traffic: opportunistic, not a load test. `run_ids` is a list.
    """
    chosen = _chosen(results, run_ids)
    frame = database.query(results, "report", run_ids=chosen)
    frame = frame[is_primary(frame)]
    for question in ("speed", "money"):
        frame = frame.merge(database.query(results, question, run_ids=chosen), on=["run_id", "task"], how="left")
    frame = frame.merge(database.query(results, "list_prices", run_ids=chosen), on="run_id", how="left")
    frame["run_ids"] = [[run_id] for run_id in frame["run_id"]]
    return frame[list(REPORT_COLUMNS)].reset_index(drop=True)


def is_primary(frame: pandas.DataFrame) -> pandas.Series[bool]:
    """`acc` where a task has it, else its first metric that isn't a variant of another."""
    variants = frame["metric"].str.endswith(("_strict", "_rescaled"))
    first = frame["metric"].where(~variants & (frame["metric"] != "acc"), None)
    has_acc = (frame["metric"] == "acc").groupby([frame["run_id"], frame["task"]]).transform("any")
    lowest = first.groupby([frame["run_id"], frame["task"]]).transform("min")
    return (frame["metric"] == "acc") | (~has_acc & (frame["metric"] == lowest))


def runs(results: Path) -> pandas.DataFrame:
    """Every run, newest first: what it asked of whom, how it ended, how many questions, attempts and failures."""
    return database.query(results, "runs")


def latency(results: Path, run_ids: Sequence[str] | None = None) -> pandas.DataFrame:
    """One row per attempt that was really sent, in the order they ended; columns as in the view `latency`."""
    return database.query(results, "attempts", run_ids=_chosen(results, run_ids))


def unscored(results: Path, run_ids: Sequence[str] | None = None) -> pandas.DataFrame:
    """How many answers (items times repeats) of each state, `scored` included: `run_id, target, task, state, n`."""
    return database.query(results, "unscored", run_ids=_chosen(results, run_ids))


def traffic(results: Path, run_ids: Sequence[str] | None = None) -> pandas.DataFrame:
    """What the limits of their targets did to the runs' traffic, in order: every hold and every change of how many
    requests may be under way (`width`).

    `lost_s` and `refusals` are what limits had cost by then, counted from the session's row `why = "start"`. No rows of
    runs that are older than this record.
    """
    return database.query(results, "traffic", run_ids=_chosen(results, run_ids))


# ---------------------------------------------------------------------------------------------------------------- load


def load_steps(results: Path, run_ids: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """One row per step of a load run, as plain Python values (None = unknown) and without pandas; LOAD_COLUMNS.

    Without `run_ids`: the newest load run of each target revision, shape, cache, lane and kind of arrivals; named runs
    that are no load runs have no rows. Milliseconds, tokens/s, requests/s; percentiles and their intervals are
    `bench.steps.figures`, pooled gaps between chunks have none. `compat.*` keys follow: what other tools would print.
    """
    chosen = _chosen(results, run_ids, newest="load_newest_runs")
    rows = _rows(database.columns(results, "load_steps", run_ids=chosen))
    return [steps.figures(_parsed(row), _of_step(results, row)) for row in rows]


def load(results: Path, run_ids: Sequence[str] | None = None) -> pandas.DataFrame:
    """`load_steps` as a table: LOAD_COLUMNS, then `compat.*`; `reasons` and `notes` are lists, `slo` is a dict."""
    import pandas as pd

    rows = load_steps(results, run_ids)
    others = dict.fromkeys(name for row in rows for name in row if name.startswith("compat."))
    return pd.DataFrame(rows, columns=[*LOAD_COLUMNS, *others])


def load_requests(results: Path, run_ids: Sequence[str] | None = None) -> pandas.DataFrame:
    """One row per request of the load runs' steps, in the order they were due; LOAD_REQUEST_COLUMNS.

    `sched_ms` to `end_ms` are milliseconds since the step's start; `in_window`: due (open loop) or sent (closed) within
    the steady window. Requests sent before the first step, to calibrate, are left out.
    """
    import pandas as pd

    chosen = _chosen(results, run_ids, newest="load_newest_runs")
    rows = _rows(database.columns(results, "load_steps", run_ids=chosen))
    frames = [_frame(row, _of_step(results, row)) for row in rows]
    empty = pd.DataFrame(columns=list(LOAD_REQUEST_COLUMNS))
    return pd.concat(frames, ignore_index=True)[list(LOAD_REQUEST_COLUMNS)] if frames else empty


def tokens_over_time(results: Path, run_id: str, step: int, bin_ms: float) -> pandas.DataFrame:
    """Output tokens of one step in bins of `bin_ms`, by the time they came, from its start to its end.

    `start_ms` (of the bin, since the step's start), `tokens`, `tokens_per_s`, and of these `wasted_per_s`: of requests
    that failed. A chunk carries an equal share of its answer's tokens; an answer without a count, as many per chunk as
    the step's others.
    """
    return database.query(results, "load_tokens", run_id=run_id, step=step, bin_ms=float(bin_ms))


def _of_step(results: Path, row: Mapping[str, Any]) -> dict[str, Any]:
    """The step's requests as `bench.steps` takes them: numbers as floats, NaN where unknown."""
    import numpy as np

    found = database.columns(results, "load_requests", run_id=row["run_id"], step=row["step"])
    masked = {name: np.ma.asarray(values) for name, values in found.items()}
    return {
        name: values.filled(None) if values.dtype == object else np.ma.filled(values.astype(float), np.nan)
        for name, values in masked.items()
    }


def _frame(step: Mapping[str, Any], requests: Mapping[str, Any]) -> pandas.DataFrame:
    import pandas as pd

    stamps = ("sched", "sent", "first_token", "last_token", "end")
    longest = steps.longest_gaps_ms(requests["chunk_gaps_ms"])
    requests = {name: values for name, values in requests.items() if name != "chunk_gaps_ms"}
    since = {f"{name}_ms": (requests[f"{name}_ns"] - step["start_ns"]) / 1e6 for name in stamps}
    whose = {name: step[name] for name in ("run_id", "target", "arrivals")}
    window = steps.in_window(step, requests)
    stalls = {"chunk_gap_max_ms": longest}
    return pd.DataFrame({**requests, **since, **stalls, "in_window": window}).assign(**whose, step=step["step"])


def _rows(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of numpy columns: Python's own values, None where they are masked or not a number."""
    lists = [values.tolist() for values in columns.values()]
    return [dict(zip(columns, map(_plain_number, row), strict=True)) for row in zip(*lists, strict=True)]


def _parsed(row: dict[str, Any]) -> dict[str, Any]:
    """With `reasons`, `notes` and `slo` out of their JSON."""
    texts = {name: json.loads(row[name]) if row[name] else None for name in ("reasons", "notes", "slo")}
    return {**row, **texts, "reasons": texts["reasons"] or [], "notes": texts["notes"] or []}


def _plain_number(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


# ---------------------------------------------------------------------------------------------------------------------


def last_e2e_ms(results: Path, target_id: str) -> float | None:
    """Median milliseconds of one answer in the target's newest run; None when it was never measured here."""
    if not (Path(results) / database.NAME).exists():
        return None
    found = database.query(results, "last_e2e", target_id=target_id)["e2e_ms"].iloc[0]
    return None if math.isnan(found) else float(found)


def token_history(
    results: Path, *, tasks: Sequence[str], fingerprint: str, model: str, but: str | None = None
) -> list[dict[str, Any]]:
    """Tokens of earlier answers by task, from the closest source (`sql/token_history.sql`); none without a store."""
    if not (Path(results) / database.NAME).exists():
        return []
    params = {"tasks": list(tasks), "fingerprint": fingerprint, "model": model, "but": but}
    return _rows(database.columns(results, "token_history", **params))


def records(frame: pandas.DataFrame) -> list[dict[str, Any]]:
    """Rows for JSON: what is unknown is None, times are ISO 8601 in UTC, numbers are Python's own."""
    return [{str(name): _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    import pandas as pd

    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat() + "Z"
    return value.item() if hasattr(value, "item") else value


def _chosen(results: Path, run_ids: Sequence[str] | None, newest: str = "newest_runs") -> list[str]:
    """The named runs, or those a report shows by default; ConfigError for a name that isn't there."""
    if run_ids is None:
        return [str(run_id) for run_id in database.columns(results, newest)["run_id"]]
    known = set(database.columns(results, "runs")["run_id"])
    for run_id in run_ids:
        if run_id not in known:
            raise ConfigError(f"no run {run_id!r} in {results}{nearest(run_id, known)}")
    return list(run_ids)
