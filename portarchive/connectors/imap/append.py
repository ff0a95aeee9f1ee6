"""Messages into mailboxes: commands over connections, refusals bisected, losses owned up to.

Owns what becomes of a refused command and of a lost connection. Looks nothing up, and repeats
nothing whose answer was lost.
"""

from __future__ import annotations

import math
import selectors
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from portarchive.connectors.imap import append_verdict
from portarchive.connectors.imap.append_flight import Flight, ShortError, Window
from portarchive.connectors.imap.append_lane import AppendLane, SpoiltError
from portarchive.connectors.imap.append_refusals import Known
from portarchive.connectors.imap.append_settle import Breaks
from portarchive.connectors.imap.append_windows import Gatherer, Suspects, Ways
from portarchive.connectors.imap.pool import Pool
from portarchive.connectors.imap.responses import Status
from portarchive.connectors.imap.session import Session
from portarchive.errors import ConnectionLost, ConnectorError, RateLimited, TokenExpired
from portarchive.placing import Parcel, Placed, PlaceOutcome, Unsure

FULL: Final = 10
"""Messages refused alone for want of room before a refused window is not split any more."""

TOLD: Final = 1_000
"""Outcomes of messages that were not sent, held at once."""

Pair = tuple[Parcel, PlaceOutcome]


