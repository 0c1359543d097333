"""Load traffic: declared arrivals of declared lengths, measured by clients that know their own error.

One run = one target, one shape, one ladder of steps. The rows go to the run folder as they come, so that memory stays
flat and nothing is lost; what the steps say is in `load_steps.json`, and in the table `load_step`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from bench import machine, runs
from bench.catalog import Price, Target
from bench.catalog.address import is_loopback
from bench.client import Client, Lane
from bench.errors import BenchError, BudgetStop, ConfigError, EngineError, RunError
from bench.load import ladder as ladders
from bench.load.allowance import Allowance
from bench.load.arrivals import Arrivals, Ladder, check_size
from bench.load.calibrate import MOST_IN_TOKENS, MOST_OUT_TOKENS, Calibration, Calibrator
from bench.load.crew import Crew
from bench.load.ladder import SearchResult
from bench.load.prompts import Cache
from bench.load.selfcheck import check
from bench.load.shapes import Shape
from bench.load.slo import Slo
from bench.load.step import StepRun, Traffic
from bench.load.step import run as run_step
from bench.load.summary import StepResult, summary
from bench.load.traces import Trace
from bench.machine import Sampler
from bench.records import Endpoint, Measurement

SUITE_VERSION = "1"
"""Raised when the shapes or the way prompts are built change: other traffic, another series."""
LEAST_S, MOST_S = 2.0, 7 * 86_400.0
GRACE_S = 10.0
LOCAL = ("self-hosted", "on-device", "reference")
"""Layers whose servers may be asked for their tokenizer, and to ignore the end mark."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A load as it was asked for."""

    target: Target
    ladders: Sequence[Ladder]
    shape: Shape
    cache: Cache = "cold"
    lane: Lane = "httpx"
    duration_s: float = 60.0
    slo: Slo | None = None
    search: bool = False
    workers: int | None = None
    """Client processes; None = one, and more where a machine has cores to spare."""
    seed: int = 0
    self_check: bool = True
    trace: Trace | None = None
    max_usd: Decimal | None = None
    price: Price | None = None


@dataclass(kw_only=True)
class Outcome:
    """What became of one load run."""

    target_id: str
    run_id: str | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    searches: list[SearchResult] = field(default_factory=list)
    stop: BenchError | None = None

    @property
    def says_something(self) -> bool:
        """Whether a step is valid, or a search has found a load that passes or fails."""
        found = any(search.low is not None or search.failed is not None for search in self.searches)
        return found or any(step["valid"] for step in self.steps)


class Watcher(Protocol):
    """Who is told how a load goes along."""

    def told(self, line: str) -> None: ...
    def step(self, step: StepRun) -> None: ...
    def stepped(self, row: dict[str, Any]) -> None: ...


def run(plan: Plan, results: Path, watcher: Watcher) -> Outcome:
    """One load run, from the first request to the sealed folder.

    Raises EngineError when the target answers nothing. KeyboardInterrupt is raised once everything that came is kept.
    """
    from bench.quality import borrowed

    outcome = Outcome(target_id=plan.target.id)
    with ExitStack() as stack:
        folder = stack.enter_context(runs.create(results, _header(plan)))
        outcome.run_id = folder.header.run_id
        try:
            endpoint = stack.enter_context(borrowed(plan.target, log=folder.path / "engine.log"))
            _loaded(plan, endpoint, folder, outcome, watcher)
        except KeyboardInterrupt:
            _closed(folder, outcome, "interrupted")
            raise
        except (BudgetStop, ConfigError, EngineError, RunError) as stop:
            outcome.stop = stop
            _closed(folder, outcome, "interrupted")
        else:
            _closed(folder, outcome, "finished")
    return outcome


def _closed(folder: runs.Run, outcome: Outcome, status: runs.RunStatus) -> None:
    folder.write_steps(outcome.steps)
    folder.finish(status)


