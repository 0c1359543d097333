"""Charts, one per file: a `QUESTION`, and `chart(report) -> plotly Figure`. The folder is the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from textwrap import wrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

LAYER_COLOURS = {
    "reference": "#7f7f7f",
    "on-device": "#56b4e9",
    "self-hosted": "#0072b2",
    "decentralised": "#009e73",
    "hosted-open": "#005a8d",
    "hosted-closed": "#d55e00",
}
"""Okabe and Ito's palette (safe for colour-blind readers): open weights in blues and green, closed in vermilion."""

SERIES_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""The same palette, for things that stand side by side and are no layers."""

OPEN, CLOSED = "#0072b2", "#d55e00"
"""Open and closed weights, the same two colours in every chart."""
MARKERS = {"own": "circle", "published": "diamond", "combined": "square"}
"""Marker shapes by provenance."""

CAPTION_CHARACTERS, QUESTION_CHARACTERS = 58, 44
"""What fits a line of 400 pixels."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"

LAYOUT: dict[str, Any] = {
    "template": "plotly_white",
    "font": {"family": FONT},
    "margin": {"l": 10, "r": 10, "t": 70, "b": 50},
}


GRID, EMPHASIS = "rgba(128, 128, 128, 0.25)", "rgba(128, 128, 128, 0.9)"
"""Greys that show on white and on black."""
WIDE_ONLY = "wide only"
"""Name of annotations that `bench.charts.export` leaves out of narrow charts."""
AXIS_CHARACTERS, MOST_DECADES = 28, 2.0
THEMELESS: dict[str, Any] = {
    "template": "none",
    "font": {"family": FONT, "size": 12},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "margin": {"l": 60, "r": 15, "t": 30, "b": 60},
    "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "tracegroupgap": 0},
    "hoverlabel": {"align": "left"},
}
"""Layout of charts that are shown on light and on dark ground alike; `bench.charts.export` gives them their text."""


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis for `THEMELESS` charts: its title with the unit, and a grid that shows on any ground."""
    plain = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": GRID, "automargin": True}
    lines = "<br>".join(wrap(title, AXIS_CHARACTERS)) if title.endswith("]") else title
    return {"title": {"text": lines, "standoff": 8}, **plain, **more}


def log_axis(title: str, low: float, high: float) -> dict[str, Any]:
    """A logarithmic axis from `low` to `high`, marked in plain decimals: at 1, 2 and 5 of few decades, at 1 of many."""
    ends = [log10(low), log10(high)]
    marks = (1, 2, 5) if ends[1] - ends[0] < MOST_DECADES else (1,)
    values = [mark * 10.0**power for power in range(floor(ends[0]), ceil(ends[1]) + 1) for mark in marks]
    inside = [value for value in values if low <= value <= high]
    texts = [f"{value:,.9f}".rstrip("0").rstrip(".") for value in inside]
    return axis(title, type="log", range=ends, tickvals=inside, ticktext=texts)


def titled_plainly(question: str, caption: str = "") -> dict[str, Any]:
    """A title for `THEMELESS` charts: the question, and n, date and provenance under it, in lines that fit a phone."""
    parts = [" ".join(part.split()) for part in caption.splitlines()]
    lines = [line for part in parts for line in wrap(part, CAPTION_CHARACTERS, break_on_hyphens=False)]
    question = "<br>".join(map(escape, wrap(question, QUESTION_CHARACTERS)))
    return {
        "text": question,
        "x": 0,
        "xref": "paper",
        "yref": "container",
        "y": 0.98,
        "yanchor": "top",
        "automargin": True,
        "font": {"size": 15},
        "subtitle": {"text": "<br>".join(map(escape, lines)), "font": {"size": 11}},
    }


def sentence(name: str) -> str:
    """A name, or part of a caption, as a sentence."""
    return f"{name[:1].upper()}{name[1:].rstrip('.')}." if name else ""


def says_nothing(figure: go.Figure, question: str, caption: str, why: str) -> go.Figure:
    """A chart that has nothing to show and says so."""
    figure.update_layout(title=titled_plainly(question, caption), height=260, **THEMELESS)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    place = {"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "showarrow": False, "font": {"size": 14}}
    return figure.add_annotation(text="<br>".join(map(escape, wrap(f"Nothing to show: {why}.", 40))), **place)


def interval_of(part: pandas.DataFrame, thickness: float) -> dict[str, Any]:
    """Error bars from `value` to `ci_low` and `ci_high`."""
    return {
        "type": "data",
        "array": part["ci_high"] - part["value"],
        "arrayminus": part["value"] - part["ci_low"],
        "thickness": thickness,
    }


def labelled(report: pandas.DataFrame) -> pandas.DataFrame:
    """With a column `label`: the target, and where it stands for several runs the end of the run's id too."""
    run = report["run_ids"].map(lambda runs: runs[0][-4:])
    several = report.groupby("target")["run_ids"].transform(lambda ids: ids.map(tuple).nunique()) > 1
    return report.assign(label=report["target"].where(~several, report["target"] + " …" + run))


def titled(question: str, report: pandas.DataFrame, more: str = "") -> dict[str, Any]:
    """The chart's title: its question, and under it the suite, n, the days of measuring and the provenance."""
    if report.empty:
        return {"text": question}
    days = sorted({run[:8] for runs in report["run_ids"] for run in runs})
    when = " to ".join(f"{d[:4]}-{d[4:6]}-{d[6:]}" for d in dict.fromkeys((days[0], days[-1])))
    n = sorted({int(n) for n in report[report["task"] == "macro"]["n"]})
    items = f", n = {' or '.join(map(str, n))} items a target" if n else ""
    caption = f"{report['suite'].iloc[0]}@{report['suite_version'].iloc[0]}{items}, measured here, {when}"
    return {"text": question, "subtitle": {"text": "; ".join(filter(None, (caption, more)))}}


def load_titled(question: str, steps: Sequence[Mapping[str, Any]], more: str = "") -> dict[str, Any]:
    """The title of a chart of load steps: its question, and under it whom, how, n, how exactly and when.

    `steps`: rows of `analysis.load_steps`, those that are shown.
    """
    from bench.load_tables import figure

    if not steps:
        return {"text": question}
    targets = dict.fromkeys(str(step["target"]) for step in steps)
    shapes = dict.fromkeys(f"{step['shape']}, {step['cache'] or 'unknown'} cache" for step in steps)
    ends = dict.fromkeys(f"{n(step['n'] for step in steps):,}" for n in (min, max))
    errors = [step["stamp_error_p99_ms"] for step in steps if step["stamp_error_p99_ms"] is not None]
    known = f" ± {figure(max(errors))} ms" if errors else ""
    days = sorted({str(step["started_at"])[:10] for step in steps if step["started_at"]})
    when = " to ".join(dict.fromkeys((days[0], days[-1]))) if days else "on an unknown day"
    caption = (
        f"{', '.join(targets)}: {', '.join(shapes)}",
        f"n = {' to '.join(ends)} requests{' a step' if len(steps) > 1 else ''}, measured here{known}, {when}",
        more,
    )
    return {"text": question, "subtitle": {"text": "<br>".join(map(escape, filter(None, caption)))}}


def plotly_script() -> str:
    """plotly.js itself, for pages that must not fetch anything."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
