"""One attempt at one question while it is under way, and the row it becomes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bench.client.exchange import Exchange
from bench.client.failures import one_line
from bench.client.fold import Fold, failure_columns, offsets, prompt_text
from bench.errors import RequestError
from bench.records import Measurement, Request

_REQUEST_IDS = (
    "x-request-id",
    "request-id",
    "apim-request-id",
    "x-amzn-requestid",
    "inference-id",
    "x-generation-id",
    "mistral-correlation-id",
)
_TIERS = ("x-gemini-service-tier",)


class Attempt:
    """What is known of one request so far; turned into its row when it is over."""

    def __init__(
        self, request: Request, fold: Fold, run_id: str | None, target_id: str, redact: Callable[[str], str]
    ) -> None:
        self.request = request
        self.fold = fold
        self._run_id = run_id
        self._target_id = target_id
        self._redact = redact
        self._exchange: Exchange | None = None
        self._inflight: int | None = None
        self._http_status: int | None = None
        self._heads: dict[str, str] = {}
        """Columns that headers fill where the answer itself says nothing."""
        self._started_at = _now()
        self.sched_ns = request.sched_ns

    def begun(self, exchange: Exchange, inflight: int) -> None:
        """Its bytes are being handed to a socket; again, if the first was a kept connection that proved dead."""
        self._exchange, self._inflight, self._started_at = exchange, inflight, _now()

    def headed(self, status: int, headers: Mapping[str, str]) -> None:
        self._http_status = status
        ids = (headers.get(name) for name in _REQUEST_IDS)
        told = {
            "response_id": next((i for i in ids if i and i != self.request.request_id), None),
            "routed_provider": headers.get(str(self.fold.quirks.get("route_header", ""))),
            "service_tier": next((headers[name] for name in _TIERS if name in headers), None),
        }
        self._heads = {column: value for column, value in told.items() if value}

    def answered(self) -> Measurement:
        """The row of an answer that ended; a finish reason that means failure makes it a failed one."""
        try:
            return self._row({"status": self.fold.status(), "end_ns": self.fold.end_ns})
        except RequestError as error:
            return self.failed(error)

    def failed(self, error: RequestError) -> Measurement:
        row = failure_columns(error)
        row["error"] = one_line(self._redact(str(row["error"])))
        return self._row({"end_ns": time.perf_counter_ns(), **row})

    def cancelled(self) -> Measurement:
        return self._row({"status": "cancelled", "error": "cancelled by us", "end_ns": time.perf_counter_ns()})

    def _row(self, outcome: dict[str, Any]) -> Measurement:
        request, exchange = self.request, self._exchange
        sent_ns = exchange.sent_ns if exchange else None
        row: dict[str, Any] = {
            "request_id": request.request_id,
            "run_id": self._run_id,
            "target_id": self._target_id,
            "request_key": request.request_key,
            "attempt": request.attempt,
            "kind": request.kind,
            "task": request.task,
            "doc_id": request.doc_id,
            "repeat": request.repeat,
            "http_status": self._http_status,
            "sched_ns": sent_ns if self.sched_ns is None else self.sched_ns,
            "sent_ns": sent_ns,
            "started_at": self._started_at,
            "inflight": self._inflight,
            "prompt": None if request.kind == "load" else prompt_text(request),
            "chunk_offsets_ns": offsets(self.fold.token_ns, sent_ns),
        }
        if exchange is not None:
            row |= {
                "headers_ns": exchange.headers_ns,
                "connection_reused": exchange.reused,
                "stamp_source": exchange.source,
                "read_lag_max_ns": exchange.lag_max_ns,
            }
        row |= self.fold.columns() | outcome
        for column, value in self._heads.items():
            if row.get(column) is None:
                row[column] = one_line(self._redact(value))
        return Measurement(**row)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
