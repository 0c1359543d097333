"""How `bench prices` shows what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.cli.printing import print_json, print_table

if TYPE_CHECKING:
    import datetime as dt

    import pandas

    from bench.catalog import Catalog

SHOWN = ("provider", "name", "$/M in", "cached", "$/M out", "$/M 3:1", "when", "source")
TARIFF = ("tier", "from prompt\ntokens", "$/M in", "cached", "$/M out", "$/M 3:1", "when", "source")
DIFFERENCES = (
    "provider", "model", "source", "$/M\nin", "$/M\nout", "when", "other", "$/M\nin", "$/M\nout", "when", "verdict",
)  # fmt: skip
DIFFERENCE_NAMES = (
    "provider", "model", "origin", "usd_per_mtok_in", "usd_per_mtok_out", "dating",
    "other", "other_usd_per_mtok_in", "other_usd_per_mtok_out", "other_dating", "verdict",
)  # fmt: skip
REACHED = ("at least", "day", "$/M", "model", "provider", "score", "record low")


def show_target(name: str, catalog: Catalog, day: dt.date | None, as_json: bool) -> None:
    from bench.catalog.resolve import find
    from bench.cost.mix import blended_usd_per_mtok
    from bench.price import dating, is_dated, tariff_for

    target = find(name, catalog.providers, catalog.targets)
    tariff = tariff_for(target, day, catalog=catalog)
    rows = [
        {
            "target": target.id,
            "service_tier": step.tier,
            "from_in_tokens": step.from_in_tokens,
            **step.price.model_dump(mode="json"),
            "usd_per_mtok_blended": f"{blended_usd_per_mtok(step.price):f}",
            "dating": dating(step.price, day),
            "dated": is_dated(step.price, day),
        }
        for step in (tariff.steps if tariff else ())
    ]
    if as_json:
        print_json(rows)
    elif not rows:
        way = f"bench prices set {name} --in X --out Y --source URL adds one"
        own = "give its block in targets.toml usd_per_mtok_in and usd_per_mtok_out, or see bench cost for an own node"
        print(f"{target.id}: no price is known; {way if target.provider else own}")
    else:
        print_table(TARIFF, [_step(row) for row in rows])


def _step(row: Any) -> list[object]:
    names = ("usd_per_mtok_in", "usd_per_mtok_cached", "usd_per_mtok_out", "usd_per_mtok_blended")
    tier, start = row["service_tier"] or "standard", row["from_in_tokens"] or None
    return [tier, start, *(cell(row[name]) for name in names), row["dating"], row["source"]]


def book(catalog: Catalog) -> pandas.DataFrame:
    """The dated book: packaged and the user's."""
    from bench import analysis

    frame = analysis.prices(None, catalog=catalog)
    return frame[frame["origin"] == "book"]


def held(frame: pandas.DataFrame, day: dt.date | None) -> pandas.Series[bool]:
    """Prices known to hold on that day; asked about today, an undated current list too."""
    import pandas as pd

    when = pd.Timestamp(day) if day is not None else pd.Timestamp.now()
    begun = (frame["since"] <= when) | (frame["since"].isna() & (day is None))
    return begun & ~(frame["until"] <= when)


def differences(frame: pandas.DataFrame) -> None:
    if frame.empty:
        print("the sources agree wherever two of them know a price")
        return
    print_table(DIFFERENCES, [[cell(row[name]) for name in DIFFERENCE_NAMES] for row in frame.to_dict("records")])


def show(frame: pandas.DataFrame, as_json: bool) -> None:
    from bench import analysis

    if as_json:
        print_json(analysis.records(frame))
        return
    names = (
        "provider",
        "name",
        "usd_per_mtok_in",
        "usd_per_mtok_cached",
        "usd_per_mtok_out",
        "usd_per_mtok_blended",
        "dating",
    )
    print_table(SHOWN, [[*(cell(row[n]) for n in names), _source(row)] for row in frame.to_dict("records")])


def _source(row: Any) -> str:
    return f"{row['origin']}: {row['source']}"


def cell(value: Any) -> Any:
    if isinstance(value, str) and value.replace(".", "", 1).isdigit():
        value = float(value)
    if isinstance(value, float):
        return None if value != value else f"{value:.6g}"
    return value


def reached(frame: pandas.DataFrame) -> None:
    print_table(REACHED, [_reached(row) for row in frame.to_dict("records")])


def _reached(row: Any) -> list[object]:
    usd, day = cell(row["usd_per_mtok"]), f"{row['date']:%Y-%m-%d}"
    return [f"{row['quality']:g}", day, usd, row["model"], row["provider"], f"{row['score']:g}", row["record"]]


def fall(found: Any) -> str:
    if found is None:
        return "no model with that score has a price whose day is known"
    if found.factor_per_year is None:
        return str(found.reason)
    high = "?" if found.high is None else f"{found.high:.2g}"
    halves = f", halves every {found.halving_months:.1f} months" if found.halving_months else ""
    return f"x {found.factor_per_year:.2g} a year [95%: {found.low:.2g} to {high}]{halves}; {found.reason}"
