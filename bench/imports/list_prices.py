"""What the formats of list prices have in common: money that is exact, and the row of one price."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from bench.imports.tabular import day, words

MOST_USD = Decimal(100_000)
"""Per million tokens; no list price comes near."""
SMALLEST = 20
"""Digits before or after the point; no price has more."""
PER_MTOK = Decimal(1_000_000)
NO_MODEL, NO_PROVIDER = "no model name", "no provider"
NO_PRICE = "no price per token of input and output"
BOTH_FREE = "input and output cost 0: free, local, or simply not known"
NEGATIVE_TIME = "a price that ends before it begins"


def money(value: Any, factor: Decimal = Decimal(1)) -> Decimal | None:
    """A number, or one in a text, exactly as written; None for what no price can be, infinities and NaN among it."""
    if isinstance(value, str):
        value = Decimal(value) if re.fullmatch(r"\d{1,12}(\.\d{0,15})?([eE][-+]?\d{1,2})?", value) else None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    found = Decimal(value)
    if not found.is_finite() or found < 0 or (found and not -SMALLEST < found.adjusted() < SMALLEST):
        return None
    return plain(found * factor) if found * factor <= MOST_USD else None


def plain(value: Decimal) -> Decimal:
    """Without the zeros at the end and without an exponent: 0.15, not 1.5E-1 or 0.1500."""
    return Decimal(f"{value.normalize():f}")


def price(
    provider: str | None,
    model: str | None,
    usd_in: Decimal | None,
    usd_out: Decimal | None,
    more: Mapping[str, Any],
    *,
    since: date | None = None,
    until: date | None = None,
) -> Mapping[str, Any] | str:
    """A row of `list_price` with `more` of its columns, or why it is none."""
    if not model:
        return NO_MODEL
    if not provider:
        return NO_PROVIDER
    if usd_in is None or usd_out is None:
        return NO_PRICE
    if usd_in == 0 == usd_out:
        return BOTH_FREE
    if since and until and until <= since:
        return NEGATIVE_TIME
    told = {"usd_per_mtok_in": usd_in, "usd_per_mtok_out": usd_out, "valid_from": since, "valid_to": until}
    return {"provider": provider, "model": model, **told, **more}


def text(value: Any) -> str | None:
    return words(value) if isinstance(value, str) else None


def date_of(value: Any) -> date | None:
    return day(value) if isinstance(value, str) else None
