"""Export: a source becomes an archive; a second run resumes it or brings it up to date.

The orchestrator: it opens, lists, collects, judges losses, stages and publishes, in that order.
Each step lives in its own module.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from portarchive.archive import model
from portarchive.archive.durable import Durability
from portarchive.archive.folder_state import FolderState
from portarchive.archive.layout import Layout
from portarchive.archive.writer import ArchiveWriter, preflight
from portarchive.connectors.base import Source, Wanted
from portarchive.errors import ConnectorError, StorageFailed
from portarchive.jobs import choose, edition
from portarchive.jobs.collect import Collector
from portarchive.jobs.identity import check_selection, check_unfinished, same_source
from portarchive.jobs.ledger import Entry
from portarchive.jobs.preview import preview
from portarchive.jobs.recall import for_journal, recalled
from portarchive.jobs.rename import Renames, mailbox_id
from portarchive.jobs.report import ExportReport, Listener, Totals, totals_of
from portarchive.jobs.selection import Selection
from portarchive.progress import Connected, FoldersFound, Notice, Observer
from portarchive.records import Folder, SourceIdentity

_LISTINGS = 3
"""How often a folder is listed anew in one run before it counts as failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What the user asked for, beside source and place.

    Attributes:
        fsync: False leaves the syncs out, never the order.
        max_wait: seconds; how long a server's "not now" is obeyed (used by the retry wrapper).
        archive_id, now: for reproducible archives; a random UUID and the clock if None.
    """

    selection: Selection = field(default_factory=Selection)
    mirror: bool = False
    single_copy: bool = False
    keep_drafts: bool = False
    accept_source_change: bool = False
    change_selection: bool = False
    fsync: bool = True
    name: str | None = None
    note: str | None = None
    legal: str | None = None
    language: str | None = None
    timezone: str | None = None
    archive_id: str | None = None
    dry_run: bool = False
    max_wait: float = 3600.0
    now: datetime | None = None


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Local storage failing is one error with the next step, wherever it happens.

    Connectors raise ``ConnectorError`` and nothing else, so an ``OSError`` here is ours.

    Raises:
        StorageFailed: in place of any ``OSError``.
    """
    try:
        yield
    except OSError as error:
        hint = {
            errno.ENOSPC: "make room, then run the same command again: it goes on where it stopped",
            errno.EDQUOT: "make room, then run the same command again: it goes on where it stopped",
            errno.EROFS: "name a place that can be written to",
            errno.EACCES: "name a place that you may write to",
            errno.EPERM: "name a place that you may write to",
        }.get(error.errno or 0, "look at the disk, then run the same command again")
        where = error.filename if isinstance(error.filename, str) else str(path)
        raise StorageFailed(
            f"cannot write {where}: {error.strerror or error}", hint=hint
        ) from error


