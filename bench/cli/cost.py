"""`bench cost`: dollars per million tokens, per task and per solved task; hosted or on an own GPU."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli.options import RESULTS, Json, ResultsDir, Targets
from bench.cli.printing import bring_up_to_date, print_json, print_table, write_chart

if TYPE_CHECKING:
    from bench.analysis.quote import Quote

MEASURED = (
    "target",
    "suite",
    "n",
    "$/M\nin",
    "$/M\nout",
    "$/M\n{mix}",
    "$/M at its\nown mix",
    "$/task [95%]",
    "$/solved [95%]",
)
OWN = (
    "util.",
    "$/h",
    "$/M out",
    "$/M\n{mix}",
    "of which\n$/M in",
    "and\n$/M out",
    "energy\n$/M out",
    "energy\n%",
    "M tokens/\nmonth",
)
LISTED = ("target", "$/M in", "$/M out", "$/M\n{mix}", "price")
MEETING = (
    "against",
    "$/M\n{mix}",
    "util.",
    "break-even\nM tokens/month",
    "nodes",
    "% of\nthem",
    "for good from",
    "why",
)
BILLS = ("M tokens/\nmonth", "who", "nodes", "$ a month", "")


def add_to(app: typer.Typer) -> None:
    """Add these verbs to the command."""
    app.command("cost")(cost)


def cost(
    target: Targets = None,
    gpu: Annotated[str | None, typer.Option(help="A board of the catalogue: h100-sxm, rtx-4090 …")] = None,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs of one node.")] = 1,
    rent: Annotated[str, typer.Option(help="With --gpu: low, typical, high or marketplace.")] = "typical",
    own: Annotated[bool, typer.Option("--own", help="With --gpu: buy it at the catalogue's price.")] = False,
    usd_per_hour: Annotated[str | None, typer.Option(help="Rent of one GPU.")] = None,
    capex: Annotated[str | None, typer.Option(help="Price of one GPU, bought.")] = None,
    server_factor: Annotated[str, typer.Option(help="What the server makes of the GPU's price.")] = "1",
    residual: Annotated[str, typer.Option(help="Share of the GPU's price it is sold for at the end.")] = "0",
    years: Annotated[str, typer.Option(help="Until it is written off.")] = "4",
    watts: Annotated[str | None, typer.Option(help="Drawn per GPU under load, its part of the server too.")] = None,
    idle_watts: Annotated[str | None, typer.Option(help="Drawn per GPU without requests.")] = None,
    pue: Annotated[str, typer.Option(help="The building's watts per watt of the machine.")] = "1",
    usd_per_kwh: Annotated[str | None, typer.Option(help="Price of electricity.")] = None,
    colocation: Annotated[str, typer.Option(help="$ a month, of a node.")] = "0",
    storage: Annotated[str, typer.Option(help="$ a month, of a node.")] = "0",
    staff: Annotated[str, typer.Option(help="$ a month, however many nodes.")] = "0",
    throughput: Annotated[
        str | None,
        typer.Option(help="Output tokens/s of a node.  [default: the best load step of -t that kept its SLO]"),
    ] = None,
    prefill: Annotated[str | None, typer.Option(help="Input tokens/s of a node that does nothing else.")] = None,
    decode: Annotated[str | None, typer.Option(help="Output tokens/s of a node that does nothing else.")] = None,
    utilisation: Annotated[str, typer.Option(help="Shares of the throughput that are used.")] = "1,0.5,0.2",
    nodes: Annotated[int, typer.Option(min=1, help="Nodes that can be had, for the break-even.")] = 1,
    against: Annotated[list[str] | None, typer.Option(help="PROVIDER:MODEL to break even with. Repeatable.")] = None,
    volume: Annotated[str | None, typer.Option(help="Million tokens a month, input and output together.")] = None,
    mix: Annotated[str, typer.Option(help="Input to output tokens, or IN:OUT:CACHED share.")] = "3:1",
    chart: Annotated[Path | None, typer.Option(help="Break-even as .html, .png or .svg.")] = None,
    as_json: Json = False,
    results: ResultsDir = RESULTS,
) -> None:
    """$/M tokens, per task and per solved task of what was measured; what an own GPU would cost; where they meet."""
    from bench.analysis.quote import Question, quote
    from bench.catalog import load
    from bench.cost.asked import Asked, amount, utilisations
    from bench.cost.mix import Mix

    asked = Asked(
        gpu=gpu,
        gpus=gpus,
        rent=rent,
        own=own,
        usd_per_hour=_optional("--usd-per-hour", usd_per_hour),
        capex=_optional("--capex", capex),
        server_factor=amount("--server-factor", server_factor, above=True),
        residual=amount("--residual", residual, most="1"),
        years=amount("--years", years, above=True),
        watts=_optional("--watts", watts),
        idle_watts=_optional("--idle-watts", idle_watts),
        pue=amount("--pue", pue, least="1"),
        usd_per_kwh=_optional("--usd-per-kwh", usd_per_kwh),
        colocation_usd_per_month=amount("--colocation", colocation),
        storage_usd_per_month=amount("--storage", storage),
        staff_usd_per_month=amount("--staff", staff),
    )
    question = Question(
        targets=target,
        asked=asked,
        out_tps=_optional("--throughput", throughput, above=True),
        prefill_tps=_optional("--prefill", prefill, above=True),
        decode_tps=_optional("--decode", decode, above=True),
        utilisations=utilisations(utilisation),
        most=nodes,
        against=against or (),
        mtok_per_month=_optional("--volume", volume, above=True),
        mix=Mix.parse(mix),
    )
    bring_up_to_date(results)
    found = quote(results, question, load())
    if chart is not None:
        _draw(found, chart)
    if as_json:
        print_json(found.as_dict())
    else:
        _show(found)


def _optional(name: str, text: str | None, *, above: bool = False) -> Decimal | None:
    from bench.cost.asked import amount

    return None if text is None else amount(name, text, above=above)


def _draw(found: Quote, path: Path) -> None:
    from bench import analysis
    from bench.charts.break_even import chart
    from bench.errors import ConfigError

    apis = {row["target"]: row["usd_per_mtok_blended"] for row in found.listed if row["usd_per_mtok_blended"]}
    if found.node is None or not apis:
        raise ConfigError(
            "--chart shows where bills meet: give an own node (--gpu, --usd-per-hour, --capex) and --against"
        )
    asked = found.question
    frame = analysis.break_even(found.node, apis, mix=asked.mix, utilisations=asked.utilisations, most=asked.most)
    write_chart(chart(frame, mix=str(asked.mix), says=found.speed), path)


# ------------------------------------------------------------------------------------------------------------- printing


def _show(found: Quote) -> None:
    mix = str(found.question.mix).partition(",")[0]
    if found.measured is not None and len(found.measured):
        print_table(_headed(MEASURED, mix), [_measured_line(row) for row in _rows(found.measured)])
        print(f"{'; '.join(_sources(found))}\n")
    if found.machine is not None and found.node is not None:
        parts = " + ".join(f"{name} {usd:.4f}" for name, usd in found.machine.hourly.parts() if usd)
        print(f"a node costs {found.machine.hourly.total:.4f} $/h = {parts}")
        print(f"{found.speed}\n")
        print_table(_headed(OWN, mix), [_own_line(row) for row in found.rows])
    if found.listed:
        print_table(_headed(LISTED, mix), [_listed_line(row) for row in found.listed])
    if found.break_even:
        print_table(_headed(MEETING, mix), [_meeting_line(row) for row in found.break_even])
    if found.bills:
        print_table(BILLS, [_bill_line(row) for row in found.bills])
    for note in found.notes:
        print(f"- {note}")


def _rows(frame: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = frame.to_dict("records")
    return found


def _sources(found: Quote) -> list[str]:
    """Of the prices in the first table; the interval's way, and what a task is."""
    assert found.measured is not None
    told = found.measured.drop_duplicates("target")[["target", "price_source", "price_dating"]].dropna()
    prices = [f"{row.target}: {row.price_source}, {row.price_dating}" for row in told.itertuples()]
    return ["all attempts are paid for, failures and retries too; >= is a lower bound", *prices]


