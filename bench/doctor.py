"""Looks before anyone leaps: is this machine, this key, this endpoint able to give a number that can be trusted?"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from bench import judge
from bench.catalog import Catalog, Target
from bench.catalog import target as find_target
from bench.client import Client, key_of
from bench.errors import BenchError, ConfigError, RequestError
from bench.records import ANSWERED, Endpoint, Measurement, Message, Request

State = Literal["ok", "note", "bad"]
SIGNS = {"ok": "✓", "note": "·", "bad": "✗"}
ROUND_TRIPS = 5
PATIENCE_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at. `bad` = a measurement would fail or lie; `note` = something to know."""

    what: str
    state: State
    found: str
    target: str | None = None

    @property
    def sign(self) -> str:
        return SIGNS[self.state]

    @property
    def bad(self) -> bool:
        return self.state == "bad"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


# ----------------------------------------------------------------------------------------------------------- machine


def machine(catalog: Catalog, results: Path) -> list[Finding]:
    """This machine, its GPUs, how exact our client is on it, the engines and keys it has, and the store."""
    return [*_hardware(), *_client(), *_engines(), *_keys(catalog), *_store(results)]


def _hardware() -> Iterator[Finding]:
    from bench import machine as here

    seen = here.describe()
    yield Finding(
        what="machine",
        state="ok",
        found=f"{seen['cpu']}, {seen['cores']} cores, {seen['memory_gib']:.0f} GiB, {seen['os']}, "
        f"Python {seen['python']}",
    )
    if not seen["gpus"]:
        yield Finding(what="GPU", state="note", found="none seen; hosted and embedded targets need none")
    for gpu in seen["gpus"]:
        yield Finding(
            what="GPU", state="ok", found=f"{gpu['name']}, {gpu['memory_gib']:.0f} GiB, driver {gpu.get('driver')}"
        )


def _client() -> Iterator[Finding]:
    """What our own client can do here, against a server that only keeps time."""
    from bench.load.selfcheck import check

    with tempfile.TemporaryDirectory(prefix="bench-doctor-") as folder:
        try:
            seen = check(lane="httpx", workers=1, log=Path(folder) / "client.log")
        except BenchError as error:
            yield Finding(what="client", state="bad", found=str(error))
            return
    yield Finding(what="client", state="ok", found=seen.line())


def _engines() -> Iterator[Finding]:
    from bench import engines
    from bench.engines.embedded.family import family

    names = ", ".join(f"embedded:{model.name}" for model in family())
    yield Finding(what="engines", state="ok", found=f"{', '.join(engines.names())}; models here: {names}")


def _keys(catalog: Catalog) -> Iterator[Finding]:
    """Which keys are set; of a key nothing but its length is ever shown."""
    variables = {p.key_env: p.id for p in catalog.providers.values() if p.key_env}
    for variable, provider in sorted(variables.items()):
        if value := os.environ.get(variable):
            yield Finding(what=f"key for {provider}", state="ok", found=f"{variable} is set ({len(value)} characters)")
    missing = sorted(v for v in variables if not os.environ.get(v))
    if missing:
        yield Finding(what="keys not set", state="note", found=", ".join(missing))


def _store(results: Path) -> Iterator[Finding]:
    from bench import runs

    try:
        results.mkdir(parents=True, exist_ok=True)
        probe = results / f".probe-{uuid4().hex}"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        yield Finding(
            what="results", state="bad", found=f"{results} can't be written: {error.strerror}; pass --results DIR"
        )
        return
    free_gib = shutil.disk_usage(results).free / 2**30
    found = f"{results}: {len(runs.folders(results))} runs, {free_gib:.0f} GiB free"
    yield Finding(what="results", state="ok" if free_gib > 1 else "bad", found=found)


# ------------------------------------------------------------------------------------------------------------ targets


def targets(names: list[str], catalog: Catalog) -> list[Finding]:
    """Each target, asked for real with a handful of tiny requests."""
    from bench.quality import borrowed, warnings

    found: list[Finding] = []
    for name in names:
        try:
            target = find_target(name, catalog)
            found.append(_finding(target, "address", "ok", f"{target.wire} at {target.base_url or 'an engine here'}"))
            found += _price(target)
            found += [_finding(target, "note", "note", told) for told in warnings(target)]
            with borrowed(target) as endpoint:
                brief = replace(endpoint, first_token_timeout_s=PATIENCE_S, stall_timeout_s=PATIENCE_S)
                found += asyncio.run(_examine(target, brief))
        except ConfigError:
            raise
        except BenchError as error:
            found.append(Finding(target=name, what="reachable", state="bad", found=str(error)))
    return found


