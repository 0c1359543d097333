"""How TTFT is distributed at each load: the whole curve, with a band that holds all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log, log10, sqrt
from typing import TYPE_CHECKING, Any

from bench.charts import LAYOUT, load_titled
from bench.load_tables import load_name, load_of
from bench.records import ANSWERED

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

QUESTION = "How long is the wait for the first token?"
Row = Mapping[str, Any]
POINTS = 400
"""A curve of more requests than this is drawn through as many, evenly over its ranks."""
MISSED = 0.05


def chart(steps: Sequence[Row], requests: pandas.DataFrame) -> go.Figure:
    """`steps` of one run (`analysis.load_steps`), `requests` as `analysis.load_requests`: the window's answered ones.

    The band is Dvoretzky, Kiefer and Wolfowitz's (Massart 1990): the true curve lies in it, everywhere at once, 95% of
    the time. Curves of invalid steps are dotted.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    ordered = sorted(steps, key=load_of)
    shown = []
    for row, colour in zip(ordered, _shades(len(ordered)), strict=True):
        waits = _waits(row, requests)
        if len(waits):
            shown.append(row)
            _draw(figure, row, waits, colour)
    axis = "TTFT from due [ms]" if ordered and ordered[0]["headline"] == "ttft_sched_ms" else "TTFT from sent [ms]"
    for limit in {limit for row in steps for name, limit in (row["slo"] or {}).items() if name.startswith("ttft")}:
        figure.add_vline(x=limit, line={"dash": "dot", "color": "#555", "width": 1.2})
        where = {"x": log10(limit), "y": 0.02, "xanchor": "left", "yanchor": "bottom"}
        figure.add_annotation(text=f"SLO {limit:g} ms", showarrow=False, font={"size": 11}, **where)
    more = "answered requests of the steady window; bands: 95% (Dvoretzky–Kiefer–Wolfowitz); dotted: invalid step"
    figure.update_layout(
        title=load_titled(QUESTION, shown, more),
        xaxis={"title": axis, "type": "log", "minor": {"showgrid": True}},
        yaxis={"title": "share of requests that had their first token", "range": [0, 1.01], "tickformat": ".0%"},
        height=520,
        **{**LAYOUT, "margin": {"l": 10, "r": 10, "t": 130, "b": 50}},
    )
    return figure


def _waits(step: Row, requests: pandas.DataFrame) -> Any:
    """The headline TTFT of the step's answered requests in its window, in rising order."""
    import numpy as np

    mine = (requests["run_id"] == step["run_id"]) & (requests["step"] == step["step"])
    part = requests[mine & requests["in_window"].astype(bool) & requests["status"].isin(ANSWERED)]
    return np.sort(part[step["headline"]].dropna().to_numpy(dtype=float))


def _draw(figure: go.Figure, step: Row, waits: Any, colour: tuple[int, int, int]) -> None:
    import numpy as np
    import plotly.graph_objects as go

    n = len(waits)
    ranks = np.unique(np.linspace(0, n - 1, min(n, POINTS)).round().astype(int))
    x, share = waits[ranks], (ranks + 1) / n
    reach = sqrt(log(2 / MISSED) / (2 * n))
    red, green, blue = colour
    edge = {"width": 0, "shape": "hv"}
    same = {
        "x": x,
        "mode": "lines",
        "line": edge,
        "legendgroup": step["step"],
        "showlegend": False,
        "hoverinfo": "skip",
    }
    figure.add_trace(go.Scatter(y=np.minimum(share + reach, 1), **same))
    figure.add_trace(
        go.Scatter(y=np.maximum(share - reach, 0), fill="tonexty", fillcolor=f"rgba({red},{green},{blue},0.10)", **same)
    )
    figure.add_trace(
        go.Scatter(
            x=x,
            y=share,
            mode="lines",
            name=f"{load_name(step)}{'' if step['valid'] else ' ✗ invalid'}, n = {n:,}",
            legendgroup=step["step"],
            line={
                "color": f"rgb({red},{green},{blue})",
                "width": 2,
                "shape": "hv",
                "dash": "solid" if step["valid"] else "dot",
            },
            hovertemplate="%{y:.1%} within %{x:.1f} ms<extra>" + load_name(step) + "</extra>",
        )
    )


def _shades(n: int) -> list[tuple[int, int, int]]:
    """From violet to green (Viridis, safe for colour-blind readers) with the load; its palest end is left out."""
    from plotly.colors import sample_colorscale

    places = [0.85 * i / max(n - 1, 1) for i in range(n)]
    found = sample_colorscale("Viridis", places, colortype="tuple") if n else []
    return [(round(255 * red), round(255 * green), round(255 * blue)) for red, green, blue in found]
