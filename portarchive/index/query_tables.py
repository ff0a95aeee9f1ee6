"""The tables of an index as DuckDB sees them, and whether they are what this version writes.

An index may have come with a stranger's archive, or have suffered on a disk. Types are compared
when it is opened; values where they are read, by the views themselves, so that a question pays only
for the columns that it names. Whoever asks never meets a null or a number that cannot be there.
"""

from __future__ import annotations

from typing import Any, Final

from portarchive.index.columns import (
    ADDRESSES,
    COMPLAINTS,
    EARLIEST,
    LARGEST,
    LATEST,
    NEVER_NULL,
    RESULTS,
    SIGNED,
    TABLES,
    Column,
)

_TYPES: Final = {
    "string": "VARCHAR",
    "bool": "BOOLEAN",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "time": "TIMESTAMP WITH TIME ZONE",
    "strings": "VARCHAR[]",
    ADDRESSES: 'STRUCT("name" VARCHAR, address VARCHAR)[]',
    RESULTS: 'STRUCT(authserv_id VARCHAR, "method" VARCHAR, "result" VARCHAR)[]',
    COMPLAINTS: "STRUCT(address VARCHAR, report VARCHAR)[]",
}
_OF_SQL: Final = frozenset(
    {"ParserException", "SyntaxException", "BinderException", "CatalogException"}
)
"""Errors of a statement that no octet of the index was read for."""


def open_tables(connection: Any) -> None:
    """Make a view for each table of the current directory.

    Raises:
        ValueError: a table has other columns than this version writes.
        duckdb.Error: a file cannot be read.
    """
    for name, table in TABLES.items():
        source = f"read_parquet('{name}.parquet')"
        wanted = ", ".join(f'NULL::{_TYPES[column.kind]} AS "{column.name}"' for column in table)
        if _described(connection, f"SELECT * FROM {source}") != _described(  # noqa: S608 - our own names
            connection, f"SELECT {wanted}"
        ):
            raise ValueError(f"{name} has other columns than it should")
        values = ", ".join(_guarded(name, column) for column in table)
        connection.execute(f"CREATE VIEW {name} AS SELECT {values} FROM {source}")  # noqa: S608 - our own names


def damage(connection: Any, error: Exception) -> Exception | None:
    """Whether the index is what made a statement fail: all of it is read for that.

    Args:
        connection: with the views of ``open_tables``, and no transaction that has failed.
        error: what the statement failed with.

    Returns:
        What is wrong with the index; None if nothing is, or if that cannot be told.
    """
    if type(error).__name__ in _OF_SQL:
        return None
    for name in TABLES:
        try:
            connection.execute(f"SELECT bit_xor(hash(t)) FROM {name} t").fetchall()  # noqa: S608 - our own names
        except Exception as found:  # noqa: BLE001 - of a stranger's file, by a library of others
            return None if type(found).__name__ == "OutOfMemoryException" else found
    return None


def _described(connection: Any, sql: str) -> list[Any]:
    return [row[:2] for row in connection.execute(f"DESCRIBE {sql}").fetchall()]


def _guarded(table: str, column: Column) -> str:
    """A column that fails where it holds what this version never writes."""
    name = f'"{column.name}"'
    wrong = _wrong(column, name)
    if column.name in NEVER_NULL[table]:
        wrong = f"{name} IS NULL" + (f" OR {wrong}" if wrong else "")
    if not wrong:
        return name
    text = f"{table}.{column.name} holds what it never does"
    return f"CASE WHEN {wrong} THEN error('{text}') ELSE {name} END AS {name}"


def _wrong(column: Column, name: str) -> str:
    if column.kind == "int64":
        return f"{name} NOT BETWEEN 0 AND {LARGEST}"
    if column.kind.startswith("int") and column.name not in SIGNED:
        return f"{name} < 0"
    if column.kind == "time":
        return f"{name} NOT BETWEEN to_timestamp({EARLIEST}) AND to_timestamp({LATEST})"
    if column.kind == "strings":
        return f"list_aggregate({name}, 'count') <> len({name})"
    return ""
