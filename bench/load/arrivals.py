"""When requests are due: `closed:8`, `constant:5`, `poisson:2`, `gamma:4,2`, `trace:FILE`, alone or as a ladder.

An open schedule is drawn whole, from a stored seed, before its step begins, and never reacts to answers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.errors import ConfigError, nearest
from bench.load.traces import Trace

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["closed", "constant", "poisson", "gamma", "trace"]
KINDS: tuple[Kind, ...] = ("closed", "constant", "poisson", "gamma", "trace")
FORMS = "closed:N, constant:R, poisson:R, gamma:R,CV or trace:FILE (R = requests per second)"
MOST_STREAMS = 60_000
MOST_RPS = 100_000.0
MOST_REQUESTS = 20_000_000
CVS = (0.01, 100.0)
"""Coefficients of variation that gaps can have: steadier is constant, burstier is one burst."""


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """How the requests of one step arrive."""

    kind: Kind
    concurrency: int | None = None
    """Closed loop: requests always under way."""
    rate_rps: float | None = None
    """Open loop: mean requests per second."""
    cv: float = 1.0
    """Gamma: standard deviation over mean of the gaps; 1 is Poisson, more is burstier."""
    path: str | None = None

    @property
    def is_open(self) -> bool:
        return self.kind != "closed"

    @property
    def level(self) -> float:
        """What a ladder climbs: requests under way, or requests per second."""
        return float(self.concurrency or self.rate_rps or 0.0)

    @property
    def most(self) -> float:
        """The level beyond which no climb or search goes."""
        return MOST_STREAMS if self.kind == "closed" else MOST_RPS

    def at(self, level: float) -> Arrivals:
        """The same kind at another level."""
        if self.kind == "closed":
            return Arrivals(kind="closed", concurrency=max(1, round(level)))
        return Arrivals(kind=self.kind, rate_rps=float(f"{level:.4g}"), cv=self.cv, path=self.path)

    def __str__(self) -> str:
        if self.kind == "closed":
            return f"closed:{self.concurrency}"
        if self.kind == "trace":
            return f"trace:{Path(self.path or '').name}"
        return f"{self.kind}:{self.rate_rps:g}" + (f",{self.cv:g}" if self.kind == "gamma" else "")


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """The steps somebody asked for, in order, and whether to go on from the last one."""

    steps: tuple[Arrivals, ...]
    climbs: bool = False
    """Goes on by doubling until the target is over-saturated or gains nothing, then refines around the knee."""
    last: float = math.inf
    """The level a climb ends at."""
    named: bool = True
    """Whether its first level was given; else it may be chosen."""


def parse(text: str, trace: Trace | None = None) -> Ladder:
    """What was typed after `--arrivals`; ConfigError with the way out.

    `closed` climbs from 1, `closed:4,8,...` from 8, `closed:1..64` from 1 to 64; `poisson` and the like climb too.
    """
    text = "".join(c if c.isprintable() else " " for c in text).strip()
    name, _, rest = text.partition(":")
    kind = next((known for known in KINDS if known == name), None)
    if kind is None:
        raise ConfigError(f"--arrivals {text}: {name!r} is no kind of arrival{nearest(name, KINDS)} (write {FORMS})")
    if kind == "trace":
        if trace is None:
            raise ConfigError(f"--arrivals {text}: name the file, trace:FILE")
        return Ladder(steps=(Arrivals(kind="trace", rate_rps=trace.rate_rps, path=rest),))
    if kind == "gamma":
        return Ladder(steps=(_gamma(text, rest),))
    if ".." in rest and "..." not in rest:
        low, _, high = rest.partition("..")
        first, last = (_level(text, kind, part) for part in (low, high))
        if last.level <= first.level:
            raise ConfigError(f"--arrivals {text}: {high} is not above {low}; write the lower end first")
        return Ladder(steps=(first,), climbs=True, last=last.level)
    parts = [part.strip() for part in rest.split(",") if part.strip()] if rest else []
    climbs = not parts or parts[-1] in ("...", "…")
    levels = parts[:-1] if parts and climbs else parts
    steps = tuple(_level(text, kind, part) for part in levels)
    return Ladder(steps=steps or (_first(kind),), climbs=climbs, named=bool(steps))


def _first(kind: Kind) -> Arrivals:
    return Arrivals(kind=kind, concurrency=1) if kind == "closed" else Arrivals(kind=kind, rate_rps=1.0)


def _level(text: str, kind: Kind, part: str) -> Arrivals:
    value = _number(text, part)
    if kind != "closed":
        return Arrivals(kind=kind, rate_rps=value)
    if value != int(value):
        raise ConfigError(f"--arrivals {text}: {part} requests under way is no whole number")
    if value > MOST_STREAMS:
        raise ConfigError(f"--arrivals {text}: at most {MOST_STREAMS:,} streams from one machine (ports run out)")
    return Arrivals(kind="closed", concurrency=int(value))


def _gamma(text: str, rest: str) -> Arrivals:
    rate, comma, cv = rest.partition(",")
    if not comma:
        raise ConfigError(f"--arrivals {text}: gamma needs a rate and a coefficient of variation, like gamma:4,2")
    found = Arrivals(kind="gamma", rate_rps=_number(text, rate), cv=_number(text, cv))
    if not CVS[0] <= found.cv <= CVS[1]:
        raise ConfigError(f"--arrivals {text}: a coefficient of variation is from {CVS[0]:g} to {CVS[1]:g}")
    return found


def _number(text: str, part: str) -> float:
    try:
        value = float(part)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value <= 0:
        raise ConfigError(f"--arrivals {text}: {part.strip()!r} is not a positive number (write {FORMS})")
    return value


def schedule_ns(arrivals: Arrivals, seconds: float, seed: Sequence[int], trace: Trace | None = None) -> list[int]:
    """Due times of an open step [ns from its start], rising, all before `seconds`; one list for one seed."""
    import numpy as np

    if arrivals.kind == "trace":
        assert trace is not None
        return [due for due in trace.due_ns if due < seconds * 1e9]
    rate = arrivals.rate_rps or 0.0
    check_size(arrivals, seconds)
    if arrivals.kind == "constant":
        due_s = np.arange(1, int(rate * seconds) + 2) / rate
        return [int(due) for due in np.rint(due_s * 1e9).astype(np.int64) if due < round(seconds * 1e9)]
    due_s = np.empty(0)
    rng = np.random.default_rng([int(part) for part in seed])
    while not due_s.size or due_s[-1] < seconds:
        more = (
            int(rate * seconds * 0.1 + 64) if due_s.size else int(rate * seconds + 4 * math.sqrt(rate * seconds) + 64)
        )
        start = due_s[-1] if due_s.size else 0.0
        due_s = np.concatenate([due_s, start + np.cumsum(_gaps_s(arrivals, more, rng))])
    return [int(due) for due in np.rint(due_s[due_s < seconds] * 1e9).astype(np.int64)]


def check_size(arrivals: Arrivals, seconds: float) -> None:
    """ConfigError for a schedule that no machine would hold."""
    if arrivals.kind in ("constant", "poisson", "gamma") and (arrivals.rate_rps or 0.0) * seconds > MOST_REQUESTS:
        raise ConfigError(f"{arrivals} for {seconds:g} s is over {MOST_REQUESTS:,} requests; ask for a shorter step")


def _gaps_s(arrivals: Arrivals, n: int, rng: np.random.Generator) -> np.ndarray:
    mean_s = 1.0 / (arrivals.rate_rps or 1.0)
    if arrivals.kind == "poisson":
        return rng.exponential(mean_s, n)
    shape = 1.0 / arrivals.cv**2
    return rng.gamma(shape, mean_s / shape, n)
