"""Load traffic: declared arrivals of declared lengths, measured by clients that know their own error.

One run = one target, one shape, one ladder of steps. The rows go to the run folder as they come, so that memory stays
flat and nothing is lost; what the steps say is in `load_steps.json`, and in the table `load_step`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from bench import machine, runs
from bench.catalog import Target
from bench.client import Client, Lane, new_event_loop
from bench.errors import BenchError, ConfigError, EngineError, RunError
from bench.load import ladder as ladders
from bench.load.arrivals import Arrivals, Ladder
from bench.load.calibrate import Calibration, Calibrator
from bench.load.crew import Crew
from bench.load.ladder import SearchResult
from bench.load.prompts import Cache
from bench.load.selfcheck import SelfCheck, check
from bench.load.shapes import Shape
from bench.load.slo import Slo
from bench.load.step import StepResult, StepRun, Traffic, summary
from bench.load.step import run as run_step
from bench.load.traces import Trace
from bench.machine import Sampler
from bench.records import Endpoint, Measurement

SUITE_VERSION = "1"
"""Raised when the shapes or the way prompts are built change: other traffic, another series."""
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


@dataclass(kw_only=True)
class Outcome:
    """What became of one load run."""

    target_id: str
    run_id: str | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    searches: list[SearchResult] = field(default_factory=list)
    stop: BenchError | None = None

    @property
    def any_valid(self) -> bool:
        return any(step["valid"] for step in self.steps)


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
        folder = stack.enter_context(runs.create(results, _header(plan, results)))
        outcome.run_id = folder.header.run_id
        try:
            endpoint = stack.enter_context(borrowed(plan.target, log=folder.path / "engine.log"))
            _loaded(plan, endpoint, folder, outcome, watcher)
        except KeyboardInterrupt:
            _closed(folder, outcome, "interrupted")
            raise
        except (EngineError, RunError) as stop:
            outcome.stop = stop
            _closed(folder, outcome, "interrupted")
        else:
            _closed(folder, outcome, "finished")
    return outcome


def _closed(folder: runs.Run, outcome: Outcome, status: runs.RunStatus) -> None:
    folder.write_steps(outcome.steps)
    folder.finish(status)


def _loaded(plan: Plan, endpoint: Endpoint, folder: runs.Run, outcome: Outcome, watcher: Watcher) -> None:
    calibration = _calibrated(plan, endpoint, folder)
    shape = _fitted(plan.shape, calibration)
    for note in (*calibration.notes, *_fitting(plan, shape, calibration)):
        watcher.told(note)
    workers = plan.workers or default_workers()
    log = folder.path / "client.log"
    checked = check(lane=plan.lane, workers=workers, log=log) if plan.self_check else None
    if checked is not None:
        watcher.told(_check_line(checked))
    traffic = _traffic(plan, shape, calibration, checked, folder.header.run_id)
    with (
        Sampler() as sampler,
        Crew(endpoint, calibration.recipe, lane=plan.lane, workers=workers, run_id=traffic.run_id, log=log) as crew,
    ):
        driver = _Driver(traffic, folder, crew, sampler, outcome, watcher, search=plan.search)
        for ladder in _starting(plan.ladders, calibration):
            if plan.search:
                found = ladders.search(ladder, driver.step, watcher.told)
                outcome.searches.append(found)
                folder.write_search([_search_row(each) for each in outcome.searches])
            else:
                ladders.climb(ladder, driver.step, watcher.told)
        folder.write_telemetry(sampler.samples)


class _Driver:
    """Runs one step after the other on the same processes."""

    def __init__(
        self, traffic: Traffic, folder: runs.Run, crew: Crew, sampler: Sampler, outcome: Outcome, watcher: Watcher, *,
        search: bool,
    ) -> None:  # fmt: skip
        self._traffic, self._folder, self._crew, self._sampler = traffic, folder, crew, sampler
        self._outcome, self._watcher, self._search = outcome, watcher, search

    def step(self, arrivals: Arrivals) -> StepResult:
        step = StepRun(self._traffic, len(self._outcome.steps), arrivals, search=self._search)
        try:
            result = run_step(self._crew, step, self._folder.append_line, self._sampler, self._watcher.step)
        except KeyboardInterrupt:
            cut = summary(step, workers=self._crew.n, busy=None, sampler=self._sampler)
            cut.row["notes"].append("interrupted")
            self._keep(cut)
            raise
        self._keep(result)
        return result

    def _keep(self, result: StepResult) -> None:
        self._outcome.steps.append(result.row)
        self._folder.write_steps(self._outcome.steps)
        self._watcher.stepped(result.row)


def default_workers() -> int:
    """Client processes: one for every four cores, at most eight; a single one leaves the other core to the rows."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, usable // 4))


def _calibrated(plan: Plan, endpoint: Endpoint, folder: runs.Run) -> Calibration:
    local = plan.target.layer in LOCAL or bool(plan.target.quirks.get("ignore_eos"))

    def keep(measurement: Measurement) -> None:
        folder.append(replace(measurement, prompt=None, answer=None, reasoning=None))

    async def ask() -> Calibration:
        async with Client(endpoint, run_id=folder.header.run_id) as client:
            calibrator = Calibrator(client, keep, try_ignore_eos=local)
            return await calibrator.calibrate(local=local)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(ask())


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


def _check_line(checked: SelfCheck) -> str:
    return (
        f"this client, against a null server here: TTFT {checked.ttft_error_p99_ms:.3f} ms off, end-to-end "
        f"{checked.e2e_error_p99_ms:.3f} ms (p99, n = {checked.n}); {checked.events_per_s:,.0f} events per CPU second"
    )


def _traffic(plan: Plan, shape: Shape, calibration: Calibration, checked: SelfCheck | None, run_id: str) -> Traffic:
    options = plan.target.options
    limits = plan.slo.limits.values() if plan.slo else ()
    return Traffic(
        run_id=run_id,
        shape=shape,
        cache=plan.cache,
        lane=plan.lane,
        seed=plan.seed,
        duration_s=plan.duration_s,
        grace_s=max(GRACE_S, *(2 * limit / 1000 for limit in limits), 0.0),
        slo=plan.slo,
        fixed_lengths=calibration.fixed_lengths,
        exact_prompts=calibration.recipe.exact,
        options={"temperature": options.temperature, "seed": options.seed, "extra": dict(options.extra)},
        trace=plan.trace,
        self_check=checked,
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


def _search_row(found: SearchResult) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "low": found.low,
        "high": found.high,
        "failed": found.failed,
        "n_steps": found.n_steps,
        "reason": found.reason,
        "levels": found.levels,
    }


def _header(plan: Plan, results: Path) -> runs.Header:
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
    if plan.duration_s < 2:
        raise ConfigError(f"--duration {plan.duration_s:g}: a step needs at least 2 s to show a steady state")
    return plan
