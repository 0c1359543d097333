"""The items of an imported evaluation: rows of `sample`, so that two imported models can be compared item by item.

They are kept where everything that is imported at once is of one model, since a run has one target. Nothing of them was
measured here: such a run has kind `published`, which no report of own measurements shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from math import isnan
from typing import Any

from bench.records import Sample, Score, State
from bench.runs import journal

MOST = 500_000
"""Scores of items of one import; a full MMLU has 14,042 of each metric."""
LONGEST_TEXT = 300
NEEDED = ("value", "answer", "expected")
"""What a row always says, also that it is unknown."""
METHOD = "imported"
MAIN = "acc"
"""What own suites call the metric that stands for a task, which `bench compare` takes first."""
TOO_MANY = f"an item after the first {MOST:,}"
TWICE = "an item that was there already"
NO_SHARE = "an item whose score is not a number from 0 to 1"
OF_SEVERAL = "an item of one model of several: import its files alone to keep items"


@dataclass(frozen=True, kw_only=True)
class Items:
    """What `bench.imports.written` writes of them."""

    model: str
    suite_hash: str
    """The same for two models that answered the same items of the same tasks."""
    n: int
    lines: bytes
    """The content of samples.jsonl."""
    scores: tuple[Score, ...]
    """The mean of each task and metric."""


class Collector:
    """Takes items one by one; a few hundred bytes are held of each."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._seen: set[int] = set()
        self._values: dict[tuple[str, str], dict[str, list[float | None]]] = {}
        self._tasks: dict[str, dict[str, Any]] = {}

    def task(self, name: str, *, version: str | None, shots: int | None) -> None:
        """What else must be equal for two models' items to be the same questions."""
        self._tasks.setdefault(name, {"version": version, "shots": shots, "items": Counter[str]()})

    def add(
        self,
        task: str,
        item_id: str,
        metrics: dict[str, Any],
        *,
        doc_id: int,
        repeat: int = 0,
        error: str | None = None,
        answer: str | None = None,
        expected: str | None = None,
    ) -> str | None:
        """One answer under each of its metrics; why none was kept, else None.

        A metric that is None or NaN is an answer without a score: it is kept, and counts as unscored.
        """
        if len(self._lines) >= MOST:
            return TOO_MANY
        task, item_id = _whole_characters(task), _whole_characters(item_id)
        kept = {_whole_characters(name): _share(value) for name, value in metrics.items() if _is_share(value)}
        if not kept:
            return NO_SHARE
        if not self._is_new(task, item_id, repeat, kept):
            return TWICE
        for metric, value in kept.items():
            self._write(
                Sample(
                    task=task,
                    doc_id=doc_id,
                    item_id=item_id,
                    repeat=repeat,
                    metric=metric,
                    state=_state(value),
                    value=value,
                    answer=_short(answer),
                    expected=_short(expected),
                    reason=error or (None if value is not None else "the tool gave no score"),
                )
            )
        return None

    def items(self, model: str) -> Items | None:
        """None where nothing was kept."""
        if not self._lines:
            return None
        told = [f"{name}\0{of['version']}\0{of['shots']}\0{_of_all(of['items'])}" for name, of in self._tasks.items()]
        return Items(
            model=model,
            suite_hash=sha256("\n".join(sorted(told)).encode("utf-8", "replace")).hexdigest(),
            n=len(self._lines),
            lines=b"".join(self._lines),
            scores=tuple(_score(*key, values) for key, values in self._values.items()),
        )

    def _is_new(self, task: str, item_id: str, repeat: int, metrics: dict[str, Any]) -> bool:
        keys = {hash((task, item_id, repeat, metric)) for metric in metrics}
        if keys & self._seen:
            return False
        self._seen |= keys
        return True

    def _write(self, sample: Sample) -> None:
        self.task(sample.task, version=None, shots=None)
        self._tasks[sample.task]["items"][sample.item_id] += 1
        self._lines.append(journal.encode({k: v for k, v in vars(sample).items() if v is not None or k in NEEDED}))
        of_metric = self._values.setdefault((sample.task, sample.metric), {})
        of_metric.setdefault(sample.item_id, []).append(sample.value)


def several(models: Sequence[str]) -> tuple[str, ...]:
    """The note on an import of several models' items."""
    if len(models) < 2:
        return ()
    told = ", ".join(models[:5]) + (" …" if len(models) > 5 else "")
    return (f"items of {len(models)} models ({told}) are not kept: import each model's files alone to compare them",)


def _is_share(value: Any) -> bool:
    """Whether a score can be a row: unknown, or a number from 0 to 1."""
    if value is None or isinstance(value, bool):
        return True
    return isinstance(value, int | float) and ((isinstance(value, float) and isnan(value)) or 0 <= value <= 1)


def _share(value: Any) -> float | None:
    return None if value is None or isnan(value) else float(value)


def _state(value: float | None) -> State:
    return "unscored_error" if value is None else "scored"


def _whole_characters(name: str) -> str:
    """Half a surrogate, which JSON may hold, is no character."""
    return name if name.isascii() else name.encode("utf-8", "replace").decode()


def _short(text: str | None) -> str | None:
    return text[:LONGEST_TEXT] if isinstance(text, str) else None


def _of_all(items: Counter[str]) -> str:
    """A name of a set of items, whatever their order."""
    total = sum(int.from_bytes(sha256(name.encode("utf-8", "replace")).digest()[:8], "big") for name in items)
    return f"{len(items)}-{total % 2**64:x}"


def _score(task: str, metric: str, values: Mapping[str, Sequence[float | None]]) -> Score:
    """The mean over items with an interval made here, as of own runs; every item is its own cluster."""
    from bench import stats

    found = stats.mean_of_items(list(values.values()), list(values))
    return stats.score(task, metric, replace(found, method=f"{METHOD}, {found.method}"))
