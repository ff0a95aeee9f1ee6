r"""Header fields in which mail programs keep flags: read into flags, and named as changeable. Pure.

``Status``, ``X-Status`` and ``X-Keywords`` are mutt's, Dovecot's and UW IMAP's; ``X-Mozilla-…`` are
Thunderbird's (bits: nsMsgMessageFlags). They stay in the octets. Since a program rewrites them
whenever a flag changes, the identity of a message does not depend on them.
"""

from __future__ import annotations

import re
from typing import Final

from portarchive import keywords
from portarchive.connectors.local.header import spans, values

_LETTERS: Final = (
    (b"R", "\\Seen"),
    (b"A", "\\Answered"),
    (b"F", "\\Flagged"),
    (b"T", "\\Draft"),
    (b"D", "\\Deleted"),
)
_MOZILLA: Final = (
    (0x0001, "\\Seen"),
    (0x0002, "\\Answered"),
    (0x0004, "\\Flagged"),
    (0x0008, "\\Deleted"),  # expunged: waits for the folder to be compacted
    (0x1000, "$Forwarded"),
)
_MOZILLA2: Final = ((0x0020_0000, "\\Deleted"), (0x0080_0000, "$MDNSent"))
_LABEL_SHIFT: Final = 25

_FIELDS: Final = (
    b"status", b"x-status", b"x-keywords", b"x-mozilla-status", b"x-mozilla-status2",
    b"x-mozilla-keys", b"x-uid", b"x-imap", b"x-imapbase",
)  # fmt: skip

_ANY: Final = re.compile(
    rb"\n(?:status:|content-length:|x-(?:status:|keywords:|mozilla-|uid:|imap))"
)
_FIRST: Final = frozenset({b"s", b"c", b"x"})

_LEADING: Final = re.compile(rb"Status:[^\n]*\nX-Status:[^\n]*\nX-Keywords:[^\n]*\n")

_INTERNAL: Final = b"DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA"
_INTERNAL_SENDER: Final = b"Mail System Internal Data <MAILER-DAEMON@"


def may_have(lowered: bytes) -> bool:
    """Whether a header, in lower case, is worth a closer look; for its Content-Length too."""
    if _ANY.search(lowered) is not None:
        return True
    return lowered[:1] in _FIRST and _ANY.match(b"\n" + lowered[:20]) is not None


def is_internal(header: bytes, lowered: bytes) -> bool:
    """Whether this is what UW IMAP, and Dovecot after it, keep of a folder in its first message."""
    senders = values(header, lowered, b"from")
    return (
        values(header, lowered, b"subject") == [_INTERNAL]
        and len(senders) == 1
        and senders[0].startswith(_INTERNAL_SENDER)
        and bool(values(header, lowered, b"x-imap"))
    )


def changeable(lowered: bytes) -> list[tuple[int, int]]:
    """Where the fields lie that a program rewrites: first octet, one past the last; in order."""
    return sorted(
        (first, end)
        for name in _FIELDS
        if name in lowered
        for first, _, end in spans(lowered, name)
    )


def flags(header: bytes, lowered: bytes) -> tuple[str, ...]:
    """The flags that the header's fields tell, in the archive's spelling."""
    letters = b"".join(values(header, lowered, b"status") + values(header, lowered, b"x-status"))
    found = [flag for letter, flag in _LETTERS if letter in letters]
    for value in values(header, lowered, b"x-mozilla-status"):
        found += [flag for bit, flag in _MOZILLA if _bits(value) & bit]
    keys = values(header, lowered, b"x-keywords") + values(header, lowered, b"x-mozilla-keys")
    for value in values(header, lowered, b"x-mozilla-status2"):
        bits = _bits(value)
        found += [flag for bit, flag in _MOZILLA2 if bits & bit]
        label = bits >> _LABEL_SHIFT & 7
        if 1 <= label <= 5:
            found.append(f"$label{label}")
    for value in keys:
        found.extend(keywords.parse_flag_list(value))
    return keywords.to_archive(found)


def leading(octets: bytes) -> int:
    """How many octets are the three fields, right at the beginning, that ``spelled`` makes."""
    found = _LEADING.match(octets)
    return 0 if found is None else found.end()


def spelled(given: tuple[str, ...]) -> bytes | str:
    """Three fields that tell these flags, each of them always there: so it is known where they end.

    Returns:
        The lines; or the flag that has no place in them (RFC 9051: it is no flag and no atom).
    """
    letters = ""
    words: list[str] = []
    for flag in given:
        imap = keywords.to_imap(flag)
        if imap is None:
            return flag
        letter = next((letter for letter, name in _LETTERS if name == imap), None)
        if letter is None:
            words.append(imap)
        else:
            letters += letter.decode("ascii")
    old = "RO" if "R" in letters else "O"
    others = "".join(letter for letter in "AFTD" if letter in letters)
    lines = f"Status: {old}\nX-Status: {others}\nX-Keywords: {' '.join(words)}\n"
    return lines.encode("ascii")


def _bits(value: bytes) -> int:
    try:
        return int(value, 16)
    except ValueError:
        return 0
