"""Every price anybody is known to have asked, with its dates and who says so; and the user's own, in targets.toml.

Sources, the first wins for the same day: our dated book with the user's blocks over it, genai-prices, the bundled
history, what was imported. None of them is ever overwritten: a changed price is a further block.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from bench.catalog import Catalog, Price, Target, load
from bench.catalog.files import HERE, parse, read_toml
from bench.cost.history import Dated
from bench.errors import ConfigError, nearest
from bench.price import seen

SKIPPED = re.compile(r"(:batch|:free|^~|^regional\.|^global\.)")
"""Listed names that are another way of paying for a model, or another name of one."""

SAME_AS = {"moonshotai": "moonshot", "amazon": "bedrock", "aws": "bedrock", "alibaba": "qwen", "zhipuai": "zai"}
"""What price lists call some providers, without blanks and hyphens."""


def known(catalog: Catalog) -> list[Dated]:
    """Of every provider and model, by source: the book, genai-prices and the bundled history; models as they are named.

    `valid_from` and `observed` both None = an undated current list.
    """
    found = (*book(catalog), *listed(), *bundled())
    return [replace(price, provider=same_provider(catalog, price.provider)) for price in found]


def book(catalog: Catalog) -> list[Dated]:
    """The packaged dated prices and the user's."""
    return [
        Dated(
            provider=price.provider,
            model=price.model,
            **_money(price),
            valid_from=price.valid_from,
            valid_to=price.valid_to,
            observed=price.observed,
            source=price.source,
            licence=price.source_licence,
            origin="book",
        )
        for price in catalog.prices.values()
    ]


def _money(price: Price) -> dict[str, Any]:
    names = ("usd_per_mtok_in", "usd_per_mtok_cached", "usd_per_mtok_out")
    return {name: getattr(price, name) for name in names}


@cache
def listed() -> tuple[Dated, ...]:
    """genai-prices' whole table, providers under its own ids: lowest tier, standard service, not the cheap hours."""
    from genai_prices.data_snapshot import get_snapshot

    return tuple(
        price
        for provider in get_snapshot().providers
        for model in provider.models
        if not SKIPPED.search(model.id)
        for price in _terms(provider.id, model)
    )


def _terms(provider: str, model: Any) -> Iterator[Dated]:
    """One per day from which another price held; the first has no beginning."""
    from importlib.metadata import version

    several = model.prices if isinstance(model.prices, list) else None
    terms = [(None, model.prices)] if several is None else [(each.constraint, each.prices) for each in several]
    hourly = [constraint for constraint, _ in terms if hasattr(constraint, "start_time")]
    terms = [(constraint, prices) for constraint, prices in terms if constraint not in hourly]
    starts = sorted({c.start_date for c, _ in terms if c is not None and hasattr(c, "start_date")})
    for constraint, prices in terms:
        start = getattr(constraint, "start_date", None)
        usd_in, usd_out = (getattr(part, "base", part) for part in (prices.input_mtok, prices.output_mtok))
        if usd_in is None or usd_out is None:
            continue
        later = [day for day in starts if start is None or day > start]
        yield Dated(
            provider=provider,
            model=model.id,
            usd_per_mtok_in=Decimal(usd_in),
            usd_per_mtok_cached=_decimal(getattr(prices.cache_read_mtok, "base", prices.cache_read_mtok)),
            usd_per_mtok_out=Decimal(usd_out),
            valid_from=start,
            valid_to=min(later, default=None),
            observed=None if later else seen(),
            source=f"genai-prices {version('genai-prices')}{', outside its dear hours' if hourly else ''}",
            licence="MIT",
            origin="genai-prices",
        )


@cache
def bundled() -> tuple[Dated, ...]:
    """`bench/catalog/price_history.csv`: a selection of dated prices, models under the names of `catalog.names`."""
    with (HERE / "price_history.csv").open(encoding="utf-8", newline="") as file:
        return tuple(dated(row, origin="bundled") for row in csv.DictReader(file))


def dated(row: Any, *, origin: str) -> Dated:
    """From a row of texts, '' or None = unknown."""
    return Dated(
        provider=row["provider"] or None,
        model=row["model"],
        usd_per_mtok_in=Decimal(row["usd_per_mtok_in"]),
        usd_per_mtok_cached=_decimal(row.get("usd_per_mtok_cached")),
        usd_per_mtok_out=Decimal(row["usd_per_mtok_out"]),
        valid_from=_day(row.get("valid_from")),
        valid_to=_day(row.get("valid_to")),
        observed=_day(row.get("observed")),
        seen_until=_day(row.get("seen_until")),
        source=row["source"] or "",
        licence=row.get("licence") or None,
        origin=origin,
    )


