"""Service level objectives: what was promised of a request, whether it was kept, and how sure the share of kept is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bench.errors import ConfigError, nearest

if TYPE_CHECKING:
    import numpy as np

LIMITS = ("ttft_ms", "ttft_sched_ms", "ttfat_ms", "tpot_ms", "e2e_ms")
TARGET = 0.99
LEAST = 20
"""Requests before which no verdict is given: the first of them may be unlucky."""
ALPHA = 0.05
"""A verdict is wrong at most this often, however often one looks: the test is anytime-valid."""

Verdict = Literal["passes", "fails", "undecided"]


@dataclass(frozen=True, kw_only=True)
class Slo:
    """Limits that a request meets all of, and the share of requests that must."""

    limits: Mapping[str, float]
    target: float = TARGET

    def __str__(self) -> str:
        return ",".join(f"{name}={value:g}" for name, value in self.limits.items())


def parse(text: str, target: float = TARGET) -> Slo:
    """`ttft_ms=500,tpot_ms=50`; ConfigError naming what is wrong."""
    limits: dict[str, float] = {}
    for part in text.split(","):
        name, sign, value = (piece.strip() for piece in part.partition("="))
        if name not in LIMITS:
            raise ConfigError(f"--slo {text}: {name!r} is no limit{nearest(name, LIMITS)}")
        if name in limits:
            raise ConfigError(f"--slo {text}: {name} stands twice; give it once")
        try:
            limits[name] = float(value)
        except ValueError:
            limits[name] = math.nan
        if not sign or not math.isfinite(limits[name]) or limits[name] <= 0:
            raise ConfigError(f"--slo {text}: {name} needs a positive number of milliseconds, like {name}=500")
    check_target(target)
    return Slo(limits=limits, target=target)


def check_target(target: float) -> None:
    if not 0 < target < 1:
        raise ConfigError(f"--attainment {target:g}: give a share between 0 and 1, like 0.99")


def judged(columns: Mapping[str, np.ndarray], slo: Slo | None, *, open_loop: bool) -> np.ndarray:
    """1 good, 0 bad, NaN undecided, for each request (n,).

    Good: answered (an answer as long as was asked for is `truncated`, and good), every limit met. Bad: error, timeout,
    refused, a limit missed, or one that can't be told. Undecided: cut off by the end of the step before a limit was
    missed; one that had missed its limit by then is bad. In open loop TTFT counts from when the request was due.
    """
    import numpy as np

    status = columns["status"]
    verdict = np.where(np.isin(status, ("ok", "truncated")), 1.0, 0.0)
    cut = status == "cancelled"
    verdict[cut] = np.nan
    for name, limit_ms in (slo.limits if slo else {}).items():
        value = values_ms(columns, name, open_loop=open_loop)
        so_far = _so_far_ms(columns, name, open_loop=open_loop)
        with np.errstate(invalid="ignore"):
            verdict[~cut & ~(value <= limit_ms)] = 0.0
            verdict[cut & ((value > limit_ms) | (np.isnan(value) & (so_far > limit_ms)))] = 0.0
    return verdict


def values_ms(columns: Mapping[str, np.ndarray], name: str, *, open_loop: bool) -> np.ndarray:
    """What METRICS section 1 calls `name`, from stamps [ms]; NaN where it can't be said."""
    import numpy as np

    if name == "tpot_ms":
        return _tpot_ms(columns)
    begun = _begun_ns(columns, name, open_loop=open_loop)
    ends = {"ttfat_ms": "first_answer_ns", "e2e_ms": "end_ns"}
    value: np.ndarray = (columns[ends.get(name, "first_token_ns")] - begun) / 1e6
    if name == "e2e_ms":
        value[columns["status"] == "cancelled"] = np.nan
    return value


def _begun_ns(columns: Mapping[str, np.ndarray], name: str, *, open_loop: bool) -> np.ndarray:
    """From when a limit counts: due in open loop, sent in closed."""
    return columns["sched_ns"] if open_loop or name == "ttft_sched_ms" else columns["sent_ns"]


def _tpot_ms(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """(last - first) / (N - 1), reasoning that was not streamed left out. An answer of one token has no TPOT to miss:
    0 here, so that it is not counted bad. More tokens in a single chunk were not streamed: not known, never instant.
    """
    import numpy as np

    reasoning = np.nan_to_num(columns["reasoning_tokens"])
    hidden = (reasoning > 0) & (columns["first_token_ns"] == columns["first_answer_ns"])
    tokens = columns["out_tokens"] - np.where(hidden, reasoning, 0)
    span_ms = (columns["last_token_ns"] - columns["first_token_ns"]) / 1e6
    with np.errstate(invalid="ignore", divide="ignore"):
        tpot = np.where((columns["chunks"] >= 2) & (tokens >= 2), span_ms / (tokens - 1), np.nan)
    tpot[tokens < 2] = 0.0
    return tpot


def _so_far_ms(columns: Mapping[str, np.ndarray], name: str, *, open_loop: bool) -> np.ndarray:
    """For an answer cut off: how long it had been waited for; no limit on the pace of tokens is missed by waiting."""
    import numpy as np

    waited: np.ndarray = (columns["end_ns"] - _begun_ns(columns, name, open_loop=open_loop)) / 1e6
    return np.full_like(waited, np.nan) if name == "tpot_ms" else waited


def sequential(n_good: int, n_bad: int, target: float, alpha: float = ALPHA) -> Verdict:
    """Whether the share of good requests is above or below `target`, valid whenever one looks and stops.

    Two one-sided mixture martingales (Robbins 1970; Howard et al. 2021, arXiv:1810.08240): the likelihood of what was
    seen, averaged over all shares on one side of the target, against its likelihood at the target. By Ville's
    inequality either exceeds 2/alpha with a probability of at most alpha/2 if the truth is on the other side.
    """
    from scipy.special import betainc, betaln

    if n_good + n_bad < LEAST:
        return "undecided"
    a, b = n_good + 1, n_bad + 1
    log_at_target = n_good * math.log(target) + n_bad * math.log(1 - target)
    log_whole = float(betaln(a, b))
    below = float(betainc(a, b, target))
    for verdict, share, width in (("passes", 1 - below, 1 - target), ("fails", below, target)):
        if share > 0 and log_whole + math.log(share / width) - log_at_target > math.log(2 / alpha):
            return verdict  # type: ignore[return-value]
    return "undecided"
