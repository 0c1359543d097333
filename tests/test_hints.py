from collections.abc import Iterator
from dataclasses import replace

import pytest

from bench import hints
from bench.catalog import Catalog, load
from tests.fake import Running, fake_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with fake_server(tmp_path_factory.mktemp("fake")) as running:
        yield running


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> Catalog:
    """Without any key, and with no local server to be found."""
    found = load()
    for provider in found.providers.values():
        if provider.key_env:
            monkeypatch.delenv(provider.key_env, raising=False)
    silent = {"vllm": found.providers["vllm"].model_copy(update={"base_url": "http://127.0.0.1:9/v1"})}
    hosted = {name: provider for name, provider in found.providers.items() if not hints.is_loopback(provider.base_url)}
    return replace(found, providers={**hosted, **silent})


def test_a_bare_machine_is_told_what_works_on_it(catalog: Catalog) -> None:
    told = hints.next_commands(catalog)
    assert len(told) == 3
    assert all(line.startswith("bench ") for line in told)
    assert not any("is set" in line for line in told)


def test_a_key_that_is_set_is_named_and_never_shown(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "gsk-canary")
    told = hints.next_commands(catalog)
    assert told[0].startswith("bench run -t groq:")
    assert "GROQ_API_KEY is set" in told[0]
    assert "canary" not in " ".join(told)


def test_a_key_whose_wire_is_not_there_yet_is_no_hint(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "x")
    assert not any("anthropic" in line for line in hints.next_commands(catalog))


def test_a_server_on_loopback_is_found_with_its_model(catalog: Catalog, server: Running) -> None:
    there = catalog.providers["vllm"].model_copy(update={"base_url": server.url})
    told = hints.next_commands(replace(catalog, providers={"vllm": there}))
    assert told[0].startswith("bench run -t vllm:fake")
