"""Items: what a question is, how it is graded, and the registry of our own tasks.

Each module of this package that defines `TASKS` (a tuple of `Task`) is found by name; nothing is registered by hand.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from bench.errors import ConfigError
from bench.items.dice import Dice
from bench.items.files import tasks_dir
from bench.records import Reply, State
from bench.scoring.states import cut_off, state_of, visible_text

Reason = Literal["right", "wrong", "no_answer", "bad_format", "exec_error", "exec_timeout"]


@dataclass(frozen=True, kw_only=True)
class Item:
    """One question with its proven answer: a line of a frozen JSONL file."""

    id: str
    """`core_ledger/frozen-1/3/017`: task, seed, level, number."""
    task: str
    level: int
    cluster: str
    """What items share (wording and level, schema, document): scores are clustered by it."""
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
    strict_found: bool | None = None
    """Whether strict extraction found an answer, right or wrong; None = whenever `answer` is there."""


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
    """(dice, level, number of the item within its level) -> Draft; proves its own answer or raises AssertionError."""
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


def read(path: Path) -> list[Item]:
    """The items of one JSONL file."""
    with path.open(encoding="utf-8") as lines:
        return [Item(**json.loads(line)) for line in lines]


def items_file(task: str, items: str = "frozen") -> Path:
    """`frozen` is the committed file of the suite; anything else a folder that holds `<task>.jsonl`."""
    path = tasks_dir() / task / "frozen-1.jsonl" if items == "frozen" else Path(items).resolve() / f"{task}.jsonl"
    if not path.is_file():
        raise ConfigError(f"items {items!r}: no file {path}; say 'frozen', or a folder of fresh items")
    return path


def load(
    task: str,
    items: str = "frozen",
    files: Mapping[str, str] | None = None,
    sha256_of: Mapping[str, str] | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    """The data set of one task for lm-eval (`custom_dataset`); all but `task` comes as TaskManager metadata.

    `files` and `sha256_of` are what a suite declares, by task: they win over where `items` would be looked for.

    Built in memory from rows of strings: lm-eval's JSON loader turns dates into datetimes and bakes paths.
    """
    from datasets import Dataset

    path = Path(files[task]) if files and task in files else items_file(task, items)
    wanted = (sha256_of or {}).get(task)
    if wanted is not None and (found := sha256(path.read_bytes()).hexdigest()) != wanted:
        raise ConfigError(
            f"{path}: sha256 {found[:12]}… is not the suite's {wanted[:12]}…; restore the file or bump the suite"
        )
    return {"test": Dataset.from_list([vars(item) for item in read(path)])}


def grade(doc: Mapping[str, Any], results: Sequence[Any]) -> dict[str, Any]:
    """Scores all repeats of one item for lm-eval (`process_results`). Never raises: that would lose a paid run.

    `results[0]` is the list of answers, `Reply` objects. `acc` is the mean over repeats that have a value (scored or
    refused), and is left out where there is none; `graded` has one record per repeat.
    """
    replies = results[0] if results and isinstance(results[0], list | tuple) else list(results)
    graded = [_record(doc, answer) for answer in replies]
    valued = [one for one in graded if one["value"] is not None]
    out: dict[str, Any] = {"graded": graded}
    if valued:
        out["acc"] = sum(one["value"] for one in valued) / len(valued)
        out["acc_strict"] = sum(one["value_strict"] for one in valued) / len(valued)
    return out


def grade_reply(item: Item, reply: Reply) -> Graded:
    """State first, then the task's scorer: unscored replies have no value, a refusal scores 0."""
    visible, unclosed = visible_text("" if reply.unclosed_thought else reply)
    if unclosed:
        reply = Reply(status=reply.status, finish_reason=reply.finish_reason, unclosed_thought=True)
    found = tasks()[item.task].grade(item, visible)
    strict_found = found.answer is not None if found.strict_found is None else found.strict_found
    state = state_of(reply, strict_found, visible, found=found.answer is not None)
    if state == "scored":
        ran_on = strict_found and cut_off(reply)
        return Graded(**{**vars(found), "ran_on": ran_on})
    value = 0.0 if state == "refused" else None
    return Graded(
        value=value,
        value_strict=value,
        state=state,
        reason="no_answer",
        answer=None,
        expected=item.target,
        strict_found=False,
    )


def _record(doc: Mapping[str, Any], answer: Any) -> dict[str, Any]:
    reply = answer if isinstance(answer, Reply) else Reply(answer if isinstance(answer, str) else "")
    try:
        item = Item(**{field.name: doc[field.name] for field in fields(Item)})
        graded = grade_reply(item, reply)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        graded = Graded(
            value=None,
            value_strict=None,
            state="unscored_error",
            reason="exec_error",
            answer=None,
            expected=str(doc.get("target", "")),
        )
    kept = ("value", "value_strict", "state", "reason", "answer", "expected", "ran_on")
    return {**{name: getattr(graded, name) for name in kept}, "request_id": reply.request_id}
