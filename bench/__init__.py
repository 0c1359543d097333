"""Are open weights good enough for my use yet, what do they cost, how fast are they, where should they run?

In a notebook: `import bench; bench.run("quick")` measures and returns the table that `bench report` shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

__version__ = "0.1.0"
__all__ = ["__version__", "report", "run", "run_load"]


def run(
    suite: str = "quick",
    targets: Sequence[str] | None = None,
    *,
    limit: int | None = None,
    repeats: int = 1,
    seed: int = 0,
    concurrency: int | None = None,
    max_usd: str | None = None,
    fresh: bool = False,
    results: str | Path = "results",
) -> pandas.DataFrame:
    """Ask `suite` of `targets` (default: the embedded family) and return the report of these runs.

    One row per target and task, and one per target with task `macro`; columns as in `analysis.report`. Works inside a
    running event loop. Raises the BenchError that stopped a run, after everything answered has been kept.
    """
    from bench import quality, terminal
    from bench.budget import dollars
    from bench.catalog import load

    asked = quality.questions(suite, targets, catalog=load(), limit=limit, repeats=repeats, seed=seed)
    manner = quality.Manner(
        fresh=fresh, concurrency=concurrency, max_usd=dollars(max_usd) if max_usd is not None else None
    )
    outcomes = quality.run_all(asked, Path(results), manner, terminal.Lines())
    found = report(results, [o.run_id for o in outcomes if o.run_id is not None])
    for outcome in outcomes:
        if outcome.stop is not None:
            raise outcome.stop
    return found


def run_load(target: str, *, results: str | Path = "results", **asked: Any) -> pandas.DataFrame:
    """Load one target and return its steps, a row each; columns as in `analysis.load`.

    `asked` is what `bench load` takes: `arrivals` (a list), `shape`, `duration_s`, `slo`, `attainment`, `search`,
    `cache`, `client`, `workers`, `seed`, `self_check`, `max_usd`. Works inside a running event loop. Raises the
    BenchError that stopped the load, after everything that came has been kept.
    """
    from bench import analysis, database, load, load_progress
    from bench.load import asked as asking

    (plan,) = asking.plans([target], **asked)
    outcome = load.run(plan, Path(results), load_progress.watcher())
    if outcome.stop is not None:
        raise outcome.stop
    database.build(Path(results))
    return analysis.load(Path(results), [str(outcome.run_id)])


def report(results: str | Path = "results", run_ids: Sequence[str] | None = None) -> pandas.DataFrame:
    """What was measured: quality with intervals, speed, latency, price; by default every target's newest run."""
    from bench import analysis, database

    database.build(Path(results))
    return analysis.report(Path(results), list(run_ids) if run_ids is not None else None)
