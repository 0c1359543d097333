"""Which two runs a comparison is about, and their items side by side; what may not be compared is refused here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import database
from bench.catalog import suites
from bench.errors import ConfigError, nearest

if TYPE_CHECKING:
    from bench.stats.paired import Pairs

Key = tuple[Any, ...]
ONLY_IMPORTS = "an import is compared with an import of the same items only"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A run with scores."""

    run_id: str
    target_id: str
    fingerprint: str | None
    suite: str
    suite_version: str
    suite_hash: str | None
    items: str | None
    item_limit: int | None
    seed: int | None
    status: str
    target: str | None
    """JSON, as in run.json."""
    tasks: tuple[str, ...]

    @property
    def asked(self) -> Key:
        """What must be equal in two runs for their items to be the same."""
        drawn = (self.item_limit, self.seed) if self.item_limit is not None else (None, None)
        return (self.suite, self.suite_version, self.suite_hash, self.items, *drawn)

    @property
    def day(self) -> str:
        """On which it began, UTC: run ids begin with it."""
        return f"{self.run_id[:4]}-{self.run_id[4:6]}-{self.run_id[6:8]}"

    @property
    def is_import(self) -> bool:
        """Evaluated elsewhere: nothing here can ask it anything."""
        return self.items == "imported"

    def told(self) -> str:
        """`was asked quick@1 (frozen, limit 30, seed 0, suite hash bc0ada9d)`; of an import, what it holds."""
        if self.is_import:
            tasks = ", ".join(self.tasks[:3]) + f" and {len(self.tasks) - 3} more" * (len(self.tasks) > 3)
            return f"holds {self.suite.removeprefix('imported-')} on {tasks} (suite hash {str(self.suite_hash)[:8]})"
        limit = f"limit {self.item_limit}, seed {self.seed}" if self.item_limit is not None else "all items"
        suite = f"{self.suite}@{self.suite_version}"
        return f"was asked {suite} ({self.items}, {limit}, suite hash {str(self.suite_hash)[:8]})"


def judged_runs(results: Path, suite: str | None = None) -> list[Judged]:
    """Runs with scores, newest first; of one suite, where `quick` or `quick@1` names it."""
    found = database.columns(results, "compare_runs")
    rows = [dict(zip(found, row, strict=True)) for row in zip(*(c.tolist() for c in found.values()), strict=True)]
    runs = [Judged(**{**row, "tasks": tuple(row["tasks"].split(","))}) for row in rows]
    return [run for run in runs if suite is None or suite in (run.suite, f"{run.suite}@{run.suite_version}")]


def two_runs(results: Path, a: str, b: str, suite: str | None = None) -> tuple[Judged, Judged]:
    """The runs of what `a` and `b` name: targets, or run ids or how one begins.

    Of targets, the newest finished runs that asked both the same items; all items go before a limit. ConfigError where
    none did, or where several suites did and `suite` doesn't choose.
    """
    everything = judged_runs(results)
    runs = judged_runs(results, suite) if suite else everything
    if suite and not runs:
        known = {f"{run.suite}@{run.suite_version}" for run in everything}
        raise ConfigError(f"no run of suite {suite!r} in {results}{nearest(suite, known)}")
    left, right = (_named(name, runs, everything, results, suite) for name in (a, b))
    if a == b:
        ids = ", ".join(run.run_id for run in left)
        raise ConfigError(f"{a} stands on both sides: name two of its runs ({ids})")
    pairs = [(x, y) for x in left for y in right if x.asked == y.asked and x.run_id != y.run_id]
    if not pairs:
        raise ConfigError(_why_none(a, b, left, right))
    names = sorted({x.suite for x, _ in pairs})
    if len(names) > 1:
        raise ConfigError(f"{a} and {b} were both asked {' and '.join(names)}: choose one with --suite {names[0]}")
    return max(pairs, key=lambda pair: (pair[0].item_limit is None, min(x.run_id for x in pair), pair[0].run_id))


def _named(
    name: str, runs: Sequence[Judged], everything: Sequence[Judged], results: Path, suite: str | None
) -> list[Judged]:
    if of_target := [run for run in runs if run.target_id == name]:
        if finished := [run for run in of_target if run.status == "finished"]:
            return finished
        last = of_target[0]
        goes_on = f"`bench run {last.suite} -t {name}` goes on"
        raise ConfigError(f"{name}: no finished run in {results}, the newest is {last.status}; {goes_on}")
    if others := sorted({f"{run.suite}@{run.suite_version}" for run in everything if run.target_id == name}):
        is_import = any(run.is_import for run in everything if run.target_id == name)
        way_out = ONLY_IMPORTS if is_import else f"`bench run {suite} -t {name}` asks it"
        raise ConfigError(f"{name} was not asked {suite} but {', '.join(others)}; {way_out}")
    found = [run for run in everything if run.run_id == name] or [r for r in everything if r.run_id.startswith(name)]
    if len(found) > 1:
        raise ConfigError(f"{len(found)} runs begin with {name!r}{nearest(name, [run.run_id for run in found])}")
    if not found:
        known = {run.target_id for run in everything} | {run.run_id for run in everything if len(name) > 20}
        asked = f"; `bench run -t {name}` asks it" if not known and not name.startswith("imported") else ""
        raise ConfigError(f"{name!r} is no target or run that was judged in {results}{nearest(name, known)}{asked}")
    if found[0].status != "finished":
        raise ConfigError(f"run {found[0].run_id} is {found[0].status}: `bench run` goes on where it stopped")
    return found


