"""What a quality run makes of every fault a network can have: one row of outcome for each, one command.

    python tests/faults.py [FAULT …]

Each fault is put to a whole run (24 items of the suite `quick`, a server that knows every answer, priced, under an
allowance): once for a while, so that the run itself gets over it, and once for as long as the run lasts; then the
server is well again and the same command is given once more. A row is right when

- nothing is scored wrongly: whatever is scored is right, because the server's answers are;
- nothing is paid twice: no question has two answers that count, and the server gave no good answer twice;
- nothing is lost: every request the server saw is a row, and after the second command every item has its answer;
- what was spent is at least what the server charged, and exactly that where every charge was told.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import quality, runs
from bench.catalog import Catalog, load
from bench.quality import Manner, Outcome, TaskShelf
from bench.records import ANSWERED, Measurement
from bench.terminal import Lines
from bench.traffic import Patience
from tests.fake import FRAMING, Running, Truth
from tests.quality_runs import BENCH, environment, knowing_server

LIMIT = 3
N_ITEMS = 24
PATIENCE = Patience(max_attempts=4, deadline_s=4.0, first_wait_s=0.02, longest_wait_s=0.2, unreachable_s=1.0)
USD_IN, USD_OUT = Decimal(1000), Decimal(2000)
TARGET = """
[[targets]]
id = "shop"
base_url = "{url}"
model = "fake"
usd_per_mtok_in = 1000
usd_per_mtok_out = 2000
options = {{ concurrency = 8, connect_timeout_s = 1.0, first_token_timeout_s = 0.4, stall_timeout_s = 0.4, \
total_timeout_s = 1.5 }}
"""
GOOD = {*FRAMING, "renamed", "usage_twice", "usage_negative", "wrong_type", "usage_missing", ""}
"""Faults in which a whole, right answer was given."""
CHARGED = {*GOOD, "empty", "content_filter", "bad_utf8", "finish_unknown", "length"}
"""Faults in which the server said what the answer costs."""
UNCOUNTED = {"usage_missing", "usage_negative"}
"""Right answers of which nobody says what they cost."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong; `plan` as `POST /control` of the fake server takes it."""

    name: str
    plan: dict[str, Any]
    final: bool = False
    """The fault is an answer like another (an empty one, a filtered one): asking again would buy it twice."""
    retried: bool = True
    """Whether the run asks again by itself; else the same command given again does."""
    stops: bool = False
    """It concerns us and not the question, so that the run ends instead of wearing out its patience on every item."""


FAULTS = [
    Fault(name="429 Retry-After: 1", plan={"fault": "429_soon", "wait_s": 1}),
    Fault(name="429 Retry-After: date", plan={"fault": "429_date", "wait_s": 1}),
    Fault(name="429 without Retry-After", plan={"fault": "429_bare"}),
    Fault(name="429 for an hour", plan={"fault": "429", "wait_s": 3600}, stops=True),
    Fault(name="429 no money", plan={"fault": "429_money"}, stops=True),
    Fault(name="500", plan={"fault": "500"}),
    Fault(name="500 HTML page", plan={"fault": "500_html"}),
    Fault(name="502 HTML page", plan={"fault": "502_html"}),
    Fault(name="503", plan={"fault": "503", "wait_s": 0.1}),
    Fault(name="401 in the middle", plan={"fault": "401"}, stops=True),
    Fault(name="404 in the middle", plan={"fault": "404"}, stops=True),
    Fault(name="400 context too long", plan={"fault": "400"}, final=True),
    Fault(name="reset before headers", plan={"fault": "reset_before"}),
    Fault(name="closed before headers", plan={"fault": "cut_before"}),
    Fault(name="reset mid-stream", plan={"fault": "reset"}),
    Fault(name="cut mid-stream", plan={"fault": "cut_mid"}),
    Fault(name="cut inside a frame", plan={"fault": "cut_in_frame"}),
    Fault(name="cut before the finish reason", plan={"fault": "cut_end"}),
    Fault(name="stall before headers", plan={"fault": "stall_headers"}),
    Fault(name="stall before the first token", plan={"fault": "stall_first"}),
    Fault(name="stall mid-stream", plan={"fault": "stall_mid"}),
    Fault(name="slow loris", plan={"fault": "slow_loris"}),
    Fault(name="never ending", plan={"fault": "never_ending"}),
    Fault(name="malformed JSON", plan={"fault": "garbage"}),
    Fault(name="bad UTF-8", plan={"fault": "bad_utf8"}),
    Fault(name="not HTTP", plan={"fault": "not_http"}),
    Fault(name="HTML with 200", plan={"fault": "html_200"}),
    Fault(name="wrong content type", plan={"fault": "wrong_type"}, final=True),
    Fault(name="gzip", plan={"fault": "gzip"}, final=True),
    Fault(name="huge answer", plan={"fault": "huge"}),
    Fault(name="empty answer", plan={"fault": "empty"}, final=True),
    Fault(name="filtered answer", plan={"fault": "content_filter"}, final=True),
    Fault(name="error inside the stream", plan={"fault": "error_in_band"}),
    Fault(name="unknown finish reason", plan={"fault": "finish_unknown"}, retried=False),
    Fault(name="usage twice", plan={"fault": "usage_twice"}, final=True),
    Fault(name="usage missing", plan={"fault": "usage_missing"}, final=True),
    Fault(name="usage negative", plan={"fault": "usage_negative"}, final=True),
    Fault(name="model swapped mid-run", plan={"fault": "renamed"}, final=True),
]
SLOW = {"huge answer"}
"""Given to two requests only: 64 MB each."""


