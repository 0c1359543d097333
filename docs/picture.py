"""Draws the pictures of the README: docs/quality.png of the newest runs in a results folder, docs/gap.png of the facts.

python docs/picture.py [RESULTS]            needs kaleido and a Chromium; without RESULTS only docs/gap.png
"""

from __future__ import annotations

import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from bench import analysis, report
from bench.charts import export, gap, quality

WIDTH = 1000
AS_OF = date(2026, 4, 16)


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
    return gap.chart(
        rows, series, name=view.gap.name, unit=view.gap.unit, provenance="published", caption=analysis.gap_caption(view)
    )


def drawn(figure: Any, picture: Path, height: int) -> None:
    export.write(figure, picture, width_px=WIDTH, height_px=height)
    print(f"wrote {picture}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
