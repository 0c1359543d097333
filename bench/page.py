"""The report as one self-contained HTML page: no script, font or picture comes from elsewhere."""

from __future__ import annotations

import html
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import __version__, charts
from bench.errors import ConfigError

if TYPE_CHECKING:
    import pandas

STYLE = """
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; margin: 0 auto; max-width: 1180px;
       padding: 1.5rem; color: #1a1a1a; background: #fff; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .4rem; }
p.note, footer { color: #555; font-size: .88rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem; white-space: nowrap; }
th, td { padding: .28rem .6rem; text-align: right; border-bottom: 1px solid #e4e4e4; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #999; }
"""

NOT_MEASURED = (
    "Own tasks with proven answers, one turn, English. Not measured here: multi-turn agents, world knowledge, "
    "hallucination, other languages, images, taste."
)

HOW_TO_READ = (
    "Intervals are 95%, clustered by item family; unscored items are neither right nor wrong and are counted apart. "
    "Speed and latency under quality traffic are opportunistic: quote a load test. – means not known, never 0."
)


def write(results: Path, path: Path, run_ids: list[str] | None = None) -> None:
    """Write the page to `path`; ConfigError when that can't be written."""
    from bench import analysis

    report = analysis.report(results, run_ids)
    text = render(report, analysis.unscored(results, run_ids))
    try:
        partial = path.with_name(path.name + ".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not the name of a file"
        raise ConfigError(f"--html {path}: {why}; give a file in a folder that exists and can be written") from error


def render(report: pandas.DataFrame, unscored: pandas.DataFrame) -> str:
    """The whole page. Every name from outside (targets, tasks) is escaped."""
    sections = [_suite(part, unscored) for _, part in report.groupby(["suite", "suite_version"], sort=True)]
    body = "".join(sections) or "<p>No run has been measured yet. <code>bench run</code> makes one.</p>"
    script = f"<script>{charts.plotly_script()}</script>" if sections else ""
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>gapbench report</title><style>{STYLE}</style>{script}</head><body>"
        f"<h1>What was measured</h1><p class=note>{NOT_MEASURED}</p>{body}"
        f"<footer><p>gapbench {__version__}, {made}. {HOW_TO_READ}</p></footer></body></html>\n"
    )


def _suite(report: pandas.DataFrame, unscored: pandas.DataFrame) -> str:
    from bench.charts import by_task, quality, quality_speed
    from bench.terminal import TASKS_TITLE, heading, overview_cells, task_cells

    first = report.iloc[0]
    figures = "".join(_figure(module.chart(report)) for module in (quality, by_task, quality_speed))
    runs = sorted({run for ids in report["run_ids"] for run in ids})
    lost = unscored[unscored["run_id"].isin(runs) & unscored["state"].str.startswith("unscored")]
    return (
        f"<h2>{html.escape(heading(first['suite'], first['suite_version']))}</h2>"
        f"{_table(*overview_cells(report))}{figures}"
        f"<p class=note>{TASKS_TITLE}</p>{_table(*task_cells(report))}{_lost(lost)}"
        f"<p class=note>Runs: {html.escape(', '.join(runs))}</p>"
    )


def _figure(figure: Any) -> str:
    return str(
        figure.to_html(include_plotlyjs=False, full_html=False, config={"displaylogo": False, "responsive": True})
    )


def _table(columns: list[str], rows: list[list[str]]) -> str:
    """The same cells as in the terminal."""
    names = [html.escape(column).replace("\n", "<br>") for column in columns]
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _lost(lost: pandas.DataFrame) -> str:
    if lost.empty:
        return "<p class=note>Every item was scored.</p>"
    lines = [f"{r['target']}: {r['n']} × {r['state']} on {r['task']}" for r in lost.to_dict("records")]
    return f"<p class=note>Not scored: {html.escape('; '.join(lines))}.</p>"
