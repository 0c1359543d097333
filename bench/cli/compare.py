"""`bench compare`: which of two is better, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli.options import RESULTS, Json, ResultsDir
from bench.cli.printing import print_json, print_table, tell_problems, write_chart

if TYPE_CHECKING:
    from bench.analysis.compare import Comparison

INCONCLUSIVE = 6
COLUMNS = ("task", "A %", "B %", "A−B points", "verdict", "p", "mid-p", "r", "MDE", "n")


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A target as in `bench run -t`, or a run id or its beginning.")],
    b: Annotated[str, typer.Argument(metavar="B", help="What A is held against.")],
    margin: Annotated[float, typer.Option(help="Least difference that matters; 0.02 = two points.")] = 0.02,
    suite: Annotated[str | None, typer.Option(help="quick, quick@1: where both were asked several.")] = None,
    confidence: Annotated[float, typer.Option(help="Of intervals; tests err in 1 less this.")] = 0.95,
    explore: Annotated[
        bool, typer.Option("--explore", help="Many tasks, looking for leads: Benjamini-Hochberg instead of Holm.")
    ] = False,
    chart: Annotated[Path | None, typer.Option(help="Also draw it: FILE.html, .png or .svg.")] = None,
    as_json: Json = False,
    results: ResultsDir = RESULTS,
) -> None:
    """Which of two is better on a suite, paired item by item: ahead, behind, at parity or inconclusive (exit 6)."""
    from bench import analysis, database

    tell_problems(database.build(results).problems)
    found = analysis.compare(results, a, b, margin=margin, suite=suite, confidence=confidence, explore=explore)
    if chart is not None:
        _draw(found, chart)
    if as_json:
        print_json(found.as_dict())
    else:
        _show(found)
    raise typer.Exit(INCONCLUSIVE if found.verdict == "inconclusive" else 0)


def _draw(found: Comparison, path: Path) -> None:
    from bench.charts import forest

    figure = forest.chart(
        found.frame,
        a=found.a,
        b=found.b,
        suite=f"{found.suite}@{found.suite_version}",
        margin=found.margin,
        confidence=found.confidence,
        measured=found.measured,
    )
    write_chart(figure, path, height_px=int(figure.layout.height))


def _show(found: Comparison) -> None:
    from bench.terminal import printable

    print(printable(found.sentence) + "\n")
    print(f"A = {printable(found.a)}, run {found.run_a}\nB = {printable(found.b)}, run {found.run_b}\n")
    _table([_cells(row) for row in found.as_dict()["tasks"] + _macros(found)])
    print(f"\nA−B: with its {found.confidence:.0%} interval. p: of no difference; mid-p: McNemar's, of one task alone.")
    print("r: correlation of the two. MDE: the difference that 80% of such comparisons find. n: items (clusters).")
    for note in found.notes:
        print(f"- {printable(note)}")


def _table(rows: list[list[str]]) -> None:
    """Without the columns that have nothing to say."""
    told = [k for k in range(len(COLUMNS)) if any(row[k] != "–" for row in rows)]
    print_table([COLUMNS[k] for k in told], [[row[k] for k in told] for row in rows])


def _macros(found: Comparison) -> list[dict[str, Any]]:
    told = found.as_dict()
    rescaled = told.get("macro_rescaled")
    return [told["macro"], *([{**rescaled, "task": "macro above chance"}] if rescaled else [])]


def _cells(row: dict[str, Any]) -> list[str]:
    from bench.analysis import points

    size = "–" if row["difference"] is None else points(row["difference"])
    if row["ci_low"] is not None:
        size += f" [{points(row['ci_low'])}, {points(row['ci_high'])}]"
    clustered = f" ({row['n_clusters']})" if row["n_clusters"] != row["n"] else ""
    return [
        row["task"],
        *("–" if row[side] is None else points(row[side], sign=False) for side in "ab"),
        size,
        _verdict(row),
        _p(row["p_adjusted"]),
        _p(row["mcnemar_p"]),
        "–" if row["correlation"] is None else f"{row['correlation']:.2f}".replace("-", "−"),
        "–" if row["mde_80"] is None else points(row["mde_80"], sign=False),
        f"{row['n']}{clustered}",
    ]


def _verdict(row: dict[str, Any]) -> str:
    """With its reason, where it is another than the usual one."""
    usual = ("within the margin", "a difference beyond chance", "neither a difference nor parity is shown")
    return str(row["verdict"]) + ("" if row["why"] in usual else f" ({row['why']})")


def _p(p: float | None) -> str:
    if p is None:
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def add_to(app: typer.Typer) -> None:
    """Add these verbs to the command."""
    app.command("compare")(compare)
