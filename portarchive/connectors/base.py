"""The one protocol between a job and the other side of the wire.

It is per *account*: a JMAP account reports changes for all mailboxes at once, and one message may
be in several of them. A connector that works folder by folder keeps that to itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from portarchive.placing import (
    FolderLook,
    FolderReady,
    FolderWish,
    Parcel,
    PlaceOutcome,
    Present,
    Refused,
    TargetCapabilities,
    Whereabouts,
)
from portarchive.records import (
    Body,
    Change,
    Failure,
    Folder,
    FolderFailed,
    MessageRef,
    SourceIdentity,
    Vanished,
)

Outcome = Body | Failure | Vanished
"""What became of one message that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCapabilities:
    """What a source can do, known before the work starts.

    Attributes:
        removals: it reports what is gone without a whole listing.
        object_ids: equal ``MessageRef.email_id`` means equal octets.
        flags_in_listing: references name flags before the octets are fetched.
        imap_uids: uids are IMAP UIDs; else any string of the connector's own.
    """

    removals: bool = False
    object_ids: bool = False
    flags_in_listing: bool = False
    imap_uids: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a job asks of ``Source.changes``.

    Attributes:
        folders: the folders to visit, in this order.
        tokens: by folder_id, what ``FolderDone.token`` was in the last run. A folder without
            one is listed whole.
        relist: folder_ids to be listed whole though they have a token (something of them is
            still missing here). Their token still tells the UIDVALIDITY of the last run: when it
            changed, references carry ``size``, ``received`` and ``message_id`` for matching.
        describe: references must carry flags, received and size before the fetch
            (a filter needs them).
    """

    folders: Sequence[Folder]
    tokens: Mapping[str, Mapping[str, Any]]
    relist: Collection[str] = ()
    describe: bool = False


@runtime_checkable
class Source(Protocol):
    """The reading side of a connector. Never changes what it reads.

    Every method raises ``ConnectorError`` and nothing else of its own: ``AuthenticationFailed``,
    ``Unreachable``, ``ConnectionLost`` (reconnecting is worth it), ``RateLimited``,
    ``TokenExpired``, ``ServerMisbehaved``.
    """

    capabilities: SourceCapabilities

    def identity(self) -> SourceIdentity:
        """Who and where; after the connection stands."""
        ...

    def folders(self) -> Sequence[Folder]:
        """All mailboxes the account sees, all namespaces, parents before children."""
        ...

    def changes(self, wanted: Wanted) -> Iterator[Change]:
        """The state of the wanted folders, or what changed in them since their tokens.

        Per folder: ``FolderOpened``, references in ascending uid order and removals, a
        ``FetchPoint`` if anything was named (and within long listings one every some thousand
        references, with ``more``), then once more references and a ``FetchPoint`` for what arrived
        meanwhile, then ``FolderDone``; or ``FolderFailed``. Folders may interleave, and one
        ``FetchPoint`` may be for several of them.
        """
        ...

    def fetch(self, refs: Sequence[MessageRef]) -> Iterator[tuple[MessageRef, Outcome]]:
        """The octets of these messages, each exactly once, in any order, as they arrive.

        The reference that comes back has everything known: flags, received, size. A body is to be
        read before the next one is asked for. A message that cannot be had is an outcome; an
        exception means the connection, and tells nothing about what was not yet yielded.
        """
        ...

    def reconnect(self) -> None:
        """Throw the connections away and log in again."""
        ...

    def close(self) -> None:
        """Log out; never raises."""
        ...


@runtime_checkable
class Recalling(Protocol):
    """A source whose names hang on what it was told once and may not be told again."""

    def recall(self, said: Mapping[str, Any] | None) -> None:
        """Name the folders as an archive has them, where the server does not say how.

        To be called between ``identity``, whose ``namespaces`` are ``assumed`` or None then, and
        ``folders``. Without effect where the server does say.

        Args:
            said: ``SourceIdentity.namespaces`` of an earlier run.
        """
        ...


@runtime_checkable
class Target(Protocol):
    """The writing side of a connector. It adds; it never removes, moves or changes what it finds.

    (One exception: ``Merged`` joins mailboxes and keywords to an Email that is there already.)
    Raises what ``Source`` raises. Nothing is looked up here and nothing is repeated: after an
    exception or an ``Unsure`` the job looks what is there (``existing``) and matches.
    """

    capabilities: TargetCapabilities

    def identity(self) -> SourceIdentity:
        """Who and where; after the connection stands."""
        ...

    def whereabouts(self) -> Whereabouts:
        """By what other imports into the same place are known.

        Asked before anything is looked at, and never by a plan: a tree of files is made if it is
        not there.
        """
        ...

    def folders(self) -> Sequence[Folder]:
        """All mailboxes of the account, all namespaces, parents before children."""
        ...

    def ensure(
        self, wishes: Sequence[FolderWish]
    ) -> Iterator[tuple[FolderWish, FolderReady | Refused]]:
        """Make mailboxes and subscriptions, in the order given; one answer each.

        One that exists meanwhile is ready, not refused.
        """
        ...

    def existing(
        self, folder_ids: Sequence[str], newer_than: Mapping[str, str] | None = None
    ) -> Iterator[FolderLook | Present | FolderFailed]:
        """What is in these mailboxes: a ``FolderLook``, then its messages; or ``FolderFailed``.

        Args:
            folder_ids: which.
            newer_than: by folder_id a uid: only messages that came after it. A target that has no
                order names all.
        """
        ...

    def headers(
        self, messages: Sequence[Present]
    ) -> Iterator[tuple[Present, bytes | Failure | Vanished]]:
        """The header of each, up to and with the first empty line; any order.

        Marks nothing as read.
        """
        ...

    def fetch(self, messages: Sequence[Present]) -> Iterator[tuple[Present, Outcome]]:
        """The octets of each, as ``Source.fetch`` gives them; any order. Marks nothing as read."""
        ...

    def place(self, parcels: Iterable[Parcel]) -> Iterator[tuple[Parcel, PlaceOutcome]]:
        """Add messages; one outcome each, in any order, as answers arrive.

        Takes parcels as it needs them, a window ahead at most. A refused batch is bisected inside.
        When the connection breaks, what was sent and not answered comes back as ``Unsure``, and
        then the error is raised; parcels that it took and did not send come back as ``Unsure`` too.
        """
        ...

    def reconnect(self) -> None:
        """Throw the connections away and log in again."""
        ...

    def close(self) -> None:
        """Log out; never raises."""
        ...
