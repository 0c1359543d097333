"""A gap over time, and what a chart of it shows: frontiers, lag, records, rows with their intervals, a caption."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from bench.analysis.gap import View
from bench.stats import z_quantile

if TYPE_CHECKING:
    import pandas


def gap_series(view: View) -> pandas.DataFrame:
    """Both frontiers, gap and lag by month and at every record: `frontier.measure.series`."""
    from bench.frontier.measure import series

    return series(
        view.rows,
        view.benchmark,
        _dates(view),
        draws=view.draws,
        tolerance=view.asked.tolerance,
        confidence=view.asked.confidence,
    )


def _dates(view: View) -> list[dt.date]:
    import pandas as pd

    if view.gap.as_of is None or view.rows.empty:
        return []
    end = pd.Timestamp(view.gap.as_of)
    months = pd.date_range(view.rows["since"].min(), end, freq="MS")
    return sorted(
        {*(day.date() for day in months), *(day.date() for day in records_of(view)["since"] if day <= end), end.date()}
    )


def records_of(view: View) -> pandas.DataFrame:
    """The rows that raised a frontier, both classes: `cls, since, label, vendor, value`, oldest first."""
    import pandas as pd

    from bench.frontier.curves import records

    parts = [records(view.rows, cls).assign(cls=cls) for cls in ("closed", "open")]
    return pd.concat(parts, ignore_index=True).sort_values(["cls", "since"], kind="stable", ignore_index=True)


def gap_caption(view: View) -> str:
    """How many versions of each class, of which day, from whom."""
    many = view.gap.variants
    told = view.rows["source"].astype(str) if "source" in view.rows else view.rows["version"]
    known = {"Epoch": "Epoch AI (CC-BY 4.0)", "LMArena": "LMArena"}
    who = ", ".join(words for name, words in known.items() if told.str.contains(name, case=False).any())
    return (
        f"{many['closed']} closed and {many['open']} open versions, as of {view.gap.as_of}; "
        f"{view.asked.provenance}{'; ' + who if who else ''}"
    )


def _in_unit(view: View) -> pandas.DataFrame:
    """Rows in the unit of the answer."""
    from bench.frontier.scores import factor

    scale = factor(view.benchmark)
    return view.rows.assign(value=view.rows["value"] * scale, stderr=view.rows["stderr"] * scale)


def gap_rows(view: View) -> pandas.DataFrame:
    """Rows with `low` and `high`: of the refits where there are, else from the standard error."""
    import numpy as np

    rows = _in_unit(view)
    if view.index is not None and view.index.scores is view.index.fit.models and view.draws is not None:
        tail = 50 * (1 - view.asked.confidence)
        with np.errstate(all="ignore"):
            low, high = np.nanpercentile(view.draws, [tail, 100 - tail], axis=0)
        return rows.assign(low=low, high=high)
    reach = z_quantile(view.asked.confidence) * rows["stderr"]
    return rows.assign(low=rows["value"] - reach, high=rows["value"] + reach)
