"""Run folders -> bench.duckdb, incrementally and atomically; and the questions asked of it.

The file is a pure function of the run folders and may be deleted at any time. A build works on a copy and renames it
over the old file, so a reader keeps what it has open and sees the new one when it opens the file again.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from bench import facts
from bench.errors import ConfigError, RunError, nearest
from bench.runs.folder import folders, read_requests
from bench.runs.lock import Lock

if TYPE_CHECKING:
    import pandas

NAME = "bench.duckdb"
LAYOUT = 4
"""Raised when tables.sql or what is read from a folder changes: an older file is then rebuilt."""
STORAGE_VERSION = "v1.4.0"
"""So that tools with an older DuckDB open the file."""
VIEWS = ("answer", "latency", "cost")
CANNOT_WRITE = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM)
FLUSH_BYTES = 256 << 20


@dataclass(frozen=True, kw_only=True)
class Built:
    """What a build did."""

    path: str
    runs: int
    """Run folders that are in the file now."""
    added: int
    changed: int
    removed: int
    requests: int
    rebuilt: bool
    problems: list[str]
    """One line each; what can't be read is left out, and everything else is in."""
    elapsed_s: float
    as_it_is: bool = False
    """The file could not be written, and is as an earlier build left it; `problems` says why."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def line(self) -> str:
        counts = {"new": self.added, "changed": self.changed, "gone": self.removed}
        what = ", ".join(f"{n} {name}" for name, n in counts.items() if n) or "nothing new"
        return f"{self.path}: {self.runs} runs ({what}), {self.requests:,} requests, {self.elapsed_s:.1f} s"


# ----------------------------------------------------------------------------------------------------------- building


def build(results: Path, *, fresh: bool = False) -> Built:
    """Bring bench.duckdb up to date with the run folders; only new and changed folders are read.

    Two builds at once wait for each other. A damaged file is rebuilt and said so; a damaged folder is left out and
    said so; somebody else's database of this name is kept under another. Where nothing can be written, the file that is
    there is shown as it is. `fresh` reads everything again.
    """
    results = Path(results)
    _require_folder(results)
    started = time.monotonic()
    try:
        with Lock(results / f"{NAME}.lock", what=str(results / NAME), wait=True):
            return _built_or_rebuilt(results, fresh=fresh)
    except RunError as error:
        why = _cannot_write(error)
        if why is None:
            raise
        way_out = f"{why}; the run folders are whole: make room or write access there, then `bench db build`"
        if fresh or not (results / NAME).exists():
            raise RunError(f"cannot write {results / NAME}: {way_out}") from error
        return _as_it_is(results, way_out, started)


def _require_folder(results: Path) -> None:
    try:
        is_folder = stat.S_ISDIR(results.stat().st_mode)
    except FileNotFoundError as error:
        told = f"no results folder {str(results)!r}: `bench run` makes one, or name another with --results"
        raise ConfigError(told) from error
    except OSError as error:
        raise RunError(f"cannot read {results}: {error.strerror}; name another folder with --results") from error
    if not is_folder:
        raise RunError(f"{results} is a file, not a results folder; name another with --results")
    if (results / NAME).is_dir():
        raise RunError(f"{results / NAME} is a folder; move it away, and `bench db build` makes the index")


def _cannot_write(error: RunError) -> str | None:
    """What keeps us from writing here at all (full, read-only), as the system says it; else None."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno in CANNOT_WRITE:
        return os.strerror(cause.errno)
    return None


def _as_it_is(results: Path, way_out: str, started: float) -> Built:
    """What an earlier build made, where this one can write nothing."""
    index = results / NAME
    with closing(connect(results)) as con:
        try:
            current = con.execute("select layout from build.about").fetchall() == [(LAYOUT,)]
            figures = _figures(con) if current else {}
        except duckdb.Error:
            current = False
    if not current:
        raise RunError(f"cannot write {index}, which another version or program made: {way_out}")
    return Built(
        path=str(index),
        added=0,
        changed=0,
        removed=0,
        rebuilt=False,
        problems=[f"cannot bring the index up to date ({way_out}); showing it as it is", *figures.pop("problems")],
        elapsed_s=time.monotonic() - started,
        as_it_is=True,
        **figures,
    )


