"""The way there: name, TCP, TLS, clock, listing, key; and who seems to answer."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from bench.client import Client
from bench.client.keys import SIGNED
from bench.client.look import Looked, look
from bench.doctor.visit import Visit
from bench.errors import ConfigError, RequestError, nearest
from bench.wires.common import count, value_at

SKEW_S = 5.0
DAYS_LEFT = 14
WRONG_KEY = "sk-this-is-not-a-key"
CONTEXT_AT = (
    "max_model_len", "context_length", "context_window", "max_context_length", "context_size", "max_context_tokens",
    "inputTokenLimit", "max_input_tokens", "meta.n_ctx", "meta.n_ctx_train", "top_provider.context_length",
)  # fmt: skip
FACTS = ("owned_by", "quantization", "quantisation", "shutdown_date", "deprecation", "deprecated", "created_by", "root")
ASKED_OF_STRANGERS = {
    "/version": ("vLLM, or one that says so", ("version",)),
    "/props": ("llama.cpp", ("build_info",)),
    "/api/version": ("Ollama", ("version",)),
    "/server_info": ("SGLang", ("version", "sglang_version")),
}
"""Paths beside the API that only some servers have, and where they say which they are."""


async def way(visit: Visit) -> None:
    """Name, TCP, TLS, HTTP and clock, by the listing of models; Fatal when there is no way."""
    endpoint = visit.endpoint
    try:
        seen = await look(endpoint, visit.tape.LISTING, headers=_headers(visit))
    except RequestError as error:
        raise visit.fatal("reachable", str(error)) from error
    visit.headers = seen.headers
    took = f"TCP {seen.connect_ms:.1f} ms" if seen.connect_ms is not None else f"through the proxy {seen.proxy}"
    visit.tell("reachable", "ok", f"{took}, {seen.http_version}")
    _tls(visit, seen)
    _clock(visit, seen)
    await _listing(visit, seen)


def _headers(visit: Visit) -> Mapping[str, str]:
    """What the wire itself sends with a question: an API's version."""
    try:
        return visit.tape.encode(visit.endpoint, visit.request("ok", temperature=None)).headers
    except ConfigError:
        return {}


def _tls(visit: Visit, seen: Looked) -> None:
    shown = seen.certificate
    if shown is None:
        if visit.endpoint.base_url.startswith("https:"):
            visit.tell("TLS", "note", "the certificate could not be looked at")
        return
    days = (shown.ends - datetime.now(UTC)).days
    visit.tell(
        "TLS",
        "ok" if days >= DAYS_LEFT else "note",
        f"{shown.version}, certificate by {shown.issuer}, {days} days left (until {shown.ends:%Y-%m-%d})",
    )


def _clock(visit: Visit, seen: Looked) -> None:
    try:
        theirs = parsedate_to_datetime(seen.headers["date"])
    except (KeyError, ValueError):
        return
    skew_s = ((theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)) - seen.at).total_seconds()
    if abs(skew_s) > SKEW_S:
        visit.tell(
            "clock",
            "note",
            f"the server's clock is {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} this machine's: "
            "one of them is wrong (certificates, signed requests and dated waits depend on it)",
        )


async def _listing(visit: Visit, seen: Looked) -> None:
    path = visit.tape.LISTING
    if seen.status in (401, 403):
        with_ = "without a key" if visit.endpoint.key_ref is None else f"with the key in {visit.endpoint.key_ref}"
        visit.tell("listing", "note", f"the list of models is refused {with_}: HTTP {seen.status}")
        return
    entries = _entries(seen)
    if entries is None:
        if seen.status in (404, 405) and await _is_below(visit, path):
            raise visit.fatal(
                "listing",
                f"there is nothing at {path}, but at /v1{path}: write base_url = {visit.endpoint.base_url}/v1",
            )
        visit.tell("listing", "note", f"no list of models: HTTP {seen.status} at {path}")
        return
    named = [name for name in map(_name, entries) if name]
    visit.listed = named
    entry = next((each for each in entries if _is(visit, _name(each))), None)
    if entry is None:
        close = nearest(visit.endpoint.model, named)
        visit.tell("listing", "note", f"{visit.endpoint.model} is not among the {len(named)} listed{close}")
        return
    visit.tell("listing", "ok", f"{visit.endpoint.model} is one of {len(named)}{_told(entry)}")
    _facts(visit, entry)


async def _is_below(visit: Visit, path: str) -> bool:
    try:
        seen = await look(visit.endpoint, f"/v1{path}", headers=_headers(visit))
    except RequestError:
        return False
    return seen.status in (200, 401, 403)


def _entries(seen: Looked) -> list[dict[str, Any]] | None:
    if seen.status != 200:
        return None
    try:
        listed = json.loads(seen.body)
    except (ValueError, RecursionError):
        return None
    if isinstance(listed, dict):
        listed = listed.get("data", listed.get("models", listed.get("modelSummaries")))
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else None


