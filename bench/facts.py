"""One run folder as rows of every table: what `bench.database` loads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from bench.errors import RunError
from bench.records import Measurement, Sample, Score
from bench.runs import journal, whole
from bench.runs.folder import (
    Header,
    check_name,
    read_header,
    read_objects,
    read_parquet,
    read_price_rows,
    read_requests,
    read_sample_rows,
    read_score_rows,
)
from bench.runs.parts import check_parts
from bench.runs.tables import TEXT_COLUMNS, schema_of, table_of

TABLES = (
    "run",
    "request",
    "request_text",
    "sample",
    "score",
    "load_step",
    "telemetry",
    "price",
    "published_score",
    "access",
    "list_price",
    "traffic",
)
"""Tables whose rows belong to one run each."""
SHARED = ("target", "model", "suite")
"""Tables about what many runs share; derived from all runs together."""
FILES = (
    "run.json",
    "requests.jsonl",
    "requests.parquet",
    "samples.jsonl",
    "scores.json",
    "load_steps.json",
    "telemetry.parquet",
    "prices.json",
    "published_scores.jsonl",
    "access.jsonl",
    "list_prices.jsonl",
    "traffic.jsonl",
)
LARGE_ROWS = 100_000
TARGET_FACTS = ("layer", "engine", "provider", "model", "wire", "base_url", "revision", "quantisation")
TARGET_DETAILS = ("options", "engine_args")
MODEL_FACTS = ("name", "vendor", "released", "access", "parameters_total", "parameters_active", "licence")


def stamp(path: Path) -> str:
    """Changes when any file of the folder does: names, sizes, times, and all of run.json."""
    seen = sha256()
    for name in FILES:
        with suppress(OSError):
            stat = (path / name).stat()
            seen.update(f"{name} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}\n".encode())
    with suppress(OSError):  # `of` says what is wrong with it
        seen.update((path / "run.json").read_bytes())
    return seen.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a folder adds to the store."""

    rows: dict[str, Any]
    """Arrow tables by table name."""
    sealed: Path | None
    """requests.parquet where it is so large that DuckDB had better read it itself; then `rows` has no requests."""


def of(path: Path) -> Facts:
    """RunError when any file of the folder is damaged or, of a finished run, missing: half a run is no run."""
    try:
        return _of(path)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        # JSON of a shape that no check above foresaw: the other runs must not go down with this one
        raise RunError(f"{path}: cannot be read ({type(error).__name__}: {str(error)[:200]})") from error


def _of(path: Path) -> Facts:
    header = read_header(path)
    check_name(path, header)
    samples, scores = read_sample_rows(path), read_score_rows(path)
    sealed = _large(path)
    requests, torn = read_requests(path) if sealed is None else (None, 0)
    n_requests = LARGE_ROWS if requests is None else requests.num_rows
    check_parts(path, header, n_requests=n_requests, samples=samples, scores=scores)
    whose = {"run_id": header.run_id, "target_id": str(header.target["id"])}
    published = {name: journal.read(path / name)[0] for name in whole.TABLES}
    found_rows = {name: len(rows) for name, rows in published.items()} | {"samples.jsonl": len(samples)}
    whole.check(path, header, found_rows)
    found = {
        "run": _texts([_run_row(header, torn)]),
        **(_request_tables(requests, header.run_id) if sealed is None else {}),
        "sample": _owned(table_of(samples, Sample, source=str(path / "samples.jsonl")), whose),
        "score": _owned(table_of(scores, Score, source=str(path / "scores.json")), whose),
        "price": _texts([{**row, **whose} for row in read_price_rows(path)]),
        "load_step": _texts([{**row, **whose} for row in read_objects(path / "load_steps.json")]),
        "telemetry": _telemetry(path / "telemetry.parquet", whose),
        "published_score": _owned(_texts(published["published_scores.jsonl"]), whose),
        "access": _owned(_texts(published["access.jsonl"]), whose),
        "list_price": _owned(_texts(published["list_prices.jsonl"]), whose),
        "traffic": _texts([{**row, **whose} for row in journal.read(path / "traffic.jsonl")[0]]),
    }
    return Facts(rows={name: rows for name, rows in found.items() if rows.num_rows}, sealed=sealed)


