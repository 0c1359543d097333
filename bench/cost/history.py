"""The price to reach a quality, over time, at prices valid then, and how fast it falls."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import exp, log
from typing import NamedTuple

from bench.cost.mix import ARTIFICIAL_ANALYSIS, Mix, blended_usd_per_mtok

DAYS_PER_YEAR = 365.25
SEEN_FOR_DAYS = 365
"""A price without a known beginning holds so long after it was last seen."""
ENOUGH = 4
"""Record lows without which no rate of decline is said."""


@dataclass(frozen=True, kw_only=True)
class Dated:
    """A price somebody asked for, and when that is known to have held."""

    model: str
    provider: str | None
    usd_per_mtok_in: Decimal
    usd_per_mtok_cached: Decimal | None = None
    usd_per_mtok_out: Decimal
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None
    """The first day on which it no longer held."""
    observed: dt.date | None = None
    """The first day it was seen; without `valid_from` it is known to have held from then on."""
    seen_until: dt.date | None = None
    """The last day it was seen; None = seen once."""
    source: str
    name: str | None = None
    """What the provider calls it, where `model` is the release that it means: each name is a series of its own."""
    licence: str | None = None
    origin: str = ""
    """`book`, `genai-prices`, `bundled`, `imported` or `run`."""

    @property
    def since(self) -> dt.date | None:
        """The first day on which it is known to have held; None = an undated current list, good for no past day."""
        return self.valid_from or self.observed

    def held_on(self, day: dt.date) -> bool:
        return self.since is not None and self.since <= day and (self.valid_to is None or day < self.valid_to)


def _forgotten(price: Dated) -> dt.date | None:
    """When a price that was only ever seen is no longer taken to hold."""
    seen = price.seen_until or price.observed
    return None if price.valid_from is not None or seen is None else seen + dt.timedelta(days=SEEN_FOR_DAYS)


class Scored(NamedTuple):
    """How good a model is, and since when it is out."""

    score: float
    released: dt.date | None = None


@dataclass(frozen=True, kw_only=True)
class Point:
    """The cheapest way to a quality on one day."""

    date: dt.date
    usd_per_mtok: Decimal
    model: str
    provider: str | None
    score: float
    source: str
    record: bool
    """Cheaper than on any day before."""

    @property
    def what(self) -> tuple[Decimal, str, str | None]:
        return self.usd_per_mtok, self.model, self.provider


def price_to_reach(
    prices: Sequence[Dated],
    scores: Mapping[str, Scored],
    quality: float,
    *,
    mix: Mix = ARTIFICIAL_ANALYSIS,
    until: dt.date | None = None,
) -> list[Point]:
    """The cheapest model with at least that quality, on every day on which that changes, blended at `mix`.

    `scores`: of each model its score and its release; a price says nothing before its model was out. A price holds
    until its `valid_to`, or until the same provider was seen to ask another one for the same model; one that was only
    ever seen, until a year after it was last seen. A day on which nobody is known to offer it has no point.
    """
    held = _held(prices, scores, quality, mix)
    days = sorted({day for offer in held for day in (offer.first, offer.price.valid_to) if day is not None})
    points: list[Point] = []
    for day in days if until is None else [day for day in days if day <= until]:
        asked = [offer for offer in held if offer.price.held_on(day) and offer.first <= day]
        if not asked:
            continue
        best = min(asked, key=lambda offer: (offer.usd, offer.price.model, offer.price.provider or ""))
        lowest = min((point.usd_per_mtok for point in points), default=None)
        found = Point(
            date=day,
            usd_per_mtok=best.usd,
            model=best.price.model,
            provider=best.price.provider,
            score=scores[best.price.model].score,
            source=best.price.source,
            record=lowest is None or best.usd < lowest,
        )
        if not points or points[-1].what != found.what:
            points.append(found)
    return points


class _Offer(NamedTuple):
    price: Dated
    first: dt.date
    usd: Decimal


def _held(prices: Sequence[Dated], scores: Mapping[str, Scored], quality: float, mix: Mix) -> list[_Offer]:
    found = []
    for price in closed(prices):
        scored = scores.get(price.model)
        if scored is None or scored.score < quality or price.since is None:
            continue
        first = max(price.since, scored.released or price.since)
        if price.held_on(first):
            found.append(_Offer(price, first, blended_usd_per_mtok(price, mix)))
    return found


def closed(prices: Iterable[Dated]) -> list[Dated]:
    """Dated prices only, each ending where the same provider's next one for the same model begins."""
    series: dict[tuple[str | None, str], list[Dated]] = {}
    for price in prices:
        if price.since is not None:
            series.setdefault((price.provider, (price.name or price.model).lower()), []).append(price)
    found = []
    for mine in series.values():
        mine.sort(key=lambda price: (price.since or dt.date.min, price.valid_from is None, price.source))
        starts = sorted({price.since for price in mine if price.since})
        for price in mine:
            later = next((start for start in starts if price.since and start > price.since), None)
            ends = [day for day in (price.valid_to or _forgotten(price), later) if day is not None]
            found.append(replace(price, valid_to=min(ends) if ends else None))
    return found


@dataclass(frozen=True, kw_only=True)
class Decline:
    """log(price) = a + b x years, by least squares on the record lows; figures per year."""

    records: int
    factor_per_year: float | None
    """What a year makes of the price: 0.1 = a tenth is left. None where there are too few record lows."""
    low: float | None
    high: float | None
    halving_months: float | None
    """Time in which it halves; None where it doesn't fall."""
    reason: str


def decline(points: Sequence[Point], *, confidence: float = 0.95) -> Decline:
    """With a t interval on the slope.

    Record lows are picked for being low and hang on one another: the interval is the line's, the future may leave it.
    """
    lows = [point for point in points if point.record and point.usd_per_mtok > 0]
    days = [(point.date - lows[0].date).days for point in lows]
    if len(lows) < ENOUGH or not days[-1]:
        told = f"{len(lows)} record {'low' if len(lows) == 1 else 'lows'}: no rate is said of fewer than {ENOUGH}"
        return Decline(records=len(lows), factor_per_year=None, low=None, high=None, halving_months=None, reason=told)
    from scipy.stats import linregress, t

    fit = linregress([day / DAYS_PER_YEAR for day in days], [log(point.usd_per_mtok) for point in lows])
    slope, reach = float(fit.slope), float(t.ppf(0.5 + confidence / 2, len(lows) - 2) * fit.stderr)
    return Decline(
        records=len(lows),
        factor_per_year=exp(slope),
        low=exp(slope - reach),
        high=_exp(slope + reach),
        halving_months=12 * log(2) / -slope if slope < 0 else None,
        reason=f"log-linear on {len(lows)} record lows, {lows[0].date} to {lows[-1].date}",
    )


def _exp(x: float) -> float | None:
    return exp(x) if x < 700 else None
