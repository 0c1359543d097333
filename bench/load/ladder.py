"""Which steps a load takes: the ones asked for, a climb that finds the knee, or the search for what an SLO allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, sqrt

from bench.load.arrivals import Arrivals, Ladder
from bench.load.summary import StepResult

RunStep = Callable[[Arrivals], StepResult]
GAIN = 1.05
"""Doubling the requests under way for less throughput than this is past the knee."""
REFINEMENTS = 2
MOST_STEPS = 24
MOST_SEARCH_STEPS = 40
CLOSE = 1.05
"""A search in open loop ends when what passes and what does not are this near."""


@dataclass(kw_only=True)
class SearchResult:
    """The highest level whose attainment clears the target, as an interval, and how it was found."""

    kind: str
    low: float | None = None
    """The highest level that passed; None when none did."""
    high: float | None = None
    """The lowest that did not; None when none was found."""
    failed: float | None = None
    """The lowest that surely fails; between `high` and here nothing can be said."""
    n_steps: int = 0
    reason: str | None = None
    """Why it ended before the ends met."""
    levels: list[tuple[float, str]] = field(default_factory=list)

    def line(self, target: float) -> str:
        """One sentence for a person."""
        share = f"{100 * target:.6g}%"
        unit = "requests under way" if self.kind == "closed" else "requests/s"
        steps = "1 step" if self.n_steps == 1 else f"{self.n_steps} steps"
        why = f" ({self.reason})" if self.reason else ""
        if self.low is None and self.failed is None:
            return f"nothing can be said yet of what keeps {share} within the SLO; {steps}{why}"
        if self.low is None:
            return f"no load kept {share} within the SLO, not even {self.high:g} {unit}; {steps}{why}"
        if self.high is None:
            return f"at least {self.low:g} {unit} keep {share} within the SLO; {steps}{why}"
        beyond = f", {self.failed:g} fails" if self.failed is not None and self.failed > self.high else ""
        what = "fails" if self.failed == self.high else "is not sure"
        return f"{self.low:g} {unit} keep {share} within the SLO, {self.high:g} {what}{beyond}; {steps}{why}"


def climb(ladder: Ladder, run: RunStep, tell: Callable[[str], None]) -> None:
    """Runs the steps of a ladder. Over-saturation ends it: what comes after can only be worse."""
    done: list[tuple[Arrivals, StepResult]] = []
    for arrivals in ladder.steps:
        if not _go_on(done, arrivals, tell):
            return
        done.append((arrivals, run(arrivals)))
    if not ladder.climbs:
        return
    while len(done) < MOST_STEPS:
        top = max((arrivals for arrivals, _ in done), key=lambda arrivals: arrivals.level)
        end = min(ladder.last, top.most)
        if top.level >= end:
            break
        following = top.at(min(top.level * 2, end))
        if not _go_on(done, following, tell) or _past_knee(done):
            break
        done.append((following, run(following)))
    for _ in range(REFINEMENTS):
        between = _around_knee(done)
        if between is None:
            break
        done.append((between, run(between)))


def _go_on(done: list[tuple[Arrivals, StepResult]], following: Arrivals, tell: Callable[[str], None]) -> bool:
    if not done:
        return True
    last, result = done[-1]
    why = None
    if result.over_saturated:
        why = "the target is over-saturated"
    elif result.client_bound:
        why = "this client is at its limit, and more would measure the client"
    elif not result.n_answered:
        why = "no request was answered in it"
    if why:
        tell(f"{last}: {why}; {following} and beyond are left out")
    return why is None


def _past_knee(done: list[tuple[Arrivals, StepResult]]) -> bool:
    if len(done) < 2 or done[-1][0].is_open or done[-1][0].level <= done[-2][0].level:
        return False
    before, after = done[-2][1].out_tps, done[-1][1].out_tps
    return before is not None and after is not None and after < GAIN * before


def _around_knee(done: list[tuple[Arrivals, StepResult]]) -> Arrivals | None:
    """A level between the two of all seen where the knee must lie: the last that gained, and the one after it."""
    ordered = sorted(done, key=lambda each: each[0].level)
    for (low, before), (high, after) in pairwise(ordered):
        knee = after.over_saturated or after.client_bound or _past_knee([(low, before), (high, after)])
        if knee:
            middle = low.at(sqrt(low.level * high.level))
            return middle if low.level * 1.1 < middle.level < high.level / 1.1 else None
    return None


def search(ladder: Ladder, run: RunStep, tell: Callable[[str], None]) -> SearchResult:
    """The highest level that keeps the SLO: doubling (or halving) until passing and failing meet, then bisection.

    Each step ends as soon as a sequential test has its verdict; each verdict is wrong with a probability of at most 5%.
    A step without a verdict by its end doesn't clear the target; the first of all, it says that steps are too short.
    A step that this client spoilt moves neither bound.
    """
    first = ladder.steps[0]
    found = SearchResult(kind=first.kind)
    level: float | None = first.level
    low, high, failed, end = 0.0, inf, inf, min(ladder.last, first.most)
    while level is not None:
        if found.n_steps == MOST_SEARCH_STEPS:
            found.reason = f"at most {MOST_SEARCH_STEPS} steps"
            break
        arrivals = first.at(level)
        result = run(arrivals)
        verdict = "fails" if result.over_saturated and result.verdict != "passes" else result.verdict
        found.n_steps += 1
        found.levels.append((arrivals.level, verdict))
        tell(f"{arrivals}: {verdict}")
        if result.client_bound:
            found.reason = f"at {arrivals} this client is at its limit"
            result.row["search_verdict"] = "undecided"
            break
        if verdict == "passes":
            low = max(low, arrivals.level)
        else:
            high = min(high, arrivals.level)
            failed = min(failed, arrivals.level) if verdict == "fails" else failed
        if verdict == "undecided" and failed == inf and not low:
            n = (result.row.get("n_good") or 0) + (result.row.get("n_bad") or 0) or result.n_answered
            found.reason = f"{arrivals} gave {n} requests in its time, too few for a verdict; a longer --duration may"
            break
        if verdict == "passes" and low >= end:
            found.reason = "the ladder's end"
            break
        level = _next(first, low, high, end)
    found.low = low or None
    found.high = None if high == inf else high
    found.failed = None if failed == inf else failed
    return found


def _next(first: Arrivals, low: float, high: float, last: float) -> float | None:
    """The level to try after these bounds; None when they have met."""
    if high == inf:
        return min(low * 2, last)
    if first.kind == "closed":
        if high - low <= 1 or high <= 1:
            return None
        return float(max(1, int(high // 2))) if not low else float((int(low) + int(high)) // 2)
    if not low:
        return high / 2 if high > first.level / 1024 else None
    return sqrt(low * high) if high / low > CLOSE else None
