"""The tables put together: rows of this run and rows taken over, threads, links, aggregates.

Everything here is determined by the archive alone, not by what was there before: an index brought
up to date is the one that is built anew, row for row.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from portarchive.index import arrow
from portarchive.index.threads import Threads

GROUP: Final = 8192
"""Rows of a row group of messages.parquet, at most."""
GROUP_OCTETS: Final = 24 << 20
"""Octets at which a row group is full: what reads one has all of it in memory, several times."""
_PIECE_OCTETS: Final = GROUP_OCTETS // 2
_STEP: Final = 512
_LEAST_STEP: Final = 16
_COMPRESSION: Final = "zstd"


class Sliced(Protocol):
    """Where rows lie: ``spool.Batches`` and ``previous.Previous``."""

    def slices(self, start: int, end: int) -> Iterator[Any]:
        """The rows from ``start`` to ``end``, as tables."""


class Plan:
    """Where the content of each row comes from: the n-th that was read, or a row taken over."""

    def __init__(self) -> None:
        self.sources = array("q")

    def read(self, number: int) -> None:
        """The next row is the n-th message that was read in this run."""
        self.sources.append(number)

    def taken(self, row: int) -> None:
        """The next row is one of the previous index."""
        self.sources.append(-row - 1)

    def runs(self, start: int, end: int) -> Iterator[tuple[bool, int, int]]:
        """Rows that lie one after another: whether taken over, first, one behind the last."""
        sources = self.sources
        at = start
        while at < end:
            first = sources[at]
            step = 1 if first >= 0 else -1
            length = 1
            while at + length < end and sources[at + length] == first + step * length:
                length += 1
            if first >= 0:
                yield False, first, first + length
            else:
                yield True, -first - 1, -first - 1 + length
            at += length

    def new_rows(self, previous: int) -> array[int]:
        """For each row of the previous index the row that took it over, else -1."""
        found = array("q", [-1]) * previous
        for row, source in enumerate(self.sources):
            if source < 0:
                found[-source - 1] = row
        return found


class Links:
    """Which messages of the archive reports are about.

    Args:
        wanted: the identifiers that reports name.
    """

    def __init__(self, wanted: Sequence[str]) -> None:
        self._wanted = frozenset(wanted)
        self._found: dict[str, tuple[tuple[bool, bool, int], int]] = {}

    def look(self, table: Any) -> None:
        """See whether rows of messages are wanted."""
        if not self._wanted:
            return
        for number, identifier in enumerate(table.column("message_id").to_pylist()):
            if identifier not in self._wanted:
                continue
            (row,) = table.slice(number, 1).select(["row_id", "roles", "kept"]).to_pylist()
            rank = "sent" not in row["roles"], row["kept"], row["row_id"]
            best = self._found.get(identifier)
            if best is None or rank < best[0]:
                self._found[identifier] = rank, row["row_id"]

    def fill(self, table: Any) -> Any:
        """A table of reports with its last two columns."""
        linked: list[tuple[int | None, str | None]] = []
        told = table.select(["row_id", "original_message_id", "original_envelope_id"])
        for row in told.to_pylist():
            by_id = self._of(row["original_message_id"], row["row_id"])
            by_envelope = self._of(row["original_envelope_id"], row["row_id"])
            if by_id is not None:
                linked.append((by_id, "message-id"))
            elif by_envelope is not None:
                linked.append((by_envelope, "envelope-id"))
            else:
                linked.append((None, None))
        rows = pa.array([row for row, _ in linked], pa.int64())
        ways = pa.array([way for _, way in linked], pa.string())
        names = table.schema.names
        table = table.set_column(names.index("sent_row_id"), "sent_row_id", rows)
        return table.set_column(names.index("linked_by"), "linked_by", ways)

    def _of(self, identifier: str | None, itself: int) -> int | None:
        if identifier is None:
            return None
        found = self._found.get(identifier.strip("<> "))
        return None if found is None or found[1] == itself else found[1]


def wanted_of(table: Any) -> list[str]:
    """The identifiers that a table of reports names."""
    return [
        one.strip("<> ")
        for name in ("original_message_id", "original_envelope_id")
        for one in table.column(name).to_pylist()
        if one is not None
    ]


def children(new: Any, old: Any | None, rows: Sequence[int] | None) -> Any:
    """A smaller table: rows of this run, and those taken over under their new numbers.

    Args:
        new: with the numbers that hold.
        old: of the previous index.
        rows: ``Plan.new_rows``.
    """
    if old is None or rows is None or not old.num_rows:
        return new
    numbers = [rows[row] for row in old.column("row_id").to_pylist()]
    renumbered = old.set_column(0, new.schema.field(0), pa.array(numbers, pa.int64()))
    kept = renumbered.filter(pa.array([number >= 0 for number in numbers], pa.bool_()))
    whole = pa.concat_tables([new, kept])
    return whole.sort_by([("row_id", "ascending"), ("ordinal", "ascending")])


def together(pieces: Sequence[Any]) -> Any:
    """Tables of one schema as one."""
    return pa.concat_tables(pieces)


def write(path: Path, table: Any) -> None:
    """A table as a file."""
    pq.write_table(
        table,
        path,
        compression=_COMPRESSION,
        row_group_size=GROUP * 8,
        write_page_checksum=True,
    )


def write_messages(
    path: Path,
    plan: Plan,
    items: Sliced,
    read: Sliced,
    taken: Sliced | None,
    threads: Threads,
    look: Callable[[Any], None],
) -> None:
    """messages.parquet, row group by row group.

    Args:
        path: the new file.
        plan: where each row's content is.
        items: of all rows in order.
        read: contents of this run.
        taken: contents of the previous index.
        threads: of all rows in order.
        look: is shown each piece.
    """
    schema = arrow.SCHEMAS["messages"]
    with pq.ParquetWriter(
        path, schema, compression=_COMPRESSION, write_page_checksum=True
    ) as writer:
        for table in _groups(_rows(plan, items, read, taken, threads)):
            look(table)
            writer.write_table(table, row_group_size=GROUP)


def _rows(
    plan: Plan, items: Sliced, read: Sliced, taken: Sliced | None, threads: Threads
) -> Iterator[Any]:
    """All rows in order, as tables of a few."""
    count = len(plan.sources)
    start, step = 0, _LEAST_STEP
    while start < count:
        end = min(start + step, count)
        contents: list[Any] = []
        for over, first, last in plan.runs(start, end):
            source = taken if over and taken is not None else read
            contents += source.slices(first, last)
        item = pa.concat_tables(items.slices(start, end))
        table = _joined(start, item, pa.concat_tables(contents), threads)
        yield table
        heavy = table.nbytes > _PIECE_OCTETS
        start, step = end, _LEAST_STEP if heavy else min(step * 2, _STEP)


def _groups(tables: Iterator[Any]) -> Iterator[Any]:
    """Row groups, of ``GROUP`` rows or as many as have ``GROUP_OCTETS``."""
    held: list[Any] = []
    rows = octets = 0
    waiting = deque[Any]()
    while True:
        table = waiting.popleft() if waiting else next(tables, None)
        if table is None:
            break
        size = table.nbytes
        fit = min(table.num_rows, GROUP - rows)
        if size > _PIECE_OCTETS and fit > 1:
            fit = min(fit, table.num_rows // 2)
        if fit < table.num_rows:
            waiting.extendleft((table.slice(fit), table.slice(0, fit)))
            continue
        held.append(table)
        rows += table.num_rows
        octets += size
        if rows == GROUP or octets >= GROUP_OCTETS:
            yield pa.concat_tables(held)
            held, rows, octets = [], 0, 0
    if held:
        yield pa.concat_tables(held)


def _joined(start: int, item: Any, content: Any, threads: Threads) -> Any:
    told = item.column("server_thread_id").to_pylist()
    digests = content.column("sha256").to_pylist()
    names, ways = [], []
    for row, (server, digest) in enumerate(zip(told, digests, strict=True), start):
        if server is not None:
            names.append(server)
            ways.append("server")
            continue
        computed = threads.name(row)
        alone = f"m-{digest[:16]}" if digest is not None else f"n-{row}"
        names.append(alone if computed is None else computed)
        ways.append("alone" if computed is None else "references")
    rows = pa.array(range(start, start + len(names)), pa.int64())
    arrays = [rows, *item.columns, *content.columns, pa.array(names), pa.array(ways)]
    return pa.Table.from_arrays(arrays, schema=arrow.SCHEMAS["messages"])
