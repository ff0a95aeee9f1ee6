"""FETCH responses in any shape: what servers send beside and instead of the common case.

Literals anywhere, the UID after the body, a body without a date, NIL, flags that nobody asked for.
The hot loop of ``lane`` hands over here whatever its one regular expression does not match.
"""

from __future__ import annotations

import re
import tempfile
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from portarchive.connectors.base import Outcome
from portarchive.connectors.imap import convert, quirks
from portarchive.connectors.imap.body import SpooledBody, StreamedBody, WholeBody
from portarchive.connectors.imap.channel import Channel
from portarchive.connectors.imap.ledger import Ledger
from portarchive.connectors.imap.parser import LITERAL_AT_END, Token
from portarchive.connectors.imap.responses import SMALL, Fetch, classify, literal_size, number
from portarchive.connectors.imap.rows import flags_of
from portarchive.records import Failure, MessageRef, Placement

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


class Answers:
    """What a lane makes of FETCH responses.

    Attributes:
        channel: the connection.
        windows: commands on their way, oldest first.
    """

    def __init__(self, channel: Channel, job: Job, ledger: Ledger) -> None:
        self.channel = channel
        self.windows: deque[Window] = deque()
        self._job = job
        self._ledger = ledger
        self._was_cut = False
        self._unseen: dict[int, int] = {}  # sequence number to UID

    def odd_fetch(self, line: bytes) -> Iterator[Pair]:
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
            yield done, placeholder(octets) if quirks.is_placeholder(octets) else WholeBody(octets)

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
        email_id = convert.object_id(items.get(b"EMAILID") or items.get(b"X-GM-MSGID"))
        del job.refs[uid]
        ledger.absolve(job.folder_id, uid)
        return ref._replace(
            placements=with_placement(ref.placements, job.at, placed),
            size=ref.size if size is None else size,
            email_id=email_id or ref.email_id,
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


def with_placement(
    placements: tuple[Placement, ...], at: int, placed: Placement
) -> tuple[Placement, ...]:
    """The placements with one of them replaced."""
    return (*placements[:at], placed, *placements[at + 1 :])


def placeholder(octets: bytes) -> Failure:
    """The outcome for what a provider sent in place of a message."""
    return Failure("placeholder", quirks.PLACEHOLDER.decode("ascii"), octets)
