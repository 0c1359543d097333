"""Targets, asked for real: probes in order, each a few tiny requests, until one is fatal; a ready block at the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from bench import judge
from bench.budget import TEMPLATE_TOKENS
from bench.catalog import Catalog, Price, Target
from bench.catalog import target as find_target
from bench.client import Client
from bench.doctor import answering, deep, logprobs, manners, reach, sampling, thinking, tokens, tools
from bench.doctor.block import block
from bench.doctor.findings import BLOCK, Finding, State
from bench.doctor.tape import Tape
from bench.doctor.visit import Fatal, Visit
from bench.errors import BenchError, ConfigError
from bench.records import Endpoint
from bench.wires import wire

PATIENCE_S = 30.0
DEEP_PATIENCE_S = 300.0
MASK = "***"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Probe:
    """One step, with the most it sends: requests, and output tokens where the cap is kept."""

    run: Callable[[Visit], Awaitable[None]]
    requests: int = 0
    out_tokens: int = 0
    in_tokens: int = 0
    """Beyond the few of a short question."""


PROBES = (
    Probe(reach.way),
    Probe(reach.who),
    Probe(answering.hello, 1, 16),
    Probe(reach.key, 1, 16),
    Probe(answering.cap, 2, 32),
    Probe(answering.stream, 1, 48),
    Probe(thinking.reasoning, 5, thinking.CAP + 4 * thinking.SHORT),
    Probe(sampling.repeatable, sampling.TIMES + 4, 16 * (sampling.TIMES + 4)),
    Probe(sampling.stop, 1, 32),
    Probe(sampling.roles, 3, 48),
    Probe(logprobs.logprobs, 3, 18),
    Probe(tokens.counting, 2, 32, in_tokens=80),
    Probe(tokens.characters, 1, 32),
    Probe(tools.tools, 2, 128),
    Probe(tools.structured, 2, 96),
    Probe(manners.beside),
    Probe(manners.wrong_model, 1, 16),
)
DEEP = (
    Probe(deep.overlong, 1, 16),
    Probe(deep.cache, 2, 32, in_tokens=4 * deep.CACHED_WORDS),
    Probe(deep.side_by_side, deep.AT_ONCE + 1, 32 * (deep.AT_ONCE + 1)),
    Probe(deep.cancel, 3, 232),
)
QUESTION_TOKENS = 24 + TEMPLATE_TOKENS


def targets(names: list[str], catalog: Catalog, *, deeply: bool = False, say: Say = lambda _: None) -> list[Finding]:
    """Each target, examined; `say` is told before anything is sent how much that may be.

    `deeply` adds what costs more: an overlong prompt, a cache, eight streams at once, a cut one. The last finding of a
    target that answers is called `BLOCK`.
    """
    found: list[Finding] = []
    for name in names:
        found += _examined(name, catalog, deeply, say)
    return found


def _examined(name: str, catalog: Catalog, deeply: bool, say: Say) -> list[Finding]:
    from bench.quality import borrowed, warnings

    target = find_target(name, catalog)
    price = _price_of(target)
    found = [_finding(target, "address", "ok", f"{target.wire} at {target.base_url or 'an engine here'}")]
    found.append(_price(target, price))
    found += [_finding(target, "declared", "note", told) for told in warnings(target)]
    try:
        with borrowed(target) as endpoint:
            say(_announced(target, price, deeply))
            found += asyncio.run(_visited(target, endpoint, price, catalog, deeply))
    except ConfigError:
        raise
    except BenchError as error:
        found.append(_finding(target, "reachable", "bad", str(error)))
    return found


async def _visited(
    target: Target, endpoint: Endpoint, price: Price | None, catalog: Catalog, deeply: bool
) -> list[Finding]:
    patience_s = min(DEEP_PATIENCE_S if deeply else PATIENCE_S, endpoint.first_token_timeout_s)
    brief = replace(
        endpoint,
        first_token_timeout_s=patience_s,
        stall_timeout_s=patience_s,
        total_timeout_s=min(4 * patience_s, endpoint.total_timeout_s),
    )
    async with Client(brief) as client:
        client.wire = tape = Tape(wire(brief.wire))
        visit = Visit(target=target, endpoint=brief, client=client, tape=tape, catalog=catalog, price=price)
        client.on_head = lambda _, headers: _headed(visit, headers)
        visit.chat = _takes_messages(visit)
        try:
            for probe in (*PROBES, *(DEEP if deeply else ())):
                if probe.run is deep.overlong:
                    tokens.context(visit)
                await _asked(probe, visit)
        except Fatal:
            visit.tell("spent", "note", _spent(visit))
            return visit.found
        if not deeply:
            tokens.context(visit)
        _would_send(visit)
        if visit.n_waits:
            told = f"the server asked to wait {visit.n_waits} times, {visit.waited_s:.1f} s in all"
            visit.tell("limits", "note", f"{told}: keep options.concurrency low")
        visit.tell("spent", "note", _spent(visit))
        return [*visit.found, _ready(visit)]


async def _asked(probe: Probe, visit: Visit) -> None:
    """What this wire or model cannot be asked is told as such, once anything has been answered at all."""
    try:
        await probe.run(visit)
    except ConfigError as error:
        if not visit.answers:
            raise
        visit.tell(probe.run.__name__, "note", f"can't be asked: {error}")


def _headed(visit: Visit, headers: Mapping[str, str]) -> None:
    visit.headers = {name.lower(): visit.client.secrets.redact(value) for name, value in headers.items()}


def _takes_messages(visit: Visit) -> bool:
    try:
        visit.tape.encode(visit.endpoint, visit.request("ok", temperature=None))
    except ConfigError:
        return False
    return True


# ------------------------------------------------------------------------------------------------- money, and what for


def _price_of(target: Target) -> Price | None:
    from bench.price import price_for

    return price_for(target, target.model, datetime.now(UTC))


def _price(target: Target, price: Price | None) -> Finding:
    if price is None:
        unknown = "no price is known; dollars will be empty, and --max-usd refused"
        return _finding(
            target, "price", "note", "a local reference model has none" if target.layer == "reference" else unknown
        )
    since = (
        f"since {price.valid_from}" if price.valid_from else f"seen {price.observed}" if price.observed else "undated"
    )
    tiered = "; more for long prompts" if price.tiered else ""
    return _finding(
        target,
        "price",
        "ok",
        f"{price.usd_per_mtok_in} in, {price.usd_per_mtok_out} out $/M ({price.source}, {since}{tiered}), "
        f"looked up for {datetime.now(UTC):%Y-%m-%d}",
    )


def _announced(target: Target, price: Price | None, deeply: bool) -> str:
    probes = (*PROBES, *(DEEP if deeply else ()))
    requests, out = sum(p.requests for p in probes), sum(p.out_tokens for p in probes)
    into = requests * QUESTION_TOKENS + sum(p.in_tokens for p in probes)
    told = f"{target.id}: at most {requests} requests, about {into:,} tokens in and {out:,} out"
    if deeply:
        told += f", and one prompt longer than its context (if that is below {deep.MOST_TOKENS:,} tokens)"
    if price is not None:
        usd = (into * price.usd_per_mtok_in + out * price.usd_per_mtok_out) / Decimal(1_000_000)
        told += f": {_dollars(usd)}"
    return told


def _spent(visit: Visit) -> str:
    spent = visit.spent
    told = f"{spent.requests} requests, {spent.in_tokens:,} tokens in, {spent.out_tokens:,} out"
    known = visit.price is not None or spent.usd
    return f"{told}: {_dollars(spent.usd)}" if known else told


def _dollars(usd: Decimal) -> str:
    return f"{usd:.4f} $" if usd >= Decimal("0.0001") or not usd else "less than 0.0001 $"


# ------------------------------------------------------------------------------------------------------- the last word


def _would_send(visit: Visit) -> None:
    """What a run would send for one item, the key masked, and which revision of the target it would be stored as."""
    target = visit.target
    request = visit.request(
        _item(), cap=judge.token_cap(target, 64), seed=target.options.seed,
        thinking_tokens=target.options.reasoning_budget or None,
    )  # fmt: skip
    outgoing = visit.tape.encode(visit.endpoint, request)
    body = json.dumps(outgoing.body, ensure_ascii=False)
    visit.tell("payload", "note", f"POST {outgoing.path} {body}")
    shown = dict(outgoing.headers)
    for name, value in visit.client.secrets.headers.items():
        plain = visit.endpoint.headers.get(name) == value
        shown[name] = value if plain else MASK
    if shown:
        visit.tell("payload headers", "note", ", ".join(f"{name}: {value}" for name, value in shown.items()))
    visit.tell("fingerprint", "note", f"{target.fingerprint()[:16]} as it is declared now")


def _item() -> str:
    """The first item of the suite `quick`."""
    from bench import listing

    return str(next(iter(listing.items("quick_copy")))["prompt"])


def _ready(visit: Visit) -> Finding:
    remarks = []
    if visit.price is not None:
        per = f"{visit.price.usd_per_mtok_in} $/M in, {visit.price.usd_per_mtok_out} $/M out"
        remarks.append(f"price: {per} ({visit.price.source}), looked up anew for every run")
    if visit.context_tokens:
        remarks.append(f"context: {visit.context_tokens} tokens")
    if "concurrency" not in visit.options and not visit.target.options.concurrency:
        remarks.append("options.concurrency: how many streams it serves at once is what --deep finds out")
    own = {"usd_per_mtok_in": visit.target.usd_per_mtok_in, "usd_per_mtok_cached": visit.target.usd_per_mtok_cached,
           "usd_per_mtok_out": visit.target.usd_per_mtok_out}  # fmt: skip
    prices = {**visit.prices, **{name: value for name, value in own.items() if value is not None}}
    text = block(
        visit.target, visit.catalog, quirks=visit.quirks, options=visit.options, prices=prices, remarks=remarks
    )
    return _finding(visit.target, BLOCK, "ok", text)


def _finding(target: Target, what: str, state: State, found: str) -> Finding:
    return Finding(target=target.id, what=what, state=state, found=found)


def order() -> Iterator[str]:
    """Names of the probes as they follow one another, those of `deeply` last."""
    return (f"{probe.run.__module__.rpartition('.')[2]}.{probe.run.__name__}" for probe in (*PROBES, *DEEP))
