"""List prices in the layout of simonw/llm-prices: today's, all there were, or a vendor's own file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.imports.list_prices import date_of, money, price, text
from bench.imports.opened import glance, opened
from bench.imports.published import Published
from bench.imports.tabular import Tally, tally_of

FORMAT = """simonw/llm-prices: `current-v1.json`, `historical-v1.json`, a `data/VENDOR.json`, or a folder of these.

Prices are US dollars per million tokens. `from_date` is the first day a price held, `to_date` the first it no longer
did; a price without `from_date` is the list as it was when the file was updated, and since when is not known. Where
longer prompts cost more, the price of short ones is the model's, and a note says so.
"""
SOURCE = "simonw/llm-prices"
LICENCE = "no licence file"
NOT_OURS = "not in the layout of llm-prices"
LONG = "the price of longer prompts, beside the one of the model"
PICTURES = "a model that makes pictures"
_TIER = re.compile(r"(?P<side>[≤>])(?P<from>\d+k)$")
"""How a model's name ends whose price depends on the length of the prompt."""


def is_mine_path(path: Path) -> bool:
    """Whether any JSON there begins like one of theirs."""
    return any(_looks(text) for text in glance(path, suffixes=(".json",)).values())


def _looks(text: str) -> bool:
    return ('"prices"' in text and '"vendor"' in text and '"input"' in text) or '"price_history"' in text


def read_published(path: Path) -> Published:
    """Every price in a file, folder or zip; of a folder that has all prices there were, today's are not read again."""
    found = opened(path, suffixes=(".json",))
    prices: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    tallies = []
    for name in sorted(found.files, key=lambda name: "current" in name):
        tally = Tally(file=name)
        for row in _rows(found.json(name, exact=True)):
            told = row if isinstance(row, str) else _price(row)
            tally_of(tally, told if isinstance(told, str) else _add(prices, told))
        tallies.append(tally)
    return Published(
        source=f"{SOURCE} ({LICENCE})",
        sha256=found.sha256,
        files=found.files,
        prices=tuple(prices.values()),
        table=tuple(tally.count() for tally in tallies),
    )


def _add(prices: dict[tuple[Any, ...], Mapping[str, Any]], told: Mapping[str, Any]) -> str | None:
    """A price that stands in several files counts once; one with an observation goes before one without."""
    key = tuple(told[name] for name in ("provider", "model", "valid_from", "valid_to", "usd_per_mtok_in"))
    if key not in prices:
        prices[key] = told
        return None
    prices[key] = {**told, **{name: value for name, value in prices[key].items() if value is not None}}
    return "a price that another file tells, too"


def _rows(content: Any) -> Iterator[Mapping[str, Any] | str]:
    """Each price with its vendor and model, of either layout."""
    told = content if isinstance(content, dict) else {}
    prices, models = told.get("prices"), told.get("models")
    if isinstance(prices, list):
        for entry in prices:
            yield {**entry, "observed": told.get("updated_at")} if isinstance(entry, dict) else NOT_OURS
    elif isinstance(models, list) and "vendor" in told:
        for model in models:
            yield from _history(told["vendor"], model)
    else:
        yield NOT_OURS


def _history(vendor: Any, model: Any) -> Iterator[Mapping[str, Any] | str]:
    history = model.get("price_history") if isinstance(model, dict) else None
    if not isinstance(history, list):
        yield NOT_OURS
        return
    for entry in history:
        yield (
            {"vendor": vendor, "id": model.get("id"), "name": model.get("name"), **entry}
            if isinstance(entry, dict)
            else NOT_OURS
        )


def _price(row: Mapping[str, Any]) -> Mapping[str, Any] | str:
    model, name = text(row.get("id")), text(row.get("name")) or ""
    if "(image gen)" in name:
        return PICTURES
    if model and (tier := _TIER.search(name)) and tier["side"] == ">" and model.endswith(f"-{tier['from']}"):
        return LONG  # its id would be read as the model's own
    short = _TIER.search(name)
    return price(
        text(row.get("vendor")),
        model,
        money(row.get("input")),
        money(row.get("output")),
        {
            "usd_per_mtok_cached": money(row.get("input_cached")),
            "observed": date_of(row.get("observed")),
            "source": SOURCE,
            "licence": LICENCE,
            "note": f"costs more above {short['from']} input tokens" if short else None,
        },
        since=date_of(row.get("from_date")),
        until=date_of(row.get("to_date")),
    )
