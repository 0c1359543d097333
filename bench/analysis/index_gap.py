"""The gap on one index fitted over all benchmarks here, or on one capability's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from bench.analysis.gap import Asked, PlainScale, View, measured, observed, until
from bench.analysis.versions import one_version_each
from bench.errors import ConfigError, nearest
from bench.stats import z_quantile

if TYPE_CHECKING:
    import numpy
    import pandas

    from bench.frontier.index import Fit
    from bench.frontier.index.prepare import Prepared
    from bench.frontier.scores import EffortRule, Rule

REFITS = 500
NOTHING_OWN = "nothing measured here stands on the index"


@dataclass(frozen=True, kw_only=True, eq=False)
class Index:
    """A fitted index, and what it was fitted to."""

    fit: Fit
    prepared: Prepared
    capability: str | None
    """Of which benchmarks the scores of models are; None = of all."""
    scores: pandas.DataFrame
    """`model` (the group of versions), `index`, `stderr`."""
    benchmarks: tuple[str, ...]
    """That the scores of models are of."""

    @property
    def benchmark(self) -> PlainScale:
        """The index as the frontier knows a benchmark."""
        what = f"{self.capability} index" if self.capability else "index"
        name = f"the {what} over {len(self.benchmarks)} benchmarks"
        return PlainScale(id="index", name=name, unit="index points", scale="points")


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
    measured. Refits are kept in `results/cache/index`. Own scores are placed on the index of the published ones, each
    target by at least three benchmarks. ConfigError where the scores don't make an index.
    """
    asked = asked or Asked()
    found = observed(results, asked, _of_index())
    if asked.provenance == "own":
        published = observed(results, replace(asked, provenance="published"), _of_index())
        fitted = _placed(found, _fitted(published, asked, capability), asked)
    else:
        fitted = _fitted(found, asked, capability)
    rows = rows_of(found, fitted, fitted.scores, asked)
    drawn = _draws(results, rows, fitted, asked, refits, progress)
    return View(
        benchmark=fitted.benchmark,
        asked=asked,
        gap=measured(rows, fitted.benchmark, asked, drawn),
        rows=rows,
        draws=drawn,
        observed=found,
        index=fitted,
    )


def index_fit(results: Path, asked: Asked | None = None) -> Fit:
    """The index alone: `models`, `benchmarks` and what was left out, as DataFrames of the fit."""
    asked = asked or Asked()
    return _fitted(observed(results, asked, _of_index()), asked, None).fit


def _of_index() -> list[str]:
    from bench.catalog.benchmarks import benchmarks

    return [name for name, told in benchmarks().items() if told.in_index]


def _placed(found: pandas.DataFrame, ruler: Index, asked: Asked) -> Index:
    """What was measured here, on the frozen difficulties of `ruler`; targets with too few benchmarks are left out."""
    import pandas as pd

    from bench.frontier import index

    if found.empty:
        raise ConfigError(f"{NOTHING_OWN}: no score on a benchmark of it was measured here")
    prepared = _prepared(found, asked, since=None)
    rows = prepared.rows[prepared.rows["benchmark"].isin(ruler.benchmarks)]
    told = [(model, index.place(part, ruler.fit, confidence=asked.confidence)) for model, part in rows.groupby("model")]
    z = z_quantile(asked.confidence)
    known = [(model, p.index, _reach(p.low, p.high) / z) for model, p in told if p.index is not None]
    if not known:
        raise ConfigError(f"{NOTHING_OWN}: {'; '.join(sorted({p.reason for _, p in told if p.reason is not None}))}")
    scores = pd.DataFrame(known, columns=["model", "index", "stderr"])
    return replace(ruler, prepared=prepared, scores=scores)


def _reach(low: float | None, high: float | None) -> float:
    """Half the width of an interval; NaN where an end is open."""
    return float("nan") if low is None or high is None else (high - low) / 2


