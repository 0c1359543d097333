"""An engine is there while it is borrowed, and gone afterwards, however its borrower ends."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench import engines
from bench.engines import Launch, embedded, engine, names, serve
from bench.errors import ConfigError, EngineError
from bench.records import Endpoint

NAME = embedded.family()[0].name
PATIENCE_S = 20


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What `serve` needs of a target."""

    id: str = "under-test"
    engine: str | None = "embedded"
    model: str = NAME
    wire: str = "openai_completions"
    base_url: str | None = None

    def endpoint(self, base_url):
        return Endpoint(target_id=self.id, base_url=base_url, wire=self.wire, model=self.model)


def family_of(pid):
    """Processes of the group `pid` that still run, by /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == pid and fields[0] not in "ZX":
            found.append(int(stat.parent.name))
    return found


def gone(pid):
    """Whether the group `pid` has ended, given time."""
    deadline = time.monotonic() + PATIENCE_S
    while family_of(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not family_of(pid)


@pytest.fixture
def started(monkeypatch):
    """Process groups that `serve` starts."""
    groups, spawn = [], engines._spawn

    def noted(launch, log):
        groups.append(spawn(launch, log))
        return groups[-1]

    monkeypatch.setattr(engines, "_spawn", noted)
    return groups


@pytest.fixture
def fake(monkeypatch):
    """Replaces the embedded engine's command: `fake(python code)`; sys.argv[1] is the port."""

    def use(*codes):
        left = list(codes)

        def command(target, port):
            code = left.pop(0) if len(left) > 1 else left[0]
            return Launch(argv=(sys.executable, "-c", code, str(port))) if code else original(target, port)

        original = embedded.command
        monkeypatch.setattr(embedded, "command", command)

    return use


def test_the_folder_is_the_registry_and_every_engine_has_a_command():
    assert "embedded" in names()
    assert "leash" not in names()
    assert all(callable(engine(name).command) for name in names())


def test_a_lent_endpoint_answers_and_ends_with_the_block(started):
    with serve(Wanted()) as endpoint:
        assert endpoint.base_url.startswith("http://127.0.0.1:")
        assert endpoint.model == NAME
        assert len(family_of(started[0].pid)) == 2
    assert gone(started[0].pid)


def test_it_works_inside_a_running_event_loop_as_in_a_notebook(started):
    import asyncio

    async def cell():
        with serve(Wanted(wire="openai_chat")) as endpoint:
            return endpoint.base_url

    assert asyncio.run(cell()).endswith("/v1")
    assert gone(started[0].pid)


def test_it_is_taken_down_when_the_block_raises(started):
    with pytest.raises(ZeroDivisionError), serve(Wanted()):
        raise ZeroDivisionError
    assert gone(started[0].pid)


BORROWER = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from test_engines import Wanted
from bench import engines
spawn = engines._spawn
def noted(launch, log):
    process = spawn(launch, log)
    print(process.pid, flush=True)
    return process
engines._spawn = noted
with engines.serve(Wanted()):
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("when", ["starting", "ready"])
def test_it_goes_when_its_borrower_is_ended_by_a_signal(number, when):
    borrower = subprocess.Popen(
        [sys.executable, "-c", BORROWER, str(Path(__file__).parent)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    group = int(borrower.stdout.readline())
    if when == "ready":
        assert borrower.stdout.readline() == "ready\n"
    borrower.send_signal(number)
    assert borrower.wait(PATIENCE_S) != 0
    borrower.stdout.close()
    assert gone(group)


def test_an_engine_that_ignores_us_is_killed(started, fake, monkeypatch):
    fake("import signal, time; [signal.signal(s, signal.SIG_IGN) for s in (2, 15)]; time.sleep(60)")
    monkeypatch.setattr(engines, "STEPS_S", ())
    quick = Path(engines.__file__).with_name("leash.py").read_text().replace("4.0", "0.2")
    monkeypatch.setattr(engines, "_LEASH", ("-c", quick))
    with pytest.raises(EngineError, match="not ready in time"), serve(Wanted(), ready_timeout_s=0.7):
        pass
    assert gone(started[0].pid)


def test_workers_of_an_engine_go_with_it(started, fake):
    fake(
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); print('bye')"
    )
    with pytest.raises(EngineError, match="died with exit code 0"), serve(Wanted()):
        pass
    assert gone(started[0].pid)


def test_a_dead_engines_last_words_are_in_the_error(started, fake, tmp_path):
    fake("[print(f'line {i}') for i in range(100)]; raise SystemExit('out of memory: 3 GiB wanted')")
    with pytest.raises(EngineError) as caught, serve(Wanted(), log=tmp_path / "logs" / "engine.log"):
        pass
    first, *rest = str(caught.value).splitlines()
    assert first == "engine embedded for under-test died with exit code 1; its log ends:"
    assert rest[-1] == "  out of memory: 3 GiB wanted"
    assert "  line 0" not in rest
    assert "line 0" in (tmp_path / "logs" / "engine.log").read_text()


def test_a_slow_engine_is_an_error_with_what_it_said_last(started, fake):
    fake("import time; print('loading shard 1 of 9', flush=True); time.sleep(60)")
    with pytest.raises(EngineError, match=r"not ready in time .*\n  loading shard 1 of 9"):
        serve(Wanted(), ready_timeout_s=1.0).__enter__()
    assert gone(started[0].pid)


def test_a_missing_program_is_an_error_that_names_it(monkeypatch):
    monkeypatch.setattr(embedded, "command", lambda target, port: Launch(argv=("no-such-program",)))
    with (
        pytest.raises(EngineError, match=r"exit code 127; its log ends:\n  no-such-program: No such file"),
        serve(Wanted()),
    ):
        pass


def test_a_port_taken_in_the_last_moment_is_tried_again(started, fake):
    fake("raise SystemExit('[Errno 98] Address already in use')", None)
    with serve(Wanted()):
        assert len(started) == 2
    assert all(gone(process.pid) for process in started)


def test_a_port_that_is_always_taken_is_an_error_in_the_end(started, fake):
    fake("raise SystemExit('[Errno 98] Address already in use')")
    with pytest.raises(EngineError, match="Address already in use"), serve(Wanted()):
        pass
    assert len(started) == 3


def test_a_typo_costs_nothing_and_names_the_nearest_model(started):
    with pytest.raises(ConfigError, match=rf"embedded model '{NAME}x' does not exist; did you mean '{NAME}'\?"):
        serve(Wanted(model=NAME + "x")).__enter__()
    with pytest.raises(ConfigError, match=r"engine 'embeded' does not exist; did you mean 'embedded'\?"):
        serve(Wanted(engine="embeded")).__enter__()
    with pytest.raises(ConfigError, match="served already"):
        serve(Wanted(engine=None, base_url="http://127.0.0.1:1/v1")).__enter__()
    assert started == []


def test_nothing_of_ours_is_left_running():
    """Runs last in this file: no leash outlives its test."""
    mine = str(os.getpid())
    children = Path(f"/proc/{mine}/task/{mine}/children").read_text().split()
    assert [c for c in children if "leash" in Path(f"/proc/{c}/cmdline").read_text()] == []