def _decimal(value: Any) -> Decimal | None:
    return None if value in (None, "") else Decimal(value)


def _day(text: str | None) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None


# ---------------------------------------------------------------------------------------------------------- adding one


@dataclass(frozen=True, kw_only=True)
class Added:
    """What was written and where."""

    path: Path
    price: Price


def users_file() -> Path:
    """Where the user's prices go: the file BENCH_TARGETS names, else `targets.toml` here; it may not exist yet."""
    return Path(os.environ.get("BENCH_TARGETS") or "targets.toml")


def users_catalog() -> Catalog:
    """The catalogue with the user's file, or without it where it is yet to be made."""
    path = users_file()
    return load(path if path.exists() else Path(os.devnull))


def add(target: Target, price: dict[str, Any], catalog: Catalog, path: Path | None = None) -> Added:
    """Append a dated block for `target`'s model to the user's file, whole or not at all; ConfigError changes nothing.

    `price` has the keys of a `Price` less id, provider and model. The file is read again with the block before it takes
    the old one's place, and two at once wait for each other.
    """
    from bench.runs.lock import Lock

    path = Path(os.path.realpath(path or users_file()))
    if target.provider is None:
        raise ConfigError(
            f"{target.id} has no provider: give its block in {path} usd_per_mtok_in and usd_per_mtok_out instead"
        )
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: there is no folder {path.parent}; make it, or name another file in BENCH_TARGETS")
    start = price.get("valid_from")
    block = {"id": f"{target.provider}/{target.model}/{start}", "provider": target.provider, "model": target.model}
    block |= {name: value for name, value in price.items() if value is not None}
    parsed = parse(Price, block, f"the price of {target.id}")
    with Lock(path.with_name(f".{path.name}.lock"), what=str(path), wait=True):
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        _refuse_again(path, parsed, set(catalog.prices))
        _replace(path, f"{before.rstrip()}\n\n{_toml(block)}".lstrip())
    return Added(path=path, price=parsed)


def _refuse_again(path: Path, price: Price, ids: set[str]) -> None:
    """Dated prices are never overwritten."""
    blocks = read_toml(path).get("prices", []) if path.exists() else []
    taken = {block.get("id") for block in blocks if isinstance(block, dict)} if isinstance(blocks, list) else set()
    if price.id in taken | ids:
        raise ConfigError(
            f"{path}: a price {price.id!r} is there already and is never overwritten; "
            "give the day from which the new one holds: --valid-from YYYY-MM-DD"
        )


def _replace(path: Path, text: str) -> None:
    """Written aside, read as the catalogue reads it, and only then put in place; its mode is kept."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(text, encoding="utf-8")
        try:
            load(draft)
        except ConfigError as error:
            raise ConfigError(str(error).replace(str(draft), str(path))) from error
        if path.exists():
            draft.chmod(path.stat().st_mode & 0o777)
        fd = os.open(draft, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        draft.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: can't be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)


def _toml(block: dict[str, Any]) -> str:
    return "[[prices]]\n" + "".join(f"{name} = {_value(value)}\n" for name, value in block.items())


def _value(value: object) -> str:
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text if "." in text else f"{text}.0"
    if isinstance(value, dt.date):
        return value.isoformat()
    text = str(value)
    if not text.isprintable():
        raise ConfigError(f"{text!r}: holds characters that can't be printed; leave them out")
    return json.dumps(text, ensure_ascii=False)


def same_provider(catalog: Catalog, name: str | None) -> str | None:
    """Our id for what somebody calls a provider; their own word where we know none."""
    if name is None:
        return None
    ids = tuple(
        (provider.id, provider.name, provider.price_book, provider.aliases) for provider in catalog.providers.values()
    )
    return _provider_names(ids).get(_bare(name), name)


@cache
def _provider_names(ids: tuple[tuple[str, str, str | None, tuple[str, ...]], ...]) -> dict[str, str]:
    """Ids first, then aliases and names; of two with one price book, the one it is named after."""
    found = {_bare(name): name for name, *_ in ids}
    for name, *others, aliases in ids:
        for other in (*aliases, *others):
            found.setdefault(_bare(other or ""), name)
    return found


def _bare(name: str) -> str:
    """`moonshot-ai` and `Moonshot AI` are one."""
    bare = re.sub(r"[^a-z0-9]", "", name.lower())
    return SAME_AS.get(bare, bare)


def check_known(name: str, models: set[str]) -> None:
    """ConfigError for a model nobody asks a price for."""
    if name not in models:
        raise ConfigError(f"no price of {name!r} is known{nearest(name, models)}")
