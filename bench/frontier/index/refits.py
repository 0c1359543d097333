"""Refits of the index on resampled scores: how far it would move had other benchmarks been reported."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import ConfigError
from bench.frontier.index import cache
from bench.frontier.index.connected import labelled
from bench.frontier.index.fit import arrays, checked, resumed
from bench.frontier.index.nouns import Fit, Points, Solution
from bench.frontier.index.solve import solve

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Progress = Callable[[int, int], None]
"""Called with refits done and refits wanted."""

TOLERANCE = 1e-9
"""Of a refit, looser than the fit's own; it moves an index by under 0.05 points."""
MOST_REDRAWS = 100
LEAST_DISTINCT = 2
"""Different benchmarks a model needs in a draw: one score repeated puts it nowhere."""


def refits(
    frame: pd.DataFrame, fit: Fit, n: int = 500, seed: int = 0, cache_dir: Path | None = None,
    progress: Progress | None = None,
) -> np.ndarray:  # fmt: skip
    """Index points by draw (n) and model (in the order of `fit.models`), from n resamplings of `frame`'s scores.

    Each model's scores are drawn with replacement among its own, so every model keeps its number of scores and the
    models stay the same; NaN where a draw leaves a model under two different benchmarks or not linked to the anchors,
    which are 130 and 150 in every draw. A draw that unlinks these from each other is drawn again. Kept in `cache_dir`.
    """
    rows = _of_fit(frame, fit)
    models = fit.models["model"].tolist()
    name = cache.key(rows, fit.rules, n=n, seed=seed)
    if cache_dir is not None and (kept := cache.read(cache_dir, name, models, n)) is not None:
        if progress is not None:
            progress(n, n)
        return kept
    drawn = _drawn(rows, fit, models, n, seed, progress)
    if cache_dir is not None:
        with suppress(OSError):  # refits that can't be kept are only made again
            cache.write(cache_dir, name, models, drawn)
    return drawn


def _drawn(rows: pd.DataFrame, fit: Fit, models: list[str], n: int, seed: int, progress: Progress | None) -> np.ndarray:
    import numpy as np

    low, high = (models.index(name) for name in fit.anchors)
    benchmarks = fit.benchmarks["benchmark"].tolist()
    points = arrays(rows, models, benchmarks, fit.rules)
    start = resumed(fit, models, benchmarks)
    rng = np.random.default_rng(seed)
    drawn = np.full((n, len(models)), np.nan)
    for done in range(n):
        times, known = _draw(rows, points, (low, high), rng)
        drawn[done] = np.where(known, _refit(points, times, fit, start, (low, high)), np.nan)
        if progress is not None:
            progress(done + 1, n)
    return drawn


def _draw(
    rows: pd.DataFrame, points: Points, anchors: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """How often each score is drawn, and which models that leaves on the scale."""
    import numpy as np

    many = np.bincount(points.model, minlength=points.n_models)
    first = np.concatenate([[0], np.cumsum(many)[:-1]])
    order = np.argsort(points.model, kind="stable")
    for _ in range(MOST_REDRAWS):
        pick = order[(first[points.model] + rng.random(len(rows)) * many[points.model]).astype(np.int64)]
        times = np.bincount(pick, minlength=len(rows))
        chosen = times > 0
        component = labelled(rows[chosen]).to_numpy()
        home = np.full(points.n_models, -1)
        home[points.model[chosen]] = component
        linked = home[anchors[0]] == home[anchors[1]]
        if linked and points.anchor in points.benchmark[chosen][component == home[anchors[0]]]:
            distinct = np.bincount(points.model[chosen], minlength=points.n_models)
            return times, (home == home[anchors[0]]) & (distinct >= LEAST_DISTINCT)
    raise ConfigError(
        f"index: in {MOST_REDRAWS} resamplings the anchor models were never linked; too few benchmarks join them for "
        "an interval; import more scores or name other anchors"
    )


def _refit(points: Points, times: np.ndarray, fit: Fit, start: Solution, anchors: tuple[int, int]) -> np.ndarray:
    """Index points of one draw; NaN when the anchors come out equal or swapped, for then there is no scale."""
    import numpy as np

    chosen = times > 0
    drawn = replace(
        points, model=points.model[chosen], benchmark=points.benchmark[chosen], value=points.value[chosen],
        weight=(points.weight * times)[chosen],
    )  # fmt: skip
    ability = solve(drawn, fit.rules, start=start, tolerance=TOLERANCE).ability
    low, high = fit.rules.low.index, fit.rules.high.index
    spread = ability[anchors[1]] - ability[anchors[0]]
    if spread <= 0:
        return np.full(points.n_models, np.nan)
    index: np.ndarray = low + (high - low) * (ability - ability[anchors[0]]) / spread
    return index


def _of_fit(frame: pd.DataFrame, fit: Fit) -> pd.DataFrame:
    """The rows the fit was made of; ConfigError when the frame does not hold them."""
    rows = checked(frame)
    rows = rows[rows["model"].isin(fit.models["model"]) & rows["benchmark"].isin(fit.benchmarks["benchmark"])]
    if len(rows) != len(fit.rows):
        raise ConfigError(
            f"index: refits of {len(rows)} scores asked from a fit of {len(fit.rows)}; fit the same rows first"
        )
    return rows.reset_index(drop=True)
