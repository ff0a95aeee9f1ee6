"""One connection on which windows of messages are fetched ahead: the hot loop of an export.

A lane sends the next window's command before the last one is answered, so the server never waits
for us, and turns answers into outcomes as they arrive. What an answer leaves open (a UID without
data) is not asked for here: it goes to ``leftovers``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from portarchive import keywords
from portarchive.connectors.imap import convert, quirks
from portarchive.connectors.imap.answers import (
    Answers,
    Job,
    Pair,
    Window,
    placeholder,
    with_placement,
)
from portarchive.connectors.imap.body import WholeBody
from portarchive.connectors.imap.channel import Channel
from portarchive.connectors.imap.ledger import Ledger
from portarchive.connectors.imap.parser import BODY_LINE
from portarchive.connectors.imap.responses import SMALL, Status
from portarchive.connectors.imap.uidset import UidSet
from portarchive.errors import ConnectionLost, ConnectorError, RateLimited
from portarchive.records import Failure, MessageRef, Placement

DEPTH: Final = 3
"""Windows on their way at once."""

_FETCH: Final = re.compile(rb"\* +\d+ +(?:UID)?FETCH ", re.IGNORECASE)


class Lane(Answers):
    """See the module. The mailbox is examined already.

    Args:
        channel: the connection.
        job: what is to be fetched.
        ledger: what is known of single messages.
        ahead: other commands were sent behind those of this lane: it must send no more.
    """

    def __init__(self, channel: Channel, job: Job, ledger: Ledger, *, ahead: bool = False) -> None:
        super().__init__(channel, job, ledger)
        self._ahead = ahead

    def send_ahead(self) -> None:
        """Send all windows at once."""
        self._offer(len(self._job.todo))

    def offer(self) -> None:
        """Send windows until ``DEPTH`` are on their way."""
        if not self._ahead:
            self._offer(DEPTH)

    def _offer(self, depth: int) -> None:
        job = self._job
        while job.todo and len(self.windows) < depth:
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
            seq, uid_sent, flags, date, size, saved, email, _, length = found.groups()
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
                (placed,) if len(placements) == 1 else with_placement(placements, at, placed),
                int(size) if size is not None else ref[1],
                ref[2] if email is None else email.decode("ascii"),
                *ref[3:],
            )
            if ledger.suspects:
                ledger.absolve(job.folder_id, uid)
            if quirks.is_placeholder(octets):
                yield done, placeholder(octets)
            else:
                yield done, WholeBody(octets)

    # --- everything that is not the common case -------------------------------------------------

    def _other(self) -> Iterator[Pair]:
        stream, channel = self.channel.stream, self.channel
        try:
            if _FETCH.match(stream.buf, stream.start, stream.end):
                yield from self.odd_fetch(stream.line())
                return
            response = channel.next()
        except ConnectorError:
            channel.broken = True
            raise
        if isinstance(response, Status) and response.tag is not None:
            yield from self._answered(response)

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
        if len(self._unseen) > 4 * 500:
            self._unseen.clear()
        stopped = self.channel.stopped_at(status)
        if stopped is not None and len(left) < len(window.uids):  # a limit (RFC 9738) cut it
            job.todo.appendleft([uid for uid in left if uid < stopped])
            left = [uid for uid in left if uid >= stopped]
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
        return [uid for uids in waiting for uid in uids]
