"""One connection on which APPEND commands are on their way: octets out, answers in, never blocking.

Reads while it writes: a server that takes a message's text for commands answers each of its lines,
and would stop reading while nobody reads those. The first answer that shows this ends the
connection, unread. It judges no refusal.
"""

from __future__ import annotations

import selectors
import ssl
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

from portarchive.connectors.imap.append_flight import Flight, Mode
from portarchive.connectors.imap.responses import Continuation, Status
from portarchive.connectors.imap.session import Session
from portarchive.errors import ConnectionLost, ConnectorError

AT_ONCE: Final = 1 << 18
"""Octets of one send call; then it is looked whether the server says something: 256 KiB."""

WINDOWS: Final = 4
"""Commands of several messages on their way at once."""

IN_FLIGHT: Final = 6 << 20
"""Octets on their way at once, but for a single larger message."""

_LATER: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class SpoiltError(Exception):
    """The octets of a message could not be had in the middle of its literal; see ``__cause__``."""

    def __init__(self, flight: Flight) -> None:
        super().__init__()
        self.flight = flight


class AppendLane:
    """See the module.

    Args:
        session: with nothing on its way; its socket does not block until ``leave``.

    Attributes:
        flights: not answered yet, in the order of sending.
        accused: the connection ended with words (BAD, BYE, or no IMAP at all): what was on its way
            may be the reason.
        idle: seconds of waiting without an octet in either direction.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.flights: deque[Flight] = deque()
        self.accused = False
        self.idle = 0.0
        self._unsent: deque[Flight] = deque()
        self._writing: Flight | None = None
        self._out: memoryview | None = None
        self._paused = False
        self._mute = False
        if session.mailbox is not None and {"UNSELECT", "IMAP4REV2"} & session.capabilities:
            session.run(b"UNSELECT")  # of an open mailbox every new message would be announced
            session.mailbox = None
        self._sock = session.stream.sock
        self._sock.settimeout(0.0)

    # --- what is on its way ---------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Something is on its way, or half sent."""
        return bool(self.flights) or self._writing is not None

    def has_room(self) -> bool:
        """Whether one more command may be begun."""
        flights = self.flights
        if self._mute:
            return False
        if not flights:
            return self._writing is None
        last = flights[-1]
        if last.window.mode is Mode.ALONE:
            return False
        most = WINDOWS if len(last.window.loads) > 1 else self.session.depth
        return len(flights) < most and sum(flight.octets for flight in flights) < IN_FLIGHT

    def takes(self, mode: Mode) -> bool:
        """Whether a command of this mode may be begun now, given that there is room."""
        return mode is not Mode.ALONE or not self.busy

    def begin(self, flight: Flight) -> None:
        """Take on one more command."""
        self.flights.append(flight)
        self._unsent.append(flight)

    def recall(self) -> list[Flight]:
        """The commands that nothing was sent of: they are taken back."""
        back = [flight for flight in self._unsent if flight.begun is None]
        self._unsent.clear()
        for flight in back:
            self.flights.remove(flight)
        return back

    # --- out ------------------------------------------------------------------------------------

    def events(self) -> int:
        """What to wait for, as ``selectors`` has it."""
        writes = not self._mute and (
            self._out is not None
            or (not self._paused and (self._writing is not None or bool(self._unsent)))
        )
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if writes else 0)

    def pump(self) -> None:
        """Send what can be sent at once, at most ``AT_ONCE`` octets.

        Raises:
            SpoiltError: a message ended early, or could not be read.
        """
        if self._mute or (self._out is None and not self._advance()) or self._out is None:
            return
        try:
            count = self._sock.send(self._out[:AT_ONCE])
        except _LATER:
            return
        except OSError:
            # what the server said before it went is still on its way to us
            self._mute = True
            return
        self.idle = 0.0
        self._out = self._out[count:] if count < len(self._out) else None

    def _advance(self) -> bool:
        """Put the next piece into ``_out``; False if there is none, or ``+`` is waited for."""
        while not self._paused:
            if self._writing is None:
                if not self._unsent:
                    return False
                self._writing = self._unsent.popleft()
                self._writing.begun = time.monotonic()
            try:
                piece = next(self._writing.pieces)
            except StopIteration:
                self._writing = None
                continue
            except Exception as exc:
                raise SpoiltError(self._writing) from exc
            octets, self._paused = piece
            if octets:
                self._out = memoryview(octets)
                return True
        return False

    # --- in -------------------------------------------------------------------------------------

    def read(self) -> Iterator[tuple[Flight, Status]]:
        """The answers that have arrived.

        Raises:
            ConnectionLost: BYE, the end, or an answer that shows that the server reads commands
                where we send messages.
            RateLimited, TokenExpired, ServerMisbehaved: see ``Channel.next``.
        """
        session, stream = self.session, self.session.stream
        while True:
            try:
                stream.fill()
            except ConnectionLost as exc:
                if isinstance(exc.__cause__, _LATER):
                    return
                session.broken = True
                raise
            self.idle = 0.0
            yield from self._lines()
            if not stream.undelivered():
                return

    def _lines(self) -> Iterator[tuple[Flight, Status]]:
        session, stream = self.session, self.session.stream
        while stream.holds_line():
            self._sock.settimeout(session.settings.timeout)  # a literal may still be coming
            try:
                response = session.next()
            except ConnectorError:
                self.accused = True
                raise
            self._sock.settimeout(0.0)
            if isinstance(response, Continuation):
                self._paused = False
            elif isinstance(response, Status):
                flight = self._flight(response)
                if flight is not None:
                    yield flight, response

    def _flight(self, status: Status) -> Flight | None:
        """The command that a status answers.

        Raises:
            ConnectionLost: it answers none of ours, or says BAD while literals go ahead.
        """
        if status.tag is None:
            if status.kind == b"BAD":
                raise self._astray(status)
            return None
        flight = next((entry for entry in self.flights if entry.tag == status.tag), None)
        if flight is None or flight.begun is None:
            raise self._astray(status)
        if status.kind == b"BAD" and any(
            entry.ahead and entry.begun is not None for entry in self.flights
        ):
            raise self._astray(status)
        mine = flight is self._writing
        instead = mine and self._paused and self._out is None  # in place of "+"
        half = mine and not instead and self._out is not None
        if (half or instead) and status.ok:
            raise self._astray(status)
        if half and not flight.unbroken:
            raise self._astray(status)
        self.flights.remove(flight)
        if instead:  # the rest of it is void
            self._writing, self._paused = None, False
        return flight

    def _astray(self, status: Status) -> ConnectionLost:
        self.accused = True
        return ConnectionLost(f"the server lost its way in the middle of an APPEND: {status.words}")

    # --- the end --------------------------------------------------------------------------------

    def waited(self, seconds: float, most: float) -> None:
        """Take note of a wait in vain.

        Raises:
            ConnectionLost: these are too many by now.
        """
        self.idle += seconds
        if self.idle >= most:
            self.session.broken = True
            raise ConnectionLost("the server fell silent")

    def die(self) -> list[Flight]:
        """Close the connection unread; the commands without an answer."""
        lost, self.flights = list(self.flights), deque()
        self._unsent.clear()
        self._writing = None
        self.session.drop()
        return lost

    def leave(self) -> None:
        """Give the session back, or drop it if something is on its way."""
        if self.busy or self._mute or self.session.broken:
            self.die()
        else:
            self._sock.settimeout(self.session.settings.timeout)
