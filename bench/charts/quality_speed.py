"""Macro score against decoding speed: what a little patience buys."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bench.charts import LAYER_COLOURS, LAYOUT, interval_of, labelled, titled

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

QUESTION = "What does quality cost in speed?"


def chart(report: pandas.DataFrame) -> go.Figure:
    """`report`: rows of `analysis.report` of one suite version; targets without a measured speed are left out."""
    import plotly.graph_objects as go

    report = labelled(report)
    macro = report[(report["task"] == "macro") & (report["metric"] == "acc")].dropna(subset=["decode_tps_p50", "value"])
    figure = go.Figure()
    for layer, part in macro.groupby("layer", sort=False):
        figure.add_trace(
            go.Scatter(
                x=part["decode_tps_p50"],
                y=part["value"],
                mode="markers+text",
                text=part["label"],
                textposition="middle right",
                cliponaxis=False,
                name=str(layer),
                marker={"size": 10, "color": LAYER_COLOURS.get(str(layer), "#000000")},
                error_y=interval_of(part, 1.2),
                hovertemplate="%{text}: %{y:.3f} at %{x:.0f} tokens/s<extra></extra>",
            )
        )
    figure.update_layout(
        title=titled(QUESTION, report),
        xaxis={
            "title": "output tokens/s of one stream, median, under quality traffic (not a load test)",
            "type": "log",
            "range": _room(macro["decode_tps_p50"]),
        },
        yaxis={"title": "macro accuracy (95% interval)", "range": [0, 1.05]},
        height=460,
        **LAYOUT,
    )
    return figure


def _room(speeds: pandas.Series[float]) -> list[float] | None:
    """Ends of a logarithmic axis with room for the last name to the right."""
    if speeds.empty:
        return None
    return [math.log10(speeds.min() * 0.9), math.log10(speeds.max() * 1.35)]
