"""Octets that are here already, found by the id that says they are equal (RFC 8474 EMAILID).

The id is the source's word within one account and is trusted for that (RFC 8474 section 4: the
content of one EMAILID never changes); a size that disagrees is not.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from portarchive.archive import model
from portarchive.archive.folder_file import parse_entry
from portarchive.archive.folder_state import FolderState
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


class OctetIndex:
    """email_id → where its octets lie. Memory: one string and one integer a message."""

    def __init__(self, writer: ArchiveWriter) -> None:
        self._writer = writer
        self._tickets: dict[str, int] = {}
        self._published: dict[str, tuple[FolderState, int]] | None = None
        for ticket, line in writer.stored_entries():
            match = _EMAIL_ID.search(line)
            if match is not None:
                self._tickets.setdefault(match[1].decode(), ticket)

    def add(self, email_id: str, ticket: int) -> None:
        """Remember an item that was just stored."""
        self._tickets.setdefault(email_id, ticket)

    def find(self, email_id: str, size: int | None) -> Found | None:
        """Where these octets lie; None if nowhere, or if the size speaks against it."""
        ticket = self._tickets.get(email_id)
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
        if size is not None and size != known.size:
            return None
        return Found(path, known) if os.path.exists(self._writer.root / path) else None  # noqa: PTH110 - hot

    def _scan(self) -> dict[str, tuple[FolderState, int]]:
        found: dict[str, tuple[FolderState, int]] = {}
        for state in self._writer.folders():
            if state.published is None:
                continue
            for offset, line in state.published.lines_with_offsets():
                match = _EMAIL_ID.search(line)
                if match is not None:
                    found.setdefault(match[1].decode(), (state, offset))
        return found


def _line_at(state: FolderState, offset: int) -> bytes:
    assert state.published is not None  # noqa: S101 - the offset comes from there
    return state.published.line_at(offset)


def relative(found: Found, directory: str) -> str:
    """The POSIX path of found octets as an item in ``directory`` (under the root) names it."""
    return os.path.relpath(found.path, directory).replace(os.sep, "/")