class Placer:
    """One call of ``Target.place``.

    Args:
        pool: connections.
        ways: what the server takes.
        suspects, breaks, known: kept from call to call.
        validity: UIDVALIDITY by folder_id, of the mailboxes that were looked at.
    """

    def __init__(
        self,
        pool: Pool,
        ways: Ways,
        suspects: Suspects,
        breaks: Breaks,
        known: Known,
        validity: Mapping[str, int | None],
    ) -> None:
        self._pool = pool
        self._suspects = suspects
        self._breaks = breaks
        self._validity = validity
        self._known = known
        self._windows = Gatherer(ways, suspects, known)
        self._again: deque[Window] = deque()
        self._settled: deque[Pair] = deque()
        self._selector = selectors.DefaultSelector()
        self._lanes: list[AppendLane] = []
        self._most_lanes = max(1, pool.settings.connections)
        self._full = 0
        self._fatal: BaseException | None = None
        self._exhausted = False

    # --- the loop -------------------------------------------------------------------------------

    def place(self, parcels: Iterable[Parcel]) -> Iterator[Pair]:
        """See ``Target.place``."""
        coming = iter(parcels)
        try:
            self._add(self._pool.main())
            while True:
                begun = self._feed(coming)
                self._settled.extend(self._windows.refused)
                self._windows.refused.clear()
                while self._settled:
                    yield self._settle(*self._settled.popleft())
                if any(lane.busy for lane in self._lanes):
                    # what was begun is on its way while the next is made ready
                    yield from self._turn(0 if begun else self._pool.settings.timeout)
                elif self._fatal is not None or (self._exhausted and not self._waiting):
                    break
            if self._fatal is not None:
                raise self._fatal
        finally:
            self._selector.close()
            for lane in self._lanes:
                if lane.busy:
                    self._breaks.broken(_on_their_way(lane.flights))
                lane.leave()

    @property
    def _waiting(self) -> bool:
        return bool(self._again or self._windows.full or self._settled)

    def _settle(self, parcel: Parcel, outcome: PlaceOutcome) -> Pair:
        if not isinstance(outcome, Unsure):
            self._suspects.cleared(parcel.key)
        return parcel, outcome

    def _turn(self, patience: float) -> Iterator[Pair]:
        """Wait at most so many seconds until something can be done, and do it."""
        timeout = self._pool.settings.timeout
        for lane in self._lanes:
            self._selector.modify(lane.session.stream.sock, lane.events(), lane)
        before = time.monotonic()
        ready = {key.data: events for key, events in self._selector.select(patience)}
        waited = time.monotonic() - before
        for lane in [lane for lane in self._lanes if lane.busy or lane in ready]:
            try:
                events = ready.get(lane, 0)
                if not events:
                    lane.waited(waited, timeout)
                if events & selectors.EVENT_READ:
                    for flight, status in lane.read():
                        for parcel, outcome in self._answered(flight, status):
                            yield self._settle(parcel, outcome)
                if events & selectors.EVENT_WRITE:
                    lane.pump()
            except SpoiltError as exc:
                self._spoilt(lane, exc)
            except ConnectorError as exc:
                self._lost(lane, exc)

    # --- what goes out --------------------------------------------------------------------------

    def _feed(self, coming: Iterator[Parcel]) -> bool:
        """Begin one command, if a connection has room for it; False if none was begun."""
        lane = self._roomy() if self._fatal is None else None
        window = self._next(coming) if lane is not None else None
        if lane is None or window is None:
            return False
        if not lane.takes(window.mode):
            free = next((entry for entry in self._lanes if entry.takes(window.mode)), None)
            if free is None:
                self._again.appendleft(window)
                return False
            lane = free
        lane.begin(Flight(window))
        return True

    def _next(self, coming: Iterator[Parcel]) -> Window | None:
        if self._again:
            return self._again.popleft()
        windows = self._windows
        while not (windows.full or self._exhausted or len(windows.refused) > TOLD):
            try:
                parcel = next(coming, None)
            except Exception as exc:  # noqa: BLE001  whoever feeds us failed: raised at the end
                self._give_up(exc)
                return None
            if parcel is None:
                self._exhausted = True
                windows.flush()
            else:
                windows.add(parcel)
        return windows.full.popleft() if windows.full else None

    def _roomy(self) -> AppendLane | None:
        """The connection with the least on its way; a new one if all are busy."""
        rooms = [lane for lane in self._lanes if lane.has_room()]
        if rooms:
            return min(rooms, key=lambda lane: len(lane.flights))
        if len(self._lanes) >= self._most_lanes or (self._exhausted and not self._waiting):
            return None
        used = {lane.session for lane in self._lanes}
        try:
            sessions = self._pool.several(len(used) + 1)
            fresh = [session for session in sessions if session not in used]
            if fresh:
                return self._add(fresh[0])
        except ConnectorError:  # one connection less, no more than that
            pass
        self._most_lanes = len(self._lanes)
        return None

    def _add(self, session: Session) -> AppendLane:
        lane = AppendLane(session)
        self._lanes.append(lane)
        self._selector.register(session.stream.sock, selectors.EVENT_READ, lane)
        return lane

    # --- what comes back ------------------------------------------------------------------------

    def _answered(self, flight: Flight, status: Status) -> Iterator[Pair]:
        window = flight.window
        self._breaks.answered(time.monotonic() - (flight.begun or math.inf))
        if status.ok:
            self._full = 0
            validity = self._validity.get(window.folder_id)
            uids = append_verdict.uids(status, len(window.loads), validity)
            for load, uid in zip(window.loads, uids, strict=True):
                yield load.parcel, Placed(((window.folder_id, uid),))
            return
        waiting = append_verdict.patience(status)
        if waiting is not None:
            self._unsure([window], waiting.text)
            self._give_up(waiting)
            return
        full = append_verdict.is_over_quota(status)
        if len(window.loads) == 1:
            self._full += full
            octets = window.loads[0].parcel.octets
            if octets is not None and not (full or append_verdict.is_of_mailbox(status)):
                self._known.add(octets)
        elif not (append_verdict.is_of_mailbox(status) or (full and self._full >= FULL)):
            # no message of a refused command is there (RFC 3502 §6.3.11)
            if self._fatal is None:
                self._again.extendleft(reversed(window.halves()))
            else:
                self._unsure([window], status.words)
            return
        for load in window.loads:
            flagged = not load.head.startswith(b" () ")
            yield load.parcel, append_verdict.refused(status, flags=flagged)

    # --- what goes wrong ------------------------------------------------------------------------

    def _give_up(self, error: BaseException) -> None:
        """Begin nothing more; what was begun is waited for, then the error is raised."""
        if self._fatal is not None:
            return
        self._fatal = error
        back = [*self._again, *self._windows.take_back()]
        self._again.clear()
        for lane in self._lanes:
            back += [flight.window for flight in lane.recall()]
        text = error.text if isinstance(error, ConnectorError) else "the run ended before it"
        self._unsure(back, text)

    def _unsure(self, windows: Iterable[Window], text: str) -> None:
        self._settled.extend(
            (load.parcel, Unsure(text)) for window in windows for load in window.loads
        )

    def _lost(self, lane: AppendLane, error: ConnectorError) -> None:
        """A connection ended: nobody knows what became of what was on its way."""
        blamed = not isinstance(error, RateLimited | TokenExpired)
        flights = self._bury(lane)
        begun = [flight for flight in flights if flight.begun is not None]
        for flight in begun if blamed else ():
            for load in flight.window.loads:
                self._suspects.lost(load.parcel.key, accused=lane.accused)
        if not flights and self._lanes:
            return  # it had nothing to do, and there are others
        self._unsure((flight.window for flight in flights), error.text)
        self._give_up(error)

    def _spoilt(self, lane: AppendLane, error: SpoiltError) -> None:
        """A message gave out within its literal: the connection cannot go on."""
        cause = error.__cause__
        flights = self._bury(lane)
        if isinstance(cause, ShortError):
            flights = [flight for flight in flights if flight is not error.flight]
            self._settled.append((cause.parcel, cause.outcome))
            cause = ConnectionLost(f"the connection was given up: {cause}")
        self._unsure((flight.window for flight in flights), "the connection was given up")
        self._give_up(cause or error)

    def _bury(self, lane: AppendLane) -> list[Flight]:
        self._selector.unregister(lane.session.stream.sock)
        self._lanes.remove(lane)
        self._breaks.broken(_on_their_way(lane.flights))
        return lane.die()


def _on_their_way(flights: Iterable[Flight]) -> set[str]:
    """The mailboxes of commands that were begun."""
    return {flight.window.folder_id for flight in flights if flight.begun is not None}
