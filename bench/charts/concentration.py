"""Who the spending goes to, before and after a change, and how concentrated it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.charts import THEMELESS, axis, titled_plainly

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

QUESTION = "Whom does the spending hang on?"
SIDES = {"before": "#56b4e9", "after": "#cc79a7"}
"""Of Okabe and Ito's palette, two that don't mean open or closed elsewhere."""
ROW_PX = 64


def chart(frame: pandas.DataFrame) -> go.Figure:
    """`frame`: that of `analysis.spending`: shares of the dollars by provider, before and after."""
    import plotly.graph_objects as go

    order = frame.groupby("provider")["share"].max().sort_values().index.tolist()
    figure = go.Figure()
    for when, colour in reversed(SIDES.items()):
        part = frame[frame["when"] == when].set_index("provider").reindex(order)
        figure.add_trace(
            go.Bar(
                x=100 * part["share"],
                y=order,
                orientation="h",
                name=when,
                marker={"color": colour},
                customdata=part[["usd_month"]],
                hovertemplate="%{y}: %{x:.0f}%, %{customdata[0]:,.2f} $ a month<extra>" + when + "</extra>",
            )
        )
    figure.update_layout(
        **THEMELESS,
        title=titled_plainly(QUESTION, _caption(frame)),
        xaxis=axis("% of the dollars a month", range=[0, 100]),
        yaxis=axis("", type="category"),
        barmode="group",
        height=max(320, 200 + ROW_PX * len(order)),
        legend_traceorder="reversed",
    )
    return figure


def _caption(frame: pandas.DataFrame) -> str:
    told = [
        f"{when}: HHI {frame.attrs[f'hhi_{when}']:.2f}" for when in SIDES if frame.attrs.get(f"hhi_{when}") is not None
    ]
    concentration = ", ".join(told) or "no dollars are known"
    change = frame.attrs.get("change", "")
    return f"{change[:1].upper()}{change[1:]}. {concentration} (1 = one provider).\n{frame.attrs.get('says', '')}"
