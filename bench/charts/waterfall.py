"""The requests of one step as bars in time: waiting, prefill, decoding, and how each ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.charts import LAYOUT, load_titled
from bench.load_tables import load_name
from bench.records import ANSWERED

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

QUESTION = "Where does the time of a request go?"
Row = Mapping[str, Any]
FEWEST, MOST = 40, 200
ROUNDS = 8
"""So many times as many requests as were under way at once are shown: then one is an eighth of the picture wide."""
PARTS = (
    ("waiting in our client", "sched_ms", "sent_ms", "#7f7f7f"),
    ("to the first token", "sent_ms", "first_token_ms", "#e69f00"),
    ("decoding", "first_token_ms", "last_token_ms", "#0072b2"),
    ("no token came", "sent_ms", "end_ms", "#cc79a7"),
)


def chart(step: Row, requests: pandas.DataFrame) -> go.Figure:
    """`step`: a row of `analysis.load_steps`; `requests`: `analysis.load_requests`. At most 200 are shown."""
    import plotly.graph_objects as go

    mine = requests[(requests["run_id"] == step["run_id"]) & (requests["step"] == step["step"])]
    shown = _chosen(mine, min(max(FEWEST, round(ROUNDS * (step["inflight_mean"] or 0))), MOST))
    ends = shown[["sched_ms", "sent_ms", "last_token_ms", "end_ms"]] / 1000
    place = list(range(1, len(shown) + 1))
    figure = go.Figure()
    for name, start, end, colour in PARTS:
        has = shown["first_token_ms"].isna() if name == "no token came" else shown[end].notna() & shown[start].notna()
        length = (shown[end] - shown[start]).where(has)
        if has.any():
            figure.add_trace(
                go.Bar(
                    y=place, x=length / 1000, base=shown[start] / 1000, orientation="h", name=name,
                    marker={"color": colour, "line": {"width": 0}}, width=0.85,
                    customdata=length, hovertemplate="request %{y}: %{customdata:.1f} ms<extra>" + name + "</extra>",
                )
            )  # fmt: skip
    _mark_ends(figure, shown, place)
    figure.update_layout(
        title=load_titled(QUESTION, [step], _told(step, len(shown), len(mine))),
        barmode="overlay",
        xaxis={"title": "seconds since the step began", "range": _room(ends.min().min(), ends.max().max())},
        yaxis={"title": "requests, in the order they were due", "autorange": "reversed", "showgrid": False},
        height=max(320, min(900, 200 + 5 * len(shown))),
        showlegend=True,
        **{**LAYOUT, "margin": {"l": 10, "r": 10, "t": 130, "b": 50}},
    )
    return figure


def _chosen(requests: pandas.DataFrame, most: int) -> pandas.DataFrame:
    """So many in a row: from the window's first on, else from the step's."""
    requests = requests.sort_values(["sched_ms", "sent_ms"], kind="stable").reset_index(drop=True)
    inside = requests.index[requests["in_window"].astype(bool)]
    first = int(inside[0]) if len(inside) else 0
    return requests.iloc[first : first + most]


def _mark_ends(figure: go.Figure, shown: pandas.DataFrame, place: list[int]) -> None:
    import plotly.graph_objects as go

    cut = shown["status"] == "cancelled"
    failed = ~shown["status"].isin(ANSWERED) & ~cut
    ends = shown["end_ms"].fillna(shown["sent_ms"]).fillna(shown["sched_ms"]) / 1000
    for name, those, symbol, colour in (
        ("failed", failed, "x", "#d55e00"),
        ("cut off by the step's end", cut, "line-ns-open", "#000000"),
    ):
        if those.any():
            figure.add_trace(
                go.Scatter(
                    x=ends[those], y=[y for y, is_one in zip(place, those, strict=True) if is_one], mode="markers",
                    name=name, marker={"symbol": symbol, "color": colour, "size": 6}, text=shown["status"][those],
                    hovertemplate="request %{y}: %{text}<extra></extra>",
                )
            )  # fmt: skip


def _room(first: float, last: float) -> list[float] | None:
    """Ends of the axis: bars would have it begin at 0."""
    room = 0.02 * (last - first)
    return [first - room, last + room] if room > 0 else None


def _told(step: Row, n_shown: int, n_all: int) -> str:
    valid = "" if step["valid"] else f", invalid: {'; '.join(step['reasons'])}"
    since = "from the start of its steady window" if step["window_start_ns"] is not None else "from its start"
    which = f"all {n_all:,} requests" if n_shown == n_all else f"{n_shown:,} of {n_all:,} requests, {since}"
    return f"{load_name(step)}{valid}; {which}"
