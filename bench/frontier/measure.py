"""Measures the gap between the two frontiers of one benchmark, at a date and over time."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from bench.frontier import curves, spread
from bench.frontier.answer import Distance, Gap, Holder, LagNow, OfDraws, TimeToMatch, Within
from bench.frontier.curves import MONTH_DAYS, Side
from bench.frontier.forecast import STALE_DAYS, forecast
from bench.frontier.matching import indistinct, matching
from bench.frontier.method import method, provenance_of
from bench.frontier.posterior import logit
from bench.frontier.scores import Scale, factor, unit
from bench.frontier.seen import Seen, last_of_both, seen, usual_date

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy import float64
    from numpy.typing import NDArray
    from pandas import DataFrame

    Floats = NDArray[float64]


def measure(
    rows: DataFrame,
    *,
    benchmark: Scale,
    as_of: date | None = None,
    draws: Floats | None = None,
    tolerance: float = 0.0,
    confidence: float = 0.9,
    today: date | None = None,
    seed: int = 0,
    provenance: str | None = None,
) -> Gap:
    """The gap on one benchmark; a class without a model makes states `undefined`, never an exception.

    `rows`: one per version and class, with `version, model, vendor, cls, since, value, stderr` (as `scores.rows` makes
    them). `draws`: shape (n, len(rows)), as `posterior.draws` makes them; None = no intervals. `tolerance` is in the
    unit of the answer (percentage points, or the benchmark's points). Without `as_of` it is the last date on which
    both classes still got new models, and its age is told from `today`; with it, from `as_of`.
    """
    shown_as_of = as_of or usual_date(rows)
    here, lift, ends = seen(rows, shown_as_of), tolerance / factor(benchmark), spread.Ends(confidence)
    drawn = _drawn(rows, here, draws)
    found = spread.metrics(here.closed, here.opened, drawn, here.day, lift) if drawn is not None else None
    stale_days = _age_days(last_of_both(rows, as_of), as_of or today)
    return Gap(
        benchmark=benchmark.id,
        name=benchmark.name,
        as_of=shown_as_of,
        unit=unit(benchmark),
        closed=_holder(rows, here.closed_records, factor(benchmark)),
        open=_holder(rows, here.open_records, factor(benchmark)),
        gap=_distance(here, benchmark, found, ends),
        lag_now=_lag_now(here, lift, found, ends),
        time_to_match=_time_to_match(here, lift, found, ends),
        mean_horizontal_months=_months(
            curves.mean_horizontal_days(here.closed_records, here.open_records.lifted(lift))
        ),
        mean_horizontal=ends.of(found.horizontal_months) if found else OfDraws(),
        tolerance=tolerance,
        not_distinguishable=_within(here, confidence),
        variants={cls: len(side) for cls, side in here.sides.items()},
        rows={cls: _behind(rows, side) for cls, side in here.sides.items()},
        stale_days=stale_days,
        stale=None if stale_days is None else stale_days > STALE_DAYS,
        confidence=confidence,
        draws=0 if drawn is None else len(drawn),
        forecast=forecast(rows, benchmark, shown_as_of, seed, stale_days=stale_days),
        provenance=provenance or provenance_of(rows),
        method=method(rows, benchmark, here, confidence, drawn, asked=draws is not None),
    )


def series(
    rows: DataFrame,
    benchmark: Scale,
    dates: Iterable[date],
    *,
    draws: Floats | None = None,
    tolerance: float = 0.0,
    confidence: float = 0.9,
) -> DataFrame:
    """Tidy over time: `date, closed, open, gap, gap_low, gap_high, lag_months, lag_state`, each with what was out then.

    `closed`, `open` and `gap` in the unit of `measure`; NaN where a class has no model yet. With a lag `>=` the months
    are a lower bound; where open leads they are NaN.
    """
    import pandas as pd

    columns = ["date", "closed", "open", "gap", "gap_low", "gap_high", "lag_months", "lag_state"]
    days = [date(when.year, when.month, when.day) for when in dates]
    told = [_at(rows, day, factor(benchmark), tolerance, draws, spread.Ends(confidence)) for day in days]
    numbers = [name for name in columns if name not in ("date", "lag_state")]
    types = {"date": "datetime64[us]", "lag_state": "str"} | dict.fromkeys(numbers, "float64")
    return pd.DataFrame(told, columns=columns).astype(types)


def _at(
    rows: DataFrame, when: date, scale: float, tolerance: float, draws: Floats | None, ends: spread.Ends
) -> tuple[object, ...]:
    here = seen(rows, when)
    told = curves.lag(here.closed_records, here.open_records, here.day, tolerance / scale)
    closed, opened = (
        float(records.value[-1]) * scale if len(records) else None
        for records in (here.closed_records, here.open_records)
    )
    gap = None if closed is None or opened is None else closed - opened
    drawn = _drawn(rows, here, draws)
    interval = OfDraws() if drawn is None else ends.of(spread.gap(here.closed, here.opened, drawn) * scale)
    return when, closed, opened, gap, interval.low, interval.high, _months(told.days), told.state


def _drawn(rows: DataFrame, here: Seen, draws: Floats | None) -> Floats | None:
    """The draws, where they make an interval: not where a frontier's holder has an unknown error and stands still."""
    if draws is None or not here.both:
        return None
    if draws.ndim != 2 or draws.shape[1] != len(rows):
        raise ValueError(f"draws of shape {draws.shape} don't fit {len(rows)} rows")
    holders = [int(records.place[-1]) for records in (here.closed_records, here.open_records)]
    unknown = rows["stderr"].isna().to_numpy()[holders]
    still = (draws[:, holders] == draws[0, holders]).all(axis=0)
    return None if (unknown & still).any() else draws


def _holder(rows: DataFrame, records: Side, scale: float) -> Holder | None:
    if not len(records):
        return None
    row = rows.iloc[int(records.place[-1])]
    label = row.get("label")
    stderr = _known(row["stderr"])
    return Holder(
        model=label if isinstance(label, str) else str(row["model"]),
        version=str(row["version"]),
        vendor=row["vendor"] if isinstance(row["vendor"], str) else None,
        score=float(row["value"]) * scale,
        raw_score=_known(row.get("score")),
        stderr=None if stderr is None else stderr * scale,
        released=curves.date_of(int(records.day[-1])),
    )


def _distance(here: Seen, benchmark: Scale, found: spread.Metrics | None, ends: spread.Ends) -> Distance:
    import numpy as np

    if not here.both:
        return Distance()
    scale = factor(benchmark)
    heights = np.array([here.closed_records.value[-1], here.open_records.value[-1]])
    gap = float(heights[0] - heights[1])
    per_month = curves.slope_per_month(here.closed_records, here.day)
    interval = ends.of(found.gap * scale) if found else OfDraws()
    return Distance(
        points=gap * scale,
        low=interval.low,
        high=interval.high,
        median=interval.median,
        logit=float(-np.diff(logit(heights))[0]) if benchmark.scale == "proportion" else None,
        months=gap / per_month if per_month else None,
    )


def _lag_now(here: Seen, lift: float, found: spread.Metrics | None, ends: spread.Ends) -> LagNow:
    told = curves.lag(here.closed_records, here.open_records, here.day, lift)
    interval = ends.of_lag(found) if found else OfDraws()
    return LagNow(
        state=told.state,
        months=_months(told.days),
        low=interval.low,
        high=interval.high,
        median=interval.median,
        matches_closed_of=None if told.since_day is None else curves.date_of(told.since_day),
        states=found.states() if found else {},
    )


def _time_to_match(here: Seen, lift: float, found: spread.Metrics | None, ends: spread.Ends) -> TimeToMatch:
    told = matching(here.closed_records, here.open_records, here.day, lift)
    median, low, high, _ = told.survival(ends.confidence)
    return TimeToMatch(
        median_months=median,
        low=low,
        high=high,
        records=len(told.matched),
        unmatched=int((~told.matched).sum()),
        already_open=int((told.matched & (told.months < 0)).sum()),
        of_draws=ends.of(found.match_months) if found else OfDraws(),
    )


def _within(here: Seen, confidence: float) -> Within:
    if not here.both:
        return Within()
    told = indistinct(here, confidence)
    median, low, high, _ = told.matching.survival(confidence)
    return Within(
        z=told.z,
        lag_state=told.lag.state,
        lag_months=_months(told.lag.days),
        median_months=median,
        low=low,
        high=high,
        unmatched=int((~told.matching.matched).sum()),
        mean_horizontal_months=_months(curves.mean_horizontal_days_within(here.closed_records, here.opened, told.z)),
    )


def _behind(rows: DataFrame, side: Side) -> int:
    return int(rows["n_rows"].to_numpy()[side.place].sum()) if "n_rows" in rows else len(side)


def _age_days(both: date | None, now: date | None) -> int | None:
    return (now - both).days if now and both else None


def _months(days: float | None) -> float | None:
    return None if days is None else days / MONTH_DAYS


def _known(value: float | None) -> float | None:
    return None if value is None or value != value else float(value)
