"""Every metric on every draw of the true scores, and percentiles of them; undefined draws count as censored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.frontier import survival
from bench.frontier.answer import OfDraws
from bench.frontier.curves import MONTH_DAYS, Side, first_days, mean_horizontal_days

if TYPE_CHECKING:
    from numpy import bool_, float64
    from numpy.typing import NDArray

    Floats = NDArray[float64]
    Flags = NDArray[bool_]


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """One figure per draw. NaN = undefined there; infinity = censored."""

    gap: Floats
    lag_months: Floats
    """Where open leads 0; where censored the bound."""
    censored: Flags
    leads: Flags
    lost: Flags
    """A frontier's holder has no value in this draw (a refit that lost it): gap and lag are undefined there."""
    match_months: Floats
    horizontal_months: Floats

    def states(self) -> dict[str, float]:
        """The share of draws in each state of the lag."""
        rest = ~(self.censored | self.leads | self.lost)
        told = {"value": rest, ">=": self.censored, "open leads": self.leads, "undefined": self.lost}
        return {name: float(flags.mean()) for name, flags in told.items()}


@dataclass(frozen=True)
class Ends:
    """Percentiles at one confidence."""

    confidence: float

    def of(self, values: Floats) -> OfDraws:
        """Lower end, median, upper end; an infinite end is None. NaN = may be anything: beyond either end."""
        return self._of(values, values)

    def of_lag(self, found: Metrics) -> OfDraws:
        """A censored lag is at least its bound: the bound for the lower end, infinity for the others."""
        import numpy as np

        return self._of(found.lag_months, np.where(found.censored, np.inf, found.lag_months))

    def _of(self, low: Floats, high: Floats) -> OfDraws:
        tail = (1 - self.confidence) / 2
        return OfDraws(
            low=_quantile(low, tail, -float("inf")),
            median=_quantile(high, 0.5, float("inf")),
            high=_quantile(high, 1 - tail, float("inf")),
        )


def gap(closed: Side, opened: Side, draws: Floats) -> Floats:
    """Closed minus open height, one per draw, in the unit of `value`; NaN where a holder of today has no value."""
    import numpy as np

    apart: Floats = np.where(_lost(closed, opened, draws), np.nan, _highest(closed, draws) - _highest(opened, draws))
    return apart


def metrics(closed: Side, opened: Side, draws: Floats, as_of_day: int, tolerance: float = 0.0) -> Metrics:
    """All metrics on each row of `draws` (n, all rows of the frame)."""
    import numpy as np

    closed_days, closed_levels = _frontier(closed, draws)
    open_days, open_levels = _frontier(opened, draws)
    best = open_levels[:, -1]
    behind = closed_levels >= (best + tolerance)[:, None]
    first = np.where(behind.any(axis=1), behind.argmax(axis=1), len(closed_days) - 1)
    lost, level_now = _lost(closed, opened, draws), ~behind.any(axis=1)
    lag = np.where(level_now, 0.0, (as_of_day - closed_days[first]) / MONTH_DAYS)
    each = [
        _of_one(closed_days, c, open_days, o, as_of_day)
        for c, o in zip(closed_levels, open_levels + tolerance, strict=True)
    ]
    return Metrics(
        gap=gap(closed, opened, draws),
        lag_months=np.where(lost, np.nan, lag),
        censored=~lost & ~level_now & (first == 0),
        leads=~lost & level_now & (best > closed_levels[:, -1]),
        lost=lost,
        match_months=np.array([median for median, _ in each]),
        horizontal_months=np.array([mean for _, mean in each]),
    )


def _frontier(side: Side, draws: Floats) -> tuple[NDArray[float64], Floats]:
    """The days on which the side got models, and the height after each of them in every draw."""
    import numpy as np

    drawn = np.nan_to_num(draws[:, side.place], nan=-np.inf)
    last = np.flatnonzero(np.append(np.diff(side.day) > 0, True))
    return side.day[last].astype(float), np.maximum.accumulate(drawn, axis=1)[:, last]


def _of_one(closed_days: Floats, closed: Floats, open_days: Floats, opened: Floats, day: int) -> tuple[float, float]:
    """Median months to match and mean horizontal months in one draw."""
    import numpy as np

    closed_at, open_at = _record_steps(closed_days, closed), _record_steps(open_days, opened)
    days = first_days(open_at, closed_at.value)
    matched = np.isfinite(days)
    waited = np.maximum(np.where(matched, days, day) - closed_at.day, 0.0)
    mean = mean_horizontal_days(closed_at, open_at)
    return survival.median(waited, matched) / MONTH_DAYS, np.nan if mean is None else mean / MONTH_DAYS


def _record_steps(days: Floats, levels: Floats) -> Side:
    import numpy as np

    new = np.flatnonzero(levels > np.concatenate(([-np.inf], levels[:-1])))
    return Side(place=new, day=days[new].astype(np.intp), value=levels[new], stderr=np.zeros(len(new)))


def _lost(closed: Side, opened: Side, draws: Floats) -> Flags:
    """Draws in which today's best of a class, as observed, has no value."""
    import numpy as np

    holders = [int(side.place[side.value.argmax()]) for side in (closed, opened)]
    return np.asarray(np.isnan(draws[:, holders]).any(axis=1))


def _highest(side: Side, draws: Floats) -> Floats:
    """The best of a side in each draw; a model without a value is not there. 0 where the side has none at all."""
    import numpy as np

    highest = np.nan_to_num(draws[:, side.place], nan=-np.inf).max(axis=1)
    return np.where(np.isfinite(highest), highest, 0.0)


def _quantile(values: Floats, q: float, unknown: float) -> float | None:
    """Linear between order statistics; None where either neighbour is infinite. NaN is taken as `unknown`."""
    import numpy as np

    ordered = np.sort(np.where(np.isnan(values), unknown, values))
    at = q * (len(ordered) - 1)
    below, above = ordered[int(np.floor(at))], ordered[int(np.ceil(at))]
    if not np.isfinite(below) or not np.isfinite(above):
        return None
    return float(below + (above - below) * (at % 1))
