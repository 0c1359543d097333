"""Continuous batching: every tick advances all running requests of a model by one token, in turn if they are many.

A tick is one prefill chunk for each of at most `PREFILLS` requests, then one decoding step for at most `SEATS`. Both
queues are rings: who was served goes to the back, so a long generation costs a short one its share and no more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from bench.engines.embedded.alphabet import BOS, EOS, UNK
from bench.engines.embedded.forward import Array, Cache, Decoder, Rows, log_softmax

SEATS = 16
"""Most requests in a decoding step."""
CHUNK = 32
"""Most prompt tokens of one request in a tick."""
PREFILLS = 4
MOST_AT_ONCE = 64
"""Requests with a cache; more wait their turn outside."""


@dataclass
class Job:
    """One request on its way through the model. `token` and `done` are called as things happen."""

    prompt: list[int]
    """With `<bos>`."""
    limit: int
    """Most tokens to generate; may be 0 (echo only)."""
    token: Callable[[int, Array], bool]
    """(token, log-probabilities (v,)) -> whether to go on; never called with an end mark."""
    done: Callable[[str], None]
    """`stop` or `length`."""
    echoed: Callable[[Array], None] | None = None
    """Log-probabilities (s, v) of what follows each of s prompt tokens, chunk after chunk."""
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    ignore_eos: bool = False
    cancelled: bool = False
    cache: Cache | None = None
    last: int = BOS
    made: int = 0
    dice: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.dice = np.random.default_rng(self.seed)


class Batcher:
    """The requests of one model. Only `run` touches the queues' members, on one event loop: no locks."""

    def __init__(self, model: Decoder) -> None:
        self.model = model
        self.filling: deque[Job] = deque()
        self.decoding: deque[Job] = deque()
        self._waiting: deque[Job] = deque()
        self._news = asyncio.Event()

    def submit(self, job: Job) -> None:
        self._waiting.append(job)
        self._news.set()

    async def run(self) -> None:
        """For ever; gives way to the sockets after every tick."""
        while True:
            if self.tick():
                await asyncio.sleep(0)
            else:
                self._news.clear()
                await self._news.wait()

    def tick(self) -> bool:
        """One round; False when there was nothing to do."""
        for queue in (self._waiting, self.filling, self.decoding):
            for job in [job for job in queue if job.cancelled]:
                queue.remove(job)
        while self._waiting and len(self.filling) + len(self.decoding) < MOST_AT_ONCE:
            job = self._waiting.popleft()
            job.cache = Cache(self.model)
            self.filling.append(job)
        busy = bool(self.filling or self.decoding)
        for _ in range(min(PREFILLS, len(self.filling))):
            self._prefill(self.filling.popleft())
        self._decode([self.decoding.popleft() for _ in range(min(SEATS, len(self.decoding)))])
        return busy

    def _prefill(self, job: Job) -> None:
        """The next chunk of one prompt; chunks start at multiples of CHUNK, whoever else is there."""
        cache = _cache(job)
        part = list(islice(job.prompt, cache.length, cache.length + CHUNK))
        logits = self.model.forward([Rows(part, cache)])
        if job.echoed:
            job.echoed(log_softmax(logits))
        if cache.length < len(job.prompt):
            self.filling.append(job)
        else:
            self._choose(job, logits[-1])

    def _decode(self, jobs: list[Job]) -> None:
        if not jobs:
            return
        logits = self.model.forward([Rows([job.last], _cache(job)) for job in jobs])
        for job, row in zip(jobs, logits, strict=True):
            self._choose(job, row)

    def _choose(self, job: Job, logits: Array) -> None:
        """Pick a token from `logits` (v,), hand it over, and seat the job again unless it is finished."""
        if job.made >= job.limit:
            return job.done("length")
        token = pick(logits, job)
        if token == EOS:
            return job.done("stop")
        job.made, job.last = job.made + 1, token
        if not job.token(token, log_softmax(logits)):
            return job.done("stop")
        if job.made >= job.limit:
            return job.done("length")
        return self.decoding.append(job)


def pick(logits: Array, job: Job) -> int:
    """The favourite at temperature 0, else a draw by the job's own dice; never `<bos>` or `<unk>`."""
    allowed = logits.astype(np.float64)
    allowed[[BOS, UNK, EOS] if job.ignore_eos else [BOS, UNK]] = -np.inf
    if job.temperature <= 0:
        return int(allowed.argmax())
    shares = np.exp((allowed - allowed.max()) / job.temperature)
    order = np.argsort(-shares, kind="stable")
    ladder = np.cumsum(shares[order] / shares.sum())
    kept = int(np.searchsorted(ladder, min(job.top_p, ladder[-1]))) + 1
    return int(order[np.searchsorted(ladder[:kept], job.dice.random() * ladder[kept - 1], side="right")])


def _cache(job: Job) -> Cache:
    if job.cache is None:
        raise RuntimeError("a job is run before it has a cache")
    return job.cache
