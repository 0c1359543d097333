"""Epoch's published index as scores of ours, each fit of it a snapshot, and the grades of access beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.catalog import grades
from bench.imports.epoch_files import DESCRIBES, LICENCE, SOURCE, Rows, facts_of
from bench.imports.tabular import Row, Table, day, first, number, words

Z90 = 1.6448536269514722
ECI_LEAST = 1e-6
NO_MODEL, NOTHING = "no model version", "no index and no grade of access that says more than unknown"


def vintage(table: Table) -> str | None:
    """Which fit of the index a file holds: the day of release of the newest model that has one; None without any.

    Epoch fits the index anew with every model, so its figures are compared inside one file only. The day is an ISO
    date, because versions that are dates are snapshots: `bench gap` takes the newest one. It is in the file itself, so
    the same download is the same version wherever it lies, and two without a new model between them are one.
    """
    dates = [
        day(first(row, "Release date", "date"))
        for row in table.rows
        if number(first(row, "ECI Score", "eci")) is not None
    ]
    return max((date.isoformat() for date in dates if date), default=None)


def of_version(models: Mapping[str, Mapping[str, Any]], fit: str | None, row: Row) -> Rows:
    """A row of the table by model version."""
    version, value = words(row.get("Model version")), number(row.get("ECI Score"))
    if version is None:
        return Rows(why=NO_MODEL)
    access = _access(version, row)
    score = {"model": version, **models[version], **_eci(value, fit), "licence": LICENCE} if value is not None else None
    return Rows(scores=(score,) if score else (), access=access, why=NOTHING)


def of_group(fit: str | None, row: Row) -> Rows:
    """`eci_scores.csv`: one row per model, all its versions together, with a 90% interval."""
    name, value = words(row.get("Model")), number(row.get("eci"))
    if name is None:
        return Rows(why=NO_MODEL)
    access = _access(name, row)
    if value is None:
        return Rows(access=access, why=NOTHING)
    known = {**facts_of(row), "model_group": name, **_eci(value, fit), **_interval(row)}
    return Rows(scores=({"model": name, **known, "licence": LICENCE},), access=access)


def _interval(row: Row) -> dict[str, float]:
    """None for the models that fix the scale: theirs is blank or of no width, which is no certainty."""
    low, high = number(row.get("eci_ci_low")), number(row.get("eci_ci_high"))
    if low is None or high is None or high - low < ECI_LEAST:
        return {}
    return {"score_low": low, "score_high": high, "stderr": (high - low) / (2 * Z90)}


def _eci(value: float, fit: str | None) -> dict[str, Any]:
    return {"benchmark": "eci", "benchmark_version": fit, "score": value, "scale": "points", "source": SOURCE}


def graded(row: Row) -> Rows:
    """A row of the table of models."""
    version = words(row.get("model_version"))
    if version is None:
        return Rows(why=NO_MODEL)
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
