"""An IMAP account as a ``Target``: the surface that jobs see. Its neighbours do the work.

It adds mailboxes, subscriptions and messages; no command here removes or changes what it finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from portarchive.connectors.base import Outcome
from portarchive.connectors.imap import folders, mailbox_rules
from portarchive.connectors.imap.append import Placer
from portarchive.connectors.imap.append_refusals import Known
from portarchive.connectors.imap.append_settle import Breaks
from portarchive.connectors.imap.append_windows import Suspects, Ways
from portarchive.connectors.imap.create import Maker
from portarchive.connectors.imap.fetch import Fetcher
from portarchive.connectors.imap.known_changes import ALTERATIONS, EARLIEST, Server, recognise
from portarchive.connectors.imap.ledger import Ledger
from portarchive.connectors.imap.look import Looker
from portarchive.connectors.imap.look_headers import Headers
from portarchive.connectors.imap.namespaces import namespaces
from portarchive.connectors.imap.parser import Token
from portarchive.connectors.imap.pool import Pool
from portarchive.connectors.imap.responses import Data, Response
from portarchive.connectors.imap.session import Session
from portarchive.connectors.imap.settings import ImapSettings
from portarchive.connectors.whereabouts import account_keys, inbox_keys
from portarchive.placing import (
    Alteration,
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
    Failure,
    Folder,
    FolderFailed,
    MessageRef,
    Placement,
    SourceIdentity,
    Vanished,
)


class ImapTarget:
    """See ``connectors.base.Target``.

    Attributes:
        settings: what it was opened with.
        capabilities: what the server keeps.
    """

    def __init__(self, settings: ImapSettings) -> None:
        """Connect and log in.

        Raises:
            Unreachable, AuthenticationFailed, RateLimited, ConnectionLost, ServerMisbehaved.
        """
        self.settings = settings
        self._pool = Pool(settings)
        self._ledger = Ledger()
        self._suspects = Suspects()
        self._breaks = Breaks()
        self._refusals = Known()
        self._limits: dict[str, int] = {}
        self._listed: dict[str, Folder] = {}
        try:
            self._ask(self._pool.main())
        except BaseException:
            self._pool.close()
            raise

    def _ask(self, session: Session) -> None:
        """What has to be known of the server before anything else."""
        spaces = namespaces(session)
        self._prefixes, self._namespaces = spaces
        space = mailbox_rules.personal(self._prefixes)
        octets = _separator(session) if space is None else space.delimiter
        self._separator = octets.decode("ascii", "ignore")
        self.capabilities = self._known(session)

    def _known(self, session: Session) -> TargetCapabilities:
        have, settings = session.capabilities, self.settings
        kind = self._kind = recognise(session.server, have, settings.host)
        alterations = ALTERATIONS[kind]
        return TargetCapabilities(
            names=mailbox_rules.rules(kind, self._separator, settings.user),
            append_limit=_limit(have),
            roles=mailbox_rules.roles(kind, have),
            earliest=EARLIEST.get(kind, -(1 << 31)),
            offsets=Alteration.OFFSET not in alterations,
            alterations=alterations,
            object_ids=bool({"OBJECTID", "X-GM-EXT-1"} & have or "OBJECTID+" in session.enabled),
            labels="X-GM-EXT-1" in have,
        )

    def identity(self) -> SourceIdentity:
        """Who and where."""
        session = self._pool.main()
        return SourceIdentity(
            protocol="imap",
            service=self.settings.service,
            account=self.settings.user,
            server=dict(session.server),
            capabilities=tuple(sorted(session.capabilities)),
            namespaces=self._namespaces,
        )

    def whereabouts(self) -> Whereabouts:
        """See ``Target.whereabouts``: by the host's name, its addresses, and where we are now."""
        settings, session = self.settings, self._pool.main()
        keys = account_keys(settings.host, settings.port, settings.user, sock=session.stream.sock)
        return Whereabouts((*keys, *inbox_keys(_inbox_id(session))))

    # --- folders --------------------------------------------------------------------------------

    def folders(self) -> Sequence[Folder]:
        """See ``Target.folders``."""
        every = folders.list_folders(self._pool.main(), self._prefixes)[0]
        listed = mailbox_rules.open_to_mail(self._kind, every)
        self._listed = {folder.folder_id: folder for folder in listed}
        return listed

    def ensure(
        self, wishes: Sequence[FolderWish]
    ) -> Iterator[tuple[FolderWish, FolderReady | Refused]]:
        """See ``Target.ensure``. All commands are sent before the first answer is told."""
        if wishes:
            session, known = self._pool.main(), self._listed
            maker = Maker(session, self._prefixes, self._separator, known, self._kind)
            yield from maker.ensure(wishes)

    # --- what is there --------------------------------------------------------------------------

    def existing(
        self, folder_ids: Sequence[str], newer_than: Mapping[str, str] | None = None
    ) -> Iterator[FolderLook | Present | FolderFailed]:
        """See ``Target.existing``.

        After a connection was lost it waits until the server is done with what that had sent.
        """
        self._breaks.settle(self._pool.main())
        looker = Looker(self._pool, self._ledger, self._limits)
        return looker.existing(folder_ids, newer_than or {})

    def headers(
        self, messages: Sequence[Present]
    ) -> Iterator[tuple[Present, bytes | Failure | Vanished]]:
        """See ``Target.headers``."""
        return Headers(self._pool, self._ledger).fetch(messages)

    def fetch(self, messages: Sequence[Present]) -> Iterator[tuple[Present, Outcome]]:
        """See ``Target.fetch``."""
        known = {(message.folder_id, message.uid): message for message in messages}
        refs = [
            MessageRef(
                (Placement(message.folder_id, message.uid, message.flags, message.received),),
                message.size,
                message.email_id,
            )
            for message in known.values()
        ]
        for ref, outcome in Fetcher(self._pool, self._ledger).fetch(refs):
            place = ref.placements[0]
            yield known[place.folder_id, place.uid], outcome

    # --- placing --------------------------------------------------------------------------------

    def place(self, parcels: Iterable[Parcel]) -> Iterator[tuple[Parcel, PlaceOutcome]]:
        """See ``Target.place``. Flags that pass no grammar are left out."""
        session = self._pool.main()
        ways = Ways.of(
            session.capabilities,
            utf8=session.utf8,
            limit=self.capabilities.append_limit,
            limits=self._limits,
            strict=self._kind is Server.CYRUS,
        )
        validity = self._ledger.validity
        placer = Placer(self._pool, ways, self._suspects, self._breaks, self._refusals, validity)
        yield from placer.place(parcels)

    # --- the end --------------------------------------------------------------------------------

    def reconnect(self) -> None:
        """See ``Target.reconnect``. What was suspected of breaking a connection stays suspected."""
        self._pool.reconnect()

    def close(self) -> None:
        """Log out; never raises."""
        self._pool.close()


