"""The providers as data: each file is whole, points at what exists, and holds facts that were looked up by hand."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import bench.catalog as catalog
from bench.catalog import Provider
from bench.catalog.address import filled, is_loopback, variables_in
from bench.catalog.files import HERE
from bench.catalog.quirks import QUIRKS
from bench.catalog.resolve import SIGNED, WIRES, from_provider
from bench.errors import ConfigError
from bench.records import Message, Request
from bench.wires import wire as wire_named
from tests.fake import Running
from tests.quality_runs import bench, knowing_server

FILES = sorted((HERE / "providers").glob("*.toml"))
PROVIDERS = catalog._packaged().providers
EXPECTED = {
    "hosted-closed": "openai azure anthropic google vertex bedrock mistral cohere xai qwen perplexity",
    "hosted-open": "deepseek moonshot zai minimax together fireworks groq cerebras sambanova openrouter deepinfra "
    "novita nebius huggingface nvidia cloudflare",
    "decentralised": "akashml chutes targon ionet",
    "self-hosted": "vllm sglang tgi trtllm transformers",
    "on-device": "llama_cpp ollama lmstudio mlx",
}
ADDRESSES = {
    "AZURE_OPENAI_ENDPOINT": "https://res.openai.azure.com/",
    "ANTHROPIC_FOUNDRY_RESOURCE": "res",
    "CLOUDFLARE_ACCOUNT_ID": "0a1b",
    "GOOGLE_CLOUD_PROJECT": "proj",
}
EVERY = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=lambda p: p.id)


@pytest.fixture(autouse=True)
def _only_these_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The addresses' variables are set and no key is, whatever the machine has."""
    for provider in PROVIDERS.values():
        urls = (provider.base_url, *provider.base_urls.values())
        opened = {name for url in urls for name in variables_in(url)}
        for name in {*opened, *provider.base_url_env, *provider.key_names} & set(os.environ):
            monkeypatch.delenv(name)
    for name, value in ADDRESSES.items():
        monkeypatch.setenv(name, value)


# -------------------------------------------------------------------------------------------------------- whole files


def test_the_providers_are_these_each_in_the_layer_of_its_host() -> None:
    found: dict[str, set[str]] = {}
    for provider in PROVIDERS.values():
        found.setdefault(provider.layer, set()).add(provider.id)
    assert found == {layer: set(names.split()) for layer, names in EXPECTED.items()}
    assert [path.stem for path in FILES] == sorted(PROVIDERS)


def test_no_name_resolves_to_a_provider_that_was_closed() -> None:
    names = {name for provider in PROVIDERS.values() for name in (provider.id, *provider.aliases)}
    assert not names & {"github", "github-models", "lambda", "lambdalabs", "akashchat"}
    assert not [path for path in FILES if "models.github.ai" in path.read_text() or "api.lambda.ai" in path.read_text()]


@EVERY
def test_a_provider_has_wires_addresses_a_source_and_a_date(provider: Provider) -> None:
    assert set(provider.wires) <= set(WIRES)
    assert len(set(provider.wires)) == len(provider.wires)
    assert {*provider.base_urls, *provider.wire_headers, *provider.wire_quirks} <= set(provider.wires)
    assert provider.source
    assert provider.date
    assert str(provider.docs).startswith("https://")
    assert dt.date(2026, 11, 1) <= provider.date <= dt.date.today()
    for wire in provider.wires:
        url = provider.url(wire, ADDRESSES)
        assert url.startswith("https://") or is_loopback(url)
        assert "{" not in url
        assert not url.endswith("/")


@EVERY
def test_a_hosted_provider_names_its_key_and_a_local_one_needs_none(provider: Provider) -> None:
    quirks = provider.quirks_of("", provider.wires[0])
    if is_loopback(provider.url(provider.wires[0], ADDRESSES)):
        assert provider.key_optional or not provider.key_names
    else:
        assert provider.key_names or quirks.get("auth") in SIGNED
        assert not provider.key_optional


@EVERY
def test_what_is_not_proven_is_said_so_in_one_line(provider: Provider) -> None:
    assert "\n" not in provider.note
    assert "?" not in provider.note + provider.source
    assert provider.note.count("unconfirmed: ") == provider.note.count("unconfirmed")


@EVERY
def test_the_price_book_is_one_of_genai_prices(provider: Provider) -> None:
    from genai_prices.data import providers

    assert provider.price_book is None or provider.price_book in {each.id for each in providers}
    if provider.layer in ("self-hosted", "on-device", "decentralised"):
        assert provider.price_book is None


