"""What Chat and Completions share: request fields, ids, usage, errors, and the quirks that bend them.

Quirks read here (data of the catalogue, by exact model id): `cap_field` (`max_tokens` or `max_completion_tokens`),
`seed_field` (another name, or false: none), `stop_max` (0: never sent), `stream_options` (false: none), `extra_body`
(merged into every body); and those of `bench.wires.reasoning`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from bench.errors import ConfigError, Garbled
from bench.records import Endpoint, Request
from bench.wires import Event, Usage
from bench.wires.common import count, first_count, merged, number, object_at
from bench.wires.reasoning import reasoning, temperature_of

DONE = Event(done=True)


def common_body(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    """Model, caps, sampling and streaming; `request.extra` is merged last, by `finished`."""
    quirks = endpoint.quirks
    body: dict[str, Any] = {"model": endpoint.model, quirks.get("cap_field", "max_tokens"): request.max_tokens}
    temperature = temperature_of(endpoint, request)
    if temperature is not None:
        body["temperature"] = temperature
    seed_field = quirks.get("seed_field", "seed")
    if request.seed is not None and seed_field:
        body[seed_field] = request.seed
    if request.stop and quirks.get("stop_max", 4):
        body["stop"] = _stops(request, quirks.get("stop_max"))
    body["stream"] = True
    stream_options = quirks.get("stream_options", {"include_usage": True})
    if stream_options:
        body["stream_options"] = dict(stream_options)
    return body


def finished(body: dict[str, Any], endpoint: Endpoint, request: Request) -> dict[str, Any]:
    """The body with the catalogue's and the request's own fields over it."""
    body = merged(body, reasoning(endpoint, request, effort_at="reasoning_effort", budget_at=None))
    return merged(merged(body, endpoint.quirks.get("extra_body") or {}), request.extra)


def _stops(request: Request, stop_max: int | None) -> list[str]:
    if stop_max is not None and len(request.stop) > stop_max:
        raise ConfigError(
            f"task {request.task or request.request_id} wants {len(request.stop)} stop sequences and the target takes "
            f"{stop_max}; use a task with fewer"
        )
    return list(request.stop)


def first_choice(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    """`choices[0]`, or an empty mapping where there is none (usage, filter results, `choices: null`)."""
    choices = chunk.get("choices")
    if not choices:
        return {}
    if not isinstance(choices, list) or not isinstance(choices[0], dict):
        raise Garbled("`choices` of an event is not a list of objects")
    return cast(dict[str, Any], choices[0])


def error_of(chunk: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The error object of an event: nested, flat (`object: error`), or plain text."""
    error = chunk.get("error")
    if error:
        found = dict(error) if isinstance(error, dict) else {"message": str(error)}
        if "status_code" in chunk:
            found.setdefault("code", chunk["status_code"])
        return found
    if chunk.get("object") == "error" or ("detail" in chunk and "choices" not in chunk):
        return {
            "message": str(chunk.get("message") or chunk.get("detail")),
            "code": chunk.get("code"),
            "type": chunk.get("type"),
        }
    return None


def usage_of(chunk: Mapping[str, Any], choice: Mapping[str, Any]) -> tuple[Usage | None, str | None]:
    """Token counts and billed dollars, from whichever of the known places holds them."""
    groq = chunk.get("x_groq")
    usage = chunk.get("usage") or (groq.get("usage") if isinstance(groq, dict) else None) or choice.get("usage")
    if not isinstance(usage, dict):
        return None, None
    prompt = object_at(usage, "prompt_tokens_details")
    completion = object_at(usage, "completion_tokens_details")
    out = count(usage.get("completion_tokens"))
    reasoning = first_count(completion.get("reasoning_tokens"), usage.get("reasoning_tokens"))
    counted = Usage(
        in_tokens=count(usage.get("prompt_tokens")),
        in_cached_tokens=first_count(
            prompt.get("cached_tokens"),
            usage.get("cached_tokens"),
            usage.get("prompt_cache_hit_tokens"),
            usage.get("cache_read_input_tokens"),
        ),
        in_cache_write_tokens=first_count(prompt.get("cache_write_tokens"), usage.get("cache_creation_input_tokens")),
        out_tokens=out,
        reasoning_tokens=reasoning,
    )
    if out is not None and reasoning and count(usage.get("total_tokens")) == (counted.in_tokens or 0) + out + reasoning:
        # The server's own sum says that it counts reasoning apart (xAI); in our arithmetic it is inside.
        counted = counted._replace(out_tokens=out + reasoning)
    return counted, _usd(usage)


def _usd(usage: Mapping[str, Any]) -> str | None:
    """What the server says it billed: dollars, or xAI's ticks of 1e-10 dollars."""
    ticks = count(usage.get("cost_in_usd_ticks"))
    if ticks is not None:
        return format(Decimal(ticks).scaleb(-10), "f")
    cost = usage.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    dollars = number(usage.get("estimated_cost") if cost is None else cost)
    return None if dollars is None else format(Decimal(repr(dollars)), "f")
