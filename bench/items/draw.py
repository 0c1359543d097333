"""Draws the items of a task from a named seed: the same on every machine, and no question twice in one file."""

from __future__ import annotations

import math
from hashlib import sha256

from bench.items import Draft, Item, Task
from bench.items.dice import Dice

_MOST_REDRAWS = 1000


def normalised(prompt: str) -> str:
    """Casefolded, runs of white space as one blank: two prompts that agree in this are the same question."""
    return " ".join(prompt.casefold().split())


def fingerprint(prompt: str) -> str:
    """SHA-256 of the normalised prompt: how training is told what it must not see."""
    return sha256(normalised(prompt).encode()).hexdigest()


def draw(task: Task, seed: str, level: int, i: int, taken: set[str]) -> Item:
    """Item number `i` (from 0) of `level`. A prompt already in `taken` is drawn again with `/again-1`, `/again-2` …

    `taken` holds normalised prompts; the new one is added.
    """
    stream = f"{task.name}/{task.version}/{seed}/{level}/{i}"
    for again in range(_MOST_REDRAWS):
        draft = task.make(Dice(f"{stream}/again-{again}" if again else stream), level, i)
        key = normalised(draft.prompt)
        if key not in taken:
            taken.add(key)
            return _item(task, seed, level, i, draft)
    raise AssertionError(f"{stream}: no new prompt in {_MOST_REDRAWS} draws; the level's space is too small")


def build(task: Task, seed: str) -> list[Item]:
    """The whole file of `seed`, levels interleaved (1, 2, 3, 1, 2, 3 …), so that every prefix is a fair sample."""
    taken: set[str] = set()
    return [draw(task, seed, level, i, taken) for i in range(task.per_level) for level in task.levels]


def _item(task: Task, seed: str, level: int, i: int, draft: Draft) -> Item:
    return Item(
        id=f"{task.name}/{seed}/{level}/{i:03d}",
        task=task.name,
        level=level,
        cluster=draft.cluster,
        prompt=draft.prompt,
        target=draft.target,
        kind=draft.kind,
        check=draft.check,
        witness=draft.witness,
        size=draft.size,
        tokens_in=_tokens(draft.prompt),
    )


def _tokens(text: str) -> int:
    """Estimate: 3.3 characters a token where at least one in eight is a digit, else 4."""
    digits = sum(c.isdigit() for c in text)
    return math.ceil(len(text) / (3.3 if digits * 8 >= len(text) else 4))
