"""How far open weights are behind: the gap on one benchmark, on the index over many, and over time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from bench.analysis.observations import DEFAULT_OPEN, observations
from bench.analysis.versions import one_version
from bench.errors import ConfigError, nearest

if TYPE_CHECKING:
    import numpy
    import pandas

    from bench.analysis.index_gap import Index
    from bench.frontier.answer import Gap
    from bench.frontier.scores import EffortRule, Rule, Scale

HEADLINE = "eci"
"""Epoch AI's published index: what `bench gap` shows when nothing is named."""
DRAWS = 1000
LEAST_ROWS = 5
"""Versions of each class that a benchmark needs to stand in `gap_table`."""
TABLE_COLUMNS = (
    "benchmark", "capability", "as_of", "unit", "closed_model", "closed_score", "open_model", "open_score",
    "gap_points", "gap_low", "gap_high", "lag_state", "lag_months", "lag_low", "lag_high",
    "match_median_months", "match_low", "match_high", "records", "unmatched", "horizontal_months",
    "horizontal_months_indistinct", "n_closed", "n_open", "stale_days", "provenance",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of the scores; the defaults are those of `bench gap`."""

    as_of: dt.date | None = None
    """None: the last date on which both classes still got new models."""
    open_at_least: str = DEFAULT_OPEN
    tolerance: float = 0.0
    """What an open model may lack and still count as equal, in the benchmark's points or percentage points."""
    provenance: str = "published"
    """`published`, `own` or `combined`."""
    rule: str = "best"
    """Which row of a version counts: `best`, `mean`, `latest`."""
    effort_rule: str = "best"
    """Which reasoning effort of a version counts: `best`, `mean`, `none`, `each`."""
    confidence: float = 0.9
    draws: int = DRAWS
    seed: int = 0
    today: dt.date = field(default_factory=lambda: dt.datetime.now(dt.UTC).date())


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """One gap and what it was computed from."""

    benchmark: Scale
    asked: Asked
    gap: Gap
    rows: pandas.DataFrame
    """One score per model version and class: `version, model, label, vendor, cls, since, value, stderr` and more."""
    draws: numpy.ndarray | None
    observed: pandas.DataFrame
    """What the rows were made of: `observations`, of this benchmark, or of all for an index."""
    index: Index | None = None
    """What an index was fitted to."""
    version: str | None = None
    """Of the benchmark, where only one of several could be shown: a snapshot of an arena."""

    def as_dict(self) -> dict[str, Any]:
        """For `bench gap --json`."""
        told = {"open_at_least": self.asked.open_at_least, "benchmark_version": self.version}
        return {**self.gap.as_dict(), **told}


@dataclass(frozen=True, kw_only=True)
class PlainScale:
    """A benchmark that the catalogue does not know, as the frontier wants one: scores as they stand."""

    id: str
    name: str
    unit: str
    scale: Literal["proportion", "points"]
    chance: float = 0.0
    ceiling: float = 1.0
    n_items: int | None = None


def gap(results: Path, benchmark: str = HEADLINE, asked: Asked | None = None) -> View:
    """The gap on one benchmark; ConfigError for one that is unknown or has no score of that provenance."""
    asked = asked or Asked()
    found = observed(results, asked, [_id(benchmark)])
    if found.empty:
        found = observed(results, asked)  # to say what there is
    return _view(found, scale_of(benchmark, found), asked)


def _id(name: str) -> str:
    from bench.catalog.benchmarks import known

    told = known(name)
    return name if told is None else told.id


def observed(results: Path, asked: Asked, benchmarks: list[str] | None = None) -> pandas.DataFrame:
    """Every score that `asked` wants: `observations` of its provenance and threshold."""
    return observations(
        results,
        provenance=asked.provenance,
        open_at_least=asked.open_at_least,
        as_of=asked.as_of,
        benchmarks=benchmarks,
    )


def scale_of(name: str, found: pandas.DataFrame) -> Scale:
    """The benchmark called `name`, of the catalogue or of the scores themselves: a task of ours, a slug."""
    from bench.catalog.benchmarks import benchmarks, known

    seen = set(found["benchmark"].unique())
    told = known(name)
    if told is not None and told.id in seen:
        return told
    if name in seen:
        scale = _scale(name, found[found["benchmark"] == name])
        return PlainScale(id=name, name=name, unit=scale, scale=scale)
    if told is not None:
        have = f"there are scores on {', '.join(sorted(seen)[:8])} …" if seen else "there are none on any benchmark"
        raise ConfigError(
            f"no score of that provenance on {told.id} is here: {have}; `bench import` takes published ones, "
            "`bench run` makes own ones"
        )
    raise ConfigError(f"benchmark {name!r} is unknown{nearest(name, seen | set(benchmarks()))}")


def _scale(name: str, part: pandas.DataFrame) -> Literal["proportion", "points"]:
    """What its sources say, else what its figures look like."""
    told = set(part["scale"].dropna())
    if len(told) > 1:
        raise ConfigError(f"{name}: some scores are told as proportions, some as points; import them on one scale")
    if told:
        return "points" if told == {"points"} else "proportion"
    return "proportion" if part["score"].between(0, 1).all() else "points"


def _view(found: pandas.DataFrame, benchmark: Scale, asked: Asked) -> View:
    from bench.frontier import posterior, scores

    part, version = one_version(found, benchmark.id, asked.as_of)
    rows = scores.rows(
        part, benchmark, rule=cast("Rule", asked.rule), effort_rule=cast("EffortRule", asked.effort_rule)
    )
    rows = scores.assuming_errors(rows[until(rows, asked)].reset_index(drop=True))
    drawn = posterior.draws(rows, benchmark, n=asked.draws, seed=asked.seed) if len(rows) and asked.draws else None
    return View(
        benchmark=benchmark,
        asked=asked,
        gap=measured(rows, benchmark, asked, drawn),
        rows=rows,
        draws=drawn,
        observed=part,
        version=version,
    )


def measured(rows: pandas.DataFrame, benchmark: Scale, asked: Asked, drawn: numpy.ndarray | None) -> Gap:
    """What `asked` wants to know of these rows; `drawn` has a column per row, None = no intervals."""
    from bench.frontier.measure import measure

    return measure(
        rows,
        benchmark=benchmark,
        as_of=asked.as_of,
        draws=drawn,
        tolerance=asked.tolerance,
        confidence=asked.confidence,
        today=asked.today,
        seed=asked.seed,
        provenance=asked.provenance,
    )


def until(rows: pandas.DataFrame, asked: Asked) -> Any:
    """Which rows had come by the day that is asked for; a model that is dated after today has not."""
    import pandas as pd

    return rows["since"] <= pd.Timestamp(asked.as_of or asked.today)


def gap_table(results: Path, asked: Asked | None = None, benchmarks: list[str] | None = None) -> pandas.DataFrame:
    """One row per benchmark, as of its own last date with news of both classes, or of `asked.as_of`; TABLE_COLUMNS.

    Without names: all with at least LEAST_ROWS versions of each class. Figures as in `Gap`. What can't be told is left
    out: `frame.attrs["left_out"]`, a line by benchmark.
    """
    import pandas as pd

    asked = asked or Asked()
    found = observed(results, asked)
    rows, left_out = [], {}
    for name in benchmarks or _worth(found):
        try:
            view = _view(found, scale_of(name, found), asked)
            if benchmarks or min(view.gap.variants.values()) >= LEAST_ROWS:
                rows.append(_line(view))
        except ConfigError as error:
            if benchmarks:
                raise
            left_out[name] = str(error)
    frame = pd.DataFrame(rows, columns=list(TABLE_COLUMNS))
    frame.attrs["left_out"] = left_out
    return frame


def _worth(found: pandas.DataFrame) -> list[str]:
    sides = [found[found[since].notna()] for since in ("closed_since", "open_since")]
    many = [part.groupby("benchmark")["version"].nunique() for part in sides]
    both = many[0].index.intersection(many[1].index)
    return sorted(str(name) for name in both if min(side[name] for side in many) >= LEAST_ROWS)


def _line(view: View) -> dict[str, Any]:
    found, benchmark = view.gap, view.benchmark
    match, lag = found.time_to_match, found.lag_now
    return {
        "benchmark": found.benchmark,
        "capability": ", ".join(getattr(benchmark, "capability", ())),
        "as_of": found.as_of,
        "unit": found.unit,
        "closed_model": found.closed.model if found.closed else None,
        "closed_score": found.closed.score if found.closed else None,
        "open_model": found.open.model if found.open else None,
        "open_score": found.open.score if found.open else None,
        "gap_points": found.gap.points,
        "gap_low": found.gap.low,
        "gap_high": found.gap.high,
        "lag_state": lag.state,
        "lag_months": lag.months,
        "lag_low": lag.low,
        "lag_high": lag.high,
        "match_median_months": match.median_months,
        "match_low": match.low,
        "match_high": match.high,
        "records": match.records,
        "unmatched": match.unmatched,
        "horizontal_months": found.mean_horizontal_months,
        "horizontal_months_indistinct": found.not_distinguishable.mean_horizontal_months,
        "n_closed": found.variants["closed"],
        "n_open": found.variants["open"],
        "stale_days": found.stale_days,
        "provenance": found.provenance,
    }
