"""Collecting: the events of a source become messages in the archive and entries in the ledger.

Decides which octets are fetched, once each, and lays them where they belong. Knows no protocol and
no file format.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from portarchive.archive import model
from portarchive.archive.folder_state import FolderState, split_head_any
from portarchive.archive.octets import Found
from portarchive.archive.writer import ArchiveWriter, Written
from portarchive.connectors.base import Outcome, Source, Wanted
from portarchive.errors import BodyCut
from portarchive.jobs.entries import Entries
from portarchive.jobs.folder_run import FlagTexts, FolderRun
from portarchive.jobs.recognise import Recogniser
from portarchive.jobs.rename import Renames, mailbox_id
from portarchive.jobs.report import Totals
from portarchive.jobs.reuse import Job, Likeness, Reuse
from portarchive.jobs.selection import Selection
from portarchive.progress import FolderFinished, FolderStarted, Observer, Stored
from portarchive.records import (
    Body,
    Failure,
    FetchPoint,
    Folder,
    FolderDone,
    FolderFailed,
    FolderOpened,
    MessageRef,
    Placement,
    Removal,
    Vanished,
)

_EVENT_MESSAGES = 200
_EVENT_SECONDS = 0.25

_UNSTEADY = frozenset({"uid-not-sticky", "counters-went-back"})
"""Notes that say that a uid may name another message than before, whatever UIDVALIDITY says."""


class Collector:
    """Takes the events of one run.

    Attributes:
        runs: by folder_id, every folder that was opened.
        failures: by folder_id, the folders that could not be.
        mistaken: folder_ids whose uids named other messages than before: to be listed anew, with
            what identifies messages. Until then the folder counts as failed.
        totals: fetched, linked and matched so far.
    """

    def __init__(
        self,
        source: Source,
        writer: ArchiveWriter,
        states: Mapping[str, FolderState],
        selection: Selection,
        observer: Observer,
        *,
        single_copy: bool,
        same_ids: bool,
        renames: Renames,
    ) -> None:
        self._source = source
        self._writer = writer
        self._states = states
        self._filter = selection if selection.needs_description else None
        self._observer = observer
        self._same_ids = same_ids
        self._renames = renames
        self._previous = writer.published.ledger() if writer.published else {}
        self._flags = FlagTexts()
        self._imap_uids = source.capabilities.imap_uids
        self._pending: list[Job] = []
        self._listing: list[FolderRun] = []
        self._boxes: dict[str, str | None] = {}  # by path, whose items are here
        self._replaced: set[str] = set()
        self.runs: dict[str, FolderRun] = {}
        self.failures: dict[str, FolderFailed] = {}
        self.mistaken: set[str] = set()
        self.totals = Totals()
        self._entries = Entries(self._flags, imap_uids=self._imap_uids)
        self._reuse = Reuse(
            source,
            writer,
            self._entries,
            self.runs,
            self._had,
            self.totals,
            observer,
            single_copy=single_copy,
            same_ids=same_ids,
        )

    def failure(self, folder: Folder) -> FolderFailed | None:
        """Why a folder was not listed to its end; None if it was, or holds no mail."""
        run = self.runs.get(folder.folder_id)
        failed = self.failures.get(folder.folder_id)
        if failed is None and folder.selectable and (run is None or run.done is None):
            return FolderFailed(folder.folder_id, "not-opened", "the source said nothing of it")
        return failed

    def collect(self, wanted: Wanted) -> None:
        """Run through the events of the wanted folders.

        Raises:
            ConnectorError: the source is lost for good; what was had is in the journal.
            OSError: local storage failed; likewise.
        """
        for event in self._source.changes(wanted):
            match event:
                case MessageRef():
                    self._name(event)
                case FolderOpened():
                    self._open(event)
                case Removal():
                    run = self.runs[event.folder_id]
                    self._load(run)
                    run.remove(event.uids)
                case FetchPoint():
                    self._fetch(more=event.more)
                case FolderDone():
                    self._done(event)
                case FolderFailed():
                    self.failures[event.folder_id] = event
        self._writer.flush()

    # --- folders --------------------------------------------------------------------------------

    def _open(self, opened: FolderOpened) -> None:
        folder = opened.folder
        state = self._states[folder.folder_id]
        self._writer.flush()
        state.forget_index()
        state.overlay.clear()
        state.relabelled.clear()
        state.gone.clear()
        self._pending = [job for job in self._pending if not _is_in(job, folder.folder_id)]
        self.mistaken.discard(folder.folder_id)
        if self._is_another(opened, state) or _is_restored(opened, state):
            self._start_over(state, opened.uidvalidity)
        elif opened.uidvalidity != state.uidvalidity:
            if state.published is not None or state.announced:
                self._reuse.forget(state)
                self._writer.renumber(state, opened.uidvalidity)
            state.uidvalidity = opened.uidvalidity
        was = None
        if self._same_ids:
            fresh = state.published is None or state.renumbered or state.path in self._replaced
            was = self._renames.follow(opened, state, self._boxes) if fresh else None
        before = self._previous.get(state.path if was is None else was.path)
        lasting = not self._imap_uids or (
            opened.uidvalidity is not None
            and not any(note.get("code") in _UNSTEADY for note in opened.notes)
        )
        recogniser = Recogniser(self._writer.root, state, ids=self._same_ids, lasting=lasting)
        run = FolderRun(folder, state, opened, before, self._flags, recogniser)
        if was is not None:
            run.ledger.notes.append({"code": "renamed", "from": was.path})
        # What was had before the connection or the last run broke is here, with its notes.
        for code, uids in state.remarks.items():
            for uid in uids:
                run.ledger.note(code, uid)
        self.runs[folder.folder_id] = run
        self._listing.append(run)
        self.failures.pop(folder.folder_id, None)
        self._observer(FolderStarted(state.path, opened.counts.get("exists")))
        if opened.complete:
            self._load(run)
        elif state.renumbered or state.path in self._replaced:
            self._mistake(run)  # changes, where nothing is here that they could be changes of

    def _is_another(self, opened: FolderOpened, state: FolderState) -> bool:
        """Whether another mailbox bears the name now: its id is not the one that is here."""
        if state.path not in self._boxes:
            self._boxes[state.path] = mailbox_id(state)
        before, now = self._boxes[state.path], opened.folder.uid
        if now is not None:
            self._boxes[state.path] = now
        if before is None or now is None or before == now:
            return False
        self._replaced.add(state.path)
        return True

    def _start_over(self, state: FolderState, uidvalidity: int | None) -> None:
        """No uid means what it meant, whatever UIDVALIDITY says."""
        self._reuse.forget(state)
        self._writer.renumber(state, uidvalidity)
        state.renumbered = state.numbers_items

    def _load(self, run: FolderRun) -> None:
        run.load(self._writer.journal)
        if run.mistaken:
            self._mistake(run)

    def _mistake(self, run: FolderRun) -> None:
        """Uids of a folder name other messages than they did: what was said of it is void."""
        folder_id = run.folder.folder_id
        if folder_id in self.mistaken:
            return
        run.mistaken = True
        self.mistaken.add(folder_id)
        self._start_over(run.state, run.opened.uidvalidity)
        others: list[Job] = []
        for ref, wanted in self._pending:
            rest = [placement for placement in wanted if placement.folder_id != folder_id]
            if rest:
                others.append((ref, rest))
        self._pending = others
        text = "its UIDs name other messages than before, each time that it is listed"
        self.failures[folder_id] = FolderFailed(folder_id, "uids-reused", text)

    def _done(self, done: FolderDone) -> None:
        if self._pending:
            self._fetch()
        run = self.runs[done.folder_id]
        self._writer.flush()
        if run.mistaken:
            run.state.close_directory()
            return
        if run.opened.complete and done.listed not in {None, run.named}:
            text = f"the source listed {done.listed} messages and named {run.named}"
            self.failures[done.folder_id] = FolderFailed(done.folder_id, "listing-mismatch", text)
            run.state.close_directory()
            return
        run.close(done, self._writer.journal)
        renamed = any(note.get("code") == "renamed" for note in run.ledger.notes)
        if run.state.renumbered and run.opened.complete and not renamed:
            published = run.state.published.header if run.state.published else {}
            # Of the folder, not of this run: the run may have gone on where another one stopped.
            names = set(run.state.new_filenames(self._writer.journal))
            names.intersection_update(map(split_head_any, run.state.published_lines()))
            run.ledger.notes.append(
                {
                    "code": "uidvalidity-changed",
                    "old": published.get("uidvalidity"),
                    "new": run.opened.uidvalidity,
                    "matched": len(names),
                    "fetched": run.state.new_count - len(names),
                }
            )
        run.state.close_directory()
        archived, failed = run.ledger.archived, len(run.ledger.missing)
        if not run.moving and run.previous is not None:
            archived = int(run.previous.get("archived", 0))
        self._observer(FolderFinished(run.state.path, archived, failed))

    # --- messages -------------------------------------------------------------------------------

    def _name(self, ref: MessageRef) -> None:
        wanted: list[Placement] = []
        for placement in ref.placements:
            run = self.runs.get(placement.folder_id)
            if run is None:  # a mailbox that is not of the selection
                continue
            self._load(run)
            if run.name(placement, ref, self._filter):
                wanted.append(placement)
            elif run.mistaken:
                self._mistake(run)
        if wanted:
            self._pending.append((ref, wanted))

    def _fetch(self, *, more: bool = False) -> None:
        jobs, self._pending = self._pending, []
        if not more:
            for run in self._listing:
                run.listing_ends()
            self._listing.clear()
        jobs = self._reuse.link(self._reuse.adopt(jobs))
        while jobs:
            jobs = self._fetch_once(jobs)

    def _fetch_once(self, jobs: list[Job]) -> list[Job]:
        """Fetch each message; those whose octets another of them brings come after, linked."""
        first: list[Job] = []
        later: list[Job] = []
        coming: set[Likeness] = set()
        for job in jobs:
            likeness = self._reuse.likeness(job[0])
            if likeness is not None and likeness in coming:
                later.append(job)
            else:
                if likeness is not None:
                    coming.add(likeness)
                first.append(job)
        several = {
            (ref.placements[0].folder_id, ref.placements[0].uid): {p.folder_id for p in wanted}
            for ref, wanted in first
            if len(ref.placements) > 1
        }
        messages = octets = 0
        path = ""
        tell_at = time.monotonic() + _EVENT_SECONDS
        for ref, outcome in self._source.fetch([ref for ref, _ in first]):
            placements: Sequence[Placement] = ref.placements
            if len(placements) > 1:
                folders = several[placements[0].folder_id, placements[0].uid]
                placements = [p for p in placements if p.folder_id in folders]
            size = self._take(ref, placements, outcome)
            if size is not None:
                here = self._states[placements[0].folder_id].path
                if here != path and messages:
                    self._observer(Stored(path, messages, octets))
                    messages = octets = 0
                path = here
                messages += 1
                octets += size
                if messages >= _EVENT_MESSAGES or time.monotonic() >= tell_at:
                    self._observer(Stored(path, messages, octets))
                    messages = octets = 0
                    tell_at = time.monotonic() + _EVENT_SECONDS
        if messages:
            self._observer(Stored(path, messages, octets))
        return self._reuse.link(later)

    def _take(
        self, ref: MessageRef, placements: Sequence[Placement], outcome: Outcome
    ) -> int | None:
        """Lay down one outcome. Returns the octets that were stored, None if none were."""
        if isinstance(outcome, Vanished):
            for placement in placements:
                self.runs[placement.folder_id].ledger.vanished.append(placement.uid)
            return None
        if isinstance(outcome, Failure):
            self._fail(placements, outcome)
            return None
        if len(placements) > 1:
            placements = sorted(placements, key=lambda p: self._states[p.folder_id].path.encode())
        try:
            written = self._store(ref, placements[0], outcome, alone=len(placements) == 1)
        except BodyCut:
            return None  # half of it is gone again; the source brings it once more
        for placement in placements[1:]:
            state = self._states[placements[0].folder_id]
            found = Found(f"{model.MAIL}/{state.path}/{written.filename}", written)
            self._reuse.lay(ref, placement, found)
        self.totals.fetched += 1
        self.totals.fetched_octets += written.size
        return written.size

    def _fail(self, placements: Sequence[Placement], failure: Failure) -> None:
        for placement in placements:
            run = self.runs[placement.folder_id]
            uid = placement.uid
            if failure.body is not None:
                filename = self._entries.placeholder_filename(run.state, uid)
                self._writer.store_placeholder(run.state, filename, uid, failure.body)
            run.ledger.fail(uid, failure.code, failure.text, stored=failure.body is not None)

    def _store(self, ref: MessageRef, placement: Placement, body: Body, *, alone: bool) -> Written:
        run = self.runs[placement.folder_id]
        state = run.state
        entry = self._entries.entry(ref, placement)
        ticket = self._writer.next_ticket
        name = self._entries.filename(state, placement.uid)
        written = self._writer.store(state, name, entry, body, alone=alone)
        self._reuse.stored(ref, ticket)
        if ref.size is not None and ref.size != written.size:
            self._remark("size-mismatch", run, placement.uid)
        self._had(run, ref, placement)
        return written

    def _had(self, run: FolderRun, ref: MessageRef, placement: Placement) -> None:
        run.had(placement.uid)
        for code in ref.notes:
            self._remark(code, run, placement.uid)

    def _remark(self, code: str, run: FolderRun, uid: str) -> None:
        run.ledger.note(code, uid)
        self._writer.remark(run.state, uid, code)


def _is_restored(opened: FolderOpened, state: FolderState) -> bool:
    """Whether uids that an interrupted run had are to be given still: to other messages.

    What is published is told apart by the source, which knows how far the counters were then.
    """
    return state.new_count > 0 and 0 < (opened.uidnext or 0) <= state.greatest_new_uid


def _is_in(job: Job, folder_id: str) -> bool:
    return any(placement.folder_id == folder_id for placement in job[0].placements)
