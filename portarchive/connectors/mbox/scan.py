r"""From an mbox file to its index, in one pass and constant memory.

Where a message ends: at an empty line with a postmark after it. A ``From `` line of the text
splits a message only if it has both; a Content-Length that leads exactly to a postmark, or to the
end, outvotes it. Where more postmarks of a file lack the empty line than have it, or its first one
has no date and most others have none, that is how its writer writes them, and they count.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from portarchive.connectors.local import dates
from portarchive.connectors.local.body import LARGE
from portarchive.connectors.local.header import LIMIT, end_of_header, values
from portarchive.connectors.mbox import beginning, labels, postmark, status
from portarchive.connectors.mbox.index import Fact, Index, Row
from portarchive.connectors.mbox.marks import BLOCK, LACKS, Lack, Mark, Marks
from portarchive.connectors.mbox.message import identity, measure, pieces
from portarchive.connectors.mbox.quoting import unquoted
from portarchive.connectors.mbox.second_scan import SecondScan
from portarchive.errors import ConnectionLost

_FROM: Final = b"From "
_EMPTY_LINE: Final = re.compile(rb"(?:\r?\n)?(?=From )")
_LABELS_CACHE: Final = 8192
_DOUBTS: Final[Mapping[Lack, str]] = {
    "empty-line": "postmark-without-empty-line",
    "date": "postmark-without-date",
}
_TAKEN: Final[Mapping[Lack, str]] = {
    "empty-line": "split-without-empty-line",
    "date": "split-without-date",
}
"""Notes about what lacks something: taken for text, and taken for a postmark."""
TOGETHER: Final = 128 << 20
"""Octets from which a second process is worth its start."""


class Scanner:
    """Reads one file from the front, and goes on where it stopped when the file has grown.

    Args:
        fd: of the file.
        rd: quoting is mboxrd, and taken off; else octets stay as they are.
        growing: messages will be appended again and again.
        torn: what lies before the first good postmark is no mail any more, and passed over.

    Attributes:
        index: what was found so far.
        takeout: the first message bears Takeout's own fields.
        counts: how often something worth a note was met, by the note's code.
        upto: the size of the file that was read.
    """

    def __init__(self, fd: int, *, rd: bool, growing: bool = False, torn: bool = False) -> None:
        self.upto = 0
        self._torn = torn
        self._fd = fd
        self._rd = rd
        self._growing = growing
        self._size = 0
        self._begin()
        self._labels: dict[bytes, tuple[str, ...]] = {}
        self._now = time.time()
        self._rule: Lack | None = None

    def _begin(self) -> None:
        self.index = Index()
        self.takeout: bool | None = None
        self.counts: dict[str, int] = {}
        self._counts_before: dict[str, int] = {}
        self._strangers = self._strangers_before = 0  # postmarks that are not our own
        self._origin: int | None = None
        self._last_line: int | None = None

    def extend(self, size: int) -> None:
        """Read on to that size. The last message of the time before is read anew.

        Raises:
            ConnectionLost: the file is not what it was.
            OSError: it cannot be read.
        """
        if size <= self.upto:
            return
        self._now = time.time()
        self._size = size
        fresh = self._last_line is None
        self._read_on()
        rule = self._rule or self._other_rule()
        if rule != self._rule:
            if not fresh:
                raise ConnectionLost("the mbox file is not what it seemed to be before it grew")
            self._rule = rule
            self._begin()
            self._read_on()
        if not self._growing:
            self.index.settle()
        self.upto = size

    def _read_on(self) -> None:
        at = self._last_line
        if at is None:
            at = self._origin = self._first()
        else:
            self.index.pop()
            self.counts = self._counts_before
            self._strangers = self._strangers_before
        if at >= self._size:
            return
        marks = Marks(self._fd, self._size, block=BLOCK, rule=self._rule)
        mark = marks.at(at)
        if mark is None:
            raise ConnectionLost("the mbox file was rewritten while it was being read")
        self._scan(marks, mark, together=self._rule is None and self._size - at >= TOGETHER)

    def _other_rule(self) -> Lack | None:
        """The rule by which this file is written, if it is not the usual one."""
        if self._origin is None or not self._strangers:
            return None
        head = os.pread(self._fd, postmark.LONGEST, self._origin).partition(b"\n")[0]
        if postmark.own(head) is not None:
            return None
        for lack in LACKS:
            if lack == "date" and (postmark.instant(head) is not None or postmark.is_bare(head)):
                continue
            if self.counts.get(_DOUBTS[lack], 0) >= self._strangers:
                return lack
        return None

    def begin_behind(
        self, offset: int, size: int, *, takeout: bool, tell: Callable[[int], object]
    ) -> None:
        """Index from the first postmark behind a place on, for somebody else.

        Args:
            offset: anywhere in the file.
            size: of the file.
            takeout: what the first message of the file told.
            tell: is told the place of that postmark, before the work begins.
        """
        self._size = size
        self.takeout = takeout
        marks = Marks(self._fd, size, block=BLOCK)
        mark = marks.behind(offset)
        if mark is not None:
            tell(mark.line)
            self._scan(marks, mark, together=False)

    def state(self) -> dict[str, Any]:
        """What was found, for ``marshal``."""
        return {
            "index": self.index.state(),
            "counts": self.counts,
            "before": self._counts_before,
            "line": self._last_line,
            "strangers": (self._strangers, self._strangers_before),
        }

    def _absorb(self, second: SecondScan, line: int) -> bool:
        """Take over what the second found from this postmark on, if it began just there."""
        state = second.state() if second.first() == line else None
        if state is None:
            return False
        self._counts_before = dict(self.counts)
        self.index.absorb(state["index"])
        for counts, more in ((self.counts, "counts"), (self._counts_before, "before")):
            for code, count in state[more].items():
                counts[code] = counts.get(code, 0) + count
        self._last_line = state["line"]
        strangers, before = state["strangers"]
        self._strangers, self._strangers_before = (
            self._strangers + strangers, self._strangers + before,
        )  # fmt: skip
        return True

    def postmarks_after(self, size: int) -> int:
        """How many messages follow the last one, up to that size."""
        if self._last_line is None:
            return 0
        marks = Marks(self._fd, size, rule=self._rule)
        count = 0
        if marks.at(self._last_line) is not None:
            while marks.next() is not None:
                count += 1
        return count

    def _count(self, code: str, more: int = 1) -> None:
        if more:
            self.counts[code] = self.counts.get(code, 0) + more

    def _first(self) -> int:
        """Where the first postmark is, behind what a file may begin with (``beginning``)."""
        at = beginning.mail_begins(self._fd)
        passed = beginning.nuls(self._fd, at)
        if passed:
            self.counts["nuls-passed-over"] = passed
        if self._torn and os.pread(self._fd, len(_FROM), at) != _FROM:
            first = beginning.first_postmark(self._fd)
            at = self._size if first is None else first
        return at

    # --- where messages begin and end

    def _end(self, start: int, size: int) -> int:
        """Where the last message ends: before the file's last empty line, if it has one."""
        tail = os.pread(self._fd, 4, max(start, size - 4))
        for empty in (b"\r\n\r\n", b"\n\n"):
            if tail.endswith(empty):
                return max(start, size - len(empty) // 2)
        return max(start, size - len(tail)) if not tail.strip(b"\r\n") else size

    def _by_length(self, marks: Marks, told: list[bytes], body: int, end: int) -> int | Mark | None:
        """Where Content-Length leads, if that is another place than ``end`` and a good one.

        Returns:
            The postmark there, from which the marks go on; the end of the file; None to go by the
            empty line.
        """
        if not told or not told[0].isdigit() or len(told[0]) > 15:
            return None
        target = body + int(told[0])
        if target == end or target > self._size:
            return None
        after = marks.read(target, min(target + 16, self._size))
        if target + len(after) == self._size and not after.strip(b"\r\n"):
            return target
        found = _EMPTY_LINE.match(after)
        if found is None:
            return None
        mark = marks.at(target + found.end(), dated=True)
        return mark._replace(end=target) if mark is not None else None

    # --- messages

    def _scan(self, marks: Marks, mark: Mark | None, *, together: bool) -> None:
        """Index from a postmark on; ``together``: with a second process, if there can be one."""
        second: SecondScan | None = None
        try:
            while mark is not None:
                if second is not None and mark.line >= second.offset:
                    if self._absorb(second, mark.line):
                        break
                    second.close()
                    second = None
                mark = self._message(marks, mark)
                if together and mark is not None:
                    together = False
                    second = self._second(mark.line)
        finally:
            if second is not None:
                second.close()

    def _second(self, line: int) -> SecondScan | None:
        """A process for the second half of what is left."""
        offset = (line + self._size) // 2
        try:
            return SecondScan(self._fd, offset, self._size, rd=self._rd, takeout=bool(self.takeout))
        except OSError:
            return None

    def _message(self, marks: Marks, mark: Mark) -> Mark | None:
        """Index the message after a postmark; the next postmark."""
        doubts, taken = dict(marks.doubts), marks.taken
        following = marks.next()
        if following is not None:
            end, quoted = following.end, following.quoted
        else:
            end, quoted = self._end(mark.start, self._size), marks.quoted
        own = mark.own
        flags: tuple[str, ...] | None = None
        start = mark.start
        if own is not None:
            end -= own.unended and end > start and marks.read(end - 1, end) == b"\n"
            start, flags = self._told(marks, start, end, own)
        head = marks.read(start, min(end, start + LARGE))
        header = head[: end_of_header(head)]
        lowered = header.lower()
        odd = status.may_have(lowered)
        # Where our own postmark follows, or is before it, no length is needed.
        if odd and own is None and (following is None or following.own is None):
            body = mark.start + len(header) + (2 if head.startswith(b"\r", len(header)) else 1)
            told = values(header, lowered, b"content-length")
            found = self._by_length(marks, told, body, end)
            if found is not None:
                following, end = (None, found) if isinstance(found, int) else (found, found.end)
                quoted = True
                head = marks.read(mark.start, min(end, mark.start + LARGE))
        if len(head) < min(end - start, LARGE):
            raise ConnectionLost("the mbox file became shorter while it was being read")
        if following is None:
            self._last_line = mark.line
            self._counts_before = dict(self.counts)
            self._strangers_before = self._strangers
        self._strangers += own is None
        for lack, count in marks.doubts.items():
            self._count(_DOUBTS[lack], count - doubts[lack])
        if self._rule is not None:
            self._count(_TAKEN[self._rule], marks.taken - taken)
        octets = head
        if quoted and self._rd:
            octets = unquoted(head)
            if len(octets) != len(head):  # the header may have moved
                header = octets[: end_of_header(octets)]
                lowered = header.lower()
                odd = status.may_have(lowered)
        lowered = lowered if odd else b""
        if start != mark.start:
            mark = mark._replace(start=start)
        self._add(mark, end - start, octets, header, lowered, flags)
        return following

    @staticmethod
    def _told(
        marks: Marks, start: int, end: int, own: postmark.Own
    ) -> tuple[int, tuple[str, ...] | None]:
        """Where a message begins behind the fields that tell its flags, and these."""
        if not own.status:
            return start, None
        head = marks.read(start, min(end, start + LIMIT))
        length = status.leading(head)
        if not length:  # another program rewrote it
            return start, None
        return start + length, status.flags(head[:length], head[:length].lower())

    def _add(
        self,
        mark: Mark,
        length: int,
        octets: bytes,
        header: bytes,
        lowered: bytes,
        told_flags: tuple[str, ...] | None,
    ) -> None:
        """Index one message.

        Args:
            mark: its postmark; ``start`` is where the message itself begins.
            length: octets of it in the file.
            octets: of it, or the first of them.
            header: the same of its header.
            lowered: the header in lower case; empty if nothing odd is in it.
            told_flags: what was written beside it of its flags; None: its header tells.
        """
        own = mark.own is not None
        flags: tuple[str, ...] = ()
        cuts: list[tuple[int, int]] = []
        told: tuple[str, ...] | None = None
        thread = 0
        if self.takeout is None:
            self.takeout = not own and labels.leading(header) is not None
        if self.takeout:
            front = labels.leading(header)
            told = ()
            if front is not None:
                thread = front.thread
                if front.labels is not None:
                    told = self._parsed(front.labels)
                    cuts.append(front.span)
        if lowered:
            if mark.line == self._origin and status.is_internal(header, lowered):
                self._count("folder-internal-data")
            if told_flags is None:
                flags = status.flags(header, lowered)
            cuts += status.changeable(lowered)
        if told_flags is not None:
            flags = told_flags
        epoch = mark.epoch
        if epoch is None or (not own and not dates.plausible(epoch, self._now)):
            epoch = dates.from_header(header, self._now)
            self._count("no-date" if epoch is None else "date-from-header")
        if length > LARGE:
            size, digest = measure(pieces(self._fd, mark.start, length, rd=self._rd), cuts)
        else:
            size, digest = len(octets), identity(octets, cuts)
        if size != length:
            self._count("mboxrd-unquoted")
        self.index.append(
            Row(
                mark.start,
                length,
                size,
                digest,
                epoch,
                self.index.fact(Fact(flags, told)),
                thread,
                mark.gmail_id if self.takeout else 0,
            )
        )

    def _parsed(self, raw: bytes) -> tuple[str, ...]:
        parsed = self._labels.get(raw)
        if parsed is None:
            parsed = labels.parse(raw)
            if len(self._labels) < _LABELS_CACHE:
                self._labels[raw] = parsed
        return parsed
