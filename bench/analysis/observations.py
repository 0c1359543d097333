"""Scores of models, ours and others', with who could use the model since when: the input of every gap.

One row per score. Published rows are the bundled facts and what was imported; own rows are the newest runs here. Names
are matched by `bench.catalog.names`, grades of access come from the first of these that knows the model: overrides,
bundled facts, Epoch's own words, other sources' licence labels, the catalogue.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.analysis import openness
from bench.analysis.naming import OBSERVATION_COLUMNS
from bench.analysis.own_scores import combined, own
from bench.analysis.published_scores import published
from bench.errors import ConfigError

if TYPE_CHECKING:
    import pandas

Provenance = Literal["published", "own", "combined"]
PROVENANCES: tuple[Provenance, ...] = ("published", "own", "combined")
DEFAULT_OPEN = "weights-noncommercial"
"""Any weights one can download count as open, unless the reader asks for more."""


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
    return regraded(frame, openness.access(results), open_at_least=open_at_least, as_of=as_of)


def regraded(
    frame: pandas.DataFrame, grades: pandas.DataFrame, *, open_at_least: str, as_of: dt.date | None = None
) -> pandas.DataFrame:
    """The same observations at another threshold of what is open; `grades` are those of `openness.access`."""
    import pandas as pd

    when = None if as_of is None else pd.Timestamp(as_of)
    graded = openness.graded(frame, grades, open_at_least, when)
    return graded[list(OBSERVATION_COLUMNS)].reset_index(drop=True)


def _checked(provenance: str) -> Provenance:
    if provenance not in PROVENANCES:
        raise ConfigError(f"provenance {provenance!r} is none of {', '.join(PROVENANCES)}")
    return provenance
