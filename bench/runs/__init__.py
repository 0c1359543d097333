"""The run folder: created, appended to, sealed, resumed; `bench.runs.folder` says what is in it and reads it."""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from bench.errors import RunError
from bench.records import Measurement, Request, Sample, Score
from bench.runs import journal
from bench.runs.batches import Batches, unsettled
from bench.runs.folder import (
    MEASUREMENT_FIELDS,
    SCHEMA,
    Folder,
    Header,
    RunStatus,
    check_name,
    complete,
    counting,
    folders,
    measurements,
    question_hash,
    read,
    read_header,
    read_requests,
    read_sample_rows,
    read_score_rows,
    request_batches,
)
from bench.runs.journal import Journal, writing
from bench.runs.lock import Lock
from bench.runs.tables import schema_of

__all__ = [
    "SCHEMA",
    "Batches",
    "Folder",
    "Header",
    "Run",
    "RunStatus",
    "complete",
    "create",
    "folders",
    "measurements",
    "new_run_id",
    "question_hash",
    "read",
    "read_header",
    "read_requests",
    "reopen",
    "resumable",
    "row_of",
    "unsettled",
]


ANNOUNCED = {
    "request_id": str,
    "request_key": str,
    "attempt": int,
    "kind": str,
    "task": str,
    "doc_id": int,
    "repeat": int,
    "started_at": str,
    "asked_in_tokens": int,
    "asked_out_tokens": int,
}
"""Fields of a Measurement that are known before it is sent."""

# ----------------------------------------------------------------------------------------------------------- opening


def new_run_id(suite: str, target_id: str, now: datetime) -> str:
    """`20261123T063957123Z-quick-embedded_nano-kxbq`: sorts by time, is a safe file name, and unique by its end."""
    now = now.astimezone(UTC)
    letters = "".join(secrets.choice(string.ascii_lowercase) for _ in range(4))
    stamp = f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}Z"
    return f"{stamp}-{_safe(suite)}-{_safe(target_id)}-{letters}"


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "_", name).strip("_.")[:60] or "x"


def create(results: Path, header: Header) -> Run:
    """A new run folder, held by this process until the Run is closed."""
    path = results / "runs" / header.run_id
    with writing(path):
        path.mkdir(parents=True)
    lock = _lock(path)
    try:
        _write_header(path, header)
        return Run(path, header, lock)
    except BaseException:
        lock.release()
        raise


def reopen(path: Path) -> Run:
    """Go on with a run that ended in any way; announced attempts that never came back become rows `cancelled`.

    Damaged samples and scores are dropped: judging makes them again. Damaged attempts are a RunError, as they can't be
    made again; attempts that are gone are asked again.
    """
    header = read_header(path)
    check_name(path, header)
    lock = _lock(path)
    try:
        announced = _mended(path, header)
        header = replace(header, status="running", finished_at=None)
        _write_header(path, header)
        run = Run(path, header, lock, announced)
        run.cancel_lost("the process that sent it died before the answer came; it may have been billed")
    except BaseException:
        lock.release()
        raise
    return run


def resumable(
    results: Path, *, suite_hash: str, fingerprint: str, seed: int, repeats: int, limit: int | None, items: str
) -> Path | None:
    """The newest run that asks the same questions of the same target, finished or not; None if there is none."""
    wanted = question_hash(
        suite_hash=suite_hash, fingerprint=fingerprint, seed=seed, repeats=repeats, limit=limit, items=items
    )
    misnamed = None
    for path in reversed(folders(results)):
        try:
            header = read_header(path)
        except RunError:
            continue  # a damaged folder is reported when the store is built, and can't be resumed
        if header.question_hash == wanted:
            if header.run_id == path.name:
                return path
            misnamed = misnamed or path  # a copy, unless the run has no other folder: `reopen` says so
    return misnamed


def _lock(path: Path) -> Lock:
    return Lock(path / "run.lock", what=f"run {path.name}")


# ----------------------------------------------------------------------------------------------------------- writing


class PowerReading(Protocol):
    """One reading of one GPU, as `bench.machine` takes it."""

    @property
    def at_ns(self) -> int: ...
    @property
    def gpu(self) -> int: ...
    @property
    def power_w(self) -> float: ...
    @property
    def energy_j(self) -> float | None: ...


