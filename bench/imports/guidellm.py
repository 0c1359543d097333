"""guidellm: `benchmarks.json`, report version 2, as guidellm 0.8.1 writes it with `--output kind=json`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.errors import ConfigError
from bench.imports.document import document
from bench.imports.nouns import (
    Imported,
    Source,
    closed,
    items,
    mapping,
    moment,
    ns,
    number,
    open_loop,
    said,
    step_row,
    text,
    utc,
    whole,
)
from bench.records import Measurement, Status

FORMAT = """guidellm's report (`benchmarks.json`, report version 2: guidellm 0.8.1); each of its benchmarks is a step.

Its stamps are wall-clock times; here they are nanoseconds since the file's earliest. `sched` is its targeted start
where the strategy has a schedule (constant, poisson, trace). `end` is when the stream was closed, a little after the
finish reason. Texts of prompts and answers are not taken.
"""
REPORT = 2
FIGURES = ("metrics", "scheduler_metrics", "start_time", "end_time", "duration", "warmup_duration", "cooldown_duration")
SCHEDULED = frozenset({"constant", "poisson", "trace"})
STATUSES: tuple[tuple[str, Status], ...] = (
    ("successful", "ok"),
    ("incomplete", "cancelled"),
    ("errored", "http_error"),
)
ERRORS: tuple[tuple[str, Status], ...] = (
    (r"ConnectError|ConnectTimeout|ConnectionRefused", "connect_error"),
    (r"Timeout", "timeout"),
    (r"ReadError|RemoteProtocolError|ConnectionReset", "stream_cut"),
    (r"JSONDecodeError|UnicodeDecodeError|UNUSABLE_BACKEND_RESPONSE", "garbled"),
)
"""What its error text holds -> our status; anything else is `http_error`."""


def is_mine(first: Mapping[str, Any]) -> bool:
    """Whether the file's first object is of this format."""
    return isinstance(first.get("benchmarks"), list) and ("metadata" in first or "args" in first or "config" in first)


def read(path: Path) -> Imported:
    """The file as our nouns; ConfigError when its report version is another, or it holds no benchmark."""
    found = document(path)
    report = found.first
    metadata = mapping(report.get("metadata"))
    benchmarks = [mapping(b) for b in items(report.get("benchmarks"))]
    if metadata.get("version") != REPORT:
        version = metadata.get("version", "before 1")
        told = f"{path}: guidellm report version {version}; this reads version {REPORT} (guidellm 0.8.1): run it again"
        raise ConfigError(told)
    if not benchmarks:
        raise ConfigError(f"{path}: a guidellm report without a benchmark; nothing ran, so there is nothing to import")
    origin = _origin(benchmarks)
    rows = list(_requests(benchmarks, origin, found.sha256))
    skipped = sum(not isinstance(row, Measurement) for row in rows)
    return Imported(
        source=_source(report, benchmarks, origin),
        sha256=found.sha256,
        files=(path.name,),
        requests=tuple(row for row in rows if row is not None),
        steps=tuple(_step(i, benchmark, origin) for i, benchmark in enumerate(benchmarks)),
        figures=tuple(_figures(benchmark) for benchmark in benchmarks),
        skipped={"no object where a request is expected": skipped} if skipped else {},
        notes=(*_sampled(benchmarks),),
    )


def _source(report: Mapping[str, Any], benchmarks: list[Mapping[str, Any]], origin: float) -> Source:
    spec = mapping(mapping(report.get("config")).get("spec"))
    backend = mapping(spec.get("backend")) or mapping(mapping(benchmarks[0].get("config")).get("backend"))
    return Source(
        tool="guidellm",
        version=text(mapping(report.get("metadata")).get("guidellm_version")),
        model=text(backend.get("model")),
        started_at=moment(origin),
        seed=whole(mapping(spec.get("seed")).get("value")),
    )


def _origin(benchmarks: list[Mapping[str, Any]]) -> float:
    """The earliest stamp of the file [s since 1970]: of a benchmark's start, or of a request due or sent."""
    stamps = [number(benchmark.get("start_time")) for benchmark in benchmarks]
    for benchmark in benchmarks:
        for row, _ in _rows(benchmark):
            timings = mapping(mapping(row.get("info")).get("timings"))
            stamps.append(number(timings.get("request_start")))
            if _strategy(benchmark)[0] in SCHEDULED:
                stamps.append(number(timings.get("targeted_start")))
    return min((stamp for stamp in stamps if stamp is not None and stamp > 0), default=0.0)


def _rows(benchmark: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Status]]:
    for group, status in STATUSES:
        for row in items(mapping(benchmark.get("requests")).get(group)):
            yield mapping(row), status


