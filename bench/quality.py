"""One quality run, from the question to the sealed folder; and several, one target after the other.

Nothing is asked that the run's journal already answers, so running the same question again is how one resumes.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, cast, get_args

from bench import batch, judge, ledger, runs
from bench.batch import Pace
from bench.budget import Budget, asked
from bench.catalog import Catalog, Target, load
from bench.catalog import suite as find_suite
from bench.catalog import target as find_target
from bench.engines.embedded.family import family
from bench.errors import (
    BenchError,
    BudgetStop,
    ConfigError,
    EngineError,
    RequestError,
    RunError,
    TooLong,
    meant_status,
    nearest,
)
from bench.items import items_file
from bench.items import tasks as own_tasks
from bench.judge import LoopThread, Question
from bench.price import Tariff, tariff_for, tariff_under
from bench.records import ANSWERED, Endpoint, Measurement, Request, Sample
from bench.runs.folder import read_price_rows
from bench.throttle import Lost, Throttle
from bench.traffic import Patience, Traffic

DEFAULT_CONCURRENCY = 16
ABOUT_THE_QUESTION: frozenset[int] = frozenset({400, 413, 422})
"""HTTP statuses that refuse this question, whoever asks and whenever."""
ENGINE_GONE_S = 3.0
Mode = Literal["stream", "batch"]
"""`batch`: handed over to the provider in bulk, at its price for that, and without latencies."""


class Spent(NamedTuple):
    """What a run has cost."""

    usd: Decimal = Decimal(0)
    tokens: int = 0


NOTHING = Spent()


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a question is put; none of it changes which run it belongs to."""

    fresh: bool = False
    concurrency: int | None = None
    max_usd: Decimal | None = None
    max_tokens: int | None = None
    """Input and output tokens of everything that is asked, not of one answer."""
    elsewhere: Spent = NOTHING
    """What other runs of the same command have taken of these two."""
    allow_unknown_price: bool = False
    patience: Patience = field(default_factory=Patience)
    mode: Mode = "stream"
    pace: Pace = field(default_factory=Pace)
    """How batches are waited for."""


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
    spent_tokens: int | None = None
    """The same in tokens, input and output."""
    elapsed_s: float = 0.0
    stop: BenchError | None = None
    """Why it ended early."""
    limits: Lost | None = None
    """What the target's limits cost this time; None where nothing was asked."""
    n_too_long: int = 0
    """Questions that do not fit the target."""
    context_tokens: int | None = None
    """What fits, where the target said so."""
    models: Mapping[str, int] = field(default_factory=dict)
    """Answers by the model that the server says gave them; the empty name where it did not say."""
    hosts: Mapping[str, int] = field(default_factory=dict)
    """The same by the host that a router names."""


class Watcher(Protocol):
    """Who is told how a run goes along; every method is called from the run's own threads."""

    def started(self, target_id: str, total: int, replayed: int) -> None: ...
    def attempted(self, measurement: Measurement, *, final: bool) -> None: ...
    def holding(self, seconds: float) -> None: ...
    def told(self, line: str) -> None: ...
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
    found = None if manner.fresh else runs.resumable(results, **asked_of(question))
    _check_mode(question, manner, found)
    means = _Means(manner, _budget(question, manner), watcher)
    if found is not None and runs.read_header(found).status == "finished" and runs.complete(found) is None:
        if limited(manner):
            means.budget.book = _ledger(found, question).book
        outcome = _untouched(question, found)
    else:
        outcome = _asked_of_the_endpoint(question, results, found, means, shelf or TaskShelf())
    if limited(manner):
        outcome = replace(outcome, spent_usd=means.budget.spent_usd, spent_tokens=means.budget.spent_tokens)
    outcome = replace(outcome, elapsed_s=time.monotonic() - began)
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
    with ExitStack() as stack:
        folder = stack.enter_context(
            runs.reopen(found) if found is not None else runs.create(results, header_of(question))
        )
        if limited(means.manner) and found is not None:  # after `reopen`, which gives lost attempts their rows
            means.budget.book = _ledger(found, question).book
        prices = _note_prices(folder, means.budget.tariff)
        endpoint = stack.enter_context(borrowed(question.target, log=folder.path / "engine.log"))
        loop = stack.enter_context(LoopThread())
        asker = _FolderAsker(question, endpoint, folder, means, loop, results=results, prices=prices)
        stop = _judged(question, shelf, asker, folder)
    return Outcome(
        run_id=folder.header.run_id,
        target_id=question.target.id,
        n_items=asker.n_asked + asker.n_replayed,
        n_answered=asker.n_answered,
        n_replayed=asker.n_replayed,
        n_attempts=asker.n_attempts,
        stop=stop,
        limits=asker.limits,
        **asker.noticed,
    )