@dataclass(kw_only=True)
class Row:
    """What became of one fault: of the run it struck, and of the same command given again."""

    fault: str
    how_long: str
    first: str = ""
    """States of the items after the first command, and why it ended."""
    spent: str = ""
    """Dollars the run says it spent, and those the server charged."""
    again: str = ""
    wrong: list[str] = field(default_factory=list)
    """What should not be; empty if all is well."""
    n_requests: int = 0
    n_bad: int = 0
    """Requests that met the fault."""
    n_lost: int = 0
    """Requests that the server saw and the run knows nothing of."""
    n_items_lost: int = 0
    """Items without a sample at last."""

    def check(self, good: bool, said: str) -> None:
        if not good:
            self.wrong.append(said)


class Shop:
    """The server, and what it takes to put a run to it."""

    def __init__(self, server: Running, folder: Path, url: str | None = None) -> None:
        self.server, self.folder, self.results = server, folder, folder / "results"
        self.patience = PATIENCE
        self.toml = folder / "targets.toml"
        self.toml.write_text(TARGET.format(url=url or server.url))
        self.catalog: Catalog = load(self.toml)
        self._seen = len(server.log())

    def order(self, rules: Sequence[dict[str, Any]]) -> None:
        httpx.post(f"{self.server.url}/control", json=list(rules), trust_env=False).raise_for_status()

    def run(self, shelf: TaskShelf) -> Outcome:
        manner = Manner(max_usd=Decimal(1000), patience=self.patience)
        (question,) = quality.questions("quick", ["shop"], catalog=self.catalog, limit=LIMIT)
        return quality.run(question, self.results, manner, Lines(quiet=True), shelf=shelf)

    def truth(self) -> list[Truth]:
        """What this shop's requests were, as the server saw them; those under way included after a moment."""
        time.sleep(0.05)
        return [t for t in self.server.log()[self._seen :] if t.path.endswith("/completions")]

    def folder_of_run(self) -> Path:
        (path,) = runs.folders(self.results)
        return path

    def rows(self) -> list[Measurement]:
        return list(runs.measurements(runs.read_requests(self.folder_of_run())[0]))

    def states(self) -> Counter[str]:
        rows = [s for s in runs.read_sample_rows(self.folder_of_run()) if s["metric"] == "acc"]
        return Counter("right" if s["value"] == 1 else "WRONG" if s["state"] == "scored" else s["state"] for s in rows)


