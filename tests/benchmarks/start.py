"""How long until something happens: `bench --help` beside typer's import, the first request of `bench run` and `load`.

python tests/benchmarks/start.py            prints medians of several starts, and their ratio
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.quality_runs import BENCH, environment, knowing_server

STARTS = 9


def seconds(command: list[str], cwd: Path) -> float:
    began = time.perf_counter()
    subprocess.run(
        command, cwd=cwd, env=environment(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return time.perf_counter() - began


RUN = ("run", "--limit", "1")
LOAD = ("load", "--arrivals", "closed:1", "--shape", "20x4", "--duration", "2")


def first_request_s(folder: Path, verb: tuple[str, ...]) -> float:
    """From the start of the command until the server on this machine has its first question (one monotonic clock)."""
    folder.mkdir()
    with knowing_server(folder) as server:
        command = [*BENCH, *verb, "-t", f"{server.url}#fake", "--results", str(folder / "results")]
        began_ns = time.monotonic_ns()
        subprocess.run(command, cwd=folder, env=environment(), check=False, capture_output=True)
        lines = server.log_path.read_text().splitlines()
        arrived = [row["arrived_ns"] for row in map(json.loads, lines) if row["path"].endswith("/chat/completions")]
        return (min(arrived) - began_ns) / 1e9


def main() -> None:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        helps, typers, firsts, loads = [], [], [], []
        for i in range(STARTS):  # alternating, so that a busy moment touches both sides
            helps.append(seconds([*BENCH, "--help"], folder))
            typers.append(seconds([sys.executable, "-c", "import typer"], folder))
            firsts.append(first_request_s(folder / f"run{i}", RUN))
            loads.append(first_request_s(folder / f"load{i}", LOAD))
    print(f"bench --help            {median(helps):.3f} s, {median(helps) / median(typers):.2f} × `import typer`")
    print(f"first request of a run  {median(firsts):.2f} s after the start of the process (median of {STARTS})")
    print(f"first request of a load {median(loads):.2f} s after the start of the process (median of {STARTS})")


if __name__ == "__main__":
    main()
