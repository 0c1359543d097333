"""What a run would take, before anything is spent: requests, tokens, dollars, time, and what it could show.

What the token caps allow is certain and far too much; what it will likely be is drawn from earlier answers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench import judge, runs
from bench.budget import TEMPLATE_TOKENS, Asked
from bench.catalog import SuiteTask
from bench.errors import BenchError, RunError
from bench.items.files import tasks_dir
from bench.judge import Question
from bench.price import Tariff, tariff_for
from bench.records import ANSWERED, Measurement

COLUMNS = (
    "target", "requests", "in_tokens", "out_tokens_max", "to_ask", "tokens_median", "tokens_p90",
    "usd_median", "usd_p90", "usd_max", "minutes", "mde_macro", "mde_task",
)  # fmt: skip
NOTE = (
    "in_tokens are estimated by characters; out_tokens_max is what the token caps allow. to_ask = not answered yet by\n"
    "a run that would be resumed; tokens and dollars after it are of those: median and 90% quantile drawn from\n"
    "earlier answers here (basis in --json), usd_max what the caps allow. Failed attempts come on top.\n"
    "minutes come from this target's last run here, – where there is none. mde = smallest difference to another\n"
    "target that would be found with 80% power (paired, two-sided 5%, p = .5, correlation .5, no cluster effect)."
)
EIGHTY_PERCENT_POWER = 7.85
"""(z_.975 + z_.80)²."""
DRAWS = 1000
ENOUGH = 5
"""Fewer earlier answers to a task than this say nothing."""
SOURCES = ("this target's", "this model's", "other targets'")

Pairs = list[tuple[int, int]]
"""(input, output) tokens of earlier answers."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What is still to be asked is expected to take, input and output together; dollars are None without a price."""

    requests: int
    tokens_median: int
    tokens_p90: int
    tokens_max: int
    """What the reservations allow."""
    usd_median: str | None
    usd_p90: str | None
    usd_max: str | None
    basis: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def line(self) -> str:
        """`240 requests: likely 31,200 tokens (90%: under 33,000), 0.0123 $ (90%: under 0.0130 $, at most …); …`."""
        told = f"{self.requests} requests to ask: about {self.tokens_median:,} tokens (90%: under {self.tokens_p90:,})"
        if self.usd_median is not None:
            told += f", {self.usd_median} $ (90%: under {self.usd_p90} $; the caps allow {self.usd_max} $)"
        return f"{told}; {self.basis}"

    def over(self, left_usd: Decimal | None, left_tokens: int | None) -> str | None:
        """One line where the median is more than there is; None otherwise."""
        if left_usd is not None and self.usd_median is not None and Decimal(self.usd_median) > left_usd:
            return (
                f"about {self.usd_median} $ are needed and {left_usd:.4f} $ of the allowance are left: this run will "
                "likely stop before its end, and go on under a higher --max-usd"
            )
        if left_tokens is not None and self.tokens_median > left_tokens:
            return (
                f"about {self.tokens_median:,} tokens are needed and {left_tokens:,} of the allowance are left: this "
                "run will likely stop before its end, and go on under a higher --token-budget"
            )
        return None


