"""What others published: the bundled facts, and what was imported in their place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import database
from bench.analysis.naming import ARENA, dated, in_columns, named, only, rows_of

if TYPE_CHECKING:
    import pandas

SAME_SHARE, SAME_DIGITS = 0.005, 3
"""How far a rounded figure may be from the whole one, and the places to which two layouts of a source agree."""


def published(results: Path, benchmarks: Sequence[str] | None = None) -> pandas.DataFrame:
    """Bundled facts and imports, names matched; the columns of OBSERVATION_COLUMNS up to `provenance`.

    An imported row replaces the bundled one of the same version, effort and benchmark: it is the newer, and whole.
    """
    import pandas as pd

    from bench.catalog import published as bundled

    ours = only(bundled.scores().assign(provenance="published"), benchmarks)
    theirs = _imported(results, benchmarks)
    if theirs.empty:
        return in_columns(named(ours, "version"))
    ours, theirs = named(ours, "version"), named(theirs, "model")
    once = _with_errors(_once(theirs), ours)
    both = pd.concat([ours.loc[_untold(ours, theirs)], once], ignore_index=True)
    return _released(in_columns(both))


def _with_errors(theirs: pandas.DataFrame, ours: pandas.DataFrame) -> pandas.DataFrame:
    """Imported rows without an error take that of the bundled row of the same version, effort and benchmark.

    Epoch's tables of April 2026 tell its index without the intervals that an earlier file has.
    """
    same = ("version", "effort", "benchmark")
    known = dict(zip(_keys(ours, *same), zip(ours["score"], ours["stderr"], strict=True), strict=True))
    errors = [
        stderr if stderr == stderr else _error_of(score, known.get(key))
        for key, score, stderr in zip(_keys(theirs, *same), theirs["score"], theirs["stderr"], strict=True)
    ]
    return theirs.assign(stderr=errors)


def _error_of(score: float, bundled: tuple[float, float] | None) -> float:
    """The error of a bundled score that is the same figure, rounded; NaN where it is another."""
    if bundled is None or abs(bundled[0] - score) > SAME_SHARE * abs(score):
        return float("nan")
    return bundled[1]


def _untold(ours: pandas.DataFrame, theirs: pandas.DataFrame) -> list[bool]:
    """Bundled rows that no import tells too; where one names a version of the benchmark, of that version."""
    same = ("version", "effort", "benchmark")
    any_version = set(_keys(theirs, *same))
    one_of_them = set(_keys(theirs, *same, "benchmark_version"))
    rows = _keys(ours, *same, "benchmark_version")
    return [row not in one_of_them if row[-1] else row[:-1] not in any_version for row in rows]


def _once(theirs: pandas.DataFrame) -> pandas.DataFrame:
    """Without the rows that another import tells alike, as two layouts of one source do; the one with an error stays.

    Of the rest the one with more digits. Equal figures within one import are several measurements and all stay.
    """
    what = ("version", "effort", "host", "benchmark", "benchmark_version", "shots", "scaffold", "rounded")
    keys = list(_keys(theirs.assign(rounded=theirs["score"].round(SAME_DIGITS)), *what))
    runs, unsure = list(theirs["run_id"]), list(theirs["stderr"].isna())
    digits = [len(repr(score)) for score in theirs["score"]]
    first: dict[Any, str] = {}
    for place in sorted(range(len(keys)), key=lambda n: (unsure[n], -digits[n])):
        first.setdefault(keys[place], runs[place])
    return theirs.loc[[first[key] == run for key, run in zip(keys, runs, strict=True)]]


def _keys(frame: pandas.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """Rows of those columns to compare by: None and NaN are the same unknown, and so is a column that isn't there."""
    whole = frame.reindex(columns=list(columns)).astype("object")
    return rows_of(whole.where(whole.notna(), None), *columns)


def _released(frame: pandas.DataFrame) -> pandas.DataFrame:
    """With dates of release where the source has none: of the bundled facts, else the day it was first rated.

    A leaderboard rates a model from its release on or earlier, so its first snapshot bounds the date from above.
    """
    undated = frame["released"].isna()
    if not undated.any():
        return frame
    known = dated(frame[undated].drop(columns=["released", "vendor"]))
    first = frame[undated].groupby("version")["first_rated"].transform("min")
    frame.loc[undated, "released"] = known["released"].fillna(first)
    frame.loc[undated, "vendor"] = frame.loc[undated, "vendor"].fillna(known["vendor"])
    return frame


def _imported(results: Path, benchmarks: Sequence[str] | None) -> pandas.DataFrame:
    import pandas as pd

    if not (Path(results) / database.NAME).exists():
        return pd.DataFrame()
    wanted = None if benchmarks is None else list(benchmarks)
    found = database.query(results, "published_scores", benchmarks=wanted, arena=ARENA)
    return found.assign(provenance="published")
