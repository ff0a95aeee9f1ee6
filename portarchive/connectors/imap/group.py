"""Small folders looked at together: EXAMINE and what follows it, for many of them in one go.

On a line with 100 ms to the server and back, fifty folders one after the other cost twenty seconds
of waiting. So everything is sent ahead, and read in order. This is the good case only: a folder
whose answers are in any way odd is left to ``changes``, which asks again, alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from portarchive.connectors.imap import delta, listing, search
from portarchive.connectors.imap.changes import Notes, Visitor, next_uid, removals
from portarchive.connectors.imap.delta import Delta
from portarchive.connectors.imap.examine import Opening, read_examine, send_examine
from portarchive.connectors.imap.folders import wire_of
from portarchive.connectors.imap.mailbox import Mailbox
from portarchive.connectors.imap.names import Literal, argument, is_inbox
from portarchive.connectors.imap.responses import Data, Response, number
from portarchive.connectors.imap.rows import Row, reference
from portarchive.connectors.imap.session import Session
from portarchive.connectors.imap.uidset import MAX_UID, UidSet
from portarchive.errors import FolderUnavailable
from portarchive.records import Change, FetchPoint, Folder, FolderFailed

TOGETHER: Final = 5_000
"""Messages of the folders that are looked at together."""

FOLDERS: Final = 100
"""Folders of one group."""


@dataclass(slots=True)
class _Look:
    """One folder of a group.

    Attributes:
        folder: which.
        opening: its EXAMINE, on its way.
        tag: of what was asked behind it, None for nothing.
        kind: what that is: ``search``, ``rows``, ``changes`` or ``nothing``.
        box: the mailbox, once it is open.
        rows: what is to be named, by UID; None if it is odd.
        removed: what a delta says is gone.
        complete: whether ``rows`` is all there is.
    """

    folder: Folder
    opening: Opening
    tag: bytes | None
    kind: str
    box: Mailbox | None = None
    rows: Mapping[int, Row] | None = None
    removed: UidSet = field(default_factory=UidSet)
    complete: bool = True
    fresh: dict[str, Any] = field(default_factory=dict)
    notes: Notes = ()

    @property
    def key(self) -> str:
        return self.folder.folder_id

    @property
    def last(self) -> int:
        return max(self.rows, default=0) if self.rows else 0


class Grouped:
    """Visits folders, small ones together."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor

    def visit(self, folders: Sequence[Folder]) -> Iterator[Change]:
        """All events of all of them."""
        group: list[Folder] = []
        count = 0
        for folder in folders:
            if self._visitor.is_quiet(folder):
                yield from self._visitor.quiet(folder)
                continue
            size = self._size(folder)
            if size is None or size > TOGETHER // 2:
                yield from self._together(group)
                group, count = [], 0
                yield from self._visitor.visit(folder)
                continue
            if count + size > TOGETHER or len(group) == FOLDERS:
                yield from self._together(group)
                group, count = [], 0
            group.append(folder)
            count += size
        yield from self._together(group)

    def _size(self, folder: Folder) -> int | None:
        """How many messages it has; None if it has to be looked at alone."""
        status, token = self._visitor.status(folder), self._visitor.token(folder)
        validity = status.get("UIDVALIDITY")
        if not validity or (token is not None and token.get("uidvalidity") != validity):
            return None
        if token is not None and (token.get("uidnext") or 0) > status.get("UIDNEXT", MAX_UID):
            return None  # see Mailbox.went_back
        try:
            name = argument(wire_of(folder.folder_id), utf8=self._visitor.pool.main().utf8)
            if isinstance(name, Literal):  # waits for a "+"
                return None
        except FolderUnavailable:
            return None
        return status.get("MESSAGES")

    def _together(self, group: Sequence[Folder]) -> Iterator[Change]:
        visitor = self._visitor
        if len(group) < 2:
            for folder in group:
                yield from visitor.visit(folder)
            return
        looks = self._look(group)
        good = [look for look in looks if look.rows is not None]
        for look in good:
            yield from self._name(look)
        if any(look.rows for look in good):
            yield FetchPoint()
        moved = self._moved([look for look in good if look.rows])
        for look in good:
            listed = len(look.rows or ()) if look.complete else None
            if look.key not in moved:
                yield visitor.done(look.key, look.fresh, listed, look.notes)
                continue
            try:
                yield from visitor.finish(look.key, look.fresh, look.last, listed, look.notes)
            except FolderUnavailable as exc:
                yield FolderFailed(look.key, exc.code, exc.text)
        for look in looks:
            if look.rows is None:
                yield from visitor.visit(look.folder)

    def _name(self, look: _Look) -> Iterator[Change]:
        if look.box is None or look.rows is None:
            return
        yield self._visitor.opened(look.folder, look.box, complete=look.complete)
        for uid in sorted(look.rows):
            yield reference(look.key, look.rows[uid])
        yield from removals(look.key, look.removed)

    # --- what is asked --------------------------------------------------------------------------

    def _look(self, group: Sequence[Folder]) -> list[_Look]:
        """Open them all and ask what they have, ahead of the answers."""
        session = self._visitor.pool.main()
        waiting: deque[_Look] = deque()
        looks: list[_Look] = []
        rest = deque(group)
        while rest or waiting:
            while rest and session.has_room():
                waiting.append(self._ask(session, rest.popleft()))
            look = waiting.popleft()
            looks.append(look)
            self._read(session, look)
        return looks

    def _ask(self, session: Session, folder: Folder) -> _Look:
        visitor = self._visitor
        token = None if folder.folder_id in visitor.wanted.relist else visitor.token(folder)
        since = delta.since(session, token)
        rights = "ACL" in session.capabilities
        opening = send_examine(session, wire_of(folder.folder_id), since, rights=rights)
        modseq = None if token is None else token.get("highest_modseq")
        condstore = bool({"CONDSTORE", "QRESYNC"} & session.capabilities)
        if not visitor.status(folder).get("MESSAGES") and since is None:
            return _Look(folder, opening, None, "nothing")
        described = visitor.items(session, None, same=True, partial=None)
        if since is not None and not described:
            return _Look(folder, opening, None, "changes")
        if isinstance(modseq, int) and modseq > 0 and condstore:
            tag = delta.ask(session, modseq, session.top, described or listing.FLAGS)
            return _Look(folder, opening, tag, "changes")
        items = visitor.items(session, visitor.token(folder), same=True, partial=None)
        if items:
            tag = session.send(b"UID FETCH 1:", session.top, b" (UID " + items + b")")
            return _Look(folder, opening, tag, "rows")
        options = b"ALL" if search.extended(session.capabilities) else b""
        return _Look(folder, opening, search.send(session, b"ALL", options), "search")

    # --- what is answered -----------------------------------------------------------------------

    def _read(self, session: Session, look: _Look) -> None:
        try:
            box: Mailbox | None = read_examine(session, look.opening)
        except FolderUnavailable:
            box = None
        rows: Mapping[int, Row] | None = None
        if look.tag is None:
            rows = {}
        elif look.kind == "search":
            found = search.read(session, look.tag)
            if found.status.ok and found.stopped is None and found.uids is not None:
                rows = {uid: Row(uid) for uid in found.uids}
        else:
            read, status, stopped = listing.read(session, look.tag)
            rows = read if status.ok and stopped is None else None
        if box is None or rows is None or box.exists is None or box.uidvalidity is None:
            return
        look.box, look.fresh = box, box.token()
        if box.uidvalidity != self._visitor.status(look.folder).get("UIDVALIDITY"):
            return
        token = self._visitor.token(look.folder)
        if token is not None and box.went_back(token):
            return
        self._visitor.ledger.expect(look.key, box)
        if look.kind == "changes":
            self._settle(session, look, box, dict(rows))
        elif not rows and self._visitor.status(look.folder).get("MESSAGES"):
            return  # STATUS counted some: asked again, alone
        elif len(rows) == box.exists:
            look.rows = rows
            look.notes = self._visitor.mismatch(look.folder, box, len(rows))
        box.changed = []

    def _settle(self, session: Session, look: _Look, box: Mailbox, rows: dict[int, Row]) -> None:
        """Take a delta for one if it adds up and needs no further question."""
        token = self._visitor.token(look.folder) or {}
        if delta.usable(box, token) is None or token.get("uidvalidity") != box.uidvalidity:
            return
        if look.tag is None and delta.must_ask(session, box, token):
            return
        changed = {row.uid: row for row in box.changed}
        if look.tag is not None and not changed.keys() <= rows.keys():
            return  # told of by EXAMINE, and not when it was asked about
        changed.update(rows)
        found: Delta | None = delta.adds_up(box, token, changed)
        if found is None:
            return
        look.notes = self._visitor.cap(box.exists)
        if look.notes and (len(found.removed) or box.vanished is None):
            return  # what is hidden is not gone, and may come into view
        look.rows, look.removed, look.complete = found.changed, found.removed, False

    # --- what arrived meanwhile -----------------------------------------------------------------

    def _moved(self, looks: Sequence[_Look]) -> set[str]:
        """Which of these may have got new messages: their STATUS, asked for ahead."""
        session = self._visitor.pool.main()
        moved: set[str] = set()
        waiting: deque[tuple[_Look, bytes]] = deque()
        rest = deque(looks)
        while rest or waiting:
            while rest and session.has_room():
                look = rest.popleft()
                wire = wire_of(look.key)
                if session.mailbox is not None and session.mailbox.wire == wire:
                    moved.add(look.key)  # of an open one, STATUS may tell what it was when opened
                    continue
                name = argument(wire, utf8=session.utf8)
                tag = session.send(b"STATUS ", name, b" (MESSAGES UIDNEXT UIDVALIDITY)")
                waiting.append((look, tag))
            if not waiting:
                break
            look, tag = waiting.popleft()
            told: dict[str, int] = {}
            session.finish(tag, partial(_take_status, wire=wire_of(look.key), told=told))
            same = told.get("UIDVALIDITY") == look.fresh["uidvalidity"]
            if not same or not 0 < told.get("UIDNEXT", 0) <= next_uid(look.fresh, look.last):
                moved.add(look.key)
        return moved


def _take_status(response: Response, wire: bytes, told: dict[str, int]) -> None:
    if not isinstance(response, Data) or response.kind != b"STATUS":
        return
    found = response.tokens()
    if not found or not isinstance(found[0], bytes):
        return
    if found[0] != wire and not (is_inbox(found[0]) and is_inbox(wire)):
        return
    pairs = found[-1] if found and isinstance(found[-1], list) else []
    for name, value in zip(pairs[::2], pairs[1::2], strict=False):
        count = number(value)
        if isinstance(name, bytes) and count is not None:
            told[name.decode("ascii", "replace").upper()] = count