def run_all(asked: Sequence[Question], results: Path, manner: Manner, watcher: Watcher) -> list[Outcome]:
    """One run after the other; with an allowance, all share it.

    An engine that does not start, or a folder that is locked, stops its own run and not the next ones.
    """
    for question in asked:
        _check_mode(question, manner, None)
        _tariff(question.target, manner)  # an unknown price is refused before anything is spent on the others
    outcomes: list[Outcome] = []
    shelf = TaskShelf()
    spent = [_spent(question, results, manner) for question in asked]
    for i, question in enumerate(asked):
        others = [told for told, other in zip(spent, asked, strict=True) if asked_of(other) != asked_of(question)]
        elsewhere = Spent(sum((other.usd for other in others), Decimal(0)), sum(other.tokens for other in others))
        try:
            outcome = run(question, results, replace(manner, elsewhere=elsewhere), watcher, shelf=shelf)
        except (EngineError, RunError) as error:
            outcome = Outcome(run_id=None, target_id=question.target.id, stop=error)
            watcher.ended(outcome)
        spent[i] = Spent(outcome.spent_usd or spent[i].usd, outcome.spent_tokens or spent[i].tokens)
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
        **asked_of(question),
    )


def asked_of(question: Question) -> dict[str, Any]:
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


def limited(manner: Manner) -> bool:
    """Whether there is an allowance."""
    return manner.max_usd is not None or manner.max_tokens is not None


def mode_named(name: str) -> Mode:
    """What is typed after `--mode`; ConfigError for anything else."""
    for mode in get_args(Mode):
        if name == mode:
            return cast(Mode, mode)
    raise ConfigError(f"--mode {name}{nearest(name, get_args(Mode))}")


def _check_mode(question: Question, manner: Manner, found: Path | None) -> None:
    """ConfigError where there is no batch API, or where questions would be asked that a batch may be answering."""
    if manner.mode == "batch":
        batch.terms_of(question.target, load())
    elif found is not None and (open_ones := runs.unsettled(found)):
        n = sum(len(each.requests) for each in open_ones)
        raise ConfigError(
            f"{found.name}: {n} of its requests are in a batch at the provider; go on with --mode batch, or start "
            "another run with --fresh"
        )


def _tariff(target: Target, manner: Manner) -> Tariff | None:
    """In batches everything has the batch tier's price; where none is known the standard one, rather too high."""
    now = datetime.now(UTC)
    standard = tariff_under(target, manner.max_usd, when=now, allow_unknown=manner.allow_unknown_price)
    if manner.mode == "stream" or standard is None:
        return standard
    steps = [step for step in (tariff_for(target, now, tier="batch") or standard).steps if step.tier is None]
    return Tariff(steps=(*steps, *(step._replace(tier="batch") for step in steps)))


def _budget(question: Question, manner: Manner) -> Budget:
    """What this run may still take, others of the command counted; nothing spent yet."""
    return Budget(
        max_usd=None if manner.max_usd is None else manner.max_usd - manner.elsewhere.usd,
        max_tokens=None if manner.max_tokens is None else manner.max_tokens - manner.elsewhere.tokens,
        price=_tariff(question.target, manner),
    )


