"""How the gap moves with one choice at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bench.analysis import openness
from bench.analysis.gap import View
from bench.analysis.index_gap import Index, of_capability, rows_of
from bench.analysis.observations import regraded
from bench.errors import ConfigError

if TYPE_CHECKING:
    import pandas

    from bench.frontier.scores import EffortRule, Rule
    from bench.frontier.sensitivity import Alternatives

    AtGrade = Callable[[str], pandas.DataFrame]

MOST_MOVED = 5
"""Lines that leave a benchmark out, of all."""


def gap_sensitivity(results: Path, view: View) -> pandas.DataFrame:
    """How the answer moves with one choice at a time, all as of the same date: `frontier.sensitivity.COLUMNS`.

    Without one lab, with another tolerance, rule of rows or efforts, threshold of "open"; for an index, without one
    benchmark (the MOST_MOVED that move the gap most).
    """
    from bench.frontier import sensitivity

    asked = view.asked
    at = partial(_at, view, openness.access(results))
    others = _other_rows(view, at) if view.index is None else _other_indices(view, view.index, at)
    found = sensitivity.lines(
        view.rows,
        view.benchmark,
        as_of=view.gap.as_of,
        tolerance=asked.tolerance,
        confidence=asked.confidence,
        alternatives=others,
    )
    return _most_moved(found)


def _other_rows(view: View, at: AtGrade) -> Alternatives:
    from bench.frontier import sensitivity

    return sensitivity.alternatives(
        view.observed,
        view.benchmark,
        rule=cast("Rule", view.asked.rule),
        effort_rule=cast("EffortRule", view.asked.effort_rule),
        at_grade=at,
    )


def _other_indices(view: View, index: Index, at: AtGrade) -> Alternatives:
    """Without each benchmark, and at each grade; grades don't change the fit."""
    from bench.frontier.sensitivity import THRESHOLDS

    def without(name: str) -> pandas.DataFrame | None:
        try:
            return rows_of(view.observed, index, _scores_without(index, name, view.asked.confidence), view.asked)
        except ConfigError:  # an anchor falls out, or too few are left: the line can't be told
            return None

    def graded(grade: str) -> pandas.DataFrame:
        return rows_of(at(grade), index, index.scores, view.asked)

    fewer = {("leave one benchmark out", name): partial(without, name) for name in index.benchmarks}
    return {**fewer, **{("open at least", grade): partial(graded, grade) for grade in THRESHOLDS}}


def _scores_without(index: Index, name: str, confidence: float) -> pandas.DataFrame:
    """Refitted without that benchmark; of a capability, placed by the others on the same scale."""
    from bench.frontier.index import without

    if index.capability is None:
        return without(index.prepared.rows, index.fit, name).models
    rest = tuple(other for other in index.benchmarks if other != name)
    return of_capability(index.prepared, index.fit, index.capability, rest, confidence)


def _at(view: View, grades: pandas.DataFrame, grade: str) -> pandas.DataFrame:
    """The view's observations at another threshold of what is open."""
    return regraded(view.observed, grades, open_at_least=grade, as_of=view.asked.as_of)


def _most_moved(found: pandas.DataFrame) -> pandas.DataFrame:
    """Of the lines that leave a benchmark out, only those that move the gap most."""
    of_many = found["line"] == "leave one benchmark out"
    moved = (found["gap_points"] - found["gap_points"].iloc[0]).abs()[of_many]
    kept = moved.nlargest(MOST_MOVED).index
    return found[~of_many | found.index.isin(kept)].reset_index(drop=True)
