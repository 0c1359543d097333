"""Options that several verbs take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ResultsDir = Annotated[
    Path,
    typer.Option("--results", envvar="BENCH_RESULTS", help="Folder of runs and of bench.duckdb.", show_default=True),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "-t",
        "--target",
        help="embedded:NAME, PROVIDER:MODEL, http://HOST:PORT/v1#MODEL, or an id from targets.toml. Repeatable.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON value on stdout, nothing else there.")]
RESULTS = Path("results")