class _Run:
    """One run of one export."""

    def __init__(
        self, source: Source, path: Path, options: ExportOptions, observer: Listener
    ) -> None:
        self.source = source
        self.path = path
        self.options = options
        self.observer = observer
        self.now = options.now or datetime.now(UTC)

    def run(self) -> ExportReport:
        """Do it."""
        preflight(self.path)
        identity = recalled(
            self.source, self.source.identity(), self.path, Durability(self.options.fsync)
        )
        self.observer(Connected(identity.service, identity.account, _product(identity)))
        listed = choose.fitted(self.source.folders(), lambda: Layout(self.path).names().values())
        there = (self.path / model.ARCHIVE_FILE).exists()
        updating = there and not self.options.change_selection
        chosen = choose.folders(listed, self.options.selection, updating=updating)
        for pattern in self.options.selection.unmatched(listed):
            text = f"the account has no folder {pattern} any more"
            self.observer(Notice("no-such-folder", text))
        mailboxes = [folder for folder in chosen if folder.selectable and folder.unlisted is None]
        counts = [folder.messages for folder in mailboxes]
        known = sum(count for count in counts if count is not None)
        self.observer(FoldersFound(len(counts), known if None not in counts else None))
        writer = ArchiveWriter(self.path, Durability(self.options.fsync))
        try:
            return self._write(writer, identity, listed, chosen)
        except (ConnectorError, KeyboardInterrupt):
            with contextlib.suppress(OSError):
                writer.flush()  # what was had is not to be fetched again
            raise
        finally:
            writer.close()

    def _write(
        self,
        writer: ArchiveWriter,
        identity: SourceIdentity,
        listed: Sequence[Folder],
        chosen: Sequence[Folder],
    ) -> ExportReport:
        selection = self.options.selection
        source_json = {
            "protocol": identity.protocol,
            "service": identity.service,
            "account": identity.account,
        }
        if writer.unfinished is not None:
            check_unfinished(writer.unfinished, source_json)
            check_selection(
                writer.unfinished.get("selection", {}),
                selection.to_json(),
                change=False,
            )
        places = writer.layout.assign(folder.path for folder in chosen)
        states = {
            folder.folder_id: writer.folder(places[folder.path], folder.path) for folder in chosen
        }
        order = sorted(chosen, key=lambda folder: states[folder.folder_id].path.encode())
        same = self._check_source(writer, identity, states, {f.folder_id: f for f in chosen})
        writer.begin({**source_json, **for_journal(identity)}, selection.to_json())
        collector = Collector(
            self.source,
            writer,
            states,
            selection,
            self.observer,
            single_copy=self.options.single_copy,
            same_ids=same,
            renames=Renames(
                writer,
                {folder.path for folder in listed},
                object_ids=self.source.capabilities.object_ids,
            ),
        )
        opened = choose.visiting_order(order)
        collector.collect(self._wanted(writer, states, opened, same=same))
        self._list_again(collector, states, opened)
        parts = edition.assemble(
            edition.Found(
                writer=writer,
                identity=identity,
                listed=listed,
                chosen=order,
                states=states,
                places=places,
                collector=collector,
                options=self.options,
                now=self.now,
                observer=self.observer,
            )
        )
        result = edition.publish(parts)
        totals = totals_of(result.entries, collector.totals)
        totals.newly_kept = result.newly_kept
        return self._report(identity, writer, result, totals)

    def _check_source(
        self,
        writer: ArchiveWriter,
        identity: SourceIdentity,
        states: dict[str, FolderState],
        folders: dict[str, Folder],
    ) -> bool:
        """Refuse another source; True if ids and UIDs mean what they meant."""
        published = writer.published
        if published is None:
            return True
        manifest = published.manifest or {}
        check_selection(
            manifest.get("selection", {}),
            self.options.selection.to_json(),
            change=self.options.change_selection,
        )
        datasource = published.archive.get("datasource", {})
        accept = self.options.accept_source_change
        if same_source(self.source, identity, datasource, states, folders, accept=accept):
            return True
        writer.renumber_all()
        return False

    def _wanted(
        self,
        writer: ArchiveWriter,
        states: dict[str, FolderState],
        folders: Sequence[Folder],
        *,
        same: bool,
    ) -> Wanted:
        ledger = writer.published.ledger() if writer.published else {}
        tokens: dict[str, dict[str, Any]] = {}
        relist: set[str] = set()
        every = self.options.selection.needs_description or self.options.change_selection
        for folder in folders:
            state = states[folder.folder_id]
            entry = ledger.get(state.path)
            if entry is None or not isinstance(entry.get("state"), dict):
                continue
            token = dict(entry["state"])
            box = mailbox_id(state)
            if box is not None:  # tokens of earlier versions do not say whose they are
                token.setdefault("mailbox_id", box)
            if not same:
                token["uidvalidity"] = None
            tokens[folder.folder_id] = token
            if every or not same or state.new_count or _wants_relisting(entry):
                relist.add(folder.folder_id)
        return Wanted(
            folders=list(folders),
            tokens=tokens,
            relist=relist,
            describe=self.options.selection.needs_description,
        )

    def _list_again(
        self, collector: Collector, states: dict[str, FolderState], folders: Sequence[Folder]
    ) -> None:
        """A delta whose sum disagrees with the server's count is not believed.

        Nor is a folder whose uids name other messages than before: its token says no UIDVALIDITY,
        so that messages are named with what identifies them.
        """
        odd = {key: run.done for key, run in collector.runs.items() if run.disagrees}
        for _ in range(_LISTINGS):
            for folder_id in odd:
                text = f"the count of {states[folder_id].path} disagrees; listing it whole"
                self.observer(Notice("count-mismatch", text))
            for folder_id in collector.mistaken:
                path = states[folder_id].path
                text = f"uids of {path} name other messages than before; listing it whole"
                self.observer(Notice("uids-reused", text, "note"))
            again = {*odd, *collector.mistaken}
            if not again:
                return
            tokens = {key: done.token for key, done in odd.items() if done is not None}
            tokens.update({key: {"uidvalidity": None} for key in collector.mistaken})
            collector.collect(
                Wanted(
                    folders=[folder for folder in folders if folder.folder_id in again],
                    tokens=tokens,
                    relist=again,
                    describe=self.options.selection.needs_description,
                )
            )
            odd = {}

    def _report(
        self,
        identity: SourceIdentity,
        writer: ArchiveWriter,
        result: edition.Result,
        totals: Totals,
    ) -> ExportReport:
        return ExportReport(
            complete=result.complete,
            path=str(self.path),
            archive_id=result.archive_id,
            fingerprint=result.fingerprint,
            published=result.published,
            resumed=writer.unfinished is not None,
            dry_run=False,
            source=identity,
            folders=result.entries,
            totals=totals,
            notices=self.observer.notices,
        )


