"""Frontiers as step functions of time, and the distances between them: gap, lag, time to match, horizontal distance.

Days are whole days since 1970-01-01; a level reached on a day holds from that day on, so two releases of one day are
simultaneous. Levels are in the unit of `value`. A tolerance d lifts the open side by d before anything is compared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from numpy import float64, intp
    from numpy.typing import NDArray
    from pandas import DataFrame

    from bench.frontier.classes import Class

    Floats = NDArray[float64]
    Places = NDArray[intp]

MONTH_DAYS = 30.4375
SLOPE_MONTHS = 24
SLOPE_RECORDS = 3

LagState = Literal["value", ">=", "open leads", "undefined"]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One class's rows, oldest first and the best of a day first; `place` = their positions in the frame."""

    place: Places
    day: Places
    value: Floats
    stderr: Floats
    """0 where unknown: an unknown error makes nothing look indistinguishable."""

    def __len__(self) -> int:
        return len(self.day)

    @property
    def last(self) -> Side:
        """The last row alone: of record setters, today's best."""
        import numpy as np

        return self.of(np.arange(len(self))[-1:])

    def of(self, chosen: Places) -> Side:
        """The rows at these positions of this side."""
        return Side(
            place=self.place[chosen], day=self.day[chosen], value=self.value[chosen], stderr=self.stderr[chosen]
        )

    def lifted(self, by: float | Floats) -> Side:
        """The same rows with `by` added to every value, in the order that this makes."""
        import numpy as np

        value = self.value + by
        return replace(self, value=value).of(np.lexsort((-value, self.day)))


@dataclass(frozen=True, kw_only=True)
class Lag:
    """How far the open side is behind at one date; `since_day` = when the closed side reached the open level."""

    state: LagState
    days: int | None = None
    since_day: int | None = None


def side(rows: DataFrame, cls: Class, as_of: date | None = None) -> Side:
    """The rows of one class released by `as_of`, without those that have no date or no value."""
    import numpy as np

    when = rows["since"].to_numpy().astype("datetime64[D]")
    value = rows["value"].to_numpy(dtype=float)
    usable = (rows["cls"] == cls).to_numpy() & ~np.isnat(when) & np.isfinite(value)
    if as_of is not None:
        usable &= when <= np.datetime64(as_of)
    stderr = rows["stderr"].to_numpy(dtype=float) if "stderr" in rows else np.full(len(rows), np.nan)
    place = np.flatnonzero(usable)
    day = when[place].astype("int64").astype(np.intp)
    order = np.lexsort((rows["version"].astype(str).to_numpy()[place], -value[place], day))
    place = place[order]
    return Side(place=place, day=day[order], value=value[place], stderr=np.nan_to_num(stderr[place]))


def steps(rows: Side) -> Side:
    """The record setters: strictly better than everything before; of one day only the best."""
    import numpy as np

    if not len(rows):
        return rows
    before = np.concatenate(([-np.inf], np.maximum.accumulate(rows.value)[:-1]))
    return rows.of(np.flatnonzero(rows.value > before))


def records(rows: DataFrame, cls: Class, as_of: date | None = None) -> DataFrame:
    """The rows of `rows` that set a record in their class, in order of date."""
    return rows.iloc[steps(side(rows, cls, as_of)).place].reset_index(drop=True)


def level(record: Side, day: int) -> float | None:
    """Height of the frontier on a day; None before its first model."""
    import numpy as np

    last = int(np.searchsorted(record.day, day, side="right")) - 1
    return float(record.value[last]) if last >= 0 else None


