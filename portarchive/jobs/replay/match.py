"""Matching: which messages of the archive a mailbox of the target has already.

Each message of the target is used at most once. It works in rounds, from equal octets to equal
identity; what remains is to be placed. It needs no memory of earlier runs: a ledger makes it
faster, never different. Owns the rounds; refuses to place or to judge.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from portarchive.archive.contents import ContentFolder
from portarchive.connectors.base import Target
from portarchive.jobs.replay.looking import Looker, Pair, Round, Work
from portarchive.jobs.replay.pieces import NOTHING, Piece, Print
from portarchive.placing import Alteration, Present, TargetCapabilities

__all__ = ["Matcher", "Pair", "Round", "changes_instant"]


WINDOW: Final = 4000
"""So many messages of the target are looked at together in the round of equal octets."""

SMALL: Final = 16 << 10
"""Of messages up to so many octets the whole is asked for at once, not the header first."""

_OF_OCTETS: Final = frozenset(
    {
        Alteration.BARE_LF,
        Alteration.NUL,
        Alteration.EIGHT_BIT_HEADER,
        Alteration.LAST_LF,
        Alteration.CR_RUN,
    }
)
_NOT_KEPT: Final = _OF_OCTETS | {Alteration.EMPTY, Alteration.NO_HEADER}


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
        remembered: Iterable[tuple[Present, bytes]] = (),
        uidvalidity: int | None = None,
        path: tuple[str, ...] = (),
        mailbox_id: str | None = None,
    ) -> list[Pair]:
        """Pairs of one mailbox; those pieces forget their looks.

        Args:
            pieces: what the archive has for it and is not found yet.
            presents: what is in it and is not used yet.
            remembered: some of them, with the SHA-256 of the archive's octets that an earlier run
                placed there.
            uidvalidity: of the mailbox now.
            path: of the mailbox: whether it is the archive's own.
            mailbox_id: the same by MAILBOXID, where the target tells it.
        """
        work = Work(pieces, presents, forgets=True)
        if not self._strict:
            self._by_ledger(work, remembered)
            if self._same_ids:
                self._by_ids(work, uidvalidity, path, mailbox_id)
        if work.both():
            self._by_octets(work)
        if work.both() and not self._strict:
            self._by_identity(work)
        self._late(work)
        self._in_doubt(work)
        self.seen = work.seen
        return work.pairs

    def find_sent(self, pieces: Iterable[Piece], presents: Iterable[Present]) -> list[Pair]:
        """The same among messages that may have been sent by this very run: all rounds."""
        work = Work(pieces, presents)
        if work.both():
            self._by_octets(work)
        if work.both():
            self._by_identity(work)
        self._late(work)
        self._in_doubt(work)
        return work.pairs

    def rest(self, piece: Piece) -> bytes:
        """What no server on the closed lists changes of it, see ``Looker.rest``.

        Raises:
            Damaged: its octets cannot be read.
        """
        return Looker.rest(self._read(piece))

    # --- rounds ---------------------------------------------------------------------------------

    def _by_ledger(self, work: Work, remembered: Iterable[tuple[Present, bytes]]) -> None:
        by_digest: dict[bytes, Piece] = {}
        more: dict[bytes, list[Piece]] = {}  # equal ones are few
        for piece in work.pieces.values():
            if piece.digest is not None:
                first = by_digest.setdefault(piece.digest, piece)
                if first is not piece:
                    more.setdefault(piece.digest, [first]).append(piece)
        for present, digest in remembered:
            if digest in more:
                epoch = present.received.epoch
                found = more[digest]
                best = next((p for p in found if p.epoch == epoch), found[0] if found else None)
                if best is not None:
                    found.remove(best)
            else:
                best = by_digest.pop(digest, None)
            if best is not None:
                work.take(best, present, Round.LEDGER)

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
            look = self._print(piece)
            if look is not None:
                by_size.setdefault(look.size, []).append(piece)
        sized = [p for p in work.presents.values() if p.size is not None and p.size in by_size]
        sized.sort(key=_size)
        for window in _windows(sized):
            pieces = [piece for size in {p.size or 0 for p in window} for piece in by_size[size]]
            self._equal_octets(work, pieces, window)
        unknown = [present for present in work.presents.values() if present.size is None]
        if unknown and work.pieces:
            self._equal_octets(work, [p for p in work.pieces.values() if p.look], unknown)

    def _equal_octets(self, work: Work, pieces: list[Piece], presents: list[Present]) -> None:
        """Pair what has equal octets, equal instants first.

        Equal size and header are not enough: two messages may differ in their bodies alone.
        """
        by_octets: dict[bytes, list[Piece]] = defaultdict(list)
        headers = set()
        for piece in pieces:
            if piece.look is not None and piece.key in work.pieces:
                by_octets[piece.look.octets].append(piece)
                headers.add((piece.look.size, piece.look.header))
        large = [present for present in presents if (present.size or 0) > SMALL]
        self._looker.headers(work, large)
        asked = [
            present
            for present in presents
            if present.uid in work.presents
            and (
                (present.size or 0) <= SMALL
                or (
                    (seen := work.headers.get(present.uid)) is not None
                    and (present.size or 0, seen.header) in headers
                )
            )
        ]
        later: list[tuple[Present, bytes]] = []
        for present, octets in self._looker.octets(work, asked, by_octets.keys()):
            found = by_octets.get(octets, [])
            same = next((p for p in found if p.epoch == present.received.epoch), None)
            if same is not None:
                found.remove(same)
                work.take(same, present, Round.OCTETS)
            elif found:
                later.append((present, octets))
        for present, octets in later:
            if found := by_octets[octets]:
                piece = found.pop(0)
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
                by_size[piece.look.size].append(piece)
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
        look, head = piece.look, work.headers.get(present.uid)
        if look is None or head is None:
            return look is not None
        if (present.size, head.header) == (look.size, look.header):
            return True
        if look.message_id != NOTHING:
            named = look.message_id in work.names.get(present.uid, ())
            return named and self.same_instant(piece, present)
        return head.ident == look.ident

    def _by_identity(self, work: Work) -> None:
        self._looker.headers(work, [p for p in self._possible(work) if p.uid not in work.names])
        named: dict[bytes, list[Present]] = defaultdict(list)
        fields: dict[bytes, list[Present]] = defaultdict(list)
        for present in work.presents.values():
            for name in work.names.get(present.uid, ()):
                named[name].append(present)
            seen = work.headers.get(present.uid)
            if seen is not None:
                fields[seen.ident].append(present)
        with_id: list[tuple[Piece, Print]] = []
        without: list[tuple[Piece, Print]] = []
        for piece in work.pieces.values():
            if (look := piece.look) is not None:
                (without if look.message_id == NOTHING else with_id).append((piece, look))

        def candidates(piece: Piece, look: Print) -> list[Present]:
            return [
                present
                for present in named.get(look.message_id, ())
                if present.uid in work.presents and self.same_instant(piece, present)
            ]

        self._looker.bodies(work, [p for one in with_id for p in candidates(*one)])
        _pair_bodies(work, with_id, candidates, Round.BODY)
        self._by_number(work, with_id, candidates)

        def alike(piece: Piece, look: Print) -> list[Present]:
            found = [p for p in fields.get(look.ident, ()) if p.uid in work.presents]
            if look.ident == NOTHING:  # no field tells it from others: its date has to
                found = [present for present in found if self.same_instant(piece, present)]
            return found

        self._looker.bodies(work, [p for one in without for p in alike(*one)])
        _pair_bodies(work, without, alike, Round.FIELDS)
        if self._known.alterations & _OF_OCTETS:
            self._pair_changed(work, [one for one, _ in without if one.key in work.pieces])

    def _possible(self, work: Work) -> list[Present]:
        """What can be some message of the archive, as far as the listing tells."""
        instants = {piece.epoch for piece in work.pieces.values()}
        looks = [piece.look for piece in work.pieces.values() if piece.look is not None]
        if any(look.message_id == NOTHING for look in looks) or any(
            changes_instant(epoch, self._known) for epoch in instants
        ):
            return list(work.presents.values())
        return [present for present in work.presents.values() if present.received.epoch in instants]

    def _pair_changed(self, work: Work, pieces: list[Piece]) -> None:
        """Without Message-ID, and equal but for what this server is known to change."""
        by_instant: dict[int | None, list[Present]] = defaultdict(list)
        for present in work.presents.values():
            by_instant[present.received.epoch].append(present)
        asked: dict[str, Present] = {}
        for piece in pieces:
            free = self._any_instant(piece)
            some = work.presents.values() if free else by_instant.get(piece.epoch, ())
            asked.update({present.uid: present for present in some})
        if not asked:
            return
        stored = self._looker.rests(list(asked.values()))
        for piece in pieces:
            like = stored.get(Looker.rest(self._read(piece)), [])
            found = [present for present in like if self.same_instant(piece, present)]
            if found:
                like.remove(found[0])
                work.take(piece, found[0], Round.FIELDS)

    def _by_number(
        self,
        work: Work,
        pieces: Iterable[tuple[Piece, Print]],
        candidates: Callable[[Piece, Print], list[Present]],
    ) -> None:
        """Same Message-ID and instant, when as many are left on both sides.

        Those that are seen to be other messages, by equal size and header and another body, are
        left out: no server of the closed lists changes a body that way, but for NUL.
        """
        groups: dict[tuple[bytes, int | None], list[tuple[Piece, Print]]] = defaultdict(list)
        for piece, look in pieces:
            if piece.key in work.pieces:
                instant = None if self._any_instant(piece) else piece.epoch
                groups[look.message_id, instant].append((piece, look))
        for found in groups.values():
            presents = candidates(*found[0])
            others = self._other_bodies(work, found, presents)
            ones = [piece for piece, look in found if (look.size, look.header) not in others]
            rest = [p for p in presents if _size_and_header(work, p) not in others]
            if len(ones) == len(rest):
                for piece, present in zip(ones, rest, strict=True):
                    work.take(piece, present, Round.IDENTITY)

    def _other_bodies(
        self, work: Work, pieces: list[tuple[Piece, Print]], presents: list[Present]
    ) -> set[tuple[int, bytes]]:
        """Sizes and headers that both sides have in this group, with other bodies each."""
        there = {
            _size_and_header(work, present) for present in presents if present.uid in work.bodies
        }
        nul = Alteration.NUL in self._known.alterations
        return {
            (look.size, look.header)
            for _, look in pieces
            if (look.size, look.header) in there and not (nul and "nul" in look.trips)
        }

    # --- instants -------------------------------------------------------------------------------

    def same_instant(self, piece: Piece, present: Present) -> bool:
        """Whether the target's date can be what became of the archive's."""
        return piece.epoch == present.received.epoch or self._any_instant(piece)

    def _any_instant(self, piece: Piece) -> bool:
        return changes_instant(piece.epoch, self._known)


def _pair_bodies(
    work: Work,
    pieces: Iterable[tuple[Piece, Print]],
    candidates: Callable[[Piece, Print], list[Present]],
    round_: Round,
) -> None:
    def equal(piece: Piece, look: Print) -> Iterator[Present]:
        for present in candidates(piece, look):
            seen = work.bodies.get(present.uid)
            if seen is not None and seen.body == look.body:
                yield present

    later = []
    for piece, look in pieces:
        found = list(equal(piece, look))
        same = next((p for p in found if p.received.epoch == piece.epoch), None)
        if same is not None:
            work.take(piece, same, round_)
        elif found:
            later.append((piece, look))
    for piece, look in later:  # only when nobody with an equal instant is left
        if (first := next(equal(piece, look), None)) is not None:
            work.take(piece, first, round_)


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


def _size_and_header(work: Work, present: Present) -> tuple[int, bytes]:
    seen = work.headers.get(present.uid)
    return present.size or 0, seen.header if seen is not None else NOTHING


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
