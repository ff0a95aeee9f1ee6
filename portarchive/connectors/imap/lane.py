"""One connection on which windows of messages are fetched ahead: the hot loop of an export.

A lane sends the next window's command before the last one is answered, so the server never waits
for us, and turns answers into outcomes as they arrive. What an answer leaves open (a UID without
data) is not asked for here: it goes to ``leftovers``.
"""

from __future__ import annotations

import re
import tempfile
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from portarchive import keywords
from portarchive.connectors.base import Outcome
from portarchive.connectors.imap import convert, quirks
from portarchive.connectors.imap.body import SpooledBody, StreamedBody, WholeBody
from portarchive.connectors.imap.channel import Channel
from portarchive.connectors.imap.ledger import Ledger
from portarchive.connectors.imap.parser import BODY_LINE, LITERAL_AT_END, Token
from portarchive.connectors.imap.responses import (
    SMALL,
    Fetch,
    Status,
    classify,
    literal_size,
    number,
)
from portarchive.connectors.imap.rows import flags_of
from portarchive.connectors.imap.uidset import UidSet
from portarchive.errors import ConnectionLost, ConnectorError, RateLimited
from portarchive.records import Failure, MessageRef, Placement

DEPTH: Final = 3
"""Windows on their way at once."""

_FETCH: Final = re.compile(rb"\* +\d+ +(?:UID)?FETCH ", re.IGNORECASE)
_BODY_AT_END: Final = re.compile(rb"BODY\[\](?:<0>)? ~?\{\d+\+?\}\Z", re.IGNORECASE)

Pair = tuple[MessageRef, Outcome]


class Window(NamedTuple):
    """A command on its way."""

    tag: bytes
    uids: list[int]


class Job:
    """What the lanes of one folder work off together.

    Attributes:
        folder_id: where.
        at: which placement of each reference is of this folder.
        items: what is asked of each message, ``BODY.PEEK[]`` last.
        refs: by UID, those without an outcome yet.
        todo: windows not sent yet.
        leftovers: UIDs that a tagged OK said nothing of.
        nil: UIDs whose body was NIL.
        alone: every window is one message, and an answer need not name its UID, flags and date.
    """

    def __init__(
        self,
        folder_id: str,
        at: int,
        refs: dict[int, MessageRef],
        windows: list[list[int]],
        items: bytes,
        *,
        alone: bool = False,
    ) -> None:
        self.folder_id = folder_id
        self.at = at
        self.refs = refs
        self.items = items
        self.todo: deque[list[int]] = deque(windows)
        self.leftovers: list[int] = []
        self.nil: set[int] = set()
        self.alone = alone


