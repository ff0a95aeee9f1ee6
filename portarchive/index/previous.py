"""The index that is there already: which of its rows can be taken over, and those rows.

A row is taken over for a message of the same folder, uid, size and SHA-256, if its octets were
read and are what the item says. All of an index was looked at when it is opened (``vetting``), so
that nothing of it can stop a build that is under way.
"""

from __future__ import annotations

import bisect
import contextlib
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from portarchive.index import arrow, columns
from portarchive.index.content import thread_ids
from portarchive.index.vetting import KEY, Vetting

_HELD: Final = 3
_NONE: Final = bytes(KEY)
_CHILDREN: Final = ("attachments", "delivery_status", "feedback_reports")
_ALONE: Final = ["message_id", "in_reply_to", "reference_ids"]


class Previous:
    """An index to take rows from. ``close`` it.

    Args:
        place: the directory.
        keys: of its rows, from ``Vetting``.

    Attributes:
        rows: how many it has.

    Raises:
        ValueError, OSError: it was changed since it was looked at.
    """

    def __init__(self, place: Path, keys: bytes) -> None:
        with contextlib.ExitStack() as opened:
            # all of them now: another build may put its own there
            self._files = {
                name: opened.enter_context(
                    pq.ParquetFile(place / f"{name}.parquet", page_checksum_verification=True)
                )
                for name in ("messages", *_CHILDREN)
            }
            self._opened = opened.pop_all()
        self._file = self._files["messages"]
        self._starts: list[int] = []
        self.rows = 0
        for number in range(self._file.num_row_groups):
            self._starts.append(self.rows)
            self.rows += self._file.metadata.row_group(number).num_rows
        self._held: OrderedDict[int, Any] = OrderedDict()
        self._row_of = _row_of(keys)

    def close(self) -> None:
        """Give back what it holds."""
        self._held.clear()
        self._opened.close()

    def take(self, wanted: bytes | None) -> int | None:
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
        return self._files[name].read(use_threads=False).replace_schema_metadata(None)

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


def open_previous(place: Path, vetting: Vetting) -> Previous | None:
    """The index at a place, if rows can be taken from it."""
    keys = vetting.keys()
    if keys is None:
        return None
    try:
        found = Previous(place, keys)
    except (OSError, ValueError, pa.ArrowException):
        return None
    if vetting.holds():
        return found
    found.close()
    return None


def _row_of(keys: bytes) -> dict[bytes, int]:
    rows: dict[bytes, int] = {}
    for row, at in enumerate(range(0, len(keys), KEY)):
        found = keys[at : at + KEY]
        if found != _NONE:
            rows[found] = -1 if found in rows else row
    return rows
