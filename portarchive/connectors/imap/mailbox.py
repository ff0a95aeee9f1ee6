"""An examined mailbox: what the server said when it was opened, and from then on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from portarchive import keywords
from portarchive.connectors.imap.convert import object_id, object_ids
from portarchive.connectors.imap.parser import tokens
from portarchive.connectors.imap.responses import Data, Numbered, Response, Status, number
from portarchive.connectors.imap.rows import Row
from portarchive.connectors.imap.uidset import MAX_UID, UidSet

RIGHTS: Final = re.compile(rb"[a-z0-9]{0,36}")
"""Letters of RFC 4314 §2.1, digits for rights of a site's own."""


class Mailbox:
    r"""The state of the mailbox that a session has open.

    Attributes:
        wire: its name on the wire.
        exists: how many messages it has now, None if the server never said.
        arrived: how many came since it was opened, or since this was set to 0.
        came, went: how many arrived and were expunged since it was opened.
        uidvalidity: None if missing, 0 or out of range.
        uidnext, highest_modseq: None if missing; ``highest_modseq`` also for NOMODSEQ.
        mailbox_id: RFC 8474.
        account_id: of the compound OBJECTID code, where the server has it.
        rights: RFC 4314 MYRIGHTS.
        keywords: PERMANENTFLAGS without ``\*``; None if missing or empty, as on EXAMINE.
        sticky: False for UIDNOTSTICKY: its UIDs do not live beyond the session.
        changed: messages changed since the mod-sequence that was asked for (QRESYNC).
        vanished: UIDs gone since then (QRESYNC), None if the server did not say.
    """

    def __init__(self, wire: bytes) -> None:
        self.wire = wire
        self.exists: int | None = None
        self.arrived = self.came = self.went = 0
        self.uidvalidity: int | None = None
        self.uidnext: int | None = None
        self.highest_modseq: int | None = None
        self.mailbox_id: str | None = None
        self.account_id: str | None = None
        self.rights: str | None = None
        self.keywords: tuple[str, ...] | None = None
        self.sticky = True
        self.changed: list[Row] = []
        self.vanished: UidSet | None = None
        self._batched: tuple[int, int, int] | None = None

    @property
    def counts(self) -> dict[str, int]:
        """``exists``, if known."""
        return {} if self.exists is None else {"exists": self.exists}

    def token(self) -> dict[str, Any]:
        """What the next run needs to ask for changes only. To be taken before any listing.

        UIDs that do not last (UIDNOTSTICKY) leave no UIDVALIDITY: nothing is to be built on them.
        """
        ids = {"mailbox_id": self.mailbox_id, "account_id": self.account_id}
        return {
            "uidvalidity": self.uidvalidity if self.sticky else None,
            "uidnext": self.uidnext,
            "highest_modseq": self.highest_modseq,
            "messages": self.exists,
            **{name: value for name, value in ids.items() if value is not None},
        }

    @property
    def lasting(self) -> bool:
        """Whether its UIDs mean something beyond this session."""
        return self.sticky and self.uidvalidity is not None

    def continues(self, token: Mapping[str, Any]) -> bool:
        """Whether a UID names the message still that it named when the token was taken.

        Not where ``went_back`` says so, nor where ``is_that_of`` denies it.
        """
        return self.is_that_of(token) and not self.went_back(token)

    def is_that_of(self, token: Mapping[str, Any]) -> bool:
        """Whether it is the mailbox that the token was taken of, as far as it names itself.

        Not a mailbox of another MAILBOXID (RFC 8474 §5.1), whatever its UIDVALIDITY says: it was
        deleted and made anew, or took the name of another one. Where either id is not known,
        UIDVALIDITY decides (RFC 9051 §2.3.1.1).
        """
        if not self.lasting or token.get("uidvalidity") != self.uidvalidity:
            return False
        before = token.get("mailbox_id")
        return before is None or self.mailbox_id is None or before == self.mailbox_id

    def went_back(self, token: Mapping[str, Any]) -> bool:
        """Whether UIDNEXT or HIGHESTMODSEQ is less than when the token was taken.

        Neither ever falls (RFC 9051 §2.3.1.1, RFC 7162 §3.1): this server was restored from a
        backup, and gives UIDs a second time. Seen once only, before they are past the mark again.
        """
        counters = (("uidnext", self.uidnext), ("highest_modseq", self.highest_modseq))
        return any(
            isinstance(before := token.get(name), int) and now is not None and now < before
            for name, now in counters
        )

    def batched(self, size: int) -> None:
        """UIDBATCHES was answered for batches of so many."""
        self._batched = size, self.came, self.went

    def may_batch(self) -> bool:
        """Whether UIDBATCHES may be sent: not again unless more than half a batch changed.

        A client MUST NOT (RFC 10022 §3.1.1) while the same mailbox is open.
        """
        if self._batched is None:
            return True
        size, came, went = self._batched
        return 2 * (self.came - came) > size or 2 * (self.went - went) > size

    def observe(self, response: Numbered | Data) -> None:
        """EXISTS, EXPUNGE and VANISHED, whenever they come."""
        if isinstance(response, Numbered):
            if response.kind == b"EXISTS":
                if self.exists is not None and response.number > self.exists:
                    self.arrived += response.number - self.exists
                    self.came += response.number - self.exists
                self.exists = response.number
            elif response.kind == b"EXPUNGE" and self.exists:
                self.exists -= 1
                self.went += 1
        elif response.kind == b"VANISHED" and self.exists is not None:
            found = response.tokens()
            gone = parse_set(found[0]) if len(found) == 1 else None
            if gone is not None:
                self.exists = max(0, self.exists - len(gone))
                self.went += len(gone)

    def opening(self, response: Response) -> None:
        """What EXAMINE answers with. ``[CLOSED]``: all before it was about another mailbox."""
        if isinstance(response, Status):
            self.take_code(response)
        elif isinstance(response, Numbered) and response.kind == b"EXISTS":
            self.exists = response.number
        elif isinstance(response, Data) and response.kind == b"VANISHED":
            found = response.tokens()
            if len(found) == 2 and isinstance(found[0], list):
                gone = parse_set(found[1])
                if gone is not None:
                    self.vanished = gone if self.vanished is None else self.vanished.union(gone)

    def take_rights(self, response: Response) -> None:
        """``* MYRIGHTS name rights`` (RFC 4314 §3.8)."""
        if isinstance(response, Data) and response.kind == b"MYRIGHTS":
            found = response.tokens()
            if len(found) == 2 and isinstance(found[1], bytes) and RIGHTS.fullmatch(found[1]):
                self.rights = found[1].decode("ascii")

    def take_code(self, status: Status) -> None:
        """A response code of EXAMINE, tagged or not."""
        code, value = status.code, number(status.args)
        if code == b"CLOSED":
            self.exists = None
            self.changed.clear()
            self.vanished = None
        elif code == b"UIDVALIDITY":
            self.uidvalidity = value if value is not None and 0 < value <= MAX_UID else None
        elif code == b"UIDNEXT":
            self.uidnext = value or None
        elif code == b"HIGHESTMODSEQ":
            self.highest_modseq = value or None
        elif code == b"NOMODSEQ":
            self.highest_modseq = None
        elif code == b"UIDNOTSTICKY":
            self.sticky = False
        elif code == b"MAILBOXID":
            found = tokens([status.args])
            self.mailbox_id = object_id(found[0]) if found else None
        elif code == b"OBJECTID":
            ids = object_ids(next(iter(tokens([status.args])), None))
            self.mailbox_id = ids.get("MAILBOXID", self.mailbox_id)
            self.account_id = ids.get("ACCOUNTID")
        elif code == b"PERMANENTFLAGS":
            inner = status.args.strip().removeprefix(b"(").removesuffix(b")")
            self.keywords = keywords.parse_flag_list(inner) or None


def parse_set(token: object) -> UidSet | None:
    """A set of UIDs, None if the token is none."""
    if not isinstance(token, bytes):
        return None
    try:
        return UidSet.parse(token)
    except ValueError:
        return None
