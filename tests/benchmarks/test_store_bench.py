"""How fast the store is: journal, sealing, a million rows into the database, and a small run on top of them.

Run with `pytest tests/benchmarks/test_store_bench.py --benchmark-enable`. Without it each body runs once, on less.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench import database, runs
from bench.records import Measurement
from bench.runs.tables import schema_of, table_of
from tests.store import header, measurement, sample, sealed


@pytest.fixture(scope="module")
def n_rows(request) -> int:
    return 1_000_000 if request.config.getoption("benchmark_enable") else 120_000


def many_requests(n: int) -> pa.Table:
    """Rows that compress no better than real ones: every stamp, key and text differs."""
    dice = np.random.default_rng(7)
    few = table_of([vars(replace(measurement(k), logprobs=None)) for k in range(1000)], Measurement, source="made up")
    rows = few.take(np.arange(n) % 1000)
    names = np.arange(n).astype(str)
    new = {
        "request_id": np.char.add("request-", names),
        "request_key": np.char.add("key-", names),
        "prompt": np.char.add("balanced? ([]()) and some words that make it a sentence of usual length ", names),
        "response_id": np.char.add("chatcmpl-", names),
    }
    for column in ("sent_ns", "headers_ns", "first_event_ns", "first_token_ns", "last_token_ns", "end_ns"):
        new[column] = np.sort(dice.integers(0, 3_600_000_000_000, n))
    for column, values in new.items():
        at = rows.schema.get_field_index(column)
        rows = rows.set_column(at, column, pa.array(values, rows.schema.field(column).type))
    assert rows.schema.names == schema_of(Measurement).names
    return rows


@pytest.fixture(scope="module")
def large_store(tmp_path_factory, n_rows) -> Path:
    results = tmp_path_factory.mktemp("large")
    path = sealed(results, header("20261101T000000000Z-large"), [])
    pq.write_table(many_requests(n_rows), path / "requests.parquet", compression="zstd", write_page_checksum=True)
    return results


def test_append_one_attempt(benchmark, tmp_path):
    with runs.create(tmp_path, header()) as run:
        m = measurement(0)
        benchmark(lambda: run.append(m))


def test_announce_one_request(benchmark, tmp_path):
    from tests.store import request

    with runs.create(tmp_path, header()) as run:
        asked = request(0)
        benchmark(lambda: run.announce(asked))


def test_seal_ten_thousand_attempts(benchmark, tmp_path):
    n = iter(range(1000))

    def open_run() -> tuple[tuple[runs.Run], dict]:
        run = runs.create(tmp_path, header(f"20261101T000000000Z-{next(n):03d}"))
        for k in range(10_000):
            run.append(measurement(k))
        return (run,), {}

    def seal(run: runs.Run) -> None:
        run.finish()
        run.close()

    benchmark.pedantic(seal, setup=open_run, rounds=2)


def test_a_million_rows_enter_an_empty_store(benchmark, large_store, n_rows):
    built = benchmark.pedantic(lambda: database.build(large_store, fresh=True), rounds=3)
    assert (built.requests, built.problems) == (n_rows, [])


def test_a_small_run_joins_a_million_rows(benchmark, large_store, n_rows):
    database.build(large_store)
    n = iter(range(1000))

    def add_run() -> None:
        name = f"20261102T000000000Z-{next(n):03d}"
        attempts = [measurement(k, request_id=f"{name}-{k}") for k in range(240)]
        sealed(large_store, header(name), attempts, [sample(k, request_id=f"{name}-{k}") for k in range(240)])

    built = benchmark.pedantic(lambda: database.build(large_store), setup=add_run, rounds=3)
    assert built.added == 1


def test_a_build_with_nothing_new(benchmark, large_store):
    database.build(large_store)
    assert benchmark.pedantic(lambda: database.build(large_store), rounds=3).added == 0


def test_latency_percentiles_of_a_million_rows(benchmark, large_store):
    database.build(large_store)
    text = "select run_id, quantile_cont(ttft_ms, [0.5, 0.95, 0.99]), median(decode_tps) from latency group by run_id"
    benchmark.pedantic(lambda: database.sql(large_store, text), rounds=3)


def test_a_hundred_small_runs_from_nothing(benchmark, tmp_path):
    for n in range(100):
        name = f"20261101T000000000Z-{n:03d}"
        attempts = [measurement(k, request_id=f"{name}-{k}") for k in range(24)]
        sealed(tmp_path, header(name), attempts, [sample(k, request_id=f"{name}-{k}") for k in range(24)])
    built = benchmark.pedantic(lambda: database.build(tmp_path, fresh=True), rounds=3)
    assert built.runs == 100
