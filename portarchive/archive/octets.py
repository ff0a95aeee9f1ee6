"""Octets that are here already, found by the id that says they are equal (RFC 8474 EMAILID).

The id is the source's word within one account (RFC 8474 section 4: the content of one EMAILID never
changes). It is taken as a hint only: size and instant must agree, and a source is trusted once two
messages of one id were seen to have one digest, here or by whoever uses this.
"""

from __future__ import annotations

import os
import re
from datetime import datetime
from typing import NamedTuple

from portarchive.archive import model
from portarchive.archive.folder_file import parse_entry
from portarchive.archive.folder_state import FolderState, line_sha256
from portarchive.archive.naming import resolve_item
from portarchive.archive.writer import ArchiveWriter, Written

_EMAIL_ID = re.compile(rb'"portarchive:email_id":"([^"\\]+)"')


class Found(NamedTuple):
    """Octets that are here.

    Attributes:
        path: of the file, relative to the archive's root.
        known: size and digest as its item says.
    """

    path: str
    known: Written


def object_id_of(line: bytes) -> str | None:
    """The EMAILID of an entry as it is written, None if it has none."""
    match = _EMAIL_ID.search(line)
    return None if match is None else match[1].decode()


def instant(text: object) -> int | None:
    """A ``received_at`` in seconds since 1970, None if it is none."""
    if not isinstance(text, str):
        return None
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        return None


class OctetIndex:
    """email_id → where its octets lie. Memory: one string and one integer a message.

    Attributes:
        trusted: whether equal ids were seen to be equal octets; None: nobody has looked yet.
    """

    def __init__(self, writer: ArchiveWriter) -> None:
        self._writer = writer
        self._tickets: dict[str, int] = {}
        self._published: dict[str, tuple[FolderState, int]] | None = None
        self._void: dict[int, int] = {}
        self.trusted: bool | None = None
        for ticket, line in writer.stored_entries():
            email_id = object_id_of(line)
            if email_id is not None:
                earlier = self._tickets.setdefault(email_id, ticket)
                if earlier != ticket and self.trusted is None:
                    self._compare(writer.entry(earlier)[1], line)

    def add(self, email_id: str, ticket: int) -> None:
        """Remember an item that was just stored."""
        self._tickets.setdefault(email_id, ticket)

    def forget(self, state: FolderState) -> None:
        """What the journal has of a folder up to now is void: its files may be written over."""
        self._void[state.number] = self._writer.next_ticket

    def find(self, email_id: str, size: int | None, epoch: int | None) -> Found | None:
        """Where these octets lie; None if nowhere, or if anything known speaks against it.

        Args:
            email_id: of the message.
            size: what the source says that it has; None and 0: not known.
            epoch: its instant in seconds since 1970, None if not known.
        """
        ticket = self._tickets.get(email_id)
        if ticket is not None and self._is_void(ticket):
            del self._tickets[email_id]
            ticket = None
        if ticket is not None:
            state, line = self._writer.entry(ticket)
        else:
            if self._published is None:
                self._published = self._scan()
            place = self._published.get(email_id)
            if place is None:
                return None
            state, offset = place
            line = _line_at(state, offset)
        entry = parse_entry(line)
        path = resolve_item(f"{model.MAIL}/{state.path}", str(entry["filename"]))
        known = Written(str(entry["filename"]), int(entry[model.SIZE]), str(entry[model.SHA256]))
        here = instant(entry.get(model.RECEIVED_AT))
        if (size and size != known.size) or (None not in {here, epoch} and here != epoch):
            return None
        return Found(path, known) if os.path.exists(self._writer.root / path) else None  # noqa: PTH110 - hot

    def _is_void(self, ticket: int) -> bool:
        if not self._void:
            return False
        state, _ = self._writer.entry(ticket)
        return ticket < self._void.get(state.number, 0)

    def _scan(self) -> dict[str, tuple[FolderState, int]]:
        found: dict[str, tuple[FolderState, int]] = {}
        for state in self._writer.folders():
            if state.published is None:
                continue
            for offset, line in state.published.lines_with_offsets():
                email_id = object_id_of(line)
                if email_id is None:
                    continue
                place = found.setdefault(email_id, (state, offset))
                if self.trusted is None and place != (state, offset):
                    self._compare(_line_at(*place), line)
        return found

    def _compare(self, one: bytes, other: bytes) -> None:
        """Two entries of one id: the same digest, or not."""
        digests = line_sha256(one), line_sha256(other)
        if all(digests):
            self.trusted = digests[0] == digests[1]


def _line_at(state: FolderState, offset: int) -> bytes:
    assert state.published is not None  # noqa: S101 - the offset comes from there
    return state.published.line_at(offset)


def relative(found: Found, directory: str) -> str:
    """The POSIX path of found octets as an item in ``directory`` (under the root) names it."""
    return os.path.relpath(found.path, directory).replace(os.sep, "/")
