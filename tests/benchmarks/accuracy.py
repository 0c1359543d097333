"""How far our stamps are from the truth, and what they cost, beside other clients on the same server in the same run.

    python tests/benchmarks/accuracy.py [--streams 1,32,256,1000] [--peers guidellm,aiperf] [--envs .bench-peers]

The truth is the fake server's log: the kernel's stamp of each request's arrival there, and the monotonic clock before
each write. Errors are absolute differences [ms] of the reported to the true TTFT and end-to-end time; the latter lasts
until the event the client says it does, and the chat's empty first chunk comes with the first token, as from vLLM, so
that definitions enter no error (`--role early` shows what they do). CPU is this process's, user and system, connections
and parsing included, per million token events; all clients in this process run in the same event loop. The server's own
lateness behind its schedule is printed because it shows how starved the machine was; it enters no error.

At 1,000 streams tokens come `--gap-ms-at-1000` apart: server and client share this machine. `--peers` are programs,
installed in environments of their own under `--envs` when first used (see peers/programs.py); without it no network.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from fake import Running, Truth, fake_server, text_of
from peers import Heard, Load, Outside, PeerError, Session, aiperf, bench_load, guidellm, here, vllm_style
from peers.here import ours, stock
from peers.programs import program

__all__ = ["ours", "stock"]  # of the benchmarks beside this file
MOST_ROUNDS = 16


@dataclass(frozen=True, kw_only=True)
class Row:
    client: str
    streams: int
    gap_ms: float
    n: int
    ttft_ms: tuple[float, float]
    e2e_ms: tuple[float, float]
    cpu_s_per_million: float | None
    late_ms: float


SESSIONS: dict[str, Session] = {
    "bench": here.our_session,
    "bench raw": partial(here.our_session, lane="raw"),
    "httpx": here.stock_session,
    "vllm-style": vllm_style.session,
}
"""Clients in this process."""
OUTSIDE = {"guidellm": guidellm.heard, "aiperf": aiperf.heard}


def clients(plan: argparse.Namespace) -> Iterator[tuple[str, Outside]]:
    """By name, what makes a load into what was heard."""
    yield "bench load", bench_load.heard
    yield "load raw", partial(bench_load.heard, lane="raw")
    for name, session in SESSIONS.items():
        yield name, partial(here.hear, session)
    for name in plan.peers:
        yield name, partial(OUTSIDE[name], program(name, plan.envs))


def measure(server: Running, plan: argparse.Namespace, folder: Path) -> Iterator[Row | str]:
    """A row for each client at each level, or why there is none."""
    everyone = dict(clients(plan))
    for streams in plan.streams:
        gap_ms = plan.gap_ms_at_1000 if streams >= 1000 else plan.gap_ms
        model = f"fake?tokens={plan.tokens}&ttft_ms={plan.ttft_ms}&gap_ms={gap_ms}&role={plan.role}"
        rounds = min(MOST_ROUNDS, max(1, plan.least // streams))
        load = Load(url=server.url, model=model, streams=streams, rounds=rounds, limit_s=plan.limit_s)
        for name, hear in everyone.items():
            place = folder / f"{name}-{streams}"
            place.mkdir()
            print(f"{name} at {streams} …", file=sys.stderr)
            try:
                heard = hear(load, place)
                time.sleep(0.2)  # the server logs a request after its last byte
                yield row(name, streams, gap_ms, heard, known(server.log()), plan)
            except PeerError as error:
                yield f"{name} at {streams} streams: {error}"


def known(log: list[Truth]) -> dict[str, Truth]:
    """By request id; by prompt where the client sent none."""
    return {truth.request_id or text_of(truth.body["messages"][-1]): truth for truth in log if truth.body}


def row(
    name: str, streams: int, gap_ms: float, heard: Heard, truths: dict[str, Truth], plan: argparse.Namespace
) -> Row:
    if not heard.seen:
        raise PeerError("no answers")
    ttft, e2e, late = [], [], []
    for one in heard.seen:
        truth = truths[one.request_id]
        first, finish = truth.first("token") - truth.arrived_ns, truth.first("finish") - truth.arrived_ns
        ttft.append(abs(one.ttft_ns - first) / 1e6)
        e2e.append(abs(one.e2e_ns - (truth.last(heard.until) - truth.arrived_ns)) / 1e6)
        late.append(first / 1e6 - plan.ttft_ms)
        late.append(finish / 1e6 - plan.ttft_ms - (plan.tokens - 1) * gap_ms)
    events = sum(one.chunks for one in heard.seen)
    return Row(
        client=name,
        streams=streams,
        gap_ms=gap_ms,
        n=len(heard.seen),
        ttft_ms=(quantile(ttft, 0.5), quantile(ttft, 0.99)),
        e2e_ms=(quantile(e2e, 0.5), quantile(e2e, 0.99)),
        cpu_s_per_million=None if heard.cpu_s is None else heard.cpu_s / events * 1e6,
        late_ms=quantile(late, 0.99),
    )


def quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(q * (len(ordered) - 1)))]


# ── the table ─────────────────────────────────────────────────────────────────────────────────────────────────────


def show(rows: list[Row]) -> None:
    form = "{:11}{:>8}{:>8}{:>6}{:>23}{:>23}{:>11}{:>11}"
    print(form.format("", "", "", "", "TTFT error [ms]", "e2e error [ms]", "CPU", "server"))
    print(form.format("client", "streams", "gap ms", "n", "p50 / p99", "p50 / p99", "s/M events", "late ms"))
    for r in rows:
        ttft, e2e = (f"{low:.3f} / {high:.3f}" for low, high in (r.ttft_ms, r.e2e_ms))
        cpu = "" if r.cpu_s_per_million is None else f"{r.cpu_s_per_million:.1f}"
        print(form.format(r.client, r.streams, f"{r.gap_ms:g}", r.n, ttft, e2e, cpu, f"{r.late_ms:.1f}"))
    cost = {(r.client, r.streams): r.cpu_s_per_million for r in rows}
    for streams in dict.fromkeys(r.streams for r in rows):
        mine, theirs = cost.get(("bench", streams)), cost.get(("httpx", streams))
        if mine and theirs:
            print(f"at {streams} streams stock httpx takes {theirs / mine:.1f} times our CPU per event")


def options() -> argparse.Namespace:
    def names(text: str) -> list[str]:
        return [name for name in text.split(",") if name]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", default="1,32,256,1000", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--gap-ms", type=float, default=10.0)
    parser.add_argument("--gap-ms-at-1000", type=float, default=100.0)
    parser.add_argument("--ttft-ms", type=float, default=50.0)
    parser.add_argument("--role", choices=("late", "early"), default="late", help="when the empty first chunk comes")
    parser.add_argument("--least", type=int, default=64, help=f"answers at each level, in {MOST_ROUNDS} rounds at most")
    parser.add_argument("--peers", default=[], type=names, help="comma-separated, of: " + ", ".join(OUTSIDE))
    parser.add_argument("--envs", type=Path, default=Path(".bench-peers"), help="where the peers are installed")
    parser.add_argument("--limit-s", type=float, default=60.0, help="most seconds for a program, or a round here")
    plan = parser.parse_args()
    if set(plan.peers) - set(OUTSIDE):
        parser.error(f"unknown peers {', '.join(sorted(set(plan.peers) - set(OUTSIDE)))}; known: {', '.join(OUTSIDE)}")
    return plan


def main() -> None:
    plan = options()
    with tempfile.TemporaryDirectory() as text, fake_server(Path(text)) as server:
        results = list(measure(server, plan, Path(text)))
    show([one for one in results if isinstance(one, Row)])
    for reason in results:
        if isinstance(reason, str):
            print(reason)


if __name__ == "__main__":
    main()
