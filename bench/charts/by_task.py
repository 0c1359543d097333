"""Accuracy of every target on every task, as a grid that shows where one fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.charts import LAYOUT, labelled, titled
from bench.terminal import per_cent

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

QUESTION = "Where does each target fail?"


def chart(report: pandas.DataFrame) -> go.Figure:
    """`report`: rows of `analysis.report` of one suite version. Cells: per cent right, 95% interval."""
    import plotly.graph_objects as go

    report = labelled(report)
    rows = report[report["metric"] == "acc"]
    order = rows[rows["task"] == "macro"].sort_values("value")["label"].tolist()
    rows = rows[rows["task"] != "macro"]
    tasks = list(dict.fromkeys(rows["task"]))
    targets = order or list(dict.fromkeys(rows["label"]))
    value = rows.pivot(index="label", columns="task", values="value").reindex(index=targets, columns=tasks)
    rows = rows.assign(text=[per_cent({str(k): v for k, v in row.items()}) for row in rows.to_dict("records")])
    text = rows.pivot(index="label", columns="task", values="text").reindex(index=targets, columns=tasks).fillna("–")
    figure = go.Figure(
        go.Heatmap(
            z=value.to_numpy(),
            x=tasks,
            y=targets,
            text=text.to_numpy(),
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
        title=titled(QUESTION, report, "cells: % right [95% interval]"),
        height=160 + 36 * max(len(targets), 3),
        **LAYOUT,
    )
    return figure
