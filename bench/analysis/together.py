"""Many targets on one suite: the runs that asked all of them the same items, side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import database
from bench.analysis.pairing import Judged, judged_runs, suite_of
from bench.errors import ConfigError, nearest
from bench.stats.composite import shares

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Together:
    """Runs that asked the same items of several targets."""

    runs: tuple[Judged, ...]
    tasks: tuple[str, ...]
    weights: tuple[float, ...]
    """Of sum 1; the suite's, or equal where it isn't here any more."""
    task: NDArray[np.int64]
    """Of each item, in `tasks`."""
    clusters: NDArray[np.int64]
    values: NDArray[np.float64]
    """items x runs: mean over the repeats that have a score, NaN = none."""
    repeats: NDArray[np.int64]
    unscored: NDArray[np.int64]
    """Of the repeats."""


def together(results: Path, suite: str) -> Together:
    """The newest finished run of each target that was asked the same items of `suite` as most others were.

    All items go before a limit. ConfigError where there is no run, or where one lacks an item of the others.
    """
    runs = _same_items(results, suite)
    found = database.columns(results, "items_by_run", run_ids=[run.run_id for run in runs])
    return _side_by_side(runs, found)


def _same_items(results: Path, suite: str) -> list[Judged]:
    finished = [run for run in judged_runs(results, suite) if run.status == "finished"]
    if not finished:
        known = {f"{run.suite}@{run.suite_version}" for run in judged_runs(results)}
        raise ConfigError(f"no finished run of suite {suite!r} in {results}{nearest(suite, known)}")
    groups: dict[Any, dict[str, Judged]] = {}
    for run in finished:  # newest first
        groups.setdefault(run.asked, {}).setdefault(run.target_id, run)
    return list(max(groups.values(), key=lambda group: _weight_of_group(list(group.values()))).values())


def _weight_of_group(runs: Sequence[Judged]) -> tuple[bool, int, str]:
    return runs[0].item_limit is None, len(runs), max(run.run_id for run in runs)


def _side_by_side(runs: Sequence[Judged], found: Mapping[str, Any]) -> Together:
    import numpy as np

    suite = suite_of(runs[0])
    names = sorted(set(found["task"].tolist()))
    if lacking := sorted({task for run in runs for task in run.tasks} - set(names)):
        raise ConfigError(f"task {lacking[0]} has no metric that all of {len(runs)} runs have: they can't be compared")
    listed = [task.name for task in suite.tasks if task.name in names] if suite else names
    column = {run.run_id: k for k, run in enumerate(runs)}
    at = np.array([column[run_id] for run_id in found["run_id"]], dtype=np.int64)
    _, first, row = np.unique(np.ma.filled(found["item"]), return_index=True, return_inverse=True)
    shape = (len(first), len(runs))
    values, repeats, unscored = np.full(shape, np.nan), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    values[row, at] = np.ma.filled(np.ma.asarray(found["value"]).astype(float), np.nan)
    repeats[row, at], unscored[row, at] = np.ma.filled(found["n"]), np.ma.filled(found["unscored"])
    if (repeats == 0).any():
        lone = runs[int(np.argmax((repeats == 0).sum(axis=0)))]
        raise ConfigError(
            f"run {lone.run_id} lacks items that others have: ask again: bench run -t {lone.target_id} --fresh"
        )
    weight = {task.name: task.weight for task in suite.tasks} if suite else {}
    place = {name: k for k, name in enumerate(listed)}
    return Together(
        runs=tuple(runs),
        tasks=tuple(listed),
        weights=tuple(shares([weight.get(name, 1.0) for name in listed])),
        task=np.array([place[name] for name in found["task"][first]], dtype=np.int64),
        clusters=np.unique(np.ma.filled(found["cluster"])[first], return_inverse=True)[1].astype(np.int64),
        values=values,
        repeats=repeats,
        unscored=unscored,
    )


def target_of(run: Judged) -> dict[str, Any]:
    told = json.loads(run.target) if run.target else {}
    return told if isinstance(told, dict) else {}


def layer_of(run: Judged) -> str | None:
    layer = target_of(run).get("layer")
    return None if layer is None else str(layer)
