"""A chart as a file of its own: a page that follows the reader's light or dark theme, a PNG or an SVG."""

from __future__ import annotations

import html
import re
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Literal

from bench.charts import FONT, WIDE_ONLY, plotly_script
from bench.errors import ConfigError

if TYPE_CHECKING:
    import plotly.graph_objects as go

Theme = Literal["light", "dark"]
FORMATS = (".html", ".png", ".svg")
INK = {"light": "#1a1a1a", "dark": "#e8e8e8"}
GROUND = {"light": "#ffffff", "dark": "#111417"}
WIDE_PX = 700
"""From here on there is room for names in a chart."""
BESIDE_PX, LETTER_PX = 70, 5.9
"""Of a picture's width what a caption does not have, and of a letter of it."""
CONFIG = {"displayModeBar": False, "responsive": True}
SCALE = 2.0
"""Pixels of a PNG per pixel of the chart."""

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>{title}</title><style>
:root {{ --ink: {ink_light}; --ground: {ground_light}; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: {ink_dark}; --ground: {ground_dark}; }} }}
body {{ font: 15px/1.45 {font}; margin: 0 auto; max-width: 1100px; padding: 1rem; color: var(--ink);
        background: var(--ground); }}
h1 {{ font-size: 1.25rem; margin: 0 0 .3rem; }} p {{ margin: 0 0 .8rem; font-size: .88rem; opacity: .8; }}
.day {{ white-space: nowrap; }}
</style><script>{script}</script></head><body><h1>{question}</h1><p>{caption}</p>{figure}
<script>
const dark = matchMedia("(prefers-color-scheme: dark)"), touch = matchMedia("(pointer: coarse)");
const charts = () => document.querySelectorAll(".js-plotly-plot");
const fit = () => {{
  const colour = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
  charts().forEach((chart) => {{
    const change = {{"font.color": colour, dragmode: touch.matches ? false : "zoom"}};
    (chart.layout.annotations || []).forEach((note, k) => {{
      if (note.name === "{wide_only}") change[`annotations[${{k}}].visible`] = innerWidth >= {wide_px};
    }});
    Plotly.relayout(chart, change);
  }});
}};
dark.addEventListener("change", fit); matchMedia("(min-width: {wide_px}px)").addEventListener("change", fit); fit();
</script></body></html>
"""


def write(figure: go.Figure, path: Path, *, theme: Theme = "light", width_px: int = 1000, height_px: int = 620) -> None:
    """Write `figure` to `path`, by its ending .html, .png or .svg; `theme` and size are for pictures.

    A page holds everything it shows, takes the browser's theme and width, and needs no network. Pictures are drawn by
    kaleido in a headless Chromium. ConfigError for another ending, a place that can't be written, or without those two.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"--chart {path}: the ending {path.suffix!r} is none of {', '.join(FORMATS)}")
    content = (
        page(figure).encode()
        if path.suffix.lower() == ".html"
        else picture(figure, path.suffix.lower().removeprefix("."), theme, width_px, height_px)
    )
    try:
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"--chart {path}: {error.strerror}; give a file in a folder that can be written") from error


def page(figure: go.Figure) -> str:
    """The chart as one HTML page; title and caption are text of the page, so that they wrap on a phone."""
    import plotly.graph_objects as go

    shown = go.Figure(figure)
    title = shown.layout.title.text or ""
    caption = shown.layout.title.subtitle.text or ""
    shown.update_layout(title=None, margin_t=20, autosize=True, width=None)
    drawn = shown.to_html(include_plotlyjs=False, full_html=False, config=CONFIG)
    return PAGE.format(
        title=_words(title),
        question=_words(title),
        caption=re.sub(r"\d{4}-\d\d-\d\d", r'<span class="day">\g<0></span>', caption.replace("<br>", " ")),
        font=FONT,
        script=plotly_script(),
        figure=drawn,
        ink_light=INK["light"],
        ink_dark=INK["dark"],
        ground_light=GROUND["light"],
        ground_dark=GROUND["dark"],
        wide_only=WIDE_ONLY,
        wide_px=WIDE_PX,
    )


def picture(figure: go.Figure, kind: str, theme: Theme, width_px: int, height_px: int) -> bytes:
    """PNG or SVG bytes; ConfigError where kaleido or a Chromium is missing."""
    import plotly.graph_objects as go

    try:
        import kaleido  # noqa: F401  (plotly finds it itself; asked for here to say what is missing)
    except ImportError as error:
        raise ConfigError(f"a .{kind} needs kaleido: pip install 'gapbench[static]', or write .html") from error
    shown = go.Figure(figure)
    shown.update_layout(font_color=INK[theme], paper_bgcolor=GROUND[theme])
    if caption := shown.layout.title.subtitle.text:
        fits = int((width_px - BESIDE_PX) / LETTER_PX)
        lines = wrap(caption.replace("<br>", " "), fits, break_on_hyphens=False)
        shown.layout.title.subtitle.text = "<br>".join(lines)
    if width_px < WIDE_PX:
        shown.layout.annotations = [note for note in shown.layout.annotations if note.name != WIDE_ONLY]
    try:
        found: Any = shown.to_image(format=kind, width=width_px, height=height_px, scale=SCALE if kind == "png" else 1)
    except RuntimeError as error:  # kaleido's and plotly's own for a browser that is missing or fails
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"a .{kind} is drawn by Chromium, which failed ({why}); install it, or write .html"
        ) from error
    return bytes(found)


def _words(text: str) -> str:
    return html.escape(html.unescape(text.replace("<br>", " ")))
