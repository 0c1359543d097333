"""How mistakes are answered, and what comes beside an answer: ids, limits, cost, route."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from bench.doctor.visit import Visit, answered, why
from bench.wires.common import number

NO_MODEL = "no-such-model-5a7b"
IDS = ("x-request-id", "request-id", "apim-request-id", "inference-id", "x-generation-id", "x-amzn-requestid",
       "mistral-correlation-id")  # fmt: skip
ROUTES = ("x-inference-provider", "x-provider", "x-routed-provider", "x-served-by")
LIMITS = re.compile(r"ratelimit|rate-limit|retry-after")
COST = re.compile(r"cost|usd|billed", re.IGNORECASE)


async def wrong_model(visit: Visit) -> None:
    """A name that nobody serves should be refused: else the name in our tables proves nothing."""
    honest = visit.endpoint
    visit.endpoint = replace(honest, model=NO_MODEL)
    try:
        answer = await visit.ask("Say: ok")
    finally:
        visit.endpoint = visit.client.endpoint = honest
    if answered(answer):
        visit.answers.pop()
        visit.tell("wrong model", "note", f"{NO_MODEL!r} answers too: any name is taken, the model is what was loaded")
    elif (answer.http_status or 500) >= 500:
        visit.tell("wrong model", "note", f"not served, but as a fault of the server and not a refusal: {why(answer)}")
    else:
        visit.tell("wrong model", "ok", f"refused: {why(answer)}")


async def beside(visit: Visit) -> None:
    """Names of what came with the answers: presence only."""
    headers, answer = visit.headers, visit.answers[-1]
    told = [f"request id in {', '.join(ids)}" if (ids := [n for n in IDS if n in headers]) else "no request id header"]
    limits = [name for name in headers if LIMITS.search(name)]
    told.append(f"limits in {', '.join(limits)}" if limits else "no rate-limit headers")
    if answer.service_tier:
        told.append(f"service tier {answer.service_tier}")
    visit.tell("headers", "note", ", ".join(told))
    _cost(visit)


def _cost(visit: Visit) -> None:
    answer, quirks = visit.answers[-1], {}
    told = []
    if answer.provider_usd is not None:
        told.append(f"billed dollars come with the answer ({answer.provider_usd})")
    elif found := next((path for payload in visit.payloads() for path in _costs(payload)), None):
        told.append(f"{found} looks like what was billed; check its unit, then say so")
    if answer.routed_provider:
        told.append(f"routed to {answer.routed_provider}")
    elif name := next((name for name in ROUTES if name in visit.headers), None):
        told.append(f"the host that answered is in {name}: {visit.headers[name]}")
        quirks["route_header"] = name
    new = {name: value for name, value in quirks.items() if visit.endpoint.quirks.get(name) != value}
    nothing = "neither billed dollars nor the host that answered are told"
    visit.tell("cost, route", "note", ", ".join(told) or nothing, quirks=new)


def _costs(value: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for name, each in value.items():
        at = f"{path}.{name}" if path else name
        if isinstance(each, Mapping):
            yield from _costs(each, at)
        elif COST.search(name) and number(each) is not None:
            yield at
