"""The folder is the registry: modules of a package that define something, and what others add by entry points."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from bench.errors import ConfigError, nearest


@cache
def names(package: str, defines: str | tuple[str, ...]) -> tuple[str, ...]:
    """Modules of `package` that define (one of) `defines`, and others' entry points in the group of its name."""
    folder = import_module(package).__path__
    modules = (module.name for module in pkgutil.iter_modules(folder))
    wanted = (defines,) if isinstance(defines, str) else defines
    ours = [n for n in modules if any(hasattr(import_module(f"{package}.{n}"), of) for of in wanted)]
    return tuple(sorted({*ours, *(point.name for point in entry_points(group=package))}))


def found(package: str, defines: str | tuple[str, ...], name: str, what: str) -> Any:
    """The one called `name`, others' before ours; or ConfigError, calling it `what`, with the nearest name."""
    for point in entry_points(group=package, name=name):
        return point.load()
    known = names(package, defines)
    if name not in known:
        raise ConfigError(f"{what} {name!r} does not exist{nearest(name, known)}")
    return import_module(f"{package}.{name}")
