"""A use case: which tasks stand for somebody's use, how good, fast and dear an answer may be, and where it runs."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from pydantic import Field, field_validator, model_validator

from bench.catalog.files import Noun, parse, read_toml
from bench.catalog.nouns import Count, Number, Usd
from bench.records import Layer

LAYERS: tuple[Layer, ...] = get_args(Layer)
UNASKED: Layer = "reference"
"""The models that come with the package stand for nothing that anybody would use: only where a use case names them."""

EXAMPLE = """\
# A use case for `bench choose FILE.toml` and `bench whatif FILE.toml`.
name = "invoice questions"
certainty = 0.9              # how sure the answer must be; --certainty wins
tasks_per_month = 200000     # needed for usd_per_month, and for what a change would cost
layers = ["on-device", "self-hosted", "decentralised", "hosted-open", "hosted-closed"]   # where it may run
# current = "openai:gpt-5.1" # what you use today, for `bench whatif`; without it: the cheapest that suffices

# The tasks that stand for your use: SUITE/TASK, a whole SUITE, or a benchmark that others publish (weaker evidence).
[[tasks]]
name = "core/ledger"
weight = 2
[[tasks]]
name = "core/rewrite"

# How good the weighted mean must be: a share of answers that are right …
[quality]
at_least = 0.8
# … or no more than so much below a target:
# within = 0.02
# of = "openai:gpt-5.1"

# Leave out what doesn't matter.
[limits]
ttft_ms_p95 = 2000           # milliseconds to the first token, 95 of 100 answers
e2e_ms_p95 = 20000           # milliseconds to the last
decode_tps_p50 = 20          # at least so many tokens a second, half of the answers
usd_per_task = 0.01
# usd_per_solved = 0.0125    # dollars spent, failures included, over answers that are right
# usd_per_month = 2000
"""


class UseTask(Noun):
    """One task of a use case."""

    name: str = Field(min_length=1)
    """`core/ledger`, `core@1/ledger`, `core` (all its tasks, with the suite's weights), or a published benchmark."""
    weight: Number = Field(default=1.0, gt=0, allow_inf_nan=False)


class Quality(Noun):
    """The quality wanted: absolute, or relative to a target."""

    at_least: Number | None = Field(default=None, gt=0, le=1)
    within: Number | None = Field(default=None, ge=0, lt=1, allow_inf_nan=False)
    of: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Quality:
        if (self.within is None) != (self.of is None):
            raise ValueError('within and of are given together: within = 0.02, of = "TARGET"')
        if (self.at_least is None) == (self.within is None):
            raise ValueError("give either at_least, or within and of")
        return self

    def told(self) -> str:
        return f"at least {self.at_least:g}" if self.of is None else f"within {self.within:g} of {self.of}"


class Limits(Noun):
    """What an answer may take and cost; None = doesn't matter. `decode_tps_p50` is a least, the others are a most."""

    ttft_ms_p95: Number | None = Field(default=None, gt=0, allow_inf_nan=False)
    e2e_ms_p95: Number | None = Field(default=None, gt=0, allow_inf_nan=False)
    decode_tps_p50: Number | None = Field(default=None, gt=0, allow_inf_nan=False)
    usd_per_task: Usd | None = None
    usd_per_solved: Usd | None = None
    usd_per_month: Usd | None = None

    def given(self) -> dict[str, float]:
        """Limits that were set, by name."""
        return {name: float(value) for name, value in self if value is not None}


class UseCase(Noun):
    """What `bench choose` is asked; one TOML file."""

    name: str = Field(min_length=1)
    tasks: tuple[UseTask, ...] = Field(min_length=1)
    quality: Quality
    limits: Limits = Limits()
    layers: tuple[Layer, ...] = Field(default=tuple(layer for layer in LAYERS if layer != UNASKED), min_length=1)
    tasks_per_month: Count | None = Field(default=None, gt=0)
    certainty: Number = Field(default=0.9, gt=0.5, lt=1)
    current: str | None = None

    @field_validator("tasks")
    @classmethod
    def _once(cls, tasks: tuple[UseTask, ...]) -> tuple[UseTask, ...]:
        names = [task.name for task in tasks]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"task {twice!r} is listed twice; give it one weight")
        return tasks

    @model_validator(mode="after")
    def _volume(self) -> UseCase:
        if self.limits.usd_per_month is not None and self.tasks_per_month is None:
            raise ValueError("limits.usd_per_month needs tasks_per_month: how many tasks a month are there?")
        return self


def read_use_case(path: Path) -> UseCase:
    """The use case in a file; a mistake is one line with file, key and value."""
    return parse(UseCase, read_toml(path), str(path))
