"""What an item of the archive says, as columns: where a message is, not what is in it."""

from __future__ import annotations

from typing import Any, Final

from portarchive import keywords
from portarchive.archive.contents import ContentFolder, Item
from portarchive.index import dates
from portarchive.index.words import clean

_SYSTEM: Final = frozenset({"$seen", "$answered", "$flagged", "$draft"})
_CACHED: Final = 4096
_TEXT: Final = 4000
"""Characters of a text that the archive gives."""

_flags: dict[tuple[str, ...], tuple[list[str], list[str], str | None]] = {}


def row(folder: ContentFolder, item: Item) -> list[Any]:
    """Values of ``columns.ITEM``."""
    flags, others, colour = _flags.get(item.flags) or _split(item.flags)
    when = dates.of_received(item.received)
    member = _text(item.member)
    return [
        path_text(folder.path),
        folder.roles,
        _text(item.uid),
        member.rpartition("/")[2],
        member,
        item.kept,
        None if item.email_id is None else _text(item.email_id),
        None if item.thread_id is None else _text(item.thread_id),
        [_text(label) for label in item.labels],
        flags,
        others,
        colour,
        None if when is None else when.epoch,
        None if when is None else when.offset,
        item.received_from,
        None if item.received.raw is None else _text(item.received.raw),
    ]


def path_text(path: str) -> str:
    r"""The path of a folder; octets of its directory that are not UTF-8 as ``\xNN``."""
    if path.isascii():
        return path
    try:
        octets = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return clean(path)
    return octets.decode("utf-8", "backslashreplace")


def _text(text: str) -> str:
    return clean(text[:_TEXT])


def _split(told: tuple[str, ...]) -> tuple[list[str], list[str], str | None]:
    flags: list[str] = []
    others: list[str] = []
    for flag in told:
        text = _text(flag)
        (flags if flag in _SYSTEM or flag[:1] == "\\" else others).append(text)
    found = flags, others, keywords.colour(told)
    if len(_flags) < _CACHED:
        _flags[told] = found
    return found
