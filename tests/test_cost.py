"""The money: hand-computed tables, GAP section 8's check values, and what must hold for all figures."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cost import hosting, spend
from bench.cost.asked import Asked, Drawn, amount, machine, utilisations
from bench.cost.hosting import Hourly, Power, owned, rented, split, usd_per_mtok_out
from bench.cost.mix import Mix, blended_usd_per_mtok
from bench.cost.node import Node
from bench.cost.volume import Nodes, break_even, node_mtok_per_month
from bench.errors import ConfigError

D = Decimal
some_usd = st.decimals(min_value="0.01", max_value="100000", places=4)
rates = st.decimals(min_value="0.1", max_value="100000", places=2)
shares = st.decimals(min_value="0.01", max_value="1", places=3)


class Listed:
    """A price list."""

    def __init__(self, usd_in: str, usd_out: str, cached: str | None = None) -> None:
        self.usd_per_mtok_in, self.usd_per_mtok_out = D(usd_in), D(usd_out)
        self.usd_per_mtok_cached = None if cached is None else D(cached)


@pytest.fixture
def h100() -> Hourly:
    """GAP section 8's check: 30,000 $ x 1.5, 15% residual, 4 years, 945 W, PUE 1.3, 0.12 $/kWh."""
    power = Power(watts=D(945), usd_per_kwh=D("0.12"), pue=D("1.3"))
    return owned(D(30_000), years=D(4), power=power, server_factor=D("1.5"), residual=D("0.15"))


# ---------------------------------------------------------------------------------------------------------------- mix


def test_a_blended_price_at_three_to_one_is_artificial_analysis_own() -> None:
    assert blended_usd_per_mtok(Listed("2.5", "10")) == D("4.375")  # GPT-4o on artificialanalysis.ai
    assert blended_usd_per_mtok(Listed("0.15", "0.6")) == D("0.2625")


def test_cached_input_is_blended_at_its_own_price_or_at_that_of_input() -> None:
    mix = Mix.parse("3:1:0.5")
    assert blended_usd_per_mtok(Listed("2", "8", "0.5"), mix) == (3 * D("1.25") + 8) / 4
    assert blended_usd_per_mtok(Listed("2", "8"), mix) == D("3.5")


def test_the_measured_mix_is_what_was_sent_and_answered() -> None:
    mix = Mix.measured(900, 100, 450)
    assert mix is not None
    assert (mix.in_parts / mix.out_parts, mix.cached_share) == (9, D("0.5"))
    assert Mix.measured(900, 0) is None


@pytest.mark.parametrize("text", ["3", "a:b", "3:0", "-1:1", "3:1:2", "3:1:0:0", "nan:1", "inf:1", ""])
def test_a_mix_that_means_nothing_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match="--mix"):
        Mix.parse(text)


# ------------------------------------------------------------------------------------------------------------- hosting


def test_the_check_values_of_the_method_come_out_exactly(h100: Hourly) -> None:
    assert round(h100.capital, 4) == D("1.1558")
    assert round(h100.energy, 4) == D("0.1474")
    assert round(h100.total, 4) == D("1.3032")
    assert round(usd_per_mtok_out(h100.total, D(2500), D("0.5")), 4) == D("0.2896")


def test_rent_is_per_gpu_and_what_is_paid_by_the_month_per_hour() -> None:
    hourly = rented(D("2.95"), gpus=8, storage_usd_per_month=D(730), staff_usd_per_month=D(1460))
    assert (hourly.rent, hourly.storage, hourly.staff) == (D("23.60"), 1, 2)
    assert hourly.total == D("26.60")
    assert hourly.energy_share is None  # the landlord's


@given(some_usd, some_usd, some_usd)
def test_the_parts_of_an_hour_are_its_total(capital: Decimal, energy: Decimal, staff: Decimal) -> None:
    hourly = Hourly(capital=capital, energy=energy, staff=staff)
    assert hourly.total == capital + energy + staff
    assert hourly.energy_share == energy / hourly.total


@given(some_usd, rates, shares, shares)
def test_more_utilisation_is_never_dearer(usd: Decimal, tps: Decimal, one: Decimal, other: Decimal) -> None:
    low, high = sorted((one, other))
    assert usd_per_mtok_out(usd, tps, high) <= usd_per_mtok_out(usd, tps, low)


