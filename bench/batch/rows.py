"""From what a batch says of one request to the row it becomes: decoded by the wire, without any stamp."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bench.batch import Phase, Result, compact
from bench.client.attempt import Attempt
from bench.client.failures import failure_of, in_band
from bench.client.fold import Fold
from bench.errors import Garbled, RateLimited, Refused, RequestError, ServerFault, TimedOut
from bench.records import Endpoint, Measurement, Request
from bench.wires import Wire

TIER = "batch"
UNTIMED: dict[str, Any] = {
    "sched_ns": None,
    "sent_ns": None,
    "headers_ns": None,
    "first_event_ns": None,
    "first_token_ns": None,
    "first_answer_ns": None,
    "last_token_ns": None,
    "end_ns": None,
    "merged_reads": None,
    "chunk_offsets_ns": (),
    "chunks": 0,
    "retry_after_s": None,
}
"""Nobody saw an answer of a batch come: it has no latency, not a short one."""


class Rows:
    """Makes the rows of one run's batches."""

    def __init__(self, wire: Wire, endpoint: Endpoint, run_id: str, redact: Callable[[str], str]) -> None:
        self._wire, self._endpoint, self._run_id, self._redact = wire, endpoint, run_id, redact

    def of(self, request: Request, result: Result, *, sent_at: str) -> Measurement:
        """What the provider says became of it; `sent_at` is when the batch was sent, ISO 8601."""
        attempt = self._attempt(request)
        try:
            if result.fate != "answered":
                raise missing(result.fate)
            if result.status is not None:
                attempt.headed(result.status, {"x-request-id": result.response_id or ""})
            self._read(attempt.fold, result)
            measurement = attempt.answered()
        except RequestError as error:
            measurement = attempt.failed(error)
        if result.fate == "cancelled":
            measurement = replace(measurement, status="cancelled")
        return _untimed(measurement, sent_at)

    def failed(self, request: Request, error: RequestError, *, sent_at: str) -> Measurement:
        """The row of a request whose batch never ran, or ended before its turn."""
        return _untimed(self._attempt(request).failed(error), sent_at)

    def lost(self, request: Request, why: str, *, sent_at: str) -> Measurement:
        """The row of a request of which nothing came back although its batch ended: it may have been billed."""
        measurement = self._attempt(request).failed(ServerFault(why))
        return _untimed(replace(measurement, status="cancelled"), sent_at)

    def _attempt(self, request: Request) -> Attempt:
        fold = Fold(self._wire, self._endpoint, request, self._redact)
        return Attempt(request, fold, self._run_id, self._endpoint.target_id, self._redact)

    def _read(self, fold: Fold, result: Result) -> None:
        if not isinstance(result.body, dict):
            raise Garbled(f"the batch's answer has no body (status {result.status})", http_status=result.status)
        if result.status is None:
            error = result.body.get("error")
            raise in_band(error if isinstance(error, dict) else {"message": str(error)}, redact=self._redact)
        if result.status != 200:
            raise failure_of(result.status, {}, compact(result.body), redact=self._redact)
        fold.expect_json()
        fold.take([(0, compact(result.body))])
        fold.close()


def missing(phase: Phase | str) -> RequestError:
    """Why a request has no answer of its own."""
    if phase == "expired":
        return TimedOut("the batch's time was over before this request was answered")
    return ServerFault("the batch was cancelled before this request was answered")


def batch_failure(error: str | None) -> RequestError:
    """Why a whole batch was not run: RateLimited where smaller batches, or a later time, may help."""
    said = f"the batch was not run: {error or 'the provider gives no reason'}"
    by_limit = any(word in said.lower() for word in ("token_limit", "enqueued", "rate limit", "rate_limit"))
    if by_limit and isinstance(failure_of(429, {}, compact({"error": {"message": said}})), RateLimited):
        return RateLimited(said)
    return Refused(said)


def _untimed(measurement: Measurement, sent_at: str) -> Measurement:
    return replace(measurement, service_tier=TIER, started_at=sent_at, **UNTIMED)
