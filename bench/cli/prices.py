"""`bench prices`: what tokens cost, when, and who says so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import price_tables
from bench.cli.options import RESULTS, Json, ResultsDir
from bench.cli.printing import bring_up_to_date, print_json, write_chart

if TYPE_CHECKING:
    import datetime as dt
prices = typer.Typer(
    help="What tokens cost, when, and who says so; an undated price is a current list and says so.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def add_to(app: typer.Typer) -> None:
    """Add these verbs to the command."""
    app.add_typer(prices, name="prices")


@prices.command("show")
def show(
    name: Annotated[
        str | None,
        typer.Argument(help="PROVIDER:MODEL or a target, or a model at all providers; none = the dated book."),
    ] = None,
    at: Annotated[str | None, typer.Option("--at", help="The day: YYYY-MM-DD.  [default: today]")] = None,
    as_json: Json = False,
    results: ResultsDir = RESULTS,
) -> None:
    """What tokens cost now, or on a day: one target with its tiers, or one model everywhere."""
    from bench import analysis
    from bench.catalog import load

    catalog, day = load(), _day("--at", at)
    if name is not None and (":" in name or name in catalog.targets):
        price_tables.show_target(name, catalog, day, as_json)
        return
    frame = analysis.price_history(name, _built(results)) if name else price_tables.book(catalog)
    held = frame[price_tables.held(frame, day)]
    price_tables.show(held if name else frame, as_json)
    if name and not as_json and len(held) < len(frame):
        print(f"{len(frame) - len(held)} more prices of other days: bench prices history {name}")


@prices.command("history")
def history(
    model: Annotated[str, typer.Argument(help="A model, or PROVIDER:MODEL.")],
    as_json: Json = False,
    results: ResultsDir = RESULTS,
) -> None:
    """Every price anybody is known to have asked for a model, oldest first, with its source."""
    from bench import analysis

    price_tables.show(analysis.price_history(model, _built(results)), as_json)


@prices.command("diff")
def diff(
    alike: Annotated[bool, typer.Option("--all", help="Also where sources agree.")] = False,
    as_json: Json = False,
    results: ResultsDir = RESULTS,
) -> None:
    """Where our book, genai-prices, imported lists and what runs were measured under disagree, and which is older."""
    from bench import analysis

    frame = analysis.price_differences(_built(results), alike=alike)
    if as_json:
        print_json(analysis.records(frame))
        return
    price_tables.differences(frame)


@prices.command("set")
def set_price(
    target: Annotated[str, typer.Argument(metavar="PROVIDER:MODEL")],
    usd_in: Annotated[str, typer.Option("--in", help="$ per million input tokens.")],
    usd_out: Annotated[str, typer.Option("--out", help="$ per million output tokens.")],
    source: Annotated[str, typer.Option("--source", help="Where it is written: an address.")],
    cached: Annotated[str | None, typer.Option(help="$ per million cached input tokens.")] = None,
    valid_from: Annotated[str | None, typer.Option(help="First day: YYYY-MM-DD.  [default: today]")] = None,
    valid_to: Annotated[str | None, typer.Option(help="First day on which it no longer holds.")] = None,
    note: Annotated[str | None, typer.Option(help="Anything worth knowing.")] = None,
    as_json: Json = False,
) -> None:
    """Add a dated price to your targets.toml; what is there is never changed."""
    import datetime as dt

    from bench import price_book
    from bench.catalog.resolve import find
    from bench.cost.asked import amount

    catalog = price_book.users_catalog()
    today = dt.datetime.now(dt.UTC).date()
    block = {
        "usd_per_mtok_in": amount("--in", usd_in),
        "usd_per_mtok_cached": None if cached is None else amount("--cached", cached),
        "usd_per_mtok_out": amount("--out", usd_out),
        "valid_from": _day("--valid-from", valid_from) or today,
        "valid_to": _day("--valid-to", valid_to),
        "observed": today,
        "source": source,
        "note": note,
    }
    added = price_book.add(find(target, catalog.providers, catalog.targets), block, catalog)
    if as_json:
        print_json({"path": str(added.path), "price": added.price.model_dump(mode="json")})
        return
    print(f"{added.path}: added {added.price.id}")


@prices.command("reach")
def reach(
    quality: Annotated[list[float], typer.Argument(help="Scores to reach, in the benchmark's unit.")],
    benchmark: Annotated[str, typer.Option(help="Of the bundled facts: eci, gpqa-diamond, mmlu …")] = "eci",
    mix: Annotated[str, typer.Option(help="Input to output tokens.")] = "3:1",
    chart: Annotated[Path | None, typer.Option(help=".html, .png or .svg.")] = None,
    as_json: Json = False,
    results: ResultsDir = RESULTS,
) -> None:
    """The cheapest price of at least that quality over time, at prices valid then, and how fast it falls."""
    import dataclasses
    import datetime as dt

    from bench import analysis
    from bench.catalog.benchmarks import benchmark as find_benchmark
    from bench.cost.mix import Mix

    asked = Mix.parse(mix)
    found = find_benchmark(benchmark)
    frame = analysis.price_to_reach(quality, _built(results), benchmark=found.id, mix=asked)
    declines = analysis.reach_declines(frame)
    if chart is not None:
        from bench.charts import price_to_reach

        today = dt.datetime.now(dt.UTC).date()
        write_chart(price_to_reach.chart(frame, declines, name=found.name, mix=str(asked), until=today), chart)
    if as_json:
        told = [{"quality": q, **dataclasses.asdict(found)} for q, found in declines.items()]
        print_json({"points": analysis.records(frame), "declines": told})
        return
    price_tables.reached(frame)
    for q in quality:
        print(f"at least {q:g}: {price_tables.fall(declines.get(q))}")


def _built(results: Path) -> Path | None:
    """The results with their store brought up to date; None where nothing was measured."""
    return results if bring_up_to_date(results) else None


def _day(name: str, text: str | None) -> dt.date | None:
    import datetime as dt

    from bench.errors import ConfigError

    try:
        return None if text is None else dt.date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{name} {text!r}: write a day as YYYY-MM-DD") from error
