"""What we declare: providers, models, GPUs, prices, suites, loads and targets, in TOML, checked against each other.

`load()` reads the packaged files and the user's `targets.toml`, which extends and overrides them; `target()` turns
what somebody typed into a Target. Mistakes are ConfigErrors of one line: file, key, value, nearest right name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

from bench.catalog import embedded
from bench.catalog.files import HERE, Noun, parse, read_toml, unique
from bench.catalog.nouns import Gpu, Load, Model, Openness, Price, Provider
from bench.catalog.resolve import WIRES, check_available, check_name, find, from_user
from bench.catalog.suites import Suite, SuiteTask, read_suite, suite, suite_files
from bench.catalog.targets import Options, Target, UserTarget
from bench.errors import ConfigError

__all__ = [
    "Catalog",
    "Gpu",
    "Load",
    "Model",
    "Openness",
    "Options",
    "Price",
    "Provider",
    "Suite",
    "SuiteTask",
    "Target",
    "check_available",
    "load",
    "suite",
    "target",
]

N = TypeVar("N", Provider, Model, Gpu, Price)
SECTIONS: Mapping[str, type[Noun]] = {
    "providers": Provider,
    "models": Model,
    "gpus": Gpu,
    "prices": Price,
    "targets": UserTarget,
}


@dataclass(frozen=True)
class Catalog:
    """Everything declared, by id."""

    providers: Mapping[str, Provider]
    models: Mapping[str, Model]
    gpus: Mapping[str, Gpu]
    prices: Mapping[str, Price]
    targets: Mapping[str, Target] = field(default_factory=dict)
    """The user's own."""

    @cached_property
    def suites(self) -> dict[str, Suite]:
        """Every suite that comes with the package, read on first use."""
        return {name: read_suite(path) for name, path in suite_files().items()}

    def model_of(self, target: Target) -> Model | None:
        """The model a target is known to serve; None = we don't know, and don't guess from its name."""
        place = target.provider or target.engine
        return next((model for model in self.models.values() if f"{place}:{target.model}" in model.served_as), None)


def load(user_targets: Path | None = None) -> Catalog:
    """The packaged catalogue with the user's file over it.

    The user's file is `user_targets`, else the file named by BENCH_TARGETS, else `targets.toml` in the working folder,
    else none.
    """
    path = user_targets or _users_file()
    if path is None:
        return _packaged()
    return _with_user(path, path.stat().st_mtime_ns if path.exists() else 0)


def target(spec: str, catalog: Catalog | None = None) -> Target:
    """The target that `spec` names.

    `embedded:NAME`, `PROVIDER:MODEL`, `http://HOST:PORT/v1#MODEL` (layer self-hosted unless the address is a known
    provider's), `ENGINE@MODEL`, or an id from targets.toml. The key is read later, by `Target.endpoint`.
    """
    catalog = catalog or load()
    found = find(spec, catalog.providers, catalog.targets)
    check_available(found)
    return found


def _users_file() -> Path | None:
    if named := os.environ.get("BENCH_TARGETS"):
        if not Path(named).is_file():
            raise ConfigError(f"BENCH_TARGETS = {named!r}: there is no such file; correct or unset the variable")
        return Path(named)
    here = Path("targets.toml")
    return here if here.exists() else None


@cache
def _packaged() -> Catalog:
    providers = {}
    for path in sorted((HERE / "providers").glob("*.toml")):
        providers[path.stem] = parse(Provider, {"id": path.stem, **read_toml(path)}, str(path))
    catalog = Catalog(
        providers=providers,
        models={**_listed(HERE / "models.toml", "models", Model), **embedded.models()},
        gpus=_listed(HERE / "gpus.toml", "gpus", Gpu),
        prices=_listed(HERE / "prices.toml", "prices", Price),
    )
    _cross_check(catalog, str(HERE))
    return catalog


@cache
def _with_user(path: Path, _changed_ns: int) -> Catalog:
    base, raw = _packaged(), read_toml(path)
    for section, blocks in raw.items():
        check_name(section, set(SECTIONS), f"{path}: section")
        if not isinstance(blocks, list):
            raise ConfigError(f"{path}: write [[{section}]] with two brackets, once per entry, each with its own id")
    providers = {**base.providers, **_blocks(path, raw, "providers", Provider)}
    catalog = Catalog(
        providers=providers,
        models={**base.models, **_blocks(path, raw, "models", Model)},
        gpus={**base.gpus, **_blocks(path, raw, "gpus", Gpu)},
        prices={**base.prices, **_blocks(path, raw, "prices", Price)},
        targets={
            name: from_user(user, providers, f"{path}: target {name!r}")
            for name, user in _blocks(path, raw, "targets", UserTarget).items()
        },
    )
    _cross_check(catalog, str(path))
    return catalog


def _listed(path: Path, section: str, noun: type[N]) -> dict[str, N]:
    return _blocks(path, read_toml(path), section, noun)


def _blocks(path: Path, raw: Mapping[str, Any], section: str, noun: type[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, block in enumerate(raw.get(section, []), start=1):
        name = block.get("id") if isinstance(block, dict) else None
        where = f"{path}: {section} {number}" + (f" ({name!r})" if name else "")
        item = parse(noun, block, where)
        unique(found, item.id, str(path))
        found[item.id] = item
    return found


def _cross_check(catalog: Catalog, where: str) -> None:
    """Names that point at something point at something that is there."""
    for provider in catalog.providers.values():
        for wire in provider.wires:
            check_name(wire, set(WIRES), f"{where}: provider {provider.id!r}: wire")
    names = {name for p in catalog.providers.values() for name in (p.id, *p.aliases)} | {"embedded"}
    for price in catalog.prices.values():
        if price.provider is not None:
            check_name(price.provider, names, f"{where}: price {price.id!r}: provider")
    for model in catalog.models.values():
        for place in model.served_as:
            check_name(place.partition(":")[0], names, f"{where}: model {model.id!r}: served_as")
