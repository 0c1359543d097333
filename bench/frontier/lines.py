"""Lines through the record setters of both classes, with draws of what they may be, and where such lines cross."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from bench.frontier import curves
from bench.frontier.curves import MONTH_DAYS, Side
from bench.frontier.posterior import expit, logit
from bench.frontier.scores import Scale, factor

if TYPE_CHECKING:
    from numpy import float64
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[float64]

DRAWS = 2000
FARTHEST_MONTHS = 120.0
"""No line is followed further than ten years: a crossing beyond is none."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One line in months from the as-of date: level there and slope per month (2,), draws (n, 2), residual scatter."""

    beta: Floats
    draws: Floats
    scatter: float


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """The lines of both classes over one window, and the record setters they stand on."""

    closed: Drawn
    opened: Drawn
    records: Mapping[str, int]

    @property
    def closing(self) -> float:
        """How fast the open line gains on the closed one."""
        return float(self.opened.beta[1] - self.closed.beta[1])


def fit(closed: Side, opened: Side, benchmark: Scale, as_of: date, window: float, rng: Generator) -> Fitted:
    """Lines through the record setters of the last `window` months before `as_of`."""
    closed_records, open_records = (_recent(side, as_of, window, benchmark) for side in (closed, opened))
    return Fitted(
        closed=_ols(*closed_records, rng),
        opened=_ols(*open_records, rng),
        records={"closed": len(closed_records[0]), "open": len(open_records[0])},
    )


def crossings(closed: Floats, opened: Floats) -> tuple[Floats, float]:
    """Months until each pair of drawn lines (n, 2: level, slope) crosses, and the share that was left out.

    Infinity = not within ten years. The closed side leads today. A pair whose open line already lies above the closed
    one contradicts that and is left out: on a saturated benchmark such lines "cross" while nothing was caught up.
    """
    import numpy as np

    apart = closed - opened
    possible = apart[apart[:, 0] > 0]
    with np.errstate(divide="ignore"):
        months = np.where(possible[:, 1] < 0, possible[:, 0] / -possible[:, 1], np.inf)
    months = np.where(months <= FARTHEST_MONTHS, months, np.inf)
    return months, 1 - len(possible) / len(apart)


def carried(closed: Floats, opened: Floats, benchmark: Scale, months: float = 12.0) -> Floats:
    """The gap of drawn lines so many months on, in points."""
    heights = [line[:, 0] + months * line[:, 1] for line in (closed, opened)]
    if benchmark.scale == "proportion":
        heights = [expit(h) for h in heights]
    gap: Floats = (heights[0] - heights[1]) * factor(benchmark)
    return gap


def scattered(line: Drawn, rng: Generator) -> Floats:
    """The line's draws with the scatter of single records about it: where a record may lie, not only the line."""
    import numpy as np

    off = line.scatter * rng.standard_normal(len(line.draws))
    return line.draws + np.column_stack((off, np.zeros_like(off)))


def _recent(side: Side, as_of: date, window: float, benchmark: Scale) -> tuple[Floats, Floats]:
    """Months from the as-of date (<= 0) and heights on the line's scale, of the records within the window."""
    months = (side.day - curves.day_of(as_of)) / MONTH_DAYS
    inside = months > -window
    heights = side.value[inside]
    return months[inside], logit(heights) if benchmark.scale == "proportion" else heights


def _ols(x: Floats, y: Floats, rng: Generator) -> Drawn:
    """Level at 0 and slope with draws from their sampling distribution."""
    import numpy as np

    line = np.column_stack((np.ones_like(x), x))
    inverse = np.linalg.inv(line.T @ line)
    beta = inverse @ line.T @ y
    free = len(x) - 2
    residual = y - line @ beta
    variance = float((residual**2).sum()) / free * _inflation(residual)
    scale = np.sqrt(variance * free / rng.chisquare(free, DRAWS))
    noise = rng.standard_normal((DRAWS, 2)) @ np.linalg.cholesky(inverse).T
    return Drawn(beta=beta, draws=beta + scale[:, None] * noise, scatter=float(np.sqrt((residual**2).sum() / free)))


def _inflation(residual: Floats) -> float:
    """What neighbours that err alike cost: (1 + r)/(1 - r) with r the correlation of successive residuals, 0 to 0.8."""
    import numpy as np

    square = float((residual**2).sum())
    if square == 0:
        return 1.0
    r = float(np.clip((residual[1:] * residual[:-1]).sum() / square, 0.0, 0.8))
    return (1 + r) / (1 - r)
