"""What tokens cost, when, and who says so: prices, their history, where sources differ, the price of a quality."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import database, price_book
from bench.analysis.measured import _rows
from bench.catalog import Catalog, load
from bench.catalog.names import match
from bench.cost.history import Dated, Decline, Point, Scored, decline
from bench.cost.history import price_to_reach as cheapest
from bench.cost.mix import ARTIFICIAL_ANALYSIS, Mix, blended_usd_per_mtok

if TYPE_CHECKING:
    import pandas

PRICE_COLUMNS = (
    "provider", "model", "name", "usd_per_mtok_in", "usd_per_mtok_cached", "usd_per_mtok_out", "usd_per_mtok_blended",
    "since", "until", "dating", "origin", "source", "licence",
)  # fmt: skip
DIFFERENCE_COLUMNS = (
    "provider", "model", "origin", "usd_per_mtok_in", "usd_per_mtok_out", "dating",
    "other", "other_usd_per_mtok_in", "other_usd_per_mtok_out", "other_dating", "verdict",
)  # fmt: skip
REACH_COLUMNS = ("date", "usd_per_mtok", "model", "provider", "score", "record", "quality", "benchmark", "source")
UNDATED = "current list, not dated"


def prices(
    results: Path | None = None, *, catalog: Catalog | None = None, mix: Mix = ARTIFICIAL_ANALYSIS
) -> pandas.DataFrame:
    """Every price that any source knows, one row each; PRICE_COLUMNS. US dollars per million tokens, NaN = not known.

    `model` is the release a `name` means (`bench.catalog.names`). `since`, `until` are days (NaT = not known), `dating`
    says them in words: an undated price is a current list, good for no past day. `origin` is `book`, `genai-prices`,
    `bundled`, `imported` or `run` (measured under it; `results` needed for the last two).
    """
    import pandas as pd

    catalog = catalog or load()
    rows = [_row(price, mix) for price in every(results, catalog)]
    frame = pd.DataFrame(rows, columns=list(PRICE_COLUMNS))
    for name in ("since", "until"):
        frame[name] = pd.to_datetime(frame[name])
    return frame


def price_history(model: str, results: Path | None = None, *, catalog: Catalog | None = None) -> pandas.DataFrame:
    """The same of one model, under whatever name, oldest first; ConfigError where nobody asks a price for it.

    Undated prices come last.
    """
    frame = prices(results, catalog=catalog)
    wanted = match(model.partition(":")[2] or model).model
    price_book.check_known(wanted, set(frame["model"]))
    found = frame[frame["model"] == wanted]
    if ":" in model:
        asked = price_book.same_provider(catalog or load(), model.partition(":")[0])
        found = found[found["provider"] == asked]
    return found.sort_values(["since", "provider", "origin"], na_position="last").reset_index(drop=True)


def price_differences(
    results: Path | None = None, *, catalog: Catalog | None = None, alike: bool = False
) -> pandas.DataFrame:
    """Where two sources ask another price for the same model of the same provider now; DIFFERENCE_COLUMNS.

    Each source's newest price is compared with our book's, else genai-prices', else the next. `verdict` says which is
    older, where both have a date. `alike`: also where they agree.
    """
    import pandas as pd

    catalog = catalog or load()
    rows = [
        row
        for same in _by_place(every(results, catalog))
        for row in _compared(same)
        if alike or row["verdict"] != "same"
    ]
    return pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS))


def every(results: Path | None, catalog: Catalog) -> list[Dated]:
    """All sources' prices, those of the store too where there is one."""
    found = price_book.known(catalog)
    if results is None or not (Path(results) / database.NAME).exists():
        return found
    imported = [price_book.dated(row, origin="imported") for row in _rows(database.columns(results, "imported_prices"))]
    stored = [
        price_book.dated({**row, "seen_until": row["used_to"]}, origin="run")
        for row in _rows(database.columns(results, "stored_prices"))
        if row["usd_per_mtok_in"] is not None and row["service_tier"] is None and not row["from_in_tokens"]
    ]
    used = [replace(price, observed=price.observed or price.seen_until) for price in stored]
    return [*found, *(replace(p, provider=price_book.same_provider(catalog, p.provider)) for p in (*imported, *used))]


def _row(price: Dated, mix: Mix) -> dict[str, Any]:
    return {
        "provider": price.provider,
        "model": match(price.model).model,
        "name": price.model,
        "usd_per_mtok_in": float(price.usd_per_mtok_in),
        "usd_per_mtok_cached": None if price.usd_per_mtok_cached is None else float(price.usd_per_mtok_cached),
        "usd_per_mtok_out": float(price.usd_per_mtok_out),
        "usd_per_mtok_blended": float(blended_usd_per_mtok(price, mix)),
        "since": price.since,
        "until": price.valid_to,
        "dating": dating(price),
        "origin": price.origin,
        "source": price.source,
        "licence": price.licence,
    }


def dating(price: Dated) -> str:
    """When it is known to have held, in words."""
    if price.valid_from is not None:
        return f"{price.valid_from} to {price.valid_to}" if price.valid_to else f"since {price.valid_from}"
    if price.valid_to is not None:
        return f"until {price.valid_to}, its beginning is not known"
    if price.seen_until is not None and price.observed is not None:
        return f"seen {price.observed} to {price.seen_until}"
    if price.origin == "genai-prices" or price.observed is None:
        return UNDATED + (f" (list of {price.observed})" if price.observed else "")
    return f"seen {price.observed}"