def _why_none(a: str, b: str, left: Sequence[Judged], right: Sequence[Judged]) -> str:
    if {run.run_id for run in left} == {run.run_id for run in right}:
        return f"{a} and {b} are the same run {left[0].run_id}: name two runs"
    x, y = max(((x, y) for x in left for y in right), key=lambda pair: _alike(*pair))
    same = (x.suite, x.suite_version) == (y.suite, y.suite_version)
    what = "different items" if same else "different suites or suite versions"
    return f"{what} are never compared: {a} {x.told()}, {b} {y.told()}; {_same_for_both(x, y, 'ask both the same')}"


def _same_for_both(x: Judged, y: Judged, what: str, *options: str) -> str:
    """What to do that both hold the same items."""
    if x.is_import and y.is_import:
        return "import evaluations of both on the same tasks, items and shots"
    if x.is_import or y.is_import:
        return ONLY_IMPORTS
    return " ".join([f"{what}: bench run {x.suite} -t {x.target_id} -t {y.target_id}", *options])


def _alike(x: Judged, y: Judged) -> tuple[int, str]:
    """How far two runs agree in what they were asked, and how new they are: the nearest miss is what one is told of."""
    agreed = next((k for k, (p, q) in enumerate(zip(x.asked, y.asked, strict=True)) if p != q), len(x.asked))
    return agreed, min(x.run_id, y.run_id)


def newer_revision(results: Path, run: Judged) -> Judged | None:
    """A finished run of the same target since then, with another fingerprint: it was measured before it changed."""
    later = [other for other in judged_runs(results) if other.run_id > run.run_id and other.status == "finished"]
    return next((r for r in later if r.target_id == run.target_id and r.fingerprint != run.fingerprint), None)


def suite_of(run: Judged) -> suites.Suite | None:
    """The suite as it was when the run was made; None where only another content of it is here, or none."""
    try:
        found = suites.suite(f"{run.suite}@{run.suite_version}")
    except ConfigError:
        return None
    return found if found.hash == run.suite_hash else None


def pairs_by_task(results: Path, a: Judged, b: Judged) -> dict[str, Pairs]:
    """Every task's items, in the suite's order; ConfigError where a run lacks a task or an item of the other."""
    import numpy as np

    from bench.stats.paired import Pairs

    found = database.columns(results, "compare_items", run_a=a.run_id, run_b=b.run_id)
    _require_same_tasks(a, b, set(np.unique(found["task"].astype(str)).tolist()))
    lone = (found["n_a"] == 0) | (found["n_b"] == 0)
    if lone.any():
        task = found["task"][lone][0]
        counts = [int(((found["task"] == task) & (found[n] > 0)).sum()) for n in ("n_a", "n_b")]
        raise ConfigError(
            f"task {task}: the runs hold different items ({counts[0]} and {counts[1]}, {int(lone.sum())} in one only); "
            f"{_same_for_both(a, b, 'ask both the same', '--fresh')}"
        )
    names, at = np.unique(found["task"].astype(str), return_inverse=True)
    order, arrays = np.argsort(at, kind="stable"), {}
    ends = np.cumsum(np.bincount(at))[:-1]
    for name in ("a", "b", "cluster", "n_a", "n_b", "unscored_a", "unscored_b"):
        values = np.ma.asarray(found[name])
        plain = np.ma.filled(values.astype(float), np.nan) if name in "ab" else np.ma.filled(values)
        arrays[name] = np.split(plain[order], ends)
    made = {
        str(task): Pairs(
            a=arrays["a"][k],
            b=arrays["b"][k],
            clusters=np.unique(arrays["cluster"][k], return_inverse=True)[1],
            repeats_a=arrays["n_a"][k],
            repeats_b=arrays["n_b"][k],
            unscored_a=arrays["unscored_a"][k],
            unscored_b=arrays["unscored_b"][k],
        )
        for k, task in enumerate(names)
    }
    suite = suite_of(a)
    listed = [task.name for task in suite.tasks] if suite else []
    return {name: made[name] for name in [*listed, *made] if name in made}


def _require_same_tasks(a: Judged, b: Judged, shared: set[str]) -> None:
    for run, other in ((a, b), (b, a)):
        if lacking := sorted(set(run.tasks) - shared):
            raise ConfigError(
                f"task {lacking[0]} of {run.run_id} has no metric in common with {other.run_id}: the two can't be "
                f"compared; {_same_for_both(a, b, 'ask both the whole suite', '--fresh')}"
            )
