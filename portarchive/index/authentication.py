"""Authentication-Results (RFC 8601) and what a DKIM-Signature (RFC 6376) says it covers.

Both are read, neither is verified: anybody can write either into a message, and only the
authserv-id of one's own provider says anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from portarchive.index import words

RESULTS: Final = 64
"""Results of one message that are kept."""
_LONGEST: Final = 1 << 14
_TEXT: Final = 255
_PARENTHESIS: Final = re.compile(rb"\"[^\"\\]*(?:\\.[^\"\\]*)*\"?|\\.|[()]", re.DOTALL)
_STATEMENT: Final = re.compile(
    rb"\s*([A-Za-z0-9_-]{1,64})\s*(?:/\s*\d+\s*)?=\s*\"?([A-Za-z0-9_-]{1,64})"
)
_TAG: Final = re.compile(rb"(?:^|;)\s*([A-Za-z][A-Za-z0-9_]*)\s*=([^;]*)")
_BLANKS: Final = re.compile(rb"\s+")
_FIELD: Final = re.compile(rb"[!-9;-~]{1,76}")


class Result(NamedTuple):
    """One statement: who says it, of which method, what came out (lower case)."""

    authserv_id: str
    method: str
    result: str


class Signature(NamedTuple):
    """A DKIM-Signature: its domain (``d=``) and the fields it covers (``h=``), lower case."""

    domain: str
    fields: frozenset[str]


def results(values: Iterable[bytes]) -> list[Result]:
    """The statements of all fields, from above to below."""
    out: list[Result] = []
    for value in values:
        told = without_comments(value[:_LONGEST])
        server, *statements = told.split(b";")
        authserv_id = words.raw((server.split() or [b""])[0].strip(b'"'), _TEXT)
        if b"=" in server:  # a writer that leaves the id out
            statements.insert(0, server)
            authserv_id = ""
        for statement in statements:
            found = _STATEMENT.match(statement)
            if found is not None:
                method, result = (word.decode("ascii").lower() for word in found.groups())
                out.append(Result(authserv_id, method, result))
                if len(out) >= RESULTS:
                    return out
    return out


def signatures(values: Iterable[bytes]) -> list[Signature]:
    """The signatures of all fields."""
    out = []
    for value in values:
        tags: dict[bytes, bytes] = {}
        for found in _TAG.finditer(value[:_LONGEST]):
            tags.setdefault(found[1].lower(), _BLANKS.sub(b"", found[2]))
        names = tags.get(b"h", b"").lower().split(b":")
        out.append(
            Signature(
                words.raw(tags.get(b"d", b"").lower(), _TEXT),
                frozenset(name.decode("ascii") for name in names if _FIELD.fullmatch(name)),
            )
        )
        if len(out) >= RESULTS:
            break
    return out


def without_comments(value: bytes) -> bytes:
    """A structured value without its comments (RFC 5322 §3.2.2), closed or not."""
    if b"(" not in value:
        return value
    out = []
    depth = at = 0
    for found in _PARENTHESIS.finditer(value):
        sign = found[0]
        if sign == b"(":
            if not depth:
                out.append(value[at : found.start()])
            depth += 1
        elif sign == b")" and depth:
            depth -= 1
            at = found.end()
        elif depth and sign[:1] == b'"':
            # within a comment a quotation mark is a character like others
            inner = sign.count(b"(") - sign.count(b")")
            depth = max(depth + inner, 0)
            at = found.end()
    if not depth:
        out.append(value[at:])
    return b" ".join(out)
