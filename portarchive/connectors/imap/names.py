"""Mailbox names: wire octets to path and back to a command's argument. Pure.

A name is decoded only if encoding it again gives the same octets; so two mailboxes never get one
path by decoding, and what does not decode travels as surrogate escapes (PEP 383).
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from portarchive.errors import FolderUnavailable

_SHIFTED: Final = re.compile(rb"&([^-]*)-")
_TO_ENCODE: Final = re.compile(r"&|[^\x20-\x7e]+")
_PLAIN: Final = re.compile(rb"[\x20-\x7e]*\Z")


def decode_utf7(octets: bytes) -> str:
    """Modified UTF-7 (RFC 3501 §5.1.3) to text.

    Raises:
        UnicodeError: it is not that, or not its canonical spelling.
    """
    if not _PLAIN.match(octets):
        raise UnicodeError("8-bit octets or controls in modified UTF-7")
    text = _SHIFTED.sub(_shifted, octets).decode("utf-8")
    if encode_utf7(text) != octets:
        raise UnicodeError("not the canonical spelling")
    return text


def _shifted(found: re.Match[bytes]) -> bytes:
    inner = found[1]
    if not inner:
        return b"&"
    padded = inner.replace(b",", b"/") + b"=" * (-len(inner) % 4)
    try:
        units = binascii.a2b_base64(padded)
    except binascii.Error as exc:
        raise UnicodeError("not base64") from exc
    return units.decode("utf-16-be").encode("utf-8")


def encode_utf7(text: str) -> bytes:
    """Text to modified UTF-7.

    Raises:
        UnicodeError: lone surrogates.
    """

    def shift(found: re.Match[str]) -> str:
        if found[0] == "&":
            return "&-"
        coded = binascii.b2a_base64(found[0].encode("utf-16-be"), newline=False)
        return "&" + coded.rstrip(b"=").replace(b"/", b",").decode("ascii") + "-"

    # an ampersand beside other characters to be shifted is still written as "&-"
    return _TO_ENCODE.sub(shift, text).encode("ascii")


def decode_name(octets: bytes, *, utf8: bool) -> tuple[str, bytes | None]:
    """One segment of a mailbox name: its text, and its octets if they do not decode.

    Args:
        octets: as the server sent them.
        utf8: UTF8=ACCEPT is enabled (RFC 6855 §3): ``&`` is an ampersand.
    """
    try:
        text = octets.decode("utf-8") if utf8 or not octets.isascii() else decode_utf7(octets)
    except UnicodeError:
        return octets.decode("utf-8", "surrogateescape"), octets
    return text, None


class Listed(NamedTuple):
    """One line of LIST.

    Attributes:
        wire: the whole name's octets, as they go back into a command.
        delimiter: one octet, or ``b""`` for NIL.
        attributes: as sent, in order.
    """

    wire: bytes
    delimiter: bytes
    attributes: tuple[str, ...]


class Prefix(NamedTuple):
    """One namespace (RFC 2342). ``kind`` is ``personal``, ``other`` or ``shared``."""

    kind: str
    prefix: bytes
    delimiter: bytes


class Named(NamedTuple):
    """A mailbox's place: see ``records.Folder``."""

    path: tuple[str, ...]
    raw_name: bytes | None
    namespace: str


def is_inbox(octets: bytes) -> bool:
    """INBOX in any case (RFC 9051 §5.1)."""
    return octets.upper() == b"INBOX"


def place(listed: Sequence[Listed], prefixes: Iterable[Prefix], *, utf8: bool) -> list[Named]:
    """The path of each mailbox, in the order of ``listed``.

    The prefix of the personal namespace is removed, unless the mailbox would then have the path
    of another one: then it keeps it.
    """
    known = sorted(prefixes, key=lambda space: len(space.prefix), reverse=True)
    full = [_named(entry.wire, entry, known, utf8=utf8) for entry in listed]
    cut = [
        _named(entry.wire[len(prefix) :], entry, known, utf8=utf8) if prefix else None
        for entry, prefix in ((entry, _removable(entry, known)) for entry in listed)
    ]
    taken: dict[tuple[str, ...], int] = {}
    for long, short in zip(full, cut, strict=True):
        path = (short or long).path
        taken[path] = taken.get(path, 0) + 1
    chosen = [
        short if short is not None and taken[short.path] == 1 else long
        for long, short in zip(full, cut, strict=True)
    ]
    return _unique(chosen, listed)


def _unique(chosen: list[Named], listed: Sequence[Listed]) -> list[Named]:
    """Two mailboxes never get one path (``INBOX/a``, ``inbox/a``): the later one is marked."""
    seen: set[tuple[str, ...]] = set()
    for at, named in enumerate(chosen):
        path = named.path
        if path in seen:
            mark = hashlib.sha256(listed[at].wire).hexdigest()[:8]
            path = (*path[:-1], f"{path[-1]}~{mark}")
            chosen[at] = named._replace(path=path)
        seen.add(path)
    return chosen


def _removable(entry: Listed, known: Sequence[Prefix]) -> bytes:
    space = _namespace(entry.wire, known)
    if space is None or space.kind != "personal" or len(entry.wire) <= len(space.prefix):
        return b""
    return space.prefix


def _namespace(wire: bytes, known: Sequence[Prefix]) -> Prefix | None:
    for space in known:
        bare = space.prefix.removesuffix(space.delimiter) if space.delimiter else space.prefix
        if wire.startswith(space.prefix) or (space.kind != "personal" and wire == bare):
            return space
    return None


def _named(wire: bytes, entry: Listed, known: Sequence[Prefix], *, utf8: bool) -> Named:
    segments = wire.split(entry.delimiter) if entry.delimiter else [wire]
    if is_inbox(segments[0]):
        segments[0] = b"INBOX"
    decoded = [decode_name(segment, utf8=utf8) for segment in segments]
    space = _namespace(entry.wire, known)
    return Named(
        tuple(text for text, _ in decoded),
        decoded[-1][1],
        space.kind if space is not None else "personal",
    )


class Literal(NamedTuple):
    """A part of a command that goes as a synchronising literal (RFC 9051 §4.3)."""

    octets: bytes


Part = bytes | Literal
"""A part of a command; octets are sent as they are."""


def argument(wire: bytes) -> Part:
    """A mailbox name as a quoted string, or as a literal if it has 8-bit octets.

    Raises:
        FolderUnavailable: CR, LF or NUL, which no form of a name may hold.
    """
    if any(octet in wire for octet in (b"\r", b"\n", b"\0")):
        raise FolderUnavailable("the name holds CR, LF or NUL and cannot be sent to the server")
    if not _PLAIN.match(wire):
        return Literal(wire)
    return b'"' + wire.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
