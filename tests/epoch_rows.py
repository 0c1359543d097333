"""Epoch's hub of April 2026 as observations, read straight from the files: the ground the published index stands on."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.catalog.benchmarks import Benchmark, benchmarks
from bench.catalog.names import match


def in_index() -> dict[str, Benchmark]:
    return {name: fact for name, fact in benchmarks().items() if fact.in_index}


def observations(folder: Path) -> pd.DataFrame:
    """raw, benchmark, score, model, version, effort, released; and `epoch_name`, `published` (the index) to compare."""
    versions = pd.read_csv(folder / "epoch_capabilities_index.csv").drop_duplicates("Model version")
    known = versions.set_index("Model version")
    seen = pd.concat([_scores(folder, fact) for fact in in_index().values()], ignore_index=True)
    seen = seen[seen["raw"].isin(known.index)].reset_index(drop=True)
    names = {raw: match(raw) for raw in seen["raw"].unique()}
    return seen.assign(
        model=[names[raw].model for raw in seen["raw"]],
        version=[names[raw].version for raw in seen["raw"]],
        effort=[names[raw].effort for raw in seen["raw"]],
        released=pd.to_datetime(seen["raw"].map(known["Release date"])),
        epoch_name=seen["raw"].map(known["Model name"]).str.strip(),
        published=seen["raw"].map(known["ECI Score"]),
        stderr=float("nan"),
    )


def grouped_as_published(seen: pd.DataFrame) -> pd.DataFrame:
    """Rows of the versions with a published index, in Epoch's own groups: one model name and one published index.

    The groups themselves are not published; the file's model name holds several releases (three GPT-4o, say).
    """
    seen = seen[seen["epoch_name"].notna() & seen["published"].notna()]
    several = seen.groupby("epoch_name")["published"].transform("nunique") > 1
    told = seen["epoch_name"].where(~several, seen["epoch_name"] + " " + seen["published"].round(6).astype(str))
    return seen.assign(model=told, version=seen["raw"])


def _scores(folder: Path, fact: Benchmark) -> pd.DataFrame:
    reading = fact.layouts["hub"]
    table = pd.read_csv(folder / f"{reading.file}.csv")
    score = pd.to_numeric(table[reading.score], errors="coerce") / float(reading.divisor)
    return pd.DataFrame({"raw": table["Model version"], "benchmark": fact.id, "score": score}).dropna()
