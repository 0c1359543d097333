"""The verbs. Thin: each reads its options, calls one function, and prints what came back."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TextIO

import typer

from bench.cli import choose, compare, cost, gap, models, prices
from bench.cli.importing import ImportCommand
from bench.cli.options import RESULTS, Json, ResultsDir, Targets
from bench.cli.printing import print_json, print_table, show_rows, tell_problems

if TYPE_CHECKING:
    from bench.ledger import Ledger
    from bench.quality import Outcome

# rich's help and tracebacks are left out: they double the time of `bench --help`, and our errors are one line anyway.
app = typer.Typer(
    name="bench",
    help="Are open weights good enough for my use yet, what do they cost, how fast are they, where should they run?",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
db = typer.Typer(
    help="The index over all runs: build it, check it, ask it in SQL.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(db, name="db")
for verbs in (models, gap, compare, prices, cost, choose):
    verbs.add_to(app)

INTERRUPTED = 130
GOING_ON = {"run": "the same command goes on where it stopped", "load": "`bench report` shows it, a load begins anew"}


# ------------------------------------------------------------------------------------------------------ making numbers


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="quick, core, NAME@VERSION, or a path to a suite's TOML.")] = "quick",
    target: Targets = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Items per task, drawn evenly over the levels.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Times each item is asked; scored one by one.")] = 1,
    max_usd: Annotated[str | None, typer.Option(help="Stop cleanly before this is exceeded (exit 4).")] = None,
    token_budget: Annotated[
        int | None, typer.Option(min=1, help="The same in tokens, input and output of everything asked.")
    ] = None,
    allow_unknown_price: Annotated[bool, typer.Option(help="With --max-usd: go on where no price is known.")] = False,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Requests under way at once.")] = None,
    seed: Annotated[int, typer.Option(help="Draws the items under --limit.")] = 0,
    items: Annotated[str, typer.Option(help="frozen.")] = "frozen",
    mode: Annotated[str, typer.Option(help="stream, or batch: the provider's batch API, cheaper and slow.")] = "stream",
    fresh: Annotated[bool, typer.Option(help="Start a new run even if an equal one exists.")] = False,
    results: ResultsDir = RESULTS,
) -> None:
    """Ask a suite of one or more targets, grade the answers, and show the table. Resumes what was interrupted."""
    from bench import hints, quality, terminal
    from bench.budget import dollars
    from bench.catalog import load

    catalog = load()
    questions = quality.questions(suite, target, catalog=catalog, limit=limit, repeats=repeats, seed=seed, items=items)
    tell_problems([told for question in questions for told in quality.warnings(question.target)])
    manner = quality.Manner(
        fresh=fresh,
        concurrency=concurrency,
        max_usd=dollars(max_usd) if max_usd is not None else None,
        max_tokens=token_budget,
        allow_unknown_price=allow_unknown_price,
        mode=quality.mode_named(mode),
    )
    with closing(terminal.watcher()) as watcher:
        outcomes = quality.run_all(questions, results, manner, watcher)
    _show_report(results, [o.run_id for o in outcomes if o.run_id is not None])
    _show_ledgers(results, outcomes)
    print(f"\nResults: {results}/runs/ and {results}/bench.duckdb", file=sys.stderr)
    for hint in hints.next_commands(catalog):
        print(f"  {hint}", file=sys.stderr)
    _end(outcomes)


@app.command()
def load(
    target: Targets = None,
    arrivals: Annotated[
        list[str] | None,
        typer.Option(
            help="closed:1,8,32 (requests under way), constant:R, poisson:R, gamma:R,CV (requests/s), trace:FILE. "
            "`closed`, `closed:1..64` and `poisson:2,...` climb by themselves. Repeatable.  [default: closed]"
        ),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(help="chat, rag, code, long, short, INxOUT tokens like 512x128, or trace:FILE.  [default: chat]"),
    ] = None,
    duration: Annotated[float, typer.Option(help="Seconds of each step.")] = 60.0,
    slo: Annotated[str | None, typer.Option(help="Limits a good request keeps: ttft_ms=500,tpot_ms=50.")] = None,
    attainment: Annotated[float, typer.Option(help="Share of requests that must keep the SLO.")] = 0.99,
    search: Annotated[bool, typer.Option("--search", help="Find the highest load that keeps the SLO.")] = False,
    cache: Annotated[str, typer.Option(help="cold: no prompt begins like another; warm, mixed.")] = "cold",
    client: Annotated[str, typer.Option(help="httpx, or raw: the same stamps without httpx's objects.")] = "httpx",
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="Client processes.")] = None,
    seed: Annotated[int, typer.Option(help="Draws the schedule and the lengths.")] = 0,
    self_check: Annotated[bool, typer.Option(help="Measure this client against a null server first.")] = True,
    max_usd: Annotated[str | None, typer.Option(help="Stop cleanly when this may be exceeded (exit 4).")] = None,
    allow_unknown_price: Annotated[bool, typer.Option(help="With --max-usd: go on where no price is known.")] = False,
    as_json: Json = False,
    results: ResultsDir = RESULTS,
) -> None:
    """Load a target with declared arrivals, and say how fast it is and how exact that is."""
    from bench import load as loading
    from bench import load_progress
    from bench.load import asked

    plans = asked.plans(
        target, arrivals=arrivals, shape=shape, duration_s=duration, slo=slo, attainment=attainment, search=search,
        cache=cache, client=client, workers=workers, seed=seed, self_check=self_check, max_usd=max_usd,
        allow_unknown_price=allow_unknown_price,
    )  # fmt: skip
    outcomes = [loading.run(plan, results, load_progress.watcher()) for plan in plans]
    for outcome in outcomes:
        if outcome.stop is not None:
            print(f"{outcome.target_id}: stopped: {outcome.stop}", file=sys.stderr)
        for found in outcome.searches:
            print(f"{outcome.target_id}: {found.line(attainment)}", file=sys.stderr)
    _show_load(results, [o.run_id for o in outcomes if o.run_id is not None and o.steps], as_json=as_json)
    stopped = next((o.stop.exit_code for o in outcomes if o.stop is not None), 0)
    raise typer.Exit(stopped or (0 if all(o.says_something for o in outcomes) else 5))


@app.command()
def plan(
    suite: Annotated[str, typer.Argument()] = "quick",
    target: Targets = None,
    limit: Annotated[int | None, typer.Option(min=1)] = None,
    repeats: Annotated[int, typer.Option(min=1)] = 1,
    as_json: Json = False,
    results: ResultsDir = RESULTS,
) -> None:
    """Requests, tokens, dollars, time and the difference this could detect. Spends nothing."""
    from bench import plan as planning
    from bench import quality
    from bench.catalog import load

    questions = quality.questions(suite, target, catalog=load(), limit=limit, repeats=repeats, to_be_asked=False)
    tell_problems([told for question in questions for told in quality.warnings(question.target)])
    rows = [planning.plan(question, results) for question in questions]
    show_rows(rows, planning.COLUMNS, as_json, note=planning.NOTE)


@app.command()
def doctor(
    target: Annotated[list[str] | None, typer.Argument(help="Targets to check; none = this machine.")] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also what costs more: an overlong prompt, a cache, 8 streams at once.")
    ] = False,
    as_json: Json = False,
    results: ResultsDir = RESULTS,
) -> None:
    """This machine, its GPUs, engines, keys and store; or, for a target, whether and how it answers."""
    from bench import doctor as examination
    from bench.catalog import load
    from bench.doctor import shown

    catalog = load()
    if target:
        found = examination.targets(target, catalog, deeply=deep, say=lambda text: print(text, file=sys.stderr))
    else:
        found = examination.machine(catalog, results)
    if as_json:
        print_json([finding.as_dict() for finding in found])
    else:
        shown.show(found)
    raise typer.Exit(5 if any(f.bad for f in found) else 0)


# ----------------------------------------------------------------------------------------------------- reading numbers


@app.command()
def report(
    run_id: Annotated[
        list[str] | None, typer.Argument(help="Runs; none = the newest of every target and suite.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write one self-contained page.")] = None,
    as_json: Json = False,
    results: ResultsDir = RESULTS,
) -> None:
    """Quality with intervals, speed, latency and price of what was measured."""
    from bench import database

    tell_problems(database.build(results).problems)
    if html is not None:
        from bench import page

        page.write(results, html, run_id or None)
        print(f"wrote {html}", file=sys.stderr)
    if as_json and run_id:
        from bench import analysis

        print_json(analysis.records(analysis.report(results, run_id)) + analysis.load_steps(results, run_id))
        return
    loads = _show_load(results, run_id or None, build=False) if not as_json else False
    _show_report(results, run_id or None, as_json=as_json, build=False, quiet=loads)


@app.command("ledger")
def show_ledger(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="A run, or how its name begins.")],
    as_json: Json = False,
    results: ResultsDir = RESULTS,
) -> None:
    """What a run's attempts cost, by session and task: exactly what --max-usd and --token-budget count."""
    from bench import ledger

    found = ledger.read(ledger.find(results, run_id))
    if as_json:
        print_json(found.as_dict())
    else:
        _print_ledger(found)


