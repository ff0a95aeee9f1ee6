"""What the octets of a message show without parsing it: RFC 5322 plausibility, in one pass.

Cheap enough for every message of a deep check; knows nothing of MIME, and nothing is ever an
error: messages are stored as they came (ADR 0004).
"""

from __future__ import annotations

import re

EMPTY, NO_HEADER, NUL, BARE_CR, BARE_LF, LONG_LINE = 1, 2, 4, 8, 16, 32
NOT_UTF8, BEYOND_ASCII, BOM, FROM_LINE, NO_ORIGIN = 64, 128, 256, 512, 1024

CODES = {
    EMPTY: "E-001",
    NO_HEADER: "E-002",
    NUL: "E-003",
    BARE_CR: "E-004",
    BARE_LF: "E-005",
    LONG_LINE: "E-006",
    NOT_UTF8: "E-007",
    BEYOND_ASCII: "E-008",
    BOM: "E-009",
    FROM_LINE: "E-010",
    NO_ORIGIN: "E-011",
}

_REACH = 1000  # 998 octets and CRLF (RFC 5322 section 2.1.1)
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_FROM = re.compile(rb"^from[ \t]*:", re.IGNORECASE | re.MULTILINE)
_DATE = re.compile(rb"^date[ \t]*:", re.IGNORECASE | re.MULTILINE)


class Plausibility:
    """Fed with the octets of one message; the header must be within the first piece.

    Attributes:
        marks: a sum of the constants of this module.
    """

    __slots__ = ("_column", "_last", "_started", "marks")

    def __init__(self) -> None:
        self.marks = 0
        self._started = False
        self._last = 0
        self._column = 0

    def feed(self, octets: bytes) -> None:
        """The next piece, not empty."""
        marks = self.marks
        if not self._started:
            self._started = True
            marks |= _header(octets)
        if b"\0" in octets:
            marks |= NUL
        cr, lf, both = octets.count(b"\r"), octets.count(b"\n"), octets.count(b"\r\n")
        if self._last == 13:  # CR, held back until what follows it is known
            cr += 1
            both += octets[0] == 10
        self._last = octets[-1]
        if self._last == 13:
            cr -= 1
        if cr != both:
            marks |= BARE_CR
        if lf != both:
            marks |= BARE_LF
        if not marks & LONG_LINE and self._long(octets):
            marks |= LONG_LINE
        self.marks = marks

    def _long(self, octets: bytes) -> bool:
        """Whether a line has no LF within reach; jumps from LF to LF, a line or more at once."""
        length = len(octets)
        at = 0
        room = _REACH - self._column
        while at + room <= length:
            found = octets.rfind(b"\n", at, at + room)
            if found < 0:
                return True
            at = found + 1
            room = _REACH
        # a reach that goes beyond this piece: the next one begins in the middle of a line
        found = octets.rfind(b"\n", at)
        if found >= 0:
            self._column = length - found - 1
        else:
            self._column = length - at + (_REACH - room)
        return False

    def finish(self) -> int:
        """The marks of the whole message."""
        if not self._started:
            self.marks |= EMPTY
        if self._last == 13:
            self.marks |= BARE_CR
        return self.marks


def _header(octets: bytes) -> int:
    marks = 0
    if octets.startswith(b"\xef\xbb\xbf"):
        marks |= BOM
        octets = octets[3:]
    if octets.startswith(b"From "):
        marks |= FROM_LINE
    elif not _FIELD.match(octets):
        return marks | NO_HEADER
    end = octets.find(b"\n\r\n")
    other = octets.find(b"\n\n", 0, end if end >= 0 else len(octets))
    header = octets[: other if other >= 0 else end if end >= 0 else len(octets)]
    if not header.isascii():
        try:
            header.decode()
        except UnicodeDecodeError:
            marks |= NOT_UTF8
        else:
            marks |= BEYOND_ASCII
    lower = b"\n" + header.lower()
    if (b"\nfrom:" not in lower and not _FROM.search(header)) or (
        b"\ndate:" not in lower and not _DATE.search(header)
    ):
        marks |= NO_ORIGIN
    return marks
