"""The price to reach a quality: a market by hand, and the line through its record lows."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from math import exp

import pytest
from scipy.stats import linregress, t

from bench.cost.history import Dated, Point, Scored, closed, decline, price_to_reach

SCORES = {
    "old": Scored(60.0, dt.date(2023, 1, 1)),
    "good": Scored(80.0, dt.date(2024, 1, 1)),
    "small": Scored(80.0, dt.date(2024, 9, 1)),
}


def price(model: str, usd: str, since: str | None = None, until: str | None = None, **more: object) -> Dated:
    plain = {
        "model": model, "provider": "p", "usd_per_mtok_in": Decimal(usd), "usd_per_mtok_out": Decimal(usd),
        "valid_from": since and dt.date.fromisoformat(since), "valid_to": until and dt.date.fromisoformat(until),
        "source": "a test",
    }  # fmt: skip
    return Dated(**{**plain, **more})  # type: ignore[arg-type]


MARKET = [
    price("old", "1", "2023-01-01"),
    price("good", "30", "2023-12-01", "2024-06-01"),  # listed before it was out
    price("good", "10", "2024-06-01"),
    price("small", "2", "2024-09-01", "2025-01-01"),
]


def test_the_cheapest_that_is_good_enough_at_prices_valid_then() -> None:
    points = price_to_reach(MARKET, SCORES, 80)
    assert [(str(p.date), p.model, p.usd_per_mtok, p.record) for p in points] == [
        ("2024-01-01", "good", 30, True),
        ("2024-06-01", "good", 10, True),
        ("2024-09-01", "small", 2, True),
        ("2025-01-01", "good", 10, False),  # the small one is no longer sold
    ]
    assert [p.model for p in price_to_reach(MARKET, SCORES, 60)] == ["old"]
    assert price_to_reach(MARKET, SCORES, 81) == []
    assert len(price_to_reach(MARKET, SCORES, 80, until=dt.date(2024, 6, 1))) == 2


def test_an_undated_current_list_says_nothing_of_any_day() -> None:
    assert price_to_reach([price("good", "0.01")], SCORES, 80) == []


def test_a_price_that_was_seen_holds_from_that_day_until_another_is_seen_or_a_year_later() -> None:
    seen = [
        price("good", "5", observed=dt.date(2024, 2, 1)),
        price("good", "4", observed=dt.date(2024, 5, 1), seen_until=dt.date(2024, 8, 1)),
    ]
    assert [(str(p.since), str(p.valid_to)) for p in closed(seen)] == [
        ("2024-02-01", "2024-05-01"),
        ("2024-05-01", "2025-08-01"),
    ]
    points = price_to_reach([*seen, price("good", "9", "2025-08-01", provider="q")], SCORES, 80)
    assert [(str(p.date), p.usd_per_mtok) for p in points] == [
        ("2024-02-01", 5), ("2024-05-01", 4), ("2025-08-01", 9),
    ]  # fmt: skip


def test_two_names_of_one_model_do_not_end_each_others_prices() -> None:
    """A dearer alias that appears later leaves the dated snapshot's price alone."""
    named = [
        price("good", "10", "2024-01-01", name="good-0101"),
        price("good", "30", "2024-03-01", name="good-latest"),
        price("good", "4", "2024-06-01", name="good-latest"),
    ]
    assert [(p.usd_per_mtok, p.record) for p in price_to_reach(named, SCORES, 80)] == [(10, True), (4, True)]


def test_the_decline_is_the_line_through_the_record_lows() -> None:
    points = price_to_reach([price("good", "10", "2024-01-01")], SCORES, 80)
    assert decline(points).factor_per_year is None
    assert "1 record low" in decline(points).reason
    days, usd = [0, 100, 365, 500, 730], ["10", "6", "1", "0.5", "0.1"]
    lows = [
        Point(date=dt.date(2024, 1, 1) + dt.timedelta(days=d), usd_per_mtok=Decimal(u), model="m", provider="p",
              score=80, source="", record=True) for d, u in zip(days, usd, strict=True)
    ]  # fmt: skip
    dear = Point(date=dt.date(2024, 5, 1), usd_per_mtok=Decimal(99), model="m", provider="p", score=80, source="",
                 record=False)  # fmt: skip
    found = decline([*lows, dear])
    import numpy as np

    line = linregress([d / 365.25 for d in days], np.log([float(u) for u in usd]))
    reach = t.ppf(0.975, 3) * line.stderr
    assert found.factor_per_year == pytest.approx(exp(line.slope))
    assert (found.low, found.high) == pytest.approx((exp(line.slope - reach), exp(line.slope + reach)))
    assert found.records == 5
    assert found.halving_months == pytest.approx(12 * np.log(2) / -line.slope)


def test_a_tenth_a_year_is_found_again() -> None:
    """A price of exactly a tenth each year."""
    lows = [
        Point(date=dt.date(2022, 1, 1) + dt.timedelta(days=91 * k), usd_per_mtok=Decimal(10 * 0.1 ** (91 * k / 365.25)),
              model="m", provider="p", score=1, source="", record=True) for k in range(9)
    ]  # fmt: skip
    found = decline(lows)
    assert found.factor_per_year == pytest.approx(0.1)
    assert found.low == pytest.approx(0.1, rel=1e-6)
