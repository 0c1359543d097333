"""A client that takes its stamps as vLLM's own `vllm bench serve` does, written anew from its formulas.

aiohttp; each `data:` line is stamped (`perf_counter`) when it is taken from the buffer, before its JSON is parsed. TTFT
ends at the first chunk that has `choices` - text or not -, the end-to-end time at the last one; both begin before the
connection is asked for. Source: vllm/benchmarks/lib/endpoint_request_func.py, async_request_openai_chat_completions.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from peers import Load, Seen, Sender


@asynccontextmanager
async def session(load: Load) -> AsyncIterator[Sender]:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=load.streams, keepalive_timeout=60)
    timeout = aiohttp.ClientTimeout(total=6 * 60 * 60)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:

        async def sender(request_id: str) -> Seen:
            return await send(http, load, request_id)

        yield sender


async def send(http: Any, load: Load, request_id: str) -> Seen:
    messages = [{"role": "user", "content": [{"type": "text", "text": "go"}]}]
    body = {"model": load.model, "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
    first = last = 0.0
    chunks = 0
    start = time.perf_counter()
    async with http.post(f"{load.url}/chat/completions", json=body, headers={"x-request-id": request_id}) as response:
        buffer = b""
        async for read in response.content.iter_any():
            *events, buffer = (buffer + read).split(b"\n\n")
            for event in events:
                payload = event.removeprefix(b"data: ")
                if payload == b"[DONE]":
                    continue
                stamp = time.perf_counter()
                choices = json.loads(payload).get("choices")
                if choices:
                    first, last = first or stamp, stamp
                    chunks += bool(choices[0]["delta"].get("content"))
    return Seen(
        request_id=request_id, ttft_ns=round((first - start) * 1e9), e2e_ns=round((last - start) * 1e9), chunks=chunks
    )
