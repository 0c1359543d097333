"""How long until something happens: `bench --help` beside typer's import, and the first request of `bench run`.

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


def first_request_s(folder: Path) -> float:
    """From the start of `bench run` until the server on this machine has its first question (one monotonic clock)."""
    with knowing_server(folder) as server:
        command = [*BENCH, "run", "-t", f"{server.url}#fake", "--limit", "1", "--results", str(folder / "results")]
        began_ns = time.monotonic_ns()
        seconds(command, folder)
        lines = server.log_path.read_text().splitlines()
        arrived = [row["arrived_ns"] for row in map(json.loads, lines) if row["path"].endswith("/chat/completions")]
        return (min(arrived) - began_ns) / 1e9


def main() -> None:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        helps, typers, firsts = [], [], []
        for i in range(STARTS):  # alternating, so that a busy moment touches both sides
            helps.append(seconds([*BENCH, "--help"], folder))
            typers.append(seconds([sys.executable, "-c", "import typer"], folder))
            (folder / str(i)).mkdir()
            firsts.append(first_request_s(folder / str(i)))
    print(f"bench --help            {median(helps):.3f} s, {median(helps) / median(typers):.2f} × `import typer`")
    print(f"first request of a run  {median(firsts):.2f} s after the start of the process (median of {STARTS})")


if __name__ == "__main__":
    main()
