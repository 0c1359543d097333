"""What `bench choose` says of a use case: yes, not yet or not known, the cheapest, and since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bench.choice.nouns import Verdict, figure

if TYPE_CHECKING:
    from bench.catalog.use_case import UseCase

METHOD = (
    "quality and cost: Bayesian bootstrap over items (flat prior), paired over targets; percentiles: binomial, "
    "distribution-free, flat prior; all together: at least 1 - Σ(1 - P), however the criteria hang together"
)


@dataclass(frozen=True, kw_only=True)
class Since:
    """Since when an open model has been enough; what is not known is None, and `why` says so."""

    model: str | None = None
    released: str | None = None
    basis: str = ""
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What `bench choose` says."""

    use_case: UseCase
    certainty: float
    verdicts: tuple[Verdict, ...]
    left_out: Mapping[str, Sequence[str]]
    """Why, and whom."""
    since: Since = Since()

    @property
    def sufficient(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.state == "suffices"]

    @property
    def state(self) -> Literal["yes", "not yet", "not known"]:
        if self.sufficient:
            return "yes"
        return "not yet" if self.verdicts and all(v.state == "does not" for v in self.verdicts) else "not known"

    @property
    def best_open(self) -> Verdict | None:
        """The cheapest open one that suffices."""
        return next((verdict for verdict in self.sufficient if verdict.candidate.is_open), None)

    def cheapest(self) -> dict[str, Verdict | None]:
        """Of each layer where it may run, the cheapest that suffices."""
        return {
            layer: next((v for v in self.sufficient if v.candidate.layer == layer), None)
            for layer in self.use_case.layers
        }

    def sentence(self) -> str:
        """The answer in one line."""
        if self.state == "yes":
            return f"Yes: {_at(self.sufficient[0])}; {self._open()}."
        if not self.verdicts:
            return "Not known: no target that may be used was measured on these tasks (bench run SUITE -t TARGET)."
        nearest = self.verdicts[0]
        told = nearest.why(self.certainty)
        if self.state == "not yet":
            return f"Not yet: none of {len(self.verdicts)} suffices; nearest: {nearest.candidate.target} ({told})."
        return f"Not known: none is sure to suffice; nearest: {nearest.candidate.target} ({told})."

    def _open(self) -> str:
        if self.best_open is self.sufficient[0]:
            return "it is open"
        if self.best_open is not None:
            return f"cheapest open: {_at(self.best_open)}"
        undecided = [v for v in self.verdicts if v.candidate.is_open and v.state == "not known"]
        return "whether an open one does is not known" if undecided else "no open one does yet"

    def as_dict(self) -> dict[str, Any]:
        cheapest = self.cheapest()
        return {
            "use_case": self.use_case.name,
            "answer": self.state,
            "sentence": self.sentence(),
            "certainty_wanted": self.certainty,
            "quality_wanted": self.use_case.quality.told(),
            "best": _name(self.sufficient[0] if self.sufficient else None),
            "best_open": _name(self.best_open),
            "cheapest": {layer: _name(verdict) for layer, verdict in cheapest.items()},
            "open_since": {
                "model": self.since.model,
                "released": self.since.released,
                "basis": self.since.basis,
                "why": self.since.why,
            },
            "targets": [verdict.as_dict(self.certainty) for verdict in self.verdicts],
            "left_out": {why: list(names) for why, names in self.left_out.items()},
            "method": METHOD,
        }


def _at(verdict: Verdict) -> str:
    if not verdict.candidate.run_ids:
        return f"{verdict.candidate.target} suffices by published scores ({sure(verdict.certainty)}), not measured here"
    price = f"{figure(verdict.usd_per_task)} $/task" if verdict.usd_per_task is not None else "a price not known"
    return f"{verdict.candidate.target} suffices ({sure(verdict.certainty)}), at {price}"


def sure(certainty: float) -> str:
    """`97% sure`, never 100%."""
    return (
        ">99.9% sure" if certainty > 0.999 else f"{certainty:.1%} sure" if certainty > 0.99 else f"{certainty:.0%} sure"
    )


def _name(verdict: Verdict | None) -> str | None:
    return verdict.candidate.target if verdict else None
