"""One version of a benchmark at a time: a snapshot of an arena, a fit of an index, a release of its items."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from bench.analysis.naming import ARENA
from bench.errors import ConfigError

if TYPE_CHECKING:
    import pandas


def one_version(found: pandas.DataFrame, benchmark: str, as_of: dt.date | None) -> tuple[pandas.DataFrame, str | None]:
    """Scores of one version of a benchmark, and which; all of them where nobody names a version.

    Of an arena, whose ratings shift from snapshot to snapshot, the newest snapshot by `as_of`; of a fitted index the
    newest fit, which measures old models anew; of any other benchmark the version with the newest model, then the one
    with most models. Rows that name no version go with it. ConfigError where no snapshot is old enough.
    """
    part = found[found["benchmark"] == benchmark]
    named = part["benchmark_version"].dropna()
    if named.nunique() < 2:
        return part, None if named.empty else str(named.iloc[0])
    dates = named[named.str.fullmatch(r"\d{4}-\d{2}-\d{2}")]
    if len(dates):
        until = dates[dates <= as_of.isoformat()] if as_of is not None and benchmark.startswith(ARENA) else dates
        if until.empty:
            raise ConfigError(f"the oldest snapshot is of {dates.min()}, after {as_of}; ask for a later --as-of")
        return part[part["benchmark_version"] == until.max()], str(until.max())
    by_version = part.groupby("benchmark_version").agg({"released": "max", "model": "nunique"})
    order = by_version.reset_index().sort_values(["released", "model", "benchmark_version"], na_position="first")
    chosen = str(order["benchmark_version"].iloc[-1])
    return part[part["benchmark_version"].isna() | (part["benchmark_version"] == chosen)], chosen


def one_version_each(found: pandas.DataFrame) -> pandas.DataFrame:
    """The same of every benchmark, by the newest."""
    import pandas as pd

    parts = [one_version(found, str(name), None)[0] for name in found["benchmark"].unique()]
    return pd.concat(parts, ignore_index=True) if parts else found