@given(some_usd, rates, shares, st.integers(2, 50))
def test_prices_scale_with_the_bill_and_against_the_speed(usd: Decimal, tps: Decimal, u: Decimal, k: int) -> None:
    plain = usd_per_mtok_out(usd, tps, u)
    assert usd_per_mtok_out(usd * k, tps, u) == pytest.approx(plain * k)
    assert usd_per_mtok_out(usd, tps * k, u) == pytest.approx(plain / k)


@given(some_usd, rates, rates, rates, rates)
def test_prefill_and_decode_add_up_to_the_bill_exactly(
    bill: Decimal, tokens_in: Decimal, tokens_out: Decimal, prefill: Decimal, decode: Decimal
) -> None:
    found = split(bill, in_tokens=tokens_in, out_tokens=tokens_out, prefill_tps=prefill, decode_tps=decode)
    assert found.in_usd + found.out_usd == bill
    assert found.in_usd >= 0
    assert found.out_usd >= 0
    assert found.usd_per_mtok_in is not None
    assert found.usd_per_mtok_out is not None
    parts = found.usd_per_mtok_in * found.in_mtok + found.usd_per_mtok_out * found.out_mtok
    assert float(parts) == pytest.approx(float(bill), rel=1e-12)


def test_a_split_by_hand() -> None:
    """30,000 in at 10,000/s are 3 s, 1,000 out at 1,000/s one: three quarters of a dollar are the input's."""
    found = split(D(1), in_tokens=D(30_000), out_tokens=D(1_000), prefill_tps=D(10_000), decode_tps=D(1_000))
    assert (found.in_usd, found.out_usd) == (D("0.75"), D("0.25"))
    assert (found.usd_per_mtok_in, found.usd_per_mtok_out) == (25, 250)


def test_two_shapes_tell_prefill_from_decode() -> None:
    """A node of P = 20,000 and D = 4,000 under 1:1 and under 9:1."""
    loads = [(r * out, out) for r in (1, 9) if (out := 1 / (r / 20_000 + 1 / 4_000))]
    assert hosting.rates_from_shapes(loads) == pytest.approx((20_000, 4_000))
    assert hosting.rates_from_shapes(loads[:1]) is None
    assert hosting.rates_from_shapes([loads[0], loads[0]]) is None


def test_energy_of_a_token_by_hand() -> None:
    """0.36 J a token are 0.1 kWh a million; at PUE 1.3 and 0.12 $/kWh 0.0156 $."""
    assert hosting.energy_usd_per_mtok_out(D("0.36"), D("0.12"), D("1.3")) == D("0.0156")


# ----------------------------------------------------------------------------------------------------------------- node


@settings(max_examples=50)
@given(shares, shares, st.integers(0, 900))
def test_a_node_that_idles_cheaper_is_still_never_dearer_when_used_more(
    one: Decimal, other: Decimal, idle: int
) -> None:
    power = Power(watts=D(900), usd_per_kwh=D("0.2"), idle_watts=D(idle))
    node = Node(hourly=Hourly(capital=D(1), energy=power.usd_per_hour()), out_tps=D(1000), power=power)
    low, high = sorted((one, other))
    assert node.usd_per_mtok_out(high) <= node.usd_per_mtok_out(low)
    energy = node.energy_usd_per_mtok_out(high)
    assert energy is not None
    assert energy < node.usd_per_mtok_out(high)


def test_idle_watts_are_paid_by_the_month_and_the_rest_by_the_token() -> None:
    """1,000 W under load, 400 idle, 0.5 $/kWh: 0.2 $/h fixed; 0.3 $/h of load over 3.6 M tokens an hour."""
    power = Power(watts=D(1000), usd_per_kwh=D("0.5"), idle_watts=D(400))
    node = Node(hourly=Hourly(capital=D(1), energy=D("0.5"), staff=D(2)), out_tps=D(1000), power=power)
    nodes = node.nodes(D(1), Mix(in_parts=D(0)))
    assert nodes.node_usd_per_month == D("1.2") * 730
    assert nodes.once_usd_per_month == 2 * 730
    assert nodes.variable_usd_per_mtok == pytest.approx(D("0.3") / D("3.6"))
    full = nodes.usd_per_month(nodes.node_mtok_per_month)
    assert full is not None
    assert full == pytest.approx(node.hourly.total * 730)


