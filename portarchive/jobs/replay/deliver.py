"""Delivery: what is not on the target yet is placed there, each message once.

Owns the loop around ``Target.place``: keywords that are tried first, refusals as data, the end of
a full account, and the look at what is there after an answer was lost. A message whose answer was
lost is never sent again before the target was asked whether it has it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from portarchive import keywords
from portarchive.archive.contents import Contents
from portarchive.connectors.base import Target
from portarchive.errors import ArchiveError
from portarchive.jobs.replay.pieces import WHOLE, Piece, Print, State, look_at, print_of_octets
from portarchive.jobs.replay.seek import Seeker
from portarchive.jobs.replay.survey import Box, survey
from portarchive.likeness import converted, surely_plain
from portarchive.placing import (
    Alteration,
    LineEnds,
    Merged,
    Parcel,
    Placed,
    PlaceOutcome,
    Refused,
    Spot,
)
from portarchive.records import Received

STRIKES: Final = 3
"""A message that loses the connection so often when it is sent alone is given up."""

FULL: Final = 10
"""So many messages in a row refused for quota, and none placed, end the run."""

TRIALS: Final = 16
"""Of a refused message with more keywords than that, they are left out by halves."""

NOT_KEPT: Final = "not-kept-by-target"
REFUSED: Final = "refused-by-target"
NO_FLAGS: Final = "no-flags-there"
"""Why a flag is not set by a target that keeps none at all (mbox without ``--mbox-status``)."""
LOST: Final = frozenset({NOT_KEPT, REFUSED})
"""Why a keyword is not set in a mailbox that cannot have it."""

_SYSTEM: Final = frozenset({"$seen", "$answered", "$flagged", "$draft", "\\deleted"})
_NO_DATE: Final = Received(None, None)
_VIRTUAL: Final = frozenset({"all", "flagged", "important"})


class Courier:
    """Places pieces.

    Args:
        contents: the archive.
        target: where to.
        placed: is told of each message that was placed.
        seeker: looks for what was sent and not answered.

    Attributes:
        dropped: by folder_id and folded keyword: why it is not set there.
        full: the account takes no more; the run is over.
    """

    def __init__(
        self,
        contents: Contents,
        target: Target,
        placed: Callable[[Piece], None],
        seeker: Seeker,
    ) -> None:
        self._contents = contents
        self._seeker = seeker
        self._target = target
        self._placed = placed
        self._ends = target.capabilities.line_ends
        self.dropped: dict[str, dict[str, str]] = defaultdict(dict)
        self.full = False
        self._over_quota = 0
        self._strikes: dict[int, int] = {}
        self._accused: dict[int, Piece] = {}
        self._out: dict[int, Piece] = {}
        self._joining: dict[int, str] = {}
        self._boxes: Mapping[str, Box] = {}
        self._undated: set[int] = set()
        self._left_out: dict[int, frozenset[str]] = {}
        self._trials: dict[int, deque[frozenset[str]]] = {}
        self._nameless: dict[str, list[Piece]] = defaultdict(list)
        self._tried: dict[str, set[str]] = defaultdict(set)

    def deliver(self, pieces: Iterable[Piece], boxes: Mapping[str, Box]) -> None:
        """Place them; each is placed, merged or failed afterwards.

        Args:
            pieces: what is open.
            boxes: what the mailboxes had before.

        Raises:
            ConnectorError: the target is lost; what was placed stays placed.
        """
        most = self._target.capabilities.max_memberships
        todo = [parcel for piece in pieces for parcel in _parted(piece, most)]
        every = [part for piece in todo for part in piece.parts]
        self._boxes = boxes
        self._nameless.clear()
        while not self.full and (tried := self._trial_pieces(todo, boxes)):
            self._rounds(deque(tried), boxes)
            self._read_keywords(tried, boxes)
        self._rounds(deque(piece for piece in todo if piece.state is State.OPEN), boxes)
        if self.full:
            for part in every:
                if part.state is State.OPEN:
                    part.fail("over-quota", "not sent: the account is full")

    # --- the loop -------------------------------------------------------------------------------

    def _rounds(self, queue: deque[Piece], boxes: Mapping[str, Box]) -> None:
        while queue and not self.full:
            unsure: list[Piece] = []
            alone = queue[0].careful
            batch = deque([queue.popleft()]) if alone else queue
            for parcel, outcome in self._target.place(self._parcels(batch, alone=alone)):
                piece = self._out.pop(parcel.key, None)
                if piece is not None:
                    self._settle(piece, parcel, outcome, queue, unsure)
            unsure += self._out.values()  # taken, and never spoken of again
            self._out.clear()
            if unsure:
                self._look_up(unsure, boxes)
                again = [self._lead(piece) for piece in unsure]
                self._line_up(queue, [piece for piece in again if piece is not None])

    def _line_up(self, queue: deque[Piece], again: Iterable[Piece]) -> None:
        """Put back what goes again.

        What broke the connection alone lets others pass: they tell whether it is guilty. Where a
        second one does, the first is tried until it is decided.
        """
        waiting = [piece for piece in (*again, *queue) if piece.state is State.OPEN]
        struck = [piece for piece in waiting if piece.key in self._strikes]
        others = [piece for piece in waiting if piece.key not in self._strikes]
        struck.sort(key=lambda piece: -self._strikes[piece.key])
        queue.clear()
        queue.extend([*struck, *others] if len(struck) > 1 else [*others, *struck])

    @staticmethod
    def _lead(piece: Piece) -> Piece | None:
        """What is left of a parcel to be sent, under its first piece; None for nothing."""
        rest = [part for part in piece.parts if part.state is State.OPEN]
        if not rest:
            return None
        if rest[0] is not piece:
            rest[0].look, rest[0].careful = piece.look, piece.careful
        rest[0].twins = tuple(rest[1:])
        return rest[0]

    def _parcels(self, queue: deque[Piece], *, alone: bool) -> Iterator[Parcel]:
        while queue and not self.full and (alone or not queue[0].careful):
            piece = queue.popleft()
            if piece.state is not State.OPEN:
                continue
            parcel = self._parcel(piece)
            if parcel is not None:
                self._out[piece.key] = piece
                yield parcel

    def _settle(
        self,
        piece: Piece,
        parcel: Parcel,
        outcome: PlaceOutcome,
        queue: deque[Piece],
        unsure: list[Piece],
    ) -> None:
        if isinstance(outcome, Placed | Merged):
            self._over_quota = 0
            self._accused.pop(piece.key, None)
            self._blame(piece)
            uids = dict(outcome.uids)
            state = State.PLACED if isinstance(outcome, Placed) else State.MERGED
            for part in piece.parts:
                part.state = state
                part.uid = uids.get(part.folder_id, "")
                if part.uid:
                    self._boxes[part.folder_id].used.add(part.uid)
                else:
                    self._look(piece, parcel.octets)
                    self._nameless[part.folder_id].append(part)
            if isinstance(outcome, Placed) and outcome.altered:
                piece.altered = ("octets",)
            self._placed(piece)
        elif isinstance(outcome, Refused):
            self._refused(piece, outcome, queue)
        else:
            piece.text = outcome.text
            self._look(piece, parcel.octets)
            if outcome.email_id is not None:
                self._joining[piece.key] = outcome.email_id
            unsure.append(piece)

    def _refused(self, piece: Piece, refused: Refused, queue: deque[Piece]) -> None:
        if refused.code == "keyword" and self._without_keywords(piece):
            queue.append(piece)
            return
        epoch = piece.epoch
        early = epoch is not None and epoch < 0
        if (refused.code == "date" or early) and piece.key not in self._undated:
            self._undated.add(piece.key)
            queue.append(piece)
            return
        if refused.code == "limit" and piece.twins:
            # some of its mailboxes, at last each alone: it is in as many as it may be
            queue.extend(_parted(piece, (len(piece.parts) + 1) // 2))
            return
        for part in piece.parts:
            part.fail(refused.code, refused.text)
        if refused.code == "over-quota":
            self._over_quota += 1
            self.full = self._over_quota >= FULL

    def _look_up(self, unsure: list[Piece], boxes: Mapping[str, Box]) -> None:
        """Find what was sent and not answered; what is not there goes again, with care."""
        by_folder: dict[str, list[Piece]] = defaultdict(list)
        for piece in unsure:
            for part in piece.parts:
                by_folder[part.folder_id].append(part)
        self._seeker.seek(by_folder, boxes, self._nameless)
        for piece in unsure:
            joined = self._joining.pop(piece.key, None)
            for part in piece.parts if joined is not None else ():
                if part.state is State.PLACED and part.uid == joined:
                    part.state = State.MERGED
            if all(part.state in (State.PLACED, State.MERGED) for part in piece.parts):
                self._accused.pop(piece.key, None)
                self._placed(piece)
            elif any(part.state is State.OPEN for part in piece.parts):
                if piece.careful:
                    self._strikes[piece.key] = self._strikes.get(piece.key, 0) + 1
                    self._accused[piece.key] = piece
                piece.careful = True
                if self._strikes.get(piece.key, 0) >= STRIKES:
                    words = piece.text or "the connection breaks whenever this message is sent"
                    for part in piece.parts:
                        if part.state is State.OPEN:
                            part.fail("connection-lost", words)

    @property
    def accused(self) -> list[Piece]:
        """What broke the connection when it was sent alone."""
        return list(self._accused.values())

    # --- one parcel -----------------------------------------------------------------------------

    def _parcel(self, piece: Piece) -> Parcel | None:
        """The message as it is sent; None if it cannot be (the piece knows why)."""
        item = piece.item
        octets: bytes | None = None
        try:
            if item.size is not None and item.size > WHOLE:
                if piece.look is None:
                    piece.look = look_at(self._contents, item, self._ends)
                size = piece.look.size
            else:
                octets = self._contents.octets(item)
                piece.plain = piece.look is None and self._is_plain(piece, octets)
                if piece.look is None and not piece.plain:
                    piece.look = print_of_octets(octets, self._ends)
                size = len(octets) if piece.look is None else piece.look.size
        except ArchiveError as error:
            for part in piece.parts:
                part.fail(error.code, error.text)
            return None
        for part in piece.twins:
            part.look, part.plain = piece.look, piece.plain
        if self._too_big(piece, size):
            return None
        ends = self._ends if piece.look is None else piece.look.ends
        converts = ends in (LineEnds.CRLF, LineEnds.LF) and ends != self._ends
        if converts:
            piece.line_ends = True
            if octets is not None:
                octets = b"".join(converted([octets], self._ends))
        return Parcel(
            key=piece.key,
            spots=tuple(self._spot(part, piece.key) for part in piece.parts),
            size=size,
            octets=octets,
            chunks=self._chunks(piece, octets, converts=converts),
            careful=piece.careful,
        )

    def _is_plain(self, piece: Piece, octets: bytes) -> bool:
        """Whether size and digest say enough of it, unless it is lost or changed on the way."""
        known = piece.size is not None and piece.digest is not None
        return known and self._ends is LineEnds.CRLF and surely_plain(octets)

    def _look(self, piece: Piece, octets: bytes | None) -> None:
        """It will be looked for: what it looks like, by the octets that were sent."""
        if piece.look is None and piece.plain and octets is not None:
            look = print_of_octets(octets, self._ends)
            for part in piece.parts:
                part.look = look

    def look_again(self, piece: Piece) -> Print | None:
        """What it looks like in the archive; None if it cannot be read any more."""
        try:
            return look_at(self._contents, piece.item, self._ends)
        except ArchiveError:
            return None

    def _chunks(
        self, piece: Piece, octets: bytes | None, *, converts: bool
    ) -> Callable[[], Iterator[bytes]]:
        def chunks() -> Iterator[bytes]:
            if octets is not None:
                yield octets
                return
            stored = self._contents.chunks(piece.item)
            yield from converted(stored, self._ends) if converts else stored

        return chunks

    def _too_big(self, piece: Piece, size: int) -> bool:
        limit = self._target.capabilities.append_limit
        if limit is None or size <= limit:
            return False
        text = f"{size} octets are over the target's limit of {limit}"
        for part in piece.parts:
            part.fail("too-big", text)
        return True

    def _spot(self, piece: Piece, first: int) -> Spot:
        flags = piece.flags
        dropped = self.dropped.get(piece.folder_id, {}).keys() | self._left_out.get(first, set())
        if dropped:
            flags = tuple(flag for flag in flags if keywords.fold(flag) not in dropped)
        if not self._target.capabilities.keywords:
            flags = ()
        received = piece.received
        known = self._target.capabilities.alterations
        epoch = received.epoch
        if piece.key in self._undated:
            received = _NO_DATE
        elif (
            epoch is not None
            and epoch < self._target.capabilities.earliest
            and Alteration.EARLY_DATE in known
        ):
            received = _instant(self._target.capabilities.earliest)
        return Spot(piece.folder_id, flags, received)

    # --- keywords that a mailbox does not promise to keep ---------------------------------------

    def learn(self, box: Box, pieces: Iterable[Piece]) -> None:
        r"""See what a mailbox without ``\*`` did not keep of what an earlier run placed."""
        if box.look is None or box.look.new_keywords or not self._target.capabilities.keywords:
            return
        meant = {}
        for piece in pieces:
            meant.update({keywords.fold(flag): piece.folder_id for flag in piece.flags})
        kept = {keywords.fold(flag) for present in box.presents for flag in present.flags}
        kept |= {keywords.fold(flag) for flag in box.look.keywords or ()} | _SYSTEM
        for key in meant.keys() - kept:
            self.dropped[meant[key]].setdefault(key, NOT_KEPT)

    def _trial_pieces(self, pieces: Iterable[Piece], boxes: Mapping[str, Box]) -> list[Piece]:
        r"""The first message with each keyword that is neither announced nor makeable (``\*``)."""
        chosen: dict[str, set[str]] = defaultdict(set)
        found: list[Piece] = []
        if not self._target.capabilities.keywords:
            return found
        for piece in pieces:
            for part in piece.parts if piece.state is State.OPEN else ():
                look = boxes[part.folder_id].look
                if look is None or look.new_keywords or not part.flags:
                    continue
                announced = {keywords.fold(flag) for flag in look.keywords or ()}
                new = {keywords.fold(flag) for flag in part.flags} - announced - _SYSTEM
                new -= chosen[part.folder_id] | self._tried[part.folder_id]
                new -= self.dropped[part.folder_id].keys()
                if new:
                    chosen[part.folder_id] |= new
                    found.append(piece)
        return list(dict.fromkeys(found))

    def _read_keywords(self, tried: Iterable[Piece], boxes: Mapping[str, Box]) -> None:
        """Over a new connection, see which of them stayed."""
        placed = [part for p in tried for part in p.parts if part.state is State.PLACED]
        if not placed:
            return
        for part in placed:
            self._tried[part.folder_id].update(keywords.fold(flag) for flag in part.flags)
        self._target.reconnect()  # a session may remember what the store does not
        ids = list(dict.fromkeys(part.folder_id for part in placed))
        newer = {key: top for key in ids if (top := boxes[key].top) is not None}
        found = survey(self._target, ids, newer)
        kept: dict[str, set[str]] = defaultdict(set)
        for folder_id, box in found.items():
            for present in box.presents:
                kept[folder_id].update(keywords.fold(flag) for flag in present.flags)
        for part in placed:
            look = boxes[part.folder_id].look
            announced = {keywords.fold(f) for f in (look.keywords if look else None) or ()}
            for flag in part.flags:
                key = keywords.fold(flag)
                if key not in kept[part.folder_id] | announced | _SYSTEM:
                    self.dropped[part.folder_id].setdefault(key, NOT_KEPT)

    def _without_keywords(self, piece: Piece) -> bool:
        """Leave out one keyword at a time, at last all of them; False if nothing is left to try."""
        trials = self._trials.get(piece.key)
        if trials is None:
            own = [
                keywords.fold(flag)
                for part in piece.parts
                for flag in part.flags
                if keywords.fold(flag) not in _SYSTEM
            ]
            single = [frozenset({key}) for key in dict.fromkeys(own)]
            every = [frozenset(own)] if len(single) > 1 else []
            if len(single) > TRIALS:  # nobody's mail has so many, but an archive may
                half = len(single) // 2
                single = [frozenset().union(*part) for part in (single[:half], single[half:])]
            # what was refused before is the first to be suspected
            guilty = {key for part in piece.parts for key in self.dropped[part.folder_id]}
            single.sort(key=lambda one: not one & guilty)
            trials = self._trials[piece.key] = deque([*single, *every])
        if not trials:
            return False
        self._left_out[piece.key] = trials.popleft()
        return True

    def _blame(self, piece: Piece) -> None:
        """What had to be left out for the message to pass is not tried again in its mailbox."""
        for key in self._left_out.get(piece.key, ()):
            for part in piece.parts:
                self.dropped[part.folder_id].setdefault(key, REFUSED)


def _parted(piece: Piece, most: int | None) -> list[Piece]:
    """In parcels of so many mailboxes; first those that a message is missed in most."""
    if most is None or len(piece.parts) <= most:
        return [piece]
    parts = sorted(piece.parts, key=_rank)
    parcels = []
    for start in range(0, len(parts), most):
        first, *twins = parts[start : start + most]
        first.look, first.careful, first.twins = piece.look, piece.careful, tuple(twins)
        parcels.append(first)
    return parcels


def _rank(part: Piece) -> int:
    """The inbox, then what has a role, then the rest, at last what only shows mail of others."""
    roles = set(part.folder.roles)
    return 0 if "inbox" in roles else 3 if roles & _VIRTUAL else 1 if roles else 2


def _instant(epoch: int) -> Received:
    """Seconds since 1970 as a received date."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=epoch)
    return Received(moment.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0"), epoch)
