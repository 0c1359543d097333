"""One quality run, from the question to the sealed folder; and several, one target after the other.

Nothing is asked that the run's journal already answers, so running the same question again is how one resumes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from bench import judge, runs
from bench.budget import Budget, cost_of, worst_usd
from bench.catalog import Catalog, Price, Target
from bench.catalog import suite as find_suite
from bench.catalog import target as find_target
from bench.engines.embedded.family import family
from bench.errors import BenchError, BudgetStop, ConfigError, EngineError, RequestError, RunError, nearest
from bench.items import items_file
from bench.items import tasks as own_tasks
from bench.judge import LoopThread, Question
from bench.records import ANSWERED, Endpoint, Measurement, Request
from bench.traffic import Patience, Traffic

DEFAULT_CONCURRENCY = 16
ABOUT_THE_QUESTION: frozenset[int] = frozenset({400, 413, 422})
"""HTTP statuses that refuse this question, whoever asks and whenever."""
ENGINE_GONE_S = 3.0


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a question is put; none of it changes which run it belongs to."""

    fresh: bool = False
    concurrency: int | None = None
    max_usd: Decimal | None = None
    allow_unknown_price: bool = False
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one run."""

    run_id: str | None
    """None when it ended before there was a folder."""
    target_id: str
    n_items: int = 0
    """Questions: items times repeats."""
    n_answered: int = 0
    n_replayed: int = 0
    n_attempts: int = 0
    """Requests sent this time."""
    spent_usd: Decimal | None = None
    """What the run has cost so far, earlier sessions included; None without an allowance."""
    elapsed_s: float = 0.0
    stop: BenchError | None = None
    """Why it ended early."""


class Watcher(Protocol):
    """Who is told how a run goes along; every method is called from the run's own threads."""

    def started(self, target_id: str, total: int, replayed: int) -> None: ...
    def attempted(self, measurement: Measurement, *, final: bool) -> None: ...
    def holding(self, seconds: float) -> None: ...
    def tick(self) -> None: ...
    def close(self) -> None: ...
    def ended(self, outcome: Outcome) -> None: ...


class TaskShelf:
    """The suite's lm-eval tasks, loaded once in a thread of their own while engines start and connections are made."""

    def __init__(self) -> None:
        self._loading: Future[dict[str, Any]] | None = None

    def begin(self, question: Question) -> None:
        if self._loading is None:
            pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bench-tasks")
            self._loading = pool.submit(
                judge.load_tasks, question.suite, repeats=question.repeats, items=question.items
            )
            pool.shutdown(wait=False)

    def tasks(self) -> dict[str, Any]:
        if self._loading is None:
            raise RuntimeError("tasks() before begin()")
        return self._loading.result()


def run(
    question: Question, results: Path, manner: Manner, watcher: Watcher, *, shelf: TaskShelf | None = None
) -> Outcome:
    """Ask `question` until every item has its answer; a finished run is only read, or judged again if parts are gone.

    What ends a run early (allowance, endpoint, full disk) is in the outcome, with the run kept. KeyboardInterrupt is
    raised once the run has been put into a resumable state. Raises EngineError or RunError where nothing was asked.
    """
    began = time.monotonic()
    question.suite.check_files()
    found = None if manner.fresh else runs.resumable(results, **_asked(question))
    price = _price(question.target, manner)
    spent_usd = _spent_usd(found, question, price) if manner.max_usd is not None else Decimal(0)
    means = _Means(manner, Budget(max_usd=manner.max_usd, price=price, spent_usd=spent_usd), watcher)
    if found is not None and runs.read_header(found).status == "finished" and runs.complete(found) is None:
        outcome = _untouched(question, found)
    else:
        outcome = _asked_of_the_endpoint(question, results, found, means, shelf or TaskShelf())
    told_usd = means.budget.spent_usd if manner.max_usd is not None else None
    outcome = replace(outcome, elapsed_s=time.monotonic() - began, spent_usd=told_usd)
    watcher.ended(outcome)
    return outcome


@dataclass(frozen=True)
class _Means:
    """What a run is made with."""

    manner: Manner
    budget: Budget
    watcher: Watcher


def _asked_of_the_endpoint(
    question: Question, results: Path, found: Path | None, means: _Means, shelf: TaskShelf
) -> Outcome:
    shelf.begin(question)
    price = means.budget.price
    with ExitStack() as stack:
        folder = stack.enter_context(
            runs.reopen(found) if found is not None else runs.create(results, header_of(question))
        )
        folder.write_prices({"prices": [price.model_dump(mode="json")] if price is not None else []})
        endpoint = stack.enter_context(borrowed(question.target, log=folder.path / "engine.log"))
        loop = stack.enter_context(LoopThread())
        asker = _FolderAsker(question, endpoint, folder, means, loop)
        stop = _judged(question, shelf, asker, folder)
    return Outcome(
        run_id=folder.header.run_id,
        target_id=question.target.id,
        n_items=asker.n_asked + asker.n_replayed,
        n_answered=asker.n_answered,
        n_replayed=asker.n_replayed,
        n_attempts=asker.n_attempts,
        stop=stop,
    )


