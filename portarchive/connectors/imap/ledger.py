"""What fetching taught about single messages and folders, kept across reconnects.

A message that breaks the connection each time it is asked for must end as a failure of its own,
not as the end of the run: so the one at the head of the line when a connection died is remembered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any, Final

from portarchive.connectors.imap.mailbox import Mailbox
from portarchive.records import Failure

TRIES: Final = 3
"""Connections that a message may take with it before it is given up."""

NARROWER: Final = (32, 4, 1)
"""How many messages are asked for at once after the first, second, third death among them."""

UNDATED: Final = 3
"""Messages without INTERNALDATE, asked twice each, before a folder is believed to have none."""

CUT: Final = Failure("cut", "the connection broke each time this message was on its way")


class Ledger:
    """Counts by folder and UID; one for each source.

    Attributes:
        validity: UIDVALIDITY of the folders listed in this run, for every later EXAMINE.
        mailbox_ids: their MAILBOXIDs, likewise; None where the server tells of none.
        most: messages that may be asked for at once; less after a server said so.
        seen: how many messages of a folder the server marked as read because of us.
    """

    def __init__(self) -> None:
        self.validity: dict[str, int | None] = {}
        self.mailbox_ids: dict[str, str | None] = {}
        self.most = 500
        self.seen: Counter[str] = Counter()
        self._blame: Counter[tuple[str, int]] = Counter()
        self._why: dict[tuple[str, int], Failure] = {}
        self._suspects: dict[tuple[str, int], int] = {}
        self._undated: Counter[str] = Counter()

    def expect(self, folder_id: str, box: Mailbox) -> None:
        """From now on this is the mailbox that the folder's UIDs are of."""
        self.validity[folder_id] = box.uidvalidity
        self.mailbox_ids[folder_id] = box.mailbox_id

    def expected(self, folder_id: str) -> tuple[int | None, str | None]:
        """What ``pool.opened`` is to compare."""
        return self.validity.get(folder_id), self.mailbox_ids.get(folder_id)

    # --- messages that cost a connection --------------------------------------------------------

    def died(self, folder_id: str, uids: Collection[int], why: Failure = CUT) -> None:
        """The connection died, or was refused for a while, when these were next in line."""
        if len(uids) == 1:
            self.blame(folder_id, next(iter(uids)), why)
            return
        for uid in uids:
            self._suspects[folder_id, uid] = self._suspects.get((folder_id, uid), 0) + 1

    def blame(self, folder_id: str, uid: int, why: Failure = CUT) -> None:
        """It died with this message alone or in its midst."""
        self._blame[folder_id, uid] += 1
        self._why[folder_id, uid] = why
        self._suspects[folder_id, uid] = len(NARROWER)

    def given_up(self, folder_id: str, uid: int) -> Failure | None:
        """Why it is not asked for any more, if it had its tries."""
        if self._blame[folder_id, uid] < TRIES:
            return None
        return self._why[folder_id, uid]

    def together(self, folder_id: str, uid: int) -> int:
        """How many of its kind may be asked for at once: the closer it is looked at, the fewer."""
        level = self._suspects.get((folder_id, uid), 0)
        return NARROWER[min(level, len(NARROWER)) - 1] if level else self.most

    @property
    def suspects(self) -> bool:
        """Whether any message is looked at closely."""
        return bool(self._suspects)

    def absolve(self, folder_id: str, uid: int) -> None:
        """It came after all."""
        self._suspects.pop((folder_id, uid), None)
        self._blame.pop((folder_id, uid), None)

    # --- folders ----------------------------------------------------------------------------

    def undated(self, folder_id: str) -> None:
        """A message of it has no INTERNALDATE, also when asked again."""
        self._undated[folder_id] += 1

    def dateless(self, folder_id: str) -> bool:
        """Whether asking again for a date is pointless in this folder."""
        return self._undated[folder_id] >= UNDATED

    def notes(self, folder_id: str) -> list[dict[str, Any]]:
        """Ledger notes of a folder that come from its messages."""
        count = self.seen.pop(folder_id, 0)
        return [{"code": "seen-set-by-server", "count": count}] if count else []