def _wants_relisting(entry: Entry) -> bool:
    """Something of this folder is still missing here, or was never settled.

    So is a listing that was not what the server counted: a server that is well again says nothing
    of it by itself, for to its counters nothing happened. Nor does one say more that counts what it
    did not have when it was fetched.
    """
    if entry.get("failed") or "error" in entry or "held" in entry or _counts_what_vanished(entry):
        return True
    return any(
        note.get("code") == "count-mismatch" and note.get("exists") != note.get("listed")
        for note in entry.get("notes", ())
    )


def _counts_what_vanished(entry: Entry) -> bool:
    """Whether messages were taken for deleted during the run that are counted in its token."""
    counted = entry["state"].get("messages")
    if not entry.get("vanished", {}).get("count") or not isinstance(counted, int):
        return False
    skipped = sum(part["count"] for part in entry.get("skipped", ()))
    return bool(entry.get("archived", 0) + skipped < counted)


def _product(identity: SourceIdentity) -> str:
    parts = (identity.server.get("name"), identity.server.get("version"))
    return " ".join(part for part in parts if part)


def run_export(
    source: Source, path: Path, options: ExportOptions, observer: Observer
) -> ExportReport:
    """Export a source into the archive at a path: first run, resume, or update.

    Args:
        source: opened; it is not closed.
        path: of the archive.
        options: what the user asked for.
        observer: a ``Listener`` that the source speaks to as well has its notices in the report.

    Raises:
        SettingsError: the selection matches nothing.
        ConnectorError: the source is lost; what was had is durable, the same call resumes.
        Refused, WrongSource, Locked, Damaged: see ``ArchiveWriter``; nothing was changed.
        StorageFailed: local storage failed; the same call resumes.
    """
    listener = observer if isinstance(observer, Listener) else Listener(observer)
    with storage_errors(path):
        if options.dry_run:
            return preview(
                source,
                path,
                options.selection,
                listener,
                change=options.change_selection,
                accept=options.accept_source_change,
            )
        return _Run(source, path, options, listener).run()
