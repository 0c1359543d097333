from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import count
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import quality
from bench.budget import (
    TOKENS_PER_MESSAGE,
    Asked,
    Book,
    Budget,
    Entry,
    Most,
    asked,
    asked_before,
    tokens_in,
    worst_usd,
)
from bench.catalog import Price, load
from bench.errors import BudgetStop
from bench.judge import Question
from bench.records import Measurement, Message, Request, Tool
from bench.terminal import Lines
from tests.fake import fake_server

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
    assert (budget.spent_usd, budget.spent_tokens) == (0, 150)


# ------------------------------------------------------------------------------------------- reservations, and learning


def test_every_text_a_request_carries_is_reserved_for() -> None:
    plain = asked(request())
    told = Message(role="system", content="y" * 33)
    talk = replace(request(), prompt=None, messages=(told, Message(role="user", content="x" * 330)))
    assert asked(talk).in_tokens == plain.in_tokens + 10 + TOKENS_PER_MESSAGE
    tool = Tool(name="f", description="d" * 660)
    assert asked(replace(request(), tools=(tool,))).in_tokens > plain.in_tokens + 200
    assert asked(replace(request(), answer_schema={"type": "object"})).in_tokens > plain.in_tokens


@pytest.mark.parametrize(("text", "least"), [("東京" * 10, 30), ("Привет" * 5, 30), ("🙂" * 10, 20), ("\ud83d", 0)])
def test_outside_ascii_a_character_may_be_a_token_or_two(text: str, least: int) -> None:
    assert tokens_in(text) >= least


def test_after_an_answer_longer_than_its_cap_reservations_grow_by_that_factor() -> None:
    budget = Budget(max_usd=Decimal(1), price=PRICE)
    budget.reserve(request("a"))
    before = budget.book.most(asked(request()), budget.tariff)
    budget.settle(measured("a", in_tokens=232, out_tokens=500))
    after = budget.book.most(asked(request()), budget.tariff)
    assert before == (Decimal(116 + 1000) / 1_000_000, 216)
    assert after == (Decimal(232 + 5000) / 1_000_000, 732)
    assert budget.book.learned() == (
        "prompts count up to 2.0 times the tokens estimated, answers are up to 5.0 times as long as their cap"
    )


def test_what_is_under_way_is_reserved_anew_once_an_overrun_is_seen() -> None:
    budget = Budget(max_usd=Decimal("0.0100"), price=PRICE)
    assert budget.reserve(request("a"))
    assert budget.reserve(request("b"))
    budget.settle(measured("a", out_tokens=400))
    assert not budget.reserve(request("c")), "0.0041 spent, b and c may cost as much each: 0.0123"
    budget.settle(measured("b", out_tokens=1))
    assert budget.reserve(request("c"))


def test_a_provider_that_bills_more_than_the_list_price_is_reserved_for() -> None:
    budget = Budget(max_usd=Decimal(1), price=PRICE)
    worst = budget.book.most(asked(request()), budget.tariff).usd
    budget.reserve(request())
    budget.settle(measured(provider_usd=str(worst * 3)))
    assert budget.book.most(asked(request()), budget.tariff).usd == worst * 3


def test_without_a_price_the_providers_own_word_teaches_what_to_reserve() -> None:
    budget = Budget(max_usd=Decimal("0.02"), price=None)
    assert budget.reserve(request("a"))
    budget.settle(measured("a", provider_usd="0.012"))
    with pytest.raises(BudgetStop, match=r"may cost 0\.012000"):
        budget.reserve(request("b"))


@pytest.mark.parametrize("told", ["-1", "NaN", "Infinity", "soon", ""])
def test_a_bill_that_is_no_amount_is_no_bill(told: str) -> None:
    budget = Budget(max_usd=Decimal(1), price=PRICE)
    budget.reserve(request())
    assert budget.settle(measured(provider_usd=told)).basis == "usage"


