"""The files of Epoch's layouts: which one it is by its columns, and its rows as ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Literal

from bench.catalog import grades
from bench.imports import epoch_scores
from bench.imports.opened import Opened
from bench.imports.published import Published
from bench.imports.tabular import Row, Table, Tally, day, distinct, first, number, table, words

SOURCE = "Epoch AI, AI Benchmarking Hub, epoch.ai/benchmarks"
OPEN_MODELS = "Epoch AI, How far behind are open models?, epoch.ai (2024-11)"
LICENCE = "CC-BY-4.0"
Z90 = 1.6448536269514722
ECI_LEAST = 1e-6

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


# ------------------------------------------------------------------------------------------------------------- reading


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
            return partial(_indexed, models)
        case "group index":
            return _group_indexed
        case "models":
            return _graded
        case "open models":
            return _open_model
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
                    found.setdefault(version, _model(row))
    return found


def _model(row: Row) -> Mapping[str, Any]:
    return {
        "vendor": words(first(row, "Organization", "organization")),
        "released": day(first(row, "Release date", "Version release date", "date")),
        "model_group": words(first(row, "Model name", "model_group", "Model")),
        "display_name": words(first(row, "Display name", "display_name")),
    }


def _scored(read: epoch_scores.Reader, models: Mapping[str, Mapping[str, Any]], row: Row) -> Rows:
    version = words(first(row, "Model version", "model"))
    if version is None:
        return Rows(why="no model version")
    found = read(row)
    if isinstance(found, str):
        return Rows(why=found)
    told = {name: value for name, value in _model(row).items() if value is not None and name != "model_group"}
    who = {"model": version, **models.get(version, {}), **told, "source": _source(row), "licence": LICENCE}
    return Rows(scores=tuple({**who, **score} for score in found))


def _source(row: Row) -> str:
    """Epoch, and whom it has the figure from."""
    told = words(first(row, "Source", "Source link", "Source Link", "Source link (site from table)"))
    return f"{SOURCE}; {told}" if told else SOURCE


def _indexed(models: Mapping[str, Mapping[str, Any]], row: Row) -> Rows:
    version, value = words(row.get("Model version")), number(row.get("ECI Score"))
    if version is None:
        return Rows(why="no model version")
    access = _access(version, row)
    score = {"model": version, **models[version], **_eci(value), "licence": LICENCE} if value is not None else None
    why = "no index and no grade of access that says more than unknown"
    return Rows(scores=(score,) if score else (), access=access, why=why)


def _group_indexed(row: Row) -> Rows:
    """`eci_scores.csv`: one row per model, all its versions together, with a 90% interval."""
    name, value = words(row.get("Model")), number(row.get("eci"))
    if name is None:
        return Rows(why="no model version")
    access = _access(name, row)
    if value is None:
        return Rows(access=access, why="no index and no grade of access that says more than unknown")
    known = {**_model(row), "model_group": name, **_eci(value), **_interval(row)}
    return Rows(scores=({"model": name, **known, "licence": LICENCE},), access=access)


def _interval(row: Row) -> dict[str, float]:
    """None for the models that fix the scale: theirs is blank or of no width, which is no certainty."""
    low, high = number(row.get("eci_ci_low")), number(row.get("eci_ci_high"))
    if low is None or high is None or high - low < ECI_LEAST:
        return {}
    return {"score_low": low, "score_high": high, "stderr": (high - low) / (2 * Z90)}


def _eci(value: float | None) -> dict[str, Any]:
    return {"benchmark": "eci", "score": value, "scale": "points", "source": SOURCE}


def _graded(row: Row) -> Rows:
    version = words(row.get("model_version"))
    if version is None:
        return Rows(why="no model version")
    return Rows(access=_access(version, row), why=f"{DESCRIBES}; no known grade of access")


def _access(model: str, row: Row) -> tuple[Mapping[str, Any], ...]:
    told = first(row, "Model accessibility", "accessibility")
    grade = grades.from_epoch(told)
    if grade is None:
        return ()
    since = day(first(row, "Release date", "date"))
    return (
        {
            "model": model,
            "grade": grade,
            "valid_from": since,
            "source": SOURCE,
            "licence": LICENCE,
            "note": words(told),
        },
    )


# ----------------------------------------------------------------------------------------------------- tables of 2024

OPEN_SCORES: Mapping[str, tuple[str, Literal["proportion", "points"]]] = {
    "BBH": ("bbh", "proportion"),
    "GPQA": ("gpqa", "proportion"),
    "MMLU": ("mmlu", "proportion"),
    "HELM MMLU": ("helm-mmlu", "proportion"),
    "GSM8k": ("gsm8k", "proportion"),
    "GSM1k": ("gsm1k", "proportion"),
    "SEAL Coding": ("seal-coding", "points"),
    "SEAL Instruction Following": ("seal-instruction-following", "points"),
    "SEAL Math": ("seal-math", "points"),
    "LMSys Elo": ("lmsys-elo", "points"),
}
LEAST_GRADE: Mapping[str, grades.Grade] = {"Open": "weights-noncommercial", "Closed": "closed-hosted"}
"""The least that Epoch's two words of 2024 promise."""


def _open_model(row: Row) -> Rows:
    name, since = words(row.get("System")), day(row.get("Date"))
    if name is None:
        return Rows(why="no model version")
    scores = [found for column in OPEN_SCORES if (found := _open_score(name, column, row, since))]
    told = row.get("Open/Closed", "")
    grade = LEAST_GRADE.get(told)
    note = f"{told}: the least grade that this promises" if grade else None
    kept = {"model": name, "grade": grade, "valid_from": since, "source": OPEN_MODELS, "licence": LICENCE, "note": note}
    return Rows(scores=tuple(scores), access=(kept,) if grade else (), why="no score and no grade of access")


def _open_score(name: str, column: str, row: Row, since: Any) -> Mapping[str, Any] | None:
    benchmark, scale = OPEN_SCORES[column]
    value = number(row.get(column))
    if value is None or (scale == "proportion" and not 0 <= value <= 1):
        return None
    found = re.findall(r"[+-]\d+", row.get("LMSys Elo 95% CI", "")) if benchmark == "lmsys-elo" else []
    ends = {"score_high": value + int(found[0]), "score_low": value + int(found[1])} if len(found) == 2 else {}
    who = {"model": name, "released": since, "source": OPEN_MODELS, "licence": LICENCE}
    return {**who, "benchmark": benchmark, "score": value, "scale": scale, **ends}
