"""One scale for models that were never asked the same questions: the index, its refits, and what stands on it."""

from __future__ import annotations

from bench.frontier.index.fit import fit
from bench.frontier.index.nouns import Anchor, Fit, OfCapability, Placed, Rules

__all__ = ["Anchor", "Fit", "OfCapability", "Placed", "Rules", "fit"]
