"""One process at a time, and the others are told who."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from bench import runs
from bench.errors import RunError
from bench.runs.lock import Lock, holder
from tests.store import header, measurement


def test_a_second_holder_is_refused_with_pid_and_start_time(tmp_path):
    with runs.create(tmp_path, header()) as run:
        code = f"from pathlib import Path; from bench import runs; runs.reopen(Path({str(run.path)!r}))"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
        assert other.returncode == 1
        last = other.stderr.strip().splitlines()[-1]
        year = datetime.now(UTC).year
        assert f"is in use by process {os.getpid()}, started {year}-" in last
        with pytest.raises(RunError, match=f"process {os.getpid()}"):
            runs.reopen(run.path)
        run.append(measurement(0))
    runs.reopen(run.path).close()


def test_a_lock_is_gone_when_its_holder_is_killed_and_a_child_does_not_keep_it(tmp_path):
    path = tmp_path / "run.lock"
    code = (
        "import subprocess, sys, os, signal; from pathlib import Path; from bench.runs.lock import Lock\n"
        f"lock = Lock(Path({str(path)!r}), what='it')\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)'], stdout=subprocess.DEVNULL,"
        " stderr=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    died = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    try:
        Lock(path, what="it").release()
    finally:
        os.kill(int(died.stdout), 9)


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path):
    with pytest.raises(RunError, match=r"cannot write .*nowhere/run\.lock: No such file"):
        Lock(tmp_path / "nowhere" / "run.lock", what="it")
    assert holder(tmp_path / "none") == "another process"