def _ledger(path: Path, question: Question) -> ledger.Ledger:
    caps = {task.name: judge.token_cap(question.target, task.max_gen_toks) for task in question.suite.tasks}
    return ledger.read(path, caps)


def _spent(question: Question, results: Path, manner: Manner) -> Spent:
    """What the run that would be resumed has cost; a damaged one says so when its turn comes."""
    if not limited(manner) or manner.fresh:
        return Spent()
    try:
        found = runs.resumable(results, **asked_of(question))
        book = _ledger(found, question).book if found is not None else None
    except RunError:
        return Spent()
    return Spent() if book is None else Spent(book.usd, book.tokens)


def _note_prices(folder: runs.Run, tariff: Tariff | None) -> list[dict[str, Any]]:
    """The prices of this session, added to those of earlier ones in prices.json with the instant they hold from."""
    rows = tariff.rows() if tariff is not None else []
    before = read_price_rows(folder.path)
    used_from = before[-1].get("used_from") if before else None
    if [{**row, "used_from": used_from} for row in rows] != before[-len(rows) :]:
        used_from = ledger.now()
        before += [{**row, "used_from": used_from} for row in rows]
    folder.write_prices({"prices": before})
    return rows


def _untouched(question: Question, path: Path) -> Outcome:
    found = runs.read(path).answers()
    n_answered = sum(m.status in ANSWERED for m in found.values())
    return Outcome(
        run_id=path.name,
        target_id=question.target.id,
        n_items=len(found),
        n_answered=n_answered,
        n_replayed=len(found),
        **_noticed(found.values()),
    )


def _noticed(found: Iterable[Measurement]) -> dict[str, Any]:
    """What the answers show of the target: what does not fit it, which models and which hosts they came from."""
    limits, models, hosts = [], Counter[str](), Counter[str]()
    for m in found:
        if (limit := TooLong.limit_of(m.error)) is not None:
            limits.append(limit)
        if m.status in ANSWERED:
            models[m.response_model or ""] += 1
            hosts[m.routed_provider or ""] += 1
    context_tokens = min(filter(None, limits), default=None)
    return {"n_too_long": len(limits), "context_tokens": context_tokens, "models": +models, "hosts": +hosts}


