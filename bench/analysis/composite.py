"""One figure per target of several tasks, with weights that the reader declares."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import database
from bench.analysis.measured import is_primary
from bench.analysis.pairing import judged_runs
from bench.errors import ConfigError, nearest
from bench.stats import Estimate, macro

if TYPE_CHECKING:
    import pandas

COMPOSITE_COLUMNS = (
    "target", "layer", "value", "stderr", "ci_low", "ci_high", "n", "n_unscored", "low_bound", "high_bound", "method",
    "lacking", "run_ids",
)  # fmt: skip


def composite(results: Path, weights: Mapping[str, float], *, rescale: bool = False) -> pandas.DataFrame:
    """One row per target, best first: the weighted mean of its tasks, SE = sqrt(sum w^2 SE^2); COMPOSITE_COLUMNS.

    `weights` by task, of any suites, brought to sum 1. Each task from the newest finished runs that asked most targets
    the same items, all items before a limit. `rescale`: for chance, 0 = guessing. A target that is `lacking` a task has
    no value: a mean of what is there would be another figure. ConfigError for a task that nobody was asked.
    """
    import pandas as pd

    runs = database.columns(results, "newest_runs")["run_id"].tolist()
    found = database.query(results, "report", run_ids=runs)
    _require_known(weights, found)
    asked = {run.run_id: run.asked for run in judged_runs(results)}
    wanted = found["metric"].str.endswith("_rescaled") if rescale else is_primary(found)
    mine = found[found["task"].isin(weights) & wanted].sort_values("run_id", ascending=False)
    same = [_same_items(part, asked) for _, part in mine.groupby("task", sort=False)]
    chosen = pd.concat(same, ignore_index=True) if same else mine
    rows = [_row(str(target), part, weights) for target, part in chosen.groupby("target", sort=True)]
    frame = pd.DataFrame(rows, columns=list(COMPOSITE_COLUMNS))
    numbers = ["value", "stderr", "ci_low", "ci_high", "low_bound", "high_bound"]
    frame[numbers] = frame[numbers].astype(float)
    return frame.sort_values(["value", "target"], ascending=[False, True], na_position="last").reset_index(drop=True)


def _same_items(part: pandas.DataFrame, asked: Mapping[str, tuple[Any, ...]]) -> pandas.DataFrame:
    """One task's rows of the runs that were asked the same: all items first, then of most targets, then the newest."""
    groups = [rows for _, rows in part.groupby(part["run_id"].map(lambda run: str(asked[run])), sort=False)]
    best = max(
        groups, key=lambda rows: (bool(rows["item_limit"].isna().all()), rows["target"].nunique(), rows["run_id"].max())
    )
    return best.drop_duplicates("target")


def _require_known(weights: Mapping[str, float], found: pandas.DataFrame) -> None:
    if not weights or min(weights.values()) < 0 or sum(weights.values()) <= 0:
        raise ConfigError(f"weights must not be negative, nor all zero: {dict(weights)}")
    known = set(found["task"]) - {"macro"}
    for task in weights:
        if task not in known:
            raise ConfigError(f"no target was asked task {task!r}{nearest(task, known)}")


def _row(target: str, part: pandas.DataFrame, weights: Mapping[str, float]) -> dict[str, Any]:
    by_task = {str(row["task"]): row for row in part.to_dict("records")}
    lacking = [task for task in weights if task not in by_task]
    estimates = [_estimate(by_task[task]) for task in weights if task in by_task]
    about = {
        "target": target,
        "layer": part["layer"].iloc[0],
        "lacking": lacking,
        "run_ids": sorted({str(run) for run in part["run_id"]}),
    }
    if lacking:
        return {**about, "n": sum(e.n for e in estimates), "n_unscored": sum(e.n_unscored for e in estimates)} | {
            "method": f"none (lacks {', '.join(lacking)})"
        }
    found = macro(estimates, list(weights.values()))
    names = ("value", "stderr", "ci_low", "ci_high", "n", "n_unscored", "low_bound", "high_bound", "method")
    return {**about, **{name: getattr(found, name) for name in names}}


def _estimate(row: Mapping[Any, Any]) -> Estimate:
    def known(name: str) -> float | None:
        value = row[name]
        return None if value is None or value != value else float(value)

    return Estimate(
        value=known("value"),
        stderr=known("stderr"),
        ci_low=known("ci_low"),
        ci_high=known("ci_high"),
        n=int(row["n"]),
        n_clusters=0,  # not stored, and not asked by the macro
        n_unscored=int(row["n_unscored"]),
        low_bound=known("low_bound"),
        high_bound=known("high_bound"),
        method=str(row["method"]),
    )
