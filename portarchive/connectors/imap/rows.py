"""One line of a listing: what a FETCH response without a message in it says. Pure."""

from __future__ import annotations

from typing import NamedTuple

from portarchive import keywords
from portarchive.connectors.imap.convert import object_id
from portarchive.connectors.imap.parser import Token
from portarchive.connectors.imap.responses import number


class Row(NamedTuple):
    """One message of a listing; None for what was not asked or not answered.

    Attributes:
        flags: in the archive's spelling.
        date, saved: INTERNALDATE and SAVEDATE as sent.
        header: the octets of ``BODY[HEADER.FIELDS (MESSAGE-ID)]``.
        labels: X-GM-LABELS as sent.
    """

    uid: int
    flags: tuple[str, ...] | None = None
    date: bytes | None = None
    size: int | None = None
    saved: bytes | None = None
    email_id: str | None = None
    thread_id: str | None = None
    header: bytes | None = None
    labels: tuple[bytes, ...] | None = None


def row_of(uid: int, items: dict[bytes, Token]) -> Row:
    """A row from items in any shape; what is malformed counts as not answered."""
    return Row(
        uid,
        flags_of(items.get(b"FLAGS")),
        _text(items.get(b"INTERNALDATE")),
        number(items.get(b"RFC822.SIZE")),
        _text(items.get(b"SAVEDATE")),
        object_id(items.get(b"EMAILID") or items.get(b"X-GM-MSGID")),
        object_id(items.get(b"THREADID") or items.get(b"X-GM-THRID")),
        next((_text(value) for key, value in items.items() if key.startswith(b"BODY[H")), None),
        _labels(items.get(b"X-GM-LABELS")),
    )


def flags_of(token: Token) -> tuple[str, ...] | None:
    """FLAGS as a list of atoms, in the archive's spelling; None if it is no list."""
    if not isinstance(token, list):
        return None
    return keywords.parse_flag_list(b" ".join(flag for flag in token if isinstance(flag, bytes)))


def _text(token: Token) -> bytes | None:
    return token if isinstance(token, bytes) else None


def _labels(token: Token) -> tuple[bytes, ...] | None:
    if not isinstance(token, list):
        return None
    return tuple(label for label in token if isinstance(label, bytes))