def charged(truth: Sequence[Truth]) -> tuple[Decimal, int]:
    """(dollars of the good answers that the server counted, good answers whose cost it did not say)."""
    usd, untold = Decimal(0), 0
    for t in truth:
        if t.fault in UNCOUNTED:
            untold += 1
        elif t.fault in CHARGED and t.over == "ended":
            n_in = len(" ".join(str(m["content"]) for m in t.body["messages"]).split())
            usd += (n_in * USD_IN + t.kinds.count("token") * USD_OUT) / 1_000_000
    return usd, untold


def checked(row: Row, shop: Shop, outcome: Outcome) -> None:
    """Holds a run that has come to rest to what the server saw."""
    truth = shop.truth()
    rows = shop.rows()
    known = {m.request_id for m in rows}
    row.n_requests = len(truth)
    row.n_lost = sum(t.request_id not in known for t in truth)
    row.n_bad = sum(t.fault not in ("", "plain") or t.over not in ("ended",) for t in truth)
    row.n_items_lost = N_ITEMS - sum(shop.states().values()) if outcome.stop is None else 0
    row.check(not row.n_lost, f"{row.n_lost} requests without a row")
    per_question = Counter(m.request_key for m in rows if m.status in ANSWERED)
    row.check(max(per_question.values(), default=0) <= 1, "a question has two answers")
    bought = Counter(json.dumps(t.body["messages"]) for t in truth if t.fault in GOOD and t.over == "ended")
    row.check(max(bought.values(), default=0) <= 1, "the server answered a question twice")
    usd, untold = charged(truth)
    spent = outcome.spent_usd or Decimal(0)
    half = any(m.status not in ANSWERED and m.http_status in (None, 200) for m in rows)
    row.spent = f"{spent:.3f}/{usd:.3f}"
    row.check(spent >= usd, f"spent {spent}, charged {usd}")
    row.check(bool(half or untold) or spent == usd, f"spent {spent}, charged {usd}")


def told(outcome: Outcome, states: Counter[str]) -> str:
    what = ", ".join(f"{n} {state}" for state, n in sorted(states.items())) or "nothing judged"
    return what if outcome.stop is None else f"{what}; {type(outcome.stop).__name__}"


def struck(server: Running, fault: Fault, folder: Path, shelf: TaskShelf, *, lasting: bool) -> Row:
    """One fault of the server, from the 7th request on: for 6 requests, or until it is healed."""
    row = Row(fault=fault.name, how_long="lasting" if lasting else "6 requests")
    shop = Shop(server, folder)
    if not lasting:
        shop.patience = replace(PATIENCE, deadline_s=60.0)  # refusals may come one after the other
    last = {} if lasting else {"last": 8 if fault.name in SLOW else 12}
    shop.order([{"first": 7, **last, **fault.plan}])
    first = shop.run(shelf)
    states = shop.states() if first.stop is None or not fault.stops else Counter[str]()
    row.first = told(first, states)
    row.check(states["WRONG"] == 0, "scored wrongly")
    checked(row, shop, first)
    if fault.plan["fault"] == "renamed":
        row.check(set(first.models) == {"fake", "fake-2"}, f"told of {dict(first.models)}")
    if fault.stops:
        row.check(first.stop is not None, "the run went on")
        row.check(len(shop.truth()) < 2 * N_ITEMS, "the server was asked in vain for long")
    elif fault.final or (fault.retried and not lasting):
        row.check(first.stop is None, f"the run ended: {first.stop}")
    else:
        row.check(first.stop is not None, "the run ended well without its answers")
    shop.order([])
    second = shop.run(shelf)
    row.again = told(second, shop.states())
    row.check(second.stop is None, f"the second run ended: {second.stop}")
    row.check(shop.states()["WRONG"] == 0, "scored wrongly at last")
    if not fault.final:
        row.check(shop.states() == Counter(right=N_ITEMS), "not every item has its answer at last")
    else:
        row.check(second.n_attempts == 0, "an answer was bought again")
    checked(row, shop, second)
    return row


# ── faults that are not the server's ──────────────────────────────────────────────────────────────────────────────


