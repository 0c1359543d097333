"""From what somebody typed to plans, everything checked before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import cast, get_args

from bench.budget import dollars
from bench.catalog import Price, Target
from bench.catalog import load as load_catalog
from bench.catalog import target as find_target
from bench.client import Lane, key_of
from bench.errors import ConfigError, nearest
from bench.load import Plan, checked_plan, shapes, traces
from bench.load import arrivals as arriving
from bench.load import slo as objectives
from bench.load.prompts import CACHES, Cache
from bench.load.traces import Trace

DEFAULT_SHAPE = "chat"


def plans(
    targets: Sequence[str] | None,
    *,
    arrivals: Sequence[str] | None = None,
    shape: str | None = None,
    duration_s: float = 60.0,
    slo: str | None = None,
    attainment: float = 0.99,
    search: bool = False,
    cache: str = "cold",
    client: str = "httpx",
    workers: int | None = None,
    seed: int = 0,
    self_check: bool = True,
    max_usd: str | None = None,
    allow_unknown_price: bool = False,
) -> list[Plan]:
    """One plan per target; ConfigError naming the option, the value and the way out."""
    if not targets:
        raise ConfigError("bench load needs a target: -t embedded:small, -t vllm:MODEL, -t http://HOST:PORT/v1#MODEL")
    asked = arrivals or ["closed"]
    trace = _trace([*asked, shape or ""])
    wanted = shape or ("trace" if any(text.startswith("trace") for text in asked) and trace and trace.lengths else None)
    objectives.check_target(attainment)
    limits = objectives.parse(slo, attainment) if slo is not None else None
    _known("--cache", cache, CACHES)
    _known("--client", client, get_args(Lane))
    catalog = load_catalog()
    found = [find_target(name, catalog) for name in dict.fromkeys(targets)]
    for target in found:
        if target.engine is None:
            key_of(target.endpoint())
    limit = dollars(max_usd) if max_usd is not None else None
    prices = {target.id: _price(target, limit, allow_unknown=allow_unknown_price) for target in found}
    return [
        checked_plan(
            Plan(
                target=target,
                ladders=[arriving.parse(text, trace) for text in asked],
                shape=shapes.parse(wanted or DEFAULT_SHAPE, trace),
                cache=cast(Cache, cache),
                lane=cast(Lane, client),
                duration_s=duration_s,
                slo=limits,
                search=search,
                workers=workers,
                seed=seed,
                self_check=self_check,
                trace=trace,
                max_usd=limit,
                price=prices[target.id],
            )
        )
        for target in found
    ]


def _price(target: Target, limit: Decimal | None, *, allow_unknown: bool) -> Price | None:
    from bench.price import price_under

    return price_under(target, limit, when=datetime.now(UTC), allow_unknown=allow_unknown)


def _trace(texts: Sequence[str]) -> Trace | None:
    """The one trace that arrivals and shape name."""
    paths = {rest for kind, _, rest in (text.partition(":") for text in texts) if kind == "trace" and rest}
    if len(paths) > 1:
        raise ConfigError(f"one trace at a time: {', '.join(sorted(paths))} were named")
    return traces.read(Path(paths.pop())) if paths else None


def _known(option: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ConfigError(f"{option} {value}: unknown{nearest(value, known)}")
