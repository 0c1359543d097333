"""HELM's own runs and tables become its own figures; what is no score is counted, and damaged runs cost one line.

`tests/imports/helm/v1` was written by crfm-helm 0.5.16: `helm-run` of its own scenario simple_mcqa over a client of a
few lines that answers some questions wrong, then `helm-summarize` with a schema whose main metric is exact_match.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from bench import imports
from bench.errors import ConfigError
from bench.imports import helm, helm_runs, helm_tables, items
from bench.imports.published import Published

SUITE = Path(__file__).parent / "imports" / "helm" / "v1"
RUN = SUITE / "simple_mcqa_acme_tiny-1"
PRINTED = 0.16666666666666666
"""What helm-summarize wrote into its LaTeX table: `Acme Tiny 1 & 0.16666666666666666 & 6.0 & 5.0`."""


def changed(tmp_path: Path, name: str, change: Callable[[Any], Any], folder: str = "run") -> Path:
    """A copy of the run in which one file is another."""
    path = tmp_path / "suite" / folder
    shutil.copytree(RUN, path)
    content = change(json.loads((path / name).read_text()))
    (path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def spec(**values: Any) -> Callable[[Any], Any]:
    def change(old: dict[str, Any]) -> dict[str, Any]:
        adapter = {k: v for k, v in values.items() if k != "name"}
        return old | {"name": values.get("name", old["name"]), "adapter_spec": old["adapter_spec"] | adapter}

    return change


def skipped(found: Published) -> dict[str, int]:
    return dict(sum((Counter(count.skipped) for count in found.table), Counter()))


def rows_of(found: Published) -> list[dict[str, Any]]:
    assert found.items is not None
    return [json.loads(line) for line in found.items.lines.splitlines()]


# ----------------------------------------------------------------------------------------------------------------- runs


def test_a_run_s_scores_are_those_that_helm_summarizes() -> None:
    found = helm.read_published(SUITE)
    assert {row["benchmark"]: row["score"] for row in found.scores} == {
        "simple-mcqa-exact-match": PRINTED,
        "simple-mcqa-quasi-exact-match": PRINTED,
        "simple-mcqa-prefix-exact-match": PRINTED,
        "simple-mcqa-quasi-prefix-exact-match": PRINTED,
    }
    assert found.scores[0] == {
        "model": "acme/tiny-1",
        "benchmark": "simple-mcqa-exact-match",
        "score": PRINTED,
        "stderr": pytest.approx(sqrt(6 / 5 * (1 / 6) * (5 / 6) / 6)),  # one right of six, worked out by hand
        "scale": "proportion",
        "n_items": 6,
        "shots": 5,
        "scaffold": "HELM, exact_match, multiple_choice_joint",
        "observed": "2026-11-24",
        "source": "HELM v1: simple_mcqa:model=acme_tiny-1",
    }


def test_tokens_times_and_perturbed_copies_are_counted_and_are_no_scores() -> None:
    (stats, _) = helm.read_published(RUN).table
    assert (stats.read, stats.kept) == (81, 4)
    assert stats.skipped == {helm_runs.A_PART: 50, helm_runs.NO_SCORE: 27}


@pytest.mark.parametrize(
    ("name", "metric", "ours"),
    [
        ("gsm:model=acme_tiny-1,stop=none", "final_number_exact_match", "gsm8k"),
        ("commonsense:dataset=hellaswag,method=multiple_choice_joint,model=m", "exact_match", "hellaswag"),
        ("gpqa:subset=gpqa_diamond,use_chain_of_thought=true,model=m", "chain_of_thought_correctness", "gpqa-diamond"),
        ("gpqa:subset=gpqa_main,model=m", "exact_match", "gpqa-subset-gpqa-main-exact-match"),
        ("mmlu:subject=anatomy,method=x,model=m", "exact_match", "mmlu-subject-anatomy-exact-match"),
        ("gsm:model=m", "exact_match", "gsm-exact-match"),
    ],
)  # fmt: skip
def test_a_known_scenario_s_main_metric_is_our_benchmark_and_a_part_of_one_is_not(
    tmp_path: Path, name: str, metric: str, ours: str
) -> None:
    path = changed(tmp_path, "run_spec.json", spec(name=name))
    stat = {"name": {"name": metric, "split": "test"}, "count": 1, "mean": 0.5}
    (path / "stats.json").write_text(json.dumps([stat]))
    assert [row["benchmark"] for row in helm.read_published(path).scores] == [ours]


def test_a_benchmark_of_which_fewer_items_were_asked_is_marked_as_a_part(tmp_path: Path) -> None:
    path = changed(tmp_path, "run_spec.json", spec(name="gsm:model=m"))
    names = {"final_number_exact_match": 0.5, "num_instances": 1000}
    stats = [{"name": {"name": name, "split": "test"}, "mean": value} for name, value in names.items()]
    (path / "stats.json").write_text(json.dumps(stats))
    (row,) = helm.read_published(path).scores
    assert (row["n_items"], row["scaffold"].split(", ", 3)[3]) == (1000, "1,000 of 1,319 items")


def test_the_validation_split_stands_in_where_there_is_no_test_split_and_says_so(tmp_path: Path) -> None:
    path = changed(tmp_path, "stats.json", lambda rows: json.dumps(rows).replace('"split": "test"', '"split": "valid"'))
    found = helm.read_published(path)
    assert len(found.scores) == 4
    assert all("split valid" in row["scaffold"] for row in found.scores)


def test_items_are_kept_and_their_mean_is_the_run_s_figure() -> None:
    found = helm.read_published(RUN)
    assert found.items is not None
    assert [score.value for score in found.items.scores] == [pytest.approx(PRINTED)] * 4
    exact = [row for row in rows_of(found) if row["metric"] == "exact_match"]
    assert [(row["item_id"], row["doc_id"], row["value"]) for row in exact][:3] == [
        ("id60", 60, 1.0),
        ("id38", 38, 0.0),
        ("id41", 41, 0.0),
    ]


def test_the_metric_that_helm_shows_of_a_known_scenario_is_called_acc(tmp_path: Path) -> None:
    path = changed(tmp_path, "run_spec.json", spec(name="commonsense:dataset=hellaswag,model=m"))
    assert {row["metric"] for row in rows_of(helm.read_published(path))} == {
        "acc", "quasi_exact_match", "prefix_exact_match", "quasi_prefix_exact_match",
    }  # fmt: skip


def test_two_models_are_compared_item_by_item(tmp_path: Path) -> None:
    from bench import database
    from bench.analysis import compare

    other = changed(tmp_path, "run_spec.json", spec(model="acme/tiny-2"))
    for path in (RUN, other):
        imports.import_path("helm", path, tmp_path)
    database.build(tmp_path)
    (task,) = compare(tmp_path, "imported:helm:acme/tiny-1", "imported:helm:acme/tiny-2").as_dict()["tasks"]
    assert (task["task"], task["n"]) == ("simple_mcqa", 6)


def test_runs_of_two_models_in_one_folder_keep_scores_only(tmp_path: Path) -> None:
    path = changed(tmp_path, "run_spec.json", spec(model="acme/tiny-2"))
    shutil.copytree(RUN, path.parent / "other")
    found = helm.read_published(path.parent)
    assert (len(found.scores), found.items) == (8, None)
    assert skipped(found)[items.OF_SEVERAL] == 12
    assert [row["stderr"] for row in found.scores] == [pytest.approx(1 / 6)] * 8  # which is worked out all the same


def test_the_same_scenario_twice_keeps_one_run_s_items(tmp_path: Path) -> None:
    path = changed(tmp_path, "run_spec.json", spec(max_train_instances=0))
    shutil.copytree(RUN, path.parent / "other")
    found = helm.read_published(path.parent)
    assert len(found.scores) == 8
    assert {row["shots"] for row in found.scores} == {0, 5}
    assert skipped(found)[helm.TWICE] == 6


def test_a_run_is_the_same_whichever_of_its_files_is_named_and_twice_adds_nothing(tmp_path: Path) -> None:
    one = imports.import_path("helm", RUN, tmp_path)
    for path in (RUN, RUN / "run_spec.json", RUN / "stats.json"):
        again = imports.import_path("helm", path, tmp_path)
        assert (again.run_id, again.added) == (one.run_id, False)


# --------------------------------------------------------------------------------------------------------------- tables


def test_the_overview_of_a_release_is_read_once_per_model_and_scenario() -> None:
    found = helm.read_published(SUITE / "groups")
    assert found.scores == (
        {
            "model": "Acme Tiny 1",
            "benchmark": "helm-simple-mcqa-exact-match",
            "score": PRINTED,
            "scale": "proportion",
            "scaffold": "HELM, Exact match",
            "source": "HELM v1: core.json",
            "observed": "2026-11-24",
        },
    )
    assert skipped(found) == {helm_tables.NOT_BETTER: 4, helm_tables.RELATIVE: 1, helm_tables.OF_ONE: 1}
    assert [row["score"] for row in helm.read_published(SUITE / "groups" / "json" / "core_accuracy.json").scores] == [
        PRINTED
    ]


def overview(cells: list[tuple[str, str, Any]], **header: Any) -> list[dict[str, Any]]:
    """A table of one model as helm-summarize writes it: group, metric and the cell of each column."""
    columns = [
        {"value": f"{group} - {metric}", "lower_is_better": False, "metadata": {"run_group": group, "metric": metric}}
        | header
        for group, metric, _ in cells
    ]
    row = [{"value": "M"}, *(cell if isinstance(cell, dict) else {"value": cell} for _, _, cell in cells)]
    return [{"title": "Accuracy", "header": [{"value": "Model"}, *columns], "rows": [row]}]


def tables(tmp_path: Path, content: Any) -> Published:
    (tmp_path / "groups").mkdir(exist_ok=True)
    (tmp_path / "groups" / "core.json").write_text(json.dumps(content))
    return helm.read_published(tmp_path)


def test_mmlu_is_mmlu_only_over_all_its_subjects(tmp_path: Path) -> None:
    def over(n: int) -> dict[str, Any]:
        return {"value": 0.7, "run_spec_names": [f"mmlu:{k}" for k in range(n)]}

    (whole,) = tables(tmp_path, overview([("MMLU", "EM", over(57))])).scores
    assert (whole["benchmark"], whole["scaffold"]) == ("mmlu", "HELM, EM, pooled over 57 runs")
    (lite,) = tables(tmp_path, overview([("MMLU", "EM", over(5))])).scores
    assert lite["benchmark"] == "helm-mmlu-em"


def test_gpqa_of_helm_is_not_the_diamond_set_and_win_rates_are_no_scores(tmp_path: Path) -> None:
    found = tables(
        tmp_path, overview([("GPQA", "COT correct", 0.5), ("GSM8K", "EM", 0.9), ("WildBench", "WB Score", 7.5)])
    )
    assert [(row["benchmark"], row["scale"]) for row in found.scores] == [
        ("helm-gpqa-cot-correct", "proportion"),
        ("gsm8k", "proportion"),
        ("helm-wildbench-wb-score", "points"),
    ]


def test_perturbed_columns_empty_cells_and_repeated_ones_are_counted(tmp_path: Path) -> None:
    good = overview([("GSM8K", "EM", 0.9), ("BoolQ", "EM", None), ("IFEval", "EM", "0.5"), ("HellaSwag", "EM", 1e308)])
    perturbed = overview(
        [("GSM8K", "EM", 0.8)], metadata={"run_group": "a", "metric": "b", "perturbation": "Robustness"}
    )
    found = tables(tmp_path, [*good, *good, *perturbed])
    assert len(found.scores) == 1
    assert skipped(found) == {
        helm_tables.EMPTY: 2,
        "a value that is not a number": 2,
        "a number larger than any benchmark's": 2,
        helm_tables.AGAIN: 1,
        helm_tables.PERTURBED: 1,
    }


# -------------------------------------------------------------------------------------------------------------- hostile


def test_helm_s_places_are_known_and_others_are_not(tmp_path: Path) -> None:
    for path in (SUITE, RUN, RUN / "stats.json", SUITE / "groups", SUITE / "groups" / "core.json"):
        assert helm.is_mine_path(path), path
    for content in ("{}", "[]", "[[]]", "{", '[{"header": [], "rows": []}]', '{"header": [3], "rows": []}'):
        (tmp_path / "run_spec.json").write_text(content)
        assert not helm.is_mine_path(tmp_path)
        assert not helm.is_mine_path(tmp_path / "run_spec.json")
    assert not helm.is_mine_path(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="holds no runs of HELM"):
        helm.read_published(tmp_path / "empty")


@pytest.mark.parametrize("name", ["run_spec.json", "stats.json", "per_instance_stats.json"])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.999])
def test_a_file_that_is_cut_off_costs_one_line_or_is_counted_among_others(
    tmp_path: Path, name: str, keep: float
) -> None:
    path = changed(tmp_path, name, lambda rows: json.dumps(rows)[: int(len(json.dumps(rows)) * keep)])
    with pytest.raises(ConfigError) as raised:
        helm.read_published(path)
    assert "\n" not in str(raised.value)
    shutil.copytree(RUN, path.parent / "whole")
    found = helm.read_published(path.parent)
    assert skipped(found)[helm_runs.DAMAGED] == 1
    assert len(found.scores) == 4


def test_a_run_that_did_not_end_is_counted(tmp_path: Path) -> None:
    path = changed(tmp_path, "run_spec.json", lambda spec: spec)
    (path / "stats.json").unlink()
    found = helm.read_published(path)
    assert (found.scores, skipped(found)) == ((), {helm_runs.NOT_ENDED: 1})


@pytest.mark.parametrize("rows", [{}, [3], [None], [{"name": 3}], [{"name": {"name": "exact_match", "split": "test"}}]])
def test_stats_of_odd_shapes_are_counted(tmp_path: Path, rows: Any) -> None:
    found = helm.read_published(changed(tmp_path, "stats.json", lambda _: rows))
    assert found.scores == ()
    assert found.table[0].read == len(rows)


@pytest.mark.parametrize("value", [float("nan"), 1e308, "0.5", None, True])
def test_a_mean_that_is_no_number_is_not_a_score(tmp_path: Path, value: Any) -> None:
    stat = {"name": {"name": "exact_match", "split": "test"}, "mean": value}
    found = helm.read_published(changed(tmp_path, "stats.json", lambda _: [stat]))
    assert found.scores == ()
    assert found.table[0].read == sum(found.table[0].skipped.values()) == 1


def test_items_of_odd_shapes_are_counted(tmp_path: Path) -> None:
    def item(value: Any, **more: Any) -> dict[str, Any]:
        stat = {"name": {"name": "exact_match", "split": "test"}, "mean": value}
        return {"instance_id": "id1", "train_trial_index": 0, "stats": [stat], **more}

    odd = [
        item(1.0), item(1.0), item(2.0, instance_id="id2"), item(None, instance_id="id3"), item(1.0, instance_id=4), 3,
        item(1.0, perturbation={"name": "typos"}), item(0.0, train_trial_index=1), item(1.0, instance_id="x", stats=7),
    ]  # fmt: skip
    found = helm.read_published(changed(tmp_path, "per_instance_stats.json", lambda _: odd))
    assert found.table[1].skipped == {
        items.TWICE: 1,
        items.NO_SHARE: 3,
        "an item without its id": 2,
        "an item that was perturbed": 1,
    }
    assert [(row["item_id"], row["repeat"], row["value"]) for row in rows_of(found)] == [
        ("id1", 0, 1.0),
        ("id1", 1, 0.0),
    ]
