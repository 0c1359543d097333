"""What a person sees in a terminal: progress on stderr, tables on stdout."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bench.records import ANSWERED, Measurement

if TYPE_CHECKING:
    import pandas
    from rich.console import Console
    from rich.table import Table

    from bench.quality import Outcome, Watcher

Row = Mapping[str, Any]
Cells = tuple[list[str], list[list[str]]]
TASKS_TITLE = "per task: % right [95% interval]"
OVERVIEW = (
    "target", "macro [95%]", "n", "un-\nscored", "tok/s\np50", "TTFT ms\np50", "TTFT ms\np95",
    "$/M\nin", "$/M\nout", "$\nspent",
)  # fmt: skip
GAP = 2
"""Blanks between columns; one of them is rich's own divider."""
PLAIN_EVERY_S = 10.0


def watcher() -> Watcher:
    """Bars when stderr is a terminal, a line now and then otherwise."""
    return Bars() if sys.stderr.isatty() else Lines()


class Lines:
    """Progress for logs and pipes: a line at the start, at the end, and every ten seconds between."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._lock = threading.Lock()  # counts come from the loop's thread, starts and ends from the caller's
        self._done = self._replayed = self._errors = self._total = 0
        self._target, self._began, self._told = "", 0.0, 0.0

    def started(self, target_id: str, total: int, replayed: int) -> None:
        with self._lock:
            self._target, self._total, self._errors = target_id, total, 0
            self._done = self._replayed = replayed
            self._began = self._told = time.monotonic()
        self._say(f"{target_id}: {total} questions" + (f", {replayed} answered before" if replayed else ""))

    def attempted(self, measurement: Measurement, *, final: bool) -> None:
        with self._lock:
            self._done += final
            self._errors += measurement.status not in ANSWERED
        self.tick()

    def tick(self) -> None:
        with self._lock:
            if time.monotonic() - self._told < PLAIN_EVERY_S:
                return
            self._told = time.monotonic()
            rate = (self._done - self._replayed) / max(self._told - self._began, 1e-9)
            line = f"{self._target}: {self._done}/{self._total}, {rate:.1f}/s, {self._errors} errors"
        self._say(line)

    def ended(self, outcome: Outcome) -> None:
        for line in (ending(outcome), *remarks(outcome)):
            self._say(line)

    def holding(self, seconds: float) -> None:
        self._say(f"{self._target}: asked to wait {seconds:.0f} s")

    def told(self, line: str) -> None:
        self._say(line)

    def close(self) -> None:
        """Nothing is left on the screen to tidy up."""

    def _say(self, line: str) -> None:
        if self._quiet:
            return
        try:
            print(line, file=sys.stderr, flush=True)
        except OSError:  # nobody reads progress any more; the run matters more
            self._quiet = True


class Bars:
    """Progress for people: done, rate, errors and time left, redrawn in place."""

    def __init__(self) -> None:
        self._progress: Any = None
        self._bar: Any = None
        self._errors = 0

    def started(self, target_id: str, total: int, replayed: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._errors = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[errors]}"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
        )
        self._bar = self._progress.add_task(target_id, total=total, completed=replayed, rate="", errors="")
        self._progress.start()

    def attempted(self, measurement: Measurement, *, final: bool) -> None:
        self._errors += measurement.status not in ANSWERED
        speed = self._progress.tasks[0].speed
        self._progress.update(
            self._bar,
            advance=int(final),
            rate=f"{speed:.0f}/s" if speed else "",
            errors=f"[red]{self._errors} errors[/red]" if self._errors else "",
        )

    def holding(self, seconds: float) -> None:
        self._progress.update(self._bar, errors=f"[yellow]asked to wait {seconds:.0f} s[/yellow]")

    def told(self, line: str) -> None:
        """Above the bar, which begins after it."""
        print(line, file=sys.stderr, flush=True)

    def tick(self) -> None:
        """The bar redraws itself."""

    def ended(self, outcome: Outcome) -> None:
        self.close()
        for line in (ending(outcome), *remarks(outcome)):
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Give the terminal back: its cursor, and what is written to it next."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def ending(outcome: Outcome) -> str:
    """One line on what became of a run."""
    if outcome.stop is not None:
        return f"{outcome.target_id}: stopped: {outcome.stop}"
    if outcome.n_attempts == 0:
        return f"{outcome.target_id}: {_answers(outcome)} in {outcome.run_id} from before; nothing was asked again"
    again = f", {outcome.n_replayed} of them from before" if outcome.n_replayed else ""
    spent = f", {outcome.spent_usd:.4f} $" if outcome.spent_usd is not None else ""
    return f"{outcome.target_id}: {_answers(outcome)}{again} in {outcome.elapsed_s:.1f} s{spent}"


def remarks(outcome: Outcome) -> list[str]:
    """What else there is to know of it, a line each: questions that do not fit the target, and what its limits cost."""
    lines = []
    if outcome.n_too_long:
        fits = f"the {outcome.context_tokens} tokens it takes" if outcome.context_tokens else "it"
        told = f"{outcome.n_too_long} of {outcome.n_items} questions do not fit {fits}: unscored, and not asked again"
        lines.append(f"{outcome.target_id}: {told}")
    for what, names in (("models", outcome.models), ("hosts", outcome.hosts)):
        if len(names) > 1:
            told = ", ".join(f"{name or 'unnamed'} ({n})" for name, n in sorted(names.items(), key=lambda x: -x[1]))
            lines.append(f"{outcome.target_id}: the answers came from {len(names)} {what}: {printable(told)}")
    limits = outcome.limits.told() if outcome.limits is not None else None
    if limits is not None:
        lines.append(f"{outcome.target_id}: {limits}")
    return lines


def _answers(outcome: Outcome) -> str:
    if outcome.n_answered == outcome.n_items:
        return f"all {outcome.n_items} answers"
    return f"{outcome.n_answered} answers to {outcome.n_items} questions"


# ------------------------------------------------------------------------------------------------------------ tables


def report_tables(report: pandas.DataFrame, width: int) -> list[Table]:
    """The report of one suite version for a terminal of `width` columns.

    One table to compare targets, then as many as needed to see where each fails: tasks that don't fit go into the next.
    """
    tables = [table_of(*overview_cells(report))]
    tables += [table_of(columns, rows) for columns, rows in fitting(*task_cells(report), width)]
    tables[1].title, tables[1].title_justify = TASKS_TITLE, "left"
    return tables


def fitting(columns: list[str], rows: list[list[str]], width: int) -> list[Cells]:
    """The table cut into such as fit `width`; the first column stands in each."""
    lines = [[line for cell in cells for line in cell.split("\n")] for cells in zip(columns, *rows, strict=True)]
    widths = [max(map(len, column)) + GAP for column in lines]
    parts: list[list[int]] = [[]]
    for i in range(1, len(columns)):
        if parts[-1] and widths[0] + sum(widths[j] for j in parts[-1]) + widths[i] > width:
            parts.append([])
        parts[-1].append(i)
    return [([columns[i] for i in (0, *part)], [[row[i] for i in (0, *part)] for row in rows]) for part in parts]


def table_of(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Figures to the right, never broken over lines."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0), header_style="bold")
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if i else "left", no_wrap=True, vertical="bottom")
    for row in rows:
        table.add_row(*map(printable, row))
    return table


def heading(suite: str, version: str) -> str:
    """The suite and its version; a version 0 has not been calibrated on real models, and says so wherever it shows."""
    note = " (provisional: its sizes are not calibrated on real models yet)" if str(version) == "0" else ""
    return printable(f"{suite}@{version}{note}")


def overview_cells(report: pandas.DataFrame) -> Cells:
    """Headings and cells: macro with interval, counts, speed, latency and price of every target, best first.

    Money stands there only where some of it is known.
    """
    rows = [_overview(target, rows) for target, rows in _best_first(report)]
    known = [i for i, name in enumerate(OVERVIEW) if "$" not in name or any(row[i] != "–" for row in rows)]
    return [OVERVIEW[i] for i in known], [[row[i] for i in known] for row in rows]


def task_cells(report: pandas.DataFrame) -> Cells:
    """Headings and cells: per cent right, with interval, of every target on every task, best target first."""
    tasks = [t for t in dict.fromkeys(report["task"]) if t != "macro"]
    found = [[target, *(per_cent(rows.get(task, {})) for task in tasks)] for target, rows in _best_first(report)]
    return ["target", *map(printable, _short_names(tasks))], found


def _best_first(report: pandas.DataFrame) -> list[tuple[str, dict[str, Row]]]:
    """(target, rows by task) in falling order of the macro score; a target with several runs stands several times."""
    by_target: dict[tuple[str, str], dict[str, Row]] = {}
    for row in report[report["metric"] == "acc"].to_dict("records"):
        cells = {str(k): v for k, v in row.items()}
        by_target.setdefault((str(row["target"]), str(row["run_ids"])), {})[str(row["task"])] = cells
    ordered = sorted(by_target.items(), key=lambda kv: -number(kv[1].get("macro", {}).get("value"), -1.0))
    return [(target, rows) for (target, _), rows in ordered]


def _overview(target: str, rows: Mapping[str, Row]) -> list[str]:
    whole = rows.get("macro") or next(iter(rows.values()))
    tasks = [row for task, row in rows.items() if task != "macro"]
    return [
        target,
        _macro(rows.get("macro", {})),
        f"{sum(int(row['n']) for row in tasks):,}",
        f"{sum(int(row['n_unscored']) for row in tasks):,}",
        _figure(whole.get("decode_tps_p50"), 0),
        _figure(whole.get("ttft_ms_p50"), 1),
        _figure(whole.get("ttft_ms_p95"), 1),
        _figure(whole.get("usd_per_mtok_in"), 2),
        _figure(whole.get("usd_per_mtok_out"), 2),
        _figure(whole.get("usd_total"), 4),
    ]


def _short_names(tasks: Sequence[str]) -> list[str]:
    """`quick_copy`, `quick_add` -> `copy`, `add`: the common family name says nothing in a column."""
    families = {t.split("_", 1)[0] for t in tasks}
    return [t.split("_", 1)[-1] for t in tasks] if len(families) == 1 else list(tasks)


def _macro(row: Row) -> str:
    """`0.950 [0.905, 0.969]`: both ends, because near 0 and 1 they are not equally far away."""
    value, low, high = (number(row.get(name), math.nan) for name in ("value", "ci_low", "ci_high"))
    return "–" if math.isnan(value) else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def per_cent(row: Row) -> str:
    """`97 [83–99]`; a dash where there is no score."""
    value, low, high = (100 * number(row.get(name), math.nan) for name in ("value", "ci_low", "ci_high"))
    return "–" if math.isnan(value) else f"{value:.0f} [{low:.0f}–{high:.0f}]"


def _figure(value: object, digits: int) -> str:
    found = number(value, math.nan)
    return "–" if math.isnan(found) else f"{found:,.{digits}f}"


def number(value: object, otherwise: float) -> float:
    """A float of whatever a DataFrame cell holds; unknown values become `otherwise`."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return otherwise
    try:
        return float(str(value))
    except ValueError:
        return otherwise


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Any rows under any headings; numbers to the right, unknown as a dash."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0), header_style="bold")
    for i, name in enumerate(columns):
        numeric = any(isinstance(row[i], (int, float)) and not isinstance(row[i], bool) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(cell) for cell in row))
    return table


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else printable(str(value))


def printable(text: str) -> str:
    """With control characters spelt out: what a server said must not steer the reader's terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def console() -> Console:
    """Stdout; wide enough for whole tables when it is not a terminal."""
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Piped(width=None if sys.stdout.isatty() else 240, highlight=False, markup=False)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr that is told (done, of how many); nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
