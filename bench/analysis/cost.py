"""What answers cost here: per million tokens, per task and per solved task; and what an own node was measured to do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import database
from bench.analysis.measured import _chosen, _rows, load_steps
from bench.cost import hosting
from bench.cost.mix import ARTIFICIAL_ANALYSIS, MILLION, Mix, blended_usd_per_mtok
from bench.cost.node import Node
from bench.cost.solved import SolvedCost, Trial, solved_cost
from bench.cost.volume import Nodes

if TYPE_CHECKING:
    import pandas

COST_COLUMNS = (
    "target", "layer", "provider", "model", "suite", "suite_version", "task",
    "n", "solved", "usd_total",
    "usd_per_task", "usd_per_task_low", "usd_per_task_high",
    "usd_per_solved", "usd_per_solved_low", "usd_per_solved_high", "method",
    "in_tokens", "in_cached_tokens", "out_tokens", "in_per_out", "cached_share",
    "usd_per_mtok_in", "usd_per_mtok_cached", "usd_per_mtok_out",
    "usd_per_mtok_blended", "usd_per_mtok_measured_mix", "usd_per_mtok_paid",
    "price_id", "price_source", "price_dating", "day", "run_ids",
)  # fmt: skip
THROUGHPUT_COLUMNS = (
    "target", "layer", "shape", "cache", "arrivals", "slo", "kept_slo", "out_tps", "in_tps", "in_per_out",
    "j_per_tok_out", "idle_power_w", "n", "run_id", "step", "day", "says",
)  # fmt: skip
BREAK_EVEN_COLUMNS = ("mtok_per_month", "who", "kind", "utilisation", "nodes", "usd_per_month")


def cost(
    results: Path,
    run_ids: Sequence[str] | None = None,
    *,
    mix: Mix = ARTIFICIAL_ANALYSIS,
    own: Mapping[str, tuple[Decimal, Decimal]] | None = None,
) -> pandas.DataFrame:
    """One row per quality run and task, and one with `task = "all"`; COST_COLUMNS. US dollars, NaN = not known.

    Without `run_ids`: the runs a report shows. `n` trials (items times repeats), `solved` their credit. All attempts
    are paid for, failures and retries too. `usd_per_mtok_blended` is the list price at `mix`, `…_measured_mix` at what
    was really sent, with its cached share; `…_paid` is all that was paid over all tokens that were counted. Intervals
    are 95%. Where nothing was solved `usd_per_solved` is NaN and its `low` a lower bound.

    `own`: of targets on own nodes what a million input and output tokens cost there ((0, x): all of it on the output);
    their tasks are paid at that, token by token.
    """
    import pandas as pd

    chosen = _chosen(results, run_ids)
    about = {row["run_id"]: row for row in _rows(database.columns(results, "cost_runs", run_ids=chosen))}
    items: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(database.columns(results, "cost_items", run_ids=chosen)):
        items.setdefault(row["run_id"], []).append(row)
    rows = [
        {**_priced(about[run_id], mine, mix), **_of_task(task, mine)}
        for run_id, all_of_run in items.items()
        for task, mine in _by_task(_paid_here(all_of_run, (own or {}).get(about[run_id]["target"])))
    ]
    return pd.DataFrame(rows, columns=list(COST_COLUMNS))


def _by_task(rows: list[dict[str, Any]]) -> Iterable[tuple[str, list[dict[str, Any]]]]:
    yield "all", rows
    for task in dict.fromkeys(row["task"] for row in rows):
        yield task, [row for row in rows if row["task"] == task]


def _paid_here(rows: list[dict[str, Any]], usd_per_mtok: tuple[Decimal, Decimal] | None) -> list[dict[str, Any]]:
    """Rows whose dollars are those of an own node, where there is one; unknown where tokens were not counted."""
    if usd_per_mtok is None:
        return rows
    usd_in, usd_out = usd_per_mtok

    def usd(row: Mapping[str, Any]) -> str | None:
        return None if row["uncounted"] else str((row["in_tokens"] * usd_in + row["out_tokens"] * usd_out) / MILLION)

    return [{**row, "usd": usd(row)} for row in rows]


def _of_task(task: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    tokens = {name: sum(row[name] for row in rows) for name in ("in_tokens", "in_cached_tokens", "out_tokens")}
    found = _solved(rows)
    counted = all(row["uncounted"] == 0 for row in rows) and sum(tokens.values()) > 0
    total = tokens["in_tokens"] + tokens["out_tokens"]
    return {
        "task": task,
        "n": len(rows),
        **({name: _float(getattr(found, name)) for name in MONEY} if found else dict.fromkeys(MONEY, math.nan)),
        "method": found.method if found else "none (no price is known)",
        "solved": sum(row["value"] or 0.0 for row in rows),
        **tokens,
        "usd_per_mtok_paid": float(found.usd_total * MILLION / total) if found and counted else math.nan,
    }


MONEY = (
    "usd_total", "usd_per_task", "usd_per_task_low", "usd_per_task_high",
    "usd_per_solved", "usd_per_solved_low", "usd_per_solved_high",
)  # fmt: skip


def _solved(rows: Sequence[Mapping[str, Any]]) -> SolvedCost | None:
    """None where the price of an answer is not known."""
    if any(row["usd"] is None for row in rows):
        return None
    return solved_cost(
        [
            Trial(
                task=row["task"], item=row["item"], cluster=row["cluster"], usd=Decimal(row["usd"]), value=row["value"]
            )
            for row in rows
        ]
    )


def _priced(about: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], mix: Mix) -> dict[str, Any]:
    """Whom it was and what its list price makes at both mixes."""
    from bench.price import dating

    tokens = [sum(row[name] for row in rows) for name in ("in_tokens", "out_tokens", "in_cached_tokens")]
    measured, price = Mix.measured(*tokens), _price(about)
    return {
        **{name: about[name] for name in ("target", "layer", "provider", "model", "suite", "suite_version", "day")},
        **{name: _float(about[name]) for name in ("usd_per_mtok_in", "usd_per_mtok_cached", "usd_per_mtok_out")},
        "in_per_out": float(measured.in_parts / measured.out_parts) if measured else math.nan,
        "cached_share": float(measured.cached_share) if measured else math.nan,
        "usd_per_mtok_blended": float(blended_usd_per_mtok(price, mix)) if price else math.nan,
        "usd_per_mtok_measured_mix": float(blended_usd_per_mtok(price, measured)) if price and measured else math.nan,
        "price_id": about["price_id"],
        "price_source": about["price_source"],
        "price_dating": dating(price) if price else None,
        "run_ids": [about["run_id"]],
    }


def _price(about: Mapping[str, Any]) -> Any:
    from bench.catalog import Price

    if about["usd_per_mtok_in"] is None or about["usd_per_mtok_out"] is None:
        return None
    names = ("usd_per_mtok_in", "usd_per_mtok_cached", "usd_per_mtok_out", "valid_from", "observed")
    told = {name: about[name] for name in names}
    return Price(id=about["price_id"], model=about["model"] or "", source=about["price_source"] or "", **told)


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)


# ---------------------------------------------------------------------------------------------------------- throughput


def throughput(results: Path, run_ids: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The best valid load step of each target, shape and cache that kept its SLO: rows of THROUGHPUT_COLUMNS.

    `out_tps` output tokens/s of the whole server at that step, `kept_slo` False where no SLO was declared; `says` is
    that in words. None = not known. A target whose steps are all invalid or missed the SLO has no row.
    """
    best: dict[tuple[str, str, str], dict[str, Any]] = {}
    for step in load_steps(results, run_ids):
        if not step["valid"] or not step["system_out_tps"] or _missed(step):
            continue
        key = (str(step["target"]), str(step["shape"]), str(step["cache"]))
        if key not in best or step["system_out_tps"] > best[key]["system_out_tps"]:
            best[key] = step
    return [_as_throughput(step) for _, step in sorted(best.items())]


