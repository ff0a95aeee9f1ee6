"""The header of a message or part: where it ends, and its fields. Tolerant, and quick.

Refuses to know what a field means. Whatever calls itself a line end is one here (CR LF, LF, CR),
as in Python's email package, so that no field stays hidden from the index that others see. A line
that is no field is passed over (RFC 5322 §2.2 has no word on it), and does not end the header.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

Octets = bytes | mmap.mmap

LIMIT: Final = 1 << 22
"""Octets of a header that are looked at; what lies behind them is no field (``header-cut``)."""

Fields = dict[bytes, list[bytes]]
"""Name in lower case → the values of its fields from above to below, unfolded, blanks removed."""

_CACHED: Final = 4096
_LONG: Final = 64
_NEXT: Final = re.compile(rb"\n(?![ \t])")
_BLANKS: Final = b" \t\n"


class Header(NamedTuple):
    """A header.

    Attributes:
        fields: those that were wanted.
        body: where what follows begins, an offset into the octets.
        defects: codes of docs/index.md.
    """

    fields: Fields
    body: int
    defects: tuple[str, ...]


class Wanted:
    """Which fields a reader wants, and what names it met so far: there are few of them.

    Args:
        names: in lower case; None for all.
    """

    def __init__(self, names: Iterable[bytes] | None) -> None:
        self._names = None if names is None else frozenset(names)
        self.keys: dict[bytes, bytes | None] = {}

    def key(self, name: bytes) -> bytes | None:
        """The key of a name as written; b"" if it is not wanted, None if it is no name."""
        key: bytes | None = name.lower().rstrip(b" \t")  # RFC 5322 §4.5: blanks before the colon
        if not key or b" " in key or b"\n" in key:
            key = None
        elif self._names is not None and key not in self._names:
            key = b""
        if len(self.keys) < _CACHED and len(name) < _LONG:
            self.keys[name] = key
        return key


def read(octets: Octets, start: int, end: int, wanted: Wanted) -> Header:
    """The header that begins at ``start``.

    Args:
        octets: a message.
        start: where the header begins.
        end: where the part ends that it belongs to.
        wanted: the fields that are.
    """
    stop, body = _end(octets, start, end)
    defects = []
    if stop - start > LIMIT:
        stop = start + LIMIT
        defects.append("header-cut")
    fields, odd = fields_of(octets[start:stop], wanted)
    if odd:
        defects.append("header-line-odd")
    if body < 0:
        body = end
        if start < end:
            defects.append("no-header-end")
    return Header(fields, body, tuple(defects))


def fields_of(header: bytes, wanted: Wanted) -> tuple[Fields, bool]:
    """The fields of a header that is cut out, and whether there are lines that are none."""
    if b"\r" in header:
        header = header.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    fields: Fields = {}
    odd = False
    keys = wanted.keys
    for line in _NEXT.split(header):
        name, colon, value = line.partition(b":")
        try:
            key = keys[name]
        except KeyError:
            key = wanted.key(name) if colon else None
        if key:
            if not colon:
                odd = True
                continue
            if b"\n" in value:
                value = value.replace(b"\n", b"")
            value = value.strip(_BLANKS)
            if key in fields:
                fields[key].append(value)
            else:
                fields[key] = [value]
        elif key is None and line:
            odd = True
    return fields, odd


def _end(octets: Octets, start: int, end: int) -> tuple[int, int]:
    """Where the header ends and the body begins; -1 for a body that there is not."""
    first = octets[start : min(start + 2, end)]
    if first[:1] in {b"\n", b"\r"}:
        return start, start + (2 if first == b"\r\n" else 1)
    at = octets.find(b"\n\r", start, end)
    near = end if at < 0 else at + 1
    for pair in (b"\n\n", b"\r\r"):
        found = octets.find(pair, start, near)
        if found >= 0:
            at, near = found, found + 1
    if at < 0:
        return end, -1
    return at + 1, at + (3 if octets[at + 1 : min(at + 3, end)] == b"\r\n" else 2)
