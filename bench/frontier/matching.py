"""How long the open side took to reach each closed record; those not reached yet are censored, never dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.frontier import curves, survival
from bench.frontier.curves import MONTH_DAYS, Lag, Side
from bench.frontier.seen import Seen

if TYPE_CHECKING:
    from datetime import date

    from numpy import bool_, float64
    from numpy.typing import NDArray
    from pandas import DataFrame

    Floats = NDArray[float64]


@dataclass(frozen=True, kw_only=True)
class Matching:
    """One figure per closed record, in order of date."""

    months: Floats
    """From the record's release to the match, or to the as-of date where there was none; < 0 = open was there first."""
    matched: NDArray[bool_]

    @property
    def durations(self) -> Floats:
        """What Kaplan-Meier gets: a level that open models had before the closed record came was matched at 0."""
        import numpy as np

        return np.maximum(self.months, 0.0)

    def survival(self, confidence: float = 0.9) -> survival.Survival:
        """Median time to match with its interval."""
        return survival.kaplan_meier(self.durations, self.matched, confidence)


def matching(closed: Side, opened: Side, as_of_day: int, tolerance: float | Floats = 0.0) -> Matching:
    """`closed`: record setters. `opened`: record setters, or all rows where `tolerance` differs between them.

    A record is matched by an open model with value + tolerance >= its level; `tolerance` is one figure, or one per
    closed record (rows) and open row (columns).
    """
    import numpy as np

    if isinstance(tolerance, float):
        days = curves.first_days(opened.lifted(tolerance), closed.value)
    else:
        reach = opened.value[None, :] + tolerance >= closed.value[:, None]
        days = np.where(reach, opened.day[None, :].astype(float), np.inf).min(axis=1, initial=np.inf)
    matched = np.isfinite(days)
    return Matching(months=(np.where(matched, days, as_of_day) - closed.day) / MONTH_DAYS, matched=matched)


@dataclass(frozen=True, kw_only=True)
class Indistinct:
    """Lag and matching where an open model counts as soon as it can't be told from the closed one."""

    z: float
    lag: Lag
    matching: Matching


def indistinct(here: Seen, confidence: float) -> Indistinct:
    """With z*sqrt(se_open^2 + se_closed^2), each pair's own, as the tolerance; both classes must have a model."""
    from scipy.special import ndtri

    z, closed = float(ndtri((1 + confidence) / 2)), here.closed_records
    best = curves.indistinct(closed, here.open_records.last, z)[:, 0]
    return Indistinct(
        z=z,
        lag=curves.lag(closed, here.open_records, here.day, best),
        matching=matching(closed, here.opened, here.day, curves.indistinct(closed, here.opened, z)),
    )


def matches(rows: DataFrame, as_of: date, tolerance: float = 0.0) -> DataFrame:
    """The evidence, one row per closed record: who set it, who matched it, when, and how many months later.

    `matched_by` and `matched_on` are empty where nobody did; `months` is then the time waited so far. `tolerance` is
    in the unit of `value`.
    """
    import numpy as np
    import pandas as pd

    closed, opened = (curves.steps(curves.side(rows, cls, as_of)) for cls in ("closed", "open"))
    found = matching(closed, opened, curves.day_of(as_of), tolerance)
    where = np.searchsorted(opened.value + tolerance, closed.value, side="left")
    by = [int(opened.place[i]) if i < len(opened) else None for i in where]
    return pd.DataFrame(
        {
            "closed": rows["version"].iloc[closed.place].to_numpy(),
            "released": rows["since"].iloc[closed.place].to_numpy(),
            "level": closed.value,
            "matched_by": [None if i is None else rows["version"].iloc[i] for i in by],
            "matched_on": pd.Series([None if i is None else rows["since"].iloc[i] for i in by], dtype="datetime64[us]"),
            "months": found.months,
            "matched": found.matched,
        }
    )
