"""Both frontiers over time, every model under them, and the gap between with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.charts import EMPHASIS, THEMELESS, axis, says_nothing, sentence, titled_plainly
from bench.charts.frontier import hidden, models, names, record_setters, shown_values, steps

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

QUESTION = "How far are open weights behind?"
BAND = "rgba(128, 128, 128, 0.3)"
HEIGHT_PX, FRONTIERS_PX = 640, 330


def chart(
    rows: pandas.DataFrame, series: pandas.DataFrame, *, name: str, unit: str, provenance: str, caption: str
) -> go.Figure:
    """`rows`: one score per model version (`label, cls, since, value`); `series`: `frontier.measure.series` of them.

    Above, both frontiers as steps up to the last date of `series`, hollow what came after; below, the gap with its 90%
    band, in the unit of the scores.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.7, 0.3], vertical_spacing=0.07)
    if rows.empty or series.empty:
        return says_nothing(figure, QUESTION, f"{sentence(name)} {sentence(caption)}", "no score of either class")
    end = series["date"].max()
    records = {cls: record_setters(rows[(rows["cls"] == cls) & (rows["since"] <= end)]) for cls in ("closed", "open")}
    values = _frontiers(figure, rows, records, provenance, end)
    for trace in _gap(series):
        figure.add_trace(trace, row=2, col=1)
    late = "Hollow: released after that day." if (rows["since"] > end).any() else ""
    told = f"{sentence(name)} {sentence(caption)}\n{late} {hidden(rows, values)}"
    figure.update_layout(title=titled_plainly(QUESTION, told), height=HEIGHT_PX, **THEMELESS)
    figure.update_xaxes(axis("", zeroline=False))
    figure.update_xaxes(title_text="day of release, and of the gap", row=2, col=1)
    figure.update_yaxes(axis(f"score [{unit}]", range=values), row=1, col=1)
    figure.update_yaxes(axis(f"gap [{' '.join(unit.split()[-2:])}]", zerolinecolor=EMPHASIS), row=2, col=1)
    return figure


def _frontiers(
    figure: go.Figure,
    rows: pandas.DataFrame,
    records: dict[str, pandas.DataFrame],
    provenance: str,
    end: pandas.Timestamp,
) -> tuple[float, float] | None:
    import pandas as pd

    faint = {"opacity": 0.6, "size": 6}
    for cls in records:
        part = rows[rows["cls"] == cls]
        figure.add_trace(models(part, cls, provenance, end, showlegend=False, marker=faint), row=1, col=1)
    for cls, setters in records.items():
        figure.add_trace(steps(setters, cls, end), row=1, col=1)
    values = shown_values(rows, pd.concat(list(records.values())))
    for note in names(records, values, (rows["since"].min(), rows["since"].max()), FRONTIERS_PX):
        figure.add_annotation(note, row=1, col=1)
    return values


def _gap(series: pandas.DataFrame) -> list[Any]:
    import plotly.graph_objects as go

    known = series.dropna(subset=["gap"])
    band = known.dropna(subset=["gap_low", "gap_high"])
    edge = {"mode": "lines", "line": {"shape": "hv", "width": 0}, "hoverinfo": "skip", "legendgroup": "band"}
    shade = {"fill": "tonexty", "fillcolor": BAND, "name": "90% interval", "showlegend": not band.empty}
    ends = [
        f" [{low:.3g}, {high:.3g}]" if low == low else ""
        for low, high in zip(known["gap_low"], known["gap_high"], strict=True)
    ]
    middle = go.Scatter(
        x=known["date"],
        y=known["gap"],
        mode="lines",
        name="gap, closed minus open" if len(known) else "no gap: one class has no model",
        line={"shape": "hv", "color": "#7f7f7f", "width": 2},
        customdata=ends,
        hovertemplate="gap %{y:.3~g}%{customdata}, %{x|%Y-%m-%d}<extra></extra>",
    )
    return [
        go.Scatter(x=band["date"], y=band["gap_high"], showlegend=False, **edge),
        go.Scatter(x=band["date"], y=band["gap_low"], **edge, **shade),
        middle,
    ]
