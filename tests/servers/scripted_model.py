"""The mailboxes of the scripted server: plain data, to be changed by a test at any time.

Owns ``Mail`` and ``Mailbox``. Knows nothing of connections; every change is written to
``Mailbox.events``, which open sessions read to announce it.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from imapclient.imap_utf7 import encode as encode_name

from servers.daemon import imap_date

Octets = bytes | Callable[[int], bytes] | None

DEFAULT_DATE = '"01-Feb-2024 03:04:05 +0000"'


@lru_cache(maxsize=1024)
def _mark(wire: bytes) -> str:
    return hashlib.sha256(wire).hexdigest()[:12]


@dataclass(slots=True)
class Mail:
    """One message.

    Attributes:
        octets: the message; a function of the UID that makes it; None: the server says NIL.
        date: as it is sent, with its quotes (``'"30-Dec-1899 00:00:00 +0000"'``); None: the
            server leaves INTERNALDATE out of its answers.
        size: what RFC822.SIZE says; None: the truth.
        email_id, thread_id: RFC 8474, without parentheses.
        labels: X-GM-LABELS, as sent, without parentheses; that of the open mailbox is left out.
        modseq: RFC 7162.
        mailbox, born: where and when it came (wire name, modseq); with the UID it had then they
            make an id of its own, for servers that have ids and were not given one.
    """

    uid: int
    octets: Octets
    flags: tuple[str, ...] = ()
    date: str | None = DEFAULT_DATE
    size: int | None = None
    email_id: str | None = None
    thread_id: str | None = None
    labels: str | None = None
    modseq: int = 1
    mailbox: bytes = b""
    born: int = 0
    first_uid: int = 0

    def own_id(self) -> str:
        """An id that no other message of any mailbox has, renumbered or not."""
        return f"E{self.born}-{self.first_uid}-{_mark(self.mailbox)}"

    def body(self) -> bytes | None:
        return self.octets(self.uid) if callable(self.octets) else self.octets

    def true_size(self) -> int:
        return len(self.body() or b"") if self.size is None else self.size


@dataclass
class Mailbox:
    """One mailbox, with the lies a server may tell about it.

    Attributes:
        wire: its name as it is on the wire (modified UTF-7, or any octets).
        form: how LIST writes the name: ``quoted``, ``atom`` or ``literal``.
        line: what LIST and LSUB say of it after their own name, in place of the right thing.
        attributes: of LIST, ``\\Sent`` and ``\\NoSelect`` included.
        uidvalidity, uidnext: None: not told. ``uidnext`` -1: the truth.
        exists, status_messages: what EXAMINE and STATUS say; None: the truth.
        cap: only the newest so many messages are shown, counted and found; None: all.
        unsearchable: UIDs that SEARCH does not name though FETCH has them.
        mailbox_id: RFC 8474.
        counted: whether STATUS and LIST-STATUS tell of it; without, it is looked at alone.
        rights: what MYRIGHTS says (RFC 4314); None: it refuses.
        append_limit: what STATUS (APPENDLIMIT) says (RFC 7889); None: NIL.
        permanent_flags: of SELECT; EXAMINE says ``()`` as Dovecot does.
    """

    wire: bytes
    form: str = "quoted"
    line: bytes | None = None
    delimiter: str | None = "/"
    attributes: tuple[str, ...] = ()
    subscribed: bool = True
    uidvalidity: int | None = 1
    uidnext: int | None = -1
    exists: int | None = None
    status_messages: int | None = None
    cap: int | None = None
    unsearchable: set[int] = field(default_factory=set)
    mailbox_id: str | None = None
    counted: bool = True
    rights: str | None = "lrs"
    permanent_flags: str = r"\Answered \Flagged \Deleted \Seen \Draft \*"
    append_limit: int | None = None
    mails: dict[int, Mail] = field(default_factory=dict)
    expunged: list[tuple[int, int]] = field(default_factory=list)  # (modseq, uid)
    modseq: int = 1
    next_uid: int = 1
    events: list[tuple[str, int]] = field(
        default_factory=list
    )  # ("add" | "expunge" | "flags", uid)

    @property
    def selectable(self) -> bool:
        lowered = {attribute.lower() for attribute in self.attributes}
        return not lowered & {"\\noselect", "\\nonexistent"}

    def visible(self) -> list[int]:
        """The UIDs that the server admits, ascending."""
        uids = list(self.mails)
        return uids if self.cap is None else uids[-self.cap :]

    # --- what a test does -----------------------------------------------------------------------

    def add(
        self,
        octets: Octets,
        flags: Iterable[str] = (),
        date: datetime | str | None = DEFAULT_DATE,
        *,
        uid: int | None = None,
        size: int | None = None,
        email_id: str | None = None,
        thread_id: str | None = None,
        labels: str | None = None,
    ) -> Mail:
        """One more message at the end; a ``uid`` must be above all there were."""
        if uid is not None and uid < self.next_uid:
            raise ValueError(f"UID {uid} is in the past: {self.next_uid} comes next")
        number = self.next_uid if uid is None else uid
        self.next_uid = number + 1
        self.modseq += 1
        sent = imap_date(date) if isinstance(date, datetime) else date
        mail = Mail(
            number, octets, tuple(flags), sent, size, email_id, thread_id, labels, self.modseq,
            self.wire, self.modseq, number,
        )  # fmt: skip
        self.mails[number] = mail
        self.events.append(("add", number))
        return mail

    def add_many(self, count: int, octets: Callable[[int], bytes], size: int | None = None) -> None:
        """So many messages whose octets are made when they are asked for."""
        self.modseq += 1
        for number in range(self.next_uid, self.next_uid + count):
            self.mails[number] = Mail(
                number, octets, (), DEFAULT_DATE, size, None, None, None, self.modseq,
                self.wire, self.modseq, number,
            )  # fmt: skip
        self.next_uid += count
        self.events.append(("bulk", count))

    def expunge(self, *uids: int) -> None:
        for uid in uids:
            del self.mails[uid]
            self.modseq += 1
            self.expunged.append((self.modseq, uid))
            self.events.append(("expunge", uid))

    def set_flags(self, uid: int, flags: Iterable[str]) -> None:
        self.modseq += 1
        self.mails[uid].flags = tuple(flags)
        self.mails[uid].modseq = self.modseq
        self.events.append(("flags", uid))

    def reset_uidvalidity(self, uidvalidity: int, *, renumber_from: int = 1) -> None:
        """Another UIDVALIDITY and new UIDs for the same messages. Sessions should not be open."""
        mails = list(self.mails.values())
        self.mails = {}
        for number, mail in enumerate(mails, renumber_from):
            mail.uid = number
            self.mails[number] = mail
        self.next_uid = renumber_from + len(mails)
        self.uidvalidity = uidvalidity
        self.expunged.clear()


_GMAIL_LABELS = {
    "\\Sent": "\\Sent", "\\Drafts": "\\Draft", "\\Flagged": "\\Starred",
    "\\Important": "\\Important", "\\Junk": "\\Spam", "\\Trash": "\\Trash",
}  # fmt: skip


def gmail_label(mailbox: Mailbox) -> str | None:
    """The label that a mailbox shows, as it is sent; None for All Mail.

    Gmail leaves it out of the labels of the messages while that mailbox is open.
    """
    if "\\All" in mailbox.attributes:
        return None
    system = "\\Inbox" if mailbox.wire.upper() == b"INBOX" else None
    for attribute in mailbox.attributes:
        system = _GMAIL_LABELS.get(attribute, system)
    if system is not None:
        return '"' + system.replace("\\", "\\\\") + '"'
    label = encode_name(mailbox.wire.decode()).decode("ascii")
    return f'"{label}"' if " " in label else label


def wire_name(name: str | bytes) -> bytes:
    """Modified UTF-7 of a name; octets stay what they are."""
    return name if isinstance(name, bytes) else encode_name(name)


def in_set(text: bytes, uids: list[int]) -> list[int]:
    """The members of ascending ``uids`` that a sequence-set of RFC 9051 §9 names, each once.

    Raises ValueError if it is not one.
    """
    highest = uids[-1] if uids else 0
    found: set[int] | list[int] = set()
    parts = text.split(b",")
    for part in parts:
        ends = [highest if end == b"*" else _number(end) for end in part.split(b":")]
        if len(ends) > 2:
            raise ValueError(f"not a sequence set: {text[:80]!r}")
        low, high = min(ends), max(ends)
        members = uids[bisect.bisect_left(uids, low) : bisect.bisect_right(uids, high)]
        if len(parts) == 1:
            return members
        found.update(members)
    return sorted(found)


def _number(text: bytes) -> int:
    if not text.isdigit() or text.startswith(b"0"):
        raise ValueError(f"not a sequence number: {text[:80]!r}")
    return int(text)


def to_set(numbers: Iterable[int]) -> str:
    """The shortest sequence-set of these numbers."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(f"{low}:{high}" if low != high else f"{low}" for low, high in parts)
