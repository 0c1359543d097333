"""Logs of inspect_ai, of the UK AI Security Institute: `.eval` files and the older JSON, with their samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from math import nan
from pathlib import Path
from typing import Any

from bench.imports import evaluated, items
from bench.imports.inspect_logs import TOOL, Figure, Log, is_log, log
from bench.imports.nouns import mapping, said, text
from bench.imports.published import Published, nothing_in
from bench.imports.streamed import content_hash, files_of, name_in
from bench.imports.tabular import Tally

FORMAT = """inspect_ai's logs, one `.eval` file (or older `.json`) or a folder of them.

Each metric of each scorer is one score, with the standard error and number of items of the log. The metric that
inspect_ai itself shows for the log is our benchmark where the task is a known one; every other metric is a benchmark of
its own, TASK-SCORER-METRIC. Logs of evaluations that did not end, or were invalidated, are counted and left out.

Samples are kept where all logs are of one model, for `bench compare`: C is 1, P 0.5, I and N 0, epochs are repeats, a
sample that failed is unscored; the word of the scorer that stands for the log is called `acc`. Of several logs of a
task, the newest.
"""
TASKS: Mapping[str, str] = {
    "mmlu_0_shot": "mmlu",
    "mmlu_5_shot": "mmlu",
    "swe_bench": "swe-bench-verified",
}
"""Tasks of inspect_evals that are whole benchmarks of ours under another name."""
AMBIGUOUS = ("gpqa",)
"""Names of several sets, though one is an alias of a benchmark of ours."""
QUOTED = ("accuracy", "mean", "final_acc")
"""Metrics that are a benchmark's score."""
WORDS: Mapping[str, float] = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
OLDER = "a sample of an earlier log of the same task"
NO_LOG = "a file that is no log of inspect_ai"


def is_mine_path(path: Path) -> bool:
    """Whether the file is a log, or one of the first few files of a folder that could be one is."""
    if path.is_file() and path.suffix not in (".eval", ".json"):
        return False
    try:
        return any(is_log(file) for file in islice(_files(path), 20))
    except OSError:
        return False


def read_published(path: Path) -> Published:
    """Every log in a folder, or the one file."""
    found, counts = [], []
    for file in _files(path):
        if path.is_dir() and not is_log(file):
            counts.append(Tally(file=name_in(path, file)))
            counts[-1].skip(NO_LOG)
        else:
            found.append(log(file))
    if not found:
        raise nothing_in(path, "logs of inspect_ai (.eval)")
    ended = [each for each in found if each.status == "success"]
    models = sorted({each.model for each in ended})
    taken = items.Collector() if len(models) == 1 else None
    scores = []
    for each in found:
        tally = Tally(file=name_in(path, each.file))
        scores += list(_scores(each, tally))
        counts.append(tally)
    used: set[str] = set()
    newest_first = sorted(ended, key=lambda each: (each.started, each.file), reverse=True)
    counts += [_samples(path, each, taken, used) for each in newest_first]
    files = [(name_in(path, each.file), each.file) for each in found]
    return Published(
        source=f"{TOOL} {', '.join(sorted({each.version or '?' for each in found}))}, its own logs",
        sha256=content_hash(files),
        files=tuple(name for name, _ in files),
        scores=tuple(scores),
        table=tuple(tally.count() for tally in counts),
        notes=items.several(models),
        items=taken.items(models[0]) if taken else None,
    )


def _files(path: Path) -> list[Path]:
    return sorted({file for pattern in ("*.eval", "*.json") for file in files_of(path, pattern)})


# --------------------------------------------------------------------------------------------------- scores and samples


def _scores(of: Log, tally: Tally) -> Iterator[Mapping[str, Any]]:
    if of.status != "success":
        tally.skip(f"an evaluation that did not end well ({of.status[:20]})")
        return
    for figure in of.figures():
        value = evaluated.figure(figure.value)
        if isinstance(value, str):
            tally.skip(value)
        else:
            tally.keep()
            yield _score(of, figure, value)


