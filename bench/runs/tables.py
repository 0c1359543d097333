"""Rows of our nouns as Arrow tables: their columns are the fields of the dataclass, in its order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from bench.errors import RunError

TEXT_COLUMNS = ("prompt", "answer", "reasoning", "chunk_offsets_ns", "logprobs", "tool_calls")
"""The half of a Measurement that is large and seldom asked for: the table `request_text`."""


@cache
def schema_of(noun: type) -> Any:
    """The Arrow schema of a dataclass of `bench.records`."""
    import pyarrow as pa

    hints = get_type_hints(noun)
    return pa.schema([(field.name, _arrow_type(hints[field.name])) for field in fields(noun)])


def _arrow_type(hint: Any) -> Any:
    import pyarrow as pa

    plain = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    if hint in plain:
        return plain[hint]
    arguments = [a for a in get_args(hint) if a is not NoneType]
    if get_origin(hint) in (Union, UnionType):
        return _arrow_type(arguments[0])
    if get_origin(hint) is Literal:
        return pa.string()
    if get_origin(hint) is tuple:
        return pa.list_(_arrow_type(arguments[0]))
    return pa.struct(list(schema_of(hint)))


def defaults_of(noun: type) -> dict[str, Any]:
    """Fields with a plain default: what a line that leaves them out means."""
    return {
        field.name: field.default
        for field in fields(noun)
        if isinstance(field.default, str | int | float | bool | tuple)
    }


@cache
def required_of(noun: type) -> frozenset[str]:
    """Fields that are never None."""
    return frozenset(name for name, hint in get_type_hints(noun).items() if NoneType not in get_args(hint))


def table_of(rows: Sequence[Mapping[str, Any]], noun: type, *, source: str) -> Any:
    """Rows as an Arrow table; names unknown to the noun are left out; RunError names `source` and the column."""
    import pyarrow as pa

    defaults = defaults_of(noun)
    columns = []
    for column in schema_of(noun):
        default = defaults.get(column.name)
        try:
            columns.append(pa.array([row.get(column.name, default) for row in rows], column.type))
        except (ValueError, TypeError, OverflowError, pa.ArrowException) as error:
            raise RunError(f"{source}: column {column.name}: {str(error).splitlines()[0]}") from error
        if columns[-1].null_count and column.name in required_of(noun):
            raise RunError(f"{source}: a row without {column.name}")
    return pa.table(columns, schema=schema_of(noun))


def conformed(table: Any, noun: type, *, source: str) -> Any:
    """A table from a file with exactly the columns of the noun; RunError names `source` and what doesn't fit."""
    import pyarrow as pa

    schema, defaults = schema_of(noun), defaults_of(noun)
    if table.schema.equals(schema):
        return table
    columns = []
    for column in schema:
        if column.name not in table.column_names and column.name in required_of(noun) - defaults.keys():
            raise RunError(f"{source}: no column {column.name}; restore the file from a copy")
        try:
            if column.name in table.column_names:
                columns.append(table[column.name].cast(column.type))
            else:
                columns.append(pa.array([defaults.get(column.name)] * table.num_rows, column.type))
        except (ValueError, TypeError, pa.ArrowException) as error:
            raise RunError(f"{source}: column {column.name}: {str(error).splitlines()[0]}") from error
    return pa.table(columns, schema=schema)
