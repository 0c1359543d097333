"""What a person sees while a load runs: a line for each step, and one that is redrawn while a step is under way."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from bench.terminal import PLAIN_EVERY_S, printable

if TYPE_CHECKING:
    from bench.load import Watcher
    from bench.load.step import StepRun

REDRAW_S = 0.5


def watcher() -> Watcher:
    return Progress()


class Progress:
    """On stderr; never in the way of the load if nobody reads it."""

    def __init__(self) -> None:
        self._redraws = sys.stderr.isatty()
        self._every_s = REDRAW_S if self._redraws else PLAIN_EVERY_S
        self._told_s = time.monotonic()
        self._drawn = 0

    def told(self, line: str) -> None:
        self._say(printable(line))

    def step(self, step: StepRun) -> None:
        """Called some ten times a second while a step runs."""
        now = time.monotonic()
        if now - self._told_s < self._every_s:
            return
        self._told_s = now
        past_s = (time.perf_counter_ns() - step.start_ns) / 1e9
        line = f"{step.arrivals}: {max(0.0, past_s):.0f} of {step.traffic.duration_s:g} s, {len(step.rows):,} over"
        if self._redraws:
            self._write(f"\r{line.ljust(self._drawn)}")
            self._drawn = len(line)
        else:
            self._say(line)

    def stepped(self, row: dict[str, Any]) -> None:
        speed = (
            f"{row['system_out_tps']:,.0f} output tokens/s" if row.get("system_out_tps") is not None else "no window"
        )
        failed = f", {row['n_failed']:,} failed" if row["n_failed"] else ""
        mark = "" if row["valid"] else f"; invalid: {'; '.join(row['reasons'])}"
        self._say(printable(f"{row['arrivals']}: {row['n_sent']:,} requests{failed}, {speed}{mark}"))

    def _say(self, line: str) -> None:
        erased = f"\r{' ' * self._drawn}\r" if self._drawn else ""
        self._drawn = 0
        self._write(f"{erased}{line}\n")

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:
            self._every_s = float("inf")
