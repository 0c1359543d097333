"""CSV tables as people publish them, and what their cells mean: percents, odd dates, names."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from io import StringIO
from typing import Any

from bench.errors import ConfigError
from bench.imports.published import LARGEST, RowCount

LONGEST_NAME = 200
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(?:\.\d*)?(?:[eE][-+]?\d{1,3})?")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATES = (
    re.compile(r"(?P<y>\d{4})[-/](?P<m>\d{1,2})[-/](?P<d>\d{1,2})(?:[T ].*)?"),
    re.compile(r"(?P<d>\d{1,2})/(?P<m>\d{1,2})/(?P<y>\d{4})(?: .*)?"),
    re.compile(r"(?P<d>\d{1,2}) (?P<word>[A-Za-z]{3,9})\.? (?P<y>\d{4})(?: .*)?"),
    re.compile(r"(?P<word>[A-Za-z]{3,9})\.? (?P<d>\d{1,2}), (?P<y>\d{4})(?: .*)?"),
)

Row = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Table:
    """One CSV file: its header and rows; cells are stripped, a cell that is missing is ''."""

    where: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    lines: tuple[int, ...]
    """The line each row ends on, for messages."""


def table(where: str, text: str) -> Table:
    """ConfigError, with the line, when it is no table or breaks off inside a quoted cell."""
    try:
        return _table(where, text, strict=True)
    except csv.Error as error:
        if "expected after" not in str(error):
            raise ConfigError(f"{where}: {_said(error)}") from error
    try:  # a quote inside a quoted cell that isn't doubled: what follows is still the cell
        return _table(where, text, strict=False)
    except csv.Error as error:
        raise ConfigError(f"{where}: {_said(error)}") from error


def header_of(text: str) -> tuple[str, ...]:
    """The first row; empty where there is none."""
    try:
        return tuple(cell.strip() for cell in next(csv.reader(StringIO(text, newline="")), []))
    except csv.Error:
        return ()


def _table(where: str, text: str, *, strict: bool) -> Table:
    reader = csv.reader(StringIO(text, newline=""), strict=strict)
    header = tuple(cell.strip() for cell in next(reader, []))
    rows, lines = [], []
    for cells in reader:
        if cells:
            rows.append(_row(header, cells))
            lines.append(reader.line_num)
    return Table(where=where, header=header, rows=tuple(rows), lines=tuple(lines))


def _row(header: tuple[str, ...], cells: list[str]) -> Row:
    filled = [cell.strip() for cell in cells] + [""] * (len(header) - len(cells))
    return dict(zip(header, filled, strict=False))


def _said(error: csv.Error) -> str:
    told = str(error)
    if "field larger" in told:
        return f"a cell of over {csv.field_size_limit():,} characters; this is no table, or it is damaged"
    if "unexpected end" in told:
        return "breaks off inside a quoted cell; fetch it again"
    return f"no CSV ({told}); fetch it again"


# --------------------------------------------------------------------------------------------------------------- cells


def number(text: str | None) -> float | None:
    """`1,234.5`, `77.0%` as 77.0, `$0.13`; None for anything else, infinities and NaN among it."""
    found = _NUMBER.fullmatch((text or "").strip().removeprefix("$").removesuffix("%").strip())
    value = float(found[0].replace(",", "")) if found else math.nan
    return value if abs(value) <= LARGEST else None


def share(text: str | None, divisor: float) -> float | None:
    """A number over `divisor`, a percent as such, whatever the divisor is."""
    value = number(text)
    by = 100.0 if (text or "").rstrip().endswith("%") else divisor
    return None if value is None else round(value / by, 15)  # 0.339 of 33.9%, as if it had been written so


def day(text: str | None) -> date | None:
    """ISO with or without a time, `25/11/2024` (the day first), `17 November 2025 4:28pm`; None for anything else."""
    for pattern in _DATES:
        if found := pattern.fullmatch((text or "").strip()):
            told = found.groupdict()
            word = (told.get("word") or "")[:3].lower()
            month = _MONTHS.index(word) + 1 if word in _MONTHS else int(told.get("m") or 0)
            try:
                return date(int(told["y"]), month, int(told["d"]))
            except ValueError:
                return None
    return None


def count(text: str | None) -> int | None:
    """`5`, `25-shot`; None for `few`."""
    found = re.fullmatch(r"(\d{1,6})(?:[- ]?shots?)?", (text or "").strip())
    return int(found[1]) if found else None


def words(text: str | None, most: int = 200) -> str | None:
    """Any text on one line and not longer than that; None for none."""
    told = " ".join((text or "").split())
    return told[:most] or None


def slug(name: str) -> str:
    """An id of ours for a benchmark that isn't in the catalogue."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")[:80] or "unnamed"


def first(row: Mapping[str, Any], *columns: str) -> Any:
    """The first of these cells that isn't empty."""
    return next((row[column] for column in columns if row.get(column)), None)


# -------------------------------------------------------------------------------------------------------------- counts


@dataclass(kw_only=True)
class Tally:
    """Counts what becomes of one file's rows: every row is kept or skipped for a reason, none of them twice."""

    file: str
    read: int = 0
    kept: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def keep(self) -> None:
        self.read += 1
        self.kept += 1

    def skip(self, why: str, n: int = 1) -> None:
        self.read += n
        if n:
            self.skipped[why] += n

    def count(self) -> RowCount:
        return RowCount(file=self.file, read=self.read, kept=self.kept, skipped=dict(self.skipped))


def tally_of(tally: Tally, why: str | None) -> None:
    """Kept where there is no reason against it."""
    if why is None:
        tally.keep()
    else:
        tally.skip(why)


def distinct(rows: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Without repetitions, in order: the same grade of the same model stands in many files."""
    return tuple({tuple(sorted(row.items(), key=lambda item: item[0])): row for row in rows}.values())
