"""A JMAP account as a ``Target``: the surface that jobs see. Its neighbours do the work.

It is read by the source of the same account. A message goes with all its mailboxes at once
(``Email/import``); one that the account has already is joined to it (``Merged``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from portarchive.connectors.base import Outcome
from portarchive.connectors.jmap import convert, state
from portarchive.connectors.jmap.body import PiecedBody, StreamedBody
from portarchive.connectors.jmap.convert import whole
from portarchive.connectors.jmap.join import most_mailboxes
from portarchive.connectors.jmap.place import Placer
from portarchive.connectors.jmap.resource import MAIL
from portarchive.connectors.jmap.settings import JmapSettings
from portarchive.connectors.jmap.source import JmapSource
from portarchive.connectors.jmap.target_folders import FolderMaker
from portarchive.connectors.whereabouts import account_keys, inbox_keys
from portarchive.errors import ConnectorError, Unreachable
from portarchive.keywords import ROLES
from portarchive.placing import (
    Alteration,
    FolderLook,
    FolderReady,
    FolderWish,
    LineEnds,
    NameRules,
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

_CYRUS: Final = "https://cyrusimap.org/ns/jmap/mail"
_LEAST_NAME: Final = 100
"""RFC 8621 section 1.3.1: no server may have a smaller ``maxSizeMailboxName``."""

ALTERATIONS: Final[Mapping[bool, frozenset[Alteration]]] = {
    False: frozenset({Alteration.EMPTY, Alteration.OFFSET}),
    True: frozenset(
        {
            Alteration.EMPTY,
            Alteration.OFFSET,
            Alteration.BARE_LF,
            Alteration.NUL,
            Alteration.NO_HEADER,
            Alteration.EIGHT_BIT_HEADER,
            Alteration.EARLY_DATE,
        }
    ),
}
"""The closed list by whether the server is Cyrus 3.6, which refuses or changes these."""

_CYRUS_FORBIDS: Final = '!"%/;<>\\`{|}'
"""Signs that Cyrus 3.6 has in no name; by IMAP it takes some of them."""

_CYRUS_ROLES: Final = frozenset(
    {"archive", "drafts", "important", "junk", "sent", "snoozed", "trash"}
)
_CYRUS_INSTANTS: Final = (1, (1 << 32) - 1)
"""The first and the last that it keeps: 32 bits without a sign, and 0 is now."""

_LOOKS: Final = 3
"""At mailboxes of which fewer are listed than counted: mail may go between the two answers."""

_HEADER: Final = 1 << 20
"""Octets of a header at most; more is taken for a message without an end of it."""


class JmapTarget:
    """See ``connectors.base.Target``.

    Attributes:
        capabilities: from the session object.
    """

    def __init__(self, settings: JmapSettings) -> None:
        """Connect and log in.

        Raises:
            Unreachable: also if the account can only be read, or if octets would have to go to a
                foreign host.
            AuthenticationFailed, RateLimited, ConnectionLost, ServerMisbehaved, SettingsError.
        """
        self._source = JmapSource(settings)
        self._session = self._source.session
        if self._session.account.read_only:
            self._source.close()
            raise Unreachable(
                "the account can only be read",
                hint="name another one with ?account=…, or ask its owner for the right to add",
                code="read-only-account",
            )
        try:
            self._session.check_upload()
        except ConnectorError:
            self._source.close()
            raise
        cyrus = self._is_cyrus
        self._placer = Placer(self._session, *_CYRUS_INSTANTS[1:] if cyrus else ())
        mail = self._session.account.capabilities.get(MAIL, {})
        self.capabilities = TargetCapabilities(
            names=NameRules(
                # a name may hold any sign; NUL stands for "none", since no name has one
                separator="\0",
                max_name=max(_LEAST_NAME, whole(mail.get("maxSizeMailboxName")) or 255),
                max_depth=whole(mail.get("maxMailboxDepth")) or None,
                forbidden=_CYRUS_FORBIDS if cyrus else "",
            ),
            line_ends=LineEnds.CRLF,
            append_limit=self._session.limits.max_size_upload,
            memberships=True,
            roles=_CYRUS_ROLES if cyrus else frozenset(ROLES) - {"inbox", "scheduled"},
            earliest=_CYRUS_INSTANTS[0] if cyrus else -(1 << 31),
            alterations=ALTERATIONS[cyrus],
            object_ids=True,
            merges=cyrus,  # its EMAILID is a hash of the octets
            max_memberships=most_mailboxes(self._session),
        )

    @property
    def _is_cyrus(self) -> bool:
        return _CYRUS in self._session.resource.capabilities

    def identity(self) -> SourceIdentity:
        """See ``Target.identity``."""
        return self._source.identity()

    def whereabouts(self) -> Whereabouts:
        """See ``Target.whereabouts``: by the ids of account and inbox, and by its owner."""
        session = self._session
        settings, account = session.settings, session.account
        names = [account.account_id]
        if settings.account is None or account.account_id == session.resource.primary:
            names.append(settings.user)
        places = [(settings.host, settings.port)]
        url = urlsplit(session.resource.api_url)
        if url.hostname:
            places.append((url.hostname, url.port or (443 if url.scheme == "https" else 80)))
        keys = [key for place in places for name in names for key in account_keys(*place, name)]
        for folder in self._source.folders():
            keys += inbox_keys(folder.uid if "inbox" in folder.roles else None)
        return Whereabouts(tuple(dict.fromkeys(keys)))

    def folders(self) -> Sequence[Folder]:
        """See ``Target.folders``."""
        return self._source.folders()

    def ensure(
        self, wishes: Sequence[FolderWish]
    ) -> Iterator[tuple[FolderWish, FolderReady | Refused]]:
        """See ``Target.ensure``. A level at a time, each in one request."""
        return FolderMaker(self._session, self.capabilities.roles).make(wishes)

    def existing(
        self, folder_ids: Sequence[str], newer_than: Mapping[str, str] | None = None
    ) -> Iterator[FolderLook | Present | FolderFailed]:
        """See ``Target.existing``. Ids have no order: all are named.

        A mailbox of which the server counts more than it lists, at each look, fails: what is not
        shown would be placed there once more.
        """
        del newer_than
        for _ in range(_LOOKS):
            boxes = state.survey(self._session).boxes
            found = self._listed([k for k in folder_ids if k in boxes and boxes[k].readable])
            short = {k for k in found if (boxes[k].folder.messages or 0) > len(found[k])}
            if not short:
                break
        for key in folder_ids:
            if key not in found:
                text = "there is no such mailbox" if key not in boxes else "it may not be read"
                yield FolderFailed(key, "folder-unavailable", text)
            elif key in short:
                counted = boxes[key].folder.messages
                text = f"the server counts {counted} messages and lists {len(found[key])}"
                yield FolderFailed(key, "listing-mismatch", text)
            else:
                yield FolderLook(key, messages=len(found[key]))
                yield from found[key]

    def _listed(self, folder_ids: Sequence[str]) -> dict[str, list[Present]]:
        """What is in these mailboxes."""
        found: dict[str, list[Present]] = {key: [] for key in folder_ids}
        ids = state.all_ids(self._session, folder_ids) if folder_ids else []
        for emails, _ in self._session.get("Email", ids, convert.PROPERTIES):
            for email in emails:
                for present in _presents(email, found):
                    found[present.folder_id].append(present)
        return found

    def headers(
        self, messages: Sequence[Present]
    ) -> Iterator[tuple[Present, bytes | Failure | Vanished]]:
        """See ``Target.headers``."""
        for present, outcome in self.fetch(messages):
            if isinstance(outcome, Failure | Vanished):
                yield present, outcome
                continue
            octets = b""
            for chunk in outcome.chunks():
                octets += chunk
                if _end_of_header(octets) is not None or len(octets) > _HEADER:
                    break
            yield present, octets[: _end_of_header(octets)]

    def fetch(self, messages: Sequence[Present]) -> Iterator[tuple[Present, Outcome]]:
        """See ``Target.fetch``. An Email in several mailboxes is fetched for each."""
        waiting = {(present.folder_id, present.uid): present for present in messages}
        rounds: list[dict[str, Present]] = []
        for present in waiting.values():
            for part in rounds:
                if present.uid not in part:
                    part[present.uid] = present
                    break
            else:
                rounds.append({present.uid: present})
        for part in rounds:
            for ref, outcome in self._source.fetch([_reference(each) for each in part.values()]):
                yield part[ref.placements[0].uid], outcome
                if isinstance(outcome, StreamedBody | PiecedBody):
                    outcome.finish()

    def place(self, parcels: Iterable[Parcel]) -> Iterator[tuple[Parcel, PlaceOutcome]]:
        """See ``Target.place``."""
        return self._placer.place(parcels)

    def reconnect(self) -> None:
        """See ``Target.reconnect``. What the old connection sent has come to its end then."""
        self._source.reconnect()
        self._placer.settle()

    def close(self) -> None:
        """Close all connections; never raises."""
        self._source.close()


def _presents(email: Mapping[str, Any], wanted: Mapping[str, object]) -> Iterator[Present]:
    keys = [key for key in convert.mailbox_ids(email) if key in wanted]
    if not keys or convert.object_id(email["id"]) is None:
        return
    ref = convert.reference(email, keys)
    for place in ref.placements:
        yield Present(
            place.folder_id,
            place.uid,
            ref.size,
            place.flags or (),
            place.received or convert.received(""),
            ref.email_id,
        )


def _reference(present: Present) -> MessageRef:
    place = Placement(present.folder_id, present.uid, present.flags, present.received)
    return MessageRef((place,), size=present.size, email_id=present.email_id)


def _end_of_header(octets: bytes) -> int | None:
    """Behind the first empty line; None if it has not come yet."""
    if octets.startswith((b"\r\n", b"\n")):
        return octets.index(b"\n") + 1
    ends = [at + len(mark) for mark in (b"\r\n\r\n", b"\n\n") if (at := octets.find(mark)) >= 0]
    return min(ends, default=None)


def open_target(settings: JmapSettings) -> JmapTarget:
    """Connect and log in.

    Raises:
        Unreachable, AuthenticationFailed, RateLimited, ConnectionLost, ServerMisbehaved,
        SettingsError.
    """
    return JmapTarget(settings)
