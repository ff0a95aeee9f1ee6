"""A JMAP account as a ``Source``: the surface that jobs see. Its neighbours do the work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from portarchive.connectors.base import Outcome, SourceCapabilities, Wanted
from portarchive.connectors.jmap import state
from portarchive.connectors.jmap.changes import Visitor
from portarchive.connectors.jmap.fetch import Fetcher
from portarchive.connectors.jmap.resource import names
from portarchive.connectors.jmap.session import Session
from portarchive.connectors.jmap.settings import JmapSettings
from portarchive.connectors.jmap.state import Survey
from portarchive.errors import ConnectorError
from portarchive.progress import Notice
from portarchive.records import Change, Folder, MessageRef, SourceIdentity


class JmapSource:
    """See ``connectors.base.Source``. Calls methods that read, and no other.

    Attributes:
        settings: what it was opened with.
        session: what it speaks through.
    """

    capabilities = SourceCapabilities(
        removals=True, object_ids=True, flags_in_listing=True, imap_uids=False
    )

    def __init__(self, settings: JmapSettings) -> None:
        """Connect and log in.

        Raises:
            Unreachable: also if octets could only be had from a foreign host.
            AuthenticationFailed, RateLimited, ConnectionLost, ServerMisbehaved, SettingsError.
        """
        self.settings = settings
        self.session = Session(settings)
        self._survey: Survey | None = None
        self._is_fresh = False
        try:
            if self.session.blob_capability is None:
                self.session.check_download()
        except ConnectorError:
            self.session.close()
            raise
        self._fetcher = Fetcher(self.session)
        self._tell_of_shares()

    def identity(self) -> SourceIdentity:
        """Who and where.

        The account is the login for the user's own one only; of any other the name and the id: a
        login may have several, names repeat, and ids of mailboxes and messages are unique within
        an account and no further (RFC 8620 section 1.2).
        """
        session = self.session
        return SourceIdentity(
            protocol="jmap",
            service=self.settings.service,
            account=self._account(),
            capabilities=tuple(sorted(session.resource.capabilities)),
        )

    def folders(self) -> Sequence[Folder]:
        """See ``Source.folders``. What is found here spares ``changes`` a question."""
        self._survey, self._is_fresh = state.survey(self.session), True
        return [box.folder for box in self._survey.boxes.values()]

    def changes(self, wanted: Wanted) -> Iterator[Change]:
        """See ``Source.changes``. Tokens are ``{"state", "account", "service"}``.

        ``state``: of the account's Emails; ``""`` is none: the folder is to be listed whole by the
        next run. So is one whose token is of another account or endpoint, or does not say of which.
        """
        fresh, self._is_fresh = self._is_fresh, False
        return Visitor(self.session, wanted, self._survey, fresh=fresh).visit()

    def fetch(self, refs: Sequence[MessageRef]) -> Iterator[tuple[MessageRef, Outcome]]:
        """See ``Source.fetch``."""
        return self._fetcher.fetch(refs)

    def reconnect(self) -> None:
        """See ``Source.reconnect``. A server that is away for a moment is ``ConnectionLost``."""
        self._survey, self._is_fresh = None, False
        self.session.reconnect()

    def close(self) -> None:
        """Close all connections; never raises."""
        self.session.close()

    def _account(self) -> str:
        account, own = self.session.account, self.session.resource.own
        if own is None or account.account_id != own.account_id:
            # somebody's login may be the id of what is another's
            alike = account.label == self.settings.user
            return f"{account.name} ({account.account_id})" if alike else account.label
        primary = account.account_id == self.session.resource.primary
        return self.settings.user if primary or account.personal else account.name

    def _tell_of_shares(self) -> None:
        """Mail that the user can read and that is not in this account."""
        session = self.session
        others = dict(session.resource.mail_accounts)
        others.pop(session.account_id, None)
        if others:
            told = ", ".join(names(others.values()))
            text = f"other accounts can be had by ?account=…: {told}"
            self.settings.observer(Notice("other-accounts", text, "note"))


def open_source(settings: JmapSettings) -> JmapSource:
    """Connect and log in.

    Raises:
        Unreachable, AuthenticationFailed, RateLimited, ConnectionLost, ServerMisbehaved,
        SettingsError.
    """
    return JmapSource(settings)