def shared(newest: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
    """`target` and `model` from (target_id, target as JSON, fingerprint) of each target's newest run."""
    targets, models = [], {}
    for target_id, text, fingerprint in newest:
        told = json.loads(text)
        row = {name: told.get(name) for name in (*TARGET_FACTS, *TARGET_DETAILS)}
        targets.append({**row, "target_id": target_id, "fingerprint": fingerprint})
        facts = told.get("facts")
        facts = facts if isinstance(facts, dict) else {}
        if told.get("model") is not None:  # what is imported may be of many models, or of an unknown one
            models[str(told["model"])] = {"model": told.get("model"), **{name: facts.get(name) for name in MODEL_FACTS}}
    return {"target": _texts(targets), "model": _texts(list(models.values()))}


def _large(path: Path) -> Path | None:
    """The run's requests.parquet, if it is whole by its footer, has many rows and is all there is."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sealed = path / "requests.parquet"
    if not sealed.exists() or (path / "requests.jsonl").exists():
        return None
    try:
        footer = pq.read_metadata(sealed)
        ours = footer.schema.to_arrow_schema().equals(schema_of(Measurement))
    except (pa.ArrowException, OSError):
        return None  # read_requests says what is wrong with it
    return sealed if ours and footer.num_rows >= LARGE_ROWS else None


def _run_row(header: Header, torn: int) -> dict[str, Any]:
    return {
        "run_id": header.run_id,
        "kind": header.kind,
        "suite": header.suite,
        "suite_version": header.suite_version,
        "suite_hash": header.suite_hash,
        "target_id": header.target["id"],
        "fingerprint": header.fingerprint,
        "question_hash": header.question_hash,
        "seed": header.seed,
        "repeats": header.repeats,
        "item_limit": header.limit,
        "items": header.items,
        "status": header.status,
        "started_at": header.started_at,
        "finished_at": header.finished_at,
        "git_sha": header.git_sha,
        "machine": dict(header.machine),
        "versions": dict(header.versions),
        "target": dict(header.target),
        "torn_lines": torn,
    }


def _request_tables(requests: Any, run_id: str) -> dict[str, Any]:
    import pyarrow as pa

    n_rows = requests.num_rows
    requests = requests.set_column(requests.schema.get_field_index("run_id"), "run_id", pa.repeat(run_id, n_rows))
    text = requests.select(["request_id", "run_id", *(c for c in TEXT_COLUMNS if c in requests.column_names)])
    plain = requests.drop_columns([c for c in TEXT_COLUMNS if c in requests.column_names])
    return {"request": plain.append_column("position", pa.array(range(n_rows), pa.int64())), "request_text": text}


def _owned(rows: Any, whose: Mapping[str, str]) -> Any:
    import pyarrow as pa

    rows = rows.drop_columns([name for name in whose if name in rows.column_names])
    for name, value in whose.items():
        rows = rows.append_column(name, pa.repeat(value, rows.num_rows))
    return rows


def _telemetry(path: Path, whose: Mapping[str, str]) -> Any:
    import pyarrow as pa

    if not path.exists():
        return _texts([])
    rows = read_parquet(path)
    for column in rows.schema:
        if pa.types.is_nested(column.type):
            raise RunError(f"{path}: column {column.name} is {column.type}, not numbers")
    return _owned(rows, whose)


def _texts(rows: Sequence[Mapping[str, Any]]) -> Any:
    """A few rows of any shape as text columns; DuckDB casts them. Lists and objects become JSON."""
    import pyarrow as pa

    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: pa.array([_text(row.get(name)) for row in rows], pa.string()) for name in names})


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
