"""An IMAP account as a ``Source``: the surface that jobs see. Its neighbours do the work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from portarchive.connectors.base import Outcome, SourceCapabilities, Wanted
from portarchive.connectors.imap import folders, namespaces
from portarchive.connectors.imap.changes import Visitor
from portarchive.connectors.imap.fetch import Fetcher
from portarchive.connectors.imap.folders import Known
from portarchive.connectors.imap.gmail_labels import with_own
from portarchive.connectors.imap.group import Grouped
from portarchive.connectors.imap.ledger import Ledger
from portarchive.connectors.imap.namespaces import Spaces
from portarchive.connectors.imap.pool import Pool
from portarchive.connectors.imap.responses import Status
from portarchive.connectors.imap.session import Session
from portarchive.connectors.imap.settings import ImapSettings
from portarchive.progress import Notice
from portarchive.records import Change, Folder, FolderFailed, MessageRef, SourceIdentity


class ImapSource:
    """See ``connectors.base.Source``. Reads by EXAMINE and PEEK only, and never changes anything.

    Attributes:
        settings: what it was opened with.
        capabilities: what the server can do for us.
    """

    def __init__(self, settings: ImapSettings) -> None:
        """Connect and log in.

        Raises:
            Unreachable, AuthenticationFailed, RateLimited, ConnectionLost, ServerMisbehaved.
        """
        self.settings = settings
        self._pool = Pool(settings)
        self._ledger = Ledger()
        self._known: dict[str, Known] = {}
        self._spaces: Spaces | None = None
        self._refusal: Status | None = None
        self._recalled = False
        self._told_of_jmap = False
        have = self._pool.main()
        self.capabilities = SourceCapabilities(
            removals="QRESYNC" in have.enabled,
            object_ids=bool(
                {"OBJECTID", "X-GM-EXT-1"} & have.capabilities or "OBJECTID+" in have.enabled
            ),
        )

    def identity(self) -> SourceIdentity:
        """Who and where. Asks for the namespaces at the first call."""
        session = self._pool.main()
        spaces = self._namespaces(session)
        if "JMAPACCESS" in session.capabilities and not self._told_of_jmap:
            self._told_of_jmap = True
            address = folders.jmap_access(session)
            if address is not None:
                text = f"this account can be had by JMAP too, with the same ids: {address}"
                self.settings.observer(Notice("jmap-access", text, "note"))
        return SourceIdentity(
            protocol="imap",
            service=self.settings.service,
            account=self.settings.user,
            server=dict(session.server),
            capabilities=tuple(sorted(session.capabilities)),
            namespaces=spaces.said,
        )

    def recall(self, said: Mapping[str, Any] | None) -> None:
        """See ``connectors.base.Recalling``."""
        session = self._pool.main()
        unannounced = self._namespaces(session).said is None
        if self._refusal is not None or (unannounced and said is not None):
            self._spaces = namespaces.recalled(said, utf8=session.utf8)
            self._recalled = True

    def folders(self) -> Sequence[Folder]:
        """See ``Source.folders``. What is listed here decides what ``changes`` need not ask."""
        session = self._pool.main()
        spaces = self._namespaces(session)
        if self._refusal is not None or self._recalled:
            self.settings.observer(namespaces.notice(self._refusal, spaces, known=self._recalled))
        listing = folders.list_folders(session, spaces.prefixes)
        self._known = listing.known
        for folder in listing.unread:
            text = self._known[folder.folder_id].refused or ""
            self.settings.observer(Notice("not-understood", text))
        return [*listing.folders, *listing.unread]

    def changes(self, wanted: Wanted) -> Iterator[Change]:
        """See ``Source.changes``. Small folders come together, with one fetch point."""
        mailboxes: list[Folder] = []
        for folder in wanted.folders:
            known = self._known.get(folder.folder_id)
            if known is not None and known.refused is not None:
                yield FolderFailed(folder.folder_id, known.code, known.refused)
            else:
                mailboxes.append(folder)
        visitor = Visitor(self._pool, self._known, self._ledger, wanted)
        labels = {key: known.label for key, known in self._known.items() if known.label}
        for event in Grouped(visitor).visit(mailboxes):
            if labels and isinstance(event, MessageRef) and event.labels is not None:
                own = labels.get(event.placements[0].folder_id)
                yield event._replace(labels=with_own(event.labels, own))
            else:
                yield event

    def fetch(self, refs: Sequence[MessageRef]) -> Iterator[tuple[MessageRef, Outcome]]:
        """See ``Source.fetch``."""
        return Fetcher(self._pool, self._ledger).fetch(refs)

    def reconnect(self) -> None:
        """See ``Source.reconnect``. A server that is away for a moment is ``ConnectionLost``."""
        self._pool.reconnect()

    def close(self) -> None:
        """Log out; never raises."""
        self._pool.close()

    def _namespaces(self, session: Session) -> Spaces:
        if self._spaces is None:
            spaces, refusal = namespaces.ask(session)
            if spaces is None:  # once more: it may have been the moment
                spaces, refusal = namespaces.ask(session)
            self._refusal = refusal
            self._spaces = spaces or namespaces.assumed(session)
        return self._spaces


def open_source(settings: ImapSettings) -> ImapSource:
    """Connect and log in.

    Raises:
        Unreachable, AuthenticationFailed, RateLimited, ConnectionLost, ServerMisbehaved.
    """
    return ImapSource(settings)
