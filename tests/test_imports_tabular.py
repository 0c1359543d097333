"""Cells of others' tables: numbers, percents and dates, or nothing; never a guess."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.imports.tabular import Tally, count, day, number, share, slug


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.5", 0.5), ("77.0%", 77.0), (" 88.000 ", 88.0), ("1,234.5", 1234.5), ("$0.1300", 0.13), (".5", 0.5),
        ("-3", -3.0), ("4.12E+23", None), ("1e-3", 0.001), ("1e308", None), ("NaN", None), ("inf", None),
        ("1,2", None), ("", None), (None, None), ("-", None), ("=+9/-9", None), ("0x10", None), ("1_000", None),
        ("٣", 3.0), ("9" * 400, None),
    ],
)  # fmt: skip
def test_a_number_is_a_number_or_nothing(text: str | None, value: float | None) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    ("text", "divisor", "value"),
    [("33.9%", 1, 0.339), ("33.9%", 100, 0.339), ("33.9", 100, 0.339), ("8.73", 10, 0.873), ("0.339", 1, 0.339)],
)
def test_a_percent_is_a_percent_whatever_its_neighbours_are(text: str, divisor: float, value: float) -> None:
    assert share(text, divisor) == value


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2026-04-16", dt.date(2026, 4, 16)),
        ("2026-04-16T21:20:23.000Z", dt.date(2026, 4, 16)),
        ("2024/12/21", dt.date(2024, 12, 21)),
        ("17 November 2025 4:28pm", dt.date(2025, 11, 17)),
        ("1 Sept 2025", dt.date(2025, 9, 1)),
        ("November 17, 2025", dt.date(2025, 11, 17)),
        ("25/11/2024", dt.date(2024, 11, 25)),
        ("6/3/2025", dt.date(2025, 3, 6)),
        ("11/25/2024", None),
        ("2023/4", None),
        ("2026-02-30", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("0000-01-01", None),
    ],
)
def test_a_date_is_a_day_or_nothing(text: str | None, when: dt.date | None) -> None:
    assert day(text) == when


def test_shots_are_counted_and_few_is_not_a_count() -> None:
    assert [count(text) for text in ("5", "25-shot", "0\n", "1 shot", "few", "", None, "5.5")] == [
        5, 25, 0, 1, None, None, None, None,
    ]  # fmt: skip


def test_a_slug_is_an_id() -> None:
    assert [slug(name) for name in ("FrontierMath-Tier-4 v2 (Private)", "  ", "τ²-bench", "GDP.pdf")] == [
        "frontiermath-tier-4-v2-private", "unnamed", "bench", "gdp.pdf",
    ]  # fmt: skip


@given(st.text(max_size=40))
def test_no_text_is_too_odd_for_a_cell(text: str) -> None:
    for read in (number, day, count, slug, lambda t: share(t, 100.0)):
        read(text)


def test_a_tally_counts_every_row_once() -> None:
    tally = Tally(file="a.csv")
    tally.keep()
    tally.skip("no score")
    tally.skip("no score", 0)
    tally.skip("no model", 2)
    assert (tally.count().read, tally.count().kept, tally.count().skipped) == (4, 1, {"no score": 1, "no model": 2})
