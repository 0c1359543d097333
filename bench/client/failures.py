"""What a failed answer means: HTTP status, headers and body to one error, and whether asking again can help.

Pure functions of what came back. The rules are those of the providers' own clients: a 429 that means money or a day's
quota is never asked again, `x-should-retry` overrides the status, and the wait is the first of `retry-after-ms`,
`retry-after` (seconds or a date), a hint in the body. A question that does not fit is told by its wording, because
every provider has its own. An error inside a stream is what its code or word would be as an HTTP status.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from html import unescape
from typing import Any

from bench.errors import RateLimited, Refused, RequestError, ServerFault, TooLong
from bench.limits import hint_s, server_time, until_s

Redact = Callable[[str], str]
MAX_ERROR_CHARS = 400
RETRYABLE = frozenset({408, 409, 425, 429, 498, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 529})
_RATE = frozenset({429, 498})
_FOR_GOOD = frozenset({400, 401, 403, 404, 413, 422})
"""Whatever the server says of retrying, these will be the same the next time."""
_MONEY = re.compile(
    r"insufficient_quota|credit_balance|spend_?limit|billing_hard_limit|billing_error|exceeded_current_quota"
    r"|insufficient.{0,10}(balance|credit|fund)|limit: 0(?!\.?\d)"
    r"|per[ -_]?day.{0,20}quota|quota.{0,60}per[ -_]?day|tokens per day, please wait|free-models-per-day"
    r"|API calls ?/ ?month",
    re.IGNORECASE,
)
"""What a 429 says when waiting does not help: no money, or a quota of a day or longer."""
_WORDS: dict[str, int] = {
    # Anthropic
    "overloaded_error": 529, "rate_limit_error": 429, "timeout_error": 504, "api_error": 500, "billing_error": 402,
    "authentication_error": 401, "permission_error": 403, "not_found_error": 404, "request_too_large": 413,
    # OpenAI and its likes
    "rate_limit_exceeded": 429, "server_is_overloaded": 503, "slow_down": 503, "overloaded": 529,
    "server_error": 500, "insufficient_quota": 429, "invalid_request_error": 400, "invalid_prompt": 400,
    "context_length_exceeded": 400, "model_not_found": 404, "invalid_api_key": 401, "rate_limited": 429,
    # Google
    "resource_exhausted": 429, "unavailable": 503, "internal": 500, "deadline_exceeded": 504, "aborted": 409,
    "invalid_argument": 400, "failed_precondition": 400, "out_of_range": 400, "unauthenticated": 401,
    "permission_denied": 403, "not_found": 404,
    # Bedrock
    "throttlingexception": 429, "modelnotreadyexception": 429, "serviceunavailableexception": 503,
    "internalserverexception": 500, "modelstreamerrorexception": 500, "modeltimeoutexception": 408,
    "modelerrorexception": 500, "validationexception": 400, "accessdeniedexception": 403,
    "resourcenotfoundexception": 404, "servicequotaexceededexception": 402,
}  # fmt: skip
"""Words that stand for an HTTP status where a stream, which began with 200, can no longer send one."""
_TOO_LONG_IN = frozenset({0, 400, 413, 422, 424, 500})
_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|context_window_exceeded|string_above_max_length"
    r"|maximum (?:context|prompt|input|model) length|maximum allowed (?:input )?length|exceeds? maximum input length"
    r"|prompt (?:is )?too long|input (?:is|length) too long|is too long for requested model"
    r"|exceeds? (?:the |our |max |maximum |available |model'?s? )*context|exceeded model token limit"
    r"|(?:longer|greater) than the (?:model'?s? )?context length|context length of only|context window exceeds"
    r"|available context size|configured context size|context when the (?:context )?overflows|context the overflows"
    r"|token count.{0,24}exceeds|input token count is.{0,30}only supports"
    r"|too many (?:input )?tokens(?:\.|: (?!max tokens))"
    r"|must have less than \d+ tokens|tokens`? \+ `?max_new_tokens`? must be|too large for model with"
    r"|range of input length should be|reduce the length of the (?:messages|prompt|input)|too many total text bytes"
    r"|input tokens exceed|total tokens exceed|too large to process",
    re.IGNORECASE,
)
_TOO_LARGE_FOR_RATE = re.compile(r"request too large for", re.IGNORECASE)
"""More tokens in one request than a minute allows (OpenAI 429, Groq 413): waiting does not help."""
_LIMIT = re.compile(
    r"(?:maximum (?:context|prompt|input|model|model context) length(?: of| is|:)?|context length \("
    r"|context length of only|tokens > |number of tokens allowed \(|only supports up to|available context size \("
    r"|context size is|context window of|must be <=|must have less than|too large for model with|model token limit:"
    r"|max input tokens:|should be \[\d+, ?|limit for this model is|cannot exceed|(?:configured|exceeds the) limit of"
    r"|limit is|\d \+ [\d,]+ >|allowed (?:input )?length (?:of |\()|\(TPM\): limit)\s*\(?(\d[\d,]*)",
    re.IGNORECASE,
)
_TAG = re.compile(rb"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)


def failure_of(
    status: int, headers: Mapping[str, str], body: bytes, *, redact: Redact = str, now: datetime | None = None
) -> RequestError:
    """The error of an HTTP answer that is not 200; `body` may be cut. Redacted first, judged whole, shortened last."""
    said = " ".join(redact(_detail(body)).split())
    message = f"HTTP {status}: {one_line(said)}" if one_line(said) else f"HTTP {status} without a body"
    if 300 <= status < 400:
        message = f"HTTP {status}: the address moved to {one_line(redact(headers.get('location', 'nowhere')))}"
    wait_s = _wait_s(headers, said, server_time(headers) or now or datetime.now(UTC))
    return _error(status, message, said, wait_s, headers.get("x-should-retry"))


def in_band(error: Mapping[str, Any], *, redact: Redact = str) -> RequestError:
    """The error of an object inside a stream that began with 200, by its code or its words."""
    parts = [str(error[key]) for key in ("type", "status", "code", "message") if error.get(key) not in (None, "")]
    said = redact(" ".join(dict.fromkeys(parts)) or json.dumps(dict(error), default=str))
    status = _status_in(error)
    meaning = f" (as HTTP {status})" if status else ""
    message = f"error inside the stream{meaning}: {one_line(said)}"
    if status or _is_too_long(0, said):
        return _error(status, message, said, hint_s(said), None)
    if _MONEY.search(said):
        return Refused(message)
    return ServerFault(message, retry_after_s=hint_s(said))


def one_line(text: str) -> str:
    """White space folded, length bounded; nothing that could break a log line."""
    folded = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return folded if len(folded) <= MAX_ERROR_CHARS else folded[: MAX_ERROR_CHARS - 1] + "…"


def limit_tokens(said: str) -> int | None:
    """The limit in tokens that a message about a question's length names; None where it names none."""
    found = _LIMIT.search(said)
    return int(found.group(1).replace(",", "")) if found else None


