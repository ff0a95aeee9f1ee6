"""Pieces: the messages that an import has in hand, and what is known of each. No decisions here.

There is one for each message of a folder, at once: what is kept of a message is kept small.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from portarchive.archive.contents import ContentFolder, Contents, Item
from portarchive.likeness import Likeness, likeness, likeness_of
from portarchive.placing import LineEnds
from portarchive.records import Received

WHOLE: Final = 8 << 20
"""Messages up to so many octets are held in memory while they are looked at or sent."""

NOTHING: Final = bytes(16)
"""In place of the digest of what a message does not have."""


class State(StrEnum):
    """What became of a message of the archive; each has exactly one at the end."""

    OPEN = "open"
    PRESENT = "present"
    PLACED = "placed"
    MERGED = "merged"
    FAILED = "failed"
    SKIPPED = "skipped"


class Print(NamedTuple):
    """What of a message's likeness is kept in memory.

    Attributes:
        size: octets as they are sent to this target.
        digests: five of 16 octets each and one of 32, in the order of the properties.
        ends: its line ends.
        plain: nothing that a server trips over.
        trips: what a server may trip over (values of ``Alteration``).
    """

    size: int
    digests: bytes
    ends: LineEnds
    plain: bool
    trips: tuple[str, ...]

    @property
    def octets(self) -> bytes:
        """Of the canonical octets, see ``Likeness``."""
        return self.digests[:16]

    @property
    def header(self) -> bytes:
        """Of the header."""
        return self.digests[16:32]

    @property
    def body(self) -> bytes:
        """Of the body."""
        return self.digests[32:48]

    @property
    def message_id(self) -> bytes:
        """Of the Message-ID (``name_of``); ``NOTHING`` without one."""
        return self.digests[48:64]

    @property
    def ident(self) -> bytes:
        """Of Date, From and Subject; ``NOTHING`` if it has none of them."""
        return self.digests[64:80]

    @property
    def sha256(self) -> bytes:
        """Of all octets as they are."""
        return self.digests[80:]


@dataclass(slots=True, eq=False)
class Piece:
    """One item of the archive on its way into one mailbox of the target.

    Attributes:
        key: its number.
        folder: the archive's folder.
        folder_id: the target's mailbox; "" while it does not exist yet.
        flags: to be set.
        own_uid, member, size, digest, text_received, epoch: of the item; the digest in 32 octets,
            where the archive tells none that of what was read.
        email_id: of the item, where it is of use.
        look: None until its octets were read, and when it is not needed any more.
        plain: they were read, are what ``size`` and ``digest`` say, and hold nothing that a server
            trips over; they are sent as they are. Without ``look``, that is all that is known.
        uid: on the target, once known.
        code, text: why it failed or was skipped; by which round it is present.
        altered: what the target changed.
        named: an earlier run said so.
        differs: what of flags and date is not as it was, of what was there already.
        known: all of that is on the target's closed list.
        line_ends: only line ends differ from the archive's octets.
        careful: it was sent once and not answered.
        kept: the source had lost it; it came with ``--include-kept``.
        twins: further pieces that go in the same parcel (one message in several mailboxes).
    """

    key: int
    folder: ContentFolder
    folder_id: str
    flags: tuple[str, ...]
    own_uid: str
    member: str
    size: int | None
    digest: bytes | None
    text_received: str | None
    epoch: int | None
    email_id: str | None = None
    state: State = State.OPEN
    look: Print | None = None
    uid: str = ""
    code: str = ""
    text: str = ""
    altered: tuple[str, ...] = ()
    known: bool = False
    named: bool = False
    differs: tuple[str, ...] = ()
    line_ends: bool = False
    careful: bool = False
    plain: bool = False
    kept: bool = False
    twins: tuple[Piece, ...] = ()

    @property
    def item(self) -> Item:
        """Enough of the archive's item to read its octets."""
        digest = self.digest.hex() if self.digest is not None else None
        return Item(
            self.folder.path,
            self.own_uid,
            self.member,
            (),
            self.received,
            "",
            self.size,
            digest,
            self.email_id,
            None,
            (),
            kept=False,
        )

    @property
    def received(self) -> Received:
        """When the source received it."""
        return Received(self.text_received, self.epoch)

    @property
    def octets(self) -> bytes | None:
        """Digest of what is sent (``Print.octets``), once it was read."""
        if self.look is not None:
            return self.look.octets
        return self.digest[:16] if self.plain and self.digest is not None else None

    @property
    def parts(self) -> tuple[Piece, ...]:
        """Itself and its twins."""
        return (self, *self.twins)

    def fail(self, code: str, text: str) -> None:
        """It is not on the target, and this is why."""
        self.state, self.code, self.text = State.FAILED, code, text

    def skip(self, reason: str) -> None:
        """It was not meant to be brought."""
        self.state, self.code = State.SKIPPED, reason


