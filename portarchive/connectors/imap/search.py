"""UID SEARCH: plain, ESEARCH (RFC 4731), PARTIAL (RFC 9394), and what MESSAGELIMIT cuts off.

Asks and reads, one search or several on their way at once. Which searches make up a listing is
``planner``'s matter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from portarchive.connectors.imap.channel import Channel
from portarchive.connectors.imap.mailbox import Mailbox, parse_set
from portarchive.connectors.imap.responses import Data, Response, Status
from portarchive.connectors.imap.uidset import MAX_UID, UidSet
from portarchive.errors import FolderUnavailable

AHEAD: Final = 8
"""Searches on their way at once."""

SURPLUS: Final = 5_000
"""Messages more than the server counts that a search may name: mail does arrive meanwhile."""

_MADE_UP: Final = "the server's search names far more messages than it counts"


class Found(NamedTuple):
    """One answer.

    Attributes:
        uids: what it names; None if it names nothing at all, not even the empty set, or too many.
        status: how it ended.
        stopped: the lowest UID that was looked at, if MESSAGELIMIT (RFC 9738) stopped the server.
        excess: it names far more than there is: a set of four thousand million takes twelve octets.
    """

    uids: UidSet | None
    status: Status
    stopped: int | None
    excess: bool = False


def extended(capabilities: Collection[str]) -> bool:
    """Whether the server can answer with a set in place of a list."""
    return "ESEARCH" in capabilities or "IMAP4REV2" in capabilities


def send(channel: Channel, key: bytes, options: bytes = b"") -> bytes:
    """Send a search; its tag.

    Args:
        channel: with the mailbox open, or about to be.
        key: the search key.
        options: what stands in ``RETURN (…)``; empty for a plain search.
    """
    returning = b"RETURN (" + options + b") " if options else b""
    return channel.send(b"UID SEARCH ", returning, key)


def read(channel: Channel, tag: bytes) -> Found:
    """The answer with this tag."""
    answers: list[UidSet] = []

    def note(response: Response) -> None:
        if not isinstance(response, Data):
            return
        if response.kind == b"SEARCH":
            words = response.parts[0].partition(b"(")[0].split()
            answers.append(UidSet(int(word) for word in words if word.isdigit() and len(word) < 11))
        elif response.kind == b"ESEARCH":
            found = _esearch(response, tag)
            if found is not None:
                answers.append(found)

    status = channel.finish(tag, note)
    uids = UidSet.joined(answers) if answers else None
    excess = uids is not None and excessive(channel.mailbox, uids)
    return Found(None if excess else uids, status, channel.stopped_at(status), excess)


def excessive(box: Mailbox | None, found: UidSet) -> bool:
    """Whether these are far more messages than the server says that the mailbox has."""
    return len(found) > SURPLUS + ((box.exists or 0) if box is not None else 0)


def _esearch(response: Data, tag: bytes) -> UidSet | None:
    """The set of an ESEARCH response; None if it answers another command."""
    found = response.tokens()
    if found and isinstance(found[0], list):
        if len(found[0]) == 2 and found[0][1] != tag:
            return None
        found = found[1:]
    for at, token in enumerate(found[:-1]):
        word = token.upper() if isinstance(token, bytes) else b""
        value = found[at + 1]
        if word == b"ALL":
            return parse_set(value) or UidSet()
        if word == b"PARTIAL" and isinstance(value, list):
            return (parse_set(value[1]) if len(value) == 2 else None) or UidSet()
    return UidSet()


def search(channel: Channel, capabilities: Collection[str], low: int = 1) -> UidSet:
    """The UIDs from ``low`` on, by one search or a few.

    A server with MESSAGELIMIT looks at the newest only and says how far it came; it is asked again
    for those below.

    Raises:
        FolderUnavailable: it refuses, or names far more than there is.
        TokenExpired, RateLimited: the refusal is about the account.
    """
    options = b"ALL" if extended(capabilities) else b""
    parts: list[UidSet] = []
    high = 0
    while True:
        end = b"%d" % high if high else channel.top
        key = b"UID %d:%s" % (low, end) if low > 1 or high else b"ALL"
        found = read(channel, send(channel, key, options))
        if not found.status.ok and options:
            options = b""
            continue
        if not found.status.ok:
            channel.check(found.status)
            raise FolderUnavailable(found.status.words)
        if found.excess:
            raise FolderUnavailable(_MADE_UP)
        parts.append(found.uids or UidSet())
        if found.stopped is None or found.stopped <= low or (high and found.stopped > high):
            # "n:*" names the last message even if its UID is lower (RFC 9051 §6.4.8)
            return UidSet.joined(parts).within(low, MAX_UID)
        high = found.stopped - 1


def named(channel: Channel, capabilities: Collection[str], uids: UidSet) -> UidSet:
    """Those of these UIDs that the server names: one search, more only where a limit cuts it.

    Raises:
        FolderUnavailable: it refuses, or leaves open what became of some of them.
        TokenExpired, RateLimited: the refusal is about the account.
    """
    options = b"ALL" if extended(capabilities) else b""
    parts: list[UidSet] = []
    left = uids
    while len(left):
        key = b"UID " + left.text().encode("ascii")
        found = read(channel, send(channel, key, options))
        if not found.status.ok and options:
            options = b""
            continue
        if not found.status.ok:
            channel.check(found.status)
            raise FolderUnavailable(found.status.words)
        below = left.within(1, (found.stopped or 1) - 1)
        if found.uids is None or len(below) == len(left):
            raise FolderUnavailable("the server says OK to a search and answers nothing")
        parts.append(found.uids)
        left = below
    return UidSet.joined(parts)


def search_ranges(
    channel: Channel, capabilities: Collection[str], ranges: Iterable[tuple[int, int]]
) -> UidSet:
    """The UIDs within these ranges, which do not overlap; several searches are on their way.

    Raises:
        FolderUnavailable: the server refuses one of them, or names far more than there is.
        TokenExpired, RateLimited: the refusal is about the account.
    """
    options = b"ALL" if extended(capabilities) else b""
    todo, waiting = deque(ranges), deque[tuple[int, bytes]]()
    parts: list[UidSet] = []
    refused: Status | None = None
    excess = False
    while True:
        while todo and refused is None and not excess and len(waiting) < AHEAD:
            low, high = todo.popleft()
            waiting.append((low, send(channel, b"UID %d:%d" % (low, high), options)))
        if not waiting:
            break
        low, tag = waiting.popleft()
        found = read(channel, tag)
        if not found.status.ok:
            refused = refused or found.status
            continue
        excess = excess or found.excess
        parts.append(found.uids or UidSet())
        if found.stopped is not None and found.stopped > low:
            todo.append((low, found.stopped - 1))
    if refused is not None:
        channel.check(refused)
        raise FolderUnavailable(refused.words)
    if excess:
        raise FolderUnavailable(_MADE_UP)
    return UidSet.joined(parts)
