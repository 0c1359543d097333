"""`bench compare` as people and scripts use it: one sentence first, exit codes, one JSON value, a chart."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bench import database
from bench.cli import app
from bench.errors import ConfigError
from tests.judged_runs import judged
from tests.quality_runs import bench

PAGE = (Path(__file__).parent.parent / "docs" / "compare.md").read_text(encoding="utf-8")


def right(n: int, of: int = 60) -> dict[str, list[list[float | None]]]:
    return {task: [[1.0]] * n + [[0.0]] * (of - n) for task in ("quick_copy", "quick_sort")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As after the page's first command, with known scores."""
    folder = tmp_path_factory.mktemp("folder")
    results = folder / "results"
    results.mkdir()
    judged(results, "20261101T000000000Z-large", "embedded:large", right(57))
    judged(results, "20261102T000000000Z-small", "embedded:small", right(20))
    judged(results, "20261103T000000000Z-twin", "embedded:twin", right(57))
    judged(results, "20261104T000000000Z-near", "embedded:near", right(56))
    database.build(results)
    return folder


def asked(folder: Path, *arguments: str) -> Result:
    """Without a process of its own; errors of ours are in `exception`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return CliRunner().invoke(app, ["compare", *arguments])


def test_the_first_line_is_the_verdict(folder: Path) -> None:
    done = bench("compare", "embedded:large", "embedded:small", cwd=folder)
    assert done.returncode == 0, done.stderr
    first = done.stdout.splitlines()[0]
    assert first.startswith(
        "embedded:large is ahead of embedded:small on quick@1: 95.0% against 33.3% right, +61.7 points"
    )
    assert "(95% interval +" in first
    assert re.search(r"^quick_copy .* ahead ", done.stdout, re.MULTILINE)
    assert re.search(r"^macro above chance ", done.stdout, re.MULTILINE)


def test_inconclusive_ends_with_6_and_says_what_would_help(folder: Path) -> None:
    done = asked(folder, "embedded:large", "embedded:near")
    assert done.exit_code == 6, done.output
    assert done.stdout.startswith("Inconclusive: ")
    assert "times as many items" in done.stdout


def test_parity_is_a_verdict_and_ends_with_0(folder: Path) -> None:
    done = asked(folder, "embedded:large", "embedded:twin", "--margin", "0.1")
    assert done.exit_code == 0, done.output
    assert "are at parity on quick@1" in done.stdout.splitlines()[0]


def test_json_is_one_value_and_nothing_else(folder: Path) -> None:
    done = bench("compare", "embedded:large", "embedded:small", "--json", "--explore", cwd=folder)
    told = json.loads(done.stdout)
    assert (told["verdict"], told["correction"]) == ("ahead", "benjamini-hochberg")
    assert told["macro"]["difference"] == pytest.approx(37 / 60)
    assert {"difference", "ci_low", "ci_high", "p", "p_adjusted", "correlation", "mde_80", "boot_low"} <= set(
        told["tasks"][0]
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["embedded:large", "embedded:smal"], "did you mean 'embedded:small'"),
        (["embedded:large", "embedded:large"], "name two of its runs"),
        (["embedded:large", "embedded:small", "--margin", "2"], "margin = 2.0"),
        (["embedded:large", "embedded:small", "--chart", "x.gif"], ".gif"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_shown(folder: Path, arguments: list[str], said: str) -> None:
    done = asked(folder, *arguments)
    assert isinstance(done.exception, ConfigError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)
    assert done.stdout == ""


def test_the_commands_of_the_page_do_what_it_says(folder: Path) -> None:
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    commands = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ bench compare")]
    assert len(commands) >= 4
    for command in commands:
        done = asked(folder, *shlex.split(command.partition("#")[0])[2:])
        assert done.exit_code in (0, 6), (command, done.output, done.exception)
    assert (folder / "compare.html").stat().st_size > 100_000


def test_the_python_of_the_page_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "compare.md", "exec"), {})
