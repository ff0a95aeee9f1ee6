"""What Python's email package finds in a message, beside what the index finds.

Used by the tests over malformed messages and by the benchmark over a real corpus.
"""

from __future__ import annotations

import email
import re
from email.message import Message
from typing import Any

from portarchive.index import columns, content, header, structure

_NAMES = columns.names(columns.CONTENT)
_ALL = header.Wanted(None)
_PRESENT = {
    "date": "date_raw",
    "subject": "subject",
    "message-id": "message_id",
    "list-id": "list_id",
    "expires": "expires_raw",
    "list-unsubscribe-post": "list_unsubscribe_post",
    "expires-because": "expires_because",
}
_PEOPLE = ("from", "sender", "reply-to", "to", "cc", "bcc")


def row_of(octets: bytes, size: int | None = None, sha256: str | None = None) -> dict[str, Any]:
    """The row of a message, by name of column."""
    return dict(zip(_NAMES, content.read(octets, size, sha256).row, strict=True))


def differences(octets: bytes) -> list[str]:
    """What the email package finds and the index does not."""
    theirs = email.message_from_bytes(octets)
    out = []
    ours = header.read(octets, 0, len(octets), _ALL)
    wanted: dict[bytes, list[bytes]] = {}
    for name, value in theirs.raw_items():
        key = name.lower().encode("ascii", "surrogateescape")
        if key:
            wanted.setdefault(key, []).append(_flat(value))
    for key, values in wanted.items():
        if ours.fields.get(key, [])[: len(values)] != values:
            out.append(f"field {key!r}")
    out += _columns(row_of(octets), wanted)
    types = _types(theirs)
    shape = structure.structure(octets, ours.fields, ours.body, len(octets))
    excused = {"mime-too-deep", "mime-too-many", "mime-no-boundary", "content-type-bad"}
    found = iter(shape.media_types)  # an empty part is one here, and none there
    if not all(one in found for one in types) and excused.isdisjoint(shape.defects):
        out.append(f"parts {shape.media_types[:9]} for {types[:9]}")
    return out


def _columns(row: dict[str, Any], wanted: dict[bytes, list[bytes]]) -> list[str]:
    """Fields that are there, and whose columns are empty."""
    out = []
    if "parser-failed" in row["defects"]:
        out.append("parser failed")
    for name, column in _PRESENT.items():
        if wanted.get(name.encode(), [b""])[0].strip(b"<> \t\0") and not row[column]:
            out.append(f"column {column}")
    for name in _PEOPLE:
        column = name.replace("-", "_")
        told = b"".join(wanted.get(name.encode(), []))
        if (
            told
            and not row[f"{column}_addresses"]
            and not row[f"{column}_raw"]
            and b":" not in told
        ):
            out.append(f"column {column}_addresses")
    return out


def _flat(value: Any) -> bytes:
    text = re.sub(r"[\r\n]", "", str(value)).strip(" \t")
    return text.encode("utf-8", "surrogateescape")


def _types(message: Message) -> list[str]:
    """Of all parts; not of those in an attached message."""
    out = [message.get_content_type()]
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        for part in message.get_payload():
            assert isinstance(part, Message)
            out += _types(part)
    return out
