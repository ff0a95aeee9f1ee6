"""Message identifiers (RFC 5322 §3.6.4): of a message, and those it refers to."""

from __future__ import annotations

import re
from typing import Final

from portarchive.index import words

LONGEST: Final = 998
"""Characters of an identifier (RFC 5322 §2.1.1: no line is longer)."""
MOST: Final = 200
"""Identifiers of one field: the first, which began the thread, and the last ones."""
_CUT: Final = 1 << 18
_ANGLE: Final = re.compile(rb"<([^<>]+)>")
_BLANKS: Final = re.compile(rb"[\s\0]+")


def message_id(value: bytes) -> tuple[str | None, bool]:
    """The identifier of a message without its angle brackets, and whether it has its form."""
    found = _ANGLE.search(value[:_CUT])
    if found is not None:
        identifier = _BLANKS.sub(b"", found[1])
        return _text(identifier) or None, b"@" in identifier and len(identifier) <= LONGEST
    identifier = _BLANKS.sub(b"", value[:_CUT]).strip(b"<>")
    return _text(identifier) or None, False


def references(values: list[bytes]) -> list[str]:
    """The identifiers of In-Reply-To or References, each once, in order.

    What stands between them is left out: In-Reply-To used to be prose (RFC 5322 §4.5.4).
    """
    found = dict.fromkeys(
        _BLANKS.sub(b"", one) for value in values for one in _ANGLE.findall(value[:_CUT])
    )
    found.pop(b"", None)
    if not found:
        words_of = dict.fromkeys(
            word for value in values for word in value[:_CUT].split() if b"@" in word[1:-1]
        )
        found = words_of if len(words_of) == 1 else {}
    identifiers = list(found)
    if len(identifiers) > MOST:
        identifiers = [identifiers[0], *identifiers[1 - MOST :]]
    return [_text(identifier) for identifier in identifiers]


def _text(identifier: bytes) -> str:
    if identifier.isascii():
        return identifier[:LONGEST].decode("ascii")
    return words.raw(identifier, LONGEST)[:LONGEST]
