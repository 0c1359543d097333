"""How much input comes with how much output, and the one price per million tokens that makes of a price list."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Protocol

from bench.errors import ConfigError

MILLION = Decimal(1_000_000)


class Prices(Protocol):
    """US dollars per million tokens; a `bench.catalog.Price` is one."""

    @property
    def usd_per_mtok_in(self) -> Decimal: ...
    @property
    def usd_per_mtok_cached(self) -> Decimal | None: ...
    @property
    def usd_per_mtok_out(self) -> Decimal: ...


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Parts of input and of output; only their ratio counts."""

    in_parts: Decimal = Decimal(3)
    out_parts: Decimal = Decimal(1)
    cached_share: Decimal = Decimal(0)
    """Of the input, read from the provider's cache."""

    def __post_init__(self) -> None:
        if self.in_parts < 0 or self.out_parts <= 0:
            raise ValueError(f"{self.in_parts}:{self.out_parts}: input must not be negative, output must be over 0")
        if not 0 <= self.cached_share <= 1:
            raise ValueError(f"cached share {self.cached_share}: must be in [0, 1]")

    def __str__(self) -> str:
        cached = f", {float(self.cached_share):.0%} of input cached" if self.cached_share else ""
        return f"{_short(self.in_parts)}:{_short(self.out_parts)}{cached}"

    @property
    def per_out(self) -> Decimal:
        """Tokens, input and output together, per token of output."""
        return (self.in_parts + self.out_parts) / self.out_parts

    @classmethod
    def parse(cls, text: str) -> Mix:
        """`IN:OUT`, or `IN:OUT:CACHED` with the share of input that a cache answers, in [0, 1]."""
        try:
            in_parts, out_parts, *rest = (Decimal(part.strip()) for part in text.split(":"))
            if len(rest) > 1 or not all(part.is_finite() for part in (in_parts, out_parts, *rest)):
                raise ValueError("not IN:OUT")
            return cls(in_parts=in_parts, out_parts=out_parts, cached_share=rest[0] if rest else Decimal(0))
        except (ValueError, InvalidOperation) as error:
            raise ConfigError(
                f"--mix {text!r}: write input:output like 3:1 (output over 0), or 3:1:0.5 with half of the input cached"
            ) from error

    @classmethod
    def measured(cls, in_tokens: int, out_tokens: int, in_cached_tokens: int = 0) -> Mix | None:
        """What was really sent and answered; None where nothing was answered."""
        if out_tokens <= 0 or in_tokens < 0:
            return None
        share = Decimal(min(in_cached_tokens, in_tokens)) / in_tokens if in_tokens else Decimal(0)
        return cls(in_parts=Decimal(in_tokens), out_parts=Decimal(out_tokens), cached_share=share)


ARTIFICIAL_ANALYSIS = Mix()
"""3:1, none of it cached: the convention of artificialanalysis.ai, so that prices can be compared with theirs."""


def blended_usd_per_mtok(price: Prices, mix: Mix = ARTIFICIAL_ANALYSIS) -> Decimal:
    """US dollars per million tokens, input and output together.

    Cached input costs what input costs where no price of its own is known, so the figure is rather too high.
    """
    cached = price.usd_per_mtok_in if price.usd_per_mtok_cached is None else price.usd_per_mtok_cached
    usd_in = (1 - mix.cached_share) * price.usd_per_mtok_in + mix.cached_share * cached
    return (mix.in_parts * usd_in + mix.out_parts * price.usd_per_mtok_out) / (mix.in_parts + mix.out_parts)


def _short(number: Decimal) -> str:
    return f"{float(number):.6g}"
