"""`bench whatif` on the made-up world of tests/choice_world.py: every move, dollar and share worked out by hand."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench import analysis
from bench.catalog.files import parse
from bench.catalog.use_case import UseCase
from bench.cli import app
from bench.errors import ConfigError
from tests.choice_world import build

TASKS = [{"name": "core/ledger"}, {"name": "core/rewrite"}]


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("world"))


def use(name, at_least, per_month, **changes) -> UseCase:
    plain = {"name": name, "tasks": TASKS, "quality": {"at_least": at_least}, "tasks_per_month": per_month}
    return parse(UseCase, {**plain, **changes}, "test")


CHEAP = use("triage", 0.6, 100_000)
"""groq:small (0.7) does, for 10 $ a month; then together:qwen, for 20 $."""
GOOD = use("letters", 0.85, 50_000)
"""together:qwen (0.9) does, for 10 $; then anthropic:mid, for 25 $."""
BEST = use("contracts", 0.92, 20_000, current="openai:big")
"""openai:big (0.95) for 20 $; anthropic:mid (0.935) is 89% sure of 0.92: no way out."""


def kinds(found) -> dict[str, tuple[str, str | None]]:
    return {one.task: (one.kind, one.after.target if one.after else None) for one in found.moves}


def test_nothing_changes_and_the_books_are_right(world):
    found = analysis.whatif(world, [CHEAP, GOOD, BEST])
    assert kinds(found) == {
        "triage": ("stays", "groq:small"),
        "letters": ("stays", "together:qwen"),
        "contracts": ("stays", "openai:big"),
    }
    assert found.before.usd == pytest.approx({"groq": 10.0, "together": 10.0, "openai": 20.0})
    assert found.before == found.after
    assert found.before.hhi() == pytest.approx(0.25**2 * 2 + 0.5**2)
    assert found.captive_share == pytest.approx(0.5)


def test_a_provider_that_is_gone_moves_its_tasks_to_the_cheapest_that_suffices(world):
    found = analysis.whatif(world, [CHEAP, GOOD, BEST], drop=["together"])
    assert kinds(found)["letters"] == ("moves", "anthropic:mid")
    (moved,) = [one for one in found.moves if one.kind == "moves"]
    assert moved.usd_difference() == pytest.approx(15.0)
    assert moved.quality == pytest.approx(0.935 - 0.9)
    assert 0.01 < moved.quality_low < 0.035 < moved.quality_high < 0.06
    assert moved.latency_ms == pytest.approx(400)
    assert found.after.usd == pytest.approx({"groq": 10.0, "anthropic": 25.0, "openai": 20.0})


def test_what_has_no_way_out_is_stranded_and_pays_nobody(world):
    found = analysis.whatif(world, [CHEAP, GOOD, BEST], drop=["openai"])
    assert kinds(found)["contracts"] == ("stranded", None)
    assert found.after.usd == pytest.approx({"groq": 10.0, "together": 10.0})
    (stuck,) = [one for one in found.moves if one.kind == "stranded"]
    assert stuck.nearest.startswith("anthropic:mid (quality: ")
    assert stuck.usd_difference() is None


def test_a_price_moves_a_task_only_where_something_sufficient_is_cheaper(world):
    twice = analysis.whatif(world, [CHEAP], price={"groq": 1.9})
    assert kinds(twice)["triage"] == ("stays", "groq:small")
    assert twice.moves[0].usd_difference() == pytest.approx(9.0)
    thrice = analysis.whatif(world, [CHEAP], price={"groq": 3})
    assert kinds(thrice)["triage"] == ("moves", "together:qwen")
    assert thrice.moves[0].usd_difference() == pytest.approx(10.0)
    both = analysis.whatif(world, [CHEAP], price={"groq": 3, "together": 2})
    assert kinds(both)["triage"] == ("stays", "groq:small")  # 30 $ against 40 $


def test_a_price_where_there_is_no_way_out_is_paid_and_called_captive(world):
    found = analysis.whatif(world, [BEST], price={"openai": 3})
    assert kinds(found)["contracts"] == ("captive", "openai:big")
    assert found.after.usd == pytest.approx({"openai": 60.0})


def test_a_price_limit_that_a_rise_breaks_moves_the_task(world):
    limited = use("triage", 0.6, 100_000, limits={"usd_per_month": "25"})
    assert kinds(analysis.whatif(world, [limited], price={"groq": 1.9}))["triage"][0] == "stays"
    broken = use("triage", 0.6, 100_000, limits={"usd_per_month": "25"}, current="groq:small")
    found = analysis.whatif(world, [broken], price={"groq": 3, "together": 1.2})
    assert kinds(found)["triage"] == ("moves", "together:qwen")


def test_a_slow_provider_loses_a_task_that_has_a_limit_and_no_other(world):
    limited = use("letters", 0.85, 50_000, limits={"ttft_ms_p95": 300})
    found = analysis.whatif(world, [GOOD, limited.model_copy(update={"name": "chat"})], latency={"together": 5})
    assert kinds(found) == {"letters": ("stays", "together:qwen"), "chat": ("moves", "openai:big")}
    (moved,) = [one for one in found.moves if one.kind == "moves"]
    assert moved.latency_ms == pytest.approx(50 - 100)


def test_a_margin_replaces_the_wanted_quality_by_no_worse_than_today(world):
    loose = analysis.whatif(world, [BEST], drop=["openai"], quality_margin=0.05)
    assert kinds(loose)["contracts"] == ("moves", "anthropic:mid")
    tight = analysis.whatif(world, [BEST], drop=["openai"], quality_margin=0.01)
    assert kinds(tight)["contracts"] == ("stranded", None)


def test_without_a_use_case_every_measured_task_is_held_by_the_best_at_it(world):
    found = analysis.whatif(world, quality_margin=0.08, drop=["openai"])
    assert kinds(found) == {
        "core/core_ledger": ("moves", "together:qwen"),
        "core/core_rewrite": ("moves", "together:qwen"),
    }
    assert found.before.usd == pytest.approx({"openai": 2.0})
    assert found.after.usd == pytest.approx({"together": 0.4})
    assert any("no use case was given" in note for note in found.notes)


def test_the_stress_table_is_each_provider_gone_in_turn(world):
    rows = {row.provider: row for row in analysis.whatif(world, [CHEAP, GOOD, BEST]).stress}
    assert list(rows) == ["openai", "groq", "together"]
    assert rows["openai"].share == pytest.approx(0.5)
    assert (rows["openai"].n_with_way_out, rows["openai"].best_open) == (0, None)
    assert rows["groq"].best_open == "together:qwen"
    assert rows["groq"].quality == pytest.approx(0.2)
    assert rows["groq"].usd_difference == pytest.approx(10.0)
    assert (rows["together"].n_with_way_out, rows["together"].best_open) == (1, None)


def test_an_unknown_price_is_not_zero_and_is_said(world):
    found = analysis.whatif(world, [use("local", 0.6, 100, layers=["self-hosted"])])
    assert (found.before.usd, found.before.n_unknown, found.before.hhi()) == ({}, 1, None)
    assert found.moves[0].usd_difference() is None
    assert found.captive_share is None


def test_the_frames_have_their_columns_and_the_chart_shows_both_sides(world):
    from bench.charts import concentration

    found = analysis.whatif(world, [CHEAP, GOOD, BEST], drop=["together"])
    assert tuple(analysis.moves(found).columns) == analysis.MOVE_COLUMNS
    frame = analysis.spending(found)
    assert tuple(frame.columns) == analysis.SPEND_COLUMNS
    for when in ("before", "after"):
        assert frame.loc[frame["when"] == when, "share"].sum() == pytest.approx(1.0)
    figure = concentration.chart(frame)
    assert sorted(trace.name for trace in figure.data) == ["after", "before"]
    assert "HHI 0.38" in figure.layout.title.subtitle.text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"drop": ["opnai"]}, "provider 'opnai' is unknown; did you mean 'openai'?"),
        ({"price": {"grok": 2.0}}, "provider 'grok' is unknown; did you mean 'groq'?"),
        ({"latency": {"togehter": 2.0}}, "provider 'togehter' is unknown; did you mean 'together'?"),
    ],
)
def test_a_provider_nobody_knows_is_one_line_with_the_nearest(world, change, told):
    with pytest.raises(ConfigError, match="unknown") as error:
        analysis.whatif(world, [CHEAP], **change)
    assert told in str(error.value)


def test_a_known_provider_at_which_nothing_was_measured_is_said_to_change_nothing(world):
    found = analysis.whatif(world, [CHEAP], drop=["mistral"])
    assert "nothing was measured at mistral: the change touches no task" in found.notes


# ------------------------------------------------------------------------------------------------------------- command


def bench(*arguments: str):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_the_command_takes_factors_with_an_x_and_prints_one_object(world):
    done = bench("whatif", "--price", "openai=3x", "--latency", "groq=5", "--json", "--results", world)
    told = json.loads(done.stdout)
    assert told["change"] == {"price": {"openai": 3.0}, "latency": {"groq": 5.0}, "gone": []}
    assert {row["what"] for row in told["moves"]} <= {"moves", "stays", "captive", "stranded"}


@pytest.mark.parametrize("wrong", ["openai", "openai=", "=3x", "openai=0", "openai=-1x", "openai=nan", "openai=3y"])
def test_a_factor_that_is_none_is_one_line(world, wrong):
    done = bench("whatif", "--price", wrong, "--results", world)
    assert isinstance(done.exception, ConfigError)
    assert str(done.exception) == f"--price {wrong!r}: write PROVIDER=FACTOR with a factor above 0, as in openai=3x"


def test_the_text_says_who_is_captive_and_how_concentrated_it_is(world, tmp_path):
    done = bench("whatif", "--drop", "openai", "--stress", "--results", world, "--chart", tmp_path / "c.html")
    assert done.exit_code == 0
    assert done.stdout.startswith("openai gone: 2 tasks, 2 stranded (nothing else is sure to suffice);")
    assert "captive today: 100% of the spending" in done.stdout
    assert "if gone" in done.stdout
    assert "Whom does the spending hang on?" in (tmp_path / "c.html").read_text()
