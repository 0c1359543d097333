"""`bench load` as a user runs it, through its own processes: what its run folder says of each request."""

from __future__ import annotations

from pathlib import Path

from peers import Seen

NEEDED = ("request_id", "kind", "status", "sent_ns", "first_token_ns", "end_ns", "chunks")


def seen_in(run: Path) -> list[Seen]:
    """The whole answers of a finished load run, its warm-up left out."""
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
        if row["kind"] == "load" and row["status"] in ("ok", "truncated")
    ]
