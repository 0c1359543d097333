"""AIPerf: its own workers, stamps (`perf_counter_ns` as aiohttp reads) and per-request figures.

Its request ids are in the server's log. Its end-to-end time lasts until the last token.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from peers import Heard, Load, Seen
from peers.programs import prompts, run, tokenizer


def heard(executable: Path, load: Load, folder: Path) -> Heard:
    prompts(folder / "prompts.jsonl", (load.rounds + 1) * load.streams)
    options = {
        "--model": load.model,
        "--url": load.url.removesuffix("/v1"),
        "--endpoint-type": "chat",
        "--input-file": str(folder / "prompts.jsonl"),
        "--custom-dataset-type": "single_turn",
        "--tokenizer": str(tokenizer(folder / "tokenizer")),
        "--concurrency": str(load.streams),
        "--request-count": str(load.rounds * load.streams),
        "--warmup-request-count": str(load.streams),
        "--artifact-dir": str(folder / "artifacts"),
        "--ui": "none",
    }
    flags = ["--streaming", "--use-server-token-count", "--no-server-metrics", "--no-gpu-telemetry"]
    named = [text for option in options.items() for text in option]
    run([str(executable), "profile", *named, *flags], load, folder, HF_HOME=str(folder / "hub"))
    lines = (folder / "artifacts" / "profile_export.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row["metadata"]["benchmark_phase"] == "profiling"]
    return Heard(seen=[_seen(row) for row in rows if "time_to_first_token" in row["metrics"]], until="token")


def _seen(row: dict[str, Any]) -> Seen:
    ms = {name: row["metrics"][name]["value"] for name in ("time_to_first_token", "request_latency")}
    return Seen(
        request_id=row["metadata"]["x_request_id"],
        ttft_ns=round(ms["time_to_first_token"] * 1e6),
        e2e_ns=round(ms["request_latency"] * 1e6),
        chunks=int(row["metrics"]["output_sequence_length"]["value"]),
    )
