"""Every command of docs/choose.md runs, in its order, on a made-up store; its TOML is a use case."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app
from tests.choice_world import build

PAGE = (Path(__file__).parent.parent / "docs" / "choose.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ").partition("  #")[0]
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


def test_the_commands_of_the_page_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.chdir(tmp_path)
    build(tmp_path / "results")
    assert len(COMMANDS) >= 7
    for command in COMMANDS:
        done = CliRunner().invoke(app, shlex.split(command)[1:])
        assert done.exit_code in (0, 6), (command, done.output, done.exception)
        if "--example" in command:
            Path("use_case.toml").write_text(done.stdout)
    assert "<title>" in Path("front.html").read_text()
    assert "<title>" in Path("spending.html").read_text()


def test_the_use_case_of_the_page_is_one(tmp_path):
    from bench.catalog.use_case import read_use_case

    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "use.toml").write_text(text)
    assert read_use_case(tmp_path / "use.toml").quality.told() == "at least 0.8"


@pytest.mark.parametrize("name", ["choose", "criteria", "whatif", "moves", "spending", "quality_cost"])
def test_the_functions_the_page_names_are_there(name):
    from bench import analysis

    assert f"analysis.{name}(" in PAGE
    assert callable(getattr(analysis, name))
