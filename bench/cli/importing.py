"""What `bench import` says: its formats, what became of every row, and the run that was made."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.core import TyperArgument, TyperCommand

from bench.cli.printing import print_json, print_table, tell_problems

if TYPE_CHECKING:
    from bench.imports import PublishedSummary, Summary

COLUMNS = ("file", "read", "kept", "skipped", "why")

HELD = {
    "n_scores": ("score", "scores"),
    "n_access": ("grade of access", "grades of access"),
    "n_prices": ("list price", "list prices"),
    "n_items": ("score of an item", "scores of items"),
}
"""What an import holds, by column of `imported_runs`: the words for one and for several."""


class ImportCommand(TyperCommand):
    """The command whose help names the formats there are, which are known only once their modules are imported."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from bench import imports

        for argument in self.params:
            if isinstance(argument, TyperArgument) and argument.name == "format_":
                argument.help = f"{', '.join(imports.names())}."
        super().format_help(ctx, formatter)


def show(summary: Summary | PublishedSummary, *, as_json: bool) -> None:
    from bench.imports import PublishedSummary

    if as_json:
        print_json(dataclasses.asdict(summary))
        return
    if isinstance(summary, PublishedSummary):
        print_table(COLUMNS, summary.rows())
        tell_problems(list(summary.notes))
        print(f"{summary.line()} (source: {summary.source})", file=sys.stderr)
        what = "was there already and is read anew" if summary.read_anew else _what(summary.added)
    else:
        print_table(("what became of the file", "n"), summary.rows())
        tell_problems(list(summary.notes))
        what = _what(summary.added)
    print(f"{summary.run_id} {what}", file=sys.stderr)


def tell_imported(results: Path, run_ids: list[str]) -> list[str]:
    """Says of each run that is an import of published figures what it holds and who reads it; the others' ids."""
    from bench import database

    found = database.query(results, "imported_runs", run_ids=run_ids).to_dict("records") if run_ids else []
    for run in found:
        counts = [_counted(int(run[column]), *names) for column, names in HELD.items() if run[column]]
        what = f"an import of {' and '.join(counts) or 'nothing'}, nothing that was measured here"
        print(f"{run['run_id']} is {what}; {_readers(run)} read it", file=sys.stderr)
    known = {run["run_id"] for run in found}
    return [run_id for run_id in run_ids if run_id not in known]


def _counted(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def _readers(run: dict[Any, Any]) -> str:
    if run["n_items"]:
        return f"`bench compare {run['target_id']} OTHER`, `bench gap` and `bench models show NAME`"
    return f"`bench {'prices NAME' if run['kind'] == 'prices' else 'gap'}` and `bench models show NAME`"


def index(results: Path) -> None:
    """What is imported is in the index at once."""
    from bench import database

    tell_problems(database.build(results).problems)


def _what(added: bool) -> str:
    return "is a run now" if added else "was there already; nothing was added"
