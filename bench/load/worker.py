"""One client process of a load: sends what is due when it is due, and hands each row to the process that keeps them.

    python -m bench.load.worker        (started by `bench.load.crew`)

JSON lines come in on standard input: first who is asked and how, then a step at a time, and `stop`. Rows and word of
how a step went go out on standard output, through a buffer: whoever reads slowly delays no stamp. The end of the input
is the end of the process, so nothing outlives whoever started it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from bench.client import Client, Prepared, new_event_loop
from bench.load.alarm import Alarm
from bench.load.calibrate import request_of
from bench.load.prompts import Recipe
from bench.load.shapes import Shape
from bench.records import ANSWERED, Endpoint, Measurement
from bench.runs import row_of
from bench.runs.journal import encode

Json = dict[str, Any]
MOST_AHEAD = 4096
AHEAD = 64
"""Requests built before they are due."""
_UNHURRIED_NS = 400_000
"""The next request is not built when one is due sooner than this."""
_FAILED_PAUSE_S = 0.1
"""A user of a closed loop whose request failed waits this long: a dead server is not hammered."""
UNSTORED = ("prompt", "answer", "reasoning", "logprobs", "tool_calls", "request_key")
"""Of a load nobody reads the text, and the key is the request's own id."""


class Step:
    """One step's share of this process."""

    def __init__(self, told: Json, client: Client, recipe: Recipe, worker: int, out: Out) -> None:
        self.told = told
        self._client = client
        self._recipe = recipe
        self._worker = worker
        self._out = out
        self._shape = Shape.of(told["shape"])
        self._shared = recipe.shared(told["seed"], self._shape.longest) if told["cache"] != "cold" else ()
        self._numbers = _counting(told["first_number"], told["stride"]) if told["slots"] else iter(told["numbers"])
        self._ahead: deque[tuple[Prepared, Json]] = deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._unsettled = 0
        self.n_sent = 0
        self.stopped = asyncio.Event()

    async def run(self) -> None:
        """Until told to stop, or until the last moment; what is under way then becomes rows `cancelled`."""
        cpu_s, began_s = time.process_time(), time.monotonic()
        self._build_ahead()
        alarm = Alarm()
        try:
            driver = asyncio.create_task(self._closed_loop(alarm) if self.told["slots"] else self._open_loop(alarm))
            driver.add_done_callback(self._ended)
            limit_s = (self.told["until_ns"] - time.perf_counter_ns()) / 1e9
            watch = asyncio.create_task(self._tell_when_settled())
            stop = asyncio.create_task(self.stopped.wait())
            await asyncio.wait({stop}, timeout=max(0.0, limit_s))
            tasks = [driver, watch, stop, *self._tasks]
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            alarm.close()
        for error in ended:
            if isinstance(error, Exception):
                raise error
        self._out.say(
            said="done",
            step=self.told["step"],
            n_sent=self.n_sent,
            cpu_s=time.process_time() - cpu_s,
            wall_s=time.monotonic() - began_s,
        )

    async def _open_loop(self, alarm: Alarm) -> None:
        """Each request at its own time, whatever became of those before it."""
        start_ns = self.told["start_ns"]
        for offset_ns in self.told["due_ns"]:
            due_ns = start_ns + offset_ns
            while len(self._ahead) < AHEAD and due_ns - time.perf_counter_ns() > _UNHURRIED_NS:
                if not self._build_one():
                    break
                await asyncio.sleep(0)
            if not self._ahead:
                self._build_one()
            await alarm.until(due_ns)
            self._launch(due_ns)
            if time.perf_counter_ns() - due_ns > _UNHURRIED_NS:
                await asyncio.sleep(0)  # late already: the sockets must not wait for the whole backlog

    async def _closed_loop(self, alarm: Alarm) -> None:
        await alarm.until(self.told["start_ns"])
        async with asyncio.TaskGroup() as group:
            for _ in range(self.told["slots"]):
                group.create_task(self._slot())

    async def _slot(self) -> None:
        """One request after the other. Due is the moment the answer before it ended; its row waits until the next
        request is out."""
        free_ns = self.told["start_ns"]
        while True:
            if not self._ahead:
                self._build_one()
            sending = asyncio.create_task(self._send(*self._ahead.popleft(), free_ns))
            try:
                await asyncio.sleep(0)  # it goes out now
                self._build_one()
                measurement = await sending
            except asyncio.CancelledError:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                raise
            if measurement.status in ANSWERED and measurement.end_ns is not None:
                free_ns = measurement.end_ns
            else:
                await asyncio.sleep(_FAILED_PAUSE_S)
                free_ns = time.perf_counter_ns()

    def _launch(self, due_ns: int) -> None:
        prepared, asked = self._ahead.popleft()
        task = asyncio.create_task(self._send(prepared, asked, due_ns))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error  # a fault of ours: the loop's handler ends the process

    async def _send(self, prepared: Prepared, asked: Json, due_ns: int) -> Measurement:
        """Sends one; its row is handed on in the loop's next round, so that what follows it comes first."""
        counts = due_ns < self.told["end_ns"]
        self._unsettled += counts
        self.n_sent += 1

        def emit(measurement: Measurement) -> None:
            self._emit(measurement, asked)

        try:
            measurement = await self._client.send(prepared, sched_ns=due_ns, on_cancel=emit)
            asyncio.get_running_loop().call_soon(emit, measurement)
            return measurement
        finally:
            self._unsettled -= counts

    def _emit(self, measurement: Measurement, asked: Json) -> None:
        row = row_of(measurement)
        for name in UNSTORED:
            row.pop(name, None)
        row |= asked
        row["request_key"] = row["request_id"]
        self._out.line(encode(row))

    async def _tell_when_settled(self) -> None:
        """Says when the last request that counts is over: the others may then stop too."""
        await asyncio.sleep(max(0.0, (self.told["end_ns"] - time.perf_counter_ns()) / 1e9))
        while self._unsettled > 0:  # noqa: ASYNC110  (an event set at each answer would cost more)
            await asyncio.sleep(0.01)
        self._out.say(said="settled", step=self.told["step"])

    def _build_ahead(self) -> None:
        """What is due first, before the step begins."""
        enough = max(AHEAD, min(self.told["slots"], MOST_AHEAD))
        until_ns = self.told["start_ns"] - _UNHURRIED_NS
        while len(self._ahead) < enough and time.perf_counter_ns() < until_ns and self._build_one():
            pass

    def _build_one(self) -> bool:
        number = next(self._numbers, None)
        if number is None:
            return False
        told = self.told
        in_tokens, out_tokens = self._shape.lengths(told["seed"], number)
        rng = random.Random(f"{told['nonce']}:{told['step']}:{number}")
        warm = told["cache"] == "warm" or (told["cache"] == "mixed" and rng.random() < 0.5)
        text = self._recipe.prompt(in_tokens, rng, shared=self._shared if warm else ())
        request = request_of(
            self._client.endpoint, text, out_tokens, ignore_eos=told["ignore_eos"], doc_id=number, **told["options"]
        )
        asked = {
            "step": told["step"],
            "lane": told["lane"],
            "worker": self._worker,
            "asked_in_tokens": max(in_tokens, self._recipe.least),
            "asked_out_tokens": out_tokens,
            "prompt_cache": "warm" if warm else "cold",
        }
        self._ahead.append((self._client.prepare(request), asked))
        return True


