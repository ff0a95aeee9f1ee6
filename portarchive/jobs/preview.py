"""``export --dry-run``: what an export would do. Reads source and archive, writes nothing."""

from __future__ import annotations

from pathlib import Path

from portarchive.archive.folder_state import FolderState
from portarchive.archive.layout import Layout
from portarchive.archive.manifest import load_published
from portarchive.archive.writer import preflight
from portarchive.connectors.base import Source, Wanted
from portarchive.jobs import choose
from portarchive.jobs.identity import check_selection
from portarchive.jobs.ledger import Entry, FolderLedger, unopened
from portarchive.jobs.recognise import Recogniser
from portarchive.jobs.rename import mailbox_id
from portarchive.jobs.report import ExportReport, Listener, totals_of
from portarchive.jobs.selection import Selection
from portarchive.progress import FolderStarted
from portarchive.records import FolderFailed, FolderOpened, MessageRef, Placement


def preview(
    source: Source, path: Path, selection: Selection, observer: Listener, *, change: bool
) -> ExportReport:
    """List everything and say what would be fetched: per folder, and in octets.

    Entries have ``to_fetch`` and ``to_fetch_octets`` beside the numbers of a ledger; nothing is
    ``archived`` but what is here already.
    """
    preflight(path)
    published = load_published(path)
    if published is not None and published.manifest is not None:
        check_selection(published.manifest.get("selection", {}), selection.to_json(), change=change)
    identity = source.identity()
    layout = Layout(path)
    updating = published is not None and not change
    fitted = choose.fitted(source.folders(), layout.names().values)
    listed = choose.folders(fitted, selection, updating=updating)
    chosen = [folder for folder in listed if folder.selectable]
    places = layout.assign(folder.path for folder in chosen)
    ledger = published.ledger() if published is not None else {}
    counters: dict[str, _Counter] = {}
    entries: list[Entry] = []
    for event in source.changes(Wanted(folders=chosen, tokens={}, describe=True)):
        if isinstance(event, FolderOpened):
            at = places[event.folder.path]
            state = FolderState(0, at, event.folder.path, path, layout.published.get(at))
            counters[event.folder.folder_id] = _Counter(path, state, event, ledger.get(at))
            observer(FolderStarted(at, event.counts.get("exists")))
        elif isinstance(event, MessageRef):
            for placement in event.placements:
                if placement.folder_id in counters:
                    reason = selection.skip_reason(placement, event.size)
                    counters[placement.folder_id].name(placement, event, reason)
        elif isinstance(event, FolderFailed):
            folder = next(f for f in chosen if f.folder_id == event.folder_id)
            entries.append(unopened(places[folder.path], event.code, event.text, None))
            counters.pop(event.folder_id, None)
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


class _Counter:
    """Counts one folder."""

    def __init__(
        self, root: Path, state: FolderState, opened: FolderOpened, previous: Entry | None
    ) -> None:
        self.ledger = FolderLedger(state.path)
        box = mailbox_id(state)
        same = box is None or opened.folder.uid is None or box == opened.folder.uid
        same = same and opened.uidvalidity == state.uidvalidity
        self._known = state.known(None) if same else {}
        uidnext = (previous or {}).get("state", {}).get("uidnext")
        back = isinstance(uidnext, int) and 0 < (opened.uidnext or 0) < uidnext
        self._recogniser = Recogniser(root, state, ids=True, lasting=not back)
        self._fetch = 0
        self._octets = 0

    def name(self, placement: Placement, ref: MessageRef, reason: str | None) -> None:
        """A message is named; ``reason``: a filter leaves it out."""
        self.ledger.listed += 1
        uid, knows = placement.uid, self._recogniser.knows
        if uid in self._known and knows(uid, ref, placement.received, None):
            self.ledger.archived += 1
        elif reason is not None:
            self.ledger.skipped.setdefault(reason, []).append(uid)
        else:
            self._fetch += 1
            self._octets += ref.size or 0

    def to_json(self) -> Entry:
        """The entry."""
        counts = {"to_fetch": self._fetch, "to_fetch_octets": self._octets}
        return {**self.ledger.to_json(), **counts}