def refused(server: Running, folder: Path, shelf: TaskShelf) -> Row:
    """Nobody listens at the port; then somebody does."""
    row = Row(fault="connection refused", how_long="until healed")
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    shop = Shop(server, folder, f"http://127.0.0.1:{port}/v1")
    first = shop.run(shelf)
    row.first = told(first, Counter())
    row.check(first.stop is not None and first.spent_usd == 0, "it went on, or spent something")
    with forwarding(port, server):
        second = shop.run(shelf)
    row.again = told(second, shop.states())
    row.check(second.stop is None and shop.states() == Counter(right=N_ITEMS), "not every item has its answer at last")
    checked(row, shop, second)
    return row


def no_name(server: Running, folder: Path, shelf: TaskShelf) -> Row:
    """The host has no address; the command given again asks for it again."""
    row = Row(fault="DNS failure", how_long="lasting")
    shop = Shop(server, folder, "http://nobody.invalid/v1")
    for name in ("first", "again"):
        outcome = shop.run(shelf)
        setattr(row, name, told(outcome, Counter()))
        row.check(outcome.stop is not None and outcome.spent_usd == 0, "it went on, or spent something")
        row.check("nobody.invalid" in str(outcome.stop), f"the host is not named: {outcome.stop}")
    row.spent = "0.000/0.000"
    return row


def killed(server: Running, folder: Path, shelf: TaskShelf) -> Row:
    """The process is killed again and again, in the middle of its answers."""
    row = Row(fault="kill -9", how_long="4 times")
    shop = Shop(server, folder)
    shop.order([{"ttft_ms": 200}])
    for _ in range(4):
        before = len(server.log())
        process = command(shop)
        wait_for(lambda one=process, n=before + 2: len(server.log()) >= n or one.poll() is not None)
        process.send_signal(signal.SIGKILL)
        process.wait()
    row.first = told(Outcome(run_id=None, target_id="shop"), Counter())
    shop.order([])
    last = shop.run(shelf)
    row.again = told(last, shop.states())
    row.check(shop.states() == Counter(right=N_ITEMS), "not every item has its answer at last")
    rows = shop.rows()
    row.check(sum(m.status == "cancelled" for m in rows) > 0, "nothing was under way when it was killed")
    # An answer that was complete on the wire but not yet written down is bought again, and both are counted.
    truth = shop.truth()
    row.n_requests, row.n_lost = len(truth), len({t.request_id for t in truth} - {m.request_id for m in rows})
    row.check(row.n_lost == 0, f"{row.n_lost} requests without a row")
    answered = Counter(m.request_key for m in rows if m.status in ANSWERED)
    row.check(max(answered.values(), default=0) == 1, "a question has two answers")
    usd, _ = charged(truth)
    row.spent = f"{last.spent_usd:.3f}/{usd:.3f}"
    row.check((last.spent_usd or 0) >= usd, "it spent more than it says")
    return row


def full_disk(server: Running, folder: Path, shelf: TaskShelf) -> Row:
    """The disk takes no more in the middle of the run (a file system of its own where that may be mounted)."""
    row = Row(fault="disk full", how_long="until healed")
    shop = Shop(server, folder)
    shop.results.mkdir()
    shop.order([{"ttft_ms": 250}])
    with ExitStack() as stack:
        if not stack.enter_context(small_disk(shop.results)):
            row.first = "skipped: no file system can be mounted here"
            return row
        filler = shop.results / "filler"
        first = command(shop, stderr=subprocess.PIPE)
        wait_for(lambda: len(shop.truth()) >= 6 or first.poll() is not None)
        with suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(b"x" * 4096)
                file.flush()
        said = first.communicate(timeout=60)[1]
        row.first = f"exit {first.returncode}: {said.strip().splitlines()[-1][:40] if said else ''}"
        row.check(first.returncode != 0 or shop.states() == Counter(right=N_ITEMS), "it ended well without its answers")
        row.check("Traceback" not in said, "a traceback")
        filler.unlink()
        shop.order([])
        second = shop.run(shelf)
        row.again = told(second, shop.states())
        row.check(shop.states() == Counter(right=N_ITEMS), "not every item has its answer at last")
        rows = shop.rows()
        truth = shop.truth()
        row.n_requests, row.n_lost = len(truth), len({t.request_id for t in truth} - {m.request_id for m in rows})
        usd, _ = charged(truth)
        row.spent = f"{second.spent_usd:.3f}/{usd:.3f}"
        row.check(max(Counter(m.request_key for m in rows if m.status in ANSWERED).values()) == 1, "two answers")
    return row


