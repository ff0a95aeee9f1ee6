"""What a refusal of APPEND means. Pure: it judges a status, and acts on nothing.

Response codes first (RFC 5530, RFC 7889, RFC 9208); the words of a server only where it gives no
code, and only those that servers are known to use.
"""

from __future__ import annotations

import re
from typing import Final

from portarchive.connectors.imap import quirks
from portarchive.connectors.imap.responses import Status
from portarchive.errors import ConnectorError
from portarchive.placing import Refused

_CODES: Final = {
    b"TOOBIG": "too-big",
    b"LIMIT": "limit",
    b"OVERQUOTA": "over-quota",
    b"TRYCREATE": "folder-gone",
    b"NONEXISTENT": "folder-gone",
    b"NOPERM": "refused",
    b"READ-ONLY": "refused",
}

_WORDS: Final = (
    ("limit", re.compile(rb"too many identical", re.IGNORECASE)),  # Cyrus: more than ten copies
    ("over-quota", re.compile(
        rb"over ?quota|quota (?:has been )?exceeded|exceed\w* (?:the |your )?(?:\w+ )?quota"
        rb"|mailbox (?:is )?full|out of (?:disk )?space|no space left|disk full", re.IGNORECASE)),
    ("too-big", re.compile(
        rb"too (?:big|large|long message)|message size|maximum (?:message )?size"
        rb"|size (?:limit|exceeds)", re.IGNORECASE)),
    ("keyword", re.compile(rb"\bflags?\b|\bkeywords?\b", re.IGNORECASE)),
    ("date", re.compile(rb"date-?time|internal ?date|\bdate\b", re.IGNORECASE)),
    ("bad-message", re.compile(
        rb"message contains|headers?\b|newlines?\b|bare (?:lf|cr)\b|\bnul\b|malformed|\bline\b"
        rb"|zero.?(?:byte|length)|8.?bit|invalid message|parse", re.IGNORECASE)),
)  # fmt: skip

_OF_THE_MAILBOX: Final = frozenset({b"TRYCREATE", b"NONEXISTENT", b"NOPERM", b"READ-ONLY"})


def patience(status: Status) -> ConnectorError | None:
    """The error that a refusal is if it is about the account: wait, or log in again.

    ``[LIMIT]`` is none here: servers say it of one message (Gmail: too many identical ones).
    """
    return quirks.patience(status, temporary=status.code != b"LIMIT")


def is_of_mailbox(status: Status) -> bool:
    """Whether it holds for every message of the mailbox: nothing is won by splitting."""
    return status.code in _OF_THE_MAILBOX


def is_over_quota(status: Status) -> bool:
    """Whether there is no room for it."""
    return _code(status, flags=False) == "over-quota"


def refused(status: Status, *, flags: bool) -> Refused:
    """The outcome of a message that was refused alone.

    Args:
        status: NO, or a BAD that did no harm.
        flags: it was sent with flags: words about flags may be meant.
    """
    return Refused(_code(status, flags=flags), status.words)


def _code(status: Status, *, flags: bool) -> str:
    known = _CODES.get(status.code)
    if known is not None:
        return known
    for code, words in _WORDS:
        if words.search(status.text) and (flags or code != "keyword"):
            return code
    return "bad-message" if status.kind == b"BAD" else "refused"


def uids(status: Status, count: int, validity: int | None) -> list[str]:
    """The UIDs that APPENDUID names (RFC 4315 §3), in the order sent; "" for each if it does not.

    Args:
        status: a tagged OK.
        count: messages that were sent; another number of UIDs is not believed.
        validity: the UIDVALIDITY that the mailbox was seen with, None if it was not looked at.
    """
    unknown = [""] * count
    if status.code != b"APPENDUID":
        return unknown
    found = _APPENDUID.fullmatch(status.args.strip())
    if found is None or (validity is not None and int(found[1]) != validity):
        return unknown
    numbers: list[str] = []
    for item in found[2].split(b","):
        low, _, high = item.partition(b":")
        first, last = int(low), int(high or low)
        if not 0 < first <= last < 1 << 32 or len(numbers) + last - first >= count:
            return unknown
        numbers.extend(map(str, range(first, last + 1)))
    return numbers if len(numbers) == count else unknown


_APPENDUID: Final = re.compile(rb"(\d{1,10}) (\d{1,10}(?::\d{1,10})?(?:,\d{1,10}(?::\d{1,10})?)*)")
