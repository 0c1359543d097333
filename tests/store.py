"""Made-up runs for the tests of the store: known stamps, known tokens, known scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.records import Measurement, Request, Sample, Score
from bench.runs import Header, create

MS = 1_000_000
TARGET = {
    "id": "embedded:nano",
    "layer": "reference",
    "engine": "embedded",
    "model": "nano",
    "wire": "openai_chat",
    "base_url": None,
    "options": {"temperature": 0.0},
}


def header(run_id: str = "20261101T120000000Z-quick-nano-aaaa", **changes: Any) -> Header:
    plain: dict[str, Any] = {
        "run_id": run_id,
        "kind": "quality",
        "suite": "quick",
        "suite_version": "1",
        "suite_hash": "s" * 64,
        "target": TARGET,
        "fingerprint": "f" * 64,
        "seed": 0,
        "repeats": 1,
        "limit": None,
        "items": "frozen",
        "machine": {"cores": 2},
        "versions": {"gapbench": "0.1.0"},
        "git_sha": None,
        "started_at": "2026-11-01T12:00:00.000000Z",
    }
    return Header(**{**plain, **changes})


def request(n: int, attempt: int = 0) -> Request:
    return Request(
        request_id=f"r{n}.{attempt}",
        request_key=f"key{n}",
        prompt=f"copy: {n}",
        task="quick_copy",
        doc_id=n,
        attempt=attempt,
    )


def measurement(n: int, attempt: int = 0, **changes: Any) -> Measurement:
    """Due at 0 ms, sent at 1 ms, first token 51 ms, 11 tokens 10 ms apart, end at 151 ms: TTFT 50, TPOT 10, e2e 150."""
    plain = Measurement(
        request_id=f"r{n}.{attempt}",
        target_id="embedded:nano",
        request_key=f"key{n}",
        attempt=attempt,
        kind="quality",
        task="quick_copy",
        doc_id=n,
        status="ok",
        http_status=200,
        sched_ns=0,
        sent_ns=1 * MS,
        headers_ns=40 * MS,
        first_event_ns=50 * MS,
        first_token_ns=51 * MS,
        first_answer_ns=51 * MS,
        last_token_ns=151 * MS,
        end_ns=151 * MS,
        started_at=f"2026-11-01T12:00:{n % 60:02d}.{attempt:06d}Z",
        in_tokens=20,
        out_tokens=11,
        tokens_source="server",
        chunks=11,
        finish_reason="stop",
        prompt=f"copy: {n}",
        answer=f"{n}",
        chunk_offsets_ns=tuple(50 * MS + 10 * MS * k for k in range(11)),
    )
    return replace(plain, **changes)


def sample(n: int, value: float | None = 1.0, **changes: Any) -> Sample:
    plain = Sample(
        task="quick_copy",
        doc_id=n,
        item_id=f"copy/{n}",
        repeat=0,
        metric="acc",
        state="scored" if value is not None else "unscored_error",
        value=value,
        answer=f"{n}",
        expected=f"{n}",
        reason="right",
        request_id=f"r{n}.0",
        cluster=f"level{n % 3}",
    )
    return replace(plain, **changes)


def sealed(results: Path, head: Header, attempts: Sequence[Measurement], samples: Sequence[Sample] = ()) -> Path:
    """A finished run, whole: without `samples` it has one, of no request."""
    samples = samples or [sample(0, request_id=None)]
    with create(results, head) as run:
        for m in attempts:
            run.append(m)
        run.write_samples(samples)
        run.write_scores(counted(samples))
        run.finish()
    return run.path


def counted(samples: Sequence[Sample]) -> list[Score]:
    """A score per task and metric with its counts, as `bench.stats.scores` gives it; without an interval."""
    found = []
    for task, metric in dict.fromkeys((s.task, s.metric) for s in samples):
        values = [s.value for s in samples if (s.task, s.metric) == (task, metric)]
        known = [value for value in values if value is not None]
        found.append(
            Score(
                task=task,
                metric=metric,
                value=sum(known) / len(known) if known else None,
                stderr=None,
                ci_low=None,
                ci_high=None,
                n=len(known),
                n_unscored=len(values) - len(known),
                low_bound=None,
                high_bound=None,
                method="none (a test)",
            )
        )
    return found