def two_at_once(server: Running, folder: Path, shelf: TaskShelf) -> Row:
    """The same command in two processes: one asks, the other says that it is being asked."""
    row = Row(fault="two runs at once", how_long="")
    shop = Shop(server, folder)
    shop.toml.write_text(shop.toml.read_text().replace("_timeout_s = ", "_timeout_s = 10"))
    shop.catalog = load(shop.toml)
    shop.order([{"first": 1, "last": 8, "ttft_ms": 7000}])  # it is still there, however slow this machine is
    one = command(shop)
    wait_for(lambda: len(runs.folders(shop.results)) > 0)
    two = command(shop, stderr=subprocess.PIPE)
    said = two.communicate(timeout=60)[1]
    row.first = f"exit {two.returncode}: {said.strip().splitlines()[-1][:40]}"
    row.check(two.returncode == 5, "the second went on")
    row.check(one.wait(60) == 0, "the first was disturbed")
    shop.order([])
    last = shop.run(shelf)
    row.again = told(last, shop.states())
    row.check(shop.states() == Counter(right=N_ITEMS) and last.n_attempts == 0, "not every item has its one answer")
    checked(row, shop, last)
    return row


def clock_jump(server: Running, folder: Path, shelf: TaskShelf) -> Row:
    """The wall clock is put forward by an hour, then back by two, while answers come."""
    row = Row(fault="clock jumps by an hour", how_long="twice")
    shim = clock_shim(folder)
    if shim is None:
        row.first = "skipped: no C compiler here"
        return row
    shop = Shop(server, folder)
    shop.order([{"first": 10, "last": 12, "fault": "429_date", "wait_s": 1}, {"ttft_ms": 200}])
    jump = folder / "jump"
    jump.write_text("0")
    process = command(shop, stderr=subprocess.PIPE, LD_PRELOAD=str(shim), CLOCK_JUMP=str(jump))
    for seconds, n in (("3600", 6), ("-3600", 14)):
        wait_for(lambda n=n: len(shop.truth()) >= n or process.poll() is not None)
        jump.write_text(seconds)
    said = process.communicate(timeout=60)[1]
    row.first = f"exit {process.returncode}: {shop.states()['right']} right"
    row.check(process.returncode == 0, f"it ended with {process.returncode}: {said[-300:]}")
    rows = shop.rows()
    hours = {m.started_at[:13] for m in rows}
    row.check(len(hours) > 1, "the clock did not jump")
    times = [(m.sent_ns, m.first_token_ns, m.end_ns) for m in rows if m.status == "ok"]
    row.check(all(a <= b <= c and c - a < 10**10 for a, b, c in times if a and b and c), "a duration is wrong")
    last = shop.run(shelf)
    row.again = told(last, shop.states())
    row.check(shop.states() == Counter(right=N_ITEMS) and last.n_attempts == 0, "not every item has its one answer")
    checked(row, shop, last)
    return row


OTHERS: dict[str, Callable[[Running, Path, TaskShelf], Row]] = {
    "connection refused": refused,
    "DNS failure": no_name,
    "kill -9": killed,
    "disk full": full_disk,
    "two runs at once": two_at_once,
    "clock jumps by an hour": clock_jump,
}


# ── means ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def command(shop: Shop, *, stderr: int = subprocess.DEVNULL, **env: str) -> subprocess.Popen[str]:
    """`bench run` in a process of its own."""
    arguments = ["run", "quick", "-t", "shop", "--limit", str(LIMIT), "--max-usd", "10", "--results", str(shop.results)]
    return subprocess.Popen(
        [*BENCH, *arguments], cwd=shop.folder, stdout=subprocess.DEVNULL, stderr=stderr, text=True,
        env={**environment(), "BENCH_TARGETS": str(shop.toml), **env},
    )  # fmt: skip


