"""The store says what the run folders say, whoever else is at it; and its views compute what METRICS section 1 says."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import fields
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench import database, facts, runs
from bench.errors import ConfigError, RunError
from bench.records import Measurement, Sample, Score
from bench.runs.tables import TEXT_COLUMNS
from tests.store import MS, TARGET, counted, header, load_step, measurement, sample, sealed

PRICE = {
    "price_id": "p",
    "usd_per_mtok_in": "0.15",
    "usd_per_mtok_out": "0.60",
    "valid_from": "2026-01-01",
    "source": "x",
}


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """What reaches the disk when is tested in test_runs; here a hundred folders are made."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def fill(results: Path, name: str, n: int = 3, **changes) -> Path:
    attempts = [measurement(k, request_id=f"{name}-{k}") for k in range(n)]
    return sealed(results, header(name, **changes), attempts, [sample(k, request_id=f"{name}-{k}") for k in range(n)])


def dump(results: Path) -> dict[str, list]:
    with closing(database.connect(results)) as con:
        tables = [
            name for (name,) in con.execute("select table_name from duckdb_tables() where not internal").fetchall()
        ]
        return {
            name: con.execute(f"from {'build.' if name in ('folder', 'about') else ''}{name} order by all").fetchall()
            for name in tables
        }


def rows(results: Path, text: str) -> list[dict]:
    columns, found = database.sql(results, text)
    return [dict(zip(columns, row, strict=True)) for row in found]


# ------------------------------------------------------------------------------------------------------------ building


def test_the_tables_and_views_have_the_promised_columns(tmp_path):
    database.build(tmp_path)
    columns = {}
    for table, column in database.sql(
        tmp_path, "select table_name, column_name from duckdb_columns() where not internal"
    )[1]:
        columns.setdefault(table, []).append(column)
    wanted = [f.name for f in fields(Measurement) if f.name not in TEXT_COLUMNS]
    assert columns["request"] == [*wanted, "position"]
    assert columns["request_text"] == ["request_id", "run_id", *TEXT_COLUMNS]
    assert {f.name for f in fields(Sample)} <= set(columns["sample"])
    wanted = "run_id target_id task doc_id item_id repeat metric state value answer expected request_id cluster reason"
    assert columns["sample"] == wanted.split()
    assert columns["score"] == ["run_id", "target_id", *(f.name for f in fields(Score))]
    wanted = "request_id run_id target_id kind ttft_ms ttft_sched_ms ttfat_ms tpot_ms e2e_ms client_lag_ms decode_tps"
    assert columns["latency"] == wanted.split()
    assert columns["cost"] == ["request_id", "run_id", "target_id", "usd", "price_id"]
    assert columns["answer"] == columns["request"]
    assert set(columns["load_step"]) == {"run_id", "target_id", *load_step()}
    assert set(facts.TABLES) | set(facts.SHARED) <= set(columns)


