"""What a run's attempts cost, session by session: equal to the last digit to what the allowance counted."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from bench import database, ledger, quality, runs
from bench.catalog import Price, load
from bench.errors import BudgetStop, ConfigError
from bench.judge import Question
from bench.ledger import Ledger, Session
from bench.price import Tariff
from bench.quality import Manner, Outcome
from bench.terminal import Lines
from bench.traffic import Patience
from tests.fake import Running
from tests.quality_runs import BENCH, bench, environment, knowing_server

PATIENT = Patience(first_wait_s=0.01, longest_wait_s=0.02, max_attempts=20)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with knowing_server(tmp_path_factory.mktemp("fake")) as running:
        yield running


def metered(folder: Path, url: str, *, model: str = "fake", name: str = "metered", usd: str = "100") -> Path:
    """A targets.toml with one more target that has a price."""
    targets = folder / "targets.toml"
    before = targets.read_text() if targets.exists() else ""
    block = f'[[targets]]\nid = "{name}"\nbase_url = "{url}"\nmodel = "{model}"\n'
    targets.write_text(f"{before}{block}usd_per_mtok_in = {usd}\nusd_per_mtok_out = {usd}\n")
    return targets


def asked(targets: Path, *names: str, **more: object) -> list[Question]:
    return quality.questions("quick", names or ["metered"], catalog=load(targets), **more)  # type: ignore[arg-type]


def under(max_usd: str, question: Question, results: Path, **more: object) -> Outcome:
    manner = Manner(max_usd=Decimal(max_usd), patience=PATIENT, **more)  # type: ignore[arg-type]
    return quality.run(question, results, manner, Lines(quiet=True))


def only(results: Path) -> Ledger:
    (folder,) = runs.folders(results)
    return ledger.read(folder)


def column(results: Path, text: str) -> list[object]:
    database.build(results)
    return [row[0] for row in database.sql(results, text)[1]]


# ------------------------------------------------------------------------------------------------ stopped, and gone on


def test_a_run_stops_at_five_cents_and_goes_on_to_its_end_with_its_ledger_printed(
    server: Running, tmp_path: Path
) -> None:
    metered(tmp_path, server.url)
    command = ("run", "quick", "-t", "metered", "--concurrency", "4", "--results", "results")
    first = bench(*command, "--max-usd", "0.05", cwd=tmp_path)
    assert first.returncode == 4, first.stderr
    assert "the allowance of 0.05 $ is used up" in first.stderr
    assert "240 requests to ask: about" in first.stderr
    assert "will likely stop before its end" in first.stderr
    assert "$ reserved" in first.stdout
    stopped = only(tmp_path / "results")
    assert Decimal("0.04") < stopped.usd <= Decimal("0.05")
    again = bench(*command, "--max-usd", "1", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "of this target's; " in again.stderr, "tasks begun are drawn from what is answered, the others assumed"
    whole = only(tmp_path / "results")
    printed = bench("ledger", whole.run_id[:12], "--results", "results", cwd=tmp_path)
    print(first.stderr, printed.stdout)
    assert printed.returncode == 0
    assert f"{whole.run_id}: {whole.usd:f} $, 1220 tokens" in printed.stdout
    assert whole.usd == Decimal(1220) * 100 / 1_000_000
    assert len(whole.lines) == 240, "nothing was asked twice"
    told = json.loads(bench("ledger", whole.run_id, "--json", "--results", "results", cwd=tmp_path).stdout)
    assert [session["allowance_usd"] for session in told["sessions"]] == ["0.05", "1"]
    assert [Decimal(session["spent_usd"]) for session in told["sessions"]] == [stopped.usd, whole.usd - stopped.usd]
    assert Decimal(told["sessions"][0]["left_usd"]) == Decimal("0.05") - stopped.usd
    assert sum(Decimal(row["usd"]) for row in told["rows"]) == Decimal(told["total"]["usd"]) == whole.usd
    assert told["sessions"][1]["estimate"]["requests"] == 240 - len(stopped.lines)
    (stored,) = column(tmp_path / "results", "select sum(usd)::varchar from cost")
    assert Decimal(str(stored)) == whole.usd


def test_tokens_stop_a_run_that_has_no_price(server: Running, tmp_path: Path) -> None:
    target = f"{server.url}#fake"
    command = ("run", "quick", "-t", target, "--limit", "4", "--concurrency", "2", "--results", "results")
    first = bench(*command, "--token-budget", "150", cwd=tmp_path)
    assert first.returncode == 4, first.stderr
    assert "the allowance of 150 tokens is used up" in first.stderr
    stopped = only(tmp_path / "results")
    assert 80 < stopped.tokens <= 150
    assert bench(*command, "--token-budget", "9000", cwd=tmp_path).returncode == 0
    whole = only(tmp_path / "results")
    assert len(whole.lines) == 32
    assert [account["left_tokens"] for account in whole.accounts()] == [150 - stopped.tokens, 9000 - whole.tokens]


def test_the_embedded_models_keep_a_token_budget_too(tmp_path: Path) -> None:
    done = bench("run", "-t", "embedded:nano", "--limit", "2", "--token-budget", "200", cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    assert 0 < only(tmp_path / "results").tokens <= 200


def test_a_killed_run_counts_what_it_had_announced_and_pays_nothing_twice(tmp_path: Path) -> None:
    with knowing_server(tmp_path) as server:
        metered(tmp_path, server.url, model="fake?ttft_ms=40")
        command = ["run", "quick", "-t", "metered", "--concurrency", "4", "--max-usd", "1", "--results", "results"]
        process = subprocess.Popen([*BENCH, *command], cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while len(server.log()) < 40 and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        killed = only(tmp_path / "results")
        lost = [line for line in killed.lines if line.measurement.status == "cancelled"]
        assert 0 < len(lost) <= 4
        assert {line.entry.basis for line in lost} == {"reserved"}
        assert all(line.entry.tokens == line.measurement.asked_in_tokens + 16 for line in lost)  # type: ignore[operator]
        (question,) = asked(tmp_path / "targets.toml")
        spent = quality._spent(question, tmp_path / "results", Manner(max_usd=Decimal(1)))
        assert spent == (killed.usd, killed.tokens)
        done = bench(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        n_seen = len(server.log())
    whole = only(tmp_path / "results")
    assert [line.measurement.status for line in whole.lines].count("ok") == 240
    assert len(whole.lines) == 240 + len(lost)
    assert n_seen <= 240 + len(lost)
    again = [line for line in whole.lines if line.measurement.status == "cancelled"]
    assert [line.entry for line in again] == [line.entry for line in lost]
    assert whole.groups()[-1]["usd_retried"] == sum(line.entry.usd for line in lost)
    assert {line.session for line in again} == {1}


def test_two_targets_share_an_allowance_whichever_comes_first(server: Running, tmp_path: Path) -> None:
    """What the later one's run has cost before is taken before the earlier one asks anything."""
    metered(tmp_path, server.url, name="a")
    both = asked(metered(tmp_path, server.url, model="fake?gap_ms=0", name="b"), "a", "b", limit=4)
    results = tmp_path / "results"
    (after,) = quality.run_all(both[1:], results, Manner(max_usd=Decimal(1)), Lines(quiet=True))
    assert after.spent_usd
    allowed = after.spent_usd + Decimal("0.010")
    outcomes = quality.run_all(both, results, Manner(max_usd=allowed, concurrency=2), Lines(quiet=True))
    assert isinstance(outcomes[0].stop, BudgetStop)
    totals = [ledger.read(folder).usd for folder in runs.folders(results)]
    assert sum(totals) <= allowed
    session = ledger.read(runs.folders(results)[-1]).sessions[-1]
    assert session.elsewhere_usd == after.spent_usd
    assert session.allowance_usd == Decimal("0.010")


