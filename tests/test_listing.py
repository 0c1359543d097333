import io
from pathlib import Path
from typing import get_args

import pytest
from rich.console import Console

from bench import listing
from bench.catalog import load
from bench.catalog.address import variables_in
from bench.errors import ConfigError
from bench.records import Layer


@pytest.fixture(autouse=True)
def _no_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the user's own keys, addresses or targets."""
    for provider in load().providers.values():
        opened = {name for url in (provider.base_url, *provider.base_urls.values()) for name in variables_in(url)}
        for name in {*opened, *provider.base_url_env, *provider.key_names}:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_every_target_says_what_it_needs_and_whether_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "gsk-canary")
    rows = {row["target"]: row for row in listing.targets(load())}

    def told(name: str) -> tuple[list[str], str | None, bool | None]:
        return rows[name]["needs"], rows[name]["besides"], rows[name]["ready"]

    assert told("embedded:nano") == ([], None, True)
    assert told("groq:MODEL") == ([], None, True)
    assert told("openai:MODEL") == (["OPENAI_API_KEY"], None, False)
    assert told("azure:MODEL") == (["AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"], None, False)
    assert told("vertex:MODEL") == (["GOOGLE_CLOUD_PROJECT"], "Google credentials", False)
    assert told("bedrock:MODEL") == ([], "AWS credentials", None)
    assert told("ollama:MODEL") == ([], "server 127.0.0.1:11434", None)
    assert "canary" not in str(rows)
    assert rows["openai:MODEL"]["wires"] == ["openai_chat", "openai_responses", "openai_completions"]


def test_variables_of_keys_and_addresses_are_counted_as_they_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_OPENAI_ENDPOINT", "GOOGLE_API_KEY", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.setenv(name, "there")
    monkeypatch.setenv("OLLAMA_HOST", "http://me:hunter2@127.0.0.1:9")
    monkeypatch.setenv("VLLM_BASE_URL", "http://gpu-box:8000/v1")
    rows = {row["target"]: row for row in listing.targets(load())}
    assert rows["azure:MODEL"]["needs"] == ["AZURE_OPENAI_API_KEY"]
    assert rows["google:MODEL"]["ready"] is True
    assert rows["bedrock:MODEL"]["ready"] is True
    assert rows["ollama:MODEL"]["besides"] == "server 127.0.0.1:9"
    assert rows["vllm:MODEL"]["besides"] is None
    assert "hunter2" not in str(rows)
    monkeypatch.setenv("OLLAMA_HOST", "http://[")
    (ollama,) = (row for row in listing.targets(load()) if row["target"] == "ollama:MODEL")
    assert ollama["besides"] == "an address that can be read"


def test_targets_come_by_layer_and_the_users_own_stand_in_theirs(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text(
        '[[targets]]\nid = "mine"\nmodel = "m"\nlayer = "decentralised"\nkey = "env:NOSANA_KEY"\n'
        'base_url = "https://node.example/v1"\n'
    )
    rows = listing.targets(load(tmp_path / "t.toml"))
    layers = [row["layer"] for row in rows]
    assert layers == sorted(layers, key=listing.LAYERS.index)
    assert set(layers) == set(get_args(Layer)) == set(listing.LAYERS)
    (mine,) = (row for row in rows if row["target"] == "mine")
    assert (mine["layer"], mine["needs"], mine["ready"]) == ("decentralised", ["NOSANA_KEY"], False)


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_a_terminal_and_folds_no_name(width: int) -> None:
    out = io.StringIO()
    rows = listing.targets(load())
    Console(file=out, width=width).print(listing.target_table(rows))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    for row in rows:
        for name in (row["target"], *row["needs"]):
            assert any(name in line for line in lines), name
    headings = [line.strip() for line in lines if line.strip() in listing.LAYERS]
    assert headings == list(listing.LAYERS)
    if width == 120:
        assert any("xai:MODEL" in line and "$ usage.cost_in_usd_ticks" in line for line in lines)
        assert any("groq:MODEL" in line and "node x-groq-region" in line for line in lines)


def test_tasks_are_counted_from_their_files() -> None:
    rows = [row for row in listing.tasks() if row["suite"] == "quick@1"]
    assert len(rows) == 8
    assert {(row["items"], row["levels"]) for row in rows} == {(30, 3)}
    assert any("provisional" in row["suite"] for row in listing.tasks())


def test_a_task_is_shown_by_one_item_of_every_level() -> None:
    assert [item["level"] for item in listing.items("core_ledger")] == [1, 2, 3, 4, 5]
    with pytest.raises(ConfigError, match="core_ledger"):
        listing.items("core_leger")
