"""What there is: targets, suites, tasks, items and models, as plain rows."""

from __future__ import annotations

import os
from typing import Any

from bench.catalog import Catalog, Provider, Suite
from bench.catalog import suite as find_suite
from bench.catalog.address import is_loopback
from bench.errors import ConfigError, nearest
from bench.items.files import tasks_dir

TARGET_COLUMNS = ("target", "layer", "wire", "needs", "ready")
TASK_COLUMNS = ("suite", "task", "items", "levels", "metric", "weight", "chance", "max_tokens")
ITEM_COLUMNS = ("id", "level", "prompt", "target")
MODEL_COLUMNS = ("model", "vendor", "released", "access", "parameters", "licence")

Row = dict[str, Any]


def targets(catalog: Catalog) -> list[Row]:
    """Everything `-t` takes by name, and for each provider what is needed before it answers."""
    from bench.engines.embedded.family import family

    rows = [_row(f"embedded:{model.name}", "reference", "openai_completions", "nothing") for model in family()]
    rows += [_row(t.id, t.layer, t.wire, _needs(t.key_ref)) for t in catalog.targets.values()]
    rows += [_row(f"{p.id}:MODEL", p.layer, p.wires[0], _provider_needs(p)) for p in catalog.providers.values()]
    rows.append(_row("http://HOST:PORT/v1#MODEL", "self-hosted", "openai_chat", "a server there"))
    return rows


def _row(name: str, layer: str, wire: str, needs: str) -> Row:
    return {
        "target": name,
        "layer": layer,
        "wire": wire,
        "needs": needs,
        "ready": _ready(needs),
    }


def _ready(needs: str) -> bool | None:
    """None = only asking would tell."""
    return None if needs == "a server there" else not needs.startswith(("set ", "wire "))


def _provider_needs(provider: Provider) -> str:
    from bench.wires import names

    if provider.wires[0] not in names():
        return f"wire {provider.wires[0]}: not here yet"
    if is_loopback(provider.base_url):
        return "a server there"
    return _needs(f"env:{provider.key_env}" if provider.key_env else None)


def _needs(key_ref: str | None) -> str:
    """What is still missing, by name; whether a key is there is looked up, its text never."""
    scheme, _, name = (key_ref or "").partition(":")
    if scheme != "env":
        return "nothing"
    return f"{name} (is set)" if os.environ.get(name) else f"set {name}"


def tasks() -> list[Row]:
    """Every suite's tasks; the same task may stand in several suites."""
    return [
        row for path in sorted((tasks_dir() / "suites").glob("*.toml")) for row in _suite_rows(find_suite(path.stem))
    ]


def _suite_rows(suite: Suite) -> list[Row]:
    from bench.items import tasks as own

    name = f"{suite.name}@{suite.version}" + (" (provisional)" if suite.provisional else "")
    return [
        {
            "suite": name,
            "task": task.name,
            "items": _lines(task.items),
            "levels": len(own()[task.name].levels) if task.name in own() else None,
            "metric": task.metric,
            "weight": task.weight,
            "chance": round(task.chance, 3),
            "max_tokens": task.max_gen_toks,
        }
        for task in suite.tasks
    ]


def _lines(name: str) -> int:
    with (tasks_dir() / name).open("rb") as lines:
        return sum(1 for line in lines if line.strip())


def items(task: str) -> list[Row]:
    """One item of every level of a task."""
    import json

    from bench.items import tasks as own

    if task not in own():
        raise ConfigError(f"no task is called {task!r}{nearest(task, own())}")
    first: dict[int, Row] = {}
    with (tasks_dir() / task / "frozen-1.jsonl").open(encoding="utf-8") as lines:
        for item in map(json.loads, lines):
            first.setdefault(item["level"], {column: item[column] for column in ITEM_COLUMNS})
    return [first[level] for level in sorted(first)]


def models(catalog: Catalog, name: str | None = None) -> list[Row]:
    """All models in short, or one with everything that is known of it and from where."""
    if name is not None:
        if name not in catalog.models:
            raise ConfigError(f"no model is called {name!r} in the catalogue{nearest(name, catalog.models)}")
        known = catalog.models[name].model_dump(mode="json", exclude_none=True)
        return [{"fact": key, "value": value} for key, value in known.items()]
    return [
        {
            "model": model.id,
            "vendor": model.vendor,
            "released": str(model.released) if model.released else None,
            "access": model.access,
            "parameters": _size(model.parameters_total),
            "licence": model.licence,
        }
        for model in catalog.models.values()
    ]


def _size(parameters: int | None) -> str | None:
    """1234567 -> 1.2 M; None where the vendor never said."""
    if parameters is None:
        return None
    for unit, scale in (("T", 10**12), ("B", 10**9), ("M", 10**6)):
        if parameters >= scale:
            return f"{parameters / scale:.3g} {unit}"
    return str(parameters)
