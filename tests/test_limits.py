"""What headers announce is read in every provider's way, and how long to wait follows from it by hand."""

import math
from datetime import UTC, datetime

import pytest

from bench.announced import Announced
from bench.limits import Counts, Window, hint_s, reset_s, span_s, windows
from bench.records import Request

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
OPENAI = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-limit-tokens": "150000",
    "x-ratelimit-remaining-tokens": "149984",
    "x-ratelimit-reset-tokens": "6m0s",
}
GROQ = {
    "x-ratelimit-limit-requests": "14400",
    "x-ratelimit-remaining-requests": "14370",
    "x-ratelimit-reset-requests": "2m59.56s",
    "x-ratelimit-limit-tokens": "18000",
    "x-ratelimit-remaining-tokens": "17997",
    "x-ratelimit-reset-tokens": "7.66ms",
}
ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2026-11-23T12:00:02Z",
    "anthropic-ratelimit-input-tokens-limit": "30000",
    "anthropic-ratelimit-input-tokens-remaining": "0",
    "anthropic-ratelimit-input-tokens-reset": "2026-11-23T12:01:00Z",
    "anthropic-ratelimit-output-tokens-limit": "8000",
    "anthropic-ratelimit-output-tokens-remaining": "8000",
    "anthropic-ratelimit-output-tokens-reset": "2026-11-23T11:59:00Z",
}
CEREBRAS = {
    "x-ratelimit-limit-requests-day": "1000000",
    "x-ratelimit-remaining-requests-day": "999999",
    "x-ratelimit-reset-requests-day": "33011.382867",
    "x-ratelimit-limit-tokens-minute": "200000",
    "x-ratelimit-remaining-tokens-minute": "199783",
    "x-ratelimit-reset-tokens-minute": "11.38286",
}
MISTRAL = {
    "x-ratelimit-limit-req-minute": "60",
    "x-ratelimit-remaining-req-minute": "59",
    "x-ratelimit-limit-tokens-minute": "50000",
    "x-ratelimit-remaining-tokens-minute": "47196",
    "x-ratelimit-limit-tokens-month": "4000000",
    "x-ratelimit-remaining-tokens-month": "3950246",
    "x-ratelimit-tokens-query-cost": "2804",
}
FIREWORKS = {
    "x-ratelimit-limit-tokens-prompt": "60000",
    "x-ratelimit-remaining-tokens-prompt": "100",
    "x-ratelimit-limit-tokens-generated": "6000",
    "x-ratelimit-remaining-tokens-generated": "6000",
    "x-ratelimit-over-limit": "no",
}
OPENROUTER = {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1795435260000"}


def window(name: str, counts: Counts, limit: float | None, remaining: float, reset: float | None) -> Window:
    return Window(name=name, counts=counts, limit=limit, remaining=remaining, reset_s=reset)


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (OPENAI, [("requests", "requests", 60, 59, 1), ("tokens", "tokens", 150000, 149984, 360)]),
        (GROQ, [("requests", "requests", 14400, 14370, 179.56), ("tokens", "tokens", 18000, 17997, 0.00766)]),
        (
            ANTHROPIC,
            [
                ("requests", "requests", 50, 49, 2),
                ("input-tokens", "input-tokens", 30000, 0, 60),
                ("output-tokens", "output-tokens", 8000, 8000, 0),
            ],
        ),
        (
            CEREBRAS,
            [
                ("requests-day", "requests", 1000000, 999999, 33011.382867),
                ("tokens-minute", "tokens", 200000, 199783, 11.38286),
            ],
        ),
        (MISTRAL, [("req-minute", "requests", 60, 59, 60), ("tokens-minute", "tokens", 50000, 47196, 60)]),
        (
            FIREWORKS,
            [
                ("tokens-prompt", "input-tokens", 60000, 100, None),
                ("tokens-generated", "output-tokens", 6000, 6000, None),
            ],
        ),
        (OPENROUTER, [("requests", "requests", 20, 0, 60)]),
        ({"content-type": "text/plain", "x-ratelimit-limit-images": "5", "x-ratelimit-remaining-images": "5"}, []),
        (
            {**OPENROUTER, "Date": "Mon, 23 Nov 2026 12:00:50 GMT"},
            [("requests", "requests", 20, 0, 10)],
        ),
        ({"x-ratelimit-limit-requests": "many", "x-ratelimit-remaining-requests": ""}, []),
        ({"x-ratelimit-remaining-requests": "-4"}, [("requests", "requests", None, 0, None)]),
        ({"x-ratelimit-remaining-requests": "9" * 400, "x-ratelimit-reset-requests": "9" * 400}, []),
    ],
)  # fmt: skip
def test_every_providers_headers_are_windows(
    headers: dict[str, str], found: list[tuple[str, Counts, float, float, float]]
) -> None:
    assert list(windows(headers, NOW)) == [window(*row) for row in found]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0), ("6m0s", 360.0), ("20ms", 0.02), ("1h5m30.5s", 3930.5), ("1d", 86400.0), ("2m59.56s", 179.56),
        ("12", 12.0), ("0.5", 0.5), ("-3", 0.0), ("1795435260", 60.0), ("1795435260000", 60.0),
        ("2026-11-23T12:01:00Z", 60.0), ("2026-11-23T13:01:00+01:00", 60.0), ("2026-11-23T11:00:00Z", 0.0),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30.0),
        ("soon", None), ("", None), ("1x", None), ("2026-99-99T00:00:00Z", None), ("s", None), ("9" * 30, None),
    ],
)  # fmt: skip
def test_a_reset_is_read_in_every_form(text: str, seconds: float | None) -> None:
    found = reset_s(text, NOW)
    assert found == (None if seconds is None else pytest.approx(seconds))