def plan(question: Question, results: Path) -> dict[str, Any]:
    """One row of COLUMNS, and `basis` of its estimate; None where something is not known, never 0."""
    tasks, repeats = question.suite.tasks, question.repeats
    tokens = {task.name: _tokens_in(question, task) for task in tasks}
    requests = repeats * sum(map(len, tokens.values()))
    in_tokens = repeats * sum(sum(found.values()) for found in tokens.values())
    caps = {task.name: judge.token_cap(question.target, task.max_gen_toks) for task in tasks}
    out_tokens = repeats * sum(len(tokens[name]) * cap for name, cap in caps.items())
    mde = {name: _mde(len(asked)) for name, asked in tokens.items()}
    weight = sum(task.weight for task in tasks)
    earlier = _answered(question, results)
    done = {(m.task, m.doc_id, m.repeat) for m in earlier}
    to_ask = [
        (name, Asked(found[doc_id] + TEMPLATE_TOKENS, caps[name]))
        for name, found in tokens.items()
        for doc_id in found
        for repeat in range(repeats)
        if (name, doc_id, repeat) not in done
    ]
    found = estimate(question, results, to_ask, tariff_for(question.target, datetime.now(UTC)), earlier=earlier)
    return {
        "target": question.target.id,
        "requests": requests,
        "in_tokens": in_tokens,
        "out_tokens_max": out_tokens,
        "to_ask": found.requests,
        "tokens_median": found.tokens_median,
        "tokens_p90": found.tokens_p90,
        "usd_median": found.usd_median,
        "usd_p90": found.usd_p90,
        "usd_max": found.usd_max,
        "minutes": _minutes(question, results, requests),
        "mde_macro": round(math.sqrt(sum((t.weight / weight * mde[t.name]) ** 2 for t in tasks)), 3),
        "mde_task": round(max(mde.values()), 3),
        "basis": found.basis,
    }


def estimate(
    question: Question,
    results: Path,
    to_ask: Sequence[tuple[str, Asked]],
    tariff: Tariff | None,
    *,
    earlier: Iterable[Measurement] = (),
    run_id: str | None = None,
) -> Estimate:
    """What asking `to_ask` (task and reservation of each request) will take.

    Whole runs are drawn DRAWS times (seeded): of each task, earlier answers with replacement, and from those as many as
    will be asked, so that few earlier answers make a wide estimate. Earlier answers are this target's (`earlier`: those
    of the run itself; and the store's, but for `run_id`), else this model's, else any target's. A task without any is
    assumed: its answers take a share of their cap that is the same for all of them, any from 0 to 1 equally likely.
    Failed attempts are not in it.
    """
    import numpy as np

    asked: dict[str, list[Asked]] = {}
    for task, ask in to_ask:
        asked.setdefault(task, []).append(ask)
    history, sources = _history(question, results, list(asked), earlier, run_id)
    dice = np.random.default_rng(question.seed)
    totals = np.zeros((DRAWS, 2))
    for task, asks in sorted(asked.items()):
        totals += _drawn(dice, history.get(task), asks)
    usd = (
        None
        if tariff is None
        else [tariff.typical_usd(int(each[0]), int(each[1]), len(to_ask)) for each in totals.round().astype(int)]
    )
    most_usd = None if tariff is None else sum((tariff.worst_usd(*ask) for _, ask in to_ask), Decimal(0))
    median, p90 = (int(np.quantile(totals.sum(axis=1), q)) for q in (0.5, 0.9))
    return Estimate(
        requests=len(to_ask),
        tokens_median=median,
        tokens_p90=p90,
        tokens_max=sum(sum(ask) for _, ask in to_ask),
        usd_median=None if usd is None else _usd(np.quantile(np.array(usd, dtype=float), 0.5)),
        usd_p90=None if usd is None else _usd(np.quantile(np.array(usd, dtype=float), 0.9)),
        usd_max=None if most_usd is None else _usd(most_usd),
        basis=_basis(sources, history, asked),
    )


def _drawn(dice: Any, pairs: Pairs | None, asks: Sequence[Asked]) -> Any:
    """DRAWS totals of (input, output) tokens of one task."""
    import numpy as np

    if pairs is None:
        shares = dice.uniform(size=(DRAWS, 1))
        return np.array([[sum(ask.in_tokens for ask in asks), 0]]) + shares * [[0, sum(ask.out_tokens for ask in asks)]]
    known = np.array(pairs, dtype=np.int64)
    again = dice.integers(len(known), size=(DRAWS, len(known)))
    picks = dice.integers(len(known), size=(DRAWS, len(asks)))
    return known[np.take_along_axis(again, picks, axis=1)].sum(axis=1)


