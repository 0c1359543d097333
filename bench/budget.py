"""The allowance of a run: reserved before a request is sent, settled by what its answer cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from bench.errors import BudgetStop, ConfigError

if TYPE_CHECKING:
    from bench.catalog import Price
    from bench.records import Measurement, Request

CHARACTERS_PER_TOKEN = 3.3
"""Low on purpose, so that a reservation is rather too large: English prose has about 4, digits about 2.6."""
TEMPLATE_TOKENS = 16
"""What a chat template adds to a prompt."""


@dataclass(kw_only=True)
class Budget:
    """At most `max_usd` for everything sent through it; `None` = no limit."""

    max_usd: Decimal | None
    price: Price | None
    spent_usd: Decimal = Decimal(0)
    _reserved: dict[str, Decimal] = field(default_factory=dict)

    def reserve(self, request: Request) -> bool:
        """Set aside the most this request can cost. False: wait until something under way is settled.

        BudgetStop when it would not fit even if all that is under way turned out to cost nothing.
        """
        if self.max_usd is None:
            return True
        worst = worst_usd(_text(request), request.max_tokens, self.price)
        if self.spent_usd + worst > self.max_usd:
            raise BudgetStop(
                f"the allowance of {self.max_usd} $ is used up: {self.spent_usd:.6f} $ spent, and the next request may "
                f"cost {worst:.6f} $; run the same command with a higher --max-usd to go on"
            )
        if self.spent_usd + worst + sum(self._reserved.values(), Decimal(0)) > self.max_usd:
            return False
        self._reserved[request.request_id] = worst
        return True

    def settle(self, measurement: Measurement) -> None:
        """Replace the reservation by what the attempt cost."""
        if self.max_usd is not None:
            reserved = self._reserved.pop(measurement.request_id, Decimal(0))
            self.spent_usd += cost_of(measurement, self.price, unknown=reserved)


def cost_of(measurement: Measurement, price: Price | None, *, unknown: Decimal) -> Decimal:
    """What one attempt cost [$]: the provider's own word, else usage times price, else nothing or `unknown`.

    Nothing where it was never sent, or refused with an HTTP status of its own; `unknown` where an answer had begun, or
    may have, and no usage came (a cut stream, a timeout, a killed process).
    """
    from bench.price import cost_usd  # here, because a run without an allowance never needs prices

    if measurement.provider_usd is not None:
        return Decimal(measurement.provider_usd)
    by_usage = cost_usd(price, measurement) if price is not None and measurement.out_tokens is not None else None
    if by_usage is not None:
        return by_usage
    refused = measurement.http_status not in (None, 200)
    never_sent = measurement.sent_ns is None and measurement.status != "cancelled"
    return Decimal(0) if refused or never_sent else unknown


def worst_usd(text: str, max_tokens: int, price: Price | None) -> Decimal:
    """The most one request can cost [$]: its characters as input tokens, and its whole token cap as output."""
    if price is None:
        return Decimal(0)
    in_tokens = Decimal(int(len(text) / CHARACTERS_PER_TOKEN) + TEMPLATE_TOKENS)
    return (in_tokens * price.usd_per_mtok_in + Decimal(max_tokens) * price.usd_per_mtok_out) / Decimal(1_000_000)


def dollars(text: str) -> Decimal:
    """An allowance as people type it; ConfigError unless it is a positive number."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount <= 0:
        raise ConfigError(f"--max-usd {text}: give a positive number of dollars, like 0.50")
    return amount


def _text(request: Request) -> str:
    return request.prompt or "".join(m.content for m in request.messages or ())
