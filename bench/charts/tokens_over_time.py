"""Output tokens per second through one step: ramp, steady window, end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.charts import LAYOUT, load_titled
from bench.load_tables import figure as three_digits
from bench.load_tables import load_name

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

QUESTION = "Was the load steady while it was measured?"
Row = Mapping[str, Any]
BINS = 150


def bin_ms(step: Row) -> float:
    """A round width of bins (1, 2 or 5 times a power of ten) that gives about 150 of the step."""
    wanted = max((step["end_ns"] - step["start_ns"]) / 1e6 / BINS, 1.0)
    power = 10.0 ** (len(str(int(wanted))) - 1)
    return next(times * power for times in (1, 2, 5, 10) if times * power >= wanted)


def chart(step: Row, tokens: pandas.DataFrame) -> go.Figure:
    """`step`: a row of `analysis.load_steps`; `tokens`: `analysis.tokens_over_time` of it. The window is shaded."""
    import plotly.graph_objects as go

    figure = go.Figure()
    seconds = tokens["start_ms"] / 1000
    useful = tokens["tokens_per_s"] - tokens["wasted_per_s"]
    for name, values, colour in (
        ("of other requests", useful, "#0072b2"),
        ("of failed requests", tokens["wasted_per_s"], "#d55e00"),
    ):
        if name == "of other requests" or values.any():
            figure.add_trace(
                go.Scatter(
                    x=seconds, y=values, name=name, mode="lines", stackgroup="tokens",
                    line={"color": colour, "width": 0, "shape": "hv"}, fillcolor=colour,
                    hovertemplate="%{x:.1f} s: %{y:,.0f} tokens/s<extra>" + name + "</extra>",
                )
            )  # fmt: skip
    _draw_window(figure, step)
    width = (tokens["start_ms"].iloc[1] - tokens["start_ms"].iloc[0]) if len(tokens) > 1 else bin_ms(step)
    valid = "" if step["valid"] else f", invalid: {'; '.join(step['reasons'])}"
    figure.update_layout(
        title=load_titled(QUESTION, [step], f"{load_name(step)}{valid}; {_window(step)}"),
        xaxis={"title": "seconds since the step began"},
        yaxis={"title": f"output tokens/s in bins of {width:g} ms", "rangemode": "tozero"},
        height=420,
        showlegend=True,
        **{**LAYOUT, "margin": {"l": 10, "r": 10, "t": 130, "b": 50}},
    )
    return figure


def _window(step: Row) -> str:
    if step["window_start_ns"] is None:
        return "there was no steady window"
    return "shaded: the steady window, all that the figures of the step are made of"


def _draw_window(figure: go.Figure, step: Row) -> None:
    if step["window_start_ns"] is None or step["window_end_ns"] is None:
        return
    begin, end = ((step[name] - step["start_ns"]) / 1e9 for name in ("window_start_ns", "window_end_ns"))
    figure.add_vrect(x0=begin, x1=end, fillcolor="#009e73", opacity=0.12, line_width=0, layer="below")
    rate = step["system_out_tps"]
    if rate is not None:
        figure.add_shape(type="line", x0=begin, x1=end, y0=rate, y1=rate, line={"color": "#000", "dash": "dash"})
        label = f"{three_digits(rate)} tokens/s in the window"
        where = {"xanchor": "right", "yanchor": "bottom", "bgcolor": "rgba(255,255,255,0.85)", "yshift": 3}
        figure.add_annotation(x=end, y=rate, text=label, showarrow=False, **where)
