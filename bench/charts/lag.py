"""How many months ago the closed models stood where the best open one stands, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.charts import OPEN, THEMELESS, axis, titled_plainly

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

QUESTION = "How many months are open weights behind?"
STATES = {
    "value": ("circle", "known", 0.9),
    ">=": ("triangle-up", "at least so much (reached before the first closed record)", 0.9),
    "open leads": ("star", "open weights lead", 0.9),
}
"""Marker, words and opacity by state of the lag; what is undefined isn't drawn."""


def chart(series: pandas.DataFrame, *, name: str, caption: str) -> go.Figure:
    """`series`: `frontier.measure.series`, with `date, lag_months, lag_state`; the state is the marker's shape."""
    import plotly.graph_objects as go

    known = series[series["lag_state"].isin(list(STATES))]
    known = known.assign(lag_months=known["lag_months"].where(known["lag_state"] != "open leads", 0.0))
    figure = go.Figure(
        go.Scatter(
            x=known["date"],
            y=known["lag_months"],
            mode="lines",
            line={"color": OPEN, "width": 1.5},
            showlegend=False,
            hoverinfo="skip",
        )
    )
    for state, (symbol, words, opacity) in STATES.items():
        part = known[known["lag_state"] == state]
        if not part.empty:
            figure.add_trace(
                go.Scatter(
                    x=part["date"],
                    y=part["lag_months"],
                    mode="markers",
                    name=words,
                    marker={"symbol": symbol, "size": 9, "color": OPEN, "opacity": opacity},
                    hovertemplate="%{y:.1f} months, %{x|%Y-%m-%d}<extra></extra>",
                )
            )
    figure.update_layout(
        title=titled_plainly(QUESTION, f"{name}. {caption}"),
        xaxis=axis("as of"),
        yaxis=axis("lag [months]", rangemode="tozero"),
        height=460,
        **THEMELESS,
    )
    return figure
