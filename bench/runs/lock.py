"""A lock that dies with its holder: one process at a time, and the others are told who it is."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from bench.errors import RunError


class Lock:
    """`flock` on a file that also says who holds it.

    The kernel drops the lock when the holder dies, however it dies, so there is no stale lock to clean up; the file
    itself stays. Children of the holder don't inherit it (the descriptor closes on exec).
    """

    def __init__(self, path: Path, *, what: str, wait: bool = False) -> None:
        import fcntl  # here: absent on Windows, where reading results must still work

        self.path = path
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RunError(f"cannot write {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            self._sign()
        except BlockingIOError as error:
            os.close(self._fd)
            raise RunError(f"{what} is in use by {holder(path)}; wait for it to end, or stop it") from error
        except OSError as error:
            os.close(self._fd)
            raise RunError(f"cannot lock {path}: {error.strerror}") from error

    def _sign(self) -> None:
        text = json.dumps({"pid": os.getpid(), "started_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"})
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, text.encode(), 0)

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def holder(path: Path) -> str:
    """`process 4242, started 2026-11-23T06:35:00Z`, as the holder signed it."""
    try:
        signed = json.loads(path.read_text())
        return f"process {signed['pid']}, started {signed['started_at']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
