"""Server responses, one at a time: which kind it is, and its parts.

Reads whole responses, literals of up to ``SMALL`` octets each included; the one place where a
longer literal is wanted is a message, and ``fetch`` reads those itself before they get here.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from portarchive.connectors.imap.parser import LITERAL_AT_END, Token, fetch_items, tokens
from portarchive.connectors.imap.stream import Stream
from portarchive.errors import ServerMisbehaved
from portarchive.progress import Working

SMALL: Final = 1 << 20
"""Literals up to this many octets are kept in memory: 1 MiB."""

MAX_LITERAL: Final = 1 << 32
"""A literal announced with more than this is not believed."""

_TAGGED: Final = re.compile(rb"([^\s*+]+) (OK|NO|BAD)(?: (.*))?\Z", re.IGNORECASE | re.DOTALL)
_STATUS: Final = re.compile(rb"\* +(OK|NO|BAD|BYE|PREAUTH)(?: (.*))?\Z", re.IGNORECASE | re.DOTALL)
_NUMBERED: Final = re.compile(rb"\* +(\d{1,20}) +([A-Za-z]+)(?: (.*))?\Z", re.DOTALL)
_DATA: Final = re.compile(rb"\* +([A-Za-z][^\s(]*)[ \t]*(.*)\Z", re.DOTALL)
_CODE: Final = re.compile(
    rb"\[([^\]\s]+)"
    rb"(?: ((?:[^\]\"]|\"(?:[^\"\\]|\\.)*\")*))?\] ?(.*)\Z",
    re.DOTALL,
)
_FETCH: Final = re.compile(rb"\* +\d{1,20} +(?:UID)?FETCH\b", re.IGNORECASE)
_ATOM_AT_END: Final = re.compile(
    rb"(?:[^\x00-\x20\x7f()\"~]|[^\x00-\x20\x7f()\"]~)\{\d{1,20}\+?\}\Z"
)
_MAILBOX: Final = re.compile(rb"\* +(?:LIST|LSUB|STATUS)\b", re.IGNORECASE)
_LISTING: Final = re.compile(rb"\* (?:LIST|LSUB|STATUS) ", re.IGNORECASE)
_RESPONSE: Final = re.compile(rb"\* |[^\s*+(]+ (?:OK|NO|BAD)\b", re.IGNORECASE)
_FLAGS_CODE: Final = re.compile(
    rb"\[(PERMANENTFLAGS) (\([^)]*\))\] ?(.*)\Z", re.IGNORECASE | re.DOTALL
)


class Status(NamedTuple):
    """OK, NO, BAD, BYE or PREAUTH; tagged, or untagged with ``tag`` None.

    Attributes:
        kind: upper case.
        code: the response code's name, upper case, or ``b""``.
        args: what follows the name within the brackets.
        text: for people.
    """

    tag: bytes | None
    kind: bytes
    code: bytes
    args: bytes
    text: bytes

    @property
    def ok(self) -> bool:
        """Whether it is an OK."""
        return self.kind == b"OK"

    @property
    def words(self) -> str:
        """The server's words for a ledger or an error: printable, code included, at most 300."""
        code = (
            b"[" + self.code + (b" " + self.args if self.args else b"") + b"] "
            if self.code
            else b""
        )
        return printable(code + self.text)


class Fetch(NamedTuple):
    """``* n FETCH``, ``* n UIDFETCH``; items by upper-case name."""

    number: int
    items: dict[bytes, Token]

    @property
    def uid(self) -> int | None:
        """The UID, if one was sent that can be one."""
        uid = number(self.items.get(b"UID"))
        return uid if uid is not None and 0 < uid < 1 << 32 else None


class Numbered(NamedTuple):
    """``* n EXISTS``, ``* n EXPUNGE``, ``* n RECENT``."""

    kind: bytes
    number: int


class Data(NamedTuple):
    """Any other untagged response: its name in upper case, its parts (``parser.tokens``)."""

    kind: bytes
    parts: list[bytes]

    def tokens(self) -> list[Token]:
        """What follows the name."""
        return tokens(self.parts)


class Continuation(NamedTuple):
    """``+ …``."""

    text: bytes


Response = Status | Fetch | Numbered | Data | Continuation


def printable(octets: bytes, limit: int = 300) -> str:
    """Text of a server made fit for one line: no controls, no undecodable octets, not too long."""
    text = octets.decode("utf-8", "replace")[: limit * 2]
    text = "".join(char if char.isprintable() else " " for char in text)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def working(status: Status) -> Working | None:
    """What an INPROGRESS code tells (RFC 9585 §4); None if it is none, or malformed (§6)."""
    if status.code != b"INPROGRESS" or status.tag is not None:
        return None
    found = tokens([status.args])
    if not found:
        return Working(None, None)
    details = found[0]
    if not isinstance(details, list) or len(details) != 3:
        return None
    done, goal = (number(token) for token in details[1:])
    if [done, goal].count(None) != details[1:].count(None):
        return None  # not a number
    if done is None:
        return Working(None, None) if goal is None else None
    if (goal is not None and not 0 <= done <= goal < 1 << 32) or goal == 0 or done >= 1 << 32:
        return None
    return Working(done, goal)


