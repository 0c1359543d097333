"""Epoch AI's published benchmark scores and grades of access, in each of the layouts they have had."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import ConfigError
from bench.imports import epoch_files, epoch_rows
from bench.imports.opened import glance, opened
from bench.imports.tabular import header_of

if TYPE_CHECKING:
    from bench.imports.published import Published

FORMAT = """Epoch AI's benchmark data: the hub's zip or folder (2026), its Airtable export (2025), or one CSV of them.

The layout is known by the columns of each file, never assumed. Also read: `eci_scores.csv` (the Epoch Capabilities
Index with its 90% interval) and the two tables of "How far behind are open models?" (2024). Epoch credits: CC-BY 4.0.

Every row of a model is kept, several runs of it among them; rows without a model version or without a score are
skipped and counted. Which column is the score, and what it is divided by, says our catalogue of benchmarks; for a
benchmark that it doesn't know, the zip's own `benchmark_metadata.csv`, else the column before the release date.
"""
SUFFIXES = (".csv", ".json")


def is_mine_path(path: Path) -> bool:
    """Whether any file there has the columns of one of Epoch's layouts that hold scores or grades."""
    return any(
        epoch_files.kind_of(name, header_of(text)).holds for name, text in glance(path, suffixes=(".csv",)).items()
    )


def read_published(path: Path) -> Published:
    """Everything in a folder, zip or file. ConfigError for two layouts at once: that would be the same scores twice."""
    found = opened(path, suffixes=SUFFIXES)
    files = epoch_files.tables(found)
    layouts = sorted({file.kind.layout for file in files if file.kind.layout})
    if len(layouts) > 1:
        raise ConfigError(f"{path} holds {' and '.join(layouts)}, which tell the same scores; import one of them")
    return epoch_rows.published(found, files, ", ".join(layouts))
