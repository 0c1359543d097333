"""What charts of frontiers share: record setters, steps that run to the end, names where there is room, the range."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

from bench.charts import CLOSED, MARKERS, OPEN, WIDE_ONLY

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas
    import plotly.graph_objects as go

COLOURS = {"closed": CLOSED, "open": OPEN}
DASHES = {"closed": "solid", "open": "6px,3px"}
FAINT = {"closed": "rgba(213, 94, 0, 0.45)", "open": "rgba(0, 114, 178, 0.5)"}
"""The same two, for bars under names."""
BELOW, LOWEST = 0.5, 0.02
"""Models are shown down to half the frontiers' height under the lowest record; lower, but for the lowest 2%."""
WIDTH_PX, LETTER_PX, TALL_PX = 900, 6.2, 20
"""Of a plot in a window of 1000 pixels; of a letter of a name, and of the name with its distance."""


def record_setters(part: pandas.DataFrame) -> pandas.DataFrame:
    """Rows of one class (`since, value`) above all before them, oldest first; of one day only the best."""
    daily = part.sort_values(["since", "value"], ascending=[True, False], kind="stable").drop_duplicates("since")
    return daily[daily["value"] > daily["value"].cummax().shift(fill_value=float("-inf"))]


def shown_values(rows: pandas.DataFrame, records: pandas.DataFrame) -> tuple[float, float] | None:
    """Ends of the axis of scores: both frontiers, and the models under them but for far outliers."""
    if records.empty:
        return None
    low, high = float(records["value"].min()), float(rows["value"].max())
    height = (high - low) or abs(high) or 1.0
    low = min(low - BELOW * height, float(rows["value"].quantile(LOWEST)))
    return max(float(rows["value"].min()), low) - 0.04 * height, high + 0.12 * height


def hidden(rows: pandas.DataFrame, shown: tuple[float, float] | None) -> str:
    """A sentence on what lies below the axis; empty where nothing does."""
    n = 0 if shown is None else int((rows["value"] < shown[0]).sum())
    return f"{n} lower model{'s' * (n != 1)} not shown." if n else ""


def models(part: pandas.DataFrame, cls: str, provenance: str, end: pandas.Timestamp | None, **more: Any) -> go.Scatter:
    """Every model of a class, hollow where it came after `end`; the hover tells `low`, `high` and `vendor` if given."""
    import plotly.graph_objects as go

    symbol = MARKERS[provenance]
    late = [end is not None and when > end for when in part["since"]]
    marker = {"size": 7, "color": COLOURS[cls], "symbol": [f"{symbol}-open" if after else symbol for after in late]}
    return go.Scatter(
        x=part["since"],
        y=part["value"],
        mode="markers",
        **{**more, "marker": {**marker, **more.get("marker", {})}},
        customdata=[_told(row) for row in part.to_dict("records")],
        hovertemplate="%{customdata}, %{x|%Y-%m-%d}<extra></extra>",
    )


def steps(records: pandas.DataFrame, cls: str, end: pandas.Timestamp | None) -> go.Scatter:
    """The frontier of a class, up to `end`."""
    import plotly.graph_objects as go

    x, y = list(records["since"]), list(records["value"])
    if x and end is not None and end > x[-1]:
        x, y = [*x, end], [*y, y[-1]]
    line = {"shape": "hv", "color": COLOURS[cls], "width": 2.5, "dash": DASHES[cls]}
    return go.Scatter(x=x, y=y, mode="lines", name=f"best {cls} model", line=line, hoverinfo="skip")


def names(
    records: dict[str, pandas.DataFrame],
    values: tuple[float, float] | None,
    days: tuple[pandas.Timestamp, pandas.Timestamp],
    height_px: int,
) -> list[dict[str, Any]]:
    """Annotations that name record setters in a wide chart, the newest first, each only where no other name stands.

    Above and left of a step that leads, below and right of one that trails: there is no frontier.
    """
    if values is None or days[1] <= days[0]:
        return []
    across, up = WIDTH_PX / (days[1] - days[0]).total_seconds(), height_px / (values[1] - values[0])
    newest = sorted(
        ((row["since"], cls, row) for cls in records for row in records[cls].to_dict("records")),
        key=lambda found: found[:2],
        reverse=True,
    )
    taken: list[tuple[float, float, float, float]] = []
    found = []
    for when, cls, row in newest:
        rivals = records["open" if cls == "closed" else "closed"]
        leads = not (rivals.loc[rivals["since"] <= when, "value"] >= row["value"]).any()
        text = _short(str(row["label"]))
        x, width = (when - days[0]).total_seconds() * across, len(text) * LETTER_PX
        leftwards = leads or x + width > WIDTH_PX
        height = row["value"]
        if leftwards and not leads:  # its own frontier runs there, lower
            start = days[0] + (days[1] - days[0]) * ((x - width) / WIDTH_PX)
            height = records[cls].loc[records[cls]["since"] <= start, "value"].max()
        y = (height - values[0]) * up
        box = (x - width if leftwards else x, y if leads else y - TALL_PX, width, TALL_PX)
        far = not (row["value"] - height) * up <= TALL_PX
        if far or box[0] < 0 or any(_overlap(box, other) for other in taken):
            continue
        taken.append(box)
        found.append(_annotation(when, height, text, leads=leads, leftwards=leftwards))
    return found


def _annotation(when: object, height: float, text: str, *, leads: bool, leftwards: bool) -> dict[str, Any]:
    return {
        "name": WIDE_ONLY,
        "x": when,
        "y": height,
        "text": escape(text),
        "showarrow": False,
        "font": {"size": 10},
        "xanchor": "right" if leftwards else "left",
        "xshift": -2 if leftwards else 3,
        "yanchor": "bottom" if leads else "top",
        "yshift": 3 if leads else -3,
    }


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(one[k] < other[k] + other[k + 2] and other[k] < one[k] + one[k + 2] for k in (0, 1))


def _short(label: str) -> str:
    """Without the date at its end, which the axis tells."""
    return re.sub(r"[-_@ ]20\d\d-?\d\d-?\d\d$", "", label)


def _told(row: dict[Any, Any]) -> str:
    vendor = row.get("vendor")
    by = f" ({escape(vendor)})" if isinstance(vendor, str) else ""
    low, high = row.get("low"), row.get("high")
    interval = f" [{low:.4g}, {high:.4g}]" if low is not None and low == low and high == high else ""
    return f"{escape(str(row['label']))}{by}<br>{row['value']:.4g}{interval}"
