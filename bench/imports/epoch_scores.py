"""A row of one of Epoch's score files as scores of ours: which columns, which unit, which conditions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.imports.tabular import Row, Table, count, day, first, number, share, slug, words

if TYPE_CHECKING:
    from bench.catalog.benchmarks import Benchmark, Layout, Reading

Reader = Callable[[Row], "Sequence[Mapping[str, Any]] | str"]
"""A row's scores, or why there are none."""
CONDITIONS: Mapping[str, tuple[str, ...]] = {
    "scaffold": ("Agent", "Scaffold", "Harness"),
    "effort": ("Reasoning effort", "Reasoning level"),
    "benchmark_version": ("LiveBench Version", "METR version"),
}
EVALUATED = ("Started at", "started_at", "Run date", "Date run", "Date added", "Date", "Last updated")
Z95 = 1.959963984540054
SCORE_WORDS = re.compile(r"(?i)score|accuracy|^em$|average|overall|% solved|% resolved|correct|pass@1|^elo$|win rate")
NOT_ONE = re.compile(r"(?i)error|stderr|\bse\b|\bsd\b|ci\b|cost|version|date|shots|link|notes?$|^id$|count|total")
NO_SCORE, NO_COLUMN = "no score", "no column that is known to be the score"
OUT_OF_RANGE = "a score outside of 0 to 1 after division"
MOST_ITEMS = 100_000
CHECKED = "checked"
"""What Airtable writes for a ticked box."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """Where one benchmark's score stands in a file, and how it becomes ours."""

    benchmark: str
    scale: str
    score: str
    version: str | None = None
    """Of the benchmark, where the row names none."""
    divisor: float = 1.0
    stderr: str | None = None
    stderr_divisor: float = 1.0
    low: str | None = None
    high: str | None = None


def reader(kind: str, stem: str, table: Table, metadata: Sequence[Row], notes: list[str]) -> Reader:
    """Reads rows of one file; `notes` gets what a reader of the scores should know of it."""
    if kind == "runs":
        return partial(_of_run, _tasks(stem))
    columns = _columns(kind, stem, table, metadata, notes)
    if not columns:
        notes.append(f"{table.where}: {NO_COLUMN}; its rows are skipped")
        return lambda row: NO_COLUMN
    return partial(_scores, columns)


# ------------------------------------------------------------------------------------------------------ whose columns


def _columns(kind: str, stem: str, table: Table, metadata: Sequence[Row], notes: list[str]) -> list[Column]:
    from bench.catalog.benchmarks import by_file

    layout: Layout = "airtable" if kind == "external" else "hub"
    known = [_known(item, item.layouts[layout]) for item in by_file(layout).get(stem, ())]
    told = next((row for row in metadata if row.get("source_file", "").removesuffix(".csv") == stem), None)
    found = [_checked(column, told, notes, table) for column in known if column.score in table.header]
    if found:
        return found
    if told is not None and told.get("score_column") in table.header:
        return [_told(told, table)]
    return [column] if (column := _recognised(stem, table, notes)) else []


def _known(item: Benchmark, reading: Reading) -> Column:
    return Column(
        benchmark=item.id,
        scale=item.scale,
        score=reading.score,
        version=reading.version,
        divisor=reading.divisor,
        stderr=reading.stderr,
        stderr_divisor=reading.stderr_by(),
        low=reading.low,
        high=reading.high,
    )


def _checked(column: Column, told: Row | None, notes: list[str], table: Table) -> Column:
    """Epoch's own word on the unit of a column goes before what our catalogue remembers of it."""
    factor = number(told.get("scale")) if told and told.get("score_column") == column.score else None
    if factor is None or factor <= 0 or column.scale != "proportion" or abs(factor * column.divisor - 1) < 1e-9:
        return column
    notes.append(f"{table.where}: {column.score!r} is divided by {1 / factor:g}, as its metadata say")
    same = {name: getattr(column, name) for name in ("benchmark", "scale", "score", "version", "stderr", "low", "high")}
    return Column(**same, divisor=1 / factor, stderr_divisor=1 / factor)


def _told(row: Row, table: Table) -> Column:
    """A benchmark that only the zip's own metadata know."""
    from bench.catalog.benchmarks import known

    item = known(row["benchmark"])
    factor = abs(number(row.get("scale")) or 1.0)
    name = item.id if item and item.scale == "proportion" else slug(row["benchmark"])
    error, score = _error_column(table, row["score_column"]), row["score_column"]
    return Column(
        benchmark=name, scale="proportion", score=score, divisor=1 / factor, stderr=error, stderr_divisor=1 / factor
    )


def _error_column(table: Table, score: str) -> str | None:
    """Where the standard error of a benchmark stands that the catalogue doesn't know."""
    likely = ("stderr", f"{score} SE", f"{score} Standard Error")
    return next((name for name in likely if name in table.header), None)


