"""Where declared things live, how their TOML is read, and how a mistake in it is said in one line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.catalog.address import safe
from bench.catalog.keys import looks_secret
from bench.errors import ConfigError, nearest

HERE = Path(__file__).parent
KEY_FIELDS = frozenset({"key", "key_ref"})
"""Fields whose value is never repeated in a message: somebody may have pasted the key itself."""


class Noun(BaseModel):
    """Something declared: frozen, and a key nobody knows is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


N = TypeVar("N", bound=Noun)


def read_toml(path: Path) -> dict[str, Any]:
    """The file's content; a syntax error names the line."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error


def parse(noun: type[N], raw: Mapping[str, Any], where: str) -> N:
    """`raw` as a `noun`; the first mistake becomes one line that starts with `where` (file and block)."""
    try:
        return noun.model_validate(dict(raw))
    except ValidationError as error:
        raise ConfigError(f"{where}: {_said(noun, error)}") from error


def unique(found: Mapping[str, Any], name: str, where: str) -> None:
    """Refuses a second declaration of the same name in one file."""
    if name in found:
        raise ConfigError(f"{where}: id {name!r} is declared twice; rename or remove one")


def shown(value: object) -> str:
    """A value as it may stand in a message: short, and never a secret."""
    if isinstance(value, dict | list):
        return "{…}" if isinstance(value, dict) else "[…]"
    text = repr(safe(value) if isinstance(value, str) and "://" in value else value)
    if looks_secret(text.strip("'\"")):
        return f"(a secret of {len(text) - 2} characters, not shown)"
    return text if len(text) <= 60 else f"{text[:57]}…"


def _said(noun: type[Noun], error: ValidationError) -> str:
    problems = sorted(error.errors(include_url=False), key=lambda problem: problem["type"] != "extra_forbidden")
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return _one(noun, dict(problems[0])) + more


def _one(noun: type[Noun], problem: dict[str, Any]) -> str:
    loc = tuple(part for part in problem["loc"] if part != "[key]")
    key = ".".join(str(part) for part in loc)
    value = "(not shown)" if loc and loc[-1] in KEY_FIELDS else shown(problem["input"])
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key {key!r} = {value}{nearest(str(loc[-1]), _keys_at(noun, loc[:-1]))}"
    if kind == "missing":
        return f"key {key!r} is missing"
    if kind == "literal_error":
        return f"{key} = {value} is unknown{nearest(str(problem['input']), _choices(context))}"
    if kind == "value_error":
        return f"{key} = {value}: {context['error']}" if loc else str(context["error"])
    message = problem["msg"]
    return f"{key} = {value}: {message[0].lower()}{message[1:]}"


def _choices(context: Mapping[str, Any]) -> list[str]:
    return re.findall(r"'([^']*)'", str(context.get("expected", "")))


def _keys_at(noun: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    """Names of the fields that exist where an unknown one was found."""
    here = noun
    for part in loc:
        field = here.model_fields.get(str(part))
        inner = _noun_in(field.annotation) if field else None
        here = inner or here
    return [field.alias or name for name, field in here.model_fields.items()]


def _noun_in(annotation: Any) -> type[BaseModel] | None:
    """The declared class inside `X | None`, `tuple[X, ...]`, `dict[str, X]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {Union, UnionType, tuple, list, dict}:
        return next((found for arg in get_args(annotation) if (found := _noun_in(arg))), None)
    return None
