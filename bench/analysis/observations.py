"""Scores of models, ours and others', with who could use the model since when: the input of every gap.

One row per score. Published rows are the bundled facts and what was imported; own rows are the newest runs here. Names
are matched by `bench.catalog.names`, grades of access come from the first of these that knows the model: overrides,
bundled facts, Epoch's own words, other sources' licence labels, the catalogue.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench import database
from bench.analysis import openness
from bench.errors import ConfigError

if TYPE_CHECKING:
    import pandas

Provenance = Literal["published", "own", "combined"]
PROVENANCES: tuple[Provenance, ...] = ("published", "own", "combined")
DEFAULT_OPEN = "weights-noncommercial"
"""Any weights one can download count as open, unless the reader asks for more."""
ARENA = "lmarena"
"""Begins the id of every benchmark that is a rating by votes, taken in snapshots."""
SAME_SHARE, SAME_DIGITS = 0.005, 3
"""How far a rounded figure may be from the whole one, and the places to which two layouts of a source agree."""
LEAST_OVERLAP = 3
"""Models that both measured, below which own and published scores are never brought onto one scale."""

OBSERVATION_COLUMNS = (
    "raw", "model", "version", "effort", "host", "label", "vendor", "released", "benchmark", "benchmark_version",
    "scale", "score", "stderr", "n_items", "shots", "scaffold", "evaluated_on", "source", "licence", "provenance",
    "grade", "open_since", "closed_since",
)  # fmt: skip
NUMBERS = ("score", "stderr", "n_items", "shots")
DATES = ("released", "evaluated_on", "first_rated")


def observations(
    results: Path,
    *,
    provenance: str = "published",
    open_at_least: str = DEFAULT_OPEN,
    as_of: dt.date | None = None,
    benchmarks: Sequence[str] | None = None,
) -> pandas.DataFrame:
    """One row per score; OBSERVATION_COLUMNS. Scores are proportions in [0, 1] or points, by the benchmark's scale.

    `label` is the name to show, `raw` the one its source writes, `grade` the grade of access on `as_of` (None: the
    newest), `open_since` the day from which the weights were at least `open_at_least` (NaT: never), `closed_since` the
    day from which it was to be had under a lower grade before that (NaT: never). A model whose grade nobody tells has
    neither. `benchmarks`: ids; None = all.
    """
    frame = {"published": published, "own": own, "combined": combined}[_checked(provenance)](results, benchmarks)
    return regraded(results, frame, open_at_least=open_at_least, as_of=as_of)


def regraded(
    results: Path, frame: pandas.DataFrame, *, open_at_least: str, as_of: dt.date | None = None
) -> pandas.DataFrame:
    """The same observations at another threshold of what is open."""
    import pandas as pd

    when = None if as_of is None else pd.Timestamp(as_of)
    graded = openness.graded(frame, openness.access(results), open_at_least, when)
    return graded[list(OBSERVATION_COLUMNS)].reset_index(drop=True)


def _checked(provenance: str) -> Provenance:
    if provenance not in PROVENANCES:
        raise ConfigError(f"provenance {provenance!r} is none of {', '.join(PROVENANCES)}")
    return provenance


# ------------------------------------------------------------------------------------------------------- three sources


def published(results: Path, benchmarks: Sequence[str] | None = None) -> pandas.DataFrame:
    """Bundled facts and imports, names matched; the columns of OBSERVATION_COLUMNS up to `provenance`.

    An imported row replaces the bundled one of the same version, effort and benchmark: it is the newer, and whole.
    """
    import pandas as pd

    from bench.catalog import published as bundled

    ours = _of(bundled.scores().assign(provenance="published", from_import=False), benchmarks)
    theirs = _imported(results, benchmarks)
    if theirs.empty:
        return _plain(_named(ours, "version"))
    ours, theirs = _named(ours, "version"), _named(theirs, "model")
    once = _with_errors(_once(theirs), ours)
    named = pd.concat([ours.loc[_untold(ours, theirs)], once], ignore_index=True)
    return _released(_plain(named))


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
    return _rows(whole.where(whole.notna(), None), *columns)


def _released(frame: pandas.DataFrame) -> pandas.DataFrame:
    """With dates of release where the source has none: of the bundled facts, else the day it was first rated.

    A leaderboard rates a model from its release on or earlier, so its first snapshot bounds the date from above.
    """
    undated = frame["released"].isna()
    if not undated.any():
        return frame
    known = _dated(frame[undated].drop(columns=["released", "vendor"]))
    first = frame[undated].groupby("version")["first_rated"].transform("min")
    frame.loc[undated, "released"] = known["released"].fillna(first)
    frame.loc[undated, "vendor"] = frame.loc[undated, "vendor"].fillna(known["vendor"])
    return frame


def _of(frame: pandas.DataFrame, benchmarks: Sequence[str] | None) -> pandas.DataFrame:
    return frame if benchmarks is None else frame[frame["benchmark"].isin(list(benchmarks))]


def _imported(results: Path, benchmarks: Sequence[str] | None) -> pandas.DataFrame:
    import pandas as pd

    if not (Path(results) / database.NAME).exists():
        return pd.DataFrame()
    wanted = None if benchmarks is None else list(benchmarks)
    found = database.query(results, "published_scores", benchmarks=wanted, arena=ARENA)
    return found.assign(from_import=True, provenance="published")


def _named(frame: pandas.DataFrame, column: str) -> pandas.DataFrame:
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


def _plain(frame: pandas.DataFrame) -> pandas.DataFrame:
    import pandas as pd

    whole = frame.reindex(columns=list(dict.fromkeys((*OBSERVATION_COLUMNS, "first_rated", *frame.columns))))
    for column in NUMBERS:
        whole[column] = pd.to_numeric(whole[column])
    for column in DATES:
        whole[column] = pd.to_datetime(whole[column])
    return whole.reset_index(drop=True)


def own(results: Path, benchmarks: Sequence[str] | None = None) -> pandas.DataFrame:
    """The newest runs here: one row per target and task, and per target and macro mean; models of ours are left out.

    A benchmark of ours is `SUITE@VERSION/TASK`, or a known benchmark that the task is an alias of.
    """
    import pandas as pd

    from bench.analysis.measured import report
    from bench.catalog import load

    if not (Path(results) / database.NAME).exists():
        return _plain(pd.DataFrame(columns=["version"]))
    found = report(results)
    found = found[(found["layer"] != "reference") & found["value"].notna()]
    catalog = load()
    names = {target: _model_name(catalog, target) for target in found["target"].unique()}
    frame = pd.DataFrame(
        {
            "raw": found["target"].map(names),
            "benchmark": [_benchmark_of(*key) for key in _rows(found, "suite", "suite_version", "task")],
            "benchmark_version": [_version_of(*key) for key in _rows(found, "suite_version", "task")],
            "score": found["value"],
            "stderr": (found["ci_high"] - found["ci_low"]) / (2 * 1.959964),
            "n_items": found["n"],
            "evaluated_on": pd.to_datetime(found["run_ids"].map(lambda ids: ids[0][:8])),
            "source": found["run_ids"].map(lambda ids: ids[0]),
            "licence": "own measurement",
            "provenance": "own",
        }
    )
    return _plain(_dated(_named(_of(frame, benchmarks), "raw")))


def _model_name(catalog: object, spec: str) -> str:
    """What a target's model is called: the catalogue's id where it says so, else what follows the provider's name."""
    from bench.catalog import Catalog, target

    assert isinstance(catalog, Catalog)
    try:
        known = catalog.model_of(target(spec, catalog))
    except ConfigError:  # a target of a run that isn't declared any more
        known = None
    if known is not None:
        return known.id
    provider, _, name = spec.partition("#" if "#" in spec else "@" if "@" in spec else ":")
    return name.replace(":", "-") if provider == "ollama" else name or spec