@pytest.mark.parametrize(
    "fate",
    [
        {"status": "stream_cut", "http_status": 200, "in_tokens": 90, "out_tokens": 1},
        {"status": "timeout", "in_tokens": None, "out_tokens": None},
        {"status": "cancelled", "sent_ns": None, "in_tokens": None, "out_tokens": None},
        {"status": "http_error", "http_status": 503, "in_tokens": None, "out_tokens": None, "chunks": 3},
        {"status": "ok", "in_tokens": None, "out_tokens": None, "answer": "yes"},
    ],
)
def test_an_answer_that_began_and_was_never_settled_counts_at_its_reservation(fate: dict[str, object]) -> None:
    budget = Budget(max_usd=Decimal(1), price=PRICE)
    budget.reserve(request())
    entry = budget.settle(measured(**fate))
    assert entry == (worst_usd("x" * 330, 100, PRICE), 216, "reserved")


def test_an_uncounted_answer_longer_than_its_cap_counts_by_its_length() -> None:
    budget = Budget(max_usd=Decimal(1), price=PRICE)
    budget.reserve(request())
    entry = budget.settle(measured(in_tokens=None, out_tokens=None, status="ok", answer="x" * 3300))
    assert entry.tokens == 116 + 1000


def test_what_cost_nothing_teaches_nothing() -> None:
    book = Book()
    book.enter(measured(status="http_error", http_status=429, in_tokens=None, out_tokens=None), Asked(1, 1), None)
    assert book == Book()


def test_tokens_are_an_allowance_of_their_own_where_nothing_has_a_price() -> None:
    budget = Budget(max_usd=None, price=None, max_tokens=500)
    assert budget.reserve(request("a"))
    assert budget.reserve(request("b"))
    assert not budget.reserve(request("c"))
    budget.settle(measured("a"))
    budget.settle(measured("b"))
    assert budget.spent_tokens == 300
    with pytest.raises(BudgetStop, match=r"500 tokens is used up: 300 spent, and the next request may take 216"):
        budget.reserve(request("c"))


def test_what_an_earlier_session_left_at_the_provider_is_held_even_beyond_the_allowance() -> None:
    budget = Budget(max_usd=Decimal("0.0012"), price=PRICE)
    budget.hold(request("a"))
    budget.hold(request("b"))
    assert not budget.reserve(request("c"))
    budget.settle(measured("a"))
    budget.settle(measured("b"))
    assert budget.spent_usd == Decimal("0.0012")


def test_what_is_free_goes_on_when_the_dollars_are_spent() -> None:
    budget = Budget(max_usd=Decimal(-1), price=None)
    assert budget.reserve(request())


# ------------------------------------------------------------------------------------------------------------ the bound

Job = tuple[int, int, float, float]
jobs = st.lists(
    st.tuples(st.integers(0, 3000), st.integers(1, 2000), st.floats(0, 12), st.floats(0, 12)), min_size=1, max_size=40
)


def play(budget: Budget, wanted: list[Job], concurrency: int, dice: Random) -> tuple[list[tuple[Most, Entry]], bool]:
    """Requests sent as `Traffic` sends them and answered in any order.

    (reservation at the last send and outcome of what was under way then, whether an allowance stopped it).
    """
    ids = count()
    waiting = list(wanted)
    under_way: dict[str, tuple[Request, Measurement]] = {}
    snapshot: dict[str, Most] = {}
    ended: dict[str, Entry] = {}
    stopped = False
    while waiting or under_way:
        room = bool(waiting) and not stopped and len(under_way) < concurrency
        if room:
            characters, cap, in_times, out_times = waiting[-1]
            each = Request(
                request_id=f"r{next(ids)}", request_key="k", prompt="x" * characters, max_tokens=cap
            )  # fmt: skip
            try:
                room = budget.reserve(each)
            except BudgetStop:
                stopped, room = True, False
            if room:
                waiting.pop()
                in_tokens, out_tokens = int(asked(each).in_tokens * in_times), int(cap * out_times)
                outcome = measured(each.request_id, in_tokens=in_tokens, out_tokens=out_tokens)
                under_way[each.request_id] = each, outcome
                snapshot = {name: budget.book.most(asked(one), budget.tariff) for name, (one, _) in under_way.items()}
                continue
        if not under_way:
            break
        name = dice.choice(sorted(under_way))
        ended[name] = budget.settle(under_way.pop(name)[1])
    return [(most, ended[name]) for name, most in snapshot.items()], stopped


