"""What the answer would be without one lab or one benchmark, with another rule, another grade, another tolerance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING

from bench.catalog.grades import GRADES, Grade
from bench.frontier import curves, scores
from bench.frontier.curves import MONTH_DAYS, Lag
from bench.frontier.matching import Matching, indistinct, matching
from bench.frontier.scores import EffortRule, Rule, Scale, factor
from bench.frontier.seen import Seen, seen, usual_date

if TYPE_CHECKING:
    from pandas import DataFrame

    Alternatives = Mapping[tuple[str, str], Callable[[], DataFrame | None]]

COLUMNS = ["line", "what", "gap_points", "lag_months", "lag_state", "ttm_months"]
Row = tuple[str, str, float | None, float | None, str, float | None]
THRESHOLDS: tuple[Grade, ...] = GRADES[GRADES.index("weights-noncommercial") :]


def lines(
    rows: DataFrame,
    benchmark: Scale,
    *,
    as_of: date | None = None,
    tolerance: float = 0.0,
    confidence: float = 0.9,
    alternatives: Alternatives | None = None,
) -> DataFrame:
    """`line, what, gap_points, lag_months, lag_state, ttm_months`: first as measured, then one change at a time.

    All lines are as of the same date. `gap_points` in the unit of `measure`; `lag_months` is a lower bound where
    `lag_state` is `>=`; `ttm_months` is NaN where the median isn't reached. `alternatives`: other rows for the same
    question by (line, what), made when asked; None from one of them = it can't be told.
    """
    import pandas as pd

    when, lift, scale = as_of or usual_date(rows), tolerance / factor(benchmark), factor(benchmark)
    here = seen(rows, when)
    told = [
        _told("as measured", "", here, lift, scale),
        *(
            _told("leave one lab out", lab, seen(rows[rows["vendor"] != lab], when), lift, scale)
            for lab in record_labs(rows, when)
        ),
        _told("tolerance", "0", here, 0.0, scale),
        _indistinct(here, confidence, scale),
    ]
    for (line, what), make in (alternatives or {}).items():
        other = make()
        told.append((line, what, *_UNKNOWN) if other is None else _told(line, what, seen(other, when), lift, scale))
    numbers = dict.fromkeys(("gap_points", "lag_months", "ttm_months"), "float64")
    return pd.DataFrame(told, columns=COLUMNS).astype(numbers)


def alternatives(
    observations: DataFrame,
    benchmark: Scale,
    *,
    rule: Rule = "best",
    effort_rule: EffortRule = "best",
    at_grade: Callable[[Grade], DataFrame] | None = None,
) -> dict[tuple[str, str], Callable[[], DataFrame | None]]:
    """The other rules for one benchmark's observations, and with `at_grade` every grade from which "open" may begin.

    `at_grade(threshold)` gives the observations with `open_since` and `closed_since` at that threshold.
    """
    found: dict[tuple[str, str], Callable[[], DataFrame | None]] = {}
    for other in ("best", "none"):
        if other != effort_rule:
            found["effort rule", other] = _by_rules(observations, benchmark, rule, other)
    for single in ("best", "mean", "latest"):
        if single != rule:
            found["one score per version", single] = _by_rules(observations, benchmark, single, effort_rule)
    if at_grade:
        for grade in THRESHOLDS:
            found["open at least", grade] = _by_grade(at_grade, grade, benchmark, rule, effort_rule)
    return found


def record_labs(rows: DataFrame, as_of: date | None) -> list[str]:
    """The labs that set at least one record by that date, in either class."""
    here = seen(rows, as_of)
    places = [*here.closed_records.place, *here.open_records.place]
    return sorted(set(rows["vendor"].iloc[places].dropna()))


def _told(line: str, what: str, here: Seen, lift: float, scale: float) -> Row:
    lag = curves.lag(here.closed_records, here.open_records, here.day, lift)
    return _row(line, what, here, lag, matching(here.closed_records, here.open_records, here.day, lift), scale)


def _indistinct(here: Seen, confidence: float, scale: float) -> Row:
    line, what = "tolerance", "not distinguishable"
    if not here.both:
        return line, what, *_UNKNOWN
    told = indistinct(here, confidence)
    return _row(line, what, here, told.lag, told.matching, scale)


def _row(line: str, what: str, here: Seen, lag: Lag, match: Matching, scale: float) -> Row:
    if not here.both:
        return line, what, *_UNKNOWN
    gap = float(here.closed_records.value[-1] - here.open_records.value[-1]) * scale
    months = None if lag.days is None else lag.days / MONTH_DAYS
    return line, what, gap, months, lag.state, match.survival().median


def _by_rules(
    observations: DataFrame, benchmark: Scale, rule: Rule, effort_rule: EffortRule
) -> Callable[[], DataFrame | None]:
    return lambda: scores.rows(observations, benchmark, rule=rule, effort_rule=effort_rule)


def _by_grade(
    at_grade: Callable[[Grade], DataFrame], threshold: Grade, benchmark: Scale, rule: Rule, effort_rule: EffortRule
) -> Callable[[], DataFrame | None]:
    return lambda: scores.rows(at_grade(threshold), benchmark, rule=rule, effort_rule=effort_rule)


_UNKNOWN = (None, None, "undefined", None)
