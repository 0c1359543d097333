"""The rows of Epoch's files as ours: each is kept or skipped for a reason, with what other files tell of its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from bench.imports import epoch_index, epoch_open, epoch_scores
from bench.imports.epoch_files import BENCHMARKS, DESCRIBES, FOREIGN, LICENCE, SOURCE, VERSIONS, File, Rows, facts_of
from bench.imports.opened import Opened
from bench.imports.published import Published
from bench.imports.tabular import Row, Tally, distinct, first, words


def published(found: Opened, files: list[File], layout: str) -> Published:
    """All rows of all files, each counted."""
    models = _models(files)
    metadata = [row for file in files if file.kind == BENCHMARKS for row in file.table.rows]
    notes: list[str] = []
    scores: list[Mapping[str, Any]] = []
    access: list[Mapping[str, Any]] = []
    tallies = []
    for file in files:
        read = _reader(file, models, metadata, notes)
        tally = Tally(file=file.name)
        for row in file.table.rows:
            given = read(row)
            if given.scores or given.access:
                tally.keep()
                scores += given.scores
                access += given.access
            else:
                tally.skip(given.why)
        tallies.append(tally)
    tallies += [_json(name) for name in found.files if name.lower().endswith(".json")]
    return Published(
        source=f"{SOURCE} ({layout or 'one of its tables'}), {LICENCE}",
        sha256=found.sha256,
        files=found.files,
        scores=tuple(scores),
        access=distinct(access),
        table=tuple(tally.count() for tally in tallies),
        notes=tuple(notes),
    )


def _json(name: str) -> Tally:
    tally = Tally(file=name)
    tally.skip("draws of Epoch's index, not scores" if "bootstrap" in name else FOREIGN)
    return tally


def _reader(
    file: File, models: Mapping[str, Mapping[str, Any]], metadata: list[Row], notes: list[str]
) -> Callable[[Row], Rows]:
    match file.kind.name:
        case "scores" | "external" | "runs":
            read = epoch_scores.reader(file.kind.name, file.stem, file.table, metadata, notes)
            return partial(_scored, read, models)
        case "index":
            return partial(epoch_index.of_version, models, epoch_index.vintage(file.table))
        case "group index":
            return partial(epoch_index.of_group, epoch_index.vintage(file.table))
        case "models":
            return epoch_index.graded
        case "open models":
            return epoch_open.of_system
        case "versions" | "benchmarks":
            return lambda row: Rows(why=DESCRIBES)
        case why:
            return lambda row: Rows(why=why)


def _models(files: list[File]) -> dict[str, Mapping[str, Any]]:
    """What is known of each model version, from whichever table of models there is."""
    found: dict[str, Mapping[str, Any]] = {}
    for file in files:
        if file.kind.name in ("index", "models", "versions"):
            for row in file.table.rows:
                if version := first(row, "Model version", "model_version", *(["id"] * (file.kind == VERSIONS))):
                    found.setdefault(version, facts_of(row))
    return found


def _scored(read: epoch_scores.Reader, models: Mapping[str, Mapping[str, Any]], row: Row) -> Rows:
    version = words(first(row, "Model version", "model"))
    if version is None:
        return Rows(why="no model version")
    found = read(row)
    if isinstance(found, str):
        return Rows(why=found)
    told = {name: value for name, value in facts_of(row).items() if value is not None and name != "model_group"}
    who = {"model": version, **models.get(version, {}), **told, "source": _source(row), "licence": LICENCE}
    return Rows(scores=tuple({**who, **score} for score in found))


def _source(row: Row) -> str:
    """Epoch, and whom it has the figure from."""
    told = words(first(row, "Source", "Source link", "Source Link", "Source link (site from table)"))
    return f"{SOURCE}; {told}" if told else SOURCE
