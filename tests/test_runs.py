"""The run folder keeps every acknowledged line, whatever happens to its writer."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench import runs
from bench.errors import RunError
from bench.records import Measurement, TokenLogprob
from bench.runs import journal
from bench.runs.tables import table_of
from tests.store import counted, header, measurement, request, sample, sealed

ASKED: dict[str, Any] = {
    "suite_hash": "s" * 64,
    "fingerprint": "f" * 64,
    "seed": 0,
    "repeats": 1,
    "limit": None,
    "items": "frozen",
}


def attempts(path: Path) -> Any:
    return runs.read_requests(path)[0]


def test_a_run_id_sorts_by_time_and_is_a_safe_unique_name():
    now = datetime(2026, 11, 23, 6, 39, 57, 123456, tzinfo=UTC)
    first = runs.new_run_id("quick", "together:meta-llama/Llama 3.1 8B", now)
    assert first.startswith("20261123T063957123Z-quick-together_meta_llama_Llama_3.1_8B-")
    later = runs.new_run_id("a", "b", now + timedelta(milliseconds=1))
    assert later > first
    assert len({runs.new_run_id("quick", "x", now) for _ in range(50)}) == 50
    assert "/" not in runs.new_run_id("模型/..", "../../etc", now)
    assert len(runs.new_run_id("s" * 500, "t" * 500, now)) < 200


def test_what_was_appended_is_read_back_field_by_field(tmp_path):
    odd = measurement(
        1,
        answer="naïve 模型 \x00 \u2028 end",
        reasoning="",
        logprobs=(TokenLogprob(token="a", logprob=None), TokenLogprob(token="b", logprob=float("-inf"))),
        provider_usd="0.000000123",
        replayed=True,
        retry_after_s=1.5,
    )
    path = sealed(tmp_path, header(), [measurement(0), odd], [sample(0), sample(1, None)])
    folder = runs.read(path)
    assert folder.header.status == "finished"
    assert folder.header.target == header().target
    run_id = folder.header.run_id
    assert list(folder.answers().values()) == [
        measurement(0, run_id=run_id),
        measurement(1, **{**vars(odd), "run_id": run_id}),
    ]
    assert folder.samples == [sample(0), sample(1, None)]
    assert [(s.n, s.n_unscored) for s in folder.scores] == [(1, 1)]
    assert (folder.prices, folder.torn_lines) == ({}, 0)


def test_sealing_turns_the_journal_into_parquet_and_counts_first(tmp_path, monkeypatch):
    with runs.create(tmp_path, header()) as run:
        run.append(measurement(0))
        assert (run.path / "requests.jsonl").read_bytes().count(b"\n") == 1

        class Short:
            num_rows = 0

        with monkeypatch.context() as patch:
            patch.setattr("pyarrow.parquet.read_metadata", lambda _: Short)
            with pytest.raises(RunError, match=r"holds 0 rows of 1; the journal beside it is kept"):
                run.finish()
        assert (run.path / "requests.jsonl").exists()
        assert not list(run.path.glob("*.tmp"))
    assert runs.read_header(run.path).status == "interrupted"
    with runs.reopen(run.path) as run:
        run.finish()
    assert sorted(p.name for p in run.path.iterdir()) == ["requests.parquet", "run.json", "run.lock"]
    assert attempts(run.path)["request_id"].to_pylist() == ["r0.0"]


def test_a_death_between_sealing_and_removing_the_journal_counts_no_row_twice(tmp_path):
    with runs.create(tmp_path, header()) as run:
        run.append(measurement(0))
        run.append(measurement(1))
        lines = (run.path / "requests.jsonl").read_bytes()
        run.finish()
    (run.path / "requests.jsonl").write_bytes(lines)
    assert attempts(run.path)["request_id"].to_pylist() == ["r0.0", "r1.0"]


def test_a_sealed_run_can_be_gone_on_with(tmp_path):
    path = sealed(tmp_path, header(), [measurement(0), measurement(1, status="timeout")])
    with runs.reopen(path) as run:
        assert set(run.answers()) == {"key0", "key1"}
        run.append(measurement(1, attempt=1))
        assert run.answers()["key1"].status == "ok"
        run.finish()
    assert runs.read(path).requests.num_rows == 3


def test_the_attempt_that_counts_is_the_last_answered_one_else_the_last(tmp_path):
    path = sealed(
        tmp_path,
        header(),
        [
            measurement(0, 0, status="timeout"),
            measurement(0, 1),
            measurement(0, 2, status="cancelled"),
            measurement(1, 0, status="http_error"),
            measurement(1, 1, status="stream_cut"),
            measurement(2, 0, answer="first"),
            measurement(2, 1, answer="second", status="truncated"),
        ],
    )
    counted = runs.read(path).answers()
    assert {key: m.request_id for key, m in counted.items()} == {"key0": "r0.1", "key1": "r1.1", "key2": "r2.1"}


def test_a_line_torn_at_any_byte_is_dropped_and_counted_and_appending_goes_on(tmp_path):
    with runs.create(tmp_path, header()) as run:
        run.append(measurement(0))
        run.append(measurement(1, answer="模型"))
    file = run.path / "requests.jsonl"
    whole = file.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first + 1, len(whole)):
        file.write_bytes(whole[:cut])
        rows, torn = journal.read(file)
        assert ([row["request_id"] for row in rows], torn) == (["r0.0"], 1), cut
    for cut in (first + 1, first + 100, len(whole) - 1):
        file.write_bytes(whole[:cut])
        assert runs.read(run.path).torn_lines == 1
        with runs.reopen(run.path) as again:
            again.append(measurement(2))
        folder = runs.read(run.path)
        assert (folder.requests["request_id"].to_pylist(), folder.torn_lines) == (["r0.0", "r2.0"], 0)
        file.write_bytes(whole)


def test_a_last_line_of_zeros_after_a_power_cut_is_torn_too(tmp_path):
    with runs.create(tmp_path, header()) as run:
        run.append(measurement(0))
    with (run.path / "requests.jsonl").open("ab") as file:
        file.write(b"\x00" * 300 + b"\n")
    assert runs.read(run.path).torn_lines == 1
    with runs.reopen(run.path) as again:
        again.append(measurement(1))
    assert runs.read(run.path).requests["request_id"].to_pylist() == ["r0.0", "r1.0"]


@pytest.mark.parametrize("damage", [b"{", b"\xff\xfe{}", b"[1]", b"null", b"{} {}"])
def test_a_damaged_line_in_the_middle_is_named_and_not_skipped(tmp_path, damage):
    with runs.create(tmp_path, header()) as run:
        for n in range(3):
            run.append(measurement(n))
    file = run.path / "requests.jsonl"
    lines = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join([lines[0], damage, lines[2], b""]))
    with pytest.raises(RunError, match=r"requests\.jsonl, line 2: damaged"):
        runs.read(run.path)
    with pytest.raises(RunError, match=r"line 2"):
        runs.reopen(run.path)


def test_an_unknown_schema_is_refused_and_unknown_keys_are_not(tmp_path):
    path = sealed(tmp_path, header(), [measurement(0)])
    row = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps({**row, "colour": "blue"}))
    assert runs.read_header(path) == runs.read(path).header
    (path / "run.json").write_text(json.dumps({**row, "schema": 99}))
    with pytest.raises(RunError, match=r"run\.json: schema 99, this version reads 1; update"):
        runs.read(path)
    (path / "run.json").write_text('{"schema": 1, "run_id": "x"}')
    with pytest.raises(RunError, match=r"run\.json: .*missing .*'kind'"):
        runs.read(path)
    (path / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"run\.json: damaged"):
        runs.read(path)
    (path / "run.json").unlink()
    with pytest.raises(RunError, match=r"no run\.json"):
        runs.read(path)


WRITER = """
import sys
from bench import runs
from tests.store import header, measurement, request
run = runs.reopen(Path(sys.argv[1]))
start = int(sys.argv[2])
for n in range(start, start + 100_000):
    run.announce(request(n))
    run.append(measurement(n))
    sys.stdout.write(f"{n}\\n")
    sys.stdout.flush()
