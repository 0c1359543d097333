"""What this client can do on this machine now: its own error against a null server, before it judges anybody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.client import Lane
from bench.errors import EngineError
from bench.load.allowance import Allowance
from bench.load.arrivals import Arrivals
from bench.load.crew import Crew, own_module
from bench.load.prompts import WORDS, Recipe
from bench.load.rows import StepRows
from bench.load.shapes import parse as parse_shape
from bench.load.step import StepRun, Traffic
from bench.records import Endpoint

if TYPE_CHECKING:
    import numpy as np

STREAMS = 64
TOKENS = 40
GAP_MS = 20.0
SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class SelfCheck:
    """Errors against the null server, 99th percentile over answers, and how many events a process takes."""

    ttft_error_p99_ms: float
    e2e_error_p99_ms: float
    events_per_s: float
    """Of one client process with a core to itself: events over CPU seconds, one event per read."""
    n: int

    @property
    def error_p99_ms(self) -> float:
        return max(self.ttft_error_p99_ms, self.e2e_error_p99_ms)

    def line(self) -> str:
        """For a person."""
        off = f"TTFT {self.ttft_error_p99_ms:.3f} ms off, end to end {self.e2e_error_p99_ms:.3f} ms"
        return f"{off} (p99, n = {self.n}); {self.events_per_s:,.0f} events per CPU second"


def check(*, lane: Lane, workers: int, log: Path) -> SelfCheck:
    """Runs the client processes of a load against a null server for a good second."""
    truths: list[tuple[int, int]] = []
    rows = StepRows(0)

    def row(_: bytes, told: dict[str, Any]) -> None:
        if told["status"] == "ok":
            rows.add(told)
            first, _comma, finish = str(told["system_fingerprint"]).partition(",")
            truths.append((int(first), int(finish)))

    with null_server(log) as url, null_crew(url, TOKENS, GAP_MS, lane=lane, workers=workers, log=log) as crew:
        done = crew.step(null_step(STREAMS, SECONDS, lane=lane).commands(workers), row, lambda: False)
    if not truths:
        raise EngineError("the self-check got no answer from its own null server; its log is client.log")
    return _compared(rows.columns(), truths, sum(told["cpu_s"] for told in done))


def null_crew(url: str, tokens: int, gap_ms: float, *, lane: Lane, workers: int, log: Path) -> Crew:
    """Client processes that ask a null server for answers of so many tokens, so far apart."""
    recipe = Recipe(words=tuple(f" {word}" for word in WORDS), cost=1, filler=None, overhead=0, exact=False)
    model = f"null?tokens={tokens}&gap_ms={gap_ms}"
    endpoint = Endpoint(target_id="null", base_url=url, wire="openai_chat", model=model)
    return Crew(endpoint, recipe, lane=lane, workers=workers, run_id=None, log=log)


def null_step(streams: int, seconds: float, *, lane: Lane) -> StepRun:
    """One closed step of so many streams."""
    traffic = Traffic(
        run_id="null",
        shape=parse_shape("16x8"),
        cache="cold",
        lane=lane,
        seed=0,
        duration_s=seconds,
        grace_s=2.0,
        slo=None,
        fixed_lengths=False,
        exact_prompts=False,
        options={},
        allowance=Allowance(price=None),
    )
    return StepRun(traffic, 0, Arrivals(kind="closed", concurrency=streams), search=False)


def _compared(columns: dict[str, np.ndarray], truths: list[tuple[int, int]], cpu_s: float) -> SelfCheck:
    import numpy as np

    wrote = np.array(truths, dtype=np.float64)
    errors_ms = [
        float(np.quantile(np.abs(columns[stamp] - wrote[:, i]), 0.99)) / 1e6
        for i, stamp in enumerate(("first_token_ns", "end_ns"))
    ]
    return SelfCheck(
        ttft_error_p99_ms=errors_ms[0],
        e2e_error_p99_ms=errors_ms[1],
        events_per_s=float(columns["chunks"].sum()) / cpu_s,
        n=len(truths),
    )


@contextmanager
def null_server(log: Path) -> Iterator[str]:
    """A null server's URL for the length of the block."""
    with log.open("ab") as errors, own_module("bench.load.null_server", errors) as process:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        if not url:
            raise EngineError("the null server of the self-check did not start; its log is client.log")
        yield url
