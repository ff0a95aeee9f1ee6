"""What a folder has, or what changed in it since the last run: events for a job.

Decides per folder how little can be asked: nothing (LIST-STATUS says that it stands still), what
QRESYNC or CONDSTORE name, or a listing. A delta is believed only if it adds up to the number of
messages that the server says there are; else the folder is listed whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from portarchive.connectors.base import Wanted
from portarchive.connectors.imap import listing, quirks
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


class Visitor:
    """Visits folders for one call of ``Source.changes``.

    Args:
        pool: connections; looked up anew at each step, for there may be others by then.
        known: what the listing told, by folder_id.
        ledger: takes the UIDVALIDITYs, gives notes.
        wanted: what the job asked for.
    """

    def __init__(
        self, pool: Pool, known: Mapping[str, Known], ledger: Ledger, wanted: Wanted
    ) -> None:
        self._pool = pool
        self._known = known
        self._ledger = ledger
        self._wanted = wanted

    def visit(self, folder: Folder) -> Iterator[Change]:
        """All events of one folder."""
        key = folder.folder_id
        token = self._wanted.tokens.get(key)
        if not folder.selectable:
            yield FolderOpened(folder=folder, complete=True)
            yield FolderDone(folder_id=key, token={}, listed=0)
            return
        if token is not None and key not in self._wanted.relist and self._stands_still(key, token):
            status = self._known[key].status
            yield FolderOpened(
                folder=folder,
                complete=False,
                uidvalidity=status["UIDVALIDITY"],
                uidnext=status["UIDNEXT"],
                highest_modseq=status["HIGHESTMODSEQ"],
                counts={"status": status["MESSAGES"]},
            )
            yield FolderDone(folder_id=key, token=dict(token))
            return
        try:
            yield from self._open(folder, token)
        except FolderUnavailable as exc:
            yield FolderFailed(key, exc.code, exc.text)

    def _stands_still(self, key: str, token: Mapping[str, Any]) -> bool:
        """Whether the listing says that nothing happened since the token (RFC 7162 §3.1.7)."""
        known = self._known.get(key)
        capabilities = self._pool.main().capabilities
        if known is None or not {"CONDSTORE", "QRESYNC"} & capabilities:
            return False
        names = ("uidvalidity", "uidnext", "highest_modseq", "messages")
        told = ("UIDVALIDITY", "UIDNEXT", "HIGHESTMODSEQ", "MESSAGES")
        now = [known.status.get(name) for name in told]
        return all(now[:3]) and now[3] is not None and now == [token.get(name) for name in names]

    # --- a folder that must be looked at --------------------------------------------------------

    def _open(self, folder: Folder, token: Mapping[str, Any] | None) -> Iterator[Change]:
        key, wire = folder.folder_id, wire_of(folder.folder_id)
        session = self._pool.main()
        relist = key in self._wanted.relist
        box = examine(session, wire, None if relist else since(session, token))
        self._ledger.validity[key] = box.uidvalidity
        fresh = box.token()
        same = token is not None and token.get("uidvalidity") == box.uidvalidity is not None
        delta = None
        if token is not None and same and not relist:
            delta = find_delta(session, box, token)
        if delta is not None and delta.uids is None:
            yield self._event(folder, box, complete=False)
            changed = UidSet(delta.changed)
            yield from self._changed(session, key, delta, changed)
            yield from self._finish(key, fresh, changed.last(), None)
            return
        uids = delta.uids if delta is not None and delta.uids is not None else None
        if uids is None:
            uids = listing.all_uids(session, session.capabilities)
        items = self._items(session, token, same=same, partial=delta)
        mismatch = self._mismatch(key, box, len(uids))
        yield self._event(folder, box, complete=True)
        identify = items.startswith(listing.IDENTIFY)
        told = {} if delta is None else delta.changed
        for _, last, window in slices(uids, listing.WINDOW):
            rows: Iterable[Row]
            if items:
                # what was named is fetched by now, maybe over another connection
                session = self._pool.main()
                opened(session, wire, box.uidvalidity)
                rows = listing.describe(session, UidSet(window), items)
            else:
                rows = (told.get(uid) or Row(uid) for uid in window)
            for row in rows:
                yield reference(key, row, identify=identify)
            more = last != uids.last()
            if not (more and identify):  # who is who can only be told from all of them
                yield FetchPoint(more=more)
        yield from self._finish(key, fresh, uids.last(), len(uids), mismatch)

    def _event(self, folder: Folder, box: Mailbox, *, complete: bool) -> FolderOpened:
        counts = box.counts
        if folder.messages is not None:
            counts["status"] = folder.messages
        notes: list[dict[str, Any]] = []
        if box.uidvalidity is None:
            notes.append({"code": "uidvalidity-zero"})
        if not box.sticky:
            notes.append({"code": "uid-not-sticky"})
        return FolderOpened(
            folder=replace(folder, uid=box.mailbox_id or folder.uid),
            complete=complete,
            uidvalidity=box.uidvalidity,
            uidnext=box.uidnext,
            highest_modseq=box.highest_modseq,
            counts=counts,
            allowed_keywords=box.keywords,
            notes=tuple(notes),
        )

    def _items(
        self,
        session: Session,
        token: Mapping[str, Any] | None,
        *,
        same: bool,
        partial: Delta | None,
    ) -> bytes:
        """What a listing asks of each message beyond its UID; empty for nothing."""
        objects = listing.object_items(session.capabilities)
        saved = b" SAVEDATE" if "SAVEDATE" in session.capabilities else b""
        if token is not None and not same:
            return listing.IDENTIFY + objects + saved
        if objects or self._wanted.describe:
            return listing.DESCRIBE + objects + saved
        return listing.FLAGS if token is not None and partial is None else b""

    def _changed(
        self, session: Session, key: str, delta: Delta, changed: UidSet
    ) -> Iterator[Change]:
        """Name what a delta holds."""
        items = self._items(session, None, same=True, partial=None)
        rows = listing.describe(session, changed, items) if items else map(Row, changed)
        for row in rows:
            yield reference(key, delta.changed[row.uid] if row.flags is None else row)
        gone: list[str] = []
        for uid in delta.removed:
            gone.append(str(uid))
            if len(gone) == REMOVED_AT_ONCE:
                yield Removal(key, tuple(gone))
                gone.clear()
        if gone:
            yield Removal(key, tuple(gone))
        if len(changed):
            yield FetchPoint()

    # --- the end of a folder --------------------------------------------------------------------

    def _finish(
        self,
        key: str,
        fresh: dict[str, Any],
        last: int,
        listed: int | None,
        notes: tuple[Mapping[str, Any], ...] = (),
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
            more = self._arrived(key, max(fresh["uidnext"] or 0, last + 1))
        if len(more):
            session = self._pool.main()
            items = self._items(session, None, same=True, partial=None)
            rows = listing.describe(session, more, items) if items else map(Row, more)
            for row in rows:
                yield reference(key, row)
            yield FetchPoint()
            later = len(self._arrived(key, more.last() + 1))
        yield FolderDone(
            folder_id=key,
            token=fresh,
            listed=None if listed is None else listed + len(more),
            arrived_later=later,
            notes=(*notes, *self._ledger.notes(key)),
        )

    def _arrived(self, key: str, low: int) -> UidSet:
        """Messages from this UID on, if the server tells of any."""
        session = self._pool.main()
        before = session.mailbox
        box = opened(session, wire_of(key), self._ledger.validity.get(key))
        if box is before:
            session.check(session.run(b"NOOP"))
            if not box.arrived:
                return UidSet()
        elif box.uidnext is not None and box.uidnext <= low:
            return UidSet()
        box.arrived = 0
        return listing.search(session, session.capabilities, low)

    def _mismatch(self, key: str, box: Mailbox, listed: int) -> tuple[Mapping[str, Any], ...]:
        notes: list[Mapping[str, Any]] = []
        known = self._known.get(key)
        status = known.status if known is not None else {}
        counted = status.get("MESSAGES")
        # a count of the listing is old by now: it contradicts only if nothing arrived since
        moved = box.uidnext is not None and status.get("UIDNEXT", box.uidnext) != box.uidnext
        contradicts = counted is not None and counted != box.exists and not moved
        if box.exists is not None and (box.exists != listed or contradicts):
            note = {"code": "count-mismatch", "exists": box.exists, "listed": listed}
            notes.append(note if counted is None else {**note, "status": counted})
        settings = self._pool.settings
        cap = quirks.suspected_cap(listed, self._pool.main().capabilities, settings.host)
        return (*notes, cap) if cap is not None else tuple(notes)
