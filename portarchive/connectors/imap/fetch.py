"""From references to octets: windows over folders and connections, and what is left over.

The order of things: everything in windows, fast; what a window left open is looked at one by one,
slowly, until each reference has exactly one outcome.
"""

from __future__ import annotations

import selectors
from collections.abc import Iterator, Sequence
from typing import Final

from portarchive.connectors.base import Outcome
from portarchive.connectors.imap import convert, listing, search
from portarchive.connectors.imap.answers import Job, Pair
from portarchive.connectors.imap.convoy import Convoy
from portarchive.connectors.imap.folders import wire_of
from portarchive.connectors.imap.lane import Lane
from portarchive.connectors.imap.ledger import Ledger
from portarchive.connectors.imap.listing import collect, message_limit
from portarchive.connectors.imap.names import Literal, argument
from portarchive.connectors.imap.pool import Pool, opened
from portarchive.connectors.imap.rows import Row
from portarchive.connectors.imap.session import Session
from portarchive.connectors.imap.uidset import MAX_UID, UidSet
from portarchive.errors import ConnectionLost, ConnectorError, FolderUnavailable, ServerMisbehaved
from portarchive.records import Failure, MessageRef, Placement, Vanished

WINDOW: Final = 500
"""Messages a command asks for; 500 UIDs of ten digits stay below 8,000 octets."""

SHARE: Final = 50
"""A connection more is worth opening for so many messages."""

_META: Final = b"UID FLAGS INTERNALDATE RFC822.SIZE"
_BODY: Final = b" BODY.PEEK[]"