@settings(max_examples=400, deadline=None)
@given(jobs, st.integers(1, 16), st.integers(1, 200_000), st.randoms(use_true_random=False))
def test_an_allowance_is_passed_at_most_by_what_was_under_way_at_the_last_send(
    wanted: list[Job], concurrency: int, millionths: int, dice: Random
) -> None:
    allowed = Decimal(millionths) / 1_000_000
    budget = Budget(max_usd=allowed, price=PRICE)
    last, _ = play(budget, wanted, concurrency, dice)
    assert budget.spent_usd <= allowed + sum(
        (max(entry.usd - most.usd, Decimal(0)) for most, entry in last), Decimal(0)
    )
    assert sum((most.usd for most, _ in last), Decimal(0)) <= allowed


@settings(max_examples=300, deadline=None)
@given(jobs, st.integers(1, 16), st.integers(1, 100_000), st.randoms(use_true_random=False))
def test_the_same_holds_of_tokens(wanted: list[Job], concurrency: int, allowed: int, dice: Random) -> None:
    budget = Budget(max_usd=None, price=None, max_tokens=allowed)
    last, _ = play(budget, wanted, concurrency, dice)
    assert budget.spent_tokens <= allowed + sum(max(entry.tokens - most.tokens, 0) for most, entry in last)


@settings(max_examples=300, deadline=None)
@given(jobs, st.integers(1, 16), st.integers(1, 200_000), st.randoms(use_true_random=False))
def test_once_the_worst_answer_is_known_the_allowance_is_never_passed(
    wanted: list[Job], concurrency: int, millionths: int, dice: Random
) -> None:
    """In a session that goes on with a journal in which such an answer stands, say."""
    budget = Budget(max_usd=Decimal(millionths) / 1_000_000, price=PRICE)
    budget.book.in_factor = budget.book.out_factor = Fraction(12)
    play(budget, wanted, concurrency, dice)
    assert budget.max_usd is not None
    assert budget.spent_usd <= budget.max_usd


@settings(max_examples=200, deadline=None)
@given(jobs)
def test_reading_the_same_attempts_again_gives_the_same_book(wanted: list[Job]) -> None:
    budget = Budget(max_usd=None, price=PRICE)
    rows = []
    for i, (characters, cap, in_times, out_times) in enumerate(wanted):
        each = replace(request(f"r{i}"), prompt="x" * characters, max_tokens=cap)
        budget.reserve(each)
        ask = asked(each)
        row = measured(
            f"r{i}", in_tokens=int(ask.in_tokens * in_times), out_tokens=int(cap * out_times),
            status="ok" if i % 3 else "stream_cut", asked_in_tokens=ask.in_tokens, asked_out_tokens=ask.out_tokens,
        )  # fmt: skip
        budget.settle(row)
        rows.append(row)
    again = Book()
    for row in rows:
        again.enter(row, asked_before(row, 0), budget.tariff)
    assert again == budget.book


def test_a_server_that_answers_five_times_too_long_sixteen_at_once(tmp_path: Path) -> None:
    """Reserved: 16 tokens of answer. Answered: 80, each as dear as 1,000 of the prompt."""
    with fake_server(tmp_path) as server:
        targets = tmp_path / "targets.toml"
        targets.write_text(
            f'[[targets]]\nid = "long"\nbase_url = "{server.url}"\nmodel = "fake?overrun=5&ttft_ms=30"\n'
            "usd_per_mtok_in = 1\nusd_per_mtok_out = 1000\n"
        )
        (question,) = quality.questions("quick", ["long"], catalog=load(targets))
        first = run_under(question, tmp_path, "0.3")
        assert isinstance(first.stop, BudgetStop)
        assert "up to 5.0 times as long as their cap" in str(first.stop)
        assert first.n_attempts == 16, "nothing is sent once the first overrun is seen"
        assert first.spent_usd is not None
        reserved, cost = Decimal("0.016"), Decimal("0.0801")
        assert Decimal("0.3") < first.spent_usd <= Decimal("0.3") + 16 * (cost - reserved)
        second = run_under(question, tmp_path, "3")
        assert isinstance(second.stop, BudgetStop)
        assert second.n_attempts > 0
        assert second.spent_usd is not None
        assert Decimal("2.9") < second.spent_usd <= 3, "what the first session learned, the second knows"


def run_under(question: Question, results: Path, max_usd: str) -> quality.Outcome:
    manner = quality.Manner(max_usd=Decimal(max_usd), concurrency=16)
    return quality.run(question, results / "results", manner, Lines(quiet=True))
