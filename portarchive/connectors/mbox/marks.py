"""The postmarks of an mbox file, one after the other, in blocks and constant memory.

The file is read with ``pread`` and not mapped: a mapped file that another program cuts short kills
the process that looks at it.
"""

from __future__ import annotations

import os
import re
from typing import Final, Literal, NamedTuple

from portarchive.connectors.mbox import postmark
from portarchive.errors import ConnectionLost

BLOCK: Final = 4 << 20
# A pattern is found twice as fast as a string: str.find stumbles over the blank at its end.
_WORD: Final = re.compile(rb"From ")
_LENGTH: Final = 5


Lack = Literal["empty-line", "date"]
LACKS: Final[tuple[Lack, ...]] = ("empty-line", "date")
"""What something like a postmark may lack: the empty line before it, or its date."""


class Mark(NamedTuple):
    """A postmark.

    Attributes:
        end: where the message before it ends, its empty line not counted.
        line, start: of the postmark, and of the message after it.
        quoted: whether the message before it has a quoted ``From ``; True also if nobody looked.
        epoch: its date; None if it has none.
        gmail_id, own: see ``postmark``.
    """

    end: int
    line: int
    start: int
    quoted: bool
    epoch: int | None
    gmail_id: int
    own: postmark.Own | None = None


class Marks:
    """See the module.

    Args:
        fd: of the file.
        size: of it; what is appended later is not looked at.
        block: octets of a block, more than ``postmark.LONGEST``.
        rule: what counts as a postmark although something of one is lacking.

    Attributes:
        doubts: lines like a postmark before a header that lack something, by what they lack.
        taken: the same of those that count.
        quoted: whether a quoted ``From `` was met since the last postmark.
    """

    def __init__(self, fd: int, size: int, *, block: int = BLOCK, rule: Lack | None = None) -> None:
        self.doubts: dict[Lack, int] = dict.fromkeys(LACKS, 0)
        self.taken = 0
        self.quoted = False
        self._rule = rule
        self._fd = fd
        self._size = size
        self._block = block
        self._base = 0
        self._data = b""
        self._position = 0

    def at(self, line: int, *, dated: bool = False) -> Mark | None:
        """The line at this place, which counts as a postmark whatever stands in it.

        ``next`` goes on behind it. None if it does not begin like one, or ``dated`` is asked for
        and it has no date; then nothing changes.
        """
        data = self.read(line, min(line + postmark.LONGEST, self._size))
        text, newline, _ = data.partition(b"\n")
        if not text.startswith(b"From"):
            return None
        epoch = postmark.instant(text)
        if dated and epoch is None:
            return None
        if not self._base <= line < self._base + len(self._data):
            self._load(line)
        self._position = line - self._base + _LENGTH
        self.quoted = False
        start = line + len(text) + len(newline)
        gmail_id = postmark.gmail_id(text)
        return Mark(line, line, start, True, epoch, gmail_id, postmark.own(text))

    def behind(self, offset: int) -> Mark | None:
        """The first postmark behind a place that may be anywhere; ``next`` goes on from there."""
        self._load(max(0, offset - 3))
        self._position = min(3, len(self._data))
        return self.next()

    def next(self) -> Mark | None:
        """The next postmark; None at the end of the file.

        Raises:
            ConnectionLost: the file became shorter.
            OSError: it cannot be read.
        """
        while True:
            data = self._data
            match = _WORD.search(data, self._position)
            there = self._base + len(data)
            found = match.start() if match is not None else -1
            if there < self._size and (found < 0 or len(data) - found <= postmark.LONGEST):
                # three octets tell what is before the word
                self._load(max(0, self._base + (found if found >= 0 else len(data) - 5) - 3))
                if self._base + len(self._data) <= there:
                    raise ConnectionLost("the mbox file became shorter while it was being read")
                self._position = min(3, len(self._data))
                continue
            if found < 0:
                self._position = len(data)
                return None
            self._position = found + 1
            before = data[found - 1] if found else 0
            if before == 62:  # >
                self.quoted = self.quoted or _is_quoted(data, found - 1)
            elif before == 10:
                mark = self._mark(data, found)
                if mark is not None:
                    return mark

    def _mark(self, data: bytes, found: int) -> Mark | None:
        """The postmark at this place of the block, if it is one; an LF is before it."""
        line_end = data.find(b"\n", found, found + postmark.LONGEST)
        if line_end < 0:
            return None
        line = data[found:line_end]
        epoch = postmark.instant(line)
        end = found - 1
        if end and data[end - 1] == 13:
            end -= 1
        apart = not end or data[end - 1] == 10
        if epoch is None or not apart:
            bare = epoch is None and postmark.is_bare(line)
            field = postmark.FIELD if bare else postmark.STRICT_FIELD
            if not field.match(data, line_end + 1) or (epoch is None and not apart):
                return None
            if not bare and not self._takes("date" if apart else "empty-line"):
                return None
            if not apart:
                end = found
        base = self._base
        mark = Mark(
            base + end,
            base + found,
            base + line_end + 1,
            self.quoted,
            epoch,
            postmark.gmail_id(line),
            postmark.own(line),
        )
        self.quoted = False
        return mark

    def _takes(self, lack: Lack) -> bool:
        """Whether something that lacks this, and nothing else, counts as a postmark."""
        if self._rule == lack:
            self.taken += 1
            return True
        self.doubts[lack] += 1
        return False

    def _load(self, base: int) -> None:
        self._base = base
        self._data = os.pread(self._fd, min(self._block, self._size - base), base)

    def read(self, start: int, end: int) -> bytes:
        """Octets of the file; from the block if they are in it."""
        at = start - self._base
        if at >= 0 and end - self._base <= len(self._data):
            return self._data[at : end - self._base]
        return os.pread(self._fd, end - start, start)


def _is_quoted(data: bytes, at: int) -> bool:
    """Whether the quotes that end at this place begin a line, or the block."""
    while at >= 0 and data[at] == 62:
        at -= 1
    return at < 0 or data[at] == 10
