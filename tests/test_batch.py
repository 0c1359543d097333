"""Batches against a provider that knows what it billed: nothing lost, nothing paid twice, whatever dies when."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bench import analysis, batch, database, quality, runs
from bench.budget import Budget
from bench.catalog import Price, load
from bench.client import Client
from bench.errors import (
    BudgetStop,
    ConfigError,
    EngineError,
    Garbled,
    RateLimited,
    Refused,
    RequestError,
    RunError,
    Unreachable,
)
from bench.quality import Manner, Outcome
from bench.records import Measurement, Message, Request
from bench.terminal import Lines
from bench.wires import names as wire_names
from tests.batch_fake import IN_TOKENS, KEY, OUT_TOKENS, Fake, Hold, Plan, Trouble, batch_fake
from tests.batch_runs import PACE, PROVIDERS, Ear, N, asked, drive, endpoint
from tests.quality_runs import BENCH, bench, environment, right_answers

MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5", "google": "gemini-2.5-flash"}
FOUR = ("openai", "mistral", "anthropic", "gemini")
"""Each API once; the others speak OpenAI's."""
UNTIMED = (
    "sched_ns", "sent_ns", "headers_ns", "first_event_ns", "first_token_ns", "first_answer_ns", "last_token_ns",
    "end_ns", "read_lag_max_ns", "merged_reads", "inflight", "connection_reused", "stamp_source",
)  # fmt: skip
OUTPUT_COUNTS = Price(id="out", model="m", usd_per_mtok_in=Decimal(1), usd_per_mtok_out=Decimal(200), source="test")
FLAT = Price(id="flat", model="m", usd_per_mtok_in=Decimal(1000), usd_per_mtok_out=Decimal(1000), source="test")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_KEY", KEY)


@pytest.fixture
def fake() -> Iterator[Fake]:
    with batch_fake(right_answers()) as running:
        yield running


# ------------------------------------------------------------------------------------ the driver alone, in a run folder


def rows(results: Path) -> list[Measurement]:
    (folder,) = runs.folders(results)
    return list(runs.measurements(runs.read_requests(folder)[0]))


def notes(results: Path) -> list[dict[str, Any]]:
    (folder,) = runs.folders(results)
    return [json.loads(line) for line in (folder / "batches.jsonl").read_text().splitlines()]


def all_answered_once(fake: Fake, results: Path, n: int = N) -> None:
    """Every question has one answer of its own, and was billed once; no batch is left over."""
    found = rows(results)
    answers = {m.request_key: m.answer for m in found if m.status == "ok"}
    assert answers == {f"key-{i}": fake.said(f"question number {i}") for i in range(n)}
    assert [m.status for m in found].count("ok") == n
    assert dict(fake.billed) == {f"question number {i}": 1 for i in range(n)}
    assert runs.unsettled(runs.folders(results)[0]) == []
    assert fake.refused == []


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_batch_gives_rows_without_latency_whatever_the_order(fake: Fake, tmp_path: Path, name: str) -> None:
    fake.plans = [Plan(backwards=True)]
    ear = Ear()
    found = drive(fake.url, name, tmp_path, asked(), ear=ear)
    all_answered_once(fake, tmp_path)
    assert ear.final == [True] * N
    for m in found.values():
        assert all(getattr(m, column) is None for column in UNTIMED)
        assert (m.chunks, m.chunk_offsets_ns, m.service_tier) == (0, (), "batch")
        assert (m.in_tokens, m.out_tokens, m.tokens_source) == (IN_TOKENS, OUT_TOKENS, "server")
        assert m.finish_reason is not None
        assert m.http_status == 200
        assert "question number" in (m.prompt or "")
    assert [note["state"] for note in notes(tmp_path) if note["state"] != "uploaded"] == [
        "planned", "creating", "created", "ended", "collected",
    ]  # fmt: skip
    told = " ".join(ear.lines)
    assert f"{N} requests sent" in told
    assert "the same command waits for it again" in told


def test_inlined_answers_of_gemini_are_read_by_their_key(fake: Fake, tmp_path: Path) -> None:
    fake.inline = True
    fake.plans = [Plan(backwards=True)]
    drive(fake.url, "gemini", tmp_path, asked())
    all_answered_once(fake, tmp_path)


