"""From how many tokens a month an own node is cheaper than an API, in whole nodes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Literal

from bench.cost.hosting import HOURS_PER_MONTH, SECONDS_PER_HOUR
from bench.cost.mix import MILLION, Mix

State = Literal["reached", "infeasible", "never"]


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """Self-hosting as it is paid for: whole nodes, each with a ceiling."""

    node_usd_per_month: Decimal
    """Of each node, whether or not anybody asks."""
    once_usd_per_month: Decimal = Decimal(0)
    """Whatever the number of nodes: staff."""
    variable_usd_per_mtok: Decimal = Decimal(0)
    """What each further million tokens, input and output together, adds: the energy of load."""
    node_mtok_per_month: Decimal
    """The most that one node makes, in million tokens, input and output together: S x U over a month."""
    most: int = 1
    """Nodes that can be had."""

    def __post_init__(self) -> None:
        if self.node_mtok_per_month <= 0 or self.most < 1:
            raise ValueError(f"{self.most} nodes of {self.node_mtok_per_month} M tokens a month: both must be over 0")

    def needed(self, mtok_per_month: Decimal) -> int:
        """Whole nodes for that volume; one stands there even if nobody asks."""
        return max(1, _whole(mtok_per_month / self.node_mtok_per_month))

    def fixed_usd(self, nodes: int) -> Decimal:
        return nodes * self.node_usd_per_month + self.once_usd_per_month

    def usd_per_month(self, mtok_per_month: Decimal) -> Decimal | None:
        """The bill of a month; None above what all nodes can make."""
        nodes = self.needed(mtok_per_month)
        if nodes > self.most:
            return None
        return self.fixed_usd(nodes) + mtok_per_month * self.variable_usd_per_mtok


def node_mtok_per_month(out_tps: Decimal, utilisation: Decimal, mix: Mix) -> Decimal:
    """Million tokens, input and output together, that a node of `out_tps` output tokens/s makes in a month."""
    return out_tps * utilisation * SECONDS_PER_HOUR * HOURS_PER_MONTH / MILLION * mix.per_out


@dataclass(frozen=True, kw_only=True)
class BreakEven:
    """Where the two bills meet, or why they don't."""

    state: State
    mtok_per_month: Decimal | None
    """The smallest volume at which own nodes are not dearer; None unless `reached`."""
    nodes: int | None
    utilisation_of_capacity: Decimal | None
    """Of what these nodes can make, the share that this volume is."""
    always_from_mtok: Decimal | None
    """From here on no further node makes it dearer again, within the nodes there are."""
    reason: str


def break_even(api_usd_per_mtok: Decimal, nodes: Nodes) -> BreakEven:
    """Monthly fixed cost over (API's blended price - what a token adds here), for the fewest nodes that can make it.

    A further node is a step up: between the first volume and `always_from_mtok` own nodes may be dearer for a while.
    """
    margin = api_usd_per_mtok - nodes.variable_usd_per_mtok
    if margin <= 0:
        told = (
            f"the API asks {_usd(api_usd_per_mtok)} $/M, and a token adds {_usd(nodes.variable_usd_per_mtok)} $/M here"
        )
        return _not("never", f"{told}: no volume pays for a machine")
    saved_full = nodes.node_mtok_per_month * margin
    for n in range(1, nodes.most + 1):
        volume = nodes.fixed_usd(n) / margin
        if volume <= n * nodes.node_mtok_per_month:
            return BreakEven(
                state="reached",
                mtok_per_month=volume,
                nodes=n,
                utilisation_of_capacity=volume / (n * nodes.node_mtok_per_month),
                always_from_mtok=_always_from(n, volume, margin, nodes),
                reason=f"{n} {'node' if n == 1 else 'nodes'}, {_usd(nodes.fixed_usd(n))} $ a month",
            )
    full = (
        f"a full node saves {_usd(saved_full)} $ of the API's bill a month and costs {_usd(nodes.node_usd_per_month)} $"
    )
    if saved_full <= nodes.node_usd_per_month:
        return _not("infeasible", f"{full}: above the capacity of any number of nodes")
    enough = _whole(nodes.once_usd_per_month / (saved_full - nodes.node_usd_per_month))
    have = f"{nodes.most} {'node' if nodes.most == 1 else 'nodes'}"
    return _not("infeasible", f"above the capacity of {have} ({full}); {enough} would do")


def _always_from(first: int, volume: Decimal, margin: Decimal, nodes: Nodes) -> Decimal:
    """After the last step up that makes own nodes dearer than the API again."""
    found = volume
    for n in range(first + 1, nodes.most + 1):
        begins = (n - 1) * nodes.node_mtok_per_month
        if begins * margin >= nodes.fixed_usd(n):
            break
        found = nodes.fixed_usd(n) / margin
    return found


def _whole(ratio: Decimal) -> int:
    """The next whole number; what the last digits of a division add is no further node."""
    return ceil(ratio * (1 - Decimal("1e-20")))


def _not(state: State, reason: str) -> BreakEven:
    return BreakEven(
        state=state, mtok_per_month=None, nodes=None, utilisation_of_capacity=None, always_from_mtok=None, reason=reason
    )


def _usd(usd: Decimal) -> str:
    return f"{float(usd):,.4g}" if abs(usd) < 1000 else f"{float(usd):,.0f}"
