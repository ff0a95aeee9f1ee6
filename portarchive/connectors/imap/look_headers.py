"""The headers of a target's messages, in windows, several on their way at once. Marks nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from portarchive.connectors.imap import search
from portarchive.connectors.imap.folders import wire_of
from portarchive.connectors.imap.ledger import Ledger
from portarchive.connectors.imap.pool import Pool, opened
from portarchive.connectors.imap.responses import SMALL, Fetch, Response, Status
from portarchive.connectors.imap.session import Session
from portarchive.connectors.imap.uidset import MAX_UID, UidSet
from portarchive.errors import FolderUnavailable
from portarchive.placing import Present
from portarchive.records import Failure, Vanished

WINDOW: Final = 200
"""Messages of one command."""

DEPTH: Final = 3

_WHOLE: Final = b" (UID BODY.PEEK[HEADER])"
_PART: Final = b" (UID BODY.PEEK[HEADER]<0.%d>)" % SMALL

Header = bytes | Failure | Vanished
Pair = tuple[Present, Header]


class Headers:
    """Fetches headers for one target."""

    def __init__(self, pool: Pool, ledger: Ledger) -> None:
        self._pool = pool
        self._ledger = ledger

    def fetch(self, messages: Sequence[Present]) -> Iterator[Pair]:
        """See ``Target.headers``."""
        folders: dict[str, dict[int, Present]] = {}
        for message in messages:
            uid = int(message.uid) if message.uid.isdecimal() else 0
            wanted = folders.setdefault(message.folder_id, {})
            if not 0 < uid <= MAX_UID or uid in wanted:
                yield message, Failure("no-data", "the message has no usable UID")
            else:
                wanted[uid] = message
        for folder_id, wanted in folders.items():
            session = self._pool.main()
            try:
                opened(session, wire_of(folder_id), self._ledger.validity.get(folder_id))
            except FolderUnavailable as exc:
                for message in wanted.values():
                    yield message, Failure(exc.code, exc.text)
                continue
            # a server may answer with a header of any size: what could be larger is cut
            large = [uid for uid, message in wanted.items() if (message.size or 0) > SMALL]
            small = [uid for uid, message in wanted.items() if (message.size or 0) <= SMALL]
            yield from self._windows(session, wanted, small, _WHOLE)
            yield from self._windows(session, wanted, large, _PART)
            yield from self._silent(session, wanted)

    def _windows(
        self, session: Session, wanted: dict[int, Present], uids: list[int], items: bytes
    ) -> Iterator[Pair]:
        """What comes is taken out of ``wanted``."""
        todo = deque(uids[start : start + WINDOW] for start in range(0, len(uids), WINDOW))
        waiting: deque[tuple[bytes, list[int]]] = deque()
        while todo or waiting:
            while todo and len(waiting) < min(DEPTH, session.depth):
                window = todo.popleft()
                named = UidSet(window).text().encode("ascii")
                waiting.append((session.send(b"UID FETCH ", named, items), window))
            tag, window = waiting.popleft()
            while (status := session.answered(tag)) is None:
                response = session.next()
                if isinstance(response, Status) and response.tag is not None:
                    session.keep(response)
                else:
                    yield from _taken(response, wanted)
            left = [uid for uid in window if uid in wanted]
            if status.ok or not left:
                continue
            session.check(status)
            if len(left) == 1:
                yield wanted.pop(left[0]), Failure("server-refused", status.words)
            else:
                half = len(left) // 2
                todo.extendleft((left[half:], left[:half]))

    @staticmethod
    def _silent(session: Session, wanted: dict[int, Present]) -> Iterator[Pair]:
        """Those of which a tagged OK said nothing."""
        if not wanted:
            return
        session.run(b"NOOP")  # the last chance to tell of an EXPUNGE
        text = "the server says OK and sends nothing"
        try:
            there = search.named(session, session.capabilities, UidSet(wanted))
        except FolderUnavailable as exc:
            for message in wanted.values():
                yield message, Failure("no-data", f"{text}: {exc.text}")
            return
        for uid, message in wanted.items():
            yield message, Failure("no-data", text) if uid in there else Vanished()


def _taken(response: Response, wanted: dict[int, Present]) -> Iterator[Pair]:
    if not isinstance(response, Fetch) or b"BODY[HEADER]" not in response.items:
        return
    message = wanted.pop(response.uid or 0, None)
    if message is None:
        return
    header = response.items[b"BODY[HEADER]"]
    if not isinstance(header, bytes):
        yield message, Failure("nil-body", "the server says NIL in place of the header")
    elif len(header) >= SMALL:
        yield message, Failure("no-data", f"its header has {SMALL} octets or more")
    else:
        yield message, header
