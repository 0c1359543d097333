"""Draws of what each model's true score may be, given its noisy score and the scores of its class around that time.

Never observed + noise: the best of many noisy scores is too high already, and noise on top lifts it twice. In each
class the true scores scatter around a line in time, theta ~ N(a + b*t, tau^2), and a score shows them with its known
error. So a score is drawn towards the line, the more so the larger its error (Efron & Morris 1975). tau comes from its
restricted likelihood and is drawn too, as are a and b: with few models they are barely known.

Points are normal throughout. The theta of a proportion is a logit, its score normal on the scale of the proportion
itself: near 0 and 1 an error on the logit scale would say that a model which got nothing right may be anywhere.
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
LINES = 25
"""Draws of (a, b, tau) for a proportion; each serves n / LINES draws of theta."""
CELLS = 160
REACH = 5.0
"""Standard errors around a score within which its theta is sought."""
TINY = 1e-4


def draws(rows: DataFrame, benchmark: Scale, n: int = 1000, seed: int = 0) -> Floats:
    """Shape (n, len(rows)), in the unit of `value`. A row whose error is unknown isn't drawn: it keeps its value.

    A version that stands in both classes (its weights came later) has the same draws in both.
    """
    import numpy as np

    value, stderr = (rows[name].to_numpy(dtype=float) for name in ("value", "stderr"))
    rng = np.random.default_rng(seed)
    first, of_version = _versions(rows)
    drawn = np.tile(value[first], (n, 1))
    draw = _points if benchmark.scale == "points" else _proportions
    for members in _classes(rows, first):
        year = rows["since"].to_numpy()[first[members]].astype("datetime64[D]").astype(float) / 365.25
        line = np.column_stack((np.ones_like(year), year - year.mean()))
        drawn[:, members] = draw(value[first[members]], stderr[first[members]], line, n, rng)
    kept: Floats = np.where(np.isnan(stderr)[None, :], value[None, :], drawn[:, of_version])
    return kept


def logit(value: Floats) -> Floats:
    """log(p / (1 - p)); the clip of `scores` keeps it finite."""
    import numpy as np

    inside = np.clip(value, 1e-9, 1 - 1e-9)
    odds: Floats = np.log(inside / (1 - inside))
    return odds


def expit(theta: Floats) -> Floats:
    """The proportion of a logit."""
    import numpy as np

    value: Floats = 1 / (1 + np.exp(-theta))
    return value


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


def _points(y: Floats, s: Floats, line: Floats, n: int, rng: Generator) -> Floats:
    """Draws (n, len(y)) of theta where score and theta are on one scale; an unknown s is taken as 0."""
    import numpy as np

    s = np.nan_to_num(s)
    noise = s * rng.standard_normal((n, len(y)))
    if len(y) < FEWEST:
        return y + noise
    centre, tau = _lines(y, s, line, n, rng)
    weight: Floats = tau[:, None] ** 2 / (tau[:, None] ** 2 + s**2)
    drawn: Floats = weight * y + (1 - weight) * centre + np.sqrt(weight) * noise
    return drawn


def _proportions(p: Floats, s: Floats, line: Floats, n: int, rng: Generator) -> Floats:
    """Draws (n, len(p)) of the true proportion, theta on a grid around each score; an unknown s is taken as 0."""
    import numpy as np

    exact = np.isnan(s) | (s <= 0)
    s = np.where(exact, TINY, s)
    grid = np.linspace(
        logit(np.maximum(p - REACH * s, TINY)), logit(np.minimum(p + REACH * s, 1 - TINY)), CELLS, axis=1
    )
    fit = -0.5 * ((p[:, None] - expit(grid)) / s[:, None]) ** 2
    if len(p) < FEWEST:
        prior: Floats = np.zeros((LINES, 1, 1))
    else:
        centre, tau = _lines(logit(p), np.where(exact, 0.0, s / (p * (1 - p))), line, LINES, rng)
        prior = -0.5 * ((grid[None] - centre[:, :, None]) / tau[:, None, None]) ** 2
    each = -(-n // LINES)
    theta = _sampled(grid, fit[None] + prior, each, rng)
    drawn: Floats = np.where(exact, p, expit(theta.reshape(LINES * each, len(p))[:n]))
    return drawn


def _sampled(grid: Floats, log_density: Floats, each: int, rng: Generator) -> Floats:
    """`each` draws (lines, each, rows) from densities (lines, rows, cells) over the rows' grids, by their inverse."""
    import numpy as np

    lines, rows, cells = log_density.shape
    density = np.exp(log_density - log_density.max(axis=2, keepdims=True))
    reached = np.cumsum(density, axis=2)
    offset = np.arange(lines * rows).reshape(lines, rows, 1)
    ladder = (reached / reached[:, :, -1:] + offset).ravel()
    wanted = np.sort(rng.random((lines, rows, each)), axis=2) + offset
    cell = np.searchsorted(ladder, wanted).reshape(lines, rows, each) - offset * cells
    step = grid[:, 1] - grid[:, 0]
    theta = grid[np.arange(rows)[None, :, None], np.minimum(cell, cells - 1)]
    theta += (rng.random(theta.shape) - 0.5) * step[None, :, None]
    return rng.permuted(theta, axis=2).transpose(0, 2, 1)


def _lines(y: Floats, s: Floats, line: Floats, n: int, rng: Generator) -> tuple[Floats, Floats]:
    """n draws of the lines' heights (n, len(y)) and of tau (n,), from the restricted likelihood on a grid of tau."""
    import numpy as np

    spread = float(np.std(y - line @ np.linalg.lstsq(line, y, rcond=None)[0])) or TINY
    taus = np.linspace(spread / 50, 3 * spread, TAUS)
    w = 1 / (taus[:, None] ** 2 + s**2)
    xtx = np.einsum("gi,ij,ik->gjk", w, line, line)
    xtx += 1e-9 * np.eye(2) * np.trace(xtx, axis1=1, axis2=2)[:, None, None]
    cov = np.linalg.inv(xtx)
    betas = np.einsum("gjk,gk->gj", cov, np.einsum("gi,ij,i->gj", w, line, y))
    squares = (w * (y - betas @ line.T) ** 2).sum(axis=1)
    likelihood = 0.5 * (np.log(w).sum(axis=1) - np.linalg.slogdet(xtx)[1] - squares)
    chance = np.exp(likelihood - likelihood.max())
    pick = rng.choice(TAUS, size=n, p=chance / chance.sum())
    noise = np.einsum("nij,nj->ni", np.linalg.cholesky(cov)[pick], rng.standard_normal((n, 2)))
    heights: Floats = (betas[pick] + noise) @ line.T
    return heights, taus[pick]
