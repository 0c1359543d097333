"""Made-up runs for the tests of the store: known stamps, known tokens, known scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.records import Measurement, Request, Sample, Score
from bench.runs import Header, create
from bench.runs.folder import RunStatus

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


def load_step(step: int = 0, **changes: Any) -> dict[str, Any]:
    """A valid closed step of eight streams: ten seconds, its window from 2 s to 10 s."""
    plain: dict[str, Any] = {
        "step": step, "arrivals": "closed:8", "concurrency": 8, "asked_rps": None, "delivered_rps": 10.0,
        "shape": "chat", "cache": "cold", "lane": "httpx", "workers": 1, "seed": 7,
        "fixed_lengths": True, "exact_prompts": True, "duration_s": 10.0,
        "start_ns": 0, "end_ns": 10_000 * MS, "window_start_ns": 2_000 * MS, "window_end_ns": 10_000 * MS,
        "valid": True, "reasons": [], "notes": [], "over_saturated": False,
        "slo_target": None, "slo": {"ttft_ms": 100}, "n_good": 99, "n_bad": 1, "n_left_out": 0,
        "slo_attainment": 0.99, "slo_low": 0.946, "slo_high": 0.998, "goodput_rps": 12.375, "search_verdict": None,
        "system_out_tps": 137.5, "system_in_tps": 250.0, "wasted_tps": 0.0,
        "inflight_mean": 7.9, "inflight_max": 8, "n_sent": 125, "n_failed": 0,
        "client_lag_p99_ms": 0.5, "client_busy": 0.3, "read_lag_p99_ms": 0.2, "merged_share": 0.0,
        "stamp_error_p99_ms": 0.25, "self_ttft_error_p99_ms": 0.5, "self_e2e_error_p99_ms": 0.125,
        "self_events_per_s": 60_000.0,
        "energy_j": None, "idle_power_w": None, "j_per_tok_out": None, "energy_note": None,
    }  # fmt: skip
    return {**plain, **changes}


def load_request(n: int, *, step: int = 0, sent_ms: float = 0.0, ttft_ms: float = 50.0, **changes: Any) -> Measurement:
    """Due 1 ms before it is sent; 11 tokens in 11 chunks 10 ms apart: TPOT 10, e2e `ttft_ms` + 100."""
    sent, first = round(sent_ms * MS), round((sent_ms + ttft_ms) * MS)
    plain: dict[str, Any] = {
        "request_id": f"load{step}.{n}", "request_key": f"load{step}.{n}", "kind": "load", "task": None, "doc_id": n,
        "step": step, "lane": "httpx", "worker": 0, "asked_in_tokens": 20, "asked_out_tokens": 11,
        "prompt_cache": "cold", "status": "truncated", "finish_reason": "length", "prompt": None, "answer": None,
        "sched_ns": sent - MS, "sent_ns": sent, "headers_ns": first, "first_event_ns": first, "first_token_ns": first,
        "first_answer_ns": first, "last_token_ns": first + 100 * MS, "end_ns": first + 100 * MS,
        "chunk_offsets_ns": tuple(first - sent + 10 * MS * k for k in range(11)),
    }  # fmt: skip
    return measurement(n, **{**plain, **changes})


def load_run(
    results: Path,
    run_id: str,
    steps: Sequence[dict[str, Any]],
    requests: Sequence[Measurement],
    *,
    end: RunStatus = "finished",
    **changes: Any,
) -> Path:
    """A load run as `bench load` leaves it; `requests` of kind warmup may stand among the others."""
    shape = steps[0]["shape"]
    head = header(run_id, **{"kind": "load", "suite": f"load-{shape}", "items": "made", **changes})
    with create(results, head) as run:
        for m in requests:
            run.append(replace(m, request_id=f"{run_id}-{m.request_id}"))
        (run.path / "load_steps.json").write_text(json.dumps(list(steps)))
        run.finish(end)
    return run.path
