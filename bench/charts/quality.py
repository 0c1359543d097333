"""Macro score of every target with its interval, one panel per suite version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.charts import LAYER_COLOURS, LAYOUT, interval_of, labelled, titled

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

QUESTION = "How good is each target?"


def chart(report: pandas.DataFrame) -> go.Figure:
    """`report`: rows of `analysis.report` of one suite version; the interval is drawn, n stands in the label."""
    import plotly.graph_objects as go

    report = labelled(report)
    macro = report[(report["task"] == "macro") & (report["metric"] == "acc")].sort_values("value")
    figure = go.Figure()
    for layer, part in macro.groupby("layer", sort=False):
        figure.add_trace(
            go.Scatter(
                x=part["value"],
                y=part["label"],
                mode="markers",
                name=str(layer),
                marker={"size": 10, "color": LAYER_COLOURS.get(str(layer), "#000000")},
                error_x=interval_of(part, 1.5),
                customdata=part[["ci_low", "ci_high", "n", "n_unscored"]],
                hovertemplate="%{y}: %{x:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}], n = %{customdata[2]}, "
                "unscored %{customdata[3]}<extra></extra>",
            )
        )
    suite = f"{report['suite'].iloc[0]}@{report['suite_version'].iloc[0]}" if len(report) else ""
    figure.update_layout(
        title=titled(QUESTION, report),
        xaxis={"title": f"macro accuracy on {suite} (95% interval)", "range": [0, 1]},
        yaxis={"title": "", "categoryorder": "array", "categoryarray": list(macro["label"])},
        height=140 + 34 * max(len(macro), 3),
        **LAYOUT,
    )
    return figure
