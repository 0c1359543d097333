"""What goes into an index fit (its rules) and what comes out (the fit, a placement, a refusal's reason)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Likelihood = Literal["least-squares", "binomial"]


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A model whose index is fixed by definition; the first of `names` that was fitted is meant."""

    names: tuple[str, ...]
    index: float


CLAUDE = Anchor(
    names=("claude-3-5-sonnet-20240620", "claude-3-5-sonnet", "claude-3.5-sonnet", "Claude 3.5 Sonnet"), index=130.0
)
GPT_5 = Anchor(names=("gpt-5-2025-08-07", "gpt-5", "GPT-5"), index=150.0)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How an index is fitted; the defaults are those that reproduce Epoch AI's published index of April 2026."""

    anchor_benchmark: str = "winogrande"
    anchor_slope: float = 1.0
    """Its difficulty is 0: together they fix unit and origin of an ability."""
    low: Anchor = CLAUDE
    high: Anchor = GPT_5
    min_benchmarks: int = 4
    """Per model."""
    min_models: int = 2
    """Per benchmark: with one model its difficulty and slope say nothing about that model."""
    ridge: float = 0.1
    """Total strength: the square of each parameter costs this over the number of all parameters.

    Over each parameter's own number of scores instead, the published index is missed by 3.8 points (r = 0.990).
    """
    slope_low: float = 0.1
    slope_high: float = 10.0
    floor: float = 0.001
    """Scores are clipped to [floor, 1 - floor]."""
    likelihood: Likelihood = "least-squares"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """index = offset + per_ability * ability: two anchor models make it."""

    offset: float
    per_ability: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """One fitted index.

    models: model, ability, index, stderr (index points, relative to the two anchors, whose own is 0), n_benchmarks;
    best first. benchmarks: benchmark, difficulty, slope (on the ability's scale), difficulty_index, slope_per_point,
    n_models, residual_sd; easiest first. rows: model, benchmark, value, weight, expected. components: component,
    n_models, n_benchmarks, compared (holds both anchors). refused: model, n_benchmarks, reason.
    """

    models: pd.DataFrame
    benchmarks: pd.DataFrame
    rows: pd.DataFrame
    components: pd.DataFrame
    refused: pd.DataFrame
    rules: Rules
    anchors: tuple[str, str]
    """The two models that are fixed, as they are called here."""
    scale: Scale
    origin: float
    """The ability that the ridge pulls to."""
    ridge: float
    """What the square of one parameter's distance from the origin costs."""
    residual_sd: float
    """Of p', degrees of freedom taken off; NaN when there are none."""
    cost: float
    """Half the sum of squares (or the deviance), ridge included."""
    steps: int
    converged: bool

    @property
    def method(self) -> str:
        """One line for a caption."""
        r = self.rules
        return (
            f"p' = sigmoid(slope (ability - difficulty)), {r.likelihood.replace('-', ' ')}, ridge {r.ridge:g} over "
            f"{len(self.models) + 2 * len(self.benchmarks) - 1} parameters; {len(self.rows)} scores of "
            f"{len(self.models)} models on {len(self.benchmarks)} benchmarks; {self.anchors[0]} = {r.low.index:g}, "
            f"{self.anchors[1]} = {r.high.index:g}"
        )

    def index(self) -> Mapping[str, float]:
        """Index points by model."""
        return dict(zip(self.models["model"], self.models["index"], strict=True))


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Where one target lies on a fitted index; `index` is None, and `reason` says why, when it cannot be told."""

    index: float | None
    low: float | None
    """None = open on this side: even at the end of the scale the scores are not contradicted."""
    high: float | None
    n: int
    """Benchmarks used."""
    confidence: float
    reason: str | None = None
    ignored: tuple[str, ...] = ()
    """Benchmarks measured that the index does not know."""


@dataclass(frozen=True, kw_only=True, eq=False)
class OfCapability:
    """The index from one capability's benchmarks alone, difficulties and slopes as in the whole fit.

    models: model, index, low, high, n_benchmarks; refused: model, n_benchmarks, reason.
    """

    capability: str
    benchmarks: tuple[str, ...]
    models: pd.DataFrame
    refused: pd.DataFrame
    reason: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Points:
    """Scores as arrays: row i is `value[i]` (p') of model `model[i]` on benchmark `benchmark[i]`."""

    model: np.ndarray
    benchmark: np.ndarray
    value: np.ndarray
    weight: np.ndarray
    n_models: int
    n_benchmarks: int
    anchor: int
    """Of the benchmarks."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """Parameters at a minimum; origin free, as the ridge wants it."""

    ability: np.ndarray
    difficulty: np.ndarray
    slope: np.ndarray
    cost: float
    steps: int
    converged: bool
