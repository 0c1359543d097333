"""One index over many benchmarks: every model by its release, with intervals, and both frontiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.charts import CLOSED, MARKERS, OPEN, THEMELESS, axis, titled_plainly

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

QUESTION = "How capable is each model, over many benchmarks?"


def chart(rows: pandas.DataFrame, *, provenance: str, unit: str, caption: str) -> go.Figure:
    """`rows`: `label, cls, since, value, low, high` (index points; an end is NaN where no interval is known)."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for cls, colour in (("closed", CLOSED), ("open", OPEN)):
        part = rows[rows["cls"] == cls].sort_values("since")
        figure.add_trace(
            go.Scatter(
                x=part["since"],
                y=part["value"],
                mode="markers",
                name=f"{cls} weights",
                marker={"size": 7, "color": colour, "symbol": MARKERS[provenance], "opacity": 0.8},
                error_y={
                    "type": "data",
                    "array": part["high"] - part["value"],
                    "arrayminus": part["value"] - part["low"],
                    "thickness": 1,
                    "width": 0,
                    "color": colour,
                },
                customdata=part["label"],
                hovertemplate="%{customdata}: %{y:.1f}, %{x|%Y-%m-%d}<extra></extra>",
            )
        )
        best = part[part["value"] > part["value"].cummax().shift(fill_value=float("-inf"))]
        figure.add_trace(
            go.Scatter(
                x=best["since"],
                y=best["value"],
                mode="lines",
                name=f"best {cls}",
                line={"shape": "hv", "color": colour, "width": 2, "dash": "solid" if cls == "closed" else "dash"},
                hoverinfo="skip",
            )
        )
    figure.update_layout(
        title=titled_plainly(QUESTION, caption),
        xaxis=axis("release of the model"),
        yaxis=axis(f"index [{unit}]"),
        height=520,
        **THEMELESS,
    )
    return figure