def _status_in(error: Mapping[str, Any]) -> int:
    """The HTTP status that an error object means; 0 if it names none."""
    for key in ("code", "status", "status_code", "type"):
        value = error.get(key)
        if isinstance(value, (int, float)) or (isinstance(value, str) and value.isdigit()):
            if 400 <= int(value) < 600:
                return int(value)
        elif isinstance(value, str) and value.lower() in _WORDS:
            return _WORDS[value.lower()]
    return 0


def _error(status: int, message: str, said: str, wait_s: float | None, should_retry: str | None) -> RequestError:
    """`said`: the whole of it, of which `message` may show only the beginning."""
    too_long = _is_too_long(status, said)
    money = status == 402 or (status in _RATE and _MONEY.search(said) is not None)
    again = status in RETRYABLE and not too_long and not money
    if should_retry == "false" or (should_retry == "true" and not too_long and not money and status not in _FOR_GOOD):
        again = should_retry == "true"
    if not again and too_long:
        return TooLong(message, http_status=status or None, limit_tokens=limit_tokens(said))
    if not again:
        return Refused(message, http_status=status)
    if status in _RATE:
        return RateLimited(message, http_status=status, retry_after_s=wait_s)
    return ServerFault(message, http_status=status, retry_after_s=wait_s)


def _is_too_long(status: int, said: str) -> bool:
    if status == 413 or (status == 429 and _TOO_LARGE_FOR_RATE.search(said)):
        return True
    return status in _TOO_LONG_IN and bool(_TOO_LONG.search(said))


def _detail(body: bytes) -> str:
    """The message of an error body: the usual JSON shapes, else its text without markup."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return unescape(_TAG.sub(b" ", body).decode("utf-8", "replace"))
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    if not isinstance(parsed, dict):
        return str(parsed)
    error = parsed.get("error", parsed)
    if not isinstance(error, dict):
        return str(error)
    said = [str(error[key]) for key in ("type", "code", "message", "detail") if error.get(key) not in (None, "")]
    details = json.dumps(error["details"], default=str) if error.get("details") else ""
    metadata = error.get("metadata")
    if isinstance(metadata, dict) and metadata.get("raw"):  # a router's word on what its host said
        details += str(metadata["raw"])
    return " ".join([*dict.fromkeys(said), details]) if said else json.dumps(error, default=str)


def _wait_s(headers: Mapping[str, str], said: str, now: datetime) -> float | None:
    """How long the server asks us to wait [s]; never negative."""
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _seconds(text)
    if seconds is not None:
        return seconds
    due_s = until_s(text, now) if text else None
    return hint_s(said) if due_s is None else due_s


def _seconds(text: str | None) -> float | None:
    if text is None or not re.fullmatch(r"\s*\d{1,9}(\.\d{1,9})?\s*", text):
        return None
    return float(text)
