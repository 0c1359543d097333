"""Failures: status, headers and body become the right error with the right wait; money is never asked for again."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench.client.failures import MAX_ERROR_CHARS, failure_of, in_band
from bench.errors import RateLimited, Refused, RequestError, ServerFault, TooLong, meant_status

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def fail(status: int, body: object = "", **headers: str) -> RequestError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
    return failure_of(status, {k.replace("_", "-"): v for k, v in headers.items()}, raw, now=NOW)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 415, 422, 501])
def test_what_asking_again_will_not_change_is_refused(status: int) -> None:
    assert isinstance(fail(status), Refused)


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503, 504, *range(520, 527), 529])
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
        ({"retry_after": "Mon, 23 Nov 2026 11:00:09 GMT", "date": "Mon, 23 Nov 2026 11:00:00 GMT"}, "", 9.0),
        ({"retry_after": "Mon, 23 Nov 2026 12:00:30 GMT", "date": "yesterday"}, "", 30.0),
        ({"retry_after": "soon"}, "", None),
        ({"retry_after": "-3"}, "", None),
        ({"retry_after": "9" * 40}, "", None),
        ({}, {"error": {"message": "Please try again in 5.289s."}}, 5.289),
        ({}, {"error": {"message": "Please try again in 1m2.5s."}}, 62.5),
        ({}, {"error": {"message": "try again in 20ms"}}, 0.02),
        (
            {},
            {"error": {"message": "tokens per day (TPD): Limit 9. Please try again in 1h5m30s. Need more?"}},
            3930.0,
        ),
        ({}, {"error": {"message": f"Quota {'x' * MAX_ERROR_CHARS} exceeded. Please retry in 46.1s."}}, 46.1),
        ({}, {"error": {"message": "Please retry after 20 seconds."}}, 20.0),
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
        {"message": f"You exceeded your current quota {'x' * MAX_ERROR_CHARS} limit: 0, model: gemini-2.5-pro"},
        {"type": "exceeded_current_quota_error", "message": "Your account is suspended"},
        {"message": "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000", "code": 429},
        {"message": "Too many tokens per day, please wait before trying again."},
        {
            "message": "You exceeded your current quota, please check your plan",
            "status": "RESOURCE_EXHAUSTED",
            "details": [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}],
        },
    ],
)
def test_a_429_that_means_money_is_refused(error: dict[str, object]) -> None:
    assert isinstance(fail(429, {"error": error}), Refused)


@pytest.mark.parametrize(
    "error",
    [
        {"message": "Quota exceeded for metric, limit: 0.5"},
        {"message": "Rate limit reached on requests per day (RPD): Limit 100, Used 100. Please try again in 1m26.4s."},
        {"message": "You exceeded your current quota", "details": [{"quotaId": "GenerateRequestsPerMinutePerProject"}]},
        {"message": "Too many tokens, please wait before trying again."},
    ],
)
def test_a_429_of_the_rate_kind_is_asked_again(error: dict[str, object]) -> None:
    assert isinstance(fail(429, {"error": error}), RateLimited)


WORDINGS = [json.loads(line) for line in (Path(__file__).parent / "too_long.jsonl").read_text().splitlines()]
"""How providers and servers say that a question does not fit, and the limit they name."""


@pytest.mark.parametrize("wording", WORDINGS, ids=lambda wording: wording["who"])
def test_a_question_that_does_not_fit_is_known_by_every_providers_wording(wording: dict[str, Any]) -> None:
    status, said, limit = wording["status"], wording["said"], wording["limit"]
    error = fail(status, {"error": {"message": said}})
    assert isinstance(error, TooLong)
    assert TooLong.limit_of(str(error)) == (limit or 0)
    if status != 429:
        told = in_band({"message": said, "code": status})
        assert isinstance(told, TooLong)
        assert meant_status(200, str(told)) == status


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "max_tokens: 200000 > 128000, which is the maximum allowed number of output tokens"),
        (400, "max_tokens is too large: 100000. This model supports at most 16384 completion tokens"),
        (400, "too many tokens: max tokens must be less than or equal to 4096, the maximum output for this model"),
        (400, "Unrecognized request argument supplied: top_k"),
        (401, "This model's maximum context length is 8192 tokens."),
        (429, "Too many tokens, please wait before trying again."),
        (429, "Rate limit reached for gpt-4 on tokens per min (TPM): Limit 10000, Used 9000, Requested 2000."),
        (503, "the context is overloaded"),
    ],
)
def test_what_is_not_about_the_questions_length_is_not_taken_for_it(status: int, said: str) -> None:
    assert not isinstance(fail(status, {"error": {"message": said}}), TooLong)
    assert TooLong.limit_of(str(fail(status, {"error": {"message": said}}))) is None


def test_the_server_may_override_its_status() -> None:
    assert isinstance(fail(503, x_should_retry="false"), Refused)
    assert isinstance(fail(424, x_should_retry="true"), ServerFault)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, {"error": {"type": "insufficient_quota", "message": "no credit"}}),
        (402, {"error": {"message": "no balance"}}),
        (401, {"error": {"message": "who?"}}),
        (400, {"error": {"code": "context_length_exceeded", "message": "too long"}}),
    ],
)
def test_no_server_makes_us_ask_again_for_what_will_be_the_same(status: int, body: dict[str, Any]) -> None:
    assert isinstance(fail(status, body, x_should_retry="true"), Refused)


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
    assert isinstance(in_band({"message": "x", "type": "insufficient_quota"}), Refused)
    overloaded = in_band({"message": "try again in 2s", "code": 503})
    assert isinstance(overloaded, ServerFault)
    assert overloaded.retry_after_s == 2.0


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"message": "x", "code": "rate_limit_exceeded"}, RateLimited, 429),
        ({"type": "overloaded_error", "message": "Overloaded"}, ServerFault, 529),
        ({"type": "rate_limit_error", "message": "x"}, RateLimited, 429),
        ({"type": "api_error", "message": "Internal server error"}, ServerFault, 500),
        ({"type": "authentication_error", "message": "x"}, Refused, 401),
        ({"type": "throttlingException", "message": "Too many requests, please wait"}, RateLimited, 429),
        ({"type": "modelStreamErrorException", "message": "x"}, ServerFault, 500),
        ({"type": "serviceUnavailableException", "message": "x"}, ServerFault, 503),
        ({"type": "validationException", "message": "x"}, Refused, 400),
        ({"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "x"}, RateLimited, 429),
        ({"status": "UNAVAILABLE", "message": "The model is overloaded."}, ServerFault, 503),
        ({"code": 402, "message": "Insufficient credits"}, Refused, 402),
        ({"code": "server_is_overloaded", "type": "server_error", "message": "x"}, ServerFault, 503),
    ],
)
def test_a_word_inside_a_stream_means_what_the_status_would(
    error: dict[str, object], kind: type[RequestError], status: int
) -> None:
    told = in_band(error)
    assert type(told) is kind
    assert meant_status(200, str(told)) == status
    assert meant_status(404, str(told)) == 404, "a status that was really sent counts"