def test_a_row_of_a_node_adds_up() -> None:
    node = Node(hourly=Hourly(rent=D(2)), out_tps=D(1000), prefill_tps=D(10_000), decode_tps=D(2_000))
    row = node.row(D("0.5"), Mix())
    assert row["usd_per_mtok_out"] == usd_per_mtok_out(D(2), D(1000), D("0.5"))
    assert 3 * row["split_usd_per_mtok_in"] + row["split_usd_per_mtok_out"] == pytest.approx(row["usd_per_mtok_out"])
    assert row["usd_per_mtok_blended"] == row["usd_per_mtok_out"] / 4
    assert row["energy_share"] is None


# --------------------------------------------------------------------------------------------------------------- volume


def test_break_even_is_fixed_cost_over_what_a_token_saves() -> None:
    found = break_even(D(5), Nodes(node_usd_per_month=D(1000), variable_usd_per_mtok=D(1), node_mtok_per_month=D(500)))
    assert (found.state, found.mtok_per_month, found.nodes) == ("reached", 250, 1)
    assert (found.utilisation_of_capacity, found.always_from_mtok) == (D("0.5"), 250)


def test_an_api_cheaper_than_a_token_here_is_never_dearer() -> None:
    nodes = Nodes(node_usd_per_month=D(1000), variable_usd_per_mtok=D(1), node_mtok_per_month=D(500), most=9)
    for usd in ("0.5", "1"):
        found = break_even(D(usd), nodes)
        assert (found.state, found.mtok_per_month) == ("never", None)
        assert "no volume pays for a machine" in found.reason


def test_a_break_even_above_the_capacity_says_so() -> None:
    """1,000 $ at 1.5 $/M are 667 M tokens, and a node makes 500."""
    nodes = Nodes(node_usd_per_month=D(1000), node_mtok_per_month=D(500), most=4)
    found = break_even(D("1.5"), nodes)
    assert (found.state, found.mtok_per_month) == ("infeasible", None)
    assert "above the capacity of any number of nodes" in found.reason


def test_staff_is_paid_once_so_that_more_nodes_may_reach_it() -> None:
    """Each node saves 500 $ when full; 1,000 $ of staff need two."""
    nodes = Nodes(
        node_usd_per_month=D(1000), once_usd_per_month=D(1000), node_mtok_per_month=D(1000), most=3
    )  # fmt: skip
    found = break_even(D("1.5"), nodes)
    assert (found.state, found.nodes, found.mtok_per_month) == ("reached", 2, 2000)
    one = break_even(D("1.5"), Nodes(**{**vars(nodes), "most": 1}))
    assert one.state == "infeasible"
    assert "2 would do" in one.reason


def test_a_further_node_makes_it_dearer_again_for_a_while() -> None:
    """1,000 $ a node of 1,000 M at 1.5 $/M: 667 M; the second node from 1,000 M on is only paid at 1,333 M."""
    found = break_even(D("1.5"), Nodes(node_usd_per_month=D(1000), node_mtok_per_month=D(1000), most=5))
    assert found.mtok_per_month == pytest.approx(D(2000) / 3)
    assert found.always_from_mtok == pytest.approx(D(4000) / 3)


@settings(max_examples=200)
@given(some_usd, some_usd, some_usd, rates, st.integers(1, 5), rates)
def test_at_the_break_even_the_bills_meet_and_before_it_the_api_is_cheaper(
    fixed: Decimal, once: Decimal, variable: Decimal, capacity: Decimal, most: int, api: Decimal
) -> None:
    nodes = Nodes(
        node_usd_per_month=fixed,
        once_usd_per_month=once,
        variable_usd_per_mtok=variable,
        node_mtok_per_month=capacity,
        most=most,
    )
    found = break_even(api, nodes)
    if found.mtok_per_month is None:
        for k in range(1, most + 1):
            bill = nodes.usd_per_month(k * capacity)
            assert bill is not None
            assert bill > k * capacity * api
        return
    assert found.mtok_per_month > 0
    assert found.nodes is not None
    bill = nodes.fixed_usd(found.nodes) + found.mtok_per_month * variable
    assert float(bill) == pytest.approx(float(found.mtok_per_month * api), rel=1e-9)
    for share in ("0.1", "0.5", "0.99"):
        before = found.mtok_per_month * D(share)
        owned_bill = nodes.usd_per_month(before)
        assert owned_bill is not None
        assert owned_bill > before * api
    assert found.always_from_mtok is not None
    assert found.always_from_mtok >= found.mtok_per_month


