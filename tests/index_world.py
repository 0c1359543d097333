"""A world with a known truth for the index: abilities, difficulties and slopes, and noisy scores on some benchmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.frontier.index import Anchor, Rules

RULES = Rules(
    anchor_benchmark="b00", low=Anchor(names=("low",), index=130.0), high=Anchor(names=("high",), index=150.0)
)


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    rows: pd.DataFrame
    index: pd.Series
    """The true index by model."""
    ability: pd.Series
    difficulty: pd.Series
    slope: pd.Series


def world(seed: int, *, models: int = 40, benchmarks: int = 12, noise: float = 0.04, share: float = 0.7) -> World:
    """Models `low` and `high`, the anchors, have abilities 0 and 1; a benchmark was asked of `share` of the models."""
    rng = np.random.default_rng(seed)
    names = ["low", "high", *(f"m{i:03d}" for i in range(models - 2))]
    ability = pd.Series([0.0, 1.0, *rng.normal(0.4, 0.9, models - 2)], index=names)
    items = [f"b{i:02d}" for i in range(benchmarks)]
    difficulty = pd.Series([0.0, *rng.normal(0.4, 0.8, benchmarks - 1)], index=items)
    slope = pd.Series([1.0, *rng.uniform(1.0, 3.5, benchmarks - 1)], index=items)
    p = 1 / (1 + np.exp(-slope.to_numpy() * (ability.to_numpy()[:, None] - difficulty.to_numpy())))
    score = np.clip(p + rng.normal(0, noise, p.shape), 0, 1)
    asked = rng.random(p.shape) < share
    asked[:2] = True
    i, b = np.nonzero(asked)
    rows = pd.DataFrame({"model": np.array(names)[i], "benchmark": np.array(items)[b], "value": score[i, b]})
    return World(rows=rows, index=130 + 20 * ability, ability=ability, difficulty=difficulty, slope=slope)
