"""One session of batches over a run folder, without tasks or scores; and a process that does it and kills itself."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import batch, runs
from bench.batch import Pace
from bench.batch.driver import Batching
from bench.budget import Budget
from bench.catalog import load
from bench.records import ANSWERED, Endpoint, Measurement, Message, Request
from bench.runs.batches import Batches
from tests.store import header

PACE = Pace(first_s=0.01, longest_s=0.03, settle_s=0.3, give_up_s=3.0, submit_s=3.0)
PROVIDERS = {
    "openai": ("openai", "openai_chat", "openai/v1"),
    "responses": ("openai", "openai_responses", "openai/v1"),
    "groq": ("groq", "openai_chat", "groq/v1"),
    "together": ("together", "openai_chat", "together/v1"),
    "mistral": ("mistral", "openai_chat", "mistral/v1"),
    "anthropic": ("anthropic", "anthropic", "anthropic/v1"),
    "gemini": ("google", "gemini", "gemini/v1beta"),
}
N = 6


class Ear:
    """Hears what a user would be told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.holds: list[float] = []
        self.final: list[bool] = []

    def attempted(self, measurement: Measurement, *, final: bool) -> None:
        self.final.append(final)

    def holding(self, seconds: float) -> None:
        self.holds.append(seconds)

    def told(self, line: str) -> None:
        self.lines.append(line)


def endpoint(url: str, name: str) -> Endpoint:
    provider, wire, path = PROVIDERS[name]
    quirks = load().providers[provider].quirks_of("m", wire)
    return Endpoint(
        target_id=f"{name}:m", base_url=f"{url}/{path}", wire=wire, model="m", key_ref="env:BATCH_KEY", quirks=quirks
    )


def asked(n: int = N) -> list[Request]:
    return [
        Request(
            request_id=f"{i:02d}{os.urandom(8).hex()}",
            request_key=f"key-{i}",
            messages=(Message(role="user", content=f"question number {i}"),),
            max_tokens=20,
            task="quick_add",
            doc_id=i,
        )
        for i in range(n)
    ]


def drive(
    url: str,
    name: str,
    results: Path,
    requests: list[Request],
    *,
    budget: Budget | None = None,
    ear: Ear | None = None,
    pace: Pace = PACE,
    terms: dict[str, int] | None = None,
) -> dict[str, Measurement]:
    """One session over the run in `results`, made if it isn't there; what is answered is not asked again."""
    found = runs.folders(results)
    api = load().providers[PROVIDERS[name][0]].batch
    assert api is not None
    with runs.reopen(found[0]) if found else runs.create(results, header()) as run:
        known = run.answers()
        answered = {key for key, m in known.items() if m.status in ANSWERED}
        missing = [_next(r, known.get(r.request_key)) for r in requests if r.request_key not in answered]
        batching = Batching(
            endpoint(url, name),
            run,
            api.model_copy(update=terms or {}),
            batch.api(api.api),
            budget=budget or Budget(max_usd=None, price=None),
            listener=ear or Ear(),
            pace=pace,
        )
        return asyncio.run(batching.ask_all(missing))


def _next(request: Request, last: Measurement | None) -> Request:
    """As every session of a run names its attempts."""
    return request if last is None else replace(request, attempt=last.attempt + 1, request_id=os.urandom(16).hex())


def child(url: str, name: str, results: str, ids: str, state: str, when: str) -> None:
    """What runs in the process that is killed: by itself, at the point it was told."""

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if state == "row":
        append, seen = runs.Run.append, [0]

        def appending(self: runs.Run, m: Measurement) -> None:
            append(self, m)
            seen[0] += 1
            if seen[0] == int(when):
                die()

        runs.Run.append = appending  # type: ignore[method-assign]
    elif state in ("look", "results"):
        module = batch.api(load().providers[PROVIDERS[name][0]].batch.api)  # type: ignore[union-attr]
        setattr(module, state, lambda *_: die())
    else:
        note = Batches.note

        def noting(self: Batches, tag: str, step: str, **facts: Any) -> None:
            if step == state and when == "before":
                die()
            note(self, tag, step, **facts)
            if step == state:
                die()

        Batches.note = noting  # type: ignore[method-assign]
    requests = [replace(r, request_id=i) for r, i in zip(asked(), ids.split(","), strict=True)]
    drive(url, name, Path(results), requests)
