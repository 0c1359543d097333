"""Best open against best closed of what was measured here, without the luck that choosing them adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.analysis import openness
from bench.analysis.pairing import Judged
from bench.analysis.together import Together, layer_of, target_of, together
from bench.errors import ConfigError
from bench.stats import parity, selection

if TYPE_CHECKING:
    import pandas

OWN_GAP_COLUMNS = (
    "method", "gap", "stderr", "ci_low", "ci_high", "closed", "open", "closed_share", "open_share",
    "n_closed", "n_open", "n_items", "n_clusters", "suite", "suite_version", "open_at_least",
)  # fmt: skip
NEVER = "reference"
"""The layer of models that come with the package: they never enter a gap."""
LONG_AGO = "2000-01-01"
"""Before any grade began: the newest one is then the one that holds."""


def own_frontier_gap(
    results: Path,
    suite: str,
    *,
    open_at_least: str = "weights-noncommercial",
    include_reference: bool = False,
    confidence: float = 0.95,
    seed: int = 0,
) -> pandas.DataFrame:
    """Best closed less best open of what was measured here; three rows, `naive`, `cross-fit` and `bootstrap`.

    Quote `cross-fit`: the naive gap leans to the side with more models. OWN_GAP_COLUMNS; in [-1, 1], positive = closed
    leads; `*_share`: how often the halves (or draws) chose that model. Targets whose openness nobody knows, and those
    with over 2% unscored, are left out: `frame.attrs["left_out"]` says which and why. ConfigError where a side is
    missing.
    """
    import numpy as np
    import pandas as pd

    from bench.catalog.grades import at_least, checked

    checked(open_at_least, "open_at_least")
    found = together(results, suite)
    grades = _grades(results, found.runs, include_reference)
    left_out = {run.target_id: why for run, why in zip(found.runs, _unfit(found, grades), strict=True) if why}
    kept = [k for k, run in enumerate(found.runs) if run.target_id not in left_out]
    opened = [at_least(str(grades[k]), open_at_least) for k in kept]
    if all(opened) or not any(opened):
        side = "closed" if kept and all(opened) else "open"
        told = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        raise ConfigError(
            f"no {side} target of suite {suite} to make a gap of" + (f" (left out: {told})" if told else "")
        )
    try:
        gaps = selection.frontier_gaps(
            selection.items(
                found.values[:, kept],
                found.clusters,
                found.task,
                names=tuple(found.runs[k].target_id for k in kept),
                weights=found.weights,
            ),
            opened,
            confidence=confidence,
            seed=seed,
        )
    except ValueError as error:
        raise ConfigError(f"suite {suite}: {error}") from error
    about = {
        "n_closed": len(kept) - sum(opened),
        "n_open": sum(opened),
        "n_items": len(found.values),
        "n_clusters": len(np.unique(found.clusters)),
        "suite": found.runs[0].suite,
        "suite_version": found.runs[0].suite_version,
        "open_at_least": open_at_least,
    }
    frame = pd.DataFrame([{**asdict(gap), **about} for gap in gaps], columns=list(OWN_GAP_COLUMNS))
    frame.attrs["left_out"] = left_out
    return frame


def _unfit(found: Together, grades: Sequence[str | None]) -> list[str]:
    """Why a target can't enter a gap, "" where it can."""
    shares = found.unscored.sum(axis=0) / found.repeats.sum(axis=0)
    return [_why(run, grade, float(share)) for run, grade, share in zip(found.runs, grades, shares, strict=True)]


def _why(run: Judged, grade: str | None, unscored_share: float) -> str:
    if grade is None:
        inside = layer_of(run) == NEVER
        return "it comes with the package and is no part of the field" if inside else "nobody tells how open it is"
    return f"{unscored_share:.1%} unscored" if unscored_share > parity.MOST_UNSCORED else ""


def _grades(results: Path, runs: Sequence[Judged], include_reference: bool) -> list[str | None]:
    """What is known of the model counts first, then what the run noted of it, then where it ran."""
    targets = [target_of(run) for run in runs]
    known = _known_grades(results, [str(target.get("model", "")) for target in targets])
    grades = [grade or _noted(target) or _by_layer(target) for target, grade in zip(targets, known, strict=True)]
    reference = [target.get("layer") == NEVER for target in targets]
    return [
        (_noted(target) if include_reference else None) if inside else grade
        for target, grade, inside in zip(targets, grades, reference, strict=True)
    ]


def _known_grades(results: Path, models: Sequence[str]) -> list[str | None]:
    """Their newest grade; see `bench.analysis.openness`."""
    import pandas as pd

    from bench.catalog.names import match
    from bench.catalog.overrides import load_overrides

    overrides = load_overrides()
    matched = [match(model, overrides) for model in models]
    names = {"raw": models, "version": [m.version for m in matched], "model": [m.model for m in matched]}
    frame = pd.DataFrame({**names, "released": LONG_AGO})
    frame["released"] = pd.to_datetime(frame["released"])
    found = openness.graded(frame, openness.access(results), "weights-noncommercial", None)["grade"]
    return [grade if isinstance(grade, str) else None for grade in found]


def _noted(target: Mapping[str, Any]) -> str | None:
    from bench.catalog.grades import from_catalog

    facts = target.get("facts") or {}
    return from_catalog(facts["access"]) if facts.get("access") else None


def _by_layer(target: Mapping[str, Any]) -> str | None:
    """A closed host serves closed models; what runs here has weights that can be had, under who knows what licence."""
    by_layer = {
        "hosted-closed": "closed-api",
        "self-hosted": "weights-noncommercial",
        "on-device": "weights-noncommercial",
    }
    return by_layer.get(str(target.get("layer")))