class Fetcher:
    """Fetches for one source."""

    def __init__(self, pool: Pool, ledger: Ledger) -> None:
        self._pool = pool
        self._ledger = ledger

    def fetch(self, refs: Sequence[MessageRef]) -> Iterator[Pair]:
        """See ``Source.fetch``. What is gone from its first folder is looked for in the others."""
        at, waiting = 0, list(refs)
        while waiting:
            further: list[MessageRef] = []
            groups = list(_groups(waiting, at))
            for ref, outcome in self._folders(at, {key: group for key, group, _ in groups}):
                if isinstance(outcome, Vanished) and len(ref.placements) > at + 1:
                    further.append(ref)
                else:
                    yield ref, outcome
            for _, _, rest in groups:
                for ref in rest:
                    yield ref, Failure("no-data", "the reference has no usable UID")
            at, waiting = at + 1, further

    def _folders(self, at: int, groups: dict[str, dict[int, MessageRef]]) -> Iterator[Pair]:
        """Small folders in one go, as far as that goes well; then what is left, one by one."""
        if not self._ledger.suspects:
            small = {key: refs for key, refs in groups.items() if self._small(key, refs)}
            if len(small) > 1:
                jobs = [self._job(key, at, refs) for key, refs in small.items()]
                yield from Convoy(self._pool.main(), self._ledger).run(jobs)
        for key, refs in groups.items():
            if refs:
                yield from self._folder(key, at, refs)

    def _small(self, folder_id: str, refs: dict[int, MessageRef]) -> bool:
        """Whether a folder is best fetched together with others."""
        if self._pool.settings.connections > 1 and len(refs) > WINDOW:
            return False
        try:
            # a literal would wait for a "+"
            name = argument(wire_of(folder_id), utf8=self._pool.main().utf8)
            return not isinstance(name, Literal)
        except FolderUnavailable:
            return False

    def _job(self, folder_id: str, at: int, refs: dict[int, MessageRef], lanes: int = 1) -> Job:
        session = self._pool.main()
        saved = b" SAVEDATE" if "SAVEDATE" in session.capabilities else b""
        size = min(_window_size(session.capabilities, lanes, len(refs)), self._ledger.most)
        windows = self._windows(folder_id, refs, size)
        # the id comes with the octets, so that neither is stored with another message's
        own = listing.email_item(session.capabilities, session.enabled)
        return Job(folder_id, at, refs, windows, _META + saved + own + _BODY)

    # --- one folder -----------------------------------------------------------------------------

    def _folder(self, folder_id: str, at: int, refs: dict[int, MessageRef]) -> Iterator[Pair]:
        ledger = self._ledger
        if ledger.suspects:
            for uid in list(refs):
                why = ledger.given_up(folder_id, uid)
                if why is not None:
                    yield refs.pop(uid), why
        if not refs:
            return
        wire, expected = wire_of(folder_id), ledger.expected(folder_id)
        main = self._pool.main()
        try:
            opened(main, wire, *expected)
        except FolderUnavailable as exc:
            for ref in refs.values():
                yield ref, Failure(exc.code, exc.text)
            return
        sessions = [main]
        if self._pool.settings.connections > 1:
            sessions = self._pool.several(1 + len(refs) // SHARE)
        lanes_for = [main]
        for session in sessions:
            if session is main:
                continue
            try:
                opened(session, wire, *expected)
            except ConnectorError:  # one connection less, no more than that
                continue
            lanes_for.append(session)
        job = self._job(folder_id, at, refs, len(lanes_for))
        yield from self._drive([Lane(session, job, ledger) for session in lanes_for], job)
        if job.leftovers:
            yield from self._leftovers(job, job.items.removesuffix(_BODY))

    def _windows(self, folder_id: str, refs: dict[int, MessageRef], size: int) -> list[list[int]]:
        if not self._ledger.suspects:
            uids = list(refs)
            return [uids[at : at + size] for at in range(0, len(uids), size)]
        windows: dict[int, list[list[int]]] = {}
        for uid in refs:
            most = min(size, self._ledger.together(folder_id, uid))
            lot = windows.setdefault(most, [[]])
            if len(lot[-1]) == most:
                lot.append([])
            lot[-1].append(uid)
        return [window for most in sorted(windows, reverse=True) for window in windows[most]]

    def _drive(self, lanes: list[Lane], job: Job) -> Iterator[Pair]:
        if len(lanes) == 1:
            lane = lanes[0]
            try:
                lane.offer()
                yield from lane.read(wait=True)
            except (ConnectionLost, ServerMisbehaved):
                lane.died()
                raise
            return
        with selectors.DefaultSelector() as selector:
            for lane in lanes:
                selector.register(lane.channel.stream.sock, selectors.EVENT_READ, lane)
            yield from self._multiplex(selector, lanes, job)

    def _multiplex(
        self, selector: selectors.BaseSelector, lanes: list[Lane], job: Job
    ) -> Iterator[Pair]:
        timeout = self._pool.settings.timeout
        while True:
            for lane in list(lanes):
                try:
                    lane.offer()
                    yield from lane.read(wait=False)
                    if lane.channel.stream.undelivered():
                        lane.channel.fill()
                        yield from lane.read(wait=False)
                except (ConnectionLost, ServerMisbehaved):
                    if not _go_on_without(selector, lanes, lane, job):
                        raise
            waiting = [lane for lane in lanes if lane.windows]
            if not waiting and not job.todo:
                return
            if not waiting or any(lane.channel.stream.undelivered() for lane in waiting):
                continue
            ready = selector.select(timeout)
            if not ready:
                for lane in waiting:
                    lane.channel.broken = True
                    lane.died()
                raise ConnectionLost("the server fell silent")
            for key, _ in ready:
                try:
                    key.data.channel.fill()
                except ConnectionLost:
                    if not _go_on_without(selector, lanes, key.data, job):
                        raise

    # --- what a tagged OK left open -------------------------------------------------------------

    def _leftovers(self, job: Job, meta: bytes) -> Iterator[Pair]:
        """Ask again: is it there, what is it, and then its octets, alone."""
        session = self._pool.main()
        opened(session, wire_of(job.folder_id), *self._ledger.expected(job.folder_id))
        for start in range(0, len(job.leftovers), WINDOW):
            uids = [uid for uid in job.leftovers[start : start + WINDOW] if uid in job.refs]
            if not uids:
                continue
            session.run(b"NOOP")
            wanted = UidSet(uids).text().encode("ascii")
            rows, status = collect(session, b"UID FETCH " + wanted + b" (" + meta + b")")
            if not status.ok:
                session.check(status)
            unnamed = [uid for uid in uids if status.ok and uid not in rows]
            outcomes = _unnamed(session, unnamed)
            for uid in uids:
                row = rows.get(uid)
                ref = job.refs.pop(uid)
                if uid in outcomes:
                    yield ref, outcomes[uid]
                else:
                    described = _enriched(ref, job.at, row or Row(uid))
                    yield from self._alone(session, job, uid, described)

    def _alone(self, session: Session, job: Job, uid: int, ref: MessageRef) -> Iterator[Pair]:
        single = Job(job.folder_id, job.at, {uid: ref}, [[uid]], b"UID" + _BODY, alone=True)
        yield from self._drive([Lane(session, single, self._ledger)], single)
        if uid in single.refs:
            nil = uid in single.nil or uid in job.nil
            outcome: Outcome = (
                Failure("nil-body", "the server says NIL in place of the message")
                if nil
                else Failure("no-data", "the server says OK and sends nothing")
            )
            yield single.refs[uid], outcome


def _unnamed(session: Session, uids: list[int]) -> dict[int, Outcome]:
    """What became of messages that no FETCH names: only what SEARCH does not name is gone."""
    if not uids:
        return {}
    session.run(b"NOOP")  # the last chance to tell of an EXPUNGE
    try:
        there = search.named(session, session.capabilities, UidSet(uids))
    except FolderUnavailable as exc:
        text = f"the server says OK and sends nothing; whether it is gone is not known: {exc.text}"
        return dict.fromkeys(uids, Failure("no-data", text))
    failed = Failure("no-data", "the server says OK and sends nothing, and SEARCH names it")
    return {uid: failed if uid in there else Vanished() for uid in uids}


def _go_on_without(
    selector: selectors.BaseSelector, lanes: list[Lane], lane: Lane, job: Job
) -> bool:
    """Leave a connection that died and hand its messages on; False if it was the last one."""
    selector.unregister(lane.channel.stream.sock)
    lanes.remove(lane)
    lane.channel.broken = True
    job.todo.extendleft([uid] for uid in reversed(lane.died()))
    return bool(lanes)


def _groups(
    refs: Sequence[MessageRef], at: int
) -> Iterator[tuple[str, dict[int, MessageRef], list[MessageRef]]]:
    """References by the folder of their placement ``at``; those without a usable UID apart."""
    groups: dict[str, dict[int, MessageRef]] = {}
    odd: dict[str, list[MessageRef]] = {}
    for ref in refs:
        place = ref.placements[at]
        group = groups.setdefault(place.folder_id, {})
        uid = int(place.uid) if place.uid.isdecimal() else 0
        if not 0 < uid <= MAX_UID or uid in group:
            odd.setdefault(place.folder_id, []).append(ref)
        else:
            group[uid] = ref
    for folder_id, group in groups.items():
        yield folder_id, group, odd.get(folder_id, [])


def _window_size(capabilities: frozenset[str], lanes: int, count: int) -> int:
    """As much as one command may ask, and little enough to keep every lane busy."""
    size = WINDOW if lanes == 1 else max(1, min(WINDOW, -(-count // (2 * lanes))))
    return min(size, message_limit(capabilities) or size)


def _enriched(ref: MessageRef, at: int, row: Row) -> MessageRef:
    old = ref.placements[at]
    placed = Placement(
        old.folder_id,
        old.uid,
        row.flags if old.flags is None else old.flags,
        convert.received(row.date) if old.received is None and row.date else old.received,
        old.save_date or convert.save_date(row.saved),
    )
    return ref._replace(
        placements=(*ref.placements[:at], placed, *ref.placements[at + 1 :]),
        size=ref.size if row.size is None else row.size,
    )