def _name(entry: Mapping[str, Any]) -> str | None:
    return next((entry[key] for key in ("id", "name", "modelId", "model") if isinstance(entry.get(key), str)), None)


def _is(visit: Visit, name: str | None) -> bool:
    """The fake servers of our tests, and Gemini, decorate the name."""
    asked = visit.endpoint.model
    return name is not None and (name.removeprefix("models/") == asked or name == f"{asked}:latest")


def _told(entry: Mapping[str, Any]) -> str:
    told = [f"{key} {entry[key]}" for key in FACTS if isinstance(entry.get(key), (str, bool)) and entry[key]]
    return "; " + ", ".join(told) if told else ""


def _facts(visit: Visit, entry: Mapping[str, Any]) -> None:
    found = next(((at, n) for at in CONTEXT_AT if (n := count(value_at(entry, at)))), None)
    if found is not None:
        visit.context_tokens = found[1]
        visit.tell("context", "ok", f"{found[1]:,} tokens by its listing ({found[0]})")
    if ends := entry.get("shutdown_date"):
        visit.tell("ends", "note", f"the provider retires it on {ends}", quirks={"ends": str(ends)})
    pricing = entry.get("pricing")
    if isinstance(pricing, Mapping):
        _pricing(visit, pricing)


def _pricing(visit: Visit, pricing: Mapping[str, Any]) -> None:
    """Dollars per token (OpenRouter and its like: `prompt`, `completion`), or per million (`input`, `output`)."""
    for names, scale in ((("prompt", "completion"), 1_000_000), (("input", "output"), 1)):
        told = [pricing.get(name) for name in names]
        try:
            usd_in, usd_out = (Decimal(str(each)) * scale for each in told if each is not None)
        except (ValueError, ArithmeticError):
            continue
        if not (usd_in.is_finite() and usd_out.is_finite()) or usd_in < 0 or usd_out < 0:
            continue
        visit.tell("listed price", "ok", f"{usd_in:f} in, {usd_out:f} out $/M by its listing, today")
        if visit.price is None:
            visit.prices = {"usd_per_mtok_in": usd_in, "usd_per_mtok_out": usd_out}
        return


async def key(visit: Visit) -> None:
    """Whether the key matters: the same GET without it and with a wrong one; a question where the list is public."""
    reference = visit.endpoint.key_ref
    if reference is None:
        signed = visit.endpoint.quirks.get("auth") in SIGNED
        visit.tell("key", "ok", "every request is signed anew" if signed else "none is sent")
        return
    length = max(map(len, visit.client.secrets.values), default=0)
    without = await _status(visit, None)
    with tempfile.TemporaryDirectory(prefix="bench-doctor-") as folder:
        wrong = Path(folder) / "key"
        wrong.write_text(WRONG_KEY)
        told = await _status(visit, f"file:{wrong}")
        if told == 200:
            told = await _asked(visit, f"file:{wrong}")
    known = told in (400, 401, 403)
    visit.tell(
        "key",
        "ok" if known else "note",
        f"{reference} ({length} characters) is sent; without it the listing says HTTP {without or '–'}; "
        + (f"a wrong one is refused (HTTP {told})" if known else f"a wrong one is not recognised (HTTP {told or '–'})"),
    )


async def _status(visit: Visit, reference: str | None) -> int | None:
    try:
        return (
            await look(replace(visit.endpoint, key_ref=reference), visit.tape.LISTING, headers=_headers(visit))
        ).status
    except RequestError:
        return None


async def _asked(visit: Visit, reference: str) -> int | None:
    async with Client(replace(visit.endpoint, key_ref=reference)) as stranger:
        answer = await stranger.send(visit.request("Say: ok"))
    visit.count(answer)
    return answer.http_status


async def who(visit: Visit) -> None:
    """What the server says of itself: a hint, never a capability. Known hosts are not asked."""
    told = []
    if (name := visit.headers.get("server")) is not None:
        told.append(f"server: {name}")
    if visit.target.provider is None or visit.target.layer in ("on-device", "self-hosted"):
        told += [line for path in ASKED_OF_STRANGERS if (line := await _introduced(visit, path))]
    visit.tell("who", "note", ", ".join(dict.fromkeys(told)) or "the server says nothing of itself")


async def _introduced(visit: Visit, path: str) -> str | None:
    try:
        seen = await look(visit.endpoint, path, beside=True, timeout_s=5)
        answer = json.loads(seen.body) if seen.status == 200 else None
    except (RequestError, ValueError, RecursionError):
        return None
    if not isinstance(answer, dict):
        return None
    if visit.context_tokens is None and (n_ctx := count(value_at(answer, "default_generation_settings.n_ctx"))):
        visit.context_tokens = n_ctx
        visit.tell("context", "ok", f"{n_ctx:,} tokens for each slot, by {path}")
    software, names = ASKED_OF_STRANGERS[path]
    said = next((answer[name] for name in names if isinstance(answer.get(name), str)), None)
    return None if said is None else f"{software} {said} (by {path})"