def _missed(step: Mapping[str, Any]) -> bool:
    if step["search_verdict"] is not None:
        return bool(step["search_verdict"] != "passes")
    share, target = step["slo_attainment"], step["slo_target"]
    return bool(step["slo"] and (share is None or (target is not None and share < target)))


def _as_throughput(step: Mapping[str, Any]) -> dict[str, Any]:
    limits = ", ".join(f"{name} <= {value:g}" for name, value in (step["slo"] or {}).items())
    out, day = step["system_out_tps"], str(step["started_at"])[:10]
    kept = f"at the highest load that kept {limits}" if limits else "at its highest valid load (no SLO was declared)"
    return {
        **{name: step.get(name) for name in ("target", "layer", "shape", "cache", "arrivals", "run_id", "step", "n")},
        "slo": limits or None,
        "kept_slo": bool(limits),
        "out_tps": out,
        "in_tps": step["system_in_tps"],
        "in_per_out": step["system_in_tps"] / out if step["system_in_tps"] is not None else None,
        "j_per_tok_out": step["j_per_tok_out"],
        "idle_power_w": step["idle_power_w"],
        "day": day,
        "says": f"{out:,.0f} output tokens/s measured here {kept}: {step['arrivals']}, {step['shape']}, {day}",
    }


# ---------------------------------------------------------------------------------------------------------- break-even


