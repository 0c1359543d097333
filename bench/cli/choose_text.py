"""How the answer of `bench choose` reads in a terminal: the answer, a table per target, then why."""

from __future__ import annotations

from collections.abc import Iterator

from bench.choice.answer import METHOD, Answer, sure
from bench.choice.nouns import Criterion, Verdict, figure
from bench.cli.printing import print_paragraph

SHORT = {"suffices": "yes", "does not": "no", "not known": "not known"}
HEADS = {
    "quality": "quality [95%]",
    "quality difference": "difference [95%]",
    "ttft_ms_p95": "TTFT ms\np95 [95%]",
    "e2e_ms_p95": "e2e ms\np95 [95%]",
    "decode_tps_p50": "tok/s\np50 [95%]",
    "usd_per_task": "$/task [95%]",
    "usd_per_solved": "$/solved [95%]",
    "usd_per_month": "$/month [95%]",
}
MOST_ROWS, MOST_REASONS = 30, 12


def show(answer: Answer) -> None:
    """On stdout."""
    from bench import terminal

    console = terminal.console()
    print_paragraph(answer.sentence(), style="bold")
    console.print()
    print_paragraph(_asked(answer))
    console.print()
    if answer.verdicts:
        for columns, rows in terminal.fitting(*_cells(answer), console.width):
            console.print(terminal.table_of(columns, rows))
            console.print()
    for line in _notes(answer):
        print_paragraph(line, hanging=True)


def _asked(answer: Answer) -> str:
    use = answer.use_case
    tasks = ", ".join(f"{t.name} ({t.weight:g})" if t.weight != 1 else t.name for t in use.tasks)
    limits = "".join(f", {name} {figure(value)}" for name, value in use.limits.given().items())
    return f"{use.name}: {tasks}; wanted: quality {use.quality.told()}{limits}; {answer.certainty:.0%} sure"


def _cells(answer: Answer) -> tuple[list[str], list[list[str]]]:
    names = list(dict.fromkeys(c.name for v in answer.verdicts for c in v.criteria))
    money = [] if "usd_per_task" in names else ["$/task"]
    heads = ["target", "layer", "suffices", "how sure\nof that", *(HEADS[name] for name in names), *money, "n"]
    return heads, [_row(verdict, names, bool(money)) for verdict in answer.verdicts[:MOST_ROWS]]


def _row(verdict: Verdict, names: list[str], money: bool) -> list[str]:
    by_name = {c.name: c for c in verdict.criteria}
    known = all(c.certainty is not None for c in verdict.criteria)
    layer = verdict.candidate.layer or ("open" if verdict.candidate.is_open else "closed")
    return [
        verdict.candidate.target,
        layer,
        SHORT[verdict.state],
        _how_sure(verdict) if known else "–",
        *(_found(by_name.get(name)) for name in names),
        *([figure(verdict.usd_per_task)] if money else []),
        f"{verdict.criteria[0].n:,}",
    ]


def _how_sure(verdict: Verdict) -> str:
    """That it suffices; of one that does not, that it does not: as sure as of the criterion it misses most."""
    worst = min(c.certainty or 0.0 for c in verdict.criteria)
    return sure(1 - worst if verdict.state == "does not" else verdict.certainty).removesuffix(" sure")


def _found(c: Criterion | None) -> str:
    if c is None or c.value is None:
        return "–"
    return f"{figure(c.value)} [{figure(c.low)}, {figure(c.high)}]" if c.certainty is not None else figure(c.value)


def _notes(answer: Answer) -> Iterator[str]:
    told = [verdict for verdict in answer.verdicts if verdict.state != "suffices"]
    for verdict in told[:MOST_REASONS]:
        word = "not known" if verdict.state == "not known" else "no"
        yield f"{verdict.candidate.target}: {word}: {verdict.why(answer.certainty)}"
    if len(told) > MOST_REASONS:
        yield f"… and {len(told) - MOST_REASONS} more, as the table says"
    if len(answer.verdicts) > MOST_ROWS:
        yield f"{len(answer.verdicts) - MOST_ROWS} more targets are not shown: --json has them all"
    if any(answer.cheapest().values()):
        cheapest = answer.cheapest().items()
        yield "cheapest by layer: " + "; ".join(f"{layer} {v.candidate.target if v else '–'}" for layer, v in cheapest)
    since = answer.since
    yield (
        f"open since: {since.released} ({since.model}; {since.basis})" if since.released else f"open since: {since.why}"
    )
    for why, names in answer.left_out.items():
        shown = ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
        yield f"left out, {len(names)}: {why} ({shown})"
    yield f"how: {METHOD}; latencies are of quality traffic, not of a load test"
