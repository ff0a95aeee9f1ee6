"""Which messages go into one APPEND command, and how: parcels in, windows out.

What no server takes, or this one not by its own word, is refused here before anything is sent.
Holds one window for each mode at most.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Final, NamedTuple

from portarchive.connectors.imap import append_form
from portarchive.connectors.imap.append_flight import (
    AHEAD_MAX,
    AHEAD_MINUS,
    MULTIPLE,
    OCTETS,
    Load,
    Mode,
    Window,
)
from portarchive.connectors.imap.append_refusals import Known, will_be_refused
from portarchive.connectors.imap.folders import wire_of
from portarchive.connectors.imap.names import Literal, Part, argument
from portarchive.errors import FolderUnavailable
from portarchive.placing import Parcel, Refused, Spot

SINGLE: Final = OCTETS // 2
"""A larger message has a command of its own: it would be sent again if another is refused."""


class Suspects:
    """Messages that were on their way when a connection ended; one for each target.

    A connection that ended with BAD or BYE may have ended for one of them; one that just broke
    may, if it breaks again with the same message.
    """

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._losses: Counter[int] = Counter()

    def __contains__(self, key: int) -> bool:
        return key in self._known

    def lost(self, key: int, *, accused: bool) -> None:
        """The connection ended while this one was on its way."""
        self._losses[key] += 1
        if accused or self._losses[key] > 1:
            self._known.add(key)

    def cleared(self, key: int) -> None:
        """It has an outcome."""
        if self._losses:
            self._losses.pop(key, None)
            self._known.discard(key)


class Ways(NamedTuple):
    """What the server takes.

    Attributes:
        ahead: octets of the largest literal that need not wait, 0 for none.
        multiple: messages of one command.
        utf8: UTF8=ACCEPT is enabled.
        limit: octets of one message, None if it names none.
        limits: by folder_id, of mailboxes with a limit of their own.
        strict: it refuses what ``append_refusals`` says.
    """

    ahead: int
    multiple: int
    utf8: bool
    limit: int | None
    limits: Mapping[str, int]
    strict: bool = False

    @classmethod
    def of(
        cls,
        capabilities: frozenset[str],
        *,
        utf8: bool,
        limit: int | None,
        limits: Mapping[str, int],
        strict: bool = False,
    ) -> Ways:
        """From the capabilities: LITERAL+, LITERAL- (RFC 7888), MULTIAPPEND (RFC 3502)."""
        ahead = AHEAD_MINUS if {"LITERAL-", "IMAP4REV2"} & capabilities else 0
        if "LITERAL+" in capabilities:
            ahead = AHEAD_MAX
        return cls(ahead, _together(capabilities), utf8, limit, limits, strict)


def _together(capabilities: frozenset[str]) -> int:
    """Messages of one command: SAVELIMIT and MESSAGELIMIT bound it too (RFC 9738)."""
    if "MULTIAPPEND" not in capabilities:
        return 1
    limits = [
        int(limit)
        for name, _, limit in (capability.partition("=") for capability in capabilities)
        if name in {"SAVELIMIT", "MESSAGELIMIT"} and limit.isdecimal() and int(limit) > 0
    ]
    return min([MULTIPLE, *limits])


class Gatherer:
    """See the module.

    Attributes:
        full: windows that are ready to be sent, in order.
        refused: messages that are not sent at all, with the reason.

    Args:
        ways: what the server takes.
        suspects: go alone.
        known: octets that were refused before.
    """

    def __init__(self, ways: Ways, suspects: Suspects, known: Known | None = None) -> None:
        self.full: deque[Window] = deque()
        self.refused: deque[tuple[Parcel, Refused]] = deque()
        self._ways = ways
        self._suspects = suspects
        self._known = known if known is not None else Known()
        self._open: dict[Mode, list[Load]] = {}
        self._octets: Counter[Mode] = Counter()
        self._folder_id: str | None = None
        self._name: Part | FolderUnavailable = b""

    def add(self, parcel: Parcel) -> None:
        """Take one more message."""
        if len(parcel.spots) != 1:
            raise ValueError("an IMAP message is in one mailbox")
        spot = parcel.spots[0]
        if spot.folder_id != self._folder_id:
            self.flush()
            self._folder_id = spot.folder_id
            try:
                self._name = argument(wire_of(spot.folder_id), utf8=self._ways.utf8)
            except FolderUnavailable as exc:
                self._name = exc
        if isinstance(self._name, FolderUnavailable):
            self.refused.append((parcel, Refused("folder-gone", self._name.text)))
            return
        outcome = self._outright(parcel, spot)
        if outcome is not None:
            self.refused.append((parcel, outcome))
            return
        head = append_form.head(spot.flags, spot.received)
        if head is None:
            text = "its flags together are longer than a command may be"
            self.refused.append((parcel, Refused("keyword", text)))
            return
        octets = parcel.octets
        utf8 = self._ways.utf8 and octets is not None and append_form.has_utf8_header(octets)
        self._put(Load(parcel, head, utf8), self._mode(parcel, spot, self._name))

    def flush(self) -> None:
        """Make what is gathered ready."""
        for mode in list(self._open):
            self._close(mode)

    def take_back(self) -> list[Window]:
        """All that was not sent."""
        self.flush()
        back = list(self.full)
        self.full.clear()
        return back

    def _outright(self, parcel: Parcel, spot: Spot) -> Refused | None:
        """The outcome of what is not even tried."""
        if not parcel.size:
            text = "the message is empty, and IMAP has no such message (RFC 9051 §6.3.12)"
            return Refused("bad-message", text)
        if parcel.octets is not None and len(parcel.octets) != parcel.size:
            raise ValueError(f"a parcel of {parcel.size} octets has {len(parcel.octets)}")
        limits = (self._ways.limit, self._ways.limits.get(spot.folder_id))
        limit = min((limit for limit in limits if limit is not None), default=None)
        if limit is not None and parcel.size > limit:
            text = f"{parcel.size} octets, and the server takes {limit} (APPENDLIMIT)"
            return Refused("too-big", text)
        return None

    def _mode(self, parcel: Parcel, spot: Spot, name: Part) -> Mode:
        epoch = spot.received.epoch
        odd = epoch is not None and epoch not in append_form.SURE
        odd = odd or append_form.has_long(spot.flags)
        if parcel.careful or odd or parcel.key in self._suspects:
            return Mode.ALONE
        waits = parcel.octets is None or parcel.size > self._ways.ahead
        return Mode.WAITING if waits or isinstance(name, Literal) else Mode.AHEAD

    def _put(self, load: Load, mode: Mode) -> None:
        parcel, most = load.parcel, self._ways.multiple
        if most == 1 or mode is Mode.ALONE or parcel.octets is None or parcel.size > SINGLE:
            self.flush()  # what came before it is sent before it
            self._send([load], mode)
            return
        if parcel.octets in self._known or (self._ways.strict and will_be_refused(parcel.octets)):
            self._send([load], mode)  # before those that wait: with them it would be sent again
            return
        waiting = self._open.setdefault(mode, [])
        if self._octets[mode] + parcel.size > OCTETS:
            self._close(mode)
            waiting = self._open.setdefault(mode, [])
        waiting.append(load)
        self._octets[mode] += parcel.size
        if len(waiting) >= most:
            self._close(mode)

    def _close(self, mode: Mode) -> None:
        loads = self._open.pop(mode)
        self._octets[mode] = 0
        if loads:
            self._send(loads, mode)

    def _send(self, loads: list[Load], mode: Mode) -> None:
        if self._folder_id is None or isinstance(self._name, FolderUnavailable):
            raise TypeError("no mailbox to send to")
        self.full.append(Window(self._folder_id, self._name, loads, mode))
