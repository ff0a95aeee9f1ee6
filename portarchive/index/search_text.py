"""The text of a message as a person reads it, and as a search compares it (``folding``).

Takes the parts that are to be read (``structure``), decoded; of HTML the words without the marks.
Never raises for anything in a message, and never looks at what HTML refers to.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Final

from portarchive.index import header, structure
from portarchive.index.folding import folded
from portarchive.index.header import Octets
from portarchive.index.structure import Part, Structure

LONGEST: Final = 1 << 20
"""Octets of a part that are read."""
WHOLE: Final = 8 << 20
"""Octets of all parts of a message that are read."""

_WANTED: Final = header.Wanted(structure.PART_FIELDS)
_DROPPED: Final = re.compile(
    # a mark that never ends takes the rest with it, as in a browser, and is looked at only once
    r"<!--.*?(?:-->|\Z)|<(script|style|head|title|template)\b[^>]*(?:>.*?(?:</\1\s*>|\Z)|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_BREAK: Final = re.compile(
    r"<(?:br|/p|/div|/tr|/li|/h[1-6]|/table|/blockquote|hr)\b[^>]{0,1000}>", re.IGNORECASE
)
_LONG_NUMBER: Final = re.compile(r"&#[0-9]{100,};?")
_MARK: Final = re.compile(r"<[^<>]{0,10000}>")
_BLANKS: Final = re.compile(r"[^\S\n]+")
_LINES: Final = re.compile(r"\n\s*\n\s*\n+")


def taken_apart(octets: Octets) -> Structure:
    """What a message consists of."""
    found = header.read(octets, 0, len(octets), _WANTED)
    return structure.structure(octets, found.fields, found.body, len(octets))


def texts(octets: Octets, shape: Structure) -> Iterator[tuple[Part, str]]:
    """The parts of a message that are to be read, as text."""
    left = WHOLE
    for part in shape.parts:
        if part.kind != "text" or left <= 0:
            continue
        left -= min(part.end - part.start, LONGEST)
        text = structure.text_of(octets, part, LONGEST)
        yield part, without_marks(text) if part.media_type == "text/html" else text


def to_read(octets: Octets, shape: Structure) -> str:
    """The text that a person would see: of an alternative in plain text and HTML the plain one."""
    found = list(texts(octets, shape))
    plain = [text for part, text in found if part.media_type == "text/plain" and text.strip()]
    return "\n".join(plain or [text for _, text in found])


def without_marks(text: str) -> str:
    """The words of HTML."""
    text = _BREAK.sub("\n", _DROPPED.sub(" ", text.replace("\r\n", "\n").replace("\n", " ")))
    # no character has such a number, and Python refuses to read one of more than 4300 digits
    text = _LONG_NUMBER.sub("\ufffd", _MARK.sub("", text))
    text = _BLANKS.sub(" ", html.unescape(text))
    return _LINES.sub("\n\n", "\n".join(line.strip() for line in text.split("\n"))).strip()


def body_of(octets: Octets) -> str:
    """All text of a message, folded."""
    shape = taken_apart(octets)
    return folded(" ".join(text for _, text in texts(octets, shape)))
