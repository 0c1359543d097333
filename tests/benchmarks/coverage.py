"""How often the 90% intervals of the gap hold the truth, in worlds whose truth is known.

python tests/benchmarks/coverage.py [WORLDS]        300 worlds a row, in a minute, unless said otherwise
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.frontier import posterior
from bench.frontier.curves import date_of, day_of
from bench.frontier.forecast import forecast
from bench.frontier.index import fit, place, refits
from bench.frontier.scores import Scale
from bench.frontier.survival import Survival, kaplan_meier
from tests.frontier_world import POINTS, SHARE, table
from tests.index_world import RULES, world

START = np.datetime64("2022-01-01")
TAILS = (0.05, 0.95)


def points(seed: int) -> bool:
    """Two classes of 30 models on a rising line, scores of a known error: the gap of the two best."""
    rng, closed, day = _race(seed, 30)
    true = 50 + day / 365.25 * 10 + 3 * closed + rng.normal(0, 4, len(day))
    return _gap_held(true, true + rng.normal(0, 4, len(day)), np.full(len(day), 4.0), closed, day, POINTS, seed)


def proportions(seed: int) -> bool:
    """The same for shares of 200 items solved, the best near the top."""
    rng, closed, day = _race(seed, 25)
    true = posterior.expit(-1 + 1.2 * day / 365.25 + 0.3 * closed + rng.normal(0, 0.8, len(day)))
    score = np.clip(rng.binomial(200, true) / 200, 0.0025, 0.9975)
    return _gap_held(true, score, np.sqrt(score * (1 - score) / 200), closed, day, SHARE, seed)


def unlike(seed: int) -> bool:
    """As `points`, but the true scores have two humps, which the line with normal scatter does not know."""
    rng, closed, day = _race(seed, 30)
    true = 50 + day / 365.25 * 10 + 3 * closed + rng.choice([-5.0, 3.0], len(day)) + rng.normal(0, 1, len(day))
    return _gap_held(true, true + rng.normal(0, 4, len(day)), np.full(len(day), 4.0), closed, day, POINTS, seed)


def waits(seed: int) -> bool:
    """A closed record a month for 40 months, each matched after a log-normal wait of median 8: the median wait."""
    rng = np.random.default_rng(seed)
    wait, left = np.exp(rng.normal(np.log(8), 0.6, 40)), 40.0 - np.arange(40)
    return _inside(8.0, kaplan_meier(np.minimum(wait, left), wait <= left))


def batches(seed: int) -> bool:
    """The same where one open model matches several closed records at once, as it happens: waits that hang together."""
    rng, released = np.random.default_rng(seed), np.arange(40.0)
    wait = np.exp(np.repeat(rng.normal(np.log(8), 0.45, 10), 4) + rng.normal(0, 0.4, 40))
    return _inside(8.0, kaplan_meier(np.minimum(wait, 40 - released), wait <= 40 - released))


def indices(seed: int) -> float:
    """Share of 58 models whose true index lies in the interval of 100 refits; 24 benchmarks, about 10 a model."""
    truth = world(seed, models=60, benchmarks=24, share=0.4)
    found = fit(truth.rows, RULES)
    low, high = np.nanpercentile(refits(truth.rows, found, 100, seed), [5, 95], axis=0)
    names = found.models["model"]
    true = names.map(truth.index).to_numpy()
    return float(((low <= true) & (true <= high))[~names.isin(["low", "high"])].mean())


def placed(seed: int) -> bool:
    """A target on 6 benchmarks of a fitted index, difficulties frozen: its index."""
    truth, rng = world(seed, models=60, benchmarks=24, share=0.4), np.random.default_rng(seed)
    found, ability = fit(truth.rows, RULES), float(rng.normal(0.4, 0.9))
    asked = rng.choice(truth.slope.index, 6, replace=False)
    p = posterior.expit(truth.slope[asked].to_numpy() * (ability - truth.difficulty[asked].to_numpy()))
    scores = pd.DataFrame({"benchmark": asked, "value": np.clip(p + rng.normal(0, 0.04, 6), 0, 1)})
    told = place(scores, found)
    low, high = (-np.inf if told.low is None else told.low), (np.inf if told.high is None else told.high)
    return bool(low <= 130 + 20 * ability <= high)


def steady(seed: int) -> bool | None:
    """Two races at steady speeds: the gap a year on, foretold by the lines. None: no forecast there."""
    return _foretold(seed, wander=0.0)


def drifting(seed: int) -> bool | None:
    """The same where each side's speed, 1 point a month at first, is a random walk with steps of 0.05 a month."""
    return _foretold(seed, wander=0.05)


def wandering(seed: int) -> bool | None:
    """With steps of 0.1 a month."""
    return _foretold(seed, wander=0.1)


ROWS: dict[str, tuple[Callable[[int], float | None], float]] = {
    "gap of two best, points": (points, 1.0),
    "gap of two best, shares near the top": (proportions, 1.0),
    "gap of two best, scatter not normal": (unlike, 1.0),
    "median time to match": (waits, 1.0),
    "median time to match, waits alike": (batches, 1.0),
    "index of a model, refits": (indices, 0.1),
    "index of a target placed on six benchmarks": (placed, 1.0),
    "gap a year on, steady speeds": (steady, 1.0),
    "gap a year on, speeds wander by 5% a month": (drifting, 1.0),
    "gap a year on, speeds wander by 10% a month": (wandering, 1.0),
}
"""What is asked of a world, and how many worlds of the number wanted: one of refits has 58 models."""


def main(worlds: int) -> None:
    print(f"{'90% interval of':<46}{'worlds':>7}{'held the truth':>16}")
    for name, (held, share) in ROWS.items():
        found = [held(seed) for seed in range(max(round(worlds * share), 1))]
        known = [float(each) for each in found if each is not None]
        print(f"{name:<46}{len(known):>7}{np.mean(known):>16.0%}")


def _race(seed: int, n: int) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng, np.repeat([True, False], n), rng.integers(0, 730, 2 * n)


def _gap_held(
    true: np.ndarray,
    score: np.ndarray,
    error: np.ndarray,
    closed: np.ndarray,
    day: np.ndarray,
    bench: Scale,
    seed: int,
) -> bool:
    models = [
        ("c" if c else "o", str(START + int(d)), s, e) for c, d, s, e in zip(closed, day, score, error, strict=True)
    ]
    drawn = posterior.draws(table(*models), bench, 400, seed=seed)
    low, high = np.quantile(drawn[:, closed].max(axis=1) - drawn[:, ~closed].max(axis=1), TAILS)
    return bool(low <= true[closed].max() - true[~closed].max() <= high)


def _inside(truth: float, found: Survival) -> bool:
    return found.low is not None and found.low <= truth and (found.high is None or found.high >= truth)


def _foretold(seed: int, wander: float) -> bool | None:
    """A model of each class every month for four years, up to 4 points under what its side could do."""
    rng, months = np.random.default_rng(seed), np.arange(48)
    models = []
    for cls, start in (("c", 100.0), ("o", 88.0)):
        speed = 1 + np.cumsum(rng.normal(0, wander, 48)) if wander else np.ones(48)
        level = start + np.cumsum(np.maximum(speed, 0.0)) - rng.uniform(0, 4, 48)
        models += [(cls, str(START + int(30.4375 * m)), v) for m, v in zip(months, level, strict=True)]
    end = date_of(day_of(START.astype(object)) + round(30.4375 * 47))
    test = forecast(table(*models), POINTS, end, seed).back_test
    if test is None or test.low is None or test.high is None or test.observed_points is None:
        return None
    return test.low <= test.observed_points <= test.high


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
