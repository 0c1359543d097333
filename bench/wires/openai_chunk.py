"""What the OpenAI wires share: request fields, ids, usage, timings, errors, and the quirks that bend them.

Quirks read here (data of the catalogue, by exact model id): `cap_field` (`max_tokens` or `max_completion_tokens`),
`seed_field` (another name, or false: none), `stop_max` (0: never sent), `stream_options` (false: none), `extra_body`
(merged into every body), `tools` (false, or `auto`: no call can be forced), `structured` (`json_object`, or false),
`cost_at`, `cost_scale`, `route_at`, `output_excludes_reasoning`; and those of `bench.wires.reasoning`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from bench.errors import ConfigError, Garbled, nearest
from bench.records import Endpoint, Request, Tool
from bench.wires import Event, Timings, Usage
from bench.wires.common import checked_stops, count, dollars, first_count, merged, name_of, number, object_at, value_at
from bench.wires.reasoning import reasoning, temperature_of, thinks

DONE = Event(done=True)

_MINIMAX_STATUS = {1001: 504, 1002: 429, 1004: 401, 1008: 402, 1026: 400, 1027: 400, 1039: 400, 2013: 400, 2049: 401}
"""The HTTP status that MiniMax's numbers stand for, from its list of error codes; others are faults of the server."""


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
        body["stop"] = checked_stops(request, quirks.get("stop_max"))
    body["stream"] = True
    stream_options = quirks.get("stream_options", {"include_usage": True})
    if stream_options:
        body["stream_options"] = dict(stream_options)
    return body


def finished(body: dict[str, Any], endpoint: Endpoint, request: Request) -> dict[str, Any]:
    """The body with the catalogue's and the request's own fields over it."""
    body = merged(body, reasoning(endpoint, request, effort_at="reasoning_effort", budget_at=None))
    return merged(merged(body, endpoint.quirks.get("extra_body") or {}), request.extra)


def checked_tools(endpoint: Endpoint, request: Request, effort_at: str | None = "reasoning_effort") -> tuple[Tool, ...]:
    """The request's tools; ConfigError if the target takes none, or cannot be made to call one as is wanted.

    `effort_at`: where this wire says how hard to think, because some models take tools only without thoughts.
    """
    choice, takes = request.tool_choice, endpoint.quirks.get("tools", True)
    if request.tools and takes is False:
        raise ConfigError(f"target {endpoint.target_id} takes no tools; leave them out or use another target")
    if request.tools and takes == "when_none" and thinks(endpoint, request, effort_at):
        raise ConfigError(
            f"target {endpoint.target_id} takes tools on wire {endpoint.wire!r} only with reasoning_effort = 'none'; "
            "say so, or use wire 'openai_responses'"
        )
    known = [tool.name for tool in request.tools]
    forced = choice not in (None, "auto", "none")
    if forced and takes == "auto":
        raise ConfigError(
            f"target {endpoint.target_id} cannot be made to call a tool: tool_choice = {choice!r}; use 'auto'"
        )
    if forced and choice not in ("required", *known):
        raise ConfigError(f"tool_choice = {choice!r} is none of the request's tools{nearest(str(choice), known)}")
    if forced and not known:
        raise ConfigError(f"tool_choice = {choice!r} needs tools, and the request has none")
    return request.tools


def structured(endpoint: Endpoint, request: Request) -> dict[str, Any] | None:
    """The answer's format as Responses writes it; None where no schema is wanted, ConfigError where none is taken."""
    if request.answer_schema is None:
        return None
    how = endpoint.quirks.get("structured", "json_schema")
    if how is False:
        raise ConfigError(
            f"target {endpoint.target_id} takes no answer_schema; say the shape in the prompt or use another target"
        )
    if how == "json_object":
        return {"type": "json_object"}
    schema = request.answer_schema
    return {"type": "json_schema", "name": "answer", "schema": dict(schema), "strict": can_be_strict(schema)}


def can_be_strict(schema: object) -> bool:
    """Whether OpenAI takes a schema with `strict`: every object is closed, and every property of it is required."""
    if isinstance(schema, list):
        return all(map(can_be_strict, schema))
    if not isinstance(schema, Mapping):
        return True
    properties = schema.get("properties")
    if isinstance(properties, Mapping) or schema.get("type") == "object":
        names = set(properties) if isinstance(properties, Mapping) else set()
        if schema.get("additionalProperties") is not False or set(schema.get("required") or ()) != names:
            return False
    return all(map(can_be_strict, schema.values()))