def test_columns_come_as_numpy_arrays_masked_where_nothing_is_known_and_without_pandas(tmp_path):
    fill(tmp_path, "20261101T000000000Z-a")
    database.build(tmp_path)
    found = database.columns(tmp_path, "runs")
    assert found["run_id"].tolist() == ["20261101T000000000Z-a"]
    assert (found["n_questions"].tolist(), found["item_limit"].tolist()) == ([3], [None])
    code = (
        f"import sys; from pathlib import Path; from bench import database; "
        f"database.columns(Path({str(tmp_path)!r}), 'runs'); sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_an_incremental_build_is_identical_to_one_from_nothing(tmp_path):
    fill(tmp_path, "20261101T000000000Z-a")
    fill(tmp_path, "20261102T000000000Z-b")
    first = database.build(tmp_path)
    assert (first.runs, first.added, first.requests, first.rebuilt, first.problems) == (2, 2, 6, True, [])
    fill(tmp_path, "20261103T000000000Z-c", fingerprint="g", target={**TARGET, "layer": "self-hosted"})
    with runs.reopen(tmp_path / "runs" / "20261102T000000000Z-b") as again:
        again.append(measurement(9, request_id="20261102T000000000Z-b-9"))
        judged = [sample(9, 0.0, request_id="20261102T000000000Z-b-9")]
        again.write_samples(judged)
        again.write_scores(counted(judged))
        again.write_prices(PRICE)
        again.finish()
    shutil.rmtree(tmp_path / "runs" / "20261101T000000000Z-a")
    second = database.build(tmp_path)
    assert (second.runs, second.added, second.changed, second.removed, second.requests) == (2, 1, 1, 1, 7)
    assert not second.rebuilt
    grown = dump(tmp_path)
    assert database.build(tmp_path, fresh=True).rebuilt
    assert dump(tmp_path) == grown
    assert [row["layer"] for row in rows(tmp_path, "from target")] == ["self-hosted"]
    (tmp_path / database.NAME).unlink()
    assert dump(tmp_path) == grown
    assert database.check(tmp_path) == []


def test_a_build_with_nothing_new_leaves_the_file_alone(tmp_path):
    fill(tmp_path, "20261101T000000000Z-a")
    database.build(tmp_path)
    before = (tmp_path / database.NAME).stat()
    built = database.build(tmp_path)
    assert (built.added, built.changed, built.removed) == (0, 0, 0)
    assert "1 runs (nothing new), 3 requests" in built.line()
    assert json.loads(json.dumps(built.as_dict()))["runs"] == 1
    after = (tmp_path / database.NAME).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert sorted(p.name for p in tmp_path.iterdir()) == [database.NAME, f"{database.NAME}.lock", "runs"]


def test_an_open_run_is_in_the_store_as_far_as_it_has_come(tmp_path):
    with runs.create(tmp_path, header()) as run:
        run.append(measurement(0))
        assert database.build(tmp_path).requests == 1
        run.append(measurement(1))
        assert database.build(tmp_path).requests == 2
        assert rows(tmp_path, "select status from run") == [{"status": "running"}]


def test_a_missing_results_folder_is_a_usage_error_and_an_empty_one_is_an_empty_store(tmp_path):
    with pytest.raises(ConfigError, match=r"no results folder '.*nowhere': `bench run` makes one"):
        database.build(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="no results folder"):
        database.connect(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    assert database.build(tmp_path).runs == 0
    assert database.sql(tmp_path, "select count(*) from run")[1] == [(0,)]


def test_a_hundred_runs_in_a_folder_with_a_unicode_name_and_a_quote(tmp_path):
    results = tmp_path / "l'été 結果"
    first = fill(results, "20261101T000000000Z-000", 2)
    for n in range(1, 100):
        copy = results / "runs" / f"20261101T000000000Z-{n:03d}"
        shutil.copytree(first, copy)
        row = json.loads((copy / "run.json").read_text())
        (copy / "run.json").write_text(json.dumps({**row, "run_id": copy.name}))
    assert database.build(results).requests == 200
    assert database.check(results) == [
        f"request 20261101T000000000Z-000-{k} stands 100 times, in "
        + ", ".join(f"20261101T000000000Z-{n:03d}" for n in range(100))
        for k in range(2)
    ]


def test_a_large_sealed_run_read_by_duckdb_itself_is_the_same_as_read_by_us(tmp_path, monkeypatch):
    fill(tmp_path, "20261101T000000000Z-a", 20)
    database.build(tmp_path)
    small = dump(tmp_path)
    monkeypatch.setattr(facts, "LARGE_ROWS", 10)
    database.build(tmp_path, fresh=True)
    assert dump(tmp_path) == small


# -------------------------------------------------------------------------------------------- damage, and other people


def with_header(**changes) -> Callable[[Path], bytes]:
    return lambda path: json.dumps(json.loads((path / "run.json").read_text()) | changes).encode()


def with_attempt(**changes) -> Callable[[Path], bytes]:
    return lambda _: json.dumps({**vars(measurement(0)), **changes}).encode() + b"\n"


DEEP = b"[" * 100_000
DAMAGES = [
    ("run.json", b"{", r"run\.json: damaged"),
    ("run.json", b'{"schema": 7}', r"run\.json: schema 7"),
    ("requests.parquet", b"PAR1 no", r"requests\.parquet: damaged"),
    ("requests.jsonl", b"{\n{}\n{}\n", r"requests\.jsonl, line 1: damaged"),
    ("run.json", with_header(machine="x"), r"run\.json: machine is 'x', not an object"),
    ("run.json", with_header(versions=3), r"run\.json: versions is 3, not an object"),
    ("run.json", with_header(target=[1]), r"run\.json: target is \[1\], not an object"),
    ("run.json", with_header(target={"id": 3}), r"run\.json: target has no id"),
    ("run.json", with_header(run_id="other"), r"run\.json: run_id is 'other'; name the folder so"),
    ("run.json", with_header(suite="\ud800"), r"cannot be read \(UnicodeEncodeError"),
    ("run.json", DEEP, r"run\.json: damaged \(maximum recursion"),
    ("requests.jsonl", DEEP + b"\n{}\n", r"requests\.jsonl, line 1: damaged \(maximum recursion"),
    ("requests.jsonl", with_attempt(out_tokens=10**30), r"requests\.jsonl: column out_tokens"),
    ("requests.jsonl", with_attempt(request_id=["r"]), r"requests\.jsonl: column request_id"),
    ("requests.jsonl", with_attempt(answer="\ud800"), r"requests\.jsonl: column answer"),
    ("samples.jsonl", b'{"task": 1}\n', r"samples\.jsonl: not the samples that scores\.json counted"),
    ("samples.jsonl", b'{"task": {}}\n', r"cannot be read \(TypeError: unhashable"),
    ("samples.jsonl", b"", r"samples\.jsonl: missing or empty, though the run is finished; run the same command"),
    ("samples.jsonl", None, r"samples\.jsonl: missing or empty, though the run is finished"),
    ("scores.json", b"3", r"scores\.json: not a list"),
    ("scores.json", b"[1, 2]", r"scores\.json: not a list of objects"),
    ("scores.json", b'["a"]', r"scores\.json: not a list of objects"),
    ("scores.json", b"[]", r"scores\.json: missing or empty"),
    ("scores.json", None, r"scores\.json: missing or empty"),
    ("requests.parquet", None, r"requests\.parquet: no attempts, though the run is finished; restore"),
    ("requests.parquet", "folder", r"requests\.parquet: damaged \(it is a folder\)"),
    ("load_steps.json", b"[1]", r"load_steps\.json: not a list of objects"),
    ("prices.json", b"{{", r"prices\.json: damaged"),
    ("prices.json", b"[1]", r"prices\.json: a price without price_id"),
    ("prices.json", b'{"prices": 3}', r"prices\.json: a price without price_id"),
    ("telemetry.parquet", "folder", r"telemetry\.parquet: damaged \(it is a folder\)"),
    ("telemetry.parquet", b"x", r"telemetry\.parquet: damaged"),
]


def harm(file: Path, damage: Callable[[Path], bytes] | bytes | str | None) -> None:
    """Put `damage` in the file's place: nothing, a folder, bytes, or bytes made of the run."""
    content = damage(file.parent) if callable(damage) else damage
    if file.is_dir():
        file.rmdir()
    file.unlink(missing_ok=True)
    if content == "folder":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)


def test_damaged_folders_are_left_out_and_named_until_they_are_mended(tmp_path):
    fill(tmp_path, "20261101T000000000Z-good", 20)
    bad = [fill(tmp_path, f"20261102T000000000Z-{k:02d}", 20) for k in range(len(DAMAGES))]
    assert database.build(tmp_path).requests == 20 * (1 + len(bad))
    whole = {}
    for path, (file, damage, _) in zip(bad, DAMAGES, strict=True):
        whole[path / file] = (path / file).read_bytes() if (path / file).exists() else None
        harm(path / file, damage)
    built = database.build(tmp_path)
    assert (built.runs, built.requests, len(built.problems)) == (1, 20, len(bad))
    for problem, (_, _, words) in zip(built.problems, DAMAGES, strict=True):
        assert re.search(f"^left out: .*{words}", problem)
        assert "\n" not in problem
    assert database.build(tmp_path).problems == built.problems  # nothing has changed since
    assert database.check(tmp_path) == built.problems
    for file, content in whole.items():
        harm(file, content)
    mended = database.build(tmp_path)
    assert (mended.requests, mended.problems) == (20 * (1 + len(bad)), [])


@pytest.mark.parametrize("large", [10, 100_000])
def test_damage_inside_a_sealed_run_is_found_by_its_checksums(tmp_path, monkeypatch, large):
    monkeypatch.setattr(facts, "LARGE_ROWS", large)
    bad = fill(tmp_path, "20261101T000000000Z-a", 20) / "requests.parquet"
    content = bytearray(bad.read_bytes())
    at = pq.read_metadata(bad).row_group(0).column(0).data_page_offset + 40
    for k in range(30):
        content[at + k] ^= 0xFF
    bad.write_bytes(content)
    built = database.build(tmp_path)
    assert (built.runs, built.requests) == (0, 0)
    assert "requests.parquet: damaged" in built.problems[0]


def test_a_renamed_run_folder_is_told_its_name(tmp_path):
    path = fill(tmp_path, "20261101T000000000Z-a")
    path.rename(path.with_name("mine"))
    assert "run_id is '20261101T000000000Z-a'; name the folder so" in database.build(tmp_path).problems[0]


@pytest.mark.parametrize("where", [0, 3000, 20_000, -4000])
def test_a_damaged_store_is_rebuilt_and_said_so_in_one_line(tmp_path, where):
    fill(tmp_path, "20261101T000000000Z-a", 50)
    database.build(tmp_path)
    index = tmp_path / database.NAME
    whole = dump(tmp_path)
    content = bytearray(index.read_bytes())
    at = where % len(content)
    content[at : at + 3000] = b"\xa5" * len(content[at : at + 3000])
    index.write_bytes(content)
    fill(tmp_path, "20261102T000000000Z-b", 1)
    built = database.build(tmp_path)
    assert (built.runs, built.requests) == (2, 51)
    assert len(built.problems) <= 1
    for problem in built.problems:
        assert "was damaged" in problem
        assert "has been rebuilt" in problem
        assert "\n" not in problem
    shutil.rmtree(tmp_path / "runs" / "20261102T000000000Z-b")
    database.build(tmp_path)
    assert dump(tmp_path) == whole
    assert database.check(tmp_path) == []


def test_a_file_that_is_no_database_is_an_error_when_read_and_mended_when_built(tmp_path):
    fill(tmp_path, "20261101T000000000Z-a")
    (tmp_path / database.NAME).write_bytes(b"not a database at all" * 1000)
    with pytest.raises(RunError, match=r"cannot open .*bench\.duckdb.*--fresh"):
        database.sql(tmp_path, "select 1")
    assert "--fresh" in database.check(tmp_path)[0]
    assert "has been rebuilt" in database.build(tmp_path).problems[0]


def test_an_older_layout_is_rebuilt(tmp_path, monkeypatch):
    fill(tmp_path, "20261101T000000000Z-a")
    database.build(tmp_path)
    monkeypatch.setattr(database, "LAYOUT", database.LAYOUT + 1)
    built = database.build(tmp_path)
    assert built.rebuilt
    assert "older layout" in built.problems[0]
    assert database.build(tmp_path).problems == []


HOLDER = """
import duckdb, sys
con = duckdb.connect(sys.argv[1])
con.execute(sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("doing", ["create table scribble as select 1", "select 1"])
def test_a_store_that_another_program_holds_open_stops_no_build_and_nothing_of_it_stays(tmp_path, doing):
    fill(tmp_path, "20261101T000000000Z-a")
    database.build(tmp_path)
    index = tmp_path / database.NAME
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(index), doing], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(
            RunError, match=rf"is held by .* \(process {other.pid}\); close it, or `bench db build` puts"
        ):
            database.sql(tmp_path, "select 1")
        database.build(tmp_path)
        assert database.sql(tmp_path, "select count(*) from request")[1] == [(3,)]
        fill(tmp_path, "20261102T000000000Z-b")
        assert database.build(tmp_path).requests == 6
        assert database.sql(tmp_path, "select count(*) from request")[1] == [(6,)]
        other.stdin.close()
        assert other.wait(timeout=20) == 0
    assert "scribble" not in dump(tmp_path)
    assert database.check(tmp_path) == []


def test_a_reader_keeps_the_old_file_and_the_next_one_in_the_same_process_sees_the_new(tmp_path):
    fill(tmp_path, "20261101T000000000Z-a")
    database.build(tmp_path)
    with closing(database.connect(tmp_path)) as reader:
        fill(tmp_path, "20261102T000000000Z-b")
        database.build(tmp_path)
        assert reader.execute("select count(*) from run").fetchall() == [(1,)]
        assert database.sql(tmp_path, "select count(*) from run")[1] == [(2,)]


def test_two_builders_at_once_both_end_well(tmp_path):
    for n in range(6):
        fill(tmp_path, f"20261101T000000000Z-{n}")
    code = (
        f"from pathlib import Path; from bench import database; print(database.build(Path({str(tmp_path)!r})).requests)"
    )
    builders = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [b.communicate(timeout=60)[0].strip() for b in builders] == ["18", "18"]
    assert [b.returncode for b in builders] == [0, 0]
    assert database.check(tmp_path) == []


def test_the_draft_of_a_builder_that_died_is_swept_away(tmp_path):
    fill(tmp_path, "20261101T000000000Z-a")
    (tmp_path / f"{database.NAME}.99999.tmp").write_bytes(b"half")
    (tmp_path / f"{database.NAME}.99999.tmp.wal").write_bytes(b"half")
    database.build(tmp_path)
    assert not list(tmp_path.glob("*.tmp*"))


def test_a_disk_without_room_is_one_line_and_keeps_the_old_store(tmp_path, monkeypatch):
    fill(tmp_path, "20261101T000000000Z-a")
    database.build(tmp_path)
    fill(tmp_path, "20261102T000000000Z-b")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full)
        built = database.build(tmp_path)
        assert (built.as_it_is, built.runs, len(built.problems)) == (True, 1, 1)
        assert "up to date (No space left on device; the run folders are whole: make room" in built.problems[0]
        patch.setattr(database, "_publish", full)
        with pytest.raises(RunError, match=r"bench\.duckdb: No space left on device; the run folders are whole: make"):
            database.build(tmp_path, fresh=True)
        (tmp_path / database.NAME).unlink()
        with pytest.raises(RunError, match=r"the run folders are whole: make room or write access there, then"):
            database.build(tmp_path)
    assert not list(tmp_path.glob("*.tmp*"))
    assert database.sql(tmp_path, "select count(*) from run")[1] == [(2,)]


@pytest.mark.parametrize("words", ["No space left on device", "Read-only file system"])
def test_what_duckdb_says_of_a_full_disk_is_no_damage(tmp_path, monkeypatch, words):
    fill(tmp_path, "20261101T000000000Z-a")
    database.build(tmp_path)
    before = dump(tmp_path)
    fill(tmp_path, "20261102T000000000Z-b")

    def full(*_: object) -> None:
        raise duckdb.IOException(f'IO Error: Could not write file "x": {words}')

    with monkeypatch.context() as patch:
        patch.setattr(database._Draft, "_flush", full)
        assert f"({words};" in database.build(tmp_path).problems[0]
    assert dump(tmp_path) == before


def test_a_read_only_results_folder_shows_the_index_as_it_is_with_its_problems(tmp_path, monkeypatch):
    fill(tmp_path, "20261101T000000000Z-a")
    bad = fill(tmp_path, "20261102T000000000Z-b")
    (bad / "scores.json").write_bytes(b"[1]")
    known = database.build(tmp_path).problems
    real = os.open

    def read_only(path, flags, *more):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(30, "Read-only file system")
        return real(path, flags, *more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", read_only)
        built = database.build(tmp_path)
        assert (built.as_it_is, built.runs, built.requests, built.problems[1:]) == (True, 1, 3, known)
        assert "cannot bring the index up to date (Read-only file system; " in built.problems[0]
        assert built.problems[0].endswith("; showing it as it is")
        patch.setattr(database, "LAYOUT", database.LAYOUT + 1)
        with pytest.raises(RunError, match="which another version or program made: Read-only"):
            database.build(tmp_path)
    assert not database.build(tmp_path).as_it_is


def test_a_path_that_is_no_folder_is_not_taken_for_a_missing_one(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="file is a file, not a results folder; name another with --results"):
        database.build(tmp_path / "file")
    with pytest.raises(RunError, match=r"cannot read .*/file/results: Not a directory"):
        database.build(tmp_path / "file" / "results")
    (tmp_path / database.NAME).mkdir()
    with pytest.raises(RunError, match=r"bench\.duckdb is a folder"):
        database.build(tmp_path)
    with pytest.raises(RunError, match=r"bench\.duckdb is a folder"):
        database.sql(tmp_path, "select 1")


def test_the_database_of_another_program_is_kept_and_said_so(tmp_path):
    index = tmp_path / database.NAME
    fill(tmp_path, "20261101T000000000Z-a")
    for n, fresh in ((1, False), (2, True)):
        index.unlink(missing_ok=True)
        with closing(duckdb.connect(str(index))) as con:
            con.execute(f"create table precious as select {n} as n")
        built = database.build(tmp_path, fresh=fresh)
        name = f"bench.duckdb.foreign-{n}"
        assert built.problems == [f"{index} was another program's database; it is kept as {name}"]
        assert (built.runs, database.build(tmp_path).problems) == (1, [])
        with closing(duckdb.connect(str(tmp_path / name), read_only=True)) as con:
            assert con.execute("from precious").fetchall() == [(n,)]


def test_the_database_of_another_program_that_is_open_there_is_left_alone(tmp_path):
    index = tmp_path / database.NAME
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(index), "create table precious as select 1 as n"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=rf"is held by .* \(process {other.pid}\); it isn't ours: close it"):
            database.build(tmp_path)
        other.stdin.close()
        assert other.wait(timeout=20) == 0
    assert "foreign-1" in database.build(tmp_path).problems[0]
    with closing(duckdb.connect(str(tmp_path / "bench.duckdb.foreign-1"), read_only=True)) as con:
        assert con.execute("from precious").fetchall() == [(1,)]


def test_readings_of_another_shape_keep_no_other_run_out(tmp_path):
    for name, power in (("a", [1.5]), ("b", ["2.5"]), ("c", [{"w": 1}])):
        path = fill(tmp_path, name)
        pq.write_table(pa.table({"power_w": power}), path / "telemetry.parquet")
    assert "telemetry.parquet: column power_w is struct" in database.build(tmp_path).problems[0]
    assert rows(tmp_path, "select power_w from telemetry order by all") == [{"power_w": 1.5}, {"power_w": 2.5}]


def test_rows_that_no_folder_gives_are_found(tmp_path):
    fill(tmp_path, "20261101T000000000Z-a")
    database.build(tmp_path)
    with closing(duckdb.connect(str(tmp_path / database.NAME))) as con:
        con.execute("delete from sample where doc_id = 0")
        con.execute("update request set out_tokens = 12 where doc_id = 1")
    assert database.check(tmp_path) == [
        "table request: 1 rows that no run folder gives, 1 missing; `bench db build --fresh` mends it",
        "table sample: 0 rows that no run folder gives, 1 missing; `bench db build --fresh` mends it",
    ]
    database.build(tmp_path, fresh=True)
    assert database.check(tmp_path) == []


def test_a_sample_without_its_request_is_found(tmp_path):
    sealed(tmp_path, header("a"), [measurement(0)], [sample(0), sample(1)])
    database.build(tmp_path)
    assert database.check(tmp_path) == ["run a: 1 samples of task quick_copy name a request that isn't there"]


# -------------------------------------------------------------------------------------------------------------- asking


def test_questions_take_bound_parameters_and_mistakes_are_one_line(tmp_path):
    fill(tmp_path, "20261101T000000000Z-a")
    database.build(tmp_path)
    assert database.query(tmp_path, "runs")["run_id"].tolist() == ["20261101T000000000Z-a"]
    assert math.isnan(database.query(tmp_path, "last_e2e", target_id="'; drop table run; --")["e2e_ms"].iloc[0])
    with pytest.raises(ConfigError, match="no question named 'latncy' in bench/sql; did you mean 'latency'"):
        database.query(tmp_path, "latncy")
    with pytest.raises(ConfigError, match="wrong_table"):
        database.sql(tmp_path, "from wrong_table")
    with pytest.raises(ConfigError, match="read-only"):
        database.sql(tmp_path, "create table mine as select 1")
    for text, told in (("", ""), (" ; -- nothing", ""), ("select 1; select 2", ", not 2")):
        with pytest.raises(ConfigError, match=f"^give one query{told}$"):
            database.sql(tmp_path, text)
    assert database.sql(tmp_path, "select 1 as one, 'x' as two;") == (["one", "two"], [(1, "x")])


# --------------------------------------------------------------------------------------------------------------- views


NOT_STREAMED = {"chunks": 1, "last_token_ns": 51 * MS}
HIDDEN = {"out_tokens": 111, "reasoning_tokens": 100}
SHOWN = {**HIDDEN, "first_answer_ns": 101 * MS}
LATENCIES = [
    ({"out_tokens": 1}, {"tpot_ms": None, "decode_tps": None, "ttft_ms": 50.0}),
    ({"out_tokens": None}, {"tpot_ms": None, "decode_tps": None}),
    (NOT_STREAMED, {"tpot_ms": None, "decode_tps": None, "ttft_ms": 50.0, "e2e_ms": 150.0}),
    ({"last_token_ns": 51 * MS}, {"tpot_ms": None, "decode_tps": None}),
    ({"tokens_source": "estimate"}, {"tpot_ms": None, "decode_tps": None}),
    (HIDDEN, {"tpot_ms": 10.0, "decode_tps": 100.0, "ttft_ms": 50.0, "ttfat_ms": 50.0}),
    (SHOWN, {"tpot_ms": 100 / 110, "decode_tps": 1100.0, "ttft_ms": 50.0, "ttfat_ms": 100.0}),
    ({**SHOWN, "first_answer_ns": None}, {"tpot_ms": 100 / 110, "ttfat_ms": None}),
    ({"out_tokens": 11, "reasoning_tokens": 12}, {"tpot_ms": None, "decode_tps": None}),
    ({"out_tokens": 11, "reasoning_tokens": 10}, {"tpot_ms": None, "decode_tps": None}),
    ({"status": "stream_cut"}, {"e2e_ms": None, "ttft_ms": 50.0}),
    ({"status": "timeout", "first_token_ns": None, "last_token_ns": None}, {"e2e_ms": None, "ttft_ms": None}),
    ({"status": "truncated"}, {"e2e_ms": 150.0}),
    ({"sched_ns": None}, {"ttft_sched_ms": None, "client_lag_ms": None, "ttft_ms": 50.0}),
    ({"sent_ns": None}, {"ttft_ms": None, "e2e_ms": None, "client_lag_ms": None}),
]


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Path:
    """One attempt per case of LATENCIES; after them a plain one and a replay."""
    results = tmp_path_factory.mktemp("measured")
    attempts = [measurement(k, **changes) for k, (changes, _) in enumerate([*LATENCIES, ({}, {})])]
    sealed(results, header("a"), [*attempts, measurement(99, replayed=True)])
    database.build(results)
    return results


@pytest.fixture(scope="module")
def latencies(measured) -> dict[str, dict]:
    return {row["request_id"]: row for row in rows(measured, "from latency")}


def test_the_latency_of_a_known_answer_is_known(latencies):
    plain = f"r{len(LATENCIES)}.0"
    assert latencies[plain] == {
        "request_id": plain,
        "run_id": "a",
        "target_id": "embedded:nano",
        "kind": "quality",
        "ttft_ms": 50.0,
        "ttft_sched_ms": 51.0,
        "ttfat_ms": 50.0,
        "tpot_ms": 10.0,
        "e2e_ms": 150.0,
        "client_lag_ms": 1.0,
        "decode_tps": 100.0,
    }


@pytest.mark.parametrize("case", range(len(LATENCIES)), ids=[str(changes) for changes, _ in LATENCIES])
def test_what_cannot_be_measured_is_null(latencies, case):
    found, wanted = latencies[f"r{case}.0"], LATENCIES[case][1]
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)


def test_a_replay_is_in_no_latency_and_no_cost(measured, latencies):
    assert rows(measured, "from request where request_id = 'r99.0'")
    assert "r99.0" not in latencies
    assert rows(measured, "from cost where request_id = 'r99.0'") == []


def costs(results: Path, attempts: list, prices: dict) -> list[tuple]:
    path = sealed(results, header("a"), attempts)
    (path / "prices.json").write_text(json.dumps(prices))
    database.build(results)
    return [
        (None if r["usd"] is None else float(r["usd"]), r["price_id"])
        for r in rows(results, "from cost order by request_id")
    ]


def test_cost_is_the_tokens_times_the_price_and_null_when_either_is_unknown(tmp_path):
    found = costs(
        tmp_path,
        [
            measurement(0, in_tokens=1_000_000, out_tokens=500_000),
            measurement(1, in_tokens=None),
            measurement(2, in_tokens=100, in_cached_tokens=80, out_tokens=0),
            measurement(3, provider_usd="0.000000123456"),
            measurement(4, in_tokens=3, out_tokens=7),
        ],
        {"prices": [PRICE]},
    )
    assert found == [(0.45, "p"), (None, None), (1.5e-05, "p"), (1.23456e-07, "provider"), (4.65e-06, "p")]


def test_cached_input_and_cache_writes_have_their_own_price_where_there_is_one(tmp_path):
    price = {**PRICE, "usd_per_mtok_cached": "0.015", "usd_per_mtok_cache_write": "0.3"}
    m = measurement(0, in_tokens=100, in_cached_tokens=60, in_cache_write_tokens=30, out_tokens=0)
    assert costs(tmp_path, [m], price) == [(pytest.approx((10 * 0.15 + 60 * 0.015 + 30 * 0.3) / 1e6), "p")]


def test_an_unknown_price_is_null_and_a_price_of_zero_is_zero(tmp_path):
    assert costs(tmp_path / "none", [measurement(0)], {"prices": []}) == [(None, None)]
    free = {**PRICE, "usd_per_mtok_in": "0", "usd_per_mtok_out": "0"}
    assert costs(tmp_path / "free", [measurement(0)], free) == [(0.0, "p")]


def test_tiers_are_cliffs_on_the_prompts_size_and_the_newest_price_of_a_tier_wins(tmp_path):
    large = {**PRICE, "price_id": "large", "from_in_tokens": 1000, "usd_per_mtok_in": "1"}
    older = {**PRICE, "price_id": "older", "valid_from": "2025-01-01", "usd_per_mtok_in": "9"}
    found = costs(
        tmp_path,
        [measurement(0, in_tokens=999, out_tokens=0), measurement(1, in_tokens=1000, out_tokens=0)],
        {"prices": [older, large, PRICE]},
    )
    assert found == [(pytest.approx(999 * 0.15 / 1e6), "p"), (0.001, "large")]


def test_the_view_answer_has_the_attempt_that_counts_once_per_question(tmp_path):
    sealed(
        tmp_path,
        header("a"),
        [
            measurement(0, 0, status="timeout"),
            measurement(0, 1),
            measurement(0, 2, status="cancelled"),
            measurement(1, 0, status="http_error"),
            measurement(1, 1, status="stream_cut"),
        ],
    )
    fill(tmp_path, "b", 1)
    database.build(tmp_path)
    found = [(r["run_id"], r["request_id"]) for r in rows(tmp_path, "from answer order by all")]
    assert sorted(found) == [("a", "r0.1"), ("a", "r1.1"), ("b", "b-0")]


def test_times_are_timestamps_and_facts_of_the_target_are_columns(tmp_path):
    fill(
        tmp_path,
        "a",
        1,
        target={**TARGET, "facts": {"vendor": "us", "parameters_total": 300_000, "released": "2026-11-01"}},
    )
    database.build(tmp_path)
    assert str(rows(tmp_path, "select started_at from request")[0]["started_at"]) == "2026-11-01 12:00:00"
    assert rows(
        tmp_path,
        "select target_id, layer, engine, model, json_extract(options, 'temperature')::varchar as t from target",
    ) == [{"target_id": "embedded:nano", "layer": "reference", "engine": "embedded", "model": "nano", "t": "0.0"}]
    assert rows(tmp_path, "select model, vendor, parameters_total from model") == [
        {"model": "nano", "vendor": "us", "parameters_total": 300_000}
    ]
