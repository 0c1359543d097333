"""Draws the pictures of the README: docs/quality.png of the newest runs in a results folder, docs/gap.png of the facts.

python docs/picture.py [RESULTS]            needs Chromium on the PATH; without RESULTS only docs/gap.png
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from bench import analysis, report
from bench.charts import export, gap, plotly_script, quality

WIDTH = 1000
AS_OF = date(2026, 4, 16)
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
]


def main(results: Path | None) -> None:
    if results is not None:
        drawn(quality_of(results), Path(__file__).with_name("quality.png"), 440)
    drawn(gap_of_facts(), Path(__file__).with_name("gap.png"), 560)


def quality_of(results: Path) -> Any:
    figure = quality.chart(report(results))
    return figure.update_layout(margin={"l": 10, "r": 10, "t": 70, "b": 50})


def gap_of_facts() -> Any:
    """On the bundled facts alone, as of a day that doesn't change: the same picture everywhere."""
    with tempfile.TemporaryDirectory() as nothing:
        view = analysis.gap(Path(nothing), analysis.HEADLINE, analysis.Asked(as_of=AS_OF))
    rows, series = analysis.gap_rows(view), analysis.gap_series(view)
    figure = gap.chart(
        rows, series, name=view.gap.name, unit=view.gap.unit, provenance="published", caption=analysis.gap_caption(view)
    )
    return figure.update_layout(font_color=export.INK["light"], paper_bgcolor=export.GROUND["light"])


def drawn(figure: Any, picture: Path, height: int) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium on the PATH; install it (Debian: chromium) and run this again")
    figure.update_layout(width=WIDTH, height=height)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "chart.html"
        chart = figure.to_html(include_plotlyjs=False, full_html=False, config={"displayModeBar": False})
        page.write_text(f"<body style='margin:0'><script>{plotly_script()}</script>{chart}</body>", encoding="utf-8")
        command = [chromium, *QUIET, f"--user-data-dir={folder}/profile", f"--window-size={WIDTH},{height}"]
        command += ["--virtual-time-budget=4000", f"--screenshot={picture}", page.as_uri()]
        subprocess.run(command, check=True, timeout=120, capture_output=True)
    print(f"wrote {picture}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
