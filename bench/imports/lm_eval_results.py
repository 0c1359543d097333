"""One results file of lm-evaluation-harness, any version: its figures, and what they were asked with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.errors import ConfigError
from bench.imports import evaluated
from bench.imports.nouns import mapping
from bench.imports.streamed import files_of, json_file, name_in
from bench.imports.tabular import Tally

TOOL = "lm-eval"
USUAL: Mapping[str, tuple[str, str]] = {
    "arc_challenge": ("arc-challenge", "acc_norm"),
    "arc_challenge_chat": ("arc-challenge", "exact_match"),
    "bbh": ("bbh", "exact_match"),
    "bbh_cot_fewshot": ("bbh", "exact_match"),
    "bbh_cot_zeroshot": ("bbh", "exact_match"),
    "bbh_fewshot": ("bbh", "exact_match"),
    "bbh_zeroshot": ("bbh", "exact_match"),
    "boolq": ("boolq", "acc"),
    "gpqa_diamond_cot_n_shot": ("gpqa-diamond", "exact_match"),
    "gpqa_diamond_cot_zeroshot": ("gpqa-diamond", "exact_match"),
    "gpqa_diamond_generative_n_shot": ("gpqa-diamond", "exact_match"),
    "gpqa_diamond_n_shot": ("gpqa-diamond", "acc"),
    "gpqa_diamond_zeroshot": ("gpqa-diamond", "acc"),
    "gsm8k": ("gsm8k", "exact_match"),
    "gsm8k_cot": ("gsm8k", "exact_match"),
    "gsm8k_cot_llama": ("gsm8k", "exact_match"),
    "gsm8k_cot_zeroshot": ("gsm8k", "exact_match"),
    "hellaswag": ("hellaswag", "acc_norm"),
    "humaneval": ("humaneval", "pass@1"),
    "humaneval_instruct": ("humaneval", "pass@1"),
    "ifeval": ("ifeval", "prompt_level_strict_acc"),
    "lambada_openai": ("lambada", "acc"),
    "leaderboard_gpqa_diamond": ("gpqa-diamond", "acc_norm"),
    "leaderboard_ifeval": ("ifeval", "prompt_level_strict_acc"),
    "leaderboard_math_hard": ("math-level-5", "exact_match"),
    "leaderboard_mmlu_pro": ("mmlu-pro", "acc"),
    "mmlu": ("mmlu", "acc"),
    "mmlu_generative": ("mmlu", "exact_match"),
    "mmlu_pro": ("mmlu-pro", "exact_match"),
    "openbookqa": ("openbookqa", "acc_norm"),
    "piqa": ("piqa", "acc_norm"),
    "triviaqa": ("triviaqa", "exact_match"),
    "truthfulqa_mc1": ("truthfulqa-mc1", "acc"),
    "winogrande": ("winogrande", "acc"),
}
"""Tasks of the harness that are whole benchmarks of ours: id, and the metric that people quote."""
NO_METRIC = ("alias", "name", "sample_len", "sample_count", "samples")
POINTS = re.compile(r"bleu|chrf|ter$|rouge")
"""Metrics from 0 to 100."""
LESS_IS_BETTER = "a metric of which less is better"
_LESS = re.compile(r"perplexity|bits_per_byte|^ter$|^brier|^wer$")
NOT_OURS = "a results file that is not lm-evaluation-harness'"


def is_results(content: Any) -> bool:
    results = mapping(content).get("results")
    return isinstance(results, dict) and "versions" in content and ("configs" in content or "config" in content)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One results file and the samples of the same moment beside it."""

    file: Path
    content: Mapping[str, Any]
    samples: tuple[Path, ...]

    @cached_property
    def config(self) -> Mapping[str, Any]:
        return mapping(self.content.get("config"))

    @cached_property
    def model(self) -> str:
        """As it was told to the harness."""
        return evaluated.name(self.content.get("model_name")) or self._argument("pretrained", "model") or self._backend

    @property
    def _backend(self) -> str:
        return evaluated.name(self.config.get("model")) or "unknown"

    def _argument(self, *names: str) -> str | None:
        given = self.config.get("model_args")
        if isinstance(given, str):
            given = dict(pair.split("=", 1) for pair in given.split(",") if "=" in pair)
        return next((found for name in names if (found := evaluated.name(mapping(given).get(name)))), None)

    @cached_property
    def version(self) -> str | None:
        return evaluated.name(self.content.get("lm_eval_version")) or evaluated.told(self.content.get("git_hash"))

    @cached_property
    def seconds(self) -> float:
        found = evaluated.figure(self.content.get("date"))
        return found if isinstance(found, float) else 0.0

    def figures(self) -> Iterator[tuple[str, str, str | None, Any, Any]]:
        """Task, metric, filter, value, and its standard error as it is written."""
        for task, of in mapping(self.content.get("results")).items():
            for key, value in mapping(of).items():
                metric, _, filter_ = key.partition(",")
                if metric.strip() and metric not in NO_METRIC and not metric.endswith("_stderr"):
                    stderr = of.get(f"{metric}_stderr,{filter_}" if filter_ else f"{metric}_stderr")
                    yield str(task), metric, evaluated.name(filter_), value, stderr

    def pooled(self, task: str) -> str | None:
        """Over how many tasks a group's row is, in words; None for a task."""
        members = mapping(self.content.get("group_subtasks")).get(task)
        if task not in mapping(self.content.get("groups")) and not members:
            return None
        return f"pooled over {len(members)} tasks" if isinstance(members, list) and members else "pooled over tasks"

    def less_is_better(self, task: str, metric: str) -> bool:
        said = mapping(mapping(self.content.get("higher_is_better")).get(task)).get(metric)
        return said is False or (said is None and bool(_LESS.search(metric)))

    def counts(self, task: str) -> tuple[int | None, int | None]:
        """Items asked, and items there are; of a group, both as far as its tasks say it."""
        found = mapping(mapping(self.content.get("n-samples")).get(task))
        if found:
            return evaluated.whole(found.get("effective")), evaluated.whole(found.get("original"))
        members = mapping(self.content.get("group_subtasks")).get(task)
        if not isinstance(members, list) or not members or task in members:
            return evaluated.whole(mapping(mapping(self.content.get("results")).get(task)).get("sample_len")), None
        parts = [mapping(mapping(self.content.get("n-samples")).get(str(member))) for member in members]
        asked, every = ([evaluated.whole(part.get(key)) for part in parts] for key in ("effective", "original"))
        return _total(asked), _total(every)

    def shots(self, task: str) -> int | None:
        found = mapping(self.content.get("n-shot")).get(task)
        return evaluated.whole(found if found is not None else mapping(self._task(task)).get("num_fewshot"))

    def _task(self, task: str) -> Any:
        return mapping(self.content.get("configs")).get(task)

    def task_version(self, task: str) -> str | None:
        return evaluated.version_text(mapping(self.content.get("versions")).get(task))

    @property
    def quantisation(self) -> str | None:
        """As the loader was told; what is inside the weights nobody says."""
        if found := self._argument("quantization", "quantisation"):
            return found[:40]
        given = self.config.get("model_args")
        bits = [bits for bits in ("4bit", "8bit") if mapping(given).get(f"load_in_{bits}") in (True, "True")]
        return bits[0] if bits else None

    def scaffold(self, task: str, metric: str, filter_: str | None) -> str:
        asked, every = self.counts(task)
        limit = self.config.get("limit") if every is None else None
        return evaluated.scaffold(
            f"{TOOL} {self.version or ''}".strip(),
            metric,
            f"filter {filter_}" if filter_ not in (None, "none") else None,
            self._backend if self._backend != "unknown" else None,
            "chat template" if self.content.get("chat_template") else None,
            "system prompt" if self.content.get("system_instruction") else None,
            self.pooled(task),
            evaluated.part_of(asked, every) or (f"limit {limit:g}" if isinstance(limit, int | float) else None),
        )


def _total(parts: list[int | None]) -> int | None:
    return None if None in parts else sum(part for part in parts if part is not None)


def evaluations(path: Path) -> tuple[list[Evaluation], list[Tally]]:
    """The evaluations there are, oldest name first, and the counts of results files of others."""
    found, others = [], []
    for file in files_of(path, "results*.json"):
        try:
            content = json_file(file)
        except ConfigError:
            if not path.is_dir():
                raise
            content = None
        if is_results(content):
            found.append(Evaluation(file=file, content=content, samples=tuple(_beside(file))))
        else:
            others.append(Tally(file=name_in(path, file)))
            others[-1].skip("a results file that is damaged" if content is None else NOT_OURS)
    return found, others


def _beside(file: Path) -> list[Path]:
    """The files of items that were written at the same moment as a results file."""
    moment = file.stem.removeprefix("results").removeprefix("_")
    return sorted(file.parent.glob(f"samples_*_{moment}.jsonl")) if re.fullmatch(r"[\dT.:-]{10,40}", moment) else []
