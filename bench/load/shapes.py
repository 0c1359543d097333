"""How long prompts and answers are: named distributions, `512x128` for fixed lengths, or a trace's own.

Lengths are log-normal, given by median and sigma of the logarithm, and clipped; tokens, chat template left out. They
are typical of the use, not copied from one trace: published traces differ by more than these figures matter.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any

from bench.errors import ConfigError, nearest
from bench.load.traces import Trace


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """A clipped log-normal distribution of token counts."""

    median: float
    sigma: float
    least: int
    most: int

    def draw(self, rng: random.Random) -> int:
        drawn = self.median * math.exp(self.sigma * _normal(rng)) if self.sigma else self.median
        return max(self.least, min(self.most, round(drawn)))


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the requests of a load look like."""

    name: str
    prompt: Lengths
    answer: Lengths
    pairs: tuple[tuple[int, int], ...] = ()
    """A trace's (prompt, answer) lengths, taken in its order; then the distributions are not drawn from."""

    def lengths(self, seed: Sequence[int], number: int) -> tuple[int, int]:
        """(prompt, answer) tokens of request `number` of the load with this seed; the same whoever asks."""
        if self.pairs:
            return self.pairs[number % len(self.pairs)]
        rng = random.Random(":".join(map(str, (*seed, number))))
        return self.prompt.draw(rng), self.answer.draw(rng)

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt with the longest answer."""
        if self.pairs:
            return max(i + o for i, o in self.pairs)
        return self.prompt.most + self.answer.most

    def fitted(self, context_tokens: int) -> Shape:
        """Shrunk by a whole factor so that the longest request fits; the name says so, as it is another load."""
        factor = math.ceil(self.longest / max(1, context_tokens))
        if factor <= 1:
            return self
        shrunk = [replace(part, **_divided(part, factor)) for part in (self.prompt, self.answer)]
        pairs = tuple((max(1, i // factor), max(1, o // factor)) for i, o in self.pairs)
        return Shape(name=f"{self.name}/{factor}", prompt=shrunk[0], answer=shrunk[1], pairs=pairs)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, row: dict[str, Any]) -> Shape:
        """The shape that `as_dict` gave."""
        parts = {name: Lengths(**row[name]) for name in ("prompt", "answer")}
        return cls(name=row["name"], pairs=tuple((i, o) for i, o in row["pairs"]), **parts)

    def hash(self) -> str:
        return sha256(repr(self).encode()).hexdigest()


def _divided(part: Lengths, factor: int) -> dict[str, Any]:
    return {
        "median": max(1.0, part.median / factor),
        "least": max(1, part.least // factor),
        "most": max(1, part.most // factor),
    }


def _normal(rng: random.Random) -> float:
    """Box and Muller's: only `random()` is the same in every version of Python."""
    return math.sqrt(-2.0 * math.log(1.0 - rng.random())) * math.cos(2.0 * math.pi * rng.random())


def _named(name: str, prompt: tuple[float, float, int, int], answer: tuple[float, float, int, int]) -> Shape:
    keys = ("median", "sigma", "least", "most")
    return Shape(
        name=name,
        prompt=Lengths(**dict(zip(keys, prompt, strict=True))),  # type: ignore[arg-type]
        answer=Lengths(**dict(zip(keys, answer, strict=True))),  # type: ignore[arg-type]
    )


NAMED = {
    shape.name: shape
    for shape in (
        _named("chat", (400, 0.9, 32, 3000), (160, 0.7, 16, 1000)),
        _named("rag", (3000, 0.4, 800, 8000), (200, 0.5, 32, 800)),
        _named("code", (1800, 0.7, 200, 7000), (80, 0.9, 8, 1000)),
        _named("long", (16000, 0.3, 8000, 30000), (400, 0.4, 100, 1500)),
        _named("short", (48, 0.4, 16, 128), (24, 0.4, 8, 64)),
    )
}
_FIXED = re.compile(r"(\d+)x(\d+)")


def parse(text: str, trace: Trace | None = None) -> Shape:
    """A named shape, `INxOUT`, or `trace` (the lengths of the trace); ConfigError with the way out."""
    if text in NAMED:
        return NAMED[text]
    if fixed := _FIXED.fullmatch(text):
        counts = [int(part) for part in fixed.groups()]
        if min(counts) < 1:
            raise ConfigError(f"--shape {text}: prompt and answer have at least one token each")
        lengths = [Lengths(median=n, sigma=0.0, least=n, most=n) for n in counts]
        return Shape(name=text, prompt=lengths[0], answer=lengths[1])
    if text.partition(":")[0] == "trace":
        if trace is None or not trace.lengths:
            raise ConfigError(f"--shape {text}: needs a trace with prompt and answer lengths: --shape trace:FILE")
        ins, outs = zip(*trace.lengths, strict=True)
        whole = [Lengths(median=sorted(n)[len(n) // 2], sigma=0.0, least=min(n), most=max(n)) for n in (ins, outs)]
        return Shape(name=f"trace-{trace.name}", prompt=whole[0], answer=whole[1], pairs=trace.lengths)
    raise ConfigError(f"--shape {text}: unknown{nearest(text, NAMED)} (or fixed lengths like 512x128, or trace:FILE)")
