"""Fit the index: abilities of models, difficulties and slopes of benchmarks, on the scale of two anchor models.

Item response theory with benchmarks as items: p' ~ sigmoid(slope (ability - difficulty)). Source: Ho et al.,
"A Rosetta Stone for AI Benchmarks" (arXiv 2512.00193), and Epoch AI's documentation of its Capabilities Index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.errors import ConfigError, nearest
from bench.frontier.index import connected
from bench.frontier.index.nouns import Anchor, Fit, Points, Rules, Scale, Solution
from bench.frontier.index.solve import covariance_of_abilities, normal_equations, ridge, sigmoid, single_thread, solve

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

LEAST_SPREAD = 1e-6
"""Of the two anchors' abilities; under it they define no scale."""


def fit(frame: pd.DataFrame, rules: Rules | None = None, *, start: Fit | None = None) -> Fit:
    """The index of all models in `frame` (columns model, benchmark, value = p' in 0..1, and weight where there is one).

    One row per model and benchmark; `index_rows` makes them from observations. `start` is an earlier fit of nearly the
    same rows: the answer is the same, sooner. ConfigError when rows are malformed or an anchor is missing.
    """
    import pandas as pd

    rules = rules or Rules()
    rows, few = connected.thinned(checked(frame), rules)
    low, high = named(rows, rules.low, few), named(rows, rules.high, few)
    component = connected.labelled(rows)
    home = _home(rows, component, rules, low, high)
    inside, apart = rows[component == home].reset_index(drop=True), rows[component != home]
    models, benchmarks = sorted(inside["model"].unique()), sorted(inside["benchmark"].unique())
    points = arrays(inside, models, benchmarks, rules)
    found = solve(points, rules, start=None if start is None else resumed(start, models, benchmarks))
    at = models.index(low), models.index(high)
    scale, origin = scaled(found.ability, at, rules, (low, high)), -float(found.difficulty[points.anchor])
    spread = _residual_sd(points, rules, found)
    return Fit(
        models=_models(inside, models, points, rules, found, scale, at, origin, spread),
        benchmarks=_benchmarks(benchmarks, points, found, scale, origin),
        rows=inside.assign(expected=expected(points, found)),
        components=connected.counted(rows, component, home),
        refused=pd.concat([few, connected.outside(apart, f"{low} and {high}")], ignore_index=True),
        rules=rules,
        anchors=(low, high),
        scale=Scale(offset=scale.offset - scale.per_ability * origin, per_ability=scale.per_ability),
        origin=origin,
        ridge=ridge(points, rules),
        residual_sd=spread,
        cost=found.cost,
        steps=found.steps,
        converged=found.converged,
    )


def checked(frame: pd.DataFrame) -> pd.DataFrame:
    """Sorted rows with the columns of a fit, `weight` 1 where it is not given; ConfigError for what cannot be meant."""
    missing = [name for name in ("model", "benchmark", "value") if name not in frame]
    if missing:
        raise ConfigError(f"index rows need the column {missing[0]}; they have {', '.join(map(str, frame.columns))}")
    rows = frame[["model", "benchmark", "value"]].assign(weight=frame.get("weight", 1.0))
    odd = rows[~(rows["value"].between(0, 1) & (rows["weight"] > 0))]
    if len(odd):
        first = odd.iloc[0]
        raise ConfigError(
            f"index: {first['model']} on {first['benchmark']} is {first['value']} (weight {first['weight']}), not a "
            "share from guessing (0) to the ceiling (1); prepare the scores with index_rows"
        )
    twice = rows[rows.duplicated(["model", "benchmark"])]
    if len(twice):
        first = twice.iloc[0]
        raise ConfigError(
            f"index: {first['model']} has several scores on {first['benchmark']}; choose one with index_rows"
        )
    return rows.sort_values(["model", "benchmark"], ignore_index=True)


def named(rows: pd.DataFrame, anchor: Anchor, few: pd.DataFrame) -> str:
    """The model that is the anchor; ConfigError when it is not among those that can be fitted."""
    models = set(rows["model"])
    for name in anchor.names:
        if name in models:
            return name
    fallen = few.set_index("model")["reason"]
    why = next((f": {fallen[name]}" for name in anchor.names if name in fallen.index), nearest(anchor.names[0], models))
    raise ConfigError(
        f"index: its anchor {anchor.names[0]} (= {anchor.index:g}) is not among the {len(models)} models{why}"
    )


def arrays(rows: pd.DataFrame, models: list[str], benchmarks: list[str], rules: Rules) -> Points:
    """Rows as arrays, models and benchmarks by their place in the lists."""
    import numpy as np

    place_m = {name: i for i, name in enumerate(models)}
    place_b = {name: i for i, name in enumerate(benchmarks)}
    return Points(
        model=rows["model"].map(place_m).to_numpy(dtype=np.int64),
        benchmark=rows["benchmark"].map(place_b).to_numpy(dtype=np.int64),
        value=rows["value"].clip(rules.floor, 1 - rules.floor).to_numpy(dtype=float),
        weight=rows["weight"].to_numpy(dtype=float),
        n_models=len(models),
        n_benchmarks=len(benchmarks),
        anchor=place_b[rules.anchor_benchmark],
    )


