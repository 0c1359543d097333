"""Every command the README shows is one the program takes, and its Python runs."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from bench.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [README, *(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md")))]
COMMANDS = [
    shlex.split(re.split(r"\s#", line)[0])[1:]
    for page in PAGES
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    for line in re.findall(r"^\$ (bench .*)$", block, re.MULTILINE)
]


def parsed(arguments: list[str]) -> str:
    """The verb, once its arguments were taken without complaint; nothing is executed."""
    command = typer.main.get_command(app)
    with command.make_context("bench", list(arguments)) as context:
        name, inner, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        inner.make_context(name, rest, parent=context)
        return str(name)


def test_the_readme_shows_commands() -> None:
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_command_of_the_readme_is_understood(arguments: list[str]) -> None:
    assert parsed(arguments)


def test_a_wrong_option_is_not_understood() -> None:
    with pytest.raises(Exception, match="No such option"):
        parsed(["run", "--no-such-option"])


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert "macro" in set(names["table"]["task"])  # type: ignore[index]


def test_the_targets_toml_of_the_readme_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.catalog import load

    (toml,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "targets.toml").write_text(toml)
    monkeypatch.setenv("OUR_KEY", "k")
    assert "our-llama" in load(tmp_path / "targets.toml").targets
