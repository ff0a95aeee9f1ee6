"""Listing the UIDs of a mailbox, whatever its size: which searches, in which order of preference.

For a large mailbox UIDBATCHES (RFC 10022) tells how to cut it, else PARTIAL (RFC 9394) pages
through it, else windows over the UIDs do, else one search asks for all of it. Each way that is
refused or makes no sense gives way to the next. The result is the same set; what a way leaves out
shows against the number of messages, and is then looked for by FETCH. Searches that name far more
than there is are not believed: then FETCH alone counts, which has to send a line for each message.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import Final

from portarchive.connectors.imap import listing, search
from portarchive.connectors.imap.channel import Channel
from portarchive.connectors.imap.mailbox import Mailbox
from portarchive.connectors.imap.responses import Data, Response, Status, number
from portarchive.connectors.imap.uidset import MAX_UID, UidSet
from portarchive.errors import FolderUnavailable
from portarchive.progress import Notice

LEAST_BATCH: Final = 500
"""A client MUST NOT ask for smaller batches (RFC 10022 §3.1.3)."""

MOST_BATCHED: Final = 100_000
"""Batches times their size in one request (RFC 10022 §3.1.5)."""

MOST_PARTS: Final = 4_000
"""Batches, pages or windows of one mailbox, 20 million messages: who counts more makes it up."""

Range = tuple[int, int]


def all_uids(channel: Channel, capabilities: Collection[str], counted: int = 0) -> UidSet:
    """The UIDs of the open mailbox.

    Where searches do not find as many messages as the server says there are, they are listed by
    FETCH too: what either names is there, unless the searches name far too many.

    Args:
        channel: with the mailbox open.
        capabilities: of the server.
        counted: what STATUS said of it: an EXISTS of 0 is believed only if that is 0 too.

    Raises:
        FolderUnavailable: the server refuses every way of listing.
        TokenExpired, RateLimited: the refusal is about the account.
    """
    box = channel.mailbox
    if box is not None and box.exists == 0 and not counted:
        return UidSet()
    try:
        found = _searched(channel, capabilities, box)
    except FolderUnavailable:
        return listing.fetched_uids(channel)
    if search.excessive(box, found):
        return listing.fetched_uids(channel)
    if box is not None and len(found) != box.exists:
        with contextlib.suppress(FolderUnavailable):  # SEARCH did answer; the ledger has the counts
            found = found.union(listing.fetched_uids(channel))
    return found


def arrived(channel: Channel, capabilities: Collection[str], low: int) -> UidSet:
    """The UIDs of the open mailbox from this one on.

    Raises:
        FolderUnavailable, TokenExpired, RateLimited: see ``all_uids``.
    """
    try:
        return search.search(channel, capabilities, low)
    except FolderUnavailable:
        return listing.fetched_uids(channel).within(low, MAX_UID)


def _searched(channel: Channel, capabilities: Collection[str], box: Mailbox | None) -> UidSet:
    size = listing.window(capabilities)
    if box is not None and box.exists is not None and box.exists > size:
        for way in (by_batches, by_pages, by_windows):
            with contextlib.suppress(FolderUnavailable):
                found = way(channel, capabilities, box, size)
                if found is not None:
                    return found
    return search.search(channel, capabilities)


# --- UIDBATCHES ---------------------------------------------------------------------------------


def by_batches(
    channel: Channel, capabilities: Collection[str], box: Mailbox, size: int
) -> UidSet | None:
    """By the batches that the server cuts (RFC 10022); None if it does not, or must not be asked.

    Raises:
        FolderUnavailable, TokenExpired, RateLimited: a search is refused.
    """
    if "UIDBATCHES" not in capabilities:
        return None
    for _ in range(2):  # once more if the boundaries moved, and the changes were many enough
        if not box.may_batch():
            return None
        batches = _Batches(channel, box, max(size, LEAST_BATCH))
        ranges = batches.ranges()
        if ranges is not None:
            return search.search_ranges(channel, capabilities, _without_gaps(ranges))
        if not batches.moved:
            return None
    return None


def _without_gaps(ranges: list[Range]) -> Iterator[Range]:
    """The same cut with nothing between: a range's ends need not be messages (§3.1.4)."""
    high = MAX_UID
    for at, (low, _) in enumerate(ranges):
        yield (1 if at == len(ranges) - 1 else low), high
        high = low - 1


class _Refused(Exception):
    """UIDBATCHES was answered NO or BAD."""

    def __init__(self, status: Status) -> None:
        super().__init__()
        self.status = status


