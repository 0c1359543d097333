"""The clients that run in this process, ours and stock httpx, and how a level is run with any such client."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx

from bench.client import Client, Lane, new_event_loop
from bench.records import Endpoint, Request
from peers import Heard, Load, PeerError, Seen, Sender, Session


@asynccontextmanager
async def our_session(load: Load, lane: Lane = "httpx") -> AsyncIterator[Sender]:
    endpoint = Endpoint(target_id="fake", base_url=load.url, wire="openai_chat", model=load.model)
    async with Client(endpoint, lane=lane) as client:
        yield partial(ours, client)


async def ours(client: Client, request_id: str) -> Seen:
    m = await client.send(Request(request_id=request_id, request_key="k", prompt="go", max_tokens=1 << 20))
    if m.status != "ok" or m.sent_ns is None or m.first_token_ns is None or m.end_ns is None:
        raise RuntimeError(f"{m.status}: {m.error}")
    return Seen(
        request_id=request_id, ttft_ns=m.first_token_ns - m.sent_ns, e2e_ns=m.end_ns - m.sent_ns, chunks=m.chunks
    )


@asynccontextmanager
async def stock_session(load: Load) -> AsyncIterator[Sender]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=600) as http:
        yield partial(stock, http, load.url, load.model)


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


def hear(session: Session, load: Load, folder: Path) -> Heard:
    """What one client in this process sees, and its CPU, after a first round to warm up."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_level(session, load))


async def _level(session: Session, load: Load) -> Heard:
    async with session(load) as send:
        await _round(send, load)
        before = time.process_time()
        seen = [one for _ in range(load.rounds) for one in await _round(send, load)]
        return Heard(seen=seen, cpu_s=time.process_time() - before)


async def _round(send: Sender, load: Load) -> list[Seen]:
    try:
        async with asyncio.timeout(load.limit_s):
            return await asyncio.gather(*(send(uuid4().hex) for _ in range(load.streams)))
    except TimeoutError:
        raise PeerError(f"a round was not done after {load.limit_s:g} s") from None
