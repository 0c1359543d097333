"""Whole runs against a server that knows every answer and can fail in every way."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from bench import analysis, database, engines, quality, runs
from bench.catalog import load
from bench.errors import BudgetStop, ConfigError, EngineError, Refused, Unreachable
from bench.items.files import tasks_dir
from bench.quality import Manner, Outcome
from bench.records import Measurement
from bench.terminal import Lines
from bench.traffic import Patience
from tests.fake import BROKEN, FRAMING, LOUD, Running
from tests.quality_runs import BENCH, bench, environment, knowing_server

IMPATIENT = Patience(first_wait_s=0.01, longest_wait_s=0.02, unreachable_s=1.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with knowing_server(tmp_path_factory.mktemp("fake")) as running:
        yield running


def run(
    server_url: str, results: Path, *, model: str = "fake", manner: Manner | None = None, **asked: object
) -> Outcome:
    (question,) = quality.questions("quick", [f"{server_url}#{model}"], catalog=load(), **asked)  # type: ignore[arg-type]
    return quality.run(question, results, manner or Manner(patience=IMPATIENT), Lines(quiet=True))


def column(results: Path, text: str) -> list[object]:
    database.build(results)
    return [row[0] for row in database.sql(results, text)[1]]


def test_a_run_answers_every_item_once_and_asking_again_asks_nothing(server: Running, tmp_path: Path) -> None:
    first = run(server.url, tmp_path)
    assert (first.n_items, first.n_attempts, first.stop) == (240, 240, None)
    assert database.build(tmp_path).problems == []
    before = analysis.report(tmp_path)
    again = run(server.url, tmp_path)
    assert again.run_id == first.run_id
    assert (again.n_attempts, again.n_items) == (0, 240)
    database.build(tmp_path)
    assert analysis.report(tmp_path).equals(before)
    assert column(tmp_path, "select count(*) from request") == [240]
    assert column(tmp_path, "select count(distinct request_key) from request") == [240]
    macro = before[(before["task"] == "macro") & (before["metric"] == "acc")].iloc[0]
    assert macro["value"] == 1.0


@pytest.mark.parametrize(("lost", "asked_again"), [("samples.jsonl", 0), ("scores.json", 0), ("requests.parquet", 8)])
def test_a_finished_run_that_lost_a_part_is_made_whole_again(
    server: Running, tmp_path: Path, lost: str, asked_again: int
) -> None:
    first = run(server.url, tmp_path, limit=1)
    (folder,) = runs.folders(tmp_path)
    (folder / lost).unlink()
    again = run(server.url, tmp_path, limit=1)
    assert (again.run_id, again.n_attempts, again.n_answered) == (first.run_id, asked_again, 8)
    assert runs.complete(folder) is None
    assert run(server.url, tmp_path, limit=1).n_attempts == 0


def test_fresh_starts_another_run(server: Running, tmp_path: Path) -> None:
    first = run(server.url, tmp_path, limit=1)
    second = run(server.url, tmp_path, limit=1, manner=Manner(fresh=True))
    assert second.run_id != first.run_id
    assert second.n_attempts == 8


def test_every_framing_fault_is_read_rightly(server: Running, tmp_path: Path) -> None:
    outcome = run(server.url, tmp_path, model="fake?fault=rotate", manner=Manner(patience=IMPATIENT, concurrency=4))
    assert outcome.stop is None
    assert {t.fault for t in server.log()} >= set(FRAMING)
    database.build(tmp_path)
    _, rows = database.sql(
        tmp_path,
        "select s.expected, t.answer from sample s join request_text t using (request_id) where s.metric = 'acc'",
    )
    assert len(rows) == 240
    assert {answer.strip().removeprefix(f"{LOUD} ") for _, answer in rows} == {expected for expected, _ in rows}
    assert all(answer.strip() in (expected, f"{LOUD} {expected}") for expected, answer in rows)


def test_broken_streams_are_errors_and_none_is_scored(server: Running, tmp_path: Path) -> None:
    run(server.url, tmp_path, model="fake?fault=rotate_all", limit=12, manner=Manner(patience=IMPATIENT, concurrency=4))
    seen = set(column(tmp_path, "select distinct status from request"))
    assert {"stream_cut", "garbled", "http_error", "ok"} <= seen
    scored_but_broken = column(
        tmp_path,
        "select r.status from sample s join request r using (request_id) where s.state = 'scored' and r.status != 'ok'",
    )
    assert scored_but_broken == []
    assert column(tmp_path, "select count(*) from sample where metric = 'acc' and state = 'scored' and value != 1") == [
        0
    ]


@pytest.mark.parametrize("fault", ["cut_mid", "garbage", "error_in_band", "500_html", "reset"])
def test_an_endpoint_that_always_breaks_leaves_every_item_unscored_and_the_run_resumable(
    server: Running, tmp_path: Path, fault: str
) -> None:
    outcome = run(server.url, tmp_path, model=f"fake?fault={fault}", limit=1)
    assert isinstance(outcome.stop, EngineError)
    assert outcome.stop.exit_code == 5
    assert set(column(tmp_path, "select distinct status from request")) == {BROKEN[fault]}
    assert column(tmp_path, "select count(*) from sample where state = 'scored'") == [0]
    (folder,) = runs.folders(tmp_path)
    assert runs.read_header(folder).status == "interrupted"


def test_an_endpoint_that_refuses_everything_has_not_been_measured(server: Running, tmp_path: Path) -> None:
    for _ in range(2):
        outcome = run(server.url, tmp_path, model="fake?fault=400", limit=1)
        assert isinstance(outcome.stop, EngineError)
        assert (outcome.n_attempts, outcome.n_answered) == (8, 0)
    assert set(column(tmp_path, "select distinct state from sample")) == {"unscored_error"}


@pytest.mark.parametrize(("http_status", "final"), [(400, True), (413, True), (422, True), (401, False), (501, False)])
def test_only_a_refusal_of_the_question_itself_is_final(http_status: int, final: bool) -> None:
    refused = Measurement(
        request_id="r", request_key="k", target_id="t", kind="quality", status="http_error",
        http_status=http_status, started_at="2026-11-23T00:00:00Z",
    )  # fmt: skip
    assert quality._counts(refused) is final


def test_a_dead_engine_of_ours_stops_the_run_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (question,) = quality.questions("quick", ["embedded:large"], catalog=load())
    started: list[subprocess.Popen[bytes]] = []
    spawn = engines._spawn
    monkeypatch.setattr(engines, "_spawn", lambda *given: started.append(spawn(*given)) or started[-1])

    class Killer(Lines):
        """Kills the engine once ten answers are there."""

        def attempted(self, measurement: Measurement, *, final: bool) -> None:
            super().attempted(measurement, final=final)
            if self._done == 10:
                os.killpg(started[-1].pid, signal.SIGKILL)

    began = time.monotonic()
    outcome = quality.run(question, tmp_path, Manner(), Killer(quiet=True))
    assert isinstance(outcome.stop, Unreachable | EngineError)
    assert time.monotonic() - began < 25
    monkeypatch.undo()
    assert quality.run(question, tmp_path, Manner(), Lines(quiet=True)).n_answered == 240


@pytest.mark.parametrize("fault", ["401", "404", "429_money"])
def test_a_key_or_quota_that_is_not_taken_leaves_the_run_to_be_gone_on_with(
    server: Running, tmp_path: Path, fault: str
) -> None:
    outcome = run(server.url, tmp_path, model=f"fake?fault={fault}", limit=1)
    assert isinstance(outcome.stop, Refused)
    (folder,) = runs.folders(tmp_path)
    assert runs.read_header(folder).status == "interrupted"
    assert run(server.url, tmp_path, model=f"fake?fault={fault}", limit=1).n_attempts > 0


def test_an_allowance_covers_all_targets_and_what_they_cost_before(server: Running, tmp_path: Path) -> None:
    targets = tmp_path / "targets.toml"
    block = '[[targets]]\nid = "{}"\nbase_url = "{}"\nmodel = "fake"\nusd_per_mtok_in = 1000\nusd_per_mtok_out = 1000\n'
    targets.write_text(block.format("a", server.url) + block.format("b", server.url + "/"))
    asked = quality.questions("quick", ["a", "b"], catalog=load(targets), limit=2)
    asked[1] = replace(asked[1], seed=1)
    free = quality.run_all(asked[:1], tmp_path / "free", Manner(max_usd=Decimal(100)), Lines(quiet=True))
    one = free[0].spent_usd
    assert one
    manner = Manner(max_usd=one + Decimal("0.05"), concurrency=1)
    for _ in range(3):
        outcomes = quality.run_all(asked, tmp_path / "capped", manner, Lines(quiet=True))
        assert sum(o.spent_usd or 0 for o in outcomes) <= manner.max_usd  # type: ignore[operator]
        assert isinstance(outcomes[-1].stop, BudgetStop)
    assert column(tmp_path / "capped", "select sum(usd) <= 0.05 + " + str(one) + " from cost") == [True]


def test_an_unknown_price_under_an_allowance_is_refused_before_anything_is_asked(
    server: Running, tmp_path: Path
) -> None:
    targets = tmp_path / "targets.toml"
    targets.write_text(
        f'[[targets]]\nid = "priced"\nbase_url = "{server.url}"\nmodel = "fake"\n'
        "usd_per_mtok_in = 1\nusd_per_mtok_out = 1\n"
    )
    asked = quality.questions("quick", ["priced", f"{server.url}#fake"], catalog=load(targets), limit=1)
    with pytest.raises(ConfigError, match="no price is known"):
        quality.run_all(asked, tmp_path / "results", Manner(max_usd=Decimal(1)), Lines(quiet=True))
    assert not (tmp_path / "results").exists()


def test_other_fresh_items_make_another_run(server: Running, tmp_path: Path) -> None:
    folder = tmp_path / "fresh"
    folder.mkdir()
    for file in tasks_dir().glob("quick_*/frozen-1.jsonl"):
        (folder / f"{file.parent.name}.jsonl").write_bytes(file.read_bytes())
    first = run(server.url, tmp_path, limit=1, items=str(folder))
    (folder / "quick_add.jsonl").write_text((folder / "quick_add.jsonl").read_text().replace("frozen-1", "fresh-1"))
    second = run(server.url, tmp_path, limit=1, items=str(folder))
    assert first.run_id != second.run_id


def test_a_run_works_inside_a_running_event_loop(server: Running, tmp_path: Path) -> None:
    async def cell() -> Outcome:
        return run(server.url, tmp_path, limit=1)

    assert asyncio.run(cell()).n_attempts == 8


def test_the_allowance_stops_the_run_and_a_higher_one_finishes_it(server: Running, tmp_path: Path) -> None:
    targets = tmp_path / "targets.toml"
    targets.write_text(
        f'[[targets]]\nid = "priced"\nbase_url = "{server.url}"\nmodel = "fake"\n'
        "usd_per_mtok_in = 1000\nusd_per_mtok_out = 1000\n"
    )
    (question,) = quality.questions("quick", ["priced"], catalog=load(targets), limit=3)
    outcome = quality.run(question, tmp_path, Manner(max_usd=Decimal("0.1"), concurrency=2), Lines(quiet=True))
    assert isinstance(outcome.stop, BudgetStop)
    assert outcome.spent_usd is not None
    assert 0 < outcome.spent_usd <= Decimal("0.1")
    more = quality.run(question, tmp_path, Manner(max_usd=Decimal(10)), Lines(quiet=True))
    assert more.stop is None
    assert more.run_id == outcome.run_id
    assert column(tmp_path, "select count(*) from answer") == [24]
    assert column(tmp_path, "select count(*) from request") == [24]


def test_a_killed_run_goes_on_and_every_item_is_answered_exactly_once(tmp_path: Path) -> None:
    with knowing_server(tmp_path) as server:
        target = f"{server.url}#fake?ttft_ms=40"
        command = [*BENCH, "run", "-t", target, "--concurrency", "4", "--results", "results"]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL)
        _wait_until(lambda: len(server.log()) >= 60, process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        done = bench("run", "-t", target, "--results", "results", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        seen = len(server.log())
    results = tmp_path / "results"
    assert column(results, "select count(*) from answer") == [240]
    assert column(results, "select count(*) from answer where status = 'ok'") == [240]
    (lost,) = column(results, "select count(*) from request where status = 'cancelled'")
    assert 0 < int(str(lost)) <= 4
    assert column(results, "select count(*) from request") == [240 + int(str(lost))]
    assert seen <= 240 + int(str(lost))
    assert len(runs.folders(results)) == 1


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_with_130_and_can_be_resumed(
    server: Running, tmp_path: Path, sent: signal.Signals
) -> None:
    target = f"{server.url}#fake?ttft_ms=60"
    command = [*BENCH, "run", "-t", target, "--concurrency", "2", "--results", "results"]
    before = len(server.log())
    process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True)
    _wait_until(lambda: len(server.log()) >= before + 10, process)
    process.send_signal(sent)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "interrupted; what was answered is kept" in said
    assert "Traceback" not in said
    (folder,) = runs.folders(tmp_path / "results")
    assert runs.read_header(folder).status == "interrupted"


def test_two_processes_on_one_run_the_second_is_refused_with_who_holds_it(server: Running, tmp_path: Path) -> None:
    target = f"{server.url}#fake?ttft_ms=100"
    command = [*BENCH, "run", "-t", target, "--concurrency", "2", "--results", "results"]
    before = len(server.log())
    process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL)
    try:
        _wait_until(lambda: len(server.log()) >= before + 4, process)
        second = bench("run", "-t", target, "--results", "results", cwd=tmp_path)
    finally:
        process.kill()
        process.wait()
    assert second.returncode == 5
    assert str(process.pid) in second.stderr
    assert "Traceback" not in second.stderr


def _wait_until(there: object, process: subprocess.Popen[str] | subprocess.Popen[bytes], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not there():  # type: ignore[operator]
        assert process.poll() is None, "the run ended too early"
        assert time.monotonic() < end, "it never came so far"
        time.sleep(0.01)
