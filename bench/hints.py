"""What to try next on this machine: a key that is set, a server that answers on loopback, a GPU."""

from __future__ import annotations

import asyncio
import os

from bench.catalog import Catalog, Provider
from bench.catalog.address import is_loopback

PROBE_TIMEOUT_S = 0.3
PROBED = "openai_chat"
"""The wire whose list of models every local server has."""


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
    """Providers whose key and whose address are set."""
    from bench.wires import names

    return [
        f"bench run -t {provider.id}:MODEL --limit 5 --max-usd 0.10   # {key} is set"
        for provider in catalog.providers.values()
        if provider.wires[0] in names()
        and not provider.missing(provider.wires[0], os.environ)
        and (key := next((name for name in provider.key_names if os.environ.get(name)), None))
    ]


def _servers(catalog: Catalog) -> list[str]:
    """Local servers that answer, asked all at once; several providers share a port, and the answer names none."""
    local: dict[str, list[str]] = {}
    for provider in catalog.providers.values():
        url = _local_url(provider)
        if url is not None:
            local.setdefault(url, []).append(provider.id)
    answers = asyncio.run(_probe(list(local)))
    return [
        f"bench run -t {ids[0]}:{models[0]}   # a server answers at {url}"
        + (f"; it may be {', '.join(ids)}" if len(ids) > 1 else "")
        for (url, ids), models in zip(local.items(), answers, strict=True)
        if models
    ]


def _local_url(provider: Provider) -> str | None:
    """Where its models are listed in OpenAI's way, if that is on this machine: no other address is ever asked."""
    if PROBED not in provider.wires or provider.missing(PROBED, os.environ):
        return None
    url = provider.url(PROBED, os.environ)
    try:
        return url if is_loopback(url) else None
    except ValueError:  # a variable that holds no address
        return None


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
