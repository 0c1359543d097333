"""A target as the block of targets.toml that declares it, with all that was found out about it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from bench.catalog import Catalog, Target
from bench.catalog.resolve import from_provider
from bench.errors import ConfigError

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ID = re.compile(r"[^A-Za-z0-9._-]+")


def block(
    target: Target,
    catalog: Catalog,
    *,
    quirks: Mapping[str, Any],
    options: Mapping[str, Any],
    prices: Mapping[str, Decimal],
    remarks: Sequence[str] = (),
) -> str:
    """`[[targets]]` that `bench` reads back as this target with `quirks`, `options` and `prices` laid over it.

    Nothing secret is in it: keys are references, and a target's headers never carry one.
    """
    supplied = _supplied(target, catalog)
    lines = ["[[targets]]", assignment("id", _id(target))]
    for name, value in _place(target, supplied).items():
        lines.append(assignment(name, value))
    lines += [assignment(name, value) for name, value in prices.items()]
    declared = supplied.quirks if supplied else {}
    told = {name: value for name, value in {**target.quirks, **quirks}.items() if declared.get(name, ...) != value}
    if told:
        lines.append(assignment("quirks", told))
    if asked := {**target.options.model_dump(exclude_unset=True), **options}:
        lines.append(
            assignment("options", {name: "unset" if value is None else value for name, value in asked.items()})
        )
    return "\n".join([*lines, *(f"# {' '.join(remark.split())}" for remark in remarks)])


def _supplied(target: Target, catalog: Catalog) -> Target | None:
    """What the provider's file says by itself of a target of that model and wire."""
    provider = catalog.providers.get(target.provider or "")
    if provider is None:
        return None
    try:
        return from_provider(provider, target.model, wire=target.wire)
    except ConfigError:
        return None


def _place(target: Target, supplied: Target | None) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if target.engine is not None:
        told["engine"] = target.engine
    elif supplied is not None:
        told["provider"] = target.provider
    if target.base_url is not None and (supplied is None or supplied.base_url != target.base_url):
        told["base_url"] = target.base_url
    told |= {"model": target.model, "wire": target.wire}
    if target.key_ref is not None:
        told["key"] = target.key_ref
    told["layer"] = target.layer
    sent = supplied.headers if supplied else {}
    if headers := {name: value for name, value in target.headers.items() if sent.get(name) != value}:
        told["headers"] = headers
    for name in ("revision", "quantisation", "engine_args", "allow_insecure", "note"):
        if value := getattr(target, name):
            told[name] = value
    return told


def _id(target: Target) -> str:
    """The user's own id, else a plain one made of the model's name: an id may not look like another kind of target."""
    made = any(sign in target.id for sign in ":@#/") or target.engine is not None
    return _ID.sub("-", target.model).strip("-.") or "target" if made else target.id


def assignment(name: str, value: object) -> str:
    """`name = value` in TOML, in one line."""
    return f"{name} = {toml(value)}"


def toml(value: object) -> str:
    """A value in TOML, in one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float() | Decimal():
            return format(value, "f") if isinstance(value, Decimal) else repr(value)
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case Mapping():
            inner = ", ".join(assignment(_key(str(key)), each) for key, each in value.items() if each is not None)
            return f"{{ {inner} }}" if inner else "{}"
        case list() | tuple():
            return f"[{', '.join(map(toml, value))}]"
        case _:
            raise TypeError(f"{type(value).__name__} has no place in a targets.toml")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else toml(name)
