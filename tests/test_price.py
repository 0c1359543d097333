"""Prices against published figures, dates and hours; unknown is None."""

from __future__ import annotations

import datetime as dt
import json
import socket
from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bench.catalog as catalog
from bench import price
from bench.catalog import Catalog, Price, Target
from bench.catalog.resolve import from_provider

NOV_2026 = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
PACKAGED = catalog._packaged()


@dataclass(frozen=True)
class Used:
    in_tokens: int | None
    out_tokens: int | None
    in_cached_tokens: int | None = None
    in_cache_write_tokens: int | None = None


def at(spec: str) -> Target:
    provider, _, model = spec.partition(":")
    return from_provider(PACKAGED.providers[provider], model)


@pytest.mark.parametrize(
    ("spec", "usd_in", "usd_cached", "usd_out"),
    [
        ("openai:gpt-4o-mini", "0.15", "0.075", "0.60"),  # openai.com/api/pricing since July 2024
        ("openai:gpt-4.1", "2", "0.5", "8"),
        ("openai:gpt-4o-2024-08-06", "2.5", "1.25", "10"),
        ("anthropic:claude-opus-4-5", "5", "0.5", "25"),
        ("anthropic:claude-haiku-4-5-20251001", "1", "0.1", "5"),
        ("groq:openai/gpt-oss-120b", "0.15", "0.075", "0.60"),
        ("together:meta-llama/Llama-3.3-70B-Instruct-Turbo", "0.88", None, "0.88"),
        ("chutes:deepseek-ai/DeepSeek-V3.2-TEE", "0.28", "0.14", "0.42"),
        ("deepinfra:zai-org/GLM-5.3", "1.40", "0.26", "4.40"),
        ("akashml:meta-llama/Llama-3.3-70B-Instruct", "0.13", None, "0.40"),
        ("huggingface:zai-org/GLM-5:novita", "1", None, "3.2"),
    ],
)
def test_prices_are_the_published_ones(spec: str, usd_in: str, usd_cached: str | None, usd_out: str) -> None:
    found = price.price_for(at(spec), None, NOV_2026, PACKAGED)
    assert found is not None
    assert found.usd_per_mtok_in == Decimal(usd_in)
    assert found.usd_per_mtok_cached == (None if usd_cached is None else Decimal(usd_cached))
    assert found.usd_per_mtok_out == Decimal(usd_out)
    assert found.source
    assert found.id


@pytest.mark.parametrize(
    "spec",
    [
        "openai:gpt-4o-mini-banana",
        "deepseek:deepseek-chat-banana",
        "mistral:magistral-small-banana",
        "openrouter:nobody/nothing",
        "huggingface:zai-org/GLM-5",
        "chutes:nobody/nothing",
        "ionet:meta-llama/Llama-3.3-70B-Instruct",
        "vllm:openai/gpt-oss-20b",
        "ollama:gpt-4o",
    ],
)
def test_an_unknown_price_is_none_and_never_zero_or_a_neighbours(spec: str) -> None:
    assert price.price_for(at(spec), None, NOV_2026, PACKAGED) is None


def test_a_model_served_here_has_no_price_per_token() -> None:
    own = Target(id="t", layer="self-hosted", wire="openai_chat", base_url="http://127.0.0.1:1/v1", model="gpt-4o")
    assert price.price_for(own, "gpt-4o", NOV_2026, PACKAGED) is None


def test_a_price_by_the_hour_follows_the_hour() -> None:
    found = {
        hour: price.price_for(at("deepseek:deepseek-flash"), None, NOV_2026.replace(hour=hour), PACKAGED)
        for hour in (0, 2, 5, 8, 12)
    }
    assert {hour: str(each.usd_per_mtok_out) for hour, each in found.items() if each} == {
        0: "0.6",
        2: "1.2",
        5: "0.6",
        8: "1.2",
        12: "0.6",
    }
    assert len({each.id for each in found.values() if each}) == 3
    berlin = dt.timezone(dt.timedelta(hours=1))
    same = price.price_for(at("deepseek:deepseek-flash"), None, NOV_2026.replace(hour=3, tzinfo=berlin), PACKAGED)
    assert same == found[2]


def test_a_dated_price_is_the_one_of_its_day() -> None:
    target = at("deepseek:deepseek-v4-flash")
    firsts = {}
    for day in (dt.date(2026, 7, 1), dt.date(2026, 9, 1), dt.date(2026, 10, 1)):
        found = price.price_for(target, None, day, PACKAGED)
        assert found is not None
        firsts[day] = (str(found.usd_per_mtok_in), found.valid_from)
    assert firsts == {
        dt.date(2026, 7, 1): ("0.14", None),
        dt.date(2026, 9, 1): ("0.22", dt.date(2026, 8, 17)),
        dt.date(2026, 10, 1): ("0.15", dt.date(2026, 9, 10)),
    }


def book(*prices: Price) -> Catalog:
    return Catalog(providers=PACKAGED.providers, models={}, gpus={}, prices={each.id: each for each in prices})


