"""The answer to "how far are open models behind on this benchmark": every figure with its state and its interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date
from math import isfinite
from typing import Any, Literal

from bench.frontier.curves import LagState

ForecastState = Literal["given", "refused", "open leads", "undefined"]


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds a frontier."""

    model: str
    version: str
    vendor: str | None
    score: float
    """In the gap's unit: for a proportion chance-corrected and times 100."""
    raw_score: float | None
    """As published, where the rows still carry it."""
    stderr: float | None
    """In the gap's unit; None = unknown."""
    released: date
    """The day it entered its class: for weights that came later, that day."""


@dataclass(frozen=True, kw_only=True)
class Distance:
    """Closed minus open: positive = the closed side is ahead. `median` is that of the draws."""

    points: float | None = None
    low: float | None = None
    high: float | None = None
    median: float | None = None
    logit: float | None = None
    months: float | None = None
    """The gap over the slope of the closed record setters of the last 24 months; None with fewer than 3 of them."""


@dataclass(frozen=True, kw_only=True)
class LagNow:
    """How long ago the closed frontier stood where the open one stands.

    Over the draws, `open leads` enters the percentiles as 0; `>=` enters the lower end with its bound and leaves the
    upper end open (None). `states` is the share of draws in each state.
    """

    state: LagState
    months: float | None = None
    """With `>=`, at least this; with `open leads` or `undefined`, None."""
    low: float | None = None
    high: float | None = None
    median: float | None = None
    matches_closed_of: date | None = None
    """With `>=`: of this date or earlier."""
    states: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OfDraws:
    """Percentiles of one figure over draws of the true scores; None = beyond what was seen."""

    low: float | None = None
    median: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class TimeToMatch:
    """Kaplan-Meier over the closed records; `low` to `high` is the interval of the median, its sampling error alone."""

    median_months: float | None = None
    """None = not reached: half of the records are still unmatched."""
    low: float | None = None
    high: float | None = None
    """None = no upper bound yet."""
    records: int = 0
    unmatched: int = 0
    already_open: int = 0
    """Records whose level an open model had reached before: matched at 0."""
    of_draws: OfDraws = field(default_factory=OfDraws)


@dataclass(frozen=True, kw_only=True)
class Within:
    """The figures where an open model counts as soon as it can't be told from the closed one: z*sqrt(se_o^2+se_c^2)."""

    z: float | None = None
    lag_state: LagState = "undefined"
    lag_months: float | None = None
    median_months: float | None = None
    low: float | None = None
    high: float | None = None
    unmatched: int = 0
    mean_horizontal_months: float | None = None


@dataclass(frozen=True, kw_only=True)
class Line:
    """One window of the forecast: what its lines say."""

    records: Mapping[str, int]
    """Record setters the lines stand on, per class."""
    closing_points_per_month: float
    """How fast the lines approach each other on the forecast's scale; negative = they part."""
    p12: float
    p24: float
    p36: float
    no_crossing: float
    """Share of draws whose lines don't cross within ten years."""
    contradicted: float
    """Share of draws left out because their lines crossed long ago while the closed side still leads."""


@dataclass(frozen=True, kw_only=True)
class BackTest:
    """What the same lines said 12 months earlier of the gap today."""

    as_of: date
    predicted_points: float | None = None
    low: float | None = None
    high: float | None = None
    observed_points: float | None = None
    miss_points: float | None = None
    """Predicted minus observed: positive = open closed in faster than the lines said."""
    reason: str | None = None
    """Why there is none."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """When the lines through the record setters cross: chances, never a date."""

    state: ForecastState
    p12: float | None = None
    p24: float | None = None
    p36: float | None = None
    """P(open has caught up within so many months of the as-of date), both windows weighing the same."""
    low_months: float | None = None
    high_months: float | None = None
    """5 and 95% of the months until the crossing; None = none within ten years."""
    no_crossing: float | None = None
    windows: Mapping[str, Line] = field(default_factory=dict)
    back_test: BackTest | None = None
    reason: str | None = None
    """Why it was refused, or what else to know."""


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Open against closed on one benchmark at one date."""

    benchmark: str
    name: str
    as_of: date | None
    """The last date on which both classes still got new models, unless one was asked for."""
    unit: str
    closed: Holder | None
    open: Holder | None
    gap: Distance
    lag_now: LagNow
    time_to_match: TimeToMatch
    mean_horizontal_months: float | None
    mean_horizontal: OfDraws
    tolerance: float
    """What an open model may lack and still count as good as a closed one, in `unit`."""
    not_distinguishable: Within
    variants: Mapping[str, int]
    """Model versions per class up to the as-of date: the side with more of them has the higher maximum."""
    rows: Mapping[str, int]
    """Rows behind them."""
    stale_days: int | None
    stale: bool | None
    confidence: float
    draws: int
    forecast: Forecast
    provenance: str | None
    method: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON: dates as text, unknown as None."""
        return {key: _plain(value) for key, value in vars(self).items()}

    def paragraph(self) -> str:
        """What a manager needs, in words."""
        from bench.frontier.words import paragraph

        return paragraph(self)


def _plain(value: object) -> Any:
    match value:
        case date():
            return value.isoformat()
        case float() if not isfinite(value):
            return None
        case Mapping():
            return {key: _plain(inner) for key, inner in value.items()}
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return value
