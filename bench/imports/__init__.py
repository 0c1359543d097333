"""Others' result files as run folders: `bench import FORMAT PATH`.

The folder is the registry, and the entry-point group `bench.imports` adds others. A module here with `read` is a format
of measured requests, a load tool's (`FORMAT` says in words what it takes and what its stamps mean, `is_mine` knows a
file of it by its first object); one with `read_published` is a format of published figures: scores, grades of access,
list prices (`bench.imports.published`).

An imported load run has kind `load`, no machine, no steady window, and a target of its own, `imported:TOOL:MODEL`, of
unknown layer; its fingerprint is the file, because nobody knows whether two files are of the same server. What the tool
printed stays beside it as `imported.json`, by the tool's own names.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol

from bench import registry, runs
from bench.errors import ConfigError, RunError
from bench.imports import published, written
from bench.imports.document import document
from bench.imports.nouns import Imported, Source, Summary, letters, utc
from bench.imports.written import PublishedSummary
from bench.runs import journal
from bench.runs.lock import Lock

__all__ = [
    "Format",
    "Imported",
    "PublishedSummary",
    "Source",
    "Summary",
    "import_file",
    "import_path",
    "import_published",
    "names",
    "of",
]
KINDS = ("read", "read_published")
"""What a format defines: measured requests, or published figures."""
OLDEST = datetime(2020, 1, 1, tzinfo=UTC)
"""No list of prices of tokens is older; an earlier stamp is that of a program that writes none."""


class Format(Protocol):
    """What a module of this package is, if it defines `read`."""

    FORMAT: str

    def is_mine(self, first: Mapping[str, Any]) -> bool:
        """Whether a file's first JSON object is of this format."""

    def read(self, path: Path) -> Imported:
        """The file as our nouns. ConfigError when it is not whole, or of a version that isn't known."""


def names() -> tuple[str, ...]:
    """Formats there are, ours and others'."""
    return registry.names(__name__, KINDS)


def of(name: str) -> Any:
    """The format called `name`, a `Format` or a `published.Format`; or ConfigError with the nearest one."""
    return registry.found(__name__, KINDS, name, "import format")


def import_path(format: str, path: Path, results: Path) -> Summary | PublishedSummary:
    """Write a run of what is at `path`, whichever kind the format is of; the same content twice adds nothing."""
    if hasattr(of(format), "read_published"):
        return import_published(format, path, results)
    return import_file(format, path, results)


def import_published(format: str, path: Path, results: Path) -> PublishedSummary:
    """Write the run of what somebody published.

    ConfigError when it is not of this format (and which it looks like), damaged or not there; RunError when nothing can
    be written.
    """
    wanted, path = of(format), Path(path)
    if not _is_there(path):
        told = f"{path} is neither a file nor a folder" if path.exists() else f"no file or folder {path}"
        raise ConfigError(f"{told}; name what was published")
    if not wanted.is_mine_path(path):
        raise ConfigError(f"{path} {_likeness(format, path)}")
    found = wanted.read_published(path)
    if not (found.scores or found.access or found.prices or found.items):
        raise ConfigError(f"{path} has nothing to keep: {_why_nothing(found)}; nothing was imported")
    return written.write(format, found, results, seen=_seen(path))


def _why_nothing(found: published.Published) -> str:
    reasons = Counter[str]()
    for count in found.table:
        reasons.update(count.skipped)
    told = "; ".join(f"{why}: {n}" for why, n in reasons.most_common(5))
    return f"all {reasons.total():,} rows are skipped ({told})" if reasons else "there are no rows"


def _seen(path: Path) -> date:
    """A day on which the content existed: when the file was last written, or today where that says nothing."""
    now = datetime.now(UTC)
    if path.is_dir():
        return now.date()
    try:
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, OverflowError, ValueError):
        return now.date()
    return written.date() if OLDEST <= written <= now else now.date()


def import_file(format: str, path: Path, results: Path) -> Summary:
    """Write a load tool's file's run into `results`; a file that is there already, under any name, adds nothing.

    ConfigError when the file is not of this format (and which it looks like), damaged or not there; RunError when
    nothing can be written. Two imports at once wait for each other.
    """
    found = _read(format, Path(path))
    results = Path(results)
    with journal.writing(results / "runs"):
        (results / "runs").mkdir(parents=True, exist_ok=True)
    with Lock(results / "runs" / "import.lock", what=f"an import into {results}", wait=True):
        header = _header(format, found)
        there = _folder_of(results, header)
        if there is not None and runs.read_header(there).status == "finished" and runs.complete(there) is None:
            return _summary(found, there, added=False)
        with runs.create(results, header) if there is None else runs.reopen(there) as run:
            _write(run, found)
        return _summary(found, run.path, added=True)


