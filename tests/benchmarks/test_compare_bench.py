"""How fast a comparison of a million samples is: reading, pairing, statistics and all; the promise is under 3 s.

Run with `pytest tests/benchmarks/test_compare_bench.py --benchmark-enable`. Without it each body runs once, on less.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from bench import analysis, database
from tests.store import TARGET, counted, header, measurement, sample, sealed

PROMISED_S = 3.0
TASKS = 8


@pytest.fixture(scope="module")
def n_samples(request) -> int:
    return 1_000_000 if request.config.getoption("benchmark_enable") else 60_000


def many_samples(n: int, right: float, seed: int) -> tuple[str, list[dict]]:
    """Lines of samples.jsonl and rows of scores.json: items in clusters of five, three repeats, 0.5% unscored."""
    dice = np.random.default_rng(seed)
    item = np.arange(n) // 3
    known = dice.random(n) >= 0.005
    hard = np.random.default_rng(0).uniform(-0.3, 0.3, n)[item]
    values = (dice.random(n) < right + hard).astype(float)
    lines = (
        json.dumps(
            {
                "task": f"task{i % TASKS}",
                "doc_id": i // TASKS,
                "item_id": f"item/{i}",
                "repeat": k % 3,
                "metric": "acc",
                "state": "scored" if ok else "unscored_error",
                "value": value if ok else None,
                "answer": f"{i}",
                "expected": f"{i}",
                "reason": None,
                "request_id": None,
                "cluster": f"c{i // TASKS // 5}",
            }
        )
        for k, (i, ok, value) in enumerate(zip(item.tolist(), known.tolist(), values.tolist(), strict=True))
    )
    scores = [
        vars(score)
        | {"task": f"task{t}", "n": len(np.unique(item[known & (item % TASKS == t)]))}
        | {"n_unscored": int((~known & (item % TASKS == t)).sum())}
        for t in range(TASKS)
        for score in counted([sample(0)])
    ]
    return "\n".join(lines) + "\n", scores


@pytest.fixture(scope="module")
def large_store(tmp_path_factory, n_samples) -> Path:
    results = tmp_path_factory.mktemp("large")
    for k, (name, right) in enumerate((("embedded:nano", 0.55), ("embedded:large", 0.555))):
        head = header(f"2026110{k}T000000000Z-large", repeats=3, target={**TARGET, "id": name})
        few = [sample(t, task=f"task{t}", request_id=None) for t in range(TASKS)]
        path = sealed(results, head, [measurement(0, request_id=f"r{k}")], few)
        lines, scores = many_samples(n_samples // 2, right, k)
        (path / "samples.jsonl").write_text(lines)
        (path / "scores.json").write_text(json.dumps(scores))
    assert database.build(results).problems == []
    return results


def test_a_million_samples_are_compared(benchmark, large_store, n_samples):
    found = benchmark.pedantic(lambda: analysis.compare(large_store, "embedded:large", "embedded:nano"), rounds=3)
    macro = found.frame.set_index("task").loc["macro"]
    assert macro["n"] == pytest.approx(n_samples / 6, rel=0.01)
    assert macro["difference"] == pytest.approx(0.005, abs=4 * macro["stderr"])
    if benchmark.stats:
        assert benchmark.stats["max"] < PROMISED_S
