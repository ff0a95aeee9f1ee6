"""Bodies of several folders over one connection, everything sent ahead.

``EXAMINE a``, its fetches, ``EXAMINE b``, its fetches, and so on: no folder waits for another. The
good case only: what a folder leaves open (a refusal, a message without data, a mailbox that
does not open) stays in its job, and ``fetch`` looks at it again, folder by folder. UIDVALIDITY and
MAILBOXID are compared at each EXAMINE before an answer behind it is believed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from portarchive.connectors.imap.answers import Job, Pair
from portarchive.connectors.imap.examine import Opening, read_examine, send_examine
from portarchive.connectors.imap.folders import wire_of
from portarchive.connectors.imap.lane import Lane
from portarchive.connectors.imap.ledger import Ledger
from portarchive.connectors.imap.mailbox import Mailbox
from portarchive.connectors.imap.session import Session
from portarchive.errors import ConnectionLost, FolderUnavailable, ServerMisbehaved


@dataclass(slots=True)
class _Wagon:
    """One folder on its way. ``opening`` is None if its mailbox is open already."""

    job: Job
    lane: Lane
    opening: Opening | None


class Convoy:
    """Works off the jobs of several folders, in order.

    Args:
        session: the connection, with nothing on its way.
        ledger: knows the UIDVALIDITYs the references were listed under.
    """

    def __init__(self, session: Session, ledger: Ledger) -> None:
        self._session = session
        self._ledger = ledger
        self._wagons: deque[_Wagon] = deque()

    def run(self, jobs: Sequence[Job]) -> Iterator[Pair]:
        """Outcomes as they arrive; what is left in ``job.refs`` has none yet.

        Raises:
            ConnectionLost, ServerMisbehaved, RateLimited, TokenExpired: as everywhere.
        """
        rest = deque(jobs)
        while rest or self._wagons:
            while rest and (not self._wagons or self._session.has_room()):
                self._send(rest.popleft())
            wagon = self._wagons.popleft()
            try:
                yield from self._read(wagon)
            except (ConnectionLost, ServerMisbehaved):
                wagon.lane.died()
                raise

    def _send(self, job: Job) -> None:
        session, wire = self._session, wire_of(job.folder_id)
        lane = Lane(session, job, self._ledger, ahead=True)
        here = session.mailbox
        opening = None
        if self._wagons or here is None or here.wire != wire:
            opening = send_examine(session, wire)
        elif not self._is_expected(job, here):
            return
        lane.send_ahead()
        self._wagons.append(_Wagon(job, lane, opening))

    def _is_expected(self, job: Job, box: Mailbox) -> bool:
        validity = self._ledger.validity.get(job.folder_id, box.uidvalidity)
        mailbox_id = self._ledger.mailbox_ids.get(job.folder_id)
        same = mailbox_id is None or box.mailbox_id is None or mailbox_id == box.mailbox_id
        return same and validity == box.uidvalidity

    def _read(self, wagon: _Wagon) -> Iterator[Pair]:
        if wagon.opening is None:
            yield from wagon.lane.read(wait=True)
            return
        believed = False
        try:
            box = read_examine(self._session, wagon.opening)
            believed = self._is_expected(wagon.job, box)
        except FolderUnavailable:
            pass  # its fetches are refused by now, or are about nothing that was asked for
        if believed:
            yield from wagon.lane.read(wait=True)
            return
        refs = wagon.job.refs.copy()
        wagon.job.refs.clear()  # nobody waits for what comes now
        for _ in wagon.lane.read(wait=True):
            pass
        wagon.job.refs.update(refs)
