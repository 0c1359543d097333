"""One index over many benchmarks: every model by its release, with intervals, and both frontiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.charts import THEMELESS, axis, says_nothing, sentence, titled_plainly
from bench.charts.frontier import COLOURS, FAINT, hidden, models, names, record_setters, shown_values, steps

if TYPE_CHECKING:
    import datetime as dt

    import pandas
    import plotly.graph_objects as go

QUESTION = "How capable is each model, over many benchmarks?"
HEIGHT_PX, PLOT_PX = 560, 380


def chart(
    rows: pandas.DataFrame,
    *,
    provenance: str,
    unit: str,
    caption: str,
    name: str = "",
    as_of: dt.date | None = None,
    confidence: float = 0.9,
) -> go.Figure:
    """`rows`: `label, cls, since, value, low, high` (index points; an end is NaN where no interval is known).

    Frontiers run to `as_of` (None: the last release); what came later is hollow.
    """
    import pandas as pd
    import plotly.graph_objects as go

    figure = go.Figure()
    if rows.empty:
        return says_nothing(figure, QUESTION, f"{sentence(name)} {sentence(caption)}", "no model has enough scores")
    end = pd.Timestamp(as_of) if as_of is not None else rows["since"].max()
    records = {cls: record_setters(rows[(rows["cls"] == cls) & (rows["since"] <= end)]) for cls in COLOURS}
    for cls in COLOURS:
        part = rows[rows["cls"] == cls].sort_values("since")
        bars = {"array": part["high"] - part["value"], "arrayminus": part["value"] - part["low"]}
        look = {"type": "data", "thickness": 1, "width": 0, "color": FAINT[cls]}
        figure.add_trace(models(part, cls, provenance, end, name=f"{cls} weights", error_y={**look, **bars}))
        figure.data[-1].marker.opacity = 0.8
        figure.add_trace(steps(records[cls], cls, end))
    values = shown_values(rows, pd.concat(list(records.values())))
    known = "" if rows["low"].isna().all() else f"Bars: {confidence:.0%} intervals."
    late = "Hollow: released after that day." if (rows["since"] > end).any() else ""
    told = f"{sentence(name)} {sentence(caption)}\n{known} {late} {hidden(rows, values)}"
    figure.update_layout(
        title=titled_plainly(QUESTION, told),
        xaxis=axis("day of release"),
        yaxis=axis(f"index [{unit}]", range=values),
        height=HEIGHT_PX,
        annotations=names(records, values, (rows["since"].min(), rows["since"].max()), PLOT_PX),
        **THEMELESS,
    )
    return figure
