"""What SQL may be asked of an index, judged by DuckDB's own parser.

One statement that reads: SELECT, FROM, WITH, VALUES, DESCRIBE, SUMMARIZE, SHOW. The settings of
``query_worker`` would stop files and networks by themselves; this stops what they leave open:
functions that reach the process itself, and statements that write though they look like reading.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from portarchive.index.columns import TABLES

LONGEST: Final = 1 << 20
"""Characters of a statement."""

_NODES: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_TABLE_FUNCTIONS: Final = frozenset(
    {"unnest", "range", "generate_series", "json_each", "json_tree", "repeat", "repeat_row"}
)
# they tell of the process, wait, write, or run text as SQL
_REFUSED: Final = frozenset(
    {
        "current_setting", "getenv", "getvariable", "json_execute_serialized_sql", "nextval",
        "currval", "setval", "sleep_ms", "pg_sleep", "write_log", "read_text", "read_blob",
        "json_serialize_plan",
    }
)  # fmt: skip

_LISTS: Final = frozenset({"", "tables", "databases", "schemas", "__show_tables_expanded"})
"""What SHOW takes beside the name of a table."""


class RefusedSqlError(Exception):
    """The statement is not one that may be asked; the text says why."""


class NoSuchTableError(Exception):
    """The statement reads a table that the index does not have; the text names it."""


def check(connection: Any, sql: str) -> None:
    """Judge a statement.

    Args:
        connection: any connection of DuckDB; nothing is run on it but its parser.
        sql: of anybody.

    Raises:
        RefusedSqlError: it is not one statement that only reads.
        NoSuchTableError: it reads something else than the tables of the index.
        duckdb.Error: it does not parse.
    """
    if len(sql) > LONGEST or "\0" in sql:
        raise RefusedSqlError("it is too long, or holds a NUL")
    statements = connection.extract_statements(sql)
    if not statements:
        raise RefusedSqlError("there is no statement in it")
    if any(statement.type.name != "SELECT" for statement in statements) or len(statements) > 1:
        raise RefusedSqlError(_not_one_that_reads(sql, len(statements)))
    told = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()
    try:
        tree = json.loads(told[0][0])
    except RecursionError:
        raise RefusedSqlError("it is nested too deeply") from None
    if tree.get("error") is not False:
        raise RefusedSqlError(_not_one_that_reads(sql, 1))
    tables = frozenset(TABLES) | _named_with(connection, tree)
    for node in _objects(tree):
        _check_node(node)
        _check_table(node, tables)


def _named_with(connection: Any, tree: Any) -> frozenset[str]:
    """The names that WITH gives, in lower case. Raises as ``check``."""
    names = frozenset(
        str(entry["key"]).lower()
        for node in _objects(tree)
        if isinstance(entries := node.get("cte_map"), dict)
        for entry in entries.get("map", [])
    )
    for name in sorted(names):
        if "." in name:  # where such a name does not reach, it is the file of that name
            raise RefusedSqlError(f"{name[:100]!r} is the name of a file, and WITH may not take it")
    if names:
        # where such a name does not reach, the same name is the table of DuckDB
        told = connection.execute("SELECT view_name FROM duckdb_views() WHERE internal").fetchall()
        for name in sorted(names & {str(row[0]).lower() for row in told}):
            raise RefusedSqlError(f"{name} is a name of DuckDB, and WITH may not take it")
    return names


def _not_one_that_reads(sql: str, count: int) -> str:
    if count > 1 and ";" in sql.strip().rstrip(";"):
        return "it holds several statements"
    return "only SELECT, FROM, WITH, DESCRIBE, SUMMARIZE and SHOW are allowed"


def _check_node(node: dict[str, Any]) -> None:
    kind = str(node.get("type", ""))
    if kind.endswith("_NODE") and kind not in _NODES:
        raise RefusedSqlError("only reading is allowed, also within WITH")
    name = str(node.get("function_name", "")).lower()
    if name in _REFUSED:
        raise RefusedSqlError(f"the function {name} is not allowed")
    function = node.get("function")
    if kind == "TABLE_FUNCTION" and isinstance(function, dict):
        name = str(function.get("function_name", "")).lower()
        if name not in _TABLE_FUNCTIONS:
            raise RefusedSqlError(f"{name} is no table of the index, and may not be read")


def _check_table(node: dict[str, Any], tables: frozenset[str]) -> None:
    kind = str(node.get("type"))  # of a value in the tree it is an object
    if kind not in {"BASE_TABLE", "SHOW_REF"}:
        return
    name = str(node.get("table_name") or "")
    schema = (str(node.get("catalog_name") or ""), str(node.get("schema_name") or ""))
    known = tables
    if kind == "SHOW_REF":
        name, known = name.strip('"'), tables | _LISTS
    inside = schema[0].lower() in {"", "memory"} and schema[1].lower() in {"", "main"}
    if not inside or name.lower() not in known:
        shown = ".".join(part for part in (*schema, name) if part)
        raise NoSuchTableError(f"the index has no table {shown[:100]!r}")


def _objects(tree: Any) -> Iterator[dict[str, Any]]:
    """All objects of a JSON value, however deep."""
    waiting = [tree]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
