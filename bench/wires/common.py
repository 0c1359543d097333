"""What wires read JSON with: every field may be missing, null or of another type than it should be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic_core import from_json

from bench.errors import ConfigError, Garbled
from bench.records import Endpoint, Request

LARGEST = 1e15


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


def number(value: object) -> float | None:
    """A JSON number as a row can hold it; None for anything else, also for what no count or probability ever is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < LARGEST:
        return None
    return float(value)


def count(value: object) -> int | None:
    found = number(value)
    return None if found is None or found < 0 else int(found)


def first_count(*values: object) -> int | None:
    return next((found for found in map(count, values) if found is not None), None)


def object_at(chunk: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = chunk.get(key)
    return value if isinstance(value, dict) else {}


def value_at(chunk: Mapping[str, Any], path: str) -> object:
    """What stands at a dotted path; None where it ends early. A number in it counts into a list: `choices.0.text`."""
    found: object = chunk
    for part in path.split("."):
        if isinstance(found, Mapping):
            found = found.get(part)
        elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            return None
    return found


def merged(body: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The body with a fragment laid over it: objects grow together, everything else is replaced."""
    out = dict(body)
    for name, value in more.items():
        mine = out.get(name)
        both = isinstance(mine, Mapping) and isinstance(value, Mapping)
        out[name] = merged(mine, value) if both else value  # type: ignore[arg-type]
    return out


def placed(path: str, value: object) -> dict[str, Any]:
    """A fragment with the value at a dotted path."""
    for part in reversed(path.split(".")):
        value = {part: value}
    return value  # type: ignore[return-value]


def checked_stops(request: Request, most: int | None) -> list[str]:
    """The request's stop strings; ConfigError where they are more than a target takes."""
    if most is not None and len(request.stop) > most:
        raise ConfigError(
            f"task {request.task or request.request_id} wants {len(request.stop)} stop sequences and the target takes "
            f"{most}; use a task with fewer"
        )
    return list(request.stop)


def checked_logprobs(endpoint: Endpoint, request: Request) -> int | None:
    """How many log-probabilities beside the chosen token's are wanted, None for none at all.

    ConfigError where the target has none to give, or invents them.
    """
    if request.logprobs is not None and endpoint.quirks.get("logprobs") is False:
        raise ConfigError(f"target {endpoint.target_id} gives no log-probabilities; take another model or wire")
    return request.logprobs


def dollars(value: object, scale: object = 1) -> str | None:
    """A number of billed units as dollars, a decimal string; None unless it is a number, zero or more."""
    text = value if isinstance(value, str) else None
    amount = number(float(text)) if text and text.replace(".", "", 1).isdigit() else number(value)
    if amount is None or amount < 0:
        return None
    return format(Decimal(text or repr(value)) * Decimal(str(scale)), "f")
