"""LMArena's ratings: one snapshot is one benchmark version; labels become grades as they stand."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bench.imports import lmarena
from bench.imports.published import Published
from tests import published_files
from tests.published_files import folder
from tests.real_data import real


@pytest.fixture
def catalog(tmp_path: Path) -> Published:
    return lmarena.read_published(folder(tmp_path / "data", published_files.lmarena()))


def rated(found: Published) -> dict[tuple[str, str, str | None], Mapping[str, Any]]:
    return {(row["benchmark"], str(row.get("benchmark_version")), row["model"]): row for row in found.scores}


def test_every_row_is_kept_or_skipped_for_a_reason(catalog: Published) -> None:
    assert {count.file: (count.read, count.kept, dict(count.skipped)) for count in catalog.table} == {
        "arena_history.csv": (6, 4, {"the snapshot that a JSON beside it tells in full": 1, "no rating": 1}),
        "arena_model_license.csv": (7, 5, {"no model name": 1, "a licence that tells no grade": 1}),
        "leaderboard-text.json": (4, 3, {"no rating": 1}),
        "leaderboard_table_20240109.csv": (2, 1, {"a licence that tells no grade: Other": 1}),
        "scatterplot-data.json": (3, 1, {"a licence that tells no grade: Other": 1, "no model name": 1}),
        "visibility-data.json": (
            1, 0, {"not a file of LMArena's that holds ratings, licences or prices": 1},
        ),
    }  # fmt: skip


def test_a_snapshot_without_a_date_takes_that_of_the_history_with_the_same_ratings(catalog: Published) -> None:
    row = rated(catalog)["lmarena-text", "2025-12-11", "ace-1"]
    assert (row["score"], row["score_low"], row["score_high"]) == (1460.1234, 1450.01, 1470.02)
    assert row["stderr"] == pytest.approx(20.01 / (2 * 1.96), rel=1e-4)
    assert row["evaluated_on"] == row["observed"] == dt.date(2025, 12, 11)
    assert (row["scale"], row["vendor"]) == ("points", "Ace Lab")


def test_a_snapshot_without_any_date_is_named_by_its_content_and_says_so(tmp_path: Path) -> None:
    files = {"leaderboard-text.json": json.dumps(published_files.BOARD)}
    found = lmarena.read_published(folder(tmp_path, files) / "leaderboard-text.json")
    versions = {row["benchmark_version"] for row in found.scores}
    (version,) = versions
    assert version.startswith("content ")
    assert "has no date; its snapshot is called" in found.notes[0]
    dated = tmp_path / "leaderboard-text-style-control-2026-01-31.json"
    dated.write_text(files["leaderboard-text.json"])
    styled = rated(lmarena.read_published(dated))
    assert ("lmarena-text-style", "2026-01-31", "ace-1") in styled


def test_categories_and_style_control_are_benchmarks_of_their_own(catalog: Published) -> None:
    assert sorted(rated(catalog)) == [
        ("lmarena-text", "2025-02-12", "ace-1"),
        ("lmarena-text", "2025-02-12", "oak-7b"),
        ("lmarena-text", "2025-12-11", "ace-1"),
        ("lmarena-text-coding", "2025-02-12", "ace-1"),
        ("lmarena-text-hard", "2025-12-11", "ace-1"),
        ("lmarena-text-knitting", "2025-12-11", "ace-1"),
        ("lmarena-text-style", "2025-12-17", "ace-1"),
        ("mmlu", "None", "oak-7b"),
        ("mt-bench", "None", "oak-7b"),
    ]


def test_an_interval_that_misses_an_end_is_no_interval(catalog: Published) -> None:
    row = rated(catalog)["lmarena-text-hard", "2025-12-11", "ace-1"]
    assert (row["score"], row["score_low"], row["score_high"], row["stderr"]) == (1440.5, None, None, None)


def test_labels_become_grades_as_they_stand_and_are_kept(catalog: Published) -> None:
    told = {(row["model"], row["grade"], row["licence"]) for row in catalog.access}
    assert told == {
        ("ace-1", "closed-api", "Proprietary"),
        ("ace-1", "closed-api", "Propretary"),
        ("oak-7b", "weights-unrestricted", "Apache 2.0"),
        ("oak-7b", "weights-unrestricted", "Apache-2.0"),
        ("elm-2", "closed-api", None),
        ("fir-1", "weights-noncommercial", None),  # "open" alone promises no more
        ("yew-max", "closed-api", "Apache 2.0"),  # the list itself says that its label is wrong
    }


def test_prices_in_numbers_and_texts_are_exact_and_blank_ones_are_unknown(catalog: Published) -> None:
    (price,) = catalog.prices
    assert (price["provider"], price["model"]) == ("ace-lab", "ace-1")
    assert (price["usd_per_mtok_in"], price["usd_per_mtok_out"]) == (Decimal("2.5"), Decimal(10))
    assert "valid_from" not in price


@pytest.mark.parametrize("rating", ["NaN", "1e308", "null", '"high"', "true", "[1]", "1e999999999999"])
def test_a_rating_that_is_no_rating_is_skipped(rating: str, tmp_path: Path) -> None:
    text = f'{{"full": {{"a": {{"rating": {rating}, "rating_q025": 1, "rating_q975": 2}}, "b": {{"rating": 1000}}}}}}'
    path = tmp_path / "leaderboard-text.json"
    path.write_text(text)
    found = lmarena.read_published(path)
    assert [row["model"] for row in found.scores] == ["b"]
    assert found.table[0].skipped == {"no rating": 1}


def test_the_real_catalog_is_read_and_every_row_accounted_for() -> None:
    path = real("lmarena")
    began = time.monotonic()
    found = lmarena.read_published(path)
    assert time.monotonic() - began < 10
    assert {count.file: (count.read, count.kept) for count in found.table} == {
        "arena_history.csv": (19689, 16332),
        "arena_model_license.csv": (334, 334),
        "leaderboard-text-style-control.json": (7462, 7462),
        "leaderboard-text.json": (7461, 7461),
        "leaderboard_elo_2023.csv": (295, 295),
        "leaderboard_table_last_2024-10.csv": (192, 190),
        "scatterplot-data.json": (141, 141),
        "visibility-data.json": (1, 0),
    }
    plain = [row for row in found.scores if row["benchmark"] == "lmarena-text"]
    old, new = (
        [row["score"] for row in plain if row["benchmark_version"] == day] for day in ("2025-02-12", "2025-12-11")
    )
    assert (len(old), max(old)) == (198, 1383.92)
    assert (len(new), max(new)) == (282, pytest.approx(1486.60271))
    assert found.notes == ()