def _counting(first: int, stride: int) -> Iterator[int]:
    while True:
        yield first
        first += stride


class Out:
    """Lines to whoever started us."""

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport
        self.n_lines = 0

    def line(self, line: bytes) -> None:
        self.n_lines += 1
        self._transport.write(line)

    def say(self, **what: Any) -> None:
        self._transport.write(json.dumps(what).encode() + b"\n")

    async def drained(self) -> None:
        while self._transport.get_write_buffer_size():  # noqa: ASYNC110  (a pipe has no other sign)
            await asyncio.sleep(0.005)


async def work(told_in: int, told_out: int) -> None:
    """Takes commands until the input ends."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_die)
    reader = asyncio.StreamReader(limit=1 << 30)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(told_in, "rb", 0))
    transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(told_out, "wb", 0))
    out = Out(transport)
    hello = json.loads(await reader.readline() or b"{}")
    if not hello:
        return
    endpoint, recipe = Endpoint(**hello["endpoint"]), Recipe.of(hello["recipe"])
    async with Client(endpoint, run_id=hello["run_id"], lane=hello["lane"]) as client:
        out.say(said="ready", worker=hello["worker"])
        await _steps(reader, client, recipe, hello["worker"], out)
    await out.drained()


async def _steps(reader: asyncio.StreamReader, client: Client, recipe: Recipe, worker: int, out: Out) -> None:
    under_way: tuple[Step, asyncio.Task[None]] | None = None
    try:
        while line := await reader.readline():
            told = json.loads(line)
            if told["do"] == "stop" and under_way is not None:
                under_way[0].stopped.set()
            elif told["do"] == "step":
                if under_way is not None:
                    await under_way[1]
                gc.collect()
                step = Step(told, client, recipe, worker, out)
                under_way = step, asyncio.create_task(step.run())
                under_way[1].add_done_callback(lambda task: task.cancelled() or task.result())
    finally:
        if under_way is not None:
            under_way[0].stopped.set()
            await under_way[1]


def _die(loop: asyncio.AbstractEventLoop, context: Json) -> None:
    """A fault that nobody waits for is a fault of ours: a load that goes on without a part of itself is no load."""
    loop.default_exception_handler(context)
    if isinstance(context.get("exception"), Exception):
        os._exit(70)


def main() -> int:
    told_in, told_out = os.dup(0), os.dup(1)
    os.dup2(2, 1)  # whatever prints must not print between the lines
    # Young objects are collected as ever, in small portions; all of them together only between steps.
    gc.set_threshold(2000, 10, 1_000_000)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(work(told_in, told_out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
