"""Who the spending goes to, before and after a change, and how concentrated it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.charts import THEMELESS, axis, says_nothing, sentence, titled_plainly

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

    if frame.empty or not (frame["share"] > 0).any():
        return says_nothing(go.Figure(), QUESTION, _caption(frame), "no dollars are known")
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
                text=[_told(share) for share in part["share"]],
                textposition="auto",
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


def _told(share: float) -> str:
    return f"{share:.0%}" if share > 0 else ""


def _caption(frame: pandas.DataFrame) -> str:
    told = [f"{frame.attrs[f'hhi_{when}']:.2f} {when}" for when in SIDES if frame.attrs.get(f"hhi_{when}") is not None]
    concentration = f"HHI {', '.join(told)} (1 = one provider)." if told else ""
    return f"{sentence(frame.attrs.get('change', ''))} {concentration}\n{sentence(frame.attrs.get('says', ''))}"
