"""Dollars per task and per solved task, with intervals.

A trial is one asking of one item. Its dollars are those of all its attempts, failures and retries included; a task
that was given up or refused was paid for and is not solved. The interval comes from drawing clusters of items anew,
within each task, so that questions made from one text go together (METRICS section 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DRAWS = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One item asked once, whatever number of attempts that took."""

    task: str
    item: str
    cluster: str
    usd: Decimal
    value: float | None
    """Credit in [0, 1]; None = never scored, which is paid for and not solved."""


@dataclass(frozen=True, kw_only=True)
class SolvedCost:
    """US dollars; an end of an interval is None where nothing bounds it."""

    usd_total: Decimal
    n: int
    """Trials."""
    solved: float
    """Credit in all: with right or wrong, how many were right."""
    usd_per_task: Decimal
    usd_per_task_low: float | None
    usd_per_task_high: float | None
    usd_per_solved: Decimal | None
    """None where nothing was solved; then `usd_per_solved_low` is all that can be said."""
    usd_per_solved_low: float | None
    usd_per_solved_high: float | None
    method: str


def solved_cost(trials: Sequence[Trial], *, seed: int = 0, draws: int = DRAWS) -> SolvedCost | None:
    """None of no trials. `seed` makes the interval reproducible."""
    if not trials:
        return None
    usd = sum((trial.usd for trial in trials), Decimal(0))
    solved = sum(trial.value or 0.0 for trial in trials)
    drawn = _drawn(trials, seed, draws)
    per_task = _ends(drawn[:, 0] / drawn[:, 2]) if drawn is not None else (None, None)
    low, high, method = _solved_interval(trials, float(usd), solved, drawn)
    return SolvedCost(
        usd_total=usd,
        n=len(trials),
        solved=solved,
        usd_per_task=usd / len(trials),
        usd_per_task_low=per_task[0],
        usd_per_task_high=per_task[1],
        usd_per_solved=usd / Decimal(str(solved)) if solved > 0 else None,
        usd_per_solved_low=low,
        usd_per_solved_high=high,
        method=method,
    )


def _solved_interval(
    trials: Sequence[Trial], usd: float, solved: float, drawn: NDArray[np.float64] | None
) -> tuple[float | None, float | None, str]:
    """Where all or nothing was solved a bootstrap sees no doubt; the binomial law of the items does."""
    n_items, per_task = len({(trial.task, trial.item) for trial in trials}), usd / len(trials)
    if solved <= 0:
        most = 1 - ((1 - CONFIDENCE) / 2) ** (1 / n_items)
        return per_task / most, None, f"lower bound: nothing of {n_items} items solved"
    if solved >= len(trials):
        from bench.stats import wilson

        return per_task, per_task / wilson(n_items, n_items, CONFIDENCE)[0], f"wilson: all of {n_items} items solved"
    if drawn is None:
        return None, None, "none (one cluster)"
    low, high = _ends(drawn[:, 0], drawn[:, 1])
    return low, high, f"bootstrap of {len({(t.task, t.cluster) for t in trials})} clusters"


def _drawn(trials: Sequence[Trial], seed: int, draws: int) -> NDArray[np.float64] | None:
    """(draws, 3): dollars, credit and trials of each redrawn sample; None where no task has two clusters."""
    import numpy as np

    rng = np.random.default_rng(seed)
    total, varied = np.zeros((draws, 3)), False
    for sums in _cluster_sums(trials):
        n = len(sums)
        varied |= n > 1
        total += rng.multinomial(n, np.full(n, 1 / n), size=draws) @ sums
    return total if varied else None


def _cluster_sums(trials: Sequence[Trial]) -> list[NDArray[np.float64]]:
    """Of each task an array of (clusters, 3), in an order that does not hang on the trials'."""
    import numpy as np

    tasks: dict[str, dict[str, list[float]]] = {}
    for trial in trials:
        row = tasks.setdefault(trial.task, {}).setdefault(trial.cluster, [0.0, 0.0, 0.0])
        row[0] += float(trial.usd)
        row[1] += trial.value or 0.0
        row[2] += 1
    return [np.array([clusters[name] for name in sorted(clusters)]) for _, clusters in sorted(tasks.items())]


def _ends(above: Any, below: Any = 1.0) -> tuple[float | None, float | None]:
    """The middle 95% of a ratio; a draw in which nothing was solved is beyond every bound."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(np.asarray(below) > 0, above / below, np.inf)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail], method="inverted_cdf")
    return tuple(float(end) if np.isfinite(end) else None for end in (low, high))  # type: ignore[return-value]
