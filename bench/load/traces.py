"""A recorded load: when each request came, and how long its prompt and answer were.

Read are CSV with a head line and JSON lines. Names of columns, any case: time `timestamp`, `arrival_s`, `time`;
prompt `in_tokens`, `input_length`, `contexttokens`, `prompt_tokens`; answer `out_tokens`, `output_length`,
`generatedtokens`, `completion_tokens`. Times are seconds, or ISO dates, or (JSON lines with `input_length`) the
milliseconds of Mooncake's traces.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.errors import ConfigError

TIMES = ("timestamp", "arrival_s", "time")
INS = ("in_tokens", "input_length", "contexttokens", "prompt_tokens")
OUTS = ("out_tokens", "output_length", "generatedtokens", "completion_tokens")


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
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise ConfigError(f"trace {path}: cannot be read ({why})") from error
    rows = _json_rows(path, lines) if lines and lines[0].lstrip().startswith("{") else list(csv.DictReader(lines))
    if not rows:
        raise ConfigError(f"trace {path}: no rows; give CSV with a head line, or JSON lines, with a column `timestamp`")
    parsed = [_row(path, number, row) for number, row in enumerate(rows, 2)]
    times = [at_s for at_s, _, _ in parsed]
    if times != sorted(times):
        late = next(i for i in range(1, len(times)) if times[i] < times[i - 1])
        raise ConfigError(f"trace {path}: row {late + 1} comes before the one above it; sort the file by time")
    lengths = tuple((i, o) for _, i, o in parsed if i is not None and o is not None)
    return Trace(
        name=path.name,
        due_ns=tuple(round((at_s - times[0]) * 1e9) for at_s in times),
        lengths=lengths if len(lengths) == len(parsed) else (),
    )


def _json_rows(path: Path, lines: list[str]) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line) if line.strip() else None
        except ValueError as error:
            raise ConfigError(f"trace {path}: line {number} is not JSON: {line[:60]!r}") from error
        if row is not None and not isinstance(row, dict):
            raise ConfigError(f"trace {path}: line {number} is not an object")
        rows += [row] if row is not None else []
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
    try:
        return float(value)
    except (TypeError, ValueError):
        pass
    try:
        text = str(value).strip()
        return datetime.fromisoformat(text[:26].rstrip("Z")).timestamp()  # some traces write seven decimals
    except ValueError as error:
        raise ConfigError(f"trace {path}: row {number}: {value!r} is neither seconds nor a date") from error


def _count(path: Path, number: int, named: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    found = [named[name] for name in names if named.get(name) not in (None, "")]
    if not found:
        return None
    try:
        count = int(float(found[0]))
    except (TypeError, ValueError, OverflowError):
        count = 0
    if count < 1:
        raise ConfigError(f"trace {path}: row {number}: {found[0]!r} is no number of tokens")
    return count
