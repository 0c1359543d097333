"""How far our stamps are from the truth, and what they cost, beside stock httpx on the same server in the same run.

    python tests/benchmarks/accuracy.py [--streams 1,32,256] [--tokens 128] [--gap-ms 10] [--ttft-ms 50]

The truth is the fake server's log: the kernel's stamp of each request's arrival there, and the monotonic clock before
each write. Errors are absolute differences [ms] of the reported to the true TTFT and end-to-end time. CPU is this
process's, user and system, connections and parsing included, per million token events. The server's own lateness
behind its schedule is printed because it shows how starved the machine was; it enters no error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from fake import Running, Truth, fake_server

from bench.client import Client, new_event_loop
from bench.records import Endpoint, Request


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One answer as a client reports it [ns]."""

    request_id: str
    ttft_ns: int
    e2e_ns: int
    chunks: int


@dataclass(frozen=True, kw_only=True)
class Row:
    client: str
    streams: int
    n: int
    ttft_ms: tuple[float, float]
    e2e_ms: tuple[float, float]
    cpu_s_per_million: float
    late_ms: float


Sender = Callable[[str], Awaitable[Seen]]


async def ours(client: Client, request_id: str) -> Seen:
    m = await client.send(Request(request_id=request_id, request_key="k", prompt="go", max_tokens=1 << 20))
    if m.status != "ok" or m.sent_ns is None or m.first_token_ns is None or m.end_ns is None:
        raise RuntimeError(f"{m.status}: {m.error}")
    return Seen(
        request_id=request_id, ttft_ns=m.first_token_ns - m.sent_ns, e2e_ns=m.end_ns - m.sent_ns, chunks=m.chunks
    )


async def stock(client: httpx.AsyncClient, url: str, model: str, request_id: str) -> Seen:
    """What a careful user of httpx writes: stamp each line first, parse it second."""
    body = {"model": model, "messages": [{"role": "user", "content": "go"}], "max_tokens": 1 << 20, "stream": True}
    first = end = chunks = 0
    sent = time.perf_counter_ns()
    headers = {"x-request-id": request_id}
    async with client.stream("POST", f"{url}/chat/completions", json=body, headers=headers) as response:
        async for line in response.aiter_lines():
            stamp = time.perf_counter_ns()
            if not line.startswith("data: {"):
                continue
            for choice in json.loads(line[6:])["choices"]:
                if choice["delta"].get("content"):
                    first = first or stamp
                    chunks += 1
                if choice["finish_reason"]:
                    end = stamp
    return Seen(request_id=request_id, ttft_ns=first - sent, e2e_ns=end - sent, chunks=chunks)


async def level(send: Sender, streams: int, rounds: int) -> tuple[list[Seen], float]:
    """(answers, CPU seconds) of `rounds` times `streams` concurrent requests, after a first round to warm up."""
    await asyncio.gather(*(send(f"warm-{uuid4().hex}") for _ in range(streams)))
    seen: list[Seen] = []
    before = time.process_time()
    for _ in range(rounds):
        seen += await asyncio.gather(*(send(uuid4().hex) for _ in range(streams)))
    return seen, time.process_time() - before


def row(
    name: str, streams: int, seen: list[Seen], cpu_s: float, truths: dict[str, Truth], plan: argparse.Namespace
) -> Row:
    ttft, e2e, late = [], [], []
    for one in seen:
        truth = truths[one.request_id]
        first, finish = truth.first("token") - truth.arrived_ns, truth.first("finish") - truth.arrived_ns
        ttft.append(abs(one.ttft_ns - first) / 1e6)
        e2e.append(abs(one.e2e_ns - finish) / 1e6)
        late.append(first / 1e6 - plan.ttft_ms)
        late.append(finish / 1e6 - plan.ttft_ms - (plan.tokens - 1) * plan.gap_ms)
    return Row(
        client=name,
        streams=streams,
        n=len(seen),
        ttft_ms=(quantile(ttft, 0.5), quantile(ttft, 0.99)),
        e2e_ms=(quantile(e2e, 0.5), quantile(e2e, 0.99)),
        cpu_s_per_million=cpu_s / sum(one.chunks for one in seen) * 1e6,
        late_ms=quantile(late, 0.99),
    )


def quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(q * (len(ordered) - 1)))]


async def measure(server: Running, plan: argparse.Namespace) -> list[tuple[str, int, list[Seen], float]]:
    """(client, streams, answers, CPU seconds) of every level, ours and stock httpx in turn."""
    model = f"fake?tokens={plan.tokens}&ttft_ms={plan.ttft_ms}&gap_ms={plan.gap_ms}"
    endpoint = Endpoint(target_id="fake", base_url=server.url, wire="openai_chat", model=model)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    out = []
    for streams in plan.streams:
        rounds = max(1, plan.least // streams)
        async with Client(endpoint) as client:
            out.append(("bench", streams, *await level(partial(ours, client), streams, rounds)))
        async with httpx.AsyncClient(limits=limits, timeout=600) as http:
            out.append(("httpx", streams, *await level(partial(stock, http, server.url, model), streams, rounds)))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", default="1,32,256", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--gap-ms", type=float, default=10.0)
    parser.add_argument("--ttft-ms", type=float, default=50.0)
    parser.add_argument("--least", type=int, default=8, help="least number of answers at each level")
    plan = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, fake_server(Path(folder)) as server:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            results = runner.run(measure(server, plan))
        truths = {truth.request_id: truth for truth in server.log()}
    rows = [row(*result, truths, plan) for result in results]
    heads = ("client", "streams", "n", "TTFT error p50 / p99", "e2e error p50 / p99", "CPU s/M events", "server late")
    print("{:8}{:>8}{:>6}{:>24}{:>24}{:>16}{:>13}".format(*heads))
    for r in rows:
        ttft, e2e = (f"{low:.3f} / {high:.3f} ms" for low, high in (r.ttft_ms, r.e2e_ms))
        cpu, late = f"{r.cpu_s_per_million:.1f}", f"{r.late_ms:.1f} ms"
        print(f"{r.client:8}{r.streams:8}{r.n:6}{ttft:>24}{e2e:>24}{cpu:>16}{late:>13}")
    for ours_, stock_ in zip(rows[::2], rows[1::2], strict=True):
        ratio = stock_.cpu_s_per_million / ours_.cpu_s_per_million
        print(f"at {ours_.streams} streams stock httpx takes {ratio:.1f} times our CPU per event")


if __name__ == "__main__":
    main()
