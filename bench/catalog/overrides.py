"""Exceptions to the rules of names and to others' labels of openness: the packaged file and the user's over it."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.catalog.files import HERE, Noun, parse, read_toml
from bench.catalog.grades import Grade
from bench.errors import ConfigError, nearest

SECTIONS = ("alias", "access")


class Alias(Noun):
    """A name, a version or what the rules make of it, and the model it means."""

    name: str
    model: str
    version: str | None = None
    """Where the name is but another word for one version of it."""
    source: str
    note: str = ""


class AccessFact(Noun):
    """How open a model was in a time; wins over what any table says of that model."""

    model: str
    grade: Grade
    valid_from: dt.date
    valid_to: dt.date | None = None
    """The first day on which it no longer held; None = it still holds."""
    source: str
    note: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Overrides:
    """Read once, compared by identity."""

    aliases: Mapping[str, Alias]
    """By folded name."""
    access: Mapping[str, tuple[AccessFact, ...]]
    """By model, oldest first; a user's facts on a model replace the packaged ones."""


def load_overrides(path: Path | None = None) -> Overrides:
    """The packaged exceptions with the user's over them: `path`, else BENCH_OVERRIDES, else `overrides.toml` here."""
    path = path or _users_file()
    return packaged() if path is None else _with_user(path, path.stat().st_mtime_ns if path.exists() else 0)


@cache
def packaged() -> Overrides:
    """The exceptions that come with the package."""
    return _read(HERE / "overrides.toml")


def folded(name: str) -> str:
    """Lower case; blanks and underscores are hyphens, brackets go, a plus at a word's end is -plus."""
    text = re.sub(r"\+(?=$|[\s_(-])", "-plus", name.strip().lower())
    return re.sub(r"-{2,}", "-", re.sub(r"[\s_()\[\]]+", "-", text)).strip("-")


@cache
def _with_user(path: Path, _changed_ns: int) -> Overrides:
    ours, theirs = packaged(), _read(path)
    return Overrides(aliases={**ours.aliases, **theirs.aliases}, access={**ours.access, **theirs.access})


def _users_file() -> Path | None:
    if named := os.environ.get("BENCH_OVERRIDES"):
        if not Path(named).is_file():
            raise ConfigError(f"BENCH_OVERRIDES = {named!r}: there is no such file; correct or unset the variable")
        return Path(named)
    here = Path("overrides.toml")
    return here if here.exists() else None


def _read(path: Path) -> Overrides:
    raw = read_toml(path)
    for section in raw:
        if section not in SECTIONS:
            raise ConfigError(f"{path}: section {section!r} is unknown{nearest(section, SECTIONS)}")
    aliases: dict[str, Alias] = {}
    for number, block in enumerate(_blocks(raw, "alias", path), start=1):
        alias = parse(Alias, block, f"{path}: alias {number}")
        if folded(alias.name) in aliases:
            raise ConfigError(f"{path}: alias {alias.name!r} is declared twice; remove one")
        aliases[folded(alias.name)] = alias
    for alias in list(aliases.values()):  # the id of a model means that model, whatever the rules would cut off it
        aliases.setdefault(folded(alias.model), Alias(name=alias.model, model=alias.model, source="its own id"))
    facts: dict[str, list[AccessFact]] = {}
    for number, block in enumerate(_blocks(raw, "access", path), start=1):
        fact = parse(AccessFact, block, f"{path}: access {number}")
        facts.setdefault(fact.model, []).append(fact)
    return Overrides(aliases=aliases, access={model: _ordered(some, path) for model, some in facts.items()})


def _ordered(facts: list[AccessFact], path: Path) -> tuple[AccessFact, ...]:
    """By date; ConfigError where two overlap."""
    facts = sorted(facts, key=lambda fact: fact.valid_from)
    for one, after in pairwise(facts):
        if one.valid_to is None or one.valid_to > after.valid_from:
            raise ConfigError(
                f"{path}: access of {one.model!r} from {one.valid_from} overlaps the one from {after.valid_from}; "
                f"write valid_to = {after.valid_from}"
            )
    return tuple(facts)


def _blocks(raw: Mapping[str, Any], section: str, path: Path) -> list[Any]:
    blocks = raw.get(section, [])
    if not isinstance(blocks, list):
        raise ConfigError(f"{path}: write [[{section}]] with two brackets, once per entry")
    return blocks
