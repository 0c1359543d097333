"""Scores with the names, dates and vendors they go by, in the columns of an observation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

ARENA = "lmarena"
"""Begins the id of every benchmark that is a rating by votes, taken in snapshots."""
OBSERVATION_COLUMNS = (
    "raw", "model", "version", "effort", "host", "label", "vendor", "released", "benchmark", "benchmark_version",
    "scale", "score", "stderr", "n_items", "shots", "scaffold", "evaluated_on", "source", "licence", "provenance",
    "grade", "open_since", "closed_since",
)  # fmt: skip
NUMBERS = ("score", "stderr", "n_items", "shots")
DATES = ("released", "evaluated_on", "first_rated")


def named(frame: pandas.DataFrame, column: str) -> pandas.DataFrame:
    """With `model`, `version`, `effort`, `host` and `label` by the rules of `bench.catalog.names`."""
    from bench.catalog.names import match
    from bench.catalog.overrides import load_overrides

    overrides = load_overrides()
    found = {name: match(name, overrides) for name in frame[column].unique()}
    matched = frame[column].map(found)
    told = frame.get("effort")
    effort = matched.map(lambda m: m.effort)
    display = frame.get("display_name")
    version = matched.map(lambda m: m.version)
    return frame.assign(
        raw=frame[column],
        model=matched.map(lambda m: m.model),
        version=version,
        effort=effort if told is None else told.where(told.notna(), effort),
        host=matched.map(lambda m: m.host),
        label=version if display is None else display.where(display.notna(), version),
    )


def in_columns(frame: pandas.DataFrame) -> pandas.DataFrame:
    """With every column of an observation, numbers and dates as such; what is unknown is NaN, NaT or None."""
    import pandas as pd

    whole = frame.reindex(columns=list(dict.fromkeys((*OBSERVATION_COLUMNS, "first_rated", *frame.columns))))
    for column in NUMBERS:
        whole[column] = pd.to_numeric(whole[column])
    for column in DATES:
        whole[column] = pd.to_datetime(whole[column])
    return whole.reset_index(drop=True)


def dated(frame: pandas.DataFrame) -> pandas.DataFrame:
    """With `released` and `vendor` from the bundled facts and the catalogue: by version, else by model."""
    import pandas as pd

    by_name = facts()
    known = [by_name.get(version, by_name.get(model, {})) for version, model in rows_of(frame, "version", "model")]
    dates: list[Any] = [fact.get("released") for fact in known]
    released = pd.to_datetime(pd.Series(dates, index=frame.index, dtype="object"))
    vendors: list[Any] = [fact.get("vendor") for fact in known]
    return frame.assign(released=released, vendor=vendors)


def facts() -> Mapping[str, Mapping[str, Any]]:
    """`released` and `vendor` by version and by model, the earliest release of a model standing for it."""
    from bench.catalog import load
    from bench.catalog import published as bundled

    found: dict[str, dict[str, Any]] = {}
    for model in load().models.values():
        found[model.id] = {"released": model.released, "vendor": model.vendor}
    rows = bundled.scores().sort_values("released", na_position="last")
    for version, model, released, vendor in rows_of(rows, "version", "model", "released", "vendor"):
        for name in (version, model):
            found.setdefault(name, {"released": released, "vendor": vendor})
    return found


def only(frame: pandas.DataFrame, benchmarks: Sequence[str] | None) -> pandas.DataFrame:
    return frame if benchmarks is None else frame[frame["benchmark"].isin(list(benchmarks))]


def rows_of(frame: pandas.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """Rows of those columns, as tuples."""
    return zip(*(frame[column] for column in columns), strict=True)
