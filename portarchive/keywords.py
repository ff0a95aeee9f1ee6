r"""Keywords: IMAP flag to archive spelling to JMAP keyword, and the registries they come from.

Owns how a flag is spelled in each place, which keywords are registered (IANA "IMAP and JMAP
Keywords" as of 2026-06-01), what a role is called, and the colours of RFC 9979. It refuses to
decide for a job: what is done with a message marked ``\Deleted``, or with a keyword the target
cannot keep, is the job's own policy; a spelling that has no place on the other side is None.

Keywords compare without regard to case, over ASCII: that is all their grammar allows. Whatever
else a server sends is kept as it came, and two such keywords are the same only if they are equal.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

_TO_ARCHIVE: Final = MappingProxyType(
    {
        "\\seen": "$seen",
        "\\answered": "$answered",
        "\\flagged": "$flagged",
        "\\draft": "$draft",
        "\\deleted": "\\Deleted",
    }
)
_TO_IMAP: Final = MappingProxyType(
    {
        **{name: name[:1] + name[1:].capitalize() for name in _TO_ARCHIVE},
        "$seen": "\\Seen",
        "$answered": "\\Answered",
        "$flagged": "\\Flagged",
        "$draft": "\\Draft",
    }
)
# Session state and the sign "new keywords may be made": neither says anything of a message.
_NOT_OF_A_MESSAGE: Final = frozenset({"\\recent", "\\*"})
_RESERVED: Final = "$recent"

# ATOM-CHAR of RFC 9051: no atom-specials, which are ( ) { SP CTL % * " \ ]
_ATOM: Final = re.compile(r"[!#-$&'+-\[^-z|}~]+")
_JMAP_MAX: Final = 255

_NOT_IN_IJSON: Final = re.compile(
    "[\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr((plane << 16) | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
_ASCII_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)

_CACHED_OCTETS: Final = 512
"""Longer flag lists are not kept: a hostile server must not fill the memory through the cache."""


def fold(flag: str) -> str:
    """The key under which two flags or keywords are the same one (KW-2)."""
    return flag.lower() if flag.isascii() else flag.translate(_ASCII_LOWER)


# --- spellings ----------------------------------------------------------------------------------


def to_archive(flags: Iterable[str]) -> tuple[str, ...]:
    r"""Flags of one message, or of PERMANENTFLAGS, as ``items[].flags`` holds them.

    ``\Seen \Answered \Flagged \Draft`` become ``$seen $answered $flagged $draft``; ``\Deleted``
    has no other spelling; ``\Recent`` and ``\*`` fall away; everything else keeps the spelling in
    which it was first seen. In the order given, each once. Accepts IMAP and JMAP spellings.
    """
    found: dict[str, str] = {}
    for flag in flags:
        text = _NOT_IN_IJSON.sub(_replacement, flag)
        key = fold(text)
        if text and key not in _NOT_OF_A_MESSAGE:
            spelling = _TO_ARCHIVE.get(key, text)
            found.setdefault(fold(spelling), spelling)
    return tuple(found.values())


def parse_flag_list(raw: bytes) -> tuple[str, ...]:
    r"""What stands between the parentheses of ``FLAGS (…)``, as ``to_archive`` gives it.

    Never raises: what separates flags is white space, and a flag is whatever lies between. Octets
    over 0x7F, which no grammar allows, are read as UTF-8 where they are that, else as Latin-1.
    Cheap for the few lists that a mailbox has.
    """
    return _cached_flags(raw) if len(raw) <= _CACHED_OCTETS else _flags(raw)


def to_imap(flag: str) -> str | None:
    r"""The spelling for a STORE or APPEND: one of the five system flags, or an atom.

    None for all else, ``\Recent`` and any other ``\``-flag included: ``flag-keyword`` of RFC 9051
    §9 is an atom, and whatever is not must never reach a command line.
    """
    key = fold(flag)
    system = _TO_IMAP.get(key)
    if system is not None:
        return system
    return flag if key != _RESERVED and _ATOM.fullmatch(flag) else None


def to_jmap(flag: str) -> str | None:
    r"""The JMAP keyword (RFC 8621 §4.1.1): lower case, 1 to 255 characters of its grammar.

    None for what JMAP cannot carry: ``\Deleted`` and every other ``\``-flag, ``]``, non-ASCII.
    """
    key = fold(flag)
    keyword = _TO_ARCHIVE.get(key, key)
    legal = len(keyword) <= _JMAP_MAX and keyword != _RESERVED and _ATOM.fullmatch(keyword)
    return keyword if legal else None


def _replacement(found: re.Match[str]) -> str:
    code = ord(found[0])
    # a surrogate escape (PEP 383) is an octet
    return chr(code - 0xDC00) if 0xDC80 <= code <= 0xDCFF else "\ufffd"


def _flags(raw: bytes) -> tuple[str, ...]:
    return to_archive(map(_text, raw.split()))


_cached_flags = lru_cache(maxsize=4096)(_flags)


def _text(octets: bytes) -> str:
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")
    return octets.decode("latin-1") if _NOT_IN_IJSON.search(text) else text


# --- registered keywords ------------------------------------------------------------------------


class SetBy(StrEnum):
    """Who is meant to set a keyword. What a server owns is that server's own assertion."""

    CLIENT = "client"
    SERVER = "server"
    EITHER = "either"