# ---------------------------------------------------------------------------------------------------------- what counts


def test_the_providers_own_word_wins_in_allowance_ledger_and_store(server: Running, tmp_path: Path) -> None:
    (question,) = asked(metered(tmp_path, server.url, model="fake?usd=0.0125"), limit=1)
    outcome = under("1", question, tmp_path)
    found = only(tmp_path)
    assert outcome.spent_usd == found.usd == 8 * Decimal("0.0125")
    assert found.groups()[-1]["usd_provider"] == found.usd
    assert column(tmp_path, "select distinct price_id from cost") == ["provider"]
    assert column(tmp_path, "select sum(usd) = 0.1 from cost") == [True]


@pytest.mark.parametrize("fault", ["reset_half", "mixed_load", "usage_missing", "rotate_all"])
def test_the_total_is_what_the_allowance_counted_whatever_broke(server: Running, tmp_path: Path, fault: str) -> None:
    (question,) = asked(metered(tmp_path, server.url, model=f"fake?fault={fault}", usd="3.37"), limit=3)
    outcome = under("50", question, tmp_path, concurrency=3)
    found = only(tmp_path)
    assert outcome.spent_usd == found.usd == found.book.usd
    assert outcome.spent_tokens == found.tokens == found.book.tokens
    assert found.usd == found.groups()[-1]["usd"] == sum(row["usd"] for row in found.groups()[:-1])
    assert found.groups()[-1]["n_reserved"] > 0
    assert sum(row["attempts"] for row in found.groups()[:-1]) == len(found.lines)
    again = [line for line in found.lines if line.retried]
    assert found.groups()[-1]["usd_retried"] == sum(line.entry.usd for line in again)
    assert bool(again) is (fault != "usage_missing")
    assert any("nobody said for what" in note for note in found.notes)
    more = under("60", question, tmp_path)
    assert more.spent_usd == only(tmp_path).usd


