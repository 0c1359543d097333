"""How `bench whatif` reads in a terminal: what the change does, a row per task, whom the spending hangs on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.analysis.whatif import WhatIf
from bench.choice.nouns import figure
from bench.choice.portfolio import Move
from bench.choice.spending import Gone, Spend
from bench.cli.printing import print_paragraph

UNKNOWN = "–"


def show(found: WhatIf, *, stress: bool) -> None:
    """On stdout."""
    from bench import terminal

    console = terminal.console()
    print_paragraph(sentence(found), style="bold")
    console.print()
    heads = ["task", "what", "to", "quality [95%]", "$/month\nbefore", "$/month\nafter", "TTFT ms\np95"]
    for columns, rows in terminal.fitting(heads, [_row(one) for one in found.moves], console.width):
        console.print(terminal.table_of(columns, rows))
        console.print()
    for cells in (_spend_cells(found) if found.before.usd else None, _stress_cells(found.stress) if stress else None):
        for columns, rows in terminal.fitting(*cells, console.width) if cells else ():
            console.print(terminal.table_of(columns, rows))
            console.print()
    for line in _notes(found):
        print_paragraph(line, hanging=True)


def sentence(found: WhatIf) -> str:
    """`openai gone: 3 tasks, 2 to move, 1 captive; 9.00 $ a month become 7.00 $; concentration (HHI) 1.00 -> 0.52.`"""
    kinds = [one.kind for one in found.moves]
    counts = [f"{kinds.count(kind)} {word}" for kind, word in WORDS.items() if kind in kinds]
    parts = [f"{found.change.told()}: {len(kinds)} task{'s' * (len(kinds) != 1)}, {', '.join(counts)}"]
    if found.before.usd:
        after = f"{_usd(found.after.total)} $" if found.after.usd else "nothing"
        parts.append(f"{_usd(found.before.total)} $ a month become {after}")
        parts.append(f"concentration (HHI) {_share(found.before.hhi())} -> {_share(found.after.hhi())}")
    return "; ".join(parts) + "."


WORDS = {
    "moves": "to move",
    "stays": "to stay",
    "captive": "captive (nothing elsewhere is sure to suffice)",
    "stranded": "stranded (nothing else is sure to suffice)",
}


def _row(one: Move) -> list[str]:
    to = one.after.target if one.kind == "moves" and one.after else UNKNOWN
    difference = UNKNOWN
    if one.kind == "moves" and one.quality is not None and one.quality_low is not None and one.quality_high is not None:
        difference = f"{one.quality:+.3f} [{one.quality_low:+.3f}, {one.quality_high:+.3f}]"
    latency = UNKNOWN if one.latency_ms is None else f"{one.latency_ms:+,.0f}"
    return [one.task, one.kind, to, difference, _usd(one.usd_before), _usd(one.usd_after), latency]


def _spend_cells(found: WhatIf) -> tuple[list[str], list[list[str]]]:
    names = sorted({*found.before.usd, *found.after.usd}, key=lambda name: -found.before.usd.get(name, 0.0))
    rows = [
        [name, *(cell for side in (found.before, found.after) for cell in (_of(side, name), _share(side.share(name))))]
        for name in names
    ]
    total = ["all (share: HHI)"]
    for side in (found.before, found.after):
        total += [_usd(side.total) if side.usd else UNKNOWN, _share(side.hhi())]
    return ["paid to", "$/month\nbefore", "share", "$/month\nafter", "share"], [*rows, total]


def _stress_cells(rows: Sequence[Gone]) -> tuple[list[str], list[list[str]]]:
    heads = ["if gone", "share\nof $", "tasks", "with an\nalternative", "quality", "$/month", "best open"]
    return heads, [
        [
            row.provider,
            _share(row.share),
            str(row.n_tasks),
            str(row.n_with_way_out),
            UNKNOWN if row.quality is None else f"{row.quality:+.3f}",
            UNKNOWN if row.usd_difference is None else f"{row.usd_difference:+,.2f}",
            row.best_open or UNKNOWN,
        ]
        for row in rows
    ]


def _notes(found: WhatIf) -> Iterator[str]:
    for one in found.moves:
        if one.nearest:
            yield f"{one.task}: uses {one.before.target}; nearest elsewhere: {one.nearest}"
    if found.captive_share is not None:
        yield f"captive today: {found.captive_share:.0%} of the spending has no way out that is sure to suffice"
    if found.before.n_unknown:
        yield f"price unknown: {found.before.n_unknown} of {len(found.moves)} tasks are not in the dollars"
    yield from found.notes


def _of(side: Spend, name: str) -> str:
    return _usd(side.usd[name]) if name in side.usd else UNKNOWN


def _usd(value: float | None) -> str:
    return f"{value:,.2f}" if value is not None and value >= 0.1 else figure(value)


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"
