"""`bench load` as a user runs it, through its own processes: what its run folder says of each request."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import parse_qsl

from peers import Heard, Load, Seen
from peers.programs import run

NEEDED = ("request_id", "kind", "status", "doc_id", "sent_ns", "first_token_ns", "end_ns", "chunks")
BENCH = "import sys; sys.path.insert(0, {root!r}); from bench.cli import main; main()"


def heard(load: Load, folder: Path, *, lane: str = "httpx") -> Heard:
    """One step of so many streams, long enough for all rounds and the one that warms up."""
    plan = dict(parse_qsl(load.model.partition("?")[2]))
    answer_s = (float(plan["ttft_ms"]) + float(plan["gap_ms"]) * int(plan["tokens"])) / 1000
    command = [
        sys.executable, "-c", BENCH.format(root=str(Path(__file__).parents[3])), "load",
        "-t", f"{load.url}#{load.model}", "--arrivals", f"closed:{load.streams}", "--shape", "20x4096",
        "--duration", str(round((load.rounds + 4) * answer_s + 2, 1)), "--client", lane,
        "--no-self-check", "--results", str(folder / "results"),
    ]  # fmt: skip
    run(command, load, folder)
    (done,) = (folder / "results" / "runs").iterdir()
    return Heard(seen=seen_in(done, load.streams))


def seen_in(run: Path, warm: int) -> list[Seen]:
    """The whole answers of a finished load run, without the first `warm` requests."""
    import pyarrow.parquet as pq

    rows = pq.read_table(run / "requests.parquet", columns=list(NEEDED)).to_pylist()
    return [
        Seen(
            request_id=row["request_id"],
            ttft_ns=row["first_token_ns"] - row["sent_ns"],
            e2e_ns=row["end_ns"] - row["sent_ns"],
            chunks=row["chunks"],
        )
        for row in rows
        if row["kind"] == "load" and row["status"] in ("ok", "truncated") and row["doc_id"] >= warm
    ]