def wait_for(there: Callable[[], bool], at_most_s: float = 60) -> None:
    until = time.monotonic() + at_most_s
    while not there():
        if time.monotonic() > until:
            raise TimeoutError("it did not come to that")
        time.sleep(0.01)


@contextmanager
def forwarding(port: int, server: Running) -> Iterator[None]:
    """Somebody at this port, who passes everything on to the server."""
    far = ("127.0.0.1", httpx.URL(server.url).port or 0)

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def serve(client: socket.socket) -> None:
        with client, socket.create_connection(far) as onward:
            back = threading.Thread(target=pump, args=(onward, client), daemon=True)
            back.start()
            pump(client, onward)
            back.join()

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", port)) as listener:
        thread = threading.Thread(target=accept, args=(listener,), daemon=True)
        thread.start()
        yield
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@contextmanager
def small_disk(where: Path) -> Iterator[bool]:
    """A file system of 600 kB at this place; False where none can be had."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(where)], capture_output=True, check=False
    )
    try:
        yield mounted.returncode == 0
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "-l", str(where)], check=True)


SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long jump(void) {
  long seconds = 0;
  FILE *file = fopen(getenv("CLOCK_JUMP"), "r");
  if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
  return seconds;
}
int clock_gettime(clockid_t id, struct timespec *t) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int rc = real(id, t);
  if (id == CLOCK_REALTIME) t->tv_sec += jump();
  return rc;
}
"""


def clock_shim(folder: Path) -> Path | None:
    """A library that moves the wall clock of whoever loads it, and no other clock, by the seconds in a file."""
    source, library = folder / "shim.c", folder / "shim.so"
    source.write_text(SHIM)
    try:
        built = subprocess.run(
            ["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], capture_output=True, check=False
        )
    except OSError:
        return None
    return library if built.returncode == 0 else None


# ── all of it ─────────────────────────────────────────────────────────────────────────────────────────────────────


def cases(names: Sequence[str] = ()) -> Iterator[tuple[str, Callable[[Running, Path, TaskShelf], Row]]]:
    """(its name, what puts it to a run and gives its row)."""

    def case(fault: Fault, lasting: bool) -> Callable[[Running, Path, TaskShelf], Row]:
        return lambda server, folder, shelf: struck(server, fault, folder, shelf, lasting=lasting)

    for fault in FAULTS:
        for lasting in (False, True) if fault.name not in SLOW else (False,):
            if not names or fault.name in names:
                yield f"{fault.name}{', lasting' if lasting else ''}", case(fault, lasting)
    for name, act in OTHERS.items():
        if not names or name in names:
            yield name, act


def line(fault: str, how_long: str, first: str, again: str, spent: str, n: object) -> str:
    return f"{fault:30}{how_long:14}{first:50}{again:30}{spent:17}{n:>8}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="all, unless some are named")
    names = parser.parse_args().faults
    rows: list[Row] = []
    shelf = TaskShelf()
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    print(line("fault", "how long", "after the first command", "after the second", "spent/charged $", "requests"))
    with tempfile.TemporaryDirectory() as place, knowing_server(Path(place)) as server:
        for number, (_, act) in enumerate(cases(names)):
            folder = Path(place) / str(number)
            folder.mkdir()
            row = act(server, folder, shelf)
            rows.append(row)
            print(line(row.fault, row.how_long, row.first, row.again, row.spent, row.n_requests), end="")
            print(f"  WRONG: {'; '.join(row.wrong)}" if row.wrong else "", flush=True)
    n_right = sum(not row.wrong for row in rows)
    n_requests, n_bad, n_lost, n_items_lost = (
        sum(getattr(row, name) for row in rows) for name in ("n_requests", "n_bad", "n_lost", "n_items_lost")
    )
    print(f"{n_right} of {len(rows)} right: {len(rows) * N_ITEMS:,} items, {n_requests:,} requests, {n_bad:,} of which")
    print(f"met with a fault; {n_lost} requests and {n_items_lost} items lost")
    return 0 if n_right == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
