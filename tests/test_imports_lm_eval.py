"""lm-evaluation-harness' own files become its own figures, and its items can be compared; hostile files cost one line.

`tests/imports/lm_eval` was written by lm_eval 0.4.13 (`lm_eval run --log_samples`) over a model that is a table of
answers, on a task named gsm8k of four sums, two of five choices in a group, and one of perplexity.
"""

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench import database, imports
from bench.errors import ConfigError
from bench.imports import items, lm_eval, streamed
from bench.imports.published import Published

FILES = Path(__file__).parent / "imports" / "lm_eval"
ONE, TWO = FILES / "acme__tiny-1", FILES / "acme__tiny-2"
RESULTS = next(ONE.glob("results_*.json"))
MOMENT = RESULTS.stem.removeprefix("results_")

# What lm_eval printed when it wrote these files: task, filter, shots, metric, value, stderr.
PRINTED = {
    "acme/tiny-1": [
        ("kinds", "none", 0, "acc", "0.6000", "0.1732"),
        ("kinds_a", "none", 0, "acc", "0.6000", "0.2449"),
        ("kinds_a", "none", 0, "acc_norm", "1.0000", "0.0000"),
        ("kinds_b", "none", 0, "acc", "0.6000", "0.2449"),
        ("kinds_b", "none", 0, "acc_norm", "1.0000", "0.0000"),
        ("gsm8k", "flexible-extract", 2, "exact_match", "0.2500", "0.2500"),
        ("gsm8k", "strict-match", 2, "exact_match", "0.2500", "0.2500"),
    ],
    "acme/tiny-2": [
        ("kinds", "none", 0, "acc", "0.8000", "0.1414"),
        ("kinds_a", "none", 0, "acc", "0.8000", "0.2000"),
        ("kinds_a", "none", 0, "acc_norm", "0.8000", "0.2000"),
        ("kinds_b", "none", 0, "acc", "0.8000", "0.2000"),
        ("kinds_b", "none", 0, "acc_norm", "0.8000", "0.2000"),
        ("gsm8k", "flexible-extract", 2, "exact_match", "1.0000", "0.0000"),
        ("gsm8k", "strict-match", 2, "exact_match", "0.7500", "0.2500"),
    ],
}


def copied(tmp_path: Path, **changes: Any) -> Path:
    """The folder of the first model with its results changed; a change to a function is called with the old value."""
    folder = tmp_path / "out"
    shutil.copytree(ONE, folder)
    results = folder / RESULTS.name
    content = json.loads(results.read_text())
    for key, value in changes.items():
        content[key] = value(content.get(key)) if callable(value) else value
    results.write_text(json.dumps(content))
    return folder


def one_score(found: Published, **wanted: Any) -> dict[str, Any]:
    (row,) = [dict(row) for row in found.scores if all(row.get(key) == value for key, value in wanted.items())]
    return row


def lines_of(found: Published) -> list[dict[str, Any]]:
    assert found.items is not None
    return [json.loads(line) for line in found.items.lines.splitlines()]


def skipped(found: Published) -> dict[str, int]:
    return dict(sum((Counter(count.skipped) for count in found.table), Counter()))


# -------------------------------------------------------------------------------------------------------------- figures


@pytest.mark.parametrize(("folder", "model"), [(ONE, "acme/tiny-1"), (TWO, "acme/tiny-2")])
def test_every_figure_the_harness_printed_is_a_score_with_its_standard_error(folder: Path, model: str) -> None:
    found = lm_eval.read_published(folder)
    rows = [
        (row["scaffold"].split(", ")[1], row["shots"], f"{row['score']:.4f}", f"{row['stderr']:.4f}")
        for row in found.scores
    ]
    told = [(metric, shots, value, stderr) for _, _, shots, metric, value, stderr in PRINTED[model]]
    assert sorted(rows) == sorted(told)
    assert {row["model"] for row in found.scores} == {model}


def test_a_known_task_s_usual_metric_is_our_benchmark_and_other_metrics_are_others() -> None:
    found = lm_eval.read_published(ONE)
    assert sorted({row["benchmark"] for row in found.scores}) == [
        "gsm8k", "kinds-a-acc", "kinds-a-acc-norm", "kinds-acc", "kinds-b-acc", "kinds-b-acc-norm",
    ]  # fmt: skip
    row = one_score(found, benchmark="gsm8k", scaffold="lm-eval 0.4.13, exact_match, filter strict-match, table")
    assert row == {
        "model": "acme/tiny-1",
        "benchmark": "gsm8k",
        "benchmark_version": "3",
        "score": 0.25,
        "stderr": 0.25,
        "scale": "proportion",
        "n_items": 4,
        "shots": 2,
        "scaffold": "lm-eval 0.4.13, exact_match, filter strict-match, table",
        "evaluated_on": "2026-11-24",
        "source": f"lm-eval 0.4.13: {RESULTS.name}",
    }


