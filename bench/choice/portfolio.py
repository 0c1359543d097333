"""What a portfolio of tasks would do if prices, providers or speeds changed: moves, money, and who holds it captive.

A task stays where it is unless the change takes its target away, makes it insufficient, or leaves it dearer than
another that suffices; then it moves to the cheapest that is sure to suffice. Where nothing at another provider is, the
task is captive: it stays and pays; or stranded, when its provider is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from bench.choice.nouns import Candidate, Verdict
from bench.choice.verdict import Known, rank, scaled, verdicts

if TYPE_CHECKING:
    from bench.catalog.use_case import UseCase

Kind = Literal["stays", "moves", "captive", "stranded"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """What happens, by provider: factors on prices and latencies, and who is gone."""

    price: Mapping[str, float] = field(default_factory=dict)
    latency: Mapping[str, float] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()

    def touches(self) -> set[str]:
        return {*self.price, *self.latency, *self.gone}

    def told(self) -> str:
        parts = [f"{name}'s price x {factor:g}" for name, factor in self.price.items()]
        parts += [f"{name}'s latency x {factor:g}" for name, factor in self.latency.items()]
        return ", ".join(parts + [f"{name} gone" for name in sorted(self.gone)]) or "nothing changes"


@dataclass(frozen=True, kw_only=True)
class Holding:
    """One task of the portfolio: what is used for it, and what else would do."""

    name: str
    per_month: int
    known: Known
    current: Candidate
    certainty: float
    """How sure it must be that another suffices."""
    judge: Callable[[Change], Sequence[Verdict]]
    """Verdicts on every candidate that may be used, under a change of prices and latencies."""

    def usd_per_month(self, target: str, change: Change) -> float | None:
        """US dollars; None = price unknown."""
        who = next(one for one in self.known.evidence.candidates if one.target == target)
        per_task = self.known.means[target].usd_per_task
        return None if per_task is None else per_task * self.per_month * change.price.get(who.provider, 1.0)

    def ttft_ms_p95(self, target: str, change: Change) -> float | None:
        from bench.stats import percentile_interval

        who = next(one for one in self.known.evidence.candidates if one.target == target)
        answers = self.known.evidence.answers
        seen = answers.loc[answers["target"] == target, "ttft_ms"].dropna().tolist()
        found = percentile_interval(seen, 0.95).value
        return None if found is None else found * change.latency.get(who.provider, 1.0)


@dataclass(frozen=True, kw_only=True)
class Move:
    """What becomes of one task; differences are after minus before, None = not known."""

    task: str
    per_month: int
    kind: Kind
    before: Candidate
    after: Candidate | None
    """None = stranded: its provider is gone and nothing else is sure to suffice."""
    usd_before: float | None
    usd_after: float | None
    """Of a month."""
    quality: float | None = None
    quality_low: float | None = None
    quality_high: float | None = None
    """Paired difference on the same items, with its middle 95%."""
    certainty: float | None = None
    """That the new one suffices."""
    latency_ms: float | None = None
    """Difference of the P95 of the time to the first token."""
    nearest: str = ""
    """Where there is no way out: the one most likely to suffice, and how likely."""

    def usd_difference(self) -> float | None:
        if self.usd_before is None or self.usd_after is None:
            return None
        return self.usd_after - self.usd_before

    def as_dict(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "tasks_per_month": self.per_month,
            "what": self.kind,
            "from": self.before.target,
            "from_provider": self.before.provider,
            "to": self.after.target if self.after else None,
            "to_provider": self.after.provider if self.after else None,
            "to_open": self.after.is_open if self.after else None,
            "usd_month_before": self.usd_before,
            "usd_month_after": self.usd_after,
            "usd_month_difference": self.usd_difference(),
            "quality_difference": self.quality,
            "quality_low": self.quality_low,
            "quality_high": self.quality_high,
            "certainty": self.certainty,
            "ttft_ms_p95_difference": self.latency_ms,
            "nearest": self.nearest,
        }


def move(holding: Holding, change: Change) -> Move:
    """What becomes of one task under a change."""
    gone = holding.current.provider in change.gone
    if holding.current.provider not in change.touches():
        return _move(holding, change, "stays", holding.current, None)
    judged = [v for v in holding.judge(change) if v.candidate.provider not in change.gone]
    ways = [v for v in judged if v.state == "suffices"]
    mine = next((v for v in judged if v.candidate.target == holding.current.target), None)
    best = min(ways, key=lambda v: _price_key(holding, v, change), default=None)
    if best is not None and (mine not in ways or _is_cheaper(holding, best, mine, change)):
        return _move(holding, change, "moves", best.candidate, best)
    elsewhere = [v for v in ways if v.candidate.provider != holding.current.provider]
    kind: Kind = "stranded" if gone else "stays" if elsewhere else "captive"
    found = _move(holding, change, kind, None if gone else holding.current, mine)
    return found if elsewhere else replace(found, nearest=_nearest(holding, judged))


def _nearest(holding: Holding, judged: Sequence[Verdict]) -> str:
    """Of what is not sure to suffice elsewhere the likeliest, and what stands against it."""
    others = [v for v in judged if v.candidate.provider != holding.current.provider]
    if not others:
        return "nothing that may be used was measured elsewhere"
    likely = min(others, key=rank)
    return f"{likely.candidate.target} ({likely.why(holding.certainty)})"


def _price_key(holding: Holding, verdict: Verdict, change: Change) -> tuple[bool, float, float]:
    usd = holding.usd_per_month(verdict.candidate.target, change)
    return usd is None, usd or 0.0, -verdict.certainty


def _is_cheaper(holding: Holding, one: Verdict, other: Verdict | None, change: Change) -> bool:
    if other is None:
        return False
    ours, theirs = (holding.usd_per_month(v.candidate.target, change) for v in (one, other))
    return ours is not None and theirs is not None and ours < theirs


def _move(holding: Holding, change: Change, kind: Kind, chosen: Candidate | None, verdict: Verdict | None) -> Move:
    before = holding.current
    difference = quality_difference(holding.known, chosen.target, before.target) if chosen else (None, None, None)
    then = holding.ttft_ms_p95(before.target, Change())
    now = holding.ttft_ms_p95(chosen.target, change) if chosen else None
    return Move(
        task=holding.name,
        per_month=holding.per_month,
        kind=kind,
        before=before,
        after=chosen,
        usd_before=holding.usd_per_month(before.target, Change()),
        usd_after=holding.usd_per_month(chosen.target, change) if chosen else None,
        quality=difference[0],
        quality_low=difference[1],
        quality_high=difference[2],
        certainty=verdict.certainty if verdict and chosen else None,
        latency_ms=now - then if now is not None and then is not None else None,
    )


def quality_difference(known: Known, target: str, other: str) -> tuple[float | None, float | None, float | None]:
    """Difference of the means and the middle 95% of its draws, paired on the items both were asked."""
    import numpy as np

    if target == other:
        return 0.0, 0.0, 0.0
    ours, theirs = known.means[target].quality, known.means[other].quality
    if ours is None or theirs is None:
        return None, None, None
    drawn = known.drawn.quality_of(target) - known.drawn.quality_of(other)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return ours - theirs, min(float(low), ours - theirs), max(float(high), ours - theirs)


def judged_by(use_case: UseCase, known: Known, certainty: float) -> Callable[[Change], Sequence[Verdict]]:
    """The use case's own verdicts under a change: what candidates cost and how long they take is scaled first."""

    def judge(change: Change) -> Sequence[Verdict]:
        return verdicts(scaled(known, change.price, change.latency), use_case, certainty)

    return judge
