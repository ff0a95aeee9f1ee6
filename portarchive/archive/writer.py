"""The writer: messages in, an archive out, whole or not at all.

Owns the lock, the journal, the batches and the commit (docs/adr/0006). It knows nothing of
sources: what is gone, what changed and what the ledger says is the job's to decide.

Batch: message files under their final names, synced, their directories synced, then one synced
journal block. A message file counts only if the journal or a folder.json names it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from portarchive.archive import ijson, journal, lock, model, publish, scribe, stray
from portarchive.archive.batch import Batch, Entry, Item, Placeholder, Remark
from portarchive.archive.durable import DIRECTORY_MODE, Durability, make_directories, make_private
from portarchive.archive.folder_state import FolderState, split_head
from portarchive.archive.journal import Journal
from portarchive.archive.layout import Layout, Names
from portarchive.archive.lock import WriterLock
from portarchive.archive.manifest import Published, load_published
from portarchive.archive.messages import FileBody, MessageDirectory, OctetsBody
from portarchive.archive.naming import resolve_item
from portarchive.archive.scribe import Scribe
from portarchive.errors import Refused
from portarchive.records import Body

_OPEN_DIRECTORIES = 64
_PROCESSORS = (
    len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
)
SCRIBE_AFTER = 200 if _PROCESSORS >= 4 else sys.maxsize
"""Messages before a process of its own writes the files: small mailboxes need none, and on two
processors, which server and run keep busy, it costs more than it brings (docs/adr/0012)."""


class Written(NamedTuple):
    """A message as it lies here. ``sha256`` is empty while another process writes it."""

    filename: str
    size: int
    sha256: str


def preflight(root: Path) -> None:
    """Refuse what must not be written into, before anybody logs in anywhere. Changes nothing.

    Raises:
        Refused: a file, a directory with something else in it, or an archive of another program.
        OSError: it cannot be looked at.
    """
    if not root.exists():
        return
    if not root.is_dir():
        raise Refused(f"{root} is a file, not a directory", hint="name a new or empty directory")
    names = {entry.name for entry in os.scandir(root)} - stray.JUNK
    if not names or model.PRIVATE_DIR in names:
        return
    if model.ARCHIVE_FILE in names:
        document = ijson.load_object(root / model.ARCHIVE_FILE, model.ARCHIVE_FILE)
        section = document.get("archive")
        if isinstance(section, dict) and model.MANIFEST in section:
            return
        raise Refused(
            f"{root} holds an archive that another program made",
            hint="it can be read but not updated; export into a new directory",
            code="foreign-archive",
        )
    raise Refused(
        f"{root} is not empty and is no archive",
        hint="name a new or empty directory",
        code="foreign-directory",
    )


class ArchiveWriter:
    """One run of one writer on one archive.

    Attributes:
        root: of the archive.
        published: what archive.json and manifest.json say; None for a new archive.
        unfinished: the header of the journal of an interrupted run, None if there is none.
        layout: directories of mailboxes.
        next_ticket: the number of the next item that is stored, linked or referred to.

    Raises:
        Locked: another living process writes here.
        Refused: see ``preflight``.
        Damaged: what is published does not hold together.
        OSError: local storage failed.
    """

    def __init__(self, root: Path, durability: Durability) -> None:
        preflight(root)
        self.root = root
        self.durability = durability
        self._umask = os.umask(0o077)
        self._made_root = not root.exists()
        private = root / model.PRIVATE_DIR
        self._made_private = not private.exists()
        try:
            root.mkdir(DIRECTORY_MODE, parents=True, exist_ok=True)
            private.mkdir(DIRECTORY_MODE, exist_ok=True)
            if self._made_private:
                durability.directory(root)
            self._lock = WriterLock(private / lock.NAME)
        except BaseException:
            for directory, made in ((private, self._made_private), (root, self._made_root)):
                with contextlib.suppress(OSError):  # not empty: somebody else's
                    if made:
                        directory.rmdir()
            os.umask(self._umask)
            raise
        self._mode = make_private(root) if self._made_private else None
        self._journal: Journal | None = None
        self._header: dict[str, Any] = {}
        self._batch = Batch()
        self._scribe: Scribe | None = None
        self._stored = 0
        self._batch_dirs: dict[Path, None] = {}
        self._shared: set[str] | None = None
        self._folders: dict[str, FolderState] = {}
        self._opened: list[FolderState] = []
        self._numbers = 0
        self.next_ticket = 0
        self._tickets = array("Q")
        self._ticket_folders = array("I")
        self._by_number: dict[int, FolderState] = {}
        try:
            self._recover()
        except BaseException:
            self.close()
            raise

    def _recover(self) -> None:
        private = self.root / model.PRIVATE_DIR
        publish.finish_interrupted(self.root, self.durability, self._sweep)
        self.published: Published | None = load_published(self.root)
        self._leftovers = (private / journal.NAME).exists()
        left = journal.recover(private / journal.NAME)
        base = self.published.fingerprint if self.published else None
        if left.header is None or left.header.get("base") != base:
            (private / journal.NAME).unlink(missing_ok=True)
            left = journal.Recovered()
        self.unfinished: dict[str, Any] | None = left.header
        self.layout = Layout(self.root)
        if left.header is not None:
            self._header = left.header
            self._journal = Journal(private / journal.NAME, self.durability)
            self._journal.truncate(left.size)
            for number, journaled in left.folders.items():
                state = self._state(journaled.path, self._names(journaled.path), number)
                state.uidvalidity = journaled.uidvalidity
                published = state.published.header.get("uidvalidity") if state.published else None
                state.renumbered = state.numbers_items and published != journaled.uidvalidity
                state.announced = True
                for offset in journaled.items:
                    uid, filename, _ = split_head(self._journal.line(offset))
                    state.add(uid, filename, offset)
                    state.shares = state.shares or "/" in filename
                    self._ticket(state, offset)
                state.placeholder_offsets.extend(journaled.placeholders)
                for code, about in journaled.remarks:
                    state.remarks.setdefault(code, []).append(about)
            self.next_ticket = len(self._tickets)
        for path, names in self.layout.names().items():
            if path not in self._folders:
                self._state(path, names)

    def _names(self, path: str) -> Names:
        return self.layout.names().get(path, tuple(path.split("/")))

    def _state(self, path: str, names: Names, number: int | None = None) -> FolderState:
        if number is None:
            number = self._numbers
        self._numbers = max(self._numbers, number + 1)
        state = FolderState(number, path, names, self.root, self.layout.published.get(path))
        self._folders[path] = state
        self._by_number[number] = state
        return state

    def _ticket(self, state: FolderState, offset: int) -> None:
        self._tickets.append(offset)
        self._ticket_folders.append(state.number)

    # --- what the job asks for ------------------------------------------------------------------

    @property
    def journal(self) -> Journal | None:
        """The journal, if anything was stored in this run or the interrupted one."""
        return self._journal

    def begin(self, source: dict[str, Any], selection: dict[str, Any]) -> None:
        """Say whose archive this is: the first record of the journal, when one is needed."""
        self._header = {
            "source": source,
            "selection": selection,
            "base": self.published.fingerprint if self.published else None,
            "generator": model.GENERATOR,
        }

    def folder(self, path: str, names: Names) -> FolderState:
        """The state of the folder at a path that ``layout.assign`` gave."""
        state = self._folders.get(path)
        if state is None:
            state = self._state(path, names)
        state.names = names
        return state

    def folders(self) -> list[FolderState]:
        """Every folder, published or of this run."""
        return list(self._folders.values())

    def renumber(self, state: FolderState, uidvalidity: int | None) -> None:
        """UIDVALIDITY is another one than that of what is here: no uid means what it meant."""
        if state.announced:
            self.flush()
            self._append([b"X %d" % state.number])
            self._leftovers = True
        state.close_directory()
        state.discard_new()
        state.made = False  # files of the old numbers may lie there: no name is free unasked
        state.overlay.clear()
        state.gone.clear()
        published = state.published.header.get("uidvalidity") if state.published else None
        state.renumbered = state.numbers_items and published != uidvalidity
        state.uidvalidity = uidvalidity
        state.announced = False

    def stored_entries(self) -> Iterator[tuple[int, bytes]]:
        """(ticket, entry) of the items that the journal of an interrupted run already has."""
        if self._journal is not None:
            for ticket, offset in enumerate(self._tickets):
                yield ticket, self._journal.line(offset)

    def entry(self, ticket: int) -> tuple[FolderState, bytes]:
        """The folder and the entry of an item of this journal, by its ticket."""
        if ticket >= len(self._tickets):
            self.flush()
        assert self._journal is not None  # noqa: S101 - a ticket comes from the journal
        return self._by_number[self._ticket_folders[ticket]], self._journal.line(
            self._tickets[ticket]
        )

    def renumber_all(self) -> None:
        """The source is another one by the user's own word: no uid means what it meant."""
        for state in self._folders.values():
            state.renumbered = state.published is not None

    def store(
        self, state: FolderState, filename: str, entry: Entry, body: Body, *, alone: bool = False
    ) -> Written:
        """Write one message and remember its item; durable at the next ``flush``.

        Args:
            state: of the folder.
            filename: the wanted name.
            entry: its item.
            body: its octets.
            alone: the caller does not need its digest, nor the file before the next ``flush``.

        Raises:
            ConnectorError: the octets ended early; nothing of it is left.
            OSError: local storage failed.
        """
        directory = state.open_dir or self._directory(state)
        octets = body.octets
        if alone and octets is not None and directory.fresh and len(octets) <= scribe.LARGEST:
            hand = self._scribe or self._start_scribe()
            if hand is not None:
                hand.put(directory.name, filename, entry.epoch, octets)
                self._queue(state, Item(entry, filename, len(octets), ""), len(octets))
                return Written(filename, len(octets), "")
        try:
            size, sha256 = directory.store(filename, body, entry.epoch)
        except FileExistsError:
            filename = self._free_name(state, directory, filename)
            size, sha256 = directory.store(filename, body, entry.epoch)
        self._queue(state, Item(entry, filename, size, sha256), size)
        return Written(filename, size, sha256)

    def _start_scribe(self) -> Scribe | None:
        """A second process pays once there is something to write; never a condition."""
        self._stored += 1
        if self._stored == SCRIBE_AFTER:
            with contextlib.suppress(OSError):
                self._scribe = Scribe(self._lock.descriptor)
        return self._scribe

    def link(
        self, state: FolderState, filename: str, entry: Entry, original: Path, known: Written
    ) -> Written:
        """Lay down octets that are here already: a hard link, or a copy where there is none."""
        directory = state.open_dir or self._directory(state)
        try:
            linked = directory.link(filename, original, entry.epoch)
        except FileExistsError:
            filename = self._free_name(state, directory, filename)
            linked = directory.link(filename, original, entry.epoch)
        if not linked:
            return self.store(state, filename, entry, FileBody(original))
        self._queue(state, Item(entry, filename, known.size, known.sha256), 0)
        return known._replace(filename=filename)

    def remark(self, state: FolderState, uid: str, code: str) -> None:
        """Note something about a message for the ledger; a resume knows of it too."""
        state.remarks.setdefault(code, []).append(uid)
        self._batch.remark(state, Remark(uid, code))

    def carry(self, state: FolderState, filename: str, original: Path) -> None:
        """Give a file that is no item a name in another directory too; the journal is not told."""
        directory = state.open_dir or self._directory(state)
        missing = original.exists() and not (state.directory / filename).exists()
        if missing and not directory.link(filename, original, None):
            directory.store(filename, FileBody(original), None)

    def refer(self, state: FolderState, entry: Entry, known: Written) -> None:
        """An item whose octets lie in a file that is here already (``known.filename``)."""
        self._announce(state)
        self._queue(state, Item(entry, known.filename, known.size, known.sha256), 0)

    def store_placeholder(self, state: FolderState, filename: str, uid: str, octets: bytes) -> None:
        """Keep what a provider gave in place of a message, apart from the items."""
        known = state.placeholders(self._journal)
        if known.get(uid, {}).get(model.SHA256) == hashlib.sha256(octets).hexdigest():
            return  # the same words as before
        directory = state.open_dir or self._directory(state)
        body = OctetsBody(octets)
        try:
            size, sha256 = directory.store(filename, body, None)
        except FileExistsError:
            filename = self._free_name(state, directory, filename)
            size, sha256 = directory.store(filename, body, None)
        entry = {"uid": uid, "filename": filename, model.SIZE: size, model.SHA256: sha256}
        known[uid] = entry
        self._announce(state)
        if self._batch.add(state, Placeholder(model.dumps(entry)), len(octets)):
            self.flush()

    # --- batches --------------------------------------------------------------------------------

    def _queue(self, state: FolderState, item: Item, octets: int) -> None:
        self.next_ticket += 1
        if self._batch.add(state, item, octets):
            self.flush()

    def _announce(self, state: FolderState) -> None:
        if not state.announced:
            self._batch.announce(state)
            state.announced = True

    def flush(self) -> None:
        """Make everything stored so far durable and known to the journal."""
        batch, directories = self._batch, self._batch_dirs
        if not batch.records:
            return
        self._ensure_journal()
        # An interrupt after the append must not leave it to be appended by the run's last flush.
        self._batch, self._batch_dirs = Batch(), {}
        lines = batch.lines(self._scribe.digests() if self._scribe else iter(()))
        self._sync(batch, directories)
        offsets = self._append(lines)
        for (state, record), offset, line in zip(batch.records, offsets, lines, strict=True):
            if record is None or isinstance(record, Remark):
                continue
            at = offset + line.index(b"{")
            if isinstance(record, Item):
                state.add(record.entry.uid, record.filename, at)
                self._ticket(state, at)
            else:
                state.placeholder_offsets.append(at)

    def _sync(self, batch: Batch, directories: dict[Path, None]) -> None:
        """The batch's files, then the directories that name them."""
        if not self.durability.enabled:
            return
        files: list[str] = []
        for state, filename in batch.files():
            directories[state.directory] = None
            files.append(f"{state.directory}/{filename}")
        self.durability.files(self.root, files)
        for directory in directories:
            self.durability.directory(directory)

    def _append(self, lines: list[bytes]) -> list[int]:
        self._ensure_journal()
        assert self._journal is not None  # noqa: S101 - made on the line above
        return self._journal.append(lines)

    def _ensure_journal(self) -> None:
        if self._journal is None:
            private = self.root / model.PRIVATE_DIR
            begun = Journal(private / journal.NAME, self.durability)
            begun.append([b"S " + model.dumps(self._header).encode()])
            self.durability.directory(private)
            self._journal = begun

    def _directory(self, state: FolderState) -> MessageDirectory:
        self._ensure_journal()
        if not state.directory.is_dir():
            state.made = True
            for changed in make_directories(state.directory, self.root):
                self._batch_dirs[changed] = None
        directory = state.open_dir = MessageDirectory(state.directory, fresh=state.made)
        self._opened.append(state)
        if len(self._opened) > _OPEN_DIRECTORIES:
            self._opened.pop(0).close_directory()
        self._announce(state)
        return directory

    def _free_name(self, state: FolderState, directory: MessageDirectory, name: str) -> str:
        return directory.free_name(name, lambda wanted: self._is_taken(state, wanted))

    def _names_file(self, state: FolderState, name: str) -> bool:
        """Whether an entry of this folder names this file."""
        if any(owner is state and name == file for owner, file in self._batch.files()):
            return True
        return state.is_taken(name, self._journal)

    def _is_taken(self, state: FolderState, name: str) -> bool:
        if self._names_file(state, name):
            return True
        if self._shared is None:
            self._shared = set()
            for other in self._folders.values():
                for filename in other.filenames(self._journal):
                    if "/" in filename:
                        self._shared.add(resolve_item(f"{model.MAIL}/{other.path}", filename))
        return f"{model.MAIL}/{state.path}/{name}" in self._shared

    # --- the end --------------------------------------------------------------------------------

    def publish(self, staging: publish.Staging, archive_json: bytes) -> str:
        """Commit what was staged (``portarchive.archive.staging``).

        Returns:
            The archive's fingerprint.
        """
        fingerprint = publish.publish(
            self.root,
            staging,
            archive_json,
            self.durability,
            self._sweep if self._has_leftovers() else None,
        )
        self._drop_journal()
        return fingerprint

    def _sweep(self) -> None:
        stray.sweep(self.root)

    def _has_leftovers(self) -> bool:
        """Whether message files may lie here that no folder.json is going to name."""
        return self._leftovers or any(
            state.held is not None and (state.new_count or state.placeholder_offsets)
            for state in self._folders.values()
        )

    def discard_journal(self) -> None:
        """Nothing was worth publishing: forget what the journal says."""
        if self._has_leftovers():
            self._sweep()
        self._drop_journal()
        publish.discard(self.root)

    def _drop_journal(self) -> None:
        done, self._journal = self._journal, None
        if done is not None:
            done.close()

    def close(self) -> None:
        """Let go. What is durable stays; what this run made and never used goes."""
        for state in self._opened:
            state.close_directory()
        self._opened = []
        if self._scribe is not None:
            self._scribe.close()
            self._scribe = None
        self._drop_journal()
        private = self.root / model.PRIVATE_DIR
        with contextlib.suppress(OSError):
            unused = {entry.name for entry in os.scandir(private)} <= {lock.NAME}
            if self._made_private and unused and not (self.root / model.ARCHIVE_FILE).exists():
                shutil.rmtree(private)
                if self._mode is not None:
                    self.root.chmod(self._mode)
                if self._made_root:
                    self.root.rmdir()
        self._lock.release()
        os.umask(self._umask)