def test_a_group_is_kept_and_says_over_how_many_tasks_it_is_pooled() -> None:
    row = one_score(lm_eval.read_published(ONE), benchmark="kinds-acc")
    assert (row["n_items"], row["scaffold"]) == (10, "lm-eval 0.4.13, acc, table, pooled over 2 tasks")


def test_metrics_of_which_less_is_better_are_counted_and_left_out() -> None:
    assert skipped(lm_eval.read_published(ONE))["a metric of which less is better"] == 2


def test_an_evaluation_under_a_limit_is_marked_as_a_part(tmp_path: Path) -> None:
    def limited(counts: dict[str, Any]) -> dict[str, Any]:
        return {**counts, "gsm8k": {"original": 1319, "effective": 4}}

    found = lm_eval.read_published(copied(tmp_path, **{"n-samples": limited}))
    assert all(row["scaffold"].endswith("4 of 1,319 items") for row in found.scores if row["benchmark"] == "gsm8k")


@pytest.mark.parametrize(
    ("changes", "model"),
    [
        ({}, "acme/tiny-1"),
        ({"model_name": None}, "acme/tiny-1"),
        (
            {"model_name": None, "config": {"model": "hf", "model_args": "pretrained=meta/llama,dtype=auto"}},
            "meta/llama",
        ),
        ({"model_name": None, "config": {"model": "hf"}}, "hf"),
        ({"model_name": 7, "config": None}, "unknown"),
    ],
)
def test_the_model_is_what_the_harness_was_told(tmp_path: Path, changes: dict[str, Any], model: str) -> None:
    assert {row["model"] for row in lm_eval.read_published(copied(tmp_path, **changes)).scores} == {model}


def test_a_loader_s_bits_are_the_quantisation(tmp_path: Path) -> None:
    config = {"model": "hf", "model_args": {"pretrained": "m", "load_in_4bit": True}}
    found = lm_eval.read_published(copied(tmp_path, config=config))
    assert {row["quantisation"] for row in found.scores} == {"4bit"}


