"""Which messages an examined mailbox has, and what they look like: UID sets and described rows.

Every list is asked for in a way that the server can answer with little, and checked against the
number of messages that it names; no list is ever kept as one object a message.
"""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Collection, Iterator
from typing import Final

from portarchive.connectors.imap.channel import Channel
from portarchive.connectors.imap.examine import rows
from portarchive.connectors.imap.mailbox import parse_set
from portarchive.connectors.imap.parser import tokens
from portarchive.connectors.imap.responses import Data, Response, Status, number
from portarchive.connectors.imap.rows import Row
from portarchive.connectors.imap.uidset import UidSet, slices
from portarchive.errors import FolderUnavailable

WINDOW: Final = 5_000
"""Messages a listing command asks about."""

MAX_SET: Final = 7_000
"""Octets of a set in a command; servers need not take lines over 8,000 (RFC 7162 §4)."""

FLAGS: Final = b"FLAGS"
DESCRIBE: Final = b"FLAGS INTERNALDATE RFC822.SIZE"
IDENTIFY: Final = DESCRIBE + b" BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"


def object_items(capabilities: Collection[str]) -> bytes:
    """What names equal messages: RFC 8474, or Gmail's own; empty if the server has neither."""
    if "OBJECTID" in capabilities:
        return b" EMAILID THREADID"
    if "X-GM-EXT-1" in capabilities:
        return b" X-GM-MSGID X-GM-THRID X-GM-LABELS"
    return b""


def all_uids(channel: Channel, capabilities: Collection[str]) -> UidSet:
    """The UIDs of the open mailbox.

    Where SEARCH does not find as many messages as the server says there are, they are listed by
    FETCH too: what either names is there.

    Raises:
        FolderUnavailable: the server refuses every way of listing.
        TokenExpired, RateLimited: the refusal is about the account.
    """
    box = channel.mailbox
    if box is not None and box.exists == 0:
        return UidSet()
    try:
        found = search(channel, capabilities)
    except FolderUnavailable:
        return _fetched_uids(channel)
    if box is not None and box.exists is not None and len(found) != box.exists:
        with contextlib.suppress(FolderUnavailable):  # SEARCH did answer; the ledger has the counts
            found = found.union(_fetched_uids(channel))
    return found


def search(channel: Channel, capabilities: Collection[str], low: int = 1) -> UidSet:
    """The UIDs from ``low`` on, by UID SEARCH (with ESEARCH of RFC 4731 where offered).

    A server with MESSAGELIMIT (RFC 9738) looks at the newest only and says how far it came; it
    is asked again for those below.

    Raises:
        FolderUnavailable, TokenExpired, RateLimited: it refuses.
    """
    extended = "ESEARCH" in capabilities or "IMAP4REV2" in capabilities
    found, high = UidSet(), 0
    while True:
        key = b"UID %d:%s" % (low, b"%d" % high if high else b"*") if low > 1 or high else b"ALL"
        part, status = _search(channel, key, extended=extended)
        if not status.ok and extended:
            extended = False
            continue
        if not status.ok:
            channel.check(status)
            raise FolderUnavailable(status.words)
        found = found.union(part) if len(found) else part
        lowest = _limit(status)
        if lowest is None or lowest - 1 < low or (high and lowest > high):
            # "n:*" names the last message even if its UID is lower (RFC 9051 §6.4.8)
            return found.within(low, found.last()) if low > 1 else found
        high = lowest - 1


def _search(channel: Channel, key: bytes, *, extended: bool) -> tuple[UidSet, Status]:
    answers: list[UidSet] = []

    def note(response: Response) -> None:
        if isinstance(response, Data):
            if response.kind == b"SEARCH":
                words = response.parts[0].partition(b"(")[0].split()
                answers.append(
                    UidSet(int(word) for word in words if word.isdigit() and len(word) < 11)
                )
            elif response.kind == b"ESEARCH":
                answers.append(_esearch(response))

    command = b"UID SEARCH RETURN (ALL) " if extended else b"UID SEARCH "
    status = channel.run(command, key, handle=note)
    found = UidSet()
    for answer in answers:
        found = found.union(answer) if len(found) else answer
    return found, status


def _esearch(response: Data) -> UidSet:
    found = response.tokens()
    for at, token in enumerate(found[:-1]):
        if isinstance(token, bytes) and token.upper() == b"ALL":
            return parse_set(found[at + 1]) or UidSet()
    return UidSet()


def _limit(status: Status) -> int | None:
    """The lowest UID that was looked at, if a limit stopped the server."""
    if status.code != b"MESSAGELIMIT":
        return None
    numbers = [number(token) for token in tokens([status.args])]
    return numbers[1] if len(numbers) == 2 else None


def _fetched_uids(channel: Channel) -> UidSet:
    numbers = array("Q")
    reading = rows(channel, channel.send(b"UID FETCH 1:* (UID)"))
    while True:
        try:
            numbers.append(next(reading).uid)
        except StopIteration as done:
            status: Status = done.value
            break
    if not status.ok:
        channel.check(status)
        raise FolderUnavailable(status.words)
    return UidSet(numbers)


def describe(channel: Channel, uids: UidSet, items: bytes) -> Iterator[Row]:
    """A row for each of these UIDs, ascending; bare if the server says nothing of it.

    A window that is refused is split until what the server refuses stands alone.

    Raises:
        TokenExpired, RateLimited: the refusal is about the account.
    """
    for _, _, window in slices(uids, WINDOW):
        yield from _window(channel, window, items)


def _window(channel: Channel, window: list[int], items: bytes) -> list[Row]:
    wanted = UidSet(window).text().encode("ascii")
    if len(wanted) > MAX_SET:
        wanted = b"%d:%d" % (window[0], window[-1])  # what lies between is not looked at
    found, status = collect(channel, b"UID FETCH " + wanted + b" (UID " + items + b")")
    if not status.ok:
        channel.check(status)
        if len(window) == 1:
            return [Row(window[0])]
        half = len(window) // 2
        return _window(channel, window[:half], items) + _window(channel, window[half:], items)
    return [found.get(uid) or Row(uid) for uid in window]


def collect(channel: Channel, command: bytes) -> tuple[dict[int, Row], Status]:
    """The rows of a FETCH by UID, and its status.

    Of several answers the fullest one counts: a server tells of a changed flag at any time, with
    less in it.
    """
    found: dict[int, Row] = {}
    reading = rows(channel, channel.send(command))
    while True:
        try:
            row = next(reading)
        except StopIteration as done:
            status: Status = done.value
            return found, status
        earlier = found.get(row.uid)
        if earlier is None or sum(map(bool, row)) >= sum(map(bool, earlier)):
            found[row.uid] = row
