"""How an mbox file begins: what stands before its mail, and what a file is by that.

Writers that crash leave NULs where their octets should be, and editors put a byte order mark
before the first postmark. Neither is mail, and mail that comes after them is mail.
"""

from __future__ import annotations

import os
from typing import Final, Literal

from portarchive.connectors.mbox.marks import Marks

_MMDF: Final = b"\x01\x01\x01\x01"
_FROM: Final = b"From "
_MARK: Final = b"\xef\xbb\xbf"
_NOTHING: Final = b"\0\r\n"
_FIRST_BLOCK: Final = 4096
_BLOCK: Final = 1 << 20

Kind = Literal["mbox", "mmdf", "empty", "nuls", "other"]


def mail_begins(fd: int) -> int:
    """Where the first octet lies that is no NUL, line end or byte order mark; else the end."""
    at, size = 0, _FIRST_BLOCK
    while block := os.pread(fd, size, at):
        rest = block.lstrip(_NOTHING)
        at += len(block) - len(rest)
        if not rest:
            size = _BLOCK
        elif os.pread(fd, len(_MARK), at) == _MARK:
            at += len(_MARK)
        else:
            break
    return at


def nuls(fd: int, end: int) -> int:
    """How many NULs lie before this place of a file."""
    return sum(os.pread(fd, min(_BLOCK, end - at), at).count(0) for at in range(0, end, _BLOCK))


def kind(fd: int) -> Kind:
    """What a file is. ``empty``: line ends at most; ``nuls``: nothing but these and NULs.

    Raises:
        OSError: it cannot be read.
    """
    if os.pread(fd, len(_MMDF), 0) == _MMDF:
        return "mmdf"
    at = mail_begins(fd)
    text = os.pread(fd, len(_FROM), at)
    if not text:
        return "nuls" if nuls(fd, at) else "empty"
    return "mbox" if text == _FROM else "other"


def first_postmark(fd: int) -> int | None:
    """Where the first message of a file with a spoilt beginning has its postmark, if any has.

    It is one by all the rules: an empty line before it, and a date.

    Raises:
        ConnectionLost: the file became shorter.
        OSError: it cannot be read.
    """
    mark = Marks(fd, os.fstat(fd).st_size).behind(mail_begins(fd))
    return None if mark is None else mark.line
