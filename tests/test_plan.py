from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from bench import database, plan, quality
from bench.budget import Asked
from bench.catalog import Price, load
from bench.price import Tariff
from bench.records import Measurement
from bench.terminal import Lines
from tests.quality_runs import knowing_server

PRICE = Price(id="p", model="m", usd_per_mtok_in=Decimal(1), usd_per_mtok_out=Decimal(10), source="by hand")


def row(*targets: str, suite: str = "quick", results: Path = Path("nowhere"), **asked: object) -> dict:
    (question,) = quality.questions(suite, targets, catalog=load(), to_be_asked=False, **asked)  # type: ignore[arg-type]
    return plan.plan(question, results)


def test_requests_are_items_times_repeats_and_tokens_follow() -> None:
    once = row("http://127.0.0.1:9/v1#m")
    thrice = row("http://127.0.0.1:9/v1#m", repeats=3)
    assert once["requests"] == 240
    assert once["out_tokens_max"] == 240 * 16
    assert (thrice["requests"], thrice["in_tokens"]) == (720, 3 * once["in_tokens"])


def test_what_is_not_known_is_none_and_never_zero() -> None:
    found = row("http://127.0.0.1:9/v1#m")
    assert found["usd_max"] is None
    assert found["minutes"] is None


def test_a_hosted_model_needs_no_key_to_be_planned_and_its_price_is_the_list_price() -> None:
    found = row("openai:gpt-4o-mini", suite="core", limit=5)
    assert found["requests"] == 15
    by_hand = (found["in_tokens"] * 0.15 + found["out_tokens_max"] * 0.60) / 1e6
    assert float(found["usd_max"]) == pytest.approx(by_hand, abs=1e-4)


def test_a_model_that_always_thinks_without_a_budget_for_it_is_warned_of() -> None:
    (question,) = quality.questions("quick", ["openai:gpt-5-mini"], catalog=load(), to_be_asked=False)
    told = quality.warnings(question.target)
    assert any("reasoning_budget" in line for line in told)
    roomy = question.target.model_copy(
        update={"options": question.target.options.model_copy(update={"reasoning_budget": 4000})}
    )
    assert not any("reasoning_budget" in line for line in quality.warnings(roomy))


def test_the_detectable_effect_is_that_of_the_published_formula() -> None:
    """n = 7.85·2p(1 − p)(1 − ρ)/δ²: 150 items, p = .5, ρ = .5 detect .114."""
    assert plan._mde(150) == pytest.approx(0.114, abs=5e-4)
    assert row("http://127.0.0.1:9/v1#m")["mde_macro"] == pytest.approx(plan._mde(30) / 8**0.5, abs=1e-3)


# ----------------------------------------------------------------------------------------------- what it will likely be


def estimated(
    asks: list[tuple[str, Asked]], earlier: list[Measurement], results: Path = Path("nowhere")
) -> plan.Estimate:
    (question,) = quality.questions("quick", ["http://127.0.0.1:9/v1#m"], catalog=load())
    return plan.estimate(question, results, asks, Tariff.of(PRICE), earlier=earlier)


def answered(task: str, in_tokens: int, out_tokens: int) -> Measurement:
    return Measurement(
        request_id="r", request_key="k", target_id="t", kind="quality", status="ok", started_at="2026-11-23T00:00:00Z",
        task=task, in_tokens=in_tokens, out_tokens=out_tokens,
    )  # fmt: skip


def test_where_every_earlier_answer_was_alike_the_estimate_is_exact() -> None:
    found = estimated([("a", Asked(50, 100))] * 30, [answered("a", 40, 10)] * 8)
    assert (found.tokens_median, found.tokens_p90, found.tokens_max) == (1500, 1500, 4500)
    assert (found.usd_median, found.usd_p90, found.usd_max) == ("0.0042", "0.0042", "0.0315")
    assert found.basis == "from earlier answers: 8 of this target's"


def test_without_earlier_answers_any_share_of_the_cap_is_assumed_and_said() -> None:
    found = estimated([("a", Asked(50, 100))] * 30, [answered("a", 1, 1)] * (plan.ENOUGH - 1))
    assert found.tokens_median == pytest.approx(1500 + 1500, rel=0.05)
    assert found.tokens_p90 == pytest.approx(1500 + 2700, rel=0.05)
    assert found.basis == "no earlier answers, any share of the cap assumed equally likely"


def test_ninety_of_a_hundred_runs_stay_under_the_ninety_per_cent_estimate() -> None:
    dice = Random(7)
    draw = lambda: round(dice.expovariate(1 / 200)) + 1  # noqa: E731
    under = [0, 0]
    for _ in range(200):
        found = estimated([("a", Asked(10, 4000))] * 40, [answered("a", 10, draw()) for _ in range(60)])
        total = sum(10 + draw() for _ in range(40))
        under[0] += total <= found.tokens_median
        under[1] += total <= found.tokens_p90
    assert 80 <= under[0] <= 120
    assert 170 <= under[1] <= 192


def test_the_same_question_gets_the_same_estimate() -> None:
    history = [answered("a", 10, n) for n in range(1, 50)]
    asks = [("a", Asked(10, 100))] * 20
    assert estimated(asks, history) == estimated(asks, history)


def test_an_estimate_above_what_is_left_is_told_in_one_line() -> None:
    found = estimated([("a", Asked(50, 100))] * 30, [answered("a", 40, 10)] * 8)
    assert found.over(Decimal("0.0042"), 1500) is None
    assert found.over(None, None) is None
    assert "about 0.0042 $ are needed and 0.0040 $" in str(found.over(Decimal("0.004"), None))
    assert "about 1,500 tokens are needed and 1,499" in str(found.over(None, 1499))


def test_a_plan_counts_only_what_is_still_to_be_asked_and_draws_from_the_closest_source(tmp_path: Path) -> None:
    with knowing_server(tmp_path) as server:
        half = f"{server.url}#fake"
        (question,) = quality.questions("quick", [half], catalog=load(), limit=6)
        manner = quality.Manner(max_tokens=300, concurrency=1)
        stopped = quality.run(question, tmp_path, manner, Lines(quiet=True))
        database.build(tmp_path)
        row_ = row(half, results=tmp_path, limit=6)
        assert row_["requests"] == 48
        assert row_["to_ask"] == 48 - stopped.n_attempts
        whole = quality.run(question, tmp_path, quality.Manner(), Lines(quiet=True))
        database.build(tmp_path)
        own = row(half, results=tmp_path, limit=7)
        assert own["basis"] == "from earlier answers: 48 of this target's"
        assert own["tokens_p90"] < row(half, limit=7)["tokens_median"]
        assert row(half, results=tmp_path, limit=6)["to_ask"] == 0
        targets = tmp_path / "targets.toml"
        targets.write_text(
            f'[[targets]]\nid = "same"\nbase_url = "{server.url}/x"\nmodel = "fake"\n'
            f'[[targets]]\nid = "other"\nbase_url = "{server.url}"\nmodel = "else"\n'
        )
        for name, whose in (("same", "this model's"), ("other", "other targets'")):
            (asked,) = quality.questions("quick", [name], catalog=load(targets), to_be_asked=False)
            assert plan.plan(asked, tmp_path)["basis"] == f"from earlier answers: 48 of {whose}"
        assert whole.n_answered == 48


def test_a_store_that_cannot_be_read_stops_no_estimate(tmp_path: Path) -> None:
    (tmp_path / database.NAME).write_bytes(b"not a store")
    assert "no earlier answers" in estimated([("a", Asked(50, 100))], [], tmp_path).basis
