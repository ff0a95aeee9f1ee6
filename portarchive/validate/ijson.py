"""I-JSON (RFC 7493) from strangers, as a stream: every defect found and placed, nothing repaired.

A document is read in windows. Members of its top level come out one by one, and the entries of
long lists one by one too, so that a folder.json of any size and layout takes constant memory. A
value that looks suspicious is parsed once more by ``ijson_places``, which knows where things are.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from portarchive.archive.tree import Limits, Stream
from portarchive.validate.ijson_places import NONCHARACTER, SAFE, Defect, defects_in, escape

_WINDOW = 1 << 20
_BLANK = re.compile(r"[ \t\r\n]*")
# An escape that may make a lone surrogate or a noncharacter.
_ESCAPE = re.compile(r"\\u(?:[dD][89a-fA-F]|[fF][dD][dDeE]|[fF]{3}[eEfF])")
_NEAR_END = 16
_STEP = 4
"""Windows that are read at once in the midst of a value, at most."""
VALUE = 16 << 20
ENTRY = 4 << 20
"""Octets of a value and of an entry of a streamed list, unless the limits are narrower still."""
_MEMBER = 10
"""As how many nodes a member of the top level counts: its name and its place."""
_NUMBER = re.compile(r"[0-9.eE+-]*")
_STRING = re.compile(r'"(?:[^"\\]+|\\.)*+(?:"|\Z)', re.DOTALL)
_LONG_INTEGER = 16
_HUGE = 400


class Member(NamedTuple):
    """A member of the top level whose value is not streamed."""

    name: str
    value: Any


class Entry(NamedTuple):
    """Entry ``number`` (from 0) of a streamed list; ``list_name`` is the member."""

    list_name: str
    number: int
    value: Any


class ListSeen(NamedTuple):
    """A streamed list begins."""

    list_name: str


class NotRead(Exception):
    """The document cannot be read any further."""


class Document:
    """One JSON document, to be read once with ``parts`` or ``whole``.

    Attributes:
        broken: it could not be read to its end; what follows from absence is unknown.
        is_object: whether the top level is an object; known once ``parts`` has begun.
    """

    def __init__(
        self, stream: Stream, limits: Limits, tell: Callable[[Defect], None], value: int = VALUE
    ) -> None:
        """``value``: octets that one value may have, if the limits allow as many."""
        self._limits = limits
        self._tell = tell
        self._most = min(value, limits.value)
        self._left = limits.nodes
        self._source = _Text(stream, limits, tell)
        self._text = ""
        self._at = 0
        self._suspect = False
        self._odd = False
        self._scan = json.JSONDecoder(
            object_pairs_hook=self._pairs,
            parse_int=self._integer,
            parse_float=self._float,
            parse_constant=self._constant,
        ).scan_once  # type: ignore[attr-defined]  # missing in the stubs
        self.broken = False
        self.is_object = False

    # what the parser calls: cheap, and only remembers that something is odd

    def _pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(pairs)
        if len(out) != len(pairs):
            self._odd = True
        return out

    def _integer(self, digits: str) -> int:
        if len(digits) < _LONG_INTEGER:
            return int(digits)
        self._odd = True
        return int(digits[:_HUGE])

    def _float(self, digits: str) -> float | int:
        value = float(digits)
        if value in {float("inf"), float("-inf")}:
            self._odd = True
        # 1.0 is an integer for JSON Schema, and must be one for every other check
        return int(value) if value.is_integer() and abs(value) <= SAFE else value

    def _constant(self, name: str) -> float:
        self._odd = True
        del name
        return 0.0

    # the text

    def _more(self) -> bool:
        """Another window; what is used up is dropped. False at the end."""
        following = self._source.read(self._text)
        if not following:
            return False
        self._source.dropped(self._text[: self._at])
        self._text = self._text[self._at :] + following
        self._at = 0
        # what is carried over counts too: a value may have begun in an earlier window
        self._suspect = _suspect(self._text)
        return True

    def _peek(self) -> str:
        """The next character that is not blank, "" at the end."""
        while True:
            self._at = _BLANK.match(self._text, self._at).end()  # type: ignore[union-attr]  # it matches everywhere
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _fail(self, code: str, text: str, at: int) -> NotRead:
        self.broken = True
        if not self._source.over:  # what is cut here for its size is not wrong for that
            self._tell(Defect(code, self._source.place(self._text, at), text))
        return NotRead()

    def _expect(self, wanted: str) -> str:
        char = self._peek()
        if not char or char not in wanted:
            found = "the document ends" if not char else f"there is {char!a}"
            raise self._fail("P-003", f"{found} where {' or '.join(wanted)} belongs", self._at)
        self._at += 1
        return char

    def _value(self, pointer: str, *, entry: bool = False) -> Any:
        """One whole value; ``entry``: it will be let go before the next one is read."""
        if not self._peek():
            raise self._fail("P-003", "the document ends where a value belongs", self._at)
        step = 1
        while True:
            self._odd = False
            start = self._at
            try:
                value, end = self._scan(self._text, start)
            except StopIteration as stop:
                at, text, final = int(stop.value), "there is no value here", True
            except json.JSONDecodeError as error:
                at, text = error.pos, error.msg
                final = not text.startswith("Unterminated")
            except RecursionError:
                raise self._fail(
                    "F-003", f"nested over {self._limits.depth} levels", start
                ) from None
            else:
                # a number may go on in the next window
                if (
                    value.__class__ in {str, dict, list}
                    or _NUMBER.match(self._text, end).end() < len(self._text)  # type: ignore[union-attr]  # it matches everywhere
                    or not self._grow(1)
                ):
                    self._count(start, end, entry=entry)
                    return self._checked(value, start, end, pointer)
                continue
            most = min(self._most, ENTRY) if entry else self._most
            if len(self._text) - start > most:
                raise self._fail("F-005", f"one value is over {most:,} octets", start)
            if len(self._text) - start >= _WINDOW and not (final and at < len(self._text)):
                self._count(start, len(self._text), entry=True)
            if (final and at < len(self._text) - _NEAR_END) or not self._grow(step):
                raise self._fail("P-003", text, at)
            step = min(2 * step, _STEP)

    def _count(self, start: int, end: int, *, entry: bool) -> None:
        """Charge a value to what a document may hold; of an entry only see whether it fits."""
        if entry and 4 * (end - start) <= self._left:
            return  # there is no room for so many
        text = self._text
        nodes = _nodes(text, start, end)
        if nodes > self._left:
            stripped = _STRING.sub("", text[start:end])
            nodes = _nodes(stripped, 0, len(stripped))
        if nodes > self._left:
            raise self._fail("F-005", f"over {self._limits.nodes:,} values held at once", start)
        if not entry:
            self._left -= nodes

    def _grow(self, windows: int) -> bool:
        grown = False
        for _ in range(windows):
            if not self._more():
                break
            grown = True
        return grown

    def _checked(self, value: Any, start: int, end: int, pointer: str) -> Any:
        self._at = end
        kind = value.__class__
        if (
            self._odd
            or self._suspect
            or end - start > self._limits.string
            or ((kind is dict or kind is list) and _deep(value))
        ):
            for defect in defects_in(self._text[start:end], pointer, self._limits):
                self._tell(defect)
                # what is nested without measure must reach nobody who recurses
                self.broken |= defect.code == "F-003"
            if self.broken:
                raise NotRead
        return value

    # the document

    def parts(self, lists: Collection[str] = ()) -> Iterator[Member | Entry | ListSeen]:
        """The members of the top level in their order; ``lists`` are streamed if they are arrays.

        Ends early where the document cannot be read further; ``broken`` tells.
        """
        with contextlib.suppress(NotRead):
            yield from self._parts(lists)

    def _parts(self, lists: Collection[str]) -> Iterator[Member | Entry | ListSeen]:
        if self._peek() != "{":
            yield Member("", self._value(""))
            self._end()
            return
        self.is_object = True
        self._at += 1
        names: set[str] = set()
        if self._peek() == "}":
            self._at += 1
            self._end()
            return
        while True:
            if self._peek() != '"':
                raise self._fail("P-003", "a member name in quotes belongs here", self._at)
            name = self._value("")
            pointer = f"/{escape(name)}"
            if name in names:
                self._tell(Defect("P-003d", pointer, "the member occurs twice"))
            names.add(name)
            self._left -= _MEMBER
            self._expect(":")
            if name in lists and self._peek() == "[":
                yield ListSeen(name)
                yield from self._entries(name, pointer)
            else:
                yield Member(name, self._value(pointer))
            if self._expect(",}") == "}":
                break
        self._end()

    def _entries(self, name: str, pointer: str) -> Iterator[Entry]:
        self._at += 1
        if self._peek() == "]":
            self._at += 1
            return
        index = 0
        while True:
            yield Entry(name, index, self._value(f"{pointer}/{index}", entry=True))
            index += 1
            if self._text[self._at : self._at + 2] == ",\n":  # our own layout: spare two searches
                self._at += 2
            elif self._expect(",]") == "]":
                return

    def _end(self) -> None:
        if self._peek():
            raise self._fail("P-003", "something follows the end of the document", self._at)

    def whole(self) -> Any:
        """The document as one value, for small ones; None where ``broken``."""
        members: dict[str, Any] = {}
        for part in self.parts():
            if isinstance(part, Member):
                members[part.name] = part.value
        if self.broken:
            return None
        return members if self.is_object else members.get("")


def _nodes(text: str, start: int, end: int) -> int:
    """As ``Limits.nodes`` counts; what stands in strings too."""
    opened = text.count("[", start, end) + text.count("{", start, end)
    return text.count(",", start, end) + 4 * opened


def _suspect(text: str) -> bool:
    """Whether a string of it may hold what I-JSON has not."""
    if "\\u" in text and _ESCAPE.search(text):
        return True
    return not text.isascii() and NONCHARACTER.search(text) is not None


def _deep(value: Any) -> bool:
    """Whether a container holds containers that hold containers: rare, and then looked at."""
    values = value.values() if value.__class__ is dict else value
    for inner in values:
        kind = inner.__class__
        if kind is dict:
            return True
        if kind is list:
            for one in inner:
                if one.__class__ is dict or one.__class__ is list:
                    return True
    return False


class _Text:
    """The document's octets as text, window by window; UTF-8 defects told with their place.

    Attributes:
        over: the document is over the limit, and no more of it is read.
    """

    def __init__(self, stream: Stream, limits: Limits, tell: Callable[[Defect], None]) -> None:
        self._stream = stream
        self._limits = limits
        self._tell = tell
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._octets = 0
        self._line = 1
        self._column = 1
        self._ended = False
        self.over = False

    def read(self, held: str) -> str:
        """The next characters, "" at the end; ``held``: those before them that are still needed."""
        while not self._ended:
            octets = self._stream.read(_WINDOW)
            first = self._octets == 0
            self._octets += len(octets)
            if first and octets.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
                self._tell(Defect("P-003c", "1:1", "a byte order mark"))
                if octets.startswith(b"\xef"):
                    octets = octets[3:]
            if self._octets > self._limits.document:
                self._tell(Defect("F-002", "", f"over {self._limits.document:,} octets"))
                self.over = True
                octets = b""
            self._ended = not octets
            try:
                text = self._decoder.decode(octets, final=self._ended)
            except UnicodeDecodeError as error:
                before = held + error.object[: error.start].decode("utf-8", "replace")
                self._tell(Defect("P-003b", self.place(before, None), "octets not UTF-8"))
                # the rest is still looked at, with what is wrong replaced
                self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
                text = self._decoder.decode(error.object, final=self._ended)
            if text:
                return text
        return ""

    def dropped(self, gone: str) -> None:
        """These characters, with which what is held begins, are used up."""
        lines = gone.count("\n")
        if lines:
            self._line += lines
            self._column = len(gone) - gone.rfind("\n")
        else:
            self._column += len(gone)

    def place(self, text: str, at: int | None) -> str:
        """``line:column`` of a place in what is held now."""
        before = text if at is None else text[:at]
        lines = before.count("\n")
        column = len(before) - before.rfind("\n") if lines else self._column + len(before)
        return f"{self._line + lines}:{column}"