@pytest.mark.parametrize("name", FOUR)
def test_single_failures_are_rows_and_only_those_worth_it_are_asked_again(
    fake: Fake, tmp_path: Path, name: str
) -> None:
    fake.plans = [Plan(items={0: "400", 1: "500", 2: "429", 3: "error"}), Plan()]
    found = drive(fake.url, name, tmp_path, asked())
    assert len(fake.batches) == 2
    assert {body_id for batch_ in fake.batches.values() for body_id, _ in batch_.items} == {
        m.request_id for m in rows(tmp_path)
    }
    first, second = fake.batches.values()
    assert (first.n, second.n) == (6, 3)
    assert found["key-0"].status == "http_error"
    assert (found["key-0"].http_status, found["key-0"].retryable) == (400, False)
    assert [found[f"key-{i}"].status for i in range(1, N)] == ["ok"] * 5
    assert [found[f"key-{i}"].attempt for i in range(N)] == [0, 1, 1, 1, 0, 0]
    failed = {m.request_key: m for m in rows(tmp_path) if m.attempt == 0 and m.status != "ok"}
    assert [failed[f"key-{i}"].http_status for i in (1, 2)] == [500, 429]
    assert all(m.sent_ns is None and m.service_tier == "batch" for m in failed.values())


def test_a_request_that_keeps_failing_is_given_up_after_its_attempts(fake: Fake, tmp_path: Path) -> None:
    fake.plans = [Plan(items={0: "500"})] * 9
    found = drive(fake.url, "openai", tmp_path, asked(1))
    assert (found["key-0"].status, found["key-0"].attempt) == ("http_error", PACE.max_attempts - 1)
    assert len(fake.batches) == PACE.max_attempts


@pytest.mark.parametrize("name", FOUR)
def test_an_expired_batch_keeps_its_answers_and_the_rest_goes_into_another(
    fake: Fake, tmp_path: Path, name: str
) -> None:
    fake.plans = [Plan(end="expired", answered=4), Plan()]
    drive(fake.url, name, tmp_path, asked())
    assert [b.n for b in fake.batches.values()] == [6, 2]
    all_answered_once(fake, tmp_path)
    lost = [m for m in rows(tmp_path) if m.status != "ok"]
    assert len(lost) == 2
    assert all(m.retryable and m.answer is None for m in lost)


@pytest.mark.parametrize("name", ["openai", "mistral", "anthropic"])
def test_a_cancelled_batch_stops_the_run_which_goes_on_with_what_is_left(fake: Fake, tmp_path: Path, name: str) -> None:
    fake.plans = [Plan(end="cancelled", answered=2), Plan()]
    requests = asked()
    with pytest.raises(Refused, match="was cancelled at the provider with 4 of 6 requests unanswered"):
        drive(fake.url, name, tmp_path, requests)
    assert len(fake.batches) == 1
    drive(fake.url, name, tmp_path, requests)
    assert [b.n for b in fake.batches.values()] == [6, 4]
    all_answered_once(fake, tmp_path)


def test_a_result_that_is_missing_is_looked_for_and_then_asked_again(fake: Fake, tmp_path: Path) -> None:
    fake.plans = [Plan(items={2: "lost"}), Plan()]
    drive(fake.url, "openai", tmp_path, asked())
    lost = next(m for m in rows(tmp_path) if m.status != "ok")
    assert (lost.request_key, lost.status, lost.retryable) == ("key-2", "cancelled", True)
    assert "may have been billed" in (lost.error or "")
    assert fake.count("GET", "content") == PACE.fetches + 1
    assert fake.billed["question number 2"] == 2  # the provider billed what it lost; nothing else twice
    assert sum(fake.billed.values()) == N + 1
    assert [note["lost"] for note in notes(tmp_path) if note["state"] == "collected"] == [1, 0]


def test_results_twice_count_once(fake: Fake, tmp_path: Path) -> None:
    fake.plans = [Plan(items={1: "twice", 4: "twice"})]
    drive(fake.url, "openai", tmp_path, asked())
    all_answered_once(fake, tmp_path)
    assert [note.get("twice") for note in notes(tmp_path) if note["state"] == "collected"] == [2]


@pytest.mark.parametrize("name", FOUR)
def test_results_cut_on_their_way_are_fetched_again(fake: Fake, tmp_path: Path, name: str) -> None:
    fake.troubles = [Trouble("GET", "content|results|download", "half", times=2)]
    drive(fake.url, name, tmp_path, asked())
    assert len(fake.batches) == 1
    all_answered_once(fake, tmp_path)


@pytest.mark.parametrize("name", FOUR)
def test_trouble_while_looking_is_waited_out(fake: Fake, tmp_path: Path, name: str) -> None:
    fake.polls = 3
    looks = r"batch(es|/jobs)/"
    fake.troubles = [
        Trouble("GET", looks, "500"),
        Trouble("GET", looks, "429", headers={"Retry-After": "0.2"}),
        Trouble("GET", looks, "garbage"),
        Trouble("GET", looks, "cut_after"),
    ]
    ear = Ear()
    began = time.monotonic()
    drive(fake.url, name, tmp_path, asked(), ear=ear)
    assert ear.holds == [0.2]
    assert time.monotonic() - began >= 0.2
    all_answered_once(fake, tmp_path)