class _Batches:
    """One mailbox cut by the server, newest first.

    Attributes:
        moved: what was asked for in slices does not fit together, for messages went away meanwhile.
    """

    def __init__(self, channel: Channel, box: Mailbox, size: int) -> None:
        self._channel = channel
        self._box = box
        self._size = size
        self._span: int | None = None  # batches of one request; None: all there are
        self._answered = False
        self.moved = False

    def ranges(self) -> list[Range] | None:
        """(lowest, highest) of each batch, descending; None if the server gives none of use.

        Raises:
            TokenExpired, RateLimited: the refusal is about the account.
        """
        if (self._box.exists or 0) > MOST_BATCHED:
            self._span = MOST_BATCHED // self._size
        while True:
            try:
                return self._ask(None) if self._span is None else self._in_slices(self._span)
            except _Refused as refusal:
                if not self._adapt(refusal.status):
                    self._channel.check(refusal.status, temporary=False)
                    text = "UIDBATCHES was refused, the mailbox is listed in another way"
                    notice = Notice("listing-refused", f"{text}: {refusal.status.words}", "note")
                    self._channel.observer(notice)
                    return None

    def _adapt(self, status: Status) -> bool:
        """Ask for larger batches or for fewer; False if that is no cure (LIMIT, CLIENTBUG, …)."""
        if self._answered:  # to begin again would be to ask twice (§3.1.1)
            return False
        if status.code == b"TOOFEW" and 2 * self._size <= MOST_BATCHED:
            self._size *= 2
            if self._span is not None:
                self._span = MOST_BATCHED // self._size
            return True
        if status.code == b"TOOMANY" and self._span != 2:
            span = MOST_BATCHED // self._size if self._span is None else self._span // 2
            self._span = max(2, span)
            return True
        return False

    def _in_slices(self, span: int) -> list[Range] | None:
        """Asked for in slices that overlap by one batch, so that a moved boundary shows: §3.1.5."""
        if span < 2:
            return None
        ranges: list[Range] = []
        first = 1
        while True:
            part = self._ask((first, first + span - 1))
            self.moved = part is not None and bool(ranges) and part[:1] != ranges[-1:]
            if part is None or self.moved:
                return None
            ranges += part[1:] if ranges else part
            if len(part) < span or ranges[-1][0] <= 1:
                return ranges
            if len(ranges) > MOST_PARTS:
                return None
            first += span - 1

    def _ask(self, numbers: Range | None) -> list[Range] | None:
        """One command; None if its answer makes no sense.

        Raises:
            _Refused: it is answered NO or BAD.
        """
        answers: list[list[Range] | None] = []

        def note(response: Response) -> None:
            if isinstance(response, Data) and response.kind == b"UIDBATCHES":
                answers.append(parse_batches(response, tag))

        of = b"" if numbers is None else b" %d:%d" % numbers
        tag = self._channel.send(b"UIDBATCHES %d" % self._size, of)
        status = self._channel.finish(tag, note)
        if not status.ok:
            raise _Refused(status)
        if not self._answered:
            self._box.batched(self._size)
        self._answered = True
        return answers[-1] if answers else None


def parse_batches(response: Data, tag: bytes) -> list[Range] | None:
    """``(TAG "A143") 215295:99696,99695:20351``: (lowest, highest) of each, descending.

    Empty for an empty mailbox. None if it answers another command, or is not in descending order.
    """
    found = response.tokens()
    if found and isinstance(found[0], list):
        if len(found[0]) != 2 or found[0][1] != tag:
            return None
        found = found[1:]
    if not found:
        return []
    ranges: list[Range] = []
    text = found[0] if isinstance(found[0], bytes) and len(found) == 1 else b"?"
    for item in text.split(b","):
        ends = [number(end) or 0 for end in item.split(b":")]
        low, high = min(ends), max(ends)
        if len(ends) > 2 or not 0 < low <= high <= MAX_UID or (ranges and high >= ranges[-1][0]):
            return None
        ranges.append((low, high))
    return ranges


# --- PARTIAL, windows ---------------------------------------------------------------------------


def by_pages(
    channel: Channel, capabilities: Collection[str], box: Mailbox, size: int
) -> UidSet | None:
    """Page by page, newest first (RFC 9394); None if the server cannot, or comes to no end.

    The next page is asked for by UID, never by position: an expunge in between would move all
    positions below it.

    Raises:
        TokenExpired, RateLimited: the refusal is about the account.
    """
    del box
    if "PARTIAL" not in capabilities:
        return None
    parts: list[UidSet] = []
    high = 0
    while True:
        key = b"UID 1:%d" % high if high else b"ALL"
        tag = search.send(channel, key, b"PARTIAL -1:-%d" % size)
        found = search.read(channel, tag)
        if not found.status.ok:
            channel.check(found.status, temporary=False)
            if found.status.code == b"MESSAGELIMIT" and size > 1:
                told = number(found.status.args.split()[0]) if found.status.args.split() else None
                size = min(size // 2, told or size)
                continue
            return None
        if found.uids is None:
            return None
        part = found.uids.within(1, high or MAX_UID)
        parts.append(part)
        if found.stopped is None and len(part) < size:
            return UidSet.joined(parts)
        low = min(filter(None, (found.stopped, part.first())), default=0)
        if low <= 1 or (high and low > high):
            return UidSet.joined(parts)
        if len(parts) == MOST_PARTS:
            return None
        high = low - 1


def by_windows(
    channel: Channel, capabilities: Collection[str], box: Mailbox, size: int
) -> UidSet | None:
    """By ranges of UIDs that hold about ``size`` messages each.

    None if UIDNEXT is not known, or if there would be no end of ranges.

    Raises:
        FolderUnavailable, TokenExpired, RateLimited: a search is refused.
    """
    if not box.uidnext or not box.exists:
        return None
    top = min(box.uidnext - 1, MAX_UID)
    count = -(-box.exists // size)
    width = max(size, -(-top // count))
    if top > width * MOST_PARTS:
        return None
    ranges = [(low, min(low + width - 1, top)) for low in range(1, top + 1, width)]
    return search.search_ranges(channel, capabilities, ranges)
