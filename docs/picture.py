"""Draws docs/quality.png, the picture at the top of the README, from the newest runs in a results folder.

python docs/picture.py [RESULTS]            needs Chromium on the PATH
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import report
from bench.charts import plotly_script, quality

WIDTH, HEIGHT = 1000, 440
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
]


def main(results: Path, picture: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium on the PATH; install it (Debian: chromium) and run this again")
    figure = quality.chart(report(results))
    figure.update_layout(width=WIDTH, height=HEIGHT, margin={"l": 10, "r": 10, "t": 70, "b": 50})
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "chart.html"
        chart = figure.to_html(include_plotlyjs=False, full_html=False, config={"displayModeBar": False})
        page.write_text(f"<body style='margin:0'><script>{plotly_script()}</script>{chart}</body>", encoding="utf-8")
        command = [chromium, *QUIET, f"--user-data-dir={folder}/profile", f"--window-size={WIDTH},{HEIGHT}"]
        command += ["--virtual-time-budget=4000", f"--screenshot={picture}", page.as_uri()]
        subprocess.run(command, check=True, timeout=120, capture_output=True)
    print(f"wrote {picture}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "results"), Path(__file__).with_name("quality.png"))
