"""The page in a real browser: it draws its charts with no network at all."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.quality_runs import bench

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OFFLINE = ["--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking", "--disable-component-update"]


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
def test_the_page_draws_its_charts_without_any_network(tmp_path: Path) -> None:
    bench("run", "-t", "embedded:nano", "--limit", "2", cwd=tmp_path)
    done = bench("report", "--html", "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", *OFFLINE,
            f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=8000", "--dump-dom",
            (tmp_path / "page.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip
    body = shown.partition("<body")[2]
    assert body.count('class="main-svg"') >= 3
    assert "How good is each target?" in body
    assert "embedded:nano" in body
