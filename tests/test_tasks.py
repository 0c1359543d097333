"""What every own task promises: for all frozen items, the suites, the YAMLs, the page and the training draws."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections import Counter, defaultdict

import pytest

from bench.catalog.suites import suite
from bench.items import items_file, pages, read, tasks
from bench.items.draw import normalised
from bench.items.files import tasks_dir
from bench.items.quick import held_out, training_pairs
from bench.items.words import FAMILIES, GOODS, PEOPLE, TOWNS
from bench.records import Reply
from bench.scoring.states import visible_text

ALL = sorted(tasks())
FROZEN = {name: read(items_file(name)) for name in ALL}
SUITES = {name: suite(name) for name in ("quick", "core")}


def _value(task, item, reply):
    visible, _ = visible_text(reply)
    return task.grade(item, visible).value


@pytest.mark.parametrize("name", ALL)
def test_every_witness_and_spelling_scores_one(name):
    task = tasks()[name]
    for item in FROZEN[name]:
        spellings = task.spellings(item)
        assert len(set(spellings)) >= 3
        assert item.witness in spellings
        for reply in spellings:
            assert _value(task, item, reply) == 1, (item.id, reply)


@pytest.mark.parametrize("name", ALL)
def test_every_near_miss_scores_zero(name):
    task = tasks()[name]
    for item in FROZEN[name]:
        mutants = task.mutants(item)
        assert len(set(mutants)) >= 3
        for reply in mutants:
            assert _value(task, item, reply) == 0, (item.id, reply)


@pytest.mark.parametrize("name", ALL)
def test_levels_are_interleaved_and_equally_many(name):
    task, items = tasks()[name], FROZEN[name]
    assert [item.level for item in items] == list(task.levels) * task.per_level
    assert [item.id for item in items] == [
        f"{name}/frozen-1/{level}/{i:03d}" for i in range(task.per_level) for level in task.levels
    ]


@pytest.mark.parametrize("name", ALL)
def test_no_prompt_comes_twice(name):
    assert max(Counter(normalised(item.prompt) for item in FROZEN[name]).values()) == 1


# --- baselines that know nothing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_saying_always_the_same_scores_at_chance(name):
    """The commonest answer is found with the key in hand, so this is more than any constant answer can score."""
    (_, most), *_ = Counter(item.target for item in FROZEN[name]).most_common(1)
    assert most / len(FROZEN[name]) <= tasks()[name].chance + max(0.03, 1 / len(FROZEN[name]))


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("core_")])
def test_copying_from_the_prompt_does_not_pay(name):
    """The first, the last, the largest and the commonest number, string or name of the prompt, each time as answer."""
    shape = {"int": r"[0-9]+", "letters": r"\b[abc]{3,}\b", "name": r"\b[A-Z][a-z]+ [A-Z][a-z]+\b"}
    right = defaultdict(int)
    for item in FROZEN[name]:
        found = re.findall(shape[item.kind], item.prompt.rpartition("\n\nYou may")[0])
        ways = {"first": found[0], "last": found[-1], "largest": max(found, key=lambda x: (len(x), x))}
        ways["commonest"] = Counter(found).most_common(1)[0][0]
        for way, copied in ways.items():
            right[way] += _value(tasks()[name], item, f"Answer: {copied}")
    assert max(right.values()) / len(FROZEN[name]) <= 0.10, dict(right)


def test_picking_any_person_of_a_hops_text_scores_at_its_declared_chance():
    odds = [1 / sum(" " in name for name in _names(item)) for item in FROZEN["core_hops"]]
    assert sum(odds) / len(odds) <= tasks()["core_hops"].chance


def _names(item):
    return re.findall(r'"([^"]+)"', item.check.partition("[")[2])


def test_the_word_lists_are_long_and_share_no_word():
    lists = (PEOPLE, FAMILIES, TOWNS, GOODS)
    words = [word.casefold() for one in lists for word in one]
    assert min(map(len, lists)) >= 60
    assert len(words) == len(set(words))
    assert all(re.fullmatch("[a-z]+", word) for word in words)


# --- suites, YAML and page --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_lists_its_tasks_with_the_hash_chance_and_cap_they_have(name):
    members = SUITES[name].tasks
    assert sorted(task.name for task in members) == [known for known in ALL if known.startswith(f"{name}_")]
    for declared in members:
        own = tasks()[declared.name]
        path = tasks_dir() / declared.items
        assert declared.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert declared.chance == pytest.approx(own.chance, abs=5e-5)
        assert declared.max_gen_toks == own.max_gen_toks
        assert declared.first_line is (name == "quick")


def test_core_says_that_it_is_provisional():
    assert (SUITES["core"].version, SUITES["core"].provisional) == (0, True)
    assert (SUITES["quick"].version, SUITES["quick"].provisional) == (1, False)


@pytest.fixture(scope="module")
def loaded():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lm-eval's and its dependencies' own, at import
        from lm_eval.tasks import TaskManager

        manager = TaskManager(include_path=str(tasks_dir()), include_defaults=False, metadata={"items": "frozen"})
        assert sorted(manager.all_tasks) == ALL
        return manager.load(ALL)["tasks"]


@pytest.mark.parametrize("name", ALL)
def test_lm_eval_asks_what_the_file_says_and_grades_as_we_do(loaded, name):
    task, item = loaded[name], FROZEN[name][0]
    task.build_all_requests(limit=1, rank=0, world_size=1)
    (instance,) = task.instances
    prompt, arguments = instance.args
    assert prompt == item.prompt
    assert task.doc_to_target(instance.doc) == item.target
    assert arguments["until"] == []
    assert arguments["max_gen_toks"] == tasks()[name].max_gen_toks
    assert task.config.metadata["chance"] == pytest.approx(tasks()[name].chance, abs=5e-5)
    graded = task.process_results(instance.doc, [[Reply(item.witness), Reply("", status="timeout")]])
    assert (graded["acc"], graded["acc_strict"]) == (1.0, 1.0)
    assert [one["state"] for one in graded["graded"]] == ["scored", "unscored_error"]


def test_the_page_is_what_its_command_writes():
    assert (tasks_dir() / "README.md").read_text(encoding="utf-8") == pages.page()


# --- training draws never hold a question of the suite ----------------------------------------------------------------

QUICK_PROMPTS = {normalised(item.prompt) for name in ALL if name.startswith("quick_") for item in FROZEN[name]}
DRAWS = 1_000_000 if os.environ.get("BENCH_FULL") else 100_000


def test_no_question_of_quick_is_ever_drawn_for_training():
    drawn = training_pairs("train-test", DRAWS, held_out())
    met = {key for _, prompt, _, _ in drawn if (key := normalised(prompt)) in QUICK_PROMPTS}
    assert not met


def test_without_the_filter_training_would_meet_them():
    drawn = training_pairs("train-test", 3000, frozenset())
    assert any(normalised(prompt) in QUICK_PROMPTS for _, prompt, _, _ in drawn)
