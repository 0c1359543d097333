"""One run of HELM: a folder with `run_spec.json`, `stats.json` and `per_instance_stats.json`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import sqrt
from pathlib import Path
from typing import Any

from bench.catalog.benchmarks import benchmarks
from bench.imports import evaluated, items
from bench.imports.nouns import mapping, text
from bench.imports.streamed import cannot_read, elements, json_file
from bench.imports.tabular import Tally

SPEC, STATS, ITEMS = "run_spec.json", "stats.json", "per_instance_stats.json"
QUALITY = frozenset(
    (
        "exact_match", "quasi_exact_match", "prefix_exact_match", "quasi_prefix_exact_match", "exact_match_indicator",
        "final_number_exact_match", "math_equiv", "math_equiv_chain_of_thought", "chain_of_thought_correctness",
        "ifeval_strict_accuracy", "omni_math_accuracy", "wildbench_score_rescaled", "f1_score", "f1_set_match",
        "exact_set_match", "iou_set_match", "classification_macro_f1", "classification_micro_f1", "rouge_1", "rouge_2",
        "rouge_l", "bleu_1", "bleu_4", "RR@10", "RR@20", "NDCG@10", "NDCG@20", "test_avg", "strict_acc", "pass",
    )
)  # fmt: skip
"""Metrics in which HELM's own schemas say more is better, and that say how right answers are."""
SETTINGS = frozenset(
    (
        "model", "model_deployment", "method", "stop", "prompt", "data_augmentation", "eval_split", "num_outputs",
        "use_chain_of_thought", "use_few_shot", "use_official_examples", "groups", "max_train_instances",
    )
)  # fmt: skip
"""Parts of a run's name that say how it was asked, not what."""
USUAL: Mapping[tuple[str, ...], tuple[str, str]] = {
    ("boolq",): ("boolq", "quasi_exact_match"),
    ("commonsense", "dataset=hellaswag"): ("hellaswag", "exact_match"),
    ("commonsense", "dataset=openbookqa"): ("openbookqa", "exact_match"),
    ("gpqa", "subset=gpqa_diamond"): ("gpqa-diamond", "chain_of_thought_correctness"),
    ("gsm",): ("gsm8k", "final_number_exact_match"),
    ("ifeval",): ("ifeval", "ifeval_strict_accuracy"),
    ("mmlu_pro", "subset=all"): ("mmlu-pro", "chain_of_thought_correctness"),
    ("truthful_qa", "task=mc_single"): ("truthfulqa-mc1", "exact_match"),
}
"""Scenarios that are whole benchmarks of ours: id, and the metric that HELM shows. MMLU is one run per subject, and
only its table in `groups` is the benchmark."""
NO_SCORE = "a figure that is no score (tokens, times, perplexity, best of several)"
A_PART = "a figure of a perturbed, training or partial split"
NOT_ENDED = "a run without stats.json: it did not end"
DAMAGED = "a run with a damaged file"


@dataclass(frozen=True, kw_only=True)
class Run:
    """What was asked of which model."""

    folder: Path
    spec: Mapping[str, Any]

    @property
    def _adapter(self) -> Mapping[str, Any]:
        return mapping(self.spec.get("adapter_spec"))

    @property
    def model(self) -> str:
        """`openai/gpt-4o-2024-05-13`, as HELM calls it."""
        return evaluated.name(self._adapter.get("model")) or "unknown"

    @property
    def shots(self) -> int | None:
        return evaluated.whole(self._adapter.get("max_train_instances"))

    @property
    def method(self) -> str | None:
        return evaluated.name(self._adapter.get("method"))

    @cached_property
    def task(self) -> tuple[str, ...]:
        """The scenario and its arguments: `("mmlu", "subject=anatomy")`."""
        name, _, arguments = (evaluated.name(self.spec.get("name")) or self.folder.name).partition(":")
        kept = [a for a in arguments.split(",") if a.strip() and a.split("=", 1)[0].strip() not in SETTINGS]
        return (name, *sorted(kept))

    @property
    def task_name(self) -> str:
        return ":".join((self.task[0], ",".join(self.task[1:]))).rstrip(":")


@dataclass(kw_only=True)
class Figures:
    """What a run's files hold: per metric the mean of its stat, and the values of its items."""

    split: str
    means: dict[str, float]
    n_items: int | None
    by_item: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def stderr(self, metric: str) -> float | None:
        """Of the mean over items, worked out here: HELM prints none. An item's trials are averaged first."""
        found = [sum(values) / len(values) for values in self.by_item.get(metric, {}).values()]
        if len(found) < 2:
            return None
        mean = sum(found) / len(found)
        return sqrt(sum((value - mean) ** 2 for value in found) / (len(found) - 1) / len(found))