def _history(
    question: Question, results: Path, tasks: list[str], earlier: Iterable[Measurement], run_id: str | None
) -> tuple[dict[str, Pairs], dict[str, int]]:
    """By task: token pairs, and the position of their source in SOURCES."""
    own: dict[str, Pairs] = {}
    for m in earlier:
        if m.task in tasks and m.status in ANSWERED and m.in_tokens is not None and m.out_tokens is not None:
            own.setdefault(m.task, []).append((m.in_tokens, m.out_tokens))
    pairs, sources = _stored(question, results, tasks, run_id)
    for task, found in own.items():
        pairs[task] = [*found, *(pairs.get(task, []) if sources.get(task) == 0 else [])]
        sources[task] = 0
    enough = {task: found for task, found in pairs.items() if len(found) >= ENOUGH}
    return enough, {task: sources[task] for task in enough}


def _stored(
    question: Question, results: Path, tasks: list[str], run_id: str | None
) -> tuple[dict[str, Pairs], dict[str, int]]:
    """From the store as it is; nothing where there is none, or none that can be read: an estimate stops no run."""
    from bench import analysis

    target = question.target
    try:
        rows = analysis.token_history(
            results, tasks=tasks, fingerprint=target.fingerprint(), model=target.model, but=run_id
        )
    except BenchError:
        return {}, {}
    pairs: dict[str, Pairs] = {}
    for row in rows:
        pairs.setdefault(row["task"], []).append((int(row["in_tokens"]), int(row["out_tokens"])))
    return pairs, {row["task"]: int(row["source"]) for row in rows}


def _basis(sources: Mapping[str, int], history: Mapping[str, Pairs], asked: Mapping[str, Sequence[Asked]]) -> str:
    if not asked:
        return "nothing is left to ask"
    told = []
    for i, whose in enumerate(SOURCES):
        if n := sum(len(history[task]) for task, source in sources.items() if source == i):
            told.append(f"{n} of {whose}")
    without = [task for task in asked if task not in history]
    said = f"from earlier answers: {', '.join(told)}" if told else ""
    if without:
        which = f"{', '.join(without)}: " if told else ""
        said += ("; " if told else "") + f"{which}no earlier answers, any share of the cap assumed equally likely"
    return said


def _answered(question: Question, results: Path) -> list[Measurement]:
    """What a run that would be resumed has answered already."""
    from bench import quality

    try:
        found = runs.resumable(results, **quality.asked_of(question))
        return [] if found is None else [m for m in runs.read(found).answers().values() if m.status in ANSWERED]
    except RunError:  # `bench run` says what is wrong with it
        return []


def _tokens_in(question: Question, task: SuiteTask) -> dict[int, int]:
    """Input tokens of each item that would be asked, by its position."""
    with (tasks_dir() / task.items).open(encoding="utf-8") as lines:
        items = [json.loads(line) for line in lines if line.strip()]
    chosen = judge.sample_items(task, [int(item["level"]) for item in items], question.limit, question.seed)
    return {i: int(items[i]["tokens_in"]) for i in sorted(chosen)}


def _mde(n: int) -> float:
    """Smallest paired difference one task of n binary items can show: n = 7.85·2p(1 − p)(1 − ρ)/δ², solved for δ."""
    return math.sqrt(EIGHTY_PERCENT_POWER * 2 * 0.25 * 0.5 / n) if n else math.nan


def _usd(usd: Decimal | float) -> str:
    return f"{usd:.4f}"


def _minutes(question: Question, results: Path, requests: int) -> float | None:
    """From the median answer time of this target's newest run in the store, at the concurrency that would be used."""
    from bench import analysis, quality

    e2e_ms = analysis.last_e2e_ms(results, question.target.id)
    if e2e_ms is None:
        return None
    concurrency = question.target.options.concurrency or quality.DEFAULT_CONCURRENCY
    return round(requests * e2e_ms / concurrency / 60_000, 2)
