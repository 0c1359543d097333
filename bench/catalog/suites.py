"""Suites: which tasks are asked together, with their weights, caps and the hashes of their items."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from bench.catalog.files import Noun, parse, read_toml
from bench.catalog.nouns import Count, Number
from bench.errors import ConfigError, nearest
from bench.items.files import tasks_dir

NAME = r"^[a-z0-9][a-z0-9_.-]*$"
"""Names end up in file names and run ids."""


class SuiteTask(Noun):
    """One task of a suite."""

    name: str = Field(pattern=NAME)
    metric: Literal["acc"] = "acc"
    weight: Number = Field(default=1.0, gt=0)
    chance: Number = Field(default=0.0, ge=0, lt=1)
    """What guessing scores."""
    max_gen_toks: Count = Field(gt=0)
    """Cap of the visible answer; a target adds its declared thinking."""
    items: str
    """JSONL, relative to the tasks folder (to the suite's own folder for a suite given by path)."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    sample: Count | Literal["all"] = "all"
    first_line: bool = False
    """Only the first line of the answer is graded; cut by us, never sent as a stop string."""

    @field_validator("sample")
    @classmethod
    def _some(cls, sample: int | str) -> int | str:
        if isinstance(sample, int) and sample < 1:
            raise ValueError('a sample has at least 1 item; write "all" for the whole file')
        return sample


class Suite(Noun):
    """A contract: its scores are never averaged with those of another version or hash."""

    name: str = Field(pattern=NAME)
    version: Count = Field(ge=0)
    provisional: bool = False
    """Not yet calibrated on real models: said in every output."""
    note: str = ""
    tasks: tuple[SuiteTask, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _once(self) -> Suite:
        names = [task.name for task in self.tasks]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"task {twice!r} is listed twice; remove one")
        return self

    @property
    def hash(self) -> str:
        """sha256 over everything that can change a score: order, weights, caps and item hashes, not where files lie."""
        tasks = [task.model_dump(exclude={"items"}) for task in self.tasks]
        text = json.dumps([self.name, self.version, tasks], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def check_files(self) -> None:
        """Every item file is the one this suite was frozen with; ConfigError names the first that is not."""
        for task in self.tasks:
            path = tasks_dir() / task.items
            found = _sha256(path, f"suite {self.name}@{self.version}, task {task.name}")
            if found != task.sha256:
                raise ConfigError(
                    f"{path}: items of task {task.name} have sha256 {found}, but suite {self.name}@{self.version} "
                    f"was frozen with {task.sha256}; restore the file, or raise the suite's version"
                )


def suite(name: str) -> Suite:
    """A suite by name (`quick`, `quick@1`) or by the path of its TOML file."""
    if name.endswith(".toml"):
        return read_suite(Path(name))
    plain, _, version = name.partition("@")
    if version and not version.isdigit():
        raise ConfigError(f"suite {name!r}: the version after @ is a number, as in {plain}@1")
    known = suite_files()
    path = known.get(name) or known.get(plain)
    if path is None:
        raise ConfigError(f"suite {name!r} is unknown{nearest(plain, known)} (or give the path of a .toml file)")
    found = read_suite(path)
    if version and found.version != int(version):
        raise ConfigError(f"suite {name!r} is not here: {path.name} holds {found.name}@{found.version}")
    return found


def suite_files() -> dict[str, Path]:
    """Suite files by stem; an older version may be kept beside the current one as `NAME@VERSION.toml`."""
    return {path.stem: path for path in sorted((tasks_dir() / "suites").glob("*.toml"))}


def read_suite(path: Path) -> Suite:
    """One suite file; items that lie beside a suite of the user's own get absolute paths."""
    found = parse(Suite, read_toml(path), str(path))
    if path.resolve().is_relative_to(tasks_dir().resolve()):
        if found.name != re.sub(r"@\d+$", "", path.stem):
            raise ConfigError(f"{path}: name = {found.name!r} differs from the file's name {path.stem!r}")
        return found
    here = path.resolve().parent
    tasks = [
        t.model_copy(update={"items": str(here / t.items)}) if (here / t.items).is_file() else t for t in found.tasks
    ]
    return found.model_copy(update={"tasks": tuple(tasks)})


def _sha256(path: Path, whose: str) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{whose}: items {path} can't be read: {error.strerror}") from error
