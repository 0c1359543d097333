"""`bench gap`: how far open weights are behind."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import RESULTS, Json, ResultsDir
from bench.cli.printing import bring_up_to_date, print_json, print_table, tell_problems, write_chart
from bench.errors import ConfigError

if TYPE_CHECKING:
    import pandas

    from bench.analysis.gap import Asked, View

FEWEST_REFITS = 20
DRAWN = ("gap", "lag", "index")


def gap(
    benchmark: Annotated[
        str | None, typer.Option(help="A benchmark's id or name.  [default: eci, Epoch AI's published index]")
    ] = None,
    index: Annotated[bool, typer.Option("--index", help="Fit one index over all benchmarks here.")] = False,
    capability: Annotated[
        str | None, typer.Option(help="With --index: coding, maths, knowledge, agentic … alone.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="One line for each benchmark with enough models.")] = False,
    as_of: Annotated[str | None, typer.Option(help="YYYY-MM-DD; what came later is left out.")] = None,
    open_at_least: Annotated[
        str, typer.Option(help="The least open grade that counts as open.")
    ] = "weights-noncommercial",
    tolerance: Annotated[
        float, typer.Option(min=0.0, max=1e6, help="Points that an open model may lack and still count as equal.")
    ] = 0.0,
    provenance: Annotated[str, typer.Option(help="published, own, or combined.")] = "published",
    effort: Annotated[str, typer.Option(help="Of a version's reasoning efforts: best, mean, none, each.")] = "best",
    rule: Annotated[str, typer.Option(help="Of a version's rows: best, mean, latest.")] = "best",
    sensitivity: Annotated[bool, typer.Option(help="Also how the answer moves with each choice.")] = True,
    refits: Annotated[int, typer.Option(min=0, help="With --index: refits behind the intervals.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    chart: Annotated[Path | None, typer.Option(help="Also a chart: FILE.html, .png or .svg.")] = None,
    draw: Annotated[str, typer.Option(help="What --chart shows: gap, lag or index.")] = "gap",
    as_json: Json = False,
    results: ResultsDir = RESULTS,
) -> None:
    """How far open weights are behind closed ones: in points, in months, and how sure that is."""
    from bench import analysis

    if draw not in DRAWN:
        raise ConfigError(f"--draw {draw!r} is none of {', '.join(DRAWN)}")
    if draw == "index" and benchmark not in (None, analysis.HEADLINE) and chart is not None:
        raise ConfigError(f"--draw index shows an index, and {benchmark} is one benchmark; use --draw gap")
    bring_up_to_date(results)
    asked = analysis.Asked(
        as_of=_day(as_of),
        open_at_least=open_at_least,
        tolerance=tolerance,
        provenance=provenance,
        rule=rule,
        effort_rule=effort,
        seed=seed,
    )
    if every:
        wishes = {"--benchmark": benchmark, "--chart": chart, "--index": index or None, "--capability": capability}
        for option in (name for name, value in wishes.items() if value is not None):
            raise ConfigError(f"--all is a table of every benchmark and takes no {option}; give one of the two")
        _show_all(results, asked, as_json)
        return
    view = _view(results, asked, benchmark, index=index or capability is not None, capability=capability, refits=refits)
    if chart is not None:
        _draw(view, draw, chart)
    if as_json:
        print_json(view.as_dict())
        return
    _show(view, analysis.gap_sensitivity(results, view) if sensitivity else None)
    if provenance == "own" and view.index is None:
        _show_corrected(results, view)


def _day(text: str | None) -> dt.date | None:
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"--as-of {text!r} is no date; write it like 2026-04-16") from error


def _view(
    results: Path, asked: Asked, benchmark: str | None, *, index: bool, capability: str | None, refits: int
) -> View:
    from bench import analysis

    if not index:
        return analysis.gap(results, benchmark or analysis.HEADLINE, asked)
    if benchmark is not None:
        raise ConfigError(f"--index is over many benchmarks, --benchmark {benchmark} is one; give one of the two")
    from bench.terminal import progress

    if 0 < refits < FEWEST_REFITS:
        raise ConfigError(f"--refits {refits}: an interval needs at least {FEWEST_REFITS}; 0 asks for none")
    with progress("refits of the index") as told:
        return analysis.index_gap(results, asked, capability=capability, refits=refits, progress=told)


def _show(view: View, sensitivity: pandas.DataFrame | None) -> None:
    from bench import gap_tables, terminal

    console = terminal.console()
    console.print(view.gap.paragraph(), soft_wrap=not console.is_terminal)
    console.print()
    if view.gap.gap.points is None:
        return
    print_table(gap_tables.COLUMNS, gap_tables.cells(view.gap))
    if sensitivity is not None and len(sensitivity):
        console.print("\nHow the answer moves with each choice:", style="bold")
        print_table(gap_tables.SENSITIVITY_COLUMNS, gap_tables.sensitivity(sensitivity))
    print()
    for note in gap_tables.notes(view.gap):
        console.print(f"- {note}")


def _show_corrected(results: Path, view: View) -> None:
    """Of a suite of ours, also the gap today without the luck of having chosen the best of many."""
    from bench import analysis, gap_tables

    suite, found, _ = view.gap.benchmark.partition("@")
    if not found:
        return
    print("\nBest closed less best open of what was measured here; quote the cross-fit, which chooses on other items:")
    frame = analysis.own_frontier_gap(results, suite, open_at_least=view.asked.open_at_least)
    print_table(gap_tables.CORRECTED_COLUMNS, gap_tables.corrected(frame))
    for name, why in frame.attrs["left_out"].items():
        print(f"- left out: {name}: {why}")


def _show_all(results: Path, asked: Asked, as_json: bool) -> None:
    from bench import analysis, gap_tables, terminal

    frame = analysis.gap_table(results, asked)
    tell_problems([f"left out: {name}: {why}" for name, why in frame.attrs["left_out"].items()])
    if as_json:
        print_json(analysis.records(frame))
        return
    console = terminal.console()
    rows = gap_tables.overview(frame)
    for columns, part in terminal.fitting(list(gap_tables.OVERVIEW_COLUMNS), rows, console.width):
        console.print(terminal.table_of(columns, part))
        console.print()
    print(gap_tables.OVERVIEW_NOTE)


def _draw(view: View, what: str, path: Path) -> None:
    from bench import analysis
    from bench.charts import gap as of_gap
    from bench.charts import index as of_index
    from bench.charts import lag as of_lag

    found, caption, kind = view.gap, analysis.gap_caption(view), view.asked.provenance
    if what == "index":
        figure = of_index.chart(
            analysis.gap_rows(view),
            provenance=kind,
            unit=found.unit,
            caption=caption,
            name=found.name,
            as_of=found.as_of,
            confidence=found.confidence,
        )
    elif what == "lag":
        figure = of_lag.chart(analysis.gap_series(view), name=found.name, caption=caption)
    else:
        rows, series = analysis.gap_rows(view), analysis.gap_series(view)
        figure = of_gap.chart(rows, series, name=found.name, unit=found.unit, provenance=kind, caption=caption)
    write_chart(figure, path)


def add_to(app: typer.Typer) -> None:
    """Add these verbs to the command."""
    app.command("gap")(gap)
