"""An hour of a rented or owned node, and what that makes a million tokens cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from decimal import Decimal

from bench.cost.mix import MILLION, Mix

HOURS_PER_YEAR = Decimal(8760)
HOURS_PER_MONTH = HOURS_PER_YEAR / 12
SECONDS_PER_HOUR = 3600
JOULES_PER_KWH = Decimal(3_600_000)
UTILISATIONS = (Decimal(1), Decimal("0.5"), Decimal("0.2"))
"""Shares of the measured throughput that are really used, over day and night."""


@dataclass(frozen=True, kw_only=True)
class Power:
    """What a node draws and what a kilowatt-hour costs."""

    watts: Decimal
    """Of the node under load, all its GPUs."""
    usd_per_kwh: Decimal
    pue: Decimal = Decimal(1)
    """What the building draws per watt of the machine."""
    idle_watts: Decimal | None = None
    """Drawn without requests; None = nothing is known, and the node is taken to draw `watts` day and night."""

    def usd_per_hour(self, watts: Decimal | None = None) -> Decimal:
        return (self.watts if watts is None else watts) / 1000 * self.pue * self.usd_per_kwh

    @property
    def idle_usd_per_hour(self) -> Decimal:
        """What flows whether or not anybody asks."""
        return self.usd_per_hour(self.watts if self.idle_watts is None else min(self.idle_watts, self.watts))

    @property
    def busy_usd_per_hour(self) -> Decimal:
        """What load adds to it."""
        return self.usd_per_hour() - self.idle_usd_per_hour


@dataclass(frozen=True, kw_only=True)
class Hourly:
    """US dollars per hour of one node under load, by what they are for; `total` is their sum and nothing else."""

    rent: Decimal = Decimal(0)
    """Energy included: the landlord pays for it."""
    capital: Decimal = Decimal(0)
    energy: Decimal = Decimal(0)
    storage: Decimal = Decimal(0)
    colocation: Decimal = Decimal(0)
    staff: Decimal = Decimal(0)

    @property
    def total(self) -> Decimal:
        return sum((part for _, part in self.parts()), Decimal(0))

    def parts(self) -> list[tuple[str, Decimal]]:
        return [(field.name, getattr(self, field.name)) for field in fields(self)]

    @property
    def energy_share(self) -> Decimal | None:
        """Of the whole; None where a rent hides it."""
        return None if self.rent or not self.total else self.energy / self.total


def rented(
    usd_per_gpu_hour: Decimal,
    *,
    gpus: int = 1,
    storage_usd_per_month: Decimal = Decimal(0),
    colocation_usd_per_month: Decimal = Decimal(0),
    staff_usd_per_month: Decimal = Decimal(0),
) -> Hourly:
    """Rent x GPUs + storage, and what else was said to be paid."""
    return Hourly(
        rent=usd_per_gpu_hour * gpus,
        storage=storage_usd_per_month / HOURS_PER_MONTH,
        colocation=colocation_usd_per_month / HOURS_PER_MONTH,
        staff=staff_usd_per_month / HOURS_PER_MONTH,
    )


def owned(
    capex_usd: Decimal,
    *,
    years: Decimal,
    power: Power | None,
    gpus: int = 1,
    server_factor: Decimal = Decimal(1),
    residual: Decimal = Decimal(0),
    storage_usd_per_month: Decimal = Decimal(0),
    colocation_usd_per_month: Decimal = Decimal(0),
    staff_usd_per_month: Decimal = Decimal(0),
) -> Hourly:
    """(capex x server factor - residual)/(years x 8760) + W/1000 x PUE x $/kWh + colocation + staff (GAP section 8).

    `capex_usd` is the price of one GPU and `server_factor` what the machine around it makes of that; `residual` is the
    share of the GPU's own price that it is sold for at the end. `power` is the whole node's.
    """
    if years <= 0:
        raise ValueError(f"years {years}: must be over 0")
    written_off = (capex_usd * server_factor - capex_usd * residual) * gpus
    return Hourly(
        capital=written_off / (years * HOURS_PER_YEAR),
        energy=Decimal(0) if power is None else power.usd_per_hour(),
        storage=storage_usd_per_month / HOURS_PER_MONTH,
        colocation=colocation_usd_per_month / HOURS_PER_MONTH,
        staff=staff_usd_per_month / HOURS_PER_MONTH,
    )


def usd_per_mtok_out(usd_per_hour: Decimal, out_tps: Decimal, utilisation: Decimal = Decimal(1)) -> Decimal:
    """h x 10^6 / (3600 x S x U): all of the bill on the output tokens.

    S = output tokens/s of the node at the highest load that still keeps the SLO; U = the share of it that is used.
    """
    _check(out_tps, utilisation)
    return usd_per_hour * MILLION / (SECONDS_PER_HOUR * out_tps * utilisation)


def usd_per_mtok(usd_per_hour: Decimal, out_tps: Decimal, utilisation: Decimal, mix: Mix) -> Decimal:
    """The same on input and output together, as an API's blended price counts."""
    return usd_per_mtok_out(usd_per_hour, out_tps, utilisation) / mix.per_out


