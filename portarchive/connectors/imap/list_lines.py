r"""One line of LIST, LSUB or STATUS: which mailbox it is about, by the grammar and not by guessing.

A mailbox that is taken for another one is lost without a word, so that a line is either understood
to its last octet, or not at all. What is tolerated on top of RFC 9051 §9 is what can mean one thing
only: blanks too many, a delimiter without its quotes or its backslash, 8-bit octets in a name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from portarchive.connectors.imap.names import Listed
from portarchive.connectors.imap.parser import LITERAL_AT_END, MAX_DEPTH, Token

_HEAD: Final = re.compile(
    rb"[ \t]*\(([^()\"{\x00-\x08\x0a-\x1f\x7f]*)\)[ \t]+"
    rb'(?:"(?:([\x01-\x09\x0b\x0c\x0e-!#-\[\]-\x7f])|\\(["\\]))?"|"(\\)"(?=[ \t])'
    rb"|NIL|([!#-\'*-/:-@\[-`|}~]))[ \t]+",
    re.IGNORECASE,
)
"""Attributes in parentheses, and the hierarchy delimiter: one character, or NIL."""
_QUOTED: Final = re.compile(rb'"((?:[^"\\]|\\["\\])*)"(?=[ \t]|\Z)')
_ATOM: Final = re.compile(rb'[^\x00-\x20\x7f()"]+(?=[ \t]|\Z)')
_LITERAL: Final = re.compile(rb"~?\{\d{1,20}\+?\}")
_ESCAPE: Final = re.compile(rb'\\(["\\])')
_PIECE: Final = re.compile(
    rb'[ \t]*(?:(\()|(\))|"((?:[^"\\]|\\["\\])*)"|([^\x00-\x20\x7f()"]+))|[ \t]+\Z'
)
_NUMBERS: Final = re.compile(rb"[0-9*:,]+")

_EXTENSIONS: Final = frozenset({b"CHILDINFO", b"OLDNAME"})
"""Tags of extended data (RFC 5258 §6, RFC 9051 §6.3.9.7): known ones stand behind any name."""


def listed(parts: Sequence[bytes]) -> Listed | None:
    """What follows LIST or LSUB; None if it is not understood.

    ``mailbox-list`` of RFC 9051 §9, with the extended data of RFC 5258 §3.5. An empty name is the
    root of the hierarchy and no mailbox.

    Args:
        parts: text, literal, text, …, as in ``responses.Data``.
    """
    head = _HEAD.match(parts[0])
    if head is None:
        return None
    found = _name([parts[0][head.end() :], *parts[1:]])
    if found is None:
        return None
    wire, tail, bare = found
    return _entry(wire, head) if _is_extended(tail, bare=bare) else None


def counted(parts: Sequence[bytes]) -> tuple[bytes, list[Token]] | None:
    """What follows STATUS: the mailbox, and the list of items and values; None as above."""
    found = _name([parts[0].lstrip(b" \t"), *parts[1:]])
    if found is None:
        return None
    items = _list(found[1])
    return None if items is None else (found[0], items)


def whole(parts: Sequence[bytes]) -> bytes:
    """The octets of a line with its literals in their places."""
    return b"".join(
        part if number % 2 or number == len(parts) - 1 else LITERAL_AT_END.sub(b"", part)
        for number, part in enumerate(parts)
    ).strip(b" \t")


def guess(line: bytes) -> Listed | None:
    """What a line that was not understood seems to be about: for a person to read, nothing more.

    Returns:
        None if not even attributes and delimiter can be told from the name.
    """
    head = _HEAD.match(line)
    if head is None:
        return None
    seems = line[head.end() :].strip(b" \t")
    if len(seems) > 1 and seems[:1] == seems[-1:] == b'"':
        seems = seems[1:-1]
    return _entry(seems, head) if seems else None


def _entry(wire: bytes, head: re.Match[bytes]) -> Listed:
    attributes = tuple(word.decode("utf-8", "replace") for word in head[1].split())
    return Listed(wire, head[2] or head[3] or head[4] or head[5] or b"", attributes)


def _name(parts: list[bytes]) -> tuple[bytes, list[bytes], bool] | None:
    """A mailbox, what follows it, and whether it is written without quotes."""
    text = parts[0]
    if len(parts) > 1 and _LITERAL.fullmatch(text):
        return parts[1], parts[2:], False
    quoted = _QUOTED.match(text)
    if quoted is not None:
        return _ESCAPE.sub(rb"\1", quoted[1]), [text[quoted.end() :], *parts[1:]], False
    atom = _ATOM.match(text)
    if atom is None or (atom.end() == len(text) and len(parts) > 1):
        return None  # the latter: "a{3}" is the end of a name, and was taken for a literal
    return atom[0], [text[atom.end() :], *parts[1:]], True


def _is_extended(tail: list[bytes], *, bare: bool) -> bool:
    """Whether nothing follows a name, or what RFC 5258 §3.5 lets follow it.

    Behind a name without quotes it must be known, for a name may hold blanks and parentheses.
    """
    if len(tail) == 1 and not tail[0].strip(b" \t"):
        return True
    found = _list(tail)
    if found is None or len(found) % 2 or (bare and not found):
        return False
    return all(
        isinstance(tag, bytes)
        and (not bare or tag.upper() in _EXTENSIONS)
        and (isinstance(value, list) or (value is not None and bool(_NUMBERS.fullmatch(value))))
        for tag, value in zip(found[::2], found[1::2], strict=True)
    )


def _list(parts: list[bytes]) -> list[Token] | None:
    """The one parenthesised list that these parts are; None if they are anything else."""
    top: list[Token] = []
    stack = [top]
    for number, part in enumerate(parts):
        if number % 2:
            stack[-1].append(part)
            continue
        text = LITERAL_AT_END.sub(b"", part) if number < len(parts) - 1 else part
        at = 0
        while at < len(text):
            found = _PIECE.match(text, at)
            if found is None:
                return None
            at = found.end()
            if found[1]:
                inner: list[Token] = []
                stack[-1].append(inner)
                stack.append(inner)
            elif found[2]:
                stack.pop()
            elif found[3] is not None:
                stack[-1].append(_ESCAPE.sub(rb"\1", found[3]))
            elif found[4]:
                stack[-1].append(found[4])
            if not stack or len(stack) > MAX_DEPTH:
                return None
    only = top[0] if len(top) == 1 and len(stack) == 1 else None
    return only if isinstance(only, list) else None
