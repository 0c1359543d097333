"""Quality traffic's judge: drives lm-eval through our client, so one request yields answer, score and stamps.

lm-eval builds the prompts and calls the scorers; it never opens a socket, never retries and never aggregates for us.
`evaluate` is called rather than `simple_evaluate`: the latter also seeds the caller's global random generators and
collects the environment of a torch that is not installed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from bench.errors import JudgeError
from bench.items.dice import Dice
from bench.items.files import tasks_dir
from bench.records import ANSWERED, Kind, Measurement, Message, Reply, Request, Sample
from bench.scoring.states import visible_text

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

    from bench.catalog import Model, Suite, SuiteTask, Target

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of whom: two runs with equal questions are the same run."""

    suite: Suite
    target: Target
    limit: int | None = None
    """Items per task, drawn evenly over the levels; None = what the suite says."""
    repeats: int = 1
    seed: int = 0
    """Draws the items under a limit. Repeats are sent with this seed, plus 1, plus 2 …"""
    items: str = "frozen"
    model: Model | None = None
    """What the catalogue knows of the model behind the target; told to the run, never part of what is asked."""


class Chat(str):
    """A rendered prompt that still carries its messages; as a string it is their JSON."""

    messages: tuple[Message, ...]

    def __new__(cls, messages: Sequence[Mapping[str, str]]) -> Chat:
        self = super().__new__(cls, json.dumps(list(messages), ensure_ascii=False))
        self.messages = tuple(Message(role=m["role"], content=m["content"]) for m in messages)  # type: ignore[arg-type]
        return self


class Asker:
    """Asks a list of requests and returns the attempt that counts for each, from whatever loop it runs in."""

    def ask(self, requests: Sequence[Request]) -> dict[str, Measurement]:
        raise NotImplementedError


# ---------------------------------------------------------------------------------------------------- loading tasks


def load_tasks(suite: Suite, *, repeats: int = 1, items: str = "frozen") -> dict[str, Any]:
    """The suite's tasks as lm-eval objects, in the suite's order.

    lm-eval skips a broken YAML without a word, so what was loaded is compared with what was wanted.
    """
    with _quiet():
        from lm_eval.tasks import TaskManager

        wanted = [task.name for task in suite.tasks]
        metadata: dict[str, Any] = {"items": items}
        if items == "frozen":
            metadata["files"] = {task.name: str(tasks_dir() / task.items) for task in suite.tasks}
            metadata["sha256_of"] = {task.name: task.sha256 for task in suite.tasks}
        manager = TaskManager(include_path=str(tasks_dir()), include_defaults=False, metadata=metadata)
        missing = [name for name in wanted if name not in manager.all_tasks]
        if missing:
            raise JudgeError(
                f"suite {suite.name}@{suite.version}: lm-eval did not load {', '.join(missing)} from {tasks_dir()}; "
                "their YAML is missing or broken"
            )
        loaded: dict[str, Any] = manager.load(wanted)["tasks"]
    for task in loaded.values():
        if task.get_config("num_fewshot") is None:
            task.set_config(key="num_fewshot", value=0)
        task.set_config(key="repeats", value=repeats)
        task.set_fewshot_seed(seed=0)
    return {name: loaded[name] for name in wanted}


@contextmanager
def _quiet() -> Iterator[None]:
    """lm-eval talks through logging and progress bars; ours are the ones the user sees."""
    import os

    for name in ("lm_eval", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)
    before = os.environ.get("TQDM_DISABLE")
    os.environ["TQDM_DISABLE"] = "1"
    try:
        yield
    finally:
        os.environ.pop("TQDM_DISABLE") if before is None else os.environ.update(TQDM_DISABLE=before)


# -------------------------------------------------------------------------------------------------- choosing items


def chosen_items(question: Question, tasks: Mapping[str, Any]) -> dict[str, frozenset[int]]:
    """Numbers of the items that are asked, per task."""
    return {
        task.name: sample_items(
            task, [int(doc["level"]) for doc in tasks[task.name].eval_docs], question.limit, question.seed
        )
        for task in question.suite.tasks
    }


