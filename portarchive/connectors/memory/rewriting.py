"""What a target in memory does to the messages it is given: the bad habits of real servers.

Each habit is a switch and off unless it is asked for. Those that a server is known for are in its
closed list (``Rewriting.alterations``); the others are faults that a job has to find out.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass

from portarchive.keywords import fold
from portarchive.placing import Alteration, LineEnds, Parcel
from portarchive.records import Received

SYSTEM = ("$seen", "$answered", "$flagged", "$draft", "\\Deleted")
EARLIEST = -(1 << 31)

_BARE_LF = re.compile(rb"(?<!\r)\n")
_END_OF_HEADER = re.compile(rb"(?:\A|\n)(?=\r?\n)")
_MESSAGE_ID = re.compile(rb"^message-id[ \t]*:", re.IGNORECASE | re.MULTILINE)
_FOLD_AT = 78


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewriting:
    r"""The habits of one server.

    Attributes:
        adds_received: it puts a Received field before the message, another one each time
            (hMailServer, DBmail); failure 12.
        folds_headers: header lines over 78 octets are folded at their blanks; failure 12.
        line_ends: ``CRLF``: a bare LF becomes CR LF (Dovecot). ``LF``: each CR LF becomes LF.
        drops_keywords: these are lost without a word, though new ones are said to be welcome.
        refuses_keywords: a message that bears one of these is refused with ``keyword``;
            failure 36.
        no_new_keywords: no ``\*``: only the system flags and ``kept_keywords`` are announced, and
            others are lost without a word.
        keeps_unannounced: with ``no_new_keywords``, they are kept all the same (pymap).
        kept_keywords: those that exist already.
        clamps_dates: what is before 1901-12-13T20:45:52Z becomes that, and the future becomes now.
        changes_message_id: the message gets a new Message-ID, the old one moves to
            X-MS-Exchange-Parent-Message-Id (Exchange); failure 14.
        refuses: is shown parcel and octets, and returns code and text of a refusal, or None.
        append_limit: more octets are refused with ``too-big``; announced.
        quota: more octets in the whole account are refused with ``over-quota``.
        loses: so many messages are accepted, and the last of them is stored nowhere; failure 9.
    """

    adds_received: bool = False
    folds_headers: bool = False
    line_ends: LineEnds | None = None
    drops_keywords: frozenset[str] = frozenset()
    refuses_keywords: frozenset[str] = frozenset()
    no_new_keywords: bool = False
    keeps_unannounced: bool = False
    kept_keywords: tuple[str, ...] = ()
    clamps_dates: bool = False
    changes_message_id: bool = False
    refuses: Callable[[Parcel, bytes], tuple[str, str] | None] | None = None
    append_limit: int | None = None
    quota: int | None = None
    loses: int | None = None

    @property
    def alterations(self) -> frozenset[Alteration]:
        """The closed list that such a server would have; a faulty one is not known for it."""
        found: set[Alteration] = set()
        if self.line_ends is not None:
            crlf = self.line_ends is LineEnds.CRLF
            found.add(Alteration.BARE_LF if crlf else Alteration.LINE_ENDS)
        if self.clamps_dates:
            found |= {Alteration.EARLY_DATE, Alteration.FUTURE_DATE}
        return frozenset(found)

    def octets(self, octets: bytes, serial: int) -> bytes:
        """What is stored of a message. ``serial``: differs from message to message."""
        end = b"\r\n" if b"\r\n" in octets or b"\n" not in octets else b"\n"
        if self.changes_message_id:
            octets = _with_another_id(octets, serial, end)
        if self.folds_headers:
            octets = _folded(octets, end)
        if self.adds_received:
            stamp = b"Received: from client by memory.example with ESMTP id %d" % serial
            octets = stamp + end + octets
        if self.line_ends is LineEnds.CRLF:
            octets = _BARE_LF.sub(b"\r\n", octets)
        elif self.line_ends is LineEnds.LF:
            octets = octets.replace(b"\r\n", b"\n")
        return octets

    def keeps(self, flag: str) -> bool:
        """Whether a flag is kept."""
        key = fold(flag)
        if key in {fold(each) for each in (*SYSTEM, *self.kept_keywords)}:
            return True
        if key in {fold(each) for each in self.drops_keywords}:
            return False
        return not self.no_new_keywords or self.keeps_unannounced

    def refuses_flag(self, flag: str) -> bool:
        """Whether a message is refused for a flag."""
        return fold(flag) in {fold(each) for each in self.refuses_keywords}

    def received(self, received: Received, now: int) -> Received | None:
        """The instant that is stored; None if there is no such date."""
        epoch = now if received.epoch is None else received.epoch
        if self.clamps_dates:
            epoch = min(max(epoch, EARLIEST), now)
        if epoch == received.epoch and received.text is not None:
            try:
                if int(dt.datetime.fromisoformat(received.text).timestamp()) == epoch:
                    return Received(received.text, epoch)
            except (ValueError, OverflowError):
                pass
        try:
            moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=epoch)
        except OverflowError:
            return None
        return Received(moment.isoformat(), epoch)


def _header(octets: bytes) -> int:
    """Where the first empty line begins."""
    found = _END_OF_HEADER.search(octets)
    return found.end() if found else len(octets)


def _with_another_id(octets: bytes, serial: int, end: bytes) -> bytes:
    length = _header(octets)
    header = _MESSAGE_ID.sub(b"X-MS-Exchange-Parent-Message-Id:", octets[:length], count=1)
    return b"Message-ID: <%d@memory.example>" % serial + end + header + octets[length:]


def _folded(octets: bytes, end: bytes) -> bytes:
    length = _header(octets)
    lines = octets[:length].split(end)
    for place, line in enumerate(lines):
        pieces: list[bytes] = []
        rest = line
        while len(rest) > _FOLD_AT:
            # not in the field's name, nor between it and the first word
            least = rest.find(b" ", 0 if pieces else rest.find(b":") + 1) + 1
            at = rest.rfind(b" ", least, _FOLD_AT)
            if least == 0 or at <= 0:
                break
            pieces.append(rest[:at])
            rest = rest[at:]
        lines[place] = end.join([*pieces, rest])
    return end.join(lines) + octets[length:]
