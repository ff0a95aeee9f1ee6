"""Addresses of From, To and their like (RFC 5322 §3.4, obsolete forms and worse).

Groups are dissolved into their members. Never raises; says whether all of the value was an
address. Refuses to judge whether an address can exist.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from portarchive.index import words

MOST: Final = 1000
"""Addresses of one field; the rest is left out (``addresses-cut``)."""
LONGEST: Final = 1 << 17
"""Octets of a field in which addresses are looked for."""
TEXT: Final = 512
"""Characters of a name or an address."""

_SIMPLE: Final = re.compile(
    rb"[ \t]*(?:\"([^\"\\<>]*)\"|([^\"<>(),:;@\\\[\]]*))[ \t]*"
    rb"<([^<>\s\"(),:;\\]+@[^<>\s\"(),:;\\]+)>[ \t]*"
)
_BARE: Final = re.compile(rb"[ \t]*([^<>\s\"(),:;\\]+@[^<>\s\"(),:;\\]+)[ \t]*")
_TOKEN: Final = re.compile(
    rb"\"([^\"\\]*(?:\\.[^\"\\]*)*)\"?|<([^<>]*)>?|([(,:;>)])|([^\s\"<>(),:;]+)|\s+", re.DOTALL
)
_PARENTHESIS: Final = re.compile(rb"\\.|[()]", re.DOTALL)
_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)
_BLANKS: Final = re.compile(rb"[\s\0]+")
_CACHED: Final = 256


class Address(NamedTuple):
    """A mailbox: its name for people, decoded, and its address; "" where there is none."""

    name: str
    address: str


Found = tuple[tuple[Address, ...], bool]
"""The addresses, and whether nothing was left over."""


def parse(value: bytes) -> Found:
    """The addresses of an unfolded value."""
    return _cached(value) if len(value) <= _CACHED else _parse(value)


def _parse(value: bytes) -> Found:
    quick = _quickly(value)
    return _slowly(value[:LONGEST]) if quick is None else quick


_cached = lru_cache(maxsize=8192)(_parse)


def _quickly(value: bytes) -> Found | None:
    """What all but few fields are; None for what needs a closer look."""
    pieces = [value]
    if b"," in value:
        if b'"' in value or b"(" in value:
            return None
        pieces = value.split(b",")
        if len(pieces) > MOST:
            return None
    out = []
    for piece in pieces:
        found = _SIMPLE.fullmatch(piece)
        if found is not None:
            quoted, plain, address = found.groups()
            out.append(_made(plain.strip() if quoted is None else quoted, address))
            continue
        found = _BARE.fullmatch(piece)
        if found is None:
            return None
        out.append(_made(b"", found[1]))
    return tuple(out), True


def _made(name: bytes, address: bytes) -> Address:
    text = words.decode(name)[0] if name else ""
    return Address(text[:TEXT], _spelled(address))


def _spelled(address: bytes) -> str:
    if address.isascii():
        return address.decode("ascii")[:TEXT]
    return words.bare(address)[0][:TEXT]


class _Entry:
    """What was read of one address so far."""

    def __init__(self) -> None:
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
            return _made(name, angle), b"@" in angle or not angle
        if not self.words:
            return None, not self.comment
        return self._without_angle()

    def _without_angle(self) -> tuple[Address, bool]:
        joined = b"".join(b'"%s"' % word if quoted else word for quoted, word in self.words)
        with_at = [word for quoted, word in self.words if not quoted and b"@" in word]
        plain = len(self.words) == 1 or all(
            word in {b".", b"@"} or word[:1] in b".@" or word[-1:] in b".@"
            for _, word in self.words[::2][1:] + self.words[1::2]
        )
        if b"@" in joined and (plain or not with_at):
            return _made(self.comment, joined), True
        if with_at:
            name = b" ".join(word for _, word in self.words if word is not with_at[-1])
            return _made(name, with_at[-1].strip(b"<>")), True
        if len(self.words) == 1 and not self.words[0][0]:
            return _made(self.comment, joined), False
        return _made(b" ".join(word for _, word in self.words), b""), False


def _slowly(value: bytes) -> Found:
    out: list[Address] = []
    good = len(value) < LONGEST
    entry = _Entry()
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
            entry.words.append((True, _PAIR.sub(rb"\1", quoted)))
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
            entry = _Entry()  # that was the name of a group
        elif sign in {b",", b";"}:
            made, fine = entry.made()
            good = good and fine
            if made is not None:
                out.append(made)
            if len(out) >= MOST:
                return tuple(out), False
            entry = _Entry()
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
