"""aiperf 0.13.0: `profile_export.jsonl` (a record per request) and `profile_export_aiperf.json` (the summary)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.errors import ConfigError
from bench.imports.document import Document, document
from bench.imports.nouns import (
    LONGEST_NS,
    Imported,
    Source,
    closed,
    items,
    mapping,
    moment,
    ns,
    number,
    offsets_ns,
    open_loop,
    said,
    step_row,
    text,
    utc,
    whole,
)
from bench.records import Measurement, Status

FORMAT = """aiperf's `profile_export.jsonl` or `profile_export_aiperf.json` (0.13.0); the other beside it is taken, too.

Its records have a wall-clock start and durations; here `sent` is that start on an axis that begins with the file's
earliest, and the other stamps follow by its durations. Chunks and their gaps are its content responses. It doesn't say
when a request was due, so `sched` is unknown. Warm-up requests are kept as such, outside of every step.
"""
RECORDS, SUMMARY = "profile_export.jsonl", "profile_export_aiperf.json"
ERRORS: tuple[tuple[str, Status], ...] = (
    ("timeout", "timeout"),
    ("connector", "connect_error"),
    ("connectionrefused", "connect_error"),
    ("payload", "stream_cut"),
    ("disconnected", "stream_cut"),
    ("connectionreset", "stream_cut"),
    ("json", "garbled"),
    ("invalidinferenceresult", "garbled"),
)
"""What the error's type holds -> our status; anything else is `http_error`."""


def is_mine(first: Mapping[str, Any]) -> bool:
    """Whether the file's first object is of this format."""
    return _is_record(first) or _is_summary(first)


def read(path: Path) -> Imported:
    """One file, and the other of the pair where it lies beside it and counts the same requests."""
    named = document(path)
    other, notes = _other(named)
    records, summary = (named, other) if _is_record(named.first) else (other, named)
    said_of = summary.first if summary else {}
    taken = _Records(records.objects if records else (), (records or named).sha256)
    rows = taken.requests()
    skipped = {
        "a last line that was cut off": records.torn if records else 0,
        "a line without the stamps of a request": taken.n_broken,
        "requests that only the summary speaks of (keep profile_export.jsonl beside it)": (
            0 if records else _n_requests(said_of)
        ),
    }
    run_info = mapping(said_of.get("run_info"))
    return Imported(
        source=Source(
            tool="aiperf",
            version=text(said_of.get("aiperf_version")),
            model=_model(said_of),
            started_at=moment(taken.origin_ns / 1e9) or _time(said_of.get("start_time")),
            seed=whole(run_info.get("random_seed")),
        ),
        sha256=(records or named).sha256,
        files=tuple(d.path.name for d in (records, summary) if d is not None),
        requests=tuple(rows),
        steps=tuple(_steps(rows, taken, said_of)),
        figures=(_figures(said_of),) if summary else (),
        skipped={why: n for why, n in skipped.items() if n},
        notes=notes,
    )


def _is_record(first: Mapping[str, Any]) -> bool:
    return isinstance(first.get("metadata"), dict) and "request_start_ns" in first["metadata"] and "metrics" in first


def _is_summary(first: Mapping[str, Any]) -> bool:
    return "aiperf_version" in first or ("input_config" in first and "request_throughput" in first)


def _other(named: Document) -> tuple[Document | None, tuple[str, ...]]:
    """The other file of the pair, if it is there and of the same run; a note if it is there and isn't."""
    path = named.path.with_name(SUMMARY if _is_record(named.first) else RECORDS)
    if path == named.path or not path.is_file():
        return None, ()
    try:
        other = document(path)
    except ConfigError as error:
        return None, (f"not taken: {error}",)
    records, summary = (named, other) if _is_record(named.first) else (other, named)
    if not _is_record(records.first) or not _is_summary(summary.first):
        return None, (f"not taken: {path.name} beside it is no file of aiperf's",)
    n_records = sum(_phase(record) != "warmup" for record in records.objects)
    if n_records != _n_requests(summary.first):
        told = f"{_n_requests(summary.first)} requests in the summary, {n_records} records"
        return None, (f"not taken: {path.name} beside it is of another run ({told})",)
    return other, ()


