"""What to try next on this machine: a key that is set, a server that answers on loopback, a GPU."""

from __future__ import annotations

import asyncio
import os

from bench.catalog import Catalog
from bench.catalog.address import is_loopback

PROBE_TIMEOUT_S = 0.3


def next_commands(catalog: Catalog, *, most: int = 3) -> list[str]:
    """Two or three commands, each with what it would do, the ones that fit this machine first."""
    found = [*_servers(catalog), *_keys(catalog), *_gpus()]
    always = [
        "bench report --html report.html        # the same as one page",
        "bench plan core -t PROVIDER:MODEL       # what a real model would cost, before it costs anything",
        "bench targets                           # everything that can be measured from here",
    ]
    return [*found, *always][:most]


def _keys(catalog: Catalog) -> list[str]:
    from bench.wires import names

    return [
        f"bench run -t {provider.id}:MODEL --limit 5 --max-usd 0.10   # {provider.key_env} is set"
        for provider in catalog.providers.values()
        if provider.key_env and os.environ.get(provider.key_env) and provider.wires[0] in names()
    ]


def _servers(catalog: Catalog) -> list[str]:
    """Local servers that answer, asked all at once."""
    local = [provider for provider in catalog.providers.values() if is_loopback(provider.base_url)]
    answers = asyncio.run(_probe([provider.base_url for provider in local]))
    return [
        f"bench run -t {provider.id}:{models[0]}   # a server answers at {provider.base_url}"
        for provider, models in zip(local, answers, strict=True)
        if models
    ]


async def _probe(urls: list[str]) -> list[list[str] | None]:
    from bench.client import probe

    return list(await asyncio.gather(*(probe(url, timeout_s=PROBE_TIMEOUT_S) for url in urls)))


def _gpus() -> list[str]:
    from bench.machine import describe

    gpus = describe()["gpus"]
    if not gpus:
        return []
    return [
        f"bench run -t http://127.0.0.1:8000/v1#MODEL   # serve a model on the {gpus[0]['name']} first (vLLM, SGLang)"
    ]
