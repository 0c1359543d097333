"""One log of inspect_ai: a `.eval` zip, or the older JSON; what was evaluated, its figures, and its samples."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.errors import ConfigError
from bench.imports import evaluated
from bench.imports.nouns import items, mapping, text
from bench.imports.packed import member, zip_file
from bench.imports.streamed import MOST_BYTES, cannot_read, elements, json_file, json_of

TOOL = "inspect_ai"
HEADER, BEGUN, SUMMARIES = "header.json", "_journal/start.json", "summaries.json"
_SPREAD = re.compile(r"^(bootstrap_)?(stderr|std|var|ci)\b|_(stderr|std|var)$")
"""Metrics that say how sure others are."""
_LOG = re.compile(rb'"status"\s*:\s*"\w+"\s*,\s*"eval"\s*:\s*\{')
GLANCE_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One metric of one scorer."""

    score: str
    metric: str
    reducer: str | None
    value: Any
    stderr: Any
    n_items: int | None
    is_headline: bool
    """The one that inspect_ai shows for the whole log."""


@dataclass(frozen=True, kw_only=True)
class Log:
    """The header of a log; samples are read when they are asked for."""

    file: Path
    header: Mapping[str, Any]

    @cached_property
    def status(self) -> str:
        """`success`, or why nothing of it can be taken."""
        if self.header.get("invalidated") is True:
            return "invalidated"
        return evaluated.name(self.header.get("status")) or "unknown"

    @cached_property
    def about(self) -> Mapping[str, Any]:
        return mapping(self.header.get("eval"))

    @property
    def task(self) -> str:
        return (evaluated.name(self.about.get("task")) or "unnamed").rsplit("/", 1)[-1]

    @property
    def model(self) -> str:
        return evaluated.name(self.about.get("model")) or "unknown"

    @property
    def task_version(self) -> str | None:
        return evaluated.version_text(self.about.get("task_version"))

    @property
    def version(self) -> str | None:
        return evaluated.name(mapping(self.about.get("packages")).get(TOOL))

    @property
    def started(self) -> str:
        return text(mapping(self.header.get("stats")).get("started_at")) or text(self.about.get("created")) or ""

    @property
    def epochs(self) -> int:
        return evaluated.whole(mapping(self.about.get("config")).get("epochs")) or 1

    @property
    def shots(self) -> int | None:
        """As the task was told; inspect_ai has no word of its own for it."""
        given = mapping(self.about.get("task_args"))
        return next(
            (n for name in ("fewshot", "num_fewshot") if (n := evaluated.whole(given.get(name))) is not None), None
        )

    @property
    def effort(self) -> str | None:
        """How hard the model was told to think: a word, or tokens."""
        for config in (mapping(self.header.get("plan")).get("config"), self.about.get("model_generate_config")):
            for name in ("reasoning_effort", "reasoning_tokens"):
                if found := evaluated.told(mapping(config).get(name)):
                    return found
        return None

    @property
    def counts(self) -> tuple[int | None, int | None]:
        """Items asked, and items there are."""
        dataset = mapping(self.about.get("dataset"))
        ids = dataset.get("sample_ids")
        every = evaluated.whole(dataset.get("samples"))
        return (len(ids) if isinstance(ids, list) else every), every

    @property
    def sample_ids(self) -> list[str]:
        return [str(found) for found in items(mapping(self.about.get("dataset")).get("sample_ids"))]

    @property
    def solvers(self) -> str | None:
        steps = items(mapping(self.header.get("plan")).get("steps"))
        return " > ".join(name for step in steps if (name := evaluated.name(mapping(step).get("solver")))) or None

    def figures(self) -> Iterator[Figure]:
        results = mapping(self.header.get("results"))
        scores = [mapping(score) for score in items(results.get("scores"))]
        shown = _headline(mapping(results.get("headline")), scores)
        for score in scores:
            metrics = mapping(score.get("metrics"))
            name, reducer = evaluated.name(score.get("name")) or "score", evaluated.name(score.get("reducer"))
            for key, metric in metrics.items():
                if _SPREAD.search(key):
                    continue
                yield Figure(
                    score=name,
                    metric=key,
                    reducer=reducer,
                    value=mapping(metric).get("value"),
                    stderr=_stderr(metrics) if key in ("accuracy", "mean") else None,
                    n_items=evaluated.whole(score.get("scored_samples")),
                    is_headline=(name, key, reducer) == shown,
                )

    def samples(self) -> Iterator[Mapping[str, Any]]:
        """What became of each sample in each epoch."""
        if self.file.suffix == ".eval":
            yield from _samples_of_zip(self.file)
        else:
            yield from (mapping(sample) for sample in items(mapping(json_file(self.file)).get("samples")))


