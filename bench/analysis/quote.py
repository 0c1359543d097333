"""One answer to "what would it cost": hosted prices, what was measured, an own node, and where the bills meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import database
from bench.analysis.cost import cost, throughput
from bench.catalog import Catalog, Price, Target
from bench.catalog.resolve import find
from bench.cost.asked import Asked, Drawn, Machine, machine
from bench.cost.hosting import UTILISATIONS, energy_usd_per_mtok_out, out_tps_at, rates_from_shapes
from bench.cost.mix import ARTIFICIAL_ANALYSIS, Mix, blended_usd_per_mtok
from bench.cost.node import Node, watts_measured
from bench.errors import ConfigError
from bench.price import in_text

if TYPE_CHECKING:
    import pandas

LIST_COLUMNS = (
    "target", "usd_per_mtok_in", "usd_per_mtok_cached", "usd_per_mtok_out", "usd_per_mtok_blended", "price_id",
    "price_source", "price_dating",
)  # fmt: skip

OWN_LAYERS = frozenset({"reference", "on-device", "self-hosted"})
"""Whoever runs such a target pays for the machine, not for tokens."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked; money, rates and shares as Decimal."""

    targets: Sequence[str] | None = None
    asked: Asked = field(default_factory=Asked)
    out_tps: Decimal | None = None
    prefill_tps: Decimal | None = None
    decode_tps: Decimal | None = None
    utilisations: tuple[Decimal, ...] = UTILISATIONS
    most: int = 1
    against: Sequence[str] = ()
    mtok_per_month: Decimal | None = None
    mix: Mix = ARTIFICIAL_ANALYSIS
    day: date | None = None
    """On which prices are asked; None = today."""


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What came out; `measured` has the columns of `analysis.cost`, the rest is rows for tables and JSON."""

    question: Question
    measured: pandas.DataFrame | None
    listed: list[dict[str, Any]]
    """Prices of targets that were not measured here, and of those compared with; LIST_COLUMNS."""
    machine: Machine | None = None
    node: Node | None = None
    speed: str = ""
    """Where the throughput is from."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Of the node, by utilisation."""
    break_even: list[dict[str, Any]] = field(default_factory=list)
    bills: list[dict[str, Any]] = field(default_factory=list)
    """Of a month at the volume that was given."""
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For `--json`: money of the calculator is text, exact; figures with intervals are numbers."""
        from bench import analysis

        hourly = self.machine.hourly if self.machine else None
        told = {
            "mix": str(self.question.mix),
            "measured": [] if self.measured is None else analysis.records(self.measured),
            "listed": self.listed,
            "usd_per_hour": {**dict(hourly.parts()), "total": hourly.total} if hourly else None,
            "out_tps": self.node.out_tps if self.node else None,
            "prefill_tps": self.node.prefill_tps if self.node else None,
            "decode_tps": self.node.decode_tps if self.node else None,
            "throughput": self.speed or None,
            "self_hosted": self.rows,
            "break_even": self.break_even,
            "bills": self.bills,
            "notes": list(self.notes),
        }
        plain: dict[str, Any] = in_text(told)
        return plain


def quote(results: Path, question: Question, catalog: Catalog) -> Quote:
    """ConfigError where nothing that was asked can be answered."""
    there = (Path(results) / database.NAME).exists()
    ids = None if question.targets is None else [_find(spec, catalog).id for spec in question.targets]
    listed = [_listed(_find(spec, catalog), question, catalog) for spec in question.against]
    if not question.asked.anything:
        if question.against:
            raise ConfigError("--against compares with an own node: give --gpu NAME, --usd-per-hour X or --capex X")
        return _hosted_only(results, question, catalog, ids, there)
    speeds = throughput(results) if there else []
    speeds = [row for row in speeds if ids is None or row["target"] in ids]
    best, speed = _speed(question, speeds, ids)
    found = machine(question.asked, catalog.gpus, measured=_drawn(best))
    node = _node(question, found, best, speeds)
    own = _own(node, question, best, catalog)
    measured = _measured(results, question, ids, own) if there else None
    paid = set() if measured is None else set(own) & set(measured["target"])
    return Quote(
        question=question,
        measured=measured,
        listed=listed,
        machine=found,
        node=node,
        speed=speed,
        rows=[node.row(u, question.mix) for u in question.utilisations],
        break_even=[_meeting(node, row, u, question) for row in listed for u in question.utilisations],
        bills=_bills(node, listed, question),
        notes=(*found.notes, *_remarks(node, best, question), *_paid(paid, question)),
    )


def _hosted_only(results: Path, question: Question, catalog: Catalog, ids: Sequence[str] | None, there: bool) -> Quote:
    measured = _measured(results, question, ids, {}) if there else None
    have = set() if measured is None else set(measured["target"])
    targets = [_find(spec, catalog) for spec in question.targets or ()]
    listed = [_listed(target, question, catalog) for target in targets if target.id not in have]
    if not listed and not have:
        raise ConfigError(
            f"nothing was measured in {results}: give -t PROVIDER:MODEL for its list price, or an own node with "
            "--gpu NAME, --usd-per-hour X or --capex X and its --throughput"
        )
    return Quote(question=question, measured=measured, listed=listed)


def _measured(
    results: Path, question: Question, ids: Sequence[str] | None, own: Mapping[str, tuple[Decimal, Decimal]]
) -> pandas.DataFrame:
    frame = cost(results, mix=question.mix, own=own)
    return frame if ids is None else frame[frame["target"].isin(ids)].reset_index(drop=True)


def _listed(target: Target, question: Question, catalog: Catalog) -> dict[str, Any]:
    from bench.price import dating, price_for

    price = price_for(target, when=question.day, catalog=catalog)
    told = {name: getattr(price, name, None) for name in LIST_COLUMNS[1:4]}
    return {
        "target": target.id,
        **told,
        "usd_per_mtok_blended": blended_usd_per_mtok(price, question.mix) if price else None,
        "price_id": price.id if price else None,
        "price_source": price.source if price else None,
        "price_dating": _dating(price, question, dating),
    }


def _dating(price: Price | None, question: Question, dating: Any) -> str:
    return "no price is known" if price is None else str(dating(price, question.day))


def _find(spec: str, catalog: Catalog) -> Target:
    return find(spec, catalog.providers, catalog.targets)


# ------------------------------------------------------------------------------------------------------------ own node


def _speed(
    question: Question, speeds: Sequence[dict[str, Any]], ids: Sequence[str] | None
) -> tuple[dict[str, Any] | None, str]:
    """The load step to go by and where the throughput is from, in words."""
    if (question.prefill_tps is None) != (question.decode_tps is None):
        raise ConfigError("--prefill and --decode split a price together: give both or neither")
    if question.out_tps is not None:
        return None, f"{float(question.out_tps):,.6g} output tokens/s: given by hand, not measured here"
    if question.prefill_tps is not None and question.decode_tps is not None:
        return None, f"from prefill and decode rates given by hand at {question.mix}, not measured here"
    if len({row["target"] for row in speeds}) > 1:
        names = ", ".join(sorted({row["target"] for row in speeds}))
        raise ConfigError(f"several targets were loaded here ({names}): say whose throughput with -t TARGET")
    if not speeds:
        whose = f"no valid load step of {', '.join(ids)} kept its SLO here" if ids else "nothing was loaded here"
        raise ConfigError(f"how fast is the node? {whose}; give --throughput S, or measure it: bench load -t TARGET")
    wanted = float(question.mix.in_parts / question.mix.out_parts)
    best = min(speeds, key=lambda row: (not row["kept_slo"], abs((row["in_per_out"] or 0) - wanted), -row["out_tps"]))
    return best, f"{best['target']}: {best['says']}"


def _drawn(best: Mapping[str, Any] | None) -> Drawn | None:
    if best is None or best["j_per_tok_out"] is None:
        return None
    idle = best["idle_power_w"]
    watts = watts_measured(_exact(best["j_per_tok_out"]), _exact(best["out_tps"]))
    return Drawn(watts=watts, idle_watts=None if idle is None else _exact(idle))


def _node(
    question: Question, found: Machine, best: Mapping[str, Any] | None, speeds: Sequence[Mapping[str, Any]]
) -> Node:
    prefill, decode = question.prefill_tps, question.decode_tps
    if prefill is None and decode is None and best is not None:
        alike = [row for row in speeds if row["cache"] == best["cache"] and row["in_tps"]]
        rates = rates_from_shapes([(row["in_tps"], row["out_tps"]) for row in alike])
        prefill, decode = (None, None) if rates is None else (_exact(rates[0]), _exact(rates[1]))
    out_tps = question.out_tps or (_exact(best["out_tps"]) if best else None)
    if out_tps is None and prefill is not None and decode is not None:
        out_tps = out_tps_at(question.mix, prefill, decode)
    assert out_tps is not None  # `_speed` has refused everything else
    joules = best.get("j_per_tok_out") if best else None
    return Node(
        hourly=found.hourly,
        out_tps=out_tps,
        power=found.power,
        prefill_tps=prefill,
        decode_tps=decode,
        joules_per_token=None if joules is None else _exact(joules),
    )


def _own(
    node: Node, question: Question, best: Mapping[str, Any] | None, catalog: Catalog
) -> dict[str, tuple[Decimal, Decimal]]:
    """By target that runs on the node, what a million input and output tokens cost there at the first utilisation.

    That is the target whose load it goes by, else those named that no provider sends a bill for.
    """
    named = [_find(spec, catalog) for spec in question.targets or ()]
    names = [best["target"]] if best else [target.id for target in named if target.layer in OWN_LAYERS]
    u = question.utilisations[0]
    shared = node.split(u, question.mix)
    if shared is not None and shared.usd_per_mtok_in is not None and shared.usd_per_mtok_out is not None:
        return dict.fromkeys(names, (shared.usd_per_mtok_in, shared.usd_per_mtok_out))
    return dict.fromkeys(names, (Decimal(0), node.usd_per_mtok_out(u)))


def _meeting(node: Node, api: Mapping[str, Any], u: Decimal, question: Question) -> dict[str, Any]:
    usd = api["usd_per_mtok_blended"]
    told = {"against": api["target"], "usd_per_mtok_blended": usd, "utilisation": u}
    if usd is None:
        blank = {"state": "unknown", "mtok_per_month": None, "nodes": None, "reason": "no price is known"}
        return {**told, **blank, "utilisation_of_capacity": None, "always_from_mtok": None}
    return {**told, **asdict(node.break_even(usd, u, question.mix, question.most))}


def _bills(node: Node, listed: Sequence[Mapping[str, Any]], question: Question) -> list[dict[str, Any]]:
    volume = question.mtok_per_month
    if volume is None:
        return []
    rows: list[dict[str, Any]] = []
    for api in listed:
        usd = api["usd_per_mtok_blended"]
        rows.append({"who": api["target"], "nodes": None, "usd_per_month": None if usd is None else usd * volume})
    for u in question.utilisations:
        nodes = node.nodes(u, question.mix, question.most)
        needed = nodes.needed(volume)
        bill = nodes.usd_per_month(volume)
        says = "" if bill is not None else f"above the capacity of {question.most}: {needed} nodes would be needed"
        rows.append({"who": f"own nodes filled to {u}", "nodes": needed, "usd_per_month": bill, "says": says})
    return [{"mtok_per_month": volume, "says": "", **row} for row in rows]


def _remarks(node: Node, best: Mapping[str, Any] | None, question: Question) -> list[str]:
    found = []
    if best is not None and not best["kept_slo"]:
        found.append("no SLO was declared in that load: patient users, the price is rather too low")
    if best is not None and best["in_per_out"] is not None:
        at = f"{best['in_per_out']:.3g}:1"
        wanted = question.mix.in_parts / question.mix.out_parts
        if abs(Decimal(str(best["in_per_out"])) / wanted - 1) > Decimal("0.1") if wanted else True:
            found.append(
                f"the throughput was measured at {at} input to output; prices per M of both are at {question.mix}"
            )
    if (
        best is not None
        and question.prefill_tps is None
        and node.prefill_tps is not None
        and node.decode_tps is not None
    ):
        rates = f"{float(node.prefill_tps):,.0f} input or {float(node.decode_tps):,.0f} output tokens/s"
        found.append(f"split by what the loads of several shapes say the node can do: {rates}, if they filled it")
    if node.joules_per_token is not None:
        kwh, pue = question.asked.usd_per_kwh, question.asked.pue
        usd = None if kwh is None else energy_usd_per_mtok_out(node.joules_per_token, kwh, pue)
        cost = (
            ""
            if usd is None
            else f": {float(usd):.4g} $/M of electricity{' (in the rent)' if node.hourly.rent else ''}"
        )
        found.append(f"{float(node.joules_per_token):.3g} J per output token were measured on the boards{cost}")
    if node.power is not None and node.power.idle_watts is None:
        found.append("the node is taken to draw its watts day and night: --idle-watts says otherwise")
    return found


def _paid(names: set[str], question: Question) -> list[str]:
    u = f"{100 * float(question.utilisations[0]):.3g}%"
    return [f"{name}: tasks are paid at the own node's price, used to {u}" for name in sorted(names)]


def _exact(value: float) -> Decimal:
    return Decimal(repr(value))
