"""The difference of two targets on every task and over all, with intervals, against the margin that was declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.charts import THEMELESS, axis, says_nothing, titled_plainly

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

QUESTION = "Which of the two is better, and where?"
VERDICT_COLOURS = {"ahead": "#009e73", "at parity": "#56b4e9", "behind": "#cc79a7", "inconclusive": "#8c8c8c"}
"""Of Okabe and Ito's palette, those that don't mean open or closed elsewhere."""
BAND = "rgba(128, 128, 128, 0.18)"
ZERO = "rgba(128, 128, 128, 0.9)"
ROW_PX = 30


def chart(
    frame: pandas.DataFrame, *, a: str, b: str, suite: str, margin: float, confidence: float, measured: str
) -> go.Figure:
    """`frame`: that of `analysis.compare`, one suite, measured here.

    A circle is a task, coloured by its verdict; the diamond at the bottom spans the interval of the macro mean; the
    grey band is the margin.
    """
    import plotly.graph_objects as go

    if frame.empty or not (frame["task"] == "macro").any():
        return says_nothing(go.Figure(), QUESTION, f"{a} minus {b} on {suite}", "no item was answered by both")
    tasks = frame[~frame["task"].isin(("macro", "macro_rescaled")) & frame["difference"].notna()].reset_index(drop=True)
    macro = frame[frame["task"] == "macro"].iloc[0]
    places = [float(len(tasks) - k) for k in range(len(tasks))]
    figure = go.Figure()
    figure.add_vrect(x0=-100 * margin, x1=100 * margin, fillcolor=BAND, line_width=0, layer="below")
    figure.add_vline(x=0, line={"color": ZERO, "width": 1})
    for verdict, colour in VERDICT_COLOURS.items():
        at = [k for k in range(len(tasks)) if tasks["verdict"][k] == verdict]
        if at:
            figure.add_trace(_circles(tasks.iloc[at], [places[k] for k in at], verdict, colour))
    figure.add_trace(_diamond(macro))
    caption = (
        f"{a} minus {b} on {suite}, paired on n = {int(macro['n'])} items, measured here, {measured}.\n"
        f"{confidence:.0%} intervals; grey band: the margin of {100 * margin:g} points."
    )
    figure.update_layout(**_layout(tasks, places, caption, suite))
    return figure


def _circles(part: pandas.DataFrame, places: list[float], verdict: str, colour: str) -> go.Scatter:
    import plotly.graph_objects as go

    bars = {
        "type": "data",
        "array": 100 * (part["ci_high"] - part["difference"]),
        "arrayminus": 100 * (part["difference"] - part["ci_low"]),
        "thickness": 2,
        "width": 4,
    }
    return go.Scatter(
        x=100 * part["difference"],
        y=places,
        mode="markers",
        name=verdict,
        marker={"size": 10, "color": colour, "symbol": "circle"},
        error_x=bars,
        customdata=part[["task", "n", "why", "ci_low", "ci_high"]].assign(
            ci_low=100 * part["ci_low"], ci_high=100 * part["ci_high"]
        ),
        hovertemplate="%{customdata[0]}: %{x:+.1f} [%{customdata[3]:+.1f}, %{customdata[4]:+.1f}]<br>"
        "%{customdata[2]}, n = %{customdata[1]}<extra></extra>",
    )


def _diamond(macro: pandas.Series[Any]) -> go.Scatter:
    import plotly.graph_objects as go

    middle, colour = 100 * macro["difference"], VERDICT_COLOURS[macro["verdict"]]
    known = macro["ci_low"] == macro["ci_low"]
    low, high = (100 * macro["ci_low"], 100 * macro["ci_high"]) if known else (middle, middle)
    return go.Scatter(
        x=[low, middle, high, middle, low],
        y=[0, 0.3, 0, -0.3, 0],
        mode="lines",
        fill="toself",
        fillcolor=colour,
        line={"color": colour, "width": 1.5},
        name=f"macro: {macro['verdict']}",
        text=f"macro: {middle:+.1f} [{low:+.1f}, {high:+.1f}]",
        hoverinfo="text",
        hoveron="fills",
    )


def _layout(tasks: pandas.DataFrame, places: list[float], caption: str, suite: str) -> dict[str, Any]:
    names = [str(task).removeprefix(f"{suite.partition('@')[0]}_") for task in tasks["task"]]
    rows = axis("", tickvals=[*places, 0], ticktext=[*names, "<b>macro</b>"], range=[-0.7, len(tasks) + 0.7])
    return {
        **THEMELESS,
        "title": titled_plainly(QUESTION, caption),
        "xaxis": axis("difference [points]; right: the first is better", zeroline=False),
        "yaxis": {**rows, "showgrid": False, "zeroline": False},
        "height": 250 + ROW_PX * (len(tasks) + 1),
        "legend": {**THEMELESS["legend"], "traceorder": "normal"},
    }