def _requests(benchmarks: list[Mapping[str, Any]], origin: float, sha256: str) -> Iterator[Measurement | None]:
    """Step by step in the order they were sent; None for what is no request."""
    for step, benchmark in enumerate(benchmarks):
        scheduled = _strategy(benchmark)[0] in SCHEDULED
        rows = sorted(_rows(benchmark), key=lambda pair: _stamps(pair[0]).get("request_start") or 0.0)
        for n, (row, status) in enumerate(rows):
            key = f"{sha256[:12]}-{step}-{n}"
            yield _measurement(row, status, origin, key, step, n, scheduled) if row else None


def _stamps(row: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: number(value) for name, value in mapping(mapping(row.get("info")).get("timings")).items()}


def _measurement(
    row: Mapping[str, Any], status: Status, origin: float, key: str, step: int, n: int, scheduled: bool
) -> Measurement:
    at = {name: ns(value, origin) for name, value in _stamps(row).items()}
    error = said(mapping(row.get("info")).get("error"))
    asked, told = mapping(row.get("input_metrics")), mapping(row.get("output_metrics"))
    out_tokens = whole(told.get("total_tokens"))
    began = number(row.get("request_start_time")) or origin
    return Measurement(
        request_id=key,
        request_key=key,
        target_id="",
        kind="load",
        step=step,
        doc_id=n,
        status=_status(status, error),
        http_status=_http_status(error),
        error=error if error else "cut off by the end of the benchmark" if status == "cancelled" else None,
        sched_ns=at.get("targeted_start") if scheduled else None,
        sent_ns=at.get("request_start"),
        first_event_ns=at.get("first_request_iteration"),
        first_token_ns=at.get("first_token_iteration"),
        first_answer_ns=at.get("first_output_token_iteration"),
        last_token_ns=at.get("last_token_iteration"),
        end_ns=at["request_end"] if at.get("request_end") is not None else at.get("resolve_end"),
        started_at=utc(moment(began)),
        in_tokens=whole(asked.get("total_tokens")),
        in_cached_tokens=whole(asked.get("cached_tokens")),
        out_tokens=out_tokens,
        tokens_source="server" if out_tokens is not None else None,
        chunks=whole(mapping(mapping(row.get("info")).get("timings")).get("token_iterations")) or 0,
        response_id=text(row.get("response_id")),
    )


def _status(status: Status, error: str | None) -> Status:
    if status != "http_error" or error is None:
        return status
    return next((ours for words, ours in ERRORS if re.search(words, error)), status)


def _http_status(error: str | None) -> int | None:
    found = re.search(r"HTTPStatusError.*?error '(\d{3})\b", error or "")
    return int(found[1]) if found else None


def _strategy(benchmark: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    strategy = mapping(mapping(benchmark.get("config")).get("strategy"))
    return text(strategy.get("type_")) or "unknown", strategy


def _arrivals(kind: str, strategy: Mapping[str, Any]) -> dict[str, Any]:
    match kind:
        case "synchronous":
            return closed(1)
        case "concurrent":
            return closed(whole(strategy.get("streams")))
        case "throughput":
            return closed(whole(strategy.get("max_concurrency")))
        case "constant" | "poisson":
            return open_loop(kind, number(strategy.get("rate")))
        case _:
            return {"arrivals": kind}


def _step(step: int, benchmark: Mapping[str, Any], origin: float) -> dict[str, Any]:
    constraints = mapping(mapping(benchmark.get("config")).get("constraints"))
    limit = mapping(mapping(constraints.get("max_duration")).get("args"))
    statuses = [status for _, status in _rows(benchmark)]
    return step_row(
        step,
        **_arrivals(*_strategy(benchmark)),
        duration_s=number(limit.get("seconds")),
        start_ns=ns(number(benchmark.get("start_time")), origin),
        end_ns=ns(number(benchmark.get("end_time")), origin),
        n_sent=len(statuses),
        n_failed=sum(status == "http_error" for status in statuses),
        notes=[told for w in items(benchmark.get("warnings")) if (told := said(mapping(w).get("message")))],
    )


def _figures(benchmark: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: benchmark[name] for name in FIGURES if name in benchmark}
    return {"strategy": _strategy(benchmark)[1], **kept}


def _sampled(benchmarks: list[Mapping[str, Any]]) -> Iterator[str]:
    """Where the file keeps fewer requests than it counted (`sample_size`)."""
    for step, benchmark in enumerate(benchmarks):
        n_made = whole(mapping(mapping(benchmark.get("metrics")).get("request_totals")).get("total"))
        n_kept = sum(1 for _ in _rows(benchmark))
        if n_made is not None and n_kept < n_made:
            yield f"step {step}: the file holds {n_kept} of the {n_made} requests its figures are of"
