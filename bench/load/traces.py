"""A recorded load: when each request came, and how long its prompt and answer were.

Read are CSV with a head line and JSON lines. Names of columns, any case: time `timestamp`, `arrival_s`, `time`;
prompt `in_tokens`, `input_length`, `contexttokens`, `prompt_tokens`; answer `out_tokens`, `output_length`,
`generatedtokens`, `completion_tokens`. Times are seconds, or ISO dates, or (JSON lines with `input_length`) the
milliseconds of Mooncake's traces.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.errors import ConfigError

TIMES = ("timestamp", "arrival_s", "time")
INS = ("in_tokens", "input_length", "contexttokens", "prompt_tokens")
OUTS = ("out_tokens", "output_length", "generatedtokens", "completion_tokens")


MOST_TOKENS = 100_000_000
LONGEST_S = 1e12
_MORE_DIGITS = re.compile(r"(\.\d{6})\d+")


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Requests in order of time; the first is due at 0."""

    name: str
    due_ns: tuple[int, ...]
    lengths: tuple[tuple[int, int], ...]
    """(prompt, answer) [tokens] of each; empty where the file has no lengths."""

    @property
    def duration_s(self) -> float:
        return self.due_ns[-1] / 1e9

    @property
    def rate_rps(self) -> float:
        return (len(self.due_ns) - 1) / self.duration_s if self.duration_s else 1.0


def read(path: Path) -> Trace:
    """ConfigError naming file, line and value for whatever is not such a file."""
    rows = _rows(path)
    if not rows:
        raise ConfigError(f"trace {path}: no rows; give CSV with a head line, or JSON lines, with a column `timestamp`")
    parsed = [(number, *_row(path, number, row)) for number, row in rows]
    for (_, before_s, _, _), (number, at_s, _, _) in pairwise(parsed):
        if at_s < before_s:
            raise ConfigError(f"trace {path}: line {number} comes before the one above it; sort the file by time")
    first_s = parsed[0][1]
    lengths = tuple((i, o) for _, _, i, o in parsed if i is not None and o is not None)
    return Trace(
        name=path.name,
        due_ns=tuple(round((at_s - first_s) * 1e9) for _, at_s, _, _ in parsed),
        lengths=lengths if len(lengths) == len(parsed) else (),
    )


def _rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """(line of the file, row) of every row."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise ConfigError(f"trace {path}: cannot be read ({why})") from error
    if text.lstrip().startswith("{"):
        return _json_rows(path, text.splitlines())
    reader = csv.DictReader(text.splitlines())
    try:
        return [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise ConfigError(f"trace {path}: line {reader.line_num} is not CSV: {error}") from error


def _json_rows(path: Path, lines: list[str]) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"trace {path}: line {number} is not JSON: {line[:60]!r}") from error
        if not isinstance(row, dict):
            raise ConfigError(f"trace {path}: line {number} is not an object")
        rows.append((number, row))
    return rows


def _row(path: Path, number: int, row: Mapping[str, Any]) -> tuple[float, int | None, int | None]:
    named = {str(name).strip().lower(): value for name, value in row.items() if name is not None}
    times = [named[name] for name in TIMES if name in named]
    if not times:
        raise ConfigError(f"trace {path}: no column of time; name one of {', '.join(TIMES)}")
    milliseconds = "input_length" in named and isinstance(times[0], int)
    at_s = _seconds(path, number, times[0]) / (1000 if milliseconds else 1)
    return at_s, _count(path, number, named, INS), _count(path, number, named, OUTS)


def _seconds(path: Path, number: int, value: Any) -> float:
    """Seconds as they are; of a date those since 1970, in UTC where it names no zone."""
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = _date(str(value).strip())
    if not abs(seconds) < LONGEST_S:
        raise ConfigError(f"trace {path}: line {number}: {shown(value)} is neither seconds nor a date")
    return seconds


def _date(text: str) -> float:
    """NaN for what is no date. Some traces write more decimals than Python reads."""
    try:
        found = datetime.fromisoformat(_MORE_DIGITS.sub(r"\1", text))
    except ValueError:
        return math.nan
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _count(path: Path, number: int, named: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    found = [named[name] for name in names if named.get(name) not in (None, "")]
    if not found:
        return None
    try:
        count = int(float(found[0]))
    except (TypeError, ValueError, OverflowError):
        count = 0
    if not 1 <= count <= MOST_TOKENS:
        raise ConfigError(f"trace {path}: line {number}: {shown(found[0])} is no number of tokens")
    return count
