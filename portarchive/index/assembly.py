"""The tables put together: rows of this run and rows taken over, threads, links, aggregates.

Everything here is determined by the archive alone, not by what was there before: an index brought
up to date is the one that is built anew, row for row.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from portarchive.index import arrow
from portarchive.index.threads import Threads

GROUP: Final = 8192
"""Rows of a row group of messages.parquet."""
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

    def new_rows(self, previous: int) -> Any:
        """For each row of the previous index the row that took it over, else -1."""
        found = array("q", [-1]) * previous
        for row, source in enumerate(self.sources):
            if source < 0:
                found[-source - 1] = row
        return pa.array(found, pa.int64())


class Links:
    """Which messages of the archive reports are about.

    Args:
        wanted: the identifiers that reports name.
    """

    def __init__(self, wanted: Sequence[str]) -> None:
        self._wanted = pa.array(sorted(set(wanted)), pa.string())
        self._found: dict[str, tuple[tuple[bool, bool, int], int]] = {}

    def look(self, table: Any) -> None:
        """See whether rows of messages are wanted."""
        if not len(self._wanted):
            return
        hits = table.filter(pc.is_in(table.column("message_id"), value_set=self._wanted))
        told = hits.select(["row_id", "message_id", "roles", "kept"]).to_pylist()
        for row in told:
            rank = ("sent" not in row["roles"], row["kept"], row["row_id"])
            identifier = row["message_id"]
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


def children(new: Any, old: Any | None, rows: Any | None) -> Any:
    """A smaller table: rows of this run, and those taken over under their new numbers.

    Args:
        new: with the numbers that hold.
        old: of the previous index.
        rows: ``Plan.new_rows``.
    """
    if old is None or rows is None or not old.num_rows:
        return new
    numbers = pc.take(rows, old.column("row_id").combine_chunks())
    kept = old.set_column(0, new.schema.field(0), numbers).filter(pc.greater_equal(numbers, 0))
    whole = pa.concat_tables([new, kept])
    return whole.sort_by([("row_id", "ascending"), ("ordinal", "ascending")])


def together(pieces: Sequence[Any]) -> Any:
    """Tables of one schema as one."""
    return pa.concat_tables(pieces)


def write(path: Path, table: Any) -> None:
    """A table as a file."""
    pq.write_table(table, path, compression=_COMPRESSION, row_group_size=GROUP * 8)


def write_messages(
    path: Path,
    plan: Plan,
    items: Sliced,
    read: Sliced,
    taken: Sliced | None,
    threads: Threads,
    look: Callable[[Any], None],
) -> Any:
    """messages.parquet, row group by row group.

    Args:
        path: the new file.
        plan: where each row's content is.
        items: of all rows in order.
        read: contents of this run.
        taken: contents of the previous index.
        threads: of all rows in order.
        look: is shown each piece.

    Returns:
        The columns that ``senders`` needs, of all rows.
    """
    count = len(plan.sources)
    needed = []
    schema = arrow.SCHEMAS["messages"]
    with pq.ParquetWriter(path, schema, compression=_COMPRESSION) as writer:
        for start in range(0, count, GROUP):
            end = min(start + GROUP, count)
            contents: list[Any] = []
            for over, first, last in plan.runs(start, end):
                source = taken if over and taken is not None else read
                contents += source.slices(first, last)
            item = pa.concat_tables(items.slices(start, end))
            content = pa.concat_tables(contents)
            table = _joined(start, item, content, threads)
            look(table)
            writer.write_table(table, row_group_size=GROUP)
            needed.append(table.select(_OF_SENDERS).combine_chunks())
    return pa.concat_tables(needed) if needed else schema.empty_table().select(_OF_SENDERS)


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


# --- senders ------------------------------------------------------------------------------------

_OF_SENDERS: Final = [
    "from_address", "from_domain", "from_name", "kept", "size", "attachment_count",
    "received_at", "one_click", "wrong_recipient", "list_unsubscribe",
]  # fmt: skip


def senders(needed: Any) -> Any:
    """The table of senders, most messages first."""
    schema = arrow.SCHEMAS["senders"]
    known = needed.filter(pc.is_valid(needed.column("from_address")))
    if not known.num_rows:
        return schema.empty_table()
    lists = pc.greater(pc.list_value_length(known.column("list_unsubscribe")), 0)
    numbers = {
        "kept": pc.cast(known.column("kept"), pa.int64()),
        "one_click": pc.cast(known.column("one_click"), pa.int64()),
        "wrong_recipient": pc.cast(known.column("wrong_recipient"), pa.int64()),
        "attachments": pc.cast(known.column("attachment_count"), pa.int64()),
        "lists": pc.cast(lists, pa.int64()),
        "octets": pc.fill_null(known.column("size"), 0),
    }
    plain = pa.table(
        {
            "address": known.column("from_address"),
            "domain": known.column("from_domain"),
            "received_at": known.column("received_at"),
            **numbers,
        }
    )
    sums = [(name, "sum") for name in numbers]
    grouped = plain.group_by("address", use_threads=False).aggregate(
        [
            ("domain", "min"),
            ("address", "count"),
            ("received_at", "min"),
            ("received_at", "max"),
            *sums,
        ]
    )
    best = _names(known)
    made = [
        {
            "address": row["address"],
            "domain": row["domain_min"],
            "name": best.get(row["address"], (None, 0))[0],
            "names": best.get(row["address"], (None, 0))[1],
            "messages": row["address_count"] - row["kept_sum"],
            "kept": row["kept_sum"],
            "octets": row["octets_sum"],
            "attachments": row["attachments_sum"],
            "first_received_at": row["received_at_min"],
            "last_received_at": row["received_at_max"],
            "one_click": row["one_click_sum"],
            "wrong_recipient": row["wrong_recipient_sum"],
            "lists": row["lists_sum"],
        }
        for row in grouped.to_pylist()
    ]
    made.sort(key=lambda row: (-row["messages"], -row["kept"], row["address"]))
    return arrow.table_of("senders", made)


def _names(known: Any) -> dict[str, tuple[str, int]]:
    """The name seen most often, and how many there are, by address."""
    named = known.filter(pc.is_valid(known.column("from_name")))
    plain = pa.table({"address": named.column("from_address"), "name": named.column("from_name")})
    counted = plain.group_by(["address", "name"], use_threads=False).aggregate([([], "count_all")])
    best: dict[str, tuple[tuple[int, str], int]] = {}
    for row in counted.to_pylist():
        rank = -row["count_all"], row["name"]
        known_best = best.get(row["address"])
        if known_best is None:
            best[row["address"]] = rank, 1
        else:
            best[row["address"]] = min(rank, known_best[0]), known_best[1] + 1
    return {address: (rank[1], count) for address, (rank, count) in best.items()}
