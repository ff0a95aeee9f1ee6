"""Commands of IMAP (RFC 9051 §9) as the scripted server reads them. Owns tokens, nothing else."""

from __future__ import annotations

import re
from typing import NamedTuple


class SyntaxProblem(Exception):
    """The client sent what the grammar does not have. Becomes a tagged BAD and is recorded."""


class String(bytes):
    """A quoted string or a literal, as opposed to an atom."""

    __slots__ = ()


Token = bytes | String | list["Token"]

_ATOM = re.compile(rb'[^\s()"{]+')
_QUOTED = re.compile(rb'"((?:[^"\\\r\n]|\\["\\])*)"')
_LITERAL = re.compile(rb"\{(\d+)\+?\}")


def tokens(line: bytes, literals: list[bytes]) -> list[Token]:
    """Split arguments; ``literals`` are the contents of the ``{n}`` in order.

    A section in brackets stays part of its atom, with all the spaces and parentheses in it.
    """
    stack: list[list[Token]] = [[]]
    queue = iter(literals)
    at = 0
    while at < len(line):
        char = line[at : at + 1]
        if char == b" ":
            at += 1
        elif char == b"(":
            stack.append([])
            at += 1
        elif char == b")":
            if len(stack) == 1:
                raise SyntaxProblem("unbalanced parenthesis")
            done = stack.pop()
            stack[-1].append(done)
            at += 1
        elif found := _QUOTED.match(line, at):
            stack[-1].append(String(re.sub(rb"\\(.)", rb"\1", found[1])))
            at = found.end()
        elif found := _LITERAL.match(line, at):
            stack[-1].append(String(next(queue)))
            at = found.end()
        else:
            found = _ATOM.match(line, at)
            if found is None:
                raise SyntaxProblem(f"unexpected {char!r}")
            end = found.end()
            bracket = line.find(b"[", at, end)
            if bracket >= 0:
                close = line.find(b"]", bracket)
                if close < 0:
                    raise SyntaxProblem("unbalanced bracket")
                rest = re.compile(rb"[^\s()]*").match(line, close + 1)
                end = rest.end() if rest else close + 1
            stack[-1].append(line[at:end])
            at = end
    if len(stack) != 1:
        raise SyntaxProblem("unbalanced parenthesis")
    return stack[0]


def octets_of(token: Token) -> bytes:
    if not isinstance(token, bytes):
        raise SyntaxProblem("a list where a string belongs")
    return bytes(token)


def text_of(token: Token) -> str:
    return octets_of(token).decode("latin-1")


class Item(NamedTuple):
    """One FETCH item: ``name`` in upper case, for BODY its section and partial range."""

    name: str
    section: bytes | None = None
    peek: bool = False
    start: int | None = None
    length: int | None = None

    @property
    def is_body(self) -> bool:
        """It asks for the text of the message, not only for some header."""
        if self.name != "BODY" or self.section is None:
            return self.name in {"RFC822", "RFC822.TEXT"}
        return not self.section.upper().startswith(b"HEADER")

    @property
    def sets_seen(self) -> bool:
        if self.name == "BODY":
            return self.section is not None and not self.peek
        return self.name in {"RFC822", "RFC822.TEXT"}


_BODY = re.compile(rb"BODY(\.PEEK)?\[(.*)\](?:<(\d+)\.(\d+)>)?", re.IGNORECASE | re.DOTALL)
_SIMPLE = {
    "UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "RFC822", "RFC822.HEADER", "RFC822.TEXT",
    "MODSEQ", "OBJECTID", "EMAILID", "THREADID", "SAVEDATE", "X-GM-MSGID", "X-GM-THRID",
    "X-GM-LABELS",
}  # fmt: skip
_SECTIONS = re.compile(rb"|HEADER|TEXT|HEADER\.FIELDS(\.NOT)? \(.+\)", re.IGNORECASE)


def fetch_items(token: Token) -> list[Item]:
    """The items of a FETCH. Raises SyntaxProblem for what this server does not know."""
    if isinstance(token, bytes) and token.upper() == b"FAST":
        token = [b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE"]
    items = []
    for word in token if isinstance(token, list) else [token]:
        if not isinstance(word, bytes):
            raise SyntaxProblem("a list among the FETCH items")
        if found := _BODY.fullmatch(word):
            if not _SECTIONS.fullmatch(found[2]):
                raise SyntaxProblem(f"no such section here: {found[2]!r}")
            start = None if found[3] is None else int(found[3])
            length = None if found[4] is None else int(found[4])
            if length == 0:
                raise SyntaxProblem("a partial fetch of zero octets")
            items.append(Item("BODY", found[2], found[1] is not None, start, length))
        elif (name := word.decode("latin-1").upper()) in _SIMPLE:
            items.append(Item(name))
        else:
            raise SyntaxProblem(f"no such FETCH item here: {name}")
    if not items:
        raise SyntaxProblem("FETCH of nothing")
    return items


def section_of(octets: bytes, section: bytes) -> bytes:
    """A section of RFC 9051 §6.4.5 without MIME parts: whole, HEADER, TEXT, HEADER.FIELDS."""
    if not section:
        return octets
    end = re.search(rb"\r?\n\r?\n|\A\r?\n", octets)
    header = octets if end is None else octets[: end.end()]
    kind = section.upper()
    if kind == b"TEXT":
        return octets[len(header) :]
    if kind == b"HEADER":
        return header
    wanted = {name.strip(b'"').lower() for name in re.findall(rb"\((.*)\)", section)[0].split()}
    keep_named = not kind.startswith(b"HEADER.FIELDS.NOT")
    fields = re.findall(rb"[^\r\n]+(?:\r?\n[ \t][^\r\n]*)*\r?\n", header)
    chosen = [f for f in fields if (f.split(b":")[0].strip().lower() in wanted) == keep_named]
    return b"".join(chosen) + b"\r\n"
