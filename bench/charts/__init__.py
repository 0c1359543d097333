"""Charts, one per file: a `QUESTION`, and `chart(report) -> plotly Figure`. The folder is the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

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

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"

LAYOUT: dict[str, Any] = {
    "template": "plotly_white",
    "font": {"family": FONT},
    "margin": {"l": 10, "r": 10, "t": 70, "b": 50},
}


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
