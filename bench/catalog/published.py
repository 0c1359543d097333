"""The bundled facts: scores others published of well-known models, and how open each was from when to when.

A selection of our own with our own ids and rounding; every row names its source and licence, and a second source where
one agrees. Benchmark data by Epoch AI, "AI Benchmarking Hub", https://epoch.ai/benchmarks, CC-BY 4.0; ratings by
LMArena.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from bench.catalog.files import HERE

if TYPE_CHECKING:
    import pandas as pd

DATES = {"published": ("released", "evaluated_on"), "access": ("valid_from", "valid_to")}
NUMBERS = {"published": ("score", "stderr"), "access": ()}


def scores() -> pd.DataFrame:
    """One row per version and benchmark, its best effort's: model, version, vendor, released, benchmark,
    benchmark_version, score, stderr, effort, evaluated_on, source, source_2, licence.

    `benchmark_version` is what the importers call it, so the same figures imported are of the same one; None where
    nobody tells versions apart. `score` in the benchmark's unit (`bench.catalog.benchmarks`), proportions to three
    places, points to two or none. Unknown is NaN, NaT or None, never 0.
    """
    return _read("published").copy()


def access() -> pd.DataFrame:
    """One row per model and time: model, vendor, grade, valid_from, valid_to, weights, training_code, training_data,
    architecture, fine_tuning, source, source_2, licence.

    `valid_to` is the first day on which it no longer held, NaT = it still holds. None in a layer = unknown.
    """
    return _read("access").copy()


@cache
def _read(name: str) -> pd.DataFrame:
    import pandas as pd

    frame = pd.read_csv(HERE / f"{name}.csv", dtype="object", keep_default_na=False, na_values=[""])
    for column in NUMBERS[name]:
        frame[column] = frame[column].astype("float64")
    for column in DATES[name]:
        frame[column] = pd.to_datetime(frame[column], format="%Y-%m-%d")
    texts = frame.columns.difference([*NUMBERS[name], *DATES[name]])
    frame[texts] = frame[texts].astype("object").where(frame[texts].notna(), None)
    return frame
