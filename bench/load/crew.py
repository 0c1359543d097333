"""The client processes of a load, seen from the one that keeps the rows: started, told their steps, listened to.

Each has its own process group, so that Ctrl-C reaches only us, and ends when its standard input closes, however we end.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from bench.client import Lane
from bench.errors import EngineError
from bench.load.prompts import Recipe
from bench.records import Endpoint

Json = dict[str, Any]
READY_S = 60.0
STOP_S = 30.0
"""How long a process may take to end what is under way."""
_READ_BYTES = 1 << 20
_TICK_S = 0.1
_ROW = b'{"request_id"'


class Crew:
    """Client processes of one run; a context manager."""

    def __init__(
        self, endpoint: Endpoint, recipe: Recipe, *, lane: Lane, workers: int, run_id: str | None, log: Path
    ) -> None:
        self.n = workers
        self._hello = {"endpoint": asdict(endpoint), "recipe": recipe.as_dict(), "lane": lane, "run_id": run_id}
        self._log_path = log
        self._stack = ExitStack()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._selector = selectors.DefaultSelector()
        self._rest: list[bytes] = []
        self._dead = False
        """Whether a process has closed its end."""

    def __enter__(self) -> Crew:
        with ExitStack() as stack:
            log = stack.enter_context(self._log_path.open("ab"))
            stack.callback(self._selector.close)
            for worker in range(self.n):
                self._start(worker, stack.enter_context(own_module("bench.load.worker", log)))
            self._await_ready()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start(self, worker: int, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._processes.append(process)
        self._rest.append(b"")
        _widen(process.stdout.fileno())
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        self._tell(worker, {**self._hello, "worker": worker})

    def _await_ready(self) -> None:
        waiting = set(range(self.n))
        give_up_s = time.monotonic() + READY_S
        while waiting:
            for worker, line in self._lines(_TICK_S):
                if json.loads(line).get("said") == "ready":
                    waiting.discard(worker)
            if self._dead:
                raise EngineError(f"a client process has died; {self._last_words()}")
            if time.monotonic() > give_up_s:
                raise EngineError(f"a client process was not ready within {READY_S:g} s; {self._last_words()}")

    def step(
        self,
        commands: Sequence[Json],
        row: Callable[[bytes, Json], None],
        enough: Callable[[], bool],
        stopping: Callable[[], None] = lambda: None,
    ) -> list[Json]:
        """Runs one step, a command for each process; what each said of it at the end.

        `row` gets each row as its line and as an object, `enough` is asked all the time and ends the step early. The
        step also ends when every request that counts is over. KeyboardInterrupt is raised once all is stopped and
        every row is in; a second Ctrl-C is raised at once.
        """
        for worker, command in enumerate(commands):
            self._tell(worker, {"do": "step", **command})
        done: dict[int, Json] = {}
        settled: set[int] = set()
        stop_by_s = max(command["until_ns"] for command in commands) / 1e9 + STOP_S
        stopped = False
        with Interrupts() as interrupts:
            while len(done) < self.n:
                came = self._take(row, settled, done)
                if not stopped and (interrupts.came or len(settled) == self.n or enough()):
                    stopped = True
                    stopping()
                    self.stop()
                if stopped and came:
                    stop_by_s = time.perf_counter() + STOP_S
                if time.perf_counter() > stop_by_s:
                    raise EngineError(f"a client process did not end its step in time; {self._last_words()}")
        if interrupts.came:
            raise KeyboardInterrupt
        return [done[worker] for worker in range(self.n)]

    def _take(self, row: Callable[[bytes, Json], None], settled: set[int], done: dict[int, Json]) -> bool:
        """Hands on what has come; whether anything has. EngineError, once it is handed on, when a process has died."""
        lines = self._lines(_TICK_S)
        for worker, line in lines:
            told = json.loads(line)
            if line.startswith(_ROW):
                row(line, told)
            elif told.get("said") == "settled":
                settled.add(worker)
            elif told.get("said") == "done":
                settled.add(worker)
                done[worker] = told
        if self._dead:
            self._dead = False
            while rest := self._lines(0):
                for _, line in rest:
                    if line.startswith(_ROW):
                        row(line, json.loads(line))
            raise EngineError(f"a client process has died; {self._last_words()}")
        return bool(lines)

    def stop(self) -> None:
        """End the step under way now: what has no answer yet becomes a row `cancelled`."""
        for worker in range(self.n):
            self._tell(worker, {"do": "stop"})

    def _tell(self, worker: int, what: Json) -> None:
        stdin = self._processes[worker].stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps(what).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError as error:
            raise EngineError(f"a client process has died; {self._last_words()}") from error

    def _lines(self, at_most_s: float) -> list[tuple[int, bytes]]:
        """Whole lines that have come, by process."""
        found: list[tuple[int, bytes]] = []
        for key, _ in self._selector.select(at_most_s):
            worker = key.data
            piece = os.read(key.fd, _READ_BYTES)
            if not piece:
                self._dead = True
                self._selector.unregister(key.fileobj)
                continue
            *lines, self._rest[worker] = (self._rest[worker] + piece).split(b"\n")
            found += [(worker, line + b"\n") for line in lines]
        return found

    def _last_words(self) -> str:
        lines = self._log_path.read_text(errors="replace").strip().splitlines()[-8:]
        return "its log ends:\n" + "\n".join(f"  {line}" for line in lines) if lines else "its log is empty"


class Interrupts:
    """Ctrl-C (and SIGTERM) in the length of a block: the first is noted, so that nothing is cut off half-way through a
    row; the second is raised. Outside the main thread, where no signal comes, inert."""

    def __init__(self) -> None:
        self.came = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, *_: object) -> None:
        if self.came:
            raise KeyboardInterrupt
        self.came = True


@contextmanager
def own_module(name: str, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A module of ours as a process with pipes. It ends when its standard input closes, or is killed in the end."""
    ours = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (ours, os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [sys.executable, "-m", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process
    finally:
        with suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        try:
            process.wait(STOP_S / 3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _widen(fd: int) -> None:
    """A larger pipe, where the system has one to give: a reader that is busy for a moment then delays nobody."""
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 1 << 20)
