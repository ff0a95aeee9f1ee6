"""Making the index, and bringing it up to date. docs/index.md says what is in it.

Takes no lock and touches nothing of the archive but ``index/``. If the archive is published anew
meanwhile, the index is finished all the same, is marked, and is not current: the next run mends it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from portarchive.archive import model
from portarchive.archive.contents import ContentFolder, Contents, Item
from portarchive.errors import ArchiveError, StorageFailed
from portarchive.index import columns, items, vetting
from portarchive.index.columns import FORMAT, PARSER
from portarchive.index.place import ELSEWHERE, SCHEMA, building, is_current, publish, state_of
from portarchive.index.vetting import Vetting
from portarchive.index.workers import Read, Workers
from portarchive.progress import (
    Checked,
    FolderFinished,
    FolderStarted,
    Notice,
    Observer,
    Passed,
    silent,
)

LARGE: Final = 4 << 20
"""Octets from which on a message goes through a file instead of memory."""
_BATCH: Final = 256
_BATCH_OCTETS: Final = 4 << 20
_FEW: Final = 2 * _BATCH
_CHILD_ROWS: Final = 4096
_CHILDREN: Final = ("attachments", "delivery_status", "feedback_reports")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexReport:
    """What a build did.

    Attributes:
        place: where the index lies.
        fingerprint: of the archive that was read.
        rows: of each table, by name.
        read: messages that were looked at.
        taken: rows that were taken over from the index that was there.
        octets: of the messages that were looked at.
        defects: code → messages.
        was_current: nothing was done.
        rebuilt: nothing was taken over, because there was nothing or it was asked for.
        changed_meanwhile: the archive was published anew while it was read.
        seconds: how long it took.
    """

    place: Path
    fingerprint: str
    rows: dict[str, int]
    read: int = 0
    taken: int = 0
    octets: int = 0
    defects: dict[str, int] = field(default_factory=dict)
    was_current: bool = False
    rebuilt: bool = False
    changed_meanwhile: bool = False
    seconds: float = 0.0


def build(
    contents: Contents,
    place: Path,
    *,
    jobs: int | None = None,
    observer: Observer = silent,
    rebuild: bool = False,
) -> IndexReport:
    """Make the index of an archive, or bring it up to date.

    Args:
        contents: the archive.
        place: ``place.locate``.
        jobs: processes that read messages, this one included; None: one a processor, at most
            eight.
        observer: is told of folders, and of messages as ``Checked``.
        rebuild: take nothing over from the index that is there.

    Raises:
        Refused: the place is not fit for it.
        ArchiveError: a folder.json does not parse any more.
        StorageFailed: the system does not give a file, or has no room for one.
    """
    started = time.monotonic()
    if not rebuild and is_current(place, contents):
        state = state_of(place) or {"tables": {}, "defects": {}}  # gone in this very moment
        rows = {name: told["rows"] for name, told in state["tables"].items()}
        return IndexReport(
            place=place,
            fingerprint=contents.fingerprint,
            rows=rows,
            defects=state["defects"],
            was_current=True,
            seconds=time.monotonic() - started,
        )
    try:
        with (
            Vetting(None if rebuild else place, 0 if rebuild else contents.listed()) as there,
            Workers(jobs) as workers,
            building(place) as made,
        ):
            return _Build(contents, place, made, workers, observer, started).run(there)
    except OSError as error:
        raise StorageFailed(
            f"the index cannot be written at {place}: {error.strerror or 'I/O error'}",
            hint=f"look at the room and the permissions there, or {ELSEWHERE}",
        ) from None


class _Build:
    """One build."""

    def __init__(
        self,
        contents: Contents,
        place: Path,
        made: Path,
        workers: Workers,
        observer: Observer,
        started: float,
    ) -> None:
        # 200 ms, and half of it is needed to know whether there is anything to do
        from portarchive.index import (  # noqa: PLC0415
            arrow,
            assembly,
            previous,
            senders,
            spool,
            threads,
        )

        self._contents = contents
        self._place = place
        self._made = made
        self._workers = workers
        self._observer = observer
        self._started = started
        self._arrow, self._assembly = arrow, assembly
        self._previous_module, self._spool = previous, spool
        self._senders = senders
        self._previous: previous.Previous | None = None
        self._plan = assembly.Plan()
        self._threads = threads.Threads()
        self._items = spool.Batches(made / "items", arrow.ITEM)
        self._read = spool.Batches(made / "content", arrow.CONTENT)
        self._rows: list[list[Any]] = []
        self._asked: list[Any] = []
        self._asked_octets = 0
        self._row_of_read: list[int] = []
        self._ids: dict[int, list[int]] = {}
        self._children: dict[str, list[Any]] = {name: [] for name in _CHILDREN}
        self._tables: dict[str, list[Any]] = {name: [] for name in _CHILDREN}
        self._defects: Counter[str] = Counter()
        self._octets = 0
        self._large: dict[int, Path] = {}

    def run(self, there: Vetting) -> IndexReport:
        """All of it."""
        with self._items, self._read:
            try:
                self._previous = self._previous_module.open_previous(self._place, there)
                folders = [self._folder(folder) for folder in self._contents.folders()]
                self._finish_reading()
                return self._write(folders)
            finally:
                if self._previous is not None:
                    self._previous.close()

    # reading

    def _folder(self, folder: ContentFolder) -> dict[str, Any]:
        self._observer(FolderStarted(folder.path, None))
        counts = {}
        before = len(self._plan.sources) - len(self._row_of_read)
        for kept in (False, True):
            count = 0
            for item in self._contents.items(folder, kept):
                self._item(folder, item)
                count += 1
            counts["kept" if kept else "items"] = count
        taken = len(self._plan.sources) - len(self._row_of_read) - before
        if taken:
            self._observer(Passed(folder.path, taken))
        self._observer(FolderFinished(folder.path, counts["items"], 0))
        return {
            "path": items.path_text(folder.path),
            "roles": list(folder.roles),
            "uidvalidity": folder.uidvalidity,
            **counts,
        }

    def _item(self, folder: ContentFolder, item: Item) -> None:
        row = items.row(folder, item)
        self._rows.append(row)
        if len(self._rows) >= self._assembly.GROUP:
            self._flush_items()
        if self._previous is not None:
            wanted = vetting.key(row[0], row[2], item.size, item.sha256)
            found = self._previous.take(wanted)
            if found is not None:
                self._plan.taken(found)
                return
        self._row_of_read.append(len(self._plan.sources))
        self._plan.read(len(self._row_of_read) - 1)
        octets = self._octets_of(item)
        self._asked.append((item.size, item.sha256, octets))
        self._asked_octets += len(octets) if isinstance(octets, bytes) else item.size or 0
        if len(self._asked) >= _BATCH or self._asked_octets >= _BATCH_OCTETS:
            self._ask()

    def _octets_of(self, item: Item) -> bytes | str | None:
        """The octets of a message, the file that holds them, or None if they are not to be had."""
        try:
            if item.size is not None and item.size <= LARGE:
                octets = self._contents.octets(item, verify=False)
                if len(octets) <= LARGE:
                    self._octets += len(octets)
                    return octets
                chunks: Iterator[bytes] = iter([octets])
            else:
                chunks = self._contents.chunks(item, verify=False)
            path = self._made / f"message-{len(self._row_of_read)}"
            size = self._spool.spill(path, chunks)
        except StorageFailed:
            raise
        except ArchiveError:
            return None
        self._octets += size
        if size <= LARGE:
            octets = path.read_bytes()
            path.unlink()
            return octets
        self._large[len(self._row_of_read) - 1] = path
        return str(path)

    def _ask(self) -> None:
        if not self._asked:
            return
        asked, self._asked, self._asked_octets = self._asked, [], 0
        if len(self._row_of_read) >= _FEW:
            self._workers.start()
        for read in self._workers.ask(asked):
            self._take(read)

    def _take(self, read: Read) -> None:
        batch, attachments, status, reports, ids, defects = read.answer
        first = self._read.rows
        self._read.add(batch, read.messages)
        self._defects.update(defects)
        for number in range(read.messages):
            row = self._row_of_read[first + number]
            large = self._large.pop(first + number, None)
            if large is not None:
                large.unlink()
            self._ids[row] = ids[number]
            self._children["attachments"] += [(row, *told) for told in attachments[number]]
            for told in status[number]:
                self._children["delivery_status"].append({"row_id": row, **told})
            for told in reports[number]:
                self._children["feedback_reports"].append({"row_id": row, **told})
        for name, rows in self._children.items():
            if len(rows) >= _CHILD_ROWS:
                self._flush_children(name)
        self._observer(Checked(read.messages, 0))

    def _finish_reading(self) -> None:
        self._ask()
        for read in self._workers.rest():
            self._take(read)
        self._flush_items()

    def _flush_items(self) -> None:
        made = self._arrow.batch(self._arrow.ITEM, columns.ITEM, self._rows)
        self._items.add(made.serialize().to_pybytes(), len(self._rows))
        self._rows = []

    def _flush_children(self, name: str) -> None:
        rows = self._children[name]
        self._children[name] = []
        if name == "attachments":
            schema = self._arrow.SCHEMAS[name]
            made = self._arrow.batch(schema, columns.ATTACHMENTS, rows)
            self._tables[name].append(self._arrow.table_of_batch(made))
        elif rows:
            self._tables[name].append(self._arrow.table_of(name, rows))

    # writing

    def _write(self, folders: list[dict[str, Any]]) -> IndexReport:
        count = len(self._plan.sources)
        self._join_threads()
        previous = self._previous
        numbers = None if previous is None else self._plan.new_rows(previous.rows)
        tables = {}
        for name in _CHILDREN:
            self._flush_children(name)
            schema = self._arrow.SCHEMAS[name]
            pieces = [schema.empty_table(), *self._tables[name]]
            new = self._assembly.together(pieces)
            old = None if previous is None else previous.children(name)
            tables[name] = self._assembly.children(new, old, numbers)
        reports = ("delivery_status", "feedback_reports")
        links = self._assembly.Links(
            [one for name in reports for one in self._assembly.wanted_of(tables[name])]
        )
        path = self._made / "messages.parquet"
        senders = self._senders.Senders()

        def look(piece: Any) -> None:
            links.look(piece)
            senders.look(piece)

        self._assembly.write_messages(
            path, self._plan, self._items, self._read, previous, self._threads, look
        )
        for name in reports:
            tables[name] = links.fill(tables[name])
        tables["senders"] = senders.table()
        for name, table in tables.items():
            self._assembly.write(self._made / f"{name}.parquet", table)
        rows = {"messages": count, **{name: table.num_rows for name, table in tables.items()}}
        rows = {name: rows[name] for name in columns.TABLES}
        changed = not self._contents.unchanged()
        if changed:
            text = "the archive was published anew while it was read: index it again"
            self._observer(Notice("archive-changed", text))
        defects = dict(sorted(self._defects.items()))
        publish(self._made, self._place, self._state(folders, rows, defects, changed=changed))
        taken = count - len(self._row_of_read)
        return IndexReport(
            place=self._place,
            fingerprint=self._contents.fingerprint,
            rows=rows,
            read=len(self._row_of_read),
            taken=taken,
            octets=self._octets,
            defects=defects,
            rebuilt=previous is None,
            changed_meanwhile=changed,
            seconds=time.monotonic() - self._started,
        )

    def _join_threads(self) -> None:
        """Threads want all rows in order; those taken over tell their identifiers once more."""
        if self._previous is not None:
            numbers = self._plan.new_rows(self._previous.rows)
            told = zip(numbers, self._previous.thread_ids(), self._previous.defects(), strict=True)
            for row, ids, defects in told:
                if row >= 0:
                    self._ids[row] = ids
                    self._defects.update(defects)
        for row in range(len(self._plan.sources)):
            self._threads.add(self._ids.pop(row))

    def _state(
        self,
        folders: list[dict[str, Any]],
        rows: dict[str, int],
        defects: dict[str, int],
        *,
        changed: bool,
    ) -> dict[str, Any]:
        contents = self._contents
        return {
            "$schema": SCHEMA,
            "format": FORMAT,
            "parser": PARSER,
            "generator": model.GENERATOR,
            "archive": {
                "fingerprint": contents.fingerprint,
                "id": contents.archive_id,
                "kind": contents.kind,
                "dialect": contents.dialect,
                "changed_meanwhile": changed,
            },
            "tables": {
                name: {"rows": count, "octets": (self._made / f"{name}.parquet").stat().st_size}
                for name, count in rows.items()
            },
            "folders": folders,
            "defects": defects,
        }