"""


def test_nothing_acknowledged_is_lost_when_the_writer_is_killed_again_and_again(tmp_path):
    path = runs.create(tmp_path, header())
    path.close()
    path = path.path
    acknowledged: set[int] = set()
    for round_ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(round_ * 100_000)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent,
        ) as writer:
            lines = [writer.stdout.readline()]
            time.sleep(0.02 * round_)
            os.kill(writer.pid, signal.SIGKILL)
            lines += writer.stdout.read().split("\n")
        acknowledged |= {int(line) for line in lines if line.strip()}
        assert runs.resumable(tmp_path, **ASKED) == path
    with runs.reopen(path) as run:
        held = run.answers()
        run.finish()
    kept, torn = runs.read_requests(path)
    assert acknowledged <= {m.doc_id for m in held.values() if m.status == "ok"}
    statuses = kept["status"].to_pylist()
    assert len(held) == len(statuses) == kept.num_rows
    assert len(statuses) - statuses.count("ok") == statuses.count("cancelled") <= 6
    assert torn == 0


def test_an_announced_request_that_never_came_back_becomes_a_cancelled_row_once(tmp_path):
    run = runs.create(tmp_path, header())
    run.announce(request(0))
    run.append(measurement(0))
    run.announce(request(1))
    run._lock.release()  # what a kill -9 leaves: no farewell
    with runs.reopen(run.path) as again:
        lost = again.answers()["key1"]
        assert (lost.status, lost.request_id, lost.attempt, lost.retryable) == ("cancelled", "r1.0", 0, True)
        assert "may have been billed" in lost.error
        assert (lost.task, lost.doc_id, lost.target_id) == ("quick_copy", 1, "embedded:nano")
        again.announce(request(1, attempt=1))
        again.append(measurement(1, attempt=1))
    with runs.reopen(run.path) as third:
        third.finish()
    assert attempts(run.path)["status"].to_pylist() == ["ok", "cancelled", "ok"]


def test_leaving_the_block_without_finishing_leaves_it_interrupted_with_the_lost_ones_named(tmp_path):
    run = runs.create(tmp_path, header())
    run.announce(request(0))

    def stop() -> None:
        with run:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    folder = runs.read(run.path)
    assert folder.header.status == "interrupted"
    assert folder.requests["status"].to_pylist() == ["cancelled"]
    with pytest.raises(RunError, match="the run has ended"):
        run.append(measurement(1))


def test_the_newest_run_with_the_same_questions_is_found_whatever_its_end(tmp_path):
    assert runs.resumable(tmp_path, **ASKED) is None
    sealed(tmp_path, header("20261101T000000000Z-a"), [])
    newest = sealed(tmp_path, header("20261102T000000000Z-a"), [])
    sealed(tmp_path, header("20261103T000000000Z-a", limit=8), [])
    sealed(tmp_path, header("20261104T000000000Z-a", fingerprint="g"), [])
    (tmp_path / "runs" / "20261105T000000000Z-broken").mkdir()
    (tmp_path / "runs" / "20261105T000000000Z-broken" / "run.json").write_text("{")
    (tmp_path / "runs" / "20261106T000000000Z-nothing").mkdir()
    assert runs.resumable(tmp_path, **ASKED) == newest
    assert runs.resumable(tmp_path, **{**ASKED, "repeats": 3}) is None


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "No space left"), (errno.EROFS, "Read-only file system")])
def test_a_disk_that_takes_no_more_is_one_line_and_costs_nothing_written(tmp_path, monkeypatch, number, words):
    with runs.create(tmp_path, header()) as run:
        run.append(measurement(0))
        with monkeypatch.context() as patch:
            real = os.write

            def half(fd: int, line: bytes) -> int:
                if len(line) < 100:
                    raise OSError(number, os.strerror(number))
                return real(fd, line[: len(line) - 50])

            patch.setattr(os, "write", half)
            with pytest.raises(RunError, match=f"requests.jsonl: {words}.*kept") as caught:
                run.append(measurement(1))
            assert "\n" not in str(caught.value)
        run.append(measurement(2))
        run.finish()
    assert attempts(run.path)["request_id"].to_pylist() == ["r0.0", "r2.0"]


def test_a_results_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "results").write_text("a file")
    with pytest.raises(RunError, match=r"cannot write .*results"):
        runs.create(tmp_path / "results", header())
    with pytest.raises(RunError, match=r"cannot (read|write) .*results"):
        runs.folders(tmp_path / "results")


def test_lines_from_many_threads_stay_whole(tmp_path):
    with runs.create(tmp_path, header()) as run:
        threads = [
            threading.Thread(target=lambda k=k: [run.append(measurement(k * 100 + n)) for n in range(100)])
            for k in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        run.finish()
    assert len(set(attempts(run.path)["request_id"].to_pylist())) == 800


def test_surrogate_halves_are_joined_or_replaced_never_a_crash(tmp_path):
    path = sealed(tmp_path, header(), [measurement(0, answer="\ud83d\ude00 \ud83d!")])
    assert runs.read(path).answers()["key0"].answer == "😀 \ufffd!"


def test_a_folder_with_a_unicode_name_works(tmp_path):
    results = tmp_path / "Ergebnisse 結果 é"
    path = sealed(results, header(), [measurement(0)])
    assert runs.folders(results) == [path]
    assert runs.read(path).requests.num_rows == 1


def test_prices_are_kept_as_written_and_read_as_rows(tmp_path):
    from bench.runs.folder import read_price_rows

    with runs.create(tmp_path, header()) as run:
        run.write_prices({"prices": [{"price_id": "p", "usd_per_mtok_in": "0.15"}]})
        assert read_price_rows(run.path) == [{"price_id": "p", "usd_per_mtok_in": "0.15"}]
        run.write_prices({"price_id": "q"})
        assert read_price_rows(run.path) == [{"price_id": "q"}]
        run.write_prices({})
        assert read_price_rows(run.path) == []
        run.write_prices({"prices": [{"usd_per_mtok_in": "1"}]})
        with pytest.raises(RunError, match="without price_id"):
            read_price_rows(run.path)


# ----------------------------------------------------------------------------------------- finished, and yet not whole


def harmed(results: Path, file: str, content: bytes | None) -> Path:
    path = sealed(results, header(), [measurement(0), measurement(1)], [sample(0), sample(1)])
    (path / file).unlink()
    if content is not None:
        (path / file).write_bytes(content)
    return path


def test_a_finished_run_with_all_its_parts_is_complete_and_so_is_an_open_one_without(tmp_path):
    assert runs.complete(sealed(tmp_path, header(), [measurement(0)])) is None
    with runs.create(tmp_path / "open", header()) as run:
        assert runs.complete(run.path) is None


@pytest.mark.parametrize("file", ["samples.jsonl", "scores.json"])
@pytest.mark.parametrize("content", [None, b"", b"[]\n", b"[1, 2]", b"{}\n", b"\xff", b"[" * 100_000])
def test_a_finished_run_whose_judgement_is_gone_or_damaged_is_judged_again_from_its_answers(tmp_path, file, content):
    path = harmed(tmp_path, file, content)
    told = runs.complete(path)
    assert str(path / file) in told
    assert "\n" not in told
    with pytest.raises(RunError):
        runs.read(path)
    with runs.reopen(path) as run:
        assert set(run.answers()) == {"key0", "key1"}
        run.write_samples([sample(0), sample(1)])
        run.write_scores(counted([sample(0), sample(1)]))
        run.finish()
    assert runs.complete(path) is None
    assert runs.read(path).requests.num_rows == 2


def test_samples_that_were_cut_at_a_line_are_not_those_that_were_counted(tmp_path):
    path = harmed(tmp_path, "samples.jsonl", journal.encode(vars(sample(0))))
    assert "samples.jsonl: not the samples that scores.json counted; run the same command again" in runs.complete(path)
    other = journal.encode(vars(sample(0))) + journal.encode(vars(sample(1, task="other")))
    (path / "samples.jsonl").write_bytes(other)
    assert "samples.jsonl" in runs.complete(path)


def test_a_damaged_judgement_does_not_stay_in_a_run_that_is_interrupted_again(tmp_path):
    path = harmed(tmp_path, "scores.json", b"[1]")
    runs.reopen(path).close()
    folder = runs.read(path)
    assert (folder.header.status, folder.requests.num_rows, len(folder.samples)) == ("interrupted", 2, 2)
    assert folder.scores == []


@pytest.mark.parametrize("content", [b"", b"PAR1 no", b"not parquet" * 1000])
def test_damaged_attempts_stop_the_run_with_a_way_out_and_nothing_is_changed(tmp_path, content):
    path = harmed(tmp_path, "requests.parquet", content)
    before = {p.name: p.read_bytes() for p in path.iterdir() if p.name != "run.lock"}
    assert "requests.parquet: damaged" in runs.complete(path)
    with pytest.raises(RunError, match=r"requests\.parquet: damaged .* from a copy; `--fresh` starts another run$"):
        runs.reopen(path)
    assert {p.name: p.read_bytes() for p in path.iterdir() if p.name != "run.lock"} == before


def test_attempts_of_another_shape_are_damage_that_is_named(tmp_path):
    path = harmed(tmp_path, "requests.parquet", None)
    pq.write_table(pa.table({"request_key": ["k"]}), path / "requests.parquet")
    assert "requests.parquet: no column request_id" in runs.complete(path)
    plain = table_of([vars(measurement(0))], Measurement, source="here")
    pq.write_table(plain.set_column(4, "attempt", pa.array(["x"])), path / "requests.parquet")
    assert "requests.parquet: column attempt" in runs.complete(path)
    pq.write_table(plain.drop_columns(["merged_reads", "replayed"]), path / "requests.parquet")
    assert runs.complete(path) is None
    assert runs.read(path).answers()["key0"] == measurement(0)


def test_attempts_that_are_gone_are_said_so_and_asked_again(tmp_path):
    path = harmed(tmp_path, "requests.parquet", None)
    assert "requests.parquet: no attempts, though the run is finished" in runs.complete(path)
    with runs.reopen(path) as run:
        assert run.answers() == {}


def test_a_folder_under_another_name_is_not_gone_on_with_while_the_run_itself_is_there(tmp_path):
    path = sealed(tmp_path, header(), [measurement(0)])
    copy = shutil.copytree(path, path.with_name(f"{path.name}-copy"))
    assert runs.resumable(tmp_path, **ASKED) == path
    shutil.rmtree(path)
    assert runs.resumable(tmp_path, **ASKED) == copy
    assert "name the folder so" in runs.complete(copy)
    with pytest.raises(RunError, match="name the folder so"):
        runs.reopen(copy)


def test_what_was_announced_by_another_version_is_kept_as_far_as_it_is_known(tmp_path):
    run = runs.create(tmp_path, header())
    run.announce(request(0))
    run._lock.release()
    file = run.path / "announced.jsonl"
    whole = json.loads(file.read_bytes())
    odd = [
        {**whole, "request_id": "more", "colour": "blue"},
        {"request_id": "less", "request_key": "key1"},
        {**whole, "request_id": "types", "attempt": "x", "doc_id": 10**30, "task": [1]},
        {"request_id": "no key"},
        {"request_key": "no id"},
        {**whole, "request_id": ["r"]},
        {},
    ]
    file.write_bytes(b"".join(map(journal.encode, odd)))
    with runs.reopen(run.path) as again:
        again.finish()
    found = attempts(run.path)
    assert found["request_id"].to_pylist() == ["more", "less", "types"]
    assert found["doc_id"].to_pylist() == [0, None, None]
    assert set(found["status"].to_pylist()) == {"cancelled"}
