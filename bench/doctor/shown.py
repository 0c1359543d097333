"""Findings as a person reads them: a table for each target, the TOML each implies below it, the ready block last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from bench.doctor.findings import BLOCK, Finding


def show(found: Sequence[Finding]) -> None:
    """To stdout, in the terminal's width; a block is printed as it is, so that it can be copied."""
    from bench import terminal

    console = terminal.console()
    for target, group in groupby(found, key=lambda each: each.target):
        findings = list(group)
        if target is not None:
            console.print(terminal.printable(target), style="bold")
        rows = [row for each in findings if each.what != BLOCK for row in _rows(each)]
        console.print(terminal.plain_table(("", "what", "found"), rows))
        for each in findings:
            if each.what == BLOCK:
                print(f"\n# for targets.toml\n{each.found}")
        if target is not None:
            print()


def _rows(finding: Finding) -> Iterator[tuple[str, str, str]]:
    yield finding.sign, finding.what, finding.found
    for line in finding.toml():
        yield "", "", f"→ {line}"