def test_a_hint_is_a_span_after_known_words() -> None:
    assert span_s("7 minutes") == 420.0
    assert hint_s("Please try again in 1m26.4s.") == pytest.approx(86.4)
    assert hint_s('"retryDelay": "46.5s"') == 46.5
    assert hint_s("retry after 20 seconds") == 20.0
    assert hint_s("try again in a while") is None
    assert hint_s("it took 5s") is None


# ── how long to wait ──────────────────────────────────────────────────────────────────────────────────────────────


def request(n: int = 0, cap: int = 84) -> Request:
    """One of 100 tokens: 16 for its template, no text, 84 for its answer."""
    return Request(request_id=f"r{n}", request_key=f"k{n}", prompt="", max_tokens=cap)


def requests_header(limit: int, remaining: int, reset: str) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": str(limit),
        "x-ratelimit-remaining-requests": str(remaining),
        "x-ratelimit-reset-requests": reset,
    }


def told(headers: dict[str, str], *, after: int = 0) -> Announced:
    """Request 1 was answered with `headers` at second 1000, when `after` more had been sent."""
    announced = Announced()
    for number in range(1, 2 + after):
        announced.sent(number, request(number), 999.0)
    announced.learn(1, headers, 1000.0)
    return announced


def test_nothing_announced_is_nothing_to_wait_for() -> None:
    assert told({}).pause(request(), 1000.0) == (0.0, "")


def test_a_limit_that_refills_is_waited_for_by_its_share_only() -> None:
    announced = told(requests_header(60, 0, "60s"))
    assert announced.pause(request(), 1000.0) == (1.0, "requests")
    assert announced.pause(request(), 1000.4)[0] == pytest.approx(0.6)
    assert announced.pause(request(), 1001.0)[0] == 0.0


def test_what_was_sent_since_counts_at_its_estimate() -> None:
    assert told(requests_header(60, 3, "57s"), after=2).pause(request(), 1000.0)[0] == 0.0
    assert told(requests_header(60, 3, "57s"), after=5).pause(request(), 1000.0)[0] == pytest.approx(3.0)


def test_tokens_are_waited_for_where_the_next_request_needs_more_than_are_left() -> None:
    left = {"x-ratelimit-limit-tokens": "1000", "x-ratelimit-remaining-tokens": "50", "x-ratelimit-reset-tokens": "19s"}
    announced = told(left)
    assert announced.pause(request(), 1000.0)[0] == pytest.approx(1.0), "50 of 100 are short, at 950 in 19 s"
    assert announced.pause(request(cap=34), 1000.0)[0] == 0.0
    assert announced.pause(request(cap=90_000), 1000.0)[0] == pytest.approx(19.0), "never more than there can be"


def test_input_and_output_tokens_are_limits_apart() -> None:
    announced = Announced()
    announced.sent(1, request(), 999.0)
    announced.learn(1, ANTHROPIC, 1000.0, NOW)
    assert announced.pause(request(), 1000.0)[1] == "input-tokens"


def test_a_limit_without_a_size_is_waited_out() -> None:
    headers = requests_header(60, 0, "60s")
    del headers["x-ratelimit-limit-requests"]
    assert told(headers).pause(request(), 1000.0)[0] == 60.0
    assert told(headers).pause(request(), 1060.0)[0] == 0.0


def test_a_refusal_without_a_word_shows_that_a_limit_is_a_fixed_window() -> None:
    announced = told(requests_header(60, 0, "60s"))
    announced.refused(1, request())
    assert announced.pause(request(), 1000.0)[0] == 60.0
    announced.sent(2, request(), 1060.0)
    announced.learn(2, requests_header(60, 0, "60s"), 1061.0)
    assert announced.pause(request(), 1061.0)[0] == 60.0, "it stays known"


def test_a_refusal_for_another_reason_leaves_a_limit_as_it_is() -> None:
    announced = told(requests_header(60, 9, "51s"))
    announced.refused(1, request())
    announced.learn(1, requests_header(60, 0, "60s"), 1000.0)
    assert announced.pause(request(), 1000.0)[0] == 1.0


def test_after_a_reset_no_more_go_than_the_limit_until_it_is_told_anew() -> None:
    announced = told(requests_header(3, 0, "10s"))
    announced.refused(1, request())
    for number in (2, 3, 4):
        assert announced.pause(request(), 1010.0)[0] == 0.0
        announced.sent(number, request(number), 1010.0)
    assert announced.pause(request(), 1010.0)[0] == math.inf
    announced.learn(4, requests_header(3, 1, "9s"), 1010.5)
    assert announced.pause(request(), 1010.5)[0] == 0.0


def test_an_older_requests_announcement_does_not_replace_a_newer_ones() -> None:
    announced = told({}, after=1)
    announced.learn(2, requests_header(60, 0, "60s"), 1000.0)
    announced.learn(1, requests_header(60, 30, "30s"), 1000.1)
    assert announced.pause(request(), 1000.1)[0] == pytest.approx(0.9)