def test_an_old_file_without_filters_and_counts_is_read(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    old = {
        "results": {"hellaswag": {"acc": 0.4, "acc_stderr": 0.01, "acc_norm": 0.5, "acc_norm_stderr": 0.02}},
        "versions": {"hellaswag": 0},
        "config": {"model": "hf-causal", "model_args": "pretrained=gpt2"},
    }
    path.write_text(json.dumps(old))
    found = lm_eval.read_published(path)
    assert [(row["benchmark"], row["score"], row["stderr"], row["benchmark_version"]) for row in found.scores] == [
        ("hellaswag-acc", 0.4, 0.01, "0"),
        ("hellaswag", 0.5, 0.02, "0"),
    ]
    assert "n_items" not in found.scores[0]


def test_points_are_not_proportions_even_when_they_are_small(tmp_path: Path) -> None:
    results = {"wmt": {"bleu,none": 0.8, "chrf,none": 51.0}, "gsm8k": {"exact_match,strict-match": 43.5}}
    found = lm_eval.read_published(copied(tmp_path, results=results))
    assert {(row["benchmark"], row["scale"]) for row in found.scores} == {
        ("wmt-bleu", "points"),
        ("wmt-chrf", "points"),
        ("gsm8k-exact-match", "points"),  # our gsm8k is a proportion, and 43.5 is none
    }


# ---------------------------------------------------------------------------------------------------------------- items


def test_items_of_one_model_are_kept_and_their_means_are_the_harness_s_figures() -> None:
    for folder in (ONE, TWO):
        found = lm_eval.read_published(folder)
        assert found.items is not None
        means = {(score.task, score.metric): (score.value, score.stderr) for score in found.items.scores}
        for task, filter_, _, metric, *printed in PRINTED[found.items.model]:
            if task != "kinds":
                key = (task, metric if filter_ == "none" else f"{metric},{filter_}")
                assert means[key] == pytest.approx([float(told) for told in printed], abs=5e-5), key


def test_an_item_is_named_by_its_number_and_content_and_keeps_the_answer() -> None:
    (row,) = [
        row for row in lines_of(lm_eval.read_published(ONE))
        if row["doc_id"] == 1 and row["metric"] == "exact_match,flexible-extract"
    ]  # fmt: skip
    assert row == {
        "task": "gsm8k",
        "doc_id": 1,
        "item_id": "1-146f969f2cfc",
        "repeat": 0,
        "metric": "exact_match,flexible-extract",
        "state": "scored",
        "value": 0.0,  # the answer was "It is 8.", and the harness' pattern takes the full stop with it
        "answer": "8.",
        "expected": "8",
    }


def test_two_imported_models_are_compared_item_by_item(tmp_path: Path) -> None:
    from bench.analysis import compare

    for folder in (ONE, TWO):
        assert imports.import_path("lm_eval", folder, tmp_path).added
    database.build(tmp_path)
    found = compare(tmp_path, "imported:lm_eval:acme/tiny-1", "imported:lm_eval:acme/tiny-2").as_dict()
    assert [task["task"] for task in found["tasks"]] == ["gsm8k", "kinds_a", "kinds_b"]


def test_imported_items_are_in_no_report_of_what_was_measured_here(tmp_path: Path) -> None:
    from bench.analysis import report

    imports.import_path("lm_eval", ONE, tmp_path)
    database.build(tmp_path)
    assert report(tmp_path).empty
    kinds = database.query(tmp_path, "runs")[["kind", "target"]].to_numpy().tolist()
    assert kinds == [["published", "imported:lm_eval:acme/tiny-1"]]


def test_items_of_several_models_are_not_kept_and_it_says_what_to_do() -> None:
    found = lm_eval.read_published(FILES)
    assert found.items is None
    assert len(found.scores) == 14
    assert "import each model's files alone" in found.notes[0]
    assert skipped(found)[items.OF_SEVERAL] > 0


def test_of_two_evaluations_of_a_task_the_newest_one_s_items_are_kept(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    older = "2026-11-01T00-00-00.000000"
    content = json.loads((folder / RESULTS.name).read_text()) | {"date": 1793491200.0}
    (folder / f"results_{older}.json").write_text(json.dumps(content))
    shutil.copyfile(folder / f"samples_gsm8k_{MOMENT}.jsonl", folder / f"samples_gsm8k_{older}.jsonl")
    found = lm_eval.read_published(folder)
    assert skipped(found)[lm_eval.OLDER] == 8
    assert len([row for row in lines_of(found) if row["task"] == "gsm8k"]) == 8
    assert len(found.scores) == 14  # both evaluations' figures, each with its day
    assert {row["evaluated_on"] for row in found.scores} == {"2026-11-24", "2026-11-01"}


# ------------------------------------------------------------------------------------------------ the run, and its name


def test_the_same_content_twice_adds_nothing_and_one_file_is_its_folder(tmp_path: Path) -> None:
    shutil.copytree(ONE, tmp_path / "copy" / "deeper")
    one = imports.import_path("lm_eval", ONE, tmp_path)
    again = [imports.import_path("lm_eval", path, tmp_path) for path in (ONE, tmp_path / "copy" / "deeper", RESULTS)]
    assert one.added
    assert {(other.run_id, other.added, other.read_anew) for other in again} == {(one.run_id, False, False)}
    changed = imports.import_path("lm_eval", copied(tmp_path, date=1795544203.0), tmp_path)
    assert (changed.run_id == one.run_id, changed.added) == (False, True)


def test_every_row_is_kept_or_skipped_for_a_reason() -> None:
    for count in lm_eval.read_published(FILES).table:
        assert count.read == count.kept + sum(count.skipped.values())
    assert sum(count.read for count in lm_eval.read_published(ONE).table) == 9 + 8 + 5 + 5 + 4


def test_a_folder_is_known_by_its_results_and_nothing_else_is(tmp_path: Path) -> None:
    assert lm_eval.is_mine_path(ONE)
    assert lm_eval.is_mine_path(FILES)
    assert lm_eval.is_mine_path(RESULTS)
    (tmp_path / "results_x.json").write_text('{"results": [1]}')
    (tmp_path / "results_y.json").write_text("{")
    assert not lm_eval.is_mine_path(tmp_path)
    assert not lm_eval.is_mine_path(tmp_path / "none.json")
    assert not lm_eval.is_mine_path(Path(__file__))


# -------------------------------------------------------------------------------------------------------------- hostile


def test_a_file_of_items_alone_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds items without their model: name the results_\*\.json"):
        imports.import_path("lm_eval", ONE / f"samples_gsm8k_{MOMENT}.jsonl", tmp_path)


def test_figures_that_are_none_are_counted_by_their_reason(tmp_path: Path) -> None:
    gsm8k = {
        "exact_match,a": float("nan"),
        "exact_match,b": 1e308,
        "exact_match,c": "0.5",
        "exact_match,d": None,
        "exact_match,e": True,
        "exact_match,f": 0.5,
        "exact_match_stderr,f": "N/A",
        "exact_match,g": 10**400,
    }
    found = lm_eval.read_published(copied(tmp_path, results={"gsm8k": gsm8k, "kinds": 3, "words": None}))
    assert [row["score"] for row in found.scores] == [0.5]
    assert "stderr" not in found.scores[0]
    (count,) = [count for count in found.table if count.file == RESULTS.name]
    assert count.skipped == {"a value that is not a number": 4, "a number larger than any benchmark's": 2}


@pytest.mark.parametrize(
    "key", ["n-samples", "n-shot", "versions", "higher_is_better", "group_subtasks", "date", "configs"]
)
@pytest.mark.parametrize("value", [None, 3, "x", [], {"gsm8k": []}, {"gsm8k": float("nan")}, 1e308])
def test_a_part_of_the_wrong_type_is_unknown(tmp_path: Path, key: str, value: Any) -> None:
    found = lm_eval.read_published(copied(tmp_path, **{key: value}))
    assert len(found.scores) >= 7  # without the word on which way is better, perplexity is known by its name


def test_lines_that_are_torn_or_strange_are_counted(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    path = folder / f"samples_gsm8k_{MOMENT}.jsonl"
    good = path.read_text().splitlines()[0]
    strange = [
        "null",
        "[]",
        "{",
        '{"doc_id": "x"}',
        good.replace(": 1.0}", ": NaN}"),
        good.replace(": 1.0}", ": 1e308}"),
    ]
    path.write_text("\n".join([good, *strange, good]) + '\n{"doc_id": 3, "fil')
    found = lm_eval.read_published(folder)
    (count,) = [count for count in found.table if "gsm8k" in count.file]
    assert count.skipped == {
        streamed.DAMAGED: 3,
        lm_eval.NO_ITEM: 1,
        items.TWICE: 2,
        items.NO_SHARE: 1,
        streamed.TORN: 1,
    }
    assert (count.read, count.kept) == (9, 1)


def test_an_item_without_a_score_is_unscored_and_not_wrong(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    path = folder / f"samples_gsm8k_{MOMENT}.jsonl"
    path.write_text(path.read_text().splitlines()[0].replace(": 1.0}", ": NaN}") + "\n")
    (row,) = [row for row in lines_of(lm_eval.read_published(folder)) if row["task"] == "gsm8k"]
    assert (row["state"], row["value"]) == ("unscored_error", None)


@pytest.mark.parametrize("content", ["", "{", "null", '{"results": {}}', "\x00\x01", '{"a": ' + "[" * 100_000])
def test_a_results_file_that_is_damaged_or_another_s_costs_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(ConfigError) as raised:
        imports.import_path("lm_eval", path, tmp_path / "results")
    assert "\n" not in str(raised.value)


def test_a_damaged_file_among_good_ones_is_counted(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / "results_2026-01-01.json").write_text('{"results": {"gs')
    (folder / "results_2026-01-02.json").write_text("{}")
    found = lm_eval.read_published(folder)
    assert skipped(found)["a results file that is damaged"] == 1
    assert skipped(found)["a results file that is not lm-evaluation-harness'"] == 1
    assert len(found.scores) == 7


def test_a_line_longer_than_any_item_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "LONGEST_BYTES", 100)
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": "' + b"x" * 250 + b'"}\n{"a": 2}\n')
    assert list(streamed.lines(path)) == [{"a": 1}, streamed.TOO_LONG, {"a": 2}]


def test_items_after_the_most_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "MOST", 10)
    found = lm_eval.read_published(ONE)
    assert found.items is not None
    assert (found.items.n, skipped(found)[items.TOO_MANY] > 0) == (10, True)


@pytest.mark.slow
def test_200_mb_of_items_are_read_within_a_gigabyte(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    path = folder / f"samples_gsm8k_{MOMENT}.jsonl"
    first = json.loads(path.read_text().splitlines()[0])
    first["doc"]["question"] = "x" * 300
    with path.open("w") as file:
        for n in range(220_000):
            file.write(json.dumps(first | {"doc_id": n}) + "\n")
    assert path.stat().st_size > 200e6
    code = (
        "import resource, sys; from pathlib import Path; from bench import imports;"
        "s = imports.import_path('lm_eval', Path(sys.argv[1]), Path(sys.argv[2]));"
        "print(s.n_items, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    command = [sys.executable, "-c", code, str(folder), str(tmp_path / "results")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    n, mb = map(int, done.stdout.split())
    assert n > 200_000
    assert mb < 1024
