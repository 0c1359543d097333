"""Cost as it is read from a store: prices stored with runs, every attempt paid, load steps as throughput."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pandas
import pytest

from bench import analysis, database
from bench.analysis.quote import Question, quote
from bench.catalog import load
from bench.cost.asked import Asked
from bench.cost.hosting import Hourly
from bench.cost.mix import Mix
from bench.cost.node import Node
from bench.errors import ConfigError
from bench.imports import import_published
from bench.runs import create
from tests.store import TARGET, counted, header, load_request, load_run, load_step, measurement, sample

HOSTED = {**TARGET, "id": "openai:gpt-x", "layer": "hosted-closed", "engine": None, "provider": "openai",
          "model": "gpt-x", "base_url": "https://api.openai.com/v1"}  # fmt: skip
OWN = {**TARGET, "id": "lab:llama", "layer": "self-hosted", "engine": None, "base_url": "http://10.0.0.1/v1"}
PRICE = {"price_id": "p", "usd_per_mtok_in": "2", "usd_per_mtok_cached": "0.5", "usd_per_mtok_out": "8",
         "valid_from": None, "observed": "2026-11-03", "source": "a list", "used_from": None}  # fmt: skip
FULL = "20261101T120000000Z-quick-hosted-aaaa"
LOCAL = "20261102T120000000Z-quick-local-bbbb"


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """Three questions of a hosted model: right; right after a failed attempt that was billed; wrong. And an own server
    that was asked the same and loaded with two shapes."""
    results = tmp_path_factory.mktemp("results")
    attempts = [
        measurement(0, in_tokens=1000, out_tokens=100),  # 0.0028 $
        measurement(1, status="http_error", http_status=500, in_tokens=None, out_tokens=None, provider_usd="0.001"),
        measurement(1, 1, in_tokens=1000, in_cached_tokens=500, out_tokens=100),  # 0.00205 $
        measurement(2, in_tokens=1000, out_tokens=500),  # 0.006 $
    ]
    samples = [sample(0), sample(1), sample(2, 0.0)]
    for run_id, target in ((FULL, HOSTED), (LOCAL, OWN)):
        mine = [replace(m, request_id=f"{run_id[-4:]}{m.request_id}", target_id=target["id"]) for m in attempts]
        if target is OWN:
            mine = [m for m in mine if m.status == "ok"]
        with create(results, header(run_id, target=target)) as run:
            for m in mine:
                run.append(m)
            run.write_samples([replace(s, request_id=None) for s in samples])
            run.write_scores(counted(samples))
            if target is HOSTED:
                run.write_prices({"prices": [PRICE]})
            run.finish()
    requests = [load_request(k, sent_ms=2_000 + 80 * k) for k in range(100)]
    steps = [
        load_step(0, system_out_tps=100.0, system_in_tps=300.0, slo_target=0.95, slo_attainment=0.99),
        load_step(1, system_out_tps=200.0, system_in_tps=600.0, slo_target=0.95, slo_attainment=0.96, j_per_tok_out=0.5,
                  idle_power_w=40.0, arrivals="closed:16"),
        load_step(2, system_out_tps=300.0, system_in_tps=900.0, slo_target=0.95, slo_attainment=0.80),
        load_step(3, system_out_tps=400.0, system_in_tps=1200.0, valid=False, reasons=["no steady window"]),
    ]  # fmt: skip
    load_run(results, "20261103T000000000Z-chat", steps, requests, target=OWN)
    other = [load_step(0, shape="rag", system_out_tps=50.0, system_in_tps=1000.0, slo_target=0.95, slo_attainment=0.99)]
    load_run(results, "20261104T000000000Z-rag", other, requests, target=OWN)
    assert database.build(results).problems == []
    return results


def row(results: Path, target: str, task: str = "all", **more: object):  # type: ignore[no-untyped-def]
    frame = analysis.cost(results, **more)  # type: ignore[arg-type]
    return frame[(frame["target"] == target) & (frame["task"] == task)].iloc[0]


def test_every_attempt_is_paid_and_only_solved_tasks_count(results):
    found = row(results, "openai:gpt-x")
    usd = 0.0028 + 0.001 + 0.00205 + 0.006
    assert (found["n"], found["solved"]) == (3, 2.0)
    assert found["usd_total"] == pytest.approx(usd)
    assert found["usd_per_task"] == pytest.approx(usd / 3)
    assert found["usd_per_solved"] == pytest.approx(usd / 2)
    assert found["usd_per_solved_low"] < found["usd_per_solved"]
    assert list(analysis.cost(results).columns) == list(analysis.COST_COLUMNS)


def test_prices_are_blended_by_convention_and_as_it_was_used(results):
    found = row(results, "openai:gpt-x")
    assert found["usd_per_mtok_blended"] == pytest.approx((3 * 2 + 8) / 4)
    assert found["in_per_out"] == pytest.approx(3000 / 700)
    assert found["cached_share"] == pytest.approx(500 / 3000)
    assert found["usd_per_mtok_measured_mix"] == pytest.approx((2500 * 2 + 500 * 0.5 + 700 * 8) / 3700)
    assert found["usd_per_mtok_paid"] == pytest.approx(1e6 * 0.01185 / 3700)
    assert found["price_dating"] == "current list, not dated (list of 2026-11-03)"
    assert row(results, "openai:gpt-x", mix=Mix.parse("1:1"))["usd_per_mtok_blended"] == 5


def test_an_own_server_has_no_price_per_token_unless_its_node_has(results):
    found = row(results, "lab:llama")
    assert math.isnan(found["usd_per_task"])
    assert found["solved"] == 2
    paid = row(results, "lab:llama", own={"lab:llama": (Decimal(1), Decimal(10))})
    assert paid["usd_total"] == pytest.approx((3000 * 1 + 700 * 10) / 1e6)
    assert paid["usd_per_solved"] == pytest.approx(0.01 / 2)


def test_the_throughput_is_of_the_highest_load_that_kept_the_slo(results):
    chat, rag = analysis.throughput(results)
    assert list(chat) == [name for name in chat if name in analysis.THROUGHPUT_COLUMNS]
    assert set(chat) == set(analysis.THROUGHPUT_COLUMNS)
    assert (chat["shape"], chat["out_tps"], chat["arrivals"], chat["kept_slo"]) == ("chat", 200.0, "closed:16", True)
    assert (rag["shape"], rag["out_tps"], rag["in_per_out"]) == ("rag", 50.0, 20.0)
    assert "ttft_ms <= 100" in chat["says"]


def test_an_own_node_goes_by_its_load_its_rates_and_its_measured_watts(results):
    asked = Asked(capex=Decimal(8760), years=Decimal(1), usd_per_kwh=Decimal("0.5"))
    found = quote(results, Question(targets=["lab:llama"], asked=asked, against=["openai:gpt-4o"]), declared())
    assert found.node is not None
    assert found.node.out_tps == 200
    assert found.machine is not None
    assert found.machine.hourly.energy == Decimal("0.05")  # 0.5 J x 200/s = 100 W
    assert found.machine.hourly.capital == 1
    assert found.node.usd_per_hour(Decimal("0.5")) == 1 + Decimal("0.5") * Decimal("0.07")  # 40 W idle, 100 under load
    assert found.node.prefill_tps is not None
    assert found.node.decode_tps is not None
    busy = 600 / found.node.prefill_tps + 200 / found.node.decode_tps
    assert float(busy) == pytest.approx(1, abs=0.1)
    assert found.measured is not None
    assert set(found.measured["target"]) == {"lab:llama"}
    assert found.measured["usd_total"].iloc[0] > 0
    assert any("used to 100%" in note for note in found.notes)
    assert any("several shapes" in note for note in found.notes)
    assert any("0.5 J per output token" in note for note in found.notes)
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["out_tps"] == "200.0"


def declared():  # type: ignore[no-untyped-def]
    """The catalogue with the laboratory's server in it."""
    from dataclasses import replace as changed

    from bench.catalog import Target

    catalog = load()
    plain = {
        "id": "lab:llama",
        "layer": "self-hosted",
        "wire": "openai_chat",
        "base_url": "http://10.0.0.1/v1",
        "model": "x",
    }
    return changed(catalog, targets={**catalog.targets, "lab:llama": Target(**plain)})  # type: ignore[arg-type]


