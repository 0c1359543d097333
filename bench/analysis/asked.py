"""Which tasks a use case asks for, by the names the store uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import database
from bench.errors import ConfigError, nearest

if TYPE_CHECKING:
    from bench.catalog import Catalog
    from bench.catalog.use_case import UseCase


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The tasks of a use case as the store knows them."""

    own: Mapping[tuple[str, str], float]
    """Weight by (suite, task)."""
    versions: Mapping[str, str]
    """The one version of each suite whose scores count: as asked for, else the newest measured."""
    benchmarks: Mapping[str, float]
    """Weight by a published benchmark's id."""

    @property
    def weights(self) -> dict[str, float]:
        return {**{f"{suite}/{task}": weight for (suite, task), weight in self.own.items()}, **self.benchmarks}


def tasks_of(results: Path, use_case: UseCase) -> Asked:
    """The use case's tasks by the names the store uses; ConfigError with the nearest for one that nobody knows."""
    from bench.catalog import load

    suites = suites_known(results, load())
    own: dict[tuple[str, str], float] = {}
    versions: dict[str, str] = {}
    benchmarks: dict[str, float] = {}
    for task in use_case.tasks:
        suite, version, wanted = _split(task.name)
        if suite not in suites or ("/" not in task.name and _benchmark(task.name)):
            benchmarks[_benchmark_named(task.name, suites)] = task.weight
            continue
        if version and versions.setdefault(suite, version) != version:
            raise ConfigError(f"task {task.name!r}: suite {suite} is asked for in two versions; versions don't mix")
        for name, weight in _within(suites[suite], suite, wanted, task.name).items():
            own[suite, name] = own.get((suite, name), 0.0) + weight * task.weight
    return Asked(own=own, versions=versions, benchmarks=benchmarks)


def suites_known(results: Path, catalog: Catalog) -> dict[str, dict[str, float]]:
    """Weights by task, by suite: the package's, and those that runs here have asked."""
    found = {suite.name: {task.name: task.weight for task in suite.tasks} for suite in catalog.suites.values()}
    if (Path(results) / database.NAME).exists():
        rows = database.columns(results, "choose_tasks")
        for suite, task in zip(rows["suite"], rows["task"], strict=True):
            found.setdefault(str(suite), {}).setdefault(str(task), 1.0)
    return found


def _split(name: str) -> tuple[str, str, str]:
    """`core@1/ledger` -> core, 1, ledger."""
    suite, _, task = name.partition("/")
    suite, _, version = suite.partition("@")
    return suite, version, task


def _within(tasks: Mapping[str, float], suite: str, wanted: str, name: str) -> dict[str, float]:
    """The task of that suite, or all of them."""
    if not wanted:
        return dict(tasks)
    for candidate in (wanted, f"{suite}_{wanted}"):
        if candidate in tasks:
            return {candidate: 1.0}
    known_names = [f"{suite}/{task.removeprefix(f'{suite}_')}" for task in tasks]
    raise ConfigError(f"task {name!r} is unknown{nearest(name, known_names)}")


def _benchmark(name: str) -> str | None:
    from bench.catalog import benchmarks

    found = benchmarks.known(name)
    return None if found is None else found.id


def _benchmark_named(name: str, suites: Mapping[str, Mapping[str, float]]) -> str:
    from bench.catalog import benchmarks

    found = benchmarks.known(name)
    if found is None:
        ours = [f"{suite}/{task.removeprefix(f'{suite}_')}" for suite, tasks in suites.items() for task in tasks]
        raise ConfigError(f"task {name!r} is unknown{nearest(name, [*ours, *suites, *benchmarks.benchmarks()])}")
    if found.scale != "proportion":
        raise ConfigError(f"task {name!r}: {found.id} is counted in points; a use case needs shares of right answers")
    return found.id
