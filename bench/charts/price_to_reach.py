"""What a million tokens of at least so good a model cost, over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bench.charts import CLOSED, MARKERS, OPEN, SERIES_COLOURS, THEMELESS, axis, says_nothing, titled_plainly

if TYPE_CHECKING:
    import datetime as dt

    import pandas
    import plotly.graph_objects as go

    from bench.cost.history import Decline

QUESTION = "What does it cost to reach a quality?"
COLOURS = tuple(colour for colour in SERIES_COLOURS[:6] if colour not in (OPEN, CLOSED))
"""Qualities are no kinds of access: blue and vermilion stay with those."""


def chart(
    frame: pandas.DataFrame,
    declines: Mapping[float, Decline] | None = None,
    *,
    name: str = "",
    mix: str = "3:1",
    until: dt.date | None = None,
) -> go.Figure:
    """`frame`: `analysis.price_to_reach`; `declines`: `analysis.reach_declines` of it; `name`: the benchmark's.

    A line is the cheapest price that held, on a logarithmic axis, up to `until` (None: the last change); diamonds are
    record lows (of published prices). Lower qualities are drawn wider, so that they show where prices coincide.
    """
    import pandas as pd
    import plotly.graph_objects as go

    figure = go.Figure()
    if frame.empty:
        told = f"Quality: {name or 'unnamed'}. Cheapest list price, input to output {mix}; published figures."
        return says_nothing(figure, QUESTION, told, "no price of so good a model is known")
    end = frame["date"].max() if until is None else pd.Timestamp(until)
    many = frame["quality"].nunique()
    for k, (quality, part) in enumerate(frame.groupby("quality", sort=True)):
        colour, wider = COLOURS[k % len(COLOURS)], min(many - 1 - k, 3)
        label = f"at least {float(str(quality)):g}{_falls((declines or {}).get(float(str(quality))))}"
        figure.add_trace(_steps(part, label, colour, end, 2 + 1.5 * wider))
        figure.add_trace(_records(part[part["record"]], label, colour, 8 + 3 * wider))
    benchmark = name or ", ".join(dict.fromkeys(frame["benchmark"]))
    n = int(frame["record"].sum())
    caption = (
        f"Quality: {benchmark}. Cheapest list price, input to output {mix}; {n} record lows, "
        f"{frame['date'].min():%Y-%m-%d} to {end:%Y-%m-%d}; published figures.\n"
        + ("x: factor a year, with its 95% interval." if any(map(_falls, (declines or {}).values())) else "")
    )
    figure.update_layout(
        title=titled_plainly(QUESTION, caption),
        xaxis=axis("day"),
        yaxis=axis("US$ per million tokens", type="log", tickformat="~g"),
        height=480,
        **THEMELESS,
    )
    return figure


def _falls(found: Decline | None) -> str:
    if found is None or found.factor_per_year is None or found.low is None:
        return ""
    high = "?" if found.high is None else f"{found.high:.2g}"
    return f": x {found.factor_per_year:.2g} a year [{found.low:.2g} to {high}]"


def _steps(part: pandas.DataFrame, name: str, colour: str, end: object, width: float) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        x=[*part["date"], end],
        y=[*part["usd_per_mtok"], part["usd_per_mtok"].iloc[-1]],
        mode="lines",
        name=name,
        legendgroup=name,
        line={"color": colour, "width": width, "shape": "hv"},
        hoverinfo="skip",
    )


def _records(part: pandas.DataFrame, name: str, colour: str, size: float) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        x=part["date"],
        y=part["usd_per_mtok"],
        mode="markers",
        legendgroup=name,
        showlegend=False,
        marker={"symbol": MARKERS["published"], "size": size, "color": colour},
        text=part["model"] + " at " + part["provider"].fillna("?"),
        hovertemplate="%{text}<br>%{x|%Y-%m-%d}: %{y:.4~g} $/M<extra></extra>",
    )
