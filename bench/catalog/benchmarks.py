"""Benchmarks others publish: what they measure, in which unit, what guessing scores, how each layout writes them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from functools import cache
from typing import Literal

from pydantic import Field

from bench.catalog.files import HERE, Noun, parse, read_toml, unique
from bench.catalog.nouns import Count, Number
from bench.errors import ConfigError, nearest

Capability = Literal[
    "coding",
    "maths",
    "knowledge",
    "reasoning",
    "long-context",
    "agentic",
    "preference",
    "multimodal",
    "language",
]
Layout = Literal["hub", "airtable", "lmarena"]
ARENA = "lmarena-text"


class Reading(Noun):
    """Where one layout of a source keeps a benchmark's scores, and how its numbers become ours."""

    file: str
    """Stem of the file's name."""
    version: str | None = None
    """Of the benchmark, for rows that name none themselves; other layouts may hold another one."""
    task: str | None = None
    """The value of the column `task` (or the category of a leaderboard) where one file holds many benchmarks."""
    score: str
    stderr: str | None = None
    low: str | None = None
    high: str | None = None
    divisor: Number = Field(default=1, gt=0)
    """A bare number is divided by this; a cell that ends in % is read as a percent and not divided again."""
    stderr_divisor: Number = Field(default=0, ge=0)
    """0 = as `divisor`."""

    def stderr_by(self) -> float:
        """What the standard error is divided by."""
        return self.stderr_divisor or self.divisor


class Benchmark(Noun):
    """One benchmark; its versions are told apart by the observations, not here."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    name: str
    aliases: tuple[str, ...] = ()
    """Every other name that sources use, as they write it."""
    capability: tuple[Capability, ...] = Field(min_length=1)
    scale: Literal["proportion", "points"] = "proportion"
    unit: str = "proportion"
    """Of one point: `index points`, `rating points`, `minutes`."""
    chance: Number = Field(default=0.0, ge=0, lt=1)
    """g of p' = (p - g) / (c - g): what guessing scores."""
    ceiling: Number = Field(default=1.0, gt=0, le=1)
    """c: the best score that can be had."""
    n_items: Count | None = Field(default=None, gt=0)
    released: dt.date | None = None
    in_index: bool = False
    """Whether Epoch's published index of 2026-04 was fitted with it."""
    note: str = ""
    layouts: dict[Layout, Reading] = Field(default_factory=dict)
    source: str
    date: dt.date
    """When these facts were written down."""

    @property
    def columns(self) -> dict[Layout, str]:
        """The score's column by layout."""
        return {layout: reading.score for layout, reading in self.layouts.items()}


class ArenaCategory(Noun):
    """One category of LMArena's text leaderboard."""

    key: str
    slug: str
    """Empty for all votes."""
    name: str
    capability: tuple[Capability, ...]


class Arena(Noun):
    """LMArena's categories, each with and without style control."""

    source: str
    date: dt.date
    categories: tuple[ArenaCategory, ...]


def benchmark(name: str) -> Benchmark:
    """The benchmark with that id, name or alias, upper or lower case; ConfigError names the nearest."""
    found = _names().get(folded(name))
    if found is None:
        raise ConfigError(f"benchmark {name!r} is unknown{nearest(name, benchmarks())}")
    return benchmarks()[found]


def known(name: str) -> Benchmark | None:
    """As `benchmark`, None where there is none: an importer keeps such rows under a slug of the source's name."""
    found = _names().get(folded(name))
    return benchmarks()[found] if found else None


def arena(category: str = "full", *, style_control: bool = False) -> Benchmark | None:
    """The benchmark of a category of LMArena's text leaderboard, by the key its files use; None for a new one."""
    return _arena().get((category, style_control))


@cache
def benchmarks() -> Mapping[str, Benchmark]:
    """All benchmarks by id."""
    path = HERE / "benchmarks.toml"
    raw = read_toml(path)
    found: dict[str, Benchmark] = {}
    for number, block in enumerate(raw["benchmarks"], start=1):
        item = parse(Benchmark, block, f"{path}: benchmarks {number} ({block.get('id')!r})")
        unique(found, item.id, str(path))
        found[item.id] = item
    return {**found, **{item.id: item for item in _arena().values()}}


@cache
def by_file(layout: Layout) -> Mapping[str, tuple[Benchmark, ...]]:
    """Which benchmarks a file of that layout holds, by the stem of its name."""
    found: dict[str, tuple[Benchmark, ...]] = {}
    for item in benchmarks().values():
        if reading := item.layouts.get(layout):
            found[reading.file] = (*found.get(reading.file, ()), item)
    return found


def folded(name: str) -> str:
    """A name without what sources write differently: case, blanks, hyphens, underscores."""
    return re.sub(r"[\s_-]+", "-", name.strip().lower())


@cache
def _arena() -> Mapping[tuple[str, bool], Benchmark]:
    path = HERE / "benchmarks.toml"
    told = parse(Arena, read_toml(path)["arena"], f"{path}: arena")
    return {
        (category.key, style): _of_category(told, category, style)
        for style in (False, True)
        for category in told.categories
    }


def _of_category(arena: Arena, category: ArenaCategory, style: bool) -> Benchmark:
    where = "leaderboard-text-style-control" if style else "leaderboard-text"
    return Benchmark(
        id="-".join(filter(None, (ARENA, "style" * style, category.slug))),
        name=f"LMArena text, {category.name}{', style control' * style}",
        aliases=(f"{where}:{category.key}",),
        capability=category.capability,
        scale="points",
        unit="rating points",
        layouts={
            "lmarena": Reading(file=where, task=category.key, score="rating", low="rating_q025", high="rating_q975")
        },
        source=arena.source,
        date=arena.date,
    )


@cache
def _names() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for item in benchmarks().values():
        for name in (item.id, item.name, *item.aliases):
            if found.setdefault(folded(name), item.id) != item.id:
                raise ConfigError(
                    f"{HERE / 'benchmarks.toml'}: {name!r} names both {found[folded(name)]} and {item.id}; "
                    "remove it from one"
                )
    return found
