"""Pieces: the messages that an import has in hand, and what is known of each. No decisions here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from portarchive.archive.contents import ContentFolder, Contents, Item
from portarchive.likeness import Likeness, likeness, likeness_of
from portarchive.placing import LineEnds

WHOLE = 8 << 20
"""Messages up to so many octets are held in memory while they are looked at or sent."""


class State(StrEnum):
    """What became of a message of the archive; each has exactly one at the end."""

    OPEN = "open"
    PRESENT = "present"
    PLACED = "placed"
    MERGED = "merged"
    FAILED = "failed"
    SKIPPED = "skipped"


class Print(NamedTuple):
    """What of a message's likeness is kept in memory: digests cut to 16 octets.

    Attributes:
        size: octets as they are sent to this target.
        octets, header, body: digests, see ``Likeness``.
        message_id: as it stands, or its digest if it is long; b"" for none.
        ident: digest of Date, From and Subject; b"" if it has none of them.
        ends: its line ends.
        plain: nothing that a server trips over.
        trips: what a server may trip over (values of ``Alteration``).
    """

    size: int
    octets: bytes
    header: bytes
    body: bytes
    message_id: bytes
    ident: bytes
    ends: LineEnds
    plain: bool
    trips: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Piece:
    """One item of the archive on its way into one mailbox of the target.

    Attributes:
        key: its number.
        item: as the archive has it.
        folder: the archive's folder.
        folder_id: the target's mailbox; "" while it does not exist yet.
        flags: to be set.
        look: None until its octets were read.
        uid: on the target, once known.
        code, text: why it failed or was skipped; by which round it is present.
        altered: what the target changed.
        known: all of that is on the target's closed list.
        line_ends: only line ends differ from the archive's octets.
        careful: it was sent once and not answered.
        twins: further pieces that go in the same parcel (one message in several mailboxes).
    """

    key: int
    item: Item
    folder: ContentFolder
    folder_id: str
    flags: tuple[str, ...]
    state: State = State.OPEN
    look: Print | None = None
    uid: str = ""
    code: str = ""
    text: str = ""
    altered: tuple[str, ...] = ()
    known: bool = False
    line_ends: bool = False
    careful: bool = False
    twins: list[Piece] = field(default_factory=list)

    def fail(self, code: str, text: str) -> None:
        """It is not on the target, and this is why."""
        self.state, self.code, self.text = State.FAILED, code, text

    def skip(self, reason: str) -> None:
        """It was not meant to be brought."""
        self.state, self.code = State.SKIPPED, reason


def look_at(contents: Contents, item: Item, ends: LineEnds) -> Print:
    """Read a message of the archive for its likeness.

    Args:
        contents: the archive.
        item: which.
        ends: what the target's line ends are.

    Raises:
        Damaged: its octets are missing or not what the archive says.
    """
    if item.size is not None and item.size <= WHOLE:
        octets = contents.octets(item)
        return print_of_octets(octets, ends)
    counter = _Counter()
    found = likeness(counter.count(contents.chunks(item)))
    return print_of(found, counter.lines, ends, cr_run=counter.cr_run)


def print_of_octets(octets: bytes, ends: LineEnds) -> Print:
    """The same of a message in memory."""
    found = likeness_of(octets)
    cr_run = b"\r\r\n" in octets or octets.endswith(b"\r")
    return print_of(found, octets.count(b"\n"), ends, cr_run=cr_run)


class _Counter:
    """Counts LF on the way, and looks for more than one CR before one."""

    lines = 0
    cr_run = False

    def count(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        end = b""
        for chunk in chunks:
            self.lines += chunk.count(b"\n")
            self.cr_run = self.cr_run or b"\r\r\n" in end + chunk
            end = (end + chunk)[-2:]
            yield chunk
        self.cr_run = self.cr_run or end.endswith(b"\r")


def print_of(found: Likeness, lines: int, ends: LineEnds, *, cr_run: bool = False) -> Print:
    """Cut a likeness down to what is kept.

    Args:
        found: of the archive's octets, or the target's.
        lines: LF in it.
        ends: what it is sent with.
        cr_run: it has CR CR LF somewhere, or CR at its end.
    """
    size = found.size
    if found.line_ends in (LineEnds.CRLF, LineEnds.LF):
        size = found.canonical_size - (lines if ends is LineEnds.LF else 0)
    return Print(
        size,
        found.canonical_sha256[:16],
        found.header_sha256[:16],
        found.body_sha256[:16],
        found.message_id if len(found.message_id) <= 128 else _digest(found.message_id),
        _digest(b"\n".join((found.sent, found.sender, found.subject)))
        if found.sent or found.sender or found.subject
        else b"",
        found.line_ends,
        found.plain and not cr_run,
        (*_trips(found), *(["cr-run"] if cr_run else [])),
    )


def _digest(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()[:16]


def _trips(found: Likeness) -> tuple[str, ...]:
    trips = []
    if not found.size:
        trips.append("empty")
    if found.line_ends is LineEnds.MIXED:
        trips.append("bare-lf")
    if found.nul:
        trips.append("nul")
    if not found.has_header:
        trips.append("no-header")
    if found.eight_bit_header:
        trips.append("8bit-header")
    if found.longest_line > 998:
        trips.append("long-line")
    return tuple(trips)
