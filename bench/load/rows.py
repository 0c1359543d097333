"""The rows of one step as they come in, kept small: stamps as numbers, tokens as a count per bin of time.

A million requests are some 120 MB here, and their tokens cost nothing.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from bench.records import ANSWERED

if TYPE_CHECKING:
    import numpy as np

BIN_NS = 50_000_000
"""The steady window begins and ends at multiples of this from the step's start."""
STAMPS = ("sched_ns", "sent_ns", "first_event_ns", "first_token_ns", "first_answer_ns", "last_token_ns", "end_ns")
COUNTS = ("doc_id", "in_tokens", "in_cached_tokens", "out_tokens", "reasoning_tokens", "chunks", "read_lag_max_ns")
DERIVED = ("merged_reads", "first_merged", "by_read", "reused")
"""`first_merged`: tokens that came in one read with the first, after it."""
MOST_MERGED = 64
UNKNOWN = -1
MOST = 1 << 62
"""A count beyond this is nonsense that some server said: unknown."""


class StepRows:
    """Rows of one step. `columns` gives arrays, `tokens` the credit by bins."""

    def __init__(self, start_ns: int) -> None:
        self.start_ns = start_ns
        self.statuses: list[str] = []
        self.failures: Counter[str] = Counter()
        """What failed requests said, shortened to what they have in common."""
        self.models: Counter[str] = Counter()
        self.n_unstamped = 0
        """Rows not stamped by the kernel."""
        self._columns = {name: array("q") for name in (*STAMPS, *COUNTS, *DERIVED)}
        self._out = Credit()
        self._in = Credit()
        self._loose = Credit()
        """Chunks of answers whose tokens nobody counted: cut off by us, or without usage."""
        self._waste = Credit()
        """Chunks of answers that failed."""
        self._chunks_known = self._tokens_known = 0

    def __len__(self) -> int:
        return len(self.statuses)

    def add(self, row: dict[str, Any]) -> None:
        status = row["status"]
        self.statuses.append(status)
        offsets: Sequence[int] = row.get("chunk_offsets_ns") or ()
        row["first_merged"] = sum(1 for offset in islice(offsets, 1, MOST_MERGED) if offset == offsets[0])
        row["by_read"] = row.get("stamp_source") not in ("kernel", None)
        row["reused"] = bool(row.get("connection_reused"))
        for name, column in self._columns.items():
            value = row.get(name)
            column.append(value if value is not None and abs(value) < MOST else UNKNOWN)
        if status not in ANSWERED and status != "cancelled":
            self.failures[f"{status}{_of(row)}"] += 1
        if row.get("response_model"):
            self.models[row["response_model"]] += 1
        self.n_unstamped += row["by_read"]
        self._credit(row, status)

    def _credit(self, row: dict[str, Any], status: str) -> None:
        offsets = row.get("chunk_offsets_ns") or []
        if not offsets:
            return
        base = row["sent_ns"] - self.start_ns
        bins = [(base + offset) // BIN_NS for offset in offsets]
        good = status in ANSWERED or status == "cancelled"
        tokens = row.get("out_tokens")
        tokens = tokens if tokens is not None and tokens < MOST else None
        if status in ANSWERED and tokens is not None and not _hidden(row):
            self._chunks_known += len(bins)
            self._tokens_known += tokens
            self._out.add(bins, tokens / len(bins))
        else:
            (self._loose if good else self._waste).add(bins, 1.0)
        in_tokens = row.get("in_tokens")
        if in_tokens is None and status == "cancelled":
            in_tokens = row.get("asked_in_tokens")
        if good and in_tokens is not None and in_tokens < MOST:
            self._in.add(bins[:1], in_tokens)

    @property
    def tokens_per_chunk(self) -> float:
        return self._tokens_known / self._chunks_known if self._chunks_known else 1.0

    def tokens(self, n_bins: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(output, input, wasted) tokens credited in each of the first bins. An answer cut off by the end of the step
        was being made all the same; tokens of failed answers are wasted."""
        each = self.tokens_per_chunk
        out = self._out.array(n_bins) + each * self._loose.array(n_bins)
        return out, self._in.array(n_bins), each * self._waste.array(n_bins)

    def columns(self) -> dict[str, np.ndarray]:
        """Everything as float64, unknown as NaN; `status` as text."""
        import numpy as np

        found: dict[str, np.ndarray] = {}
        for name, column in self._columns.items():
            values = np.frombuffer(column, dtype=np.int64).astype(np.float64) if len(column) else np.empty(0)
            values[values == UNKNOWN] = np.nan
            found[name] = values
        found["status"] = np.array(self.statuses, dtype=object)
        return found


class Credit:
    """Tokens by bin of time."""

    def __init__(self) -> None:
        self._bins: dict[int, float] = {}

    def add(self, bins: list[int], tokens: float) -> None:
        held = self._bins
        for one in bins:
            held[one] = held.get(one, 0.0) + tokens

    def array(self, n_bins: int) -> np.ndarray:
        import numpy as np

        out = np.zeros(n_bins)
        for one, tokens in self._bins.items():
            if 0 <= one < n_bins:
                out[one] += tokens
        return out


def _hidden(row: dict[str, Any]) -> bool:
    """Whether some output tokens were never streamed: they can't be credited to a chunk."""
    return bool(row.get("reasoning_tokens")) and row.get("first_token_ns") == row.get("first_answer_ns")


def _of(row: dict[str, Any]) -> str:
    if row.get("http_status") not in (None, 200):
        return f" {row['http_status']}"
    return f" ({str(row['error'])[:60]})" if row.get("error") and row["status"] == "connect_error" else ""
