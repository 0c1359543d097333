"""The gap on one index fitted over all benchmarks, or on one capability's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bench.analysis.gap import Asked, IndexScale, View, measured, observed, until, z_of
from bench.errors import ConfigError, nearest

if TYPE_CHECKING:
    import numpy
    import pandas

    from bench.frontier.index import Fit
    from bench.frontier.index.prepare import Prepared
    from bench.frontier.scores import EffortRule, Rule

REFITS = 500


def index_gap(
    results: Path,
    asked: Asked | None = None,
    *,
    capability: str | None = None,
    refits: int = REFITS,
    progress: Callable[[int, int], None] | None = None,
) -> View:
    """The gap on one index fitted over all benchmarks here, or on one capability's; intervals from `refits` refits.

    Difficulties and slopes are fitted to all scores, also to those after `as_of`: they are the ruler, not what is
    measured. Refits are kept in `results/cache/index`. ConfigError where the scores don't make an index.
    """
    from bench.frontier import index

    asked = asked or Asked()
    found = observed(results, asked)
    prepared = prepared_rows(found, asked)
    fitted = index.fit(prepared.rows)
    drawn = None
    if capability is None:
        told = fitted.models
        if refits:
            cache = Path(results) / "cache" / "index"
            drawn = index.refits(prepared.rows, fitted, refits, asked.seed, cache, progress)
    else:
        told = _of_capability(prepared.rows, fitted, capability, asked.confidence)
    rows = rows_of(found, prepared.members, told, asked)
    benchmark = IndexScale(
        name=f"the {capability + ' ' if capability else ''}index over {len(fitted.benchmarks)} benchmarks"
    )
    placed = None if drawn is None else drawn[:, [told["model"].tolist().index(name) for name in rows["version"]]]
    placed = _conditional(rows, asked) if placed is None and capability is not None else placed
    return View(
        benchmark=benchmark,
        asked=asked,
        gap=measured(rows, benchmark, asked, placed),
        rows=rows,
        draws=placed,
        observed=found,
        fit=fitted,
    )


def index_fit(results: Path, asked: Asked | None = None) -> Fit:
    """The index alone: `models`, `benchmarks` and what was left out, as DataFrames of the fit."""
    from bench.frontier import index

    asked = asked or Asked()
    return index.fit(prepared_rows(observed(results, asked), asked).rows)


def prepared_rows(found: pandas.DataFrame, asked: Asked) -> Prepared:
    from bench.catalog.benchmarks import benchmarks
    from bench.frontier import index

    facts = {name: told for name, told in benchmarks().items() if told.in_index}
    rule, effort_rule = cast("Rule", asked.rule), cast("EffortRule", asked.effort_rule)
    return index.index_rows(found, facts, rule=rule, effort_rule=effort_rule)


def _of_capability(rows: pandas.DataFrame, fitted: Fit, capability: str, confidence: float) -> pandas.DataFrame:
    """`model, index, stderr` on the benchmarks of one capability."""
    from typing import get_args

    from bench.catalog.benchmarks import Capability, benchmarks
    from bench.frontier import index

    known = get_args(Capability)
    if capability not in known:
        raise ConfigError(f"capability {capability!r} is none of {', '.join(known)}{nearest(capability, known)}")
    inside = [name for name, told in benchmarks().items() if told.in_index and capability in told.capability]
    found = index.of_capability(rows, fitted, capability, inside, confidence=confidence)
    if found.reason is not None:
        raise ConfigError(f"no {capability} index: {found.reason}; import more scores, or ask for another capability")
    reach = (found.models["high"] - found.models["low"]) / (2 * z_of(confidence))
    return found.models.assign(stderr=reach)


def _conditional(rows: pandas.DataFrame, asked: Asked) -> numpy.ndarray | None:
    """Draws where each model has an error but there are no refits: of a capability alone."""
    from bench.frontier import posterior

    return posterior.draws(rows, IndexScale(), n=asked.draws, seed=asked.seed) if len(rows) and asked.draws else None


def rows_of(
    found: pandas.DataFrame, members: pandas.DataFrame, fitted: pandas.DataFrame, asked: Asked
) -> pandas.DataFrame:
    """Rows of `measure`, one per group of versions and class; `version` is the group's name."""
    from bench.frontier import scores

    facts = found.drop_duplicates("version").set_index("version")
    columns = ["label", "vendor", "open_since", "closed_since", "source"]
    known = members.join(facts[columns], on="version").sort_values("released", kind="stable")
    first = known.groupby("group").agg(
        {"model": "first", "label": "first", "vendor": "first", "released": "min", "open_since": "min",
         "closed_since": "min", "source": "first"}
    )  # fmt: skip
    told = fitted[["model", "index", "stderr"]].rename(columns={"model": "group", "index": "score"})
    frame = told.join(first, on="group").rename(columns={"group": "version"})
    frame = frame.assign(benchmark="index", effort=None, provenance=asked.provenance)
    rows = scores.rows(frame, IndexScale())
    kept: pandas.DataFrame = rows[until(rows, asked.as_of)].reset_index(drop=True)
    return kept
