"""What the values in LMArena's JSONs mean: numbers as numbers or as texts, money, texts that may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bench.imports.list_prices import money
from bench.imports.published import LARGEST
from bench.imports.tabular import number


def is_board(ratings: Any) -> bool:
    """Whether these are the ratings of one category."""
    return isinstance(ratings, dict) and any(isinstance(told, dict) and "rating" in told for told in ratings.values())


def get(content: Any, *keys: str) -> float | None:
    """The number in nested objects; None where one of them is missing."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return as_float(content)


def as_float(value: Any) -> float | None:
    """A number, or a number in a text."""
    if isinstance(value, str):
        return number(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return float(value) if -LARGEST <= value <= LARGEST else None


def usd(value: Any) -> Decimal | None:
    """Dollars per million tokens; this file has numbers and texts mixed."""
    return money(value.strip().removeprefix("$")) if isinstance(value, str) else money(value)


def as_text(entry: Mapping[str, Any], key: str) -> str:
    """Empty for what is none."""
    value = entry.get(key)
    return value if isinstance(value, str) else ""