# ------------------------------------------------------------------------------------------------------------- quirks

AT = {
    "auth": str,
    "cap_field": str,
    "cost_at": str,
    "cost_scale": float,
    "effort_default": str,
    "ends": str,
    "budget_min": int,
    "path": str,
    "only_wire": str,
    "reasoning": str,
    "route_at": str,
    "route_header": str,
    "sampling": str,
    "stop_max": int,
    "temperature_min": float,
    "budget_on": dict,
    "effort_on": dict,
    "effort_words": dict,
    "extra_body": dict,
    "reasoning_off": dict,
    "reasoning_levels": list,
    "output_excludes_reasoning": bool,
}
OR_FALSE = {
    "budget_at": str,
    "effort_at": str,
    "seed_field": str,
    "stream_options": dict,
    "structured": str,
    "tools": str,
}
CHOICES: dict[str, set[Any]] = {
    "reasoning": {"none", "optional", "always"},
    "sampling": {"free", "when_none", "fixed", "refused"},
    "cap_field": {"max_tokens", "max_completion_tokens"},
    "auth": {"bearer", "api-key", "x-api-key", "x-goog-api-key", *SIGNED},
    "tools": {"auto", "when_none", False},
    "structured": {"json_schema", "json_object", False},
}
WORDS = {"none", "default", "minimal", "low", "medium", "high", "xhigh", "max"}


def blocks(provider: Provider) -> list[tuple[str, dict[str, Any]]]:
    found = [("", provider.quirks), *provider.wire_quirks.items()]
    for model, quirks in provider.models.items():
        own = dict(quirks)
        found += [(f"{model} on {wire}", some) for wire, some in own.pop("wire_quirks", {}).items()]
        found.append((model, own))
    return found


@EVERY
def test_every_quirk_is_a_known_word_with_a_value_that_is_understood(provider: Provider) -> None:
    for where, quirks in blocks(provider):
        for word, value in quirks.items():
            assert word in QUIRKS, (where, word)
            kind = AT.get(word) or OR_FALSE.get(word) or bool
            assert isinstance(value, kind) or (value is False and word not in AT), (where, word, value)
            assert word not in CHOICES or value in CHOICES[word], (where, word, value)


@EVERY
def test_what_is_said_of_a_models_thinking_fits_together(provider: Provider) -> None:
    for model, wire in [(each, wire) for each in provider.models for wire in wires_of(provider, each)]:
        quirks = provider.quirks_of(model, wire)
        levels, thinks = quirks.get("reasoning_levels"), quirks.get("reasoning")
        assert levels is None or (levels and set(levels) <= WORDS), model
        assert quirks.get("effort_default") in {None, "none", *(levels or [])}, model
        if thinks == "always":
            assert "reasoning_off" not in quirks, model
            assert "none" not in (levels or []), model
        if thinks == "none":
            assert not levels, model
        if "ends" in quirks:
            assert dt.date.fromisoformat(quirks["ends"]) >= (provider.date or dt.date.max), (
                f"{model} has ended: take it out"
            )
        if "only_wire" in quirks:
            assert quirks["only_wire"] in provider.wires, model
        if thinks == "optional" and quirks.get("sampling") == "when_none" and levels and "none" not in levels:
            offs = [provider.quirks_of(model, each).get("reasoning_off") for each in wires_of(provider, model)]
            assert any(offs), f"{model}: nothing lets sampling through"


def wires_of(provider: Provider, model: str) -> tuple[str, ...]:
    """Those on which the model answers; a wire that its quirks name is one of the provider's."""
    assert set(provider.models.get(model, {}).get("wire_quirks", {})) <= set(provider.wires), model
    only = provider.quirks_of(model).get("only_wire")
    return (only,) if only else provider.wires


def test_a_models_quirks_of_one_wire_hold_on_that_wire_alone_and_win() -> None:
    said = {
        "name": "T", "id": "t", "layer": "hosted-open", "wires": ["openai_chat", "gemini"], "base_url": "https://t.io",
        "quirks": {"budget_at": "a"}, "wire_quirks": {"gemini": {"budget_at": "b"}},
        "models": {"m": {"budget_at": "c", "wire_quirks": {"gemini": {"budget_at": "d"}}}},
    }  # fmt: skip
    provider = Provider.model_validate(said)
    assert [provider.quirks_of("m", wire) for wire in (None, "openai_chat", "gemini")] == [
        {"budget_at": "c"}, {"budget_at": "c"}, {"budget_at": "d"}
    ]  # fmt: skip
    assert provider.quirks_of("other", "gemini") == {"budget_at": "b"}
    assert from_provider(provider, "m", wire="gemini").quirks == {"budget_at": "d"}
    for wrong in ({"gemini": {"budget_ad": "d"}}, {"gemini": "d"}, "gemini"):
        with pytest.raises(ValueError, match=r"unknown quirk 'budget_ad'|no table of quirks by wire"):
            Provider.model_validate({**said, "models": {"m": {"wire_quirks": wrong}}})


