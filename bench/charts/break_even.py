"""The month's bill over the volume, of APIs and of whole nodes of one's own, and where they meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.charts import OPEN, THEMELESS, log_axis, says_nothing, sentence, titled_plainly

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

QUESTION = "From what volume is an own node cheaper?"
DASHES = ("solid", "dash", "dot", "dashdot")
API_COLOURS = ("#e69f00", "#009e73", "#56b4e9", "#7f7f7f")
"""An API may serve open or closed weights: neither of those two colours."""


def chart(frame: pandas.DataFrame, *, mix: str = "3:1", says: str = "") -> go.Figure:
    """`frame`: `analysis.break_even`; `says` is where the throughput is from. Both axes are logarithmic.

    A node is a step up; a line ends in a bar where all nodes are full. A circle marks the first volume at which they
    are not dearer; a line without one never gets there.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    if frame.empty:
        return says_nothing(figure, QUESTION, f"Input to output {mix}.\n{says}", "no bill is known")
    apis = list(dict.fromkeys(frame.loc[frame["kind"] == "api", "who"]))
    for k, name in enumerate(apis):
        part = frame[(frame["kind"] == "api") & (frame["who"] == name)]
        figure.add_trace(_line(part, name, API_COLOURS[k % len(API_COLOURS)], "solid"))
    own = frame[frame["kind"] == "self"]
    for k, (u, part) in enumerate(own.groupby("utilisation", sort=False)):
        name = f"own, used to {100 * float(str(u)):.3g}%"
        figure.add_trace(_line(part.sort_values("mtok_per_month"), name, OPEN, DASHES[k % len(DASHES)]))
    if len(own):
        figure.add_trace(_full(own.sort_values("mtok_per_month").groupby("utilisation", sort=False).tail(1)))
    if len(meetings := frame[frame["kind"] == "break-even"]):
        figure.add_trace(_meetings(meetings))
    nodes = int(own["nodes"].max()) if len(own) else 1
    never = "" if len(meetings) else "They never meet."
    caption = f"Input to output {mix}; up to {nodes} {'node' if nodes == 1 else 'nodes'}. {never}\n{sentence(says)}"
    figure.update_layout(
        title=titled_plainly(QUESTION, caption),
        xaxis=log_axis("million tokens a month, input and output", *_ends(frame["mtok_per_month"])),
        yaxis=log_axis("US$ a month", *_ends(frame["usd_per_month"])),
        height=520,
        **THEMELESS,
    )
    return figure


def _line(part: pandas.DataFrame, name: str, colour: str, dash: str) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        x=part["mtok_per_month"],
        y=part["usd_per_month"],
        mode="lines",
        name=name,
        line={"color": colour, "width": 2, "dash": dash},
        hovertemplate="%{x:,.1~f} M tokens: %{y:,.2f} $<extra>" + name + "</extra>",
    )


def _full(part: pandas.DataFrame) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        x=part["mtok_per_month"],
        y=part["usd_per_month"],
        mode="markers",
        name="all nodes full",
        marker={"symbol": "line-ns-open", "size": 14, "color": OPEN, "line": {"width": 2.5}},
        text=[f"used to {100 * float(u):.3g}%" for u in part["utilisation"]],
        hovertemplate="all nodes full, %{text}<br>%{x:,.1~f} M tokens, %{y:,.2f} $<extra></extra>",
    )


def _meetings(part: pandas.DataFrame) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        x=part["mtok_per_month"],
        y=part["usd_per_month"],
        mode="markers",
        name="break-even",
        marker={"symbol": "circle-open", "size": 11, "color": "#cc79a7", "line": {"width": 2.5}},
        text=[
            f"{who}, used to {100 * float(u):.3g}%: {float(n):g} nodes"
            for who, u, n in zip(part["who"], part["utilisation"], part["nodes"], strict=True)
        ],
        hovertemplate="%{text}<br>%{x:,.1f} M tokens, %{y:,.2f} $<extra></extra>",
    )


def _ends(values: pandas.Series[float]) -> tuple[float, float]:
    """Of a logarithmic axis, with a little air."""
    known = values[values > 0].astype(float)
    return (known.min() / 1.2, known.max() * 1.2) if len(known) else (1.0, 10.0)