def _headline(told: Mapping[str, Any], scores: list[Mapping[str, Any]]) -> tuple[str, str, str | None] | None:
    """Score, metric and reducer that stand for the log: as it says, else the first, which older versions showed."""
    if told:
        return text(told.get("score")) or "", text(told.get("metric")) or "", evaluated.name(told.get("reducer"))
    if not scores:
        return None
    metrics = [key for key in mapping(scores[0].get("metrics")) if not _SPREAD.search(key)]
    name, reducer = evaluated.name(scores[0].get("name")) or "score", evaluated.name(scores[0].get("reducer"))
    return (name, metrics[0], reducer) if metrics else None


def _stderr(metrics: Mapping[str, Any]) -> Any:
    return next((mapping(metrics[key]).get("value") for key in ("stderr", "bootstrap_stderr") if key in metrics), None)


def is_log(file: Path) -> bool:
    """Whether the file is a log, by its members or its first bytes."""
    try:
        if file.suffix == ".eval":
            with zip_file(file) as packed:
                return bool({HEADER, BEGUN} & set(packed.namelist()))
        with file.open("rb") as beginning:
            return bool(_LOG.search(beginning.read(GLANCE_BYTES)))
    except (ConfigError, OSError):
        return False


def log(file: Path) -> Log:
    """ConfigError when the file is damaged, or no log."""
    header = _header_of_zip(file) if file.suffix == ".eval" else _header_of_json(file)
    if not mapping(header.get("eval")):
        raise ConfigError(f"{file} is no log of {TOOL}; name a .eval file, or a folder of them")
    return Log(file=file, header=header)


def _header_of_json(file: Path) -> Mapping[str, Any]:
    try:
        if file.stat().st_size > MOST_BYTES:
            told = f"{file} is a JSON log of over {MOST_BYTES >> 20} MB"
            raise ConfigError(f"{told}; make it smaller with `inspect log convert --to eval`, then import that")
    except OSError as error:
        raise cannot_read(file, error) from error
    return {key: value for key, value in mapping(json_file(file)).items() if key != "samples"}


def _header_of_zip(file: Path) -> Mapping[str, Any]:
    """What it says of itself; where it was broken off, what it said when it began."""
    with zip_file(file) as packed:
        names = set(packed.namelist())
        name = HEADER if HEADER in names else BEGUN
        if name not in names:
            raise ConfigError(f"{file} is no log of {TOOL} (it holds no {HEADER}); name a .eval file it wrote")
        with member(packed, name) as content:
            found = mapping(json_of(f"{file}, {name}", content.read(MOST_BYTES + 1)))
    return found if name == HEADER else {**found, "status": "started"}


def _samples_of_zip(file: Path) -> Iterator[Mapping[str, Any]]:
    """From the summaries, which hold the scores, too; where a version wrote none, sample by sample."""
    with zip_file(file) as packed:
        names = packed.namelist()
        if SUMMARIES in names:
            with member(packed, SUMMARIES) as content:
                yield from (mapping(found) for found in elements(f"{file}, {SUMMARIES}", content))
            return
        for name in names:
            if re.fullmatch(r"samples/[^/]+\.json", name):
                with member(packed, name) as content:
                    yield mapping(json_of(f"{file}, {name}", content.read(MOST_BYTES + 1)))