def piece_of(
    key: int, item: Item, folder: ContentFolder, folder_id: str, flags: tuple[str, ...]
) -> Piece:
    """A piece of an item of the archive.

    Args:
        key: its number.
        item: as the archive has it.
        folder: the archive's folder.
        folder_id: where it goes.
        flags: what it is to bear there.
    """
    return Piece(
        key,
        folder,
        folder_id,
        flags,
        item.uid,
        item.member,
        item.size,
        bytes.fromhex(item.sha256) if item.sha256 is not None else None,
        item.received.text,
        item.received.epoch,
        kept=item.kept,
    )


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
    return print_of_chunks(contents.chunks(item), ends)


def print_of_chunks(chunks: Iterable[bytes], ends: LineEnds) -> Print:
    """The same of a message that comes in chunks."""
    counter = _Counter()
    found = likeness(counter.count(chunks))
    bare_lf = found.line_ends is LineEnds.MIXED and counter.lines != counter.pairs
    return print_of(found, counter.lines, ends, cr_run=counter.cr_run, bare_lf=bare_lf)


def print_of_octets(octets: bytes, ends: LineEnds) -> Print:
    """The same of a message in memory."""
    found = likeness_of(octets)
    cr_run = b"\r\r\n" in octets or octets.endswith(b"\r")
    lines = octets.count(b"\n")
    bare_lf = found.line_ends is LineEnds.MIXED and lines != octets.count(b"\r\n")
    return print_of(found, lines, ends, cr_run=cr_run, bare_lf=bare_lf)


class _Counter:
    """Counts LF and CR LF on the way, and looks for more than one CR before one."""

    lines = 0
    pairs = 0
    cr_run = False

    def count(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        end = b""
        for chunk in chunks:
            self.lines += chunk.count(b"\n")
            self.pairs += chunk.count(b"\r\n") + (end[-1:] == b"\r" and chunk[:1] == b"\n")
            self.cr_run = self.cr_run or b"\r\r\n" in end + chunk
            end = (end + chunk)[-2:]
            yield chunk
        self.cr_run = self.cr_run or end.endswith(b"\r")


def print_of(
    found: Likeness, lines: int, ends: LineEnds, *, cr_run: bool = False, bare_lf: bool = False
) -> Print:
    """Cut a likeness down to what is kept.

    Args:
        found: of the archive's octets, or the target's.
        lines: LF in it.
        ends: what it is sent with.
        cr_run: it has CR CR LF somewhere, or CR at its end.
        bare_lf: some lines end in LF alone, others do not.
    """
    size = found.size
    if found.line_ends in (LineEnds.CRLF, LineEnds.LF):
        size = found.canonical_size - (lines if ends is LineEnds.LF else 0)
    ident = NOTHING
    if found.sent or found.sender or found.subject:
        ident = _digest(b"\n".join((found.sent, found.sender, found.subject)))
    trips = _trips(found, bare_lf=bare_lf)
    return Print(
        size,
        found.canonical_sha256[:16]
        + found.header_sha256[:16]
        + found.body_sha256[:16]
        + name_of(found.message_id)
        + ident
        + found.sha256,
        found.line_ends,
        found.plain and not cr_run,
        (*trips, "cr-run") if cr_run else trips,
    )


def name_of(message_id: bytes) -> bytes:
    """What is kept of a Message-ID, without blanks around it; ``NOTHING`` of an empty one."""
    return _digest(message_id) if message_id else NOTHING


def _digest(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()[:16]


def _trips(found: Likeness, *, bare_lf: bool) -> tuple[str, ...]:
    trips = []
    if not found.size:
        trips.append("empty")
    if bare_lf:
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
