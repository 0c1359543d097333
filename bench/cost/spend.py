"""How much of the spending hangs on one provider."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal


def shares(usd_by_provider: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Each provider's part of the whole, largest first; empty where nothing was spent."""
    if any(usd < 0 for usd in usd_by_provider.values()):
        raise ValueError("spending must not be negative")
    total = sum(usd_by_provider.values(), Decimal(0))
    found = {name: usd / total for name, usd in usd_by_provider.items()} if total else {}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def hhi(usd_by_provider: Mapping[str, Decimal]) -> Decimal | None:
    """Herfindahl–Hirschman index of the spending, in (0, 1]: 1 = one provider, 1/n = n alike; None of no spending.

    1 / HHI is the number of equal providers that would be as concentrated. Times 10,000 it is the figure of
    competition law (2023 US merger guidelines: above 1,800 is highly concentrated).
    """
    found = shares(usd_by_provider)
    return sum((share * share for share in found.values()), Decimal(0)) if found else None
