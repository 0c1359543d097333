"""A line is kept once `append` has returned, and what the disk refuses is said."""

from __future__ import annotations

import errno
import os
import threading
import time

import pytest

from bench import runs
from bench.errors import RunError
from bench.runs import journal
from tests.store import header, measurement


def test_a_failing_fsync_is_not_swallowed(tmp_path, monkeypatch):
    file = journal.Journal(tmp_path / "x.jsonl")

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        patch.setattr(journal, "SYNC_EVERY_S", 0.01)
        file.append({"a": 1})
        while file._syncer.is_alive():
            time.sleep(0.005)
        with pytest.raises(RunError, match="Input/output error"):
            file.append({"a": 2})
    file.close()


def test_appended_lines_reach_the_disk_within_a_second(tmp_path, monkeypatch):
    synced = threading.Event()
    real = os.fsync
    with runs.create(tmp_path, header()) as run:
        monkeypatch.setattr(os, "fsync", lambda fd: (real(fd), synced.set()))
        run.append(measurement(0))
        assert synced.wait(1.0)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    file = tmp_path / "run.json"
    journal.write_whole(file, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RunError, match=r"cannot write .*run\.json: No space left on device; .* is kept"):
            journal.write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]
    journal.write_whole(file, b"new")
    assert file.read_bytes() == b"new"


def test_a_missing_file_is_no_lines_and_no_object(tmp_path):
    assert journal.read(tmp_path / "none.jsonl") == ([], 0)
    assert journal.read_json(tmp_path / "none.json") is None
    (tmp_path / "empty.json").write_bytes(b"")
    with pytest.raises(RunError, match=r"empty\.json: damaged"):
        journal.read_json(tmp_path / "empty.json")
    with pytest.raises(RunError, match="cannot read"):
        journal.read(tmp_path)