def request(effort: str | None = None, thinking_tokens: int = 0) -> Request:
    return Request(
        request_id="r",
        request_key="k",
        kind="quality",
        messages=(Message(role="user", content="hi"),),
        max_tokens=4096,
        temperature=0.0,
        stop=("\n\n",),
        effort=effort,
        thinking_tokens=thinking_tokens,
    )


LISTED = [(provider, model) for provider in PROVIDERS.values() for model in (*provider.models, "some-other-model")]


@pytest.mark.parametrize(("provider", "model"), LISTED, ids=[f"{p.id}:{m}" for p, m in LISTED])
def test_every_listed_model_can_be_asked_with_each_of_its_efforts(
    provider: Provider, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = from_provider(provider, model)
    if find_spec(f"bench.wires.{target.wire}") is None:
        pytest.skip(f"wire {target.wire} is not here yet")
    for name in provider.key_names[:1]:
        monkeypatch.setenv(name, "k-canary")
    endpoint, encode = target.endpoint(), wire_named(target.wire).encode
    plain = encode(endpoint, request())
    quirks = provider.quirks_of(model, target.wire)
    bodies: dict[str | int | None, Any] = {None: plain.body, 1024: encode(endpoint, request(thinking_tokens=1024)).body}
    for effort in quirks.get("reasoning_levels", ()):
        bodies[effort] = encode(endpoint, request(effort)).body
    if quirks.get("reasoning") == "always":
        with pytest.raises(ConfigError, match="always thinks"):
            encode(endpoint, request("none"))
    elif "reasoning_off" in quirks:
        bodies["none"] = encode(endpoint, request("none")).body
    if not quirks.get("budget_at"):
        del bodies[1024]
    told = [str(body) for body in bodies.values()]
    assert len(set(told)) == len(told), "two different wishes make the same request"
    assert "canary" not in str(plain)
    if quirks.get("sampling") in ("refused", "fixed"):
        assert all("temperature" not in text for text in told)
    if quirks.get("stop_max") == 0:
        assert all("stop" not in text.replace("stop_", "") for text in told)


_OPENAI = "model stream stream_options temperature seed stop logprobs reasoning_effort max_tokens max_completion_tokens"
FIELDS = {
    "openai_chat": f"{_OPENAI} messages top_logprobs tools tool_choice response_format store",
    "openai_completions": f"{_OPENAI} prompt echo",
    "openai_responses": "model input max_output_tokens store truncation stream stream_options temperature reasoning "
    "include top_logprobs tools tool_choice text",
    "anthropic": "model messages system max_tokens stream stop_sequences temperature thinking output_config tools "
    "tool_choice",
    "gemini": "contents systemInstruction tools toolConfig generationConfig",
    "bedrock": "messages system inferenceConfig toolConfig outputConfig additionalModelRequestFields",
    "ollama": "model messages stream truncate shift options think logprobs top_logprobs tools format",
}
"""What each wire knows, as its API has it."""
OWN_FIELDS = {
    ("deepseek", "openai_chat"): "thinking",
    ("moonshot", "openai_chat"): "thinking",
    ("zai", "openai_chat"): "thinking",
    ("minimax", "openai_chat"): "thinking reasoning_split",
    ("qwen", "openai_chat"): "enable_thinking thinking_budget",
    ("mistral", "openai_chat"): "random_seed",
    ("openrouter", "openai_chat"): "reasoning",
    ("ionet", "openai_chat"): "reasoning",
    ("cerebras", "openai_chat"): "disable_reasoning",
    ("fireworks", "openai_chat"): "context_length_exceeded_behavior",
    ("fireworks", "openai_completions"): "context_length_exceeded_behavior",
    ("together", "openai_chat"): "context_length_exceeded_behavior",
    ("together", "openai_completions"): "context_length_exceeded_behavior",
    ("vllm", "openai_chat"): "chat_template_kwargs",
    ("vllm", "openai_responses"): "chat_template_kwargs",
    ("vllm", "anthropic"): "chat_template_kwargs",
    ("sglang", "openai_chat"): "chat_template_kwargs",
    ("vertex", "anthropic"): "anthropic_version",
}
"""What a host adds to a wire's fields."""


@EVERY
def test_a_body_of_a_wire_holds_no_field_of_another(provider: Provider) -> None:
    wishes = (None, "none", "minimal", "low", "medium", "high", "xhigh", "max")
    for wire in provider.wires:
        added, seen = set(OWN_FIELDS.get((provider.id, wire), "").split()), set[str]()
        known = {*FIELDS[wire].split(), *added}
        for model in (*provider.models, "some-other-model"):
            if wire not in wires_of(provider, model):
                continue
            endpoint = from_provider(provider, model, wire=wire, key_ref=None).endpoint()
            for wish in (*map(request, wishes), request(thinking_tokens=1024)):
                asked = replace(wish, messages=None, prompt="hi", seed=1)
                with suppress(ConfigError):
                    body = wire_named(wire).encode(endpoint, asked).body
                    assert set(body) <= known, (wire, model, asked.effort, set(body) - known)
                    seen |= set(body)
        assert added <= seen, (wire, "not sent at all", added - seen)


def test_claude_on_bedrock_is_told_to_think_in_the_words_of_its_generation() -> None:
    def body(model: str, **more: Any) -> Any:
        target = from_provider(PROVIDERS["bedrock"], f"us.anthropic.claude-{model}", key_ref=None)
        return wire_named("bedrock").encode(target.endpoint(), request(**more)).body

    adaptive = body("opus-4-6-v1", effort="max")
    assert adaptive["outputConfig"] == {"effort": "max"}
    assert adaptive["additionalModelRequestFields"] == {"thinking": {"type": "adaptive"}}
    assert "temperature" not in adaptive["inferenceConfig"]
    assert "additionalModelRequestFields" not in body("opus-4-5-20251101-v1:0", effort="high")
    for model, word in (
        ("opus-4-5-20251101-v1:0", "max"),
        ("sonnet-4-5-20250929-v1:0", "low"),
        ("opus-4-6-v1", "xhigh"),
    ):
        with pytest.raises(ConfigError, match=f"'{word}'"):
            body(model, effort=word)
    off = body("sonnet-4-6", effort="none")
    assert off["additionalModelRequestFields"] == {"thinking": {"type": "disabled"}}
    assert off["inferenceConfig"]["temperature"] == 0.0


def test_gemma_is_told_nothing_of_thinking() -> None:
    endpoint = from_provider(PROVIDERS["google"], "gemma-4-31b-it", key_ref=None).endpoint()
    for asked in (request(), request("none"), request(thinking_tokens=512)):
        assert "thinkingConfig" not in wire_named("gemini").encode(endpoint, asked).body["generationConfig"]


@EVERY
def test_every_wire_of_a_provider_makes_a_target_whose_fingerprint_is_its_own(provider: Provider) -> None:
    found = catalog._packaged()
    specs = [f"{provider.id}:m", *(f"{provider.id}+{wire}:m" for wire in provider.wires)]
    targets = [catalog.target(spec, found) for spec in specs]
    assert [t.wire for t in targets] == [provider.wires[0], *provider.wires]
    assert {t.layer for t in targets} == {provider.layer}
    assert len({t.fingerprint() for t in targets}) == len(provider.wires)
    for alias in provider.aliases:
        assert catalog.target(f"{alias}:m", found) == targets[0]


# ---------------------------------------------------------------------------------------- facts looked up by hand


@pytest.mark.parametrize(
    ("spec", "quirk", "value"),
    [
        ("anthropic:claude-opus-5-5", "auth", "x-api-key"),
        ("anthropic:claude-opus-5-5", "sampling", "refused"),
        ("anthropic:claude-opus-4-6", "sampling", "when_none"),
        ("anthropic:claude-haiku-4-5", "budget_at", "thinking.budget_tokens"),
        ("anthropic:claude-of-tomorrow", "sampling", "refused"),
        ("google:gemini-3.8-flash", "auth", "x-goog-api-key"),
        ("google+openai_chat:gemini-3.8-flash", "auth", "bearer"),
        ("google:gemini-3.8-flash", "reasoning_levels", ["low", "medium", "high"]),
        ("google:gemini-2.5-flash", "budget_at", "generationConfig.thinkingConfig.thinkingBudget"),
        ("azure:a-deployment", "auth", "api-key"),
        ("azure+anthropic:a-deployment", "auth", "x-api-key"),
        ("vertex:gemini-3.8-flash", "auth", "google"),
        ("vertex+anthropic:claude-opus-5", "path", "/models/{model}:streamRawPredict"),
        ("bedrock:amazon.nova-pro-v1:0", "auth", "sigv4"),
        ("bedrock+openai_chat:openai.gpt-oss-120b", "auth", None),
        ("bedrock:us.anthropic.claude-haiku-4-5-20251001-v1:0", "effort_at", False),
        ("bedrock:eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "effort_at", False),
        ("bedrock:eu.anthropic.claude-opus-4-5-20251101-v1:0", "reasoning_levels", ["low", "medium", "high"]),
        ("bedrock:global.anthropic.claude-sonnet-4-6", "reasoning_levels", ["low", "medium", "high", "max"]),
        ("bedrock:anthropic.claude-opus-5-5", "reasoning", "always"),
        ("bedrock:anthropic.claude-opus-5-5", "tools", "auto"),
        ("bedrock+anthropic:anthropic.claude-opus-4-8", "effort_on", {"thinking": {"type": "adaptive"}}),
        ("google+openai_chat:gemini-2.5-flash", "reasoning_off", None),
        ("google+openai_chat:gemini-2.5-flash", "budget_at", False),
        ("google+openai_chat:gemini-2.5-flash", "effort_at", None),
        ("openai:gpt-5.6-sol", "reasoning_levels", ["none", "low", "medium", "high", "xhigh"]),
        ("openai+openai_responses:gpt-5.6-sol", "reasoning_levels", ["none", "low", "medium", "high", "xhigh", "max"]),
        ("openai+openai_responses:gpt-6-astra", "reasoning_levels", ["low", "medium", "high", "xhigh", "max"]),
        ("openai:gpt-5.4", "tools", "when_none"),
        ("openai+openai_responses:gpt-5.4", "tools", None),
        ("openai:gpt-5.2", "tools", None),
        ("openai:gpt-5", "logprobs", False),
        ("openai:gpt-5.4", "logprobs", None),
        ("deepseek:deepseek-flash", "tools", "auto"),
        ("deepseek:deepseek-v4-pro", "tools", "auto"),
        ("llama_cpp+anthropic:m", "budget_min", 1),
        ("openai:gpt-5.4", "sampling", "when_none"),
        ("openai:gpt-5.4", "effort_default", "none"),
        ("openai:gpt-5.5", "effort_default", "medium"),
        ("openai:gpt-5", "reasoning_levels", ["minimal", "low", "medium", "high"]),
        ("openai:gpt-6.1-sol", "sampling", "refused"),
        ("openai:o3", "stop_max", 0),
        ("openai:gpt-4o", "ends", "2027-01-14"),
        ("openai:gpt-4o", "cap_field", "max_completion_tokens"),
        ("openai+openai_completions:davinci-002", "cap_field", None),
        ("deepseek:deepseek-flash", "cap_field", "max_tokens"),
        ("deepseek:deepseek-flash", "reasoning_off", {"thinking": {"type": "disabled"}}),
        ("deepseek:deepseek-flash", "structured", "json_object"),
        ("deepseek+openai_responses:deepseek-flash", "structured", None),
        ("xai:grok-4.7", "cost_at", "usage.cost_in_usd_ticks"),
        ("xai:grok-4.7", "cost_scale", 1e-10),
        ("xai:grok-4.7", "output_excludes_reasoning", True),
        ("xai+openai_responses:grok-4.7", "output_excludes_reasoning", None),
        ("xai:grok-4.7", "reasoning_levels", ["low", "medium", "high", "xhigh"]),
        ("perplexity:sonar-pro", "output_excludes_reasoning", True),
        ("perplexity:sonar-pro", "cost_at", "usage.cost.total_cost"),
        ("mistral:mistral-small-2603", "seed_field", "random_seed"),
        ("mistral:mistral-small-2603", "stream_options", False),
        ("moonshot:kimi-k2.6", "sampling", "fixed"),
        ("moonshot:kimi-k3", "reasoning_levels", ["low", "high", "max"]),
        ("moonshot:moonshot-v1-8k", "sampling", "free"),
        ("zai:glm-5.3", "reasoning", "always"),
        ("zai:glm-5.1", "tools", "auto"),
        ("qwen:qwen3.8-flash", "reasoning_off", {"enable_thinking": False}),
        ("qwen:qwen3.8-max", "reasoning", "always"),
        ("minimax:MiniMax-M3", "temperature_min", 0.01),
        ("groq:openai/gpt-oss-120b", "reasoning", "always"),
        ("groq:qwen/qwen3.8-27b", "reasoning_levels", ["none", "default"]),
        ("cerebras:qwen-3.8-27b", "reasoning_off", {"disable_reasoning": True}),
        ("openrouter:z-ai/glm-5.3", "cost_at", "usage.cost"),
        ("openrouter:z-ai/glm-5.3", "effort_at", "reasoning.effort"),
        ("openrouter+openai_responses:z-ai/glm-5.3", "effort_at", None),
        ("deepinfra:zai-org/GLM-5.2", "cost_at", "usage.estimated_cost"),
        ("huggingface:zai-org/GLM-5.2:novita", "route_header", "x-inference-provider"),
        ("cloudflare:@cf/openai/gpt-oss-120b", "route_header", "cf-ray"),
        ("ionet:openai/gpt-oss-120b", "effort_at", "reasoning.effort"),
        ("ollama:qwen3.5:9b", "route_at", "remote_host"),
        ("vllm:Qwen/Qwen3-8B", "reasoning_off", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("together:openai/gpt-oss-20b", "extra_body", {"context_length_exceeded_behavior": "error"}),
    ],
)
def test_a_fact_stands_where_it_was_looked_up(spec: str, quirk: str, value: object) -> None:
    assert catalog.target(spec).quirks.get(quirk) == value


@pytest.mark.parametrize(
    ("spec", "url"),
    [
        ("openai:m", "https://api.openai.com/v1"),
        ("azure:m", "https://res.openai.azure.com/openai/v1"),
        ("azure+anthropic:m", "https://res.services.ai.azure.com/anthropic/v1"),
        ("anthropic:m", "https://api.anthropic.com/v1"),
        ("google:m", "https://generativelanguage.googleapis.com/v1beta"),
        ("google+openai_chat:m", "https://generativelanguage.googleapis.com/v1beta/openai"),
        ("vertex:m", "https://aiplatform.googleapis.com/v1/projects/proj/locations/global/publishers/google"),
        (
            "vertex+openai_chat:m",
            "https://aiplatform.googleapis.com/v1/projects/proj/locations/global/endpoints/openapi",
        ),
        ("bedrock:m", "https://bedrock-runtime.us-east-1.amazonaws.com"),
        ("bedrock+openai_chat:m", "https://bedrock-mantle.us-east-1.api.aws/v1"),
        ("bedrock+anthropic:m", "https://bedrock-mantle.us-east-1.api.aws/anthropic/v1"),
        ("deepseek+anthropic:m", "https://api.deepseek.com/anthropic/v1"),
        ("cohere:m", "https://api.cohere.ai/compatibility/v1"),
        ("zai:m", "https://api.z.ai/api/paas/v4"),
        ("fireworks:m", "https://api.fireworks.ai/inference/v1"),
        ("groq:m", "https://api.groq.com/openai/v1"),
        ("cloudflare:m", "https://api.cloudflare.com/client/v4/accounts/0a1b/ai/v1"),
        ("huggingface:m", "https://router.huggingface.co/v1"),
        ("chutes:m", "https://llm.chutes.ai/v1"),
        ("ionet:m", "https://api.intelligence.io.solutions/api/v1"),
        ("ollama:m", "http://127.0.0.1:11434"),
        ("ollama+openai_chat:m", "http://127.0.0.1:11434/v1"),
        ("sglang:m", "http://127.0.0.1:30000/v1"),
        ("lmstudio:m", "http://127.0.0.1:1234/v1"),
    ],
)
def test_an_address_is_the_one_that_was_looked_up(spec: str, url: str) -> None:
    assert catalog.target(spec).base_url == url


def test_gpt_5_4_takes_a_temperature_until_it_is_told_to_think(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    encode = wire_named("openai_chat").encode
    new, newer = (catalog.target(f"openai:{model}").endpoint() for model in ("gpt-5.4", "gpt-5.5"))
    assert encode(new, request()).body["temperature"] == 0.0
    assert "temperature" not in encode(new, request("low")).body
    assert "temperature" not in encode(newer, request()).body
    assert encode(newer, request("none")).body["temperature"] == 0.0


def test_models_of_one_family_are_described_alike_at_google_and_vertex() -> None:
    here, there = PROVIDERS["google"].models, PROVIDERS["vertex"].models
    assert {model: here[model] for model in there} == there


# ---------------------------------------------------------------------------------------------------- the variables


@pytest.mark.parametrize(
    ("spec", "name", "value", "url"),
    [
        ("openai:m", "OPENAI_BASE_URL", "https://proxy.example/openai/v1", "https://proxy.example/openai/v1"),
        ("anthropic:m", "ANTHROPIC_BASE_URL", "https://proxy.example/", "https://proxy.example/v1"),
        ("anthropic:m", "ANTHROPIC_BASE_URL", "https://proxy.example/v1", "https://proxy.example/v1"),
        ("azure:m", "AZURE_OPENAI_ENDPOINT", "r.openai.azure.com", "https://r.openai.azure.com/openai/v1"),
        ("azure:m", "AZURE_OPENAI_ENDPOINT", "https://r.z/openai/v1/", "https://r.z/openai/v1"),
        ("google+openai_chat:m", "GOOGLE_GEMINI_BASE_URL", "https://p.z", "https://p.z/v1beta/openai"),
        ("bedrock:m", "AWS_REGION", "eu-west-1", "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        ("vllm:m", "VLLM_BASE_URL", "http://gpu-box:8000/v1", "http://gpu-box:8000/v1"),
        ("ollama:m", "OLLAMA_HOST", "box", "http://box:11434"),
        ("ollama+openai_chat:m", "OLLAMA_HOST", "box:9", "http://box:9/v1"),
        ("ollama:m", "OLLAMA_HOST", "0.0.0.0", "http://127.0.0.1:11434"),
        ("ollama:m", "OLLAMA_HOST", "[::]:9", "http://[::1]:9"),
        ("ollama:m", "OLLAMA_HOST", ":9", "http://127.0.0.1:9"),
        ("ollama+openai_chat:m", "OLLAMA_HOST", "https://box.example/o", "https://box.example/o/v1"),
    ],
)
def test_the_ordinary_variables_move_an_address(
    monkeypatch: pytest.MonkeyPatch, spec: str, name: str, value: str, url: str
) -> None:
    monkeypatch.setenv(name, value)
    assert catalog.target(spec).base_url == url


def test_a_variable_that_is_missing_is_named_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_OPENAI_ENDPOINT")
    with pytest.raises(ConfigError, match="needs the variable AZURE_OPENAI_ENDPOINT, which is not set; run: export"):
        catalog.target("azure:m")
    assert PROVIDERS["azure"].missing("openai_chat", {}) == ("AZURE_OPENAI_ENDPOINT",)


def test_what_is_left_open_is_filled_or_left_out() -> None:
    assert filled("https://{R=us}.example/{A}", {"A": "b"}) == "https://us.example/b"
    assert filled("{H=http://127.0.0.1:1}/v1", {}) == "http://127.0.0.1:1/v1"
    assert filled("{H}/v1", {"H": "https://h/v1/"}) == "https://h/v1"


def test_a_second_name_of_a_key_is_taken_when_the_first_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert catalog.target("google:m").key_ref == "env:GEMINI_API_KEY"
    monkeypatch.setenv("GOOGLE_API_KEY", "k")
    assert catalog.target("google:m").key_ref == "env:GOOGLE_API_KEY"
    monkeypatch.setenv("GEMINI_API_KEY", "k")
    assert catalog.target("google:m").key_ref == "env:GEMINI_API_KEY"


def test_an_account_that_signs_needs_no_key_and_may_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert catalog.target("bedrock:m").key_ref is None
    assert catalog.target("bedrock+openai_chat:m").key_ref == "env:AWS_BEARER_TOKEN_BEDROCK"
    assert catalog.target("vertex:m").key_ref is None
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "k")
    assert catalog.target("bedrock:m").key_ref == "env:AWS_BEARER_TOKEN_BEDROCK"


def test_an_address_pasted_whole_is_its_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert catalog.target("https://api.groq.com/openai/v1#m").provider == "groq"
    assert catalog.target("https://res.openai.azure.com/openai/v1#m").provider == "azure"
    assert catalog.target("http://127.0.0.1:8000/v1#m").provider is None


def test_the_files_are_plain_toml_that_says_each_thing_once() -> None:
    for path in FILES:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        assert "id" not in raw
        assert list(raw)[:3] in (["name", "layer", "wires"], ["name", "aliases", "layer"])


# ------------------------------------------------------------------------------------------------ adding a provider

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def toml_blocks(page: str) -> list[str]:
    return re.findall(r"```toml\n(.*?)```", page, re.DOTALL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with knowing_server(tmp_path_factory.mktemp("fake")) as running:
        yield running


@pytest.mark.parametrize("page", [README, GUIDE], ids=["README", "guide"])
def test_a_made_up_provider_is_added_by_the_block_that_the_page_shows(
    page: str, server: Running, tmp_path: Path
) -> None:
    (block,) = (block for block in toml_blocks(page) if "[[providers]]" in block)
    (tmp_path / "targets.toml").write_text(block.replace("https://llm.acme.example/v1", server.url))
    spec = "acme:fake"
    refused = bench("run", "-t", spec, "--limit", "1", cwd=tmp_path)
    assert refused.returncode == 2
    assert "ACME_API_KEY is not set" in refused.stderr
    done = bench("run", "-t", spec, "--limit", "3", cwd=tmp_path, ACME_API_KEY="acme-canary-4242")
    assert done.returncode == 0, done.stderr
    assert "1.000" in done.stdout
    listed = bench("targets", "--json", cwd=tmp_path, ACME_API_KEY="acme-canary-4242")
    (row,) = (row for row in json.loads(listed.stdout) if row["target"] == "acme:MODEL")
    assert (row["layer"], row["needs"], row["besides"]) == (
        "hosted-open", [], f"server {server.url.removeprefix('http://').removesuffix('/v1')}"
    )  # fmt: skip
    (run,) = (tmp_path / "results" / "runs").iterdir()
    written = b"".join(path.read_bytes() for path in run.rglob("*") if path.is_file())
    assert b"hosted-open" in written
    assert b"canary" not in written + done.stdout.encode() + done.stderr.encode() + listed.stdout.encode()


def test_a_made_up_provider_is_added_by_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(HERE, tmp_path / "catalog")
    (block,) = (block for block in toml_blocks(GUIDE) if "[[providers]]" in block)
    text = re.sub(r'\[\[providers\]\]\nid = "acme"\n', 'source = "its docs"\ndate = 2026-11-24\n', block)
    (tmp_path / "catalog" / "providers" / "acme.toml").write_text(text.replace("[providers.", "["))
    monkeypatch.setattr(catalog, "HERE", tmp_path / "catalog")
    found = catalog._packaged.__wrapped__()
    target = catalog.target("acme:acme-think-1", found)
    assert (target.base_url, target.quirks["reasoning_levels"]) == ("https://llm.acme.example/v1", ["low", "high"])
    assert catalog.target("acme:another", found).quirks == {"cap_field": "max_tokens", "cost_at": "usage.acme.usd"}


def test_every_toml_of_the_guide_is_taken(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text("\n".join(toml_blocks(GUIDE)))
    found = catalog.load(tmp_path / "t.toml")
    assert found.targets["thinks-little"].options.reasoning_effort == "low"
    assert found.providers["acme"].layer == "hosted-open"


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (('wires = ["openai_chat"', 'wires = ["openai-chat"'), ["wire = 'openai-chat'", "did you mean 'openai_chat'"]),
        (('layer = "hosted-open"', 'layer = "hosted"'), ["layer = 'hosted'"]),
        (('key_env = "ACME_API_KEY"', 'key = "ACME"'), ["unknown key 'key'"]),
        (("cap_field", "cap_feild"), ["'cap_feild'", "did you mean 'cap_field'"]),
        (("https://llm.acme.example/v1", "llm.acme.example"), ["base_url = 'llm.acme.example'", "https://HOST/v1"]),
        (("https://llm.acme.example/v1", "{ACME/v1"), ["base_url = '{ACME/v1'", "not an address"]),
    ],
)
def test_a_mistake_in_a_provider_is_one_line(tmp_path: Path, change: tuple[str, str], parts: list[str]) -> None:
    (block,) = (block for block in toml_blocks(GUIDE) if "[[providers]]" in block)
    assert change[0] in block
    (tmp_path / "t.toml").write_text(block.replace(*change))
    with pytest.raises(ConfigError) as caught:
        catalog.load(tmp_path / "t.toml")
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in ("t.toml", *parts)), message


def test_the_guide_explains_every_quirk_and_every_key_of_a_provider() -> None:
    table = re.findall(r"^\| `([a-z0-9_]+)` \| (.*) \|$", GUIDE.partition("## Quirks")[2], re.MULTILINE)
    assert dict(table) == dict(QUIRKS), "docs/providers.md and bench/catalog/quirks.py differ"
    keys = GUIDE.partition("| key | says |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", keys)) >= set(Provider.model_fields) - {"id"}
    for wire in WIRES:
        assert f"`{wire}`" in GUIDE
    for name in re.findall(r"`([A-Z]+_[A-Z_]+)`", GUIDE.partition("**Addresses**")[2].partition("##")[0]):
        assert any(name in path.read_text() for path in FILES), name


def test_the_readme_counts_the_providers_it_has() -> None:
    assert f"{len(PROVIDERS)} providers by layer" in README
