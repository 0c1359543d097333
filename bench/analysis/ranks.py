"""Where each of many targets stands on a suite: ranks as sets, for no list of noisy scores has one order."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from bench.analysis.together import Together, layer_of, together
from bench.stats import multiple, paired, parity
from bench.stats.composite import macro_difference

if TYPE_CHECKING:
    import pandas

RANK_COLUMNS = (
    "target", "run_id", "layer", "value", "rank_low", "rank_high", "ranks", "n", "n_unscored", "unscored_share",
)  # fmt: skip


def ranks(results: Path, suite: str, *, confidence: float = 0.95) -> pandas.DataFrame:
    """One row per target, best first: its macro score and the ranks that aren't ruled out (`1–3`); RANK_COLUMNS.

    From all paired comparisons, corrected by Holm: with probability `confidence` every set holds the true rank. Nothing
    tells a target with over 2% unscored from others.
    """
    import numpy as np
    import pandas as pd

    found = together(results, suite)
    m = len(found.runs)
    differences: list[list[float | None]] = [[None] * m for _ in range(m)]
    ps: list[list[float | None]] = [[None] * m for _ in range(m)]
    for i, j in combinations(range(m), 2):
        macro = _macro(found, i, j)
        if macro.unscored_share <= parity.MOST_UNSCORED:
            differences[i][j], ps[i][j] = macro.difference, macro.p
    sets = multiple.rank_sets(differences, ps, alpha=1 - confidence)
    rows = [
        {
            "target": run.target_id,
            "run_id": run.run_id,
            "layer": layer_of(run),
            "value": _value(found, k),
            "rank_low": low,
            "rank_high": high,
            "ranks": str(low) if low == high else f"{low}–{high}",
            "n": int((~np.isnan(found.values[:, k])).sum()),
            "n_unscored": int(found.unscored[:, k].sum()),
            "unscored_share": float(found.unscored[:, k].sum() / found.repeats[:, k].sum()),
        }
        for k, (run, (low, high)) in enumerate(zip(found.runs, sets, strict=True))
    ]
    frame = pd.DataFrame(rows, columns=list(RANK_COLUMNS))
    order = ["value", "rank_low", "rank_high", "target"]
    return frame.sort_values(order, ascending=[False, True, True, True], na_position="last").reset_index(drop=True)


def _value(found: Together, k: int) -> float:
    """Macro mean; NaN as soon as a task has no score."""
    import numpy as np

    column = found.values[:, k]
    seen, tasks = ~np.isnan(column), len(found.tasks)
    n = np.bincount(found.task[seen], minlength=tasks)
    totals = np.bincount(found.task[seen], column[seen], minlength=tasks)
    return float(np.dot(found.weights, totals / n)) if n.all() else float("nan")


def _macro(found: Together, i: int, j: int) -> paired.Paired:
    tasks = []
    for k in range(len(found.tasks)):
        at = found.task == k
        pairs = paired.Pairs(
            a=found.values[at, i],
            b=found.values[at, j],
            clusters=found.clusters[at],
            repeats_a=found.repeats[at, i],
            repeats_b=found.repeats[at, j],
            unscored_a=found.unscored[at, i],
            unscored_b=found.unscored[at, j],
        )
        tasks.append(paired.paired(pairs))
    return macro_difference(tasks, found.weights)
