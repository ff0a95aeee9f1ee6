"""Header fields found in the octets of a message, without parsing the message.

Pure. Looks at the first ``LIMIT`` octets only: nothing that is read here may cost more for a
hostile message than for an honest one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

LIMIT: Final = 1 << 18
"""Octets of a message in which its header is looked for."""

_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")
_FIRST_READ: Final = 1 << 13
_FOLD: Final = re.compile(rb"\r?\n(?=[ \t])")


def end_of_header(octets: bytes) -> int:
    """Where the empty line after the header begins (RFC 5322 §2.1); the length if there is none.

    The line ends that close the last field belong to the header.
    """
    if octets[:1] == b"\n" or octets[:2] == b"\r\n":
        return 0
    found = _EMPTY_LINE.search(octets, 0, LIMIT)
    return found.start() + 1 if found is not None else min(len(octets), LIMIT)


def read_header(read: Callable[[int, int], bytes]) -> bytes:
    """A header, up to and with the first empty line; all octets if there is no such line.

    Reads no more than it has to, but all of a header, however long it is.

    Args:
        read: octets at a place, given how many and where, as ``os.pread``; empty at the end.
    """
    octets = b""
    size = _FIRST_READ
    while piece := read(size, len(octets)):
        start = max(len(octets) - 2, 0)
        octets += piece
        size = len(octets)
        for empty in (b"\n", b"\r\n"):
            if octets.startswith(empty):
                return empty
        found = _EMPTY_LINE.search(octets, start)
        if found is not None:
            return octets[: found.end()]
    return octets


def spans(lowered: bytes, name: bytes) -> list[tuple[int, int, int]]:
    """Where the fields of that name lie: first octet, first of the value, one past the line end.

    Args:
        lowered: the header in lower case; callers ask for several fields.
        name: in lower case, without the colon.
    """
    found: list[tuple[int, int, int]] = []
    needle = name + b":"
    at = -1
    while True:
        at = lowered.find(needle, at + 1)
        if at < 0:
            return found
        if at and lowered[at - 1] != 10:
            continue
        end = at
        while True:
            line = lowered.find(b"\n", end)
            end = len(lowered) if line < 0 else line + 1
            if end >= len(lowered) or lowered[end] not in b" \t":
                break
        found.append((at, at + len(needle), end))


def values(header: bytes, lowered: bytes, name: bytes) -> list[bytes]:
    """The values of the fields of that name, unfolded (RFC 5322 §2.2.3), blanks around removed."""
    if name not in lowered:
        return []
    return [_FOLD.sub(b"", header[start:end]).strip() for _, start, end in spans(lowered, name)]


def message_id(header: bytes) -> bytes:
    """The first Message-ID, unfolded and without blanks around it; ``b""`` if there is none."""
    found = values(header, header.lower(), b"message-id")
    return found[0] if found else b""
