"""The grammar of IMAP data: a tokenizer for everything, and two compiled lines for the common case.

Pure functions over octets that were cut at literals already, so the content of a literal cannot
be taken for syntax (the octets of a mail may well say ``* 5 EXPUNGE``). Tolerant: servers send
tokens that no RFC knows, and what cannot be understood is passed over, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

Token = bytes | None | list["Token"]
"""An atom, number or string; NIL; a parenthesised list."""

LITERAL_AT_END: Final = re.compile(rb"~?\{(\d{1,20})\+?\}\Z")
"""What a line ends with when a literal follows it (RFC 9051 §4.3, literal8 of RFC 3516)."""

_TOKEN: Final = re.compile(
    rb"[ \t]*(?:"
    rb"(\()|(\))"
    rb'|"((?:[^"\\]|\\.)*)"'
    rb'|([A-Za-z0-9.]+\[[^\]]*\](?:<\d+(?:\.\d+)?>)?|[^\s()"][^\s()]*)'  # may hold a quote
    rb'|(["\s]))',  # an unclosed quote or a stray control: skipped
    re.DOTALL,
)
_FLAGS: Final = re.compile(rb"[ \t]*(FLAGS)[ \t]*\(([^()]*)\)", re.IGNORECASE)
_ESCAPE: Final = re.compile(rb"\\(.)", re.DOTALL)

MAX_DEPTH: Final = 100


def tokens(parts: Sequence[bytes], *, fetch: bool = False) -> list[Token]:
    """The tokens of a response.

    In a FETCH response the list after FLAGS is cut at white space alone: keywords with quotes and
    brackets, which no grammar allows, are met.

    Args:
        parts: text, literal, text, literal, … text: the odd ones are literals, the text before
            one ends with its ``{n}``.
        fetch: it is what follows FETCH.
    """
    top: list[Token] = []
    stack = [top]
    last = len(parts) - 1
    for number, part in enumerate(parts):
        if number % 2:
            stack[-1].append(part)
            continue
        text = LITERAL_AT_END.sub(b"", part) if number < last else part
        _lex(text, stack, fetch=fetch)
    return top


def _lex(text: bytes, stack: list[list[Token]], *, fetch: bool) -> None:
    at, size = 0, len(text)
    while at < size:
        if fetch and len(stack) < 3 and (flags := _FLAGS.match(text, at)) is not None:
            words: list[Token] = [*flags[2].split()]
            stack[-1] += [flags[1], words]
            at = flags.end()
            continue
        found = _TOKEN.match(text, at)
        if found is None:  # blanks at the end
            return
        at = found.end()
        kind = found.lastindex
        if kind == 4:
            atom = found[4]
            stack[-1].append(None if len(atom) == 3 and atom.upper() == b"NIL" else atom)
        elif kind == 1:
            if len(stack) <= MAX_DEPTH:
                inner: list[Token] = []
                stack[-1].append(inner)
                stack.append(inner)
        elif kind == 2:
            if len(stack) > 1:
                stack.pop()
        elif kind == 3:
            quoted = found[3]
            stack[-1].append(_ESCAPE.sub(rb"\1", quoted) if b"\\" in quoted else quoted)


# --- FETCH --------------------------------------------------------------------------------------

_KNOWN: Final = frozenset(
    {
        b"UID", b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"MODSEQ", b"EMAILID", b"THREADID",
        b"OBJECTID",
        b"SAVEDATE", b"BODY[]", b"X-GM-MSGID", b"X-GM-THRID", b"X-GM-LABELS",
    }
)  # fmt: skip


def fetch_items(data: Sequence[Token]) -> dict[bytes, Token]:
    """The items of a FETCH response by name, upper case; ``BODY[]<0>`` counts as ``BODY[]``.

    Args:
        data: what follows ``FETCH``: one list, or (a server that forgot the parentheses) its
            contents.
    """
    inner = data[0] if data and isinstance(data[0], list) else list(data)
    items: dict[bytes, Token] = {}
    at, size = 0, len(inner)
    while at < size:
        name = inner[at]
        at += 1
        if not isinstance(name, bytes):
            continue
        key = name.upper().partition(b"<")[0]
        if at == size:
            break
        value = inner[at]
        if key not in _KNOWN and isinstance(value, bytes) and value.upper() in _KNOWN:
            continue  # junk without a value: the next token is a name
        items[key] = value
        at += 1
    return items


_ITEM: Final = (
    rb"UID (?P<uid>\d{1,10})"
    rb'|FLAGS \((?P<flags>[^()"{}\r\n]*)\)'
    rb'|INTERNALDATE "(?P<date>[^"\\\r\n]*)"'
    rb"|RFC822\.SIZE (?P<size>\d{1,18})"
    rb"|MODSEQ \(\d{1,20}\)"
    rb'|SAVEDATE (?:"(?P<saved>[^"\\\r\n]*)"|NIL)'
    rb"|(?:EMAILID \(|X-GM-MSGID )(?P<email>[A-Za-z0-9_-]{1,255})\)?"
    rb"|THREADID (?:\((?P<thread>[A-Za-z0-9_-]{1,255})\)|NIL)"
)
_HEAD: Final = rb"\* (?P<seq>\d{1,10}) (?:UID)?FETCH \((?:(?:" + _ITEM + rb") )*"

BODY_LINE: Final = re.compile(_HEAD + rb"BODY\[\] \{(?P<length>\d{1,18})\}\r\n")
"""A FETCH response up to its body literal, other items before it in any order. Groups, in order:
seq, uid, flags, date, size, saved, email, thread, length."""

ITEMS_LINE: Final = re.compile(
    rb"\* (?P<seq>\d{1,10}) (?:UID)?FETCH \((?:(?:" + _ITEM + rb")(?: (?=[A-Z])|(?=\))))*\)\r\n"
)
"""A FETCH response without any literal. The same groups without length."""
