"""An append-only file of JSON lines that survives the death of its writer, and whole files that are never half there.

A line is handed to the kernel in one write before `append` returns, so `kill -9` loses nothing; it is brought to the
disk within a second, so a power cut loses at most that. A last line without its end is torn: it was never
acknowledged, and is dropped on reading.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.errors import RunError

SYNC_EVERY_S = 0.5


class Journal:
    """Thread-safe. With `durable`, a background thread brings appended lines to the disk."""

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self.path = path
        self._durable = durable
        self._write_lock = threading.Lock()  # guards the file's end: one whole line at a time
        self._unsynced = False
        self._torn = False
        self._failed: OSError | None = None
        self._closing = threading.Event()
        self._syncer: threading.Thread | None = None
        with writing(path):
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            self._size = os.fstat(self._fd).st_size

    def append(self, row: dict[str, Any]) -> None:
        """One line, in the kernel's hands when this returns; RunError when it can't be, with all before it intact."""
        self.append_line(encode(row))

    def append_line(self, line: bytes) -> None:
        """The same for a line that `encode` made."""
        with self._write_lock, writing(self.path):
            if self._fd < 0:
                raise RunError(f"{self.path} is closed: the run has ended")
            if self._failed is not None:
                raise self._failed
            self._cut()
            self._torn = True
            self._write(line)
            self._torn = False
            self._size += len(line)
        self._unsynced = True
        if self._durable and self._syncer is None:
            self._syncer = threading.Thread(target=self._sync_until_closed, name="bench-fsync", daemon=True)
            self._syncer.start()

    def _write(self, line: bytes) -> None:
        written = os.write(self._fd, line)
        while written < len(line):  # a nearly full disk takes a part; the next write says why
            written += os.write(self._fd, line[written:])

    def _cut(self) -> None:
        """Take back the part of a line that a failed write left behind."""
        if self._torn:
            os.ftruncate(self._fd, self._size)
            self._torn = False

    def _sync_until_closed(self) -> None:
        while not self._closing.wait(SYNC_EVERY_S):
            try:
                self.sync()
            except OSError as error:
                self._failed = error
                return

    def sync(self) -> None:
        if self._unsynced:
            self._unsynced = False  # before the call: a line that comes meanwhile asks for the next one
            os.fsync(self._fd)

    def clear(self) -> None:
        """Empty the file: what it said has been said elsewhere."""
        with self._write_lock, writing(self.path):
            if self._fd >= 0:
                os.ftruncate(self._fd, 0)
                self._size = 0

    def close(self) -> None:
        """Bring everything to the disk; closing twice is fine."""
        self._closing.set()
        if self._syncer is not None:
            self._syncer.join()
        with self._write_lock, writing(self.path):
            if self._fd < 0:
                return
            try:
                self._cut()
                self.sync()
            finally:
                os.close(self._fd)
                self._fd = -1


def encode(row: dict[str, Any]) -> bytes:
    """One JSON line in UTF-8; surrogate halves, which a stream may have cut apart, are joined or replaced."""
    text = json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The lines of a journal and how many were torn (0 or 1); no file = no lines.

    A line that can't be read and is not the last is damage, not a cut: RunError with its number.
    """
    rows = list(scan(path))
    torn = int(bool(rows) and rows[-1] is None)
    return [row for row in rows if row is not None], torn


def scan(path: Path) -> Iterator[dict[str, Any] | None]:
    """The lines of a journal one by one, however long it is; at the end None where the last line is torn."""
    try:
        with path.open("rb") as file:
            line, number = file.readline(), 1
            while line:
                following = file.readline()
                yield _row(path, number, line, last=not following)
                line, number = following, number + 1
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from error


def _row(path: Path, number: int, line: bytes, *, last: bool) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError("not an object")  # noqa: TRY004 - handled with what json.loads raises
    except (ValueError, RecursionError) as error:
        if last:
            return None  # power went while it was written: its end reached the disk before its middle
        raise RunError(
            f"{path}, line {number}: damaged ({_first_line(error)}); restore the file from a copy"
        ) from error
    return row


def mend(path: Path) -> int:
    """Cut a torn last line off, so that the next one starts on its own; how many were cut (0 or 1)."""
    rows, torn = read(path)
    if torn:
        content = read_bytes(path)
        whole = content.split(b"\n")[: len(rows)]
        with writing(path):
            os.truncate(path, sum(len(line) + 1 for line in whole))
    return torn


def read_bytes(path: Path) -> bytes:
    """The file's bytes; none when it isn't there; RunError when it can't be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from error


def read_json(path: Path) -> Any:
    """A whole JSON file; None when it isn't there."""
    content = read_bytes(path)
    if not content and not path.exists():
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: damaged ({_first_line(error)}); restore the file from a copy") from error


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file at once: a reader sees the old one or the new one, also after a power cut."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with writing(path):
        try:
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            sync_folder(path.parent)
        finally:
            draft.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Bring a file that somebody else wrote to the disk."""
    _sync(path, os.O_RDWR)


def sync_folder(folder: Path) -> None:
    """Bring a rename or a new name to the disk."""
    _sync(folder, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    fd = os.open(path, flags)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system says against writing (full, read-only, not a folder), as one line."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror or error}; what was written before is kept, "
            "run the same command again when this is mended"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