def _read(format: str, path: Path) -> Imported:
    wanted: Format = of(format)
    try:
        first = document(path).first
    except ConfigError:
        if likely := _published_format(path):
            raise ConfigError(f"{path} {_use(likely, format)}") from None
        raise
    if not wanted.is_mine(first):
        raise ConfigError(f"{path} {_likeness(format, path)}")
    return wanted.read(path)


def _likeness(format: str, path: Path) -> str:
    """What a path holds that isn't of the wanted format, and what to do; ConfigError where nothing can be read."""
    if likely := _published_format(path):
        return _use(likely, format)
    if hasattr(of(format), "read_published") and (path.is_dir() or path.suffix.lower() not in (".json", ".jsonl")):
        return f"holds nothing that {format} reads ({_gist(of(format).FORMAT)}); formats: {', '.join(names())}"
    first = document(path).first
    for name in names():
        if hasattr(of(name), "read") and of(name).is_mine(first):
            return _use(name, format)
    keys = ", ".join(str(key)[:30] for key in list(first)[:5])
    return (
        f"is no {format} file (it begins with the keys {keys or 'of an empty object'}); formats: {', '.join(names())}"
    )


def _is_there(path: Path) -> bool:
    """Whether it can be read without waiting for somebody to write: a pipe can't."""
    try:
        return path.is_dir() or path.is_file()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; copy it to where you may read it") from error


def _published_format(path: Path) -> str | None:
    if not _is_there(path):
        return None
    found = (name for name in names() if hasattr(of(name), "read_published") and of(name).is_mine_path(path))
    return next(found, None)


def _use(likely: str, format: str) -> str:
    return f"looks like {likely}, not {format}; use `bench import {likely}`"


def _gist(told: str) -> str:
    """The first line of what a format says of itself."""
    return (told.strip().splitlines() or [""])[0].rstrip(".;: ")


# ------------------------------------------------------------------------------------------------------- the run folder


def _target_id(source: Source) -> str:
    return f"imported:{source.tool}:{source.model or 'unknown'}"


def _header(format: str, found: Imported) -> runs.Header:
    source, target_id = found.source, _target_id(found.source)
    started_at = source.started_at or datetime.now(UTC)
    provenance = {
        "tool": source.tool,
        "version": source.version,
        "sha256": found.sha256,
        "files": list(found.files),
        "started_at_known": source.started_at is not None,
        "imported_at": utc(datetime.now(UTC)),
    }
    suite = f"imported-{format}"
    unmarked = runs.new_run_id(suite, target_id, started_at)[:-4]
    return runs.Header(
        run_id=unmarked + letters(found.sha256),
        kind="load",
        suite=suite,
        suite_version="1",
        suite_hash=found.sha256,
        target={"id": target_id, "layer": None, "model": source.model, "imported": provenance},
        fingerprint=found.sha256,
        seed=source.seed or 0,
        repeats=1,
        limit=None,
        items="imported",
        machine={},
        versions={source.tool: source.version} if source.version else {},
        git_sha=None,
        started_at=utc(started_at),
    )


def _folder_of(results: Path, header: runs.Header) -> Path | None:
    """The run that the same content made, if it is there."""
    for path in runs.folders(results):
        try:
            other = runs.read_header(path)
        except RunError:
            continue  # a damaged folder is reported when the store is built
        if (other.suite_hash, other.suite, other.run_id) == (header.suite_hash, header.suite, path.name):
            return path
    return None


def _write(run: runs.Run, found: Imported) -> None:
    """What an import that was broken off has written already is not written again."""
    target_id = str(run.header.target["id"])
    there = frozenset(run.answers())
    for m in found.requests:
        if m.request_key not in there:
            run.append(replace(m, target_id=target_id))
    _write_json(run.path / "load_steps.json", [dict(step) for step in found.steps])
    told = {"skipped": dict(found.skipped), "notes": list(found.notes), "steps": list(found.figures)}
    _write_json(run.path / "imported.json", {"of": run.header.target["imported"], **told})
    run.finish()


def _write_json(path: Path, content: Any) -> None:
    journal.write_whole(path, json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n")


def _summary(found: Imported, path: Path, *, added: bool) -> Summary:
    target = runs.read_header(path).target
    return Summary(
        run_id=path.name,
        path=str(path),
        added=added,
        tool=found.source.tool,
        version=found.source.version,
        model=target.get("model"),
        target_id=str(target["id"]),
        n_steps=len(found.steps),
        n_read=found.n_read,
        n_kept=len(found.requests),
        skipped=found.skipped,
        notes=found.notes,
    )