@pytest.mark.parametrize("name", FOUR)
@pytest.mark.parametrize("what", ["500", "429", "cut_before", "cut_after", "garbage"])
def test_trouble_while_sending_never_makes_two_batches(fake: Fake, tmp_path: Path, name: str, what: str) -> None:
    """`cut_after` and such: the batch is made, and the answer that says so is lost."""
    fake.troubles = [
        Trouble("POST", "files", what),
        Trouble("POST", "batches$|batch/jobs$|batchGenerateContent$", what),
    ]
    drive(fake.url, name, tmp_path, asked())
    assert len(fake.batches) == 1
    all_answered_once(fake, tmp_path)


@pytest.mark.parametrize("name", FOUR)
def test_a_batch_whose_making_was_not_told_is_found_among_many(fake: Fake, tmp_path: Path, name: str) -> None:
    """Also older ones of the same size; pages are short."""
    fake.clock = lambda: time.time() - 7200
    for i in range(5):
        drive(fake.url, name, tmp_path / str(i), asked())
    fake.clock = time.time
    fake.billed.clear()
    fake.troubles = [Trouble("POST", "batches$|batch/jobs$|batchGenerateContent$", "cut_after")]
    drive(fake.url, name, tmp_path / "it", asked())
    assert len(fake.batches) == 6
    all_answered_once(fake, tmp_path / "it")


def test_an_others_batch_of_the_same_size_and_time_is_not_taken_for_ours(fake: Fake, tmp_path: Path) -> None:
    drive(fake.url, "anthropic", tmp_path / "other", asked())
    fake.billed.clear()
    fake.troubles = [Trouble("POST", "batches$", "500")]  # never made; only the other's is there
    drive(fake.url, "anthropic", tmp_path / "ours", asked())
    assert len(fake.batches) == 2
    all_answered_once(fake, tmp_path / "ours")
    assert len(rows(tmp_path / "ours")) == N
    assert any(n["state"] == "dropped" and "others'" in n["why"] for n in notes(tmp_path / "ours"))


def test_a_batch_that_fails_as_a_whole_stops_the_run_with_the_reason(fake: Fake, tmp_path: Path) -> None:
    fake.plans = [Plan(end="failed"), Plan()]
    requests = asked()
    with pytest.raises(Refused, match="invalid_json_line This line is not JSON"):
        drive(fake.url, "openai", tmp_path, requests)
    assert {m.status for m in rows(tmp_path)} == {"http_error"}
    drive(fake.url, "openai", tmp_path, requests)
    all_answered_once(fake, tmp_path)


@pytest.mark.parametrize("name", [*FOUR[:2], "gemini", "together"])
def test_too_many_tokens_enqueued_means_smaller_batches(fake: Fake, tmp_path: Path, name: str) -> None:
    fake.plans = [Plan(end="limit")]
    ear = Ear()
    drive(fake.url, name, tmp_path, asked(), ear=ear)
    assert [b.n for b in fake.batches.values()] == [6, 3, 3]
    assert ear.holds == [PACE.longest_s]
    all_answered_once(fake, tmp_path)


def test_a_batch_that_was_never_run_is_no_try_of_its_requests(fake: Fake, tmp_path: Path) -> None:
    """More refusals for size than a question has tries: 6, then 3 and 3, then single ones."""
    fake.plans = [Plan(end="limit")] * 3
    pace = replace(PACE, max_attempts=2)
    found = drive(fake.url, "openai", tmp_path, asked(), pace=pace)
    assert len(found) == N
    all_answered_once(fake, tmp_path)


@pytest.mark.parametrize("what", ["401", "403"])
def test_a_key_that_is_not_taken_stops_the_run_before_anything_is_made(fake: Fake, tmp_path: Path, what: str) -> None:
    fake.troubles = [Trouble("POST", "files", what)]
    with pytest.raises(Refused, match=f"does not take the batch: HTTP {what}"):
        drive(fake.url, "openai", tmp_path, asked())
    assert fake.batches == {}
    assert rows(tmp_path) == []


def test_a_key_that_is_not_taken_inside_a_batch_stops_the_run_after_its_answers(fake: Fake, tmp_path: Path) -> None:
    fake.plans = [Plan(items={0: "401"}), Plan()]
    requests = asked()
    with pytest.raises(Refused, match="does not serve us"):
        drive(fake.url, "openai", tmp_path, requests)
    assert [m.status for m in rows(tmp_path)].count("ok") == N - 1
    drive(fake.url, "openai", tmp_path, requests)
    all_answered_once(fake, tmp_path)