def _prepared(found: pandas.DataFrame, asked: Asked, since: dt.date | None) -> Prepared:
    from bench.catalog.benchmarks import benchmarks
    from bench.frontier import index

    facts = {name: benchmarks()[name] for name in _of_index()}
    rule, effort_rule = cast("Rule", asked.rule), cast("EffortRule", asked.effort_rule)
    return index.index_rows(one_version_each(found), facts, rule=rule, effort_rule=effort_rule, since=since)


def _fitted(found: pandas.DataFrame, asked: Asked, capability: str | None) -> Index:
    from bench.catalog.benchmarks import benchmarks
    from bench.frontier import index
    from bench.frontier.index.prepare import SINCE

    prepared = _prepared(found, asked, SINCE)
    fitted = index.fit(prepared.rows)
    used = tuple(fitted.benchmarks["benchmark"])
    if capability is None:
        return Index(fit=fitted, prepared=prepared, capability=None, scores=fitted.models, benchmarks=used)
    inside = tuple(name for name in used if capability in benchmarks()[name].capability)
    scores = of_capability(prepared, fitted, capability, inside, asked.confidence)
    return Index(fit=fitted, prepared=prepared, capability=capability, scores=scores, benchmarks=inside)


def of_capability(
    prepared: Prepared, fitted: Fit, capability: str, inside: tuple[str, ...], confidence: float
) -> pandas.DataFrame:
    """`model, index, stderr` of every model asked enough of these benchmarks; ConfigError where they are too few."""
    from bench.catalog.benchmarks import Capability
    from bench.frontier import index

    known = get_args(Capability)
    if capability not in known:
        raise ConfigError(f"no capability is called {capability!r}{nearest(capability, known)}")
    found = index.of_capability(prepared.rows, fitted, capability, inside, confidence=confidence)
    if found.reason is not None:
        raise ConfigError(f"no {capability} index: {found.reason}; import more scores, or ask for another capability")
    reach = (found.models["high"] - found.models["low"]) / (2 * z_quantile(confidence))
    return found.models.assign(stderr=reach)


def _draws(
    results: Path,
    rows: pandas.DataFrame,
    fitted: Index,
    asked: Asked,
    refits: int,
    progress: Callable[[int, int], None] | None,
) -> numpy.ndarray | None:
    """Refits, a column per row; of one capability, draws from each model's own error on the frozen scale."""
    from bench.frontier import index, posterior

    if not len(rows) or not refits:
        return None
    if fitted.scores is not fitted.fit.models:  # placed one by one, on a scale taken as known
        return posterior.draws(rows, fitted.benchmark, n=asked.draws, seed=asked.seed)
    cache = Path(results) / "cache" / "index"
    drawn = index.refits(fitted.prepared.rows, fitted.fit, refits, asked.seed, cache, progress)
    place = {name: n for n, name in enumerate(fitted.fit.models["model"])}
    return drawn[:, [place[name] for name in rows["version"]]]


def rows_of(found: pandas.DataFrame, fitted: Index, scores: pandas.DataFrame, asked: Asked) -> pandas.DataFrame:
    """Rows of `measure`, one per group of versions and class; `version` is the group's name."""
    from bench.frontier import scores as scoring

    facts = found.drop_duplicates("version").set_index("version")
    told = ["label", "vendor", "open_since", "closed_since", "source"]
    known = fitted.prepared.members.join(facts[told], on="version").sort_values("released", kind="stable")
    earliest = dict.fromkeys(("released", "open_since", "closed_since"), "min")
    first = known.groupby("group").agg(dict.fromkeys(("model", "label", "vendor", "source"), "first") | earliest)
    plain = scores[["model", "index", "stderr"]].rename(columns={"model": "group", "index": "score"})
    frame = plain.join(first, on="group").rename(columns={"group": "version"})
    rows = scoring.rows(frame.assign(benchmark="index", effort=None, provenance=asked.provenance), fitted.benchmark)
    kept: pandas.DataFrame = rows[until(rows, asked)].reset_index(drop=True)
    kept.attrs["rules"] = (fitted.prepared.method, fitted.fit.method)
    return kept
