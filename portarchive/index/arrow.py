"""Columns as Arrow: schemas of the tables, and batches from rows of Python values.

With ``assembly``, ``previous`` and ``vetting_worker`` the only place that knows pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from portarchive.index import columns
from portarchive.index.columns import ADDRESSES, COMPLAINTS, RESULTS, Column

_TIME: Final = pa.timestamp("ms", tz="UTC")
_PLAIN: Final = {
    "string": pa.string(),
    "bool": pa.bool_(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "time": _TIME,
    "strings": pa.list_(pa.string()),
}
_STRUCTS: Final = {
    ADDRESSES: ("name", "address"),
    RESULTS: ("authserv_id", "method", "result"),
    COMPLAINTS: ("address", "report"),
}


def _type(kind: str) -> pa.DataType:
    members = _STRUCTS.get(kind)
    if members is None:
        return _PLAIN[kind]
    return pa.list_(pa.struct([(member, pa.string()) for member in members]))


def schema_of(table: Iterable[Column]) -> pa.Schema:
    """The schema of a table or of a part of one."""
    return pa.schema([(column.name, _type(column.kind)) for column in table])


SCHEMAS: Final = {name: schema_of(table) for name, table in columns.TABLES.items()}
ITEM: Final = schema_of(columns.ITEM)
CONTENT: Final = schema_of(columns.CONTENT)


def batch(schema: pa.Schema, table: Sequence[Column], rows: Sequence[Sequence[Any]]) -> Any:
    """A record batch of rows, each with a value for every column."""
    values: Iterable[Sequence[Any]] = zip(*rows, strict=True) if rows else [()] * len(table)
    arrays = [
        _array(column.kind, field.type, told)
        for column, field, told in zip(table, schema, values, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def table_of_batch(made: Any) -> Any:
    """A batch as a table."""
    return pa.Table.from_batches([made], made.schema)


def table_of(name: str, rows: Sequence[Mapping[str, Any]]) -> Any:
    """A table of rows by name; what a row lacks is null."""
    listed = columns.TABLES[name]
    ordered = [
        [row.get(column.name, [] if column.kind == "strings" else None) for column in listed]
        for row in rows
    ]
    return table_of_batch(batch(SCHEMAS[name], listed, ordered))


def _array(kind: str, of_type: pa.DataType, values: Sequence[Any]) -> Any:
    members = _STRUCTS.get(kind)
    if members is None:
        return pa.array(values, of_type)
    # by hand: pyarrow's own way over a dictionary for each struct takes ten times as long
    offsets = [0]
    flat: list[Sequence[str]] = []
    for told in values:
        flat += told
        offsets.append(len(flat))
    pieces = zip(*flat, strict=True) if flat else [()] * len(members)
    children = [pa.array(piece, pa.string()) for piece in pieces]
    structs = pa.StructArray.from_arrays(children, fields=list(of_type.value_type))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), structs, type=of_type)
