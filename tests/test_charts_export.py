"""Charts as files: pages that need nobody and follow the reader's theme, and pictures."""

import re
import shutil
from pathlib import Path

import plotly.graph_objects as go
import pytest

from bench.charts import THEMELESS, axis, export, titled_plainly
from bench.errors import ConfigError

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def figure() -> go.Figure:
    shown = go.Figure(go.Scatter(x=[1, 2, 3], y=[2, 3, 5], name="closed"))
    shown.update_layout(
        title=titled_plainly("How far behind <are> open weights?", "n = 3 records, as of 2026-04-16; published"),
        xaxis=axis("released"),
        yaxis=axis("points"),
        **THEMELESS,
    )
    return shown


def test_a_page_holds_all_it_shows_and_its_title_wraps_as_text(tmp_path: Path) -> None:
    export.write(figure(), tmp_path / "gap.html")
    page = (tmp_path / "gap.html").read_text()
    assert "<h1>How far behind &lt;are&gt; open weights?</h1>" in page
    assert 'n = 3 records, as of <span class="day">2026-04-16</span>; published</p>' in page
    assert "prefers-color-scheme: dark" in page
    body = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert "http" not in body.replace("http-equiv", "")


def test_a_caption_breaks_into_lines_that_fit_a_phone() -> None:
    subtitle = titled_plainly("Q", "word " * 40)["subtitle"]["text"]
    assert max(len(line) for line in subtitle.split("<br>")) <= 58


def test_an_unknown_ending_or_place_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'.gif' is none of .html, .png, .svg"):
        export.write(figure(), tmp_path / "gap.gif")
    with pytest.raises(ConfigError, match="folder that can be written"):
        export.write(figure(), tmp_path / "nowhere" / "gap.html")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
def test_pictures_come_out_in_the_size_and_ground_that_was_asked_for(tmp_path: Path) -> None:
    export.write(figure(), tmp_path / "gap.png", width_px=400, height_px=300)
    content = (tmp_path / "gap.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert (int.from_bytes(content[16:20]), int.from_bytes(content[20:24])) == (800, 600)
    export.write(figure(), tmp_path / "gap.svg", theme="dark")
    assert b"rgb(17, 20, 23)" in (tmp_path / "gap.svg").read_bytes()