@app.command("import", cls=ImportCommand)
def import_results(
    format_: Annotated[str, typer.Argument(metavar="FORMAT", help="Whose layout it is.")],
    path: Annotated[Path, typer.Argument(help="The file, folder or zip.")],
    as_json: Json = False,
    results: ResultsDir = RESULTS,
) -> None:
    """Take over what others have measured or published, as a run of its own; the same content twice adds nothing."""
    from bench import imports
    from bench.cli import importing

    summary = imports.import_path(format_, path, results)
    importing.show(summary, as_json=as_json)
    if isinstance(summary, imports.Summary) and not as_json:
        _show_load(results, [summary.run_id])
    else:
        importing.index(results)


@app.command("targets")
def list_targets(as_json: Json = False, results: ResultsDir = RESULTS) -> None:
    """What can be measured from here, by layer: embedded models, declared targets, providers and what they need."""
    from bench import listing, terminal
    from bench.catalog import load

    rows = listing.targets(load())
    if as_json:
        print_json(rows)
        return
    terminal.console().print(listing.target_table(rows))
    print(listing.TARGETS_NOTE)


@app.command("tasks")
def list_tasks(
    name: Annotated[str | None, typer.Argument(help="One task: show an item of every level.")] = None,
    as_json: Json = False,
    results: ResultsDir = RESULTS,
) -> None:
    """The suites and their tasks; with a name, what it asks."""
    from bench import listing

    if name is None or as_json:
        show_rows(listing.tasks() if name is None else listing.items(name), listing.TASK_COLUMNS, as_json)
        return
    for item in listing.items(name):
        print(f"── level {item['level']}: {item['id']}, expected {item['target']!r}\n{item['prompt']}\n")


