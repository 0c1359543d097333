"""Loading and grading as lm-eval calls them, and freezing."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from dataclasses import asdict

import pytest

from bench.errors import ConfigError
from bench.items import freeze, grade, items_file, load, read, tasks
from bench.items.files import tasks_dir
from bench.items.wordings import pattern, read_back
from bench.records import Reply

ITEM = read(items_file("core_ledger"))[0]
DOC = asdict(ITEM)
RIGHT = f"Answer: {ITEM.target}"


def test_importing_the_items_is_light():
    code = "import sys, bench.items as i; i.tasks(); print({'lm_eval', 'datasets', 'numpy'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "set()"


def test_load_gives_every_row_as_it_stands_in_the_file():
    rows = load("core_hops")["test"]
    assert [dict(row) for row in rows] == [asdict(item) for item in read(items_file("core_hops"))]
    assert type(rows[0]["target"]) is str


def test_load_takes_items_from_a_folder(tmp_path):
    (tmp_path / "core_ledger.jsonl").write_text(json.dumps(DOC) + "\n")
    assert len(load("core_ledger", items=str(tmp_path), version=1.0, chance=0.0)["test"]) == 1


def test_load_refuses_items_that_are_not_the_suites(tmp_path):
    with pytest.raises(ConfigError, match="say 'frozen', or a folder"):
        load("core_ledger", items=str(tmp_path))
    with pytest.raises(ConfigError, match="restore the file or bump the suite"):
        load("core_ledger", sha256_of={"core_ledger": "0" * 64})
    right = hashlib.sha256(items_file("core_ledger").read_bytes()).hexdigest()
    assert load("core_ledger", sha256_of={"core_ledger": right})


@pytest.mark.parametrize(
    ("reply", "state", "value", "value_strict", "ran_on"),
    [
        (Reply(RIGHT), "scored", 1.0, 1.0, False),
        (Reply(f"**{RIGHT}**"), "scored", 1.0, 0.0, False),
        (Reply("Answer: 123456"), "scored", 0.0, 0.0, False),
        (Reply("whatever"), "scored", 0.0, 0.0, False),
        (Reply(RIGHT, finish_reason="length"), "scored", 1.0, 1.0, True),
        (Reply(f"**{RIGHT}** and th", finish_reason="length"), "unscored_truncated", None, None, False),
        (Reply("", unclosed_thought=True), "unscored_truncated", None, None, False),
        (Reply(f"<think>{RIGHT}"), "unscored_truncated", None, None, False),
        (Reply(f"<think>7</think>{RIGHT}"), "scored", 1.0, 1.0, False),
        (Reply(""), "unscored_empty", None, None, False),
        (Reply(RIGHT, status="stream_cut"), "unscored_error", None, None, False),
        (Reply("I can't help with that."), "refused", 0.0, 0.0, False),
        (RIGHT, "scored", 1.0, 1.0, False),
    ],
)
def test_one_reply_is_graded_with_its_state(reply, state, value, value_strict, ran_on):
    (record,) = grade(DOC, [[reply]])["graded"]
    found = tuple(record[key] for key in ("state", "value", "value_strict", "ran_on"))
    assert found == (state, value, value_strict, ran_on)
    assert record["expected"] == ITEM.target


def test_repeats_are_graded_one_by_one_and_averaged_over_those_with_a_value():
    replies = [
        Reply(RIGHT, request_id="a"),
        Reply("Answer: 123456", request_id="b"),
        Reply("", status="timeout", request_id="c"),
    ]
    graded = grade(DOC, [replies])
    assert (graded["acc"], graded["acc_strict"]) == (0.5, 0.5)
    assert [one["request_id"] for one in graded["graded"]] == ["a", "b", "c"]


def test_no_metric_where_no_repeat_has_a_value():
    assert set(grade(DOC, [[Reply("", status="timeout")]])) == {"graded"}


@pytest.mark.parametrize(
    ("doc", "results"),
    [
        (DOC, []),
        (DOC, [[]]),
        (DOC, [[None]]),
        (DOC, "text"),
        ({}, [[RIGHT]]),
        ({**DOC, "task": "nobody's"}, [[RIGHT]]),
        ({**DOC, "check": "not json"}, [[RIGHT]]),
        ({**DOC, "kind": "nobody's"}, [[RIGHT]]),
    ],
)
def test_grade_never_raises_whatever_it_is_given(doc, results):
    assert isinstance(grade(doc, results)["graded"], list)


def test_a_scorer_that_cannot_work_leaves_the_item_unscored():
    (record,) = grade({**DOC, "task": "nobody's"}, [[Reply(RIGHT, request_id="a")]])["graded"]
    assert (record["state"], record["value"], record["reason"], record["request_id"]) == (
        "unscored_error",
        None,
        "exec_error",
        "a",
    )


def test_a_quick_reply_that_rambles_up_to_its_limit_is_wrong_and_not_unscored():
    doc = asdict(read(items_file("quick_copy"))[0])
    (record,) = grade(doc, [[Reply("sure! here is the", finish_reason="length")]])["graded"]
    assert (record["state"], record["value"], record["ran_on"]) == ("scored", 0.0, True)


def test_ten_thousand_fuzzed_replies_are_graded_without_raising():
    rng, items = random.Random(11), [read(items_file(name))[-1] for name in tasks()]
    docs = [asdict(item) for item in items]
    pieces = [
        "Answer: ",
        "\n",
        "42",
        " or ",
        "<think>",
        "</think>",
        "a",
        "bc",
        "\\boxed{",
        "}",
        "**",
        "I can't",
        "\x00",
        "é",
        "1,000",
    ]
    pieces += [item.target for item in items]
    for n in range(10_000):
        (record,) = grade(docs[n % len(docs)], [["".join(rng.choices(pieces, k=rng.randrange(12)))]])["graded"]
        assert record["reason"] != "exec_error"


# --- freezing ---------------------------------------------------------------------------------------------------------


def test_the_committed_files_are_what_the_generators_draw_under_any_hash_seed():
    code = "from bench.items import freeze; import sys; sys.exit(freeze.main([]))"
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code], text=True, stdout=subprocess.PIPE, env=os.environ | {"PYTHONHASHSEED": s}
        )
        for s in ("0", "1", "4711")
    ]
    committed = {
        path.relative_to(tasks_dir()).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in tasks_dir().glob("*/frozen-1.jsonl")
    }
    for run in runs:
        said, _ = run.communicate(timeout=120)
        drawn = dict(reversed(line.split("  ")) for line in said.splitlines())
        assert (run.returncode, drawn) == (0, committed)


def test_freezing_again_rewrites_nothing_and_never_changes_a_file_unforced(tmp_path):
    task = tasks()["quick_add"]
    digest = freeze.freeze(task, tmp_path)
    path = tmp_path / "quick_add" / "frozen-1.jsonl"
    os.utime(path, (1, 1))
    assert freeze.freeze(task, tmp_path) == digest
    assert path.stat().st_mtime == 1
    path.write_text("another\n")
    with pytest.raises(ConfigError, match="quick_add now draws other items"):
        freeze.freeze(task, tmp_path)
    assert path.read_text() == "another\n"
    assert freeze.freeze(task, tmp_path, force=True) == hashlib.sha256(path.read_bytes()).hexdigest() == digest


def test_freezing_an_unknown_task_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'quick_add'"):
        freeze.main(["quick_ad"])


# --- wordings ---------------------------------------------------------------------------------------------------------


def test_a_template_reads_back_what_it_was_made_from():
    templates = {"gives": "{a} gives {b} {n} coins.", "echo": "{a} and {a}"}
    assert read_back(templates, "Mira gives Talo 7 coins.") == ("gives", {"a": "Mira", "b": "Talo", "n": "7"})
    assert pattern(templates["echo"]).fullmatch("Mira and Talo") is None
    with pytest.raises(AssertionError, match="no template"):
        read_back(templates, "Mira eats Talo")