class OnImport(StrEnum):
    """What an import does with a keyword unless it is told otherwise (KW-7)."""

    KEEP = "keep"
    DROP = "drop"
    DROP_ELSEWHERE = "drop-elsewhere"
    """Dropped and reported unless the target is the provider it came from."""


class Keyword(NamedTuple):
    """An entry of the IANA registry, in its exact spelling.

    Attributes:
        sharing: the registry's *type*: ``SHARED`` (one value for all users of a mailbox),
            ``PRIVATE``, ``BOTH`` (depends on the server), or ``RESERVED``.
        scope: ``BOTH`` protocols or ``JMAP-only``.
    """

    name: str
    sharing: str
    scope: str
    reference: str
    set_by: SetBy
    on_import: OnImport = OnImport.KEEP


def _rfc9979(
    name: str, section: str, set_by: SetBy, on_import: OnImport = OnImport.KEEP
) -> Keyword:
    return Keyword(name, "SHARED", "BOTH", f"RFC 9979 §{section}", set_by, on_import)


_REGISTRY: Final = (
    Keyword("$MDNSent", "SHARED", "BOTH", "RFC 3503", SetBy.CLIENT),
    Keyword("$Forwarded", "BOTH", "BOTH", "RFC 5550", SetBy.CLIENT),
    Keyword("$SubmitPending", "SHARED", "BOTH", "RFC 5550", SetBy.CLIENT),
    Keyword("$Submitted", "SHARED", "BOTH", "RFC 5550", SetBy.CLIENT),
    Keyword("$Junk", "BOTH", "BOTH", "A. Melnikov", SetBy.EITHER),
    Keyword("$NotJunk", "BOTH", "BOTH", "A. Melnikov", SetBy.EITHER),
    Keyword("$Phishing", "SHARED", "BOTH", "R. Mueller", SetBy.EITHER),
    Keyword("$Important", "PRIVATE", "BOTH", "RFC 8457", SetBy.EITHER),
    Keyword("$draft", "BOTH", "JMAP-only", "RFC 8621", SetBy.CLIENT),
    Keyword("$seen", "BOTH", "JMAP-only", "RFC 8621", SetBy.CLIENT),
    Keyword("$flagged", "BOTH", "JMAP-only", "RFC 8621", SetBy.CLIENT),
    Keyword("$answered", "BOTH", "JMAP-only", "RFC 8621", SetBy.CLIENT),
    Keyword(_RESERVED, "RESERVED", "JMAP-only", "RFC 8621", SetBy.SERVER, OnImport.DROP),
    _rfc9979("$MailFlagBit0", "3", SetBy.CLIENT),
    _rfc9979("$MailFlagBit1", "3", SetBy.CLIENT),
    _rfc9979("$MailFlagBit2", "3", SetBy.CLIENT),
    _rfc9979("$hasattachment", "4", SetBy.EITHER),
    _rfc9979("$hasnoattachment", "4", SetBy.EITHER),
    _rfc9979("$memo", "5", SetBy.CLIENT),
    _rfc9979("$hasmemo", "5", SetBy.CLIENT),
    _rfc9979("$canunsubscribe", "6.1", SetBy.SERVER),
    _rfc9979("$unsubscribed", "6.2", SetBy.CLIENT),
    _rfc9979("$autosent", "7.1", SetBy.SERVER),
    _rfc9979("$followed", "7.2", SetBy.CLIENT),
    _rfc9979("$imported", "7.3", SetBy.SERVER),
    # trust is an assertion by the server that made it
    _rfc9979("$istrusted", "7.4", SetBy.SERVER, OnImport.DROP_ELSEWHERE),
    _rfc9979("$maskedemail", "7.5", SetBy.SERVER),
    _rfc9979("$muted", "7.6", SetBy.CLIENT),
    # these two would announce old mail as new
    _rfc9979("$new", "7.7", SetBy.SERVER, OnImport.DROP),
    _rfc9979("$notify", "7.8", SetBy.SERVER, OnImport.DROP),
)

