"""vLLM: what `vllm bench serve --save-result` (and the older benchmark_serving.py) writes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

from bench.errors import ConfigError
from bench.imports.document import document
from bench.imports.nouns import (
    Imported,
    Source,
    closed,
    items,
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
from bench.records import Measurement

FORMAT = """vLLM's result (`vllm bench serve --save-result`); its requests need `--save-detailed`.

Its TTFT stops at the first chunk with `choices`, which a chat endpoint may send before any token: it becomes
`first_event`, and only on a completions endpoint `first_token` too. So of a chat run our `ttft_ms` is unknown, and
`compat.vllm.*` says what vLLM says. Files older than `start_times` don't say when a request was sent: its stamps are
unknown, and the lists stay in imported.json. Results appended to one file are steps, each with an axis of its own.
Texts of answers are not taken.
"""
PER_REQUEST = ("input_lens", "output_lens", "ttfts", "itls", "latencies", "start_times", "queue_times", "errors")
NOT_TAKEN = ("generated_texts",)
COMPLETIONS = frozenset({"vllm", "openai"})
"""Backends of the completions API, where every chunk with `choices` is one of tokens."""


def is_mine(first: Mapping[str, Any]) -> bool:
    """Whether the file's first object is of this format."""
    return "request_throughput" in first and ("num_prompts" in first or "completed" in first) and "duration" in first


def read(path: Path) -> Imported:
    """The file as our nouns; ConfigError when a list is not as long as the others."""
    found = document(path)
    results = [result for result in found.objects if is_mine(result)]
    taken = [_Result(result, path, step, found.sha256) for step, result in enumerate(results)]
    others = len(found.objects) - len(results)
    skipped = {"a line that is no vLLM result": others, "a last line that was cut off": found.torn}
    skipped["requests that only a sum speaks of (run with --save-detailed)"] = sum(t.n_undetailed for t in taken)
    first = taken[0]
    return Imported(
        source=Source(tool="vllm_bench", model=text(first.result.get("model_id")), started_at=first.started_at),
        sha256=found.sha256,
        files=(path.name,),
        requests=tuple(itertools.chain.from_iterable(t.requests() for t in taken)),
        steps=tuple(t.step_row() for t in taken),
        figures=tuple(t.figures() for t in taken),
        skipped={why: n for why, n in skipped.items() if n},
        notes=("its date names no time zone and is taken as UTC; it doesn't say its version",),
    )


