"""A JSON document of a stranger's archive as a stream: whole members, long lists entry by entry.

Owns what makes a reader refuse a document: no I-JSON (RFC 7493: a member name twice, octets that
are not UTF-8, lone surrogates), nesting, strings and values beyond the limits. The first defect
ends it with one ``Damaged``; telling all of them is the validator's business, and it shares no code
with this. Constant memory whatever the layout and the length of the lists.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple

from portarchive.archive.contents_error import shown
from portarchive.archive.tree import Limits, Stream
from portarchive.errors import Damaged

_WINDOW: Final = 1 << 20
_BLANK: Final = re.compile(r"[ \t\r\n]*")
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_CUT: Final = 32
"""Characters before the end of what was read in which an error may be due to that end."""


class Member(NamedTuple):
    """A member of the top level that is not streamed; of a streamed list None, when it begins."""

    name: str
    value: Any


class Entry(NamedTuple):
    """An entry of a streamed list."""

    list_name: str
    value: Any


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a member name occurs twice (RFC 7493 section 2.3)")
    return out


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


class Document:
    """One JSON document, to be read once with ``parts`` or ``whole``."""

    def __init__(self, stream: Stream, name: str, limits: Limits) -> None:
        self._stream = stream
        self._name = shown(name)
        self._limits = limits
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._octets = 0
        self._ended = False
        self._text = ""
        self._at = 0
        self._suspect = False
        decoder = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant)
        self._scan = decoder.scan_once  # type: ignore[attr-defined]  # missing in the stubs

    def whole(self) -> Any:
        """The document as one value.

        Raises:
            Damaged: it is no I-JSON, or over a limit.
        """
        value = self._value(strict=True)
        self._end()
        return value

    def parts(self, lists: Collection[str]) -> Iterator[Member | Entry]:
        """The members of the top level in their order; ``lists`` are streamed if they are arrays.

        Raises:
            Damaged: it is no object, no I-JSON, or over a limit.
        """
        if self._peek() != "{":
            raise self._damaged("it must be an object")
        self._at += 1
        names: set[str] = set()
        if self._peek() == "}":
            self._at += 1
            self._end()
            return
        while True:
            if self._peek() != '"':
                raise self._damaged("a member name belongs here")
            name = self._value(strict=True)
            if name in names:
                raise self._damaged("a member name occurs twice (RFC 7493 section 2.3)")
            names.add(name)
            self._expect(":")
            if name in lists and self._peek() == "[":
                yield Member(name, None)
                yield from self._entries(name)
            else:
                yield Member(name, self._value(strict=True))
            if self._expect(",}") == "}":
                self._end()
                return

    def _entries(self, name: str) -> Iterator[Entry]:
        self._at += 1
        if self._peek() == "]":
            self._at += 1
            return
        value = self._value
        while True:
            yield Entry(name, value(strict=False))
            if self._text[self._at : self._at + 2] == ",\n":  # our own layout: two searches less
                self._at += 2
            elif self._expect(",]") == "]":
                return

    def _value(self, *, strict: bool) -> Any:
        """One whole value; ``strict``: all of it will be looked at, so all of it is checked."""
        self._peek()
        windows = 1
        while True:
            start = self._at
            text = self._text
            try:
                value, end = self._scan(text, start)
            except StopIteration as stop:
                at, why = int(stop.value), "there is no value where one belongs"
            except json.JSONDecodeError as error:
                at, why = error.pos, error.msg
                if why.startswith("Unterminated"):
                    at = len(text)
            except RecursionError:
                raise self._damaged(f"nested over {self._limits.depth} levels") from None
            except ValueError as error:
                raise self._damaged(str(error)) from None
            else:
                # a number may go on in the next window: 1, 1. and 1e+ are not the end of one
                closed = value.__class__ in {str, dict, list}
                if closed or end + len("e+") < len(text) or not self._more():
                    self._check(value, start, end, strict=strict)
                    self._at = end
                    return value
                continue
            if at < len(text) - _CUT:
                raise self._damaged(why)
            if len(text) - start > self._limits.value:
                raise self._damaged(f"one value is over {self._limits.value:,} octets")
            # twice as much each time, so that a long value is not parsed over and over
            grown = False
            for _ in range(windows):
                grown = self._more() or grown
            if not grown:
                raise self._damaged(why)
            windows *= 2

    def _check(self, value: Any, start: int, end: int, *, strict: bool) -> None:
        text, limits = self._text, self._limits
        if end - start > limits.value:
            raise self._damaged(f"one value is over {limits.value:,} octets")
        if self._suspect and _SURROGATE_ESCAPE.search(text, start, end):
            try:
                json.dumps(value, ensure_ascii=False).encode()
            except (UnicodeEncodeError, RecursionError):
                raise self._damaged("a string has a lone surrogate") from None
        if (
            (strict and value.__class__ is not str)
            or end - start > limits.string
            or text.count("[", start, end) + text.count("{", start, end) >= limits.depth
        ):
            self._measure(value)

    def _measure(self, value: Any) -> None:
        """Depth and length of strings."""
        level: list[Any] = [value]
        depth = 0
        while level:
            depth += 1
            below: list[Any] = []
            for one in level:
                if one.__class__ is str and len(one) > self._limits.string:
                    raise self._damaged(f"a string is over {self._limits.string:,} characters")
                if one.__class__ is dict:
                    below += one.values()
                    if any(len(name) > self._limits.string for name in one):
                        raise self._damaged("a member name is too long")
                elif one.__class__ is list:
                    below += one
            # the value of a member lies one level down itself
            if below and depth >= self._limits.depth:
                raise self._damaged(f"nested over {self._limits.depth} levels")
            level = below

    # the text

    def _more(self) -> bool:
        """Read on; what is used up is dropped. False at the end."""
        while not self._ended:
            octets = self._stream.read(_WINDOW)
            self._octets += len(octets)
            if self._octets > self._limits.document:
                raise self._damaged(f"it is over {self._limits.document:,} octets")
            self._ended = not octets
            try:
                text = self._decoder.decode(octets, final=self._ended)
            except UnicodeDecodeError:
                raise self._damaged("it is not UTF-8") from None
            if text:
                self._text = self._text[self._at :] + text
                self._at = 0
                self._suspect = "\\u" in self._text
                return True
        return False

    def _peek(self) -> str:
        """The next character that is not blank, "" at the end."""
        while True:
            self._at = _BLANK.match(self._text, self._at).end()  # type: ignore[union-attr]  # it matches everywhere
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _expect(self, wanted: str) -> str:
        char = self._peek()
        if not char or char not in wanted:
            raise self._damaged(f"{' or '.join(map(repr, wanted))} is expected")
        self._at += 1
        return char

    def _end(self) -> None:
        if self._peek():
            raise self._damaged("something follows its end")

    def _damaged(self, why: str) -> Damaged:
        return Damaged(f"{self._name} cannot be read: {why}", code="not-json")
