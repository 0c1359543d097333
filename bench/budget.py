"""The allowance of a run: reserved on sending, settled on usage, never exceeded by more than one estimate is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from bench.errors import BudgetStop

if TYPE_CHECKING:
    from bench.catalog import Price
    from bench.records import Measurement, Request

CHARACTERS_PER_TOKEN = 3.3
"""Low on purpose, so that a reservation is rather too large: English prose has about 4, digits about 2.6."""


@dataclass(kw_only=True)
class Budget:
    """At most `max_usd` for everything sent through it; `None` = no limit."""

    max_usd: Decimal | None
    price: Price | None
    spent_usd: Decimal = Decimal(0)
    _reserved: dict[str, Decimal] = field(default_factory=dict)

    def reserve(self, request: Request) -> None:
        """Set aside the most this request can cost; BudgetStop when that does not fit what is left."""
        if self.max_usd is None:
            return
        worst = worst_usd(request, self.price)
        held = sum(self._reserved.values(), Decimal(0))
        if self.spent_usd + held + worst > self.max_usd:
            raise BudgetStop(
                f"the allowance of {self.max_usd} $ is used up: {self.spent_usd:.6f} $ spent, {held:.6f} $ under way, "
                f"the next request may cost {worst:.6f} $; run the same command with a higher --max-usd to go on"
            )
        self._reserved[request.request_id] = worst

    def settle(self, measurement: Measurement) -> None:
        """Replace the reservation by what the answer cost (its reservation, when the server gave no usage)."""
        if self.max_usd is None:
            return
        from bench.price import cost_usd  # here, because a run without an allowance never needs prices

        reserved = self._reserved.pop(measurement.request_id, Decimal(0))
        if measurement.provider_usd is not None:
            self.spent_usd += Decimal(measurement.provider_usd)
        elif self.price is not None and measurement.out_tokens is not None:
            self.spent_usd += cost_usd(self.price, measurement) or Decimal(0)
        elif measurement.sent_ns is not None:
            self.spent_usd += reserved


def worst_usd(request: Request, price: Price | None) -> Decimal:
    """The most one request can cost: its characters as input tokens, and its whole token cap as output."""
    if price is None:
        return Decimal(0)
    text = request.prompt or "".join(m.content for m in request.messages or ())
    in_tokens = Decimal(int(len(text) / CHARACTERS_PER_TOKEN) + 16)
    million = Decimal(1_000_000)
    return (
        in_tokens * (price.usd_per_mtok_in or 0) + Decimal(request.max_tokens) * (price.usd_per_mtok_out or 0)
    ) / million
