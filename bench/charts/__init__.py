"""Charts, one per file: a `QUESTION`, and `chart(report) -> plotly Figure`. The folder is the registry."""

from __future__ import annotations

LAYER_COLOURS = {
    "reference": "#7f7f7f",
    "on-device": "#56b4e9",
    "self-hosted": "#0072b2",
    "decentralised": "#009e73",
    "hosted-open": "#005a8d",
    "hosted-closed": "#d55e00",
}
"""Okabe and Ito's palette (safe for colour-blind readers): open weights in blues and green, closed in vermilion."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


def plotly_script() -> str:
    """plotly.js itself, for pages that must not fetch anything."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
