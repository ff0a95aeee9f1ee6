"""Verify: everything that was placed is read back and compared with what was meant.

Count, flags, date and size of every message; octets of each that a server could trip over, of each
whose size differs, and of a sample of the rest. What a kind of server is known to change is on its
closed list; anything else that differs is named as unexpected.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from portarchive import keywords
from portarchive.connectors.base import Target
from portarchive.jobs.replay.deliver import Courier
from portarchive.jobs.replay.ledger import Entry
from portarchive.jobs.replay.looking import print_of_body
from portarchive.jobs.replay.match import Matcher, changes_instant
from portarchive.jobs.replay.options import SAMPLE, ImportOptions
from portarchive.jobs.replay.pieces import Piece, Print, State
from portarchive.jobs.replay.survey import Box, survey
from portarchive.placing import Alteration, LineEnds, Present
from portarchive.records import Failure, Vanished

_SERVER_SETS: Final = frozenset({"\\recent", "$imported", "$hasattachment", "$hasnoattachment"}) | {
    key for key, word in keywords.KEYWORDS.items() if word.set_by is keywords.SetBy.SERVER
}

_NO_BODY: Final = hashlib.sha256().digest()[:16]


class Checker:
    """Reads back what was placed.

    Args:
        target: where it is.
        matcher: finds messages whose uid the target did not tell.
        courier: knows which keywords were left out.
        options: how much is read back.
    """

    def __init__(
        self, target: Target, matcher: Matcher, courier: Courier, options: ImportOptions
    ) -> None:
        self._target = target
        self._matcher = matcher
        self._courier = courier
        self._every = options.verify == "bytes"
        self._known = target.capabilities.alterations
        self.read_back = 0

    def check(
        self,
        pieces: Iterable[Piece],
        boxes: Mapping[str, Box],
        paths: Mapping[str, tuple[str, ...]],
    ) -> list[Entry]:
        """Compare; what is missing is failed now, what differs is ``altered``.

        Args:
            pieces: those that were placed or merged.
            boxes: the mailboxes before that.
            paths: of the mailboxes, by folder_id.

        Returns:
            What may be remembered.
        """
        done = [p for p in pieces if p.state in (State.PLACED, State.MERGED)]
        by_folder: dict[str, list[Piece]] = defaultdict(list)
        for piece in done:
            by_folder[piece.folder_id].append(piece)
        newer = {key: top for key in by_folder if (top := boxes[key].top) is not None}
        if any(piece.state is State.MERGED for piece in done):
            newer = {}  # what was merged may be old
        found = survey(self._target, list(by_folder), newer)
        entries: list[Entry] = []
        wanted: list[tuple[Piece, Present]] = []
        for folder_id, parts in by_folder.items():
            box = found[folder_id]
            if box.failed is not None:
                for piece in parts:
                    piece.altered, piece.text = ("not-read-back",), box.failed.text
                continue
            self._find(parts, box, boxes[folder_id])
            boxes[folder_id].top = box.top or boxes[folder_id].top
            there = {present.uid: present for present in box.presents}
            uidvalidity = box.look.uidvalidity if box.look is not None else None
            for piece in parts:
                if piece.state is State.FAILED:
                    continue
                present = there.get(piece.uid)
                if present is None:
                    text = "the target took this message and does not show it"
                    piece.fail("lost-by-target", text)
                    continue
                if self._compare(piece, present):
                    wanted.append((piece, present))
                if piece.digest is not None:
                    path = paths[folder_id]
                    entries.append(Entry(path, uidvalidity, piece.uid, piece.digest, present.size))
        self._compare_octets(wanted)
        return entries

    def _find(self, parts: list[Piece], box: Box, before: Box) -> None:
        """The uids that the target did not tell (no UIDPLUS)."""
        nameless = [piece for piece in parts if not piece.uid]
        if not nameless:
            return
        claimed = {piece.uid for piece in parts} | before.used
        claimed |= {present.uid for present in before.presents}
        new = [present for present in box.presents if present.uid not in claimed]
        for piece, present, _ in self._matcher.find_sent(nameless, new):
            piece.uid = present.uid
            before.used.add(present.uid)

    # --- what the listing tells -----------------------------------------------------------------

    def _compare(self, piece: Piece, present: Present) -> bool:
        """Note what differs; True if the octets are to be looked at."""
        altered = [*piece.altered, *self._flags(piece, present), *self._instant(piece, present)]
        piece.altered = tuple(dict.fromkeys(altered))
        piece.known = not set(piece.altered) - self._excused()
        look = piece.look
        return (
            self._every
            or look is None
            or not look.plain
            or present.size != look.size
            or "octets" in piece.altered
            or look.octets[0] % SAMPLE == 0
        )

    def _excused(self) -> set[str]:
        return {Alteration.EARLY_DATE.value, Alteration.FUTURE_DATE.value} & {
            str(alteration) for alteration in self._known
        }

    def _flags(self, piece: Piece, present: Present) -> Iterator[str]:
        if not self._target.capabilities.keywords:
            return
        dropped = self._courier.dropped.get(piece.folder_id, {})
        meant = {keywords.fold(flag) for flag in piece.flags} - set(dropped)
        seen = {keywords.fold(flag) for flag in present.flags}
        if meant - seen:
            yield "flags"
        if piece.state is State.PLACED and seen - meant - _SERVER_SETS:
            yield "flags-added"

    def _instant(self, piece: Piece, present: Present) -> Iterator[str]:
        epoch = piece.epoch
        if epoch is None or epoch == present.received.epoch or piece.state is State.MERGED:
            return
        if changes_instant(epoch, self._target.capabilities):
            early = epoch < self._target.capabilities.earliest
            yield (Alteration.EARLY_DATE if early else Alteration.FUTURE_DATE).value
        else:
            yield "date"

    # --- what the octets tell -------------------------------------------------------------------

    def _compare_octets(self, wanted: list[tuple[Piece, Present]]) -> None:
        by_place: dict[tuple[str, str], list[Piece]] = defaultdict(list)
        asked: dict[tuple[str, str], Present] = {}
        for piece, present in wanted:
            # equal messages may have become one
            by_place[present.folder_id, present.uid].append(piece)
            asked[present.folder_id, present.uid] = present
        self.read_back += len(asked)
        for present, outcome in self._target.fetch(list(asked.values())):
            if isinstance(outcome, Failure | Vanished):
                continue
            seen = print_of_body(outcome)
            if seen is not None:
                for piece in by_place.pop((present.folder_id, present.uid), []):
                    self._judge(piece, seen)
        for pieces in by_place.values():
            for piece in pieces:
                piece.altered, piece.known = (*piece.altered, "not-read-back"), False

    def _judge(self, piece: Piece, seen: Print) -> None:
        others = [word for word in piece.altered if word != "octets"]
        look = piece.look
        if look is None or seen.octets == look.octets:
            piece.altered = tuple(others)
            piece.known = not set(others) - self._excused()
            return
        reason, known = self._reason(look, seen)
        piece.altered = (*others, reason)
        piece.known = known and not set(others) - self._excused()

    def _reason(self, look: Print, seen: Print) -> tuple[str, bool]:
        """What changed, and whether this server is known to do it."""
        same_body, same_header = look.body == seen.body, look.header == seen.header
        trips = set(look.trips)
        if same_body and same_header:
            if Alteration.BARE_LF in trips and look.ends is LineEnds.MIXED:
                return Alteration.BARE_LF.value, Alteration.BARE_LF in self._known
            if Alteration.CR_RUN in trips:
                return Alteration.CR_RUN.value, Alteration.CR_RUN in self._known
            return Alteration.LAST_LF.value, Alteration.LAST_LF in self._known
        if Alteration.CR_RUN in trips and Alteration.CR_RUN in self._known:
            return Alteration.CR_RUN.value, True
        if Alteration.NUL in trips:
            return Alteration.NUL.value, Alteration.NUL in self._known
        if Alteration.EIGHT_BIT_HEADER in trips and same_body:
            return Alteration.EIGHT_BIT_HEADER.value, Alteration.EIGHT_BIT_HEADER in self._known
        if (
            Alteration.LAST_LF in self._known
            and look.body == _NO_BODY
            and seen.size == look.size - 1
        ):
            return Alteration.LAST_LF.value, True
        return ("header" if same_body else "body" if same_header else "octets"), False
