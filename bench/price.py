"""What a token costs: the target's own price, else our dated book, else genai-prices; unknown is None and never 0.

`price_for` is one price; `tariff_for` is all that may apply to one run: service tiers, and steps on the prompt's size.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from bench.catalog import Catalog, Price, Target, load
from bench.errors import ConfigError

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo

MILLION = Decimal(1_000_000)
VARIANT = re.compile(r"([-:@/]?(latest|preview|\d{4}(-?\d{2}){0,2}|\d{8}|v\d+))*")
"""What may follow a listed name and still be that model: a date, a version, `latest`, `preview`."""

BATCH_SHARE = {"openai": "0.5", "anthropic": "0.5", "google": "0.5", "mistral": "0.5"}
"""Of the standard price, by provider, where genai-prices lists no batch price of a model: openai.com/api/pricing,
docs.anthropic.com batch processing, ai.google.dev batch mode, docs.mistral.ai batch; seen on 2026-11-20."""
TIERS = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}
"""Service tiers with a price of their own, and what genai-prices calls them."""


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
    target: Target,
    model: str | None = None,
    when: dt.datetime | dt.date | None = None,
    catalog: Catalog | None = None,
    *,
    tier: str | None = None,
) -> Price | None:
    """The price of `model` (None: the target's own name for it) at `target` at that time (None: now).

    A date means noon UTC; some providers price by the hour, so pass the instant. Without a provider (an own server, an
    own address) there is no price per token: GPU hours are another question. `tier` is one of TIERS or None = standard:
    None where a tier's price is not known. A price that the target declares holds for every tier.
    """
    tariff = tariff_for(target, when, model=model, catalog=catalog)
    found = None if tariff is None else tariff.exactly(tier)
    declared = target.usd_per_mtok_in is not None and target.usd_per_mtok_out is not None
    return tariff.exactly(None) if found is None and declared and tariff is not None else found


def tariff_for(
    target: Target,
    when: dt.datetime | dt.date | None = None,
    *,
    model: str | None = None,
    catalog: Catalog | None = None,
    tier: str | None = None,
) -> Tariff | None:
    """Every price that may apply to requests sent to `target` from that instant on; None where there is none.

    With `tier` everything is asked at that tier: the tariff's standard price is then that of the tier.
    """
    name = model or target.model
    at = _instant(when)
    if target.usd_per_mtok_in is not None and target.usd_per_mtok_out is not None:
        return Tariff.of(_own(target, name, target.usd_per_mtok_in, target.usd_per_mtok_out))
    if target.provider is None:
        return None
    catalog = catalog or load()
    ours = _from_book(catalog, target.provider, name, at.date())
    if ours is not None:
        found = [Step(None, 0, ours)]
    else:
        found = _from_genai_prices(catalog.providers[target.provider].price_book, target.provider, name, at)
    share = BATCH_SHARE.get(target.provider)
    if share is not None and not any(step.tier == "batch" for step in found):
        found += [Step("batch", step.from_in_tokens, _shared(step.price, Decimal(share))) for step in found]
    if tier is not None:
        found = [Step(None, step.from_in_tokens, step.price) for step in found if step.tier == tier]
    return Tariff(steps=tuple(found)) if found else None


class Step(NamedTuple):
    """A price and where it holds."""

    tier: str | None
    """Service tier; None = standard."""
    from_in_tokens: int
    """Prompts of at least so many tokens: a cliff, all their tokens are priced so."""
    price: Price


@dataclass(frozen=True)
class Tariff:
    """All prices that may apply to the requests of one run."""

    steps: tuple[Step, ...]

    @classmethod
    def of(cls, price: Price) -> Tariff:
        return cls(steps=(Step(None, 0, price),))

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> Tariff | None:
        """From what `rows` made; None of no rows. Keys that a price doesn't have are left alone."""
        steps = tuple(
            Step(
                row.get("service_tier"),
                int(row.get("from_in_tokens") or 0),
                Price(**{name: row[name] for name in Price.model_fields if name in row}),
            )
            for row in rows
        )
        return cls(steps=steps) if steps else None

    def rows(self) -> list[dict[str, Any]]:
        """As `prices.json` keeps them: the columns of the table `price`, money as strings."""
        return [
            {
                "price_id": price.id,
                "service_tier": tier,
                "from_in_tokens": start or None,
                **price.model_dump(mode="json"),
            }
            for tier, start, price in self.steps
        ]

    def exactly(self, tier: str | None, in_tokens: int = 0) -> Price | None:
        """The price of that tier for a prompt of that length; None where the tier has none of its own."""
        holding = [step for step in self.steps if step.tier == tier and step.from_in_tokens <= in_tokens]
        return max(holding, key=lambda step: step.from_in_tokens).price if holding else None

    def price(self, tier: str | None = None, in_tokens: int = 0) -> Price:
        """The same, at the standard price where the tier has none of its own."""
        found = self.exactly(tier, in_tokens) or self.exactly(None, in_tokens)
        return found if found is not None else self.steps[0].price

    def knows(self, tier: str | None) -> bool:
        """Whether what a server calls its tier is priced here: `default`, `standard` and the like are the standard."""
        return tier not in {*TIERS, "fast"} or any(step.tier == tier for step in self.steps)

    def cost_usd(self, usage: Usage, tier: str | None = None) -> Decimal | None:
        """US dollars of one request; None when the server gave no counts."""
        return cost_usd(self.price(tier, usage.in_tokens or 0), usage)

    def typical_usd(self, in_tokens: int, out_tokens: int, requests: int) -> Decimal:
        """Dollars of that many requests with so many tokens together, at the standard price of their mean prompt."""
        price = self.price(None, in_tokens // max(requests, 1))
        return (in_tokens * price.usd_per_mtok_in + out_tokens * price.usd_per_mtok_out) / MILLION

    def worst_usd(self, in_tokens: int, out_tokens: int) -> Decimal:
        """The most that so many tokens can cost at the standard tier, or at any step a prompt of that size can reach.

        Input counts at the price of writing a cache where that is dearer.
        """
        return max(
            (in_tokens * _dearest_in(step.price) + out_tokens * step.price.usd_per_mtok_out) / MILLION
            for step in self.steps
            if step.tier is None and step.from_in_tokens <= in_tokens
        )


def _dearest_in(price: Price) -> Decimal:
    return max(price.usd_per_mtok_in, price.usd_per_mtok_cache_write or price.usd_per_mtok_in)


def _shared(price: Price, share: Decimal) -> Price:
    """A price at a share of it, for the batch tier."""

    def part(usd: Decimal | None) -> Decimal | None:
        return None if usd is None else usd * share

    return price.model_copy(
        update={
            "id": f"{price.id}/batch",
            "usd_per_mtok_in": price.usd_per_mtok_in * share,
            "usd_per_mtok_cached": part(price.usd_per_mtok_cached),
            "usd_per_mtok_cache_write": part(price.usd_per_mtok_cache_write),
            "usd_per_mtok_out": price.usd_per_mtok_out * share,
            "note": f"{share} of the standard price",
        }
    )


def dating(price: Price, when: dt.date | None = None) -> str:
    """When the price is known to have held, in words; a list without a date says so, and more so of a past day."""
    if price.valid_from is not None:
        return f"{price.valid_from} to {price.valid_to}" if price.valid_to else f"since {price.valid_from}"
    if price.valid_to is not None:
        return f"until {price.valid_to}, its beginning is not known"
    seen = f" (list of {price.observed})" if price.observed else ""
    past = when is not None and not is_dated(price, when)
    return f"current list, not dated{seen}" + (f"; what it was on {when} is not known" if past else "")


def is_dated(price: Price, when: dt.date | None) -> bool:
    """Whether somebody says that it held on that day: dated as beginning or seen by then, and not over.

    genai-prices answers a question about 2024 with today's price where it knows no other: that is False here.
    """
    day = when or dt.datetime.now(dt.UTC).date()
    since = price.valid_from or (price.observed if when is not None else None)
    over = price.valid_to is not None and price.valid_to <= day
    return since is not None and since <= day and not over


def price_under(
    target: Target, max_usd: Decimal | None, *, when: dt.datetime | dt.date, allow_unknown: bool
) -> Price | None:
    """The price that will hold; ConfigError where there is none although spending is limited, unless that is allowed.

    Models of ours (layer `reference`) cost nothing."""
    tariff = tariff_under(target, max_usd, when=when, allow_unknown=allow_unknown)
    return None if tariff is None else tariff.price()


def tariff_under(
    target: Target,
    max_usd: Decimal | None,
    *,
    when: dt.datetime | dt.date,
    allow_unknown: bool,
    tier: str | None = None,
) -> Tariff | None:
    """The same for every price that may apply."""
    tariff = tariff_for(target, when, tier=tier)
    if tariff is None and max_usd is not None and target.layer != "reference" and not allow_unknown:
        raise ConfigError(
            f"{target.id}: no price is known, so --max-usd {max_usd} can't be kept; "
            "set usd_per_mtok_in and usd_per_mtok_out in targets.toml, or pass --allow-unknown-price"
        )
    return tariff


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


def in_text(value: Any) -> Any:
    """The same lists and dictionaries with every amount of money as text, to its last digit: for JSON."""
    if isinstance(value, dict):
        return {name: in_text(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [in_text(one) for one in value]
    return format(value, "f") if isinstance(value, Decimal) else value


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


def _from_genai_prices(book: str | None, provider: str, model: str, at: dt.datetime) -> list[Step]:
    """The bundled table of genai-prices; its updater, which would use the network, is never started."""
    name = model
    if provider == "huggingface":
        name, _, host = model.rpartition(":")
        book = f"huggingface_{host}" if name else None
    found = None if book is None else _listed(book, name)
    if found is None or book is None:
        return []
    steps = _steps(found, book, provider, name, at, None)
    for tier, context in TIERS.items():
        if any(
            each.when == context and (each.constraint is None or each.constraint.active(at))
            for each in found.price_variants or ()
        ):
            steps += _steps(found, book, provider, name, at, tier)
    return steps


def _steps(found: ModelInfo, book: str, provider: str, name: str, at: dt.datetime, tier: str | None) -> list[Step]:
    """One step per threshold of the prompt's size; none where input or output has no price."""
    standard = found.get_prices(at)
    prices = found.get_prices(at, TIERS[tier]) if tier is not None else standard
    if prices.input_mtok is None or prices.output_mtok is None:
        return []
    starts = sorted({0, *(each.start + 1 for part in _parts(prices) for each in getattr(part, "tiers", ()))})
    term = _term(found, standard) + (f"/{tier}" if tier else "")
    return [
        Step(
            tier,
            start,
            Price(
                id=f"genai-prices/{_version()}/{book}/{found.id}{term}{f'/over-{start - 1}' if start else ''}",
                provider=provider,
                model=name,
                usd_per_mtok_in=_at(prices.input_mtok, start),
                usd_per_mtok_cached=_at(prices.cache_read_mtok, start),
                usd_per_mtok_cache_write=_at(prices.cache_write_mtok, start),
                usd_per_mtok_out=_at(prices.output_mtok, start),
                valid_from=_start(found, standard),
                valid_to=_end(found, standard),
                observed=seen(),
                tiered=len(starts) > 1,
                source=f"genai-prices {_version()}",
                source_licence="MIT",
            ),
        )
        for start in starts
    ]


def _parts(prices: Any) -> tuple[Any, ...]:
    return prices.input_mtok, prices.cache_read_mtok, prices.cache_write_mtok, prices.output_mtok


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


def _at(price: Any, in_tokens: int) -> Any:
    """The figure that holds for a prompt of that many tokens."""
    found = getattr(price, "base", price)
    for tier in getattr(price, "tiers", ()):
        found = tier.price if tier.start < in_tokens else found
    return found


def _start(found: ModelInfo, prices: Any) -> dt.date | None:
    constraint = _constraint(found, prices)
    start: dt.date | None = getattr(constraint, "start_date", None)
    return start


def _end(found: ModelInfo, prices: Any) -> dt.date | None:
    """The next first day of a price of the same model: this one's last day was the day before."""
    listed = found.prices if isinstance(found.prices, list) else []
    starts = [getattr(each.constraint, "start_date", None) for each in listed]
    since = _start(found, prices)
    later = [start for start in starts if start is not None and (since is None or start > since)]
    hourly = getattr(_constraint(found, prices), "start_time", None) is not None
    return None if hourly else min(later, default=None)


@cache
def seen() -> dt.date | None:
    """The newest day on which its authors say that they compared a price with its provider's page."""
    from genai_prices.data_snapshot import get_snapshot

    told = " ".join(model.price_comments or "" for provider in get_snapshot().providers for model in provider.models)
    days = re.findall(r"(?i)\b(?:verified|checked) (?:on )?(\d{4}-\d\d-\d\d)", told)
    return dt.date.fromisoformat(max(days)) if days else None


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
