"""Every chart asks its question, tells units, keeps the two colours, sets no black or white, and owns up to nothing."""

from __future__ import annotations

import asyncio
import importlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from bench import charts
from bench.charts import CLOSED, OPEN, WIDE_ONLY, export
from bench.charts import frontier as shared

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NEW = sorted(
    path.stem
    for path in Path(charts.__file__).parent.glob("*.py")
    if "THEMELESS" in path.read_text() and path.stem != "__init__"
)
"""Charts for light and for dark ground alike; the report's own page is always light."""
FRONTIERS = ("gap", "index")

ROWS = pd.DataFrame(
    [
        ("gpt-a-2024-01-01", "Lab <A>", "closed", "2024-01-01", 50.0, 48.0, 52.0),
        ("gpt-b", "Lab A", "closed", "2024-06-01", 60.0, 58.0, 62.0),
        ("gpt-late", "Lab A", "closed", "2025-03-01", 70.0, 68.0, 72.0),
        ("open-a", "Lab O", "open", "2024-03-01", 40.0, 38.0, 42.0),
        ("open-b", "Lab O", "open", "2024-11-01", 55.0, 53.0, 57.0),
        ("open-weak", None, "open", "2024-12-01", 45.0, float("nan"), float("nan")),
    ],
    columns=["label", "vendor", "cls", "since", "value", "low", "high"],
).astype({"since": "datetime64[us]"})
SERIES = pd.DataFrame(
    [
        ("2024-01-01", 50.0, None, None, None, None, None, "undefined"),
        ("2024-03-01", 50.0, 40.0, 10.0, 8.0, 12.0, 2.0, ">="),
        ("2024-06-01", 60.0, 40.0, 20.0, 18.0, 22.0, 5.0, ">="),
        ("2024-11-01", 60.0, 55.0, 5.0, 3.0, 7.0, 5.0, "value"),
        ("2025-01-01", 60.0, 55.0, 5.0, 3.0, 7.0, 7.0, "value"),
    ],
    columns=["date", "closed", "open", "gap", "gap_low", "gap_high", "lag_months", "lag_state"],
).astype({"date": "datetime64[us]", **dict.fromkeys(("open", "gap", "gap_low", "gap_high", "lag_months"), float)})
TASKS = pd.DataFrame(
    [("quick_add", 0.1, 0.04, 0.16, "ahead"), ("macro", 0.1, 0.04, 0.16, "ahead")],
    columns=["task", "difference", "ci_low", "ci_high", "verdict"],
).assign(n=30, why="why")
BILLS = pd.DataFrame(
    [
        (1.0, "lab:m", "api", None, None, 1.0),
        (1000.0, "lab:m", "api", None, None, 1000.0),
        (1.0, "self-hosted", "self", 1.0, 1.0, 100.0),
        (500.0, "self-hosted", "self", 1.0, 1.0, 100.0),
        (100.0, "lab:m", "break-even", 1.0, 1.0, 100.0),
    ],
    columns=["mtok_per_month", "who", "kind", "utilisation", "nodes", "usd_per_month"],
)
LOWS = pd.DataFrame(
    [
        ("2024-01-01", 10.0, "a", "lab", 60.0, True, 50.0, "eci", "s"),
        ("2025-01-01", 1.0, "b", None, 70.0, True, 50.0, "eci", "s"),
    ],
    columns=["date", "usd_per_mtok", "model", "provider", "score", "record", "quality", "benchmark", "source"],
).astype({"date": "datetime64[us]"})
FRONT = pd.DataFrame(
    [
        ("a:x", "hosted-open", "a", True, "own", 0.8, 0.7, 0.9, 0.001, 0.0009, 0.0011, 0.0, True, 40, "2026-11-01"),
        ("b:y", "hosted-closed", "b", False, "own", 0.9, 0.8, 0.95, 0.01, 0.009, 0.011, 0.0, True, 40, "2026-11-01"),
    ],
    columns=["target", "layer", "provider", "open", "provenance", "quality", "quality_low", "quality_high",
             "usd_per_task", "usd_low", "usd_high", "p_dominated", "on_front", "n", "measured"],
)  # fmt: skip
FRONT.attrs.update(use_case="letters", wanted=None, edge=[], without_price=[])
SPENDING = pd.DataFrame(
    [("a", "before", 10.0, 1.0), ("a", "after", 0.0, 0.0), ("b", "before", 0.0, 0.0), ("b", "after", 5.0, 1.0)],
    columns=["provider", "when", "usd_month", "share"],
)
SPENDING.attrs.update(hhi_before=1.0, hhi_after=1.0, change="a is gone", says="1 task, measured here, 2026-11-01")
TOLD = {"caption": "3 closed and 3 open versions, as of 2025-01-01; published"}


