"""From what people type to a Target, and whether what it needs is there."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from bench.catalog.address import checked_url, is_loopback, safe, split
from bench.catalog.embedded import family
from bench.catalog.files import parse
from bench.catalog.targets import Target, UserTarget
from bench.errors import ConfigError, nearest

if TYPE_CHECKING:
    from bench.catalog.nouns import Provider
    from bench.records import Layer

WIRES = ("openai_chat", "openai_completions", "openai_responses", "anthropic", "gemini", "ollama", "bedrock")
ENGINES: Mapping[str, Layer] = {
    "embedded": "reference",
    "vllm": "self-hosted",
    "sglang": "self-hosted",
    "transformers": "self-hosted",
    "llama_cpp": "on-device",
    "ollama": "on-device",
}
SIGNED = {"sigv4": "AWS", "google": "Google"}
"""Values of the quirk `auth` that find an account's credentials by themselves, where no key is given; whose."""
FORMS = (
    "embedded:NAME, PROVIDER:MODEL, PROVIDER+WIRE:MODEL, http://HOST:PORT/v1#MODEL, ENGINE@MODEL, "
    "or an id from targets.toml"
)
SPEC = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)(?:\+(?P<wire>[A-Za-z0-9_]+))?(?P<sign>[:@])(?P<model>.+)")


def find(spec: str, providers: Mapping[str, Provider], targets: Mapping[str, Target]) -> Target:
    """The target `spec` names; nothing is contacted and no key is read."""
    if spec in targets:
        return targets[spec]
    if spec.startswith(("http://", "https://")):
        return _from_url(spec, providers)
    found = SPEC.fullmatch(spec) if spec.isprintable() else None
    if found is None:
        raise ConfigError(
            f"target {spec!r} is unknown{nearest(spec, targets) if targets else ''} (a target is {FORMS})"
        )
    name, wire, sign, model = found.group("name", "wire", "sign", "model")
    if wire and (sign == "@" or name == "embedded"):
        raise ConfigError(f"target {spec!r}: a wire can be chosen for a provider only; write {name}{sign}{model}")
    if name == "embedded":
        return embedded(model)
    if sign == "@":
        return from_engine(name, model, providers)
    provider = provider_named(name, providers, spec, targets)
    if wire is None:
        return from_provider(provider, model)
    check_name(wire, set(provider.wires), f"target {spec!r}: wire of {provider.id}")
    return from_provider(provider, model, id=f"{provider.id}+{wire}:{model}", wire=wire)


def provider_named(
    name: str, providers: Mapping[str, Provider], spec: str, others: Mapping[str, Any] | None = None
) -> Provider:
    """A provider by id or alias."""
    for provider in providers.values():
        if name == provider.id or name in provider.aliases:
            return provider
    known = {*providers, "embedded", *(others or {})}
    raise ConfigError(f"target {spec!r}: provider {name!r} is unknown{nearest(name, known)} (a target is {FORMS})")


def from_provider(provider: Provider, model: str, where: str | None = None, **given: Any) -> Target:
    """A model at a known provider; `given` wins over what the provider declares, `where` begins a refusal."""
    wire = str(given.get("wire") or provider.quirks_of(model).get("only_wire", provider.wires[0]))
    quirks = {**provider.quirks_of(model, wire), **given.pop("quirks", {})}
    quirks.pop("only_wire", None)
    declared = {
        "id": f"{provider.id}:{model}",
        "layer": provider.layer,
        "provider": provider.id,
        "wire": wire,
        "key_ref": _key_of(provider, quirks),
        "model": model,
        "quirks": quirks,
    }
    if "base_url" not in given:
        declared["base_url"] = provider.url(wire, os.environ)
    given["headers"] = {**provider.headers, **provider.wire_headers.get(wire, {}), **given.get("headers", {})}
    return parse(Target, {**declared, **given}, where or f"target '{provider.id}:{model}'")


