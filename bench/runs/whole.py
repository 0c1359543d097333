"""Run folders that are written at once: nothing was measured, so there is nothing to resume.

`run.json` comes last, and a folder without one is no run: an import that is killed has done nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from bench.errors import RunError
from bench.runs import journal
from bench.runs.folder import Header

TABLES = ("published_scores.jsonl", "access.jsonl", "list_prices.jsonl")
ROWS = (*TABLES, "samples.jsonl")
"""Files whose lines are counted in the header."""
CONTENT = (*ROWS, "scores.json")
KINDS = ("published", "prices")
IMPORT_AGAIN = "import the same content again: it is written anew"


def write(results: Path, header: Header, files: Mapping[str, bytes]) -> Path:
    """The finished folder; one that is there is replaced, and reads as unfinished meanwhile."""
    path = results / "runs" / header.run_id
    with journal.writing(path):
        path.mkdir(parents=True, exist_ok=True)
        if (path / "run.json").exists():
            _write_header(path, replace(header, status="running", finished_at=None))
        for name in CONTENT:
            if name not in files:
                (path / name).unlink(missing_ok=True)
    for name, content in files.items():
        journal.write_whole(path / name, content)
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    _write_header(path, replace(header, status="finished", finished_at=now))
    with journal.writing(path):
        journal.sync_folder(path.parent)
    return path


def counts(files: Mapping[str, bytes]) -> dict[str, int]:
    """Lines of each file of rows."""
    return {name: files[name].count(b"\n") for name in ROWS if name in files}


def counted(header: Header, files: Mapping[str, bytes]) -> Header:
    """The header with the number of rows that `files` have."""
    imported = dict(header.target.get("imported") or {}) | {"rows": counts(files)}
    return replace(header, target={**header.target, "imported": imported})


def holds(path: Path, header: Header, files: Mapping[str, bytes]) -> bool:
    """Whether the folder's rows are these, and its header says so."""
    said = (header.target.get("imported") or {}).get("rows")
    return said == counts(files) and all(journal.read_bytes(path / name) == files.get(name, b"") for name in CONTENT)


def check(path: Path, header: Header, found: Mapping[str, int]) -> None:
    """RunError when an import is unfinished or lacks rows: part of a table would be passed off as the whole."""
    if header.kind not in KINDS:
        return
    if header.status != "finished":
        raise RunError(f"{path}: this import was broken off; {IMPORT_AGAIN}")
    said = (header.target.get("imported") or {}).get("rows")
    if isinstance(said, dict):
        for name in ROWS:
            if found.get(name, 0) != said.get(name, 0):
                told = f"{found.get(name, 0)} rows of {said.get(name, 0)}"
                raise RunError(f"{path / name}: {told}; {IMPORT_AGAIN}")


def _write_header(path: Path, header: Header) -> None:
    text = json.dumps(asdict(header), ensure_ascii=False, indent=1, default=str)
    journal.write_whole(path / "run.json", text.encode() + b"\n")