def test_a_speed_given_by_hand_is_said_to_be_not_measured(results, tmp_path):
    asked = Asked(usd_per_hour=Decimal(2))
    found = quote(tmp_path, Question(asked=asked, out_tps=Decimal(1000)), load())
    assert "not measured here" in found.speed
    assert found.measured is None
    with pytest.raises(ConfigError, match="bench load -t"):
        quote(tmp_path, Question(asked=asked), load())
    with pytest.raises(ConfigError, match="give both or neither"):
        quote(tmp_path, Question(asked=asked, out_tps=Decimal(1), prefill_tps=Decimal(1)), load())
    with pytest.raises(ConfigError, match="nothing was measured"):
        quote(tmp_path, Question(), load())


def test_a_hosted_target_named_beside_a_node_keeps_its_own_price(results):
    asked = Asked(usd_per_hour=Decimal(100))
    found = quote(results, Question(targets=["openai:gpt-x"], asked=asked, out_tps=Decimal(1)), load())
    assert found.measured is not None
    assert found.measured["usd_total"].iloc[0] == pytest.approx(0.01185)


def test_prices_that_runs_used_and_that_were_imported_stand_beside_the_others(results, tmp_path):
    used = analysis.prices(results)
    (row_,) = used[used["origin"] == "run"].to_dict("records")
    assert (row_["provider"], row_["model"], row_["usd_per_mtok_in"], row_["source"]) == (
        "openai",
        "gpt-x",
        2.0,
        "a list",
    )
    assert row_["dating"].startswith("seen 2026-11-0")
    listed = tmp_path / "listed.csv"
    listed.write_text(
        "provider,model,usd_per_mtok_in,usd_per_mtok_out,valid_from,observed,source\n"
        "x-ai,grok-test-1,1,2,2026-01-05,2026-02-01,https://example.org\n"
        "x-ai,grok-test-1:batch,0.5,1,2026-01-05,2026-02-01,https://example.org\n"
    )
    mine = tmp_path / "results"
    import_published("prices_csv", listed, mine)
    database.build(mine)
    frame = analysis.price_history("grok-test-1", mine)
    first = frame.iloc[0]
    assert (first["provider"], first["origin"], str(first["since"].date())) == ("xai", "imported", "2026-01-05")
    facts = pandas.DataFrame(
        {
            "model": ["grok-test-1"],
            "benchmark": ["eci"],
            "score": [200.0],
            "released": pandas.to_datetime(["2026-01-01"]),
        }
    )
    reached = analysis.price_to_reach(200.0, mine, scores=facts)
    assert list(reached["usd_per_mtok"]) == [1.25]  # never the batch price


