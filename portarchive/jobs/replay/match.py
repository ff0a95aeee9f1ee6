"""Matching: which messages of the archive a mailbox of the target has already.

Each message of the target is used at most once. It works in rounds, from equal octets to equal
identity (``altered``); what remains is to be placed. Octets are equal also if they are what this
target makes of those that it was sent (``becomes``). It needs no memory of earlier runs: a ledger
makes it faster, never different. Owns the order of the rounds, the short cuts and the round of
equal octets; refuses to place or to judge.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

from portarchive.archive.contents import ContentFolder
from portarchive.connectors.base import Target
from portarchive.errors import ArchiveError
from portarchive.jobs.replay.altered import AlteredRounds
from portarchive.jobs.replay.becomes import FORETOLD, becomes
from portarchive.jobs.replay.looking import Looker, Pair, Round, Work
from portarchive.jobs.replay.pieces import NOTHING, Piece, Print, print_of_chunks
from portarchive.jobs.replay.twins import couple, is_just_as
from portarchive.likeness import converted
from portarchive.placing import Alteration, LineEnds, Present, TargetCapabilities

__all__ = ["Matcher", "Pair", "Round", "changes_instant"]


WINDOW: Final = 4000
"""So many messages of the target are looked at together in the round of equal octets."""

SMALL: Final = 16 << 10
"""Of messages up to so many octets the whole is asked for at once, not the header first."""

_NOT_KEPT: Final = FORETOLD | {Alteration.LAST_LF, Alteration.EMPTY, Alteration.NO_HEADER}


class Matcher:
    """The rounds, for one target.

    Args:
        target: is asked for headers and octets of what is in doubt.
        print_piece: reads a message of the archive; None if it cannot be read.
        read_piece: its octets.
        same_ids: ids of the archive are ids of this target.
        strict: stop after equal octets, and believe no ledger and no ids.

    Attributes:
        seen: of the last ``match``, see ``Work``.
    """

    def __init__(
        self,
        target: Target,
        print_piece: Callable[[Piece], Print | None],
        read_piece: Callable[[Piece], Iterator[bytes]],
        *,
        same_ids: bool,
        strict: bool = False,
    ) -> None:
        self._known = target.capabilities
        self._looker = Looker(target)
        self._altered = AlteredRounds(self._looker, self._any_instant, self._look, self._becomes)
        self._print = print_piece
        self._read = read_piece
        self._same_ids = same_ids
        self._strict = strict
        self.seen: Mapping[int, tuple[Print | None, Print | None]] = {}

    @property
    def headers_read(self) -> int:
        """How many headers the target was asked for."""
        return self._looker.headers_read

    @property
    def bodies_read(self) -> int:
        """How many whole messages the target was asked for."""
        return self._looker.bodies_read

    def match(
        self,
        pieces: Iterable[Piece],
        presents: Iterable[Present],
        *,
        remembered: Iterable[tuple[Present, bytes, bool]] = (),
        uidvalidity: int | None = None,
        path: tuple[str, ...] = (),
        mailbox_id: str | None = None,
        certain: bool = False,
    ) -> list[Pair]:
        """Pairs of one mailbox; those pieces forget their looks.

        Args:
            pieces: what the archive has for it and is not found yet.
            presents: what is in it and is not used yet.
            remembered: some of them, with the SHA-256 of the archive's octets that an earlier run
                placed there, and whether they are known to have the instant that they had then.
            uidvalidity: of the mailbox now.
            path: of the mailbox: whether it is the archive's own.
            mailbox_id: the same by MAILBOXID, where the target tells it.
            certain: without the rounds for what was changed: what is only alike may be somebody's.
        """
        work = Work(pieces, presents, forgets=True, exact=self._strict)
        if not self._strict:
            self._by_ledger(work, remembered)
            if self._same_ids:
                self._by_ids(work, uidvalidity, path, mailbox_id)
        if work.both():
            self._by_octets(work)
        if work.both() and not self._strict and not certain:
            self._altered.pair(work)
        self._late(work)
        if not certain:
            self._in_doubt(work)
        self.seen = work.seen
        return work.pairs

    def find_sent(self, pieces: Iterable[Piece], presents: Iterable[Present]) -> list[Pair]:
        """The same among messages that may have been sent by this very run: all rounds."""
        work = Work(pieces, presents)
        if work.both():
            self._by_octets(work)
        if work.both():
            self._altered.pair(work)
        self._late(work)
        self._in_doubt(work)
        return work.pairs

    def rest(self, piece: Piece) -> bytes:
        """What no server on the closed lists changes of it, see ``Looker.rest``.

        Raises:
            Damaged: its octets cannot be read.
        """
        return Looker.rest(self._read(piece))

    def _look(self, work: Work, piece: Piece) -> Print | None:
        """What it looks like; also what this target makes of it, if that is something else.

        From here on it has a digest, so that it can be remembered, whoever made the archive.
        """
        look = self._print(piece)
        if look is None:
            return None
        if piece.digest is None:
            piece.digest = look.sha256
        known = FORETOLD & self._known.alterations
        changed = not known.isdisjoint(look.trips)
        if changed and not work.exact and piece.key not in work.foretold:
            try:
                foretold = print_of_chunks(self._becomes(piece), self._known.line_ends)
            except ArchiveError:
                return look  # whoever places it says so
            if foretold.octets != look.octets:
                work.foretold[piece.key] = foretold
        return look

    def _becomes(self, piece: Piece) -> Iterator[bytes]:
        """The octets of the archive as this target is known to keep them, with CR LF."""
        chunks: Iterable[bytes] = self._read(piece)
        if piece.look is None or piece.look.ends in (LineEnds.CRLF, LineEnds.LF):
            chunks = converted(chunks, LineEnds.CRLF)
        return becomes(chunks, FORETOLD & self._known.alterations)

    # --- rounds ---------------------------------------------------------------------------------

    def _by_ledger(self, work: Work, remembered: Iterable[tuple[Present, bytes, bool]]) -> None:
        some = iter(remembered)
        first = next(some, None)
        if first is None:
            return
        by_digest: dict[bytes, list[Piece]] = {}
        for piece in work.pieces.values():
            if piece.digest is None:
                self._look(work, piece)
            if piece.digest is not None:
                by_digest.setdefault(piece.digest, []).append(piece)
        twins: dict[bytes, list[tuple[Present, bool]]] = defaultdict(list)
        for present, digest, dated in chain((first,), some):
            pieces = by_digest.get(digest, ())
            if len(pieces) > 1:
                twins[digest].append((present, dated))
            elif pieces and (dated or self.same_instant(pieces[0], present)):
                del by_digest[digest]
                work.take(pieces[0], present, Round.LEDGER)
        for digest, found in twins.items():
            pieces = by_digest[digest]
            presents = [present for present, _ in found]
            for piece, present in self._of_equal_instants(pieces, presents):
                work.take(piece, present, Round.LEDGER)
            left = [p for p, dated in found if dated and p.uid in work.presents]
            for piece, present in couple([p for p in pieces if p.key in work.pieces], left):
                work.take(piece, present, Round.LEDGER)

    @staticmethod
    def _of_equal_instants(
        pieces: Iterable[Piece], presents: Iterable[Present]
    ) -> list[tuple[Piece, Present]]:
        """Pairs of the same instant, of those that are equal otherwise."""
        by_instant: dict[int | None, tuple[list[Piece], list[Present]]] = {}
        for piece in pieces:
            by_instant.setdefault(piece.epoch, ([], []))[0].append(piece)
        for present in presents:
            if present.received.epoch in by_instant:
                by_instant[present.received.epoch][1].append(present)
        return [pair for each in by_instant.values() for pair in couple(*each)]

    def _by_ids(
        self, work: Work, uidvalidity: int | None, path: tuple[str, ...], mailbox_id: str | None
    ) -> None:
        """An id means what it meant only with the size and the instant of then.

        UIDs are a mailbox's own (RFC 9051 §2.3.1.1), and many give all mailboxes one UIDVALIDITY.
        """
        by_id: dict[str, list[Piece]] = defaultdict(list)
        by_uid: dict[str, Piece] = {}
        for piece in work.pieces.values():
            if piece.email_id:
                by_id[piece.email_id].append(piece)
            if (
                uidvalidity is not None
                and piece.folder.uidvalidity == uidvalidity
                and _is_own(piece.folder, path, mailbox_id)
            ):
                by_uid[piece.own_uid] = piece
        for present in list(work.presents.values()):
            known: Piece | None = by_uid.get(present.uid)
            named = by_id.get(present.email_id, []) if present.email_id else []
            if known is not None and known not in named and known.email_id and present.email_id:
                known = None  # another message by its EMAILID
            found = known or (named[0] if named else None)
            if found is None or found.key not in work.pieces:
                continue
            if found.size is not None and present.size not in (None, found.size):
                continue  # an id that does not mean the same octets is no id
            if found.epoch != present.received.epoch:
                continue
            if found in named:
                named.remove(found)
            work.take(found, present, Round.IDS)

    def _by_octets(self, work: Work) -> None:
        by_size: dict[int, list[Piece]] = {}
        for piece in work.pieces.values():
            if self._look(work, piece) is not None:
                for size in {look.size for look in work.looks(piece)}:
                    by_size.setdefault(size, []).append(piece)
        sized = [p for p in work.presents.values() if p.size is not None and p.size in by_size]
        sized.sort(key=_size)
        for window in _windows(sized):
            sizes = {present.size or 0 for present in window}
            # one that the target changes may be of two sizes
            pieces = [piece for size in sizes for piece in by_size[size]]
            if work.foretold:
                pieces = list({piece.key: piece for piece in pieces}.values())
            self._equal_octets(work, pieces, window)
        unknown = [present for present in work.presents.values() if present.size is None]
        if unknown and work.pieces:
            self._equal_octets(work, [p for p in work.pieces.values() if p.look], unknown)

    def _equal_octets(self, work: Work, pieces: list[Piece], presents: list[Present]) -> None:
        """Pair what has equal octets, equal instants first.

        Equal size and header are not enough: two messages may differ in their bodies alone.
        """
        as_sent: dict[bytes, list[Piece]] = defaultdict(list)
        changed: dict[bytes, list[Piece]] = defaultdict(list)
        headers = set()
        for piece in pieces:
            if piece.look is not None and piece.key in work.pieces:
                as_sent[piece.look.octets].append(piece)
                headers |= {(look.size, look.header) for look in work.looks(piece)}
                if (foretold := work.foretold.get(piece.key)) is not None:
                    changed[foretold.octets].append(piece)
        large = [present for present in presents if (present.size or 0) > SMALL]
        self._looker.headers(work, large)
        asked = [
            present
            for present in presents
            if present.uid in work.presents
            and (
                (present.size or 0) <= SMALL
                or present.uid in work.unread  # its header alone cannot be had
                or (
                    (seen := work.headers.get(present.uid)) is not None
                    and (present.size or 0, seen.header) in headers
                )
            )
        ]
        found: dict[bytes, list[Present]] = defaultdict(list)
        wanted = as_sent.keys() | changed.keys() if changed else as_sent.keys()
        for present, octets in self._looker.octets(work, asked, wanted):
            ones = as_sent.get(octets, ())
            if len(ones) == 1 and octets not in changed and is_just_as(ones[0], present):
                del as_sent[octets]
                work.take(ones[0], present, Round.OCTETS)
            else:
                found[octets].append(present)
        for octets, there in found.items():
            self._of_octets(work, as_sent.get(octets, []), changed.get(octets, []), there)

    def _of_octets(
        self, work: Work, as_sent: list[Piece], changed: list[Piece], there: list[Present]
    ) -> None:
        """Pair the messages of one row of octets.

        What this target made of a message has its instant, or it is another message that always
        looked like this. Whoever was sent like this may be there at any instant.
        """

        def open_(pieces: list[Piece]) -> list[Piece]:
            return [piece for piece in pieces if piece.key in work.pieces]

        def left() -> list[Present]:
            return [present for present in there if present.uid in work.presents]

        def pair_changed(most: int) -> None:
            pairs = self._of_equal_instants(open_(changed), left())
            for piece, present in pairs[:most]:
                work.take(piece, present, _as_changed(piece))

        if changed:  # nobody who was sent like this loses by it
            pair_changed(max(0, len(left()) - len(open_(as_sent))))
        for piece, present in self._of_equal_instants(open_(as_sent), left()):
            work.take(piece, present, Round.OCTETS)
        if changed:
            pair_changed(len(changed))
            free = [piece for piece in open_(changed) if self._any_instant(piece)]
            for piece, present in couple(free, left()):
                work.take(piece, present, _as_changed(piece))
        for piece, present in couple(open_(as_sent), left()):
            if self._is_changed(piece):
                work.late.append((piece, present))
            else:
                work.take(piece, present, Round.OCTETS)

    def _is_changed(self, piece: Piece) -> bool:
        """Whether the target is known not to keep these octets.

        Then equal ones that came at another time are rather what it made of another message.
        """
        known = self._known.alterations & _NOT_KEPT
        return piece.look is not None and not known.isdisjoint(piece.look.trips)

    @staticmethod
    def _late(work: Work) -> None:
        for piece, present in work.late:
            if piece.key in work.pieces and present.uid in work.presents:
                work.take(piece, present, Round.OCTETS)

    def _in_doubt(self, work: Work) -> None:
        """A message that may be there, in one that could not be read, is not placed but failed.

        Each of those stands for one message of the archive at most.
        """
        unread = [p for uid in work.unread if (p := work.presents.get(uid)) is not None]
        if not unread or not work.pieces:
            return
        by_size: dict[int, list[Piece]] = defaultdict(list)
        by_instant: dict[int | None, list[Piece]] = defaultdict(list)
        for piece in work.pieces.values():
            if piece.look is not None:
                for size in {look.size for look in work.looks(piece)}:
                    by_size[size].append(piece)
                by_instant[None if self._any_instant(piece) else piece.epoch].append(piece)
        for present in unread:
            near = [*by_instant[present.received.epoch], *by_instant[None]]
            far = by_size[present.size] if present.size is not None else []
            for piece in (*near, *far):
                if piece.key in work.pieces and self._may_be(work, piece, present):
                    del work.pieces[piece.key]
                    text = "a message is there that may be this one, and could not be read: "
                    piece.fail("not-compared", text + work.unread[present.uid])
                    break

    def _may_be(self, work: Work, piece: Piece, present: Present) -> bool:
        looks, head = work.looks(piece), work.headers.get(present.uid)
        if not looks or head is None:
            return bool(looks)
        if any((present.size, head.header) == (look.size, look.header) for look in looks):
            return True
        if looks[0].message_id != NOTHING:
            names = work.names.get(present.uid, ())
            named = any(look.message_id in names for look in looks)
            return named and self.same_instant(piece, present)
        return any(head.ident == look.ident for look in looks)

    # --- instants -------------------------------------------------------------------------------

    def same_instant(self, piece: Piece, present: Present) -> bool:
        """Whether the target's date can be what became of the archive's."""
        return piece.epoch == present.received.epoch or self._any_instant(piece)

    def _any_instant(self, piece: Piece) -> bool:
        return changes_instant(piece.epoch, self._known)


def _as_changed(piece: Piece) -> Round:
    """By what one is recognised that is as this target changes it."""
    named = piece.look is not None and piece.look.message_id != NOTHING
    return Round.BODY if named else Round.FIELDS


def _is_own(folder: ContentFolder, path: tuple[str, ...], mailbox_id: str | None) -> bool:
    """Whether a mailbox of the very same account is the one that the folder was made of."""
    if folder.uid is not None and mailbox_id is not None:
        return folder.uid == mailbox_id
    if len(path) == len(folder.names) == 1 and path[0].upper() == "INBOX":
        return folder.names[0].upper() == "INBOX"
    return path == folder.names


def _size(present: Present) -> int:
    return present.size or 0


def _uid(present: Present) -> tuple[int, str]:
    return len(present.uid), present.uid


def _windows(presents: Sequence[Present]) -> Iterator[list[Present]]:
    """Parts of a list in the order of sizes, in that of uids; equal sizes are never parted."""
    window: list[Present] = []
    for present in presents:
        if len(window) >= WINDOW and present.size != window[-1].size:
            yield sorted(window, key=_uid)
            window = []
        window.append(present)
    if window:
        yield sorted(window, key=_uid)


def changes_instant(epoch: int | None, capabilities: TargetCapabilities) -> bool:
    """Whether the target is known not to keep this instant (None: the message has none)."""
    if epoch is None:
        return True
    if epoch < capabilities.earliest and Alteration.EARLY_DATE in capabilities.alterations:
        return True
    return Alteration.FUTURE_DATE in capabilities.alterations and epoch > time.time()
