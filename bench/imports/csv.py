"""Scores and grades of access that anybody writes down by hand: one CSV whose header names our own columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import ConfigError, nearest
from bench.imports.opened import glance, opened
from bench.imports.published import ACCESS_COLUMNS, LARGEST, PROVENANCE, SCALES, SCORE_COLUMNS, Published
from bench.imports.tabular import Row, Table, Tally, count, day, distinct, header_of, number, share, slug, table, words

if TYPE_CHECKING:
    from bench.catalog.benchmarks import Benchmark

FORMAT = """A CSV whose header names columns of `published_score`: model, benchmark and score, and any of the others.

`benchmark` is an id or a name of `bench/catalog/benchmarks.toml`; any other name is kept as a benchmark of its own.
`score` is a proportion (`0.71` or `71%`), or points where `scale` says `points` or the catalogue does; `stderr`,
`score_low` and `score_high` are in the same unit. Dates are ISO (`2026-04-16`). `grade` gives the model's grade of
access with `valid_from` (else `released`), `valid_to` and `note`; a row may have a grade and no score. A folder or zip
may hold several such files. A row with a cell that cannot be read is skipped, and the cell is named.
"""
REQUIRED = ("model", "benchmark", "score")
COLUMNS = (*SCORE_COLUMNS, "grade", *(c for c in ACCESS_COLUMNS if c not in (*SCORE_COLUMNS, "grade")))
DATES = ("released", "evaluated_on", "observed", "valid_from", "valid_to")
COUNTS = ("n_items", "shots")
NUMBERS = ("stderr", "score_low", "score_high")
WORDS = (
    "vendor", "model_group", "display_name", "benchmark_version", "effort", "scaffold", "host", "quantisation",
    "source", "licence", "note",
)  # fmt: skip
TOLD = 10
"""Cells that are named one by one; the table counts them all."""


class _Bad(Exception):
    """A cell that cannot be read: which column, and what to write instead."""

    def __init__(self, column: str, value: str, way_out: str) -> None:
        super().__init__(f"column {column}: {words(value, 60) or ''!r} {way_out}")
        self.reason = f"{column} cannot be read"


def is_mine_path(path: Path) -> bool:
    return any(
        _mine(header_of(re.sub(r"[;\t]", ",", text.partition("\n")[0])))
        for text in glance(path, suffixes=(".csv",)).values()
    )


def _mine(header: tuple[str, ...]) -> bool:
    return set(REQUIRED) <= set(header)


def read_published(path: Path) -> Published:
    """Every such CSV in a file, folder or zip. ConfigError when a column is unknown."""
    found = opened(path, suffixes=(".csv",))
    reading = _Reading()
    for name in found.files:
        told = table(found.where(name), found.text(name))
        _check_header(told)
        reading.read(name, told)
    return Published(
        source=reading.sources(),
        sha256=found.sha256,
        files=found.files,
        scores=tuple(reading.scores),
        access=distinct(reading.access),
        table=tuple(tally.count() for tally in reading.tallies),
        notes=tuple(reading.told()),
    )


def _check_header(told: Table) -> None:
    if len(told.header) == 1 and (found := re.search(r"[;\t]", told.header[0])):
        raise ConfigError(f"{told.where}: its cells are split by {found[0]!r}; save it with commas")
    for column in told.header:
        if column not in COLUMNS:
            raise ConfigError(f"{told.where}, line 1: unknown column {column[:60]!r}{nearest(column, COLUMNS)}")
    for column in REQUIRED:
        if column not in told.header:
            raise ConfigError(f"{told.where}, line 1: no column {column!r}; the first line names the columns")


@dataclass(kw_only=True)
class _Reading:
    scores: list[Mapping[str, Any]] = field(default_factory=list)
    access: list[Mapping[str, Any]] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)
    """Benchmarks that are not in the catalogue -> what is said of them."""

    def read(self, name: str, told: Table) -> None:
        tally = Tally(file=name)
        for row, line in zip(told.rows, told.lines, strict=True):
            try:
                score, access = _row(row, self.unknown)
            except _Bad as error:
                self.bad.append(f"{told.where}, line {line}, {error}")
                tally.skip(error.reason)
                continue
            self.scores += [score] if score else []
            self.access += [access] if access else []
            tally.keep()
        self.tallies.append(tally)

    def told(self) -> list[str]:
        more = len(self.bad) - TOLD
        return [*self.bad[:TOLD], *([f"and {more} more rows"] if more > 0 else []), *self.unknown.values()]

    def sources(self) -> str:
        found = list(dict.fromkeys(str(row["source"]) for row in (*self.scores, *self.access) if row.get("source")))
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        return ", ".join(found[:3]) + more if found else "not told"


# --------------------------------------------------------------------------------------------------------------- a row


def _row(row: Row, unknown: dict[str, str]) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    model = words(row["model"])
    if model is None:
        raise _Bad("model", "", "is empty; name the model")
    cells = {"model": model, **_told(row)}
    access = _access(cells, row)
    if access and not row["benchmark"] and not row["score"]:
        return None, access
    score = {**{name: value for name, value in cells.items() if name in SCORE_COLUMNS}, **_score(row, unknown)}
    return score, access


def _told(row: Row) -> dict[str, Any]:
    """Everything but the score itself; a cell that is empty is unknown."""
    found: dict[str, Any] = {name: words(row.get(name)) for name in WORDS}
    for name in DATES:
        found[name] = _read(row, name, day, "is no date; write it as 2026-04-16")
    for name in COUNTS:
        found[name] = _read(row, name, count, "is no whole number; write it in digits")
    if (who := row.get("provenance")) not in (None, "", PROVENANCE):
        raise _Bad("provenance", who, f"is not {PROVENANCE!r}, and what others measured is nothing else")
    return found


def _read(row: Row, name: str, read: Any, way_out: str) -> Any:
    cell = row.get(name) or ""
    value = read(cell) if cell else None
    if cell and value is None:
        raise _Bad(name, cell, way_out)
    return value


def _score(row: Row, unknown: dict[str, str]) -> dict[str, Any]:
    benchmark, scale = _benchmark(row, unknown)
    if not row["score"]:
        raise _Bad("score", "", "is empty; leave the row out where nothing was measured")
    found = {"benchmark": benchmark, "scale": scale, "score": _value(row, "score", scale)}
    found |= {name: _value(row, name, scale) for name in NUMBERS if row.get(name)}
    low, high = (_value(row, name, scale) if row.get(name) else None for name in ("score_low", "score_high"))
    if low is not None and high is not None and low > high:
        raise _Bad("score_low", row["score_low"], f"is above score_high = {row['score_high']}; exchange them")
    return found


def _benchmark(row: Row, unknown: dict[str, str]) -> tuple[str, str]:
    name, scale = row["benchmark"], row.get("scale") or None
    if not name:
        raise _Bad("benchmark", "", "is empty; name the benchmark")
    if scale not in (None, *SCALES):
        raise _Bad("scale", str(scale), f"is none of {', '.join(SCALES)}")
    item = _known(name)
    if item is None:
        kept = slug(name)
        unknown.setdefault(kept, f"benchmark {name[:60]!r} is not in the catalogue; kept as {kept!r}")
        return kept, scale or "proportion"
    if scale not in (None, item.scale):
        raise _Bad("scale", str(scale), f"is not that of {item.id}, {item.scale!r}; leave it out")
    return item.id, item.scale


def _known(name: str) -> Benchmark | None:
    from bench.catalog.benchmarks import known

    return known(name)


def _value(row: Row, name: str, scale: str) -> float:
    cell = row[name]
    value = number(cell) if scale == "points" else share(cell, 1.0)
    if value is None:
        raise _Bad(name, cell, f"is no number up to {LARGEST:,.0f}; write it like 0.71 or 71%")
    if scale == "proportion" and not 0 <= value <= 1:
        raise _Bad(name, cell, "is outside of 0 to 1; write 0.71 or 71%, or say scale = points")
    if name == "stderr" and value <= 0:
        raise _Bad(name, cell, "is not above 0; leave it empty where it is unknown")
    return value


def _access(cells: Mapping[str, Any], row: Row) -> Mapping[str, Any] | None:
    from bench.catalog.grades import GRADES

    grade = row.get("grade") or None
    if grade is None:
        return None
    if grade not in GRADES:
        raise _Bad("grade", grade, f"is none of {', '.join(GRADES)}")
    since = cells["valid_from"] or cells["released"]
    told = {name: cells[name] for name in ("model", "valid_to", "source", "licence", "note")}
    if since and told["valid_to"] and told["valid_to"] <= since:
        raise _Bad("valid_to", row["valid_to"], f"is not after {since}; it is the first day that grade no longer held")
    return {**told, "grade": grade, "valid_from": since}
