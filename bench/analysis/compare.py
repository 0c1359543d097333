"""Which of two is better, by how much and how surely: the paired comparison of two targets on one suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench.analysis.compare_words import MACROS, about_revisions, notes, sentence
from bench.analysis.measured import records
from bench.analysis.pairing import Judged, pairs_by_task, suite_of, two_runs
from bench.errors import ConfigError
from bench.stats import bootstrap, multiple, paired, parity
from bench.stats.composite import macro_difference, rescaled, shares
from bench.stats.paired import Paired, Pairs

if TYPE_CHECKING:
    import pandas

    from bench.catalog.suites import Suite

COMPARE_COLUMNS = (
    "task", "weight", "a", "b", "difference", "stderr", "ci_low", "ci_high", "p", "p_adjusted",
    "p_parity", "p_parity_adjusted", "verdict", "why", "correlation", "mde_80", "mcnemar_p", "boot_low", "boot_high",
    "n", "n_clusters", "n_unscored", "unscored_share", "low_bound", "high_bound", "degrees", "method",
)  # fmt: skip
"""Scores and differences in [0, 1] and [-1, 1], A minus B. See `bench.stats.paired.Paired`; `p_adjusted` is corrected
for the number of tasks, `p_parity` is of TOST. The last rows are `macro` and `macro_rescaled` (for chance)."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A against B on one suite, A minus B."""

    a: str
    b: str
    run_a: str
    run_b: str
    suite: str
    suite_version: str
    measured: str
    """The day, or the first and the last."""
    margin: float
    """Least difference that matters, as a share of 1."""
    confidence: float
    correction: Literal["holm", "benjamini-hochberg"]
    verdict: parity.Verdict
    """Of the macro mean."""
    why: str
    sentence: str
    frame: pandas.DataFrame
    """COMPARE_COLUMNS, one row per task, then MACROS."""
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: unknown is None."""
        rows = records(self.frame)
        told = {name: value for name, value in vars(self).items() if name not in ("frame", "notes")}
        macros = {row["task"]: row for row in rows if row["task"] in MACROS}
        tasks = [row for row in rows if row["task"] not in MACROS]
        return {**told, **macros, "tasks": tasks, "notes": list(self.notes)}


def compare(
    results: Path,
    a: str,
    b: str,
    *,
    margin: float = 0.02,
    suite: str | None = None,
    confidence: float = 0.95,
    explore: bool = False,
    weights: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Comparison:
    """`a` and `b`: targets, or run ids (or how one begins); paired on items, over the means of their repeats.

    The macro mean is one declared question, answered at 1 - `confidence`; the tasks are a family, corrected by Holm
    (`explore`: by Benjamini-Hochberg). Weights are the suite's unless given. ConfigError where suite, version or items
    differ.
    """
    _require_sane(margin, confidence)
    run_a, run_b = two_runs(results, a, b, suite)
    pairs = pairs_by_task(results, run_a, run_b)
    declared = suite_of(run_a)
    shared = _weights(list(pairs), declared, weights)
    rows = _rows(pairs, shared, _chances(list(pairs), declared), confidence=confidence, seed=seed)
    judged = _judged(rows, margin=margin, alpha=1 - confidence, explore=explore)
    macro = judged["macro"]
    frame = _frame(judged, shared)
    told = {"margin": margin, "confidence": confidence, "verdict": macro["verdict"], "why": macro["why"]}
    names = _names(run_a, run_b)
    told_more = notes(judged, declared, weights, margin=margin, confidence=confidence, explore=explore)
    return Comparison(
        a=names[0],
        b=names[1],
        run_a=run_a.run_id,
        run_b=run_b.run_id,
        suite=run_a.suite,
        suite_version=run_a.suite_version,
        measured=" to ".join(dict.fromkeys(sorted(run.day for run in (run_a, run_b)))),
        correction="benjamini-hochberg" if explore else "holm",
        sentence=sentence(names, run_a, macro, margin, confidence),
        frame=frame,
        notes=(*told_more, *about_revisions(results, (run_a, run_b))),
        **told,
    )


def _require_sane(margin: float, confidence: float) -> None:
    if not 0 <= margin < 1:
        raise ConfigError(f"margin = {margin}: a share between 0 and 1, as 0.02 for two points of a hundred")
    if not 0.5 <= confidence < 1:
        raise ConfigError(f"confidence = {confidence}: a share between 0.5 and 1, as 0.95")


def _names(a: Judged, b: Judged) -> tuple[str, str]:
    if a.target_id != b.target_id:
        return a.target_id, b.target_id
    return f"{a.target_id} ({a.run_id})", f"{b.target_id} ({b.run_id})"


def _weights(tasks: Sequence[str], suite: Suite | None, given: Mapping[str, float] | None) -> dict[str, float]:
    """Of sum 1."""
    if given is not None:
        if wrong := set(given) ^ set(tasks):
            raise ConfigError(f"weights must name every task once and no other; see {sorted(wrong)[0]!r}")
        found = dict(given)
    elif suite is not None:
        found = {task.name: task.weight for task in suite.tasks if task.name in tasks}
    else:
        found = dict.fromkeys(tasks, 1.0)
    try:
        return dict(zip(found, shares(list(found.values())), strict=True))
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _chances(tasks: Sequence[str], suite: Suite | None) -> dict[str, float] | None:
    return {task.name: task.chance for task in suite.tasks if task.name in tasks} if suite else None


def _rows(
    pairs: Mapping[str, Pairs],
    weights: Mapping[str, float],
    chances: Mapping[str, float] | None,
    *,
    confidence: float,
    seed: int,
) -> dict[str, Paired]:
    """Every task, then the macros, each with its bootstrap beside it."""
    draws = {name: bootstrap.bootstrap(one, seed=seed + k) for k, (name, one) in enumerate(pairs.items())}
    tasks = {
        name: bootstrap.with_bootstrap(paired.paired(one, confidence=confidence), draws[name], confidence)
        for name, one in pairs.items()
    }
    share = [weights[name] for name in tasks]
    macros = {"macro": macro_difference(list(tasks.values()), share, confidence=confidence)}
    if chances is not None:
        moved = [rescaled(task, chances[name]) for name, task in tasks.items()]
        macros["macro_rescaled"] = macro_difference(moved, share, confidence=confidence, reach=float("inf"))
    for name, macro in macros.items():
        stretch = {task: 1 / (1 - chances[task]) if name != "macro" and chances else 1.0 for task in tasks}
        if all(len(draws[task]) for task in tasks):
            drawn = [weights[task] * stretch[task] * draws[task] for task in tasks]
            macros[name] = bootstrap.with_bootstrap(macro, sum(drawn[1:], start=drawn[0]), confidence)
    return {**tasks, **macros}


def _judged(rows: Mapping[str, Paired], *, margin: float, alpha: float, explore: bool) -> dict[str, dict[str, Any]]:
    """Rows as dicts, with both p values, corrected for the tasks, and the verdict."""
    correct = multiple.benjamini_hochberg if explore else multiple.holm
    tasks = [name for name in rows if name not in MACROS]
    parities = {name: parity.tost(row.difference, row.stderr, row.degrees, margin) for name, row in rows.items()}
    differ = dict(zip(tasks, correct([rows[name].p for name in tasks]), strict=True))
    equal = dict(zip(tasks, correct([parities[name] for name in tasks]), strict=True))
    found = {}
    for name, row in rows.items():
        p, p_parity = differ.get(name, row.p), equal.get(name, parities[name])
        said = parity.judge(row.difference, p, p_parity, alpha=alpha, unscored_share=row.unscored_share)
        more = {"p_adjusted": p, "p_parity": parities[name], "p_parity_adjusted": p_parity}
        found[name] = {"task": name, **asdict(row), **more, "verdict": said.verdict, "why": said.why}
    return found


def _frame(judged: Mapping[str, Mapping[str, Any]], weights: Mapping[str, float]) -> pandas.DataFrame:
    import pandas as pd

    rows = [{**row, "weight": weights.get(name)} for name, row in judged.items()]
    frame = pd.DataFrame(rows, columns=list(COMPARE_COLUMNS))
    texts = ("task", "verdict", "why", "method")
    return frame.astype({name: float for name in COMPARE_COLUMNS if name not in texts and not name.startswith("n")})
