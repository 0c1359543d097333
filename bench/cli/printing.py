"""What verbs print with: a table or JSON on stdout, warnings on stderr."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def show_rows(rows: list[dict[str, Any]], columns: tuple[str, ...], as_json: bool, note: str = "") -> None:
    if as_json:
        print_json(rows)
        return
    print_table(columns, [[row.get(column) for column in columns] for row in rows])
    if note:
        print(note)


def print_table(columns: Any, rows: Any) -> None:
    from bench import terminal

    terminal.console().print(terminal.plain_table(columns, rows))


def print_json(value: Any) -> None:
    import json

    print(json.dumps(value, ensure_ascii=False, indent=1, default=str, allow_nan=False))


def tell_problems(problems: list[str]) -> None:
    from bench.terminal import printable

    for problem in problems:
        print(f"warning: {printable(problem)}", file=sys.stderr)


def bring_up_to_date(results: Path) -> bool:
    """Whether anything was ever run or imported here: then its store is as new; else nothing is made."""
    if not (results / "runs").is_dir():
        return False
    from bench import database

    tell_problems(database.build(results).problems)
    return True


def write_chart(figure: Any, path: Path, **size: Any) -> None:
    """A plotly figure as a file, by `charts.export.write`, and says so."""
    from bench.charts import export

    export.write(figure, path, **size)
    print(f"wrote {path}", file=sys.stderr)


def print_paragraph(text: str, *, style: str | None = None, hanging: bool = False) -> None:
    """Text broken between words, at most 110 columns wide; names are never broken."""
    import textwrap

    from bench import terminal

    console = terminal.console()
    lines = textwrap.wrap(
        terminal.printable(text),
        min(console.width, 110),
        subsequent_indent="  " * hanging,
        break_on_hyphens=False,
        break_long_words=False,
    )
    for line in lines:
        console.print(line, style=style, soft_wrap=True)
