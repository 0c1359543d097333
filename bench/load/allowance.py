"""What a load may spend, and what it has spent.

Settled by each row; what is under way counts at the most it can cost. Looked at ten times a second, so a load stops at
most a tenth of a second of arrivals late.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.errors import BudgetStop

if TYPE_CHECKING:
    from bench.catalog import Price
    from bench.load.arrivals import Arrivals
    from bench.load.shapes import Shape

UNANSWERED = ("http_error", "connect_error")


class Counts(NamedTuple):
    """What prices are applied to."""

    in_tokens: int | None
    out_tokens: int | None
    in_cached_tokens: int | None = None
    in_cache_write_tokens: int | None = None


@dataclass(kw_only=True)
class Allowance:
    """At most `max_usd` for one run; None = no limit, and only the sum is kept."""

    price: Price | None
    max_usd: Decimal | None = None
    spent_usd: Decimal = Decimal(0)

    def settle(self, row: dict[str, Any]) -> None:
        """The provider's own word, else usage times price, else the most it can have cost."""
        told = row.get("provider_usd")
        try:
            usd = Decimal(told) if told is not None else self._by_usage(row)
        except InvalidOperation:
            usd = self._by_usage(row)
        self.spent_usd += usd

    def _by_usage(self, row: dict[str, Any]) -> Decimal:
        if self.price is None or row["status"] in UNANSWERED:
            return Decimal(0)
        from bench.price import cost_usd

        usage = Counts(*(row.get(name) for name in Counts._fields))
        usd = cost_usd(self.price, usage)
        asked = Counts(row.get("asked_in_tokens") or row.get("in_tokens") or 0, row.get("asked_out_tokens") or 0)
        return usd if usd is not None else cost_usd(self.price, asked) or Decimal(0)

    def per_request_usd(self, shape: Shape) -> Decimal:
        """Of a typical request of the shape."""
        return self._of(round(shape.prompt.median), round(shape.answer.median))

    def _of(self, in_tokens: int, out_tokens: int) -> Decimal:
        from bench.price import cost_usd

        found = cost_usd(self.price, Counts(in_tokens, out_tokens)) if self.price is not None else None
        return found or Decimal(0)

    def used_up(self, under_way: int, shape: Shape) -> bool:
        """Whether what is spent and the most that is under way reach the limit."""
        if self.max_usd is None:
            return False
        return self.spent_usd + under_way * self._of(shape.prompt.most, shape.answer.most) >= self.max_usd

    def check(self, arrivals: Arrivals, shape: Shape) -> None:
        """BudgetStop for a step whose requests under way alone may cost what is left."""
        streams = arrivals.concurrency or 1
        if self.used_up(streams, shape):
            most = streams * self._of(shape.prompt.most, shape.answer.most)
            raise BudgetStop(
                f"{arrivals}: {streams} requests under way may cost up to {most:.4f} $, and of {self.max_usd} $ "
                f"{self.spent_usd:.4f} $ are spent; raise --max-usd, or ask for fewer or shorter ones"
            )

    def check_calibration(self, in_tokens: int, out_tokens: int) -> None:
        """BudgetStop when the few requests before a load may cost more than there is."""
        most = self._of(in_tokens, out_tokens)
        if self.max_usd is not None and most > self.max_usd:
            told = f"the requests that calibrate a load may cost up to {most:.4f} $"
            raise BudgetStop(f"{told}, over --max-usd {self.max_usd}; nothing was sent")

    def stop(self) -> BudgetStop:
        return BudgetStop(
            f"the allowance of {self.max_usd} $ is used up: {self.spent_usd:.6f} $ spent; what was measured is kept, "
            "a load with a higher --max-usd begins anew"
        )
