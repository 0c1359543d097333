"""An import of published figures as a run folder (kind `published` or `prices`), whole or not there; what it did."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench import runs
from bench.errors import RunError, nearest
from bench.imports.nouns import letters, utc
from bench.imports.published import (
    ACCESS_COLUMNS,
    PRICE_COLUMNS,
    PROVENANCE,
    SCALES,
    SCORE_COLUMNS,
    Published,
    RowCount,
)
from bench.runs import journal, whole
from bench.runs.lock import Lock


@dataclass(frozen=True, kw_only=True)
class PublishedSummary:
    """What an import of published figures did."""

    run_id: str
    path: str
    """The run folder."""
    added: bool
    """False: this content had been imported before."""
    read_anew: bool
    """It was there, and what is read of it has changed (another version read it, or its folder was damaged)."""
    format: str
    kind: str
    source: str
    target_id: str
    n_read: int
    n_kept: int
    n_scores: int
    n_access: int
    n_prices: int
    n_items: int
    """Scores of single items, kept for `bench compare`."""
    n_models: int
    n_benchmarks: int
    table: tuple[RowCount, ...]
    notes: tuple[str, ...]

    def rows(self) -> list[tuple[str, int, int, int, str]]:
        """File, rows read, kept, skipped, and why; the totals last."""
        found = [(c.file, c.read, c.kept, c.read - c.kept, _reasons(c.skipped)) for c in self.table]
        total = ("total", self.n_read, self.n_kept, self.n_read - self.n_kept, "")
        return [*found, total]

    def line(self) -> str:
        """What came of it, in one line."""
        counts = {"scores": self.n_scores, "grades of access": self.n_access, "list prices": self.n_prices}
        counts["scores of items"] = self.n_items
        told = ", ".join(f"{n:,} {what}" for what, n in counts.items() if n) or "nothing"
        return f"{told} of {self.n_models:,} models" + (
            f" on {self.n_benchmarks:,} benchmarks" if self.n_benchmarks else ""
        )


def _reasons(skipped: Mapping[str, int]) -> str:
    return "; ".join(f"{why}: {n}" for why, n in sorted(skipped.items(), key=lambda item: -item[1]))


def write(name: str, found: Published, results: Path, *, seen: date | None = None) -> PublishedSummary:
    """The run folder of an import; content that is there already adds nothing.

    `seen` is a day on which this content is known to have existed: the `observed` of prices that tell no other; the one
    of the first import counts. The folder appears whole or not at all, so an import that was killed has done nothing.
    Two at once wait for each other. RunError when nothing can be written.
    """
    results = Path(results)
    with journal.writing(results / "runs"):
        (results / "runs").mkdir(parents=True, exist_ok=True)
    with Lock(results / "runs" / "import.lock", what=f"an import into {results}", wait=True):
        there = _folder_of(results, name, found)
        header = None if there is None else _header_of(there)
        day = (None if header is None else _seen(header)) or (seen.isoformat() if seen else None)
        files = _files(name, found, day)
        if there is None:
            path = whole.write(results, _header(name, found, files, day), files)
            return _summary(name, found, path, added=True, read_anew=False)
        same = header is not None and header.status == "finished" and whole.holds(there, header, files)
        if not same:
            whole.write(results, _header(name, found, files, day, run_id=there.name), files)
        return _summary(name, found, there, added=False, read_anew=not same)


def _header_of(path: Path) -> runs.Header | None:
    try:
        return runs.read_header(path) if (path / "run.json").exists() else None
    except RunError:
        return None


def _seen(header: runs.Header) -> str | None:
    imported = header.target.get("imported")
    told = imported.get("seen") if isinstance(imported, dict) else None
    return told if isinstance(told, str) else None


def _files(name: str, found: Published, seen: str | None) -> dict[str, bytes]:
    """Contents by file name; no file for no rows."""
    prices = [row if row.get("observed") else {**row, "observed": seen} for row in found.prices]
    rows = {
        "published_scores.jsonl": [_score(name, row) for row in found.scores],
        "access.jsonl": [_row(name, row, ACCESS_COLUMNS, required=("model", "grade")) for row in found.access],
        "list_prices.jsonl": [_row(name, row, PRICE_COLUMNS, required=("provider", "model")) for row in prices],
    }
    lines = {file: b"".join(map(journal.encode, of)) for file, of in rows.items() if of}
    if found.items is not None:
        scores = json.dumps([asdict(score) for score in found.items.scores], ensure_ascii=False, indent=1)
        lines |= {"samples.jsonl": found.items.lines, "scores.json": scores.encode() + b"\n"}
    told = {"format": name, "table": [asdict(count) for count in found.table], "notes": list(found.notes)}
    return {**lines, "imported.json": json.dumps(told, ensure_ascii=False, indent=1).encode() + b"\n"}


def _score(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    kept = _row(name, row, SCORE_COLUMNS, required=("model", "benchmark", "score", "scale"))
    if kept["scale"] not in SCALES:
        raise ValueError(f"format {name}: scale {kept['scale']!r} is none of {', '.join(SCALES)}")
    return {"provenance": PROVENANCE, **kept}


def _row(name: str, row: Mapping[str, Any], columns: Iterable[str], *, required: Iterable[str]) -> dict[str, Any]:
    """A row as JSON has it, without what is unknown. ValueError: the format, not the file, is wrong."""
    for key in row:
        if key not in columns:
            raise ValueError(f"format {name}: no column {key!r}{nearest(key, columns)}")
    kept = {key: value for key in columns if (value := _plain(name, key, row.get(key))) is not None}
    for key in required:
        if key not in kept:
            raise ValueError(f"format {name}: a row without {key}: {dict(row)!r}"[:300])
    return kept


def _plain(name: str, key: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"format {name}: {key} is {value}; leave out what is unknown")
    return value if value != "" else None


def _header(
    name: str, found: Published, files: Mapping[str, bytes], seen: str | None, *, run_id: str | None = None
) -> runs.Header:
    now, suite, target_id = datetime.now(UTC), f"imported-{name}", _target_id(name, found)
    provenance = {
        "source": found.source,
        "sha256": found.sha256,
        "files": list(found.files),
        "rows": whole.counts(files),
        "seen": seen,
        "imported_at": utc(now),
    }
    return runs.Header(
        run_id=run_id or _run_id(name, found.sha256, now),
        kind=found.kind,
        suite=suite,
        suite_version="1",
        suite_hash=found.items.suite_hash if found.items else found.sha256,
        target={"id": target_id, "layer": None, "model": None, "imported": provenance},
        fingerprint=found.sha256,
        seed=0,
        repeats=1,
        limit=None,
        items="imported",
        machine={},
        versions={},
        git_sha=None,
        started_at=utc(now),
    )


def _target_id(name: str, found: Published) -> str:
    return f"imported:{name}" + (f":{found.items.model}" if found.items else "")


def _folder_of(results: Path, name: str, found: Published) -> Path | None:
    """The run that the same content made, if it is there; or the beginning of one, when its import was killed."""
    ending = _run_id(name, found.sha256, datetime.now(UTC)).split("-", 1)[1]
    for path in sorted((results / "runs").glob(f"*-{ending}")):
        if not (path / "run.json").exists():
            return path
        try:
            header = runs.read_header(path)
        except RunError:
            return path  # damaged: written again
        if (header.fingerprint, header.run_id) == (found.sha256, path.name):
            return path
    return None


def _run_id(name: str, sha256: str, now: datetime) -> str:
    """After its time it is always the same for one content."""
    return runs.new_run_id(f"imported-{name}", f"imported:{name}", now)[:-4] + letters(sha256)


def _summary(name: str, found: Published, path: Path, *, added: bool, read_anew: bool) -> PublishedSummary:
    rows = (*found.scores, *found.access, *found.prices)
    return PublishedSummary(
        run_id=path.name,
        path=str(path),
        added=added,
        read_anew=read_anew,
        format=name,
        kind=found.kind,
        source=found.source,
        target_id=_target_id(name, found),
        n_read=sum(count.read for count in found.table),
        n_kept=sum(count.kept for count in found.table),
        n_scores=len(found.scores),
        n_access=len(found.access),
        n_prices=len(found.prices),
        n_items=found.items.n if found.items else 0,
        n_models=len({row["model"] for row in rows}),
        n_benchmarks=len({row["benchmark"] for row in found.scores}),
        table=found.table,
        notes=found.notes,
    )
