"""Every command of docs/gap.md runs on the bundled facts, and prints what the page and the README say it prints."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.errors import ConfigError

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "gap.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
USE_CASE = '[[tasks]]\nname = "gpqa-diamond"\n[quality]\nat_least = 0.8\n'
EMPTY = "core@0/ledger", "combined"
"""What needs runs of one's own: refused here, in one line."""


def blocks(page: str) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Commands, and the lines that stand under them; `…` stands for lines left out."""
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.splitlines()
            shown = [line.rstrip(" …") for line in lines if line.strip(" …─")]
            yield tuple(shlex.split(re.split(r"\s#", command)[0])), shown


SECTION = README[README.index("## The gap and the money") : README.index("## Measure your own")]
MEASURED = ("compare", "whatif", "import")
"""Of the README, what needs runs or files; other pages' tests run these verbs."""
SHOWN = [each for each in (*blocks(PAGE), *(each for each in blocks(SECTION) if each[0][1] not in MEASURED)) if each[1]]
SILENT = [
    command
    for command, lines in blocks(PAGE)
    if not lines and not any(set(command) <= set(shown) for shown, _ in SHOWN)  # those are run with more options
]


@pytest.fixture(scope="module", autouse=True)
def _fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder without results, the same for all: refits are made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("fresh"))
        patch.setenv("COLUMNS", "250")
        Path("use_case.toml").write_text(f'name = "graduate science questions"\ncertainty = 0.9\n{USE_CASE}')
        for name in ("BENCH_TARGETS", "BENCH_RESULTS", "BENCH_OVERRIDES"):
            patch.delenv(name, raising=False)
        yield


def ran(command: tuple[str, ...]) -> str:
    done = CliRunner().invoke(app, list(command[1:]))
    assert done.exit_code == 0, (command, done.output, done.exception)
    return done.stdout


def plain(text: str) -> str:
    return " ".join(text.replace("─", " ").split())


@pytest.mark.parametrize(("command", "lines"), SHOWN, ids=lambda part: " ".join(part)[:60])
def test_a_command_prints_the_lines_under_it_in_that_order(command: tuple[str, ...], lines: list[str]) -> None:
    printed, at = plain(ran(command)), 0
    for line in map(plain, lines):
        found = printed.find(line, at)
        assert found >= 0, f"{line!r} isn't printed after {printed[max(at - 80, 0) : at]!r}"
        at = found + len(line)


@pytest.mark.parametrize("command", SILENT, ids=" ".join)
def test_a_command_of_the_page_runs(command: tuple[str, ...]) -> None:
    if set(command) & set(EMPTY):
        assert isinstance(CliRunner().invoke(app, list(command[1:])).exception, ConfigError)
        return
    printed = ran(command)
    if "--json" in command:
        assert json.loads(printed)["benchmark"] == "eci"
    if "--chart" in command:
        page = Path(command[command.index("--chart") + 1]).read_text()
        assert "Epoch AI (CC-BY 4.0)" in page


def test_the_python_of_the_page_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "docs/gap.md", "exec"), names)
    assert set(names["records"]["cls"]) == {"open", "closed"}  # type: ignore[index]
    assert list(names["table"]["benchmark"]) == ["gpqa-diamond", "otis-mock-aime"]  # type: ignore[index]
    assert Path("gap.html").stat().st_size > 100_000


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`?analysis\.(\w+)", PAGE))))
def test_the_functions_the_page_names_are_there(name: str) -> None:
    from bench import analysis

    assert name in analysis.__all__


def test_the_coverage_on_the_page_has_a_row_for_each_question() -> None:
    from tests.benchmarks.coverage import ROWS

    (block,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert [line[:46].strip() for line in block.splitlines()[1:]] == list(ROWS)
