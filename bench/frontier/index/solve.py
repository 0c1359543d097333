"""The minimum of the index's objective: Levenberg-Marquardt on the bipartite structure, some 60 ms a fit.

Abilities touch each other only through benchmarks, so they are eliminated first (Schur complement) and what is solved
densely has two unknowns per benchmark. Objective: half of sum w r^2 + ridge (sum C^2 + sum D^2 + sum free a^2), with
r = sigmoid(a (C - D)) - p' or, for the binomial, the deviance residual (Nocedal & Wright, Numerical Optimization, 10).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from bench.frontier.index.nouns import Points, Rules, Solution

if TYPE_CHECKING:
    import numpy as np

MOST_STEPS = 400
DAMPING = (1e-3, 1e-14, 1e9)
"""At the start, least, most (then nothing helps any more)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Normal:
    """Normal equations: gradient and Gauss-Newton matrix by blocks; `b` is difficulties, then slopes."""

    gradient_c: np.ndarray
    gradient_b: np.ndarray
    cc: np.ndarray
    """Diagonal."""
    cb: np.ndarray
    bb: np.ndarray


def solve(points: Points, rules: Rules, *, start: Solution | None = None, tolerance: float = 1e-11) -> Solution:
    """From `start` (the same models and benchmarks), else from abilities 0, difficulties 0, slopes 1.

    It ends when a step lowers the objective by less than `tolerance` of it.
    """
    with single_thread():
        return _descended(points, rules, _begin(points, rules, start), tolerance)


def _descended(
    points: Points, rules: Rules, begin: tuple[np.ndarray, np.ndarray, np.ndarray], tolerance: float
) -> Solution:
    import numpy as np

    c, d, a = begin
    damping, least, most = DAMPING
    cost, gain, steps = objective(points, rules, c, d, a), np.inf, 0
    while gain > tolerance * cost and steps < MOST_STEPS:
        steps += 1
        frozen, normal = normal_equations(points, rules, c, d, a)
        while True:
            dc, dd, da = _step(normal, damping)
            trial = c + dc, d + dd, np.where(frozen, a, np.clip(a + da, rules.slope_low, rules.slope_high))
            lower = objective(points, rules, *trial)
            if lower <= cost or damping >= most:
                break
            damping *= 4
        gain, damping = cost - lower, max(damping / 6, least)
        if gain >= 0:
            (c, d, a), cost = trial, lower
    return Solution(ability=c, difficulty=d, slope=a, cost=cost, steps=steps, converged=steps < MOST_STEPS)


def objective(points: Points, rules: Rules, c: np.ndarray, d: np.ndarray, a: np.ndarray) -> float:
    """Half the weighted sum of squares (or the deviance), and the ridge."""
    r, _ = residuals(points, rules, c, d, a)
    squares = c @ c + d @ d + a @ a - a[points.anchor] ** 2
    return float(r @ r + ridge(points, rules) * squares) / 2


def ridge(points: Points, rules: Rules) -> float:
    """Of one parameter: the strength over their number, the anchor's slope not being one."""
    return rules.ridge / (points.n_models + 2 * points.n_benchmarks - 1)


def residuals(
    points: Points, rules: Rules, c: np.ndarray, d: np.ndarray, a: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted residuals and their derivatives in the logit a (C - D)."""
    import numpy as np

    z = a[points.benchmark] * (c[points.model] - d[points.benchmark])
    p, root = sigmoid(z), np.sqrt(points.weight)
    if rules.likelihood == "least-squares":
        return root * (p - points.value), root * p * (1 - p)
    p = np.clip(p, 1e-12, 1 - 1e-12)
    y, gap = points.value, p - points.value
    deviance = 2 * (y * np.log(y / p) + (1 - y) * np.log((1 - y) / (1 - p)))
    r = np.sign(gap) * np.sqrt(np.maximum(deviance, 0))
    near = np.abs(gap) < 1e-6
    return root * r, root * np.where(near, np.sqrt(p * (1 - p)), gap / np.where(near, 1, r))


def normal_equations(
    points: Points, rules: Rules, c: np.ndarray, d: np.ndarray, a: np.ndarray
) -> tuple[np.ndarray, Normal]:
    """Which slopes are not free here (the anchor's, those held by a bound), and the normal equations of the rest."""
    import numpy as np

    n, m, i, b, k = points.n_models, points.n_benchmarks, points.model, points.benchmark, ridge(points, rules)
    r, g = residuals(points, rules, c, d, a)
    by_c, by_a = g * a[b], g * (c[i] - d[b])

    def of_benchmark(x: np.ndarray) -> np.ndarray:
        return np.bincount(b, x, minlength=m)

    down = of_benchmark(by_a * r) + k * a
    frozen = (a <= rules.slope_low) & (down > 0) | (a >= rules.slope_high) & (down < 0)
    frozen[points.anchor] = True
    by_a = np.where(frozen[b], 0.0, by_a)
    cell = i * m + b
    to_d, to_a = (np.bincount(cell, x, minlength=n * m).reshape(n, m) for x in (by_c * by_c, by_c * by_a))
    dd, da, aa = of_benchmark(by_c * by_c) + k, -of_benchmark(by_c * by_a), of_benchmark(by_a * by_a) + k
    return frozen, Normal(
        gradient_c=np.bincount(i, by_c * r, minlength=n) + k * c,
        gradient_b=np.concatenate([k * d - of_benchmark(by_c * r), np.where(frozen, 0.0, down)]),
        cc=np.bincount(i, by_c * by_c, minlength=n) + k,
        cb=np.hstack([-to_d, to_a]),
        bb=np.block([[np.diag(dd), np.diag(da)], [np.diag(da), np.diag(np.where(frozen, 1.0, aa))]]),
    )


def covariance_of_abilities(normal: Normal) -> np.ndarray:
    """The abilities' block of the inverse Gauss-Newton matrix; times the residual variance it is their covariance."""
    import numpy as np

    scaled = normal.cb / normal.cc[:, None]
    schur = normal.bb - normal.cb.T @ scaled
    covariance: np.ndarray = np.diag(1 / normal.cc) + scaled @ np.linalg.solve(schur, scaled.T)
    return covariance


def single_thread() -> AbstractContextManager[object]:
    """Linear algebra on one thread: matrices this small gain nothing from two, and lose tenfold on a busy machine."""
    limit: AbstractContextManager[object] = _threads().limit(limits=1, user_api="blas")
    return limit


@cache
def _threads() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def sigmoid(z: np.ndarray) -> np.ndarray:
    """Without overflow."""
    import numpy as np

    p: np.ndarray = 1 / (1 + np.exp(-np.clip(z, -500, 500)))
    return p


def _begin(points: Points, rules: Rules, start: Solution | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    import numpy as np

    n, m = points.n_models, points.n_benchmarks
    c, d, a = np.zeros(n), np.zeros(m), np.ones(m)
    if start is not None:
        c, d, a = start.ability, start.difficulty, np.clip(start.slope, rules.slope_low, rules.slope_high)
    return c, d, np.where(np.arange(m) == points.anchor, rules.anchor_slope, a)


def _step(normal: Normal, damping: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    import numpy as np

    cc = normal.cc * (1 + damping)
    bb = normal.bb + damping * np.diag(np.diag(normal.bb))
    scaled = normal.cb / cc[:, None]
    step_b = np.linalg.solve(bb - normal.cb.T @ scaled, scaled.T @ normal.gradient_c - normal.gradient_b)
    step_c = -(normal.gradient_c + normal.cb @ step_b) / cc
    m = len(step_b) // 2
    return step_c, step_b[:m], step_b[m:]
