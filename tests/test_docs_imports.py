"""The page on imports names every format and column there is, and the table it shows can be imported."""

import re
from pathlib import Path

from bench import imports
from bench.catalog import grades
from bench.imports.csv import COLUMNS
from bench.imports.items import LONGEST_TEXT, MOST
from bench.imports.published import PRICE_COLUMNS
from bench.imports.streamed import MOST_BYTES

PAGE = (Path(__file__).parent.parent / "docs" / "imports.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """What stands under a heading, up to the next of its own level or above."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^##? |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[2]


def test_every_format_has_a_line_in_the_table_and_a_command_or_section() -> None:
    listed = re.findall(r"^\| \[`(\w+)`\]", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted(imports.names())


def test_the_table_s_links_lead_to_headings() -> None:
    headings = {
        re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in re.findall(r"^#+ (.*)$", PAGE, re.M)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= headings


def test_the_columns_of_both_csvs_are_all_there() -> None:
    told = set(re.findall(r"`(\w+)`", section("`csv`")))
    assert set(COLUMNS) <= told
    assert set(PRICE_COLUMNS) <= set(re.findall(r"`(\w+)`", section("List prices")))
    assert all(f"`{grade}`" in section("`csv`") for grade in grades.GRADES)


def test_the_csv_that_is_shown_imports_whole(tmp_path: Path) -> None:
    (text,) = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "my_scores.csv").write_text(text)
    found = imports.of("csv").read_published(tmp_path / "my_scores.csv")
    assert [(row["benchmark"], row["score"]) for row in found.scores] == [
        ("gpqa-diamond", 0.712),
        ("gpqa-diamond", 0.655),
    ]
    assert [row["grade"] for row in found.access] == ["closed-api", "weights-restricted"]
    assert all(count.read == count.kept for count in found.table)


def test_limits_are_the_code_s() -> None:
    assert f"{MOST:,} scores" in PAGE
    assert f"first {LONGEST_TEXT} characters" in PAGE
    assert f"over {MOST_BYTES >> 20} MB" in " ".join(PAGE.split())
