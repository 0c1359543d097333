"""What a run folder holds and how it is read. Its files are facts: nothing here writes.

results/runs/<run_id>/
  run.json           the header: what was asked of whom, on which machine, and how it ended
  requests.jsonl     one line per attempt while the run is open -> requests.parquet when it is sealed
  announced.jsonl    one line per request about to be sent; what a killed run leaves here may have been paid for
  batches.jsonl      every step of every batch that was sent to a provider's batch API
  traffic.jsonl      what the target's limits did to the traffic: holds, and how many requests were under way
  samples.jsonl scores.json prices.json   written whole
  published_scores.jsonl access.jsonl list_prices.jsonl   of an import of what others published (bench.runs.whole)
  sessions.jsonl     one line per session that asked something: its allowance, estimate and prices (bench.ledger)
  run.lock           held while a process writes here
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from bench.errors import RunError
from bench.records import ANSWERED, Measurement, Sample, Score, TokenLogprob, ToolCall
from bench.runs import journal
from bench.runs.parts import JUDGE_AGAIN, check_parts
from bench.runs.tables import conformed, table_of

N = TypeVar("N")

SCHEMA = 1
RunStatus = Literal["running", "finished", "interrupted", "failed"]
VALUES_PER_BATCH = 500_000
"""Of rows as Python objects, held at once: some 30 MB."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """`run.json`: everything needed to say what a number of this run means."""

    run_id: str
    kind: str
    suite: str
    suite_version: str
    suite_hash: str
    target: Mapping[str, Any]
    """As the catalogue gives it (id, layer, engine, model, wire, base_url, options …), without secrets."""
    fingerprint: str
    seed: int
    repeats: int
    limit: int | None
    """Items per task; None = all the suite says."""
    items: str
    machine: Mapping[str, Any]
    versions: Mapping[str, Any]
    git_sha: str | None
    started_at: str
    status: RunStatus = "running"
    """`running` in a folder that nobody holds means that the process died."""
    finished_at: str | None = None
    schema: int = SCHEMA
    question_hash: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "suite_version", str(self.suite_version))
        if not self.question_hash:
            object.__setattr__(self, "question_hash", _hash_of_header(self))


@dataclass(frozen=True, kw_only=True)
class Folder:
    """What a run folder holds, read once."""

    path: Path
    header: Header
    requests: Any
    """pyarrow Table, a row per attempt in the order they ended; columns are the fields of Measurement."""
    samples: list[Sample]
    scores: list[Score]
    prices: Mapping[str, Any]
    torn_lines: int
    """Lines a power cut or a full disk left unfinished; they were never acknowledged, and are left out."""

    def answers(self) -> dict[str, Measurement]:
        """The attempt that counts of each question, by `request_key`."""
        return counting(measurements(self.requests))


def read(path: Path) -> Folder:
    """Everything a run folder holds; RunError names the file that is damaged, or that a finished run lacks."""
    header = read_header(path)
    check_name(path, header)
    requests, torn = read_requests(path)
    samples, scores = read_sample_rows(path), read_score_rows(path)
    check_parts(path, header, n_requests=requests.num_rows, samples=samples, scores=scores)
    read_price_rows(path)
    return Folder(
        path=path,
        header=header,
        requests=requests,
        samples=[_noun(Sample, row, path / "samples.jsonl") for row in samples],
        scores=[_noun(Score, row, path / "scores.json") for row in scores],
        prices=journal.read_json(path / "prices.json") or {},
        torn_lines=torn,
    )


def complete(path: Path) -> str | None:
    """None when the folder is readable and, if the run is finished, has all its parts; else what is wrong, one line.

    `bench.runs.reopen` goes on with such a run: what is answered stays answered, and it is judged again.
    """
    try:
        read(path)
    except RunError as error:
        return str(error)
    return None


def folders(results: Path) -> list[Path]:
    """The run folders, oldest first. One without any file of ours yet (its creator died at once) doesn't count."""
    runs = results / "runs"
    try:
        found = sorted(p for p in runs.iterdir() if p.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"cannot read {runs}: {error.strerror}") from error
    return [p for p in found if _is_run(p)]


def _is_run(path: Path) -> bool:
    try:
        return any((path / name).exists() for name in ("run.json", "requests.jsonl", "requests.parquet"))
    except OSError:
        return True  # not ours to enter: whoever reads it is told so


def read_header(path: Path) -> Header:
    """`run.json`; keys we don't know are left alone, a schema we don't know is refused."""
    file = path / "run.json"
    row = journal.read_json(file)
    if not isinstance(row, dict):
        raise RunError(f"{path}: no run.json; not a run folder, or half copied: copy it again, or remove it")
    if row.get("schema") != SCHEMA:
        raise RunError(f"{file}: schema {row.get('schema')!r}, this version reads {SCHEMA}; update the program")
    header = _noun(Header, row, file)
    if header.status not in get_args(RunStatus):
        raise RunError(f"{file}: status {header.status!r}; known: {', '.join(get_args(RunStatus))}")
    for name in ("target", "machine", "versions"):
        if not isinstance(getattr(header, name), dict):
            raise RunError(f"{file}: {name} is {shown(getattr(header, name))}, not an object")
    if not isinstance(header.target.get("id"), str):
        raise RunError(f"{file}: target has no id")
    return header


def check_name(path: Path, header: Header) -> None:
    """A folder under another name is a copy or a renamed run: two folders must not claim the same run."""
    if header.run_id != path.name:
        told = f"run_id is {shown(header.run_id)}; name the folder so, each run is one folder"
        raise RunError(f"{path / 'run.json'}: {told}")


