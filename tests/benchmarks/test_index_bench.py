"""How long the index takes on a set like Epoch's of April 2026 (160 models, 42 benchmarks, 1,500 scores).

    pytest --benchmark-enable --benchmark-only tests/benchmarks/test_index_bench.py

Wanted: a fit under 5 s, a refit under 1 s, 500 refits under 3 minutes on two cores. On the real set where it is there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.frontier.index import Rules, fit, index_rows, refits, without
from tests.epoch_rows import in_index, observations
from tests.index_world import RULES, world
from tests.real_data import PLACE

REAL = PLACE / "epoch_hub_2026-04"


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    if REAL.exists():
        return index_rows(observations(REAL), in_index()).rows
    return world(0, models=160, benchmarks=42, share=0.22).rows


@pytest.fixture(scope="module")
def rules() -> Rules:
    return Rules() if REAL.exists() else RULES


def test_fit(benchmark: Any, rows: pd.DataFrame, rules: Rules) -> None:
    assert benchmark(fit, rows, rules).converged
    if benchmark.enabled:
        assert benchmark.stats.stats.median < 5


def test_refit_without_one_benchmark(benchmark: Any, rows: pd.DataFrame, rules: Rules) -> None:
    found = fit(rows, rules)
    assert benchmark(without, rows, found, found.benchmarks["benchmark"].iloc[5]).converged
    if benchmark.enabled:
        assert benchmark.stats.stats.median < 1


def test_a_hundred_refits(benchmark: Any, rows: pd.DataFrame, rules: Rules) -> None:
    found = fit(rows, rules)
    n = 100 if benchmark.enabled else 2
    drawn = benchmark.pedantic(refits, (rows, found, n, 0), rounds=3 if benchmark.enabled else 1)
    assert drawn.shape == (n, len(found.models))
    if benchmark.enabled:
        assert benchmark.stats.stats.median < 36  # 500 in three minutes


def test_refits_from_the_cache(benchmark: Any, rows: pd.DataFrame, rules: Rules, tmp_path: Path) -> None:
    found = fit(rows, rules)
    refits(rows, found, 2, 0, tmp_path)
    assert len(benchmark(refits, rows, found, 2, 0, tmp_path)) == 2
