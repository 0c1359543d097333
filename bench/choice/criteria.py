"""How sure it is that one criterion is met: each function answers with a Criterion.

Shares (so many of 100 answers in time) are binomial, whatever the distribution of the latencies: with k of n within the
limit and a flat prior, P(P95 <= limit) = P(Beta(1 + k, 1 + n - k) >= 0.95).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any

from bench.choice.nouns import Criterion
from bench.stats import percentile_interval

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, numpy.dtype[numpy.float64]]

SHARES = {"ttft_ms_p95": 0.95, "e2e_ms_p95": 0.95, "decode_tps_p50": 0.5}
"""Of the answers that must keep the limit of that name."""
AT_LEAST = frozenset({"decode_tps_p50"})
MOST_MORE = 1_000_000
NEVER = 1e300
"""Stands for the latency of an answer that did not come: finite, so that one can interpolate towards it."""
MOST_UNSCORED = 0.02
"""METRICS section 5: with more, nothing suffices for sure."""


def quality(
    drawn: Array,
    wanted: float,
    *,
    value: float | None,
    n: int,
    unscored: float,
    at_best: Array,
    certainty: float,
    evidence: str = "measured here",
    relative: bool = False,
) -> Criterion:
    """P(true quality >= wanted); where `relative`, all of them are differences from another target's.

    `unscored`: the share of answers without a score. Above 2% nothing is sure to suffice, but it can still be sure that
    it doesn't: when even `at_best`, with everything missing right, is too little.
    """
    name = "quality difference" if relative else "quality"
    if value is None:
        return unknown(name, wanted, "not measured", at_least=True)
    if bool((drawn != drawn).any()):
        why = "published without a standard error" if "published" in evidence else "all its items are one cluster"
        return unknown(name, wanted, why, at_least=True, value=value, n=n)
    sure = float((drawn >= wanted).mean())
    why = ""
    if unscored > MOST_UNSCORED:
        sure = max(sure, float((at_best >= wanted).mean()))
        why = f"{unscored:.1%} of the answers have no score" if sure > 1 - certainty else ""
    low, high = _interval(drawn, value)
    return Criterion(
        name=name, wanted=wanted, at_least=True, value=value, low=low, high=high, certainty=sure, n=n, why=why,
        evidence=evidence, n_to_decide=_items_to_decide(drawn, value - wanted, n, certainty),
    )  # fmt: skip


def amount(name: str, drawn: Array, wanted: float, *, value: float | None, n: int, certainty: float) -> Criterion:
    """P(true mean of a cost <= wanted). Where nothing was solved, no figure a solved task exists, only a least."""
    if n == 0 or bool((drawn != drawn).all()):
        why = "n too small" if value is not None else "price unknown" if n else "not measured"
        return unknown(name, wanted, why, at_least=False, value=value, n=n)
    low, high = _interval(drawn, value)
    return Criterion(
        name=name, wanted=wanted, at_least=False, value=value, low=low, high=high, n=n,
        certainty=float((drawn <= wanted).mean()),
        n_to_decide=None if value is None else _items_to_decide(drawn, wanted - value, n, certainty),
    )  # fmt: skip


def share(name: str, observed: Sequence[float], wanted: float, *, certainty: float, n_failed: int = 0) -> Criterion:
    """P(enough of the answers keep the limit); a question that got no answer keeps none.

    The interval of the percentile is the distribution-free one, at 95%; where it ends beyond the slowest, None.
    """
    from scipy.stats import beta

    at_least, q = name in AT_LEAST, SHARES[name]
    failed = 0 if at_least else n_failed
    if len(observed) == 0:
        return unknown(name, wanted, "not measured", at_least=at_least)
    good = sum(1 for x in observed if (x >= wanted if at_least else x <= wanted))
    n = len(observed) + failed
    sure = float(beta.sf(q, 1 + good, 1 + n - good))
    found = percentile_interval([*observed, *[NEVER] * failed], 1 - q if at_least else q)
    return Criterion(
        name=name, wanted=wanted, at_least=at_least, value=_came(found.value), low=_came(found.ci_low),
        high=_came(found.ci_high), certainty=sure, n=n, n_to_decide=_answers_to_decide(good / n, n, q, certainty),
        evidence="measured here, under quality traffic",
    )  # fmt: skip


def unknown(name: str, wanted: float, why: str, *, at_least: bool, value: float | None = None, n: int = 0) -> Criterion:
    """A criterion of which nothing can be said, and why."""
    return Criterion(
        name=name, wanted=wanted, at_least=at_least, value=value, low=None, high=None, certainty=None, n=n, why=why
    )


def together(criteria: Sequence[Criterion]) -> float:
    """Lower bound of P(all are met), whatever they have to do with each other (Bonferroni, Fréchet)."""
    return max(0.0, 1 - sum(1 - (c.certainty or 0.0) for c in criteria))


def _interval(drawn: Array, value: float | None) -> tuple[float | None, float | None]:
    """The middle 95% of the draws, and the value itself; None for an end that nothing bounds."""
    import numpy as np

    if value is None:
        return float(np.quantile(drawn, 0.025)), None
    low, high = np.quantile(drawn, [0.025, 0.975], method="inverted_cdf")
    return min(float(low), value), (max(float(high), value) if isfinite(high) else None)


def _items_to_decide(drawn: Array, ahead: float, n: int, certainty: float) -> int | None:
    """(z·s·√n / ahead)²: where the normal approximation of today's spread would leave no more doubt than allowed."""
    from statistics import NormalDist

    if not ahead or not n:
        return None
    z = NormalDist().inv_cdf(certainty)
    needed = (z * float(drawn.std()) / abs(ahead)) ** 2 * n
    return ceil(needed) if needed <= MOST_MORE else None  # also where a draw is beyond all bounds


def _answers_to_decide(good: float, n: int, q: float, certainty: float) -> int | None:
    """The smallest n at which the same share of good answers decides, to within a hundredth."""
    from scipy.stats import beta

    def decided(n: int) -> bool:
        sure = float(beta.sf(q, 1 + good * n, 1 + (1 - good) * n))
        return sure >= certainty or sure <= 1 - certainty

    most = n
    while not decided(most):
        most *= 2
        if most > MOST_MORE:
            return None
    least = most // 2 if most > n else n
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if decided(middle) else (middle, most)
    return most


def _came(value: float | None) -> float | None:
    return value if value is not None and value < NEVER * 1e-9 else None
