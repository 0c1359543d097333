"""What there is: targets, suites, tasks and items, as plain rows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bench.catalog import Catalog, Provider, Suite, Target
from bench.catalog import suite as find_suite
from bench.catalog.address import is_loopback, safe
from bench.catalog.resolve import SIGNED
from bench.errors import ConfigError, nearest
from bench.items.files import tasks_dir

if TYPE_CHECKING:
    from rich.table import Table

TARGET_COLUMNS = {"  target": True, "wires": False, "needs": True, "reports": False}
"""Headings, and whether a cell must stay in one piece."""
TARGETS_NOTE = (
    "✓ ready  ✗ something is missing  ? only asking would tell: bench doctor TARGET\n"
    "wires: chat, completions and responses are openai_…; the first is used unless\n"
    "PROVIDER+WIRE:MODEL asks another. reports: where in an answer the billed\n"
    "dollars ($) and the host that really served it (node) stand"
)
TASK_COLUMNS = ("suite", "task", "items", "levels", "metric", "weight", "chance", "max_tokens")
ITEM_COLUMNS = ("id", "level", "prompt", "target")
LAYERS = ("on-device", "self-hosted", "decentralised", "hosted-open", "hosted-closed", "reference")
SIGNS = {True: "✓", False: "✗", None: "?"}
Row = dict[str, Any]


def targets(catalog: Catalog) -> list[Row]:
    """Everything `-t` takes by name, by layer: what is missing before it answers, and what it reports.

    `needs`: variables of key and address that are not set. `besides`: what no variable can tell. `cost`, `node`: where
    in an answer the billed dollars and the host that really answered stand; None = it doesn't say.
    """
    from bench.engines.embedded.family import family

    rows = [
        *(_row(f"embedded:{model.name}", "reference", ("openai_completions",)) for model in family()),
        *(_declared(target) for target in catalog.targets.values()),
        *(_provided(provider) for provider in catalog.providers.values()),
        _row("http://HOST/v1#MODEL", "self-hosted", ("openai_chat",), besides="a server there"),
    ]
    return sorted(rows, key=lambda row: LAYERS.index(row["layer"]))


def target_table(rows: list[Row]) -> Table:
    """The rows of `targets` under a line for each layer; names of targets and variables are never folded."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from bench.terminal import printable

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name, whole in TARGET_COLUMNS.items():
        table.add_column(name, overflow="fold", no_wrap=whole)
    for layer, of_layer in groupby(rows, key=lambda row: row["layer"]):
        table.add_row(Text(layer, style="bold"))
        for row in of_layer:
            table.add_row(*("\n".join(map(printable, cell.split("\n"))) for cell in _cells(row)))
    return table


def _cells(row: Row) -> tuple[str, ...]:
    wires = " ".join(wire.removeprefix("openai_") for wire in row["wires"])
    needs = "\n".join(filter(None, [*row["needs"], row["besides"]])) or "–"
    reports = "\n".join(f"{what} {row[key]}" for what, key in (("$", "cost"), ("node", "node")) if row[key]) or "–"
    return f"{SIGNS[row['ready']]} {row['target']}", wires, needs, reports


def _row(
    name: str,
    layer: str,
    wires: Sequence[str],
    *,
    needs: Sequence[str] = (),
    besides: str | None = None,
    quirks: Mapping[str, Any] = MappingProxyType({}),
) -> Row:
    from bench.wires import names

    if wires[0] not in names():
        besides = f"wire {wires[0]}: not here yet"
    return {
        "target": name,
        "layer": layer,
        "wires": list(wires),
        "needs": list(needs),
        "besides": besides,
        "ready": False if needs or wires[0] not in names() else None if besides else True,
        "cost": quirks.get("cost_at"),
        "node": quirks.get("route_header") or quirks.get("route_at"),
    }


def _provided(provider: Provider) -> Row:
    wire = provider.wires[0]
    quirks = provider.quirks_of("", wire)
    needs, besides = _key_needed(provider, quirks), None
    missing = provider.missing(wire, os.environ)
    if not missing and (here := _server_here(provider.url(wire, os.environ))):
        besides = here
    elif not needs and quirks.get("auth") in SIGNED and not any(map(os.environ.get, provider.key_names)):
        besides = f"{SIGNED[quirks['auth']]} credentials"
    return _row(
        f"{provider.id}:MODEL", provider.layer, provider.wires, needs=(*needs, *missing), besides=besides, quirks=quirks
    )


def _key_needed(provider: Provider, quirks: Mapping[str, Any]) -> tuple[str, ...]:
    """The variable to set; whether a key is there is looked up, its text never."""
    names = provider.key_names
    if not names or provider.key_optional or quirks.get("auth") in SIGNED or any(map(os.environ.get, names)):
        return ()
    return names[:1]


def _declared(target: Target) -> Row:
    scheme, _, name = (target.key_ref or "").partition(":")
    needs = (name,) if scheme == "env" and not os.environ.get(name) else ()
    here = f"engine {target.engine}" if target.engine not in (None, "embedded") else None
    if target.base_url:
        here = _server_here(target.base_url)
    return _row(target.id, target.layer, (target.wire,), needs=needs, besides=here, quirks=target.quirks)


def _server_here(url: str) -> str | None:
    """What must be running on this machine; None for an address elsewhere."""
    try:
        return f"server {urlsplit(safe(url)).netloc}" if is_loopback(url) else None
    except ValueError:  # a variable that holds no address
        return "an address that can be read"


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


def size(parameters: float | None) -> str | None:
    """1234567 -> 1.2 M; None where the vendor never said."""
    if parameters is None or parameters != parameters:
        return None
    for unit, scale in (("T", 10**12), ("B", 10**9), ("M", 10**6)):
        if parameters >= scale:
            return f"{parameters / scale:.3g} {unit}"
    return f"{parameters:.0f}"
