"""Message-ID fields, for a job that has to match messages of another source to those here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from portarchive.connectors.jmap.session import Session
from portarchive.records import MessageRef

_FIELD: Final = "header:Message-ID:asRaw"
"""The field as it stands in the message (RFC 8621 section 4.1.3): unfolded by nobody."""


def message_ids(
    session: Session, refs: Sequence[MessageRef], folder_ids: set[str]
) -> list[MessageRef]:
    """The same references; those with a placement in these folders have their Message-ID."""
    asked = {
        str(ref.email_id): ref
        for ref in refs
        if any(placement.folder_id in folder_ids for placement in ref.placements)
    }
    found: dict[str, bytes] = {}
    for emails, _ in session.get("Email", list(asked), [_FIELD]):
        for email in emails:
            value = email.get(_FIELD)
            text = value if isinstance(value, str) else ""
            found[email["id"]] = _unfolded(text.encode("utf-8", "replace"))
    return [
        ref._replace(message_id=found.get(str(ref.email_id), b""))
        if str(ref.email_id) in asked
        else ref
        for ref in refs
    ]


def _unfolded(raw: bytes) -> bytes:
    """The value without folds (RFC 5322 section 2.2.3) and blanks around it."""
    return raw.replace(b"\r\n", b"").replace(b"\n", b"").strip()
