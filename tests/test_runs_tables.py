"""Rows become columns of the declared types, or an error that says where."""

from __future__ import annotations

import json

import pytest

from bench import runs
from bench.errors import RunError
from bench.records import Measurement, Sample, TokenLogprob
from bench.runs.tables import schema_of, table_of
from tests.store import header, measurement, sample


def test_the_schema_is_the_dataclass():
    schema = schema_of(Measurement)
    assert schema.names[0] == "request_id"
    kinds = {name: str(schema.field(name).type) for name in ("attempt", "task", "retry_after_s", "replayed", "status")}
    assert list(kinds.values()) == ["int64", "string", "double", "bool", "string"]
    assert str(schema.field("logprobs").type) == "list<item: struct<token: string, logprob: double>>"
    assert str(schema_of(TokenLogprob)) == "token: string\nlogprob: double"


def test_what_a_row_leaves_out_is_its_default_and_what_it_adds_is_left_out():
    row = {k: v for k, v in vars(measurement(0)).items() if k not in ("attempt", "replayed", "error")}
    (found,) = table_of([{**row, "colour": "blue"}], Measurement, source="here").to_pylist()
    assert (found["attempt"], found["replayed"], found["error"]) == (0, False, None)
    assert "colour" not in found
    assert table_of([], Sample, source="here").num_rows == 0
    assert table_of([vars(sample(0, None))], Sample, source="here").to_pylist()[0]["value"] is None


def test_a_row_of_a_wrong_type_or_without_its_name_is_an_error_that_says_where(tmp_path):
    with runs.create(tmp_path, header()) as run:
        run.append(measurement(0))
    file = run.path / "requests.jsonl"
    row = json.loads(file.read_bytes())
    file.write_bytes(json.dumps({**row, "out_tokens": "many"}).encode() + b"\n")
    with pytest.raises(RunError, match=r"requests\.jsonl: column out_tokens"):
        runs.read(run.path)
    del row["request_key"]
    file.write_bytes(json.dumps(row).encode() + b"\n")
    with pytest.raises(RunError, match=r"requests\.jsonl: a row without request_key"):
        runs.read(run.path)
