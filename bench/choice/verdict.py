"""From evidence to verdicts, one per candidate: every criterion, and all of them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isnan
from typing import TYPE_CHECKING, Any, Literal

from bench.choice import criteria as of
from bench.choice.draws import Draws, draws
from bench.choice.nouns import OPEN_LAYERS, Candidate, Criterion, Verdict

if TYPE_CHECKING:
    import pandas

    from bench.catalog.use_case import UseCase

COLUMNS = {"ttft_ms_p95": "ttft_ms", "e2e_ms_p95": "e2e_ms", "decode_tps_p50": "decode_tps"}


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that is known of the candidates, for the tasks of one use case.

    `items`: a row per target, task and item: `target, task, item, cluster, value, usd, n_repeats, n_unscored`;
    `answers`: a row per target and question: `target, answered, ttft_ms, e2e_ms, decode_tps`; `published`: a row per
    target and benchmark: `target, task, value, stderr, n, source`, in [0, 1], `n` NaN where it is not known.
    """

    candidates: tuple[Candidate, ...]
    weights: Mapping[str, float]
    items: pandas.DataFrame
    answers: pandas.DataFrame
    published: pandas.DataFrame

    def names(self) -> tuple[str, ...]:
        return tuple(candidate.target for candidate in self.candidates)


@dataclass(frozen=True, kw_only=True)
class Means:
    """The complete-case figures of one target, weighted over tasks; None = a task is missing, or a price."""

    quality: float | None
    usd_per_task: float | None
    n: int
    unscored: float

    @property
    def usd_per_solved(self) -> float | None:
        return self.usd_per_task / self.quality if self.usd_per_task is not None and self.quality else None


@dataclass(frozen=True, kw_only=True)
class Known:
    """Evidence with everything drawn from it once."""

    evidence: Evidence
    drawn: Draws
    at_best: Draws
    means: Mapping[str, Means] = field(default_factory=dict)


def known(evidence: Evidence, *, seed: int = 0) -> Known:
    """Draws and means of every target of the evidence."""
    names, parts = evidence.names(), dict(iter(evidence.items.groupby("target")))
    drawn = draws(evidence.items, evidence.weights, names, published=evidence.published, seed=seed)
    unscored = bool(evidence.items["n_unscored"].sum()) if len(evidence.items) else False
    best = drawn if not unscored else draws(
        evidence.items, evidence.weights, names, published=evidence.published, seed=seed, missing=1.0
    )  # fmt: skip
    means = {name: _means(parts.get(name), evidence, name) for name in names}
    return Known(evidence=evidence, drawn=drawn, at_best=best, means=means)


def scaled(found: Known, price: Mapping[str, float], latency: Mapping[str, float]) -> Known:
    """As if those providers asked so many times the price, and took so many times as long."""
    import numpy as np

    if not price and not latency:
        return found
    evidence = found.evidence
    paid = np.array([price.get(one.provider, 1.0) for one in evidence.candidates])
    slower = {one.target: latency.get(one.provider, 1.0) for one in evidence.candidates}
    factor = evidence.answers["target"].map(slower).astype(float)
    answers = evidence.answers.assign(
        ttft_ms=evidence.answers["ttft_ms"] * factor,
        e2e_ms=evidence.answers["e2e_ms"] * factor,
        decode_tps=evidence.answers["decode_tps"] / factor,
    )
    means = {
        one.target: replace(mean, usd_per_task=None if mean.usd_per_task is None else mean.usd_per_task * float(times))
        for one, times in zip(evidence.candidates, paid, strict=True)
        for mean in (found.means[one.target],)
    }
    drawn = replace(found.drawn, usd_per_task=found.drawn.usd_per_task * paid)
    return replace(found, evidence=replace(evidence, answers=answers), drawn=drawn, means=means)


def verdicts(found: Known, use_case: UseCase, certainty: float) -> list[Verdict]:
    """A verdict per candidate that may be used, sufficient ones first, the cheapest first among them."""
    allowed = [one for one in found.evidence.candidates if may_run(one, use_case)]
    return sorted((_verdict(found, one, use_case, certainty) for one in allowed), key=rank)


def may_run(one: Candidate, use_case: UseCase) -> bool:
    """Whether the use case allows the layer; a model that only others measured runs in any open layer if it is open."""
    if one.layer is None:
        return bool(OPEN_LAYERS & set(use_case.layers)) if one.is_open else "hosted-closed" in use_case.layers
    return one.layer in use_case.layers


def rank(verdict: Verdict) -> tuple[Any, ...]:
    """Sufficient ones first, the cheapest first (an unknown price last); then who leaves least to be doubted."""
    order = {"suffices": 0, "not known": 1, "does not": 2}[verdict.state]
    price = verdict.usd_per_task
    by_price = (price is None, price or 0.0) if order == 0 else (False, 0.0)
    doubts = sum(1 - (c.certainty or 0.0) for c in verdict.criteria)
    return (order, *by_price, round(doubts, 2), -(verdict.criteria[0].value or 0.0), verdict.candidate.target)


