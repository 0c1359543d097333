"""Items: what a question is, how it is graded, and the registry of our own tasks.

Each module of this package that defines `TASKS` (a tuple of `Task`) is found by name; nothing is registered by hand.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from bench.items.dice import Dice
from bench.records import Reply, State

Reason = Literal["right", "wrong", "no_answer", "bad_format", "exec_error", "exec_timeout"]


@dataclass(frozen=True, kw_only=True)
class Item:
    """One question with its proven answer: a line of a frozen JSONL file."""

    id: str
    """`core_ledger/frozen-1/3/017`: task, seed, level, number."""
    task: str
    level: int
    cluster: str
    """What items share (wording × level, schema, document): scores are clustered by it."""
    prompt: str
    target: str
    kind: str
    """Answer type: int, dec(d), name, names, set, date, time, bool, letters, json, sql, code, text, or `line`."""
    check: str
    """JSON text with what the scorer needs beyond `target`."""
    witness: str
    """A whole reply that must score 1."""
    size: int
    """The level's main number (operations, letters, towns …)."""
    tokens_in: int
    """Estimate by characters."""


@dataclass(frozen=True, kw_only=True)
class Graded:
    """What a scorer says of one reply; total: a scorer never raises."""

    value: float | None
    value_strict: float | None
    state: State
    reason: Reason
    answer: str | None
    expected: str
    ran_on: bool = False
    """The reply hit its length limit but a strict answer had been given."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What a generator returns; `build` adds names and numbers."""

    prompt: str
    target: str
    cluster: str
    kind: str
    size: int
    witness: str
    check: str = "{}"


@dataclass(frozen=True, kw_only=True)
class Task:
    """One of our own tasks: its generator, its scorer and what both promise."""

    name: str
    version: int
    """Of the generator: part of every seed; bump it when any item would change."""
    levels: tuple[int, ...]
    """Levels of the suite; a generator may know one more (the reserve)."""
    per_level: int
    chance: float
    max_gen_toks: int
    make: Callable[[Dice, int, int], Draft]
    """(dice, level, number of the item within its level) -> Draft; proves its own answer, raises AssertionError if not."""
    grade: Callable[[Item, str], Graded]
    """(item, visible text of a finished answer) -> value, strict value, reason; state is always `scored` here."""
    mutants: Callable[[Item], Sequence[str]]
    """At least three replies that must score 0."""
    spellings: Callable[[Item], Sequence[str]]
    """At least three replies that must score 1, the witness among them."""


@cache
def tasks() -> dict[str, Task]:
    """Every own task by name."""
    found: dict[str, Task] = {}
    for module in pkgutil.iter_modules(__path__):
        for task in getattr(importlib.import_module(f"{__name__}.{module.name}"), "TASKS", ()):
            found[task.name] = task
    return dict(sorted(found.items()))
