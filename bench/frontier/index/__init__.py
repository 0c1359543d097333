"""One scale for models that were never asked the same questions: the index, its refits, and what stands on it."""

from __future__ import annotations

from bench.frontier.index.fit import fit
from bench.frontier.index.nouns import Anchor, Fit, OfCapability, Placed, Rules
from bench.frontier.index.place import of_capability, place
from bench.frontier.index.prepare import Prepared, index_rows, of_versions
from bench.frontier.index.refits import refits
from bench.frontier.index.without import leave_one_benchmark_out, without

__all__ = [
    "Anchor",
    "Fit",
    "OfCapability",
    "Placed",
    "Prepared",
    "Rules",
    "fit",
    "index_rows",
    "leave_one_benchmark_out",
    "of_capability",
    "of_versions",
    "place",
    "refits",
    "without",
]
