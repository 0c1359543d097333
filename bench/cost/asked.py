"""A node as somebody types it: a board's name, a rent or a purchase -> what its hour costs, and why so much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from bench.catalog.nouns import Gpu
from bench.cost.hosting import UTILISATIONS, Hourly, Power, owned, rented
from bench.errors import ConfigError, nearest

SERVER_WATTS = Decimal("1.35")
"""What a server draws per watt of its GPUs' rated power (700 W boards: 945 W), where nothing was measured or given."""
YEARS = Decimal(4)
RENTS = ("low", "typical", "high", "marketplace")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was typed; US dollars, watts and prices per GPU unless a name says otherwise."""

    gpu: str | None = None
    gpus: int = 1
    """Of one node."""
    rent: str = "typical"
    own: bool = False
    usd_per_hour: Decimal | None = None
    capex: Decimal | None = None
    server_factor: Decimal = Decimal(1)
    residual: Decimal = Decimal(0)
    years: Decimal = YEARS
    watts: Decimal | None = None
    idle_watts: Decimal | None = None
    pue: Decimal = Decimal(1)
    usd_per_kwh: Decimal | None = None
    colocation_usd_per_month: Decimal = Decimal(0)
    """Of the node."""
    storage_usd_per_month: Decimal = Decimal(0)
    staff_usd_per_month: Decimal = Decimal(0)
    """However many nodes."""

    @property
    def anything(self) -> bool:
        return self.gpu is not None or self.usd_per_hour is not None or self.capex is not None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a node costs an hour, and where the figures are from."""

    hourly: Hourly
    power: Power | None
    notes: tuple[str, ...] = field(default_factory=tuple)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Watts of a node's boards as they were measured: under the load that its throughput is from, and idle."""

    watts: Decimal
    idle_watts: Decimal | None = None


def machine(asked: Asked, gpus: Mapping[str, Gpu], *, measured: Drawn | None = None) -> Machine:
    """What that node costs an hour; watts that were typed win over measured ones, and those over the rated."""
    board = _board(asked, gpus)
    if asked.usd_per_hour is not None and asked.capex is not None:
        raise ConfigError("--usd-per-hour is rent and --capex a purchase: give one of them")
    if asked.capex is not None or asked.own:
        return _bought(asked, board, measured)
    usd, note = (asked.usd_per_hour, ()) if asked.usd_per_hour is not None else _listed_rent(asked, board)
    hourly = rented(
        usd,
        gpus=asked.gpus,
        storage_usd_per_month=asked.storage_usd_per_month,
        staff_usd_per_month=asked.staff_usd_per_month,
        colocation_usd_per_month=asked.colocation_usd_per_month,
    )
    return Machine(hourly=hourly, power=None, notes=note)


def _board(asked: Asked, gpus: Mapping[str, Gpu]) -> Gpu | None:
    if asked.gpu is None:
        return None
    if asked.gpu not in gpus:
        raise ConfigError(f"--gpu {asked.gpu!r} is not in the catalogue{nearest(asked.gpu, gpus)}")
    return gpus[asked.gpu]


def _listed_rent(asked: Asked, board: Gpu | None) -> tuple[Decimal, tuple[str, ...]]:
    if asked.rent not in RENTS:
        raise ConfigError(f"--rent {asked.rent!r} is none of {', '.join(RENTS)}{nearest(asked.rent, RENTS)}")
    if board is None:
        raise ConfigError("what does the machine cost? give --gpu NAME, --usd-per-hour X or --capex X")
    known = {name: getattr(board.rent, f"{name}_usd_h") for name in RENTS} if board.rent else {}
    known = {name: usd for name, usd in known.items() if usd is not None}
    if asked.rent not in known:
        there = ", ".join(f"--rent {name} ({usd} $/h)" for name, usd in known.items())
        raise ConfigError(
            f"no {asked.rent} rent of {board.id} is known; give --usd-per-hour X" + (f" or {there}" if there else "")
        )
    low, high = min(known.values()), max(known.values())
    usd: Decimal = known[asked.rent]
    spread = f", {low} to {high} $/h between hosts" if high > low else ""
    return usd, (f"rent of {board.name}: {asked.rent} {usd} $/h as of {board.date}{spread}; give your own",)


def _bought(asked: Asked, board: Gpu | None, measured: Drawn | None) -> Machine:
    notes: list[str] = []
    capex = asked.capex
    if capex is None:
        if board is None or board.purchase is None or board.purchase.usd is None:
            raise ConfigError(f"no purchase price of {asked.gpu or 'this board'} is known; give --capex X")
        capex = board.purchase.usd
        notes.append(f"price of {board.name}: {capex:,} $ as of {board.date} ({board.purchase.source})")
    power = _power(asked, board, measured, notes)
    hourly = owned(
        capex,
        years=asked.years,
        power=power,
        gpus=asked.gpus,
        server_factor=asked.server_factor,
        residual=asked.residual,
        storage_usd_per_month=asked.storage_usd_per_month,
        colocation_usd_per_month=asked.colocation_usd_per_month,
        staff_usd_per_month=asked.staff_usd_per_month,
    )
    return Machine(hourly=hourly, power=power, notes=tuple(notes))


def _power(asked: Asked, board: Gpu | None, measured: Drawn | None, notes: list[str]) -> Power | None:
    if asked.usd_per_kwh is None:
        notes.append("energy is left out: give --usd-per-kwh")
        return None
    idle = None if asked.idle_watts is None else asked.idle_watts * asked.gpus
    if asked.watts is not None:
        watts = asked.watts * asked.gpus
    elif measured is not None:
        watts, idle = measured.watts, measured.idle_watts if idle is None else idle
        at_rest = "" if measured.idle_watts is None else f" and {float(measured.idle_watts):,.0f} W idle"
        told = f"{float(watts):,.0f} W under that load{at_rest} were measured on the boards"
        notes.append(f"{told}; the rest of the server is not in")
    elif board is not None and board.tdp_w is not None:
        watts = Decimal(str(board.tdp_w)) * SERVER_WATTS * asked.gpus
        notes.append(f"{float(watts):,.0f} W: {asked.gpus} x {board.tdp_w:g} W rated x {SERVER_WATTS} for the server")
    else:
        raise ConfigError("--usd-per-kwh needs what the machine draws: give --watts W per GPU")
    return Power(watts=watts, usd_per_kwh=asked.usd_per_kwh, pue=asked.pue, idle_watts=idle)


def amount(name: str, text: str | None, *, least: str = "0", above: bool = False, most: str | None = None) -> Decimal:
    """A number as people type it; ConfigError names the option."""
    try:
        found = Decimal(text or "")
    except InvalidOperation:
        found = Decimal("NaN")
    too_low = not found.is_finite() or found < Decimal(least) or (above and found == Decimal(least))
    if too_low or (most is not None and found > Decimal(most)):
        kind = f"over {least}" if above else f"of {least} or more"
        raise ConfigError(f"{name} {text}: give a number {kind}" + (f", at most {most}" if most else ""))
    return found


def utilisations(text: str | None) -> tuple[Decimal, ...]:
    """`1,0.5,0.2`: shares in (0, 1], each once, highest first."""
    if text is None:
        return UTILISATIONS
    parts = [amount("--utilisation", part.strip(), above=True, most="1") for part in text.split(",")]
    return tuple(sorted(set(parts), reverse=True))