def scaled(ability: np.ndarray, at: tuple[int, int], rules: Rules, names: tuple[str, str]) -> Scale:
    """The scale that gives the two anchors their index; ConfigError when they are equally able or swapped."""
    spread = float(ability[at[1]] - ability[at[0]])
    if not spread > LEAST_SPREAD:
        raise ConfigError(f"index: {names[1]} is not above {names[0]} in these scores; name other anchors")
    per_ability = (rules.high.index - rules.low.index) / spread
    return Scale(offset=rules.low.index - per_ability * float(ability[at[0]]), per_ability=per_ability)


def expected(points: Points, found: Solution) -> np.ndarray:
    """p' that the fit expects, row by row."""
    i, b = points.model, points.benchmark
    return sigmoid(found.slope[b] * (found.ability[i] - found.difficulty[b]))


def resumed(start: Fit, models: list[str], benchmarks: list[str]) -> Solution:
    """An earlier fit as a starting point; what it did not know starts at its middle."""
    import numpy as np

    known: pd.Series = start.models.set_index("model")["ability"] - start.origin
    items = start.benchmarks.set_index("benchmark")
    ability = known.reindex(models).fillna(known.median())
    difficulty = (items["difficulty"] - start.origin).reindex(benchmarks).fillna(known.median())
    slope = items["slope"].reindex(benchmarks).fillna(1.0)
    return Solution(
        ability=ability.to_numpy(dtype=float), difficulty=difficulty.to_numpy(dtype=float),
        slope=slope.to_numpy(dtype=float), cost=np.inf, steps=0, converged=False,
    )  # fmt: skip


def _home(rows: pd.DataFrame, component: pd.Series, rules: Rules, low: str, high: str) -> int:
    """The component with both anchor models and the anchor benchmark."""
    homes = {str(name): int(component[rows["model"] == name].iloc[0]) for name in (low, high)}
    if homes[low] != homes[high]:
        raise ConfigError(
            f"index: the anchors {low} and {high} share no chain of benchmarks, so there is no common scale; "
            "add a benchmark that links them or name other anchors"
        )
    there = sorted(rows.loc[component == homes[low], "benchmark"].unique())
    if rules.anchor_benchmark not in there:
        raise ConfigError(
            f"index: the anchor benchmark {rules.anchor_benchmark!r} is not among the {len(there)} linked with {low}"
            f"{nearest(rules.anchor_benchmark, there)}; name another with Rules(anchor_benchmark=...)"
        )
    return homes[low]


def _residual_sd(points: Points, rules: Rules, found: Solution) -> float:
    import numpy as np

    free = len(points.value) - points.n_models - 2 * points.n_benchmarks + 2
    r = np.sqrt(points.weight / points.weight.mean()) * (expected(points, found) - points.value)
    return float(np.sqrt(r @ r / free)) if free > 0 else float("nan")


def _models(
    rows: pd.DataFrame, names: list[str], points: Points, rules: Rules, found: Solution, scale: Scale,
    at: tuple[int, int], origin: float, spread: float,
) -> pd.DataFrame:  # fmt: skip
    import numpy as np
    import pandas as pd

    _, normal = normal_equations(points, rules, found.ability, found.difficulty, found.slope)
    unit = 1.0 if rules.likelihood == "binomial" else spread**2 * points.weight.mean()
    share = (found.ability - found.ability[at[0]]) / (found.ability[at[1]] - found.ability[at[0]])
    turn = np.eye(len(names))
    turn[:, at[0]] -= 1 - share
    turn[:, at[1]] -= share
    with single_thread():
        variance = unit * ((turn @ covariance_of_abilities(normal)) * turn).sum(axis=1)
    table = pd.DataFrame(
        {
            "model": names,
            "ability": found.ability + origin,
            "index": scale.offset + scale.per_ability * found.ability,
            "stderr": scale.per_ability * np.sqrt(np.maximum(variance, 0)),
            "n_benchmarks": rows.groupby("model")["benchmark"].nunique().reindex(names).to_numpy(),
        }
    )
    return table.sort_values(["index", "model"], ascending=[False, True], ignore_index=True)


def _benchmarks(names: list[str], points: Points, found: Solution, scale: Scale, origin: float) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    many = np.bincount(points.benchmark, minlength=len(names))
    squares = np.bincount(points.benchmark, (expected(points, found) - points.value) ** 2, minlength=len(names))
    table = pd.DataFrame(
        {
            "benchmark": names,
            "difficulty": found.difficulty + origin,
            "slope": found.slope,
            "difficulty_index": scale.offset + scale.per_ability * found.difficulty,
            "slope_per_point": found.slope / scale.per_ability,
            "n_models": many,
            "residual_sd": np.sqrt(squares / many),
        }
    )
    return table.sort_values(["difficulty", "benchmark"], ignore_index=True)