@db.command("build")
def db_build(
    fresh: Annotated[bool, typer.Option(help="From nothing instead of from what changed.")] = False,
    as_json: Json = False,
    results: ResultsDir = RESULTS,
) -> None:
    """Bring bench.duckdb up to date with the run folders."""
    from bench import database

    built = database.build(results, fresh=fresh)
    tell_problems(built.problems)
    if as_json:
        print_json(built.as_dict())
    else:
        print(built.line())
    raise typer.Exit(5 if built.as_it_is else 0)


@db.command("check")
def db_check(as_json: Json = False, results: ResultsDir = RESULTS) -> None:
    """Whether the index says what the run folders say."""
    from bench import database

    problems = database.check(results)
    if as_json:
        print_json(problems)
    else:
        print("\n".join(problems) or "the index and the run folders agree")
    raise typer.Exit(5 if problems else 0)


@db.command("sql")
def db_sql(
    text: Annotated[str, typer.Argument(help="One query; nothing it says can change the index.")],
    as_json: Json = False,
    results: ResultsDir = RESULTS,
) -> None:
    """Ask bench.duckdb anything."""
    from bench import database

    columns, rows = database.sql(results, text)
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_table(columns, rows)


# ------------------------------------------------------------------------------------------------------------- printing


def _show_report(
    results: Path, run_ids: list[str] | None, *, as_json: bool = False, build: bool = True, quiet: bool = False
) -> None:
    from bench import analysis, database, terminal

    if build:
        tell_problems(database.build(results).problems)
    found = analysis.report(results, run_ids)
    if as_json:
        print_json(analysis.records(found))
        return
    console = terminal.console()
    for (suite, version), part in found.groupby(["suite", "suite_version"], sort=True):
        console.print(terminal.heading(str(suite), str(version)), style="bold")
        for table in terminal.report_tables(part, console.width):
            console.print(table)
            console.print()
    if found.empty and not quiet:
        from bench.cli import importing

        left = importing.tell_imported(results, run_ids or [])
        told = f"not judged yet: {', '.join(left)}" if left else f"no finished run in {results}/runs yet"
        if left or not run_ids:
            print(f"{told}; `bench run` goes on with what was interrupted, or begins", file=sys.stderr)