class Run:
    """An open run folder. Leaving its `with` block without `finish` leaves the run interrupted, to be gone on with."""

    def __init__(
        self, path: Path, header: Header, lock: Lock, announced: Mapping[str, dict[str, Any]] | None = None
    ) -> None:
        self.path = path
        self.header = header
        self._lock = lock
        self._under_way = dict(announced or {})
        self._requests = Journal(path / "requests.jsonl")
        self._announced = Journal(path / "announced.jsonl", durable=False)
        self._traffic: Journal | None = None
        self._batches: Batches | None = None

    def announce(
        self, request: Request, *, asked_in_tokens: int | None = None, asked_out_tokens: int | None = None
    ) -> None:
        """Write down that this request is about to be sent, so that a killed run knows what it may have paid for."""
        row = {name: getattr(request, name, None) for name in ANNOUNCED} | {"started_at": _now()}
        row |= {"asked_in_tokens": asked_in_tokens, "asked_out_tokens": asked_out_tokens}
        self._announced.append(row)
        self._under_way[request.request_id] = row

    def append(self, m: Measurement) -> None:
        """Journal one attempt: it survives this process once this returns, and a power cut within a second."""
        row = row_of(m)
        row.setdefault("run_id", self.header.run_id)
        self._requests.append(row)
        self._under_way.pop(m.request_id, None)

    def batches(self) -> Batches:
        """What became of this run's batches; the file is there once this was called."""
        if self._batches is None:
            self._batches = Batches(self.path)
        return self._batches

    def note(self, change: Mapping[str, Any]) -> None:
        """A line of the history of limits (`bench.throttle.Change`); no file without one."""
        if self._traffic is None:
            self._traffic = Journal(self.path / "traffic.jsonl")
        self._traffic.append(dict(change))

    def append_line(self, line: bytes) -> None:
        """Journal one attempt that another process of ours has written as a line already."""
        self._requests.append_line(line)

    def answers(self) -> dict[str, Measurement]:
        """What needs no asking again, and the last failure of what does: the attempt that counts, by `request_key`."""
        return counting(measurements(read_requests(self.path)[0]))

    def write_samples(self, samples: Sequence[Sample]) -> None:
        lines = b"".join(journal.encode(asdict(sample)) for sample in samples)
        journal.write_whole(self.path / "samples.jsonl", lines)

    def write_scores(self, scores: Sequence[Score]) -> None:
        self._write_json("scores.json", [asdict(score) for score in scores])

    def write_steps(self, steps: Sequence[Mapping[str, Any]]) -> None:
        """The steps of a load run so far; their keys are the columns of the table `load_step`."""
        self._write_json("load_steps.json", steps)

    def write_search(self, searches: Sequence[Mapping[str, Any]]) -> None:
        """What searches for an SLO's highest load have found: level, interval, number of steps."""
        self._write_json("load_search.json", searches)

    def write_telemetry(self, readings: Sequence[PowerReading]) -> None:
        """Power and energy of each GPU over the run; no file without a GPU."""
        if not readings:
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {
            "read_ns": [reading.at_ns for reading in readings],
            "gpu_index": [reading.gpu for reading in readings],
            "power_w": [reading.power_w for reading in readings],
            "energy_j": [reading.energy_j for reading in readings],
        }
        with writing(self.path / "telemetry.parquet"):
            pq.write_table(pa.table(columns), self.path / "telemetry.parquet")

    def write_prices(self, prices: Mapping[str, Any]) -> None:
        """`{"prices": [row, …]}`, or a single row; its keys are the columns of the table `price`, money as strings."""
        self._write_json("prices.json", prices)

    def finish(self, status: RunStatus = "finished") -> None:
        """Seal the run: its attempts become Parquet. Whatever fails on the way leaves the journal as it was."""
        self.cancel_lost("the run ended before the answer came; it may have been billed")
        self._close_journals()
        _seal(self.path)
        self._end(status)

    def interrupt(self) -> None:
        """Leave the run so that the same command goes on with it."""
        self.cancel_lost("the run was interrupted before the answer came; it may have been billed")
        self._close_journals()
        self._end("interrupted")

    def cancel_lost(self, why: str) -> None:
        """Give every announced attempt without an outcome one: it is a row, and asked again as the next attempt."""
        for row in list(self._under_way.values()):
            lost = Measurement(
                **row, target_id=str(self.header.target["id"]), status="cancelled", error=why, retryable=True
            )
            self.append(lost)
        self._requests.sync()
        self._announced.clear()

    def close(self) -> None:
        """Release the folder; an unfinished run is interrupted first."""
        try:
            if self.header.status == "running":
                self.interrupt()
            if self._batches is not None:
                self._batches.close()
        finally:
            self._lock.release()

    def _close_journals(self) -> None:
        for opened in (self._requests, self._announced, self._traffic):
            if opened is not None:
                opened.close()

    def _end(self, status: RunStatus) -> None:
        self.header = replace(self.header, status=status, finished_at=_now())
        _write_header(self.path, self.header)

    def _write_json(self, name: str, content: Any) -> None:
        text = json.dumps(content, ensure_ascii=False, indent=1, default=str)
        journal.write_whole(self.path / name, text.encode() + b"\n")

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.close()
        except RunError:
            if error is None:  # else what went wrong first is what the user must hear
                raise