def module(name: str) -> Any:
    return importlib.import_module(f"bench.charts.{name}")


def of_gap(rows: pd.DataFrame, series: pd.DataFrame = SERIES) -> go.Figure:
    told = {"name": "Made up", "unit": "index points", "provenance": "published", **TOLD}
    return module("gap").chart(rows, series if len(rows) else series.iloc[:0], **told)


def of_index(rows: pd.DataFrame, **more: Any) -> go.Figure:
    return module("index").chart(rows, provenance="published", unit="index points", **TOLD, **more)


def of_forest(frame: pd.DataFrame) -> go.Figure:
    told = {"a": "x:a", "b": "x:b", "suite": "quick@1", "measured": "2026-11-01"}
    return module("forest").chart(frame, margin=0.02, confidence=0.95, **told)


DRAWN: dict[str, tuple[pd.DataFrame, Callable[[pd.DataFrame], go.Figure]]] = {
    "gap": (ROWS, of_gap),
    "lag": (SERIES, lambda series: module("lag").chart(series, name="Made up", **TOLD)),
    "index": (ROWS, of_index),
    "forest": (TASKS, of_forest),
    "break_even": (BILLS, lambda frame: module("break_even").chart(frame, says="100 tokens/s, measured here")),
    "price_to_reach": (LOWS, lambda frame: module("price_to_reach").chart(frame, name="Made up")),
    "quality_cost": (FRONT, lambda frame: module("quality_cost").chart(frame)),
    "concentration": (SPENDING, lambda frame: module("concentration").chart(frame)),
}


def figure(name: str) -> go.Figure:
    frame, how = DRAWN[name]
    return how(frame)


def caption(shown: go.Figure) -> str:
    return str(shown.layout.title.subtitle.text).replace("<br>", " ")


def axes(shown: go.Figure) -> list[str]:
    found = [*shown.select_xaxes(), *shown.select_yaxes()]
    return [str(one.title.text) for one in found if one.title.text]


@pytest.mark.parametrize("name", NEW)
def test_a_title_is_the_question_and_a_caption_tells_from_what(name: str) -> None:
    shown = figure(name)
    assert shown.layout.title.text.replace("<br>", " ") == module(name).QUESTION
    assert module(name).QUESTION.endswith("?")
    assert re.search(r"published|measured here", caption(shown))


@pytest.mark.parametrize("name", NEW)
def test_every_axis_of_numbers_has_a_title_with_its_unit(name: str) -> None:
    units = r"\[.+\]|US\$|share|%|million tokens|day|as of"
    told = axes(figure(name))
    assert told
    assert all(re.search(units, title) for title in told), told


@pytest.mark.parametrize("name", NEW)
def test_nothing_is_black_or_white_by_hand_and_the_ground_shows_through(name: str) -> None:
    shown = figure(name)
    told = {**shown.to_plotly_json(), "layout": {**shown.layout.to_plotly_json(), "template": None}}
    assert not re.search(r"['\"](black|white|#000|#fff|#000000|#ffffff)['\"]", str(told), re.IGNORECASE)
    assert shown.layout.paper_bgcolor == shown.layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert shown.layout.font.color is None


@pytest.mark.parametrize("name", NEW)
def test_a_frame_without_rows_is_a_chart_that_says_so(name: str) -> None:
    frame, how = DRAWN[name]
    none = frame.iloc[:0]
    none.attrs.update(frame.attrs)
    shown = how(none)
    assert shown.layout.title.text.replace("<br>", " ") == module(name).QUESTION
    assert any("Nothing to show" in str(note.text) for note in shown.layout.annotations)
    assert export.page(shown)


