"""Draws of the true scores cover the truth and don't lift the frontier, which noise on top of the scores does."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from bench.frontier import posterior
from bench.frontier.measure import measure
from bench.frontier.scores import Scale
from tests.frontier_world import POINTS, SHARE, Bench, table


def truth_and_scores(rng: np.random.Generator, noise: float, n: int = 30) -> tuple[np.ndarray, pd.DataFrame]:
    """Two classes of n models over two years on a rising line, closed 3 points ahead; scores with known noise."""
    closed = np.repeat([True, False], n)
    day = rng.integers(0, 730, 2 * n)
    true = 50 + day / 365.25 * 10 + 3 * closed + rng.normal(0, 4, 2 * n)
    score = true + rng.normal(0, noise, 2 * n)
    rows = table(
        *(
            ("c" if c else "o", str(np.datetime64("2023-01-01") + d), s, noise)
            for c, d, s in zip(closed, day, score, strict=True)
        )
    )
    return true, rows


def tops(values: np.ndarray, n: int = 30) -> np.ndarray:
    return np.column_stack((values[..., :n].max(axis=-1), values[..., n:].max(axis=-1)))


def test_noise_on_top_lifts_a_frontier_twice_and_ours_does_not() -> None:
    rng, worlds = np.random.default_rng(0), 150
    seen, naive, ours, covered = [], [], [], 0
    for world in range(worlds):
        true, rows = truth_and_scores(rng, noise=4.0)
        top = tops(true[None])[0]
        score = rows["value"].to_numpy()
        drawn = tops(posterior.draws(rows, POINTS, 400, seed=world))
        noisy = tops(score + rng.normal(0, 4.0, (400, len(score))))
        seen.append(tops(score[None])[0] - top)
        naive.append(np.median(noisy, axis=0) - top)
        ours.append(np.median(drawn, axis=0) - top)
        low, high = np.quantile(drawn[:, 0] - drawn[:, 1], (0.05, 0.95))
        covered += bool(low <= top[0] - top[1] <= high)
    assert np.mean(seen) > 1.5  # the best of many noisy scores is too high already
    assert np.mean(naive) > np.mean(seen) + 1.5  # and twice so with noise on top
    assert abs(np.mean(ours)) < 0.5
    assert 0.85 <= covered / worlds <= 0.96


def test_the_side_with_more_models_gains_from_noise_and_not_in_the_draws() -> None:
    """The same true line for both, 60 closed models and 30 open: the observed gap is too large, ours isn't."""
    rng, seen, ours, covered = np.random.default_rng(5), [], [], 0
    closed = np.array([True] * 60 + [False] * 30)
    for world in range(150):
        day = rng.integers(0, 365, 90)
        true = 50 + day / 365 * 5 + rng.normal(0, 3, 90)
        score = true + rng.normal(0, 3, 90)
        models = [
            ("c" if c else "o", str(np.datetime64("2024-01-01") + d), s, 3.0)
            for c, d, s in zip(closed, day, score, strict=True)
        ]
        drawn = posterior.draws(table(*models), POINTS, 300, seed=world)
        gap = drawn[:, closed].max(axis=1) - drawn[:, ~closed].max(axis=1)
        real = true[closed].max() - true[~closed].max()
        seen.append(score[closed].max() - score[~closed].max() - real)
        ours.append(np.median(gap) - real)
        covered += bool(np.quantile(gap, 0.05) <= real <= np.quantile(gap, 0.95))
    assert np.mean(seen) > 0.5
    assert abs(np.mean(ours)) < 0.25
    assert 0.83 <= covered / 150 <= 0.96


def test_shares_are_covered_too_near_the_top() -> None:
    rng, worlds, covered, lifted = np.random.default_rng(3), 120, 0, []
    n_items = 200
    for world in range(worlds):
        closed = np.repeat([True, False], 25)
        day = rng.integers(0, 730, 50)
        true = posterior.expit(-1 + 1.2 * day / 365.25 + 0.3 * closed + rng.normal(0, 0.8, 50))
        score = np.clip(rng.binomial(n_items, true) / n_items, 0.0025, 0.9975)
        models = [
            ("c" if c else "o", str(np.datetime64("2023-01-01") + d), s, np.sqrt(s * (1 - s) / n_items))
            for c, d, s in zip(closed, day, score, strict=True)
        ]
        drawn = tops(posterior.draws(table(*models), SHARE, 400, seed=world), 25)
        top = tops(true[None], 25)[0]
        lifted.append(np.median(drawn, axis=0) - top)
        low, high = np.quantile(drawn[:, 0] - drawn[:, 1], (0.05, 0.95))
        covered += bool(low <= top[0] - top[1] <= high)
    assert 0.83 <= covered / worlds <= 0.97
    assert abs(np.mean(lifted)) < 0.01


