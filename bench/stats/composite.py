"""Several tasks as one: the weighted mean of their differences, plain or rescaled for chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.stats import RARE
from bench.stats.paired import Paired, interval
from bench.stats.power import detectable


def shares(weights: Sequence[float]) -> list[float]:
    """Weights brought to sum 1; none may be negative, nor all zero."""
    if not weights or min(weights) < 0 or sum(weights) <= 0:
        raise ValueError(f"weights must not be negative, nor all zero: {list(weights)}")
    return [w / sum(weights) for w in weights]


def macro_difference(
    tasks: Sequence[Paired], weights: Sequence[float], *, confidence: float = 0.95, reach: float = 1.0
) -> Paired:
    """sum w d with SE = sqrt(sum w^2 SE^2): items are paired within a task, tasks share no items (METRICS section 5).

    The SE of each task is the clustered one with nothing added; where all tasks together have too few unusual items to
    learn a spread from, one pseudo-pair is added to the whole, in the place where an item weighs most. t with
    Satterthwaite's degrees of freedom. Unknown as soon as a task is unknown. The interval ends within +-`reach`.
    """
    if len(tasks) != len(weights):
        raise ValueError(f"{len(tasks)} tasks, {len(weights)} weights")
    share = shares(weights)
    difference = _sum(share, [t.difference for t in tasks])
    variances = [None if t.spread is None else (w * t.spread.stderr) ** 2 for w, t in zip(share, tasks, strict=True)]
    variance = _sum([1.0] * len(share), variances)
    if variance is not None and sum(t.spread.unusual for t in tasks if t.spread) < RARE:
        variance += 2 * max(w * t.spread.effect / t.n for w, t in zip(share, tasks, strict=True) if t.spread) ** 2
    stderr = None if variance is None else variance**0.5
    degrees = _satterthwaite(variances, [t.degrees for t in tasks])
    low, high, p = interval(difference, stderr, degrees, confidence, reach)
    return Paired(
        difference=difference,
        stderr=stderr,
        ci_low=low,
        ci_high=high,
        p=p,
        degrees=degrees,
        a=_sum(share, [t.a for t in tasks]),
        b=_sum(share, [t.b for t in tasks]),
        correlation=None,
        mde_80=None if stderr is None else detectable(stderr, degrees, confidence=confidence),
        mcnemar_p=None,
        n=sum(t.n for t in tasks),
        n_clusters=sum(t.n_clusters for t in tasks),
        n_unscored=sum(t.n_unscored for t in tasks),
        unscored_share=_sum(share, [t.unscored_share for t in tasks]) or 0.0,
        low_bound=_sum(share, [t.low_bound for t in tasks]),
        high_bound=_sum(share, [t.high_bound for t in tasks]),
        method="macro" if stderr is not None else "none (a task has no standard error)",
    )


def _sum(shares: Sequence[float], values: Sequence[float | None]) -> float | None:
    known = [share * v for share, v in zip(shares, values, strict=True) if v is not None]
    return sum(known) if len(known) == len(values) else None


def _satterthwaite(variances: Sequence[float | None], degrees: Sequence[float]) -> float:
    """(sum v)^2 / sum(v^2 / degrees)."""
    if any(v is None for v in variances):
        return 0.0
    known = [(v, d) for v, d in zip(variances, degrees, strict=True) if v]
    if not known:
        return float(sum(degrees))
    return float(sum(v for v, _ in known) ** 2 / sum(v * v / d for v, d in known))


def rescaled(task: Paired, chance: float) -> Paired:
    """(s - chance)/(1 - chance) of both sides: differences grow by 1/(1 - chance), their p stays."""
    if not 0 <= chance < 1:
        raise ValueError(f"chance {chance}: must be in [0, 1)")
    return replace(
        task,
        difference=_over(task.difference, chance),
        stderr=_over(task.stderr, chance),
        ci_low=_over(task.ci_low, chance),
        ci_high=_over(task.ci_high, chance),
        mde_80=_over(task.mde_80, chance),
        low_bound=_over(task.low_bound, chance),
        high_bound=_over(task.high_bound, chance),
        boot_low=_over(task.boot_low, chance),
        boot_high=_over(task.boot_high, chance),
        spread=task.spread
        and replace(task.spread, stderr=task.spread.stderr / (1 - chance), effect=task.spread.effect / (1 - chance)),
        a=None if task.a is None else _over(task.a - chance, chance),
        b=None if task.b is None else _over(task.b - chance, chance),
    )


def _over(value: float | None, chance: float) -> float | None:
    return None if value is None else value / (1 - chance)