def test_a_batch_the_provider_no_longer_knows_is_never_asked_again_by_itself(fake: Fake, tmp_path: Path) -> None:
    fake.troubles = [Trouble("GET", "batches/", "404")]
    requests = asked()
    with pytest.raises(Refused, match=r"can't be looked at: HTTP 404.*--fresh"):
        drive(fake.url, "openai", tmp_path, requests)
    drive(fake.url, "openai", tmp_path, requests)
    assert len(fake.batches) == 1
    all_answered_once(fake, tmp_path)


def test_a_provider_that_stays_away_stops_the_run_and_the_batch_is_taken_up_again(fake: Fake, tmp_path: Path) -> None:
    fake.troubles = [Trouble("GET", "batches/", "500", times=1000)]
    requests = asked()
    with pytest.raises(RequestError, match="planned 500"):
        drive(fake.url, "openai", tmp_path, requests, pace=replace(PACE, give_up_s=0.2))
    fake.troubles.clear()
    ear = Ear()
    drive(fake.url, "openai", tmp_path, requests, ear=ear)
    assert "waiting again for batch batch_0_openai, 6 requests" in ear.lines[0]
    all_answered_once(fake, tmp_path)


def test_a_provider_nobody_reaches_is_given_up_soon_and_a_very_long_wait_at_once(fake: Fake, tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        drive("http://127.0.0.1:9", "openai", tmp_path / "away", asked(), pace=replace(PACE, unreachable_s=0.1))
    fake.troubles = [Trouble("GET", "batches/", "429", headers={"Retry-After": "86400"})]
    requests = asked()
    with pytest.raises(RateLimited):
        drive(fake.url, "openai", tmp_path / "later", requests)
    drive(fake.url, "openai", tmp_path / "later", requests)
    all_answered_once(fake, tmp_path / "later")


def test_a_batch_under_way_is_waited_for_even_beyond_a_lowered_allowance(fake: Fake, tmp_path: Path) -> None:
    requests = asked()
    assert killed(fake, "openai", tmp_path, requests, "created", "after") != 0
    budget, ear = Budget(max_usd=Decimal("0.01"), price=FLAT), Ear()
    drive(fake.url, "openai", tmp_path, requests, budget=budget, ear=ear)
    assert any("waiting again for batch" in line for line in ear.lines)
    assert budget.spent_usd == N * Decimal("0.03")
    all_answered_once(fake, tmp_path)


# ------------------------------------------------------------------------------------------------------------- limits


def test_a_batch_holds_no_more_requests_than_the_provider_takes(fake: Fake, tmp_path: Path) -> None:
    drive(fake.url, "openai", tmp_path, asked(7), terms={"requests": 3})
    assert [b.n for b in fake.batches.values()] == [3, 3, 1]
    all_answered_once(fake, tmp_path, 7)


def test_a_batch_holds_no_more_bytes_than_the_provider_takes(fake: Fake, tmp_path: Path) -> None:
    requests = [
        replace(r, messages=(Message(role="system", content="x" * 400_000), *(r.messages or ()))) for r in asked(5)
    ]
    drive(fake.url, "openai", tmp_path, requests, terms={"mib": 1})
    assert [b.n for b in fake.batches.values()] == [2, 2, 1]
    assert all(len(content) <= 1 << 20 for content in fake.files.values())
    all_answered_once(fake, tmp_path, 5)


def test_what_does_not_fit_into_the_allowance_follows_in_further_batches(fake: Fake, tmp_path: Path) -> None:
    """A request reserves 1000 $/Mtok * (21 + 20) tokens = 0.041 $ and takes 0.03 $; or, where output is what counts,
    0.004 $ and 0.002 $."""
    budget = Budget(max_usd=Decimal(1), price=FLAT)
    drive(fake.url, "openai", tmp_path, asked(), budget=budget)
    all_answered_once(fake, tmp_path)
    assert budget.spent_usd == N * Decimal("0.03")
    assert len(fake.batches) == 1

    fake.billed.clear()
    tight = Budget(max_usd=Decimal("0.1"), price=OUTPUT_COUNTS)
    ear = Ear()
    drive(fake.url, "openai", tmp_path / "tight", asked(40), budget=tight, ear=ear)
    sizes = [b.n for b in fake.batches.values()][1:]
    assert len(sizes) > 1
    assert sum(sizes) == 40
    assert tight.spent_usd <= Decimal("0.1")
    all_answered_once(fake, tmp_path / "tight", 40)


def test_an_allowance_that_is_used_up_ends_the_run_and_a_higher_one_goes_on(fake: Fake, tmp_path: Path) -> None:
    requests = asked()
    tight = Budget(max_usd=Decimal("0.15"), price=FLAT)
    with pytest.raises(BudgetStop, match="used up"):
        drive(fake.url, "openai", tmp_path, requests, budget=tight, terms={"requests": 1})
    assert len(rows(tmp_path)) == 4
    drive(fake.url, "openai", tmp_path, requests, budget=Budget(max_usd=Decimal(10), price=FLAT))
    all_answered_once(fake, tmp_path)


def test_rows_say_what_was_reserved_for_them(fake: Fake, tmp_path: Path) -> None:
    drive(fake.url, "openai", tmp_path, asked())
    assert {m.asked_out_tokens for m in rows(tmp_path)} == {20}
    assert all(m.asked_in_tokens and m.asked_in_tokens > 16 for m in rows(tmp_path))


# -------------------------------------------------------------------------------------------------------- kill -9

POINTS = [
    *((state, when) for state in ("planned", "uploaded", "creating", "created", "ended", "collected")
      for when in ("before", "after")),
    ("row", "1"), ("row", "4"), ("row", "6"), ("look", "1"), ("results", "1"),
]  # fmt: skip


def killed(fake: Fake, name: str, results: Path, requests: list[Request], state: str, when: str) -> int:
    """The return code of a child that was to kill itself there."""
    ids = ",".join(request.request_id for request in requests)
    told = ", ".join(map(repr, (fake.url, name, str(results), ids, state, when)))
    done = subprocess.run(
        [sys.executable, "-c", f"from tests.batch_runs import child; child({told})"],
        env={**environment(), "BATCH_KEY": KEY},
        timeout=60,
        capture_output=True,
        check=False,
    )
    assert done.returncode in (-signal.SIGKILL, 0), done.stderr.decode()
    return done.returncode


@pytest.mark.parametrize(
    "name", ["anthropic", *(pytest.param(n, marks=pytest.mark.slow) for n in (*FOUR, "together") if n != "anthropic")]
)
def test_a_run_killed_anywhere_goes_on_and_pays_nothing_twice(fake: Fake, tmp_path: Path, name: str) -> None:
    reached = 0
    for state, when in POINTS:
        fake.billed.clear()
        results, requests = tmp_path / f"{state}-{when}", asked()
        code = killed(fake, name, results, requests, state, when)
        reached += code != 0
        assert (code == 0) == (state == "uploaded" and name == "anthropic"), (state, when)
        drive(fake.url, name, results, requests)
        all_answered_once(fake, results)
        assert len(rows(results)) == N, (state, when)
    assert reached == len(POINTS) - 2 * (name == "anthropic")


def test_a_failure_written_down_before_the_kill_is_asked_again(fake: Fake, tmp_path: Path) -> None:
    fake.plans = [Plan(items={0: "500"})]
    requests = asked()
    assert killed(fake, "openai", tmp_path, requests, "row", "4") != 0
    drive(fake.url, "openai", tmp_path, requests)
    assert [b.n for b in fake.batches.values()] == [6, 1]
    all_answered_once(fake, tmp_path)
    assert len(rows(tmp_path)) == N + 1


def test_a_run_killed_twice_goes_on(fake: Fake, tmp_path: Path) -> None:
    requests = asked()
    assert killed(fake, "openai", tmp_path, requests, "created", "before") != 0
    assert killed(fake, "openai", tmp_path, requests, "row", "3") != 0
    drive(fake.url, "openai", tmp_path, requests)
    all_answered_once(fake, tmp_path)
    assert len(fake.batches) == 1


@pytest.mark.parametrize("stage", ["POST files", "POST batches$", "GET batches/", "GET content"])
def test_a_run_killed_while_the_provider_works_goes_on(fake: Fake, tmp_path: Path, stage: str) -> None:
    """The provider has done what it was asked, and its answer finds nobody."""
    method, path = stage.split(" ")
    hold = Hold(method, path)
    fake.holds = [hold]
    requests = asked()
    ids = ",".join(request.request_id for request in requests)
    code = f"from tests.batch_runs import child; child({fake.url!r}, 'openai', {str(tmp_path)!r}, {ids!r}, 'never', '')"
    process = subprocess.Popen([sys.executable, "-c", code], env={**environment(), "BATCH_KEY": KEY})
    assert hold.reached.wait(30)
    process.kill()
    process.wait()
    hold.let_go.set()
    drive(fake.url, "openai", tmp_path, requests)
    assert len(fake.batches) == 1
    all_answered_once(fake, tmp_path)


def test_a_damaged_note_is_an_error_and_not_a_second_batch(fake: Fake, tmp_path: Path) -> None:
    requests = asked()
    assert killed(fake, "openai", tmp_path, requests, "created", "after") != 0
    (folder,) = runs.folders(tmp_path)
    file = folder / "batches.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(["{half\n", *lines[1:]]))
    with pytest.raises(RunError, match=r"batches\.jsonl, line 1"):
        drive(fake.url, "openai", tmp_path, requests)
    file.write_text("".join(lines) + '{"batch": "torn')
    drive(fake.url, "openai", tmp_path, requests)
    all_answered_once(fake, tmp_path)


# ------------------------------------------------------------------------------------------------------- whole runs


def targets_file(fake: Fake, folder: Path) -> Path:
    file = folder / "targets.toml"
    blocks = [
        f'[[targets]]\nid = "{name}"\nprovider = "{provider}"\nwire = "{wire}"\nbase_url = "{fake.url}/{path}"\n'
        f'model = "{MODELS.get(provider, "m")}"\nkey = "env:BATCH_KEY"\n'
        for name, (provider, wire, path) in PROVIDERS.items()
    ]
    own = f'[[targets]]\nid = "own"\nbase_url = "{fake.url}/openai/v1"\nmodel = "m"\nkey = "env:BATCH_KEY"\n'
    file.write_text("\n".join([*blocks, own]))
    return file


def run(fake: Fake, folder: Path, name: str, *, limit: int = 2, results: Path | None = None, **manner: Any) -> Outcome:
    (question,) = quality.questions("quick", [name], catalog=load(targets_file(fake, folder)), limit=limit)
    asked_by = Manner(**{"mode": "batch", "pace": PACE, **manner})
    (outcome,) = quality.run_all([question], results or folder / "results", asked_by, Lines(quiet=True))
    return outcome


def column(results: Path, text: str) -> list[object]:
    assert database.build(results).problems == []
    return [row[0] for row in database.sql(results, text)[1]]


def scores(results: Path) -> list[tuple[object, ...]]:
    database.build(results)
    found = analysis.report(results)
    return [(r.task, r.metric, r.value, r.n, r.n_unscored) for r in found.sort_values(["task", "metric"]).itertuples()]


def test_every_api_scores_as_streaming_does(fake: Fake, tmp_path: Path) -> None:
    streamed = run(fake, tmp_path, "openai", results=tmp_path / "stream", mode="stream")
    assert (streamed.n_answered, streamed.stop) == (16, None)
    wanted = scores(tmp_path / "stream")
    right = [value for task, metric, value, *_ in wanted if (task, metric) == ("macro", "acc")]
    assert 0 < float(str(right[0])) < 1  # else the comparison says little
    for name in PROVIDERS:
        fake.billed.clear()
        results = tmp_path / name
        outcome = run(fake, tmp_path, name, results=results)
        assert (outcome.n_answered, outcome.n_attempts, outcome.stop) == (16, 16, None), name
        assert scores(results) == wanted, name
        assert set(fake.billed.values()) == {1}
        assert column(results, "select count(*) from latency where ttft_ms is not null or e2e_ms is not null") == [0]
        assert column(results, "select distinct service_tier from request") == ["batch"]
        again = run(fake, tmp_path, name, results=results)
        assert (again.n_attempts, again.run_id) == (0, outcome.run_id)
        assert KEY not in everything(results)


def everything(results: Path) -> str:
    return "".join(p.read_bytes().decode("latin-1") for p in results.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("name", "usd"),
    [
        ("openai", Decimal("0.075") * IN_TOKENS + Decimal("0.30") * OUT_TOKENS),
        ("anthropic", Decimal("0.50") * IN_TOKENS + Decimal("2.50") * OUT_TOKENS),
        ("gemini", Decimal("0.15") * IN_TOKENS + Decimal("1.25") * OUT_TOKENS),
    ],
)
def test_a_batch_is_priced_at_its_own_tier(fake: Fake, tmp_path: Path, name: str, usd: Decimal) -> None:
    """Half of 0.15/0.60, 1/5 and 0.30/2.50 $ per million tokens."""
    outcome = run(fake, tmp_path, name, limit=1, max_usd=Decimal(1))
    assert outcome.spent_usd == 8 * usd / 1_000_000
    (stored,) = column(tmp_path / "results", "select sum(usd) from cost")
    assert Decimal(str(stored)) == 8 * usd / 1_000_000


def test_a_run_may_begin_in_one_mode_and_end_in_the_other_each_at_its_price(fake: Fake, tmp_path: Path) -> None:
    """Standard is 0.15/0.60 $ per million tokens."""
    fake.plans = [Plan(items={0: "500", 1: "500", 2: "500"})]
    stopped = run(fake, tmp_path, "openai", limit=1, pace=replace(PACE, max_attempts=1))
    assert (stopped.n_answered, isinstance(stopped.stop, EngineError)) == (5, True)
    ended = run(fake, tmp_path, "openai", limit=1, mode="stream")
    assert (ended.run_id, ended.n_answered, ended.stop) == (stopped.run_id, 8, None)
    results = tmp_path / "results"
    database.build(results)
    text = "select service_tier, count(usd), sum(usd) from cost join request using (request_id) group by all"
    costs = {tier: (n, usd) for tier, n, usd in database.sql(results, text)[1] if n}
    one = (Decimal("0.15") * IN_TOKENS + Decimal("0.60") * OUT_TOKENS) / 1_000_000
    assert costs == {"batch": (5, 5 * one / 2), None: (3, 3 * one)}


def test_the_allowance_of_a_whole_run_stops_it_with_exit_4_and_it_resumes(fake: Fake, tmp_path: Path) -> None:
    outcome = run(fake, tmp_path, "anthropic", limit=4, max_usd=Decimal("0.0008"))
    assert isinstance(outcome.stop, BudgetStop)
    assert outcome.stop.exit_code == 4
    assert outcome.spent_usd is not None
    assert 0 < outcome.spent_usd <= Decimal("0.0008")
    more = run(fake, tmp_path, "anthropic", limit=4, max_usd=Decimal(1))
    assert (more.run_id, more.stop, more.n_answered) == (outcome.run_id, None, 32)
    assert set(fake.billed.values()) == {1}


def test_streaming_is_refused_while_a_batch_may_bring_the_answers(fake: Fake, tmp_path: Path) -> None:
    fake.troubles = [Trouble("GET", "batches/", "401", times=1)]
    stopped = run(fake, tmp_path, "openai", limit=1)
    assert isinstance(stopped.stop, Refused)
    with pytest.raises(ConfigError, match=r"8 of its requests are in a batch.*--mode batch.*--fresh"):
        run(fake, tmp_path, "openai", limit=1, mode="stream")
    assert run(fake, tmp_path, "openai", limit=1).n_answered == 8
    assert run(fake, tmp_path, "openai", limit=1, mode="stream").n_attempts == 0
    assert set(fake.billed.values()) == {1}


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (
            "own",
            "own: --mode batch needs a provider with a batch API, and an address of its own has none; these have: ",
        ),
        ("embedded:nano", "embedded:.*needs a provider with a batch API, and embedded has none; these have: .*openai"),
        ("deepseek:deepseek-chat", "deepseek has none"),
    ],
)
def test_a_target_without_a_batch_api_is_told_so_before_anything_is_asked(
    fake: Fake, tmp_path: Path, target: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", "x")
    from bench.engines.embedded.family import family

    target = f"embedded:{family()[0].name}" if target.startswith("embedded") else target
    with pytest.raises(ConfigError, match=said) as refusal:
        run(fake, tmp_path, target, limit=1)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "results").exists()


