"""Judged runs made up for tests of comparisons: known scores of known items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import catalog, runs
from bench.records import Sample
from bench.runs.folder import RunStatus
from bench.stats import scores
from tests.store import TARGET, header, measurement, sample

Values = Mapping[str, Sequence[Sequence[float | None]]]
"""By task: the items' repeats; None = unscored."""


def judged(
    results: Path,
    run_id: str,
    target: str,
    values: Values,
    *,
    cluster_of: int = 1,
    suite: str = "quick",
    end: RunStatus = "finished",
    layer: str = "hosted-open",
    about: Mapping[str, Any] | None = None,
    **changes: Any,
) -> None:
    """A run of `target`; items in clusters of `cluster_of`. Its suite is the real one of that name."""
    real = catalog.load().suites.get(suite)
    head = header(
        run_id,
        target={**TARGET, "id": target, "layer": layer, "model": target.partition(":")[2], **(about or {})},
        suite=suite,
        **{"suite_hash": real.hash if real else "s" * 64, **changes},
    )
    made = [
        one
        for task, items in values.items()
        for k, item in enumerate(items)
        for one in _samples(task, k, item, cluster_of)
    ]
    with runs.create(results, head) as run:
        run.append(measurement(0, request_id=run_id, request_key=run_id, target_id=target))
        run.write_samples(made)
        run.write_scores(scores(made, _Suite(tuple(values))))
        run.finish(end)


def _samples(task: str, k: int, repeats: Sequence[float | None], cluster_of: int) -> list[Sample]:
    plain = {"task": task, "item_id": f"{task}/{k}", "cluster": f"c{k // cluster_of}", "request_id": None}
    return [
        sample(k, value, repeat=r, metric=metric, **plain)
        for r, value in enumerate(repeats)
        for metric in ("acc", "acc_strict")
    ]


class _Suite:
    def __init__(self, names: tuple[str, ...]) -> None:
        self.tasks = [_Task(name) for name in names]


class _Task:
    metric, weight, chance = "acc", 1.0, 0.0

    def __init__(self, name: str) -> None:
        self.name = name