def _n_requests(summary: Mapping[str, Any]) -> int:
    counts = (number(mapping(summary.get(name)).get("avg")) for name in ("request_count", "error_request_count"))
    return sum(int(count) for count in counts if count is not None)


def _model(summary: Mapping[str, Any]) -> str | None:
    models = items(mapping(mapping(summary.get("input_config")).get("models")).get("items"))
    names = [name for model in models if (name := text(mapping(model).get("name")))]
    return ",".join(names) or None


def _time(value: Any) -> datetime | None:
    """A time as the summary has it: without a zone it is the machine's, which is not known; taken as UTC."""
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else datetime.fromisoformat(f"{value}+00:00")


def _phase(record: Mapping[str, Any]) -> str:
    return text(mapping(record.get("metadata")).get("benchmark_phase")) or "profiling"


# ----------------------------------------------------------------------------------------------------------- requests


class _Records:
    """The lines of profile_export.jsonl."""

    def __init__(self, objects: Iterable[Mapping[str, Any]], sha256: str) -> None:
        every = list(objects)
        self.records = sorted((r for r in every if _is_record(r) and _start_ns(r) is not None), key=_sort_key)
        self.n_broken = len(every) - len(self.records)
        self.origin_ns = _start_ns(self.records[0]) or 0 if self.records else 0
        self._key = sha256[:12]

    def requests(self) -> list[Measurement]:
        return [self._request(n, record) for n, record in enumerate(self.records)]

    def _request(self, n: int, record: Mapping[str, Any]) -> Measurement:
        metadata, metrics = mapping(record.get("metadata")), mapping(record.get("metrics"))
        warm_up = _phase(record) == "warmup"
        error = mapping(record.get("error"))
        sent_ns = (_start_ns(record) or 0) - self.origin_ns
        ended = whole(metadata.get("request_end_ns"))
        return Measurement(
            request_id=f"{self._key}-{n}",
            request_key=f"{self._key}-{n}",
            target_id="",
            kind="warmup" if warm_up else "load",
            step=None if warm_up else whole(metadata.get("profiling_index")) or 0,
            doc_id=n,
            status=_status(metadata, error),
            http_status=whole(error.get("code")),
            error=said(error.get("message")) if error else None,
            sent_ns=sent_ns,
            headers_ns=_less(whole(metadata.get("request_ack_ns")), self.origin_ns),
            end_ns=_less(ended, self.origin_ns),
            started_at=utc(moment((_start_ns(record) or 0) / 1e9)),
            response_id=None,
            **_stamps(metrics, sent_ns),
            **_tokens(metrics),
        )


def _start_ns(record: Mapping[str, Any]) -> int | None:
    return whole(mapping(record.get("metadata")).get("request_start_ns"))


def _sort_key(record: Mapping[str, Any]) -> int:
    return _start_ns(record) or 0


def _less(stamp: int | None, origin: int) -> int | None:
    return None if stamp is None or abs(stamp - origin) >= LONGEST_NS else stamp - origin


def _value(metrics: Mapping[str, Any], name: str) -> Any:
    return mapping(metrics.get(name)).get("value")


def _after_ns(metrics: Mapping[str, Any], name: str) -> int | None:
    """A duration of a record [ns]; it writes milliseconds, and says so."""
    return _ms_as_ns(_value(metrics, name)) if mapping(metrics.get(name)).get("unit") == "ms" else None


def _ms_as_ns(value: Any) -> int | None:
    found = number(value)
    return None if found is None else ns(found / 1e3)


def _stamps(metrics: Mapping[str, Any], sent_ns: int) -> dict[str, Any]:
    first, answer = _after_ns(metrics, "time_to_first_token"), _after_ns(metrics, "time_to_first_output_token")
    last = _after_ns(metrics, "request_latency")
    offsets = offsets_ns([first, *map(_ms_as_ns, items(_value(metrics, "inter_chunk_latency")))])
    return {
        "first_token_ns": None if first is None else sent_ns + first,
        "first_answer_ns": None if answer is None else sent_ns + answer,
        "last_token_ns": None if last is None or first is None else sent_ns + last,
        "chunks": len(offsets),
        "chunk_offsets_ns": offsets,
    }


