"""The catalogue: what is packaged is whole, and what people type gets one clear line or a target."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bench.catalog as catalog
from bench.catalog import embedded, keys, resolve
from bench.catalog.address import is_loopback
from bench.errors import ConfigError
from bench.records import Endpoint

PROVIDER_HEAD = 'name = "T"\nlayer = "hosted-open"\nwires = ["openai_chat"]\nsource = "s"\ndate = 2026-11-24\n'
SECRET = "sk-proj-0123456789abcdefABCDEF0123456789"
PACKAGED = catalog._packaged()


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the user's own targets or keys."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.endswith(("_API_KEY", "_TOKEN")) or name == "BENCH_TARGETS"]:
        monkeypatch.delenv(name)


def user_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "targets.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        catalog.load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


# ------------------------------------------------------------------------------------------------ what is packaged


@pytest.mark.parametrize("provider", PACKAGED.providers.values(), ids=lambda p: p.id)
def test_every_provider_has_a_source_a_date_a_known_wire_and_a_safe_address(
    provider: catalog.Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert provider.source
    assert provider.date
    assert dt.date(2026, 1, 1) <= provider.date <= dt.date.today()
    assert set(provider.wires) <= set(resolve.WIRES)
    for name in provider.missing(provider.wires[0], {}):
        monkeypatch.setenv(name, "x")
    url = provider.url(provider.wires[0], os.environ)
    assert is_loopback(url) or url.startswith("https://")
    assert provider.layer != "reference"
    found = resolve.from_provider(provider, "some-model")
    assert found.provider == provider.id
    assert len(found.fingerprint()) == 64


def test_every_layer_that_is_compared_has_a_provider() -> None:
    layers = {provider.layer for provider in PACKAGED.providers.values()}
    assert layers == {"on-device", "self-hosted", "decentralised", "hosted-open", "hosted-closed"}


def test_no_two_providers_answer_to_one_name() -> None:
    names = [name for p in PACKAGED.providers.values() for name in (p.id, *p.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("section", ["models", "gpus", "prices"])
def test_every_fact_names_its_source_and_when_it_was_seen(section: str) -> None:
    facts = getattr(PACKAGED, section)
    assert len(facts) >= 10
    for fact in facts.values():
        assert fact.source
        seen = fact.observed if section == "prices" else fact.date
        assert seen is not None
        assert seen <= dt.date.today()


def test_models_are_open_and_closed_and_only_say_published_sizes() -> None:
    models = [model for model in PACKAGED.models.values() if model.layer is None]
    assert len(models) >= 25
    assert {"fully open", "open weights", "open weights restricted", "api-only"} <= {m.access for m in models}
    for model in models:
        assert (model.access in {"api-only", "unreleased"}) == (model.openness.weights == "closed")
        if model.openness.weights == "closed":
            assert model.parameters_total is None
        if model.parameters_active is not None:
            assert model.parameters_total is not None
            assert model.parameters_active <= model.parameters_total
        if model.access == "fully open":
            assert model.openness.training_code == model.openness.training_data == "open"


def test_a_reader_of_the_catalogue_finds_which_model_a_target_serves() -> None:
    for spec in ("groq:openai/gpt-oss-120b", "cerebras:gpt-oss-120b"):
        model = PACKAGED.model_of(catalog.target(spec))
        assert model is not None
        assert model.id == "gpt-oss-120b"
    assert PACKAGED.model_of(catalog.target("groq:openai/gpt-oss-120b-turbo")) is None


# --------------------------------------------------------------------------------------------------------- targets


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("embedded:nano", ("embedded:nano", "reference", "embedded", None, None, "nano")),
        ("openai:gpt-4o", ("openai:gpt-4o", "hosted-closed", None, "openai", "https://api.openai.com/v1", "gpt-4o")),
        (
            "ollama:llama3.1:8b",
            ("ollama:llama3.1:8b", "on-device", None, "ollama", "http://127.0.0.1:11434", "llama3.1:8b"),
        ),
        (
            "akash:meta-llama/Llama-3.3-70B-Instruct",
            (
                "akashml:meta-llama/Llama-3.3-70B-Instruct",
                "decentralised",
                None,
                "akashml",
                "https://api.akashml.com/v1",
                "meta-llama/Llama-3.3-70B-Instruct",
            ),
        ),
        (
            "http://10.0.0.7:8000/v1#org/m:q4",
            ("http://10.0.0.7:8000/v1#org/m:q4", "self-hosted", None, None, "http://10.0.0.7:8000/v1", "org/m:q4"),
        ),
        ("http://[::1]:9#m", ("http://[::1]:9/v1#m", "self-hosted", None, None, "http://[::1]:9/v1", "m")),
        ("http://h:1/v1/#m", ("http://h:1/v1#m", "self-hosted", None, None, "http://h:1/v1", "m")),
        (
            "https://api.together.ai/v1#x/y",
            ("together:x/y", "hosted-open", None, "together", "https://api.together.ai/v1", "x/y"),
        ),
    ],
)
def test_a_target_is_what_was_typed(
    spec: str, expected: tuple[str | None, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "family", lambda: {})
    found = catalog.target(spec)
    assert (found.id, found.layer, found.engine, found.provider, found.base_url, found.model) == expected


def test_an_engine_serves_the_model_named_after_the_at_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "_there", lambda package, name: True)
    found = catalog.target("vllm@meta-llama/Llama-3.1-8B-Instruct")
    assert (found.engine, found.layer, found.base_url) == ("vllm", "self-hosted", None)
    lent = found.endpoint("http://127.0.0.1:4242/v1/")
    assert lent.base_url == "http://127.0.0.1:4242/v1"
    with pytest.raises(ConfigError, match="must serve it first"):
        found.endpoint()


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("opnai:gpt-4o", ["'opnai'", "'openai'"]),
        ("vlm@m", ["'vlm'", "'vllm'"]),
        ("gpt-4o", ["'gpt-4o'", "PROVIDER:MODEL"]),
        ("", ["PROVIDER:MODEL"]),
        ("openai:", ["PROVIDER:MODEL"]),
        ("http://h:8000/v1", ["names no model", "http://h:8000/v1#MODEL"]),
        ("http://h:8000/v1#", ["names no model"]),
        ("http://h:hundred/v1#m", ["port is not a number"]),
        ("http:///v1#m", ["not an address"]),
        (f"http://me:{SECRET}@h/v1#m", ["credentials", "env:NAME"]),
        (f"https://h/v1?api_key={SECRET}#m", ["query", "env:NAME"]),
        ("openai+openai_chta:m", ["wire of openai = 'openai_chta'", "did you mean 'openai_chat'"]),
        ("vllm+openai_chat@m", ["a wire can be chosen for a provider only", "vllm@m"]),
    ],
)
def test_what_is_no_target_gets_one_line_with_the_way_out(spec: str, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        catalog.target(spec)
    message = str(caught.value)
    assert all(part in message for part in parts), message
    assert "\n" not in message
    assert SECRET not in message


def test_a_wire_that_is_not_there_yet_is_said_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "_there", lambda package, name: name == "openai_chat")
    with pytest.raises(
        ConfigError, match=r"speaks the wire 'anthropic', which isn't there yet; there are: openai_chat"
    ):
        catalog.target("anthropic:claude-opus-4-5")
    with pytest.raises(ConfigError, match="'openai_responses', which isn't there yet"):
        catalog.target("openai:gpt-5.4-pro")


def test_an_engine_that_is_not_there_yet_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "_there", lambda package, name: package == "bench.wires")
    with pytest.raises(ConfigError, match=r"can't be launched from here yet; start it yourself and use vllm:m or http"):
        catalog.target("vllm@m")


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.text(max_size=40), st.from_regex(r"(https?://|openai:|vllm@|embedded:)[!-~]{0,30}", fullmatch=True))
)
def test_anything_typed_is_a_target_or_one_line(spec: str) -> None:
    told = "one line"
    try:
        json.dumps(catalog.target(spec, PACKAGED).public())
    except ConfigError as error:
        told = str(error)
    assert len(told.splitlines()) == 1


def test_quirks_belong_to_an_exact_id_and_never_to_a_part_of_a_name() -> None:
    assert catalog.target("openai:gpt-5").quirks["sampling"] == "refused"
    assert catalog.target("openai:gpt-5.4").quirks["sampling"] == "when_none"
    assert "sampling" not in catalog.target("openai:gpt-5-but-another").quirks
    assert catalog.target("openai:gpt-5-but-another").quirks["cap_field"] == "max_completion_tokens"
    assert catalog.target("deepseek:deepseek-v4-pro").quirks["cap_field"] == "max_tokens"


def test_openai_quirks_reach_the_body_through_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.records import Message, Request
    from bench.wires import wire

    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    request = Request(request_id="r", request_key="k", messages=(Message(role="user", content="hi"),), max_tokens=8)
    body = wire("openai_chat").encode(catalog.target("openai:gpt-5").endpoint(), request).body
    assert body["max_completion_tokens"] == 8
    assert "max_tokens" not in body
    assert "temperature" not in body
    assert body["store"] is False


# ------------------------------------------------------------------------------------------------- the user's file


def test_a_users_file_extends_and_overrides(tmp_path: Path) -> None:
    path = user_file(
        tmp_path,
        """
        [[targets]]
        id = "mine"
        base_url = "http://127.0.0.1:9000/v1/"
        model = "my-model"
        layer = "decentralised"
        wire = "openai_completions"
        key = "env:MY_KEY"
        headers = { "X-Team" = "blue" }
        quirks = { stop_max = 2 }
        options = { temperature = 0.7, max_tokens = 64, reasoning_budget = 512, seed = 3, extra = { top_k = 1 } }
        usd_per_mtok_in = 0.1
        usd_per_mtok_out = 0.2

        [[targets]]
        id = "4o-cold"
        provider = "openai"
        model = "gpt-4o"
        quirks = { seed_field = false }

        [[targets]]
        id = "small"
        engine = "vllm"
        model = "org/small"
        engine_args = { max-model-len = 8192 }

        [[providers]]
        id = "openai"
        name = "my gateway"
        layer = "hosted-closed"
        wires = ["openai_chat"]
        base_url = "https://gateway.example/v1"
        key_env = "GATEWAY_KEY"
        source = "our own"
        date = 2026-11-01
        """,
    )
    found = catalog.load(path)
    mine = catalog.target("mine", found)
    assert (mine.layer, mine.wire, mine.base_url) == ("decentralised", "openai_completions", "http://127.0.0.1:9000/v1")
    assert (mine.key_ref, mine.options.seed, mine.options.extra) == ("env:MY_KEY", 3, {"top_k": 1})
    assert str(mine.usd_per_mtok_in) == "0.1"
    cold = catalog.target("4o-cold", found)
    assert (cold.id, cold.base_url, cold.key_ref) == ("4o-cold", "https://gateway.example/v1", "env:GATEWAY_KEY")
    assert cold.quirks == {"seed_field": False}, "the provider block was replaced, its quirks too"
    assert found.targets["small"].engine_args == {"max-model-len": 8192}


def test_targets_toml_of_the_working_folder_is_found_and_bench_targets_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = '[[targets]]\nid = "{}"\nbase_url = "http://127.0.0.1:1/v1"\nmodel = "m"\n'
    user_file(tmp_path, block.format("here"))
    assert set(catalog.load().targets) == {"here"}
    elsewhere = tmp_path / "other.toml"
    elsewhere.write_text(block.format("there"))
    monkeypatch.setenv("BENCH_TARGETS", str(elsewhere))
    assert set(catalog.load().targets) == {"there"}
    monkeypatch.setenv("BENCH_TARGETS", "gone.toml")
    with pytest.raises(ConfigError, match=r"BENCH_TARGETS = 'gone.toml': there is no such file"):
        catalog.load()


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    block = '[[targets]]\nid = "{}"\nbase_url = "http://127.0.0.1:1/v1"\nmodel = "m"\n'
    path = user_file(tmp_path, block.format("one"))
    assert set(catalog.load(path).targets) == {"one"}
    path.write_text(block.format("two"))
    os.utime(path, ns=(1, 1))
    assert set(catalog.load(path).targets) == {"two"}


HEAD = '[[targets]]\nid = "t"\nmodel = "m"\nbase_url = "http://127.0.0.1:1/v1"\n'


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('[[targets]]\nid = "t"\nmodle = "m"', ["'modle' = 'm'", "did you mean 'model'", "'t'"]),
        ('[[targets]]\nid = "t"\nbase_url = "http://127.0.0.1/v1"', ["key 'model' is missing"]),
        ('[[targets]]\nid = "t"\nmodel = "m"', ["one of provider, engine and base_url"]),
        ('[[targets]]\nid = "t"\nmodel = "m"\nprovider = "togther"', ["provider = 'togther'", "'together'"]),
        ('[[targets]]\nid = "t"\nmodel = "m"\nengine = "lama_cpp"', ["engine = 'lama_cpp'", "'llama_cpp'"]),
        ('[[targets]]\nid = "t"\nmodel = "m"\nengine = "vllm"\nprovider = "openai"', ["engine stands alone"]),
        (HEAD + 'layer = "hosted-opne"', ["layer = 'hosted-opne'", "did you mean 'hosted-open'"]),
        (HEAD + 'wire = "openai-chat"', ["wire = 'openai-chat'", "did you mean 'openai_chat'"]),
        (HEAD + 'options = { temprature = 1.0 }', ["'options.temprature' = 1.0", "did you mean 'temperature'"]),
        (HEAD + 'options = { temperature = "hot" }', ["options.temperature = 'hot'", "number"]),
        (HEAD + 'options = { temperature = true }', ["options.temperature = True", "number"]),
        (HEAD + "options = { max_tokens = 0 }", ["options.max_tokens = 0", "greater than 0"]),
        (HEAD + 'options = { concurrency = "8" }', ["options.concurrency = '8'", "integer"]),
        (HEAD + 'quirks = { cap_feild = "x" }', ["'cap_feild'", "did you mean 'cap_field'"]),
        (HEAD + "usd_per_mtok_in = 1.0", ["given together"]),
        (HEAD + "usd_per_mtok_in = -1.0\nusd_per_mtok_out = 1.0", ["usd_per_mtok_in = -1.0", "greater than"]),
        (HEAD + HEAD, ["'t' is declared twice"]),
        (HEAD + "max = \nmin = 1", ["not valid TOML", "line 5"]),
        ("targets = 3", ["write [[targets]]"]),
        ("[target]\nid = 1", ["section = 'target'", "did you mean 'targets'"]),
        ('[[targets]]\nid = "t"\nmodel = "m"\nbase_url = "127.0.0.1:8000"',
         ["base_url = '127.0.0.1:8000'", "http://HOST"]),
        ('[[targets]]\nid = "a b"\nmodel = "m"\nbase_url = "http://127.0.0.1/v1"', ["id = 'a b'"]),
        ('[[prices]]\nid = "p"\nprovider = "chuets"\nmodel = "m"\nsource = "s"\n'
         "usd_per_mtok_in = 1.0\nusd_per_mtok_out = 1.0",
         ["'chuets'", "'chutes'"]),
    ],
)  # fmt: skip
def test_a_mistake_in_the_users_file_names_file_key_value_and_the_nearest_right_name(
    tmp_path: Path, text: str, parts: list[str]
) -> None:
    message = refusal(user_file(tmp_path, text))
    assert all(part in message for part in parts), message


@pytest.mark.parametrize(
    "line",
    [
        f'key = "{SECRET}"',
        'key = "hunter2"',
        f'headers = {{ Authorization = "Bearer {SECRET}" }}',
        f'headers = {{ "X-Api-Key" = "{SECRET}" }}',
        f'headers = {{ "X-Other" = "{SECRET}" }}',
        f'layer = "{SECRET}"',
        f'api_key = "{SECRET}"',
    ],
)
def test_a_pasted_secret_is_refused_and_never_repeated(tmp_path: Path, line: str) -> None:
    message = refusal(user_file(tmp_path, HEAD + line))
    assert SECRET not in message
    assert "hunter2" not in message


@pytest.mark.parametrize("section", ["targets", "providers"])
@pytest.mark.parametrize("url", ["https://me:hunter2@h/v1", "https://h/v1?api_key=hunter2", "ftp://me:hunter2@h"])
def test_a_password_in_an_address_is_refused_and_never_repeated(tmp_path: Path, section: str, url: str) -> None:
    more = 'model = "m"' if section == "targets" else PROVIDER_HEAD
    message = refusal(user_file(tmp_path, f'[[{section}]]\nid = "t"\nbase_url = "{url}"\n{more}'))
    assert "base_url" in message
    assert "hunter2" not in message


def test_a_password_in_a_variable_is_refused_and_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "http://me:hunter2@h:1")
    with pytest.raises(ConfigError, match="holds credentials") as caught:
        catalog.target("ollama:m")
    assert "hunter2" not in str(caught.value)


def test_a_key_is_not_sent_unencrypted_to_another_machine_unless_allowed(tmp_path: Path) -> None:
    head = '[[targets]]\nid = "t"\nmodel = "m"\nkey = "env:K"\nbase_url = "{}"\n'
    message = refusal(user_file(tmp_path, head.format("http://10.0.0.7:8000/v1")))
    assert "allow_insecure = true" in message
    for url, more in (
        ("http://10.0.0.7:8000/v1", "allow_insecure = true"),
        ("https://10.0.0.7/v1", ""),
        ("http://127.0.0.1:8000/v1", ""),
        ("http://localhost:8000/v1", ""),
    ):
        (tmp_path / "ok.toml").write_text(head.format(url) + more)
        os.utime(tmp_path / "ok.toml", ns=(hash(url + more) % 10**9, hash(url + more) % 10**9))
        assert catalog.load(tmp_path / "ok.toml").targets["t"].base_url == url


# ------------------------------------------------------------------------------------------- keys and what is shown


def test_a_missing_key_names_the_variable_and_how_to_set_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = catalog.target("openai:gpt-4o")
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set; run: export OPENAI_API_KEY=<your key>"):
        found.endpoint()
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    endpoint = found.endpoint()
    assert isinstance(endpoint, Endpoint)
    assert endpoint.key_ref == "env:OPENAI_API_KEY"
    assert SECRET not in repr(asdict(endpoint))


def test_a_local_server_gets_a_key_only_when_its_variable_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert catalog.target("vllm:m").key_ref is None
    monkeypatch.setenv("VLLM_API_KEY", SECRET)
    assert catalog.target("vllm:m").key_ref == "env:VLLM_API_KEY"


def test_a_key_file_must_be_there_and_hold_something(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert "can't be read" in str(keys.problem_with(f"file:{path}"))
    path.write_text("\n")
    assert "is empty" in str(keys.problem_with(f"file:{path}"))
    path.write_text(SECRET)
    assert keys.problem_with(f"file:{path}") is None


def test_what_goes_into_a_run_holds_no_secret_and_no_folder() -> None:
    target = catalog.Target(
        id="t",
        layer="self-hosted",
        wire="openai_chat",
        base_url="https://h/v1",
        model="m",
        key_ref="file:/home/somebody/key.txt",
        headers={"X-Session-Token": "not-shaped-like-one", "X-Team": "blue"},
    )
    told = json.dumps(target.public())
    assert "somebody" not in told
    assert "not-shaped-like-one" not in told
    assert target.public()["headers"] == {"X-Session-Token": "(redacted)", "X-Team": "blue"}
    assert target.public()["key_ref"] == "file:key.txt"
    assert target.public()["fingerprint"] == target.fingerprint()


# ----------------------------------------------------------------------------------------------------- fingerprints

PLAIN = catalog.Target(id="t", layer="self-hosted", wire="openai_chat", base_url="http://127.0.0.1:1/v1", model="m")


@pytest.mark.parametrize(
    "change",
    [
        {"base_url": "http://127.0.0.1:2/v1"},
        {"wire": "openai_completions"},
        {"model": "n"},
        {"headers": {"X-Team": "blue"}},
        {"quirks": {"stop_max": 1}},
        {"options": catalog.Options(temperature=0.1)},
        {"options": catalog.Options(temperature=None)},
        {"options": catalog.Options(max_tokens=5)},
        {"options": catalog.Options(reasoning_budget=5)},
        {"options": catalog.Options(seed=0)},
        {"options": catalog.Options(extra={"top_k": 1})},
        {"engine_args": {"max-model-len": 1}},
        {"revision": "abc"},
        {"quantisation": "q4"},
        {"base_url": None, "engine": "vllm"},
    ],
    ids=str,
)
def test_what_can_change_an_answer_changes_the_fingerprint(change: dict[str, object]) -> None:
    assert PLAIN.model_copy(update=change).fingerprint() != PLAIN.fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        {"id": "another"},
        {"layer": "decentralised"},
        {"key_ref": "env:K"},
        {"note": "hello"},
        {"usd_per_mtok_in": 1, "usd_per_mtok_out": 1},
        {"options": catalog.Options(concurrency=3, stall_timeout_s=1.0)},
    ],
    ids=str,
)
def test_what_cannot_change_an_answer_leaves_the_fingerprint(change: dict[str, object]) -> None:
    assert PLAIN.model_copy(update=change).fingerprint() == PLAIN.fingerprint()


def test_a_fingerprint_is_the_same_in_every_process_and_version() -> None:
    """Changing what is hashed breaks the series of every user: do it knowingly."""
    assert PLAIN.fingerprint() == "6121df9d9344d597fdf7cf7015914f35792d871c9e592877b176dde781148d62"


# ---------------------------------------------------------------------------------------------------------- suites


def write_suite(folder: Path, **changes: object) -> Path:
    items = b'{"id": "a"}\n'
    (folder / "items.jsonl").write_bytes(items)
    task = {"name": "t", "max_gen_toks": 8, "items": "items.jsonl", "sha256": hashlib.sha256(items).hexdigest()}
    task.update(changes)
    lines = [f"{key} = {json.dumps(value)}" for key, value in task.items()]
    path = folder / "mine.toml"
    path.write_text('name = "mine"\nversion = 1\n[[tasks]]\n' + "\n".join(lines))
    return path


def test_quick_is_there_and_its_items_are_the_frozen_ones() -> None:
    quick = catalog.suite("quick")
    assert catalog.suite("quick@1") == quick
    assert (quick.name, quick.version) == ("quick", 1)
    assert len(quick.hash) == 64
    quick.check_files()
    assert "quick" in PACKAGED.suites


def test_a_suite_by_path_finds_its_items_beside_it(tmp_path: Path) -> None:
    found = catalog.suite(str(write_suite(tmp_path)))
    assert (found.tasks[0].metric, found.tasks[0].weight, found.tasks[0].chance, found.tasks[0].sample) == (
        "acc",
        1.0,
        0.0,
        "all",
    )
    found.check_files()
    (tmp_path / "items.jsonl").write_bytes(b"changed")
    with pytest.raises(ConfigError) as caught:
        found.check_files()
    message = str(caught.value)
    assert "items.jsonl" in message
    assert found.tasks[0].sha256 in message
    assert hashlib.sha256(b"changed").hexdigest() in message
    (tmp_path / "items.jsonl").unlink()
    with pytest.raises(ConfigError, match=r"items\.jsonl can't be read: No such file"):
        found.check_files()


def test_a_suites_hash_covers_what_can_change_a_score_and_nothing_else(tmp_path: Path) -> None:
    base = catalog.suite(str(write_suite(tmp_path)))
    for change in ({"weight": 2.0}, {"chance": 0.5}, {"max_gen_toks": 9}, {"sample": 1}, {"first_line": True}):
        assert catalog.suite(str(write_suite(tmp_path, **change))).hash != base.hash
    assert base.model_copy(update={"version": 2}).hash != base.hash
    assert base.model_copy(update={"note": "other", "provisional": True}).hash == base.hash
    (tmp_path / "deeper").mkdir()
    assert catalog.suite(str(write_suite(tmp_path / "deeper"))).hash == base.hash


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"sha256": "abc"}, "tasks.0.sha256 = 'abc'"),
        ({"wieght": 1.0}, "did you mean 'weight'"),
        ({"sample": 0}, "at least 1 item"),
        ({"chance": 1.0}, "tasks.0.chance = 1.0"),
    ],
)
def test_a_mistake_in_a_suite_is_one_line(tmp_path: Path, changes: dict[str, object], part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        catalog.suite(str(write_suite(tmp_path, **changes)))
    assert part in str(caught.value)
    assert "mine.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("quikc", "did you mean 'quick'"),
        ("quick@2", "holds quick@1"),
        ("quick@x", "is a number"),
        ("no.toml", "can't be"),
    ],
)
def test_an_unknown_suite_is_one_line(name: str, part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        catalog.suite(name)


# -------------------------------------------------------------------------------------------------------- embedded

MEMBER = SimpleNamespace(
    name="nano",
    parameters=300_000,
    context=96,
    tokens_seen=10**8,
    trained=dt.date(2026, 11, 22),
    checkpoint_of=None,
    sha256="ab" * 32,
)


def test_embedded_models_are_reference_models_and_open_to_the_bottom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "family", lambda: {"nano": MEMBER})
    model = embedded.models()["embedded-nano"]
    assert (model.layer, model.access, model.parameters_total) == ("reference", "fully open", 300_000)
    assert model.served_as == ("embedded:nano",)


def test_an_unknown_embedded_model_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "family", lambda: {"nano": MEMBER})
    with pytest.raises(ConfigError, match="'nanno'; did you mean 'nano'"):
        catalog.target("embedded:nanno")
    assert catalog.target("embedded:nano").revision == MEMBER.sha256
