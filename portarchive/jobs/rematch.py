"""Matching a renumbered folder: which old item is which new message, without fetching bodies.

When UIDVALIDITY changes all UIDs are new (RFC 9051 section 2.3.1.1). A new message is an old item
if their EMAILIDs are equal, else if (size, instant, Message-ID) are equal and unique on both sides.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from portarchive.archive import model
from portarchive.archive.folder_file import parse_entry
from portarchive.archive.naming import resolve_item
from portarchive.records import MessageRef

_HEADER_LIMIT = 1 << 20
_MESSAGE_ID = re.compile(rb"(?:\A|\n)message-id[ \t]*:((?:[^\n]|\n[ \t])*)", re.IGNORECASE)
_END_OF_HEADER = re.compile(rb"(?:\A|\n)\r?\n")

Key = tuple[int, int, bytes]


def message_id(header: bytes) -> bytes:
    """The first Message-ID of a header, blanks removed; empty if it has none."""
    end = _END_OF_HEADER.search(header)
    match = _MESSAGE_ID.search(header, 0, end.start() if end else len(header))
    return normal(match[1]) if match else b""


def normal(value: bytes) -> bytes:
    """A Message-ID without the blanks and folds that a server may have moved."""
    return b"".join(value.split())


class Rematcher:
    """Pairs the items of a renumbered folder with the messages that the source now names."""

    def __init__(self, root: Path, path: str, lines: Iterable[bytes], *, ids: bool) -> None:
        """Take in the old items.

        Args:
            root: of the archive.
            path: of the folder below ``mail/``.
            lines: the entries that are still to be matched.
            ids: whether EMAILIDs are of the same source, so that equal ones mean something.
        """
        self._root = root
        self._directory = f"{model.MAIL}/{path}"
        self._by_id: dict[str, list[bytes]] = defaultdict(list)
        self._by_size: dict[tuple[int, int], list[bytes]] = defaultdict(list)
        for line in lines:
            entry = parse_entry(line)
            email_id = entry.get(model.EMAIL_ID)
            if ids and isinstance(email_id, str):
                self._by_id[email_id].append(line)
            epoch = _epoch(entry.get(model.RECEIVED_AT))
            if epoch is not None:
                self._by_size[int(entry[model.SIZE]), epoch].append(line)

    def match(self, refs: Sequence[MessageRef]) -> Iterator[tuple[MessageRef, dict[str, Any]]]:
        """(new message, old entry) for every pair; each entry at most once."""
        used: set[bytes] = set()
        rest: list[MessageRef] = []
        for ref in refs:
            same = self._by_id.get(ref.email_id or "")
            if same:
                line = same.pop(0)
                used.add(line)
                yield ref, parse_entry(line)
            else:
                rest.append(ref)
        new: dict[Key, list[MessageRef]] = defaultdict(list)
        for ref in rest:
            received = ref.placements[0].received
            if ref.size is None or ref.message_id is None or received is None:
                continue
            if received.epoch is not None:
                new[ref.size, received.epoch, normal(ref.message_id)].append(ref)
        old = self._old_keys({key[:2] for key in new}, used)
        for key, found in new.items():
            lines = old.get(key, [])
            if len(found) == 1 and len(lines) == 1:
                yield found[0], parse_entry(lines[0])

    def _old_keys(self, wanted: set[tuple[int, int]], used: set[bytes]) -> dict[Key, list[bytes]]:
        keys: dict[Key, list[bytes]] = defaultdict(list)
        for pair in wanted:
            for line in self._by_size.get(pair, ()):
                if line not in used:
                    identity = self._message_id(str(parse_entry(line)["filename"]))
                    if identity is not None:
                        keys[(*pair, identity)].append(line)
        return keys

    def _message_id(self, filename: str) -> bytes | None:
        path = self._root / resolve_item(self._directory, filename)
        try:
            with path.open("rb") as file:
                return message_id(file.read(_HEADER_LIMIT))
        except FileNotFoundError:
            return None


def _epoch(text: object) -> int | None:
    if not isinstance(text, str):
        return None
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        return None
