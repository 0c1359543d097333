"""Engines: whatever turns a model into an address. `serve(target)` lends an Endpoint for the length of a `with` block.

One module per engine, with `command(target, port) -> Launch`; the folder is the registry, and the entry-point group
`bench.engines` adds others. The engine runs in its own process group, held by `leash.py`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bench import registry
from bench.engines.leash import STEPS_S
from bench.errors import ConfigError, EngineError
from bench.records import ANSWERED, Endpoint, Message, Request

if TYPE_CHECKING:
    from bench.catalog.targets import Target

__all__ = ["Engine", "Launch", "engine", "names", "serve"]

_LEASH = (str(Path(__file__).with_name("leash.py")),)
_PORT_TRIES = 3
_TAIL_LINES = 15


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How an engine is started for one target."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to ours."""
    base_path: str = "/v1"


class Engine(Protocol):
    """What a module of this package is, if it defines `command`."""

    def command(self, target: Target, port: int) -> Launch:
        """What serves `target.model` on 127.0.0.1:port. ConfigError when it can't: no such model, no program."""


def names() -> tuple[str, ...]:
    """Engines there are, ours and others'."""
    return registry.names(__name__, "command")


def engine(name: str) -> Engine:
    """The engine called `name`, or ConfigError with the nearest one."""
    found: Engine = registry.found(__name__, "command", name, "engine")
    return found


@contextmanager
def serve(target: Target, *, log: Path | None = None, ready_timeout_s: float = 120) -> Iterator[Endpoint]:
    """Starts the target's engine and lends its Endpoint once one real completion has come back.

    The engine is taken down on every way out. `log` keeps what it printed (default: a file that goes with it).
    EngineError, ending with the log's last lines, when it dies or is not ready in time.
    """
    if target.engine is None:
        raise ConfigError(f"target {target.id} names no engine: it is served already, at {target.base_url}")
    with _log_file(log) as path:
        process, endpoint = _started(target, path, time.monotonic() + ready_timeout_s)
        try:
            yield endpoint
        finally:
            _take_down(process)


@contextmanager
def _log_file(log: Path | None) -> Iterator[Path]:
    if log is not None:
        yield log
        return
    with tempfile.TemporaryDirectory(prefix="bench-engine-") as folder:
        yield Path(folder) / "engine.log"


def _started(target: Target, log: Path, deadline_s: float) -> tuple[subprocess.Popen[bytes], Endpoint]:
    """A ready engine. Another program may take the free port before the engine does: then again, with another."""
    for again in range(1, _PORT_TRIES + 1):
        port = _free_port()
        launch = engine(str(target.engine)).command(target, port)
        endpoint = target.endpoint(f"http://127.0.0.1:{port}{launch.base_path}")
        begin = log.stat().st_size if log.exists() else 0
        process = _spawn(launch, log)
        try:
            _wait_ready(process, endpoint, deadline_s)
        except _NotReady as error:
            _take_down(process)
            tail = _tail(log, begin)
            if again == _PORT_TRIES or "address already in use" not in tail.casefold():
                raise EngineError(f"engine {target.engine} for {target.id} {error}; its log ends:\n{tail}") from error
        except BaseException:
            _take_down(process)
            raise
        else:
            return process, endpoint
    raise AssertionError("unreachable")


def _spawn(launch: Launch, log: Path) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", *_LEASH, *launch.argv],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **launch.env},
            start_new_session=True,
        )


def _take_down(process: subprocess.Popen[bytes]) -> None:
    """Let the leash go, and see that it is done. Returns with the group dead."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(sum(patience_s for _, patience_s in STEPS_S) + 2)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class _NotReady(Exception):
    """Why an engine could not be used."""


def _wait_ready(process: subprocess.Popen[bytes], endpoint: Endpoint, deadline_s: float) -> None:
    """Until the engine has answered. In a thread of its own: the caller may be inside an event loop (Jupyter)."""
    pool = ThreadPoolExecutor(1, "bench-engine")
    try:
        problem = pool.submit(lambda: asyncio.run(_ask(process, endpoint, deadline_s))).result()
    finally:
        pool.shutdown(wait=False)  # an interrupted caller must not leave a thread that waits for work
    if problem:
        raise _NotReady(problem)


async def _ask(process: subprocess.Popen[bytes], endpoint: Endpoint, deadline_s: float) -> str | None:
    """None once a completion came back, else what went wrong."""
    from bench.client import Client

    last, pause_s = "nothing answered", 0.02
    async with Client(endpoint) as client:
        while time.monotonic() < deadline_s:
            if process.poll() is not None:
                return f"died with exit code {process.returncode}"
            try:
                async with asyncio.timeout(deadline_s - time.monotonic()):
                    tried = await client.send(_question(endpoint.wire))
            except TimeoutError:
                break
            if tried.status in ANSWERED:
                return None
            last = tried.error or tried.status
            await asyncio.sleep(pause_s)
            pause_s = min(1.0, pause_s * 1.3)
    return f"was not ready in time ({last})"


def _question(wire: str) -> Request:
    hello = "1+1=\nAnswer:"
    ready = Request(request_id="ready", request_key="ready", kind="warmup", max_tokens=1)
    if wire == "openai_completions":
        return replace(ready, prompt=hello)
    return replace(ready, messages=(Message(role="user", content=hello),))


def _tail(log: Path, begin: int) -> str:
    """Last lines of what was written after byte `begin`, indented."""
    lines = log.read_bytes()[begin:].decode(errors="replace").strip().splitlines()[-_TAIL_LINES:]
    return "\n".join(f"  {line}" for line in lines) or "  (nothing)"


def _free_port() -> int:
    """A port nobody listens on now."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
