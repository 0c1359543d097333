"""The questions one asks of the results, as functions that return tidy DataFrames. The one analysis API.

`results` is the results folder; the store in it is read as it is (`bench.database.build` brings it up to date).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import database
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


def report(results: Path, run_ids: Sequence[str] | None = None) -> pandas.DataFrame:
    """One row per run and task, and one with `task = "macro"` where all tasks of the suite ran; REPORT_COLUMNS.

    Without `run_ids`: the newest finished run of each target revision and suite version, a full one before one under a
    limit. Suite versions stay apart. `metric` is the task's primary one; `value` and its 95% interval are in [0, 1];
    speeds are of quality traffic: opportunistic, not a load test. `run_ids` is a list.
    """
    chosen = _chosen(results, run_ids)
    frame = database.query(results, "report", run_ids=chosen)
    frame = frame[_is_primary(frame)]
    for question in ("speed", "money"):
        frame = frame.merge(database.query(results, question, run_ids=chosen), on=["run_id", "task"], how="left")
    frame = frame.merge(database.query(results, "list_prices", run_ids=chosen), on="run_id", how="left")
    frame["run_ids"] = [[run_id] for run_id in frame["run_id"]]
    return frame[list(REPORT_COLUMNS)].reset_index(drop=True)


def _is_primary(frame: pandas.DataFrame) -> pandas.Series[bool]:
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


def last_e2e_ms(results: Path, target_id: str) -> float | None:
    """Median milliseconds of one answer in the target's newest run; None when it was never measured here."""
    if not (Path(results) / database.NAME).exists():
        return None
    found = database.query(results, "last_e2e", target_id=target_id)["e2e_ms"].iloc[0]
    return None if math.isnan(found) else float(found)


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


def _chosen(results: Path, run_ids: Sequence[str] | None) -> list[str]:
    """The named runs, or those a report shows by default; ConfigError for a name that isn't there."""
    if run_ids is None:
        return [str(run_id) for run_id in database.query(results, "newest_runs")["run_id"]]
    known = set(database.query(results, "runs")["run_id"])
    for run_id in run_ids:
        if run_id not in known:
            raise ConfigError(f"no run {run_id!r} in {results}{nearest(run_id, known)}")
    return list(run_ids)
