"""Records: all that crosses between connectors, jobs and the archive. Frozen, stdlib only.

A *message* is octets plus identity; a *placement* is one message in one folder. A source yields
``MessageRef`` records (cheap: no octets), then the octets of those that are wanted. The hot ones
are NamedTuples: a mailbox has hundreds of thousands of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceIdentity:
    """Whose mail this is, and where it came from.

    Attributes:
        protocol: ``imap``, ``jmap``, ``maildir``, ``mbox``, ``memory``.
        service: the endpoint without user name and password, e.g. ``imaps://imap.example.org:993``.
        account: the login.
        server: name, vendor, version as the server gave them (RFC 2971 ID), unchecked text.
        capabilities: sorted.
        namespaces: RFC 2342, ``{"personal": [{"prefix", "delimiter"}], "other": …, "shared": …}``.
    """

    protocol: str
    service: str
    account: str
    server: Mapping[str, str] = field(default_factory=dict)
    capabilities: Sequence[str] = ()
    namespaces: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A mailbox of the source as it was listed, before it was opened.

    Attributes:
        folder_id: the connector's own key, unique and stable within one run.
        path: its names from the root, decoded to Unicode, the personal namespace's prefix removed.
            Octets that do not decode are surrogate escapes (PEP 383). Never empty.
        raw_name: the wire octets of the last name, only where they do not decode.
        uid: MAILBOXID (RFC 8474) or JMAP mailbox id, when known at listing time.
        roles: as in RFC 8621, lower case (``inbox``, ``sent``), in the order of the server.
        subscribed: None if unknown.
        selectable: False for a parent that holds no mail.
        namespace: ``personal``, ``other`` or ``shared`` (RFC 2342).
        messages: STATUS MESSAGES at listing time, None if unknown. For progress and the ledger.
        unlisted: it stands for folders that the source did not list, so that neither which there
            are nor which are gone is known: itself, and all whose path, joined by ``/``, begins so.
            Whoever wants it gets a ``FolderFailed`` that says why. None for a folder like others.
        doubtful: it is none as far as the source knows, but may have been one (a file that is no
            mbox any more). It counts where an archive has a folder of its path, as one that
            failed, and nowhere else: see ``choose.fitted``.
    """

    folder_id: str
    path: tuple[str, ...]
    raw_name: bytes | None = None
    uid: str | None = None
    roles: tuple[str, ...] = ()
    subscribed: bool | None = None
    selectable: bool = True
    namespace: str = "personal"
    display_name: str | None = None
    rights: str | None = None
    sort_order: int | None = None
    messages: int | None = None
    unlisted: str | None = None
    doubtful: bool = False


class Received(NamedTuple):
    """When the server received a message: INTERNALDATE (RFC 9051 §2.3.3) or JMAP receivedAt.

    Attributes:
        text: RFC 3339 with the offset the server sent; None if the value is missing or unusable.
        epoch: the same instant, seconds since 1970 UTC; None with ``text``.
        raw: the server's own spelling, only where it cannot be written as RFC 3339.
    """

    text: str | None
    epoch: int | None
    raw: str | None = None


class Placement(NamedTuple):
    """One message in one folder.

    Attributes:
        folder_id: ``Folder.folder_id``.
        uid: the item's uid as it is written: IMAP UID in decimal, JMAP Email id, …
        flags: in the archive's spelling (``keywords.to_archive``), in server order without
            duplicates; None while not known (a source may name a message before its flags).
        received: None while not known.
        save_date: RFC 8514 SAVEDATE as RFC 3339, when the server has it.
    """

    folder_id: str
    uid: str
    flags: tuple[str, ...] | None = None
    received: Received | None = None
    save_date: str | None = None


class MessageRef(NamedTuple):
    """A message of the source, without octets.

    Attributes:
        placements: at least one; more where the source says one message is in several folders.
        size: what the server says the octets count (RFC822.SIZE); None while not known.
        email_id: RFC 8474 EMAILID, JMAP id, X-GM-MSGID. Equal ids are the same octets.
        message_id: the Message-ID field as octets, only when the source was asked to identify
            messages across a UIDVALIDITY change (``b""``: has none).
        notes: codes for the ledger, e.g. ``no-date``.
    """

    placements: tuple[Placement, ...]
    size: int | None = None
    email_id: str | None = None
    thread_id: str | None = None
    labels: tuple[str, ...] | None = None
    message_id: bytes | None = None
    notes: tuple[str, ...] = ()


class Body(Protocol):
    """The octets of one message, read once, in order.

    What is not read to its end is skipped by the source before it goes on.

    Attributes:
        size: octets, as announced with them.
        octets: the whole message where the source had it in memory anyway (small messages), else
            None: then use ``chunks``.
    """

    size: int
    octets: bytes | None

    def chunks(self) -> Iterator[bytes]:
        """The octets in order.

        Raises:
            BodyCut: they end early; the reader drops what it has, the source brings it again.
        """
        ...


class Vanished(NamedTuple):
    """The message was gone before its octets could be had."""


class Failure(NamedTuple):
    """A message that cannot be had: data for the ledger, not an exception.

    Attributes:
        code: ``server-refused``, ``no-data``, ``nil-body``, ``cut``, ``placeholder``, ``budget`` …
        text: the server's own words (unchecked), or ours.
        body: octets that came in its place and are kept apart (a provider's placeholder).
    """

    code: str
    text: str
    body: bytes | None = None


# --- what ``Source.changes`` yields -------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderOpened:
    r"""A folder was opened. The same folder opened again: its listing starts over.

    Attributes:
        folder: the record of the listing, completed by what opening told (uid, rights).
        complete: True if every message of the folder will be named by a ``MessageRef``
            (those not named are gone); False if only changes since the token are named, with
            ``Removal`` for what is gone. False with no change at all is a folder standing still.
        uidvalidity: IMAP only; None elsewhere, and for UIDVALIDITY 0 (not valid, RFC 9051).
        counts: what the server said of the number of messages: keys ``exists``, ``status``.
        highest_modseq, uidnext: as the server said, when it did.
        allowed_keywords: PERMANENTFLAGS without ``\*``, only if the server said so.
        notes: codes for the ledger.
    """

    folder: Folder
    complete: bool
    uidvalidity: int | None = None
    uidnext: int | None = None
    highest_modseq: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    allowed_keywords: tuple[str, ...] | None = None
    notes: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Removal:
    """Messages that a folder no longer has, by positive signal (VANISHED, ``destroyed``)."""

    folder_id: str
    uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FetchPoint:
    """What was named so far may be fetched now, and must be before the next event is asked for.

    Attributes:
        more: in the middle of a listing, so that nobody holds all of it; it goes on after this.
    """

    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderDone:
    """A folder is finished.

    Attributes:
        token: to be handed to the next run; taken before the listing it belongs to.
        listed: how many messages the listing had, for the count comparison; None if not complete.
        arrived_later: messages that came after the last look and were not read.
        notes: ledger notes, ``{"code": …, "uid"?: …, …}``.
    """

    folder_id: str
    token: Mapping[str, Any]
    listed: int | None = None
    arrived_later: int = 0
    notes: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class FolderFailed:
    """A folder could not be opened or listed; the run goes on with the others."""

    folder_id: str
    code: str
    text: str


Change = FolderOpened | MessageRef | Removal | FetchPoint | FolderDone | FolderFailed
