"""How many streamed events client processes take in, by lane and number of processes, side by side in one run.

    python tests/benchmarks/throughput.py [--seconds 4] [--streams 32] [--tokens 2000]

Against the null server on this machine: `at once`, where an answer is one write and the client is the bottleneck; and
`paced`, one event per write and stream, as an engine sends them, where the rate is the server's and what counts is the
client's CPU. Events of answers cut off at the end count too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.client import Lane
from bench.load.selfcheck import null_crew, null_server, null_step


@dataclass(frozen=True, kw_only=True)
class Row:
    how: str
    lane: Lane
    workers: int
    events: int
    seconds: float
    cpu_s: float

    @property
    def per_s(self) -> float:
        return self.events / self.seconds

    @property
    def per_cpu_s(self) -> float:
        return self.events / self.cpu_s


def measured(how: str, lane: Lane, workers: int, *, streams: int, tokens: int, gap_ms: float, seconds: float) -> Row:
    counted: list[int] = []

    def row(_: bytes, told: dict[str, Any]) -> None:
        counted.append(told.get("chunks", 0))

    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with null_server(log) as url, null_crew(url, tokens, gap_ms, lane=lane, workers=workers, log=log) as crew:
            crew.step(null_step(streams, 0.5, lane=lane).commands(workers), lambda *_: None, lambda: False)
            done = crew.step(null_step(streams, seconds, lane=lane).commands(workers), row, lambda: False)
            took_s = max(told["wall_s"] for told in done)
    cpu_s = sum(told["cpu_s"] for told in done)
    return Row(how=how, lane=lane, workers=workers, events=sum(counted), seconds=took_s, cpu_s=cpu_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=2000)
    asked = parser.parse_args()
    print(f"{'events come':12}{'lane':8}{'processes':>10}{'events/s':>12}{'events/CPU s':>14}{'busy':>7}")
    rows: dict[tuple[str, str, int], Row] = {}
    for how, gap_ms, tokens in (("at once", 0.0, asked.tokens), ("paced", 10.0, 128)):
        for lane in ("httpx", "raw"):
            for workers in (1, 2):
                streams = asked.streams if gap_ms == 0 else 256
                row = measured(how, lane, workers, streams=streams, tokens=tokens, gap_ms=gap_ms, seconds=asked.seconds)
                rows[how, lane, workers] = row
                busy = row.cpu_s / row.seconds
                print(
                    f"{how:12}{lane:8}{workers:>10}{row.per_s:>12,.0f}{row.per_cpu_s:>14,.0f}{busy:>7.0%}", flush=True
                )
    for lane in ("httpx", "raw"):
        ratio = rows["at once", lane, 2].per_s / rows["at once", lane, 1].per_s
        print(f"two processes take {ratio:.2f} times what one takes ({lane}, at once)")


if __name__ == "__main__":
    main()