def _by_place(prices: Iterable[Dated]) -> list[list[Dated]]:
    """Of each provider and model name the newest price of every origin; only where there are two."""
    found: dict[tuple[str | None, str], dict[str, Dated]] = {}
    for price in prices:
        if price.valid_to is not None and price.valid_to <= dt.datetime.now(dt.UTC).date():
            continue
        mine = found.setdefault((price.provider, price.model.lower()), {})
        old = mine.get(price.origin)
        if old is None or (price.since or dt.date.min) > (old.since or dt.date.min):
            mine[price.origin] = price
    return [sorted(mine.values(), key=_rank) for mine in found.values() if len(mine) > 1]


def _rank(price: Dated) -> int:
    return ("book", "genai-prices", "imported", "run", "bundled").index(price.origin)


def _compared(same: Sequence[Dated]) -> list[dict[str, Any]]:
    first, *others = same
    return [
        {
            "provider": first.provider,
            "model": first.model,
            "origin": first.origin,
            "usd_per_mtok_in": float(first.usd_per_mtok_in),
            "usd_per_mtok_out": float(first.usd_per_mtok_out),
            "dating": dating(first),
            "other": other.origin,
            "other_usd_per_mtok_in": float(other.usd_per_mtok_in),
            "other_usd_per_mtok_out": float(other.usd_per_mtok_out),
            "other_dating": dating(other),
            "verdict": _verdict(first, other),
        }
        for other in others
    ]


def _verdict(first: Dated, other: Dated) -> str:
    if (first.usd_per_mtok_in, first.usd_per_mtok_out) == (other.usd_per_mtok_in, other.usd_per_mtok_out):
        return "same"
    mine, theirs = _last_said(first), _last_said(other)
    if mine is None or theirs is None or mine == theirs:
        return "differs"
    return f"differs; {other.origin} is older" if theirs < mine else f"differs; {first.origin} is older"


def _last_said(price: Dated) -> dt.date | None:
    """The last day on which somebody is known to have said so."""
    return max(filter(None, (price.valid_from, price.observed, price.seen_until)), default=None)


# ------------------------------------------------------------------------------------------------ price of a quality


def price_to_reach(
    quality: float | Sequence[float],
    results: Path | None = None,
    *,
    benchmark: str = "eci",
    mix: Mix = ARTIFICIAL_ANALYSIS,
    until: dt.date | None = None,
    catalog: Catalog | None = None,
    scores: pandas.DataFrame | None = None,
) -> pandas.DataFrame:
    """The cheapest $/M (blended at `mix`) that bought at least that score, over time; REACH_COLUMNS.

    One row per quality and day on which the answer changed; `record` = cheaper than ever before. `scores`: `model,
    benchmark, score, released`, by default the bundled facts: a model is worth its best version's score from that
    version's release on. Prices are those known to have held that day; `reach_declines` fits their fall.
    """
    import pandas as pd

    asked = [quality] if isinstance(quality, int | float) else list(quality)
    known, scored = _priced_models(results, catalog or load()), _scored(benchmark, scores)
    rows = [
        {**_reached(point), "quality": q, "benchmark": benchmark}
        for q in asked
        for point in cheapest(known, scored, q, mix=mix, until=until or dt.datetime.now(dt.UTC).date())
    ]
    frame = pd.DataFrame(rows, columns=list(REACH_COLUMNS))
    return frame.assign(date=pd.to_datetime(frame["date"]))


def reach_declines(frame: pandas.DataFrame) -> dict[float, Decline]:
    """How fast each quality of `price_to_reach` got cheaper: log-linear on the record lows, or why not said."""
    found = {}
    for quality, part in frame.groupby("quality"):
        points = [_point(row) for row in part.to_dict("records")]
        found[float(str(quality))] = decline(points)
    return found


def _priced_models(results: Path | None, catalog: Catalog) -> list[Dated]:
    """Dated prices under the models' own names; what runs used is no list price of its own."""
    return [
        replace(price, model=match(price.model).model, name=price.model)
        for price in every(results, catalog)
        if price.origin != "run" and price.usd_per_mtok_out and not price_book.SKIPPED.search(price.model)
    ]


def _scored(benchmark: str, scores: pandas.DataFrame | None) -> dict[str, Scored]:
    if scores is None:
        from bench.catalog import published

        scores = published.scores()
    mine = scores[(scores["benchmark"] == benchmark) & scores["score"].notna()]
    best = mine.sort_values("score", ascending=False).drop_duplicates("model")
    return {
        str(row["model"]): Scored(float(row["score"]), None if _is_nat(row["released"]) else row["released"].date())
        for row in best.to_dict("records")
    }


def _is_nat(value: Any) -> bool:
    return bool(value != value)


def _reached(point: Point) -> dict[str, Any]:
    names = ("date", "model", "provider", "score", "record", "source")
    return {**{name: getattr(point, name) for name in names}, "usd_per_mtok": float(point.usd_per_mtok)}


def _point(row: dict[Any, Any]) -> Point:
    from decimal import Decimal

    return Point(
        date=row["date"].date(),
        usd_per_mtok=Decimal(repr(row["usd_per_mtok"])),
        model=row["model"],
        provider=row["provider"],
        score=row["score"],
        source=row["source"],
        record=bool(row["record"]),
    )