KEYWORDS: Final[Mapping[str, Keyword]] = MappingProxyType(
    {fold(keyword.name): keyword for keyword in _REGISTRY}
)
"""The registered keywords by their folded name."""


# --- roles --------------------------------------------------------------------------------------

ROLES: Final[Mapping[str, str | None]] = MappingProxyType(
    {
        "inbox": None,
        "drafts": "\\Drafts",
        "sent": "\\Sent",
        "trash": "\\Trash",
        "junk": "\\Junk",
        "archive": "\\Archive",
        "all": "\\All",
        "flagged": "\\Flagged",
        "important": "\\Important",
        "snoozed": "\\Snoozed",
        "scheduled": "\\Scheduled",
        "memos": "\\Memos",
    }
)
r"""Role (RFC 8621 §2) to the attribute that folder.json's ``special_use`` holds.

RFC 6154, RFC 8457 (``\Important``) and RFC 9979. The order is that in which ``special_use`` picks
one: the inbox first, which has none since its name tells; then what an importer would do most
harm to miss.
"""

WIRE_ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{role: attribute for role, attribute in ROLES.items() if attribute is not None},
        "snoozed": "Snoozed",
        "scheduled": "Scheduled",
        "memos": "Memos",
    }
)
"""Role to the attribute as LIST and CREATE spell it: those of RFC 9979 §9.2 have no backslash."""


def roles_of(attributes: Iterable[str]) -> tuple[str, ...]:
    r"""The roles among LIST attributes, a ``special_use`` or JMAP roles; in the order given.

    With or without backslash, any case. ``\HasChildren`` and its like are no roles.
    """
    names = (fold(attribute).removeprefix("\\") for attribute in attributes)
    return tuple(dict.fromkeys(name for name in names if name in ROLES))


def special_use(roles: Iterable[str]) -> str | None:
    """What folder.json's ``special_use`` says of a mailbox with these roles; None if nothing."""
    known = set(roles_of(roles))
    return next((attribute for role, attribute in ROLES.items() if role in known), None)


# --- colours ------------------------------------------------------------------------------------

_COLOURS: Final = ("red", "orange", "yellow", "green", "blue", "purple", "grey", None)
"""By $MailFlagBit0 + 2 * $MailFlagBit1 + 4 * $MailFlagBit2 (RFC 9979 §3.1)."""


def colour(flags: Iterable[str]) -> str | None:
    """The colour of a flagged message: None if it is not flagged, or the bits are unassigned."""
    keys = {fold(flag) for flag in to_archive(flags)}
    if "$flagged" not in keys:
        return None
    return _COLOURS[sum(1 << bit for bit in range(3) if f"$mailflagbit{bit}" in keys)]