@pytest.mark.parametrize("name", FRONTIERS)
def test_open_and_closed_have_their_two_colours_and_published_ones_are_diamonds(name: str) -> None:
    shown = figure(name)
    colours = {trace.name: trace.line.color for trace in shown.data if str(trace.name).startswith("best")}
    assert colours == {"best closed model": CLOSED, "best open model": OPEN}
    symbols = {symbol for trace in shown.data if trace.mode == "markers" for symbol in trace.marker.symbol}
    assert symbols <= {"diamond", "diamond-open"}


def test_colours_of_open_and_closed_mean_nothing_else() -> None:
    for name in ("forest", "price_to_reach", "concentration"):
        told = str(figure(name).to_plotly_json()["data"])
        assert OPEN not in told, name
        assert CLOSED not in told, name


def test_frontiers_run_to_the_date_that_is_told_and_what_came_later_is_hollow() -> None:
    shown = of_gap(ROWS)
    best = {trace.name: trace for trace in shown.data if trace.name}
    assert list(best["best closed model"].y) == [50.0, 60.0, 60.0]
    assert {pd.Timestamp(best[f"best {cls} model"].x[-1]) for cls in ("closed", "open")} == {SERIES["date"].max()}
    closed = next(trace for trace in shown.data if trace.mode == "markers")
    assert list(closed.marker.symbol) == ["diamond", "diamond", "diamond-open"]
    assert "Hollow: released after that day." in caption(shown)
    assert "Hollow" not in caption(of_index(ROWS))
    assert "Hollow" in caption(of_index(ROWS, as_of=SERIES["date"].max().date()))


def test_of_one_day_only_the_best_sets_a_record() -> None:
    rows = pd.DataFrame({"since": pd.to_datetime(["2024-01-01"] * 2 + ["2024-02-01"]), "value": [1.0, 3.0, 2.0]})
    assert list(shared.record_setters(rows)["value"]) == [3.0]


def test_one_outlier_does_not_flatten_the_frontiers_and_is_counted() -> None:
    many = pd.concat([ROWS, *[ROWS.assign(value=44.0, label="under")] * 20, ROWS.iloc[:1].assign(value=-900.0)])
    shown = of_gap(many.reset_index(drop=True))
    assert shown.layout.yaxis.range[0] > 0
    assert "1 lower model not shown." in caption(shown)
    assert "not shown" not in caption(of_gap(ROWS))


def test_record_setters_are_named_without_their_dates_where_no_other_name_stands() -> None:
    notes = [note for note in of_gap(ROWS).layout.annotations if note.name == WIDE_ONLY]
    assert {note.text for note in notes} <= {"gpt-a", "gpt-b", "open-a", "open-b"}
    assert {"gpt-b", "open-a"} <= {note.text for note in notes}
    crowd = pd.concat([ROWS.assign(value=ROWS["value"] + 0.01 * k, since=ROWS["since"]) for k in range(30)])
    crowd["since"] += pd.to_timedelta(range(len(crowd)), unit="h")
    assert len([n for n in of_gap(crowd).layout.annotations if n.name == WIDE_ONLY]) <= 8


def test_a_hover_tells_the_vendor_and_the_interval_and_no_markup_of_others() -> None:
    told = [text for trace in of_index(ROWS).data if trace.mode == "markers" for text in trace.customdata]
    assert "gpt-a-2024-01-01 (Lab &lt;A&gt;)<br>50 [48, 52]" in told
    assert "open-weak<br>45" in told


def test_a_class_without_models_has_no_gap_and_the_chart_says_so() -> None:
    shown = of_gap(ROWS[ROWS["cls"] == "open"], SERIES.assign(gap=float("nan"), closed=float("nan")))
    assert "no gap: one class has no model" in {trace.name for trace in shown.data}


def test_a_lag_grows_with_the_days_and_falls_on_the_day_of_a_record() -> None:
    series = SERIES[["date", "open", "lag_months", "lag_state"]]
    shown = module("lag").chart(series, name="Made up", **TOLD)
    dotted = next(trace for trace in shown.data if trace.line.dash == "dot")
    fall = [y for x, y in zip(dotted.x, dotted.y, strict=True) if x is not None and pd.Timestamp(x).month == 11]
    assert max(fall) == pytest.approx(5 + 153 / 30.4375)
    assert min(fall) == 5.0
    assert [note.text for note in shown.layout.annotations] == ["<b>7.0 months</b>"]
    assert "Dotted: at least this" in caption(shown)
    states = {trace.name: list(trace.y) for trace in shown.data if trace.mode == "markers"}
    assert states == {"new open record, or the last day": [5.0, 7.0], "the same, at least this": [2.0]}


