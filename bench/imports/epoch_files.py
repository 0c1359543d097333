"""The files of Epoch's layouts: which one each is, by its columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from bench.imports.opened import Opened
from bench.imports.tabular import Row, Table, day, first, table, words

SOURCE = "Epoch AI, AI Benchmarking Hub, epoch.ai/benchmarks"
LICENCE = "CC-BY-4.0"

AIRTABLE, HUB_2026_04, HUB_2026_08 = "the Airtable export of 2025", "the hub's zip", "the hub's zip since August 2026"
OPEN_2024 = "the tables of open models of 2024"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a file holds."""

    name: str
    layout: str | None = None
    """None: it may stand in several."""
    holds: bool = False
    """Scores or grades, so that the file alone is an import."""


SCORES = Kind(name="scores", holds=True)
EXTERNAL = Kind(name="external", layout=AIRTABLE, holds=True)
RUNS = Kind(name="runs", layout=AIRTABLE, holds=True)
VERSIONS = Kind(name="versions", layout=AIRTABLE)
INDEX = Kind(name="index", holds=True)
GROUP_INDEX = Kind(name="group index", holds=True)
BENCHMARKS = Kind(name="benchmarks", layout=HUB_2026_08)
MODELS = Kind(name="models", layout=HUB_2026_08, holds=True)
OPEN = Kind(name="open models", layout=OPEN_2024, holds=True)
NOT_SCORES: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"model_id", "benchmark_id", "performance"}), "the other files' scores, chance taken out for the index"),
    (frozenset({"benchmark_name", "edi"}), "a difficulty that Epoch fitted, not a score"),
    (frozenset({"scaling_anchor1"}), "the scale of Epoch's index, not a score"),
    (frozenset({"benchmark", "optimized_for"}), "says what a benchmark is about, not a score"),
    (frozenset({"model", "distilled"}), "a guess about distillation, not a score"),
)
FOREIGN = "not a table of Epoch's"
DESCRIBES = "names and dates for the rows of other files"


@dataclass(frozen=True, kw_only=True)
class File:
    """One table and what it is."""

    name: str
    kind: Kind
    table: Table

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What one row gives; `why` says why it gives nothing."""

    scores: tuple[Mapping[str, Any], ...] = ()
    access: tuple[Mapping[str, Any], ...] = ()
    why: str = ""


def kind_of(name: str, header: Iterable[str]) -> Kind:
    """By the columns alone; a file's name only says which benchmark it is of."""
    columns = frozenset(header)
    rules: tuple[tuple[set[str], Kind], ...] = (
        ({"task", "model", "Best score (across scorers)"}, RUNS),
        ({"Model version", "ECI Score"}, INDEX),
        ({"Model", "eci"}, GROUP_INDEX),
        ({"benchmark", "score_column", "source_file"}, BENCHMARKS),
        ({"model_version", "model_group", "accessibility"}, MODELS),
        ({"id", "Model", "Version release date"}, VERSIONS),
        ({"Model version", "Release date"}, SCORES),
        ({"System", "Open/Closed"}, OPEN),
    )
    for wanted, kind in rules:
        if wanted <= columns:
            return kind
    if "Model version" in columns and columns & {"Source", "Source link", "Source link (site from table)"}:
        return EXTERNAL
    why = next((why for wanted, why in NOT_SCORES if wanted <= columns), FOREIGN)
    return Kind(name=why)


def tables(found: Opened) -> list[File]:
    """Every CSV with its kind; a hub's layout is that of August 2026 where its metadata lie beside."""
    files = []
    for name in found.files:
        if name.lower().endswith(".json"):
            continue
        read = table(found.where(name), found.text(name))
        files.append(File(name=name, kind=kind_of(name, read.header), table=read))
    hub = HUB_2026_08 if any(file.kind in (BENCHMARKS, MODELS) for file in files) else HUB_2026_04
    return [_placed(file, hub) for file in files]


def _placed(file: File, hub: str) -> File:
    if file.kind in (SCORES, INDEX):
        kind = Kind(name=file.kind.name, layout=hub, holds=True)
        return File(name=file.name, kind=kind, table=file.table)
    return file


def facts_of(row: Row) -> Mapping[str, Any]:
    """Of the model, as far as a row tells them."""
    return {
        "vendor": words(first(row, "Organization", "organization")),
        "released": day(first(row, "Release date", "Version release date", "date")),
        "model_group": words(first(row, "Model name", "model_group", "Model")),
        "display_name": words(first(row, "Display name", "display_name")),
    }
