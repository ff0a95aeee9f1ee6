"""The octets of one message of an mbox file, and the digest by which it is known."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator

from portarchive.connectors.local.body import CHUNK
from portarchive.connectors.local.header import LIMIT, end_of_header
from portarchive.connectors.mbox import labels, status
from portarchive.connectors.mbox.index import DIGEST
from portarchive.connectors.mbox.quoting import unquoted_pieces
from portarchive.errors import ConnectionLost

Cuts = list[tuple[int, int]]
"""Parts of a header that programs rewrite: first octet, one past the last."""


def cuts_of(octets: bytes, *, takeout: bool) -> Cuts:
    """The parts of a message, or of its first octets, that do not count for its identity."""
    header = octets[: end_of_header(octets)]
    lowered = header.lower()
    front = labels.leading(header) if takeout else None
    cuts = [front.span] if front is not None and front.labels is not None else []
    return cuts + status.changeable(lowered) if status.may_have(lowered) else cuts


def identity(octets: bytes, cuts: Cuts) -> bytes:
    """The first ``DIGEST`` octets of SHA-256 over a message without these parts."""
    if not cuts:
        return hashlib.sha256(octets).digest()[:DIGEST]
    return _begun(octets, cuts).digest()[:DIGEST]


def measure(parts: Iterable[bytes], cuts: Cuts) -> tuple[int, bytes]:
    """Size and identity of a message in pieces."""
    size = 0
    head = b""
    digest = None
    for piece in parts:
        size += len(piece)
        if digest is not None:
            digest.update(piece)
        else:
            head += piece
            if len(head) >= LIMIT:
                digest = _begun(head, cuts)
    return size, (digest or _begun(head, cuts)).digest()[:DIGEST]


def compared(parts: Iterable[bytes], expected: bytes, *, takeout: bool) -> Iterator[bytes]:
    """The same pieces, with a look at their identity at the end.

    Raises:
        ConnectionLost: it is another one; what was yielded is to be thrown away.
    """
    head = b""
    digest = None
    for piece in parts:
        if digest is not None:
            digest.update(piece)
        else:
            head += piece
            if len(head) >= LIMIT:
                digest = _begun(head, cuts_of(head, takeout=takeout))
        yield piece
    digest = digest or _begun(head, cuts_of(head, takeout=takeout))
    if digest.digest()[:DIGEST] != expected:
        raise ConnectionLost("the mbox file was rewritten while it was being read")


def _begun(octets: bytes, cuts: Cuts) -> hashlib._Hash:
    digest = hashlib.sha256()
    at = 0
    for first, end in cuts:
        digest.update(octets[at:first])
        at = max(at, end)
    digest.update(octets[at:])
    return digest


def pieces(fd: int, start: int, length: int, *, rd: bool) -> Iterator[bytes]:
    """The octets of a message, its quoting taken off if that is asked for.

    Raises:
        ConnectionLost: the file ends before the message does, or cannot be read.
    """
    raw = _raw(fd, start, length)
    return unquoted_pieces(raw) if rd else raw


def _raw(fd: int, start: int, length: int) -> Iterator[bytes]:
    at, end = start, start + length
    while at < end:
        try:
            octets = os.pread(fd, min(CHUNK, end - at), at)
        except OSError as error:
            raise ConnectionLost(f"the mbox file cannot be read: {error.strerror}") from error
        if not octets:
            raise ConnectionLost("the mbox file became shorter while it was being read")
        at += len(octets)
        yield octets
