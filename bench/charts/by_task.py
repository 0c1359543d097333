"""Accuracy of every target on every task, as a grid that shows where one fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.charts import FONT, titled

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

QUESTION = "Where does each target fail?"


def chart(report: pandas.DataFrame) -> go.Figure:
    """`report`: rows of `analysis.report` of one suite version. Half-widths of the 95% intervals stand in the cells."""
    import plotly.graph_objects as go

    rows = report[report["metric"] == "acc"]
    order = rows[rows["task"] == "macro"].sort_values("value")["target"].tolist()
    rows = rows[rows["task"] != "macro"]
    tasks = list(dict.fromkeys(rows["task"]))
    targets = order or list(dict.fromkeys(rows["target"]))
    value = rows.pivot_table(index="target", columns="task", values="value").reindex(index=targets, columns=tasks)
    rows = rows.assign(half=(rows["ci_high"] - rows["ci_low"]) / 2)
    half = rows.pivot_table(index="target", columns="task", values="half").reindex(index=targets, columns=tasks)
    text = [
        [f"{v:.2f} ± {h:.2f}" if v == v else "–" for v, h in zip(vs, hs, strict=True)]
        for vs, hs in zip(value.to_numpy(), half.to_numpy(), strict=True)
    ]
    figure = go.Figure(
        go.Heatmap(
            z=value.to_numpy(),
            x=tasks,
            y=targets,
            text=text,
            texttemplate="%{text}",
            textfont={"size": 11},
            zmin=0,
            zmax=1,
            colorscale="Cividis",
            colorbar={"title": "accuracy"},
            xgap=2,
            ygap=2,
            hovertemplate="%{y} on %{x}: %{text}<extra></extra>",
        )
    )
    figure.update_layout(
        title=titled(QUESTION, report),
        height=160 + 36 * max(len(targets), 3),
        template="plotly_white",
        font={"family": FONT},
        margin={"l": 10, "r": 10, "t": 70, "b": 50},
    )
    return figure
