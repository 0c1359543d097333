"""What a run would take, before anything is spent: requests, tokens, dollars, time, and what it could show."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench import judge
from bench.catalog import SuiteTask
from bench.items.files import tasks_dir
from bench.judge import Question
from bench.price import price_for

COLUMNS = ("target", "requests", "in_tokens", "out_tokens_max", "usd_max", "minutes", "mde_macro", "mde_task")
NOTE = (
    "in_tokens are estimated by characters; out_tokens_max and usd_max are what the token caps allow.\n"
    "minutes come from this target's last run here, – where there is none. mde = smallest difference to another\n"
    "target that would be found with 80% power (paired, two-sided 5%, p = .5, correlation .5, no cluster effect)."
)
EIGHTY_PERCENT_POWER = 7.85
"""(z_.975 + z_.80)²."""


def plan(question: Question, results: Path) -> dict[str, Any]:
    """One row of COLUMNS; None where something is not known, never 0."""
    tasks, repeats = question.suite.tasks, question.repeats
    tokens = {task.name: _tokens_in(question, task) for task in tasks}
    requests = repeats * sum(map(len, tokens.values()))
    in_tokens = repeats * sum(map(sum, tokens.values()))
    out_tokens = repeats * sum(
        len(tokens[task.name]) * judge.token_cap(question.target, task.max_gen_toks) for task in tasks
    )
    mde = {name: _mde(len(asked)) for name, asked in tokens.items()}
    weight = sum(task.weight for task in tasks)
    return {
        "target": question.target.id,
        "requests": requests,
        "in_tokens": in_tokens,
        "out_tokens_max": out_tokens,
        "usd_max": _usd(question, in_tokens, out_tokens),
        "minutes": _minutes(question, results, requests),
        "mde_macro": round(math.sqrt(sum((t.weight / weight * mde[t.name]) ** 2 for t in tasks)), 3),
        "mde_task": round(max(mde.values()), 3),
    }


def _tokens_in(question: Question, task: SuiteTask) -> list[int]:
    """Input tokens of each item that would be asked."""
    with (tasks_dir() / task.items).open(encoding="utf-8") as lines:
        items = [json.loads(line) for line in lines if line.strip()]
    chosen = judge.sample_items(task, [int(item["level"]) for item in items], question.limit, question.seed)
    return [int(items[i]["tokens_in"]) for i in sorted(chosen)]


def _mde(n: int) -> float:
    """Smallest paired difference one task of n binary items can show: n = 7.85·2p(1 − p)(1 − ρ)/δ², solved for δ."""
    return math.sqrt(EIGHTY_PERCENT_POWER * 2 * 0.25 * 0.5 / n) if n else math.nan


def _usd(question: Question, in_tokens: int, out_tokens: int) -> str | None:
    price = price_for(question.target, question.target.model, datetime.now(UTC).date())
    if price is None:
        return None
    usd = (in_tokens * price.usd_per_mtok_in + out_tokens * price.usd_per_mtok_out) / Decimal(1_000_000)
    return f"{usd:.4f}"


def _minutes(question: Question, results: Path, requests: int) -> float | None:
    """From the median answer time of this target's newest run in the store, at the concurrency that would be used."""
    from bench import analysis, quality

    e2e_ms = analysis.last_e2e_ms(results, question.target.id)
    if e2e_ms is None:
        return None
    concurrency = question.target.options.concurrency or quality.DEFAULT_CONCURRENCY
    return round(requests * e2e_ms / concurrency / 60_000, 2)
