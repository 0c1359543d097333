"""Is a load sent as it was asked for? A thousand requests a second, constant and Poisson, in both lanes.

    python tests/benchmarks/arrivals.py [--rate 1000] [--seconds 10] [--workers 1]

Sent and asked are counted over the whole step by the server's log: the kernel's stamps of when requests arrived there.
The gaps between arrivals are tested against their law (Kolmogorov and Smirnov's D, and its p), Poisson's against the
exponential of the rate asked, beside the same test of the schedule as it was drawn: the difference is what is lost
where two requests are due closer together than a client needs for one. Lateness is from due to arrived there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fake import Running, fake_server
from tests.quality_runs import BENCH, environment


def sent(server: Running, folder: Path, arrivals: str, lane: str, asked: argparse.Namespace) -> np.ndarray:
    """(due, arrived) [s] of each request of the step (n, 2), in order of arrival."""
    import pyarrow.parquet as pq

    target = f"{server.url}#fake?tokens=asked&ttft_ms=20&gap_ms=5"
    done = subprocess.run(
        [*BENCH, "load", "-t", target, "--arrivals", arrivals, "--shape", "40x4", "--duration", str(asked.seconds),
         "--client", lane, "--workers", str(asked.workers), "--no-self-check", "--results", str(folder)],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 5):
        raise SystemExit(done.stderr)
    (run,) = (folder / "runs").iterdir()
    rows = pq.read_table(run / "requests.parquet", columns=["request_id", "kind", "sched_ns"]).to_pylist()
    due = {row["request_id"]: row["sched_ns"] for row in rows if row["kind"] == "load"}
    arrived = {truth.request_id: truth.arrived_ns for truth in server.log() if truth.request_id in due}
    pairs = np.array(sorted(((due[one], at) for one, at in arrived.items()), key=lambda pair: pair[1]), dtype=float)
    return pairs / 1e9


def main() -> None:
    from scipy.stats import kstest

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    print(f"{'arrivals':14}{'lane':>6} {'due/s':>9}{'sent/s':>9}{'short':>8}{'late ms p50 / p99':>20}  gaps")
    for kind in ("constant", "poisson"):
        for lane in ("httpx", "raw"):
            with tempfile.TemporaryDirectory() as text, fake_server(Path(text)) as server:
                pairs = sent(server, Path(text) / "results", f"{kind}:{asked.rate:g}", lane, asked)
            first, last = pairs[:, 0].min(), pairs[:, 0].min() + asked.seconds
            due, came = (((pairs[:, i] >= first) & (pairs[:, i] < last)).sum() / asked.seconds for i in (0, 1))
            late_ms = (pairs[:, 1] - pairs[:, 0]) * 1e3
            gaps = np.diff(pairs[:, 1])
            if kind == "poisson":
                drawn, came_so = (
                    kstest(np.diff(np.sort(times)), "expon", args=(0, 1 / asked.rate)) for times in pairs.T
                )
                law = f"exponential: D = {came_so.statistic:.4f} (p = {came_so.pvalue:.2f}), as drawn D = "
                law += f"{drawn.statistic:.4f} (p = {drawn.pvalue:.2f}), n = {len(gaps):,}"
            else:
                off_ms = np.abs(gaps - 1 / asked.rate) * 1e3
                law = f"all equal: off by {np.median(off_ms):.3f} ms (median), {np.quantile(off_ms, 0.99):.3f} (p99)"
            late = f"{np.median(late_ms):.3f} / {np.quantile(late_ms, 0.99):.3f}"
            rates = f"{due:>9,.1f}{came:>9,.1f}{1 - came / due:>8.2%}"
            print(f"{f'{kind}:{asked.rate:g}':14}{lane:>6} {rates}{late:>20}  {law}", flush=True)


if __name__ == "__main__":
    main()
