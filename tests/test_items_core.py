"""The core generators: solvers against hand-worked stories, sizes, and forty replies for each scorer."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from bench.items import core_hops, core_ledger, core_rewrite, items_file, read, tasks
from bench.items.core_hops import Hop, Puzzle
from bench.items.core_ledger import Event, Story
from bench.items.dice import Dice
from bench.items.draw import build, normalised
from bench.items.wordings import body_of
from bench.scoring.extract import grade
from bench.scoring.states import visible_text

CORE = ("core_hops", "core_ledger", "core_rewrite")

# (reply, scores leniently, scores strictly); {t} the right answer, {w} a wrong one of the same kind
REPLIES = [
    ("Answer: {t}", 1, 1),
    ("Answer: {t}\n\n", 1, 1),
    ("  Answer:   {t}  ", 1, 1),
    ("Let me see.\nAnswer: {w}\nNo.\nAnswer: {t}", 1, 1),
    ("<think>Answer: {w}</think>Answer: {t}", 1, 1),
    ("thought it over</think>\n\nAnswer: {t}", 1, 1),
    ("**Answer: {t}**", 1, 0),
    ("**Answer:** {t}", 1, 0),
    ("**Answer**: `{t}`", 1, 0),
    ("*Answer: {t}*", 1, 0),
    ("Answer: **{t}**", 1, 0),
    ("Answer: {t}.", 1, 0),
    ("Answer: {t}\n\nLet me know if you need more.", 1, 0),
    ("answer: {t}", 1, 0),
    ("ANSWER: {t}", 1, 0),
    ("Final answer: {t}", 1, 0),
    ("The final answer is {t}", 1, 0),
    ("> The answer is: {t}", 1, 0),
    ("# Answer\n\n{t}", 1, 0),
    ("Answer:\n{t}", 1, 0),
    ("Answer:\n- {t}", 1, 0),
    ("Answer = {t}", 1, 0),
    ("Answer is {t}", 1, 0),
    ("- Answer: {t}", 1, 0),
    ("```\nAnswer: {t}\n```", 1, 0),
    ("Answer: ```{t}```", 1, 0),
    ("Answer: $\\boxed{{{t}}}$", 1, 0),
    ("Thus \\boxed{{{t}}}.", 1, 0),
    ("\\[\\boxed{{\\text{{{t}}}}}\\]", 1, 0),
    ("Going through it, the answer is {t}. That was step 3.", 1, 0),
    ("Answer: “{t}”", 1, 0),
    ("Answer: <{t}>", 1, 0),
    ("Answer: ({t})", None, 0),  # a bracket is wrapping for numbers and names, but not a letter
    ("Answer：{t}", 1, 0),  # a full-width colon
    ("{t}", 1, 0),
    ("Answer: {w}", 0, 0),
    ("Answer: {t}\nAnswer: {w}", 0, 0),
    ("Answer: {t} or {w}", 0, 0),
    ("Answer: not {t}", 0, 0),
    ("Answer: {t} {w}", 0, 0),
    ("Answer: between {w} and {t}", 0, 0),
    ("Answer: unknown", 0, 0),
    ("Answer:", 0, 0),
    ("", 0, 0),
    ("<think>Answer: {t}", 0, 0),
    ("{t} was my first idea, but it cannot be determined.", 0, 0),
    ("Answer: {t}\nI am sure the answer is {w}", 1, 0),  # a line of the asked form goes before prose
    ("It is one of {t} and {w}.", 0, 0),
]


@pytest.mark.parametrize("name", CORE)
@pytest.mark.parametrize(("reply", "lenient", "strict"), REPLIES)
def test_each_scorer_reads_these_replies(name, reply, lenient, strict):
    item = read(items_file(name))[7]
    wrong = next(other.target for other in read(items_file(name)) if other.target != item.target)
    wrong = json.loads(item.check)["names"][0] if name == "core_hops" else wrong
    visible, _ = visible_text(reply.format(t=item.target, w=wrong))
    graded = grade(item, visible)
    wanted = lenient if lenient is not None else float(name != "core_rewrite")
    assert (graded.value, graded.value_strict) == (wanted, strict)


def test_there_are_forty_scorer_cases_for_each_task():
    assert len(REPLIES) >= 40


# --- ledger -----------------------------------------------------------------------------------------------------------

STORY = Story(
    {"Mira": 10, "Talo": 20, "Zoe": 30},
    (
        Event("gives", "Zoe", "Mira", "", 5),  # 15 20 25
        Event("swaps", "Mira", "Talo"),  # 20 15 25
        Event("doubles", "Talo"),  # 20 30 25
        Event("duel", "Talo", "Mira", "", 7),  # 27 23 25
        Event("third", "Mira", "Talo", "Zoe", 4),  # 31 23 21
        Event("gets", "Zoe", n=9),  # 31 23 30
        Event("loses", "Mira", n=1),  # 30 23 30
    ),
    "Mira",
)


def test_both_ledger_solvers_agree_with_a_story_worked_by_hand():
    now = dict(STORY.start)
    for event in STORY.events:
        core_ledger.carry_out(event, now)
    assert now == {"Mira": 30, "Talo": 23, "Zoe": 30}
    for name, amount in now.items():
        assert core_ledger.backwards(Story(STORY.start, STORY.events, name))[0] == amount


def test_only_events_with_a_part_in_the_answer_count_as_used():
    story = Story({"A": 1, "B": 2, "C": 3}, (Event("gets", "A", n=1), Event("gets", "B", n=1)), "A")
    assert core_ledger.backwards(story) == (2, {1})


def test_no_ledger_answer_is_a_number_of_its_text():
    for item in read(items_file("core_ledger")):
        story = core_ledger.read(body_of(item.prompt))
        assert int(item.target) not in {event.n for event in story.events} | set(story.start.values())
        assert len(story.events) == item.size == core_ledger.OPERATIONS[item.level]


# --- rewrite ----------------------------------------------------------------------------------------------------------


def test_both_rewrite_solvers_agree_with_a_run_worked_by_hand():
    rules = (("ab", "c"), ("cc", "a"))
    assert core_rewrite.run(rules, "abab", 10) == ["abab", "cab", "cc", "a"]
    assert core_rewrite.by_splitting(rules, "abab") == "a"


def test_the_first_rule_goes_before_the_leftmost_place():
    assert core_rewrite.run((("bc", "a"), ("aa", "b")), "aabc", 1) is None
    assert core_rewrite.run((("bc", "a"), ("aa", "b")), "aabc", 9)[1] == "aaa"


def test_rules_without_end_are_noticed():
    assert core_rewrite.run((("ab", "ba"), ("ba", "ab")), "ab", 30) is None
    assert core_rewrite.run((("a", "aa"),), "a", 100) is None


def test_every_rewrite_item_takes_as_many_steps_as_its_size_says():
    for item in read(items_file("core_rewrite")):
        rules, string = core_rewrite.read(body_of(item.prompt))
        states = core_rewrite.run(rules, string, 100)
        assert (len(states) - 1, states[-1]) == (item.size, item.target)
        low, high = core_rewrite.STEPS[item.level]
        assert low <= item.size <= high


# --- hops -------------------------------------------------------------------------------------------------------------

FACTS = (
    ("Mira Abrant", "mentor", "Talo Bardow"),
    ("Talo Bardow", "hometown", "Ashmere"),
    ("Ashmere", "mayor", "Zoe Dorvik"),
    ("Ana Kaldor", "banker", "Zoe Dorvik"),
    ("Mira Bardow", "mentor", "Ana Kaldor"),
)
HOPS = (Hop("mentor"), Hop("hometown"), Hop("mayor"), Hop("banker", inverse=True))


def test_the_join_agrees_with_a_chain_walked_by_hand():
    assert core_hops.by_joining(Puzzle(FACTS, "Mira Abrant", HOPS)) == "Ana Kaldor"
    assert core_hops.by_joining(Puzzle(FACTS, "Mira Abrant", HOPS[:3])) == "Zoe Dorvik"


def test_a_question_with_two_answers_is_refused():
    twice = (*FACTS, ("Ben Kaldor", "banker", "Zoe Dorvik"))
    with pytest.raises(ValueError, match="too many values"):
        core_hops.by_joining(Puzzle(twice, "Mira Abrant", HOPS))


@pytest.mark.parametrize("wording", range(5))
def test_every_wording_of_a_puzzle_reads_back_as_it_was(wording):
    puzzle = Puzzle(FACTS, "Mira Abrant", HOPS)
    assert core_hops.read(core_hops._text(puzzle, core_hops._WORDINGS[wording])) == puzzle


def test_hops_items_have_their_sizes_and_an_inverse_from_level_three_on():
    for item in read(items_file("core_hops")):
        puzzle = core_hops.read(body_of(item.prompt))
        assert len(puzzle.hops) == item.size == core_hops.HOPS[item.level]
        assert len(puzzle.facts) == {1: 10, 2: 20, 3: 40, 4: 60, 5: 90}[item.level]
        assert sum(hop.inverse for hop in puzzle.hops) == (item.level > 2)


# --- all three --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CORE)
def test_the_reserve_level_exists(name):
    draft = tasks()[name].make(Dice(f"{name}/reserve"), 6, 0)
    assert draft.target
    assert draft.size > max(item.size for item in read(items_file(name)))


@pytest.mark.parametrize("name", CORE)
def test_clusters_are_five_wordings_by_five_levels_of_six_items(name):
    counts = Counter(item.cluster for item in read(items_file(name)))
    assert len(counts) == 25
    assert set(counts.values()) == {6}


@pytest.mark.parametrize("name", CORE)
def test_a_fresh_month_has_the_same_sizes_and_none_of_the_frozen_questions(name):
    frozen, fresh = read(items_file(name)), build(tasks()[name], "2026-12")
    assert [(item.level, item.size, item.cluster) for item in fresh] == [(i.level, i.size, i.cluster) for i in frozen]
    assert not {normalised(item.prompt) for item in fresh} & {normalised(item.prompt) for item in frozen}
    mean = sum(item.tokens_in for item in frozen) / sum(item.tokens_in for item in fresh)
    assert mean == pytest.approx(1, abs=0.05)