def _limit(capabilities: frozenset[str]) -> int | None:
    """``APPENDLIMIT=n`` (RFC 7889 §2)."""
    for capability in capabilities:
        name, _, limit = capability.partition("=")
        if name == "APPENDLIMIT" and limit.isdecimal():
            return int(limit)
    return None


def _inbox_id(session: Session) -> str | None:
    """The MAILBOXID of the inbox (RFC 8474 §4.3); asked alone, for Cyrus 3.6's sake."""
    found: list[str] = []

    def note(response: Response) -> None:
        if isinstance(response, Data) and response.kind == b"STATUS":
            match response.tokens():
                case [bytes(), [bytes(), [bytes(uid)]]]:
                    found.append(uid.decode("ascii", "replace"))

    if "OBJECTID" in session.capabilities:
        session.run(b"STATUS INBOX (MAILBOXID)", handle=note)
    return found[-1] if found else None


def _separator(session: Session) -> bytes:
    """The hierarchy delimiter of a server without NAMESPACE (RFC 9051 §6.3.9); empty for none."""
    found: list[bytes] = []

    def note(response: Response) -> None:
        if isinstance(response, Data) and response.kind == b"LIST":
            tokens: list[Token] = response.tokens()
            if len(tokens) > 1 and isinstance(tokens[1], bytes):
                found.append(tokens[1][:1])

    session.run(b'LIST "" ""', handle=note)
    return found[0] if found else b""


def open_target(settings: ImapSettings) -> ImapTarget:
    """Connect and log in.

    Raises:
        Unreachable, AuthenticationFailed, RateLimited, ConnectionLost, ServerMisbehaved.
    """
    return ImapTarget(settings)