def _built_or_rebuilt(results: Path, *, fresh: bool) -> Built:
    index = results / NAME
    with _writing(index):
        for left in results.glob(f"{NAME}.*.tmp*"):  # of a builder that died: nobody else is building now
            left.unlink(missing_ok=True)
        notes = _set_aside(index)
    try:
        return _build(results, fresh=fresh, notes=notes)
    except duckdb.Error as error:
        notes.append(f"{index} was damaged ({_line(error)}) and has been rebuilt from the run folders")
    try:
        return _build(results, fresh=True, notes=notes)
    except duckdb.Error as error:
        raise RunError(f"cannot build {index}: {_line(error)}") from error


def _set_aside(index: Path) -> list[str]:
    """Keep a DuckDB file that isn't ours (it lacks our mark) under another name; what was done, as one line."""
    log = index.with_name(f"{NAME}.wal")
    if not index.exists() or _is_ours(index):
        return []
    n = next(n for n in itertools.count(1) if not index.with_name(f"{NAME}.foreign-{n}").exists())
    kept = index.with_name(f"{NAME}.foreign-{n}")
    index.rename(kept)
    if log.exists():
        log.rename(kept.with_name(f"{kept.name}.wal"))
    return [f"{index} was another program's database; it is kept as {kept.name}"]


def _is_ours(index: Path) -> bool:
    """Whether we made the file, or can't say because it is damaged; RunError when others made it and hold it open."""
    try:
        return _has_mark(index)
    except duckdb.Error as error:
        held = _held(index, error)
    if held is None:
        return True
    copy = index.with_name(f"{NAME}.{os.getpid()}.tmp")
    try:
        shutil.copyfile(index, copy)
        if not _has_mark(copy):
            raise RunError(f"{held}; it isn't ours: close it, and it will be kept under another name")
    except duckdb.Error:
        return True
    finally:
        _sweep(copy)
    return True


def _has_mark(index: Path) -> bool:
    with closing(duckdb.connect()) as con:
        con.execute(f"attach {_quoted(index)} as other (read_only)")
        mark = "database_name = 'other' and schema_name = 'build' and table_name = 'about'"
        return con.execute(f"select count(*) from duckdb_tables() where {mark}").fetchall() != [(0,)]


def _held(index: Path, error: duckdb.Error) -> str | None:
    """By whom the file is held open for writing, if that is why it can't be opened."""
    if not isinstance(error, duckdb.IOException) or "lock" not in str(error):
        return None
    pid = re.search(r"PID (\d+)", str(error))
    return f"{index} is held by another program" + (f" (process {pid[1]})" if pid else "")


@contextmanager
def _writing(index: Path) -> Iterator[None]:
    """What the system says against writing, DuckDB's words for it included, as one line."""
    try:
        yield
    except OSError as error:
        raise RunError(f"cannot write {index}: {error.strerror or error}; the run folders are whole") from error
    except duckdb.IOException as error:
        number = next((n for n in CANNOT_WRITE if os.strerror(n) in str(error)), None)
        if number is None:
            raise
        raise RunError(f"cannot write {index}: {os.strerror(number)}; the run folders are whole") from OSError(
            number, os.strerror(number)
        )


def _build(results: Path, *, fresh: bool, notes: list[str]) -> Built:
    started = time.monotonic()
    index, draft = results / NAME, results / f"{NAME}.{os.getpid()}.tmp"
    foreign = index.with_name(f"{NAME}.wal")  # somebody wrote into the file: its content isn't ours any more
    try:
        with _writing(index):
            again = index.exists() and not fresh and not foreign.exists()
            if again:
                shutil.copyfile(index, draft)
            with _Draft(draft, new=not again) as store:
                current = store.is_current()
                added, changed, removed = store.update(folders(results)) if current else (0, 0, 0)
                figures = store.figures() if current else {}
            if not current:
                draft.unlink()
                return _build(results, fresh=True, notes=[*notes, f"{index} had an older layout and has been rebuilt"])
            if added or changed or removed or not again or _is_held(index):
                foreign.unlink(missing_ok=True)
                _publish(draft, index)
    finally:
        _sweep(draft)
    return Built(
        path=str(index),
        added=added,
        changed=changed,
        removed=removed,
        rebuilt=not again,
        problems=notes + figures.pop("problems"),
        elapsed_s=time.monotonic() - started,
        **figures,
    )