def number(token: Token) -> int | None:
    """A token as a non-negative number, None if it is none."""
    if isinstance(token, bytes) and token.isdigit() and len(token) <= 20:
        return int(token)
    return None


def literal_size(line: bytes) -> int | None:
    """How many octets follow this line as a literal, None if it ends without one.

    Raises:
        ServerMisbehaved: more than ``MAX_LITERAL``.
    """
    if not line.endswith(b"}"):
        return None
    found = LITERAL_AT_END.search(line)
    if found is None:
        return None
    size = int(found[1])
    if size > MAX_LITERAL:
        raise ServerMisbehaved(f"the server announced a literal of {size} octets")
    return size


def read_parts(stream: Stream, line: bytes) -> list[bytes]:
    """The line and all literals and lines that belong to it.

    What looks like the announcement of a literal is none at the end of a text for people, nor at
    that of an atom (the name ``Drafts{3}`` without its quotes, which no grammar allows): a literal
    is a token of its own (RFC 9051 §9). In FETCH it always counts as one, for what follows there
    are octets of a message, and these must never be read as responses.

    Raises:
        ServerMisbehaved: a literal over ``SMALL``, where none of that size has any business; or one
            of the name of a mailbox that has the next response in it.
    """
    parts = [line]
    fetch = _FETCH.match(line) is not None
    if not fetch and is_text(line):
        return parts
    while fetch or _ATOM_AT_END.search(parts[-1]) is None:
        size = literal_size(parts[-1])
        if size is None:
            break
        if size > SMALL:
            raise ServerMisbehaved(f"the server sent {size} octets where a short text belongs")
        parts += [stream.take(size), stream.line()]
        if _MAILBOX.match(line) is not None and _overran(*parts[-2:]):
            raise ServerMisbehaved(
                "the server names a mailbox in a way that cannot be told from a literal: "
                + printable(line, 80),
                hint="give the mailbox another name, or tell whoever runs the server",
            )
    return parts


def is_text(line: bytes) -> bool:
    """Whether a line ends with the text of a status response, beyond the brackets of its code."""
    found = _STATUS.match(line)
    if found is None:
        return False
    rest = (found[2] or b"").lstrip()
    return not rest.startswith(b"[") or b"]" in rest


def _overran(literal: bytes, rest: bytes) -> bool:
    """Whether a mailbox name of this length took the beginning of another response for its own."""
    if _LISTING.match(literal + rest[:1]) is not None:
        return True
    if not rest or rest.startswith((b")", b" (")):
        return False
    return rest[:1] not in b" \t" or _RESPONSE.match(literal + rest) is not None


def parse_status(line: bytes) -> Status | None:
    """A status response, tagged or not; None if the line is none. The text may be missing."""
    found = _STATUS.match(line)
    tag = None
    if found is None:
        found = _TAGGED.match(line)
        if found is None:
            return None
        tag, kind, rest = found[1], found[2], found[3] or b""
    else:
        kind, rest = found[1], found[2] or b""
    rest = rest.lstrip()
    coded = None
    if rest.startswith(b"["):  # keywords with "]" in them are met in the first form only
        coded = _FLAGS_CODE.match(rest) or _CODE.match(rest)
    if coded is None:
        return Status(tag, kind.upper(), b"", b"", rest)
    return Status(tag, kind.upper(), coded[1].upper(), coded[2] or b"", coded[3])


def read_response(stream: Stream) -> Response:
    """The next response, waiting for it.

    Raises:
        ConnectionLost, ServerMisbehaved: see ``stream``; a line that is no response at all.
    """
    line = stream.line()
    if not line.startswith(b"* "):
        if line.startswith(b"+"):
            return Continuation(line[1:].strip())
        status = parse_status(line)
        if status is None:
            raise ServerMisbehaved(f"the server does not speak IMAP: {printable(line, 80)}")
        return status
    return classify(read_parts(stream, line))


def classify(parts: list[bytes]) -> Response:
    """An untagged response of these parts."""
    line = parts[0]
    numbered = _NUMBERED.match(line)
    if numbered is not None:
        kind = numbered[2].upper()
        if kind in {b"FETCH", b"UIDFETCH"}:
            rest = [numbered[3] or b"", *parts[1:]]
            items = fetch_items(tokens(rest, fetch=True))
            if kind == b"UIDFETCH":
                items.setdefault(b"UID", numbered[1])
            return Fetch(int(numbered[1]), items)
        return Numbered(kind, int(numbered[1]))
    status = parse_status(line)
    if status is not None:
        return status
    data = _DATA.match(line)
    if data is None:
        return Data(b"", parts)
    return Data(data[1].upper(), [data[2], *parts[1:]])
