"""The quick suite: right answers, fair scorers, and a training stream that has never seen it."""

import random
import re
import string
from collections import Counter
from itertools import pairwise

import pytest

from bench.items.draw import build, fingerprint
from bench.items.quick import TASKS, first_line, held_out, training_pairs

ITEMS = {task.name: build(task, "frozen-1") for task in TASKS}
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


@every_task
def test_prompts_are_short_and_of_the_small_alphabet(task):
    for item in ITEMS[task.name]:
        assert re.fullmatch(r"[a-z0-9 ()\[\]+\-=:,?\n]{1,40}\nAnswer:", item.prompt)
        assert len(item.prompt) <= 48
        assert len(item.target) <= 12
        assert item.tokens_in > 0


@every_task
def test_every_spelling_of_the_right_answer_scores_one(task):
    for item in ITEMS[task.name]:
        spellings = task.spellings(item)
        assert item.witness in spellings
        assert len(spellings) >= 3
        for text in spellings:
            assert task.grade(item, text).value == task.grade(item, text).value_strict == 1.0, (item.id, text)


@every_task
def test_every_near_miss_scores_zero(task):
    for item in ITEMS[task.name]:
        assert len(set(task.mutants(item))) >= 3
        for text in task.mutants(item):
            assert task.grade(item, text).value == 0.0, (item.id, text)


@every_task
def test_the_scorer_is_total_and_random_text_earns_nothing(task):
    dice = random.Random(1)
    rubbish = ["".join(dice.choices(string.printable + "…\u2028\x00", k=dice.randrange(40))) for _ in range(1000)]
    graded = [task.grade(ITEMS[task.name][i % 30], text) for i, text in enumerate(rubbish)]
    assert {g.state for g in graded} == {"scored"}
    assert sum(g.value for g in graded) <= 20
    assert all(g.reason == "no_answer" for g, text in zip(graded, rubbish, strict=True) if not text.strip())


@every_task
def test_guessing_the_commonest_answer_earns_no_more_than_the_stated_chance(task):
    commonest = Counter(item.target for item in ITEMS[task.name]).most_common(1)[0][1]
    assert commonest / 30 <= task.chance + 0.03 or commonest == 1


@every_task
def test_sizes_grow_with_levels_and_every_item_is_its_own_cluster(task):
    by_level = {level: {i.size for i in ITEMS[task.name] if i.level == level} for level in task.levels}
    assert all(max(low) < min(high) for low, high in pairwise(by_level.values()))
    assert set(Counter(item.cluster for item in ITEMS[task.name]).values()) == {1}


def test_the_answers_are_what_a_reader_works_out_by_hand():
    """One item of each task, solved on paper."""
    solved = {
        "copy: dje": "dje",
        "reverse: fuswy": "ywsuf",
        "sort: b l a r i": "abilr",
        "count g: aggzqgkklu": "3",
        "99+81=": "180",
        "98-77=": "21",
        "balanced? )(([()])": "no",
        "balanced? ()[()][]": "yes",
        "max: 86 10 66 29 95 21": "95",
    }
    asked = {item.prompt.removesuffix("\nAnswer:"): item.target for items in ITEMS.values() for item in items}
    assert {prompt: asked[prompt] for prompt in solved} == solved


def test_counts_are_balanced_and_half_the_brackets_close():
    assert set(Counter(i.target for i in ITEMS["quick_count"]).values()) <= {4, 5}
    for level in (1, 2, 3):
        answers = Counter(i.target for i in ITEMS["quick_brackets"] if i.level == level)
        assert answers == {"yes": 5, "no": 5}


def test_spoilt_brackets_hold_the_same_signs_as_some_balanced_string():
    for item in ITEMS["quick_brackets"]:
        signs = Counter(item.prompt)
        assert signs["("] == signs[")"]
        assert signs["["] == signs["]"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [("42", "42"), (" 42\n43", "42"), ("Answer: 42", "42"), ("\n\nYes\n", "yes"), ("answer:42", "42"), ("", "")],
)
def test_the_first_line_is_the_answer(text, answer):
    assert first_line(text) == answer


def test_letters_may_be_spaced_or_separated_by_commas():
    task, item = next((t, ITEMS[t.name][0]) for t in TASKS if t.name == "quick_sort")
    assert item.target == "arx"
    assert [task.grade(item, text).value for text in ("a r x", "a, r, x", "a-r-x")] == [1.0, 1.0, 0.0]


def test_no_question_of_the_suite_is_among_a_hundred_thousand_training_draws():
    suite = held_out()
    assert len(suite) == 240
    assert not any(fingerprint(prompt) in suite for _, prompt, _, _ in training_pairs("train-test", 100_000, suite))


def test_without_the_filter_training_would_have_seen_some():
    assert any(fingerprint(prompt) in held_out() for _, prompt, _, _ in training_pairs("train-test", 2000, frozenset()))


def test_training_never_draws_from_a_suites_seed():
    with pytest.raises(ValueError, match="train-"):
        next(training_pairs("frozen-1", 1, frozenset()))


def test_training_covers_every_cell_it_is_asked_for_and_keeps_yes_and_no_alike():
    drawn = list(training_pairs("train-test", 6000, held_out()))
    assert {(task, level) for task, _, _, level in drawn} == {(t.name, level) for t in TASKS for level in t.levels}
    answers = Counter(answer for task, _, answer, level in drawn if task == "quick_brackets" and level == 1)
    assert 0.35 < answers["yes"] / answers.total() < 0.65
    only = list(training_pairs("train-test", 50, held_out(), [("quick_add", 2)]))
    assert {(task, level) for task, _, _, level in only} == {("quick_add", 2)}
