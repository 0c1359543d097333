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
    app.command("whatif")(whatif)


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
    _check_certainty(certainty)
    from bench import analysis, database
    from bench.cli import choose_text

    if results.is_dir():  # others' scores need no runs
        tell_problems(database.build(results).problems)
    wanted = read_use_case(use_case)
    answer = analysis.choose(results, wanted, certainty=certainty)
    if chart is not None:
        from bench.charts import export, quality_cost

        export.write(quality_cost.chart(analysis.quality_cost(results, wanted)), chart)
    if as_json:
        print_json(answer.as_dict())
    else:
        choose_text.show(answer)
    raise typer.Exit(INCONCLUSIVE if answer.state == "not known" else 0)


def whatif(
    use_case: Annotated[
        list[Path] | None, typer.Argument(metavar="[USECASE.toml]...", help="None: every task measured here.")
    ] = None,
    price: Annotated[list[str] | None, typer.Option(help="openai=3x: three times the price. Repeatable.")] = None,
    latency: Annotated[list[str] | None, typer.Option(help="groq=5x: five times as slow. Repeatable.")] = None,
    drop: Annotated[list[str] | None, typer.Option(help="A provider that is gone. Repeatable.")] = None,
    quality_margin: Annotated[
        float | None, typer.Option(help="How much worse another may be.  [default: the use case's quality, else 0.02]")
    ] = None,
    certainty: Annotated[float | None, typer.Option(help="How sure it must be that another suffices.")] = None,
    stress: Annotated[bool, typer.Option("--stress", help="Also: each provider gone in turn.")] = False,
    chart: Chart = None,
    as_json: Json = False,
    results: ResultsDir = RESULTS,
) -> None:
    """What a change of prices, providers or speeds would move, cost and lose, and whom your spending hangs on."""
    from bench import analysis, database
    from bench.catalog.use_case import read_use_case
    from bench.cli import whatif_text

    _check_certainty(certainty)
    _check_margin(quality_margin)
    prices, latencies = _factors(price, "--price"), _factors(latency, "--latency")
    if results.is_dir():  # others' scores need no runs
        tell_problems(database.build(results).problems)
    found = analysis.whatif(
        results,
        [read_use_case(path) for path in use_case or ()],
        price=prices,
        latency=latencies,
        drop=drop or (),
        quality_margin=quality_margin,
        certainty=certainty,
    )
    if chart is not None:
        from bench.charts import concentration, export

        export.write(concentration.chart(analysis.spending(found)), chart)
    if as_json:
        print_json(found.as_dict())
    else:
        whatif_text.show(found, stress=stress or not found.change.touches())


def _check_certainty(certainty: float | None) -> None:
    from bench.errors import ConfigError

    if certainty is not None and not 0.5 < certainty < 1:
        raise ConfigError(f"--certainty {certainty}: must lie between 0.5 and 1, as in 0.9")


def _check_margin(margin: float | None) -> None:
    from bench.errors import ConfigError

    if margin is not None and not 0 <= margin < 1:
        raise ConfigError(f"--quality-margin {margin}: must be a share of right answers, as in 0.02")


def _factors(told: list[str] | None, option: str) -> dict[str, float]:
    """`openai=3x` -> {openai: 3.0}."""
    import math

    from bench.errors import ConfigError

    found: dict[str, float] = {}
    for text in told or ():
        provider, _, factor = text.partition("=")
        try:
            times = float(factor.removesuffix("x"))
        except ValueError:
            times = math.nan
        if not provider or not math.isfinite(times) or times <= 0:
            raise ConfigError(f"{option} {text!r}: write PROVIDER=FACTOR with a factor above 0, as in openai=3x")
        if provider in found:
            raise ConfigError(f"{option} {text!r}: {provider} is given twice; give one factor")
        found[provider] = times
    return found
