"""The verdict on a difference: ahead, behind, at parity or inconclusive.

Sources
  Schuirmann 1987, J. Pharmacokinetics and Biopharmaceutics 15:657: two one-sided tests (TOST)
  Lakens, Scheel & Isager 2018, Advances in Methods and Practices in Psychological Science 1:259: the four outcomes of a
  test of difference beside a test of equivalence
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ahead", "behind", "at parity", "inconclusive"]
MOST_UNSCORED = 0.02
"""METRICS section 5: over this share of unscored samples there is no verdict."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A verdict on A against B, and why."""

    verdict: Verdict
    why: str


def tost(difference: float | None, stderr: float | None, degrees: float, margin: float) -> float | None:
    """p of "they differ by `margin` or more": the larger of the two one-sided tests; small = at parity."""
    if difference is None or stderr is None:
        return None
    from scipy.special import stdtr

    return float(stdtr(degrees, (abs(difference) - margin) / stderr))


def judge(
    difference: float | None, p: float | None, p_parity: float | None, *, alpha: float, unscored_share: float = 0.0
) -> Judged:
    """The verdict from the two p values (corrected ones, where several are read together).

    Both can be small: a difference that is surely there and surely less than the margin. That is `at parity`, because
    the margin was declared as the least difference that matters; `why` says that it is there (Lakens et al.).
    """
    if unscored_share > MOST_UNSCORED:
        return Judged(verdict="inconclusive", why=f"{100 * unscored_share:.1f}% unscored, over {MOST_UNSCORED:.0%}")
    if difference is None:
        return Judged(verdict="inconclusive", why="no item has a score on both sides")
    if p is None or p_parity is None:
        return Judged(verdict="inconclusive", why="one cluster: its items say nothing of others")
    differs = p < alpha
    side: Verdict = "ahead" if difference > 0 else "behind"
    if p_parity < alpha:
        return Judged(verdict="at parity", why=f"{side}, by less than the margin" if differs else "within the margin")
    if differs:
        return Judged(verdict=side, why="a difference beyond chance")
    return Judged(verdict="inconclusive", why="neither a difference nor parity is shown")