def _score(of: Log, figure: Figure, value: float) -> Mapping[str, Any]:
    own = TASKS.get(of.task) or (None if of.task in AMBIGUOUS else evaluated.known_task(of.task))
    name = f"{figure.score}-{figure.metric}"
    benchmark = evaluated.benchmark_of(of.task, name, own if figure.is_headline and figure.metric in QUOTED else None)
    scale = evaluated.scaled(benchmark, value)
    if scale is None:  # no proportion, though our benchmark of that name is one
        benchmark, scale = evaluated.benchmark_of(of.task, name, None), "points"
    return evaluated.row(
        model=of.model,
        benchmark=benchmark,
        benchmark_version=of.task_version,
        score=value,
        stderr=evaluated.stderr_of(figure.stderr),
        scale=scale,
        n_items=figure.n_items if figure.n_items is not None else of.counts[0],
        effort=of.effort,
        shots=of.shots,
        scaffold=evaluated.scaffold(
            f"{TOOL} {of.version or ''}".strip(),
            f"{figure.score} {figure.metric}",
            of.solvers,
            f"{of.epochs} epochs ({figure.reducer or 'mean'})" if of.epochs > 1 else None,
            evaluated.part_of(*of.counts),
        ),
        evaluated_on=evaluated.day_of(of.started),
        source=f"{TOOL} {of.version or ''}".strip() + f": {of.file.name}",
    )


def _samples(path: Path, of: Log, taken: items.Collector | None, used: set[str]) -> Tally:
    """Take the samples of a log, and count what became of each."""
    tally = Tally(file=f"{name_in(path, of.file)}, samples")
    why = items.OF_SEVERAL if taken is None else OLDER if of.task in used else None
    used.add(of.task)
    if taken is not None:
        taken.task(of.task, version=of.task_version, shots=of.shots)
    place = {name: n for n, name in enumerate(of.sample_ids)}
    figures = list(of.figures())
    names = {figure.score: figure.score for figure in figures}
    names |= {figure.score: items.MAIN for figure in figures if figure.is_headline}
    for sample in of.samples():
        reason = why or _sample(of.task, sample, taken, place, names)
        tally.keep() if reason is None else tally.skip(reason)
    return tally


def _sample(
    task: str, sample: Mapping[str, Any], taken: items.Collector | None, place: dict[str, int], names: dict[str, str]
) -> str | None:
    """Add one sample in one epoch to the items; why it can't be, else None."""
    name, epoch = sample.get("id"), evaluated.whole(sample.get("epoch"))
    if taken is None or isinstance(name, bool) or not isinstance(name, str | int) or not epoch:
        return "a sample without its id or epoch"
    error = sample.get("error")
    scores = mapping(sample.get("scores"))
    failed = said(error if isinstance(error, str) else mapping(error).get("message")) or ("failed" if error else None)
    values = (pair for scorer, score in scores.items() for pair in _values(scorer, score))
    given = {names.get(metric, metric): value for metric, value in values}
    first = mapping(next(iter(scores.values()), None))
    return taken.add(
        task,
        str(name)[:200],
        given or dict.fromkeys(names.values() if failed else ()),
        doc_id=place.setdefault(str(name), len(place)),
        repeat=epoch - 1,
        error=failed,
        answer=text(first.get("answer")),
        expected=text(sample.get("target")),
    )


def _values(scorer: str, score: Any) -> Iterator[tuple[str, float]]:
    """Metric and number of one scorer's word on a sample; a dictionary is several metrics, by their own names."""
    value = mapping(score).get("value")
    for metric, found in value.items() if isinstance(value, dict) else [(scorer, value)]:
        number = _number(found)
        if number is not None:
            yield str(metric), number


def _number(value: Any) -> float | None:
    """As inspect_ai's own `value_to_float` has it; NaN is a sample without a score, None no number at all."""
    if isinstance(value, bool | int | float):
        return float(value) if not isinstance(value, int) or abs(value) < 2**53 else None
    if value is None:
        return nan
    if not isinstance(value, str):
        return None
    if (known := WORDS.get(value, WORDS.get(value.lower()))) is not None:
        return known
    try:
        return float(value)
    except ValueError:
        return None