def _sweep(draft: Path) -> None:
    with suppress(OSError):  # what can't be removed now goes at the next build
        draft.unlink(missing_ok=True)
        draft.with_name(f"{draft.name}.wal").unlink(missing_ok=True)  # DuckDB's, when the disk was full


def _is_held(index: Path) -> bool:
    """Whether a program has the file open for writing, so that nobody can read it: a new file frees the readers."""
    try:
        with closing(duckdb.connect()) as con:
            con.execute(f"attach {_quoted(index)} as bench (read_only)")
    except duckdb.IOException:
        return True
    return False


def _publish(draft: Path, index: Path) -> None:
    fd = os.open(draft, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    draft.replace(index)


class _Draft:
    """The copy that a build works on; nobody else sees it, so it needs no log: a build that dies is thrown away."""

    def __init__(self, path: Path, *, new: bool) -> None:
        self._con = duckdb.connect()
        try:
            version = f", storage_version '{STORAGE_VERSION}'" if new else ""
            self._con.execute(f"attach {_quoted(path)} as bench (recovery_mode 'no_wal_writes'{version})")
            self._con.execute("use bench")
            if new:
                self._create()
        except BaseException:
            self._con.close()
            raise
        self._waiting: dict[str, list[Any]] = {}
        self._waiting_bytes = 0
        self._seen: list[tuple[str, str, str | None]] = []

    def __enter__(self) -> _Draft:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with closing(self._con):
            if kind is None:
                self._con.execute("use memory")
                self._con.execute("checkpoint bench")
                self._con.execute("detach bench")

    def _create(self) -> None:
        self._con.execute(_sql("tables"))
        for view in VIEWS:
            self._con.execute(f"create view {view} as {_sql(view)}")
        self._con.execute("create schema build")
        self._con.execute("create table build.folder (name varchar, stamp varchar, problem varchar)")
        self._con.execute(f"create table build.about as select {LAYOUT} as layout")

    def is_current(self) -> bool:
        try:
            return self._rows("select layout from build.about") == [(LAYOUT,)]
        except duckdb.CatalogException:
            return False

    def update(self, paths: Sequence[Path]) -> tuple[int, int, int]:
        """Folders added, changed and removed."""
        known = dict(self._rows("select name, stamp from build.folder"))
        stamps = {path.name: facts.stamp(path) for path in paths}
        stale = [path for path in paths if known.get(path.name) != stamps[path.name]]
        gone = [name for name in known if name not in stamps]
        changed = [path.name for path in stale if path.name in known]
        self._forget([*gone, *changed])
        for path in stale:
            self._add(path, stamps[path.name])
        self._flush()
        if stale or gone:
            self._derive()
        return len(stale) - len(changed), len(changed), len(gone)

    def figures(self) -> dict[str, Any]:
        return _figures(self._con)

    def _forget(self, names: Sequence[str]) -> None:
        if not names:
            return
        for table in facts.TABLES:
            self._con.execute(f"delete from {table} where list_contains($names, run_id)", {"names": list(names)})
        self._con.execute("delete from build.folder where list_contains($names, name)", {"names": list(names)})

    def _add(self, path: Path, stamp: str) -> None:
        problem = None
        try:
            found = facts.of(path)
            if found.sealed is not None:
                self._read_sealed(path, found.sealed)
        except RunError as error:
            problem = f"left out: {error}"
        else:
            for name, rows in found.rows.items():
                self._waiting.setdefault(name, []).append(rows)
                self._waiting_bytes += rows.nbytes
        self._seen.append((path.name, stamp, problem))
        if self._waiting_bytes > FLUSH_BYTES:
            self._flush()

    def _read_sealed(self, path: Path, sealed: Path) -> None:
        """Many rows go from Parquet straight in, on all cores: all of them or none."""
        source = f"read_parquet({_quoted(sealed)}, file_row_number => true)"
        own = f"select * replace ({_quoted(path.name)} as run_id), file_row_number as position from {source}"
        self._con.execute("begin")
        try:
            for name in ("request", "request_text"):
                self._insert(name, f"({own})")
        except duckdb.Error:
            self._con.execute("rollback")
            read_requests(path)  # a RunError that names the file, if that is what is wrong
            raise
        self._con.execute("commit")

    def _flush(self) -> None:
        import pyarrow as pa

        for name, parts in self._waiting.items():
            for alike in _by_shape(parts):
                self._con.register("arrived", pa.concat_tables(alike))
                self._insert(name, "arrived")
                self._con.unregister("arrived")
        if self._seen:
            columns = dict(zip(("name", "stamp", "problem"), map(list, zip(*self._seen, strict=True)), strict=True))
            columns = {name: pa.array(values, pa.string()) for name, values in columns.items()}
            self._con.register("arrived", pa.table(columns))
            self._con.execute("insert into build.folder select name, stamp, problem from arrived")
            self._con.unregister("arrived")
        self._waiting, self._waiting_bytes, self._seen = {}, 0, []

    def _insert(self, name: str, source: str) -> None:
        """By column name; what doesn't fit a column's type is unknown, what has no column stays in the folder."""
        arrived = {column for (column,) in self._rows(f"select column_name from (describe from {source})")}
        columns = self._rows(f"select column_name, column_type from (describe {name})")
        taken = [(column, kind) for column, kind in columns if column in arrived]
        names = ", ".join(f'"{column}"' for column, _ in taken)
        values = ", ".join(f'try_cast("{column}" as {kind})' for column, kind in taken)
        self._con.execute(f"insert into {name} ({names}) select {values} from {source}")

    def _derive(self) -> None:
        """The tables about things that many runs share, from all runs: the newest run's word counts."""
        newest = self._rows(
            "select target_id, arg_max(target, run_id), arg_max(fingerprint, run_id) from run group by all order by all"
        )
        for name, rows in facts.shared(newest).items():
            self._con.execute(f"delete from {name}")
            if rows.num_rows:
                self._waiting[name] = [rows]
        self._flush()
        self._con.execute("delete from suite")
        self._con.execute("insert into suite select distinct suite, suite_version, suite_hash from run order by all")

    def _rows(self, text: str) -> list[Any]:
        return self._con.execute(text).fetchall()


def _by_shape(parts: Sequence[Any]) -> list[list[Any]]:
    """Arrow tables of the same columns together: what one run has there doesn't keep another's out."""
    found: dict[str, list[Any]] = {}
    for part in parts:
        found.setdefault(part.schema.to_string(show_schema_metadata=False), []).append(part)
    return list(found.values())


def _figures(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    told = con.execute("select problem from build.folder where problem is not null order by name").fetchall()
    runs, requests = con.execute("select (select count(*) from run), (select count(*) from request)").fetchall()[0]
    return {"runs": runs, "requests": requests, "problems": [problem for (problem,) in told]}


# ----------------------------------------------------------------------------------------------------------- checking


def check(results: Path) -> list[str]:
    """What is wrong with the store, one line each: damaged folders, loose ends, an index that says something else."""
    results = Path(results)
    index, draft = results / NAME, results / f"{NAME}.{os.getpid()}.tmp"
    if not index.exists():
        return [f"{index} is missing: `bench db build` makes it"]
    with Lock(results / f"{NAME}.lock", what=str(index), wait=True):
        try:
            return list(_compared(results, index, draft))
        except duckdb.Error as error:
            return [f"{index} can't be read ({_line(error)}): `bench db build --fresh` rebuilds it"]
        finally:
            draft.unlink(missing_ok=True)


def _compared(results: Path, index: Path, draft: Path) -> Iterator[str]:
    with _Draft(draft, new=True) as store:
        store.update(folders(results))
        yield from store.figures()["problems"]
    with closing(duckdb.connect()) as con:
        con.execute(f"attach {_quoted(draft)} as rebuilt (read_only)")
        con.execute("use rebuilt")
        yield from _loose_ends(con)
        con.execute(f"attach {_quoted(index)} as present (read_only)")
        yield from _differences(con)


def _loose_ends(con: duckdb.DuckDBPyConnection) -> list[str]:
    twice = con.execute(_sql("requests_twice")).fetchall()
    loose = con.execute(_sql("samples_without_request")).fetchall()
    return [f"request {request} stands {n} times, in {', '.join(runs)}" for request, n, runs in twice] + [
        f"run {run}: {n} samples of task {task} name a request that isn't there" for run, task, n in loose
    ]


def _differences(con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    for table in (*facts.TABLES, *facts.SHARED):
        try:
            more, less = (
                con.execute(f"select count(*) from (from {a}.{table} except all from {b}.{table})").fetchall()[0][0]
                for a, b in (("present", "rebuilt"), ("rebuilt", "present"))
            )
        except (duckdb.CatalogException, duckdb.BinderException):
            yield f"table {table} has another shape than the run folders give it: `bench db build --fresh` rebuilds it"
            continue
        if more or less:
            odd = f"{more} rows that no run folder gives, {less} missing"
            yield f"table {table}: {odd}; `bench db build --fresh` mends it"


# ------------------------------------------------------------------------------------------------------------- asking


def connect(results: Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the store as it is now; built first if it isn't there. Close it when done.

    Through an attached file, because DuckDB hands a second `connect` to the same path the first one's old file.
    """
    index = Path(results) / NAME
    if not index.is_file():
        build(Path(results))
    con = duckdb.connect()
    try:
        con.execute(f"attach {_quoted(index)} as bench (read_only)")
        con.execute("use bench")
        con.execute("set enable_external_access = false")
        con.execute("set lock_configuration = true")
    except duckdb.Error as error:
        con.close()
        if held := _held(index, error):
            raise RunError(f"{held}; close it, or `bench db build` puts a new one in its place") from error
        raise RunError(f"cannot open {index}: {_line(error)}; `bench db build --fresh` rebuilds it") from error
    return con


def query(results: Path, name: str, **params: Any) -> pandas.DataFrame:
    """The answer to `bench/sql/<name>.sql`, its `$parameters` bound."""
    text = _sql(name)
    with closing(connect(results)) as con, _asking(name):
        return con.execute(text, params or None).df()


def columns(results: Path, name: str, **params: Any) -> dict[str, Any]:
    """The answer to `bench/sql/<name>.sql` as numpy arrays by column, without pandas; masked where there is NULL."""
    text = _sql(name)
    with closing(connect(results)) as con, _asking(name):
        return dict(con.execute(text, params or None).fetchnumpy())


def sql(results: Path, text: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Ad hoc and read-only: column names and rows."""
    with closing(connect(results)) as con, _asking(text):
        n = len(con.extract_statements(text))
        if n != 1:
            raise ConfigError("give one query" + (f", not {n}" if n else ""))
        cursor = con.execute(text)
        columns = [column[0] for column in cursor.description or ()]
        return columns, cursor.fetchall() if columns else []


@contextmanager
def _asking(text: str) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise ConfigError(f"{_line(error)} (in: {' '.join(text.split())[:200]})") from error


def _sql(name: str) -> str:
    folder = files("bench") / "sql"
    file = folder / f"{name}.sql"
    if not file.is_file():
        known = [entry.name.removesuffix(".sql") for entry in folder.iterdir()]
        raise ConfigError(f"no question named {name!r} in bench/sql{nearest(name, known)}")
    return file.read_text(encoding="utf-8")


def _quoted(path: Path | str) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
