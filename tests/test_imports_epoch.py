"""Epoch's layouts: each is known by its columns, every row is accounted for, and units come out as ours."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench import database, imports
from bench.errors import ConfigError
from bench.imports import epoch
from bench.imports.published import Published
from tests.published_files import AIRTABLE, HUB, HUB_2026_08, folder, zipped
from tests.real_data import real

LAYOUTS = {"hub": HUB, "airtable": AIRTABLE, "hub_2026_08": HUB_2026_08}


def scores(found: Published, benchmark: str) -> list[Mapping[str, Any]]:
    return [row for row in found.scores if row["benchmark"] == benchmark]


def only(found: Published, benchmark: str) -> Mapping[str, Any]:
    (row,) = scores(found, benchmark)
    return row


def counts(found: Published) -> dict[str, tuple[int, int, dict[str, int]]]:
    return {count.file: (count.read, count.kept, dict(count.skipped)) for count in found.table}


@pytest.fixture
def hub(tmp_path: Path) -> Published:
    return epoch.read_published(folder(tmp_path / "hub", HUB))


@pytest.fixture
def airtable(tmp_path: Path) -> Published:
    return epoch.read_published(folder(tmp_path / "airtable", AIRTABLE))


@pytest.fixture
def newest(tmp_path: Path) -> Published:
    return epoch.read_published(folder(tmp_path / "newest", HUB_2026_08))


# ----------------------------------------------------------------------------------------------------------- detecting


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_a_folder_and_its_zip_are_the_same_import(layout: str, tmp_path: Path) -> None:
    files = LAYOUTS[layout]
    plain = folder(tmp_path / "plain", files)
    first = imports.import_published("epoch", plain, tmp_path / "results")
    for path in (
        zipped(tmp_path / "a.zip", files),
        zipped(tmp_path / "b.zip", files, within="benchmark_data/"),
        folder(tmp_path / "again" / "deeper", files).parent,
    ):
        again = imports.import_published("epoch", path, tmp_path / "results")
        assert (again.run_id, again.added, again.read_anew) == (first.run_id, False, False)
    assert first.added


def test_the_layout_is_told_by_the_columns(hub: Published, airtable: Published, newest: Published) -> None:
    assert "the hub's zip)" in hub.source
    assert "the Airtable export of 2025)" in airtable.source
    assert "the hub's zip since August 2026)" in newest.source


def test_one_file_alone_is_enough(tmp_path: Path) -> None:
    for name, text in (*HUB.items(), *AIRTABLE.items()):
        path = folder(tmp_path, {Path(name).name: text}) / Path(name).name
        holds = not name.startswith(("additional", "benchmark_optim", "distilled", "model_versions"))
        assert epoch.is_mine_path(path) == holds, name
        if holds:
            assert epoch.read_published(path).scores, name


def test_two_layouts_at_once_are_refused(tmp_path: Path) -> None:
    folder(tmp_path / "both" / "hub", HUB)
    folder(tmp_path / "both" / "airtable", AIRTABLE)
    with pytest.raises(ConfigError, match=r"the Airtable export of 2025 and the hub's zip, .* import one of them"):
        epoch.read_published(tmp_path / "both")


# ----------------------------------------------------------------------------------------------------- April 2026


def test_every_row_of_the_hub_is_kept_or_skipped_for_a_reason(hub: Published) -> None:
    assert counts(hub) == {
        "additional_eci_data/eci_benchmark_difficulties_and_slopes.csv": (
            1, 0, {"a difficulty that Epoch fitted, not a score": 1},
        ),
        "additional_eci_data/eci_scaling.csv": (1, 0, {"the scale of Epoch's index, not a score": 1}),
        "aider_polyglot_external.csv": (1, 1, {}),
        "epoch_capabilities_index.csv": (
            4, 2, {"no index and no grade of access that says more than unknown": 1, "no model version": 1},
        ),
        "gpqa_diamond.csv": (5, 3, {"no score": 1, "a score outside of 0 to 1 after division": 1}),
        "lech_mazur_writing_external.csv": (1, 1, {}),
        "metr_time_horizons_external.csv": (2, 2, {}),
        "mmlu_external.csv": (3, 1, {"no model version": 1, "no score": 1}),
        "puddle_jump_external.csv": (1, 1, {}),
        "shell_money_external.csv": (1, 1, {}),
        "terminalbench_external.csv": (2, 2, {}),
        "webdev_arena_external.csv": (2, 2, {}),
    }  # fmt: skip


def test_units_of_neighbouring_files_become_ours(hub: Published) -> None:
    assert only(hub, "aider-polyglot")["score"] == 0.88
    assert only(hub, "lech-mazur-writing")["score"] == pytest.approx(0.873)
    horizon = scores(hub, "metr-time-horizon")[0]
    assert (horizon["score"], horizon["scale"]) == (718.5, "points")
    assert (horizon["score_low"], horizon["score_high"], horizon.get("stderr")) == (319.3, 3949.7, None)


def test_several_runs_of_a_model_are_all_kept_with_their_conditions(hub: Published) -> None:
    assert [(row["scaffold"], row["score"]) for row in scores(hub, "terminal-bench")] == [
        ("Terminus 2", 0.5),
        ("Goose", 0.4),
    ]
    assert [row["score"] for row in scores(hub, "gpqa-diamond") if row["model"] == "oak-7b"] == [0.31, 0.29]


def test_a_row_carries_model_group_vendor_release_and_source(hub: Published) -> None:
    row = only(hub, "mmlu")
    assert (row["model"], row["model_group"], row["display_name"], row["vendor"]) == (
        "oak-7b",
        "Oak 7B",
        "Oak 7B",
        "Oak",
    )
    assert (row["released"], row["shots"], row["licence"]) == (dt.date(2024, 2, 3), 5, "CC-BY-4.0")
    assert row["source"] == "Epoch AI, AI Benchmarking Hub, epoch.ai/benchmarks; Oak paper"
    gpqa = scores(hub, "gpqa-diamond")[0]
    assert (gpqa["score"], gpqa["stderr"], gpqa["evaluated_on"]) == (0.85, 0.025, dt.date(2025, 3, 5))


def test_a_standard_error_of_nothing_or_of_a_million_items_is_unknown(hub: Published) -> None:
    assert [row.get("stderr") for row in scores(hub, "gpqa-diamond")] == [0.025, None, None]


def test_an_even_95_percent_interval_gives_a_standard_error(hub: Published) -> None:
    first, second = scores(hub, "webdev-arena")
    assert (first["score_low"], first["score_high"]) == (1389.0, 1409.0)
    assert second["stderr"] == pytest.approx(21 / 2 / 1.96, rel=1e-4)


def test_a_benchmark_nobody_described_keeps_its_rows_and_says_so(hub: Published) -> None:
    jump, money = only(hub, "puddle-jump"), only(hub, "shell-money")
    assert (jump["score"], jump["scale"]) == (0.5, "proportion")
    assert (money["score"], money["scale"]) == (11181.87, "points")
    told = " ".join(hub.notes)
    assert "puddle_jump_external.csv: not in the catalogue; 'Jumped' is taken as its score, in proportions" in told
    assert "'Score' is taken as its score, in points, because its unit isn't known" in told


def test_access_begins_on_the_day_of_release_and_unknown_grades_are_no_grades(hub: Published) -> None:
    assert [(row["model"], row["grade"], row["valid_from"], row["note"]) for row in hub.access] == [
        ("ace-1_high", "closed-api", dt.date(2025, 3, 1), "API access"),
        ("oak-7b", "weights-noncommercial", dt.date(2024, 2, 3), "Open weights (non-commercial)"),
    ]
    assert [(row["model"], row["score"]) for row in scores(hub, "eci")] == [("ace-1_high", 140.5), ("oak-7b", 101.25)]


def test_two_layouts_of_one_benchmark_tell_which_version_of_it_they_hold(hub: Published, airtable: Published) -> None:
    def versions(found: Published, benchmark: str) -> list[str | None]:
        return [row.get("benchmark_version") for row in scores(found, benchmark)]

    assert versions(hub, "terminal-bench") == ["2.0", "2.0"]
    assert versions(airtable, "terminal-bench") == ["1.0"]
    assert versions(hub, "metr-time-horizon") == ["METR-Horizon-v1.1", "METR-Horizon-v1"]  # a blank is the first one
    assert versions(airtable, "metr-time-horizon") == ["METR-Horizon-v1"]
    assert versions(airtable, "livebench") == ["LiveBench-2024-11-25"]
    assert versions(hub, "gpqa-diamond") == [None, None, None]


def test_each_fit_of_the_index_is_a_snapshot_of_the_day_of_its_newest_model(hub: Published, newest: Published) -> None:
    assert {row["benchmark_version"] for row in scores(hub, "eci")} == {
        "2025-03-01"
    }  # elm-2 is newer, but has no index
    assert {row["benchmark_version"] for row in scores(newest, "eci")} == {"2025-08-07"}


def test_an_index_without_any_date_is_of_no_version_that_is_known(tmp_path: Path) -> None:
    files = {"eci_scores.csv": "Model,eci,date\nAce 1,140.5,\nElm 2,120,soon\n"}
    found = epoch.read_published(folder(tmp_path, files))
    assert [row.get("benchmark_version") for row in scores(found, "eci")] == [None, None]


# ------------------------------------------------------------------------------------------------------------ 2025


def test_every_row_of_the_airtable_export_is_kept_or_skipped_for_a_reason(airtable: Published) -> None:
    assert counts(airtable) == {
        "benchmark_optim.csv": (1, 0, {"says what a benchmark is about, not a score": 1}),
        "benchmarks_runs.csv": (5, 4, {"a run that ended as Error": 1}),
        "distilled_models.csv": (1, 0, {"a guess about distillation, not a score": 1}),
        "external_benchmark_arc_agi.csv": (3, 2, {"no model version": 1}),
        "external_benchmark_balrog.csv": (1, 1, {}),
        "external_benchmark_deepresearch.csv": (1, 1, {}),
        "external_benchmark_livebench.csv": (1, 1, {}),
        "external_benchmark_metr.csv": (1, 1, {}),
        "external_benchmark_terminal_bench.csv": (1, 1, {}),
        "model_versions.csv": (2, 0, {"names and dates for the rows of other files": 2}),
    }


def test_the_error_is_that_of_the_scorer_that_gave_the_score(airtable: Published) -> None:
    assert only(airtable, "gpqa-diamond")["stderr"] == 0.02
    assert only(airtable, "math-level-5")["stderr"] == 0.06
    assert only(airtable, "otis-mock-aime")["stderr"] is None  # ±0 is rounded, not certain


def test_dates_and_names_come_from_the_table_of_models(airtable: Published) -> None:
    row = only(airtable, "gpqa-diamond")
    assert (row["evaluated_on"], row["released"]) == (dt.date(2025, 11, 17), dt.date(2025, 3, 1))
    assert (row["model_group"], row["display_name"]) == ("Ace 1", "Ace 1 (high)")
    assert only(airtable, "balrog")["evaluated_on"] == dt.date(2024, 7, 23)


def test_percents_are_what_they_say_and_a_task_nobody_knows_keeps_its_name(airtable: Published) -> None:
    assert [row["score"] for row in scores(airtable, "arc-agi")] == [0.42, 0.339]
    assert (only(airtable, "balrog")["score"], only(airtable, "balrog")["stderr"]) == (0.436, 0.022)
    assert only(airtable, "livebench")["score"] == pytest.approx(0.8235)
    assert only(airtable, "a-new-task")["score"] == 0.5
    assert "scaffold" not in only(airtable, "deepresearch-bench")  # a ticked box is no agent


# -------------------------------------------------------------------------------------------------- since August 2026


def test_every_row_of_the_newest_layout_is_kept_or_skipped_for_a_reason(newest: Published) -> None:
    described = "names and dates for the rows of other files"
    assert counts(newest) == {
        "aider_polyglot_external.csv": (1, 1, {}),
        "benchmark_metadata.csv": (4, 0, {described: 4}),
        "epoch_capabilities_index/eci_bootstraps.json": (1, 0, {"draws of Epoch's index, not scores": 1}),
        "epoch_capabilities_index/eci_scores.csv": (3, 3, {}),
        "epoch_capabilities_index/edi_scores.csv": (1, 0, {"a difficulty that Epoch fitted, not a score": 1}),
        "epoch_capabilities_index/processed_data_for_eci.csv": (
            1, 0, {"the other files' scores, chance taken out for the index": 1},
        ),
        "gpqa_diamond.csv": (1, 1, {}),
        "mmlu_external.csv": (3, 1, {"no model version": 1, "no score": 1}),
        "model_metadata.csv": (4, 2, {"no model version": 2}),
        "puddle_jump_external.csv": (1, 1, {}),
    }  # fmt: skip


def test_the_zip_s_own_metadata_say_which_column_of_a_new_benchmark_is_its_score(newest: Published) -> None:
    row = only(newest, "puddle-jump-2")
    assert (row["score"], row["scale"], row["stderr"]) == (0.75, "proportion", 0.03)
    assert (row["model_group"], row["display_name"]) == ("Oak 7B", "Oak 7B (Novita)")


def test_the_zip_s_own_word_on_a_unit_goes_before_ours(newest: Published) -> None:
    row = only(newest, "gpqa-diamond")
    assert (row["score"], row["stderr"]) == (0.85, 0.025)
    assert any("'mean_score' is divided by 100, as its metadata say" in note for note in newest.notes)


def test_the_published_index_has_its_interval_except_where_it_fixes_the_scale(newest: Published) -> None:
    rows = {row["model"]: row for row in scores(newest, "eci")}
    assert (rows["Ace 1"]["score_low"], rows["Ace 1"]["score_high"]) == (138.0, 144.0)
    assert rows["Ace 1"]["stderr"] == pytest.approx(6 / (2 * 1.6449), rel=1e-4)
    assert "stderr" not in rows["GPT-5"]
    assert "stderr" not in rows["Elm 2"]
    assert {row["model"]: row["grade"] for row in newest.access} == {
        "Ace 1": "closed-api",
        "GPT-5": "closed-api",
        "ace-1_high": "closed-api",
        "zai-org/oak-7b": "weights-unrestricted",
    }


# ---------------------------------------------------------------------------------------------------------------- 2024


def test_the_tables_of_2024_give_several_scores_a_row_and_the_least_grade_their_words_promise(tmp_path: Path) -> None:
    files = {
        "benchmarks_with_model_accessibility.csv": (
            "System,Date,Open/Closed,BBH,GPQA,MMLU,LMSys Elo,LMSys Elo 95% CI\n"
            'Oak,2024-02-03,Open,0.41,,0.61,1207,"""+3/-5"""\nAce,2023-01-01,Closed,,,,,\nElm,,,1.5,,,,\n'
        )
    }
    found = epoch.read_published(folder(tmp_path, files))
    assert counts(found)["benchmarks_with_model_accessibility.csv"] == (
        3, 2, {"no score and no grade of access": 1},
    )  # fmt: skip
    assert [(row["benchmark"], row["score"]) for row in found.scores] == [
        ("bbh", 0.41),
        ("mmlu", 0.61),
        ("lmsys-elo", 1207),
    ]
    assert (only(found, "lmsys-elo")["score_low"], only(found, "lmsys-elo")["score_high"]) == (1202, 1210)
    assert [row["grade"] for row in found.access] == ["weights-noncommercial", "closed-hosted"]


# ----------------------------------------------------------------------------------------------------- real files, once


@pytest.mark.parametrize(
    ("name", "total", "n_scores", "n_access", "known"),
    [
        ("epoch_hub_2026-04", (4390, 3812), 3725, 471, {"mmlu_external.csv": 32, "gsm8k_external.csv": 65,
                                                        "os_world_external.csv": 37}),
        ("epoch_airtable_2025-12", (3885, 2687), 2728, 0, {"external_benchmark_mmlu.csv": 32}),
        ("epoch_eci_2026-02", (140, 140), 140, 134, {}),
        ("epoch_open_models_2024-11", (203, 203), 456, 202, {}),
    ],
)  # fmt: skip
def test_the_real_sets_are_read_once_and_every_row_is_accounted_for(
    name: str, total: tuple[int, int], n_scores: int, n_access: int, known: dict[str, int], tmp_path: Path
) -> None:
    path = real(name)
    began = time.monotonic()
    first = imports.import_published("epoch", path, tmp_path)
    assert time.monotonic() - began < 5
    for row in first.rows():
        print(row)
    assert (first.n_read, first.n_kept) == total
    assert (first.n_scores, first.n_access, first.notes) == (n_scores, n_access, ())
    blank = {count.file: count.skipped.get("no model version", 0) for count in first.table}
    assert {file: blank[file] for file in known} == known
    again = imports.import_published("epoch", path, tmp_path)
    assert (again.added, again.read_anew, again.run_id) == (False, False, first.run_id)
    assert database.build(tmp_path).problems == []
    (count,) = database.sql(tmp_path, "select count(*), count(distinct run_id) from published_score")[1]
    assert count == (n_scores, 1)


def test_the_real_scores_are_proportions_with_the_published_values() -> None:
    found = epoch.read_published(real("epoch_hub_2026-04"))
    gpqa = {row["model"]: row["score"] for row in scores(found, "gpqa-diamond")}
    assert gpqa["gpt-5.1-2025-11-13_high"] == pytest.approx(0.88, abs=0.03)
    index = {row["model"]: row["score"] for row in scores(found, "eci")}
    assert len(index) == 348
    assert {row["benchmark_version"] for row in scores(found, "eci")} == {"2026-04-08"}
    earlier = epoch.read_published(real("epoch_eci_2026-02"))
    assert {row["benchmark_version"] for row in earlier.scores} == {"2025-12-17"}
    assert max(index.values()) == pytest.approx(157.94353188772644)
    assert all(0 <= row["score"] <= 1 for row in found.scores if row["scale"] == "proportion")
    assert {row["benchmark"] for row in found.scores if row["scale"] == "points"} == {
        "eci", "metr-time-horizon", "webdev-arena",
    }  # fmt: skip
