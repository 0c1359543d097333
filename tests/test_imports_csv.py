"""The CSV anybody can write: what is taken, and exactly which cell is wrong."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from bench import imports
from bench.errors import ConfigError
from bench.imports import csv
from bench.imports.published import Published

HEADER = "model,benchmark,score"


def read(tmp_path: Path, *lines: str) -> Published:
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert csv.is_mine_path(path)
    return csv.read_published(path)


def test_model_benchmark_and_score_are_enough(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER, "ace-1,GPQA Diamond,71%", "oak-7b,gpqa-diamond,0.31", "ace-1,eci,140.5")
    assert [(row["benchmark"], row["score"], row["scale"]) for row in found.scores] == [
        ("gpqa-diamond", 0.71, "proportion"),
        ("gpqa-diamond", 0.31, "proportion"),
        ("eci", 140.5, "points"),
    ]
    assert (found.table[0].read, found.table[0].kept, found.notes) == (3, 3, ())


def test_every_other_column_is_optional_and_kept(tmp_path: Path) -> None:
    header = f"{HEADER},scale,stderr,score_low,score_high,n_items,shots,effort,scaffold,host,quantisation,released,"
    found = read(
        tmp_path,
        header + "evaluated_on,vendor,source,licence,benchmark_version,grade,valid_from,valid_to,note",
        "ace-1,My test,1200,points,15,1180,1230,200,5,high,my agent,fireworks,fp8,2025-03-01,2025-04-01,Ace,me,CC0,v2,"
        "closed-api,,2025-06-01,until the weights came",
    )
    (row,), (access,) = found.scores, found.access
    assert (row["benchmark"], row["stderr"], row["score_low"], row["n_items"], row["shots"]) == (
        "my-test",
        15,
        1180,
        200,
        5,
    )
    assert (row["effort"], row["host"], row["quantisation"]) == ("high", "fireworks", "fp8")
    assert (row["released"], row["evaluated_on"]) == (dt.date(2025, 3, 1), dt.date(2025, 4, 1))
    assert (access["grade"], access["valid_from"], access["valid_to"]) == (
        "closed-api",
        dt.date(2025, 3, 1),
        dt.date(2025, 6, 1),
    )
    assert found.notes == ("benchmark 'My test' is not in the catalogue; kept as 'my-test'",)
    assert found.source == "me"


def test_a_row_may_have_a_grade_and_no_score(tmp_path: Path) -> None:
    found = read(tmp_path, f"{HEADER},grade,valid_from", "oak-7b,,,weights-unrestricted,2024-02-03")
    assert (found.scores, found.access[0]["grade"]) == ((), "weights-unrestricted")


@pytest.mark.parametrize(
    ("columns", "cells", "says", "reason"),
    [
        ("", "ace-1,mmlu,71", "column score: '71' is outside of 0 to 1; write 0.71 or 71%", "score"),
        ("", "ace-1,mmlu,-0.1", "column score: '-0.1' is outside of 0 to 1", "score"),
        ("", "ace-1,mmlu,high", "column score: 'high' is no number", "score"),
        ("", "ace-1,mmlu,NaN", "column score: 'NaN' is no number", "score"),
        ("", "ace-1,eci,1e308", "column score: '1e308' is no number up to 1,000,000,000", "score"),
        ("", "ace-1,mmlu,", "column score: '' is empty; leave the row out", "score"),
        ("", ",mmlu,0.5", "column model: '' is empty; name the model", "model"),
        ("", "ace-1,,0.5", "column benchmark: '' is empty; name the benchmark", "benchmark"),
        ("scale", "ace-1,mmlu,0.5,percent", "column scale: 'percent' is none of proportion, points", "scale"),
        ("scale", "ace-1,mmlu,0.5,points", "column scale: 'points' is not that of mmlu, 'proportion'", "scale"),
        ("stderr", "ace-1,mmlu,0.5,0", "column stderr: '0' is not above 0; leave it empty", "stderr"),
        ("shots", "ace-1,mmlu,0.5,few", "column shots: 'few' is no whole number", "shots"),
        ("released", "ace-1,mmlu,0.5,soon", "column released: 'soon' is no date; write it as 2026-04-16", "released"),
        ("released", "ace-1,mmlu,0.5,2026-02-30", "column released: '2026-02-30' is no date", "released"),
        ("grade", "ace-1,mmlu,0.5,open", "column grade: 'open' is none of closed-hosted, closed-api", "grade"),
        ("provenance", "ace-1,mmlu,0.5,own", "column provenance: 'own' is not 'published'", "provenance"),
        (
            "score_low,score_high",
            "a,mmlu,0.5,0.6,0.4",
            "column score_low: '0.6' is above score_high = 0.4",
            "score_low",
        ),
    ],
)
def test_a_bad_cell_is_named_with_its_line_and_the_way_out(
    columns: str, cells: str, says: str, reason: str, tmp_path: Path
) -> None:
    found = read(tmp_path, ",".join(filter(None, (HEADER, columns))), "oak-7b,mmlu,0.6", cells)
    assert f"mine.csv, line 3, {says}" in found.notes[0]
    assert found.table[0].skipped == {f"{reason} cannot be read": 1}
    assert len(found.scores) == 1


def test_a_thousand_bad_cells_are_counted_and_ten_are_told(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER, *(f"m{n},mmlu,?" for n in range(1000)), "oak,mmlu,0.5")
    assert (len(found.notes), found.notes[-1]) == (11, "and 990 more rows")
    assert found.table[0].skipped == {"score cannot be read": 1000}


def test_a_line_number_is_the_file_s_own_also_after_a_cell_of_several_lines(tmp_path: Path) -> None:
    found = read(tmp_path, f"{HEADER},note", 'ace,mmlu,0.5,"two', 'lines"', "ace,mmlu,x,")
    assert "mine.csv, line 4, column score" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model,benchmark,score,vender\na,mmlu,0.5,x\n", "line 1: unknown column 'vender'; did you mean 'vendor'?"),
        ("model;benchmark;score\na;mmlu;0,5\n", "its cells are split by ';'; save it with commas"),
        ('model,benchmark,score\na,mmlu,0.5\nb,"mmlu,0.5\n', "breaks off inside a quoted cell"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_refused_in_one_line(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(ConfigError) as told:
        imports.import_published("csv", path, tmp_path / "results")
    assert says in str(told.value)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "results").exists()


def test_a_file_of_nothing_but_bad_rows_makes_no_run(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(f"{HEADER}\na,mmlu,?\n")
    with pytest.raises(ConfigError, match=r"has nothing to keep: all 1 rows are skipped \(score cannot be read: 1\)"):
        imports.import_published("csv", path, tmp_path / "results")