def test_refused_attempts_are_free(server: Running, tmp_path: Path) -> None:
    (question,) = asked(metered(tmp_path, server.url, model="fake?fault=400"), limit=1)
    outcome = under("1", question, tmp_path)
    total = only(tmp_path).groups()[-1]
    assert outcome.spent_usd == total["usd"] == 0
    assert (total["attempts"], total["n_free"], total["ok"]) == (8, 8, 0)


def test_an_unknown_price_that_is_allowed_counts_nothing_and_says_so(server: Running, tmp_path: Path) -> None:
    (question,) = quality.questions("quick", [f"{server.url}#fake"], catalog=load(), limit=1)
    with pytest.raises(ConfigError, match="no price is known"):
        under("1", question, tmp_path)
    outcome = under("1", question, tmp_path, allow_unknown_price=True)
    assert (outcome.stop, outcome.spent_usd) == (None, 0)
    assert only(tmp_path).notes == ("8 attempts at a price nobody knows: counted at 0 $",)


def test_each_session_is_counted_at_the_price_it_was_asked_under(server: Running, tmp_path: Path) -> None:
    (question,) = asked(metered(tmp_path, server.url), limit=6)
    first = under("0.015", question, tmp_path, concurrency=1)
    assert isinstance(first.stop, BudgetStop)
    dearer = question.target.model_copy(update={"usd_per_mtok_in": Decimal(300), "usd_per_mtok_out": Decimal(300)})
    second = under("5", replace(question, target=dearer), tmp_path)
    assert second.run_id == first.run_id
    found = only(tmp_path)
    assert second.spent_usd == found.usd
    by_session = [
        sum(line.entry.tokens for line in found.lines if line.session == number) * usd
        for number, usd in ((1, Decimal(100)), (2, Decimal(300)))
    ]
    assert first.spent_usd == by_session[0] / 1_000_000
    assert found.usd == sum(by_session) / 1_000_000
    (stored,) = column(tmp_path, "select sum(usd)::varchar from cost")
    assert Decimal(str(stored)) == found.usd
    assert column(tmp_path, "select count(distinct used_from) from price") == [2]


# ------------------------------------------------------------------------------------------------------ the file itself


def test_sessions_survive_a_torn_line_and_what_other_versions_wrote(server: Running, tmp_path: Path) -> None:
    (question,) = asked(metered(tmp_path, server.url), limit=1)
    under("1", question, tmp_path)
    (folder,) = runs.folders(tmp_path)
    total = only(tmp_path).usd
    with (folder / "sessions.jsonl").open("ab") as file:
        file.write(b'{"started_at": "2026-11-23", "max')
    assert len(only(tmp_path).sessions) == 1
    ledger.record(folder, Session(started_at="now", first_attempt=8, max_usd=Decimal("0.30")))
    with (folder / "sessions.jsonl").open("ab") as file:
        file.write(b'{"max_usd": 3, "prices": "x", "first_attempt": null, "novel": [1]}\n')
    found = only(tmp_path)
    assert [session.max_usd for session in found.sessions] == [Decimal(1), Decimal("0.30"), None]
    assert runs.complete(folder) is None
    assert database.build(tmp_path).problems == []
    assert total > 0


def test_a_run_from_before_sessions_is_counted_by_its_prices_and_its_suites_caps(
    server: Running, tmp_path: Path
) -> None:
    (question,) = asked(metered(tmp_path, server.url, model="fake?fault=usage_missing"), limit=1)
    under("1", question, tmp_path)
    (folder,) = runs.folders(tmp_path)
    now = only(tmp_path)
    (folder / "sessions.jsonl").unlink()
    before = only(tmp_path)
    assert before.usd == now.usd
    assert {line.session for line in before.lines} == {0}
    rows = [replace(line.measurement, asked_in_tokens=None, asked_out_tokens=None) for line in now.lines]
    assert all(ledger.asked_before(row, 16).out_tokens == 16 for row in rows)
    assert set(ledger._caps(runs.read_header(folder)).values()) == {16}


def test_a_run_is_found_by_how_its_name_begins(server: Running, tmp_path: Path) -> None:
    (question,) = asked(metered(tmp_path, server.url), limit=1)
    outcome = under("1", question, tmp_path)
    assert outcome.run_id is not None
    assert ledger.find(tmp_path, outcome.run_id[:20]).name == outcome.run_id
    with pytest.raises(ConfigError, match="no such run"):
        ledger.find(tmp_path, "1999")
    under("1", question, tmp_path, fresh=True)
    with pytest.raises(ConfigError, match="2 runs begin so"):
        ledger.find(tmp_path, outcome.run_id[:8])


def test_an_answer_at_a_tier_without_a_price_is_told(tmp_path: Path) -> None:
    price = Price(id="p", model="m", usd_per_mtok_in=Decimal(1), usd_per_mtok_out=Decimal(1), source="by hand")
    tariff = Tariff.of(price)
    assert not tariff.knows("priority")
    assert all(tariff.knows(tier) for tier in (None, "default", "standard", "on_demand"))