def _finding(target: Target, what: str, state: State, found: str) -> Finding:
    return Finding(target=target.id, what=what, state=state, found=found)


def _price(target: Target) -> Iterator[Finding]:
    from bench.price import price_for

    price = price_for(target, target.model, datetime.now(UTC).date())
    if price is None:
        known = "no price is known; dollars will be empty, and --max-usd refused"
        yield _finding(
            target, "price", "note", "a local reference model has none" if target.layer == "reference" else known
        )
        return
    since = price.valid_from or "undated: current list"
    yield _finding(
        target, "price", "ok", f"{price.usd_per_mtok_in} in, {price.usd_per_mtok_out} out $/M ({price.source}, {since})"
    )


async def _examine(target: Target, endpoint: Endpoint) -> list[Finding]:
    from bench.wires import wire

    key = key_of(endpoint)
    found = [_finding(target, "key", "ok", f"{endpoint.key_ref} ({len(key)} characters)" if key else "none needed")]
    asked = _request(target)
    outgoing = wire(endpoint.wire).encode(endpoint, asked)
    found.append(
        _finding(target, "payload", "note", f"POST {outgoing.path} {json.dumps(outgoing.body, ensure_ascii=False)}")
    )
    async with Client(endpoint) as client:
        found.append(await _models(target, endpoint, client))
        answers = [await client.send(_request(target))]
        if answers[0].status in ANSWERED:
            answers += [await client.send(_request(target)) for _ in range(ROUND_TRIPS - 1)]
    return [*found, *_answers(target, answers)]


def _request(target: Target) -> Request:
    text = "copy: abc\nAnswer:"
    chat = target.wire != "openai_completions"
    return Request(
        request_id=uuid4().hex,
        request_key="doctor",
        kind="warmup",
        messages=(Message(role="user", content=text),) if chat else None,
        prompt=None if chat else text,
        max_tokens=judge.token_cap(target, 16),
        temperature=target.options.temperature,
        extra=target.options.extra,
    )


async def _models(target: Target, endpoint: Endpoint, client: Client) -> Finding:
    try:
        served = await client.models()
    except RequestError as error:
        return _finding(target, "model list", "note", f"none given: {error}")
    if endpoint.model in served:
        return _finding(target, "model list", "ok", f"{endpoint.model} is one of {len(served)}")
    return _finding(target, "model list", "note", f"{endpoint.model} is not among the {len(served)} listed")


def _answers(target: Target, answers: list[Measurement]) -> Iterator[Finding]:
    first = answers[0]
    failed = [m for m in answers if m.status not in ANSWERED]
    if failed:
        yield _finding(
            target, "answers", "bad", f"{len(failed)} of {len(answers)} failed: {failed[0].status}: {failed[0].error}"
        )
        return
    yield _finding(
        target, "answers", "ok", f"{first.answer!r}, finish reason {first.finish_reason!r}, by {first.response_model}"
    )
    yield _stream(target, answers)
    yield _usage(target, first)
    same = len({m.answer for m in answers}) == 1
    yield _finding(
        target,
        "repeatable",
        "ok" if same else "note",
        f"{len(answers)} equal answers to one prompt" if same else "answers to one prompt differ: use --repeats",
    )


def _stream(target: Target, answers: list[Measurement]) -> Finding:
    streamed = any(m.chunks > 1 for m in answers)
    ttft_ms = sorted((m.first_token_ns - m.sent_ns) / 1e6 for m in answers if m.first_token_ns and m.sent_ns)
    if not ttft_ms:
        return _finding(target, "stream", "bad", "no token was ever seen to arrive")
    text = f"median TTFT {ttft_ms[len(ttft_ms) // 2]:.1f} ms of {len(ttft_ms)}, stamps by {answers[0].stamp_source}"
    if not streamed:
        return _finding(target, "stream", "note", f"answers come in one piece: tokens/s will be empty; {text}")
    return _finding(target, "stream", "ok", text)


def _usage(target: Target, answer: Measurement) -> Finding:
    if answer.tokens_source != "server":
        return _finding(target, "usage", "bad", "the server counts no tokens: tokens/s and dollars will be empty")
    return _finding(target, "usage", "ok", f"{answer.in_tokens} in, {answer.out_tokens} out in {answer.chunks} chunks")
