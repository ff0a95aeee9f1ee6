"""Verify: everything that was placed is read back and compared with what was meant.

Count, flags, date and size of every message; octets of each that a server could trip over, of each
whose size differs, and of a sample of the rest. What a kind of server is known to change is on its
closed list; anything else that differs is named as unexpected.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from portarchive import keywords
from portarchive.connectors.base import Target
from portarchive.errors import ArchiveError
from portarchive.jobs.replay.deliver import Courier
from portarchive.jobs.replay.ledger import Entry
from portarchive.jobs.replay.looking import RECOGNISED, Pair, Rest, Round, print_of_body
from portarchive.jobs.replay.match import Matcher, changes_instant
from portarchive.jobs.replay.merged import DATE_MERGED, MERGED, Merging
from portarchive.jobs.replay.options import SAMPLE, ImportOptions
from portarchive.jobs.replay.pieces import Piece, Print, State
from portarchive.jobs.replay.survey import Box, survey
from portarchive.placing import Alteration, Present
from portarchive.records import Failure, Vanished

_SERVER_SETS: Final = frozenset({"\\recent", "$imported", "$hasattachment", "$hasnoattachment"}) | {
    key for key, word in keywords.KEYWORDS.items() if word.set_by is keywords.SetBy.SERVER
}

_NOT_OF_OCTETS: Final = MERGED | {
    "flags", "flags-added", "date", Alteration.EARLY_DATE.value, Alteration.FUTURE_DATE.value,
}  # fmt: skip
_NOT_READ: Final = "not-read-back"

_BY_REST: Final = (Alteration.CR_RUN, Alteration.BARE_LF, Alteration.NUL)
_NO_BODY: Final = hashlib.sha256().digest()[:16]


class Checker:
    """Reads back what was placed.

    Args:
        target: where it is.
        matcher: finds messages whose uid the target did not tell.
        courier: knows which keywords were left out.
        options: how much is read back.

    Attributes:
        read_back: whole messages of the target.
        unkept: by the archive's path and flag, how many messages are without it, of a target that
            keeps no flags.
    """

    def __init__(
        self, target: Target, matcher: Matcher, courier: Courier, options: ImportOptions
    ) -> None:
        self._target = target
        self._matcher = matcher
        self._courier = courier
        self._every = options.verify == "bytes"
        self._keeps_flags = target.capabilities.keywords
        self._known = {str(each) for each in target.capabilities.alterations}
        # of a target that keeps flags one that is lost is never what is known of it
        self._excuses = self._known - ({Alteration.FLAGS.value} if self._keeps_flags else set())
        self._merging = Merging(target.capabilities, _SERVER_SETS, self._lacks)
        self.read_back = 0
        self.unkept: Counter[tuple[str, str]] = Counter()

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
        memorable: list[tuple[Piece, Box, Present]] = []
        wanted: list[tuple[Piece, Present]] = []
        for folder_id, parts in by_folder.items():
            box = found[folder_id]
            if box.failed is not None:
                for piece in parts:
                    piece.altered, piece.text = (_NOT_READ,), box.failed.text
                continue
            self._find(parts, box, boxes[folder_id])
            boxes[folder_id].top = box.top or boxes[folder_id].top
            there = {present.uid: present for present in box.presents}
            for piece in parts:
                if piece.state is State.FAILED:
                    continue
                present = there.get(piece.uid)
                if present is None:
                    text = "the target took this message and does not show it"
                    piece.fail("lost-by-target", text)
                    continue
                self._merging.add(piece, present)
                if self._compare(piece, present):
                    wanted.append((piece, present))
                memorable.append((piece, box, present))
        self._compare_octets(wanted)
        self._merge((piece, present) for piece, _, present in memorable)
        entries = [
            entry_of(piece, paths[piece.folder_id], box, present)
            for piece, box, present in memorable
        ]
        return [entry for entry in entries if entry is not None]

    def check_present(
        self, pairs: Sequence[Pair], told: Callable[[Present], tuple[str, ...]]
    ) -> None:
        """Compare what was there before this run; nothing of it is ever changed.

        Flags and dates are as its owner may have made them (``differs``). Octets that are others
        were changed by the target, in this run's sight or an earlier one's (``altered``); so were
        flags, where it keeps none.

        Args:
            pairs: of the last ``Matcher.match``.
            told: what the ledger says of the octets of a message.
        """
        wanted: list[tuple[Piece, Present]] = []
        for piece, present, by in pairs:
            flags = tuple(self._flags(piece, present))
            unkept = () if self._keeps_flags else flags
            piece.differs = (*(flags if self._keeps_flags else ()), *self._instant(piece, present))
            piece.altered, piece.known = unkept, self._excused(unkept)
            if by is Round.LEDGER:
                piece.altered = (*told(present), *unkept)
                piece.known, piece.named = self._excused(piece.altered), True
            elif by in RECOGNISED:
                look, seen = self._matcher.seen.get(piece.key, (None, None))
                if look is None or seen is None or look.trips or look.body == _NO_BODY:
                    piece.look = look  # the digests do not tell all
                    wanted.append((piece, present))
                elif look.octets != seen.octets:
                    piece.altered = (self._reason(look, seen, same_rest=False), *unkept)
                    piece.known = self._excused(piece.altered)
            self._merging.add(piece, present)
        self._compare_octets(wanted)
        self._merge((piece, present) for piece, present, _ in pairs)
        for piece, _ in wanted:
            piece.look = None

    def copies(self, pieces: Iterable[Piece], pairs: Iterable[Pair]) -> int:
        """Copies in one mailbox are one message there: with the first of them all are present."""
        found = {piece.digest: (piece, there) for piece, there, _ in pairs if piece.digest}
        copies: list[tuple[Piece, Present]] = []
        for piece in pieces:
            pair = found.get(piece.digest) if piece.digest is not None else None
            if piece.state is State.OPEN and pair is not None:
                first, present = pair
                piece.state, piece.uid, piece.code = State.PRESENT, first.uid, first.code
                piece.differs = (*self._flags(piece, present), *self._instant(piece, present))
                self._merging.add(piece, present)
                copies.append((piece, present))
        self._merge(copies)
        return len(copies)

    def _merge(self, judged: Iterable[tuple[Piece, Present]]) -> None:
        """Name what became one; of all messages of the archive that one of the target is."""
        for piece in self._merging.judge(present for _, present in judged):
            piece.known = self._excused(piece.altered)

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
        piece.known = self._excused(piece.altered)
        look, octets = piece.look, piece.octets
        return (
            self._every
            or octets is None
            or (look is not None and not look.plain)
            or present.size != (piece.size if look is None else look.size)
            or "octets" in piece.altered
            or octets[0] % SAMPLE == 0
        )

    def _excused(self, altered: Iterable[str]) -> bool:
        """Whether all of it is on the target's closed list."""
        return set(altered) - MERGED <= self._excuses

    def flags_unkept(self, piece: Piece, there: Iterable[str] = ()) -> list[str]:
        """What a target that keeps no flags will be without; counted in ``unkept``, once a piece.

        Args:
            piece: meant for it.
            there: flags that it shows all the same (of a file that somebody else wrote).
        """
        if self._keeps_flags:
            return []
        shown = {keywords.fold(flag) for flag in there}
        lost = [flag for flag in piece.flags if keywords.fold(flag) not in shown]
        self.unkept.update((piece.folder.path, flag) for flag in lost)
        return lost

    def _flags(self, piece: Piece, present: Present) -> Iterator[str]:
        if not self._keeps_flags:
            if self.flags_unkept(piece, present.flags):
                yield Alteration.FLAGS.value
            return
        dropped = self._courier.dropped.get(piece.folder_id, {})
        if not dropped and piece.flags == present.flags:
            return
        meant = {keywords.fold(flag) for flag in piece.flags} - set(dropped)
        seen = {keywords.fold(flag) for flag in present.flags}
        more = seen - meant - _SERVER_SETS
        if meant - seen or (more and piece.state is State.PRESENT):
            yield "flags"
        if more and piece.state in (State.PLACED, State.MERGED):
            yield "flags-added"

    def _lacks(self, piece: Piece, present: Present) -> bool:
        dropped = self._courier.dropped.get(piece.folder_id, {})
        meant = {keywords.fold(flag) for flag in piece.flags} - set(dropped)
        return not meant <= {keywords.fold(flag) for flag in present.flags}

    def _instant(self, piece: Piece, present: Present) -> Iterator[str]:
        epoch = piece.epoch
        if epoch is None or epoch == present.received.epoch:
            return
        if piece.state is State.MERGED:
            yield DATE_MERGED
        elif changes_instant(epoch, self._target.capabilities):
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
            place = present.folder_id, present.uid
            if outcome.octets is not None:
                digest = hashlib.sha256(outcome.octets).digest()[:16]
                if all(piece.octets == digest for piece in by_place.get(place, ())):
                    for piece in by_place.pop(place, []):  # the canonical octets themselves
                        self._settle(piece, [])
                    continue
            rest = Rest(outcome)
            seen = print_of_body(rest)
            if seen is not None:
                for piece in by_place.pop(place, []):
                    self._judge(piece, seen, rest.digest())
        for pieces in by_place.values():
            for piece in pieces:
                piece.altered, piece.known = (*piece.altered, _NOT_READ), False

    def _judge(self, piece: Piece, seen: Print, rest: bytes) -> None:
        reasons = []
        if piece.octets not in {None, seen.octets}:
            look = piece.look or self._courier.look_again(piece)
            same_rest = self._same_rest(piece, rest)
            reasons.append(
                "octets" if look is None else self._reason(look, seen, same_rest=same_rest)
            )
        self._settle(piece, reasons)

    def _settle(self, piece: Piece, reasons: Sequence[str]) -> None:
        """What became of its octets is known."""
        others = [word for word in piece.altered if word != "octets"]
        piece.altered = (*others, *reasons)
        piece.known = self._excused(piece.altered)

    def _same_rest(self, piece: Piece, rest: bytes) -> bool:
        """Whether nothing else changed than what servers are known to change."""
        try:
            return self._matcher.rest(piece) == rest
        except ArchiveError:
            return False

    def _reason(self, look: Print, seen: Print, *, same_rest: bool) -> str:
        """What changed: an ``Alteration`` only if nothing else did."""
        same_body, same_header = look.body == seen.body, look.header == seen.header
        reasons = []
        if same_rest or (same_body and same_header):
            reasons += [word for word in _BY_REST if word in look.trips]
            if Alteration.EIGHT_BIT_HEADER in look.trips and same_body:
                reasons.append(Alteration.EIGHT_BIT_HEADER)
            lost = look.body == _NO_BODY and seen.size == look.size - 1
            if lost or (same_body and same_header):
                reasons.append(Alteration.LAST_LF)
        if not reasons:
            return "header" if same_body else "body" if same_header else "octets"
        return next((word for word in reasons if word in self._known), reasons[0]).value


def entry_of(piece: Piece, path: tuple[str, ...], box: Box, present: Present) -> Entry | None:
    """What is remembered of it; None for what is to be looked at again the next time."""
    digest = piece.digest
    if digest is None and piece.look is not None:
        digest = piece.look.sha256  # an archive of another generator tells none
    if digest is None or _NOT_READ in piece.altered:
        return None
    uidvalidity = box.look.uidvalidity if box.look is not None else None
    words = tuple(word for word in piece.altered if word not in _NOT_OF_OCTETS)
    instant = present.received.epoch
    return Entry(path, uidvalidity, present.uid, digest, present.size, words, instant)
