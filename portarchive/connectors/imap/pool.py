"""The connections of one account: made when needed, thrown away when in doubt.

A connection with answers still on their way (a fetch that was abandoned) is not read empty: a new
login is cheaper than the rest of a window, and never wrong.
"""

from __future__ import annotations

from portarchive.connectors.imap.examine import examine
from portarchive.connectors.imap.mailbox import Mailbox
from portarchive.connectors.imap.session import Session
from portarchive.connectors.imap.settings import ImapSettings
from portarchive.errors import ConnectionLost, ConnectorError, FolderUnavailable, Unreachable


class Pool:
    """Up to ``settings.connections`` sessions; the first one is there from the start.

    Raises:
        Unreachable, AuthenticationFailed, RateLimited, ConnectionLost, ServerMisbehaved.
    """

    def __init__(self, settings: ImapSettings) -> None:
        self.settings = settings
        self._most = max(1, settings.connections)
        self._sessions = [Session(settings)]

    def main(self) -> Session:
        """The first session, alive and with nothing on its way."""
        first = self._sessions[0] if self._sessions else None
        if first is None or first.broken or first.in_flight:
            self._retire(first)
            self._sessions.insert(0, self._again())
        return self._sessions[0]

    @property
    def capabilities(self) -> frozenset[str]:
        """Of the first session; also while something is on its way there."""
        return self._sessions[0].capabilities if self._sessions else frozenset()

    def several(self, count: int) -> list[Session]:
        """The first session and up to ``count`` in all, as far as the server lets us in."""
        self.main()
        for session in [entry for entry in self._sessions if entry.broken or entry.in_flight]:
            self._retire(session)
        while len(self._sessions) < min(count, self._most):
            try:
                self._sessions.append(Session(self.settings))
            except ConnectorError:  # most providers limit connections; fewer will do
                self._most = len(self._sessions)
        return self._sessions[:count]

    def _retire(self, session: Session | None) -> None:
        if session is not None:
            session.drop()
            self._sessions.remove(session)

    def _again(self) -> Session:
        """A new session where there was one before: a server that is away now may come back."""
        try:
            return Session(self.settings)
        except Unreachable as exc:
            raise ConnectionLost(exc.text, hint=exc.hint) from exc

    def reconnect(self) -> None:
        """Throw all sessions away and log in anew."""
        while self._sessions:
            self._sessions.pop().drop()
        self._sessions.append(self._again())

    def close(self) -> None:
        """Log out everywhere; never raises."""
        while self._sessions:
            self._sessions.pop().close()


def opened(
    session: Session, wire: bytes, validity: int | None, mailbox_id: str | None = None
) -> Mailbox:
    """The mailbox, examined if it is not open in this session.

    Args:
        session: where.
        wire: its name.
        validity: the UIDVALIDITY that its UIDs were listed under, None if there was none.
        mailbox_id: the MAILBOXID, likewise: two mailboxes that changed their names may well have
            one UIDVALIDITY.

    Raises:
        FolderUnavailable: it cannot be opened (``folder-unavailable``), or its UIDs mean other
            messages now (``uidvalidity-changed``).
    """
    box = session.mailbox
    if box is None or box.wire != wire:
        box = examine(session, wire)
    if validity is not None and box.uidvalidity != validity:
        raise FolderUnavailable(
            f"UIDVALIDITY changed from {validity} to {box.uidvalidity} in the middle of the run",
            code="uidvalidity-changed",
        )
    if None not in (mailbox_id, box.mailbox_id) and box.mailbox_id != mailbox_id:
        raise FolderUnavailable(
            f"another mailbox took its name in the middle of the run (MAILBOXID {mailbox_id} "
            f"before, {box.mailbox_id} now)",
            code="uidvalidity-changed",
        )
    return box