def row_of(m: Measurement) -> dict[str, Any]:
    """A line of the journal: without what is unknown, which reading fills in again."""
    row = {name: value for name in MEASUREMENT_FIELDS if (value := getattr(m, name)) is not None}
    if m.logprobs is not None:
        row["logprobs"] = [{"token": t.token, "logprob": t.logprob} for t in m.logprobs]
    if m.tool_calls is not None:
        row["tool_calls"] = [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in m.tool_calls]
    return row


def _write_header(path: Path, header: Header) -> None:
    text = json.dumps(asdict(header), ensure_ascii=False, indent=1, default=str)
    journal.write_whole(path / "run.json", text.encode() + b"\n")


def _seal(path: Path) -> None:
    """requests.jsonl (and what an earlier sealing made) -> requests.parquet; the journal goes once rows are counted."""
    import pyarrow.parquet as pq

    sealed, draft = path / "requests.parquet", path / "requests.parquet.tmp"
    with writing(sealed):
        try:
            n_given = 0
            with pq.ParquetWriter(draft, schema_of(Measurement), compression="zstd", write_page_checksum=True) as file:
                for table in request_batches(path):
                    file.write_table(table)
                    n_given += table.num_rows
            journal.sync_file(draft)
            n_rows = pq.read_metadata(draft).num_rows
            if n_rows != n_given:
                raise RunError(f"{draft} holds {n_rows} rows of {n_given}; the journal beside it is kept")
            draft.replace(sealed)
            journal.sync_folder(path)
        finally:
            draft.unlink(missing_ok=True)
        (path / "requests.jsonl").unlink(missing_ok=True)
        (path / "announced.jsonl").unlink(missing_ok=True)


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _mended(path: Path, header: Header) -> dict[str, dict[str, Any]]:
    """The folder made fit for going on; announced attempts that never got a row, by `request_id`."""
    try:
        journal.mend(path / "requests.jsonl")
        journal.mend(path / "announced.jsonl")
        journal.mend(path / "traffic.jsonl")
        ended = frozenset(read_requests(path)[0]["request_id"].to_pylist())
        rows, _ = journal.read(path / "announced.jsonl")
    except RunError as error:
        raise RunError(f"{error}; `--fresh` starts another run") from error
    for name, read_rows in (("samples.jsonl", read_sample_rows), ("scores.json", read_score_rows)):
        try:
            read_rows(path)
        except RunError:
            with writing(path / name):
                (path / name).unlink(missing_ok=True)
    announced = filter(None, (_announcement(row, header) for row in rows))
    return {row["request_id"]: row for row in announced if row["request_id"] not in ended}


def _announcement(row: dict[str, Any], header: Header) -> dict[str, Any] | None:
    """What `announce` wrote, whatever another version added or left out; None when it names no question."""
    kept = {name: row[name] for name, kind in ANNOUNCED.items() if type(row.get(name)) is kind}
    kept = {name: value for name, value in kept.items() if not isinstance(value, int) or abs(value) < 2**63}
    if not kept.get("request_id") or not kept.get("request_key"):
        return None
    return {"kind": header.kind, "started_at": header.started_at, **kept}
