"""Load results as tables: one line per step, the same cells in a terminal and on a page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from bench.terminal import Cells, fitting, number, printable, table_of

if TYPE_CHECKING:
    from rich.table import Table

Row = Mapping[str, Any]
NARROW = 14
"""A file's name in a column of loads is cut to this many characters."""
HOW_TO_READ = (
    "95% intervals in brackets, ? = too few requests to bound it; ~ = p99 of fewer than 500 requests; "
    "– = not known; ✗ = invalid step"
)


def load_tables(rows: Sequence[Row], width: int) -> list[tuple[str, list[Table], list[str]]]:
    """Each run of `analysis.load_steps`' rows as (heading, tables that fit `width` columns, lines for under them)."""
    found = []
    for run in by_run(rows):
        tables = [table_of(columns, cells) for columns, cells in fitting(*load_cells(run), width)]
        found.append((heading(run), tables, load_notes(run)))
    if found:
        found[-1][2].append(HOW_TO_READ)
    return found


def by_run(rows: Sequence[Row]) -> list[list[Row]]:
    """Steps of one run together, in the order they were made."""
    runs: dict[str, list[Row]] = {}
    for row in rows:
        runs.setdefault(str(row["run_id"]), []).append(row)
    return list(runs.values())


# ----------------------------------------------------------------------------------------------------------- one line


def load_cells(rows: Sequence[Row]) -> Cells:
    """Headings and cells, one line per step; what is unknown of every step has no column. The first column is the load.

    TTFT counts from the moment a request was due (`due`) in open loop, and from when it was sent (`sent`) in closed.
    """
    columns = [(name, [cell(row) for row in rows]) for name, cell in _columns(rows)]
    kept = [(name, cells) for name, cells in columns if name in ALWAYS or any(cell != "–" for cell in cells)]
    return [name for name, _ in kept], [list(line) for line in zip(*(cells for _, cells in kept), strict=True)]


ALWAYS = ("load", "n", "out\ntok/s")


def _columns(rows: Sequence[Row]) -> list[tuple[str, Callable[[Row], str]]]:
    since = {"ttft_sched_ms": "due", "ttft_ms": "sent"}
    ttft = "TTFT ms from " + "/".join(sorted({since[row["headline"]] for row in rows}))
    return [
        ("load", marked_load),
        ("asked\n/s", lambda row: figure(row.get("asked_rps"))),
        ("sent\n/s", lambda row: figure(row.get("delivered_rps"))),
        ("n", lambda row: _count(row.get("n"))),
        ("fail-\ned", lambda row: _count(row.get("n_window_failed") or None)),
        ("out\ntok/s", lambda row: figure(row.get("system_out_tps"))),
        ("good\n/s", lambda row: figure(row.get("goodput_rps"))),
        ("% good\n[95%]", attainment),
        ("J/tok", lambda row: figure(row.get("j_per_tok_out"))),
        ("cached\n%", lambda row: _per_cent(row.get("in_cached_share") or None)),
        (f"{ttft}\np50 [95%]", lambda row: ranged(row, f"{row['headline']}_p50")),
        (f"{ttft}\np95 [95%]", lambda row: ranged(row, f"{row['headline']}_p95")),
        (f"{ttft}\np99 [95%]", lambda row: ranged(row, f"{row['headline']}_p99")),
        (f"{ttft}\np99.9 [95%]", lambda row: ranged(row, f"{row['headline']}_p999")),
        ("TPOT ms\np50 [95%]", lambda row: ranged(row, "tpot_ms_p50")),
        ("TPOT ms\np95 [95%]", lambda row: ranged(row, "tpot_ms_p95")),
        ("e2e ms\np50", lambda row: figure(row.get("e2e_ms_p50"))),
        ("e2e ms\np95", lambda row: figure(row.get("e2e_ms_p95"))),
        ("stall ms\np95", lambda row: figure(row.get("chunk_gap_max_ms_p95"))),
        ("± ms\np99", lambda row: figure(row.get("stamp_error_p99_ms"))),
    ]


def load_name(row: Row) -> str:
    """`closed:8`, `poisson:2.5`, `trace:day.jsonl`: the arrivals as they were asked for, a path by its name."""
    kind, _, what = str(row["arrivals"]).partition(":")
    name = PurePath(what).name if kind == "trace" else what
    return printable(f"{kind}:{name[-NARROW:]}")


def marked_load(row: Row) -> str:
    """The load, with a mark where the step is invalid."""
    return load_name(row) + ("" if row["valid"] else " ✗")


def ranged(row: Row, name: str) -> str:
    """`51.2 [50.8–51.6]`; a `~` before a p99 of few requests, a `?` for an end that they don't bound."""
    value, low, high = (row.get(key) for key in (name, f"{name}_low", f"{name}_high"))
    if value is None:
        return "–"
    ends = "–".join("?" if end is None else figure(end) for end in (low, high))
    return f"{'~' if row.get(f'{name}_few') else ''}{figure(value)} [{ends}]"


def attainment(row: Row) -> str:
    """`99.2 [97.5–99.8]` per cent of the judged requests."""
    value, low, high = (100 * number(row.get(name), math.nan) for name in ("slo_attainment", "slo_low", "slo_high"))
    return "–" if math.isnan(value) else f"{value:.1f} [{low:.1f}–{high:.1f}]"


