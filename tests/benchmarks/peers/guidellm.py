"""GuideLLM: its own streams, stamps (wall clock, after httpx has made lines) and per-request figures.

It sends no request id, so a request is known by its prompt. Its end-to-end time lasts until the stream is over.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from peers import Heard, Load, Seen
from peers.programs import prompts, run, tokenizer


def heard(executable: Path, load: Load, folder: Path) -> Heard:
    count = (load.rounds + 1) * load.streams
    prompts(folder / "prompts.jsonl", count)
    options = {
        "--backend": {
            "kind": "openai_http",
            "target": load.url.removesuffix("/v1"),
            "model": load.model,
            "validate_backend": False,
        },
        "--profile": {"kind": "concurrent", "streams": load.streams},
        "--constraint": {"kind": "max_requests", "count": count},
        "--tokenizer": {"kind": "huggingface_auto", "model": str(tokenizer(folder / "tokenizer"))},
        "--data": {"kind": "json_file", "path": str(folder / "prompts.jsonl")},
        "--output": {"kind": "json", "path": str(folder / "report.json")},
    }
    command = [str(executable), "run", "--disable-console"]
    for option, value in options.items():
        command += [option, json.dumps(value)]
    run(command, load, folder, HF_HUB_OFFLINE="1", HF_HOME=str(folder / "hub"))
    (benchmark,) = json.loads((folder / "report.json").read_text())["benchmarks"]
    rows = sorted(benchmark["requests"]["successful"], key=lambda row: row["request_start_time"])
    return Heard(seen=[_seen(row) for row in rows[load.streams :]], until="done")


def _seen(row: dict[str, Any]) -> Seen:
    (message,) = json.loads(row["request_args"])["body"]["messages"]
    (part,) = message["content"]
    return Seen(
        request_id=part["text"],
        ttft_ns=round(row["time_to_first_token_ms"] * 1e6),
        e2e_ns=round(row["request_latency"] * 1e9),
        chunks=row["output_tokens"],
    )
