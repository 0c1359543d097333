"""What a token costs: the target's own price, else our dated book, else genai-prices; unknown is None and never 0."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from bench.catalog import Catalog, Price, Target, load
from bench.errors import ConfigError

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo

MILLION = Decimal(1_000_000)
VARIANT = re.compile(r"([-:@/]?(latest|preview|\d{4}(-?\d{2}){0,2}|\d{8}|v\d+))*")
"""What may follow a listed name and still be that model: a date, a version, `latest`, `preview`."""


class Usage(Protocol):
    """Token counts of one request; a `Measurement` is one. Cached and cache-written input are inside `in_tokens`."""

    @property
    def in_tokens(self) -> int | None: ...
    @property
    def in_cached_tokens(self) -> int | None: ...
    @property
    def in_cache_write_tokens(self) -> int | None: ...
    @property
    def out_tokens(self) -> int | None: ...


def price_for(
    target: Target, model: str | None = None, when: dt.datetime | dt.date | None = None, catalog: Catalog | None = None
) -> Price | None:
    """The price of `model` (None: the target's own name for it) at `target` at that time (None: now).

    A date means noon UTC; some providers price by the hour. Without a provider (an own server, an own address) there
    is no price per token: GPU hours are another question.
    """
    name = model or target.model
    at = _instant(when)
    if target.usd_per_mtok_in is not None and target.usd_per_mtok_out is not None:
        return _own(target, name, target.usd_per_mtok_in, target.usd_per_mtok_out)
    if target.provider is None:
        return None
    catalog = catalog or load()
    return _from_book(catalog, target.provider, name, at.date()) or _from_genai_prices(
        catalog.providers[target.provider].price_book, target.provider, name, at
    )


def price_under(
    target: Target, max_usd: Decimal | None, *, when: dt.datetime | dt.date, allow_unknown: bool
) -> Price | None:
    """The price that will hold; ConfigError where there is none although spending is limited, unless that is allowed.

    Models of ours (layer `reference`) cost nothing."""
    price = price_for(target, target.model, when)
    if price is None and max_usd is not None and target.layer != "reference" and not allow_unknown:
        raise ConfigError(
            f"{target.id}: no price is known, so --max-usd {max_usd} can't be kept; "
            "set usd_per_mtok_in and usd_per_mtok_out in targets.toml, or pass --allow-unknown-price"
        )
    return price


def cost_usd(price: Price, usage: Usage) -> Decimal | None:
    """US dollars of one request; None when the server gave no counts.

    Cached input costs what input costs where no price of its own is known, so the figure is rather too high.
    """
    if usage.in_tokens is None or usage.out_tokens is None:
        return None
    cached, written = usage.in_cached_tokens or 0, usage.in_cache_write_tokens or 0
    plain = usage.in_tokens - cached - written
    per_mtok_cached = price.usd_per_mtok_in if price.usd_per_mtok_cached is None else price.usd_per_mtok_cached
    per_mtok_write = price.usd_per_mtok_in if price.usd_per_mtok_cache_write is None else price.usd_per_mtok_cache_write
    usd = plain * price.usd_per_mtok_in + cached * per_mtok_cached + written * per_mtok_write
    return (usd + usage.out_tokens * price.usd_per_mtok_out) / MILLION


def _instant(when: dt.datetime | dt.date | None) -> dt.datetime:
    if when is None:
        return dt.datetime.now(dt.UTC)
    if not isinstance(when, dt.datetime):
        return dt.datetime(when.year, when.month, when.day, 12, tzinfo=dt.UTC)
    return when.replace(tzinfo=dt.UTC) if when.tzinfo is None else when.astimezone(dt.UTC)


def _own(target: Target, model: str, usd_in: Decimal, usd_out: Decimal) -> Price:
    return Price(
        id=f"target/{target.id}",
        provider=target.provider,
        model=model,
        usd_per_mtok_in=usd_in,
        usd_per_mtok_cached=target.usd_per_mtok_cached,
        usd_per_mtok_out=usd_out,
        source="declared by the target",
    )


def _from_book(catalog: Catalog, provider: str, model: str, day: dt.date) -> Price | None:
    """The youngest entry of our book that held on that day."""
    aliases = catalog.providers[provider].aliases if provider in catalog.providers else ()
    holding = [
        price
        for price in catalog.prices.values()
        if price.provider in {provider, *aliases}
        and price.model == model
        and (price.valid_from is None or price.valid_from <= day)
        and (price.valid_to is None or day < price.valid_to)
    ]
    return max(holding, key=lambda price: price.valid_from or dt.date.min, default=None)


def _from_genai_prices(book: str | None, provider: str, model: str, at: dt.datetime) -> Price | None:
    """The bundled table of genai-prices; its updater, which would use the network, is never started."""
    name = model
    if provider == "huggingface":
        name, _, host = model.rpartition(":")
        book = f"huggingface_{host}" if name else None
    found = None if book is None else _listed(book, name)
    if found is None or book is None:
        return None
    prices = found.get_prices(at)
    usd_in, usd_out = _base(prices.input_mtok), _base(prices.output_mtok)
    if usd_in is None or usd_out is None:
        return None
    return Price(
        id=f"genai-prices/{_version()}/{book}/{found.id}{_term(found, prices)}",
        provider=provider,
        model=name,
        usd_per_mtok_in=usd_in,
        usd_per_mtok_cached=_base(prices.cache_read_mtok),
        usd_per_mtok_cache_write=_base(prices.cache_write_mtok),
        usd_per_mtok_out=usd_out,
        valid_from=_start(found, prices),
        tiered=any(hasattr(each, "tiers") for each in (prices.input_mtok, prices.output_mtok)),
        source=f"genai-prices {_version()}",
        source_licence="MIT",
    )


@cache
def _listed(book: str, model: str) -> ModelInfo | None:
    """The entry for `model`; some entries match every name that begins like theirs, and those matches are refused."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        found = get_snapshot().find_provider_model(model, None, book, None)[1]
    except LookupError:
        return None
    rest = model.lower().removeprefix(found.id.lower())
    unlike = rest == model.lower()
    return found if unlike or VARIANT.fullmatch(rest) else None


def _base(price: Any) -> Decimal | None:
    """The price of the lowest tier."""
    lowest: Decimal | None = getattr(price, "base", price)
    return lowest


def _start(found: ModelInfo, prices: Any) -> dt.date | None:
    constraint = _constraint(found, prices)
    start: dt.date | None = getattr(constraint, "start_date", None)
    return start


def _term(found: ModelInfo, prices: Any) -> str:
    """Tells the prices of one model apart: by their first day, or by their hours."""
    constraint = _constraint(found, prices)
    if start := getattr(constraint, "start_date", None):
        return f"/{start}"
    if hours := getattr(constraint, "start_time", None):
        return f"/from-{hours:%H:%M}"
    return ""


def _constraint(found: ModelInfo, prices: Any) -> Any:
    listed = found.prices if isinstance(found.prices, list) else []
    return next((each.constraint for each in listed if each.prices is prices), None)


@cache
def _version() -> str:
    from importlib.metadata import version

    return version("genai-prices")
