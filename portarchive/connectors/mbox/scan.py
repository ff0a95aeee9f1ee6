r"""From an mbox file to its index, in one pass and constant memory.

Where a message ends: at an empty line with a postmark after it. A ``From `` line of the text
splits a message only if it has both; a Content-Length that leads exactly to a postmark, or to the
end, outvotes it. The file is read with ``pread`` and not mapped: a mapped file that another program
cuts short kills the process that looks at it.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

from portarchive.connectors.local import dates
from portarchive.connectors.local.body import LARGE
from portarchive.connectors.local.header import end_of_header, values
from portarchive.connectors.mbox import labels, postmark, status
from portarchive.connectors.mbox.index import Fact, Index, Row
from portarchive.connectors.mbox.message import identity, measure, pieces
from portarchive.connectors.mbox.quoting import unquoted
from portarchive.errors import ConnectionLost

_BLOCK: Final = 4 << 20
_WORD: Final = b"From "
_EMPTY_LINE: Final = re.compile(rb"(?:\r?\n)?(?=From )")
_LABELS_CACHE: Final = 8192


class Mark(NamedTuple):
    """A postmark.

    Attributes:
        end: where the message before it ends, its empty line not counted.
        line, start: of the postmark, and of the message after it.
        quoted: whether the message before it has a quoted ``From ``; True also if nobody looked.
        epoch: its date; None if it has none.
        gmail_id: see ``postmark.gmail_id``.
    """

    end: int
    line: int
    start: int
    quoted: bool
    epoch: int | None
    gmail_id: int


class Scanner:
    """Reads one file from the front, and goes on where it stopped when the file has grown.

    Args:
        fd: of the file.
        rd: quoting is mboxrd, and taken off; else octets stay as they are.

    Attributes:
        index: what was found so far.
        takeout: the first message bears Takeout's own fields.
        counts: how often something worth a note was met, by the note's code.
        upto: the size of the file that was read.
    """

    def __init__(self, fd: int, *, rd: bool) -> None:
        self.index = Index()
        self.takeout: bool | None = None
        self.counts: dict[str, int] = {}
        self.upto = 0
        self._fd = fd
        self._rd = rd
        self._last_line: int | None = None
        self._last_row = False
        self._quoted_at_end = True
        self._counts_before: dict[str, int] = {}
        self._labels: dict[bytes, tuple[str, ...]] = {}
        self._now = time.time()

    def extend(self, size: int) -> None:
        """Read on to that size. The last message of the time before is read anew.

        Raises:
            ConnectionLost: the file is not what it was.
            OSError: it cannot be read.
        """
        if size <= self.upto:
            return
        at = self._last_line
        if at is None:
            at = self._first()
        elif self._last_row:
            self.index.pop()
            self.counts = self._counts_before
        self._now = time.time()
        self._scan(at, size)
        self.index.settle()
        self.upto = size

    def postmarks_after(self, size: int) -> int:
        """How many messages follow the last one, up to that size."""
        if self._last_line is None:
            return 0
        return sum(1 for _ in self._marks(self._last_line, size)) - 1

    def _count(self, code: str) -> None:
        self.counts[code] = self.counts.get(code, 0) + 1

    def _first(self) -> int:
        """Past the empty lines that a file may begin with."""
        head = os.pread(self._fd, postmark.LONGEST, 0)
        return len(head) - len(head.lstrip(b"\r\n"))

    # --- where messages begin and end

    def _marks(self, at: int, size: int) -> Iterator[Mark]:
        """The postmarks from the one at that place on."""
        first = self._mark_at(at)
        if first is None:
            if at < size:
                raise ConnectionLost("the mbox file was rewritten while it was being read")
            return
        yield first
        base = at
        data = os.pread(self._fd, min(_BLOCK, size - base), base)
        position = len(_WORD)
        quoted = False
        while True:
            found = data.find(_WORD, position)
            there = base + len(data)
            if there < size and (found < 0 or len(data) - found <= postmark.LONGEST):
                base = max(0, base + (found if found >= 0 else len(data) - len(_WORD)) - 3)
                data = os.pread(self._fd, min(_BLOCK, size - base), base)
                if base + len(data) <= there:
                    raise ConnectionLost("the mbox file became shorter while it was being read")
                position = 3
                continue
            if found < 0:
                self._quoted_at_end = quoted
                return
            position = found + 1
            before = data[found - 1]
            if before == 62:  # >
                quoted = True
            elif before == 10:
                mark = self._mark(data, found - 1, base, quoted=quoted)
                if mark is not None:
                    quoted = False
                    yield mark

    def _mark(self, data: bytes, found: int, base: int, *, quoted: bool) -> Mark | None:
        """The postmark after this line end, if it is one. The octets before it are at hand."""
        line_end = data.find(b"\n", found + 1, found + 1 + postmark.LONGEST)
        if line_end < 0:
            return None
        line = data[found + 1 : line_end]
        epoch = postmark.instant(line)
        if epoch is None and not (
            postmark.is_bare(line) and postmark.FIELD.match(data, line_end + 1)
        ):
            return None
        if found and data[found - 1] == 10:
            end = found
        elif found > 1 and data[found - 1] == 13 and data[found - 2] == 10:
            end = found - 1
        else:
            if epoch is not None and postmark.FIELD.match(data, line_end + 1):
                self._count("postmark-without-empty-line")
            return None
        gmail_id = postmark.gmail_id(line) if self.takeout is not False else 0
        return Mark(base + end, base + found + 1, base + line_end + 1, quoted, epoch, gmail_id)

    def _mark_at(self, at: int, *, dated: bool = False) -> Mark | None:
        """The line at this place, which counts as a postmark whatever stands in it."""
        data = os.pread(self._fd, postmark.LONGEST, at)
        line, newline, _ = data.partition(b"\n")
        epoch = postmark.instant(line)
        if not line.startswith(b"From") or (dated and epoch is None):
            return None
        start = at + len(line) + len(newline)
        return Mark(at, at, start, True, epoch, postmark.gmail_id(line))

    def _end(self, start: int, size: int) -> int:
        """Where the last message ends: before the file's last empty line, if it has one."""
        tail = os.pread(self._fd, 4, max(start, size - 4))
        for empty in (b"\r\n\r\n", b"\n\n"):
            if tail.endswith(empty):
                return max(start, size - len(empty) // 2)
        return max(start, size - len(tail)) if not tail.strip(b"\r\n") else size

    def _by_length(
        self, header: bytes, lowered: bytes, body: int, end: int, size: int
    ) -> int | Mark | None:
        """Where Content-Length leads, if that is another place than ``end`` and a good one.

        Returns:
            The postmark there; the end of the file; None to go by the empty line.
        """
        told = values(header, lowered, b"content-length")
        if not told or not told[0].isdigit() or len(told[0]) > 15:
            return None
        target = body + int(told[0])
        if target == end or target > size:
            return None
        after = os.pread(self._fd, 16, target)
        if target + len(after) == size and not after.strip(b"\r\n"):
            return target
        found = _EMPTY_LINE.match(after)
        if found is None:
            return None
        mark = self._mark_at(target + found.end(), dated=True)
        return mark._replace(end=target) if mark is not None else None

    # --- messages

    def _scan(self, at: int, size: int) -> None:
        marks = self._marks(at, size)
        mark = next(marks, None)
        while mark is not None:
            following = next(marks, None)
            end = following.end if following is not None else self._end(mark.start, size)
            head = os.pread(self._fd, min(end - mark.start, LARGE), mark.start)
            if len(head) < min(end - mark.start, LARGE):
                raise ConnectionLost("the mbox file became shorter while it was being read")
            header = head[: end_of_header(head)]
            lowered = header.lower()
            if b"content-length" in lowered:
                body = mark.start + len(header) + (2 if head.startswith(b"\r", len(header)) else 1)
                found = self._by_length(header, lowered, body, end, size)
                if found is not None:
                    marks, following, end = self._go_on(found, size)
                    head = os.pread(self._fd, min(end - mark.start, LARGE), mark.start)
            self._last_line = mark.line
            self._counts_before = dict(self.counts)
            quoted = self._quoted_at_end if following is None else following.quoted
            if not self._rd or not quoted:
                octets = head
            else:
                octets = unquoted(head)
                if len(octets) != len(head):  # the header may have moved
                    header = octets[: end_of_header(octets)]
                    lowered = header.lower()
            self._last_row = self._add(mark, end - mark.start, octets, header, lowered)
            mark = following

    def _go_on(self, found: int | Mark, size: int) -> tuple[Iterator[Mark], Mark | None, int]:
        if isinstance(found, int):
            self._quoted_at_end = True
            return iter(()), None, found
        marks = self._marks(found.line, size)
        next(marks)
        return marks, found, found.end

    def _add(self, mark: Mark, length: int, octets: bytes, header: bytes, lowered: bytes) -> bool:
        """Index one message; False if it is none."""
        flags: tuple[str, ...] = ()
        cuts: list[tuple[int, int]] = []
        told: tuple[str, ...] | None = None
        thread = 0
        if self.takeout is None:
            self.takeout = labels.leading(header) is not None
        if self.takeout:
            front = labels.leading(header)
            told = ()
            if front is not None:
                thread = front.thread
                if front.labels is not None:
                    told = self._parsed(front.labels)
                    cuts.append(front.span)
        if status.may_have(lowered):
            if status.is_internal(lowered):
                self._count("folder-internal-data")
                return False
            flags = status.flags(header, lowered)
            cuts += status.changeable(lowered)
        epoch = mark.epoch
        if epoch is None or not dates.plausible(epoch, self._now):
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
                -1 if epoch is None else epoch,
                self.index.fact(Fact(flags, told)),
                thread,
                mark.gmail_id if self.takeout else 0,
            )
        )
        return True

    def _parsed(self, raw: bytes) -> tuple[str, ...]:
        parsed = self._labels.get(raw)
        if parsed is None:
            parsed = labels.parse(raw)
            if len(self._labels) < _LABELS_CACHE:
                self._labels[raw] = parsed
        return parsed
