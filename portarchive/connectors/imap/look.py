r"""What a target's mailboxes hold: SELECT for its PERMANENTFLAGS, then all messages as they come.

SELECT and not EXAMINE, for a server says only there which flags it keeps (Dovecot: ``()`` on
EXAMINE); it takes away ``\Recent`` and nothing else. A mailbox opened so is never closed by CLOSE,
which would expunge. Several mailboxes are asked for ahead of the answers.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from portarchive import keywords
from portarchive.connectors.imap import append_form, convert, listing, planner
from portarchive.connectors.imap.examine import rows
from portarchive.connectors.imap.folders import wire_of
from portarchive.connectors.imap.ledger import Ledger
from portarchive.connectors.imap.mailbox import Mailbox
from portarchive.connectors.imap.names import Literal, Part, argument
from portarchive.connectors.imap.pool import Pool
from portarchive.connectors.imap.responses import Data, Response, Status, number
from portarchive.connectors.imap.rows import Row
from portarchive.connectors.imap.session import Session
from portarchive.connectors.imap.uidset import MAX_UID, UidSet
from portarchive.errors import FolderUnavailable
from portarchive.placing import FolderLook, Present
from portarchive.records import FolderFailed

AHEAD: Final = 8
"""Mailboxes asked for at once."""


@dataclass(slots=True)
class _Asked:
    """One mailbox, with its commands on their way; tags are None for what was not asked."""

    folder_id: str
    above: int
    box: Mailbox
    limit: bytes | None
    select: bytes
    fetch: bytes | None
    failed: FolderUnavailable | None = None


class Looker:
    """Looks into mailboxes for one target.

    Args:
        pool: connections.
        ledger: takes the UIDVALIDITYs.
        limits: takes the APPENDLIMITs of single mailboxes, by folder_id.
    """

    def __init__(self, pool: Pool, ledger: Ledger, limits: dict[str, int]) -> None:
        self._pool = pool
        self._ledger = ledger
        self._limits = limits

    def existing(
        self, folder_ids: Sequence[str], newer_than: Mapping[str, str]
    ) -> Iterator[FolderLook | Present | FolderFailed]:
        """See ``Target.existing``."""
        rest = deque(folder_ids)
        asked: deque[_Asked] = deque()
        session = self._pool.main()
        while rest or asked:
            if session.broken or not asked:  # another connection took its place meanwhile
                rest.extendleft(entry.folder_id for entry in reversed(asked))
                asked.clear()
                session = self._pool.main()
            while rest and len(asked) < AHEAD and (not asked or session.has_room()):
                entry = self._ask(session, rest[0], newer_than, first=not asked)
                if entry is None:
                    break
                asked.append(entry)
                rest.popleft()
            entry = asked.popleft()
            if entry.failed is not None:
                yield FolderFailed(entry.folder_id, entry.failed.code, entry.failed.text)
                continue
            seen = yield from self._read(session, entry)
            if seen is None:
                continue
            # not all of them came: on a connection with nothing on its way
            rest.extendleft(later.folder_id for later in reversed(asked))
            asked.clear()
            yield from self._missing(entry, seen)
            session = self._pool.main()

    # --- asking ---------------------------------------------------------------------------------

    def _ask(
        self, session: Session, folder_id: str, newer_than: Mapping[str, str], *, first: bool
    ) -> _Asked | None:
        """Send what one mailbox takes; None if it has to wait until nothing is on its way."""
        wire = wire_of(folder_id)
        above = newer_than.get(folder_id, "")
        entry = _Asked(folder_id, int(above) if above.isdecimal() else 0, Mailbox(wire), None, b"",
                       None)  # fmt: skip
        try:
            name: Part = argument(wire, utf8=session.utf8)
        except FolderUnavailable as exc:
            entry.failed = exc
            return entry
        if isinstance(name, Literal) and not first:
            return None
        if "APPENDLIMIT" in session.capabilities:  # each mailbox has its own (RFC 7889 §3.2)
            entry.limit = session.send(b"STATUS ", name, b" (APPENDLIMIT)")
        entry.select = session.send(b"SELECT ", name)
        if listing.message_limit(session.capabilities) is None and entry.above < MAX_UID:
            start = b"UID FETCH %d:" % (entry.above + 1)
            entry.fetch = session.send(start, session.top, b" (UID " + items(session) + b")")
        return entry

    # --- reading --------------------------------------------------------------------------------

    def _read(
        self, session: Session, entry: _Asked
    ) -> Generator[FolderLook | Present | FolderFailed, None, array[int] | None]:
        """The events of one mailbox.

        Returns:
            None if all of it came; else the UIDs of the messages that did.
        """
        if entry.limit is not None:
            session.finish(entry.limit, lambda response: self._take_limit(entry, response))
        try:
            look = self._opened(session, entry)
        except FolderUnavailable as exc:
            if entry.fetch is not None:
                session.finish(entry.fetch)
            yield FolderFailed(entry.folder_id, exc.code, exc.text)
            return None
        yield look
        seen = array("Q")
        if entry.fetch is None:
            return seen if entry.above < MAX_UID else None
        last, status = entry.above, None
        reading = rows(session, entry.fetch)
        while status is None:
            try:
                row = next(reading)
            except StopIteration as done:
                status = done.value
                break
            unasked = row.size is None and not row.date
            # "n:*" names the last message even if its UID is lower (RFC 9051 §6.4.8)
            if unasked or (row.uid <= last and (row.uid <= entry.above or row.uid in seen)):
                continue
            last = max(last, row.uid)
            seen.append(row.uid)
            yield _present(entry.folder_id, row)
        stopped = session.stopped_at(status)
        whole = status.ok and stopped is None
        if whole and (entry.above or entry.box.exists in {None, len(seen)}):
            return None
        if not status.ok:
            session.check(status)
        return seen

    def _opened(self, session: Session, entry: _Asked) -> FolderLook:
        """The answer to SELECT.

        Raises:
            FolderUnavailable, TokenExpired, RateLimited: the server refuses.
        """
        session.mailbox = None
        box, told = entry.box, list[bytes]()

        def note(response: Response) -> None:
            if isinstance(response, Status) and response.code == b"PERMANENTFLAGS":
                told.append(response.args)
            box.opening(response)

        reading = rows(session, entry.select, note)
        while True:
            try:
                next(reading)
            except StopIteration as done:
                status: Status = done.value
                break
        if not status.ok:
            session.check(status, temporary=False)
            raise FolderUnavailable(status.words)
        box.take_code(status)
        session.mailbox = box
        self._ledger.validity[entry.folder_id] = box.uidvalidity
        return FolderLook(
            folder_id=entry.folder_id,
            uidvalidity=box.uidvalidity,
            keywords=_flags(told[-1]) if told else None,
            new_keywords=not told or b"\\*" in told[-1],
            append_limit=self._limits.get(entry.folder_id),
            messages=box.exists,
        )

    def _take_limit(self, entry: _Asked, response: Response) -> None:
        if not isinstance(response, Data) or response.kind != b"STATUS":
            return
        found = response.tokens()
        pairs = found[-1] if found and isinstance(found[-1], list) else []
        for name, value in zip(pairs[::2], pairs[1::2], strict=False):
            limit = number(value)
            if isinstance(name, bytes) and name.upper() == b"APPENDLIMIT" and limit is not None:
                self._limits[entry.folder_id] = limit

    def _missing(self, entry: _Asked, seen: array[int]) -> Iterator[Present | FolderFailed]:
        """Those that one FETCH did not bring, by the ways that a listing has."""
        session = self._pool.main()
        again = self._ask_again(session, entry)
        try:
            self._opened(session, again)
            uids = planner.all_uids(session, session.capabilities, len(seen))
        except FolderUnavailable as exc:
            yield FolderFailed(entry.folder_id, exc.code, exc.text)
            return
        known = set(seen)
        left = UidSet(uid for uid in uids if uid > entry.above and uid not in known)
        size = listing.window(session.capabilities)
        for row in listing.describe(session, left, items(session), size):
            yield _present(entry.folder_id, row)

    @staticmethod
    def _ask_again(session: Session, entry: _Asked) -> _Asked:
        box = Mailbox(entry.box.wire)
        tag = session.send(b"SELECT ", argument(box.wire, utf8=session.utf8))
        return _Asked(entry.folder_id, entry.above, box, None, tag, None)


def items(session: Session) -> bytes:
    """What is asked of each message beyond its UID."""
    if "OBJECTID+" in session.enabled:
        return listing.DESCRIBE + b" OBJECTID"
    if "OBJECTID" in session.capabilities:
        return listing.DESCRIBE + b" EMAILID"
    if "X-GM-EXT-1" in session.capabilities:
        return listing.DESCRIBE + b" X-GM-MSGID"
    return listing.DESCRIBE


def _present(folder_id: str, row: Row) -> Present:
    received = convert.received(row.date)
    if received.raw is not None:
        received = append_form.early(received.raw) or received
    return Present(folder_id, str(row.uid), row.size, row.flags or (), received, row.email_id)


def _flags(args: bytes) -> tuple[str, ...]:
    return keywords.parse_flag_list(args.strip().removeprefix(b"(").removesuffix(b")"))
