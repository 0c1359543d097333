"""Draws of what each model's true score may be, given its noisy score and the scores of its class around that time.

Never observed + noise: the best of many noisy scores is too high already, and noise on top lifts it twice. In each
class the true scores scatter around a line in time, theta ~ N(a + b*t, tau^2), and a score shows them with its known
error, y ~ N(theta, s^2). So a score is drawn towards the line, the more so the larger its error (Efron & Morris 1975).
tau comes from its restricted likelihood and is drawn too, as are a and b: with few models they are barely known.
Proportions are on the logit scale (s by the delta method), points as they are.

Errors of different models are taken as independent. Two models asked the same items err alike, so the interval of
their difference is too wide rather than too narrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float64, intp
    from numpy.random import Generator
    from numpy.typing import NDArray
    from pandas import DataFrame

    from bench.frontier.scores import Scale

    Floats = NDArray[float64]
    Places = NDArray[intp]

FEWEST = 6
"""With fewer versions in a class its line is learnt from both classes together; with fewer in all, no shrinkage."""
TAUS = 80


def draws(rows: DataFrame, benchmark: Scale, n: int = 1000, seed: int = 0) -> Floats:
    """Shape (n, len(rows)), in the unit of `value`. A row whose error is unknown isn't drawn: it keeps its value.

    A version that stands in both classes (its weights came later) has the same draws in both.
    """
    import numpy as np

    value = rows["value"].to_numpy(dtype=float)
    y, s = _on_scale(value, rows["stderr"].to_numpy(dtype=float), benchmark)
    rng = np.random.default_rng(seed)
    first, of_version = _versions(rows)
    theta = np.tile(y[first], (n, 1))
    for members in _classes(rows, first):
        usable = members[np.isfinite(y[first[members]])]
        year = rows["since"].to_numpy()[first[usable]].astype("datetime64[D]").astype(float) / 365.25
        theta[:, usable] = _posterior(y[first[usable]], s[first[usable]], year, n, rng)
    drawn = theta[:, of_version]
    shown: Floats = 1 / (1 + np.exp(-drawn)) if benchmark.scale == "proportion" else drawn
    kept: Floats = np.where(np.isnan(s)[None, :], value[None, :], shown)
    return kept


def logit(value: Floats) -> Floats:
    """log(p / (1 - p)); the clip of `scores` keeps it finite."""
    import numpy as np

    inside = np.clip(value, 1e-9, 1 - 1e-9)
    odds: Floats = np.log(inside / (1 - inside))
    return odds


def _on_scale(value: Floats, stderr: Floats, benchmark: Scale) -> tuple[Floats, Floats]:
    if benchmark.scale == "points":
        return value, stderr
    return logit(value), stderr / (value * (1 - value))


def _versions(rows: DataFrame) -> tuple[Places, Places]:
    """Positions of each version's first row, and for every row which version it is."""
    import numpy as np

    order = np.argsort(rows["since"].to_numpy(), kind="stable")
    _, first, inverse = np.unique(rows["version"].astype(str).to_numpy()[order], return_index=True, return_inverse=True)
    of_version = np.empty(len(rows), dtype=np.intp)
    of_version[order] = inverse
    return order[first], of_version


def _classes(rows: DataFrame, first: Places) -> list[Places]:
    """Which versions share a line: those of one class, or all where one of the classes is too small for its own."""
    import numpy as np

    cls = rows["cls"].to_numpy()[first]
    usable = np.isfinite(rows["value"].to_numpy(dtype=float)[first]) & rows["since"].notna().to_numpy()[first]
    sides = [np.flatnonzero((cls == name) & usable) for name in ("closed", "open")]
    sides = [members for members in sides if len(members)]
    return sides if len(sides) < 2 or min(len(m) for m in sides) >= FEWEST else [np.concatenate(sides)]


def _posterior(y: Floats, s: Floats, year: Floats, n: int, rng: Generator) -> Floats:
    """Draws (n, len(y)) of theta; where s is unknown, y is taken as exact."""
    import numpy as np

    s = np.nan_to_num(s)
    z = rng.standard_normal((n, len(y)))
    if len(y) < FEWEST:
        return y + s * z
    line = np.column_stack((np.ones_like(year), year - year.mean()))
    taus, chance, betas, roots = _hyper(y, s, line)
    pick = rng.choice(len(taus), size=n, p=chance)
    beta = betas[pick] + np.einsum("nij,nj->ni", roots[pick], rng.standard_normal((n, 2)))
    tau2 = taus[pick][:, None] ** 2
    weight: Floats = tau2 / (tau2 + s**2)
    centre: Floats = weight * y + (1 - weight) * (beta @ line.T)
    return centre + np.sqrt(weight) * s * z


def _hyper(y: Floats, s: Floats, line: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """A grid of tau, its restricted likelihood as chances, and the line's estimate and root covariance at each."""
    import numpy as np

    spread = float(np.std(y - line @ np.linalg.lstsq(line, y, rcond=None)[0])) or 1e-6
    taus = np.linspace(spread / 50, 3 * spread, TAUS)
    w = 1 / (taus[:, None] ** 2 + s**2)
    xtx = np.einsum("gi,ij,ik->gjk", w, line, line)
    xtx += 1e-12 * np.eye(2) * np.trace(xtx, axis1=1, axis2=2)[:, None, None]
    cov = np.linalg.inv(xtx)
    betas = np.einsum("gjk,gk->gj", cov, np.einsum("gi,ij,i->gj", w, line, y))
    squares = (w * (y - betas @ line.T) ** 2).sum(axis=1)
    likelihood = 0.5 * (np.log(w).sum(axis=1) - np.linalg.slogdet(xtx)[1] - squares)
    chance = np.exp(likelihood - likelihood.max())
    return taus, chance / chance.sum(), betas, np.linalg.cholesky(cov)
