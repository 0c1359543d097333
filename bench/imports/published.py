"""What others have published (scores, grades of access, list prices) as rows of ours: the nouns of its formats.

A format of this kind is a module with `FORMAT`, `is_mine_path(path)` and `read_published(path) -> Published`. PATH is a
folder, a zip or one file (`bench.imports.opened` reads any of them). The rows are mappings whose keys are the columns
of `published_score`, `access` and `list_price`; what is unknown is left out or None. Such a run has no requests, no
machine and no layer, and its target is `imported:FORMAT`; with the items of one model (`bench.imports.items`) it is
`imported:FORMAT:MODEL`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bench.errors import ConfigError

if TYPE_CHECKING:
    from bench.imports.items import Items

SCORE_COLUMNS = (
    "model", "vendor", "released", "model_group", "display_name", "benchmark", "benchmark_version", "score",
    "score_low", "score_high", "stderr", "scale", "n_items", "effort", "shots", "scaffold", "host", "quantisation",
    "evaluated_on", "observed", "source", "licence", "provenance",
)  # fmt: skip
"""Columns of `published_score`. `model` is the name as the source writes it; `benchmark` is our id where it is known,
else a slug of the source's name; `score`, `score_low`, `score_high` and `stderr` are in the unit of `scale`."""
ACCESS_COLUMNS = ("model", "grade", "valid_from", "valid_to", "source", "licence", "note")
PRICE_COLUMNS = (
    "provider", "model", "usd_per_mtok_in", "usd_per_mtok_cached", "usd_per_mtok_cache_write", "usd_per_mtok_out",
    "valid_from", "valid_to", "observed", "source", "licence", "note",
)  # fmt: skip
"""Columns of `list_price`: US dollars per million tokens as Decimal; `valid_from` None = the list as it was on
`observed`, and nobody knows since when."""
SCALES = ("proportion", "points")
LARGEST = 1e9
"""No published figure is larger."""
PROVENANCE = "published"


@dataclass(frozen=True, kw_only=True)
class RowCount:
    """What became of the rows of one file."""

    file: str
    read: int
    kept: int
    """Rows that gave at least one score, grade or price."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Why -> how many."""

    def __post_init__(self) -> None:
        if self.read != self.kept + sum(self.skipped.values()):
            raise ValueError(f"{self.file}: {self.read} rows read, {self.kept} kept, {dict(self.skipped)} skipped")


@dataclass(frozen=True, kw_only=True)
class Published:
    """One import as rows of our tables."""

    source: str
    """Who published it, with the credit that is due."""
    sha256: str
    """Of everything that was read: the same content is the same run, whatever it is called."""
    files: tuple[str, ...]
    """Names within PATH."""
    scores: tuple[Mapping[str, Any], ...] = ()
    access: tuple[Mapping[str, Any], ...] = ()
    prices: tuple[Mapping[str, Any], ...] = ()
    table: tuple[RowCount, ...] = ()
    notes: tuple[str, ...] = ()
    items: Items | None = None
    """Of one model, where an evaluation tool's files told what became of each item."""

    @property
    def kind(self) -> str:
        return "prices" if self.prices and not self.scores and not self.access else "published"


class Format(Protocol):
    """What a module of this package is, if it defines `read_published`."""

    FORMAT: str

    def is_mine_path(self, path: Path) -> bool:
        """Whether this folder, zip or file is of the format; never an error, False for what can't be read."""

    def read_published(self, path: Path) -> Published:
        """Everything in it as our rows. ConfigError when it is damaged or not there."""


def nothing_in(path: Path, what: str) -> ConfigError:
    """What to raise when there was nothing of a format in a place that looked like it."""
    return ConfigError(f"{path} holds no {what}; name the folder, the zip or the file that does")