def _recognised(stem: str, table: Table, notes: list[str]) -> Column | None:
    """Of a benchmark nobody described: the column of numbers before the release date, else one that says it is a score.

    Its unit is a proportion only if no value says otherwise; else its points are kept as they are.
    """
    from bench.catalog.benchmarks import known

    at = table.header.index("Release date") if "Release date" in table.header else 0
    near = [name for name in table.header[:at] if name not in ("Model version", "id", "Name")]
    likely = near or [name for name in table.header if SCORE_WORDS.search(name) and not NOT_ONE.search(name)]
    column = next((name for name in likely if _is_numbers(table, name)), None)
    if column is None:
        return None
    name = stem.removeprefix("external_benchmark_").removesuffix("_external")
    values = [value for row in table.rows if (value := share(row.get(column), 1.0)) is not None]
    scale = "proportion" if values and all(0 <= value <= 1 for value in values) else "points"
    item = known(name)
    unit = "proportions" if scale == "proportion" else "points, because its unit isn't known"
    notes.append(f"{table.where}: not in the catalogue; {column!r} is taken as its score, in {unit}")
    benchmark = item.id if item and item.scale == scale else slug(name)
    return Column(benchmark=benchmark, scale=scale, score=column, stderr=_error_column(table, column))


def _is_numbers(table: Table, column: str) -> bool:
    cells = [row[column] for row in table.rows if row.get(column)]
    return bool(cells) and sum(number(cell) is not None for cell in cells) * 2 > len(cells)


# ----------------------------------------------------------------------------------------------------------- the scores


def _scores(columns: Sequence[Column], row: Row) -> Sequence[Mapping[str, Any]] | str:
    conditions = _conditions(row)
    found = [_score(column, row) for column in columns]
    kept = [_told_together(conditions, score) for score in found if not isinstance(score, str)]
    reasons = [why for why in found if isinstance(why, str)]
    return kept or (OUT_OF_RANGE if OUT_OF_RANGE in reasons else NO_SCORE)


def _score(column: Column, row: Row) -> Mapping[str, Any] | str:
    cell = row.get(column.score)
    points = column.scale == "points"
    value = number(cell) if points else share(cell, column.divisor)
    if value is None:
        return NO_SCORE
    if not points and not 0 <= value <= 1:
        return OUT_OF_RANGE
    stderr = share(row.get(column.stderr), column.stderr_divisor) if column.stderr else None
    found = {"benchmark": column.benchmark, "benchmark_version": column.version, "score": value, "scale": column.scale}
    return {**found, **_spread(column, row, value), **({"stderr": stderr} if _likely(stderr, value, points) else {})}


def _likely(stderr: float | None, value: float, points: bool) -> bool:
    """Whether a standard error can be one: 0 is a rounded one, and nobody asked over 100,000 items."""
    return stderr is not None and stderr > 0 and (points or value * (1 - value) / stderr**2 < MOST_ITEMS)


def _spread(column: Column, row: Row, value: float) -> dict[str, Any]:
    """The published interval; as a standard error, too, where a 95% interval is narrow and even."""
    low, high = (number(row.get(name)) if name else None for name in (column.low, column.high))
    if found := re.search(r"\+(\d+(?:\.\d+)?)/-(\d+(?:\.\d+)?)", row.get("Score 95% CI", "")):
        low, high = value - float(found[2]), value + float(found[1])
    if low is None or high is None or not low <= value <= high:
        return {}
    ends = {"score_low": low, "score_high": high}
    even = low < high < 1.5 * low and abs((high - value) - (value - low)) <= 0.25 * (high - low)
    return {**ends, "stderr": (high - low) / (2 * Z95)} if even else ends


def _conditions(row: Row) -> dict[str, Any]:
    told = {name: words(first(row, *columns)) for name, columns in CONDITIONS.items()}
    found = {name: value for name, value in told.items() if value and value != CHECKED}
    return {**found, "shots": count(row.get("Shots")), "evaluated_on": day(first(row, *EVALUATED))}


def _told_together(conditions: Mapping[str, Any], score: Mapping[str, Any]) -> Mapping[str, Any]:
    """The version that the row itself names goes before the one of its layout."""
    version = conditions.get("benchmark_version") or score["benchmark_version"]
    return {**conditions, **score, "benchmark_version": version}


# --------------------------------------------------------------------------------------------- Epoch's own runs of 2025


def _tasks(stem: str) -> Mapping[str, Column]:
    from bench.catalog.benchmarks import by_file

    found = {item.layouts["airtable"].task: item for item in by_file("airtable").get("benchmarks_runs", ())}
    return {task: _known(item, item.layouts["airtable"]) for task, item in found.items() if task}


def _of_run(tasks: Mapping[str, Column], row: Row) -> Sequence[Mapping[str, Any]] | str:
    if row.get("Status", "Success") not in ("Success", ""):
        return f"a run that ended as {words(row['Status'], 30)}"
    task = row.get("task", "")
    cell = "Best score (across scorers)"
    column = tasks.get(task) or Column(benchmark=slug(task), scale="proportion", score=cell)
    found = _score(column, row)
    if isinstance(found, str):
        return found
    return [
        {**_told_together(_conditions(row), found), "stderr": _of_scorer(row.get("Scores", ""), float(found["score"]))}
    ]


def _of_scorer(told: str, best: float) -> float | None:
    """`choice:0.85±0.02,model_graded:0.86±0.02`: the error of the scorer whose score is the best one.

    `±0` is a rounded number, not a certain one: None.
    """
    found = re.findall(r":(\d+(?:\.\d+)?)±(\d+(?:\.\d+)?)", told)
    errors = [float(error) for score, error in found if abs(float(score) - best) <= 0.0051]
    return errors[-1] if errors and errors[-1] > 0 else None
