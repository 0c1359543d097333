"""Of which day a file of LMArena's is: by its name, else by the history beside it that has the same ratings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from bench.imports.lmarena_cells import get
from bench.imports.opened import Opened
from bench.imports.tabular import Row, day, header_of, number, table

HISTORY = {"commit_date", "style_control", "category", "model", "rating"}
"""Columns of a table of all snapshots."""
ALIKE = 0.99
"""Share of a snapshot's ratings that a JSON must have to be that snapshot; some are corrected afterwards."""
ROUNDING = 0.01


def is_styled(row: Row) -> bool:
    """Whether a rating of a history is with style control."""
    return row["style_control"].lower() in ("yes", "true", "1")


def date_in(name: str) -> str | None:
    """`leaderboard_table_20240109.csv` -> `2024-01-09`."""
    found = re.search(r"(20\d\d)-?(\d\d)-?(\d\d)(?!\d)", PurePosixPath(name).name)
    told = day("-".join(found.groups())) if found else None
    return told.isoformat() if told else None


@dataclass(kw_only=True)
class Past:
    """The snapshots of whichever histories are among the files."""

    found: Opened

    def date_of(self, content: Mapping[str, Any], style: bool) -> str | None:
        """The newest day whose snapshot has the same ratings; None where there is none."""
        days = sorted((day for day, styled in self._snapshots if styled == style), reverse=True)
        return next((day for day in days if _agreement(content, self._snapshots[day, style]) > ALIKE), None)

    @cached_property
    def _snapshots(self) -> dict[tuple[str, bool], list[Row]]:
        """Rows by day and whether they are with style control."""
        found: dict[tuple[str, bool], list[Row]] = {}
        for row in self._rows():
            found.setdefault((row["commit_date"], is_styled(row)), []).append(row)
        return found

    def _rows(self) -> Iterator[Row]:
        for name in self.found.files:
            if name.lower().endswith(".csv") and set(header_of(self.found.text(name))) >= HISTORY:
                yield from table(self.found.where(name), self.found.text(name)).rows


def _agreement(content: Mapping[str, Any], rows: list[Row]) -> float:
    """Share of the rows whose rating is in the JSON, too."""
    same = 0
    for row in rows:
        told, rating = get(content, row["category"], row["model"], "rating"), number(row["rating"])
        same += told is not None and rating is not None and abs(told - rating) < ROUNDING
    return same / len(rows)
