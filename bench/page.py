"""The report as one self-contained HTML page: no script, font or picture comes from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
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
h3 { font-size: 1rem; margin: 1.6rem 0 .3rem; }
.scroll + .scroll { margin-top: .8rem; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #999; }
"""

TABLE_CHARACTERS = 125
"""As much of a table as stands side by side on the page; what is wider goes into the next."""

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
    text = render(report, analysis.unscored(results, run_ids), load_section(results, run_ids))
    try:
        partial = path.with_name(path.name + ".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not the name of a file"
        raise ConfigError(f"--html {path}: {why}; give a file in a folder that exists and can be written") from error


def render(report: pandas.DataFrame, unscored: pandas.DataFrame, load: str = "") -> str:
    """The whole page; `load` is HTML of `load_section`. Every name from outside (targets, tasks) is escaped."""
    sections = [_suite(part, unscored) for _, part in report.groupby(["suite", "suite_version"], sort=True)]
    sections += [load] if load else []
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


def load_section(results: Path, run_ids: list[str] | None = None) -> str:
    """Load results as HTML: latency against load for all runs of a kind, then each run's table and its charts."""
    from bench import analysis

    rows = analysis.load_steps(results, run_ids)
    requests = analysis.load_requests(results, run_ids) if rows else None
    kinds: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        kinds.setdefault((str(row["shape"]), str(row["cache"]), str(row["headline"])), []).append(row)
    return "".join(_load_kind(results, kinds[kind], requests) for kind in sorted(kinds))


def _load_kind(results: Path, rows: Sequence[Mapping[str, Any]], requests: Any) -> str:
    from bench.charts import latency_load
    from bench.load_tables import HOW_TO_READ, by_run
    from bench.steps import is_open

    first = rows[0]
    loop = "arrivals that wait for nobody" if is_open(first) else "a fixed number of requests under way"
    title = f"Under load: {first['shape']}, {first['cache'] or 'unknown'} cache, {loop}"
    runs = "".join(_load_run(results, run, requests) for run in by_run(rows))
    return (
        f"<h2>{html.escape(title)}</h2>{_figure(latency_load.chart(rows))}{runs}"
        f"<p class=note>{html.escape(HOW_TO_READ)}</p>"
    )


def _load_run(results: Path, run: Sequence[Mapping[str, Any]], requests: Any) -> str:
    from bench import analysis
    from bench.charts import tokens_over_time, ttft_cdf, waterfall
    from bench.load_tables import heading, load_cells, load_notes
    from bench.terminal import fitting

    title, *told = heading(run).split("\n")
    shown = max(run, key=lambda row: (bool(row["valid"]), row["system_out_tps"] or 0.0))
    tokens = analysis.tokens_over_time(results, shown["run_id"], shown["step"], tokens_over_time.bin_ms(shown))
    tables = "".join(_table(*part) for part in fitting(*load_cells(run), TABLE_CHARACTERS))
    figures = (
        ttft_cdf.chart(run, requests),
        tokens_over_time.chart(shown, tokens),
        waterfall.chart(shown, requests),
    )
    return (
        f"<h3>{html.escape(title)}</h3>{_lines(told)}{tables}{_lines(load_notes(run))}{''.join(map(_figure, figures))}"
    )


def _lines(lines: Sequence[str]) -> str:
    return f"<p class=note>{'<br>'.join(map(html.escape, lines))}</p>"


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