def figure(value: object) -> str:
    """Three digits that mean something: `1,234`, `123`, `12.3`, `1.23`, `0.123`."""
    found = number(value, math.nan)
    if math.isnan(found):
        return "–"
    size = abs(float(f"{found:.3g}"))
    digits = next((d for d, least in enumerate((100, 10, 1)) if size >= least), 3 if found else 0)
    return f"{found:,.{digits}f}"


def _per_cent(value: object) -> str:
    return figure(100 * number(value, math.nan))


def _count(value: object) -> str:
    found = number(value, math.nan)
    return "–" if math.isnan(found) else f"{int(found):,}"


# --------------------------------------------------------------------------------------------------------- about a run


def heading(run: Sequence[Row]) -> str:
    """What was loaded and how, and how good the clock was: lines of text."""
    row = run[0]
    lengths = {True: "lengths fixed", False: "lengths up to the server"}.get(row["fixed_lengths"], "lengths unknown")
    prompts = {True: "prompts exact", False: "prompts approximate"}.get(row["exact_prompts"], "prompts unknown")
    workers = f"{_count(row['workers'])} client process{'' if row['workers'] == 1 else 'es'}"
    client = f"{row['lane'] or 'unknown'} client, {workers}"
    lines = [
        f"{row['target']} under load: {row['shape'] or 'unknown shape'}, {row['cache'] or 'unknown'} cache",
        f"{lengths}, {prompts}; {client}; {str(row['started_at'] or 'unknown')[:10]}",
        measured(run),
    ]
    if row["slo"]:
        share = f"; {row['slo_target']:.4g} of the requests must be" if row.get("slo_target") is not None else ""
        lines.append(f"good: {slo_text(row['slo'])}{share}")
    return "\n".join(map(printable, lines))


def measured(run: Sequence[Row]) -> str:
    """How far the latencies of a run may be off because of this client, at the 99th percentile of its requests."""
    ttft, e2e = (
        max((row[name] for row in run if row[name] is not None), default=None)
        for name in ("self_ttft_error_p99_ms", "self_e2e_error_p99_ms")
    )
    own = sorted(row["stamp_error_p99_ms"] for row in run if row["stamp_error_p99_ms"] is not None)
    checked = f"TTFT {figure(ttft)} ms, end to end {figure(e2e)} ms at p99"
    ceiling = min((row["self_events_per_s"] for row in run if row["self_events_per_s"] is not None), default=None)
    ends = list(dict.fromkeys(map(figure, (own[0], own[-1])))) if own else []
    told = f"± {' to '.join(ends)} ms" if own else "with an unknown error"
    if ttft is None and e2e is None and ceiling is None:
        return f"measured {told}; this client was not checked against a null server"
    return f"measured {told}; this client against a null server: {checked}, up to {_count(ceiling)} events/s"


def slo_text(slo: Mapping[str, Any]) -> str:
    """`ttft_ms ≤ 500, tpot_ms ≤ 50`."""
    return ", ".join(f"{name} ≤ {limit:g}" if isinstance(limit, int | float) else f"{name} {limit}"
                     for name, limit in slo.items())  # fmt: skip


def load_notes(run: Sequence[Row]) -> list[str]:
    """What must be known beside the figures, one line each: why steps are invalid first, then what happened."""
    lines = [f"✗ {load_name(row)} is invalid: {'; '.join(row['reasons']) or 'no reason was kept'}"
             for row in run if not row["valid"]]  # fmt: skip
    for row in run:
        happened = list(_happened(row))
        lines += [f"{load_name(row)}: {'; '.join(happened)}"] if happened else []
    if run[0]["status"] != "finished":
        lines.append(f"the run was {run[0]['status']}: steps may be missing")
    lines += [*search_result(run), f"run {run[0]['run_id']}"]
    return list(map(printable, lines))


def _happened(row: Row) -> Iterator[str]:
    if row["over_saturated"] and not any("saturated" in note for note in row["notes"]):
        yield "over-saturated: it fell ever further behind"
    yield from row["notes"]
    if row["energy_note"]:
        yield str(row["energy_note"])


def search_result(run: Sequence[Row]) -> list[str]:
    """Where each search for an SLO's edge ended: between the highest load that passes and the lowest that fails."""
    judged = [row for row in run if row["search_verdict"] is not None]
    kinds = dict.fromkeys(str(row["arrivals"]).partition(":")[0] for row in judged)
    good = f" ({slo_text(run[0]['slo'])})" if run[0]["slo"] else ""
    return [_edge([row for row in judged if str(row["arrivals"]).startswith(kind)], good) for kind in kinds]


def _edge(judged: Sequence[Row], good: str) -> str:
    passing = [row for row in judged if row["search_verdict"] == "passes"]
    failing = [row for row in judged if row not in passing
               and (row["search_verdict"] == "fails" or row["over_saturated"])]  # fmt: skip
    best, worst = max(passing, key=load_of, default=None), min(failing, key=load_of, default=None)
    told = f"holds at {marked_load(best)}" if best is not None else "holds at no load that was tried"
    over = f"fails at {marked_load(worst)}" if worst is not None else "no load that was tried is known to fail it"
    return f"the SLO{good} {told}, {over}; {len(judged)} steps"


def load_of(row: Row) -> float:
    """The load as a number: streams at once (closed), else requests asked per second; NaN when unknown."""
    value = row["asked_rps"] if row["concurrency"] is None else row["concurrency"]
    return number(value, math.nan)
