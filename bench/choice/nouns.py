"""What a choice is made of: candidates, criteria with their certainty, and verdicts."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["suffices", "does not", "not known"]
OPEN_LAYERS = frozenset({"on-device", "self-hosted", "decentralised", "hosted-open"})


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A target that might do; what is unknown of it is None."""

    target: str
    layer: str | None
    provider: str
    """Whom one pays: a provider's id, or the engine of what runs here, or `own address`."""
    is_open: bool
    """Its weights can be downloaded; by its layer where the model is not known."""
    model: str | None = None
    released: dt.date | None = None
    run_ids: tuple[str, ...] = ()
    measured: str | None = None
    """Day of the newest of its runs."""


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """One thing that was wanted, what was found, and how sure it is that it is met."""

    name: str
    wanted: float
    at_least: bool
    """Else at most."""
    value: float | None
    low: float | None
    high: float | None
    certainty: float | None
    """P(met), from the data alone; None = not known at all."""
    n: int
    why: str = ""
    """Why nothing, or less, is known."""
    evidence: str = "measured here"
    n_to_decide: int | None = None
    """How many observations it would take in all, if they go on as so far."""

    def state(self, certainty: float) -> Literal["met", "missed", "not known"]:
        if self.certainty is None:
            return "not known"
        if self.certainty >= certainty and not self.why:
            return "met"
        return "missed" if self.certainty <= 1 - certainty else "not known"

    def more(self) -> int | None:
        """Observations still to make before it is decided, most likely."""
        return None if self.n_to_decide is None else max(self.n_to_decide - self.n, 1)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether one candidate suffices."""

    candidate: Candidate
    state: State
    certainty: float
    """At least so sure that all criteria are met: 1 - Σ(1 - P(met)), whatever they have to do with each other."""
    criteria: tuple[Criterion, ...]
    usd_per_task: float | None

    def why(self, certainty: float) -> str:
        """What stands against it, in words; empty where it suffices."""
        missed = [_told(c) for c in self.criteria if c.state(certainty) == "missed"]
        if missed:
            return "; ".join(missed)
        unknown = [c for c in self.criteria if c.state(certainty) == "not known"]
        if self.state == "not known" and not unknown:
            return f"each criterion is likely met, all together only {self.certainty:.0%}"
        return "; ".join(f"{c.name}: {c.why or _undecided(c)}" for c in unknown)

    def as_dict(self, certainty: float) -> dict[str, Any]:
        who = self.candidate
        return {
            "target": who.target,
            "layer": who.layer,
            "provider": who.provider,
            "open": who.is_open,
            "model": who.model,
            "released": who.released.isoformat() if who.released else None,
            "measured": who.measured,
            "run_ids": list(who.run_ids),
            "state": self.state,
            "certainty": self.certainty,
            "usd_per_task": self.usd_per_task,
            "why": self.why(certainty),
            "criteria": [
                {
                    "name": c.name,
                    "wanted": c.wanted,
                    "direction": "at least" if c.at_least else "at most",
                    "value": c.value,
                    "ci_low": c.low,
                    "ci_high": c.high,
                    "certainty": c.certainty,
                    "state": c.state(certainty),
                    "n": c.n,
                    "more": c.more() if c.state(certainty) == "not known" else None,
                    "why": c.why,
                    "evidence": c.evidence,
                }
                for c in self.criteria
            ],
        }


def _told(c: Criterion) -> str:
    return f"{c.name} {figure(c.value)}, wanted {'≥' if c.at_least else '≤'} {figure(c.wanted)}"


def _undecided(c: Criterion) -> str:
    more = c.more()
    if more is None:
        return f"{c.certainty:.0%} sure{f', n = {c.n:,}' if c.n else ''}; too close to tell"
    return f"{c.certainty:.0%} sure, n = {c.n:,}; about {more:,} more would decide"


def figure(value: float | None) -> str:
    """Three significant digits, without an exponent; unknown is a dash."""
    if value is None:
        return "–"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 3 if abs(value) >= 0.1 else 6
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits == 6 else text
