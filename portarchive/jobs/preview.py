"""``export --dry-run``: what an export would do. Reads source and archive, writes nothing."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from portarchive.archive.folder_state import FolderState
from portarchive.archive.layout import Layout
from portarchive.archive.manifest import load_published
from portarchive.archive.writer import preflight
from portarchive.connectors.base import Source, Wanted
from portarchive.jobs import choose
from portarchive.jobs.identity import check_selection, same_source
from portarchive.jobs.ledger import Entry, FolderLedger, unopened
from portarchive.jobs.recall import recalled
from portarchive.jobs.recognise import Recogniser
from portarchive.jobs.rematch import Rematcher
from portarchive.jobs.rename import mailbox_id
from portarchive.jobs.report import ExportReport, Listener, totals_of
from portarchive.jobs.selection import Selection
from portarchive.progress import FolderStarted
from portarchive.records import FolderFailed, FolderOpened, MessageRef, Placement


def preview(
    source: Source,
    path: Path,
    selection: Selection,
    observer: Listener,
    *,
    change: bool,
    accept: bool,
) -> ExportReport:
    """List everything and say what would be fetched: per folder, and in octets.

    Entries have ``to_fetch`` and ``to_fetch_octets`` beside the numbers of a ledger; nothing is
    ``archived`` but what is here already, under whatever uid.

    Args:
        source: is listed.
        path: of the archive; there may be none yet.
        selection: what is wanted.
        observer: is told what happens.
        change: another selection than before is meant.
        accept: another source than before is meant.

    Raises:
        Refused, WrongSource: as the export itself would say.
        ConnectorError: the source is lost.
    """
    preflight(path)
    published = load_published(path)
    if published is not None and published.manifest is not None:
        check_selection(published.manifest.get("selection", {}), selection.to_json(), change=change)
    identity = recalled(source, source.identity(), path, None)
    layout = Layout(path)
    updating = published is not None and not change
    fitted = choose.fitted(source.folders(), layout.names().values)
    listed = choose.folders(fitted, selection, updating=updating)
    places = layout.assign(folder.path for folder in listed)
    states = {
        folder.folder_id: FolderState(0, at, folder.path, path, layout.published.get(at))
        for folder in listed
        for at in [places[folder.path]]
    }
    same = True
    if published is not None:
        datasource = published.archive.get("datasource", {})
        by_id = {folder.folder_id: folder for folder in listed}
        same = same_source(source, identity, datasource, states, by_id, accept=accept)
    listed = sorted(listed, key=lambda folder: places[folder.path].encode())
    chosen = choose.visiting_order(listed)
    ledger = published.ledger() if published is not None else {}
    tokens = _tokens(states, ledger, same=same)
    # octets that are here, or come by another message, by the source's own ids
    here: set[int] | None = set() if same and source.capabilities.object_ids else None
    counters: dict[str, _Counter] = {}
    entries: list[Entry] = []
    wanted = Wanted(folders=chosen, tokens=tokens, relist=set(tokens), describe=True)
    for event in source.changes(wanted):
        if isinstance(event, FolderOpened):
            state = states[event.folder.folder_id]
            before = ledger.get(state.path)
            counters[event.folder.folder_id] = _Counter(path, state, event, before, here, same=same)
            observer(FolderStarted(state.path, event.counts.get("exists")))
        elif isinstance(event, MessageRef):
            for placement in event.placements:
                if placement.folder_id in counters:
                    reason = selection.skip_reason(placement, event.size)
                    counters[placement.folder_id].name(placement, event, reason)
        elif isinstance(event, FolderFailed):
            folder = next(f for f in chosen if f.folder_id == event.folder_id)
            entries.append(unopened(places[folder.path], event.code, event.text, None))
            counters.pop(event.folder_id, None)
    for counter in counters.values():
        counter.find_again()
    entries += [counter.to_json() for counter in counters.values()]
    entries.sort(key=lambda entry: str(entry["path"]).encode())
    report = ExportReport(
        complete=not any("error" in entry for entry in entries),
        path=str(path),
        archive_id=None,
        fingerprint=published.fingerprint if published else None,
        published=False,
        resumed=False,
        dry_run=True,
        source=identity,
        folders=entries,
        notices=observer.notices,
    )
    totals_of(entries, report.totals)
    return report


def _tokens(
    states: Mapping[str, FolderState], ledger: Mapping[str, Entry], *, same: bool
) -> dict[str, dict[str, Any]]:
    """Where UIDVALIDITY is another one than these say, messages are named with what tells them."""
    tokens: dict[str, dict[str, Any]] = {}
    for folder_id, state in states.items():
        token = (ledger.get(state.path) or {}).get("state")
        if isinstance(token, dict):
            tokens[folder_id] = {**token} if same else {**token, "uidvalidity": None}
            if (box := mailbox_id(state)) is not None:
                tokens[folder_id].setdefault("mailbox_id", box)
    return tokens


class _Counter:
    """Counts one folder.

    Args:
        root: of the archive.
        state: of the folder there.
        opened: the folder of the source.
        previous: of the last run's ledger.
        here: marks of messages whose octets need no fetching any more, of all folders; None if
            the source has no ids of messages, or not those of before.
        same: ids and UIDs mean what they meant.
    """

    def __init__(
        self,
        root: Path,
        state: FolderState,
        opened: FolderOpened,
        previous: Entry | None,
        here: set[int] | None,
        *,
        same: bool,
    ) -> None:
        self.ledger = FolderLedger(state.path)
        box = mailbox_id(state)
        numbered = same and (box is None or opened.folder.uid in (None, box))
        numbered = numbered and opened.uidvalidity == state.uidvalidity
        self._known = state.known(None) if numbered else {}
        uidnext = (previous or {}).get("state", {}).get("uidnext")
        back = isinstance(uidnext, int) and 0 < (opened.uidnext or 0) < uidnext
        self._recogniser = Recogniser(root, state, ids=same, lasting=not back)
        self._rematcher: Rematcher | None = None
        if not numbered and state.published is not None:
            self._rematcher = Rematcher(root, state.path, state.published_lines, ids=same)
        self._new: list[MessageRef] = []
        self._here = here
        self._marks, self._sizes = array("q"), array("Q")
        self._fetch = 0
        self._octets = 0

    def name(self, placement: Placement, ref: MessageRef, reason: str | None) -> None:
        """A message is named; ``reason``: a filter leaves it out."""
        self.ledger.listed += 1
        uid, knows = placement.uid, self._recogniser.knows
        if uid in self._known and knows(uid, ref, placement.received, None):
            self._is_here(ref, placement)
        elif reason is not None:
            self.ledger.skipped.setdefault(reason, []).append(uid)
        elif self._rematcher is not None:  # it may be here under another uid
            self._new.append(ref._replace(placements=(placement,)))
        else:
            self._is_new(ref, placement)

    def _is_here(self, ref: MessageRef, placement: Placement) -> None:
        self.ledger.archived += 1
        if self._here is not None and ref.email_id is not None:
            self._here.add(_mark(ref, placement))

    def _is_new(self, ref: MessageRef, placement: Placement) -> None:
        self._fetch += 1
        self._octets += ref.size or 0
        if self._here is not None and ref.email_id is not None:
            self._marks.append(_mark(ref, placement))
            self._sizes.append(ref.size or 0)

    def find_again(self) -> None:
        """All is named: what is here under another uid."""
        found: set[str] = set()
        if self._rematcher is not None:
            for ref, _ in self._rematcher.match(self._new):
                found.add(ref.placements[0].uid)
                self._is_here(ref, ref.placements[0])
        for ref in self._new:
            if ref.placements[0].uid not in found:
                self._is_new(ref, ref.placements[0])

    def to_json(self) -> Entry:
        """The entry, when all is named and found again in all folders."""
        here = self._here if self._here is not None else set()
        for mark, size in zip(self._marks, self._sizes, strict=True):
            if mark in here:
                self.ledger.archived += 1
                self._fetch -= 1
                self._octets -= size
            here.add(mark)
        counts = {"to_fetch": self._fetch, "to_fetch_octets": self._octets}
        return {**self.ledger.to_json(), **counts}


def _mark(ref: MessageRef, placement: Placement) -> int:
    """The same for messages whose octets are taken to be equal (``reuse.Likeness``)."""
    epoch = placement.received.epoch if placement.received is not None else None
    return hash((ref.email_id, ref.size, epoch))