def _loaded(plan: Plan, endpoint: Endpoint, folder: runs.Run, outcome: Outcome, watcher: Watcher) -> None:
    allowance = Allowance(price=plan.price, max_usd=plan.max_usd)
    folder.write_prices({"prices": [plan.price.model_dump(mode="json")] if plan.price is not None else []})
    allowance.check_calibration(MOST_IN_TOKENS, MOST_OUT_TOKENS)
    calibration = _calibrated(plan, endpoint, folder, allowance)
    if plan.slo is not None and "tpot_ms" in plan.slo.limits and not calibration.counts_tokens:
        told = f"{plan.target.id} counts no tokens, so tpot_ms can't be told"
        raise ConfigError(f"{told}: leave it out of --slo {plan.slo}")
    shape = _fitted(plan.shape, calibration)
    for note in (*calibration.notes, *_fitting(plan, shape, calibration), *_spending(allowance, shape)):
        watcher.told(note)
    workers = plan.workers or default_workers()
    log = folder.path / "client.log"
    with _power(plan.target) as sampler:
        idle_from_ns = time.perf_counter_ns()
        checked = check(lane=plan.lane, workers=workers, log=log) if plan.self_check else None
        idle_to_ns = time.perf_counter_ns()
        sampler.read()
        idle = sampler.between(idle_from_ns, idle_to_ns)
        if checked is not None:
            watcher.told(f"this client, against a null server here: {checked.line()}")
        traffic = replace(
            _traffic(plan, shape, calibration, allowance),
            run_id=folder.header.run_id,
            self_check=checked,
            idle_power_w=idle.mean_power_w,
        )
        try:
            _climbed(plan, endpoint, calibration, traffic, _Means(folder, outcome, watcher, sampler, workers, log))
        finally:
            folder.write_telemetry(sampler.samples)


@contextmanager
def _power(target: Target) -> Iterator[Sampler]:
    """Reads the power of this machine's GPUs if they may be the target's; else a sampler that has seen nothing."""
    sampler = Sampler()
    here = target.engine is not None or is_loopback(target.base_url or "")
    if not here or target.layer == "reference":
        yield sampler
        return
    with sampler:
        yield sampler


@dataclass(frozen=True)
class _Means:
    """What the steps of one run are made with."""

    folder: runs.Run
    outcome: Outcome
    watcher: Watcher
    sampler: Sampler
    workers: int
    log: Path


def _climbed(plan: Plan, endpoint: Endpoint, calibration: Calibration, traffic: Traffic, means: _Means) -> None:
    """Every ladder of the plan, on one set of client processes."""
    folder, outcome, tell = means.folder, means.outcome, means.watcher.told
    with Crew(
        endpoint, calibration.recipe, lane=plan.lane, workers=means.workers, run_id=traffic.run_id, log=means.log
    ) as crew:
        driver = _Driver(traffic, crew, means, search=plan.search)
        for ladder in _starting(plan.ladders, calibration):
            if plan.search:
                import scipy.special  # noqa: F401  (now, and not in the middle of the first step)

                outcome.searches.append(ladders.search(ladder, driver.step, tell))
                folder.write_search([asdict(each) for each in outcome.searches])
            else:
                ladders.climb(ladder, driver.step, tell)


class _Driver:
    """Runs one step after the other on the same processes."""

    def __init__(self, traffic: Traffic, crew: Crew, means: _Means, *, search: bool) -> None:
        self._traffic, self._crew, self._means, self._search = traffic, crew, means, search

    def step(self, arrivals: Arrivals) -> StepResult:
        means = self._means
        check_files(arrivals, self._crew.n)
        step = StepRun(self._traffic, len(means.outcome.steps), arrivals, search=self._search)
        self._traffic.allowance.check(arrivals, self._traffic.shape)
        try:
            result = run_step(self._crew, step, means.folder.append_line, means.sampler, means.watcher.step)
        except (KeyboardInterrupt, BenchError) as cause:
            step.stopped_ns = step.stopped_ns or time.perf_counter_ns()
            cut = summary(step, workers=self._crew.n, busy=None, sampler=means.sampler)
            cut.row["notes"].append(str(cause).partition("\n")[0] or "interrupted")
            self._keep(cut)
            raise
        self._keep(result)
        if step.ran_out:
            raise self._traffic.allowance.stop()
        return result

    def _keep(self, result: StepResult) -> None:
        means = self._means
        means.outcome.steps.append(result.row)
        means.folder.write_steps(means.outcome.steps)
        means.watcher.stepped(result.row)


def check_files(arrivals: Arrivals, workers: int) -> None:
    """ConfigError when a process may not open as many connections as its share of the streams."""
    if sys.platform == "win32" or arrivals.concurrency is None:
        return
    import resource

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    each = arrivals.concurrency // workers + 100
    if most != resource.RLIM_INFINITY and each > most:
        raise ConfigError(
            f"{arrivals}: {each:,} open files in each of {workers} client processes, and {most:,} are allowed here; "
            "raise `ulimit -Hn`, or spread them over more --workers"
        )


