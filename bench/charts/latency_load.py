"""TTFT, time per token and throughput against the load, with intervals: where does it saturate?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.charts import LAYOUT, SERIES_COLOURS, load_titled
from bench.load_tables import by_run, load_name, load_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

QUESTION = "How does latency grow with the load?"
Row = Mapping[str, Any]
PANELS = 3
ROUND = [digit * 10.0**power for power in range(-2, 7) for digit in (1, 2, 5)]
"""Where a logarithmic axis of milliseconds is labelled."""
STYLES = {"p50": ("solid", "circle"), "p95": ("dash", "diamond")}


def chart(steps: Sequence[Row]) -> go.Figure:
    """`steps`: rows of `analysis.load_steps`; one series per run, p50 and p95 with their 95% intervals.

    The load is streams at once (closed) or requests asked per second (open); where both stand together, what they
    have in common: output tokens per second. Invalid steps are hollow; a step without a steady window has no figure.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=PANELS, cols=1, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.4, 0.33, 0.27])
    known, axis = _axis(steps)
    runs = by_run(steps)
    for run, colour, name in zip(runs, _colours(len(runs)), _names(runs), strict=True):
        ordered = sorted((row for row in run if not math.isnan(_x(row, known))), key=lambda row: _x(row, known))
        for percentile in STYLES:
            for panel, latency in ((1, None), (2, "tpot_ms")):
                trace = _latency(ordered, known, latency, percentile, colour)
                trace.update(name=f"{name} {percentile}", showlegend=panel == 1)
                figure.add_trace(trace, row=panel, col=1)
        figure.add_trace(_throughput(ordered, known, colour), row=3, col=1)
    _draw_slo(figure, steps)
    _label(figure, steps, known, axis)
    return figure


def _axis(steps: Sequence[Row]) -> tuple[str, str]:
    kinds = {row["headline"] for row in steps}
    if len(kinds) > 1:
        return "system_out_tps", "output tokens/s of the whole system"
    if kinds == {"ttft_ms"}:
        return "load", "requests under way at once"
    return "load", "requests asked for per second"


def _x(row: Row, known: str) -> float:
    if known == "load":
        return load_of(row)
    return math.nan if row[known] is None else float(row[known])


def _colours(n: int) -> list[str]:
    return [SERIES_COLOURS[i % len(SERIES_COLOURS)] for i in range(n)]


def _names(runs: Sequence[Sequence[Row]]) -> list[str]:
    """The target; with the end of the run's id where several runs are of one target."""
    targets = [str(run[0]["target"]) for run in runs]
    return [
        f"{target} …{str(run[0]['run_id'])[-4:]}" if targets.count(target) > 1 else target
        for target, run in zip(targets, runs, strict=True)
    ]


def _latency(rows: Sequence[Row], known: str, latency: str | None, percentile: str, colour: str) -> go.Scatter:
    """One percentile of one run; `latency` None = the headline TTFT."""
    import plotly.graph_objects as go

    names = [f"{latency or row['headline']}_{percentile}" for row in rows]
    values, lows, highs = (
        [_number(row[name + end]) for row, name in zip(rows, names, strict=True)] for end in ("", "_low", "_high")
    )
    dash, symbol = STYLES[percentile]
    return go.Scatter(
        x=[_x(row, known) for row in rows],
        y=values,
        mode="lines+markers",
        line={"color": colour, "dash": dash, "width": 1.6},
        marker=_marker(rows, symbol, colour),
        error_y={
            "type": "data",
            "array": [high - value for value, high in zip(values, highs, strict=True)],
            "arrayminus": [value - low for value, low in zip(values, lows, strict=True)],
            "thickness": 1.2,
            "width": 3,
        },
        legendgroup=colour,
        customdata=[_told(row) for row in rows],
        hovertemplate="%{customdata}: " + percentile + " %{y:.1f} ms<extra></extra>",
    )


def _throughput(rows: Sequence[Row], known: str, colour: str) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        x=[_x(row, known) for row in rows],
        y=[_number(row["system_out_tps"]) for row in rows],
        mode="lines+markers",
        line={"color": colour, "width": 1.6},
        marker=_marker(rows, "square", colour),
        showlegend=False,
        customdata=[_told(row) for row in rows],
        hovertemplate="%{customdata}: %{y:,.0f} output tokens/s<extra></extra>",
    )


def _marker(rows: Sequence[Row], symbol: str, colour: str) -> dict[str, Any]:
    symbols = [symbol if row["valid"] else f"{symbol}-open" for row in rows]
    return {"size": 8, "color": colour, "symbol": symbols, "line": {"width": 1.5, "color": colour}}


def _told(row: Row) -> str:
    return f"{load_name(row)}, n = {row['n']}" + ("" if row["valid"] else ", invalid")


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _draw_slo(figure: go.Figure, steps: Sequence[Row]) -> None:
    for panel, names in ((1, {row["headline"] for row in steps} | {"ttft_ms"}), (2, {"tpot_ms"})):
        limits = {limit for row in steps for name, limit in (row["slo"] or {}).items() if name in names}
        for limit in sorted(limits):
            figure.add_hline(y=limit, line={"dash": "dot", "color": "#555", "width": 1.2}, row=panel, col=1)
            where = {"x": 0, "xref": "x domain", "xanchor": "left", "yanchor": "bottom", "row": panel, "col": 1}
            y = math.log10(limit) if panel == 1 else limit
            figure.add_annotation(y=y, text=f"SLO {limit:g} ms", showarrow=False, font={"size": 11}, **where)


def _label(figure: go.Figure, steps: Sequence[Row], known: str, axis: str) -> None:
    since = {"ttft_sched_ms": "from due", "ttft_ms": "from sent"}
    ttft = " / ".join(sorted({since[row["headline"]] for row in steps}))
    loads = sorted({_x(row, known) for row in steps} - {math.nan})
    more = "bars: 95% intervals, as far as the requests bound them; hollow: invalid step"
    figure.update_xaxes(type="log", showticklabels=True, minor={"showgrid": False})
    if known == "load":
        named = _apart(loads)
        figure.update_xaxes(tickvals=named, ticktext=[f"{load:g}" for load in named])
    figure.update_xaxes(title=axis, row=PANELS, col=1)
    figure.update_yaxes(title=f"TTFT {ttft} [ms]", type="log", tickvals=ROUND, row=1, col=1)
    figure.update_yaxes(title="TPOT [ms]", rangemode="tozero", row=2, col=1)
    figure.update_yaxes(title="output tokens/s", rangemode="tozero", row=3, col=1)
    layout = {**LAYOUT, "margin": {"l": 10, "r": 10, "t": 130, "b": 50}}
    figure.update_layout(title=load_titled(QUESTION, steps, more), height=820, **layout)


def _apart(loads: list[float]) -> list[float]:
    """Those whose names don't run into each other on a logarithmic axis."""
    kept: list[float] = []
    for load in loads:
        if not kept or load >= 1.2 * kept[-1]:
            kept.append(load)
    return kept
