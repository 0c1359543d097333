"""What the client costs: framing and decoding per event, and CPU per streamed event beside stock httpx in the same run.

    pytest tests/benchmarks/test_client_bench.py --benchmark-enable

The last two are one comparison: 256 streams of 128 tokens, 10 ms apart (16 streams when benchmarks are off);
`extra_info` holds this process's CPU microseconds per event, connections and parsing included. `accuracy.py` beside
this file says how right the stamps are.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import accuracy
from fake import Running, fake_server

from bench.client import Client, new_event_loop
from bench.client.fold import Fold
from bench.records import Endpoint, Request
from bench.wires import openai_chat, wire
from bench.wires.sse import Framer

EVENTS = 1000
TOKENS = 128
FRAME = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1760000000,"model":"m","system_fingerprint":'
    b'"fp_1","choices":[{"index":0,"delta":{"content":" t%d"},"logprobs":null,"finish_reason":null}],"usage":null}\n\n'
)
LAST = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with fake_server(tmp_path_factory.mktemp("fake")) as running:
        yield running


def test_framing_a_thousand_reads(benchmark: Any) -> None:
    frames = [FRAME % n for n in range(EVENTS)]

    def frame() -> int:
        framer = Framer()
        return sum(len(framer.feed(piece)) for piece in frames)

    assert benchmark(frame) == EVENTS


def test_decoding_a_thousand_events(benchmark: Any) -> None:
    payloads = [(FRAME % n)[6:-2] for n in range(EVENTS)]
    assert len(benchmark(lambda: [openai_chat.decode(payload) for payload in payloads])) == EVENTS


def test_folding_a_thousand_events_into_a_row(benchmark: Any) -> None:
    reads = [(n, FRAME % n) for n in range(EVENTS)] + [(EVENTS, LAST)]
    endpoint = Endpoint(target_id="t", base_url="http://x/v1", wire="openai_chat", model="m")

    def fold() -> dict[str, Any]:
        one = Fold(wire("openai_chat"), endpoint, Request(request_id="r", request_key="k", prompt="q"))
        one.take(reads)
        one.close()
        return one.columns()

    assert benchmark(fold)["chunks"] == EVENTS


async def our_round(url: str, model: str, streams: int) -> int:
    endpoint = Endpoint(target_id="t", base_url=url, wire="openai_chat", model=model)
    async with Client(endpoint) as client:
        seen = await asyncio.gather(*(accuracy.ours(client, uuid4().hex) for _ in range(streams)))
    return sum(one.chunks for one in seen)


async def stock_round(url: str, model: str, streams: int) -> int:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=60) as http:
        seen = await asyncio.gather(*(accuracy.stock(http, url, model, uuid4().hex) for _ in range(streams)))
    return sum(one.chunks for one in seen)


@pytest.mark.parametrize("one_round", [our_round, stock_round], ids=["ours", "stock httpx"])
def test_streaming(benchmark: Any, server: Running, one_round: Any) -> None:
    model = f"fake?tokens={TOKENS}&gap_ms=10&ttft_ms=20"
    streams = 16 if benchmark.disabled else 256
    cpu_s = events = 0.0

    def streamed() -> int:
        nonlocal cpu_s, events
        before = time.process_time()
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            count = runner.run(one_round(server.url, model, streams))
        cpu_s += time.process_time() - before
        events += count
        return int(count)

    assert benchmark.pedantic(streamed, rounds=1) == streams * TOKENS
    benchmark.extra_info["cpu_us_per_event"] = round(cpu_s / events * 1e6, 1)
