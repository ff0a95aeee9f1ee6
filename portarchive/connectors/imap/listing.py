"""What the messages of an examined mailbox look like: described rows, read as they come.

Every list is asked for in a way that the server can answer with little; what a limit cuts off is
asked for again. Which messages there are is ``planner``'s matter.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator
from typing import Final

from portarchive.connectors.imap.channel import Channel
from portarchive.connectors.imap.examine import rows
from portarchive.connectors.imap.responses import Status
from portarchive.connectors.imap.rows import Row
from portarchive.connectors.imap.uidset import UidSet, slices
from portarchive.errors import FolderUnavailable

WINDOW: Final = 5_000
"""Messages that one listing command is about; a mailbox of no more is listed by one search."""

MAX_SET: Final = 7_000
"""Octets of a set in a command; servers need not take lines over 8,000 (RFC 7162 §4)."""

FLAGS: Final = b"FLAGS"
DESCRIBE: Final = b"FLAGS INTERNALDATE RFC822.SIZE"
IDENTIFY: Final = DESCRIBE + b" BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"


def message_limit(capabilities: Collection[str]) -> int | None:
    """``MESSAGELIMIT=n`` (RFC 9738); SAVELIMIT is none of ours, we save nothing."""
    for capability in capabilities:
        name, _, limit = capability.partition("=")
        if name == "MESSAGELIMIT" and limit.isdecimal() and int(limit) > 0:
            return int(limit)
    return None


def window(capabilities: Collection[str]) -> int:
    """How many messages one listing command may be about."""
    return min(WINDOW, message_limit(capabilities) or WINDOW)


def object_items(capabilities: Collection[str], enabled: Collection[str] = ()) -> bytes:
    """What names equal messages: OBJECTID+, RFC 8474, Gmail's own; empty if there is none."""
    if "OBJECTID+" in enabled:
        return b" OBJECTID"
    if "OBJECTID" in capabilities:
        return b" EMAILID THREADID"
    if "X-GM-EXT-1" in capabilities:
        return b" X-GM-MSGID X-GM-THRID X-GM-LABELS"
    return b""


def email_item(capabilities: Collection[str], enabled: Collection[str] = ()) -> bytes:
    """What names a message when its octets are fetched; empty where nothing does at little cost.

    OBJECTID+ is not asked for: its form is not that of the fast line, and MAILBOXIDs are known.
    """
    if "OBJECTID+" in enabled:
        return b""
    if "OBJECTID" in capabilities:
        return b" EMAILID"
    return b" X-GM-MSGID" if "X-GM-EXT-1" in capabilities else b""


def fetched_uids(channel: Channel) -> UidSet:
    """The UIDs of the open mailbox, by FETCH.

    Raises:
        FolderUnavailable, TokenExpired, RateLimited: the server refuses.
    """
    numbers = array("Q")
    end = channel.top
    while True:
        reading = rows(channel, channel.send(b"UID FETCH 1:" + end + b" (UID)"))
        while True:
            try:
                numbers.append(next(reading).uid)
            except StopIteration as done:
                status: Status = done.value
                break
        if not status.ok:
            channel.check(status)
            raise FolderUnavailable(status.words)
        stopped = channel.stopped_at(status)
        if stopped is None or stopped <= 1 or (end.isdigit() and stopped > int(end)):
            return UidSet(numbers)
        end = b"%d" % (stopped - 1)


def describe(channel: Channel, uids: UidSet, items: bytes, size: int = WINDOW) -> Iterator[Row]:
    """A row for each of these UIDs, ascending; bare if the server says nothing of it.

    A window that is refused is split until what the server refuses stands alone.

    Args:
        channel: with the mailbox open.
        uids: of it.
        items: what is asked of each beyond its UID.
        size: messages of one command.

    Raises:
        TokenExpired, RateLimited: the refusal is about the account.
    """
    for _, _, part in slices(uids, size):
        yield from _window(channel, part, items)


def _window(channel: Channel, window: list[int], items: bytes) -> list[Row]:
    found: dict[int, Row] = {}
    left = window
    while left:
        part, status, stopped = read(channel, ask(channel, left, items))
        if not status.ok:
            channel.check(status)
            if len(left) == 1:
                break
            half = len(left) // 2
            for rest in (left[:half], left[half:]):
                found.update((row.uid, row) for row in _window(channel, rest, items))
            break
        found.update(part)
        if stopped is None:
            break
        # the limit cut it (RFC 9738): the server works from the highest UID downwards
        rest = [uid for uid in left if uid < stopped]
        if len(rest) == len(left):
            break
        left = rest
    return [found.get(uid) or Row(uid) for uid in window]


def ask(channel: Channel, window: list[int], items: bytes) -> bytes:
    """Send a FETCH for these UIDs, ascending; its tag."""
    wanted = UidSet(window).text().encode("ascii")
    if len(wanted) > MAX_SET:
        wanted = b"%d:%d" % (window[0], window[-1])  # what lies between is not looked at
    return channel.send(b"UID FETCH " + wanted + b" (UID " + items + b")")


def read(channel: Channel, tag: bytes) -> tuple[dict[int, Row], Status, int | None]:
    """The rows of a FETCH by UID, its status, and the lowest UID if a limit stopped it.

    Of several answers the fullest one counts: a server tells of a changed flag at any time, with
    less in it.
    """
    found: dict[int, Row] = {}
    reading = rows(channel, tag)
    while True:
        try:
            row = next(reading)
        except StopIteration as done:
            status: Status = done.value
            return found, status, channel.stopped_at(status)
        earlier = found.get(row.uid)
        if earlier is None or sum(map(bool, row)) >= sum(map(bool, earlier)):
            found[row.uid] = row


def collect(channel: Channel, command: bytes) -> tuple[dict[int, Row], Status]:
    """The rows of a FETCH of a few messages, and its status."""
    found, status, _ = read(channel, channel.send(command))
    return found, status