def _benchmark_of(suite: str, version: str, task: str) -> str:
    from bench.catalog.benchmarks import known

    found = known(task)
    return f"{suite}@{version}/{task}" if found is None else found.id


def _version_of(version: str, task: str) -> str | None:
    """The suite's, of a task of ours; which version of a known benchmark a task asks is not known."""
    from bench.catalog.benchmarks import known

    return version if known(task) is None else None


def _dated(frame: pandas.DataFrame) -> pandas.DataFrame:
    """With `released` and `vendor` from the bundled facts and the catalogue: by version, else by model."""
    import pandas as pd

    by_name = facts()
    known = [by_name.get(version, by_name.get(model, {})) for version, model in _rows(frame, "version", "model")]
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
    for version, model, released, vendor in _rows(rows, "version", "model", "released", "vendor"):
        for name in (version, model):
            found.setdefault(name, {"released": released, "vendor": vendor})
    return found


def combined(results: Path, benchmarks: Sequence[str] | None = None) -> pandas.DataFrame:
    """Own and published on one scale, where at least LEAST_OVERLAP models were measured by both; else neither's.

    Of such a benchmark, published scores are moved by the mean of own minus published over the shared models' best, and
    that mean's standard error is added to theirs; own rows stay as they are and replace the published ones.
    """
    import pandas as pd

    ours = own(results, benchmarks)
    theirs = _comparable(ours, published(results, benchmarks))
    parts = [
        _together(ours[ours["benchmark"] == name], theirs[theirs["benchmark"] == name])
        for name in overlap(ours, theirs)
    ]
    return pd.concat(parts, ignore_index=True) if parts else ours.iloc[:0]


def _comparable(ours: pandas.DataFrame, theirs: pandas.DataFrame) -> pandas.DataFrame:
    """Published scores without those of another version of the benchmark."""
    told = set(_rows(ours, "benchmark", "benchmark_version"))
    pairs = _rows(theirs, "benchmark", "benchmark_version")
    same = [pair[1] is None or pair[1] != pair[1] or pair in told for pair in pairs]
    return theirs.loc[same]


def overlap(ours: pandas.DataFrame, theirs: pandas.DataFrame) -> list[str]:
    """Benchmarks whose own and published scores may stand on one scale."""
    shared = ours[["benchmark", "model"]].merge(theirs[["benchmark", "model"]]).drop_duplicates()
    counted = shared.groupby("benchmark").size()
    return [str(name) for name in counted[counted >= LEAST_OVERLAP].index]


def _together(ours: pandas.DataFrame, theirs: pandas.DataFrame) -> pandas.DataFrame:
    import numpy as np
    import pandas as pd

    pairs = (
        ours.groupby("model")["score"].max().to_frame("own").join(theirs.groupby("model")["score"].max(), how="inner")
    )
    shift = pairs["own"] - pairs["score"]
    doubt = float(shift.std(ddof=1) / np.sqrt(len(shift)))
    rest = theirs[~theirs["model"].isin(set(ours["model"]))]
    score = rest["score"] + shift.mean()
    if ours["score"].between(0, 1).all():
        score = score.clip(0, 1)
    moved = rest.assign(score=score, stderr=np.hypot(rest["stderr"], doubt))
    return pd.concat([ours, moved], ignore_index=True).assign(provenance="combined")


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


def _rows(frame: pandas.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """Rows of those columns, as tuples."""
    return zip(*(frame[column] for column in columns), strict=True)
