"""Failures: status, headers and body become the right error with the right wait; money is never asked for again."""

import json
from datetime import UTC, datetime

import pytest

from bench.client.failures import MAX_ERROR_CHARS, failure_of, in_band
from bench.errors import RateLimited, Refused, RequestError, ServerFault

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def fail(status: int, body: object = "", **headers: str) -> RequestError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
    return failure_of(status, {k.replace("_", "-"): v for k, v in headers.items()}, raw, now=NOW)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 415, 422, 501])
def test_what_asking_again_will_not_change_is_refused(status: int) -> None:
    assert isinstance(fail(status), Refused)


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 504, 520, 529])
def test_what_may_pass_is_a_server_fault(status: int) -> None:
    assert isinstance(fail(status), ServerFault)


@pytest.mark.parametrize(
    ("headers", "body", "wait_s"),
    [
        ({"retry_after_ms": "250", "retry_after": "9"}, "", 0.25),
        ({"retry_after": "7"}, "", 7.0),
        ({"retry_after": "0.5"}, "", 0.5),
        ({"retry_after": "Mon, 23 Nov 2026 12:00:30 GMT"}, "", 30.0),
        ({"retry_after": "Mon, 23 Nov 2026 11:00:00 GMT"}, "", 0.0),
        ({"retry_after": "soon"}, "", None),
        ({"retry_after": "-3"}, "", None),
        ({"retry_after": "9" * 40}, "", None),
        ({}, {"error": {"message": "Please try again in 5.289s."}}, 5.289),
        ({}, {"error": {"message": "Please try again in 1m2.5s."}}, 62.5),
        ({}, {"error": {"message": "try again in 20ms"}}, 0.02),
        ({}, {"error": {"message": "quota", "details": [{"@type": "RetryInfo", "retryDelay": "46s"}]}}, 46.0),
        ({}, "", None),
    ],
)
def test_how_long_to_wait_is_the_first_of_the_known_places(
    headers: dict[str, str], body: object, wait_s: float | None
) -> None:
    error = fail(429, body, **headers)
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == wait_s


@pytest.mark.parametrize(
    "error",
    [
        {"type": "insufficient_quota", "message": "You exceeded your current quota"},
        {"code": "credit_balance_exhausted", "message": "x"},
        {"message": "x", "details": {"error_code": "enforced_spend_limit_reached"}},
        {"message": "Quota exceeded for metric, limit: 0"},
    ],
)
def test_a_429_that_means_money_is_refused(error: dict[str, object]) -> None:
    assert isinstance(fail(429, {"error": error}), Refused)


def test_the_server_may_override_its_status() -> None:
    assert isinstance(fail(503, x_should_retry="false"), Refused)
    assert isinstance(fail(400, x_should_retry="true"), ServerFault)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "too long", "type": "bad", "code": "context"}}, "bad context too long"),
        ({"error": "text"}, "text"),
        ({"object": "error", "message": "flat", "code": 40}, "40 flat"),
        ({"detail": [{"msg": "field required"}]}, "field required"),
        ([{"error": {"message": "wrapped"}}], "wrapped"),
        (b"<html><style>p{}</style><h1>Bad\n Gateway</h1>&amp; so</html>", "HTTP 500: Bad Gateway & so"),
        (b"\xff\x00", "HTTP 500"),
        (b"", "HTTP 500 without a body"),
    ],
)
def test_every_shape_of_error_body_is_one_readable_line(body: object, said: str) -> None:
    message = str(fail(500, body))
    assert said in message
    assert "\n" not in message


def test_a_long_message_is_cut_after_it_is_redacted() -> None:
    body = json.dumps({"error": "x" * (MAX_ERROR_CHARS - 10) + "sk-secret-key"}).encode()
    message = str(failure_of(500, {}, body, redact=lambda text: text.replace("sk-secret-key", "***")))
    assert "sk-" not in message
    assert len(message) < MAX_ERROR_CHARS + 20


def test_a_redirect_says_where_to() -> None:
    assert "https://new.example/v1" in str(fail(308, location="https://new.example/v1"))


def test_errors_inside_a_stream_follow_their_code() -> None:
    assert isinstance(in_band({"message": "x"}), ServerFault)
    assert isinstance(in_band({"message": "x", "code": 400}), Refused)
    assert isinstance(in_band({"message": "x", "code": "429"}), RateLimited)
    assert isinstance(in_band({"message": "x", "code": "rate_limit_exceeded"}), ServerFault)
    assert isinstance(in_band({"message": "x", "type": "insufficient_quota"}), Refused)
    overloaded = in_band({"message": "try again in 2s", "code": 503})
    assert isinstance(overloaded, ServerFault)
    assert overloaded.retry_after_s == 2.0