class _Result:
    """One result of the file, a step of the run."""

    def __init__(self, result: Mapping[str, Any], path: Path, step: int, sha256: str) -> None:
        self.result, self.step, self.key = result, step, sha256[:12]
        self.lists = {name: items(result[name]) for name in PER_REQUEST if items(result.get(name))}
        lengths = {name: len(values) for name, values in self.lists.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{n} {name}" for name, n in lengths.items())
            raise ConfigError(f"{path}: lists of different length ({told}), so it isn't known which belong together")
        self.n = next(iter(lengths.values())) if "ttfts" in lengths else 0
        self.sent_s = [number(stamp) for stamp in self.lists.get("start_times", [])]
        queued_s = [number(value) for value in self.lists.get("queue_times", [])]
        arrived = [s - q for s, q in zip(self.sent_s, queued_s, strict=False) if s is not None and q is not None]
        self.origin_s = min([*arrived, *(s for s in self.sent_s if s is not None)], default=0.0)

    @property
    def started_at(self) -> datetime | None:
        date = text(self.result.get("date"))
        try:
            return datetime.strptime(date, "%Y%m%d-%H%M%S").replace(tzinfo=UTC) if date else None
        except ValueError:
            return None

    @property
    def n_undetailed(self) -> int:
        counts = [whole(self.result.get(name)) for name in ("completed", "failed")]
        return 0 if self.n else sum(n for n in counts if n is not None)

    def requests(self) -> Iterator[Measurement]:
        for n in range(self.n):
            yield self._request(n, {name: values[n] for name, values in self.lists.items()})

    def _request(self, n: int, row: Mapping[str, Any]) -> Measurement:
        error = said(row.get("errors"))
        ttft_s = number(row.get("ttfts"))
        failed = bool(error) or not ttft_s
        key = f"{self.key}-{self.step}-{n}"
        return Measurement(
            request_id=key,
            request_key=key,
            target_id="",
            kind="load",
            step=self.step,
            doc_id=n,
            status="http_error" if failed else "ok",
            error=error or ("no answer, and no word why" if failed else None),
            started_at=utc(self.started_at),
            in_tokens=whole(row.get("input_lens")),
            out_tokens=None if failed else whole(row.get("output_lens")),
            sent_ns=self._sent_ns(n),
            **({} if failed else self._stamps(self._sent_ns(n), row)),
        )

    def _sent_ns(self, n: int) -> int | None:
        return ns(self.sent_s[n], self.origin_s) if self.sent_s else None

    def _stamps(self, sent_ns: int | None, row: Mapping[str, Any]) -> dict[str, Any]:
        """Chunk by chunk where all chunks are tokens. The end is the last chunk with `choices`."""
        offsets = offsets_ns([ns(number(gap)) for gap in (row.get("ttfts"), *items(row.get("itls")))])
        latency_ns = ns(number(row.get("latencies")))
        of_tokens = text(self.result.get("backend") or self.result.get("endpoint_type")) in COMPLETIONS
        known: dict[str, Any] = {"chunks": len(offsets), "chunk_offsets_ns": offsets} if of_tokens else {}
        if sent_ns is None or not offsets:
            return known
        ended_ns = offsets[-1] if len(offsets) > 1 or latency_ns is None else latency_ns
        known |= {"first_event_ns": sent_ns + offsets[0], "end_ns": sent_ns + ended_ns}
        if of_tokens:
            known |= {"first_token_ns": sent_ns + offsets[0], "last_token_ns": sent_ns + offsets[-1]}
        return known

    def step_row(self) -> dict[str, Any]:
        duration_s = number(self.result.get("duration"))
        return step_row(
            self.step,
            **self._arrivals(),
            start_ns=0,
            end_ns=ns(duration_s),
            n_sent=self.n or whole(self.result.get("num_prompts")),
            n_failed=sum(m.status != "ok" for m in self.requests()) if self.n else whole(self.result.get("failed")),
            notes=list(self._notes()),
        )

    def _arrivals(self) -> dict[str, Any]:
        rate, cap = number(self.result.get("request_rate")), whole(self.result.get("max_concurrency"))
        burstiness = number(self.result.get("burstiness"))
        if rate is None:
            return closed(cap if cap is not None else whole(self.result.get("num_prompts")))
        if self.result.get("burstiness") == inf:
            return open_loop("constant", rate)
        if burstiness is not None and burstiness > 0 and burstiness != 1:
            return open_loop("gamma", rate, burstiness**-0.5)
        return open_loop("poisson", rate)

    def _notes(self) -> Iterator[str]:
        rate, cap = number(self.result.get("request_rate")), whole(self.result.get("max_concurrency"))
        if rate is None and cap is None:
            yield "all requests were sent at once"
        if rate is not None and cap is not None:
            yield f"never more than {cap} under way: arrivals waited for answers"
        if text(self.result.get("ramp_up_strategy")):
            yield f"the rate was ramped up ({self.result['ramp_up_strategy']})"
        if self.n and not self.sent_s:
            yield "the file doesn't say when requests were sent, so their stamps are unknown; see imported.json"

    def figures(self) -> dict[str, Any]:
        """Everything it printed; the lists only where they did not become stamps."""
        left = set(NOT_TAKEN) | (set(PER_REQUEST) if self.sent_s else set())
        return {name: value for name, value in self.result.items() if name not in left}
