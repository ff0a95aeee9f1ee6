"""What a folder has, or what changed in it since the last run: events for a job.

Decides per folder how little can be asked: nothing (LIST-STATUS says that it stands still), what
QRESYNC or CONDSTORE name, or a listing. A delta is believed only if it adds up to the number of
messages that the server says there are; else the folder is listed whole. Where UIDs may mean other
messages than before, each message is described so far that the job can tell. Small folders are
looked at together (``group``); here is what one folder takes, with everything that may go wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from portarchive.connectors.base import Wanted
from portarchive.connectors.imap import listing, planner, quirks
from portarchive.connectors.imap.delta import Delta, find_delta, since
from portarchive.connectors.imap.examine import examine
from portarchive.connectors.imap.folders import Known, wire_of
from portarchive.connectors.imap.ledger import Ledger
from portarchive.connectors.imap.mailbox import Mailbox
from portarchive.connectors.imap.pool import Pool, opened
from portarchive.connectors.imap.rows import Row, reference
from portarchive.connectors.imap.session import Session
from portarchive.connectors.imap.uidset import UidSet, slices
from portarchive.errors import FolderUnavailable
from portarchive.records import (
    Change,
    FetchPoint,
    Folder,
    FolderDone,
    FolderFailed,
    FolderOpened,
    Removal,
)

REMOVED_AT_ONCE: Final = 10_000
"""UIDs in one ``Removal``."""

Notes = tuple[Mapping[str, Any], ...]


class Visitor:
    """Visits folders one by one, for one call of ``Source.changes``.

    Args:
        pool: connections; looked up anew at each step, for there may be others by then.
        known: what the listing told, by folder_id.
        ledger: takes the UIDVALIDITYs, gives notes.
        wanted: what the job asked for.
    """

    def __init__(
        self, pool: Pool, known: Mapping[str, Known], ledger: Ledger, wanted: Wanted
    ) -> None:
        self.pool = pool
        self.ledger = ledger
        self.wanted = wanted
        self._known = known
        validities = Counter(each.status.get("UIDVALIDITY") for each in known.values())
        self._shared = {validity for validity, count in validities.items() if count > 1}

    def visit(self, folder: Folder) -> Iterator[Change]:
        """All events of one folder."""
        if self.is_quiet(folder):
            yield from self.quiet(folder)
            return
        try:
            yield from self._open(folder, self.token(folder))
        except FolderUnavailable as exc:
            yield FolderFailed(folder.folder_id, exc.code, exc.text)

    # --- a folder that need not be looked at ----------------------------------------------------

    def token(self, folder: Folder) -> Mapping[str, Any] | None:
        """What the last run left for this folder."""
        return self.wanted.tokens.get(folder.folder_id)

    def status(self, folder: Folder) -> Mapping[str, int]:
        """What the listing told of it: MESSAGES, UIDNEXT, UIDVALIDITY, HIGHESTMODSEQ."""
        known = self._known.get(folder.folder_id)
        return {} if known is None else known.status

    def is_quiet(self, folder: Folder) -> bool:
        """Whether all is known without asking: it holds no mail, or stands still."""
        return not folder.selectable or self._stands_still(folder)

    def quiet(self, folder: Folder) -> Iterator[Change]:
        """All events of such a folder."""
        key, token = folder.folder_id, self.token(folder)
        if not folder.selectable or token is None:
            yield FolderOpened(folder=folder, complete=True)
            yield FolderDone(folder_id=key, token={}, listed=0)
            return
        status = self.status(folder)
        yield FolderOpened(
            folder=folder,
            complete=False,
            uidvalidity=status["UIDVALIDITY"],
            uidnext=status["UIDNEXT"],
            highest_modseq=status["HIGHESTMODSEQ"],
            counts={"status": status["MESSAGES"]},
        )
        yield FolderDone(folder_id=key, token=dict(token))

    def _stands_still(self, folder: Folder) -> bool:
        """Whether the listing says that nothing happened since the token (RFC 7162 §3.1.7)."""
        token = self.token(folder)
        capabilities = self.pool.main().capabilities
        if token is None or folder.folder_id in self.wanted.relist:
            return False
        if not {"CONDSTORE", "QRESYNC"} & capabilities:
            return False
        status = self.status(folder)
        if token.get("mailbox_id") is not None and status.get("UIDVALIDITY") in self._shared:
            return False  # two that changed places look the same; EXAMINE tells the MAILBOXID
        names = ("uidvalidity", "uidnext", "highest_modseq", "messages")
        told = ("UIDVALIDITY", "UIDNEXT", "HIGHESTMODSEQ", "MESSAGES")
        now = [status.get(name) for name in told]
        return all(now[:3]) and now[3] is not None and now == [token.get(name) for name in names]

    # --- a folder that must be looked at --------------------------------------------------------

    def _open(self, folder: Folder, token: Mapping[str, Any] | None) -> Iterator[Change]:
        key, wire = folder.folder_id, wire_of(folder.folder_id)
        session = self.pool.main()
        relist = key in self.wanted.relist
        rights = "ACL" in session.capabilities
        box = examine(session, wire, None if relist else since(session, token), rights=rights)
        self.ledger.expect(key, box)
        fresh = box.token()
        same = token is not None and box.continues(token)
        delta, counted = None, self.status(folder).get("MESSAGES", 0)
        if token is not None and same and not relist:
            delta = find_delta(session, box, token, counted)
        if delta is not None and delta.uids is None:
            cap = self.cap(box.exists)
            # what is hidden is not gone, and what goes lets as many come into view: a listing shows
            if cap and (len(delta.removed) or box.vanished is None):
                delta.uids = planner.all_uids(session, session.capabilities, counted)
        if delta is not None and delta.uids is None:
            yield self.opened(folder, box, complete=False)
            changed = UidSet(delta.changed)
            yield from self._changed(session, key, delta, changed)
            yield from self.finish(key, fresh, changed.last(), None, self.cap(box.exists))
            return
        uids = delta.uids if delta is not None and delta.uids is not None else None
        if uids is None:
            uids = planner.all_uids(session, session.capabilities, counted)
        # without lasting UIDs it is the job that finds out which messages it has, token or not
        before = token if token is not None or box.lasting else {}
        back = None
        if token is not None and box.is_that_of(token) and box.went_back(token):
            back = token
            # ids of messages tell which is which without their Message-IDs
            same = bool(listing.object_items(session.capabilities, session.enabled))
        items = self.items(session, before, same=same, partial=delta)
        mismatch = self.mismatch(folder, box, len(uids))
        yield self.opened(folder, box, complete=True, back=back)
        yield from self._listed(key, uids, items, {} if delta is None else delta.changed)
        yield from self.finish(key, fresh, uids.last(), len(uids), mismatch)

    def opened(
        self,
        folder: Folder,
        box: Mailbox,
        *,
        complete: bool,
        back: Mapping[str, Any] | None = None,
    ) -> FolderOpened:
        """The event for a mailbox that was opened; ``back``: the token that it fell behind."""
        counts = box.counts
        if folder.messages is not None:
            counts["status"] = folder.messages
        notes: list[dict[str, Any]] = []
        if box.uidvalidity is None:
            notes.append({"code": "uidvalidity-zero"})
        if not box.sticky:
            notes.append({"code": "uid-not-sticky"})
        if back is not None:
            old, new = back.get("uidnext"), box.uidnext
            notes.append({"code": "counters-went-back", "old": old, "new": new})
        return FolderOpened(
            folder=replace(
                folder, uid=box.mailbox_id or folder.uid, rights=box.rights or folder.rights
            ),
            complete=complete,
            uidvalidity=box.uidvalidity,
            uidnext=box.uidnext,
            highest_modseq=box.highest_modseq,
            counts=counts,
            allowed_keywords=box.keywords,
            notes=tuple(notes),
        )

    def items(
        self,
        session: Session,
        token: Mapping[str, Any] | None,
        *,
        same: bool,
        partial: Delta | None,
    ) -> bytes:
        """What a listing asks of each message beyond its UID; empty for nothing."""
        objects = listing.object_items(session.capabilities, session.enabled)
        saved = b" SAVEDATE" if "SAVEDATE" in session.capabilities else b""
        if token is not None and not same:
            return listing.IDENTIFY + objects + saved
        if objects or self.wanted.describe:
            return listing.DESCRIBE + objects + saved
        return listing.FLAGS if token is not None and partial is None else b""

    def _listed(
        self, key: str, uids: UidSet, items: bytes, told: Mapping[int, Row]
    ) -> Iterator[Change]:
        """Name all of a folder; a fetch point after each window of it."""
        identify = items.startswith(listing.IDENTIFY)
        for _, last, window in slices(uids, listing.window(self.pool.main().capabilities)):
            rows: Iterable[Row] = (told.get(uid) or Row(uid) for uid in window)
            if items:
                # what was named before is fetched by now, maybe over another connection
                session = self.pool.main()
                opened(session, wire_of(key), *self.ledger.expected(key))
                rows = listing.describe(session, UidSet(window), items)
            for row in rows:
                yield reference(key, row, identify=identify)
            more = last != uids.last()
            if not (more and identify):  # who is who can only be told from all of them
                yield FetchPoint(more=more)

    def _changed(
        self, session: Session, key: str, delta: Delta, changed: UidSet
    ) -> Iterator[Change]:
        """Name what a delta holds."""
        items = self.items(session, None, same=True, partial=None)
        size = listing.window(session.capabilities)
        rows = listing.describe(session, changed, items, size) if items else map(Row, changed)
        for row in rows:
            yield reference(key, delta.changed[row.uid] if row.flags is None else row)
        yield from removals(key, delta.removed)
        if len(changed):
            yield FetchPoint()

    # --- the end of a folder --------------------------------------------------------------------

    def finish(
        self, key: str, fresh: dict[str, Any], last: int, listed: int | None, notes: Notes = ()
    ) -> Iterator[Change]:
        """Name once more what arrived meanwhile, and close.

        Args:
            key: the folder.
            fresh: its token, from before the listing.
            last: the highest UID named, 0 if none was: then no time has passed.
            listed: how many the listing had; None for a delta.
            notes: of the listing.
        """
        more, later = UidSet(), 0
        if last:
            more = self._arrived(key, next_uid(fresh, last))
        if len(more):
            session = self.pool.main()
            items = self.items(session, None, same=True, partial=None)
            rows = listing.describe(session, more, items) if items else map(Row, more)
            for row in rows:
                yield reference(key, row)
            yield FetchPoint()
            later = len(self._arrived(key, more.last() + 1))
        yield self.done(key, fresh, listed, notes, len(more), later)

    def done(
        self,
        key: str,
        fresh: dict[str, Any],
        listed: int | None,
        notes: Notes = (),
        more: int = 0,
        later: int = 0,
    ) -> FolderDone:
        """The event for a folder that is finished."""
        return FolderDone(
            folder_id=key,
            token=fresh,
            listed=None if listed is None else listed + more,
            arrived_later=later,
            notes=(*notes, *self.ledger.notes(key)),
        )

    def _arrived(self, key: str, low: int) -> UidSet:
        """Messages from this UID on, if the server tells of any."""
        session = self.pool.main()
        before = session.mailbox
        box = opened(session, wire_of(key), *self.ledger.expected(key))
        if box is before:
            session.check(session.run(b"NOOP"))
            if not box.arrived:
                return UidSet()
        elif box.uidnext is not None and box.uidnext <= low:
            return UidSet()
        box.arrived = 0
        return planner.arrived(session, session.capabilities, low)

    def mismatch(self, folder: Folder, box: Mailbox, listed: int) -> Notes:
        """Notes on a listing that is not what the server counts, or that looks cut short."""
        notes: list[Mapping[str, Any]] = []
        status = self.status(folder)
        counted = status.get("MESSAGES")
        # a count of the listing is old by now: it contradicts only if nothing arrived since
        moved = box.uidnext is not None and status.get("UIDNEXT", box.uidnext) != box.uidnext
        if box.exists is not None:
            opened_with = box.exists - box.came + box.went
            contradicts = counted is not None and counted != opened_with and not moved
            # what came or went since it was opened may be in the listing or not
            explained = box.exists - box.came <= listed <= box.exists + box.went
            if not explained or contradicts:
                note = {"code": "count-mismatch", "exists": box.exists, "listed": listed}
                notes.append(note if counted is None else {**note, "status": counted})
        return (*notes, *self.cap(listed, box.exists, counted))

    def cap(self, *counts: int | None) -> Notes:
        """The note on a limit of the provider's, if one of these counts looks like it."""
        pool = self.pool
        for count in counts:
            found = quirks.suspected_cap(count, pool.capabilities, pool.settings.host)
            if found is not None:
                return (found,)
        return ()


def next_uid(fresh: Mapping[str, Any], last: int) -> int:
    """The least UID that a message can have that arrived after the listing."""
    return max(fresh["uidnext"] or 0, last + 1)


def removals(key: str, gone: UidSet) -> Iterator[Removal]:
    """Events for these UIDs."""
    part: list[str] = []
    for uid in gone:
        part.append(str(uid))
        if len(part) == REMOVED_AT_ONCE:
            yield Removal(key, tuple(part))
            part = []
    if part:
        yield Removal(key, tuple(part))
