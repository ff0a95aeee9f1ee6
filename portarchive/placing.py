"""Placing: the records that cross between a job and a target. Frozen, stdlib only.

A *parcel* is one message on its way to a target with every placement it is to have there. What
became of it is an *outcome*: data, never an exception. What a target has already is ``Present``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from portarchive.records import Folder, Received


class Alteration(StrEnum):
    """One thing that a kind of server is known to do to a message that it is given.

    The lists of what each server does are closed (``TargetCapabilities.alterations``): whatever
    else differs after placing is a fault. "Refuses" and "changes" are both meant: a server that
    refuses such messages today changes them tomorrow.
    """

    BARE_LF = "bare-lf"
    """A line end that is LF alone becomes CR LF, or is refused."""
    NUL = "nul"
    """An octet 0 is changed or refused."""
    NO_HEADER = "no-header"
    """A message without any header field is refused."""
    EIGHT_BIT_HEADER = "8bit-header"
    """Octets over 127 in the header are replaced, at the same size."""
    EMPTY = "empty"
    """A message of no octets at all is refused (a zero-length literal cancels APPEND)."""
    LAST_LF = "last-lf"
    """The last LF of a message without an empty line is lost."""
    LINE_ENDS = "line-ends"
    """All line ends become the target's own."""
    CR_RUN = "cr-run"
    """One CR of several before an LF, and one at the very end, are lost (docs/adr/0014)."""
    EARLY_DATE = "early-date"
    """An instant before ``TargetCapabilities.earliest`` becomes another, or is refused."""
    FUTURE_DATE = "future-date"
    """An instant in the future becomes now."""
    OFFSET = "offset"
    """The instant is kept, its zone offset is not."""
    FLAGS = "flags"
    """Flags and keywords are not kept at all."""


class LineEnds(StrEnum):
    """What the lines of a message end with; CR alone counts as neither."""

    NONE = "none"
    """There is no line end in it."""
    CRLF = "crlf"
    LF = "lf"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRules:
    """What the names of mailboxes may be on a target; what it does not say is tried and seen.

    Attributes:
        separator: between the names of a path; a name cannot hold it. "" for a flat target.
        forbidden: further characters that no name may hold.
        max_name: UTF-8 octets of one name; None if not known.
        max_path: UTF-8 octets of all names with separators; None if not known.
        max_depth: names in a path; None if not known.
        fold_case: names that differ in case only are one mailbox.
        trims: a name must not begin or end with a blank (Gmail).
    """

    separator: str = "/"
    forbidden: str = ""
    max_name: int | None = None
    max_path: int | None = None
    max_depth: int | None = None
    fold_case: bool = False
    trims: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetCapabilities:
    """What a target keeps, known before the work starts: the plan shows what will be lost.

    Attributes:
        names: rules for the names of mailboxes.
        line_ends: ``CRLF`` or ``LF``: what a message with uniform line ends is sent with.
        append_limit: octets of one message (RFC 7889, maxSizeUpload); None if it names none.
        memberships: one message may be in several folders: its placements go in one parcel.
        roles: those that can be given to a mailbox that is created (RFC 6154 CREATE-SPECIAL-USE).
        subscriptions: it keeps them.
        keywords: it can keep keywords at all; which ones is ``FolderLook``'s to say.
        earliest: with ``EARLY_DATE``: the first instant that is kept, seconds since 1970.
        offsets: instants keep their zone offset.
        alterations: the closed list of what this server does to messages.
        object_ids: ``Present.email_id`` is given.
        labels: mailboxes are labels of one message store (Gmail): copies count once.
        merges: equal octets are one message, wherever they are and however often they come.
        max_memberships: folders that one message may be in; None if it names no limit.
    """

    names: NameRules
    line_ends: LineEnds = LineEnds.CRLF
    append_limit: int | None = None
    memberships: bool = False
    roles: frozenset[str] = frozenset()
    subscriptions: bool = True
    keywords: bool = True
    earliest: int = -(1 << 31)
    offsets: bool = False
    alterations: frozenset[Alteration] = frozenset()
    object_ids: bool = False
    labels: bool = False
    merges: bool = False
    max_memberships: int | None = None


class Whereabouts(NamedTuple):
    """What tells a target from others however it was spelt, so that two imports do not meet there.

    Attributes:
        keys: names of it; whoever reaches the same place from this machine shares one at least,
            as far as that can be known. None where nothing but the spelling is known.
        directory: of files: the tree, which is there by now; a lock on it (flock) is seen by all
            who reach it.
    """

    keys: tuple[str, ...] = ()
    directory: Path | None = None