def entry(id_: str, usd: str, valid_from: dt.date | None, valid_to: dt.date | None = None) -> Price:
    return Price(
        id=id_,
        provider="chutes",
        model="m",
        usd_per_mtok_in=Decimal(usd),
        usd_per_mtok_out=Decimal(usd),
        valid_from=valid_from,
        valid_to=valid_to,
        source="a test",
    )


def test_our_book_holds_from_its_first_day_until_the_day_it_was_closed() -> None:
    ours = book(
        entry("old", "1", dt.date(2026, 1, 1), dt.date(2026, 3, 1)),
        entry("young", "2", dt.date(2026, 4, 1)),
    )

    def on(*day: int) -> str | None:
        found = price.price_for(at("chutes:m"), None, dt.date(*day), ours)
        return found and found.id

    assert on(2025, 12, 31) is None
    assert on(2026, 1, 1) == "old"
    assert on(2026, 2, 28) == "old"
    assert on(2026, 3, 1) is None
    assert on(2026, 4, 1) == "young"


def test_the_younger_of_two_open_entries_wins_and_a_closed_before_open_is_refused() -> None:
    ours = book(entry("a", "1", dt.date(2026, 1, 1)), entry("b", "2", dt.date(2026, 2, 1)))
    found = price.price_for(at("chutes:m"), None, dt.date(2026, 6, 1), ours)
    assert found is not None
    assert found.id == "b"
    with pytest.raises(ValueError, match="is not after"):
        entry("c", "1", dt.date(2026, 2, 1), dt.date(2026, 2, 1))


def test_the_targets_own_price_wins_over_every_book() -> None:
    own = at("openai:gpt-4o").model_copy(
        update={"usd_per_mtok_in": Decimal("0.01"), "usd_per_mtok_out": Decimal("0.02"), "id": "mine"}
    )
    found = price.price_for(own, None, NOV_2026, PACKAGED)
    assert found is not None
    assert (found.id, found.usd_per_mtok_in, found.usd_per_mtok_out) == (
        "target/mine",
        Decimal("0.01"),
        Decimal("0.02"),
    )


def test_the_model_that_answered_can_be_priced_instead_of_the_one_asked() -> None:
    found = price.price_for(at("openai:gpt-4o"), "gpt-4o-mini", NOV_2026, PACKAGED)
    assert found is not None
    assert found.usd_per_mtok_in == Decimal("0.15")


def test_looking_up_a_price_opens_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a price lookup went to the network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    price._listed.cache_clear()
    assert price.price_for(at("openai:gpt-4o"), None, NOV_2026, PACKAGED) is not None


# ------------------------------------------------------------------------------------------------------------ cost

FULL = Price(
    id="p",
    model="m",
    usd_per_mtok_in=Decimal(3),
    usd_per_mtok_cached=Decimal("0.3"),
    usd_per_mtok_cache_write=Decimal("3.75"),
    usd_per_mtok_out=Decimal(15),
    source="a test",
)


def test_cost_is_the_sum_by_hand() -> None:
    # 1,000 plain at 3, 7,000 cached at 0.3, 2,000 written at 3.75, 500 out at 15: 3,000 + 2,100 + 7,500 + 7,500
    used = Used(in_tokens=10_000, in_cached_tokens=7_000, in_cache_write_tokens=2_000, out_tokens=500)
    assert price.cost_usd(FULL, used) == Decimal("0.0201")


def test_cached_input_without_a_price_of_its_own_costs_what_input_costs() -> None:
    plain = FULL.model_copy(update={"usd_per_mtok_cached": None, "usd_per_mtok_cache_write": None})
    used = Used(in_tokens=10_000, in_cached_tokens=7_000, in_cache_write_tokens=2_000, out_tokens=0)
    assert price.cost_usd(plain, used) == Decimal("0.03")


@pytest.mark.parametrize("used", [Used(None, 5), Used(5, None), Used(None, None)])
def test_cost_without_counts_is_unknown(used: Used) -> None:
    assert price.cost_usd(FULL, used) is None


def test_nothing_used_costs_nothing() -> None:
    assert price.cost_usd(FULL, Used(0, 0)) == 0


counts = st.integers(0, 10**7)


@given(counts, counts, counts, counts)
def test_cost_adds_up_exactly(in_a: int, out_a: int, in_b: int, out_b: int) -> None:
    parts = [price.cost_usd(FULL, Used(in_a, out_a)), price.cost_usd(FULL, Used(in_b, out_b))]
    assert sum(part for part in parts if part is not None) == price.cost_usd(FULL, Used(in_a + in_b, out_a + out_b))


# -------------------------------------------------------------------------------------------------------- the books


def test_names_the_catalogue_claims_are_names_their_providers_sell() -> None:
    """Names of models that our sources list as sold there; the few sold nowhere any more are left out on purpose."""
    unpriced = {
        place
        for model in PACKAGED.models.values()
        for place in model.served_as
        if (provider := PACKAGED.providers.get(place.partition(":")[0])) is not None
        and provider.price_book is not None
        and price.price_for(at(place), None, NOV_2026, PACKAGED) is None
    }
    assert unpriced == set()


