"""Whole runs against limits: what does not fit is told once and never asked again; the history stays in the folder."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import analysis, database, quality, runs, terminal
from bench.catalog import load
from bench.client import Client
from bench.quality import Manner, Outcome
from bench.records import Endpoint
from bench.terminal import Lines
from bench.traffic import Patience
from tests.fake import Running
from tests.quality_runs import knowing_server

IMPATIENT = Patience(first_wait_s=0.01, longest_wait_s=0.1, unreachable_s=1.0)


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with knowing_server(tmp_path_factory.mktemp("fake")) as running:
        yield running


def order(server: Running, *rules: dict[str, object]) -> None:
    """What the server is to do with which requests from now on."""

    async def scene() -> None:
        async with Client(Endpoint(target_id="t", base_url=server.url, wire="openai_chat", model="fake")) as client:
            await client.post_json("/control", list(rules))  # type: ignore[arg-type]

    asyncio.run(scene())


def run(server: Running, results: Path, model: str = "fake", *, concurrency: int = 1) -> Outcome:
    (question,) = quality.questions("quick", [f"{server.url}#{model}"], catalog=load(), limit=1)
    manner = Manner(patience=IMPATIENT, concurrency=concurrency)
    return quality.run(question, results, manner, Lines(quiet=True))


def test_questions_that_do_not_fit_are_told_once_and_never_asked_again(server: Running, tmp_path: Path) -> None:
    order(server, {"first": 2, "last": 4, "fault": "400"})
    first = run(server, tmp_path)
    assert (first.stop, first.n_answered, first.n_attempts, first.n_too_long) == (None, 5, 8, 3)
    again = run(server, tmp_path)
    assert (again.stop, again.n_attempts, again.n_too_long) == (None, 0, 3)
    (told,) = terminal.remarks(first)
    assert "3 of 8 questions do not fit it: unscored, and not asked again" in told
    (folder,) = runs.folders(tmp_path)
    samples = [sample for sample in runs.read(folder).samples if sample.metric == "acc"]
    lost = [sample for sample in samples if sample.state != "scored"]
    assert {sample.state for sample in lost} == {"unscored_error"}
    assert len(lost) == 3
    assert all(str(sample.reason).startswith("too long for the target: HTTP 400") for sample in lost)
    assert all(sample.value is None for sample in lost)


def test_a_resumed_run_does_not_ask_again_what_does_not_fit(server: Running, tmp_path: Path) -> None:
    order(server, {"first": 2, "last": 4, "fault": "400"}, {"first": 8, "fault": "401"})
    stopped = run(server, tmp_path)
    assert stopped.stop is not None
    order(server)
    resumed = run(server, tmp_path)
    assert (resumed.stop, resumed.n_attempts, resumed.n_too_long) == (None, 1, 3)


def test_the_history_of_limits_is_in_the_folder_and_in_the_store(server: Running, tmp_path: Path) -> None:
    outcome = run(server, tmp_path, "fake?at_most=1&ttft_ms=5", concurrency=4)
    assert outcome.stop is None
    assert outcome.limits is not None
    assert outcome.limits.lowest < 4
    assert outcome.limits.refusals == outcome.n_attempts - 8
    (told,) = terminal.remarks(outcome)
    assert "s to limits: " in told
    assert f"window 4 → {outcome.limits.lowest} → " in told
    (folder,) = runs.folders(tmp_path)
    lines = [json.loads(line) for line in (folder / "traffic.jsonl").read_text().splitlines()]
    assert [lines[0]["why"], lines[-1]["why"]] == ["start", "end"]
    assert lines[-1]["refusals"] == outcome.limits.refusals
    database.build(tmp_path)
    frame = analysis.traffic(tmp_path)
    assert frame["width"].tolist() == [line["width"] for line in lines]
    assert frame["lost_s"].tolist() == [line["lost_s"] for line in lines]
    assert database.sql(tmp_path, "select count(*) from request where waited_s > 0")[1][0][0] > 0


def test_a_torn_history_is_cut_and_a_missing_one_is_no_damage(server: Running, tmp_path: Path) -> None:
    order(server, {"first": 3, "fault": "401"})
    assert run(server, tmp_path).stop is not None
    order(server)
    (folder,) = runs.folders(tmp_path)
    with (folder / "traffic.jsonl").open("a") as file:
        file.write('{"changed_at":"2026')
    assert run(server, tmp_path).stop is None
    assert database.build(tmp_path).problems == []
    assert analysis.traffic(tmp_path)["why"].tolist().count("start") == 2
    (folder / "traffic.jsonl").unlink()
    assert runs.complete(folder) is None
    assert database.build(tmp_path).problems == []
    assert analysis.traffic(tmp_path).empty
