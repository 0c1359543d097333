"""`bench models`: the models that are known, and everything about one, the match of its name included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli.options import RESULTS, Json, ResultsDir
from bench.cli.printing import print_json, print_table

if TYPE_CHECKING:
    import pandas

    from bench.analysis.models import Shown

LIST = ("model", "vendor", "released", "grade", "parameters", "licence", "benchmarks")
GRADES = ("grade", "from", "until", "told by", "source")
SCORES = ("benchmark", "score", "±", "version", "effort", "source")
PRICES = ("provider", "name", "$/M in", "$/M out", "when", "source")


def add_to(app: typer.Typer) -> None:
    """Add this verb to the command."""
    app.command("models")(models)


def models(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[show] [NAME]",
            help="One model by any name it goes by: how the name is read, who may use it since when, scores, prices.",
        ),
    ] = None,
    as_json: Json = False,
    results: ResultsDir = RESULTS,
) -> None:
    """The models that are known, with vendor, release and grade of openness; with a NAME, all about one."""
    from bench import analysis
    from bench.errors import ConfigError

    names = list(words or ())
    if names[:1] == ["show"]:
        names = names[1:]
        if not names:
            raise ConfigError("bench models show: write the NAME of a model after it; `bench models` lists them")
    if len(names) > 1:
        raise ConfigError(f'bench models shows one model: put a name with blanks in quotes: "{" ".join(names)}"')
    if not names:
        _print_list(analysis.models(results), as_json)
    elif as_json:
        print_json(analysis.model(results, names[0]).as_dict())
    else:
        _print_one(analysis.model(results, names[0]))


def _print_list(frame: pandas.DataFrame, as_json: bool) -> None:
    from bench import analysis, listing

    if as_json:
        print_json(analysis.records(frame))
        return
    rows = [
        (r["model"], _known(r["vendor"]), _day(r["released"]), _known(r["grade"]), listing.size(r["parameters_total"]),
         _known(r["licence"]), r["benchmarks"])
        for r in frame.to_dict("records")
    ]  # fmt: skip
    print_table(LIST, rows)


def _print_one(shown: Shown) -> None:
    match = shown.match
    print(f"{shown.name}: model {match.model}, version {match.version}", end="")
    print("".join(f", {what} {value}" for what, value in (("effort", match.effort), ("host", match.host)) if value))
    for number, step in enumerate(match.steps, start=1):
        print(f"  {number}. {step}")
    if not match.steps:
        print("  the name is the model's own: no rule changed it")
    _section("facts", ("fact", "value"), _facts(shown.facts))
    grades = shown.grades.to_dict("records")
    _section(
        "who may use it",
        GRADES,
        [(g["grade"], _day(g["valid_from"]), _day(g["valid_to"]), g["told_by"], g["source"]) for g in grades],
    )
    _section("openness", ("layer", *_held(shown.layers)), _layers(shown.layers))
    scores = shown.scores.to_dict("records")
    _section(
        "published scores",
        SCORES,
        [
            (s["benchmark"], _figure(s["score"], s["unit"]), _figure(s["stderr"], s["unit"]), s["version"],
             _known(s["effort"]), s["source"])
            for s in scores
        ],
    )  # fmt: skip
    prices = shown.prices.to_dict("records")
    _section(
        "prices",
        PRICES,
        [
            (p["provider"], p["name"], p["usd_per_mtok_in"], p["usd_per_mtok_out"], p["dating"], p["source"])
            for p in prices
        ],
    )


def _section(title: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    print(f"\n{title}" + ("" if rows else ": none known"))
    if rows:
        print_table(columns, rows)


def _facts(facts: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, ", ".join(map(str, value)) if isinstance(value, list) else _pairs(value))
        for name, value in facts.items()
    ]


def _pairs(value: Any) -> str:
    return ", ".join(f"{key} {word}" for key, word in value.items()) if isinstance(value, dict) else str(value)


def _held(layers: pandas.DataFrame) -> tuple[str, ...]:
    return tuple(f"from {_day(day)}" for day in layers["valid_from"])


def _layers(layers: pandas.DataFrame) -> list[tuple[Any, ...]]:
    """A row for each layer, a column for each time that a grade held; a dash = not known."""
    from bench.analysis.models import LAYERS

    if layers.empty:
        return []
    return [(layer.replace("_", " "), *(_known(value) for value in layers[layer])) for layer in LAYERS]


def _figure(value: float, unit: str | None) -> str | None:
    """As many digits as the bundled facts have: a proportion to three places."""
    return None if value != value else f"{value:.3f}" if unit == "proportion" else f"{value:.5g}"


def _known(value: Any) -> Any:
    return value if isinstance(value, str) else None


def _day(value: Any) -> str | None:
    import pandas as pd

    return None if pd.isna(value) else str(pd.Timestamp(value).date())