def test_a_wire_the_batch_api_does_not_take_is_told_with_one_it_does() -> None:
    catalog = load()
    bare = quality.find_target("openai:gpt-4o-mini", catalog)
    with pytest.raises(ConfigError, match=r"takes the wires .*openai_chat.*, not ollama; write openai\+openai_chat:"):
        batch.terms_of(bare.model_copy(update={"wire": "ollama"}), catalog)


def test_a_mode_that_is_none_is_told() -> None:
    with pytest.raises(ConfigError, match="--mode bath; did you mean 'batch'"):
        quality.mode_named("bath")


def test_every_provider_with_a_batch_api_speaks_a_wire_that_it_takes() -> None:
    having = [provider for provider in load().providers.values() if provider.batch is not None]
    assert {provider.id for provider in having} >= {"openai", "anthropic", "google", "mistral", "groq", "together"}
    for provider in having:
        assert provider.batch is not None
        api = batch.api(provider.batch.api)
        assert api.WIRES & set(provider.wires), provider.id
        assert set(wire_names()) >= api.WIRES


# ------------------------------------------------------------------------------------------------------ the command


def test_the_command_waits_for_a_batch_and_comes_back_to_it_after_an_interrupt(fake: Fake, tmp_path: Path) -> None:
    fake.polls = 10**6
    targets_file(fake, tmp_path)
    env = {"BATCH_KEY": KEY, "BENCH_TARGETS": str(tmp_path / "targets.toml")}
    command = ("run", "-t", "openai", "--limit", "1", "--mode", "batch")
    process = subprocess.Popen(
        [*BENCH, *command], cwd=tmp_path, env={**environment(), **env}, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 60
    while not fake.count("GET", "batches/"):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "batch batch_0_openai: 8 requests sent; interrupting leaves it running" in said
    assert rows(tmp_path / "results") == []
    other = bench("run", "-t", "openai", "--limit", "1", cwd=tmp_path, **env)
    assert other.returncode == 2
    assert "--mode batch" in other.stderr
    fake.polls = 1
    done = bench(*command, cwd=tmp_path, **env)
    assert done.returncode == 0, done.stderr
    assert len(fake.batches) == 1
    assert set(fake.billed.values()) == {1}
    assert KEY not in everything(tmp_path / "results") + said + done.stdout + done.stderr


# ------------------------------------------------------------------------------------------------------ the client


def call(fake: Fake, *arguments: Any, **more: Any) -> Any:
    async def once() -> Any:
        async with Client(endpoint(fake.url, "openai")) as client:
            return await client.call(*arguments, **more)

    return asyncio.run(once())


def test_the_client_sends_its_key_nowhere_else(fake: Fake) -> None:
    with batch_fake() as other, pytest.raises(Garbled, match="no key is sent there"):
        call(fake, "GET", f"{other.url}/openai/v1/batches")
    assert other.log == []


def test_the_client_refuses_half_an_answer_and_one_too_large(fake: Fake) -> None:
    listed = call(fake, "GET", f"{fake.url}/openai/v1/batches").body
    assert json.loads(listed)["data"] == []
    with pytest.raises(Garbled, match="larger than"):
        call(fake, "GET", "/batches", at_most_bytes=10)
    with pytest.raises(Refused, match="HTTP 404: no batch nowhere"):
        call(fake, "GET", "/batches/nowhere")


# --------------------------------------------------------------------------------------------------- the official SDKs


def test_openais_own_client_drives_the_same_provider(fake: Fake) -> None:
    """So the provider these tests are held to speaks as the real one does, as far as its SDK can tell."""
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"{fake.url}/openai/v1", api_key=KEY, max_retries=0)
    body = {"model": "m", "messages": [{"role": "user", "content": "one two"}]}
    line = json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body})
    file = client.files.create(file=("x.jsonl", line.encode()), purpose="batch")
    made = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"gapbench": "t"}
    )
    assert [b.id for b in client.batches.list()] == [made.id]
    assert client.batches.retrieve(made.id).status == "in_progress"
    done = client.batches.retrieve(made.id)
    assert (done.status, done.error_file_id) == ("completed", None)
    row = json.loads(client.files.content(done.output_file_id).text)
    answer = openai.types.chat.ChatCompletion.model_validate(row["response"]["body"])
    assert answer.choices[0].message.content == fake.said("one two")
    assert fake.refused == []


