"""Dated list prices that anybody writes down by hand: one CSV whose header names our own columns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from bench.errors import ConfigError, nearest
from bench.imports.list_prices import money, price
from bench.imports.opened import glance, opened
from bench.imports.published import PRICE_COLUMNS, Published
from bench.imports.tabular import Row, Table, Tally, day, first, header_of, table, tally_of, words

FORMAT = """A CSV whose header names columns of `list_price`: provider, model, usd_per_mtok_in, _out and others.

Dollars per million tokens; `valid_from` is the first day a price held, `valid_to` the first it no longer did. A price
without `valid_from` is the list as it was on `observed`. Also known are the names input_usd_mtok, output_usd_mtok,
cached_input_usd_mtok, from_date and to_date, and an `observed` that is a range (2025-01-28..2025-12-17: the last day
it was seen; the range is noted) or a month (its first day).
"""
OTHERS = {
    "usd_per_mtok_in": "input_usd_mtok",
    "usd_per_mtok_out": "output_usd_mtok",
    "usd_per_mtok_cached": "cached_input_usd_mtok",
    "valid_from": "from_date",
    "valid_to": "to_date",
}
IGNORED = ("name", "blended_3to1_usd_mtok")
COLUMNS = (*PRICE_COLUMNS, *OTHERS.values(), *IGNORED)
MONEY = ("usd_per_mtok_in", "usd_per_mtok_out", "usd_per_mtok_cached", "usd_per_mtok_cache_write")
TOLD = 10


def is_mine_path(path: Path) -> bool:
    return any(_mine(header_of(text)) for text in glance(path, suffixes=(".csv",)).values())


def _mine(header: tuple[str, ...]) -> bool:
    return {"provider", "model"} <= set(header) and any({"usd_per_mtok_in", "input_usd_mtok"} & set(header))


def read_published(path: Path) -> Published:
    """Every price of every such CSV. ConfigError when a column is unknown."""
    found = opened(path, suffixes=(".csv",))
    prices: list[Mapping[str, Any]] = []
    tallies, bad = [], []
    for name in found.files:
        told = table(found.where(name), found.text(name))
        _check_header(told)
        tally = Tally(file=name)
        for row, line in zip(told.rows, told.lines, strict=True):
            given = _price(row)
            tally_of(tally, given.partition(":")[0] if isinstance(given, str) else None)
            if isinstance(given, str):
                bad += [f"{told.where}, line {line}, {given}"] if ":" in given else []
            else:
                prices.append(given)
        tallies.append(tally)
    more = [f"and {len(bad) - TOLD} more rows"] if len(bad) > TOLD else []
    return Published(
        source=_sources(prices),
        sha256=found.sha256,
        files=found.files,
        prices=tuple(prices),
        table=tuple(tally.count() for tally in tallies),
        notes=(*bad[:TOLD], *more),
    )


def _check_header(told: Table) -> None:
    for column in told.header:
        if column not in COLUMNS:
            raise ConfigError(f"{told.where}, line 1: unknown column {column[:60]!r}{nearest(column, COLUMNS)}")
    if not _mine(told.header):
        raise ConfigError(f"{told.where}, line 1: no columns provider, model and usd_per_mtok_in")


def _cell(row: Row, name: str) -> str:
    return first(row, name, OTHERS.get(name, name)) or ""


def _price(row: Row) -> Mapping[str, Any] | str:
    """A row of `list_price`; why it is none, after a colon the cell and the way out."""
    usd = {name: money(_cell(row, name).removeprefix("$")) for name in MONEY}
    for name, value in usd.items():
        if value is None and _cell(row, name):
            return f"a price that cannot be read: column {name}: {_cell(row, name)[:40]!r}; write it like 0.15"
    days = {name: day(_cell(row, name)) for name in ("valid_from", "valid_to")}
    for name, when in days.items():
        if when is None and _cell(row, name):
            return f"a date that cannot be read: column {name}: {_cell(row, name)[:40]!r}; write it like 2026-04-16"
    observed, seen = _observed(_cell(row, "observed"))
    return price(
        words(row.get("provider")),
        words(row.get("model")),
        usd.pop("usd_per_mtok_in"),
        usd.pop("usd_per_mtok_out"),
        {
            **usd,
            "observed": observed,
            "source": words(row.get("source")),
            "licence": words(row.get("licence")),
            "note": "; ".join(filter(None, (words(row.get("note")), seen))) or None,
        },
        since=days["valid_from"],
        until=days["valid_to"],
    )


def _observed(told: str) -> tuple[date | None, str | None]:
    """The last day a price was seen, and the words for it where it isn't simply a day."""
    last = told.partition("..")[2] or told
    when = day(last) or day(f"{last[:7]}-01")
    return when, f"observed {words(told, 60)}" if told and day(told) is None else None


def _sources(prices: list[Mapping[str, Any]]) -> str:
    found = list(dict.fromkeys(str(row["source"]) for row in prices if row["source"]))
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(found[:3]) + more if found else "not told"
