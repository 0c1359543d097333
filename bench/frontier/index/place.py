"""Put one target on a fitted index: difficulties and slopes frozen, one ability, a profile interval."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from bench.frontier.index.nouns import Fit, OfCapability, Placed
from bench.frontier.index.solve import sigmoid

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

LEAST_BENCHMARKS = 3
FARTHEST = 12.0
"""Abilities are looked for this far from the origin: some 240 index points."""
GRID = 961


def place(scores: pd.DataFrame, fit: Fit, *, confidence: float = 0.9, min_benchmarks: int = LEAST_BENCHMARKS) -> Placed:
    """Where a target with these scores (columns benchmark, value = p', and stderr where known) lies on `fit`.

    Least squares in the one ability, with the fit's ridge. The interval is where the sum of squares stays within the
    chi-square quantile times the fit's residual variance of its minimum (a row's own variance is added to that), for
    scores scatter around the curve by more than their sampling error. Difficulties and slopes count as known, and so
    does the scale: the anchors' own error, which moves all models together, is not in the interval.
    """
    known = scores[scores["benchmark"].isin(fit.benchmarks["benchmark"]) & scores["value"].notna()]
    ignored = tuple(sorted(set(scores["benchmark"]) - set(known["benchmark"])))
    n = int(known["benchmark"].nunique())
    reason = _refusal(n, min_benchmarks, fit)
    if reason is not None:
        return Placed(index=None, low=None, high=None, n=n, confidence=confidence, reason=reason, ignored=ignored)
    best, low, high = _profile(known, fit, confidence)
    scale = fit.scale
    ends = [None if end is None else scale.offset + scale.per_ability * end for end in (low, high)]
    return Placed(
        index=scale.offset + scale.per_ability * best, low=ends[0], high=ends[1], n=n, confidence=confidence,
        ignored=ignored,
    )  # fmt: skip


def of_capability(
    frame: pd.DataFrame, fit: Fit, capability: str, benchmarks: Collection[str], *, confidence: float = 0.9,
    min_benchmarks: int = LEAST_BENCHMARKS,
) -> OfCapability:  # fmt: skip
    """The index of every model from the benchmarks of one capability alone, on the scale of the whole fit.

    Refused when fewer than `min_benchmarks` of them are in the fit; a model is refused when it was asked fewer.
    """
    import pandas as pd

    inside = tuple(name for name in fit.benchmarks["benchmark"] if name in set(benchmarks))
    models, refused = [], []
    reason = None
    if len(inside) < min_benchmarks:
        reason = f"{len(inside)} benchmarks of {capability} are in the index, needs {min_benchmarks}"
    else:
        for model, rows in frame[frame["benchmark"].isin(inside)].groupby("model", sort=True):
            placed = place(rows, fit, confidence=confidence, min_benchmarks=min_benchmarks)
            if placed.reason is None:
                models.append((model, placed.index, placed.low, placed.high, placed.n))
            else:
                refused.append((model, placed.n, placed.reason))
    table = pd.DataFrame(models, columns=["model", "index", "low", "high", "n_benchmarks"])
    table = table.astype({"index": float, "low": float, "high": float, "n_benchmarks": int})
    return OfCapability(
        capability=capability,
        benchmarks=inside,
        models=table.sort_values(["index", "model"], ascending=[False, True], ignore_index=True),
        refused=pd.DataFrame(refused, columns=["model", "n_benchmarks", "reason"]),
        reason=reason,
    )


def _refusal(n: int, least: int, fit: Fit) -> str | None:
    if n < least:
        return f"{n} of the index's benchmarks measured, needs {least}"
    if not fit.residual_sd > 0:
        return "the index was fitted without a score to spare, so that its scatter is unknown"
    return None


def _profile(rows: pd.DataFrame, fit: Fit, confidence: float) -> tuple[float, float | None, float | None]:
    """The best ability and the ends of its interval; None = open."""
    import numpy as np
    from scipy.optimize import brentq, minimize_scalar
    from scipy.stats import chi2

    squares = _squares(rows, fit)
    grid = np.linspace(fit.origin - FARTHEST, fit.origin + FARTHEST, GRID)
    values = squares(grid)
    k = int(values.argmin())
    around = grid[max(k - 1, 0)], grid[min(k + 1, GRID - 1)]
    best = float(
        minimize_scalar(
            lambda x: float(squares(np.array(x))), bounds=around, method="bounded", options={"xatol": 1e-9}
        ).x
    )
    level = float(squares(np.array(best))) + float(chi2.ppf(confidence, 1)) * fit.residual_sd**2

    def above(x: float) -> float:
        return float(squares(np.array(x))) - level

    inside = np.flatnonzero(values <= level)
    first, last = (int(inside[0]), int(inside[-1])) if len(inside) else (k, k)
    low = None if first == 0 else brentq(above, grid[first - 1], min(grid[first], best))
    high = None if last == GRID - 1 else brentq(above, max(grid[last], best), grid[last + 1])
    return best, low, high


def _squares(rows: pd.DataFrame, fit: Fit) -> Callable[[np.ndarray], np.ndarray]:
    """Twice the objective at each of some abilities, in units of p' squared."""
    import numpy as np

    items = fit.benchmarks.set_index("benchmark").loc[rows["benchmark"]]
    difficulty, slope = items["difficulty"].to_numpy(), items["slope"].to_numpy()
    value = rows["value"].clip(fit.rules.floor, 1 - fit.rules.floor).to_numpy(dtype=float)
    own = rows["stderr"].fillna(0).to_numpy(dtype=float) if "stderr" in rows else np.zeros(len(rows))
    weight = fit.residual_sd**2 / (fit.residual_sd**2 + own**2)

    def squares(ability: np.ndarray) -> np.ndarray:
        x = np.asarray(ability, dtype=float)
        r = sigmoid(slope * (x[..., None] - difficulty)) - value
        total: np.ndarray = (r * r) @ weight + fit.ridge * (x - fit.origin) ** 2
        return total

    return squares
