"""How the gap moves with one choice at a time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bench.analysis.gap import View
from bench.analysis.index_gap import prepared_rows, rows_of
from bench.analysis.observations import regraded
from bench.errors import ConfigError

if TYPE_CHECKING:
    import pandas

    from bench.frontier.scores import EffortRule, Rule
    from bench.frontier.sensitivity import Alternatives

MOST_MOVED = 5
"""Lines that leave a benchmark out, of all."""


def gap_sensitivity(results: Path, view: View) -> pandas.DataFrame:
    """How the answer moves with one choice at a time, all as of the same date: `frontier.sensitivity.COLUMNS`.

    Without one lab, with another tolerance, rule of rows or efforts, threshold of "open"; for an index, without one
    benchmark (the MOST_MOVED that move the gap most).
    """
    from bench.frontier import sensitivity

    asked = view.asked
    others = _other_indices(results, view) if view.fit is not None else _other_rows(results, view)
    found = sensitivity.lines(
        view.rows,
        view.benchmark,
        as_of=view.gap.as_of,
        tolerance=asked.tolerance,
        confidence=asked.confidence,
        alternatives=others,
    )
    return _most_moved(found)


def _other_rows(results: Path, view: View) -> Alternatives:
    from bench.frontier import sensitivity

    asked, benchmark = view.asked, view.benchmark

    return sensitivity.alternatives(
        view.observed,
        benchmark,
        rule=cast("Rule", asked.rule),
        effort_rule=cast("EffortRule", asked.effort_rule),
        at_grade=partial(_at, results, view),
    )


def _other_indices(results: Path, view: View) -> Alternatives:
    """Without each benchmark, warm-started, and at each grade; the fit itself does not depend on grades."""
    from bench.frontier import index
    from bench.frontier.sensitivity import THRESHOLDS

    asked, fitted = view.asked, view.fit
    assert fitted is not None
    prepared = prepared_rows(view.observed, asked)

    def without(name: str) -> pandas.DataFrame | None:
        try:
            fewer = index.without(prepared.rows, fitted, name)
        except ConfigError:  # an anchor falls out: the line can't be told
            return None
        return rows_of(view.observed, prepared.members, fewer.models, asked)

    def at(grade: str) -> pandas.DataFrame:
        return rows_of(_at(results, view, grade), prepared.members, fitted.models, asked)

    fewer = {("leave one benchmark out", name): partial(without, name) for name in fitted.benchmarks["benchmark"]}
    return {**fewer, **{("open at least", grade): partial(at, grade) for grade in THRESHOLDS}}


def _at(results: Path, view: View, grade: str) -> pandas.DataFrame:
    """The view's observations at another threshold of what is open."""
    return regraded(results, view.observed, open_at_least=grade, as_of=view.asked.as_of)


def _most_moved(found: pandas.DataFrame) -> pandas.DataFrame:
    """Of the lines that leave a benchmark out, only those that move the gap most."""
    of_many = found["line"] == "leave one benchmark out"
    moved = (found["gap_points"] - found["gap_points"].iloc[0]).abs()[of_many]
    kept = moved.nlargest(MOST_MOVED).index
    return found[~of_many | found.index.isin(kept)].reset_index(drop=True)
