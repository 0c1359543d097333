"""What the files of evaluation tools have in common: whose benchmark a task is, and the row of one figure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from bench.catalog.benchmarks import benchmarks, known
from bench.imports.nouns import text
from bench.imports.published import LARGEST
from bench.imports.tabular import slug, words

NOT_A_NUMBER = "a value that is not a number"
TOO_LARGE = "a number larger than any benchmark's"


def benchmark_of(task: str, metric: str, own: str | None) -> str:
    """Our id where `own` is one; else a slug of task and metric, so that two metrics are never one benchmark."""
    if own is not None and own in benchmarks():
        return own
    return slug(f"{task}-{metric}")


def known_task(task: str) -> str | None:
    """The benchmark that a task's name is an id or alias of."""
    found = known(task)
    return None if found is None or found.scale != "proportion" else found.id


def name(value: Any) -> str | None:
    """A name on one line, in whole characters, and no longer than names are; None for none."""
    found = words(text(value))
    return found.encode("utf-8", "replace").decode() if found else None


def figure(value: Any) -> float | str:
    """A figure as it can be a score, or why it can't."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return NOT_A_NUMBER
    try:
        found = float(value)
    except OverflowError:
        return TOO_LARGE
    if not isfinite(found):
        return NOT_A_NUMBER
    return found if abs(found) <= LARGEST else TOO_LARGE


def scaled(benchmark: str, value: float, *, points: bool = False) -> str | None:
    """The scale of a score: a proportion where it is from 0 to 1 and isn't known to be points.

    None where a benchmark of ours is a proportion and this is not.
    """
    if 0 <= value <= 1 and not points:
        return "proportion"
    return None if benchmark in benchmarks() else "points"


def stderr_of(value: Any) -> float | None:
    found = figure(value)
    return found if isinstance(found, float) and found >= 0 else None


def whole(value: Any) -> int | None:
    """A count as a file may have it: 5, 5.0, "5"; None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST:
        return None
    return int(value) if int(value) == value else None


def version_text(value: Any) -> str | None:
    """3, 3.0 and "3.0" are one version."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    return re.sub(r"\.0$", "", name(str(value)) or "")[:40] or None


def day_of(value: Any) -> str | None:
    """The day, UTC, of a time in seconds since 1970 or in ISO; None for what is neither."""
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found = datetime.fromtimestamp(value, UTC)
        else:
            return None
        when = found.astimezone(UTC) if found.tzinfo else found
    except (ValueError, OverflowError, OSError):
        return None
    return f"{when:%Y-%m-%d}" if 1990 <= when.year <= 2200 else None


def told(value: Any) -> str | None:
    """A setting as a short text: `high`, `16000`; None for none."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return (name(str(value)) or "")[:40] or None


def part_of(n: int | None, every: int | None) -> str | None:
    """`30 of 1,319 items`, where a limit was set: a part of a benchmark is not the benchmark."""
    return f"{n:,} of {every:,} items" if n is not None and every is not None and n < every else None


def scaffold(*parts: str | None) -> str:
    """How it was asked and scored, in words, in the order given."""
    return ", ".join(part for part in parts if part)[:200]


def row(**columns: Any) -> Mapping[str, Any]:
    """A row of `published_score` without what is unknown."""
    return {key: value for key, value in columns.items() if value is not None}
