from pathlib import Path

import pytest

from bench import plan, quality
from bench.catalog import load


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
