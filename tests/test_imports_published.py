"""The run folder of published figures: whole or not there, written once, and no report of what was measured here."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bench import database, imports, runs
from bench.cli import app, importing
from bench.errors import ConfigError, RunError
from bench.imports import written
from bench.imports.published import Published, RowCount
from tests.published_files import HUB, folder

SCORE = {"model": "ace-1", "benchmark": "mmlu", "score": 0.5, "scale": "proportion"}
PRICE = {"provider": "ace", "model": "ace-1", "usd_per_mtok_in": Decimal(1), "usd_per_mtok_out": Decimal(2)}
CLI = [sys.executable, "-c", "from bench.cli import main; main()"]


def made(**changes: Any) -> Published:
    plain: dict[str, Any] = {
        "source": "made up",
        "sha256": "ab" * 32,
        "files": ("a.csv",),
        "scores": (SCORE,),
        "access": ({"model": "ace-1", "grade": "closed-api"},),
        "table": (RowCount(file="a.csv", read=3, kept=1, skipped={"no score": 2}),),
    }
    return Published(**{**plain, **changes})


def table(results: Path, text: str) -> list[tuple[Any, ...]]:
    assert database.build(results).problems == []
    return database.sql(results, text)[1]


def test_rows_that_do_not_add_up_are_a_defect() -> None:
    with pytest.raises(ValueError, match=r"a.csv: 3 rows read, 1 kept, \{'x': 1\} skipped"):
        RowCount(file="a.csv", read=3, kept=1, skipped={"x": 1})


def test_the_table_has_a_line_for_each_file_and_the_totals() -> None:
    summary = imports.PublishedSummary(
        run_id="", path="", added=True, read_anew=False, format="x", kind="published", source="", target_id="",
        n_read=5, n_kept=2, n_scores=2, n_access=0, n_prices=0, n_items=0, n_models=1, n_benchmarks=1, notes=(),
        table=(RowCount(file="a", read=5, kept=2, skipped={"few": 1, "many": 2}),),
    )  # fmt: skip
    assert summary.rows() == [("a", 5, 2, 3, "many: 2; few: 1"), ("total", 5, 2, 3, "")]
    assert summary.line() == "2 scores of 1 models on 1 benchmarks"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({**SCORE, "modell": "x"}, "no column 'modell'; did you mean 'model'"),
        ({"model": "x", "benchmark": "y", "scale": "points"}, "a row without score"),
        ({**SCORE, "score": math.nan}, "score is nan; leave out what is unknown"),
        ({**SCORE, "scale": "percent"}, "scale 'percent' is none of proportion, points"),
    ],
)
def test_a_format_that_gives_a_wrong_row_is_a_defect(row: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=says):
        written.write("made", made(scores=(row,)), tmp_path)
    assert not list(tmp_path.rglob("run.json"))


def test_an_import_is_a_run_of_its_own_kind_with_a_target_without_layer(tmp_path: Path) -> None:
    summary = written.write("made", made(), tmp_path)
    header = runs.read_header(Path(summary.path))
    assert (header.kind, header.status, header.target["id"], header.target["layer"]) == (
        "published", "finished", "imported:made", None,
    )  # fmt: skip
    assert header.target["imported"]["rows"] == {"published_scores.jsonl": 1, "access.jsonl": 1}
    assert json.loads((Path(summary.path) / "imported.json").read_text())["table"][0]["skipped"] == {"no score": 2}
    prices = written.write("made", made(sha256="cd" * 32, scores=(), access=(), prices=(
        {"provider": "ace", "model": "ace-1", "usd_per_mtok_in": 1, "usd_per_mtok_out": 2},)), tmp_path)  # fmt: skip
    assert (prices.kind, prices.target_id) == ("prices", "imported:made")


def test_the_same_content_adds_nothing_and_other_content_does(tmp_path: Path) -> None:
    first = written.write("made", made(), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "import.lock"}
    again = written.write("made", made(files=("renamed.csv",)), tmp_path)
    assert (again.run_id, again.added, again.read_anew) == (first.run_id, False, False)
    assert before == {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p.name != "import.lock"}
    other = written.write("made", made(sha256="cd" * 32), tmp_path)
    assert (other.added, other.run_id != first.run_id) == (True, True)
    assert table(tmp_path, "select count(*) from published_score") == [(2,)]


def test_content_that_is_read_differently_now_replaces_what_was_read(tmp_path: Path) -> None:
    first = written.write("made", made(), tmp_path)
    again = written.write("made", made(scores=({**SCORE, "score": 0.25},), access=()), tmp_path)
    assert (again.run_id, again.added, again.read_anew) == (first.run_id, False, True)
    assert table(tmp_path, "select score from published_score") == [(0.25,)]
    assert table(tmp_path, "select count(*) from access") == [(0,)]
    assert database.check(tmp_path) == []


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("published_scores.jsonl", b""),
        ("published_scores.jsonl", None),
        ("published_scores.jsonl", b'{"model": "ace-1"'),
        ("run.json", None),
        ("run.json", b"{"),
        ("access.jsonl", b"nonsense\n"),
    ],
)
def test_a_damaged_import_is_left_out_and_mended_by_importing_again(
    file: str, content: bytes | None, tmp_path: Path
) -> None:
    path = Path(written.write("made", made(), tmp_path).path)
    if content is None:
        (path / file).unlink()
    else:
        (path / file).write_bytes(content)
    built = database.build(tmp_path)
    assert (built.runs, len(built.problems)) == (0, 0 if (file, content) == ("run.json", None) else 1)
    again = written.write("made", made(), tmp_path)
    assert (again.path, again.added, again.read_anew) == (str(path), False, True)
    assert table(tmp_path, "select count(*) from published_score") == [(1,)]


KILLED = """
import os, signal, sys
from pathlib import Path
from bench import imports
from bench.runs import journal
whole, left = journal.write_whole, [int(sys.argv[3])]
def write_whole(path, content):
    left[0] -= 1
    if left[0] < 0:
        path.with_name(path.name + ".1.tmp").write_bytes(content[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    whole(path, content)
journal.write_whole = write_whole
imports.import_published("epoch", Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("n_written", [0, 1, 3])
def test_an_import_that_was_killed_has_done_nothing_and_is_done_by_the_next(n_written: int, tmp_path: Path) -> None:
    hub, results = folder(tmp_path / "hub", HUB), tmp_path / "results"
    command = [sys.executable, "-c", KILLED, str(hub), str(results), str(n_written)]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    assert database.build(results).runs == 0
    summary = imports.import_published("epoch", hub, results)
    clean = imports.import_published("epoch", hub, tmp_path / "clean")
    assert len(runs.folders(results)) == 1 == len([p for p in (results / "runs").iterdir() if p.is_dir()])
    for name in ("published_scores.jsonl", "access.jsonl"):
        assert (Path(summary.path) / name).read_bytes() == (Path(clean.path) / name).read_bytes()
    assert table(results, "select count(*) from published_score") == [(summary.n_scores,)]


def test_a_rereading_that_was_killed_is_left_out_until_it_is_done_again(tmp_path: Path) -> None:
    hub, results = folder(tmp_path / "hub", HUB), tmp_path / "results"
    path = Path(imports.import_published("epoch", hub, results).path)
    (path / "access.jsonl").write_bytes(b"")
    command = [sys.executable, "-c", KILLED, str(hub), str(results), "2"]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    (problem,) = database.build(results).problems
    assert "this import was broken off; import the same content again" in problem
    assert imports.import_published("epoch", hub, results).read_anew is True
    assert database.build(results).problems == []


def test_two_imports_at_once_are_one(tmp_path: Path) -> None:
    hub, results = folder(tmp_path / "hub", HUB), tmp_path / "results"
    command = [*CLI, "import", "epoch", str(hub), "--json", "--results", str(results)]
    under_way = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    told = [json.loads(process.communicate(timeout=60)[0]) for process in under_way]
    assert [process.returncode for process in under_way] == [0, 0, 0]
    assert sorted(one["added"] for one in told) == [False, False, True]
    assert len({one["run_id"] for one in told}) == 1
    assert len(runs.folders(results)) == 1
    assert database.check(results) == []


def test_an_index_of_an_older_layout_is_rebuilt_with_the_new_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written.write("made", made(), tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(database, "LAYOUT", database.LAYOUT - 1)
        database.build(tmp_path)
    built = database.build(tmp_path)
    assert built.rebuilt
    assert "older layout" in built.problems[0]
    assert table(tmp_path, "select count(*) from list_price") == [(0,)]


def test_published_figures_are_in_no_report_of_what_was_measured(tmp_path: Path) -> None:
    summary = written.write("made", made(), tmp_path)
    for options, shown in (([], ""), (["--json"], "[]\n"), ([summary.run_id, "--json"], "[]\n")):
        done = CliRunner().invoke(app, ["report", *options, "--results", str(tmp_path)])
        assert (done.exit_code, done.stdout) == (0, shown), done.stderr
    assert database.check(tmp_path) == []
    assert table(tmp_path, "select kind, target_id, layer from run join target using (target_id)") == [
        ("published", "imported:made", None)
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {},
            "an import of 1 score and 1 grade of access, nothing that was measured here; "
            "`bench gap` and `bench models show NAME` read it",
        ),
        (
            {"scores": (), "access": (), "prices": (PRICE, {**PRICE, "model": "ace-2"})},
            "an import of 2 list prices, nothing that was measured here; "
            "`bench prices NAME` and `bench models show NAME` read it",
        ),
    ],
)
def test_a_report_of_an_import_says_what_it_is_and_who_reads_it(
    changes: dict[str, Any], says: str, tmp_path: Path
) -> None:
    summary = written.write("made", made(**changes), tmp_path)
    done = CliRunner().invoke(app, ["report", summary.run_id, "--results", str(tmp_path)])
    assert (done.exit_code, done.stdout) == (0, ""), done.output
    assert done.stderr == f"{summary.run_id} is {says}\n"


def test_runs_that_are_no_imports_are_left_for_another_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = written.write("made", made(), tmp_path)
    database.build(tmp_path)
    assert importing.tell_imported(tmp_path, [summary.run_id, "begun"]) == ["begun"]
    assert capsys.readouterr().err.startswith(f"{summary.run_id} is an import of 1 score")


def test_the_verb_prints_the_table_and_indexes_at_once(tmp_path: Path) -> None:
    hub, results = folder(tmp_path / "hub", HUB), tmp_path / "results"
    done = subprocess.run(
        [*CLI, "import", "epoch", str(hub), "--results", str(results)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["file", "read", "kept", "skipped", "why"]
    assert lines[-1] == ["total", "24", "16", "8"]
    assert any(line[:4] == ["gpqa_diamond.csv", "5", "3", "2"] for line in lines)
    assert "is a run now" in done.stderr
    assert (results / database.NAME).exists()
    told = subprocess.run([*CLI, "import", "--help"], capture_output=True, text=True, timeout=60, check=False).stdout
    assert all(name in " ".join(told.split()) for name in imports.names())


@pytest.mark.parametrize(
    ("format", "name", "text", "says"),
    [
        ("lmarena", "mmlu_external.csv", HUB["mmlu_external.csv"], "looks like epoch, not lmarena"),
        ("guidellm", "mmlu_external.csv", HUB["mmlu_external.csv"], "looks like epoch, not guidellm"),
        ("epoch", "x.csv", "model,benchmark,score\n", "looks like csv, not epoch; use `bench import csv`"),
        ("csv", "x.json", '{"a": {"litellm_provider": "x"}}', "looks like litellm, not csv"),
        ("epoch", "x.json", '{"a": 1, "b": {}}', "is no epoch file (it begins with the keys a, b)"),
        ("epoch", "x.json", '{"benchmarks": [], "metadata": {}}', "looks like guidellm, not epoch"),
    ],
)
def test_a_file_of_another_format_is_recognised(format: str, name: str, text: str, says: str, tmp_path: Path) -> None:
    path = folder(tmp_path, {name: text}) / name
    with pytest.raises(ConfigError) as told:
        imports.import_path(format, path, tmp_path / "results")
    assert says in str(told.value)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "results").exists()


def test_where_nothing_can_be_written_nothing_is_lost(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(RunError, match="cannot write"):
        written.write("made", made(), tmp_path)
