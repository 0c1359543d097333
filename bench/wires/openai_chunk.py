"""What Chat and Completions share: request fields, ids, usage, errors, and the quirks that bend them.

Quirks read here (data of the catalogue, by exact model id): `cap_field` (`max_tokens` or `max_completion_tokens`),
`sampling` (`free`; `when_none`: a temperature only with `reasoning_effort` none; anything else: no temperature),
`seed_field` (another name, or false: none), `stop_max` (0: never sent), `stream_options` (false: none), `extra_body`
(merged into every body).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from pydantic_core import from_json

from bench.errors import ConfigError, Garbled
from bench.records import Endpoint, Request
from bench.wires import Event, Usage

DONE = Event(done=True)
LARGEST = 1e15


def common_body(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    """Model, caps, sampling and streaming; `request.extra` is merged last, by `finished`."""
    quirks = endpoint.quirks
    body: dict[str, Any] = {"model": endpoint.model, quirks.get("cap_field", "max_tokens"): request.max_tokens}
    sampling = quirks.get("sampling", "free")
    cool = request.extra.get("reasoning_effort") == "none"
    if request.temperature is not None and (sampling == "free" or (sampling == "when_none" and cool)):
        body["temperature"] = request.temperature
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
    body.update(endpoint.quirks.get("extra_body") or {})
    body.update(request.extra)
    return body


def _stops(request: Request, stop_max: int | None) -> list[str]:
    if stop_max is not None and len(request.stop) > stop_max:
        raise ConfigError(
            f"task {request.task or request.request_id} wants {len(request.stop)} stop sequences and the target takes "
            f"{stop_max}; use a task with fewer"
        )
    return list(request.stop)


def parse(payload: bytes) -> dict[str, Any]:
    """One JSON object; `Garbled` if it is anything else.

    Lone surrogate escapes and bytes cut out of a character (byte-level tokenisers) are kept for `bench.client.fold` to
    join: the fast parser refuses both, the standard one takes the first, and the second travel as surrogate escapes.
    """
    try:
        chunk = from_json(payload)
    except ValueError:
        try:
            chunk = json.loads(payload.decode("utf-8", "surrogateescape"))
        except (ValueError, RecursionError) as error:
            raise Garbled("an event of the stream is not JSON") from error
    if not isinstance(chunk, dict):
        raise Garbled("an event of the stream is not a JSON object")
    return chunk


def first_choice(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    """`choices[0]`, or an empty mapping where there is none (usage, filter results, `choices: null`)."""
    choices = chunk.get("choices")
    if not choices:
        return {}
    if not isinstance(choices, list) or not isinstance(choices[0], dict):
        raise Garbled("`choices` of an event is not a list of objects")
    return cast(dict[str, Any], choices[0])


def text_of(value: object, field: str) -> str:
    """A text field that may be absent or null; `Garbled` for another type."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Garbled(f"`{field}` of an event is {type(value).__name__}, not text")
    return value


def name_of(value: object) -> str | None:
    """An id or a name; anything but non-empty text is unknown."""
    return value if isinstance(value, str) and value else None


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
    prompt = _object(usage, "prompt_tokens_details")
    completion = _object(usage, "completion_tokens_details")
    out = _count(usage.get("completion_tokens"))
    reasoning = _first(completion.get("reasoning_tokens"), usage.get("reasoning_tokens"))
    counted = Usage(
        in_tokens=_count(usage.get("prompt_tokens")),
        in_cached_tokens=_first(
            prompt.get("cached_tokens"),
            usage.get("cached_tokens"),
            usage.get("prompt_cache_hit_tokens"),
            usage.get("cache_read_input_tokens"),
        ),
        in_cache_write_tokens=_first(prompt.get("cache_write_tokens"), usage.get("cache_creation_input_tokens")),
        out_tokens=out,
        reasoning_tokens=reasoning,
    )
    if (
        out is not None
        and reasoning
        and _count(usage.get("total_tokens")) == (counted.in_tokens or 0) + out + reasoning
    ):
        # The server's own sum says that it counts reasoning apart (xAI); in our arithmetic it is inside.
        counted = counted._replace(out_tokens=out + reasoning)
    return counted, _usd(usage)


def _object(usage: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = usage.get(key)
    return value if isinstance(value, dict) else {}


def number(value: object) -> float | None:
    """A JSON number as a row can hold it; None for anything else, also for what no count or probability ever is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < LARGEST:
        return None
    return float(value)


def _count(value: object) -> int | None:
    found = number(value)
    return None if found is None or found < 0 else int(found)


def _first(*values: object) -> int | None:
    return next((count for count in map(_count, values) if count is not None), None)


def _usd(usage: Mapping[str, Any]) -> str | None:
    """What the server says it billed: dollars, or xAI's ticks of 1e-10 dollars."""
    ticks = _count(usage.get("cost_in_usd_ticks"))
    if ticks is not None:
        return format(Decimal(ticks).scaleb(-10), "f")
    cost = usage.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    dollars = number(usage.get("estimated_cost") if cost is None else cost)
    return None if dollars is None else format(Decimal(repr(dollars)), "f")