def break_even(
    node: Node,
    apis: Mapping[str, Decimal],
    *,
    mix: Mix = ARTIFICIAL_ANALYSIS,
    utilisations: Sequence[Decimal] = hosting.UTILISATIONS,
    most: int = 1,
    volumes: Sequence[float] | None = None,
) -> pandas.DataFrame:
    """Bills of a month over the volume, tidy; BREAK_EVEN_COLUMNS. `apis`: blended $/M at `mix` by name.

    `kind` is `api`, `self` (whole nodes, at each utilisation; rows end where all nodes are full) or `break-even` (one
    row per API and utilisation where there is one; `who` names the API). Volumes are million tokens a month, input and
    output together; without `volumes`, from a hundredth of a node's fill to twice what all nodes make.
    """
    import numpy as np
    import pandas as pd

    cases = {u: node.nodes(u, mix, most) for u in utilisations}
    ceiling = float(max(nodes.node_mtok_per_month for nodes in cases.values())) * most
    grid = volumes if volumes is not None else np.geomspace(ceiling / most / 100, 2 * ceiling, 160).tolist()
    rows: list[tuple[Any, ...]] = [
        (v, name, "api", None, None, v * float(usd)) for name, usd in apis.items() for v in grid
    ]
    for u, nodes in cases.items():
        rows += [(float(v), "self-hosted", "self", float(u), n, float(usd)) for v, n, usd in _stairs(nodes, grid)]
        rows += [row for name, usd in apis.items() for row in _meeting(node, name, usd, u, mix, most)]
    return pd.DataFrame(rows, columns=list(BREAK_EVEN_COLUMNS))


def _stairs(nodes: Nodes, grid: Sequence[float]) -> list[tuple[Decimal, int, Decimal]]:
    """Volume, nodes and bill along the whole nodes: at each node's fill two rows, with and without the next one."""
    full = [k * nodes.node_mtok_per_month for k in range(1, nodes.most + 1)]
    found = []
    for v in sorted({*full, *(Decimal(repr(v)) for v in grid)}):
        n = nodes.needed(v)
        counts = (n, n + 1) if v in full else (n,)
        variable = v * nodes.variable_usd_per_mtok
        found += [(v, count, nodes.fixed_usd(count) + variable) for count in counts if count <= nodes.most]
    return found


def _meeting(node: Node, name: str, usd: Decimal, u: Decimal, mix: Mix, most: int) -> list[tuple[Any, ...]]:
    found = node.break_even(usd, u, mix, most)
    if found.mtok_per_month is None:
        return []
    return [(float(found.mtok_per_month), name, "break-even", float(u), found.nodes, float(found.mtok_per_month * usd))]