def run_all(asked: Sequence[Question], results: Path, manner: Manner, watcher: Watcher) -> list[Outcome]:
    """One run after the other; with an allowance, all share it.

    An engine that does not start, or a folder that is locked, stops its own run and not the next ones.
    """
    for question in asked:
        _price(question.target, manner)  # an unknown price is refused before anything is spent on the others
    outcomes: list[Outcome] = []
    shelf = TaskShelf()
    left_usd = manner.max_usd
    for question in asked:
        try:
            outcome = run(question, results, replace(manner, max_usd=left_usd), watcher, shelf=shelf)
        except (EngineError, RunError) as error:
            outcome = Outcome(run_id=None, target_id=question.target.id, stop=error)
            watcher.ended(outcome)
        if left_usd is not None and outcome.spent_usd is not None:
            left_usd -= outcome.spent_usd
        outcomes.append(outcome)
        if isinstance(outcome.stop, BudgetStop):
            break
    return outcomes


def questions(
    suite: str,
    targets: Sequence[str] | None,
    *,
    catalog: Catalog,
    limit: int | None = None,
    repeats: int = 1,
    seed: int = 0,
    items: str = "frozen",
    to_be_asked: bool = True,
) -> list[Question]:
    """One question per target, everything checked before anything is asked; no targets = the embedded family.

    Unless they are `to_be_asked`, keys may be missing.
    """
    from bench.client import key_of

    found = find_suite(suite)
    for task in found.tasks:
        if task.name not in own_tasks():
            raise ConfigError(f"suite {suite!r}: no task is called {task.name!r}{nearest(task.name, own_tasks())}")
        items_file(task.name, items)
    names = targets or [f"embedded:{model.name}" for model in family()]
    wanted = [find_target(name, catalog) for name in dict.fromkeys(names)]
    for target in wanted:
        if to_be_asked and target.engine is None:
            key_of(target.endpoint())
    return [
        Question(
            suite=found,
            target=target,
            limit=limit,
            repeats=repeats,
            seed=seed,
            items=items,
            model=catalog.model_of(target),
        )
        for target in wanted
    ]


def warnings(target: Target) -> list[str]:
    """What would spoil a measurement of this target although it answers; nothing here stops one."""
    told = []
    if target.quirks.get("reasoning") == "always" and not target.options.reasoning_budget:
        told.append(
            f"{target.id} always thinks before it answers, and its thoughts count against the token cap: declare it in "
            "targets.toml with options = { reasoning_budget = 4000 }, or most answers will be cut off unscored"
        )
    if ends := target.quirks.get("ends"):
        told.append(f"{target.id} is retired by its provider on {ends}")
    return told


def header_of(question: Question) -> runs.Header:
    """Everything that says what was asked of whom, where and with what."""
    from bench import machine

    now = datetime.now(UTC)
    suite, target, here = question.suite, question.target, machine.describe()
    return runs.Header(
        run_id=runs.new_run_id(suite.name, target.id, now),
        kind="quality",
        suite=suite.name,
        suite_version=str(suite.version),
        target={**target.public(), "facts": question.model.model_dump(mode="json") if question.model else {}},
        machine=here,
        versions=here["packages"],
        git_sha=machine.git_sha(),
        started_at=now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        **_asked(question),
    )


def _asked(question: Question) -> dict[str, Any]:
    """What makes two runs the same run."""
    return {
        "suite_hash": question.suite.hash,
        "fingerprint": question.target.fingerprint(),
        "seed": question.seed,
        "repeats": question.repeats,
        "limit": question.limit,
        "items": question.items if question.items == "frozen" else f"{question.items}@{_items_hash(question)}",
    }


def _items_hash(question: Question) -> str:
    """Of all files of fresh items together: other items make another run."""
    digests = (sha256(items_file(task.name, question.items).read_bytes()).hexdigest() for task in question.suite.tasks)
    return sha256("".join(digests).encode()).hexdigest()[:16]


@contextmanager
def borrowed(target: Target, *, log: Path | None = None) -> Iterator[Endpoint]:
    """The target as an endpoint: rented ones as they are, local ones launched for the length of the block."""
    if target.engine is None:
        yield target.endpoint()
        return
    from bench.engines import serve

    with serve(target, log=log) as endpoint:
        yield endpoint


def _price(target: Target, manner: Manner) -> Price | None:
    from bench.price import price_under

    today = datetime.now(UTC).date()
    return price_under(target, manner.max_usd, when=today, allow_unknown=manner.allow_unknown_price)


