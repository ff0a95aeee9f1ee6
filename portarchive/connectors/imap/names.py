"""Mailbox names: wire octets to path and back to a command's argument. Pure.

A name is decoded only if encoding it again gives the same octets; what does not decode travels as
surrogate escapes (PEP 383). Two mailboxes never get one path.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections import Counter
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
    """The path of each mailbox, in the order of ``listed``; no two have the same one.

    The prefix of the personal namespace is removed, unless the mailbox would then have the path
    of another one: then it keeps it.
    """
    known = sorted(prefixes, key=lambda space: len(space.prefix), reverse=True)
    full = [_segments(entry.wire, entry.delimiter) for entry in listed]
    cut = [
        _segments(entry.wire[len(prefix) :], entry.delimiter) if prefix else None
        for entry, prefix in ((entry, _removable(entry, known)) for entry in listed)
    ]
    texts = [_texts(short or long, utf8=utf8) for long, short in zip(full, cut, strict=True)]
    taken = Counter(texts)
    chosen = [
        short if short is not None and taken[text] == 1 else long
        for long, short, text in zip(full, cut, texts, strict=True)
    ]
    paths = _paths(chosen, utf8=utf8)
    spelled = [_spelled(entry, segments) for entry, segments in zip(listed, chosen, strict=True)]
    found: dict[int, Named] = {}
    seen: set[tuple[str, ...]] = set()
    for at in sorted(range(len(listed)), key=lambda at: spelled[at] != chosen[at]):
        entry, segments = listed[at], chosen[at]
        path, raw = paths[segments], decode_name(segments[-1], utf8=utf8)[1]
        if path in seen:  # INBOX/a beside inbox/a: the other one keeps its own spelling
            path = (*_texts(spelled[at][:1], utf8=utf8), *path[1:])
        if path in seen:
            mark = hashlib.sha256(entry.wire).hexdigest()[:8]
            path, raw = (*path[:-1], f"{path[-1]}~{mark}"), spelled[at][-1]
        seen.add(path)
        space = _namespace(entry.wire, known)
        found[at] = Named(path, raw, space.kind if space is not None else "personal")
    return [found[at] for at in range(len(listed))]


def _segments(wire: bytes, delimiter: bytes) -> tuple[bytes, ...]:
    segments = wire.split(delimiter) if delimiter else [wire]
    return (b"INBOX" if is_inbox(segments[0]) else segments[0], *segments[1:])


def _spelled(entry: Listed, segments: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The segments as they stand on the wire: INBOX in whatever case the server wrote it."""
    wire = entry.wire.split(entry.delimiter) if entry.delimiter else [entry.wire]
    return tuple(wire[-len(segments) :])


def _texts(segments: tuple[bytes, ...], *, utf8: bool) -> tuple[str, ...]:
    return tuple(decode_name(segment, utf8=utf8)[0] for segment in segments)


def _paths(
    chosen: Iterable[tuple[bytes, ...]], *, utf8: bool
) -> dict[tuple[bytes, ...], tuple[str, ...]]:
    """A path for each mailbox and each of its parents.

    Two spellings may mean one name (modified UTF-7, and raw UTF-8 beside it). The one that is
    written as it reads has it; the other keeps its spelling on the wire for a name, whatever the
    order in which they were listed.
    """
    nodes = {segments[:depth] for segments in chosen for depth in range(1, len(segments) + 1)}

    def rank(node: tuple[bytes, ...]) -> tuple[int, bool, tuple[bytes, ...]]:
        text = decode_name(node[-1], utf8=utf8)[0]
        return len(node), text.encode("utf-8", "surrogateescape") != node[-1], node

    paths: dict[tuple[bytes, ...], tuple[str, ...]] = {(): ()}
    taken: set[tuple[str, ...]] = set()
    for node in sorted(nodes, key=rank):
        name = decode_name(node[-1], utf8=utf8)[0]
        path = (*paths[node[:-1]], name)
        if path in taken:
            name = node[-1].decode("utf-8", "surrogateescape")
            path = (*path[:-1], name)
        if path in taken:
            path = (*path[:-1], f"{name}~{hashlib.sha256(node[-1]).hexdigest()[:8]}")
        taken.add(path)
        paths[node] = path
    return paths


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


class Literal(NamedTuple):
    """A part of a command that goes as a synchronising literal (RFC 9051 §4.3)."""

    octets: bytes


Part = bytes | Literal
"""A part of a command; octets are sent as they are."""


def _is_text(octets: bytes) -> bool:
    """Whether it is UTF-8 without controls."""
    try:
        return all(ord(char) > 0x9F or 0x20 <= ord(char) < 0x7F for char in octets.decode("utf-8"))
    except UnicodeError:
        return False


def argument(wire: bytes, *, utf8: bool = False) -> Part:
    """A mailbox name as a quoted string, or as a literal if it has 8-bit octets.

    Args:
        wire: as it was listed.
        utf8: UTF8=ACCEPT is enabled: a quoted string may be UTF-8 (RFC 6855 §3).

    Raises:
        FolderUnavailable: CR, LF or NUL, which no form of a name may hold.
    """
    if any(octet in wire for octet in (b"\r", b"\n", b"\0")):
        raise FolderUnavailable("the name holds CR, LF or NUL and cannot be sent to the server")
    if not _PLAIN.match(wire) and not (utf8 and _is_text(wire)):
        return Literal(wire)
    return b'"' + wire.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
