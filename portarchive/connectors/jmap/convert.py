"""Values of JMAP, and what they are in records. Pure; whatever a server sends comes out clean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from portarchive import keywords
from portarchive.records import MessageRef, Placement, Received

PROPERTIES: Final = (
    "id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt",
)  # fmt: skip

_ID: Final = re.compile(r"[\x21-\x7e]{1,255}")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)
_MOST: Final = (1 << 53) - 1
_CACHED: Final = 512


def whole(value: object) -> int | None:
    """An UnsignedInt (RFC 8620 section 1.3), None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST:
        return value
    return None


def object_id(value: object) -> str | None:
    """An id. Its grammar (RFC 8620 section 1.2) is taken wider: no blank, no control, ASCII."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


@lru_cache(maxsize=4096)
def received(text: str) -> Received:
    """``receivedAt`` (UTCDate, RFC 8620 section 1.4); what is none is kept as it came."""
    if _DATE.fullmatch(text):
        try:
            instant = datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            pass
        else:
            return Received(text=text, epoch=int(instant.timestamp()))
    return Received(text=None, epoch=None, raw=text.encode("utf-8", "replace").decode())


@lru_cache(maxsize=4096)
def _flags(names: frozenset[str]) -> tuple[str, ...]:
    return keywords.to_archive(sorted(names))


def flags(found: object) -> tuple[str, ...]:
    """``keywords`` in the archive's spelling, sorted: an object has no order."""
    if not isinstance(found, Mapping):
        return ()
    names = frozenset(name for name, value in found.items() if value is True)
    # A hostile server must not fill the memory through the cache.
    return _flags(names) if sum(map(len, names)) <= _CACHED else _flags.__wrapped__(names)


def mailbox_ids(email: Mapping[str, Any]) -> list[str]:
    """The mailboxes that an Email is in."""
    found = email.get("mailboxIds")
    if not isinstance(found, Mapping):
        return []
    return [str(key) for key, value in found.items() if value is True]


def reference(email: Mapping[str, Any], folder_ids: list[str]) -> MessageRef:
    """An Email in some of its mailboxes.

    Args:
        email: with ``PROPERTIES``; its id is one.
        folder_ids: at least one.
    """
    at = email.get("receivedAt")
    when = received(at[:100]) if isinstance(at, str) else Received(None, None)
    marks = flags(email.get("keywords"))
    uid = str(email["id"])
    return MessageRef(
        placements=tuple(Placement(key, uid, marks, when) for key in folder_ids),
        size=whole(email.get("size")),
        email_id=uid,
        thread_id=object_id(email.get("threadId")),
        notes=() if when.text is not None else ("no-date",),
    )
