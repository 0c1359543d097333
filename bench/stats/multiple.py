"""Several answers read together: Holm within a declared family, Benjamini-Hochberg for exploration, ranks as sets.

Sources
  Holm 1979, Scandinavian J. of Statistics 6:65; Benjamini & Hochberg 1995, J. Royal Statistical Society B 57:289
  Mogstad, Romano, Shaikh & Wilhelm 2024, Review of Economic Studies 91:476: sets of ranks from pairwise tests
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

Ps = Sequence[float | None]


def holm(ps: Ps) -> list[float | None]:
    """Adjusted p values: rejecting those under alpha errs anywhere in the family with probability alpha at most.

    An unknown p stays unknown, and still counts as a member of the family that was declared.
    """
    adjusted: list[float | None] = [None] * len(ps)
    worst = 0.0
    for rank, at in enumerate(_rising(ps)):
        worst = max(worst, min(1.0, (len(ps) - rank) * _known(ps[at])))
        adjusted[at] = worst
    return adjusted


def benjamini_hochberg(ps: Ps) -> list[float | None]:
    """Adjusted p values: of those under q, a share q is false, on average."""
    adjusted: list[float | None] = [None] * len(ps)
    best, rising = 1.0, _rising(ps)
    for rank in range(len(rising), 0, -1):
        best = min(best, len(ps) / rank * _known(ps[rising[rank - 1]]))
        adjusted[rising[rank - 1]] = best
    return adjusted


def _rising(ps: Ps) -> list[int]:
    return sorted((i for i, p in enumerate(ps) if p is not None), key=lambda i: _known(ps[i]))


def _known(p: float | None) -> float:
    return 1.0 if p is None else p


def rank_sets(
    differences: Sequence[Sequence[float | None]], ps: Sequence[Sequence[float | None]], *, alpha: float = 0.05
) -> list[tuple[int, int]]:
    """For each of m, the ranks that are not ruled out, best = 1; all sets hold together with 1 - alpha.

    `differences[i][j]` = i less j and its p, read where i < j. Holm over all pairs; a pair without a p is no evidence.
    """
    m = len(differences)
    pairs = list(combinations(range(m), 2))
    adjusted = holm([ps[i][j] for i, j in pairs])
    above, below = [0] * m, [0] * m
    for (i, j), p in zip(pairs, adjusted, strict=True):
        difference = differences[i][j]
        if p is None or p >= alpha or not difference:
            continue
        better, worse = (i, j) if difference > 0 else (j, i)
        above[worse] += 1
        below[better] += 1
    return [(1 + above[i], m - below[i]) for i in range(m)]