def _verdict(found: Known, candidate: Candidate, use_case: UseCase, certainty: float) -> Verdict:
    limits = use_case.limits.given()
    rows = [_quality(found, candidate.target, use_case, certainty)]
    rows += [_speed(found, candidate.target, name, limits[name], certainty) for name in COLUMNS if name in limits]
    rows += [
        _money(found, candidate.target, name, limit, use_case.tasks_per_month or 1, certainty)
        for name, limit in limits.items()
        if name.startswith("usd_")
    ]
    sure, states = of.together(rows), [row.state(certainty) for row in rows]
    unknown = any(row.certainty is None or row.why for row in rows)
    state: Literal["suffices", "does not", "not known"] = (
        "does not" if "missed" in states else "suffices" if sure >= certainty and not unknown else "not known"
    )
    price = found.means[candidate.target].usd_per_task
    return Verdict(candidate=candidate, state=state, certainty=sure, criteria=tuple(rows), usd_per_task=price)


def _quality(found: Known, target: str, use_case: UseCase, certainty: float) -> Criterion:
    wish, means = use_case.quality, found.means[target]
    drawn, best, value = found.drawn.quality_of(target), found.at_best.quality_of(target), means.quality
    wanted = wish.at_least or 0.0
    missing = sorted(set(found.evidence.weights) - _tasks_of(found.evidence, target))
    if missing:
        return of.unknown("quality", wanted, f"not measured: {', '.join(missing)}", at_least=True)
    if wish.of is not None and wish.within is not None:
        other = found.means[wish.of].quality
        if other is None or value is None:
            return of.unknown("quality", -wish.within, f"{wish.of} was not measured on all tasks", at_least=True)
        drawn, best = drawn - found.drawn.quality_of(wish.of), best - found.drawn.quality_of(wish.of)
        value, wanted = value - other, -wish.within
    return of.quality(
        drawn, wanted, value=value, n=means.n, unscored=means.unscored, at_best=best, certainty=certainty,
        evidence=_evidence_of(found.evidence, target), relative=wish.of is not None,
    )  # fmt: skip


def _speed(found: Known, target: str, name: str, limit: float, certainty: float) -> Criterion:
    answers = found.evidence.answers
    mine = answers[answers["target"] == target]
    seen = mine.loc[mine["answered"], COLUMNS[name]].dropna().astype(float).tolist()
    return of.share(name, seen, limit, certainty=certainty, n_failed=int((~mine["answered"].astype(bool)).sum()))


def _money(found: Known, target: str, name: str, limit: float, per_month: int, certainty: float) -> Criterion:
    means, solved = found.means[target], name == "usd_per_solved"
    drawn = found.drawn.usd_per_solved_of(target) if solved else found.drawn.usd_of(target)
    value = means.usd_per_solved if solved else means.usd_per_task
    times = per_month if name == "usd_per_month" else 1
    value = None if value is None else value * times
    return of.amount(name, drawn * times, limit, value=value, n=means.n, certainty=certainty)


def _tasks_of(evidence: Evidence, target: str) -> set[str]:
    items, told = evidence.items, evidence.published
    scored = items[(items["target"] == target) & items["value"].notna()]
    return {*scored["task"], *told[told["target"] == target]["task"]}


def _evidence_of(evidence: Evidence, target: str) -> str:
    told = evidence.published
    mine = told[told["target"] == target]
    if mine.empty:
        return "measured here"
    published = f"published ({', '.join(sorted(set(mine['source'])))})"
    return published if len(mine) == len(evidence.weights) else f"measured here and {published}"


def _means(part: pandas.DataFrame | None, evidence: Evidence, target: str) -> Means:
    others = evidence.published[evidence.published["target"] == target]
    told = others.set_index("task")["value"]
    own = part.groupby("task")[["value", "usd"]].mean() if part is not None else None
    value = {**(dict(own["value"]) if own is not None else {}), **dict(told)}
    usd = dict(own["usd"]) if own is not None else {}
    repeats = int(part["n_repeats"].sum()) if part is not None else 0
    return Means(
        quality=weighted(evidence.weights, value),
        usd_per_task=weighted({t: w for t, w in evidence.weights.items() if t in usd}, usd),
        n=int((part["value"].notna().sum() if part is not None else 0) + others["n"].sum()),
        unscored=float(part["n_unscored"].sum()) / repeats if part is not None and repeats else 0.0,
    )


def weighted(weights: Mapping[str, float], values: Mapping[str, float]) -> float | None:
    """The weighted mean; None where one of the values is missing or NaN."""
    found = [(weight, values.get(name)) for name, weight in weights.items()]
    if not found or any(value is None or isnan(value) for _, value in found):
        return None
    return sum(weight * float(value or 0.0) for weight, value in found) / sum(weights.values())