def test_anthropics_own_client_drives_the_same_provider(fake: Fake) -> None:
    anthropic = pytest.importorskip("anthropic")
    client = anthropic.Anthropic(base_url=f"{fake.url}/anthropic", api_key=KEY, max_retries=0)
    params = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "one two"}]}
    fake.plans = [Plan(items={1: "400"})]
    made = client.messages.batches.create(requests=[{"custom_id": name, "params": params} for name in ("a", "b")])
    assert [b.id for b in client.messages.batches.list()] == [made.id]
    assert client.messages.batches.retrieve(made.id).processing_status == "in_progress"
    assert client.messages.batches.retrieve(made.id).processing_status == "ended"
    good, bad = client.messages.batches.results(made.id)
    assert good.result.message.content[0].text == fake.said("one two")
    assert bad.result.error.error.type == "invalid_request_error"
    assert fake.refused == []


def test_googles_own_client_drives_the_same_provider(fake: Fake, tmp_path: Path) -> None:
    genai = pytest.importorskip("google.genai")
    options = genai.types.HttpOptions(base_url=f"{fake.url}/gemini", api_version="v1beta")
    client = genai.Client(api_key=KEY, http_options=options)
    file = tmp_path / "x.jsonl"
    asked_for = {"contents": [{"parts": [{"text": "one two"}], "role": "user"}]}
    file.write_text(json.dumps({"key": "a", "request": asked_for}) + "\n")
    up = client.files.upload(file=str(file), config={"mime_type": "jsonl", "display_name": "t"})
    made = client.batches.create(model="m", src=up.name, config={"display_name": "t"})
    assert [job.display_name for job in client.batches.list()] == ["t"]
    assert client.batches.get(name=made.name).state.name == "JOB_STATE_RUNNING"
    done = client.batches.get(name=made.name)
    assert done.state.name == "JOB_STATE_SUCCEEDED"
    row = json.loads(client.files.download(file=done.dest.file_name))
    answer = genai.types.GenerateContentResponse.model_validate(row["response"])
    assert answer.text == fake.said("one two")
    assert fake.refused == []
