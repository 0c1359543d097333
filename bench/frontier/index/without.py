"""The index once more without one benchmark: a line of its sensitivity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.errors import ConfigError
from bench.frontier.index.fit import fit as fitted
from bench.frontier.index.nouns import Fit, Rules

if TYPE_CHECKING:
    import pandas as pd


def without(frame: pd.DataFrame, fit: Fit, benchmark: str) -> Fit:
    """The fit without that benchmark, warm-started.

    Models may fall under the minimum and are then in `refused`. Without the anchor benchmark, the one with most models
    takes its place at the slope it had, so that the ridge weighs as before.
    """
    return fitted(frame[frame["benchmark"] != benchmark], _rules(fit, benchmark), start=fit)


def leave_one_benchmark_out(
    frame: pd.DataFrame, fit: Fit, benchmarks: Iterable[str] | None = None
) -> Iterator[tuple[str, Fit | str]]:
    """Benchmark by benchmark, the fit without it, or why there is none (an anchor falls out)."""
    for name in fit.benchmarks["benchmark"] if benchmarks is None else benchmarks:
        try:
            yield name, without(frame, fit, name)
        except ConfigError as error:
            yield name, str(error)


def _rules(fit: Fit, gone: str) -> Rules:
    if gone != fit.rules.anchor_benchmark:
        return fit.rules
    rest = fit.benchmarks[fit.benchmarks["benchmark"] != gone].sort_values(["n_models", "benchmark"])
    next_anchor = rest.iloc[-1]
    return replace(fit.rules, anchor_benchmark=next_anchor["benchmark"], anchor_slope=float(next_anchor["slope"]))