def _untouched(question: Question, path: Path) -> Outcome:
    found = runs.read(path).answers()
    n_answered = sum(m.status in ANSWERED for m in found.values())
    return Outcome(
        run_id=path.name,
        target_id=question.target.id,
        n_items=len(found),
        n_answered=n_answered,
        n_replayed=len(found),
    )


def _spent_usd(path: Path | None, question: Question, price: Price | None) -> Decimal:
    """What the run has cost before now [$]; an attempt of unknown cost is taken at the most it can have cost."""
    if path is None or price is None:
        return Decimal(0)
    caps = {task.name: judge.token_cap(question.target, task.max_gen_toks) for task in question.suite.tasks}
    attempts = runs.measurements(runs.read_requests(path)[0])
    worst = ((m, worst_usd(m.prompt or "", caps.get(m.task or "", 0), price)) for m in attempts)
    return sum((cost_of(m, price, unknown=unknown) for m, unknown in worst), Decimal(0))


def _judged(question: Question, shelf: TaskShelf, asker: _FolderAsker, folder: runs.Run) -> BenchError | None:
    """Judge into the folder and close it; what stopped the run early, or None."""
    from bench.stats import scores

    try:
        samples = judge.judge(question, shelf.tasks(), asker)
        folder.write_samples(samples)
        folder.write_scores(scores(samples, question.suite))
        if asker.unanswered:
            folder.interrupt()
            return asker.unanswered_error()
        folder.finish()
    except (BudgetStop, RequestError, RunError) as stop:
        folder.interrupt()
        return stop
    except BaseException:
        folder.interrupt()
        raise
    return None


class _FolderAsker(judge.Asker):
    """Replays what the folder has, sends the rest, and writes everything down on the way."""

    def __init__(
        self, question: Question, endpoint: Endpoint, folder: runs.Run, means: _Means, loop: LoopThread
    ) -> None:
        self._question, self._endpoint, self._folder = question, endpoint, folder
        self._means, self._loop = means, loop
        self.n_asked = self.n_replayed = self.n_attempts = self.n_answered = 0
        self.unanswered: list[Measurement] = []

    def ask(self, requests: Sequence[Request]) -> dict[str, Measurement]:
        known = self._folder.answers()
        served = any(m.status in ANSWERED for m in known.values())  # else even a 400 may be about us, not the question
        replayed = {
            r.request_key: known[r.request_key] for r in requests if served and _counts(known.get(r.request_key))
        }
        missing = [
            replace(r, attempt=known[r.request_key].attempt + 1) if r.request_key in known else r
            for r in requests
            if r.request_key not in replayed
        ]
        self.n_replayed, self.n_asked = len(requests) - len(missing), len(missing)
        self._means.watcher.started(self._question.target.id, len(requests), self.n_replayed)
        answered = self._loop.call(self._send(missing)) if missing else {}
        found = replayed | answered
        self.n_answered = sum(m.status in ANSWERED for m in found.values())
        self.unanswered = [m for m in answered.values() if not self.n_answered or not _counts(m)]
        return found

    async def _send(self, requests: Sequence[Request]) -> dict[str, Measurement]:
        from bench.client import Client

        manner = self._means.manner
        concurrency = manner.concurrency or self._question.target.options.concurrency or DEFAULT_CONCURRENCY
        async with Client(self._endpoint, run_id=self._folder.header.run_id) as client:
            traffic = Traffic(
                client,
                self._folder,
                concurrency=concurrency,
                patience=self._patience(),
                budget=self._means.budget,
                listener=self,
            )
            heart = asyncio.create_task(self._beat())
            try:
                return await traffic.ask_all(requests)
            finally:
                heart.cancel()

    def _patience(self) -> Patience:
        """An engine of our own that refuses connections is dead, and stays so."""
        patience = self._means.manner.patience
        if self._question.target.engine is None:
            return patience
        return replace(patience, unreachable_s=min(patience.unreachable_s, ENGINE_GONE_S))

    async def _beat(self) -> None:
        """A sign of life, however long the first answer takes."""
        while True:
            await asyncio.sleep(1)
            self._means.watcher.tick()

    def attempted(self, measurement: Measurement, *, final: bool) -> None:
        self.n_attempts += 1
        self._means.watcher.attempted(measurement, final=final)

    def holding(self, seconds: float) -> None:
        self._means.watcher.holding(seconds)

    def unanswered_error(self) -> EngineError:
        first = self.unanswered[0]
        return EngineError(
            f"{first.target_id}: {len(self.unanswered)} of {self.n_asked} requests got no answer "
            f"(the first: {first.status}: {first.error}); run the same command to ask only those again"
        )


def _counts(measurement: Measurement | None) -> bool:
    """Answered, or refused because of the question itself: asking again would change nothing."""
    return measurement is not None and (measurement.status in ANSWERED or measurement.http_status in ABOUT_THE_QUESTION)
