from collections.abc import Iterator
from dataclasses import replace

import pytest

from bench import hints, wires
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
        for name in (*provider.key_names, *provider.base_url_env, "OLLAMA_HOST", "AZURE_OPENAI_ENDPOINT"):
            monkeypatch.delenv(name, raising=False)
    silent = {"vllm": found.providers["vllm"].model_copy(update={"base_url": "http://127.0.0.1:9/v1"})}
    hosted = {name: provider for name, provider in found.providers.items() if hints._local_url(provider) is None}
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
    assert any("anthropic" in line for line in hints.next_commands(catalog))
    monkeypatch.setattr(wires, "names", lambda: ["openai_chat"])
    assert not any("anthropic" in line for line in hints.next_commands(catalog))


def test_a_key_without_its_address_is_no_hint(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "x")
    assert not any("azure" in line for line in hints.next_commands(catalog))
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com")
    assert any("azure" in line for line in hints.next_commands(catalog))


def test_a_second_name_of_a_key_is_the_one_that_is_named(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "x")
    assert "GOOGLE_API_KEY is set" in hints.next_commands(catalog)[0]


@pytest.mark.parametrize("host", ["http://gpu-box:11434", "10.0.0.7", "https://ollama.example", "http://["])
def test_an_address_that_is_not_this_machine_is_never_asked(
    host: str, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    monkeypatch.setenv("VLLM_BASE_URL", "http://gpu-box:8000/v1")
    asked: list[str] = []

    async def probe(urls: list[str]) -> list[None]:
        asked.extend(urls)
        return [None for _ in urls]

    monkeypatch.setattr(hints, "_probe", probe)
    hints.next_commands(load())
    assert asked
    assert all("127.0.0.1" in url for url in asked)
    assert len(asked) == len(set(asked)), "a port that several providers share is asked once"
    assert not any("11434" in url for url in asked)


def test_a_port_that_providers_share_is_one_hint_that_names_them(catalog: Catalog, server: Running) -> None:
    there = {
        name: load().providers[name].model_copy(update={"base_url": server.url}) for name in ("transformers", "vllm")
    }
    told = hints.next_commands(replace(catalog, providers=there))
    assert sum("a server answers" in line for line in told) == 1
    assert told[0].startswith("bench run -t transformers:fake")
    assert told[0].endswith("it may be transformers, vllm")


def test_a_server_on_loopback_is_found_with_its_model(catalog: Catalog, server: Running) -> None:
    there = catalog.providers["vllm"].model_copy(update={"base_url": server.url})
    told = hints.next_commands(replace(catalog, providers={"vllm": there}))
    assert told[0].startswith("bench run -t vllm:fake")