def energy_usd_per_mtok_out(joules_per_token: Decimal, usd_per_kwh: Decimal, pue: Decimal = Decimal(1)) -> Decimal:
    """Electricity of a million output tokens at a measured energy per token."""
    return joules_per_token * MILLION / JOULES_PER_KWH * pue * usd_per_kwh


@dataclass(frozen=True, kw_only=True)
class Split:
    """A bill shared between the input and the output tokens it paid for; the two add up to it exactly."""

    bill_usd: Decimal
    in_usd: Decimal
    in_mtok: Decimal
    out_mtok: Decimal

    @property
    def out_usd(self) -> Decimal:
        return self.bill_usd - self.in_usd

    @property
    def usd_per_mtok_in(self) -> Decimal | None:
        return self.in_usd / self.in_mtok if self.in_mtok else None

    @property
    def usd_per_mtok_out(self) -> Decimal | None:
        return self.out_usd / self.out_mtok if self.out_mtok else None


def split(
    bill_usd: Decimal, *, in_tokens: Decimal, out_tokens: Decimal, prefill_tps: Decimal, decode_tps: Decimal
) -> Split:
    """By the time each kind keeps the node busy: tokens in / P against tokens out / D, idle time in proportion.

    P and D are what the node can do of one kind alone [tokens/s].
    """
    if min(prefill_tps, decode_tps) <= 0 or min(in_tokens, out_tokens) < 0 or not in_tokens + out_tokens:
        raise ValueError(f"rates {prefill_tps}, {decode_tps} must be over 0, and {in_tokens}, {out_tokens} some tokens")
    prefill_s, decode_s = in_tokens / prefill_tps, out_tokens / decode_tps
    return Split(
        bill_usd=bill_usd,
        in_usd=bill_usd * prefill_s / (prefill_s + decode_s),
        in_mtok=in_tokens / MILLION,
        out_mtok=out_tokens / MILLION,
    )


def out_tps_at(mix: Mix, prefill_tps: Decimal, decode_tps: Decimal) -> Decimal:
    """Output tokens/s of a node that must prefill its mix's input too: 1 / (r/P + 1/D), r = input per output token."""
    return 1 / (mix.in_parts / mix.out_parts * (1 - mix.cached_share) / prefill_tps + 1 / decode_tps)


def rates_from_shapes(tps: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """(P, D) of a node from (input, output) tokens/s of full loads of two or more shapes; None = they don't tell.

    A full node is busy all the time: in/P + out/D = 1 for every shape, least squares over relative errors.
    """
    n = len(tps)
    if n < 2:
        return None
    aa, ab, bb = (sum(x * y for x, y in pairs) for pairs in _products(tps))
    a, b = sum(i for i, _ in tps), sum(o for _, o in tps)
    determinant = aa * bb - ab * ab
    if determinant <= 1e-6 * aa * bb:
        return None  # the same shape twice
    per_in, per_out = (a * bb - b * ab) / determinant, (b * aa - a * ab) / determinant
    return (1 / per_in, 1 / per_out) if per_in > 0 and per_out > 0 else None


def _products(tps: Sequence[tuple[float, float]]) -> tuple[list[tuple[float, float]], ...]:
    return [(i, i) for i, _ in tps], list(tps), [(o, o) for _, o in tps]


def _check(out_tps: Decimal, utilisation: Decimal) -> None:
    if out_tps <= 0:
        raise ValueError(f"{out_tps} tokens/s: must be over 0")
    if not 0 < utilisation <= 1:
        raise ValueError(f"utilisation {utilisation}: must be over 0 and at most 1")
