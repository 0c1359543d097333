"""Benchmarks and grades: what is declared is complete, and fits the real files of others column by column."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from bench.catalog import grades
from bench.catalog.benchmarks import Layout, arena, benchmark, benchmarks, by_file, known
from bench.errors import ConfigError
from tests.real_data import real


def test_every_benchmark_says_its_unit_its_source_and_the_day() -> None:
    for item in benchmarks().values():
        assert item.source
        assert (item.unit == "proportion") == (item.scale == "proportion"), item.id
        assert item.chance < item.ceiling


@pytest.mark.parametrize(
    ("name", "chance"),
    [("mmlu", 0.25), ("GPQA diamond", 0.25), ("PIQA", 0.5), ("ANLI", 1 / 3), ("LAMBADA", 0), ("simplebench", 1 / 6)],
)
def test_guessing_scores_one_over_the_number_of_options(name: str, chance: float) -> None:
    assert benchmark(name).chance == pytest.approx(chance, abs=1e-4)


def test_a_name_of_any_source_finds_the_same_benchmark() -> None:
    for name in ("MMLU", "mmlu", " Mmlu "):
        assert benchmark(name).id == "mmlu"
    assert benchmark("ARC AI2").id == benchmark("arc_challenge").id == "arc-challenge"
    assert benchmark("ECI").unit == "index points"


def test_an_unknown_benchmark_is_an_error_that_names_the_nearest_and_none_for_an_importer() -> None:
    with pytest.raises(ConfigError, match="did you mean 'gpqa-diamond'"):
        benchmark("gpqa-dimond")
    assert known("a benchmark nobody wrote") is None


def test_a_category_of_the_arena_is_two_benchmarks_plain_and_with_style_control() -> None:
    plain, style = arena("coding"), arena("coding", style_control=True)
    assert plain is not None
    assert style is not None
    assert (plain.id, style.id) == ("lmarena-text-coding", "lmarena-text-style-coding")
    full = arena()
    assert full is not None
    assert (full.id, full.scale) == ("lmarena-text", "points")
    assert arena("a category of next year") is None


def test_epochs_forty_two_benchmarks_are_all_known_and_marked() -> None:
    path = real("epoch_hub_2026-04") / "additional_eci_data" / "eci_benchmark_difficulties_and_slopes.csv"
    with path.open(encoding="utf-8") as lines:
        found = {benchmark(row["benchmark_name"]).id for row in csv.DictReader(lines)}
    assert found == {item.id for item in benchmarks().values() if item.in_index}
    assert len(found) == 42


@pytest.mark.parametrize(
    ("folder", "layout", "others"),
    [
        ("epoch_hub_2026-04", "hub", set()),
        ("epoch_airtable_2025-12", "airtable", {"model_versions", "benchmark_optim", "distilled_models"}),
    ],
)
def test_every_real_file_is_some_benchmark_and_has_the_columns_we_name(
    folder: str, layout: Layout, others: set[str]
) -> None:
    files = by_file(layout)
    for path in real(folder).glob("*.csv"):
        if path.stem in others:
            continue
        header = _header(path)
        for item in files[path.stem]:
            reading = item.layouts[layout]
            for column in filter(None, (reading.score, reading.stderr, reading.low, reading.high)):
                assert column in header, (path.name, column)


@pytest.mark.parametrize("file", ["leaderboard-text", "leaderboard-text-style-control"])
def test_every_category_of_the_real_leaderboards_is_known(file: str) -> None:
    told = json.loads((real("lmarena") / f"{file}.json").read_text(encoding="utf-8"))
    assert all(arena(key, style_control=file.endswith("style-control")) for key in told)


def test_grades_are_ordered_from_closed_to_fully_open() -> None:
    assert grades.at_least("weights-restricted", "weights-noncommercial")
    assert grades.at_least("closed-api", "closed-api")
    assert not grades.at_least("closed-api", grades.OPEN)
    with pytest.raises(ConfigError, match="did you mean 'closed-api'"):
        grades.at_least("closed-ap", "fully-open")


@pytest.mark.parametrize(
    ("words", "grade"),
    [
        ("API access", "closed-api"),
        ("Hosted access (no API)", "closed-hosted"),
        ("Open weights (unrestricted)", "weights-unrestricted"),
        ("Open weights (restricted use)", "weights-restricted"),
        ("Open weights (non-commercial)", "weights-noncommercial"),
        ("Unreleased", None),
        ("", None),
        (None, None),
    ],
)
def test_epochs_words_are_read_as_grades(words: str | None, grade: str | None) -> None:
    assert grades.from_epoch(words) == grade


@pytest.mark.parametrize(
    ("label", "grade"),
    [
        ("Apache 2.0", "weights-unrestricted"),
        ("Apache-2.0", "weights-unrestricted"),
        ("Proprietary", "closed-api"),
        ("Propretary", "closed-api"),
        ("Llama 3.1 Community", "weights-restricted"),
        ("CC-BY-NC-4.0", "weights-noncommercial"),
        ("-", None),
        ("a licence of next year", None),
    ],
)
def test_licence_labels_are_read_as_grades_misspelt_ones_too(label: str, grade: str | None) -> None:
    assert grades.from_licence(label) == grade


def test_every_licence_label_of_the_real_arena_files_is_known() -> None:
    with (real("lmarena") / "arena_model_license.csv").open(encoding="utf-8") as lines:
        told = [row for row in csv.DictReader(lines) if row["class_from"] not in {"analyst override", "name rule"}]
    assert {row["license"] for row in told if grades.from_licence(row["license"]) is None} == set()


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return next(csv.reader(lines))
