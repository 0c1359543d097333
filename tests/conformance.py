"""What becomes of every fault a server can have, under load, in both lanes: one row of outcome for each, one command.

    python tests/conformance.py [--lane httpx,raw] [FAULT …]

Every fault of the fake server is put to a client process of `bench load` for a moment. A row is right when every
request that is over has the status it must have, and none is missing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.client import Lane
from bench.load.allowance import Allowance
from bench.load.arrivals import Arrivals
from bench.load.crew import Crew
from bench.load.prompts import WORDS, Recipe
from bench.load.shapes import parse as shape
from bench.load.step import StepRun, Traffic
from bench.records import Endpoint
from tests.fake import BROKEN, FRAMING, OTHER, fake_server

ODD_ENDS = {"refusal": "refused", "length": "truncated", "content_filter": "filtered"}
EXPECTED: dict[str, set[str]] = {
    **{fault: {"ok"} for fault in FRAMING},
    **{fault: {status} for fault, status in BROKEN.items()},
    **{fault: {ODD_ENDS.get(fault, "ok")} for fault in OTHER},
    "half_429": {"ok", "http_error"},
    "reset_half": {"ok", "stream_cut"},
    "mixed_load": {"ok", "http_error", "stream_cut", "truncated"},
}
"""The statuses that a fault gives, all of them and no others."""
SECONDS = 0.3
PATIENCE_S = 0.6


@dataclass(frozen=True, kw_only=True)
class Outcome:
    fault: str
    lane: str
    expected: set[str]
    statuses: Counter[str]
    n_sent: int
    n_cancelled: int

    @property
    def right(self) -> bool:
        return set(self.statuses) == self.expected and self.n_sent == self.statuses.total() + self.n_cancelled


def outcomes(folder: Path, lane: Lane, faults: Sequence[str]) -> Iterator[Outcome]:
    """One outcome per fault; one server and one client process for all of them."""
    recipe = Recipe(words=tuple(f" {word}" for word in WORDS), cost=1, filler=None, overhead=0, exact=False)
    with fake_server(folder) as server:
        endpoint = Endpoint(
            target_id="fake",
            base_url=server.url,
            wire="openai_chat",
            model="fake",
            connect_timeout_s=2,
            first_token_timeout_s=PATIENCE_S,
            stall_timeout_s=PATIENCE_S,
            total_timeout_s=2 * PATIENCE_S,
        )
        with Crew(endpoint, recipe, lane=lane, workers=1, run_id="x", log=folder / "client.log") as crew:
            for number, fault in enumerate(faults):
                yield _outcome(crew, lane, number, fault)


def _outcome(crew: Crew, lane: Lane, number: int, fault: str) -> Outcome:
    patient = fault in ("huge", "big_frame")  # 10 and 64 MB take a moment
    plan = {"fault": fault, "tokens": 8, "gap_ms": 1, "ttft_ms": 1}
    if fault in ("echo_auth_answer", "split_utf8", "cross_utf8", "surrogates", "whole"):
        del plan["tokens"]
    traffic = Traffic(
        run_id="conformance", shape=shape("20x64"), cache="cold", lane=lane, seed=0, duration_s=SECONDS,
        grace_s=20.0 if patient else 5.0, slo=None, fixed_lengths=False, exact_prompts=False,
        options={"extra": {"fake": plan}}, allowance=Allowance(price=None),
    )  # fmt: skip
    step = StepRun(traffic, number, Arrivals(kind="closed", concurrency=1 if patient else 4), search=False)
    done = crew.step(step.commands(1), lambda _, row: step.take(row), lambda: False)
    statuses = Counter(step.rows.statuses)
    cancelled = statuses.pop("cancelled", 0)
    return Outcome(
        fault=fault,
        lane=lane,
        expected=EXPECTED[fault],
        statuses=statuses,
        n_sent=done[0]["n_sent"],
        n_cancelled=cancelled,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="all, unless some are named")
    parser.add_argument("--lane", default="httpx,raw")
    asked = parser.parse_args()
    wanted = asked.faults or list(EXPECTED)
    seen: list[Outcome] = []
    print(f"{'fault':20}{'lane':6}{'sent':>6}  {'must be':38}{'was':42}")
    for lane in asked.lane.split(","):
        with tempfile.TemporaryDirectory() as folder:
            for one in outcomes(Path(folder), lane, wanted):
                seen.append(one)
                was = ", ".join(f"{n} {status}" for status, n in sorted(one.statuses.items()))
                must = "/".join(sorted(one.expected))
                mark = "" if one.right else "WRONG"
                print(f"{one.fault:20}{lane:6}{one.n_sent:6}  {must:38}{was:42}{mark}", flush=True)
    n_right, n_sent = sum(one.right for one in seen), sum(one.n_sent for one in seen)
    lost = n_sent - sum(one.statuses.total() + one.n_cancelled for one in seen)
    print(f"{n_right} of {len(seen)} right ({n_right / len(seen):.0%}); {n_sent:,} requests, {lost} without a row")
    return 0 if n_right == len(seen) else 1


if __name__ == "__main__":
    sys.exit(main())