def test_every_price_book_a_provider_names_exists() -> None:
    from genai_prices.data import providers

    known = {each.id for each in providers}
    assert {p.price_book for p in PACKAGED.providers.values() if p.price_book} <= known


# --------------------------------------------------------------------------------- service tiers, and long prompts

LISTED = [
    ("openai:gpt-5", "openai", "gpt-5"),
    ("openai:gpt-5.4", "openai", "gpt-5.4"),
    ("anthropic:claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5"),
    ("anthropic:claude-haiku-4-5", "anthropic", "claude-haiku-4-5"),
    ("google:gemini-2.5-pro", "google", "gemini-2.5-pro"),
    ("mistral:mistral-small-latest", "mistral", "mistral-small-latest"),
]
CONTEXTS = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}


@given(
    st.sampled_from(LISTED),
    st.sampled_from([None, "batch", "flex", "priority"]),
    st.sampled_from([0, 1, 199_999, 200_000, 200_001, 272_000, 272_001, 900_000]) | st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.floats(0, 1),
)
def test_our_arithmetic_is_that_of_genai_prices(
    listed: tuple[str, str, str], tier: str | None, in_tokens: int, out_tokens: int, cached: float
) -> None:
    from genai_prices.data_snapshot import get_snapshot
    from genai_prices.types import Usage

    spec, book, model = listed
    tariff = price.tariff_for(at(spec), NOV_2026, catalog=PACKAGED)
    assert tariff is not None
    provider, found = get_snapshot().find_provider_model(model, None, book, None)
    cached_tokens = int(in_tokens * cached)
    theirs = found.calc_price(
        Usage(input_tokens=in_tokens, output_tokens=out_tokens, cache_read_tokens=cached_tokens),
        provider,
        genai_request_timestamp=NOV_2026,
        price_context=CONTEXTS.get(tier or ""),
    ).total_price
    used = Used(in_tokens=in_tokens, out_tokens=out_tokens, in_cached_tokens=cached_tokens)
    if tier is None or tariff.exactly(tier) is not None:
        assert tariff.cost_usd(used, tier) == theirs
    assert tariff.worst_usd(in_tokens, out_tokens) >= (tariff.cost_usd(used) or 0)


@pytest.mark.parametrize("spec", ["openai:gpt-5", "anthropic:claude-haiku-4-5", "google:gemini-2.5-pro"])
def test_a_batch_costs_half(spec: str) -> None:
    full = price.price_for(at(spec), None, NOV_2026, PACKAGED)
    half = price.price_for(at(spec), None, NOV_2026, PACKAGED, tier="batch")
    assert full
    assert half
    assert (half.usd_per_mtok_in * 2, half.usd_per_mtok_out * 2) == (full.usd_per_mtok_in, full.usd_per_mtok_out)
    assert half.id != full.id


def test_a_batch_that_nobody_lists_costs_the_providers_share_and_elsewhere_nobody_knows() -> None:
    listed = price.tariff_for(at("openai:gpt-4o-2024-08-06"), dt.date(2026, 1, 1), catalog=PACKAGED)
    assert listed is not None
    batch = listed.exactly("batch")
    assert batch is not None
    assert (batch.usd_per_mtok_in, batch.usd_per_mtok_out) == (Decimal("1.25"), Decimal(5))
    assert batch.note == "0.5 of the standard price"
    assert price.price_for(at("chutes:deepseek-ai/DeepSeek-V3.2-TEE"), None, NOV_2026, PACKAGED, tier="batch") is None
    assert price.price_for(at("mistral:mistral-small-latest"), None, NOV_2026, PACKAGED, tier="flex") is None


def test_a_price_the_target_declares_holds_at_every_tier() -> None:
    own = at("openai:gpt-5").model_copy(update={"usd_per_mtok_in": Decimal(7), "usd_per_mtok_out": Decimal(8)})
    found = price.price_for(own, None, NOV_2026, PACKAGED, tier="batch")
    assert found is not None
    assert found.usd_per_mtok_in == 7


def test_a_long_prompt_is_reserved_at_the_step_it_can_reach() -> None:
    tariff = price.tariff_for(at("openai:gpt-5.4"), NOV_2026, catalog=PACKAGED)
    assert tariff is not None
    assert tariff.worst_usd(272_000, 1000) == (272_000 * Decimal("2.5") + 1000 * 15) / 1_000_000
    assert tariff.worst_usd(272_001, 1000) == (272_001 * Decimal(5) + 1000 * Decimal("22.5")) / 1_000_000


def test_a_tariff_survives_the_run_folder() -> None:
    tariff = price.tariff_for(at("openai:gpt-5.4"), NOV_2026, catalog=PACKAGED)
    assert tariff is not None
    assert price.Tariff.from_rows(json.loads(json.dumps(tariff.rows()))) == tariff
    assert price.Tariff.from_rows([]) is None


def test_a_tier_by_another_name_is_the_standard() -> None:
    tariff = price.tariff_for(at("openai:gpt-5"), NOV_2026, catalog=PACKAGED)
    assert tariff is not None
    assert tariff.price("default") == tariff.price(None)
    assert tariff.price("flex") != tariff.price(None)
