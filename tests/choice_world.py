"""A made-up store for choices: six targets over layers and providers, all asked the same 200 items of two tasks.

What is true of it: item k is right where k < the target's number, so answers are nested; an answer has 20 input tokens,
so that a price of 50 $/M input and nothing for output is 0.001 $ a task; every answer of a target has its one TTFT.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bench import database, runs
from bench.stats import scores
from tests.store import MS, TARGET, header, measurement, sample

TASKS = ("core_ledger", "core_rewrite")
SUITE = SimpleNamespace(tasks=[SimpleNamespace(name=n, metric="acc", weight=1.0, chance=0.0) for n in TASKS])
N = 200
#              target            layer            provider     right       $/M in  TTFT ms
WORLD = (
    ("openai:big", "hosted-closed", "openai", (190, 190), "50", 50),
    ("anthropic:mid", "hosted-closed", "anthropic", (188, 186), "25", 500),
    ("together:qwen", "hosted-open", "together", (180, 180), "10", 100),
    ("groq:small", "hosted-open", "groq", (140, 140), "5", 20),
    ("vllm@local", "self-hosted", None, (180, 160), None, 80),
    ("embedded:nano", "reference", None, (200, 200), None, 5),
)
USD = {"openai:big": 0.001, "anthropic:mid": 0.0005, "together:qwen": 0.0002, "groq:small": 0.0001}
USE_CASE = """
name = "invoices"
tasks_per_month = 10000
[[tasks]]
name = "core/ledger"
[[tasks]]
name = "core/rewrite"
[quality]
at_least = 0.8
"""


def build(results: Path, *, world: Any = WORLD, n: int = N) -> Path:
    for k, row in enumerate(world):
        judged(results, f"2026110{k + 1}T000000", *row, n=n)
    database.build(results)
    return results


def judged(
    results: Path,
    run_id: str,
    target: str,
    layer: str,
    provider: str | None,
    right: tuple[int, ...],
    usd_in: str | None,
    ttft_ms: int,
    *,
    n: int = N,
    tasks: tuple[str, ...] = TASKS,
    lost: int = 0,
    model: str | None = None,
    **changes: Any,
) -> None:
    """One run; the last `lost` items of each task got no answer."""
    engine = target.partition("@")[0] if "@" in target else "embedded" if provider is None else None
    told = {
        **TARGET,
        "id": target,
        "layer": layer,
        "provider": provider,
        "engine": engine,
        "model": model or target[-5:],
    }
    head = header(run_id, **{"suite": "core", "suite_version": "0", "target": told, "fingerprint": target, **changes})
    price = {"id": "p", "usd_per_mtok_in": usd_in, "usd_per_mtok_out": "0", "source": "made up"}
    with runs.create(results, head) as run:
        samples = []
        for task, n_right in zip(tasks, right, strict=True):
            for k in range(n):
                dead = k >= n - lost
                key = f"{run_id}-{task}-{k}"
                late = {"first_token_ns": (1 + ttft_ms) * MS, "first_answer_ns": (1 + ttft_ms) * MS}
                late |= {"last_token_ns": (101 + ttft_ms) * MS, "end_ns": (101 + ttft_ms) * MS}
                no = {"status": "timeout", "out_tokens": None, "in_tokens": None} if dead else {}
                ids = {"request_id": key, "request_key": key, "target_id": target, "task": task}
                run.append(measurement(k, **{**ids, **late, **no}))
                value = None if dead else float(k < n_right)
                samples.append(sample(k, value, task=task, item_id=f"{task}/{k}", request_id=key, cluster=None))
        run.write_samples(samples)
        run.write_scores(scores(samples, SimpleNamespace(tasks=[t for t in SUITE.tasks if t.name in tasks])))
        run.write_prices({"prices": [price] if usd_in else []})
        run.finish("finished")
