"""What the tests of whole runs share: the fake server with the right answers, and the command line as a process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.items.files import tasks_dir
from tests.fake import Running, fake_server

BENCH = [sys.executable, "-c", "from bench.cli import main; main()"]


def right_answers() -> dict[str, str]:
    """Prompt -> witness of every item of the quick suite."""
    files = sorted(tasks_dir().glob("quick_*/frozen-1.jsonl"))
    items = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return {item["prompt"]: item["witness"] for item in items}


@contextmanager
def knowing_server(folder: Path) -> Iterator[Running]:
    """The fake server, answering every quick item rightly."""
    with fake_server(folder, answers=right_answers()) as server:
        yield server


def bench(*arguments: str, cwd: Path, timeout_s: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
    """`bench ARGUMENTS` in a process of its own."""
    return subprocess.run(
        [*BENCH, *arguments], cwd=cwd, capture_output=True, text=True, timeout=timeout_s, check=False,
        env={**environment(), **env},
    )  # fmt: skip


def environment() -> dict[str, str]:
    """This environment without anybody's keys and settings, with this checkout importable."""
    root = str(Path(__file__).parent.parent)
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.endswith("_API_KEY") and k not in {"BENCH_TARGETS", "BENCH_RESULTS"}
    }
    return {**kept, "PYTHONPATH": root}
