"""What a comparison could have seen, and how many items it would take to see more."""

from __future__ import annotations

from math import ceil, isfinite


def t_quantile(q: float, degrees: float) -> float:
    """Student's quantile; ValueError without a degree of freedom."""
    from scipy.special import stdtrit

    found = float(stdtrit(degrees, q)) if degrees > 0 else float("nan")
    if not isfinite(found):
        raise ValueError(f"no t with {degrees} degrees of freedom")
    return found


def detectable(stderr: float, degrees: float, *, confidence: float = 0.95, power: float = 0.8) -> float:
    """The true difference that a two-sided test at 1 - `confidence` finds with that power: (t + t') * SE.

    Miller 2024 (arXiv:2411.00640, section 5) with t in place of z, for suites of few clusters.
    """
    return (t_quantile(0.5 + confidence / 2, degrees) + t_quantile(power, degrees)) * stderr


def detectable_by_parity(stderr: float, degrees: float, *, confidence: float = 0.95, power: float = 0.8) -> float:
    """The smallest margin within which two equals are found at parity with that power: (t_(1-alpha) + t') * SE.

    Both one-sided tests must pass, so each has to miss no more than half of what may be missed.
    """
    return (t_quantile(confidence, degrees) + t_quantile((1 + power) / 2, degrees)) * stderr


def times_more_items(now: float, wanted: float) -> int:
    """How many times as many items (clusters) bring a detectable difference of `now` down to `wanted`."""
    return max(1, ceil((now / wanted) ** 2 - 1e-9))