def _show_load(results: Path, run_ids: list[str] | None, *, as_json: bool = False, build: bool = True) -> bool:
    """Whether there was any."""
    from bench import analysis, database, load_tables, terminal

    if build:
        tell_problems(database.build(results).problems)
    rows = analysis.load_steps(results, run_ids)
    if as_json:
        print_json(rows)
        return bool(rows)
    console = terminal.console()
    for heading, tables, notes in load_tables.load_tables(rows, console.width):
        console.print(heading, style="bold")
        for table in tables:
            console.print(table)
            console.print()
        for line in notes:
            console.print(line)
    return bool(rows)


def _show_ledgers(results: Path, outcomes: list[Outcome]) -> None:
    """Of runs that were stopped by their allowance."""
    from bench.errors import BudgetStop

    for outcome in outcomes:
        if isinstance(outcome.stop, BudgetStop) and outcome.run_id is not None:
            from bench import ledger

            _print_ledger(ledger.read(ledger.find(results, outcome.run_id)))


def _print_ledger(found: Ledger) -> None:
    from bench import ledger

    print(f"{found.run_id}: {found.usd:f} $, {found.tokens} tokens")
    print_table(ledger.COLUMNS, found.table())
    print()
    print_table(ledger.SESSION_COLUMNS, found.session_table())
    for note in found.notes:
        print(note)


# ---------------------------------------------------------------------------------------------------- starting, ending


def _end(outcomes: list[Outcome]) -> NoReturn:
    """The exit code of several runs is that of the first that was stopped."""
    raise typer.Exit(next((o.stop.exit_code for o in outcomes if o.stop is not None), 0))


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> NoReturn:
    """Entry point of the command `bench`: errors of ours in one line, and their exit codes."""
    from bench.errors import BenchError

    verb = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    signal.signal(signal.SIGTERM, _interrupt)
    _mend_streams()
    try:
        status = _status(lambda: app(standalone_mode=False))
        sys.stdout.flush()
    except BenchError as error:
        status = error.exit_code
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        status = INTERRUPTED
        print(f"interrupted; what was answered is kept; {GOING_ON.get(verb, GOING_ON['run'])}", file=sys.stderr)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        status = 0
        _discard(sys.stdout)
    except OSError as error:
        status = 5
        _discard(sys.stdout)
        print(f"error: {error.strerror or error}", file=sys.stderr)
    sys.exit(status)


def _mend_streams() -> None:
    """A closed stream, or one whose encoding lacks our characters, must not turn a finished run into a failed one."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115  (open to the end of the process)
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _discard(stream: TextIO) -> None:
    """What is still in the buffer goes nowhere, instead of failing once more when the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _status(call: Callable[[], object]) -> int:
    from typer._click.exceptions import ClickException  # typer carries its own copy and shows it nowhere else

    try:
        status = call()
    except ClickException as error:
        error.show()
        return error.exit_code
    except typer.Abort:
        raise KeyboardInterrupt from None
    if status == INTERRUPTED:  # typer makes this of a KeyboardInterrupt, and says nothing
        raise KeyboardInterrupt
    return status if isinstance(status, int) else 0
