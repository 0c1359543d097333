"""What a comparison says to people: the sentence, and what one must know beside the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.analysis.pairing import Judged, newer_revision
from bench.stats import parity
from bench.stats.power import detectable_by_parity, times_more_items

if TYPE_CHECKING:
    from bench.catalog.suites import Suite

MACROS = ("macro", "macro_rescaled")
"""Rows that are no tasks."""
FEW_CLUSTERS = 10


def points(value: float, sign: bool = True) -> str:
    """Of a hundred: `+1.3`, `−0.4`."""
    tenths = round(1000 * value) / 10 + 0.0  # no minus before a zero
    return f"{tenths:{'+' if sign else ''}.1f}".replace("-", "−")


def sentence(names: tuple[str, str], run: Judged, macro: Mapping[str, Any], margin: float, confidence: float) -> str:
    """The verdict on the macro mean, for people."""
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


def notes(
    judged: Mapping[str, Mapping[str, Any]],
    suite: Suite | None,
    weights: Mapping[str, float] | None,
    *,
    margin: float,
    confidence: float,
    explore: bool,
) -> list[str]:
    """What a reader of the table must know besides; `weights` are those that were given, None = the suite's."""
    tasks = {name: row for name, row in judged.items() if name not in MACROS}
    told = [_about_power(judged["macro"], margin, confidence), _about_families(len(tasks), confidence, explore)]
    if suite is None and weights is None:
        told.append("the suite as it was then isn't here: tasks weigh the same, and nothing is rescaled for chance")
    if suite is not None and suite.provisional:
        told.append(f"suite {suite.name}@{suite.version} is provisional: not yet calibrated on real models")
    told += [_about_unscored(name, row) for name, row in judged.items() if row["n_unscored"] and name in tasks]
    if few := [name for name, row in tasks.items() if 1 < row["n_clusters"] < FEW_CLUSTERS]:
        told.append(f"fewer than {FEW_CLUSTERS} clusters in {', '.join(few)}: read their intervals with care")
    if careful := [name for name, row in tasks.items() if row["method"].endswith("pseudo-pairs")]:
        how = "so the intervals are as with two pairs more, one won and one lost"
        where = ", ".join(careful) if len(careful) < len(tasks) else "every task"
        told.append(f"too few items in {where} tell how much differences spread, {how}")
    told += [_about_bootstrap(name, row) for name, row in judged.items() if _bootstrap_disagrees(row)]
    return [note for note in told if note]


def about_revisions(results: Path, runs: Sequence[Judged]) -> Iterator[str]:
    """Of targets whose newest runs are of another revision, and couldn't be taken."""
    for run in runs:
        if later := newer_revision(results, run):
            what = f"run {later.run_id} has another fingerprint and {later.told()}"
            yield f"{run.target_id} has changed since: {what}"


def _about_power(macro: Mapping[str, Any], margin: float, confidence: float) -> str:
    if macro["mde_80"] is None:
        return ""
    told = f"a true difference of {points(macro['mde_80'], False)} points would be found in 80% of such comparisons"
    if macro["verdict"] != "inconclusive" or not margin or macro["unscored_share"] > parity.MOST_UNSCORED:
        return told
    now = detectable_by_parity(macro["stderr"], macro["degrees"], confidence=confidence)
    times = times_more_items(now, margin)
    if times == 1:
        return told
    return f"{told}; parity of equals within {points(margin, False)} points takes about {times} times as many items"


def _about_families(n_tasks: int, confidence: float, explore: bool) -> str:
    if n_tasks < 2:
        return ""
    if explore:
        return f"exploration: of tasks called different, {1 - confidence:.0%} at most are so by chance, on average"
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
