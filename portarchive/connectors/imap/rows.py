"""One line of a listing: what a FETCH response without a message in it says. Pure."""

from __future__ import annotations

from typing import NamedTuple

from portarchive import keywords
from portarchive.connectors.imap import convert
from portarchive.connectors.imap.convert import object_id, object_ids
from portarchive.connectors.imap.gmail_labels import label_text
from portarchive.connectors.imap.parser import Token
from portarchive.connectors.imap.responses import number
from portarchive.records import MessageRef, Placement


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
    ids = object_ids(items.get(b"OBJECTID"))
    return Row(
        uid,
        flags_of(items.get(b"FLAGS")),
        _text(items.get(b"INTERNALDATE")),
        number(items.get(b"RFC822.SIZE")),
        _text(items.get(b"SAVEDATE")),
        ids.get("EMAILID") or object_id(items.get(b"EMAILID") or items.get(b"X-GM-MSGID")),
        ids.get("THREADID") or object_id(items.get(b"THREADID") or items.get(b"X-GM-THRID")),
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


def reference(folder_id: str, row: Row, *, identify: bool = False) -> MessageRef:
    """A listed message as a job gets it.

    Args:
        folder_id: where it is.
        row: what was told of it.
        identify: Message-IDs were asked for: ``b""`` says that a message has none.
    """
    placement = Placement(
        folder_id,
        str(row.uid),
        row.flags,
        convert.received(row.date) if row.date else None,
        convert.save_date(row.saved),
    )
    found = convert.message_id(row.header) if row.header is not None else None
    return MessageRef(
        (placement,),
        row.size,
        row.email_id,
        row.thread_id,
        None if row.labels is None else tuple(map(label_text, row.labels)),
        found if identify else None,
    )
