"""Files of items: named, interleaved, never asking twice."""

from dataclasses import replace
from itertools import count

import pytest

from bench.items import Draft, Task
from bench.items.draw import build, draw, fingerprint, normalised
from bench.items.quick import TASKS

COPY = TASKS[0]


def stubborn(prompts):
    """A task whose generator says these prompts one after the other, whatever the dice."""
    said = iter(prompts)
    return replace(COPY, make=lambda dice, level, i: Draft(
        prompt=next(said), target="x", cluster="1/0", kind="line", size=1, witness="x"
    ))  # fmt: skip


def test_a_file_interleaves_its_levels_and_names_every_item():
    items = build(COPY, "frozen-1")
    assert [item.level for item in items[:7]] == [1, 2, 3, 1, 2, 3, 1]
    assert items[4].id == "quick_copy/frozen-1/2/001"
    assert len({item.id for item in items}) == len(items) == 30


def test_the_same_seed_gives_the_same_items_and_another_seed_others():
    assert build(COPY, "frozen-1") == build(COPY, "frozen-1")
    assert {i.prompt for i in build(COPY, "frozen-1")}.isdisjoint(i.prompt for i in build(COPY, "2026-12"))


def test_a_question_already_taken_is_drawn_again():
    taken = {normalised("A  b")}
    item = draw(stubborn(["a b", "A B", "c"]), "s", 1, 0, taken)
    assert item.prompt == "c"
    assert taken == {"a b", "c"}


def test_a_level_without_new_questions_is_an_error_not_an_endless_loop():
    with pytest.raises(AssertionError, match=r"quick_copy/1/s/1/0: no new prompt"):
        draw(stubborn("same" for _ in count()), "s", 1, 0, {"same"})


def test_spelling_of_blanks_and_case_does_not_make_a_new_question():
    assert fingerprint("Sort:  a B\n") == fingerprint("sort: a b")


def test_token_estimates_are_higher_for_digits():
    tokens = {t.name: build(t, "frozen-1")[2].tokens_in / len(build(t, "frozen-1")[2].prompt) for t in TASKS}
    assert tokens["quick_max"] > tokens["quick_copy"]


def test_every_draw_is_of_the_task_it_is_named_after():
    assert all(isinstance(task, Task) and build(task, "x")[0].task == task.name for task in TASKS)
