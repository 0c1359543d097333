"""Quality against dollars for one use case: the front, and what is probably dominated."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.analysis.asked import tasks_of
from bench.analysis.evidence import evidence
from bench.choice import dominance
from bench.choice.verdict import known, may_run

if TYPE_CHECKING:
    import numpy
    import pandas

    from bench.catalog.use_case import UseCase

QUALITY_COST_COLUMNS = (
    "target", "layer", "provider", "open", "provenance", "quality", "quality_low", "quality_high",
    "usd_per_task", "usd_low", "usd_high", "p_dominated", "on_front", "n", "measured",
)  # fmt: skip
EDGE_POINTS = 120


def quality_cost(results: Path, use_case: UseCase) -> pandas.DataFrame:
    """One row per target that the use case allows and whose price is known, cheapest first; QUALITY_COST_COLUMNS.

    Intervals are the middle 95% of the draws. `attrs`: `use_case`, `wanted` (None where it is relative), `edge` (rows
    of usd and quality, below which something is dominated with 90% probability), `without_price` (targets left out).
    """
    import numpy as np
    import pandas as pd

    found = known(evidence(results, tasks_of(results, use_case)))
    allowed = [one for one in found.evidence.candidates if may_run(one, use_case)]
    shown = [
        one
        for one in allowed
        if found.means[one.target].usd_per_task is not None and found.means[one.target].quality is not None
    ]
    at = [found.drawn.targets.index(one.target) for one in shown]
    quality, usd = found.drawn.quality[:, at], found.drawn.usd_per_task[:, at]
    means = [found.means[one.target] for one in shown]
    front = dominance.on_front(_numbers([m.quality for m in means]), _numbers([m.usd_per_task for m in means]))
    likely = dominance.dominated(quality, usd)
    rows = [
        {
            "target": one.target, "layer": one.layer, "provider": one.provider, "open": one.is_open,
            "provenance": "own", "quality": mean.quality, "usd_per_task": mean.usd_per_task,
            "quality_low": np.quantile(quality[:, k], 0.025), "quality_high": np.quantile(quality[:, k], 0.975),
            "usd_low": np.quantile(usd[:, k], 0.025), "usd_high": np.quantile(usd[:, k], 0.975),
            "p_dominated": likely[k], "on_front": bool(front[k]), "n": mean.n, "measured": one.measured,
        }
        for k, (one, mean) in enumerate(zip(shown, means, strict=True))
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(QUALITY_COST_COLUMNS)).sort_values("usd_per_task", ignore_index=True)
    frame.attrs.update(
        use_case=use_case.name,
        wanted=use_case.quality.at_least,
        edge=_edge(frame, quality, usd),
        without_price=[one.target for one in allowed if one not in shown],
    )
    return frame


def _edge(frame: pandas.DataFrame, quality: numpy.ndarray, usd: numpy.ndarray) -> list[tuple[float, float]]:
    import numpy as np

    costs = frame["usd_per_task"].astype(float)
    costs = costs[costs > 0]
    if costs.empty:
        return []
    steps = [*costs, *(costs * (1 - 1e-9))]
    at = np.unique(np.r_[np.geomspace(costs.min() * 0.8, costs.max() * 1.6, EDGE_POINTS), steps])
    levels = dominance.edge(quality, usd, at)
    return [(float(x), float(y)) for x, y in zip(at, levels, strict=True) if y == y]


def _numbers(values: list[float | None]) -> numpy.ndarray:
    import numpy as np

    return np.asarray([np.nan if value is None else value for value in values], dtype=float)
