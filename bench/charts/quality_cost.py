"""Quality against dollars a task: the front, and where something else is probably both better and cheaper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.charts import CLOSED, MARKERS, OPEN, THEMELESS, axis, log_axis, says_nothing, titled_plainly

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

QUESTION = "Which quality is to be had for which money?"
SHADE = "rgba(128, 128, 128, 0.2)"
GREY = "rgba(128, 128, 128, 0.9)"
LIKELY = 0.9
FAINT = 0.4


def chart(frame: pandas.DataFrame) -> go.Figure:
    """`frame`: that of `analysis.quality_cost`. Numbers stand for the targets in the legend, cheapest first.

    A faint marker is dominated with at least 90% probability: another is better and no dearer.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    shown = frame[frame["usd_per_task"].astype(float) > 0].reset_index(drop=True)
    if shown.empty:
        return says_nothing(figure, QUESTION, _caption(frame, shown), "no target with a known price was measured")
    usd, edge = shown["usd_per_task"].astype(float), frame.attrs.get("edge") or []
    if edge:
        figure.add_trace(_shade(edge, float(shown["quality_low"].min())))
    figure.add_trace(_front(shown[shown["on_front"].astype(bool)]))
    for k, row in enumerate(shown.to_dict("records"), start=1):
        figure.add_trace(_marker(k, {str(name): value for name, value in row.items()}))
    if (wanted := frame.attrs.get("wanted")) is not None:
        figure.add_hline(y=wanted, line={"color": GREY, "width": 1.5, "dash": "dot"})
    figure.update_layout(
        **THEMELESS,
        title=titled_plainly(QUESTION, _caption(frame, shown)),
        xaxis=log_axis("US$ a task, retries included", 0.6 * float(usd.min()), 1.7 * float(usd.max())),
        yaxis=axis("share right (95% interval)"),
        height=560,
    )
    return figure


def _shade(edge: Sequence[tuple[float, float]], floor: float) -> go.Scatter:
    """Everything under the edge, down to the lowest thing that is shown."""
    import plotly.graph_objects as go

    xs, ys = [x for x, _ in edge], [y for _, y in edge]
    under = min(floor, *ys)
    return go.Scatter(
        x=[*xs, xs[-1], xs[0]],
        y=[*ys, under, under],
        fill="toself",
        fillcolor=SHADE,
        mode="lines",
        line={"width": 0},
        name="probably dominated",
        hoverinfo="skip",
    )


def _front(front: pandas.DataFrame) -> go.Scatter:
    """The best there is at each price: a step up where a better one is affordable."""
    import plotly.graph_objects as go

    return go.Scatter(
        x=front["usd_per_task"],
        y=front["quality"],
        mode="lines",
        line={"color": GREY, "width": 1.5, "shape": "hv"},
        name="front",
        hoverinfo="skip",
    )


def _marker(k: int, row: dict[str, Any]) -> go.Scatter:
    import plotly.graph_objects as go

    colour = OPEN if row["open"] else CLOSED
    dominated = f"{row['p_dominated']:.0%} sure that another is better and no dearer"
    return go.Scatter(
        x=[row["usd_per_task"]],
        y=[row["quality"]],
        mode="markers+text",
        text=[str(k)],
        textposition="top left",
        cliponaxis=False,
        name=f"{k} {row['target']} ({'open' if row['open'] else 'closed'})",
        opacity=FAINT if row["p_dominated"] >= LIKELY else 1.0,
        marker={"size": 11, "color": colour, "symbol": MARKERS[row["provenance"]]},
        error_y=_bar(row["quality"], row["quality_low"], row["quality_high"], colour),
        error_x=_bar(row["usd_per_task"], row["usd_low"], row["usd_high"], colour),
        hovertemplate=f"{row['target']}, {row['layer']}<br>%{{y:.3f}} at %{{x:.3g}} $<br>{dominated}<extra></extra>",
    )


def _bar(value: float, low: float, high: float, colour: str) -> dict[str, Any]:
    ends = {"array": [max(high - value, 0)], "arrayminus": [max(value - low, 0)]}
    return {"type": "data", **ends, "thickness": 1.5, "width": 3, "color": colour}


def _caption(frame: pandas.DataFrame, shown: pandas.DataFrame) -> str:
    if shown.empty:
        return f"{frame.attrs.get('use_case', '')}: no target with a known price was measured."
    ends = dict.fromkeys(f"{n:,}" for n in (shown["n"].min(), shown["n"].max()))
    days = sorted(day for day in shown["measured"] if day)
    when = " to ".join(dict.fromkeys((days[0], days[-1]))) if days else "on an unknown day"
    lines = [
        f"{frame.attrs.get('use_case', '')}: n = {' to '.join(ends)} items a target, measured here, {when}.",
        "Faint, and in the grey: another is better and no dearer with 90% probability.",
    ]
    if frame.attrs.get("wanted") is not None:
        lines.append(f"Dotted: the {frame.attrs['wanted']:g} that is wanted.")
    if left_out := frame.attrs.get("without_price"):
        lines.append(f"Not shown: {len(left_out)} without a known price.")
    return "\n".join(lines)
