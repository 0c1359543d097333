"""Both frontiers over time, every model under them, and the gap between with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.charts import CLOSED, GRID, MARKERS, OPEN, THEMELESS, axis, titled_plainly

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

QUESTION = "How far are open weights behind?"
COLOURS = {"closed": CLOSED, "open": OPEN}
BAND = "rgba(128, 128, 128, 0.25)"


def chart(
    rows: pandas.DataFrame, series: pandas.DataFrame, *, name: str, unit: str, provenance: str, caption: str
) -> go.Figure:
    """`rows`: one score per model version (`label, cls, since, value`); `series`: `frontier.measure.series` of them.

    Above, both frontiers as steps; below, the gap with its 90% band, in the unit of the scores.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.68, 0.32], vertical_spacing=0.06)
    for cls, colour in COLOURS.items():
        for trace in _frontier(rows[rows["cls"] == cls], series, cls, colour, MARKERS[provenance]):
            figure.add_trace(trace, row=1, col=1)
    for trace in _gap(series):
        figure.add_trace(trace, row=2, col=1)
    figure.update_layout(title=titled_plainly(QUESTION, f"{name}. {caption}"), height=600, **THEMELESS)
    figure.update_xaxes(gridcolor=GRID, linecolor=GRID, zeroline=False)
    figure.update_xaxes(title_text="release of the model", row=2, col=1)
    figure.update_yaxes(axis(_short(unit)), row=1, col=1)
    figure.update_yaxes(axis("gap (90%)", zeroline=True), row=2, col=1)
    return figure


def _short(unit: str) -> str:
    return f"score [{unit}]"


def _frontier(part: pandas.DataFrame, series: pandas.DataFrame, cls: str, colour: str, symbol: str) -> list[Any]:
    import plotly.graph_objects as go

    named = {"customdata": part["label"], "hovertemplate": "%{customdata}: %{y:.3~g}, %{x|%Y-%m-%d}<extra></extra>"}
    models = go.Scatter(
        x=part["since"],
        y=part["value"],
        mode="markers",
        marker={"size": 6, "color": colour, "opacity": 0.4, "symbol": symbol},
        showlegend=False,
        **named,
    )
    steps = go.Scatter(
        x=series["date"],
        y=series[cls],
        mode="lines",
        name=f"best {cls} model",
        line={"shape": "hv", "color": colour, "width": 2.5, "dash": "solid" if cls == "closed" else "dash"},
        hoverinfo="skip",
    )
    return [models, steps]


def _gap(series: pandas.DataFrame) -> list[Any]:
    import plotly.graph_objects as go

    known = series.dropna(subset=["gap"])
    band = known.dropna(subset=["gap_low", "gap_high"])
    line = {"shape": "hv", "width": 0}
    return [
        go.Scatter(x=band["date"], y=band["gap_high"], mode="lines", line=line, showlegend=False, hoverinfo="skip"),
        go.Scatter(
            x=band["date"],
            y=band["gap_low"],
            mode="lines",
            line=line,
            fill="tonexty",
            fillcolor=BAND,
            showlegend=False,
            hoverinfo="skip",
        ),
        go.Scatter(
            x=known["date"],
            y=known["gap"],
            mode="lines",
            name="gap (closed minus open)",
            line={"shape": "hv", "color": "#7f7f7f", "width": 2},
            hovertemplate="gap %{y:.3~g}, %{x|%Y-%m-%d}<extra></extra>",
        ),
    ]
