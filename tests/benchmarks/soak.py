"""Ten minutes of load: is memory flat, is no row lost, and does Ctrl-C at the end keep everything?

    python tests/benchmarks/soak.py [--minutes 10] [--streams 350] [--client raw]

Two million streamed events a minute from the fake server, through `bench load` as a user runs it, interrupted before
its step is over. Memory is the resident set of each process, read every second.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fake import fake_server
from tests.quality_runs import BENCH, environment

MIB = 1 << 20


def resident_mib(pid: int) -> float | None:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def watched(process: subprocess.Popen[str], seconds: float) -> list[tuple[float, float, float]]:
    """(seconds, MiB of the client processes, MiB of the one that keeps the rows) once a second."""
    seen: list[tuple[float, float, float]] = []
    began = time.monotonic()
    while time.monotonic() - began < seconds and process.poll() is None:
        client = sum(filter(None, map(resident_mib, children(process.pid))))
        keeper = resident_mib(process.pid)
        if client and keeper:
            seen.append((time.monotonic() - began, client, keeper))
        time.sleep(1)
    return seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--streams", type=int, default=350)
    parser.add_argument("--client", default="raw")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as text, fake_server(Path(text), logs=False) as server:
        results = Path(text) / "results"
        target = f"{server.url}#fake?tokens=asked&ttft_ms=50&gap_ms=10"
        process = subprocess.Popen(
            [*BENCH, "load", "-t", target, "--arrivals", f"closed:{asked.streams}", "--shape", "40x512",
             "--duration", str(asked.minutes * 60 + 600), "--client", asked.client, "--results", str(results)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment(), start_new_session=True,
        )  # fmt: skip
        seen = watched(process, asked.minutes * 60)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=120)
        (folder,) = (results / "runs").iterdir()
        return told(seen, folder, process.returncode, errors)


def told(seen: list[tuple[float, float, float]], folder: Path, code: int, errors: str) -> int:
    import pyarrow.parquet as pq

    (step,) = json.loads((folder / "load_steps.json").read_text())
    rows = pq.read_table(folder / "requests.parquet", columns=["kind", "status", "chunks"]).to_pylist()
    kept = [row for row in rows if row["kind"] == "load"]
    seconds = (step["end_ns"] - step["start_ns"]) / 1e9
    print(f"{'minute':>6}{'client MiB':>12}{'keeper MiB':>12}")
    for minute in range(1 + int(seen[-1][0] // 60)):
        part = [one for one in seen if minute * 60 <= one[0] < (minute + 1) * 60]
        print(f"{minute:>6}{max(c for _, c, _ in part):>12.1f}{max(k for _, _, k in part):>12.1f}")
    events = sum(row["chunks"] for row in kept)
    print(f"{events:,} events in {seconds:.0f} s: {events / seconds * 60:,.0f} a minute")
    cut = sum(row["status"] == "cancelled" for row in kept)
    sent, failed = step["n_sent"], step["n_failed"]
    print(f"{sent:,} requests sent, {len(kept):,} rows ({cut:,} cut off by Ctrl-C), {failed} failed")
    status = json.loads((folder / "run.json").read_text())["status"]
    print(f"exit {code}, run {status}: {errors.strip().splitlines()[-1]}")
    lost = sent - len(kept)
    print(f"{lost} rows lost; {'; '.join(step['notes']) or 'no notes'}")
    return 0 if lost == 0 and code == 130 else 1


if __name__ == "__main__":
    sys.exit(main())