def lag(closed: Side, opened: Side, day: int, tolerance: float | Floats = 0.0) -> Lag:
    """day - min{s : F_closed(s) >= F_open(day)} between two sets of record setters.

    `>=`: the closed side stood that high with its first record, so the lag is at least this. `open leads`: no closed
    model up to that day is as good. Within a tolerance of the best closed model, but not above it, the lag is 0.
    `tolerance` may be one figure per closed record.
    """
    import numpy as np

    closed, opened = (s.of(np.flatnonzero(s.day <= day)) for s in (closed, opened))
    if not len(closed) or not len(opened):
        return Lag(state="undefined")
    best = opened.value[-1]
    needed = best + (tolerance if isinstance(tolerance, float) else tolerance[: len(closed)])
    reached = np.flatnonzero(closed.value >= needed)
    if not len(reached):
        leads = best > closed.value[-1]
        return Lag(state="open leads") if leads else Lag(state="value", days=0, since_day=int(closed.day[-1]))
    since = int(closed.day[reached[0]])
    return Lag(state=">=" if reached[0] == 0 else "value", days=day - since, since_day=since)


def first_days(record: Side, levels: Floats) -> Floats:
    """The first day on which each level is reached; infinity where it never is."""
    import numpy as np

    days = np.append(record.day.astype(float), np.inf)
    return days[np.searchsorted(record.value, levels, side="left")]


def mean_horizontal_days(closed: Side, opened: Side) -> float | None:
    """Area between two step curves over their common levels, divided by the range of those levels; > 0 = open later.

    Common levels: above both first records (how long before those a level was reached can't be seen), up to the lower
    of the two heights today. None where there are none. Computed exactly, level by level.
    """
    area, span = _area(closed, opened, 0, len(closed))
    return area / span if span > 0 else None


def mean_horizontal_days_within(closed: Side, opened: Side, z: float) -> float | None:
    """The same where an open model counts as soon as it can't be told from the closed record of that level.

    `opened` are all open rows, not only record setters: a noisy one may be indistinguishable before a record is set.
    """
    parts = [
        _area(closed, steps(opened.lifted(error)), i, i + 1)
        for i, error in enumerate(indistinct(closed, opened, z))
        if i > 0
    ]
    area, span = (sum(column) for column in zip(*parts, strict=True)) if parts else (0.0, 0.0)
    return area / span if span > 0 else None


def indistinct(closed: Side, opened: Side, z: float) -> Floats:
    """z * sqrt(se_open^2 + se_closed^2) for each closed record (rows) and open row (columns)."""
    import numpy as np

    both: Floats = np.sqrt(closed.stderr[:, None] ** 2 + opened.stderr[None, :] ** 2)
    return z * both


def slope_per_month(record: Side, as_of_day: int) -> float | None:
    """OLS slope of the record setters of the last 24 months; None with fewer than 3 of them."""
    import numpy as np

    recent = record.of(np.flatnonzero((record.day <= as_of_day) & (record.day > as_of_day - SLOPE_MONTHS * MONTH_DAYS)))
    if len(recent) < SLOPE_RECORDS:
        return None
    months = (recent.day - recent.day.mean()) / MONTH_DAYS
    return float((months * recent.value).sum() / (months**2).sum())


def day_of(when: date) -> int:
    """Whole days since 1970-01-01."""
    return when.toordinal() - _EPOCH


def date_of(day: int) -> date:
    """The date of a whole day since 1970-01-01."""
    return date.fromordinal(day + _EPOCH)


def _area(closed: Side, opened: Side, first: int, last: int) -> tuple[float, float]:
    """Area [days x level] and range of levels, over the levels that the closed records first..last-1 added."""
    import numpy as np

    if not len(closed) or not len(opened):
        return 0.0, 0.0
    floor = max(closed.value[max(first - 1, 0)], opened.value[0])
    roof = min(closed.value[last - 1], opened.value[-1])
    if roof <= floor:
        return 0.0, 0.0
    cuts = np.unique(np.concatenate((closed.value, opened.value)))
    cuts = np.concatenate(([floor], cuts[(cuts > floor) & (cuts <= roof)]))
    apart = first_days(opened, cuts[1:]) - first_days(closed, cuts[1:])
    return float((apart * np.diff(cuts)).sum()), float(roof - floor)


_EPOCH = date(1970, 1, 1).toordinal()
