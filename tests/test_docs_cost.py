"""Every command of docs/cost.md runs, and prints what the page says it prints."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.runs import create
from tests.store import TARGET, counted, header, load_request, load_run, load_step, measurement, sample

PAGE = (Path(__file__).parent.parent / "docs" / "cost.md").read_text(encoding="utf-8")
MAKES = ("run", "load")
"""Verbs that ask a server; tests/test_readme.py holds that they are understood."""


def blocks() -> list[tuple[list[str], list[str]]]:
    """Commands and the lines under them."""
    found: list[tuple[list[str], list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ bench "):
                found.append((shlex.split(re.split(r"\s#", line)[0])[2:], []))
            else:
                found[-1][1].append(line)
    return found


@pytest.fixture(autouse=True)
def _measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with a hosted run and a load of embedded:small in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("BENCH_TARGETS", "BENCH_RESULTS", "BENCH_OVERRIDES"):
        monkeypatch.delenv(name, raising=False)
    hosted = {**TARGET, "id": "openai:gpt-4o", "layer": "hosted-closed", "provider": "openai", "model": "gpt-4o"}
    price = {"price_id": "p", "usd_per_mtok_in": "2.5", "usd_per_mtok_out": "10", "source": "a list"}
    with create(Path("results"), header(target=hosted)) as run:
        for n in range(4):
            run.append(measurement(n, target_id="openai:gpt-4o"))
        samples = [sample(n, float(n > 0)) for n in range(4)]
        run.write_samples(samples)
        run.write_scores(counted(samples))
        run.write_prices({"prices": [price]})
        run.finish()
    small = {**TARGET, "id": "embedded:small", "model": "small"}
    requests = [load_request(k, sent_ms=2_000 + 80 * k) for k in range(100)]
    load_run(Path("results"), "20261103T000000000Z-small", [load_step()], requests, target=small)


def ran(arguments: list[str]) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, (arguments, done.output, done.exception)
    return done.stdout


def plain(line: str) -> str:
    return " ".join(line.split())


@pytest.mark.parametrize(("arguments", "lines"), blocks(), ids=lambda part: " ".join(part)[:60])
def test_a_command_of_the_page_does_what_the_page_says(arguments: list[str], lines: list[str]) -> None:
    if arguments[0] in MAKES:
        return
    printed = {plain(line) for line in ran(arguments).splitlines()}
    assert [line for line in lines if plain(line) not in printed] == []
    for written in ("--chart",):
        if written in arguments:
            assert Path(arguments[arguments.index(written) + 1]).stat().st_size > 10_000


def test_json_is_one_value_with_exact_money() -> None:
    told = json.loads(ran([*blocks()[3][0], "--json"]))
    assert told["usd_per_hour"]["capital"].startswith("1.15582191780821917808")
    assert told["self_hosted"][1]["usd_per_mtok_out"].startswith("0.2896093150684931506")
    assert told["throughput"].endswith("not measured here")
    measured = json.loads(ran(["cost", "--json"]))["measured"]
    assert {row["task"] for row in measured} == {"all", "quick_copy"}
    assert measured[0]["usd_per_solved"] == pytest.approx(4 * (20 * 2.5 + 11 * 10) / 1e6 / 3)


@pytest.mark.parametrize("verb", [["show", "gpt-4o"], ["show", "openai:gpt-4o"], ["history", "gpt-4o"], ["diff"]])
def test_the_prices_are_json_too(verb: list[str]) -> None:
    rows = json.loads(ran(["prices", *verb, "--json"]))
    assert isinstance(rows, list)
    assert rows or verb == ["diff"]


def test_a_price_set_is_the_one_shown() -> None:
    ran(["prices", "set", "openai:gpt-9", "--in", "1", "--out", "3.5", "--source", "https://example.org"])
    shown = ran(["prices", "show", "openai:gpt-9"])
    assert "https://example.org" in shown
    assert "since" in shown
    again = CliRunner().invoke(
        app, ["prices", "set", "openai:gpt-9", "--in", "2", "--out", "3.5", "--source", "https://example.org"]
    )
    assert again.exit_code != 0


def test_the_python_of_the_page_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "docs/cost.md", "exec"), names)
    assert len(names["history"]) > 2  # type: ignore[arg-type]
    assert set(names["falls"]) == {125.0, 140.0}  # type: ignore[call-overload]
