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
_QUOTED: Final = rb"\"[^\"\\]*(?:\\.[^\"\\]*)*\"?|\\."
_OPENING: Final = re.compile(_QUOTED + rb"|\(", re.DOTALL)
_SEMICOLON: Final = re.compile(_QUOTED + rb"|;", re.DOTALL)
_WITHIN: Final = re.compile(rb"\\.|[()]", re.DOTALL)
_SERVER: Final = re.compile(rb"\s*(?:\"([^\"]*)\"|([^\s\"]+))")
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
        server, *statements = _statements(without_comments(value[:_LONGEST]))
        named = _SERVER.match(server)
        authserv_id = words.raw((named[1] or named[2] or b"") if named else b"", _TEXT)
        if _STATEMENT.match(server) is not None:  # a writer that leaves the id out
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
    """A structured value without its comments (RFC 5322 §3.2.2), closed or not.

    A parenthesis in a quoted string opens none; a quotation mark in a comment is a character like
    others.
    """
    if b"(" not in value:
        return value
    out = []
    at = start = 0
    while (found := _OPENING.search(value, at)) is not None:
        at = found.end()
        if found[0] == b"(":
            out.append(value[start : found.start()])
            at = start = after_comment(value, at)
    out.append(value[start:])
    return b" ".join(out)


def after_comment(value: bytes, at: int) -> int:
    """Where a comment ends that was opened in front of ``at``; the end of all if it never does."""
    depth = 1
    for found in _WITHIN.finditer(value, at):
        depth += {b"(": 1, b")": -1}.get(found[0], 0)
        if not depth:
            return found.end()
    return len(value)


def _statements(value: bytes) -> list[bytes]:
    """A value without comments at its semicolons; one in a quoted string is none of them."""
    out = []
    start = 0
    for found in _SEMICOLON.finditer(value):
        if found[0] == b";":
            out.append(value[start : found.start()])
            start = found.end()
    return [*out, value[start:]]
