"""SetErrors of RFC 8620 section 5.3 and RFC 8621 sections 4.6, 4.8 in the words of ``placing``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from portarchive.connectors.jmap.resource import printable
from portarchive.placing import Refused

_CODES: Final = {
    "overQuota": "over-quota",
    "maxQuotaReached": "over-quota",
    "tooManyKeywords": "keyword",
    "tooManyMailboxes": "limit",
    "tooLarge": "too-big",
    "invalidEmail": "bad-message",
    "forbidden": "refused",
}


def refusal(error: Mapping[str, Any]) -> Refused:
    """Why a message was not imported."""
    kind = printable(error.get("type"), 60) or "serverFail"
    properties = _properties(error)
    code = _CODES.get(kind, "refused")
    if kind == "invalidProperties":
        if any(each.startswith("keywords") for each in properties):
            code = "keyword"
        elif "receivedAt" in properties:
            code = "date"
        elif any(each.startswith("mailboxIds") for each in properties):
            code = "folder-gone"
    shown = properties[:10]
    return Refused(
        code, " ".join(filter(None, (kind, *shown, printable(error.get("description")))))
    )


def lacks_blob(error: Mapping[str, Any]) -> bool:
    """Whether the server does not know the octets that it was given (any more)."""
    kind = error.get("type")
    return kind in ("blobNotFound", "notFound") or (
        kind == "invalidProperties" and _properties(error) == ["blobId"]
    )


def _properties(error: Mapping[str, Any]) -> list[str]:
    named = error.get("properties")
    return [printable(each, 60) for each in named] if isinstance(named, list) else []
