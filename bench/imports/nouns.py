"""What a format's `read` gives: the requests and steps of a file, its own figures, and what could not be taken."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from bench.records import Measurement

LARGEST = 2**62
LONGEST_NS = 2**53
"""104 days: no run is longer, and a float still holds every nanosecond."""
NO_WINDOW = "imported: the tool's own figures, ramp and drain included; no steady window was sought"
"""Why an imported step is never valid: METRICS section 2."""
_SECRET = re.compile(
    r"(?i)(\bbearer +|\b(?:authorization|api[-_]?key|access[-_]?token|password)['\"]? *[:=] *['\"]?|\b(?=sk-))"
    r"[^\s'\",}]{6,}"
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Who wrote the file."""

    tool: str
    version: str | None = None
    model: str | None = None
    started_at: datetime | None = None
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class Imported:
    """One file, or one pair of files of the same run, as our nouns.

    Stamps of `requests` and steps are nanoseconds on an axis of the import's own: 0 is the earliest stamp the file has.
    """

    source: Source
    sha256: str
    """Of the file that holds the requests: it names the run, so the same file twice is one run."""
    files: tuple[str, ...]
    """Names, without their folders."""
    requests: tuple[Measurement, ...] = ()
    steps: tuple[Mapping[str, Any], ...] = ()
    """Rows of `load_step`."""
    figures: tuple[Mapping[str, Any], ...] = ()
    """What the tool printed, by its own names; one mapping per step."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Why rows or parts were not taken -> how many."""
    notes: tuple[str, ...] = ()

    @property
    def n_read(self) -> int:
        """Rows of requests the file had."""
        return len(self.requests) + sum(self.skipped.values())


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What an import did."""

    run_id: str
    path: str
    """The run folder."""
    added: bool
    """False: this file had been imported before, and nothing was written."""
    tool: str
    version: str | None
    model: str | None
    target_id: str
    n_steps: int
    n_read: int
    n_kept: int
    skipped: Mapping[str, int]
    notes: tuple[str, ...]

    def rows(self) -> list[tuple[str, int]]:
        """The table of what became of the file's rows."""
        left_out = [(f"skipped: {why}", n) for why, n in self.skipped.items()]
        return [("requests read", self.n_read), ("requests kept", self.n_kept), *left_out, ("steps", self.n_steps)]


# ----------------------------------------------------------------------------------------------- what files really hold


def number(value: Any) -> float | None:
    """A number as a run can have one; None for anything else: text, true and false, infinity, 1e300."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        return None
    return value


def whole(value: Any) -> int | None:
    """A count, or a time since 1970 [ns]; None for what is neither."""
    found = number(value)
    return int(found) if found is not None and found >= 0 else None


def text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def mapping(value: Any) -> Mapping[str, Any]:
    """A JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def ns(seconds: float | None, origin: float = 0.0) -> int | None:
    """Seconds since `origin` [s] as nanoseconds; of times since 1970 a float keeps about 0.2 µs."""
    found = None if seconds is None else round((seconds - origin) * 1e9)
    return found if found is not None and abs(found) < LONGEST_NS else None


def offsets_ns(gaps: Sequence[int | None]) -> tuple[int, ...]:
    """When each chunk came since the sending, of the time to the first and the gaps [ns]; empty when one is unknown."""
    known = [gap for gap in gaps if gap is not None]
    found = tuple(accumulate(known)) if len(known) == len(gaps) else ()
    return found if found and found[-1] < LONGEST_NS else ()


def moment(seconds: float | None) -> datetime | None:
    """Seconds since 1970 as a time; None for what can't be one."""
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None and 0 < seconds < 2**33 else None


def said(error: Any) -> str | None:
    """An error's text, short, on one line, and without what looks like a key."""
    words = " ".join(error.split()) if isinstance(error, str) else None
    return _SECRET.sub(r"\1***", words)[:500] if words else None


def utc(when: datetime | None) -> str:
    """As rows have it; the beginning of 1970 where nothing is known, which no run can have been made at."""
    return f"{(when or datetime.fromtimestamp(0, UTC)).astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def letters(sha256: str) -> str:
    """Four letters that are always the same for one file, as every run id ends in four."""
    return "".join(chr(ord("a") + int(sha256[n : n + 2], 16) % 26) for n in range(0, 8, 2))


def step_row(number_of_step: int, arrivals: str, **known: Any) -> dict[str, Any]:
    """A row of `load_step` of which a file says this much; everything else is unknown, and the step is not valid."""
    plain = {"step": number_of_step, "arrivals": arrivals, "valid": False, "reasons": [NO_WINDOW], "notes": []}
    return plain | known


def closed(streams: int | None) -> dict[str, Any]:
    return {"arrivals": "closed" if streams is None else f"closed:{streams}", "concurrency": streams}


def open_loop(kind: str, rate: float | None, *more: float | None) -> dict[str, Any]:
    """`gamma:4,2`: the rate [requests/s], then what else the process is drawn from."""
    told = ",".join(f"{value:g}" for value in (rate, *more) if value is not None)
    return {"arrivals": f"{kind}:{told}" if told else kind, "asked_rps": rate}