def test_what_a_node_makes_in_a_month() -> None:
    """1,000 tokens/s at half over 730 h: 1,314 M of output, four times that with 3:1 of input."""
    assert node_mtok_per_month(D(1000), D("0.5"), Mix(in_parts=D(0))) == 1314
    assert node_mtok_per_month(D(1000), D("0.5"), Mix()) == 5256


def test_above_all_nodes_there_is_no_bill() -> None:
    nodes = Nodes(node_usd_per_month=D(10), node_mtok_per_month=D(100), most=2)
    assert [nodes.needed(D(v)) for v in ("0", "100", "100.1", "200", "201")] == [1, 1, 2, 2, 3]
    assert [nodes.usd_per_month(D(v)) for v in ("100", "200", "201")] == [10, 20, None]


# ---------------------------------------------------------------------------------------------------------------- spend


def test_concentration_of_spending() -> None:
    assert spend.hhi({"a": D(5), "b": D(3), "c": D(2)}) == D("0.38")
    assert spend.hhi({"a": D(7)}) == 1
    assert spend.hhi({}) is None
    assert spend.hhi({"a": D(0)}) is None
    assert list(spend.shares({"a": D(1), "b": D(3)}).items()) == [("b", D("0.75")), ("a", D("0.25"))]


# ---------------------------------------------------------------------------------------------------------------- asked


def boards():  # type: ignore[no-untyped-def]
    from bench.catalog import load

    return load().gpus


def test_a_board_of_the_catalogue_is_rented_at_its_typical_price_and_says_the_spread() -> None:
    found = machine(Asked(gpu="h100-sxm", gpus=2), boards())
    assert found.hourly.rent == 2 * boards()["h100-sxm"].rent.typical_usd_h
    assert "between hosts" in found.notes[0]
    assert found.power is None


def test_a_board_bought_draws_its_rated_power_and_the_servers_share() -> None:
    found = machine(Asked(gpu="h100-sxm", own=True, usd_per_kwh=D("0.12"), pue=D("1.3")), boards())
    assert found.power is not None
    assert found.power.watts == 945  # 700 W x 1.35, the method's check value
    measured = machine(
        Asked(gpu="h100-sxm", own=True, usd_per_kwh=D("0.12")), boards(), measured=Drawn(watts=D(600), idle_watts=D(90))
    )
    assert measured.power is not None
    assert (measured.power.watts, measured.power.idle_watts) == (600, 90)
    assert any("measured" in note for note in measured.notes)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(gpu="h100"), "h100-sxm"),
        (Asked(gpu="b200"), "--rent low"),
        (Asked(gpu="h100-sxm", rent="cheap"), "--rent 'cheap'"),
        (Asked(gpu="t4"), "--usd-per-hour"),
        (Asked(gpu="t4", own=True), "--capex"),
        (Asked(usd_per_hour=D(1), capex=D(1)), "one of them"),
        (Asked(capex=D(1000), usd_per_kwh=D("0.1")), "--watts"),
        (Asked(), "--gpu NAME"),
    ],
)
def test_what_cannot_be_costed_is_refused_with_the_way_out(asked: Asked, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        machine(asked, boards())


def test_numbers_as_people_type_them() -> None:
    assert amount("--x", "0.12") == D("0.12")
    assert utilisations("0.2, 1,0.2") == (1, D("0.2"))
    for text in ("", "x", "-1", "nan", "inf", None):
        with pytest.raises(ConfigError, match="--x"):
            amount("--x", text)
    for text in ("0", "1.5", "0.5;0.2"):
        with pytest.raises(ConfigError, match="--utilisation"):
            utilisations(text)
