"""Matching a renumbered folder: which old item is which new message, without fetching bodies.

When UIDVALIDITY changes all UIDs are new (RFC 9051 section 2.3.1.1). A new message is an old item
if their EMAILIDs are equal, and size and instant are, where known. Else (size, instant, Message-ID)
must be equal and unique on both sides; with two different EMAILIDs there must be a Message-ID.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from portarchive.archive import model
from portarchive.archive.folder_file import parse_entry
from portarchive.archive.naming import resolve_item
from portarchive.archive.octets import instant, object_id_of
from portarchive.records import MessageRef

_HEADER_LIMIT = 1 << 20
_MESSAGE_ID = re.compile(rb"(?:\A|\n)message-id[ \t]*:((?:[^\n]|\n[ \t])*)", re.IGNORECASE)
_END_OF_HEADER = re.compile(rb"(?:\A|\n)\r?\n")

Key = tuple[int, int, bytes]
"""Size, instant, Message-ID."""

_NONE, _SEVERAL = -1, -2


def message_id(header: bytes) -> bytes:
    """The first Message-ID of a header, blanks removed; empty if it has none."""
    end = _END_OF_HEADER.search(header)
    match = _MESSAGE_ID.search(header, 0, end.start() if end else len(header))
    return normal(match[1]) if match else b""


def normal(value: bytes) -> bytes:
    """A Message-ID without the blanks and folds that a server may have moved."""
    pieces = value.split()
    return value if pieces == [value] else b"".join(pieces)


class Items:
    """The message files of one folder. ``path``: of the folder below ``mail/``."""

    def __init__(self, root: Path, path: str) -> None:
        self._root = root
        self._directory = f"{model.MAIL}/{path}"

    def message_id(self, filename: str) -> bytes | None:
        """The Message-ID of an item's file, empty if it has none; None if there is no file."""
        path = self._root / resolve_item(self._directory, filename)
        try:
            with path.open("rb") as file:
                return message_id(file.read(_HEADER_LIMIT))
        except FileNotFoundError:
            return None


class Rematcher:
    """Pairs the items of a renumbered folder with the messages that the source now names.

    There may be 300,000 on either side: the old items are read as often as needed, never held.
    """

    def __init__(
        self, root: Path, path: str, lines: Callable[[], Iterable[bytes]], *, ids: bool
    ) -> None:
        """Say where the old items are.

        Args:
            root: of the archive.
            path: of the folder below ``mail/``.
            lines: gives the entries that are still to be matched, the same ones at each call.
            ids: whether EMAILIDs are of the same source, so that equal ones mean something.
        """
        self._items = Items(root, path)
        self._lines = lines
        self._ids = ids

    def match(self, refs: Sequence[MessageRef]) -> Iterator[tuple[MessageRef, dict[str, Any]]]:
        """(new message, old entry) for every pair; each entry at most once."""
        new_done, old_done = bytearray(len(refs)), bytearray()
        if self._ids:
            first, following = _chains(refs)
            for line in self._lines() if first else ():
                email_id = object_id_of(line) or ""
                at = first.get(email_id, _NONE)
                entry = parse_entry(line) if at >= 0 else {}
                if at >= 0 and not self._agree(refs[at], entry):
                    at = _NONE
                old_done.append(at >= 0)
                if at >= 0:
                    first[email_id] = following[at]
                    new_done[at] = True
                    yield refs[at], entry
        new = self._new_keys(refs, new_done)
        if new:
            yield from self._alike(refs, new, old_done)

    @staticmethod
    def _agree(ref: MessageRef, entry: dict[str, Any]) -> bool:
        """Whether size and instant, where known, are those of the item of the same EMAILID."""
        received = ref.placements[0].received
        new, old = received.epoch if received else None, instant(entry.get(model.RECEIVED_AT))
        same_size = not ref.size or ref.size == int(entry[model.SIZE])
        return same_size and (None in {new, old} or new == old)

    def _differ(self, ref: MessageRef, entry: dict[str, Any]) -> bool:
        """Whether both have an EMAILID, and not the same.

        Not the end of it: a server may begin to make them in another way, and its mail is the same.
        """
        old = entry.get(model.EMAIL_ID)
        return self._ids and None not in {old, ref.email_id} and old != ref.email_id

    def _new_keys(self, refs: Sequence[MessageRef], done: bytearray) -> dict[Key, int]:
        """What identifies a new message → its number, ``_SEVERAL`` if it is not unique."""
        new: dict[Key, int] = {}
        for at, ref in enumerate(refs):
            received = ref.placements[0].received
            if done[at] or ref.size is None or ref.message_id is None or received is None:
                continue
            if received.epoch is not None:
                key = ref.size, received.epoch, normal(ref.message_id)
                new[key] = _SEVERAL if key in new else at
        return new

    def _alike(
        self, refs: Sequence[MessageRef], new: dict[Key, int], done: bytearray
    ) -> Iterator[tuple[MessageRef, dict[str, Any]]]:
        pairs = {hash(key[:2]) for key in new}  # spares most looks into files
        old = array("q", [_NONE]) * len(refs)  # by number of the new message: that of the old one
        count = 0
        for number, line in enumerate(self._lines()):
            count += 1
            if number < len(done) and done[number]:
                continue
            entry = parse_entry(line)
            epoch = instant(entry.get(model.RECEIVED_AT))
            if epoch is None or hash((int(entry[model.SIZE]), epoch)) not in pairs:
                continue
            identity = self._items.message_id(str(entry["filename"]))
            if identity is None:
                continue
            at = new.get((int(entry[model.SIZE]), epoch, identity), _NONE)
            if at >= 0 and not identity and self._differ(refs[at], entry):
                continue
            if at >= 0:
                old[at] = number if old[at] == _NONE else _SEVERAL
        partner = array("q", [_NONE]) * count
        for at, number in enumerate(old):
            if number >= 0:
                partner[number] = at
        for at, line in zip(partner, self._lines(), strict=True):
            if at >= 0:
                yield refs[at], parse_entry(line)


def _chains(refs: Sequence[MessageRef]) -> tuple[dict[str, int], array[int]]:
    """EMAILID → the number of the first message that has it; by number, the next one with the same.

    Cheaper than lists: most ids are of one message.
    """
    first: dict[str, int] = {}
    following = array("q", [_NONE]) * len(refs)
    for at in range(len(refs) - 1, -1, -1):
        email_id = refs[at].email_id
        if email_id:
            following[at] = first.get(email_id, _NONE)
            first[email_id] = at
    return first, following
