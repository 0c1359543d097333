import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from bench.catalog import suite as find_suite
from bench.catalog import target as find_target
from bench.errors import JudgeError
from bench.items.files import tasks_dir
from bench.judge import Asker, Chat, LoopThread, Question, judge, load_tasks, render, reply, request_key, sample_items
from bench.records import Measurement, Message, Request


def question(**more: object) -> Question:
    target = find_target("http://127.0.0.1:9/v1#m")
    return Question(suite=find_suite("quick"), target=target, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def quick_tasks() -> dict:
    return load_tasks(find_suite("quick"))


class Answering(Asker):
    """Answers from a table of prompts, and remembers what it was asked."""

    def __init__(self, answers: dict[str, str], **more: object) -> None:
        self.answers, self.more, self.asked = answers, more, []

    def ask(self, requests: Sequence[Request]) -> dict[str, Measurement]:
        self.asked += requests
        return {r.request_key: self._measure(r) for r in requests}

    def _measure(self, request: Request) -> Measurement:
        text = self.answers.get(request.messages[0].content, "") if request.messages else ""
        fields = {"status": "ok", "answer": text, "finish_reason": "stop", **self.more}
        return Measurement(
            request_id=request.request_id, request_key=request.request_key, target_id="m", kind="quality",
            repeat=request.repeat, started_at="2026-11-23T00:00:00.000000Z", **fields,
        )  # fmt: skip


def witnesses(tasks: dict) -> dict[str, str]:
    return {doc["prompt"]: doc["witness"] for task in tasks.values() for doc in task.eval_docs}


def test_right_answers_score_one_on_every_item_and_each_is_asked_once(quick_tasks: dict) -> None:
    asker = Answering(witnesses(quick_tasks))
    samples = [s for s in judge(question(), quick_tasks, asker) if s.metric == "acc"]
    assert len(samples) == len(asker.asked) == 240
    assert {(s.state, s.value) for s in samples} == {("scored", 1.0)}
    assert len({r.request_key for r in asker.asked}) == 240


def test_what_is_sent_is_the_prompt_of_the_frozen_file(quick_tasks: dict) -> None:
    asker = Answering({})
    judge(question(limit=1), quick_tasks, asker)
    prompts = {doc["prompt"] for task in quick_tasks.values() for doc in task.eval_docs}
    assert {r.messages for r in asker.asked} <= {(Message(role="user", content=p),) for p in prompts}


def test_a_failed_request_is_unscored_and_never_a_wrong_answer(quick_tasks: dict) -> None:
    asker = Answering({}, status="stream_cut", answer="4", finish_reason=None)
    samples = judge(question(limit=2), quick_tasks, asker)
    assert {(s.state, s.value) for s in samples} == {("unscored_error", None)}


def test_an_answer_cut_off_by_its_limit_is_truncated_unless_it_was_complete(quick_tasks: dict) -> None:
    lost = Answering({}, status="truncated", answer="", finish_reason="length")
    assert {s.state for s in judge(question(limit=1), quick_tasks, lost)} == {"unscored_truncated"}


def test_repeats_are_asked_and_scored_one_by_one() -> None:
    tasks = load_tasks(find_suite("quick"), repeats=3)
    asker = Answering(witnesses(tasks))
    samples = [s for s in judge(question(limit=2, repeats=3), tasks, asker) if s.metric == "acc"]
    assert len(asker.asked) == 8 * 2 * 3
    assert len({r.request_key for r in asker.asked}) == 8 * 2 * 3
    assert {s.repeat for s in samples} == {0, 1, 2}
    assert len(samples) == 48


def test_a_limit_draws_evenly_over_the_levels_and_depends_on_the_seed_only() -> None:
    declared = find_suite("quick").tasks[0]
    levels = [1, 2, 3] * 10
    first = sample_items(declared, levels, 6, seed=1)
    assert first == sample_items(declared, levels, 6, seed=1)
    assert first != sample_items(declared, levels, 6, seed=2)
    assert sorted(levels[i] for i in first) == [1, 1, 2, 2, 3, 3]
    assert sample_items(declared, levels, None, seed=1) == frozenset(range(30))


def test_a_suite_of_ones_own_asks_its_own_items(tmp_path: Path) -> None:
    mine = tmp_path / "mine.jsonl"
    lines = (tasks_dir() / "quick_add" / "frozen-1.jsonl").read_text().splitlines()[:2]
    mine.write_text("\n".join(lines) + "\n")
    suite = find_suite("quick")
    task = suite.tasks[[t.name for t in suite.tasks].index("quick_add")]
    own = task.model_copy(update={"items": str(mine), "sha256": sha256(mine.read_bytes()).hexdigest()})
    tasks = load_tasks(suite.model_copy(update={"tasks": [own]}))
    assert [doc["id"] for doc in tasks["quick_add"].eval_docs] == [json.loads(line)["id"] for line in lines]


def test_a_suite_whose_task_lm_eval_cannot_load_is_an_error_that_names_it() -> None:
    suite = find_suite("quick")
    renamed = suite.model_copy(update={"tasks": [suite.tasks[0].model_copy(update={"name": "quick_gone"})]})
    with pytest.raises(JudgeError, match="quick_gone"):
        load_tasks(renamed)


def test_the_key_of_a_question_changes_with_anything_that_could_change_the_answer() -> None:
    base = ("fingerprint", "prompt", {"max_tokens": 16}, 0)
    keys = {request_key(*base)}
    for i, other in enumerate(("other", "other", {"max_tokens": 17}, 1)):
        changed = list(base)
        changed[i] = other
        keys.add(request_key(*changed))  # type: ignore[arg-type]
    assert len(keys) == 5
    assert request_key(*base) in keys


def test_stop_strings_are_never_sent_and_a_thinking_budget_is_added_to_the_cap() -> None:
    target = find_target("http://127.0.0.1:9/v1#m")
    target = target.model_copy(update={"options": target.options.model_copy(update={"reasoning_budget": 1000})})
    asked = replace(question(), target=target)
    prompt = Chat([{"role": "user", "content": "copy: ab\nAnswer:"}])
    request = render(
        asked, prompt, {"until": ["\n"], "max_gen_toks": 16}, task="quick_copy", doc_id=0, repeat=0, kind="quality"
    )
    assert request.stop == ()
    assert request.max_tokens == 1016


def test_a_rendered_prompt_is_a_string_that_still_knows_its_messages() -> None:
    chat = Chat([{"role": "system", "content": "ü"}, {"role": "user", "content": "q"}])
    assert json.loads(chat)[0]["content"] == "ü"
    assert chat.messages[1] == Message(role="user", content="q")


@pytest.mark.parametrize(
    ("text", "until", "first_line", "seen"),
    [
        ("42\nnext", (), True, "42"),
        ("\n\n42\nnext", (), True, "42"),
        ("42\nnext", (), False, "42\nnext"),
        ("<think>7\n</think>\n42\nx", (), True, "42"),
        ("<think>7 and so on", (), True, ""),
        ("one. Question: two", ("Question:",), False, "one. "),
    ],
)
def test_what_the_scorer_sees(text: str, until: tuple[str, ...], first_line: bool, seen: str) -> None:
    measured = Answering({}, answer=text)._measure(Request(request_id="r", request_key="k", prompt="p"))
    assert reply(measured, until=until, first_line=first_line) == seen


def test_a_loop_of_its_own_works_inside_a_running_loop() -> None:
    import asyncio

    async def outer() -> int:
        async def inner() -> int:
            await asyncio.sleep(0)
            return 7

        with LoopThread() as loop:
            return loop.call(inner())

    assert asyncio.run(outer()) == 7