def _judged(question: Question, shelf: TaskShelf, asker: _FolderAsker, folder: runs.Run) -> BenchError | None:
    """Judge into the folder and close it; what stopped the run early, or None."""
    from bench.stats import scores

    try:
        samples = [asker.explained(sample) for sample in judge.judge(question, shelf.tasks(), asker)]
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
        self,
        question: Question,
        endpoint: Endpoint,
        folder: runs.Run,
        means: _Means,
        loop: LoopThread,
        *,
        results: Path,
        prices: list[dict[str, Any]],
    ) -> None:
        self._question, self._endpoint, self._folder = question, endpoint, folder
        self._means, self._loop, self._results, self._prices = means, loop, results, prices
        self.n_asked = self.n_replayed = self.n_attempts = self.n_answered = 0
        self.unanswered: list[Measurement] = []
        self.limits: Lost | None = None
        self.noticed: dict[str, Any] = {}
        self._too_long: dict[str, str] = {}

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
        if missing:
            self._open_session(missing, known)
        self._means.watcher.started(self._question.target.id, len(requests), self.n_replayed)
        send = self._send_in_batches if self._means.manner.mode == "batch" else self._send
        answered = self._loop.call(send(missing)) if missing else {}
        found = replayed | answered
        self.n_answered = sum(m.status in ANSWERED for m in found.values())
        self.unanswered = [m for m in answered.values() if not self.n_answered or not _counts(m)]
        self.noticed = _noticed(found.values())
        self._too_long = {m.request_id: str(m.error) for m in found.values() if TooLong.limit_of(m.error) is not None}
        return found

    def _open_session(self, missing: Sequence[Request], known: Mapping[str, Measurement]) -> None:
        """Write down what is about to be asked under which allowance, and say what it will likely take."""
        manner, budget = self._means.manner, self._means.budget
        guess = None
        if limited(manner) or budget.tariff is not None:
            from bench import plan

            guess = plan.estimate(
                self._question,
                self._results,
                [(request.task or "", asked(request)) for request in missing],
                budget.tariff,
                earlier=known.values(),
                run_id=self._folder.header.run_id,
            )
        ledger.record(
            self._folder.path,
            ledger.Session(
                started_at=ledger.now(),
                first_attempt=runs.read_requests(self._folder.path)[0].num_rows,
                max_usd=manner.max_usd,
                max_tokens=manner.max_tokens,
                elsewhere_usd=manner.elsewhere.usd,
                elsewhere_tokens=manner.elsewhere.tokens,
                estimate=guess.as_dict() if guess is not None else {},
                prices=tuple(self._prices),
            ),
        )
        if guess is not None:
            left_usd = None if budget.max_usd is None else budget.max_usd - budget.spent_usd
            left_tokens = None if budget.max_tokens is None else budget.max_tokens - budget.spent_tokens
            for line in (guess.line(), guess.over(left_usd, left_tokens)):
                if line is not None:
                    self._means.watcher.told(f"{self._question.target.id}: {line}")

    async def _send(self, requests: Sequence[Request]) -> dict[str, Measurement]:
        from bench.client import Client

        manner = self._means.manner
        concurrency = manner.concurrency or self._question.target.options.concurrency or DEFAULT_CONCURRENCY
        async with Client(self._endpoint, run_id=self._folder.header.run_id) as client:
            traffic = Traffic(
                client,
                _Reserved(self._folder, self._means.budget),
                concurrency=concurrency,
                patience=self._patience(),
                budget=self._means.budget,
                listener=self,
                throttle=Throttle(asked=concurrency, note=lambda change: self._folder.note(asdict(change))),
            )
            heart = asyncio.create_task(self._beat())
            try:
                return await traffic.ask_all(requests)
            finally:
                heart.cancel()
                self.limits = traffic.throttle.lost

    async def _send_in_batches(self, requests: Sequence[Request]) -> dict[str, Measurement]:
        from bench.batch.driver import Batching

        terms = batch.terms_of(self._question.target, load())
        batching = Batching(
            self._endpoint,
            self._folder,
            terms,
            batch.api(terms.api),
            budget=self._means.budget,
            listener=self,
            pace=self._means.manner.pace,
        )
        heart = asyncio.create_task(self._beat())
        try:
            return await batching.ask_all(requests)
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

    def told(self, line: str) -> None:
        self._means.watcher.told(line)

    def explained(self, sample: Sample) -> Sample:
        """A sample of a question that does not fit says so."""
        why = self._too_long.get(sample.request_id or "")
        return sample if why is None else replace(sample, reason=why)

    def unanswered_error(self) -> EngineError:
        first = self.unanswered[0]
        return EngineError(
            f"{first.target_id}: {len(self.unanswered)} of {self.n_asked} requests got no answer "
            f"(the first: {first.status}: {first.error}); run the same command to ask only those again"
        )


class _Reserved:
    """The folder as a journal whose rows say what was reserved for them."""

    def __init__(self, folder: runs.Run, budget: Budget) -> None:
        self._folder, self._budget = folder, budget

    def announce(self, request: Request) -> None:
        ask = asked(request)
        self._folder.announce(request, asked_in_tokens=ask.in_tokens, asked_out_tokens=ask.out_tokens)

    def append(self, measurement: Measurement) -> None:
        ask = self._budget.asked(measurement.request_id)
        if ask is not None:
            measurement = replace(measurement, asked_in_tokens=ask.in_tokens, asked_out_tokens=ask.out_tokens)
        self._folder.append(measurement)


def _counts(measurement: Measurement | None) -> bool:
    """Answered, or refused because of the question itself: asking again would change nothing."""
    if measurement is None or measurement.status in ANSWERED:
        return measurement is not None
    status = meant_status(measurement.http_status, measurement.error)
    return status in ABOUT_THE_QUESTION or TooLong.limit_of(measurement.error) is not None