def _tokens(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The server's counts where it gave them, else those of aiperf's tokenizer."""
    served = whole(_value(metrics, "usage_completion_tokens"))
    counted = whole(_value(metrics, "output_sequence_length"))
    asked = whole(_value(metrics, "usage_prompt_tokens"))
    out_tokens = counted if served is None else served
    return {
        "in_tokens": whole(_value(metrics, "input_sequence_length")) if asked is None else asked,
        "in_cached_tokens": whole(_value(metrics, "usage_prompt_cache_read_tokens")),
        "out_tokens": out_tokens,
        "reasoning_tokens": whole(_value(metrics, "reasoning_token_count")),
        "tokens_source": None if out_tokens is None else "client" if served is None else "server",
    }


def _status(metadata: Mapping[str, Any], error: Mapping[str, Any]) -> Status:
    if metadata.get("was_cancelled") is True:
        return "cancelled"
    if not error:
        return "ok"
    kind = str(error.get("type") or "").casefold()
    return next((ours for words, ours in ERRORS if words in kind), "http_error")


# -------------------------------------------------------------------------------------------------------------- steps


def _steps(rows: list[Measurement], taken: _Records, summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One per profiling phase; without records, one."""
    phases = [mapping(p) for p in items(mapping(summary.get("input_config")).get("phases"))]
    phases = [phase for phase in phases if phase.get("kind") != "warmup"]
    numbers = sorted({row.step for row in rows if row.step is not None}) or [0]
    found = []
    for step in numbers:
        phase = phases[step] if step < len(phases) else {}
        mine = [row for row in rows if row.step == step]
        found.append(step_row(step, **_arrivals(phase), duration_s=number(phase.get("duration")), **_counts(mine)))
        found[-1] |= _times(mine, taken, summary if len(numbers) == 1 else {})
    return found


def _counts(mine: list[Measurement]) -> dict[str, Any]:
    failed = sum(row.status not in ("ok", "cancelled") for row in mine)
    return {"n_sent": len(mine), "n_failed": failed} if mine else {}


def _times(mine: list[Measurement], taken: _Records, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Start and end of the phase: as long as the summary says, else from the first sending to the last end."""
    begin, end = _time(summary.get("start_time")), _time(summary.get("end_time"))
    sent = [row.sent_ns for row in mine if row.sent_ns is not None]
    ended = [row.end_ns for row in mine if row.end_ns is not None]
    if begin is not None and end is not None and end > begin:
        last = max(ended, default=None)
        whole_ns = round((end - begin).total_seconds() * 1e9)
        start = 0 if last is None else last - whole_ns
        return {"start_ns": start, "end_ns": start + whole_ns}
    return {"start_ns": min(sent, default=None), "end_ns": max(ended, default=None)}


def _arrivals(phase: Mapping[str, Any]) -> dict[str, Any]:
    kind, rate = text(phase.get("type")), number(phase.get("rate"))
    match kind:
        case "concurrency":
            return closed(whole(phase.get("concurrency")))
        case "poisson" | "constant":
            return open_loop(kind, rate)
        case "gamma":
            smoothness = number(phase.get("smoothness"))
            return open_loop(kind, rate, smoothness**-0.5 if smoothness else None)
        case _:
            return {"arrivals": kind or "unknown"}


def _figures(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Every metric of the summary, and whether it is complete; nothing of the configuration but its phases."""
    metrics = {name: value for name, value in summary.items() if "unit" in mapping(value)}
    phases = mapping(summary.get("input_config")).get("phases")
    rest = ("was_cancelled", "is_complete", "incomplete_reason", "start_time", "end_time", "warmup_metrics")
    return {"phases": phases, **{name: summary[name] for name in rest if name in summary}, **metrics}
