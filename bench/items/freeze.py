"""Writes the frozen files: `python -m bench.items.freeze [--force] [TASK…]`.

A file that is already as it should be is left alone; one that would change is refused, because a suite's hash and
everybody's scores stand on it. `--force` is for suites that are still provisional.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from bench.errors import ConfigError, nearest
from bench.items import Task, tasks
from bench.items.draw import build
from bench.items.files import tasks_dir

SEED = "frozen-1"


def lines(task: Task, seed: str = SEED) -> bytes:
    """The whole JSONL file of a task and a seed: ASCII, keys in the order of `Item`, one item a line."""
    return "".join(json.dumps(asdict(item)) + "\n" for item in build(task, seed)).encode()


def freeze(task: Task, folder: Path, *, force: bool = False) -> str:
    """Writes `<folder>/<task>/frozen-1.jsonl` if it is not there; returns its sha256."""
    path, content = folder / task.name / f"{SEED}.jsonl", lines(task)
    there = path.read_bytes() if path.is_file() else None
    if there is not None and there != content and not force:
        raise ConfigError(
            f"{path}: the generator of {task.name} now draws other items; "
            "restore the generator, or raise its version and the suite's, then say --force"
        )
    if there != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return sha256(content).hexdigest()


def main(arguments: Sequence[str]) -> int:
    """Prints one `sha256  file` a line: what the suites' TOML must hold."""
    known = tasks()
    wanted = [name for name in arguments if name != "--force"]
    for name in wanted:
        if name not in known:
            raise ConfigError(f"no task {name!r}{nearest(name, known)}")
    for name in wanted or known:
        digest = freeze(known[name], tasks_dir(), force="--force" in arguments)
        print(f"{digest}  {name}/{SEED}.jsonl")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ConfigError as error:
        sys.exit(str(error))