def test_bills_that_never_meet_have_no_circle_and_the_end_of_a_line_is_marked() -> None:
    apart = module("break_even").chart(BILLS[BILLS["kind"] != "break-even"])
    assert "break-even" not in {trace.name for trace in apart.data}
    assert "They never meet." in caption(apart)
    full = next(trace for trace in apart.data if trace.name == "all nodes full")
    assert list(full.x) == [500.0]


def test_a_lower_quality_is_drawn_wider_so_that_two_at_one_price_both_show() -> None:
    both = pd.concat([LOWS, LOWS.assign(quality=60.0)])
    lines = [trace for trace in module("price_to_reach").chart(both).data if trace.mode == "lines"]
    assert lines[0].line.width > lines[1].line.width


def test_a_logarithmic_axis_is_marked_in_plain_numbers() -> None:
    assert charts.log_axis("", 0.001, 0.01)["ticktext"] == ["0.001", "0.002", "0.005", "0.01"]
    assert charts.log_axis("", 5, 2e6)["ticktext"] == ["10", "100", "1,000", "10,000", "100,000", "1,000,000"]


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
def test_on_a_phone_a_page_follows_the_theme_and_never_scrolls_sideways(tmp_path: Path) -> None:
    pytest.importorskip("choreographer")
    for name in NEW:
        export.write(figure(name), tmp_path / f"{name}.html")
    cases = [*[(name, "light", 400) for name in NEW], ("gap", "dark", 400), ("gap", "light", 1000)]
    seen = dict(zip(cases, asyncio.run(looked_at(tmp_path, cases)), strict=True))
    for case, told in seen.items():
        assert told["width"] <= case[2], case
        assert told["drawn"] > 0, case
    light, dark, wide = (seen[case] for case in (("gap", "light", 400), ("gap", "dark", 400), ("gap", "light", 1000)))
    assert light["heading"] != dark["heading"]
    assert light["ticks"] != dark["ticks"]
    assert light["ground"] != dark["ground"]
    assert (light["names"], dark["names"]) == (0, 0)
    assert wide["names"] > 0


ASKED = """(() => {
  const of = (what) => document.querySelector(what), style = (what) => getComputedStyle(of(what));
  if (document.readyState !== "complete" || !of("g[class$=tick] text")) return null;
  return {width: document.scrollingElement.scrollWidth, drawn: document.querySelectorAll(".trace").length,
          heading: style("h1").color, ticks: style("g[class$=tick] text").fill, ground: style("body").backgroundColor,
          names: document.querySelectorAll(".annotation").length};
})()"""


async def looked_at(folder: Path, cases: list[tuple[str, str, int]]) -> list[dict[str, Any]]:
    """What a real browser shows of a page, in a theme and a true width (a window is never as narrow as a phone)."""
    from choreographer import Browser

    found = []
    async with Browser(path=CHROMIUM, headless=True, enable_sandbox=False) as browser:
        tab = await browser.create_tab("about:blank")
        for name, theme, width in cases:
            size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
            await tab.send_command("Emulation.setDeviceMetricsOverride", params=size)
            media = [{"name": "prefers-color-scheme", "value": theme}]
            await tab.send_command("Emulation.setEmulatedMedia", params={"features": media})
            await tab.send_command("Page.navigate", params={"url": (folder / f"{name}.html").as_uri()})
            found.append(await _answer(tab))
    return found


async def _answer(tab: Any) -> dict[str, Any]:
    for _ in range(100):
        told = await tab.send_command("Runtime.evaluate", params={"expression": ASKED, "returnByValue": True})
        if value := told["result"]["result"].get("value"):
            await asyncio.sleep(0.1)
            last = await tab.send_command("Runtime.evaluate", params={"expression": ASKED, "returnByValue": True})
            return dict(last["result"]["result"].get("value") or value)
        await asyncio.sleep(0.1)
    raise AssertionError("the chart was not drawn within 10 s")
