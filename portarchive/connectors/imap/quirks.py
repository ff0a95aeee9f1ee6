"""What single providers do on bad days, by name. Pure: it judges words and octets, acts on nothing.

Every pattern here was reported by users of other tools; none is taken for more than a hint unless
it comes from the place where the provider puts it (a tagged NO, a BYE, the Subject of a message).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from portarchive.connectors.imap.responses import Status
from portarchive.errors import ConnectorError, RateLimited, TokenExpired

PLACEHOLDER: Final = b"Retrieval using the IMAP4 protocol failed for the following message"
"""Exchange sends a mail of its own with this Subject for one that it cannot convert."""

PLACEHOLDER_MAX: Final = 1 << 16
"""Exchange's own mail is some hundred octets; nothing over 64 KiB is taken for one."""

_HEADER_END: Final = re.compile(rb"\r?\n\r?\n")
_SUBJECT: Final = re.compile(rb"^subject[ \t]*:[ \t]*(.*)", re.IGNORECASE | re.MULTILINE)

_BACKOFF: Final = re.compile(rb"Suggested Backoff Time: *(\d{1,9}) *milliseconds", re.IGNORECASE)
_THROTTLED: Final = re.compile(
    rb"request is throttled"
    rb"|exceeded (?:command or )?bandwidth limits?"
    rb"|bandwidth (?:limit|quota) (?:has been )?exceeded"
    rb"|too many (?:simultaneous |concurrent )?(?:connections|sessions|requests|commands)"
    rb"|maximum number of connections"
    rb"|rate limit"
    rb"|server (?:is )?(?:too )?busy",
    re.IGNORECASE,
)
_UNWELL: Final = re.compile(
    rb"\b(?:server|service|system) (?:is )?(?:temporarily |currently )?unavailable"
    rb"|user is authenticated but not connected"
    rb"|\btemporar(?:y|ily) (?:\w+ ){0,3}(?:failure|error|problem|unavailable)"
    rb"|\btry again (?:later|in )",
    re.IGNORECASE,
)
_VERDICTS: Final = frozenset({b"AUTHENTICATIONFAILED", b"AUTHORIZATIONFAILED", b"EXPIRED"})
_EXPIRED: Final = re.compile(
    rb"AccessTokenExpired|session invalidated|token (?:has )?expired|expired (?:access )?token"
    rb"|invalid_token",
    re.IGNORECASE,
)
_THROTTLE_CODES: Final = frozenset({b"THROTTLED"})
TEMPORARY_CODES: Final = frozenset({b"UNAVAILABLE", b"LIMIT", b"INUSE"})

FEW_AT_ONCE: Final = 4
"""Commands on their way to Exchange at once: it throttles clients in a hurry."""

ROUND_CAP: Final = 10_000
"""Yahoo shows this many messages of a folder and no more."""

GMAIL_CAPS: Final = frozenset({1_000, 2_000, 5_000, 10_000})
"""Gmail's "limit IMAP folders to contain no more than this many messages"."""


def is_placeholder(octets: bytes) -> bool:
    """Whether a provider sent this in place of the message.

    Judged by the Subject within the first header block only: mail that quotes or forwards the
    sentence is mail.
    """
    if len(octets) > PLACEHOLDER_MAX or PLACEHOLDER not in octets:
        return False
    end = _HEADER_END.search(octets)
    header = octets[: end.start()] if end is not None else octets
    subject = _SUBJECT.search(header)
    return subject is not None and subject[1].lstrip().startswith(PLACEHOLDER)


def patience(status: Status, *, temporary: bool = True) -> ConnectorError | None:
    """The error that a refusal stands for if it is about the account and not about what was asked.

    Args:
        status: a NO, BAD or BYE.
        temporary: whether ``[UNAVAILABLE]``, ``[LIMIT]`` and ``[INUSE]`` (RFC 5530) count too;
            they may as well be about one mailbox.
    """
    if status.kind not in {b"NO", b"BAD", b"BYE"}:
        return None
    text = status.text
    if _EXPIRED.search(text) or status.code == b"EXPIRED":
        return TokenExpired(f"the server ended the session: {status.words}")
    backoff = _BACKOFF.search(text)
    if backoff is not None:
        return RateLimited(status.words, retry_after=int(backoff[1]) / 1000)
    codes = _THROTTLE_CODES | TEMPORARY_CODES if temporary else _THROTTLE_CODES
    if status.code in codes or _THROTTLED.search(text):
        return RateLimited(status.words)
    return None


def unwell(status: Status) -> ConnectorError | None:
    """The same as ``patience`` for what comes before any mailbox: greeting, login, LIST.

    There is nothing in them that a server could have against a single message, so that words which
    elsewhere may be about one ("Server Unavailable. 15", says Exchange) mean that it is unwell.
    """
    waiting = patience(status)
    if waiting is not None or status.kind not in {b"NO", b"BAD", b"BYE"}:
        return waiting
    if status.code not in _VERDICTS and _UNWELL.search(status.text):
        return RateLimited(status.words)
    return None


def depth(server: Mapping[str, str], host: str) -> int | None:
    """How many commands this server likes to have on its way; None if nothing is known.

    Args:
        server: its answer to ID.
        host: as it was asked for.
    """
    named = server.get("name", "").lower()
    hosts = ("outlook.com", "office365.com", "hotmail.com")
    if "exchange" in named or any(host.lower().endswith(name) for name in hosts):
        return FEW_AT_ONCE
    return None


def suspected_cap(
    exists: int | None, capabilities: Iterable[str], host: str
) -> dict[str, Any] | None:
    """The ledger note for a folder whose count looks like a limit of the provider's.

    Such a folder shows the newest messages: what lies below the lowest UID shown may be there.
    """
    if exists == ROUND_CAP:
        note: dict[str, Any] = {"code": "suspected-cap", "exists": exists}
        if "yahoo" in host.lower() or "aol" in host.lower():
            note["text"] = (
                "this server shows 10,000 messages a folder; export.imap.mail.yahoo.com all"
            )
        return note
    if exists is not None and exists in GMAIL_CAPS and "X-GM-EXT-1" in capabilities:
        text = "Gmail may be set to limit folders to this many messages (Settings, IMAP)"
        return {"code": "suspected-cap", "exists": exists, "text": text}
    return None
