"""Waiting until a server is done with what a lost connection had sent.

It may have read whole commands before the connection ended, and goes on with them: Cyrus was seen
to append three more windows. Who looks what is there before they are done misses those messages,
and sends them twice. No command of IMAP tells when that is; so it is waited until the mailboxes
stand still for as long as a window takes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from typing import Final

from portarchive.connectors.imap.folders import wire_of
from portarchive.connectors.imap.names import argument
from portarchive.connectors.imap.responses import Data, Response
from portarchive.connectors.imap.session import Session
from portarchive.errors import FolderUnavailable

QUIET: Final = 1.0
"""Seconds without a change, at least."""

LONGEST: Final = 10.0
"""Seconds without a change, at most, however slow the server was."""

PATIENCE: Final = 60.0
"""Seconds after which it is not waited any more: somebody else puts mail there."""

STEP: Final = 0.2


class Breaks:
    """What was on its way when connections ended, and how long answers take; one for each target.

    Attributes:
        folders: mailboxes that may still be changing.
        broke: when the last connection ended, as ``time.monotonic`` has it.
        slowest: seconds that an answer took at most.
    """

    def __init__(self) -> None:
        self.folders: set[str] = set()
        self.broke = -math.inf
        self.slowest = 0.0

    def broken(self, folders: Collection[str]) -> None:
        """A connection ended with these on their way."""
        if folders:
            self.folders.update(folders)
            self.broke = time.monotonic()

    def answered(self, seconds: float) -> None:
        """A command was answered."""
        self.slowest = max(self.slowest, seconds)

    def settle(self, session: Session) -> None:
        """Wait until the mailboxes stand still.

        Args:
            session: a new one, with no mailbox open and nothing on its way.

        Raises:
            ConnectionLost, RateLimited, TokenExpired: see ``Channel.next``.
        """
        if not self.folders:
            return
        quiet = min(LONGEST, max(QUIET, 2 * self.slowest))
        seen, since = self._state(session), time.monotonic()
        while (now := time.monotonic()) - since < quiet and now - self.broke < PATIENCE:
            time.sleep(min(STEP, quiet))
            state = self._state(session)
            if state != seen:
                seen, since = state, time.monotonic()
        self.folders.clear()

    def _state(self, session: Session) -> list[tuple[str, bytes]]:
        """What STATUS says of the mailboxes, to be compared."""
        found: list[tuple[str, bytes]] = []
        for folder_id in sorted(self.folders):

            def note(response: Response, folder_id: str = folder_id) -> None:
                if isinstance(response, Data) and response.kind == b"STATUS":
                    found.append((folder_id, b"".join(response.parts)))

            try:
                name = argument(wire_of(folder_id), utf8=session.utf8)
            except FolderUnavailable:
                continue
            session.run(b"STATUS ", name, b" (MESSAGES UIDNEXT)", handle=note)
        return found
