"""Whom a portfolio's dollars go to before and after a change, what is captive, and each provider gone in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import inf
from typing import Any

from bench.choice.portfolio import Change, Holding, Move, move
from bench.cost.spend import hhi, shares


@dataclass(frozen=True, kw_only=True)
class Spend:
    """Dollars of a month by provider, and how concentrated they are; of the tasks whose price is known."""

    usd: Mapping[str, float]
    n_unknown: int

    @property
    def total(self) -> float:
        return sum(self.usd.values())

    def share(self, provider: str) -> float | None:
        return self.usd.get(provider, 0.0) / self.total if self.total else None

    def hhi(self) -> float | None:
        """Herfindahl–Hirschman index in (0, 1]; 1 = one provider."""
        found = hhi({name: Decimal(repr(usd)) for name, usd in self.usd.items()})
        return None if found is None else float(found)

    def as_dict(self) -> dict[str, Any]:
        found = shares({name: Decimal(repr(usd)) for name, usd in self.usd.items()})
        return {
            "usd_month": self.total if self.usd else None,
            "hhi": self.hhi(),
            "shares": {name: float(share) for name, share in found.items()},
            "tasks_without_a_price": self.n_unknown,
        }


def spend(moves: Sequence[Move], *, after: bool) -> Spend:
    """What is paid to whom before or after; a stranded task pays nobody."""
    usd: dict[str, float] = {}
    unknown = 0
    for one in moves:
        whom, paid = (one.after, one.usd_after) if after else (one.before, one.usd_before)
        if whom is None:
            continue
        if paid is None:
            unknown += 1
            continue
        usd[whom.provider] = usd.get(whom.provider, 0.0) + paid
    return Spend(usd=usd, n_unknown=unknown)


@dataclass(frozen=True, kw_only=True)
class Gone:
    """What it would mean if one provider were gone."""

    provider: str
    share: float | None
    """Of the dollars spent."""
    n_tasks: int
    n_with_way_out: int
    """Of these, how many have an alternative elsewhere that is sure to suffice."""
    best_open: str | None
    """The open alternative that most of them could move to."""
    quality: float | None
    """Mean difference over the tasks that move."""
    usd_difference: float | None
    """A month, of the tasks that move."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "provider": self.provider,
            "share": self.share,
            "n_tasks": self.n_tasks,
            "n_with_alternative": self.n_with_way_out,
            "best_open_alternative": self.best_open,
            "quality_difference": self.quality,
            "usd_month_difference": self.usd_difference,
        }


def stress(holdings: Sequence[Holding]) -> list[Gone]:
    """Each provider gone in turn, the one with most of the spending first."""
    before = spend([move(holding, Change()) for holding in holdings], after=False)
    providers = dict.fromkeys(holding.current.provider for holding in holdings)
    rows = [_gone(provider, holdings, before) for provider in providers]
    return sorted(rows, key=lambda row: (-(row.share or 0.0), -row.n_tasks, row.provider))


def _gone(provider: str, holdings: Sequence[Holding], before: Spend) -> Gone:
    change = Change(gone=frozenset({provider}))
    hit = [holding for holding in holdings if holding.current.provider == provider]
    moves = [one for one in (move(holding, change) for holding in hit) if one.kind == "moves"]
    money = [one.usd_difference() for one in moves]
    quality = [one.quality for one in moves if one.quality is not None]
    return Gone(
        provider=provider,
        share=before.share(provider),
        n_tasks=len(hit),
        n_with_way_out=len(moves),
        best_open=_best_open(hit, change),
        quality=sum(quality) / len(quality) if quality else None,
        usd_difference=sum(m for m in money if m is not None) if moves and None not in money else None,
    )


def _best_open(hit: Sequence[Holding], change: Change) -> str | None:
    """Sufficient for most of the tasks, then for the least money; an unknown price is the most."""
    found: dict[str, tuple[int, float]] = {}
    for holding in hit:
        for v in holding.judge(change):
            if v.state == "suffices" and v.candidate.is_open and v.candidate.provider not in change.gone:
                n, usd = found.get(v.candidate.target, (0, 0.0))
                paid = holding.usd_per_month(v.candidate.target, change)
                found[v.candidate.target] = n + 1, usd + (inf if paid is None else paid)
    return min(found, key=lambda target: (-found[target][0], found[target][1]), default=None)


def captive_share(holdings: Sequence[Holding]) -> float | None:
    """Share of today's spending on tasks that have no sufficient alternative at another provider."""
    today = [move(holding, Change()) for holding in holdings]
    total = spend(today, after=False).total
    stuck = [
        one.usd_before or 0.0
        for one, holding in zip(today, holdings, strict=True)
        if move(holding, Change(gone=frozenset({holding.current.provider}))).kind == "stranded"
    ]
    return sum(stuck) / total if total else None