class Lane:
    """See the module. The mailbox is examined already."""

    def __init__(self, channel: Channel, job: Job, ledger: Ledger) -> None:
        self.channel = channel
        self.windows: deque[Window] = deque()
        self._job = job
        self._ledger = ledger
        self._was_cut = False
        self._unseen: dict[int, int] = {}  # sequence number to UID

    def offer(self) -> None:
        """Send windows until ``DEPTH`` are on their way."""
        job = self._job
        while job.todo and len(self.windows) < DEPTH:
            uids = [uid for uid in job.todo.popleft() if uid in job.refs]
            if not uids:
                continue
            if len(uids) > self._ledger.most:
                job.todo.appendleft(uids[self._ledger.most :])
                uids = uids[: self._ledger.most]
            wanted = UidSet(uids).text().encode("ascii")
            try:
                tag = self.channel.send(b"UID FETCH " + wanted + b" (" + job.items + b")")
            except ConnectionLost:
                job.todo.appendleft(uids)
                if not self.windows:
                    raise
                return  # what is still on its way to us is read before the end is met
            self.windows.append(Window(tag, uids))
            self.channel.in_flight = len(self.windows)

    def read(self, *, wait: bool) -> Iterator[Pair]:
        """Outcomes as they arrive.

        Args:
            wait: go on until every window is answered; else only with what has arrived.
        """
        channel, job, ledger = self.channel, self._job, self._ledger
        stream, refs, at = channel.stream, job.refs, job.at
        match, flag_list, to_received = BODY_LINE.match, keywords.parse_flag_list, convert.received
        while self.windows:
            found = match(stream.buf, stream.start, stream.end)
            if found is None:
                if not stream.holds_line():
                    if not wait:
                        return
                    channel.fill()
                    continue
                yield from self._other()
                continue
            seq, uid_sent, flags, date, size, saved, _, _, length = found.groups()
            count = int(length)
            uid = int(uid_sent) if uid_sent is not None else 0
            ref = refs.get(uid)
            if ref is None or count > SMALL or flags is None or not date:
                yield from self._other()
                continue
            begin = found.end()
            stop = begin + count
            if stop + 3 > stream.end:
                if not wait:
                    return
                short = stop + 3 - stream.start
                while stream.end - stream.start < short:
                    channel.fill()
                continue
            if stream.buf[stop : stop + 3] != b")\r\n":
                yield from self._other()
                continue
            octets = bytes(stream.view[begin:stop])
            stream.start = stop + 3
            del refs[uid]
            placements = ref[0]
            old = placements[at]
            flags_now = flag_list(flags)
            flags_first = old[2]
            if "$seen" not in flags_now:
                self._unseen[int(seq)] = uid
            if flags_first is None:
                flags_first = flags_now
            elif flags_first != flags_now:
                self._compare(flags_first, flags_now)
            placed = Placement(
                old[0],
                old[1],
                flags_first,
                old[3] or to_received(date),
                old[4] if saved is None else convert.save_date(saved),
            )
            done = MessageRef(
                (placed,) if len(placements) == 1 else _with(placements, at, placed),
                int(size) if size is not None else ref[1],
                *ref[2:],
            )
            if ledger.suspects:
                ledger.absolve(job.folder_id, uid)
            if quirks.is_placeholder(octets):
                yield done, _placeholder(octets)
            else:
                yield done, WholeBody(octets)

    # --- everything that is not the common case -------------------------------------------------

    def _other(self) -> Iterator[Pair]:
        stream, channel = self.channel.stream, self.channel
        try:
            if _FETCH.match(stream.buf, stream.start, stream.end):
                yield from self._odd_fetch(stream.line())
                return
            response = channel.next()
        except ConnectorError:
            channel.broken = True
            raise
        if isinstance(response, Status) and response.tag is not None:
            yield from self._answered(response)

    def _odd_fetch(self, line: bytes) -> Iterator[Pair]:
        """A FETCH response in any shape: literals anywhere, the UID after the body, no body."""
        stream = self.channel.stream
        parts, spool = [line], None
        while (size := literal_size(parts[-1])) is not None:
            large = size > SMALL
            if large and _BODY_AT_END.search(parts[-1]):
                streamed = self._describe_ahead(parts, size)
                if streamed is not None:
                    yield from self._stream(*streamed)
                    parts = [b"* 0 FETCH (" + stream.line()]
                    continue
                spool = self._put_aside(size)
                parts += [b"", stream.line()]
            elif large:
                for _ in stream.chunks(size):
                    pass
                parts += [b"", stream.line()]
            else:
                parts += [stream.take(size), stream.line()]
        response = classify(parts)
        if isinstance(response, Fetch):
            yield from self._deliver(response, spool)

    def _describe_ahead(
        self, parts: list[bytes], size: int
    ) -> tuple[int, dict[bytes, Token], StreamedBody] | None:
        """The message that a large literal is of, if all that is wanted came before it."""
        ahead = classify([*parts[:-1], LITERAL_AT_END.sub(b"NIL", parts[-1])])
        if not isinstance(ahead, Fetch):
            return None
        items = ahead.items
        uid = self._uid_of(ahead)
        if uid is None:
            return None
        if not self._job.alone and not {b"FLAGS", b"INTERNALDATE"} <= items.keys():
            return None
        cut = lambda: self._cut(uid)  # noqa: E731  # one line, used once
        return uid, items, StreamedBody(self.channel.stream, size, cut)

    def _stream(self, uid: int, items: dict[bytes, Token], body: StreamedBody) -> Iterator[Pair]:
        done = self._complete(uid, items)
        if done is not None:
            yield done, body
        body.finish()

    def _put_aside(self, size: int) -> SpooledBody:
        file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by SpooledBody.finish
        for octets in self.channel.stream.chunks(size):
            file.write(octets)
        return SpooledBody(file, size)

    def _cut(self, uid: int) -> None:
        self.channel.broken = self._was_cut = True
        self._ledger.blame(self._job.folder_id, uid)

    def _uid_of(self, response: Fetch) -> int | None:
        """The message meant, if it is one that is waited for."""
        uid = response.uid
        if uid is None and self._job.alone and self.windows:
            uid = self.windows[0].uids[0]
        return uid if uid in self._job.refs else None

    def _deliver(self, response: Fetch, spool: SpooledBody | None) -> Iterator[Pair]:
        items = response.items
        if b"BODY[]" not in items:
            self._changed_flags(response)
            return
        uid = self._uid_of(response)
        octets = items[b"BODY[]"]
        if uid is None:
            return
        if not isinstance(octets, bytes):
            self._job.nil.add(uid)
            return
        done = self._complete(uid, items)
        if done is None:
            return
        if "$seen" not in (flags_of(items.get(b"FLAGS")) or ()):
            self._unseen[response.number] = uid
        if spool is not None:
            yield done, spool
            spool.finish()
        else:
            yield done, _placeholder(octets) if quirks.is_placeholder(octets) else WholeBody(octets)

    def _complete(self, uid: int, items: dict[bytes, Token]) -> MessageRef | None:
        """The reference with what the answer says; None if flags or date are to be asked again."""
        job, ledger = self._job, self._ledger
        ref = job.refs[uid]
        old = ref.placements[job.at]
        flags_now = flags_of(items.get(b"FLAGS"))
        date = items.get(b"INTERNALDATE")
        received = old.received or convert.received(date if isinstance(date, bytes) else None)
        notes = ref.notes
        if received == convert.UNKNOWN:
            if not job.alone and not ledger.dateless(job.folder_id):
                return None
            ledger.undated(job.folder_id)
            notes = tuple(dict.fromkeys((*notes, "no-date")))
        if flags_now is None and old.flags is None and not job.alone:
            return None
        if old.flags is not None and flags_now is not None:
            self._compare(old.flags, flags_now)
        saved = items.get(b"SAVEDATE")
        placed = Placement(
            old.folder_id,
            old.uid,
            old.flags if old.flags is not None else flags_now or (),
            received,
            convert.save_date(saved) if isinstance(saved, bytes) else old.save_date,
        )
        size = number(items.get(b"RFC822.SIZE"))
        del job.refs[uid]
        ledger.absolve(job.folder_id, uid)
        return ref._replace(
            placements=_with(ref.placements, job.at, placed),
            size=ref.size if size is None else size,
            notes=notes,
        )

    # --- flags that change under our eyes -------------------------------------------------------

    def _compare(self, first: tuple[str, ...], now: tuple[str, ...]) -> None:
        if "$seen" in now and "$seen" not in first:
            self._ledger.seen[self._job.folder_id] += 1

    def _changed_flags(self, response: Fetch) -> None:
        """A FETCH nobody asked for: a message just fetched is suddenly read."""
        uid = self._unseen.get(response.number)
        flags = flags_of(response.items.get(b"FLAGS"))
        if uid is not None and response.uid in {None, uid} and flags and "$seen" in flags:
            del self._unseen[response.number]
            self._ledger.seen[self._job.folder_id] += 1

    # --- the end of a window --------------------------------------------------------------------

    def _answered(self, status: Status) -> Iterator[Pair]:
        window = next((entry for entry in self.windows if entry.tag == status.tag), None)
        if window is None:
            return
        job = self._job
        left = [uid for uid in window.uids if uid in job.refs]
        if not status.ok and left:
            if status.code == b"LIMIT" and len(window.uids) > 1:  # asked for too many at once
                self._ledger.most = min(self._ledger.most, max(1, len(window.uids) // 2))
            else:
                self._refused(status, left)
        self.windows.remove(window)
        self.channel.in_flight = len(self.windows)
        if len(self._unseen) > 4 * 500:
            self._unseen.clear()
        if status.ok:
            job.leftovers += left
        elif len(left) == 1:
            yield job.refs.pop(left[0]), Failure("server-refused", status.words)
        elif left:
            half = len(left) // 2
            job.todo.extendleft((left[half:], left[:half]))
        self.offer()

    def _refused(self, status: Status, left: list[int]) -> None:
        """Raise if the refusal is no fault of the messages."""
        try:
            self.channel.check(status)
        except RateLimited:
            if status.code in quirks.TEMPORARY_CODES:
                why = Failure("server-refused", status.words)
                self._ledger.died(self._job.folder_id, left, why)
            raise

    def died(self) -> list[int]:
        """The connection is gone: remember who was next, give back all that is open."""
        waiting = [[uid for uid in window.uids if uid in self._job.refs] for window in self.windows]
        head = next((uids for uids in waiting if uids), None)
        if head and not self._was_cut:
            self._ledger.died(self._job.folder_id, head)
        self.windows.clear()
        self.channel.in_flight = 0
        return [uid for uids in waiting for uid in uids]


def _with(placements: tuple[Placement, ...], at: int, placed: Placement) -> tuple[Placement, ...]:
    return (*placements[:at], placed, *placements[at + 1 :])


def _placeholder(octets: bytes) -> Failure:
    return Failure("placeholder", quirks.PLACEHOLDER.decode("ascii"), octets)