def test_the_posterior_of_one_precise_and_one_vague_score_by_formula() -> None:
    """With tau as good as known (200 exact models) theta | y is N(w*y + (1-w)*line, w*s^2), w = tau^2/(tau^2 + s^2)."""
    rng = np.random.default_rng(2)
    exact = [("c", "2024-01-01", 50 + 4 * z, 1e-6) for z in rng.standard_normal(400)]
    centre, tau2 = np.mean([m[2] for m in exact]), np.var([m[2] for m in exact])
    rows = table(*exact, ("c", "2024-01-01", 66.0, 4.0))
    drawn = posterior.draws(rows, POINTS, 4000)[:, -1]
    weight = tau2 / (tau2 + 16)
    assert drawn.mean() == pytest.approx(weight * 66 + (1 - weight) * centre, abs=0.35)
    assert drawn.std() == pytest.approx(np.sqrt(weight) * 4, rel=0.06)


def test_a_model_that_got_nothing_right_is_never_drawn_to_the_top() -> None:
    good = [("c", f"2024-{m:02d}-01", v, 0.02) for m, v in zip(range(1, 11), np.linspace(0.4, 0.9, 10), strict=True)]
    rows = table(*good, ("c", "2024-10-01", 0.0025, 0.03), ("o", "2024-05-01", 0.5, 0.02))
    drawn = posterior.draws(rows, SHARE)
    assert drawn[:, 10].max() < 0.16
    assert ((drawn > 0) & (drawn < 1)).all()


def test_an_unknown_error_stays_where_it_is() -> None:
    _, rows = truth_and_scores(np.random.default_rng(0), noise=3.0)
    rows.loc[[2, 40], "stderr"] = np.nan
    drawn = posterior.draws(rows, POINTS)
    assert (drawn[:, [2, 40]] == rows["value"].to_numpy()[[2, 40]]).all()
    assert (np.ptp(np.delete(drawn, [2, 40], axis=1), axis=0) > 0).all()


@pytest.mark.parametrize("bench", [POINTS, SHARE])
def test_a_version_in_both_classes_is_one_model(bench: Scale) -> None:
    models = [(c, f"202{y}-0{m}-01", 0.1 * y + 0.02 * m, 0.03) for y in (3, 4) for m in range(1, 7) for c in "co"]
    rows = table(*models)
    later = rows.iloc[[0]].assign(cls="open", since=pd.Timestamp("2025-01-01"))
    drawn = posterior.draws(pd.concat([later, rows], ignore_index=True), bench)
    assert (drawn[:, 0] == drawn[:, 1]).all()


def test_the_seed_decides() -> None:
    _, rows = truth_and_scores(np.random.default_rng(0), noise=3.0)
    assert (posterior.draws(rows, POINTS, seed=4) == posterior.draws(rows, POINTS, seed=4)).all()
    assert (posterior.draws(rows, POINTS, seed=4) != posterior.draws(rows, POINTS, seed=5)).any()


@pytest.mark.parametrize("bench", [POINTS, SHARE])
def test_a_few_models_have_too_little_to_learn_a_line_from(bench: Scale) -> None:
    rows = table(("c", "2024-01-01", 0.5, 0.05), ("o", "2024-02-01", 0.4, 0.05))
    drawn = posterior.draws(rows, bench, 3000)
    assert drawn.mean(axis=0) == pytest.approx([0.5, 0.4], abs=0.005)
    assert drawn.std(axis=0) == pytest.approx([0.05, 0.05], rel=0.1)


def test_all_on_one_day_and_all_alike_is_no_trouble() -> None:
    rows = table(
        *(("c", "2024-01-01", 0.5, 0.02) for _ in range(8)), *(("o", "2024-01-01", 0.5, 0.02) for _ in range(8))
    )
    for benchmark in (POINTS, SHARE):
        assert posterior.draws(rows, benchmark) == pytest.approx(0.5, abs=0.1)


def test_no_rows_give_no_draws() -> None:
    assert posterior.draws(table(), POINTS, 7).shape == (7, 0)


def test_six_hundred_models_and_a_thousand_draws_are_measured_in_half_a_second() -> None:
    rng = np.random.default_rng(0)
    day = np.sort(rng.integers(0, 1200, 600))
    score = np.clip(posterior.expit(-2 + day / 400 + rng.normal(0, 1, 600)), 0.01, 0.94)
    rows = table(
        *(
            ("co"[i % 2], str(np.datetime64("2022-06-01") + d), s, 0.02)
            for i, (d, s) in enumerate(zip(day, score, strict=True))
        )
    )
    bench = Bench(scale="proportion", n_items=400)
    drawn = posterior.draws(rows, bench)
    measure(rows, benchmark=bench)
    took = []
    for _ in range(3):
        start = time.perf_counter()
        found = measure(rows, benchmark=bench, draws=drawn)
        took.append(time.perf_counter() - start)
    assert found.draws == 1000
    assert min(took) < 0.5
