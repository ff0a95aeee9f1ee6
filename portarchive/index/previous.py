"""The index that is there already: which of its rows can be taken over, and those rows.

A row is taken over for a message of the same folder, uid, size and SHA-256, if its octets were
read and are what the item says. An index that does not look exactly as it should is as good as
none: it may have come with a stranger's archive. All of it is looked at when it is opened, so that
nothing of it can stop a build that is under way.
"""

from __future__ import annotations

import bisect
import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from portarchive.index import arrow, columns
from portarchive.index.content import thread_ids
from portarchive.index.place import state_of

_HELD: Final = 3
_NOT_TAKEN: Final = frozenset({"unreadable", "digest-mismatch", "size-mismatch", "parser-failed"})
_CHILDREN: Final = ("attachments", "delivery_status", "feedback_reports")
_ALONE: Final = ["message_id", "in_reply_to", "reference_ids"]


def key(folder: str, uid: str, size: int | None, sha256: str | None) -> int | None:
    """The number under which a row is found again; None for what tells too little."""
    if size is None or sha256 is None:
        return None
    text = f"{folder}\0{uid}\0{size}\0{sha256}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "little")


class Previous:
    """An index to take rows from. ``close`` it.

    Attributes:
        rows: how many it has.

    Raises:
        ValueError, OSError: it does not look as it should.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._file = pq.ParquetFile(place / "messages.parquet", page_checksum_verification=True)
        try:
            _expect(self._file.schema_arrow, "messages")
            self._starts: list[int] = []
            start = 0
            for number in range(self._file.num_row_groups):
                self._starts.append(start)
                start += self._file.metadata.row_group(number).num_rows
            self.rows = start
            self._held: OrderedDict[int, Any] = OrderedDict()
            self._row_of = self._index()
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Give back what it holds."""
        self._held.clear()
        self._file.close()

    def take(self, wanted: int | None) -> int | None:
        """The row with this key, once; None if there is none (any more), or several.

        An archive may list a message twice: a row that was taken over by both could be given
        only one new number.
        """
        found = None if wanted is None else self._row_of.pop(wanted, None)
        return found if found is not None and found >= 0 else None

    def slices(self, start: int, end: int) -> Iterator[Any]:
        """The content of the rows from ``start`` to ``end``, as tables."""
        number = bisect.bisect_right(self._starts, start) - 1
        while start < end:
            first = self._starts[number]
            table = self._group(number)
            length = min(end, first + table.num_rows) - start
            yield table.slice(start - first, length)
            start += length
            number += 1

    def thread_ids(self) -> Iterator[list[int]]:
        """Of all rows in their order."""
        for number in range(len(self._starts)):
            table = self._file.read_row_group(number, columns=_ALONE, use_threads=False)
            told = (table.column(name).to_pylist() for name in _ALONE)
            for own, reply, references in zip(*told, strict=True):
                yield thread_ids(own, reply, references)

    def defects(self) -> Iterator[list[str]]:
        """Of all rows in their order."""
        for number in range(len(self._starts)):
            table = self._file.read_row_group(number, columns=["defects"], use_threads=False)
            yield from table.column("defects").to_pylist()

    def children(self, name: str) -> Any:
        """The whole of one of the smaller tables."""
        table = pq.read_table(
            self._place / f"{name}.parquet", use_threads=False, page_checksum_verification=True
        )
        _expect(table.schema, name)
        return table.replace_schema_metadata(None)

    def _index(self) -> dict[int, int]:
        rows: dict[int, int] = {}
        wanted = ["folder", "uid", "size", "sha256", "defects"]
        row = 0
        for number in range(len(self._starts)):
            table = self._file.read_row_group(number, use_threads=False)
            _check(table, "messages")
            told = (table.column(name).to_pylist() for name in wanted)
            for folder, uid, size, sha256, defects in zip(*told, strict=True):
                found = key(folder, uid, size, sha256)
                if not columns.DEFECTS.keys() >= set(defects):
                    raise ValueError("a defect that this version does not know")
                if found is not None and _NOT_TAKEN.isdisjoint(defects):
                    rows[found] = -1 if found in rows else row
                row += 1
        return rows

    def _group(self, number: int) -> Any:
        held = self._held.get(number)
        if held is None:
            names = columns.names(columns.CONTENT)
            read = self._file.read_row_group(number, columns=names, use_threads=False)
            held = read.select(names).cast(arrow.CONTENT)
            self._held[number] = held
            if len(self._held) > _HELD:
                self._held.popitem(last=False)
        else:
            self._held.move_to_end(number)
        return held


def open_previous(place: Path) -> Previous | None:
    """The index at a place, if rows can be taken from it."""
    state = state_of(place)
    if state is None:
        return None
    try:
        found = Previous(place)
    except (OSError, ValueError, pa.ArrowException):
        return None
    try:
        _expect_rows(found.rows, "messages", state)
        for name in _CHILDREN:
            table = found.children(name)
            _check(table, name)
            _expect_rows(table.num_rows, name, state)
            _expect_messages(found.rows, name, table)
    except (OSError, ValueError, pa.ArrowException):
        found.close()
        return None
    return found


def _expect(schema: pa.Schema, name: str) -> None:
    if not schema.remove_metadata().equals(arrow.SCHEMAS[name]):
        raise ValueError(f"{name} is not what this version writes")


def _expect_rows(rows: int, name: str, state: dict[str, Any]) -> None:
    if rows != state["tables"][name]["rows"]:
        raise ValueError(f"{name} has other rows than index.json says")


def _expect_messages(rows: int, name: str, table: Any) -> None:
    bounds = pc.min_max(table.column("row_id")).as_py()
    if table.num_rows and not 0 <= bounds["min"] <= bounds["max"] < rows:
        raise ValueError(f"{name} tells of messages that are not there")


def _check(table: Any, name: str) -> None:
    """Every text is UTF-8, every number can be one, and what is never null is not null."""
    table.validate(full=True)
    for field, column in zip(table.schema, table.columns, strict=True):
        if pa.types.is_list(field.type):
            _check_lists(field, column)
        elif field.name in columns.NEVER_NULL[name] and column.null_count:
            raise ValueError(f"{field.name} is null")
        elif pa.types.is_integer(field.type) and field.name not in columns.SIGNED:
            _check_bounds(field.name, column, 0, columns.LARGEST)
        elif pa.types.is_timestamp(field.type):
            instants = column.cast(pa.int64())
            _check_bounds(field.name, instants, columns.EARLIEST * 1000, columns.LATEST * 1000)


def _check_bounds(name: str, column: Any, least: int, most: int) -> None:
    found = pc.min_max(column).as_py()
    if found["min"] is not None and not least <= found["min"] <= found["max"] <= most:
        raise ValueError(f"{name} is what it cannot be")


def _check_lists(field: Any, column: Any) -> None:
    for chunk in column.chunks:
        values = chunk.flatten()
        members = values.flatten() if pa.types.is_struct(values.type) else [values]
        if chunk.null_count or values.null_count or any(one.null_count for one in members):
            raise ValueError(f"{field.name} is null")