def is_run(folder: Path) -> bool:
    """Whether the folder is of a run; ConfigError when its spec can't be read."""
    spec = json_file(folder / SPEC)
    return isinstance(mapping(spec).get("adapter_spec"), dict) and "scenario_spec" in spec


def run(folder: Path) -> Run:
    return Run(folder=folder, spec=mapping(json_file(folder / SPEC)))


def figures(of: Run, tally: Tally) -> Figures:
    """The scores of a run, each stat counted."""
    rows = json_file(of.folder / STATS)
    stats = [mapping(row) for row in rows] if isinstance(rows, list) else []
    plain = [stat for stat in stats if _is_plain(stat)]
    splits = {split for stat in plain if _metric(stat) in QUALITY and (split := _split(stat)) in ("test", "valid")}
    found = Figures(split="test" if "test" in splits else "valid", means={}, n_items=None)
    for stat in stats:
        metric, value = _metric(stat), evaluated.figure(stat.get("mean"))
        if not _is_plain(stat) or _split(stat) != found.split:
            tally.skip(A_PART)
        elif metric not in QUALITY:
            tally.skip(NO_SCORE)
            if metric == "num_instances":
                found.n_items = evaluated.whole(stat.get("mean"))
        elif isinstance(value, str):
            tally.skip(value)
        else:
            tally.keep()
            found.means[metric] = value
    return found


def _name(stat: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(stat.get("name"))


def _metric(stat: Mapping[str, Any]) -> str:
    return text(_name(stat).get("name")) or ""


def _split(stat: Mapping[str, Any]) -> str | None:
    return text(_name(stat).get("split"))


def _is_plain(stat: Mapping[str, Any]) -> bool:
    return not _name(stat).get("perturbation") and not _name(stat).get("sub_split")


def take_items(of: Run, found: Figures, taken: items.Collector | None, why: str | None, tally: Tally) -> None:
    """Read the items of a run into its figures and the collector, counting what became of each."""
    path, (_, main) = of.folder / ITEMS, USUAL.get(of.task, (None, None))
    if taken is not None and why is None:
        taken.task(of.task_name, version=None, shots=of.shots)
    try:
        with path.open("rb") as file:
            for item in elements(str(path), file):
                reason = _take(of.task_name, main, mapping(item), found, taken)
                tally.keep() if (reason := reason or why) is None else tally.skip(reason)
    except OSError as error:
        raise cannot_read(path, error) from error


def _take(
    task: str, main: str | None, item: Mapping[str, Any], found: Figures, taken: items.Collector | None
) -> str | None:
    name, trial = text(item.get("instance_id")), evaluated.whole(item.get("train_trial_index")) or 0
    if name is None:
        return "an item without its id"
    if item.get("perturbation"):
        return "an item that was perturbed"
    rows = item.get("stats")
    stats = [mapping(stat) for stat in rows] if isinstance(rows, list) else []
    values = {
        metric: value
        for stat in stats
        if (metric := _metric(stat)) in found.means and _is_plain(stat) and _split(stat) == found.split
        if isinstance(value := evaluated.figure(stat.get("mean")), float)
    }
    for metric, value in values.items():
        found.by_item.setdefault(metric, {}).setdefault(name, []).append(value)
    digits = re.search(r"\d{1,9}$", name)
    if taken is None:
        return None
    named = {items.MAIN if metric == main else metric: value for metric, value in values.items()}
    return taken.add(task, name[:200], named, doc_id=int(digits[0]) if digits else 0, repeat=trial)


def scores(of: Run, found: Figures, source: str, observed: str | None) -> Iterator[Mapping[str, Any]]:
    """A row per score; the usual one of a known scenario is our benchmark's."""
    own, usual = USUAL.get(of.task, (None, None))
    for metric, value in found.means.items():
        benchmark = evaluated.benchmark_of(of.task_name, metric, own if metric == usual else None)
        scale = evaluated.scaled(benchmark, value)
        if scale is None:  # no proportion, though our benchmark of that name is one
            benchmark, scale = evaluated.benchmark_of(of.task_name, metric, None), "points"
        whole = benchmarks()[benchmark].n_items if benchmark in benchmarks() else None
        yield evaluated.row(
            model=of.model,
            benchmark=benchmark,
            score=value,
            stderr=found.stderr(metric),
            scale=scale,
            n_items=found.n_items,
            shots=of.shots,
            scaffold=evaluated.scaffold(
                "HELM",
                metric,
                of.method,
                f"split {found.split}" if found.split != "test" else None,
                evaluated.part_of(found.n_items, whole),
            ),
            observed=observed,
            source=source,
        )
