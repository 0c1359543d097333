from decimal import Decimal

import pytest

from bench.budget import Budget, worst_usd
from bench.catalog import Price
from bench.errors import BudgetStop
from bench.records import Measurement, Request

PRICE = Price(id="p", model="m", usd_per_mtok_in=Decimal(1), usd_per_mtok_out=Decimal(10), source="by hand")


def request(name: str = "a") -> Request:
    return Request(request_id=name, request_key=name, prompt="x" * 330, max_tokens=100)


def measured(name: str = "a", **more: object) -> Measurement:
    fields = {"status": "ok", "sent_ns": 1, "in_tokens": 100, "out_tokens": 50, **more}
    return Measurement(
        request_id=name, request_key=name, target_id="t", kind="quality", started_at="2026-11-23T00:00:00Z", **fields
    )  # fmt: skip


def test_the_most_a_request_can_cost_is_its_text_and_its_whole_cap() -> None:
    assert worst_usd("x" * 330, 100, PRICE) == Decimal(116 + 10 * 100) / 1_000_000


def test_what_is_under_way_counts_until_it_is_settled_by_usage() -> None:
    budget = Budget(max_usd=Decimal("0.0012"), price=PRICE)
    assert budget.reserve(request("a"))
    assert not budget.reserve(request("b")), "wait: what is under way may turn out cheaper"
    budget.settle(measured("a"))
    assert budget.spent_usd == Decimal(100 + 10 * 50) / 1_000_000
    with pytest.raises(BudgetStop):
        budget.reserve(request("b"))


def test_what_the_provider_says_it_billed_wins() -> None:
    budget = Budget(max_usd=Decimal(1), price=PRICE)
    budget.reserve(request())
    budget.settle(measured(provider_usd="0.25"))
    assert budget.spent_usd == Decimal("0.25")


def test_an_answer_without_usage_is_taken_to_have_cost_what_was_reserved() -> None:
    budget = Budget(max_usd=Decimal(1), price=PRICE)
    budget.reserve(request())
    budget.settle(measured(in_tokens=None, out_tokens=None, status="stream_cut", http_status=200))
    assert budget.spent_usd == worst_usd("x" * 330, 100, PRICE)


@pytest.mark.parametrize("http_status", [401, 429, 500, 503])
def test_an_attempt_refused_with_a_status_of_its_own_costs_nothing(http_status: int) -> None:
    budget = Budget(max_usd=Decimal(1), price=PRICE)
    budget.reserve(request())
    budget.settle(measured(in_tokens=None, out_tokens=None, status="http_error", http_status=http_status))
    assert budget.spent_usd == 0


def test_a_request_that_was_never_sent_costs_nothing() -> None:
    budget = Budget(max_usd=Decimal(1), price=PRICE)
    budget.reserve(request())
    budget.settle(measured(in_tokens=None, out_tokens=None, sent_ns=None, status="connect_error"))
    assert budget.spent_usd == 0


def test_without_an_allowance_nothing_is_held_back() -> None:
    budget = Budget(max_usd=None, price=None)
    budget.reserve(request())
    budget.settle(measured())
    assert budget.spent_usd == 0