# --- folders ------------------------------------------------------------------------------------


class FolderWish(NamedTuple):
    """A mailbox that there has to be.

    Attributes:
        path: its names on the target, within its ``NameRules``; the target adds its own prefix.
        folder_id: of ``Target.folders``, if it is there already; then only ``subscribe`` is done.
        role: to be given to it if it is created and the target can; else it is left.
        subscribe: None to leave it as it is.
    """

    path: tuple[str, ...]
    folder_id: str | None = None
    role: str | None = None
    subscribe: bool | None = None


class FolderReady(NamedTuple):
    """The mailbox is there and takes messages.

    Attributes:
        folder: as the target lists it now.
        created: it was not there before.
        lost: what of the wish could not be had: ``role``, ``subscription``, with the server's words
            behind a colon.
    """

    folder: Folder
    created: bool
    lost: tuple[str, ...] = ()


# --- what is there ------------------------------------------------------------------------------


class FolderLook(NamedTuple):
    r"""A mailbox of the target was opened; its messages follow.

    Attributes:
        folder_id: ``Folder.folder_id``.
        uidvalidity: IMAP only.
        keywords: those that it says it keeps, archive spelling, system flags among them; None if
            it did not say.
        new_keywords: ``\*`` in PERMANENTFLAGS: others can be made.
        append_limit: of this mailbox alone (STATUS APPENDLIMIT), if it has one.
        messages: how many it says there are.
    """

    folder_id: str
    uidvalidity: int | None = None
    keywords: tuple[str, ...] | None = None
    new_keywords: bool = True
    append_limit: int | None = None
    messages: int | None = None


class Present(NamedTuple):
    """A message in a mailbox of the target.

    Attributes:
        folder_id, uid: where. JMAP gives one ``Present`` for each mailbox of an Email, all with
            the Email's id as uid.
        size: octets, as the target counts them; None if it cannot be had without reading it.
        flags: archive spelling.
        received: INTERNALDATE or receivedAt.
        email_id: RFC 8474 EMAILID or JMAP id.
    """

    folder_id: str
    uid: str
    size: int | None
    flags: tuple[str, ...]
    received: Received
    email_id: str | None = None


# --- placing ------------------------------------------------------------------------------------


class Spot(NamedTuple):
    """One placement that a message is to have.

    Attributes:
        folder_id: of a ``FolderReady``.
        flags: archive spelling; every one passes the target's grammar (the target drops and
            reports one that does not).
        received: ``epoch`` None: the target's own now.
    """

    folder_id: str
    flags: tuple[str, ...]
    received: Received


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message to be placed.

    Attributes:
        key: the job's own; comes back with the outcome.
        spots: one, or several where the target has ``memberships``.
        size: octets, exactly what ``chunks`` gives.
        octets: the whole message, if it is small; else None.
        chunks: the octets in order, from the start at each call.
        careful: it was sent before and its answer was lost or it broke the connection: alone,
            nothing sent ahead of the server's consent.
    """

    key: int
    spots: tuple[Spot, ...]
    size: int
    octets: bytes | None
    chunks: Callable[[], Iterator[bytes]] = field(repr=False)
    careful: bool = False


class Placed(NamedTuple):
    """It is there.

    Attributes:
        uids: (folder_id, uid) of each spot, uid "" where the target did not say (no UIDPLUS).
        email_id: where known.
        altered: the target itself says that it changed the message (another blobId).
    """

    uids: tuple[tuple[str, str], ...]
    email_id: str | None = None
    altered: bool = False


class Merged(NamedTuple):
    """The target had this very message: spots and keywords were joined to it (alreadyExists)."""

    uids: tuple[tuple[str, str], ...]
    email_id: str


class Refused(NamedTuple):
    """The target does not take this one message.

    Attributes:
        code: ``too-big``, ``limit``, ``over-quota``, ``keyword`` (a flag was refused; without it
            the message may pass), ``date``, ``bad-message``, ``folder-gone``, ``refused``.
        text: the server's own words, unchecked.
    """

    code: str
    text: str


class Unsure(NamedTuple):
    """It was sent and the answer was lost: look whether it is there before it is sent again.

    Attributes:
        text: what happened.
        email_id: of the message that the target had already, and that it was being joined to.
    """

    text: str
    email_id: str | None = None


PlaceOutcome = Placed | Merged | Refused | Unsure
