"""Measures the gap between the two frontiers of one benchmark, at a date and over time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from bench.frontier import curves, spread
from bench.frontier.answer import Distance, Gap, Holder, LagNow, OfDraws, TimeToMatch, Within
from bench.frontier.curves import MONTH_DAYS, Side
from bench.frontier.forecast import forecast
from bench.frontier.matching import matching
from bench.frontier.posterior import logit
from bench.frontier.scores import Scale, correction, factor, unit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy import float64
    from numpy.typing import NDArray
    from pandas import DataFrame

    Floats = NDArray[float64]

STALE_DAYS = 270
SIDES = ("closed", "open")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Both sides up to the as-of day, and their record setters."""

    day: int
    closed: Side
    opened: Side
    closed_records: Side
    open_records: Side

    @property
    def both(self) -> bool:
        return len(self.closed) > 0 and len(self.opened) > 0


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
    shown_as_of = as_of or last_of_both(rows)
    seen = _seen(rows, shown_as_of)
    scale, z = factor(benchmark), _z(confidence)
    stale_days = _stale_days(rows, as_of, as_of or today)
    drawn = _drawn(rows, seen, draws)
    found = spread.metrics(seen.closed, seen.opened, drawn, seen.day, tolerance / scale) if drawn is not None else None
    ends = spread.Ends(confidence)
    horizontal = curves.mean_horizontal_days(seen.closed_records, _lifted(seen, tolerance / scale))
    return Gap(
        benchmark=benchmark.id,
        name=benchmark.name,
        as_of=shown_as_of,
        unit=unit(benchmark),
        closed=_holder(rows, seen.closed_records, scale),
        open=_holder(rows, seen.open_records, scale),
        gap=_distance(seen, benchmark, found, ends),
        lag_now=_lag_now(seen, tolerance / scale, found, ends),
        time_to_match=_time_to_match(seen, tolerance / scale, confidence, found, ends),
        mean_horizontal_months=_months(horizontal),
        mean_horizontal=ends.of(found.horizontal_months) if found else OfDraws(),
        tolerance=tolerance,
        not_distinguishable=_within(seen, z, confidence),
        variants={cls: len(side) for cls, side in zip(SIDES, (seen.closed, seen.opened), strict=True)},
        rows=_rows_behind(rows, seen),
        stale_days=stale_days,
        stale=None if stale_days is None else stale_days > STALE_DAYS,
        confidence=confidence,
        draws=0 if drawn is None else len(drawn),
        forecast=forecast(rows, benchmark, shown_as_of, seed, stale_days=stale_days),
        provenance=provenance or _provenance(rows),
        method=_method(rows, benchmark, seen, drawn, confidence),
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

    scale = factor(benchmark)
    told = [
        _at(rows, when, scale, tolerance, draws, spread.Ends(confidence))
        for when in (date(d.year, d.month, d.day) for d in dates)
    ]
    columns = ["date", "closed", "open", "gap", "gap_low", "gap_high", "lag_months", "lag_state"]
    frame = pd.DataFrame(told, columns=columns)
    numbers = [name for name in columns if name not in ("date", "lag_state")]
    return frame.astype({"date": "datetime64[us]", "lag_state": "str"} | dict.fromkeys(numbers, "float64"))


def last_of_both(rows: DataFrame) -> date | None:
    """The last date on which both classes still got new models; None while one has none."""
    days = [side.day.max() for side in (curves.side(rows, "closed"), curves.side(rows, "open")) if len(side)]
    return curves.date_of(int(min(days))) if len(days) == len(SIDES) else None


def _seen(rows: DataFrame, as_of: date | None) -> Seen:
    closed, opened = curves.side(rows, "closed", as_of), curves.side(rows, "open", as_of)
    day = curves.day_of(as_of) if as_of else max((int(s.day.max()) for s in (closed, opened) if len(s)), default=0)
    return Seen(
        day=day,
        closed=closed,
        opened=opened,
        closed_records=curves.steps(closed),
        open_records=curves.steps(opened),
    )


def _stale_days(rows: DataFrame, as_of: date | None, now: date | None) -> int | None:
    both = last_of_both(rows[rows["since"] <= as_of.isoformat()] if as_of else rows)
    return (now - both).days if now and both else None


def _drawn(rows: DataFrame, seen: Seen, draws: Floats | None) -> Floats | None:
    """The draws, where they make an interval: not where a frontier's holder has an unknown error and stands still."""
    import numpy as np

    if draws is None or not seen.both:
        return None
    if draws.shape[1] != len(rows):
        raise ValueError(f"draws have {draws.shape[1]} columns for {len(rows)} rows")
    return None if any(_still(rows, seen, draws)) or not np.isfinite(draws).any() else draws


def _still(rows: DataFrame, seen: Seen, draws: Floats) -> list[bool]:
    import numpy as np

    holders = [int(records.place[-1]) for records in (seen.closed_records, seen.open_records)]
    unknown = rows["stderr"].isna().to_numpy()
    return [bool(unknown[i]) and bool(np.ptp(draws[:, i]) == 0) for i in holders]


def _holder(rows: DataFrame, records: Side, scale: float) -> Holder | None:
    import math

    if not len(records):
        return None
    row = rows.iloc[int(records.place[-1])]
    stderr = float(row["stderr"])
    raw = row.get("score")
    return Holder(
        model=str(row["label"] if isinstance(row.get("label"), str) else row["model"]),
        version=str(row["version"]),
        vendor=row["vendor"] if isinstance(row["vendor"], str) else None,
        score=float(row["value"]) * scale,
        raw_score=None if raw is None or math.isnan(raw) else float(raw),
        stderr=None if math.isnan(stderr) else stderr * scale,
        released=curves.date_of(int(records.day[-1])),
    )


def _distance(seen: Seen, benchmark: Scale, found: spread.Metrics | None, ends: spread.Ends) -> Distance:
    if not seen.both:
        return Distance()
    closed, opened = float(seen.closed_records.value[-1]), float(seen.open_records.value[-1])
    scale = factor(benchmark)
    per_month = curves.slope_per_month(seen.closed_records, seen.day)
    interval = ends.of(found.gap * scale) if found else OfDraws()
    heights = _array(closed, opened)
    return Distance(
        points=(closed - opened) * scale,
        low=interval.low,
        high=interval.high,
        median=interval.median,
        logit=float(-logit(heights)[1] + logit(heights)[0]) if benchmark.scale == "proportion" else None,
        months=(closed - opened) / per_month if per_month else None,
    )


def _lag_now(seen: Seen, tolerance: float, found: spread.Metrics | None, ends: spread.Ends) -> LagNow:
    told = curves.lag(seen.closed_records, seen.open_records, seen.day, tolerance)
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


def _time_to_match(
    seen: Seen, tolerance: float, confidence: float, found: spread.Metrics | None, ends: spread.Ends
) -> TimeToMatch:
    if not seen.both:
        return TimeToMatch(records=len(seen.closed_records), unmatched=len(seen.closed_records))
    told = matching(seen.closed_records, seen.open_records, seen.day, tolerance)
    median, low, high, _ = told.survival(confidence)
    return TimeToMatch(
        median_months=median,
        low=low,
        high=high,
        records=len(told.matched),
        unmatched=int((~told.matched).sum()),
        already_open=int((told.matched & (told.months < 0)).sum()),
        of_draws=ends.of(found.match_months) if found else OfDraws(),
    )


def _within(seen: Seen, z: float, confidence: float) -> Within:
    if not seen.both:
        return Within(z=z)
    best = seen.open_records.of(_array(-1).astype("intp"))
    lag = curves.lag(
        seen.closed_records, seen.open_records, seen.day, curves.indistinct(seen.closed_records, best, z)[:, 0]
    )
    errors = curves.indistinct(seen.closed_records, seen.opened, z)
    told = matching(seen.closed_records, seen.opened, seen.day, errors)
    median, low, high, _ = told.survival(confidence)
    return Within(
        z=z,
        lag_state=lag.state,
        lag_months=_months(lag.days),
        median_months=median,
        low=low,
        high=high,
        unmatched=int((~told.matched).sum()),
        mean_horizontal_months=_months(curves.mean_horizontal_days_within(seen.closed_records, seen.opened, z)),
    )


def _lifted(seen: Seen, tolerance: float) -> Side:
    return seen.open_records.lifted(tolerance)


def _rows_behind(rows: DataFrame, seen: Seen) -> dict[str, int]:
    behind = rows["n_rows"].to_numpy() if "n_rows" in rows else _array(*[1.0] * len(rows))
    return {cls: int(behind[side.place].sum()) for cls, side in zip(SIDES, (seen.closed, seen.opened), strict=True)}


def _at(
    rows: DataFrame, when: date, scale: float, tolerance: float, draws: Floats | None, ends: spread.Ends
) -> tuple[object, ...]:
    seen = _seen(rows, when)
    told = curves.lag(seen.closed_records, seen.open_records, seen.day, tolerance / scale)
    heights = [curves.level(records, seen.day) for records in (seen.closed_records, seen.open_records)]
    closed, opened = (None if h is None else h * scale for h in heights)
    gap = None if closed is None or opened is None else closed - opened
    drawn = _drawn(rows, seen, draws)
    interval = OfDraws() if drawn is None else ends.of(spread.gap(seen.closed, seen.opened, drawn) * scale)
    return when, closed, opened, gap, interval.low, interval.high, _months(told.days), told.state


def _provenance(rows: DataFrame) -> str | None:
    known = sorted(set(rows["provenance"].dropna())) if "provenance" in rows else []
    return known[0] if len(known) == 1 else "combined" if known else None


def _method(rows: DataFrame, benchmark: Scale, seen: Seen, drawn: Floats | None, confidence: float) -> str:
    unknown = int(rows["stderr"].iloc[[*seen.closed.place, *seen.opened.place]].isna().sum())
    of_all = len(seen.closed) + len(seen.opened)
    without = len(rows) - len(curves.side(rows, "closed")) - len(curves.side(rows, "open"))
    noise = (
        f"{confidence:.0%} percentiles of {len(drawn)} draws of the true scores" if drawn is not None else "no interval"
    )
    told = [
        correction(benchmark),
        f"{noise}; {unknown} of {of_all} versions have an unknown error and are not drawn",
        "time to match by Kaplan-Meier over the closed records (S <= 0.5), interval log-log; records come in sequence, "
        "so its interval is if anything too narrow",
        f"month = {MONTH_DAYS} days",
    ]
    if without:
        told.append(f"{without} rows have no date or no score and are left out")
    return "; ".join(told)


def _months(days: float | None) -> float | None:
    return None if days is None else days / MONTH_DAYS


def _z(confidence: float) -> float:
    from scipy.special import ndtri

    return float(ndtri((1 + confidence) / 2))


def _array(*values: float) -> Floats:
    import numpy as np

    return np.array(values, dtype=float)