def first_choice(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    """`choices[0]`, or an empty mapping where there is none (usage, filter results, `choices: null`, pieces of a second
    answer to the same question)."""
    choices = chunk.get("choices")
    if not choices:
        return {}
    if not isinstance(choices, list) or not isinstance(choices[0], dict):
        raise Garbled("`choices` of an event is not a list of objects")
    first = cast(dict[str, Any], choices[0])
    return first if first.get("index") in (0, None) else {}


def error_of(chunk: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The error object of an event: nested, flat (`object: error`), plain text, or MiniMax's status beside a 200."""
    error = chunk.get("error")
    if not error and "x_groq" in chunk:
        error = object_at(chunk, "x_groq").get("error")
    if error:
        found = dict(error) if isinstance(error, dict) else {"message": str(error)}
        if "status_code" in chunk:
            found.setdefault("code", chunk["status_code"])
        return found
    if "base_resp" in chunk:
        base = object_at(chunk, "base_resp")
        code = base.get("status_code")
        if code:
            status = _MINIMAX_STATUS.get(code) if isinstance(code, int) else None
            return {"message": str(base.get("status_msg")), "code": status, "type": str(code)}
    if chunk.get("object") == "error" or ("detail" in chunk and "choices" not in chunk):
        return {
            "message": str(chunk.get("message") or chunk.get("detail")),
            "code": chunk.get("code"),
            "type": chunk.get("type"),
        }
    return None


def usage_of(
    chunk: Mapping[str, Any], choice: Mapping[str, Any], *, excludes_reasoning: bool = False
) -> tuple[Usage | None, str | None]:
    """Token counts and billed dollars, from whichever of the known places holds them.

    `excludes_reasoning`: this server's output leaves reasoning out, whatever its own sum says (Perplexity's does too).
    """
    usage = chunk.get("usage") or object_at(chunk, "x_groq").get("usage") or choice.get("usage")
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
    if out is None:
        return counted, usd_of(usage)
    beyond = (count(usage.get("total_tokens")) or 0) - (counted.in_tokens or 0) - out
    if reasoning and (excludes_reasoning or beyond == reasoning):
        # Counted apart, as xAI does and its sum shows; in our arithmetic it is inside.
        out += reasoning
    # Perplexity bills the tokens of its citations as output.
    return counted._replace(out_tokens=out + (count(usage.get("citation_tokens")) or 0)), usd_of(usage)


def usd_of(usage: Mapping[str, Any]) -> str | None:
    """What the server says it billed: dollars, or xAI's ticks of 1e-10 dollars."""
    ticks = count(usage.get("cost_in_usd_ticks"))
    if ticks is not None:
        return format(Decimal(ticks).scaleb(-10), "f")
    cost = usage.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    found = number(usage.get("estimated_cost") if cost is None else cost)
    if usage.get("is_byok") and found is not None:
        # With a key of one's own the router bills its fee only, and the provider behind it the rest.
        upstream = number(object_at(usage, "cost_details").get("upstream_inference_cost"))
        found = None if upstream is None else found + upstream
    return None if found is None or found < 0 else format(Decimal(repr(found)), "f")


def timings_of(chunk: Mapping[str, Any]) -> Timings | None:
    """The server's word on its time, where one of these is found.

    Seconds in `usage` or `x_groq.usage` (Groq) and `time_info` (Cerebras); milliseconds in `timings` (llama.cpp) and
    `metrics` (vLLM with --enable-per-request-metrics, whose time to first token begins when the queue ends).
    """
    usage = object_at(chunk, "usage") or object_at(object_at(chunk, "x_groq"), "usage")
    info, metrics, llama = object_at(chunk, "time_info"), object_at(chunk, "metrics"), object_at(chunk, "timings")
    seconds = info or usage
    found = Timings(
        _ms(seconds.get("queue_time"), metrics.get("queue_time_ms")),
        _ms(seconds.get("prompt_time"), metrics.get("time_to_first_token_ms"), llama.get("prompt_ms")),
        _ms(seconds.get("completion_time"), metrics.get("generation_time_ms"), llama.get("predicted_ms")),
    )
    return None if found == Timings() else found


def _ms(seconds: object, *milliseconds: object) -> float | None:
    said = [value for value in (number(seconds),) if value is not None]
    found = [value * 1000 for value in said] + [v for v in map(number, milliseconds) if v is not None]
    return round(found[0], 6) if found and found[0] >= 0 else None


def tier_of(chunk: Mapping[str, Any]) -> str | None:
    """The tier that served it: beside the choices, or in `usage` (Mistral)."""
    return name_of(chunk.get("service_tier")) or name_of(object_at(chunk, "usage").get("service_tier"))


def routed_by(chunk: Mapping[str, Any]) -> str | None:
    """The host that a router chose: its name, or the chosen entry of OpenRouter's list of them."""
    named = name_of(chunk.get("provider"))
    if named is not None or "openrouter_metadata" not in chunk:
        return named
    found = value_at(chunk, "openrouter_metadata.endpoints.available")
    available = found if isinstance(found, list) else []
    chosen = [at for at in available if isinstance(at, dict) and at.get("selected")]
    return name_of(chosen[0].get("provider")) if chosen else None


def bent(event: Event, chunk: Mapping[str, Any], endpoint: Endpoint) -> Event:
    """The event with the cost and the route from where this endpoint's quirks say they stand."""
    quirks = endpoint.quirks
    usd = dollars(value_at(chunk, quirks["cost_at"]), quirks.get("cost_scale", 1)) if "cost_at" in quirks else None
    route = name_of(value_at(chunk, quirks["route_at"])) if "route_at" in quirks else None
    if usd is None and route is None:
        return event
    return event._replace(provider_usd=usd or event.provider_usd, routed_provider=route or event.routed_provider)
