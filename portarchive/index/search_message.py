"""One message of an archive: found by where it lies or by its Message-ID, and taken apart to show.

Everything in it is a stranger's: what is here is text, and whoever prints it makes it safe.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from portarchive.archive import model
from portarchive.archive.contents import Contents, Item
from portarchive.errors import SettingsError
from portarchive.index import header, items, words
from portarchive.index.content import charset_of
from portarchive.index.header import Octets
from portarchive.index.search_text import taken_apart, to_read
from portarchive.index.structure import decoded_size

_ALL: Final = header.Wanted(None)
_FIRST: Final = (
    b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"date", b"subject",
)  # fmt: skip
_VALUE: Final = 8000
_SHOWN: Final = 5


class Attachment(NamedTuple):
    """What is attached: number as in IMAP, name, media type, octets when decoded."""

    part: str
    name: str | None
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Message:
    """A message taken apart.

    Attributes:
        fields: name as written first, value decoded; the ones that people look at, in that order.
        every: all fields, in lower case, in the order of their names' first appearance.
        text: what there is to read.
        attachments: all other parts.
    """

    fields: list[tuple[str, str]]
    every: list[tuple[str, str]]
    text: str
    attachments: list[Attachment]


def find(contents: Contents, archive: Path, wanted: str) -> list[Item]:
    """The items that a person means by ``mail/…``, the path of a file, or ``FOLDER:UID``.

    Args:
        contents: the archive.
        archive: its path.
        wanted: as it was typed. A Message-ID finds nothing here: that is the index's business.
    """
    member = _member(archive, wanted)
    folder, _, uid = wanted.rpartition(":")
    return [
        item
        for item in _items(contents)
        if item.member == member
        or (item.uid == uid and folder in {item.folder, items.path_text(item.folder)})
    ]


def one_of(found: list[Item], wanted: str) -> Item:
    """The message that was meant; of several with equal octets the first.

    Raises:
        SettingsError: there is none, or it is not clear which.
    """
    if not found:
        raise SettingsError(
            f"the archive has no message {wanted!r}",
            hint="name its file (mail/…), FOLDER:UID, or its Message-ID;"
            " portarchive search finds it",
            code="no-such-message",
        )
    if len({item.sha256 or item.member for item in found}) > 1:
        # a message that is kept may have the folder and the uid of another one
        places = ", ".join(item.member for item in found[:_SHOWN])
        raise SettingsError(
            f"{len(found)} different messages are meant by {wanted!r}",
            hint=f"name one of these: {places}",
            code="ambiguous-message",
        )
    return found[0]


def take_apart(octets: Octets) -> Message:
    """The fields, text and attachments of a message. Never raises for what is in it."""
    found = header.read(octets, 0, len(octets), _ALL)
    shape = taken_apart(octets)
    fallback = charset_of(shape)
    every = [
        (name.decode("ascii", "replace"), _decoded(value, fallback))
        for name, values in found.fields.items()
        for value in values
    ]
    first = [
        (name.decode().title(), _decoded(value, fallback))
        for name in _FIRST
        for value in found.fields.get(name, ())
    ]
    attached = [
        Attachment(part.number, part.name, part.media_type, decoded_size(octets, part))
        for part in shape.parts
        if part.kind != "text"
    ]
    return Message(first, every, to_read(octets, shape), attached)


def _decoded(value: bytes, fallback: str | None) -> str:
    return words.decode(value[:_VALUE], fallback)[0]


def _items(contents: Contents) -> Iterator[Item]:
    for folder in contents.folders():
        for kept in (False, True):
            yield from contents.items(folder, kept)


def _member(archive: Path, wanted: str) -> str | None:
    """The path of a file, relative to the root of the archive."""
    if "\0" in wanted:
        return None
    if wanted.startswith(f"{model.MAIL}/"):
        return wanted
    try:
        inside = os.path.relpath(os.path.realpath(wanted), os.path.realpath(archive))
    except (OSError, ValueError):
        return None
    return Path(inside).as_posix() if inside.startswith(model.MAIL + os.sep) else None
