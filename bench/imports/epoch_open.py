"""Epoch's tables of "How far behind are open models?" (2024): several scores a row, and what grade they promise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from bench.catalog import grades
from bench.imports.epoch_files import LICENCE, Rows
from bench.imports.tabular import Row, day, number, words

SOURCE = "Epoch AI, How far behind are open models?, epoch.ai (2024-11)"
SCORES: Mapping[str, tuple[str, Literal["proportion", "points"]]] = {
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


def of_system(row: Row) -> Rows:
    """A row of either table."""
    name, since = words(row.get("System")), day(row.get("Date"))
    if name is None:
        return Rows(why="no model version")
    scores = [found for column in SCORES if (found := _score(name, column, row, since))]
    told = row.get("Open/Closed", "")
    grade = LEAST_GRADE.get(told)
    note = f"{told}: the least grade that this promises" if grade else None
    kept = {"model": name, "grade": grade, "valid_from": since, "source": SOURCE, "licence": LICENCE, "note": note}
    return Rows(scores=tuple(scores), access=(kept,) if grade else (), why="no score and no grade of access")


def _score(name: str, column: str, row: Row, since: Any) -> Mapping[str, Any] | None:
    benchmark, scale = SCORES[column]
    value = number(row.get(column))
    if value is None or (scale == "proportion" and not 0 <= value <= 1):
        return None
    found = re.findall(r"[+-]\d+", row.get("LMSys Elo 95% CI", "")) if benchmark == "lmsys-elo" else []
    ends = {"score_high": value + int(found[0]), "score_low": value + int(found[1])} if len(found) == 2 else {}
    who = {"model": name, "released": since, "source": SOURCE, "licence": LICENCE}
    return {**who, "benchmark": benchmark, "score": value, "scale": scale, **ends}
