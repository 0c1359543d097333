"""`bench load` as a whole: against the fake server's own log, faults, signals and what it imports."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import analysis, database, machine, runs
from bench.load import Outcome, Plan, run
from bench.load.asked import plans
from bench.records import ANSWERED
from tests.conformance import EXPECTED, outcomes
from tests.fake import Running, fake_server
from tests.quality_runs import BENCH, bench, environment
from tests.test_machine import Boards

BAD_INPUT = [
    "stall_headers", "stall_mid", "reset", "reset_before", "half_429", "reset_half", "big_frame", "never_ending",
    "usage_missing", "cut_before", "drop_idle", "drop_on_reuse", "close", "renamed", "mixed_load", "error_in_band",
]  # fmt: skip


class Quiet:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def told(self, line: str) -> None:
        self.lines.append(line)

    def step(self, step: Any) -> None:
        """Nothing to draw."""

    def stepped(self, row: dict[str, Any]) -> None:
        self.lines.append(str(row["arrivals"]))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with fake_server(tmp_path_factory.mktemp("fake")) as running:
        yield running


def target(server: Running, plan: str = "tokens=asked&ttft_ms=20&gap_ms=2") -> str:
    return f"{server.url}#fake?{plan}"


def plan_of(server: Running, plan: str = "tokens=asked&ttft_ms=20&gap_ms=2", **asked: Any) -> Plan:
    defaults: dict[str, Any] = {"shape": "40x8", "duration_s": 3.0, "self_check": False}
    return plans([target(server, plan)], **{**defaults, **asked})[0]


def load(server: Running, results: Path, plan: str = "tokens=asked&ttft_ms=20&gap_ms=2", **asked: Any) -> Outcome:
    return run(plan_of(server, plan, **asked), results, Quiet())


def rows_of(results: Path, outcome: Outcome) -> list[dict[str, Any]]:
    assert outcome.run_id is not None
    return [row for row in runs.read(results / "runs" / outcome.run_id).requests.to_pylist() if row["kind"] == "load"]


# ------------------------------------------------------------------------------------------------------- what is right


def test_every_request_is_a_row_and_its_stamps_are_the_servers(server: Running, tmp_path: Path) -> None:
    outcome = load(server, tmp_path, arrivals=["poisson:60"])
    rows = rows_of(tmp_path, outcome)
    log = {truth.request_id: truth for truth in server.log()}
    assert len(rows) == outcome.steps[0]["n_sent"] > 100
    assert {row["request_id"] for row in rows} <= log.keys()
    answered = [row for row in rows if row["status"] in ANSWERED]
    assert len(answered) > 0.9 * len(rows)
    errors_ms = []
    for row in answered:
        truth = log[row["request_id"]]
        errors_ms.append(abs(row["first_token_ns"] - row["sent_ns"] - truth.first("token") + truth.arrived_ns) / 1e6)
    assert np.median(errors_ms) < 1.0


def test_prompts_have_the_number_of_tokens_that_the_server_counts(server: Running, tmp_path: Path) -> None:
    outcome = load(server, tmp_path, "tokens=asked&template_tokens=7", arrivals=["closed:4"], shape="chat")
    rows = [row for row in rows_of(tmp_path, outcome) if row["in_tokens"] is not None]
    assert outcome.steps[0]["exact_prompts"]
    assert outcome.steps[0]["fixed_lengths"]
    assert len({row["in_tokens"] for row in rows}) > 20
    assert all(row["in_tokens"] == row["asked_in_tokens"] for row in rows)
    assert all(row["out_tokens"] == row["asked_out_tokens"] for row in rows)


def test_an_open_load_is_sent_as_it_was_drawn(server: Running, tmp_path: Path) -> None:
    outcome = load(server, tmp_path, arrivals=["constant:200"], client="raw")
    step, rows = outcome.steps[0], rows_of(tmp_path, outcome)
    due = np.array([row["sched_ns"] for row in rows]) - step["start_ns"]
    numbers = np.array([row["doc_id"] for row in rows])
    assert np.abs(due - (numbers + 1) * 5_000_000).max() <= 1
    assert {row["lane"] for row in rows} == {"raw"}
    late_ms = np.array([row["sent_ns"] - row["sched_ns"] for row in rows]) / 1e6
    assert np.median(late_ms) < 5


def test_the_same_seed_loads_the_same(server: Running, tmp_path: Path) -> None:
    found = []
    for seed in (1, 1, 2):
        outcome = load(server, tmp_path, arrivals=["poisson:50"], shape="chat", seed=seed, duration_s=2.0)
        start_ns = outcome.steps[0]["start_ns"]
        rows = sorted(rows_of(tmp_path, outcome), key=lambda row: row["doc_id"])[:80]
        found.append([(r["sched_ns"] - start_ns, r["asked_in_tokens"], r["asked_out_tokens"]) for r in rows])
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_two_processes_share_one_schedule(server: Running, tmp_path: Path) -> None:
    outcome = load(server, tmp_path, arrivals=["poisson:80", "closed:5"], workers=2)
    rows = rows_of(tmp_path, outcome)
    opened = [row for row in rows if row["step"] == 0]
    assert {row["worker"] for row in rows} == {0, 1}
    assert sorted(row["doc_id"] for row in opened) == list(range(len(opened)))
    assert {row["doc_id"] % 2 for row in opened if row["worker"] == 1} == {1}
    assert max(row["inflight"] for row in rows if row["step"] == 1) <= 3


def test_a_trace_is_played_with_its_times_and_lengths(server: Running, tmp_path: Path) -> None:
    file = tmp_path / "day.csv"
    file.write_text("timestamp,in_tokens,out_tokens\n" + "".join(f"{100 + n / 40},{30 + n},{4}\n" for n in range(120)))
    outcome = load(server, tmp_path, arrivals=[f"trace:{file}"], shape="trace")
    rows = sorted(rows_of(tmp_path, outcome), key=lambda row: row["doc_id"])
    assert len(rows) == 120
    assert [row["asked_in_tokens"] for row in rows] == [30 + n for n in range(120)]
    assert rows[40]["sched_ns"] - rows[0]["sched_ns"] == pytest.approx(1e9, abs=10)


@pytest.mark.parametrize("cache", ["cold", "warm", "mixed"])
def test_prompts_begin_alike_only_where_they_are_meant_to(server: Running, tmp_path: Path, cache: str) -> None:
    before = len(server.log())
    outcome = load(server, tmp_path, arrivals=["closed:2"], cache=cache, shape="200x4", duration_s=2.0)
    ids = {row["request_id"]: row["prompt_cache"] for row in rows_of(tmp_path, outcome)}
    prompts = [
        (ids[truth.request_id], truth.body["messages"][0]["content"].split())
        for truth in server.log()[before:]
        if truth.request_id in ids
    ]
    beginnings = [" ".join(words[:10]) for kind, words in prompts if kind == "cold"]
    shared = {" ".join(words[:100]) for kind, words in prompts if kind == "warm"}
    assert len(set(beginnings)) == len(beginnings)
    assert len(shared) == (0 if cache == "cold" else 1)
    assert {kind for kind, _ in prompts} == ({"cold", "warm"} if cache == "mixed" else {cache})
    assert len({" ".join(words[-8:]) for _, words in prompts}) == len(prompts)


def test_energy_is_the_boards_over_the_window_with_the_idle_power_beside_it(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_nvml", lambda: Boards(400, 300))
    step = load(server, tmp_path, arrivals=["closed:2"], self_check=True).steps[0]
    window_s = (step["window_end_ns"] - step["window_start_ns"]) / 1e9
    assert step["idle_power_w"] == pytest.approx(700, rel=0.05)
    assert step["energy_j"] == pytest.approx(700 * window_s, rel=0.05)
    assert step["j_per_tok_out"] == pytest.approx(700 / step["system_out_tps"], rel=0.05)
    assert len(list(tmp_path.glob("runs/*/telemetry.parquet"))) == 1


def test_an_allowance_ends_a_load_before_it_is_exceeded(server: Running, tmp_path: Path) -> None:
    (tmp_path / "targets.toml").write_text(
        f'[[targets]]\nid = "dear"\nbase_url = "{server.url}"\nmodel = "fake?tokens=asked&gap_ms=5"\n'
        "usd_per_mtok_in = 10.0\nusd_per_mtok_out = 100.0\n"
    )
    done = bench(
        "load", "-t", "dear", "--arrivals", "closed:3", "--shape", "40x20", "--duration", "60", "--no-self-check",
        "--max-usd", "0.05", "--results", str(tmp_path), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "the allowance of 0.05 $ is used up" in done.stderr
    spent = database.sql(tmp_path, "select sum(usd) from cost")[1][0][0]
    assert 0.03 < spent <= 0.05


# -------------------------------------------------------------------------------------------------------------- trouble


@pytest.mark.parametrize("lane", ["httpx", "raw"])
def test_bad_servers_give_rows_of_the_right_status_and_the_load_goes_on(tmp_path: Path, lane: Any) -> None:
    found = list(outcomes(tmp_path, lane, [*BAD_INPUT, "plain"]))
    wrong = [(one.fault, dict(one.statuses), one.n_sent) for one in found if not one.right]
    assert wrong == []
    assert found[-1].fault == "plain"


def test_the_matrix_knows_an_outcome_for_every_fault() -> None:
    from tests import fake

    assert EXPECTED.keys() == {*fake.FRAMING, *fake.BROKEN, *fake.OTHER, *fake.LOADED}


def test_a_frozen_server_shows_in_every_request_that_was_due(server: Running, tmp_path: Path) -> None:
    """Open loop: p99 of TTFT from the due time is what one computes by hand. Closed loop: the freeze all but hides."""
    freeze_s, ttft_s, rate, seconds = 1.0, 0.02, 100, 8.0
    name = f"tokens=asked&ttft_ms=20&gap_ms=1&freeze_ms=1000&freeze_at={int(rate * seconds * 0.65)}"
    outcome = load(server, tmp_path, name, arrivals=[f"constant:{rate}"], duration_s=seconds, shape="30x3")
    step = outcome.steps[0]
    log = {truth.request_id: truth for truth in server.log()}
    rows = rows_of(tmp_path, outcome)
    arrived = sorted(log[row["request_id"]].arrived_ns for row in rows)
    writes = sorted(ns for row in rows for ns in log[row["request_id"]].frames_ns)
    gap = int(np.argmax(np.diff(writes)))
    thawed_ns = writes[gap + 1]
    assert (thawed_ns - writes[gap]) / 1e9 == pytest.approx(freeze_s, rel=0.1)
    assert sum(thawed_ns - freeze_s * 1e9 < at < thawed_ns for at in arrived) > 0.9 * rate * freeze_s
    inside = [row for row in rows if step["window_start_ns"] <= row["sched_ns"] < step["window_end_ns"]]
    due = np.array([row["sched_ns"] for row in inside])
    by_hand_ms = np.where(due < thawed_ns, np.maximum(ttft_s * 1e9, thawed_ns - due), ttft_s * 1e9) / 1e6
    by_hand_ms[due + ttft_s * 1e9 < thawed_ns - freeze_s * 1e9] = ttft_s * 1e3
    expected_ms = float(np.quantile(by_hand_ms, 0.99))
    database.build(tmp_path)
    (shown,) = analysis.load_steps(tmp_path, [str(outcome.run_id)])
    assert expected_ms > 800
    told_ms = [(log[row["request_id"]].first("token") - row["sched_ns"]) / 1e6 for row in inside]
    assert shown["ttft_sched_ms_p99"] == pytest.approx(float(np.quantile(told_ms, 0.99)), abs=2.0)
    # By hand a thawed server answers all who wait at once; it takes a moment for each.
    waited = [log[row["request_id"]] for row in rows if log[row["request_id"]].arrived_ns < thawed_ns]
    drain_ms = (max(truth.first("token") for truth in waited) - thawed_ns) / 1e6
    assert expected_ms - 2.0 < shown["ttft_sched_ms_p99"] < expected_ms + drain_ms + 2.0

    closed = load(server, tmp_path, name + "&answer=x", arrivals=["closed:3"], duration_s=seconds, shape="30x3")
    database.build(tmp_path)
    (hidden,) = analysis.load_steps(tmp_path, [str(closed.run_id)])
    assert hidden["ttft_ms_p99"] < 0.2 * expected_ms


def test_a_swapped_model_and_failures_are_told_under_the_step(server: Running, tmp_path: Path) -> None:
    outcome = load(server, tmp_path, "tokens=asked&fault=mixed_load", arrivals=["closed:3"])
    told = " | ".join(outcome.steps[0]["notes"])
    assert "several models: fake, fake-2" in told
    assert "http_error 429" in told
    assert outcome.steps[0]["n_failed"] > 0


def test_a_target_that_answers_nothing_is_one_line_and_exit_5(tmp_path: Path) -> None:
    done = bench("load", "-t", "http://127.0.0.1:9/v1#m", "--results", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 5
    assert "Traceback" not in done.stderr
    assert "nothing to load" in done.stderr


def test_what_does_not_go_together_is_said_before_anything_is_sent(server: Running, tmp_path: Path) -> None:
    before = len(server.log())
    for wrong in (
        ["--search"],
        ["--arrivals", "poison:2"],
        ["--shape", "chatt"],
        ["--slo", "ttft=5"],
        ["--cache", "x"],
    ):
        done = bench("load", "-t", target(server), *wrong, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("error: --")
        assert len(done.stderr.splitlines()) == 1
    assert len(server.log()) == before


# -------------------------------------------------------------------------------------------------- processes, signals


def started(server: Running, results: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*BENCH, "load", "-t", target(server), "--shape", "40x20", "--no-self-check", "--results", str(results), *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), start_new_session=True,
    )  # fmt: skip


def workers_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"bench.load.worker" in Path(f"/proc/{child}/cmdline").read_bytes()]


def until(true: Any, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def in_the_middle(process: subprocess.Popen[str], results: Path) -> None:
    """Once rows of the load are in the journal."""
    until(lambda: any(b'"step":0' in file.read_bytes() for file in results.glob("runs/*/requests.jsonl")))
    assert process.poll() is None


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_ctrl_c_keeps_every_row_and_leaves_no_process(server: Running, tmp_path: Path) -> None:
    process = started(server, tmp_path, "--arrivals", "poisson:50", "--duration", "60", "--workers", "2")
    in_the_middle(process, tmp_path)
    workers = workers_of(process.pid)
    assert len(workers) == 2
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    (folder,) = (tmp_path / "runs").iterdir()
    found = runs.read(folder)
    (step,) = json.loads((folder / "load_steps.json").read_text())
    kept = [row for row in found.requests.to_pylist() if row["kind"] == "load"]
    assert found.header.status == "interrupted"
    assert "interrupted" in step["notes"]
    assert len(kept) == step["n_sent"]
    asked = {truth.request_id for truth in server.log()}
    assert {row["request_id"] for row in kept if row["sent_ns"]} <= asked
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_a_killed_load_takes_its_processes_along_and_can_be_read(server: Running, tmp_path: Path) -> None:
    process = started(server, tmp_path, "--arrivals", "closed:4", "--duration", "60")
    in_the_middle(process, tmp_path)
    workers = workers_of(process.pid)
    process.kill()
    process.communicate()
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    assert database.build(tmp_path).problems == []
    assert database.sql(tmp_path, "select count(*) > 0 from request where step = 0")[1] == [(True,)]


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_a_client_process_that_dies_ends_the_load_in_words(server: Running, tmp_path: Path) -> None:
    process = started(server, tmp_path, "--arrivals", "closed:4", "--duration", "60")
    in_the_middle(process, tmp_path)
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 5
    assert "a client process has died" in errors
    assert "Traceback" not in errors
    (folder,) = (tmp_path / "runs").iterdir()
    (step,) = json.loads((folder / "load_steps.json").read_text())
    assert "a client process has died" in " ".join(step["notes"])
    assert step["n_sent"] == sum(row["kind"] == "load" for row in runs.read(folder).requests.to_pylist()) > 0


def test_json_is_one_array_with_an_object_per_step(server: Running, tmp_path: Path) -> None:
    done = bench(
        "load", "-t", target(server), "--arrivals", "closed:1,2", "--shape", "40x8", "--duration", "2",
        "--no-self-check", "--json", "--slo", "ttft_ms=500", "--results", str(tmp_path), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)
    assert [step["arrivals"] for step in steps] == ["closed:1", "closed:2"]
    assert all(step["slo_attainment"] == 1.0 for step in steps)
    again = bench("report", steps[0]["run_id"], "--json", "--results", str(tmp_path), cwd=tmp_path)
    assert json.loads(again.stdout) == steps


def test_nothing_heavy_is_imported_while_a_load_measures(server: Running, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from bench.load import run; from bench.load.asked import plans\n"
        "class Q:\n  told = step = lambda *_: None\n"
        "  def stepped(self, row): print(sorted({'pandas','lm_eval','plotly','pyarrow','duckdb'} & set(sys.modules)))\n"
        f"run(plans([{target(server)!r}], arrivals=['closed:1'], shape='40x8', duration_s=2.0)[0], Path('r'), Q())\n"
        "print(sorted({'lm_eval','plotly'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["[]", "[]"], done.stderr
