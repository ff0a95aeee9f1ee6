"""Addresses of From, To and their like (RFC 5322 §3.4, obsolete forms and worse).

Groups are dissolved into their members. Never raises; says whether all of the value was an
address. Refuses to judge whether an address can exist.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from portarchive.index import words

MOST: Final = 1000
"""Addresses of one field; the rest is left out (``addresses-cut``)."""
LONGEST: Final = 1 << 17
"""Octets of a field in which addresses are looked for."""
TEXT: Final = 512
"""Characters of a name or an address."""

_SIMPLE: Final = re.compile(
    rb"(?:\"([^\"\\<>]*)\"[ \t]*|([^\"<>(),:;@\\\[\]]*))"
    rb"<([^<>\s\"(),:;\\]+@[^<>\s\"(),:;\\]+)>"
)
_BARE: Final = re.compile(rb"[^<>\s\"(),:;\\]+@[^<>\s\"(),:;\\]+")
_TOKEN: Final = re.compile(
    rb"(\"[^\"\\]*(?:\\.[^\"\\]*)*\"?)|<([^<>]*)>?|([(,:;>)])|([^\s\"<>(),:;]+)|\s+", re.DOTALL
)
_PARENTHESIS: Final = re.compile(rb"\\.|[()]", re.DOTALL)
_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)
_BLANKS: Final = re.compile(rb"[\s\0]+")
_CACHED: Final = 256
_SHORT: Final = 1000


class Address(NamedTuple):
    """A mailbox: its name for people, decoded, and its address; "" where there is none."""

    name: str
    address: str


Found = tuple[tuple[Address, ...], bool]
"""The addresses, and whether nothing was left over."""


def parse(value: bytes, fallback: str | None = None) -> Found:
    """The addresses of an unfolded value.

    Args:
        value: all of it.
        fallback: the charset of the message, for bare octets that are not UTF-8.
    """
    if value.isascii():
        fallback = None
    return _cached(value, fallback) if len(value) <= _CACHED else _parse(value, fallback)


def _parse(value: bytes, fallback: str | None) -> Found:
    quick = _quickly(value, fallback) if len(value) <= LONGEST else None
    return _slowly(value[:LONGEST], fallback) if quick is None else quick


_cached = lru_cache(maxsize=8192)(_parse)


def _quickly(value: bytes, fallback: str | None) -> Found | None:
    """What all but few fields are; None for what needs a closer look."""
    pieces = [value]
    if b"," in value:
        if b'"' in value or b"(" in value:
            return None
        pieces = value.split(b",")
        if len(pieces) > MOST:
            return None
    out = []
    for spaced in pieces:
        piece = spaced.strip()
        if len(piece) > _SHORT:
            return None
        found = _SIMPLE.fullmatch(piece)
        if found is not None:
            quoted, plain, address = found.groups()
            out.append(_made(plain.strip() if quoted is None else quoted, address, fallback))
        elif _BARE.fullmatch(piece) is not None:
            out.append(Address("", _spelled(piece, fallback)))
        else:
            return None
    return tuple(out), True


def _made(name: bytes, address: bytes, fallback: str | None) -> Address:
    text = words.decode(name, fallback)[0] if name else ""
    return Address(text[:TEXT], _spelled(address, fallback))


def _spelled(address: bytes, fallback: str | None) -> str:
    if address.isascii():
        return address.decode("ascii")[:TEXT]
    return words.bare(address, fallback)[0][:TEXT]


class _Entry:
    """What was read of one address so far."""

    def __init__(self, fallback: str | None) -> None:
        self.fallback = fallback
        self.words: list[tuple[bool, bytes]] = []
        self.angle: bytes | None = None
        self.comment = b""

    def made(self) -> tuple[Address | None, bool]:
        """The address, None if there is none; and whether that is as it should be."""
        if self.angle is not None:
            angle = _BLANKS.sub(b"", self.angle)
            if angle.startswith(b"@") and b":" in angle:  # a route, RFC 5322 §4.4
                angle = angle.partition(b":")[2]
            name = b" ".join(word for _, word in self.words) or self.comment
            return _made(name, angle, self.fallback), b"@" in angle or not angle
        if not self.words:
            return None, not self.comment
        return self._without_angle()

    def _without_angle(self) -> tuple[Address, bool]:
        spelled = [b'"%s"' % word if quoted else word for quoted, word in self.words]
        if all(left[-1:] in b".@" or right[:1] in b".@" for left, right in pairwise(spelled)):
            address = b"".join(spelled)  # RFC 5322 §4.4: blanks around dots and the at sign
            return _made(self.comment, address, self.fallback), b"@" in address
        at = [number for number, (quoted, word) in enumerate(self.words)
              if not quoted and b"@" in word]  # fmt: skip
        if not at:
            return _made(b" ".join(word for _, word in self.words), b"", self.fallback), False
        name = b" ".join(word for number, (_, word) in enumerate(self.words) if number != at[-1])
        return _made(name, self.words[at[-1]][1], self.fallback), True


def _slowly(value: bytes, fallback: str | None) -> Found:
    out: list[Address] = []
    good = len(value) < LONGEST
    entry = _Entry(fallback)
    at = 0
    while at < len(value):
        found = _TOKEN.match(value, at)
        if found is None:  # no octet is left out of the alternatives
            break
        at = found.end()
        quoted, angle, sign, word = found.groups()
        if word is not None:
            entry.words.append((False, word))
        elif quoted is not None:
            if len(quoted) < 2 or not quoted.endswith(b'"'):
                # nothing closes it: from here on these marks are none
                value, at, good = quoted.replace(b'"', b" "), 0, False
                continue
            entry.words.append((True, _PAIR.sub(rb"\1", quoted[1:-1])))
        elif angle is not None:
            if entry.angle is None:
                entry.angle = angle
            else:
                good = False
        elif sign == b"(":
            comment, at, closed = _comment(value, at)
            entry.comment = comment
            good = good and closed
        elif sign == b":":
            entry = _Entry(fallback)  # that was the name of a group
        elif sign in {b",", b";"}:
            made, fine = entry.made()
            good = good and fine
            if made is not None:
                out.append(made)
            if len(out) >= MOST:
                return tuple(out), False
            entry = _Entry(fallback)
        elif sign is not None:
            good = False
    made, fine = entry.made()
    if made is not None:
        out.append(made)
    return tuple(out), good and fine


def _comment(value: bytes, at: int) -> tuple[bytes, int, bool]:
    """The text of a comment whose parenthesis is open, where it ends, and whether it does."""
    depth = 1
    start = at
    for found in _PARENTHESIS.finditer(value, at):
        sign = found[0]
        depth += {b"(": 1, b")": -1}.get(sign, 0)
        if not depth:
            return _PAIR.sub(rb"\1", value[start : found.start()]), found.end(), True
    return value[start:], len(value), False