def test_break_even_curves_are_whole_nodes_and_meet_where_they_say():
    """1 $/h at 1,000 output tokens/s, only output: 730 $ a month for 2,628 M; an API at 0.5 $/M meets it at 1,460."""
    node = Node(hourly=Hourly(rent=Decimal(1)), out_tps=Decimal(1000))
    mix = Mix(in_parts=Decimal(0))
    frame = analysis.break_even(node, {"api": Decimal("0.5")}, mix=mix, utilisations=[Decimal(1)], most=2)
    assert list(frame.columns) == list(analysis.BREAK_EVEN_COLUMNS)
    own = frame[frame["kind"] == "self"]
    assert set(own["usd_per_month"]) == {730.0, 1460.0}
    assert own["mtok_per_month"].max() == 5256
    assert set(own.loc[own["mtok_per_month"] == 2628, "usd_per_month"]) == {730.0, 1460.0}
    (meeting,) = frame[frame["kind"] == "break-even"].to_dict("records")
    assert (meeting["mtok_per_month"], meeting["nodes"], meeting["usd_per_month"]) == (1460, 1, 730)


def test_the_chart_of_break_even_shows_every_api_and_utilisation():
    from bench.charts import break_even

    node = Node(hourly=Hourly(rent=Decimal(1)), out_tps=Decimal(1000))
    figure = break_even.chart(analysis.break_even(node, {"a": Decimal("0.5"), "b": Decimal("0.01")}, most=3))
    names = [trace.name for trace in figure.data]
    own = ["own, used to 100%", "own, used to 50%", "own, used to 20%"]
    assert [name for name in names if name != "all nodes full"] == ["a", "b", *own, "break-even"]
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    assert len(figure.data[-1].x) == 3  # `a` at every utilisation, `b` never
