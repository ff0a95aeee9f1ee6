"""Record batches on disk, in the order in which they came, and a place for messages too large.

Lives in the directory of one build and goes with it. What is in here is our own, of this run.
"""

from __future__ import annotations

import bisect
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from portarchive.archive.durable import FILE_MODE, write_all


class Batches:
    """Batches of one schema in a file. A context manager.

    Attributes:
        rows: how many there are.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        self._schema = schema
        self._end = 0
        self._places: list[tuple[int, int]] = []
        self._starts: list[int] = []
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._fd)

    def add(self, octets: bytes, rows: int) -> None:
        """A serialized batch."""
        if not rows:
            return
        write_all(self._fd, octets)
        self._places.append((self._end, len(octets)))
        self._starts.append(self.rows)
        self._end += len(octets)
        self.rows += rows

    def slices(self, start: int, end: int) -> Iterator[Any]:
        """The rows from ``start`` to ``end``, as tables."""
        number = bisect.bisect_right(self._starts, start) - 1
        while start < end:
            first = self._starts[number]
            table = self._table(number)
            length = min(end, first + table.num_rows) - start
            yield table.slice(start - first, length)
            start += length
            number += 1

    def _table(self, number: int) -> Any:
        offset, length = self._places[number]
        octets = os.pread(self._fd, length, offset)
        made = pa.ipc.read_record_batch(pa.py_buffer(octets), self._schema)
        return pa.Table.from_batches([made], self._schema)


def spill(path: Path, chunks: Iterable[bytes]) -> int:
    """Write a message into a file; its octets."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    size = 0
    try:
        for chunk in chunks:
            write_all(fd, chunk)
            size += len(chunk)
    finally:
        os.close(fd)
    return size
