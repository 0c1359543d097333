"""How a gap was made, in one line of words that goes with the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.frontier import curves
from bench.frontier.curves import MONTH_DAYS
from bench.frontier.scores import Scale, correction
from bench.frontier.seen import Seen

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray
    from pandas import DataFrame


def method(
    rows: DataFrame, benchmark: Scale, here: Seen, confidence: float, drawn: NDArray[float64] | None, *, asked: bool
) -> str:
    """Correction, interval, what is unknown, and the rules that `scores` applied."""
    told = [
        correction(benchmark),
        *rows.attrs.get("rules", ()),
        _interval(confidence, drawn, asked),
        _unknown(rows, here),
        "time to match: Kaplan-Meier over the closed records, first time with S <= 0.5, log-log interval; records "
        "follow from one another, so it is if anything too narrow",
        f"month = {MONTH_DAYS} days",
        _left_out(rows),
    ]
    return "; ".join(part for part in told if part)


def provenance_of(rows: DataFrame) -> str | None:
    """The one provenance of all rows, `combined` where there are several, None where nobody says."""
    known = sorted(set(rows["provenance"].dropna())) if "provenance" in rows else []
    return "combined" if len(known) > 1 else known[0] if known else None


def _interval(confidence: float, drawn: NDArray[float64] | None, asked: bool) -> str:
    if drawn is not None:
        return f"intervals: {confidence:.0%} percentiles over {len(drawn)} draws of the true scores"
    return "no interval: the error of a frontier's score is unknown" if asked else "no interval: no draws"


def _unknown(rows: DataFrame, here: Seen) -> str:
    missing = sum(int(rows["stderr"].iloc[side.place].isna().sum()) for side in here.sides.values())
    if not missing:
        return ""
    return f"{missing} of {len(here.closed) + len(here.opened)} scores have an unknown error and are taken as they are"


def _left_out(rows: DataFrame) -> str:
    used = len(curves.side(rows, "closed")) + len(curves.side(rows, "open"))
    return f"{len(rows) - used} rows without a date or a score are left out" if used < len(rows) else ""
