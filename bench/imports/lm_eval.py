"""Results of EleutherAI's lm-evaluation-harness: `results_*.json`, and the items of `samples_*.jsonl` beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from bench.errors import ConfigError
from bench.imports import evaluated, items
from bench.imports.lm_eval_results import LESS_IS_BETTER, POINTS, TOOL, USUAL, Evaluation, evaluations, is_results
from bench.imports.nouns import text
from bench.imports.published import Published, nothing_in
from bench.imports.streamed import content_hash, files_of, json_file, lines, name_in
from bench.imports.tabular import Tally

FORMAT = """lm-evaluation-harness' output folder, or one `results_*.json` of it (to 0.4.13), with `samples_*.jsonl`.

Each task, metric and filter is one score, its standard error and number of items as the harness printed them. A known
task's usual metric is our benchmark; every other metric is a benchmark of its own, TASK-METRIC. Groups are kept and say
over how many tasks they are pooled. Metrics of which less is better (perplexity) are left out.

Items are kept where all files are of one model, for `bench compare`; of several evaluations of a task, the newest.
"""
OLDER = "an item of an earlier evaluation of the same task"
NO_ITEM = "a line that is no item of a task"
ABOUT_AN_ITEM = (
    "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics",
    "doc_hash", "prompt_hash", "target_hash",
)  # fmt: skip
"""What a line of samples says beside its metrics."""


def is_mine_path(path: Path) -> bool:
    """Whether the file is one of the harness' results, or one of the first few `results*.json` in the folder is."""
    try:
        candidates = files_of(path, "results*.json") if path.suffix != ".jsonl" else [path]
        return any(_is_mine(file) for file in islice(candidates, 5))
    except (ConfigError, OSError):
        return False


def _is_mine(file: Path) -> bool:
    if file.suffix == ".jsonl":
        first = next(lines(file), None)
        return isinstance(first, dict) and {"doc_id", "filtered_resps"} <= first.keys()
    try:
        return file.suffix == ".json" and is_results(json_file(file))
    except ConfigError:
        return False


def read_published(path: Path) -> Published:
    """Every evaluation in a folder, or the one a results file is of, with its items beside it."""
    if path.suffix == ".jsonl":
        raise ConfigError(f"{path} holds items without their model: name the results_*.json beside it, or its folder")
    found, others = evaluations(path)
    if not found:
        raise nothing_in(path, "results of lm-evaluation-harness (results_*.json)")
    models = sorted({evaluation.model for evaluation in found})
    taken = items.Collector() if len(models) == 1 else None
    scores, counts = [], list(others)
    for evaluation in found:
        tally = Tally(file=name_in(path, evaluation.file))
        scores += list(_scores(evaluation, tally))
        counts.append(tally)
    used: set[str] = set()
    for evaluation in sorted(found, key=lambda e: (e.seconds, e.file), reverse=True):
        counts += _items(path, evaluation, taken, used)
    files = [(name_in(path, file), file) for evaluation in found for file in (evaluation.file, *evaluation.samples)]
    return Published(
        source=f"lm-evaluation-harness {_versions(found)}, its own results files",
        sha256=content_hash(files),
        files=tuple(name for name, _ in files),
        scores=tuple(scores),
        table=tuple(tally.count() for tally in counts),
        notes=items.several(models) if any(evaluation.samples for evaluation in found) else (),
        items=taken.items(models[0]) if taken else None,
    )


def _versions(found: list[Evaluation]) -> str:
    known = sorted({evaluation.version for evaluation in found if evaluation.version})
    return ", ".join(known) or "of unknown version"


# ---------------------------------------------------------------------------------------------------- scores and items


def _scores(evaluation: Evaluation, tally: Tally) -> Iterator[Mapping[str, Any]]:
    for task, metric, filter_, value, stderr in evaluation.figures():
        found = evaluated.figure(value)
        if isinstance(found, str):
            tally.skip(found)
        elif evaluation.less_is_better(task, metric):
            tally.skip(LESS_IS_BETTER)
        else:
            tally.keep()
            yield _score(evaluation, task, metric, filter_, found, stderr)


def _score(
    evaluation: Evaluation, task: str, metric: str, filter_: str | None, value: float, stderr: Any
) -> Mapping[str, Any]:
    own, usual = USUAL.get(task, (None, None))
    points = bool(POINTS.search(metric))
    benchmark = evaluated.benchmark_of(task, metric, own if metric == usual else None)
    scale = evaluated.scaled(benchmark, value, points=points)
    if scale is None:  # no proportion, though our benchmark of that name is one
        benchmark, scale = evaluated.benchmark_of(task, metric, None), "points"
    return evaluated.row(
        model=evaluation.model,
        benchmark=benchmark,
        benchmark_version=evaluation.task_version(task),
        score=value,
        stderr=evaluated.stderr_of(stderr),
        scale=scale,
        n_items=evaluation.counts(task)[0],
        shots=evaluation.shots(task),
        scaffold=evaluation.scaffold(task, metric, filter_),
        quantisation=evaluation.quantisation,
        evaluated_on=evaluated.day_of(evaluation.content.get("date")),
        source=f"{TOOL} {evaluation.version or ''}".strip() + f": {evaluation.file.name}",
    )


def _items(path: Path, evaluation: Evaluation, taken: items.Collector | None, used: set[str]) -> Iterator[Tally]:
    """Take the items of an evaluation, and count what became of each line."""
    for file in evaluation.samples:
        task = file.stem.removeprefix("samples_").rsplit("_", 1)[0]
        tally = Tally(file=name_in(path, file))
        why = items.OF_SEVERAL if taken is None else OLDER if task in used else None
        used.add(task)
        if taken is not None:
            taken.task(task, version=evaluation.task_version(task), shots=evaluation.shots(task))
        for found in lines(file):
            reason = found if isinstance(found, str) else why or _item(task, found, taken)
            tally.keep() if reason is None else tally.skip(reason)
        yield tally


def _item(task: str, line: Mapping[str, Any], taken: items.Collector | None) -> str | None:
    """Add one line to the items; why it can't be, else None."""
    number = evaluated.whole(line.get("doc_id"))
    listed = line.get("metrics")
    metrics = listed if isinstance(listed, list) else [key for key in line if key not in ABOUT_AN_ITEM]
    if taken is None or number is None or not metrics:
        return NO_ITEM
    filter_ = text(line.get("filter"))
    suffix = f",{filter_}" if filter_ and filter_ != "none" else ""
    answers = line.get("filtered_resps")
    answer = answers[0] if isinstance(answers, list) and answers else None
    return taken.add(
        task,
        f"{number}-{(text(line.get('doc_hash')) or '')[:12]}".rstrip("-"),
        {f"{metric}{suffix}": line.get(metric) for metric in metrics if isinstance(metric, str)},
        doc_id=number,
        answer=answer if isinstance(answer, str) else None,
        expected=text(line.get("target")),
    )
