"""`bench choose` and `bench whatif`: what suffices, and what a change of price, provider or speed would do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import RESULTS, Json, ResultsDir
from bench.cli.printing import print_json, tell_problems

INCONCLUSIVE = 6
Chart = Annotated[Path | None, typer.Option("--chart", help="Also draw it: FILE.html, .png or .svg.")]


def add_to(app: typer.Typer) -> None:
    """Add these verbs to the command."""
    app.command("choose")(choose)


def choose(
    use_case: Annotated[Path | None, typer.Argument(metavar="USECASE.toml", help="What you need.")] = None,
    certainty: Annotated[
        float | None, typer.Option(help="How sure the answer must be.  [default: the use case's, else 0.9]")
    ] = None,
    example: Annotated[bool, typer.Option("--example", help="Print a use case to start from.")] = False,
    chart: Chart = None,
    as_json: Json = False,
    results: ResultsDir = RESULTS,
) -> None:
    """Which targets are good enough for your use today, how sure that is, and which is cheapest (exit 6: not known)."""
    from bench.catalog.use_case import EXAMPLE, read_use_case
    from bench.errors import ConfigError

    if example:
        print(EXAMPLE, end="")
        return
    if use_case is None:
        raise ConfigError("which use case? give its file, or begin with: bench choose --example > use_case.toml")
    if certainty is not None and not 0.5 < certainty < 1:
        raise ConfigError(f"--certainty {certainty}: must lie between 0.5 and 1, as in 0.9")
    from bench import analysis, database
    from bench.cli import choose_text

    tell_problems(database.build(results).problems)
    answer = analysis.choose(results, read_use_case(use_case), certainty=certainty)
    if as_json:
        print_json(answer.as_dict())
    else:
        choose_text.show(answer)
    raise typer.Exit(INCONCLUSIVE if answer.state == "not known" else 0)
