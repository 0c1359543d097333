"""What was measured here, alone and on one scale with what others published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench import database
from bench.analysis.naming import dated, in_columns, named, only, rows_of
from bench.analysis.published_scores import published
from bench.errors import ConfigError

if TYPE_CHECKING:
    import pandas

LEAST_OVERLAP = 3
"""Models that both measured, below which own and published scores are never brought onto one scale."""


def own(results: Path, benchmarks: Sequence[str] | None = None) -> pandas.DataFrame:
    """The newest runs here: one row per target and task, and per target and macro mean; models of ours are left out.

    A benchmark of ours is `SUITE@VERSION/TASK`, or a known benchmark that the task is an alias of.
    """
    import pandas as pd

    from bench.analysis.measured import report
    from bench.catalog import load

    if not (Path(results) / database.NAME).exists():
        return in_columns(pd.DataFrame(columns=["version"]))
    found = report(results)
    found = found[(found["layer"] != "reference") & found["value"].notna()]
    catalog = load()
    names = {target: _model_name(catalog, target) for target in found["target"].unique()}
    frame = pd.DataFrame(
        {
            "raw": found["target"].map(names),
            "benchmark": [_benchmark_of(*key) for key in rows_of(found, "suite", "suite_version", "task")],
            "benchmark_version": [_version_of(*key) for key in rows_of(found, "suite_version", "task")],
            "score": found["value"],
            "stderr": (found["ci_high"] - found["ci_low"]) / (2 * 1.959964),
            "n_items": found["n"],
            "evaluated_on": pd.to_datetime(found["run_ids"].map(lambda ids: ids[0][:8])),
            "source": found["run_ids"].map(lambda ids: ids[0]),
            "licence": "own measurement",
            "provenance": "own",
        }
    )
    return in_columns(dated(named(only(frame, benchmarks), "raw")))


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
    told = set(rows_of(ours, "benchmark", "benchmark_version"))
    pairs = rows_of(theirs, "benchmark", "benchmark_version")
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
