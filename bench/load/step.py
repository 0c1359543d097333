"""One step of a load: the same traffic to every client process, its rows kept, and what they say summed up."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.load.arrivals import Arrivals, schedule_ns
from bench.load.rows import BIN_NS, StepRows
from bench.load.slo import Slo, Verdict, judged, sequential
from bench.load.summary import StepResult, summary
from bench.load.traces import Trace

if TYPE_CHECKING:
    import numpy as np

    from bench.load.allowance import Allowance
    from bench.load.crew import Crew
    from bench.load.selfcheck import SelfCheck
    from bench.load.shapes import Shape
    from bench.machine import Sampler

LEAD_NS = 150_000_000
"""From telling the processes of a step to its start."""
SEARCH_WARM_S = 2.0
"""What a sequential verdict leaves out at the beginning, or a tenth of the step if that is more."""
_LOOK_EVERY = 10


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What is the same in every step of a run."""

    run_id: str
    shape: Shape
    cache: str
    lane: str
    seed: int
    duration_s: float
    grace_s: float
    """How long past its end a step goes on, so that its last requests end under the same load."""
    slo: Slo | None
    fixed_lengths: bool
    exact_prompts: bool
    options: Mapping[str, Any]
    """Fields of each Request: temperature, seed, extra."""
    trace: Trace | None = None
    self_check: SelfCheck | None = None
    idle_power_w: float | None = None
    """Of all GPU boards with the target loaded and nothing asked of it."""
    allowance: Allowance


class StepRun:
    """One step under way: its commands, its rows, and whether it has seen enough."""

    def __init__(self, traffic: Traffic, number: int, arrivals: Arrivals, *, search: bool) -> None:
        self.traffic, self.number, self.arrivals, self.search = traffic, number, arrivals, search
        seconds = traffic.duration_s
        if arrivals.kind == "trace" and traffic.trace is not None:
            # Nothing is due after its last request, which belongs to it.
            seconds = min(seconds, max(traffic.trace.duration_s, 1.0) + 2 * BIN_NS / 1e9)
        self.start_ns = time.perf_counter_ns() + LEAD_NS
        self.end_ns = self.start_ns + round(seconds * 1e9) // BIN_NS * BIN_NS
        self.until_ns = self.end_ns + round(traffic.grace_s * 1e9)
        self.due_ns: list[int] = []
        if arrivals.is_open:
            until_s = traffic.duration_s + traffic.grace_s
            self.due_ns = schedule_ns(arrivals, until_s, (traffic.seed, number), traffic.trace)
            self.start_ns += len(self.due_ns) * 500  # a long schedule takes time to be told
            self.end_ns += len(self.due_ns) * 500
            self.until_ns += len(self.due_ns) * 500
        self.rows = StepRows(self.start_ns)
        self.verdict: Verdict = "undecided"
        self.stopped_ns: int | None = None
        """When it was told to end before its time."""
        self.ran_out = False
        """Whether the allowance ended it."""
        self._looked = 0

    def commands(self, workers: int) -> list[dict[str, Any]]:
        """What each client process is told: its share of the schedule, or of the slots."""
        traffic = self.traffic
        common = {
            "step": self.number,
            "start_ns": self.start_ns,
            "end_ns": self.end_ns,
            "until_ns": self.until_ns,
            "shape": traffic.shape.as_dict(),
            "seed": [traffic.seed, self.number],
            "nonce": traffic.run_id,
            "cache": traffic.cache,
            "lane": traffic.lane,
            "ignore_eos": traffic.fixed_lengths,
            "options": dict(traffic.options),
        }
        slots = self.arrivals.concurrency or 0
        shares = [slots // workers + (worker < slots % workers) for worker in range(workers)]
        busy = max(1, sum(share > 0 for share in shares))
        return [
            {
                **common,
                "slots": shares[worker],
                "first_number": worker,
                "stride": busy,  # those with slots are the first ones: together they leave no number out
                "due_ns": self.due_ns[worker::workers],
                "numbers": list(range(len(self.due_ns)))[worker::workers],
            }
            for worker in range(workers)
        ]

    def take(self, row: dict[str, Any]) -> None:
        self.rows.add(row)
        self.traffic.allowance.settle(row)

    @property
    def under_way(self) -> int:
        """Requests that may be under way now."""
        if not self.arrivals.is_open:
            return self.arrivals.concurrency or 0
        due = bisect_right(self.due_ns, time.perf_counter_ns() - self.start_ns)
        return max(0, due - len(self.rows))

    def enough(self) -> bool:
        """Whether the step is to end now: the allowance is used up, or a search has its verdict."""
        self.ran_out = self.ran_out or self.traffic.allowance.used_up(self.under_way, self.traffic.shape)
        return self.ran_out or self._has_verdict()

    def judge(self) -> None:
        """The verdict once every row is in, those that were cut off included."""
        if self.search and self.verdict == "undecided":
            self.verdict = self._verdict()

    def _has_verdict(self) -> bool:
        """In a search: whether the verdict is out. Requests count in the order they were due, up to the first that is
        not over yet: those that end soonest must not speak for those still waiting."""
        if not self.search or len(self.rows) - self._looked < max(_LOOK_EVERY, self._looked // 50):
            return False
        self._looked = len(self.rows)
        self.verdict = self._verdict()
        return self.verdict != "undecided"

    def _verdict(self) -> Verdict:
        columns = self.rows.columns()
        good = judged(columns, self.traffic.slo, open_loop=self.arrivals.is_open)
        settled = self._settled(columns)
        n_good, n_bad = int((good[settled] == 1).sum()), int((good[settled] == 0).sum())
        return sequential(n_good, n_bad, self.traffic.slo.target if self.traffic.slo else 0.5)

    def _settled(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Which rows (n,) may count for a verdict."""
        import numpy as np

        warm_ns = self.start_ns + max(SEARCH_WARM_S, self.traffic.duration_s / 10) * 1e9
        begun = columns["sched_ns"]
        counts: np.ndarray = (begun >= warm_ns) & (begun < self.end_ns)
        numbers = np.sort(columns["doc_id"].astype(np.int64))
        gap = np.flatnonzero(numbers != np.arange(len(numbers)))
        first_missing = gap[0] if len(gap) else len(numbers)
        return counts & (columns["doc_id"] < first_missing)


def run(
    crew: Crew, step: StepRun, keep: Callable[[bytes], None], sampler: Sampler, tick: Callable[[StepRun], None]
) -> StepResult:
    """The step from its first request to its last row, every row handed to `keep`. KeyboardInterrupt passes through
    once all rows are in; then `summary` still holds."""

    def row(line: bytes, told: dict[str, Any]) -> None:
        keep(line)
        step.take(told)

    def enough() -> bool:
        tick(step)
        return step.enough()

    def stopped() -> None:
        step.stopped_ns = time.perf_counter_ns()

    done = crew.step(step.commands(crew.n), row, enough, stopped)
    step.judge()
    lost = sum(told["n_sent"] for told in done) - len(step.rows)
    busy = max(told["cpu_s"] / max(told["wall_s"], 1e-9) for told in done)
    result = summary(step, workers=crew.n, busy=busy, sampler=sampler)
    if lost:
        result.row["notes"].append(f"{lost} requests were sent whose rows did not come back")
    return result