def default_workers() -> int:
    """Client processes: one for every four cores, at most eight; a single one leaves the other core to the rows."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, usable // 4))


def _calibrated(plan: Plan, endpoint: Endpoint, folder: runs.Run, allowance: Allowance) -> Calibration:
    from bench.judge import LoopThread

    local = plan.target.layer in LOCAL or bool(plan.target.quirks.get("ignore_eos"))

    def keep(measurement: Measurement) -> None:
        folder.append(replace(measurement, prompt=None, answer=None, reasoning=None))
        allowance.settle(vars(measurement))

    async def ask() -> Calibration:
        async with Client(endpoint, run_id=folder.header.run_id, lane=plan.lane) as client:
            calibrator = Calibrator(client, keep, try_ignore_eos=local)
            return await calibrator.calibrate(local=local)

    with LoopThread() as loop:
        return loop.call(ask())


def _fitted(shape: Shape, calibration: Calibration) -> Shape:
    context = calibration.context_tokens
    return shape if context is None else shape.fitted(context - calibration.recipe.least)


def _fitting(plan: Plan, shape: Shape, calibration: Calibration) -> list[str]:
    told = []
    if shape.name != plan.shape.name:
        told.append(
            f"shape {plan.shape.name} is shrunk to {shape.name}: its longest request has {plan.shape.longest} tokens, "
            f"the target's context {calibration.context_tokens}"
        )
    if not calibration.fixed_lengths and plan.target.layer not in LOCAL:
        told.append("answers end where the model ends them: a hosted API takes no ignore_eos")
    return told


def _spending(allowance: Allowance, shape: Shape) -> list[str]:
    if allowance.price is None or not allowance.per_request_usd(shape):
        return []
    each = f"a request costs about {allowance.per_request_usd(shape):.6f} $"
    if allowance.max_usd is None:
        return [f"{each}, and nothing limits what this load spends: --max-usd does"]
    return [f"{each}; at most {allowance.max_usd} $ are spent"]


def _traffic(plan: Plan, shape: Shape, calibration: Calibration, allowance: Allowance) -> Traffic:
    options = plan.target.options
    limits = plan.slo.limits.values() if plan.slo else ()
    return Traffic(
        run_id="",
        shape=shape,
        cache=plan.cache,
        lane=plan.lane,
        seed=plan.seed,
        duration_s=plan.duration_s,
        grace_s=max(GRACE_S, *(2 * limit / 1000 for limit in limits), 0.0),
        slo=plan.slo,
        fixed_lengths=calibration.fixed_lengths,
        exact_prompts=calibration.recipe.exact,
        options={
            "temperature": options.temperature,
            "seed": options.seed,
            "effort": options.reasoning_effort,
            "extra": dict(options.extra),
        },
        trace=plan.trace,
        allowance=allowance,
    )


def _starting(asked: Sequence[Ladder], calibration: Calibration) -> list[Ladder]:
    """An open climb that names no rate begins at half of what one request after the other would be."""
    first_rps = 0.5 / max(calibration.e2e_s, 1e-3)
    return [
        replace(ladder, steps=(ladder.steps[0].at(first_rps),))
        if ladder.climbs and not ladder.named and ladder.steps[0].is_open
        else ladder
        for ladder in asked
    ]


def _header(plan: Plan) -> runs.Header:
    now = datetime.now(UTC)
    here = machine.describe()
    suite = f"load-{plan.shape.name}"
    asked = [plan.shape.hash(), plan.cache, plan.lane, plan.duration_s, *map(str, plan.ladders), str(plan.slo)]
    return runs.Header(
        run_id=runs.new_run_id(suite, plan.target.id, now),
        kind="load",
        suite=suite,
        suite_version=SUITE_VERSION,
        suite_hash=sha256(repr(asked).encode()).hexdigest(),
        target={**plan.target.public(), "facts": {}},
        fingerprint=plan.target.fingerprint(),
        seed=plan.seed,
        repeats=1,
        limit=None,
        items="generated",
        machine=here,
        versions=here["packages"],
        git_sha=machine.git_sha(),
        started_at=now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
    )


def checked_plan(plan: Plan) -> Plan:
    """The plan, if what was asked goes together; ConfigError with the way out."""
    if plan.search and plan.slo is None:
        raise ConfigError("--search needs an --slo to search for, like --slo ttft_ms=500,tpot_ms=50")
    if plan.search and any(ladder.steps[0].kind == "trace" for ladder in plan.ladders):
        raise ConfigError("--search needs arrivals that can be raised: closed, constant, poisson or gamma")
    if plan.search and any(len(ladder.steps) > 1 for ladder in plan.ladders):
        raise ConfigError("--search finds its own levels: give at most the first, like --arrivals closed or poisson:2")
    if not LEAST_S <= plan.duration_s <= MOST_S:
        raise ConfigError(f"--duration {plan.duration_s:g}: a step lasts from {LEAST_S:g} s to {MOST_S / 3600:g} hours")
    if not 0 <= plan.seed < 1 << 63:
        raise ConfigError(f"--seed {plan.seed}: give a whole number from 0 on")
    for ladder in plan.ladders:
        for step in ladder.steps:
            check_size(step, plan.duration_s + GRACE_S)
    return plan
