"""A node of one's own: its hour, its measured speed, and every price that follows from the two."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bench.cost import hosting, volume
from bench.cost.hosting import HOURS_PER_MONTH, SECONDS_PER_HOUR, Hourly, Power, Split
from bench.cost.mix import ARTIFICIAL_ANALYSIS, Mix


@dataclass(frozen=True, kw_only=True)
class Node:
    """GPUs that serve one model together."""

    hourly: Hourly
    """Under load."""
    out_tps: Decimal
    """Output tokens/s of the whole node at the highest load that keeps the SLO."""
    power: Power | None = None
    """Only where the owner pays for it."""
    prefill_tps: Decimal | None = None
    decode_tps: Decimal | None = None
    joules_per_token: Decimal | None = None
    """Measured on the boards, per output token."""

    def usd_per_hour(self, utilisation: Decimal = Decimal(1)) -> Decimal:
        """Less at a low utilisation where it is known what the node draws idle."""
        return self.hourly.total - self._busy * (1 - utilisation)

    def usd_per_mtok_out(self, utilisation: Decimal = Decimal(1)) -> Decimal:
        return hosting.usd_per_mtok_out(self.usd_per_hour(utilisation), self.out_tps, utilisation)

    def usd_per_mtok(self, utilisation: Decimal = Decimal(1), mix: Mix = ARTIFICIAL_ANALYSIS) -> Decimal:
        """Input and output together: what an API's blended price is compared with."""
        return self.usd_per_mtok_out(utilisation) / mix.per_out

    def energy_usd_per_mtok_out(self, utilisation: Decimal = Decimal(1)) -> Decimal | None:
        """Of the bill, what is electricity; None where a rent hides it."""
        if self.power is None:
            return None
        energy = self.hourly.energy - self._busy * (1 - utilisation)
        return hosting.usd_per_mtok_out(energy, self.out_tps, utilisation)

    def split(self, utilisation: Decimal, mix: Mix) -> Split | None:
        """An hour's bill between its input and its output tokens; None where P and D are not known."""
        if self.prefill_tps is None or self.decode_tps is None:
            return None
        out_tokens = self.out_tps * utilisation * SECONDS_PER_HOUR
        return hosting.split(
            self.usd_per_hour(utilisation),
            in_tokens=out_tokens * mix.in_parts / mix.out_parts * (1 - mix.cached_share),
            out_tokens=out_tokens,
            prefill_tps=self.prefill_tps,
            decode_tps=self.decode_tps,
        )

    def nodes(self, utilisation: Decimal, mix: Mix, most: int = 1) -> volume.Nodes:
        """Up to `most` of these, filled to `utilisation`; staff is paid once."""
        fixed = self.hourly.total - self.hourly.staff - self._busy
        busy_usd_per_mtok_out = hosting.usd_per_mtok_out(self._busy, self.out_tps)
        return volume.Nodes(
            node_usd_per_month=fixed * HOURS_PER_MONTH,
            once_usd_per_month=self.hourly.staff * HOURS_PER_MONTH,
            variable_usd_per_mtok=busy_usd_per_mtok_out / mix.per_out,
            node_mtok_per_month=volume.node_mtok_per_month(self.out_tps, utilisation, mix),
            most=most,
        )

    def break_even(self, api_usd_per_mtok: Decimal, utilisation: Decimal, mix: Mix, most: int = 1) -> volume.BreakEven:
        return volume.break_even(api_usd_per_mtok, self.nodes(utilisation, mix, most))

    def row(self, utilisation: Decimal, mix: Mix) -> dict[str, Any]:
        """Everything of one utilisation; money is Decimal, None = not known."""
        shared = self.split(utilisation, mix)
        hour = self.usd_per_hour(utilisation)
        energy = self.energy_usd_per_mtok_out(utilisation)
        whole = self.usd_per_mtok_out(utilisation)
        return {
            "utilisation": utilisation,
            "usd_per_hour": hour,
            "usd_per_mtok_out": whole,
            "usd_per_mtok_blended": whole / mix.per_out,
            "split_usd_per_mtok_in": shared.usd_per_mtok_in if shared else None,
            "split_usd_per_mtok_out": shared.usd_per_mtok_out if shared else None,
            "energy_usd_per_mtok_out": energy,
            "energy_share": None if energy is None or not whole else energy / whole,
            "capacity_mtok_per_month": volume.node_mtok_per_month(self.out_tps, utilisation, mix),
        }

    @property
    def _busy(self) -> Decimal:
        return self.power.busy_usd_per_hour if self.power is not None else Decimal(0)


def watts_measured(joules_per_token: Decimal, out_tps: Decimal) -> Decimal:
    """What the boards drew at that load: joules a second."""
    return joules_per_token * out_tps
