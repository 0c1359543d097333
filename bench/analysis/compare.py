"""Which of two is better, by how much and how surely: the paired comparison of two targets on one suite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench.analysis.measured import records
from bench.analysis.pairing import Judged, newer_revision, pairs_by_task, suite_of, two_runs
from bench.errors import ConfigError
from bench.stats import multiple, paired, parity
from bench.stats.composite import macro_difference, rescaled, shares
from bench.stats.paired import Paired, Pairs
from bench.stats.power import detectable_by_parity, times_more_items

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
MACROS = ("macro", "macro_rescaled")
FEW_CLUSTERS = 10


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
    notes = _notes(judged, declared, weights, margin=margin, confidence=confidence, explore=explore)
    return Comparison(
        a=names[0],
        b=names[1],
        run_a=run_a.run_id,
        run_b=run_b.run_id,
        suite=run_a.suite,
        suite_version=run_a.suite_version,
        measured=" to ".join(dict.fromkeys(sorted(run.day for run in (run_a, run_b)))),
        correction="benjamini-hochberg" if explore else "holm",
        sentence=_sentence(names, run_a, macro, margin, confidence),
        frame=frame,
        notes=(*notes, *_about_revisions(results, (run_a, run_b))),
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
    draws = {name: paired.bootstrap(one, seed=seed + k) for k, (name, one) in enumerate(pairs.items())}
    tasks = {
        name: paired.with_bootstrap(paired.paired(one, confidence=confidence), draws[name], confidence)
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
            macros[name] = paired.with_bootstrap(macro, sum(drawn[1:], start=drawn[0]), confidence)
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


# ------------------------------------------------------------------------------------------------------------ in words


def points(value: float, sign: bool = True) -> str:
    """Of a hundred: `+1.3`, `−0.4`."""
    tenths = round(1000 * value) / 10 + 0.0  # no minus before a zero
    return f"{tenths:{'+' if sign else ''}.1f}".replace("-", "−")


def _sentence(names: tuple[str, str], run: Judged, macro: Mapping[str, Any], margin: float, confidence: float) -> str:
    a, b, where = *names, f"{run.suite}@{run.suite_version}"
    if macro["difference"] is None:
        return f"Inconclusive: {a} against {b} on {where}: {macro['why']}."
    size = f"{points(macro['difference'])} points"
    if macro["ci_low"] is not None:
        size += f" ({confidence:.0%} interval {points(macro['ci_low'])} to {points(macro['ci_high'])})"
    scores = f"{points(macro['a'], False)}% against {points(macro['b'], False)}% right, {size}"
    match macro["verdict"]:
        case "at parity":
            within = f"within the margin of {points(margin, False)} points"
            if macro["why"] != "within the margin":
                within = f"a difference that is surely there and surely {within}"
            return f"{a} and {b} are at parity on {where}: {scores}, {within}."
        case "ahead":
            return f"{a} is ahead of {b} on {where}: {scores}."
        case "behind":
            return f"{a} is behind {b} on {where}: {scores}."
    return f"Inconclusive: {a} against {b} on {where}: {scores}; {macro['why']}."


def _notes(
    judged: Mapping[str, Mapping[str, Any]],
    suite: Suite | None,
    weights: Mapping[str, float] | None,
    *,
    margin: float,
    confidence: float,
    explore: bool,
) -> list[str]:
    tasks = {name: row for name, row in judged.items() if name not in MACROS}
    notes = [_about_power(judged["macro"], margin, confidence), _about_families(len(tasks), confidence, explore)]
    if suite is None and weights is None:
        notes.append("the suite as it was then isn't here: tasks weigh the same, and nothing is rescaled for chance")
    if suite is not None and suite.provisional:
        notes.append(f"suite {suite.name}@{suite.version} is provisional: not yet calibrated on real models")
    notes += [_about_unscored(name, row) for name, row in judged.items() if row["n_unscored"] and name in tasks]
    if few := [name for name, row in tasks.items() if 1 < row["n_clusters"] < FEW_CLUSTERS]:
        notes.append(f"fewer than {FEW_CLUSTERS} clusters in {', '.join(few)}: read their intervals with care")
    if careful := [name for name, row in tasks.items() if row["method"].endswith("pseudo-pairs")]:
        told = "so the intervals are as with two pairs more, one won and one lost"
        where = ", ".join(careful) if len(careful) < len(tasks) else "every task"
        notes.append(f"too few items in {where} tell how much differences spread, {told}")
    notes += [_about_bootstrap(name, row) for name, row in judged.items() if _bootstrap_disagrees(row)]
    return [note for note in notes if note]


def _about_revisions(results: Path, runs: Sequence[Judged]) -> Iterator[str]:
    for run in runs:
        if later := newer_revision(results, run):
            what = f"run {later.run_id} has another fingerprint and was asked {later.told()}"
            yield f"{run.target_id} has changed since: {what}"


def _about_power(macro: Mapping[str, Any], margin: float, confidence: float) -> str:
    if macro["mde_80"] is None:
        return ""
    told = f"a true difference of {points(macro['mde_80'], False)} points would be found in 80% of such comparisons"
    if macro["verdict"] != "inconclusive" or not margin or macro["unscored_share"] > parity.MOST_UNSCORED:
        return told
    now = detectable_by_parity(macro["stderr"], macro["degrees"], confidence=confidence)
    times = times_more_items(now, margin)
    more = f"about {times} times as many items" if times > 1 else "luck alone"
    return f"{told}; to show parity within {points(margin, False)} points of true equals takes {more}"


def _about_families(n_tasks: int, confidence: float, explore: bool) -> str:
    if n_tasks < 2:
        return ""
    if explore:
        return f"exploration: of the tasks called different, {1 - confidence:.0%} are so by chance (Benjamini-Hochberg)"
    return f"the verdicts of the tasks are corrected for reading {n_tasks} of them (Holm), their intervals are not"


def _about_unscored(name: str, row: Mapping[str, Any]) -> str:
    ends = f"{points(row['low_bound'])} if all went against A, {points(row['high_bound'])} if all for it"
    return f"{name}: {row['n_unscored']} unscored ({100 * row['unscored_share']:.1f}% of a side): {ends}"


def _bootstrap_disagrees(row: Mapping[str, Any]) -> bool:
    """Where items are enough for a bootstrap to be a check at all."""
    if row["boot_low"] is None or row["ci_low"] is None or row["method"].endswith("pseudo-pairs"):
        return False
    return bool((row["ci_low"] <= 0 <= row["ci_high"]) != (row["boot_low"] <= 0 <= row["boot_high"]))


def _about_bootstrap(name: str, row: Mapping[str, Any]) -> str:
    found = f"{points(row['boot_low'])} to {points(row['boot_high'])}"
    inside = "holds" if row["boot_low"] <= 0 <= row["boot_high"] else "doesn't hold"
    return f"{name}: a close call, the cluster bootstrap ({found}) {inside} zero and the interval says otherwise"