def shown(value: Any) -> str:
    """A value from somebody's file, short enough for one line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def read_requests(path: Path) -> tuple[Any, int]:
    """All attempts as a pyarrow Table, in the order they ended, and how many torn lines were left out."""
    import pyarrow as pa

    torn: list[Path] = []
    parts = list(request_batches(path, torn)) or [table_of([], Measurement, source=str(path / "requests.jsonl"))]
    return pa.concat_tables(parts, promote_options="default"), len(torn)


def request_batches(path: Path, torn: list[Path] | None = None) -> Iterator[Any]:
    """All attempts as pyarrow Tables of some thousand rows, in the order they ended; a file with a torn end goes to
    `torn`.

    Between sealing and removing the journal both files hold the same rows: each counts once.
    """
    sealed, open_ = path / "requests.parquet", path / "requests.jsonl"
    known: frozenset[str] = frozenset()
    if sealed.exists():
        table = conformed(read_parquet(sealed), Measurement, source=str(sealed))
        known = frozenset(table["request_id"].to_pylist()) if open_.exists() else known
        yield table
    batch: list[dict[str, Any]] = []
    n_values = 0
    for row in journal.scan(open_):
        if row is None:
            if torn is not None:
                torn.append(open_)
        elif str(row.get("request_id")) not in known:
            batch.append(row)
            n_values += len(row.get("chunk_offsets_ns") or ()) + 40
        if n_values > VALUES_PER_BATCH:
            yield table_of(batch, Measurement, source=str(open_))
            batch, n_values = [], 0
    if batch:
        yield table_of(batch, Measurement, source=str(open_))


def read_parquet(file: Path) -> Any:
    """One Parquet file as a pyarrow Table, its checksums verified."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if file.is_dir():  # which Arrow would read as many files
            raise IsADirectoryError("it is a folder")
        return pq.read_table(file, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{file}: damaged ({reason}); restore the file from a copy") from error


def read_sample_rows(path: Path) -> list[dict[str, Any]]:
    rows, torn = journal.read(path / "samples.jsonl")
    if torn:
        raise RunError(f"{path / 'samples.jsonl'}: cut off; {JUDGE_AGAIN}")
    return rows


def read_score_rows(path: Path) -> list[dict[str, Any]]:
    return read_objects(path / "scores.json")


def read_objects(file: Path) -> list[dict[str, Any]]:
    """A JSON file that is a list of objects; none when it isn't there."""
    rows = journal.read_json(file)
    if rows is None:
        return []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise RunError(f"{file}: not a list of objects; {JUDGE_AGAIN}")
    return rows


def read_price_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of `prices.json`: the list under `prices`, or the object itself. `id` is another name of `price_id`."""
    found = journal.read_json(path / "prices.json") or {}
    single = isinstance(found, dict) and {"price_id", "id"} & found.keys()
    rows = [found] if single else found.get("prices", []) if isinstance(found, dict) else found
    if not isinstance(rows, list) or not all(isinstance(r, dict) and (r.get("price_id") or r.get("id")) for r in rows):
        raise RunError(f"{path / 'prices.json'}: a price without price_id")
    return [{"price_id": row.get("id"), **row} for row in rows]


MEASUREMENT_FIELDS = tuple(f.name for f in fields(Measurement))


def measurements(table: Any) -> Iterator[Measurement]:
    """The rows of a requests table as nouns again."""
    known = table.select([name for name in table.column_names if name in MEASUREMENT_FIELDS])
    for batch in known.to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            row["chunk_offsets_ns"] = tuple(row["chunk_offsets_ns"] or ())
            if row["logprobs"] is not None:
                row["logprobs"] = tuple(TokenLogprob(**pair) for pair in row["logprobs"])
            if row["tool_calls"] is not None:
                row["tool_calls"] = tuple(ToolCall(**call) for call in row["tool_calls"])
            yield Measurement(**row)


def counting(attempts: Iterable[Measurement]) -> dict[str, Measurement]:
    """Of each question the attempt that counts: the last that was answered, else the last; `attempt` orders them."""
    best: dict[str, Measurement] = {}
    for m in attempts:
        held = best.get(m.request_key)
        if held is None or (m.status in ANSWERED, m.attempt) >= (held.status in ANSWERED, held.attempt):
            best[m.request_key] = m
    return best


def _noun(noun: type[N], row: Any, file: Path) -> N:
    """A row as its dataclass; keys it doesn't know are left out, keys it misses are named."""
    known = {f.name for f in fields(noun)}  # type: ignore[arg-type]
    try:
        return noun(**{k: v for k, v in row.items() if k in known})
    except (TypeError, AttributeError, ValueError, RecursionError) as error:
        raise RunError(f"{file}: {str(error).splitlines()[0]}") from error


def question_hash(*, suite_hash: str, fingerprint: str, seed: int, repeats: int, limit: int | None, items: str) -> str:
    """The name of everything a run asks: equal hashes mean that one run can go on where the other stopped."""
    text = json.dumps([suite_hash, fingerprint, seed, repeats, limit, items])
    return sha256(text.encode()).hexdigest()


def _hash_of_header(header: Header) -> str:
    return question_hash(
        suite_hash=header.suite_hash,
        fingerprint=header.fingerprint,
        seed=header.seed,
        repeats=header.repeats,
        limit=header.limit,
        items=header.items,
    )