def from_engine(
    engine: str, model: str, providers: Mapping[str, Provider], where: str | None = None, **given: Any
) -> Target:
    """A model that an engine serves here; the software's quirks are those of its provider file, if it has one."""
    where = where or f"target '{engine}@{model}'"
    check_name(engine, {*ENGINES, *_plugins("bench.engines")}, f"{where}: engine")
    like = providers.get(engine)
    quirks = {
        **(like.quirks_of(model, str(given.get("wire", "openai_chat"))) if like else {}),
        **given.pop("quirks", {}),
    }
    declared = {
        "id": f"{engine}@{model}",
        "layer": ENGINES.get(engine, "self-hosted"),
        "engine": engine,
        "wire": "openai_chat",
        "model": model,
        "quirks": quirks,
    }
    return parse(Target, {**declared, **given}, where)


def embedded(name: str, where: str | None = None, **given: Any) -> Target:
    """One of the models that come with the package. Asked by plain prompts: they are no chat models."""
    where, members = where or f"target 'embedded:{name}'", family()
    if members and name not in members:
        raise ConfigError(f"{where}: there is no embedded model {name!r}{nearest(name, members)}")
    declared = {
        "id": f"embedded:{name}",
        "layer": "reference",
        "engine": "embedded",
        "wire": "openai_completions",
        "model": name,
        "revision": members[name].sha256 if members else None,
    }
    return parse(Target, {**declared, **given}, where)


def from_user(user: UserTarget, providers: Mapping[str, Provider], where: str) -> Target:
    """A block of targets.toml as a target; what the user wrote wins."""
    given = user.given()
    if user.wire is not None:
        check_name(user.wire, {*WIRES, *_plugins("bench.wires")}, f"{where}: wire")
    if user.engine == "embedded":
        return embedded(user.model, where, **given)
    if user.engine is not None:
        return from_engine(user.engine, user.model, providers, where, **given)
    if user.provider is not None:
        check_name(user.provider, {n for p in providers.values() for n in (p.id, *p.aliases)}, f"{where}: provider")
        return from_provider(provider_named(user.provider, providers, user.id), user.model, where, **given)
    return parse(Target, {"layer": "self-hosted", "wire": "openai_chat", "model": user.model, **given}, where)


def check_name(name: str, known: set[str], where: str) -> None:
    """One line with the nearest right name when `name` is none of `known`."""
    if name not in known:
        raise ConfigError(f"{where} = {name!r} is unknown{nearest(name, known)}")


def check_available(target: Target) -> None:
    """ConfigError when the wire or the engine this target needs is not in this version."""
    if not _there("bench.wires", target.wire):
        raise ConfigError(
            f"target {target.id} speaks the wire {target.wire!r}, which isn't there yet; "
            f"there are: {', '.join(name for name in WIRES if _there('bench.wires', name))}"
        )
    if target.engine not in {None, "embedded"} and not _there("bench.engines", str(target.engine)):
        raise ConfigError(
            f"target {target.id} needs the engine {target.engine!r}, which can't be launched from here yet; "
            f"start it yourself and use {target.engine}:{target.model} or http://127.0.0.1:PORT/v1#{target.model}"
        )


def _from_url(spec: str, providers: Mapping[str, Provider]) -> Target:
    url, sign, model = spec.partition("#")
    try:
        url = checked_url(url)
    except ValueError as error:
        raise ConfigError(f"target {safe(url)!r}: {error}") from error
    if not sign or not model:
        raise ConfigError(f"target {safe(spec)!r} names no model; write {safe(url)}#MODEL")
    if not split(url).path:
        url = f"{url}/v1"
    for provider in providers.values():
        for wire in () if is_loopback(url) else provider.wires:
            if not provider.missing(wire, os.environ) and provider.url(wire, os.environ) == url:
                return from_provider(provider, model, wire=wire)
    return Target(id=f"{url}#{model}", layer="self-hosted", wire="openai_chat", base_url=url, model=model)


def _key_of(provider: Provider, quirks: Mapping[str, Any]) -> str | None:
    """The variable with the key; none where the request is signed with an account's own credentials instead."""
    names = provider.key_names
    found = next((name for name in names if os.environ.get(name)), None)
    if found is None and (provider.key_optional or not names or quirks.get("auth") in SIGNED):
        return None
    return f"env:{found or names[0]}"


@cache
def _plugins(group: str) -> frozenset[str]:
    return frozenset(point.name for point in entry_points(group=group))


@cache
def _there(package: str, name: str) -> bool:
    return find_spec(f"{package}.{name}") is not None or name in _plugins(package)