def _headed(columns: tuple[str, ...], mix: str) -> list[str]:
    return [column.format(mix=mix) for column in columns]


def _measured_line(row: dict[str, Any]) -> list[object]:
    name = row["target"] if row["task"] == "all" else f"  {row['task']}"
    suite = f"{row['suite']}@{row['suite_version']}" if row["task"] == "all" else ""
    names = ("usd_per_mtok_in", "usd_per_mtok_out", "usd_per_mtok_blended", "usd_per_mtok_measured_mix")
    prices = [_usd(row[column]) if row["task"] == "all" else "" for column in names]
    return [name, suite, row["n"], *prices, _ranged(row, "usd_per_task"), _ranged(row, "usd_per_solved")]


def _own_line(row: dict[str, Any]) -> list[object]:
    share = row["energy_share"]
    return [
        f"{row['utilisation']}",
        *(_usd(row[name]) for name in ("usd_per_hour", "usd_per_mtok_out", "usd_per_mtok_blended")),
        *(_usd(row[name]) for name in ("split_usd_per_mtok_in", "split_usd_per_mtok_out", "energy_usd_per_mtok_out")),
        None if share is None else f"{100 * share:.1f}",
        f"{row['capacity_mtok_per_month']:,.0f}",
    ]


def _listed_line(row: dict[str, Any]) -> list[object]:
    names = ("usd_per_mtok_in", "usd_per_mtok_out", "usd_per_mtok_blended")
    source = f"{row['price_source']}, {row['price_dating']}" if row["price_source"] else row["price_dating"]
    return [row["target"], *(_usd(row[name]) for name in names), source]


def _meeting_line(row: dict[str, Any]) -> list[object]:
    share, volume = row["utilisation_of_capacity"], row["mtok_per_month"]
    return [
        row["against"], _usd(row["usd_per_mtok_blended"]), f"{row['utilisation']}",
        row["state"] if volume is None else f"{volume:,.1f}", row["nodes"],
        None if share is None else f"{100 * share:.0f}",
        None if row["always_from_mtok"] is None else f"{row['always_from_mtok']:,.1f}", row["reason"],
    ]  # fmt: skip


def _bill_line(row: dict[str, Any]) -> list[object]:
    usd = None if row["usd_per_month"] is None else f"{row['usd_per_month']:,.2f}"
    return [f"{row['mtok_per_month']:,}", row["who"], row["nodes"], usd, row["says"]]


def _ranged(row: dict[str, Any], name: str) -> str | None:
    value, low, high = (_usd(row[column]) for column in (name, f"{name}_low", f"{name}_high"))
    if value is None:
        return f">= {low}" if low is not None else None
    return value if low is None and high is None else f"{value} [{low or '?'}–{high or '?'}]"


def _usd(value: Any) -> str | None:
    """Four digits that mean something."""
    if value is None or value != value:
        return None
    return (
        f"{float(value):,.2f}" if abs(value) >= 100 else f"{float(value):.4g}" if abs(value) < 0.1 else f"{value:.4f}"
    )
