"""How many months ago the closed models stood where the best open one stands, over time."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bench.charts import OPEN, THEMELESS, axis, says_nothing, sentence, titled_plainly

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

QUESTION = "How many months are open weights behind?"
STATES = {
    "value": ("circle", "new open record, or the last day"),
    ">=": ("triangle-up", "the same, at least this"),
    "open leads": ("star", "open weights lead"),
}
"""Marker and words by state of the lag; what is undefined isn't drawn."""
DAYS_A_MONTH = 30.4375


def chart(series: pandas.DataFrame, *, name: str, caption: str) -> go.Figure:
    """`series`: `frontier.measure.series`, with `date, open, lag_months, lag_state`; the state is the marker's shape.

    A lag grows by a month a month and falls on the day of an open record: between the dates of `series` that is drawn.
    """
    import plotly.graph_objects as go

    known = series[series["lag_state"].isin(list(STATES))].reset_index(drop=True)
    known = known.assign(lag_months=known["lag_months"].where(known["lag_state"] != "open leads", 0.0))
    figure = go.Figure()
    if known.empty:
        return says_nothing(figure, QUESTION, f"{sentence(name)} {sentence(caption)}", "one class has no model")
    points = _sawtooth(known)
    for bounds, dash in ((False, "solid"), (True, "dot")):
        figure.add_trace(_line(points, dash, bounds=bounds))
    told = known[(known["open"].diff() != 0) | (known.index == len(known) - 1)]
    for state, (symbol, words) in STATES.items():
        if (part := told[told["lag_state"] == state]).size:
            figure.add_trace(_markers(part, symbol, words))
    bounds_shown = bool((known["lag_state"] == ">=").any())
    bound = "Dotted: at least this; the closed side was that good from its first record." if bounds_shown else ""
    figure.update_layout(
        title=titled_plainly(QUESTION, f"{sentence(name)} {sentence(caption)}\n{bound}"),
        xaxis=axis("as of"),
        yaxis=axis("lag [months]", range=[-0.04 * _top(known), 1.12 * _top(known)], zeroline=True),
        height=480,
        annotations=[_last(row) for row in known.tail(1).to_dict("records") if row["lag_state"] != "open leads"],
        **THEMELESS,
    )
    return figure


def _top(known: pandas.DataFrame) -> float:
    return max(float(known["lag_months"].max()), 1.0)


def _sawtooth(known: pandas.DataFrame) -> list[tuple[Any, float, str]]:
    """Date, months and state, with the height just before each fall."""
    rows = list(zip(known["date"], known["lag_months"], known["lag_state"], strict=True))
    points = rows[:1]
    for (day, lag, state), after in pairwise(rows):
        grown = lag + (after[0] - day).days / DAYS_A_MONTH
        if lag > 0 and after[1] < grown - 0.02:
            points.append((after[0], grown, state))
        points.append(after)
    return points


def _line(points: list[tuple[Any, float, str]], dash: str, *, bounds: bool) -> go.Scatter:
    """The stretches that start with a lower bound, or those that don't."""
    import plotly.graph_objects as go

    xs: list[Any] = []
    ys: list[float | None] = []
    for one, two in pairwise(points):
        if (one[2] == ">=") == bounds:
            xs += [one[0], two[0], None]
            ys += [one[1], two[1], None]
    line = {"color": OPEN, "width": 2, "dash": dash}
    return go.Scatter(x=xs, y=ys, mode="lines", line=line, showlegend=False, hoverinfo="skip")


def _markers(part: pandas.DataFrame, symbol: str, words: str) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        x=part["date"],
        y=part["lag_months"],
        mode="markers",
        name=words,
        marker={"symbol": symbol, "size": 9, "color": OPEN},
        customdata=[_words(row) for row in part.to_dict("records")],
        hovertemplate="%{customdata}, %{x|%Y-%m-%d}<extra></extra>",
    )


def _words(row: dict[Any, Any]) -> str:
    if row["lag_state"] == "open leads":
        return "open leads"
    return f"{'≥ ' if row['lag_state'] == '>=' else ''}{row['lag_months']:.1f} months"


def _last(row: dict[Any, Any]) -> dict[str, Any]:
    place = {"xanchor": "right", "yanchor": "bottom", "xshift": 6, "yshift": 8, "showarrow": False}
    return {"x": row["date"], "y": row["lag_months"], "text": f"<b>{_words(row)}</b>", **place}