def sample_items(task: SuiteTask, levels: Sequence[int], limit: int | None, seed: int) -> frozenset[int]:
    """Positions in `levels` (the level of every item of the file) that a run with this limit asks.

    Each level gives its share in a seeded random order, so that a small sample is not an easier one.
    """
    size = min(n for n in (len(levels), limit, None if task.sample == "all" else task.sample) if n is not None)
    dice = Dice(f"sample/{task.name}/{seed}")
    piles = [dice.shuffled([i for i, at in enumerate(levels) if at == level]) for level in sorted(set(levels))]
    order = [pile[depth] for depth in range(max(map(len, piles), default=0)) for pile in piles if depth < len(pile)]
    return frozenset(order[:size])


# ------------------------------------------------------------------------------------------------------- rendering


def request_key(fingerprint: str, prompt: str, arguments: Mapping[str, Any], repeat: int) -> str:
    """The name of a question: the same words to the same target under the same arguments, the k-th time."""
    text = json.dumps([fingerprint, prompt, arguments, repeat], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def render(
    question: Question, prompt: str, arguments: Mapping[str, Any], *, task: str, doc_id: int, repeat: int, kind: Kind
) -> Request:
    """One lm-eval instance as a request of ours. `until` is never sent: a stop string can fire inside a thought."""
    target = question.target
    cap = _cap(question, task, arguments)
    options = target.options
    first = options.seed if options.seed is not None else (question.seed if question.repeats > 1 else None)
    seed = None if first is None else first + repeat
    sent: dict[str, Any] = {
        "max_tokens": cap,
        "temperature": options.temperature,
        "seed": seed,
        "extra": dict(options.extra),
    }
    if options.reasoning_effort is not None:  # what is not asked for leaves no trace in a question's name
        sent["effort"] = options.reasoning_effort
    chat = isinstance(prompt, Chat) and target.wire != "openai_completions"
    return Request(
        request_id=uuid4().hex,
        request_key=request_key(target.fingerprint(), str(prompt), sent, repeat),
        kind=kind,
        messages=prompt.messages if isinstance(prompt, Chat) and chat else None,
        prompt=None if chat else _plain(prompt),
        max_tokens=cap,
        temperature=options.temperature,
        seed=seed,
        effort=options.reasoning_effort,
        thinking_tokens=options.reasoning_budget or None,
        extra=options.extra,
        task=task,
        doc_id=doc_id,
        repeat=repeat,
    )


def _cap(question: Question, task: str, arguments: Mapping[str, Any]) -> int:
    declared = next(t.max_gen_toks for t in question.suite.tasks if t.name == task)
    return token_cap(question.target, min(declared, arguments.get("max_gen_toks", declared)))


def token_cap(target: Target, visible: int) -> int:
    """Visible-answer cap of a task, lowered by the target's own, plus the target's declared thinking."""
    return min(visible, target.options.max_tokens or visible) + (target.options.reasoning_budget or 0)


def _plain(prompt: str) -> str:
    return prompt.messages[-1].content if isinstance(prompt, Chat) else str(prompt)


def reply(measurement: Measurement | None, *, until: Sequence[str], first_line: bool) -> Reply:
    """What the scorer gets to see of an attempt; cuts at `until` here, in the visible text only."""
    if measurement is None:
        return Reply("", status="cancelled", finish_reason=None)
    if measurement.status not in ANSWERED:
        return Reply("", status=measurement.status, finish_reason=None, request_id=measurement.request_id)
    text, unclosed = visible_text(measurement.answer or "")
    for stop in (*until, *(("\n",) if first_line else ())):
        text = text.lstrip("\n").split(stop, 1)[0] if stop == "\n" else text.split(stop, 1)[0]
    return Reply(
        text,
        status=measurement.status,
        finish_reason=measurement.finish_reason,
        request_id=measurement.request_id,
        unclosed_thought=unclosed,
    )


# -------------------------------------------------------------------------------------------------------- judging


def judge(question: Question, tasks: Mapping[str, Any], asker: Asker) -> list[Sample]:
    """Ask and grade everything; one Sample per item, repeat and metric. Nothing is asked that `asker` already has."""
    with _quiet():
        from lm_eval.evaluator import evaluate

        chosen = chosen_items(question, tasks)
        found = evaluate(
            lm=_bridge(question, chosen, asker),
            task_dict={"tasks": dict(tasks), "groups": {}},
            bootstrap_iters=0,
            apply_chat_template=True,
            log_samples=True,
        )
    if found is None:
        raise JudgeError(f"lm-eval returned nothing for suite {question.suite.name}")
    return [
        sample
        for declared in question.suite.tasks
        for row in found["samples"][declared.name]
        if row["doc_id"] in chosen[declared.name]
        for sample in _samples(declared.name, row)
    ]


def _samples(task: str, row: Mapping[str, Any]) -> Iterator[Sample]:
    doc = row["doc"]
    for repeat, graded in enumerate(row["graded"]):
        for metric, value in (("acc", graded["value"]), ("acc_strict", graded["value_strict"])):
            yield Sample(
                task=task,
                doc_id=int(row["doc_id"]),
                item_id=str(doc["id"]),
                repeat=repeat,
                metric=metric,
                state=graded["state"],
                value=value,
                answer=graded["answer"],
                expected=graded["expected"],
                reason=graded["reason"],
                request_id=graded["request_id"],
                cluster=str(doc["cluster"]),
            )


def _bridge(question: Question, chosen: Mapping[str, frozenset[int]], asker: Asker) -> Any:
    """lm-eval's LM over our client. Made in a function because its base class comes from lm-eval, imported late."""
    from lm_eval.api.model import LM

    first_line = {task.name: task.first_line for task in question.suite.tasks}

    class Bridge(LM):  # type: ignore[misc]
        tokenizer_name = "messages"

        def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
            return Chat(chat_history)

        def generate_until(self, requests: list[Instance]) -> list[str]:
            slots: list[tuple[Instance, Request | None]] = []
            seen: dict[int, int] = {}
            for instance in requests:  # repeats are the same object, handed over several times in a row
                repeat = seen[id(instance)] = seen.get(id(instance), -1) + 1
                slots.append((instance, self._request(instance, repeat)))
            answers = asker.ask([request for _, request in slots if request is not None])
            return [self._reply(instance, request, answers) for instance, request in slots]

        def _request(self, instance: Instance, repeat: int) -> Request | None:
            task, doc_id = str(instance.task_name), int(instance.doc_id or 0)
            if doc_id not in chosen[task]:
                return None
            prompt, arguments = instance.args
            return render(question, prompt, arguments, task=task, doc_id=doc_id, repeat=repeat, kind="quality")

        def _reply(self, instance: Instance, request: Request | None, answers: Mapping[str, Measurement]) -> Reply:
            if request is None:
                return Reply("", status="cancelled", finish_reason=None)
            until = instance.args[1].get("until") or ()
            return reply(answers.get(request.request_key), until=until, first_line=first_line[str(instance.task_name)])

        def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
            raise JudgeError("log-likelihood tasks need a completions endpoint that echoes; this suite is generative")

        def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
            raise JudgeError("perplexity tasks need a completions endpoint that echoes; this suite is generative")

    return Bridge()


# --------------------------------------------------------------------------------------------------- thread and loop


class LoopThread:
    """An event loop in a thread of its own, so that judging works inside a notebook's running loop."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="bench-loop", daemon=True)

    def __enter__(self) -> LoopThread:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` there and wait for it; an interrupt here cancels it there first."""
        assert self._loop is not None
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            self._settle()
            raise

    def _settle(self) -> None:
        """Wait until cancelled work has closed its connections (5 s at most)."""

        async def others() -> None:
            rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            await asyncio.wait(rest, timeout=5) if rest else None

        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(others(), self._loop).result(timeout=6)

    def _run(self) -> None:
        from bench.client import new_event_loop

        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            self._loop = runner.get_loop()
            self._loop.call_soon(self._ready.set)
            self._loop.run_forever()
