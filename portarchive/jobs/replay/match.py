"""Matching: which messages of the archive a mailbox of the target has already.

Each message of the target is used at most once. It works in rounds, from equal octets to equal
identity; what remains is to be placed. It needs no memory of earlier runs: a ledger makes it
faster, never different. Owns the rounds; refuses to place or to judge.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

from portarchive.connectors.base import Target
from portarchive.jobs.replay.pieces import Piece, Print, print_of
from portarchive.likeness import likeness, likeness_of
from portarchive.placing import Alteration, LineEnds, Present, TargetCapabilities
from portarchive.records import Failure, Vanished

EARLIEST: Final = -2147483648
"""1901-12-13T20:45:52Z: what a date before it becomes on a server that counts in 32 bits."""


class Round(StrEnum):
    """By what a message was recognised."""

    LEDGER = "ledger"
    IDS = "ids"
    OCTETS = "octets"
    BODY = "message-id-and-body"
    IDENTITY = "message-id"
    FIELDS = "fields-and-body"


_PARENT: Final = re.compile(
    rb"^x-ms-exchange-parent-message-id[ \t]*:((?:[^\r\n]|\r?\n[ \t])*)",
    re.IGNORECASE | re.MULTILINE,
)

_OF_OCTETS: Final = frozenset(
    {
        Alteration.BARE_LF,
        Alteration.NUL,
        Alteration.EIGHT_BIT_HEADER,
        Alteration.LAST_LF,
        Alteration.CR_RUN,
    }
)
_ODD: Final = bytes([0, *range(128, 256)])
_TO_X: Final = bytes.maketrans(_ODD, b"X" * len(_ODD))

Pair = tuple[Piece, Present, Round]


class Matcher:
    """The rounds, for one target.

    Args:
        target: is asked for headers and octets of what is in doubt.
        print_piece: reads a message of the archive; None if it cannot be read.
        read_piece: its octets.
        same_ids: ids of the archive are ids of this target.
        strict: stop after equal octets.
        every_body: never believe size and header alone.
    """

    def __init__(
        self,
        target: Target,
        print_piece: Callable[[Piece], Print | None],
        read_piece: Callable[[Piece], Iterator[bytes]],
        *,
        same_ids: bool,
        strict: bool = False,
        every_body: bool = False,
    ) -> None:
        self._target = target
        self._print = print_piece
        self._read = read_piece
        self._same_ids = same_ids
        self._strict = strict
        self._every_body = every_body
        self._ends = target.capabilities.line_ends
        self.headers_read = 0
        self.bodies_read = 0

    def match(
        self,
        pieces: Sequence[Piece],
        presents: Sequence[Present],
        *,
        remembered: Mapping[str, str] | None = None,
        uidvalidity: int | None = None,
    ) -> list[Pair]:
        """Pairs of one mailbox.

        Args:
            pieces: what the archive has for it and is not found yet.
            presents: what is in it and is not used yet.
            remembered: by uid, the SHA-256 of the archive's octets placed there by an earlier run.
            uidvalidity: of the mailbox now.
        """
        work = _Work(pieces, presents)
        if remembered:
            self._by_ledger(work, remembered)
        if self._same_ids:
            self._by_ids(work, uidvalidity)
        if work.both():
            self._by_octets(work)
        if work.both() and not self._strict:
            self._by_identity(work)
        return work.pairs

    # --- rounds ---------------------------------------------------------------------------------

    def _by_ledger(self, work: _Work, remembered: Mapping[str, str]) -> None:
        by_sha: dict[str, list[Piece]] = defaultdict(list)
        for piece in work.pieces.values():
            if piece.item.sha256:
                by_sha[piece.item.sha256.lower()].append(piece)
        for present in list(work.presents.values()):
            sha = remembered.get(present.uid)
            if sha is not None and (found := by_sha.get(sha)):
                best = _same_instant(found, present)
                found.remove(best)
                work.take(best, present, Round.LEDGER)

    def _by_ids(self, work: _Work, uidvalidity: int | None) -> None:
        by_id: dict[str, list[Piece]] = defaultdict(list)
        by_uid: dict[str, Piece] = {}
        for piece in work.pieces.values():
            if piece.item.email_id:
                by_id[piece.item.email_id].append(piece)
            if uidvalidity is not None and piece.folder.uidvalidity == uidvalidity:
                by_uid[piece.item.uid] = piece
        for present in list(work.presents.values()):
            known: Piece | None = by_uid.get(present.uid)
            named = by_id.get(present.email_id, []) if present.email_id else []
            found = named[0] if named else known
            if found is None or found.key not in work.pieces:
                continue
            piece = found
            if piece.item.size is not None and present.size not in (None, piece.item.size):
                continue  # an id that does not mean the same octets is no id
            if piece in named:
                named.remove(piece)
            work.take(piece, present, Round.IDS)

    def _by_octets(self, work: _Work) -> None:
        by_size: dict[int, list[Piece]] = defaultdict(list)
        for piece in work.pieces.values():
            look = self._print(piece)
            if look is not None:
                by_size[look.size].append(piece)
        unknown = [present for present in work.presents.values() if present.size is None]
        sized = [
            present
            for present in work.presents.values()
            if present.size is not None and present.size in by_size
        ]
        self._headers(work, [present for present in sized if present.uid not in work.headers])
        groups: dict[tuple[int, bytes], tuple[list[Piece], list[Present]]] = defaultdict(
            lambda: ([], [])
        )
        for pieces in by_size.values():
            for piece in pieces:
                look = piece.look
                if look is not None:
                    groups[look.size, look.header][0].append(piece)
        for present in sized:
            seen = work.headers.get(present.uid)
            if seen is not None:
                groups[present.size or 0, seen.header][1].append(present)
        doubtful: list[tuple[list[Piece], list[Present]]] = []
        for pieces, presents in groups.values():
            if not pieces or not presents:
                continue
            if self._is_plainly_one(pieces, presents):
                work.take(pieces[0], presents[0], Round.OCTETS)
            else:
                doubtful.append((pieces, presents))
        if unknown:
            doubtful.append(([p for p in work.pieces.values() if p.look is not None], unknown))
        self._bodies(work, [present for _, presents in doubtful for present in presents])
        for pieces, presents in doubtful:
            self._pair_equal(work, pieces, presents)

    def _is_plainly_one(self, pieces: list[Piece], presents: list[Present]) -> bool:
        """Whether equal size, header and instant of a single pair are proof enough."""
        piece, present = pieces[0], presents[0]
        return (
            len(pieces) == len(presents) == 1
            and not self._every_body
            and piece.look is not None
            and bool(piece.look.message_id)
            and piece.item.received.epoch is not None
            and piece.item.received.epoch == present.received.epoch
        )

    def _pair_equal(self, work: _Work, pieces: list[Piece], presents: list[Present]) -> None:
        """Pair what has equal octets, equal instants first."""
        by_octets: dict[bytes, list[Piece]] = defaultdict(list)
        for piece in pieces:
            if piece.key in work.pieces and piece.look is not None:
                by_octets[piece.look.octets].append(piece)
        later: list[Present] = []
        for present in presents:
            found = self._equals(work, by_octets, present)
            same = [p for p in found if p.item.received.epoch == present.received.epoch]
            if same:
                found.remove(same[0])
                work.take(same[0], present, Round.OCTETS)
            elif found:
                later.append(present)
        for present in later:
            if found := self._equals(work, by_octets, present):
                work.take(found.pop(0), present, Round.OCTETS)

    def _equals(
        self, work: _Work, by_octets: Mapping[bytes, list[Piece]], present: Present
    ) -> list[Piece]:
        look = work.bodies.get(present.uid)
        return by_octets.get(look.octets, []) if look is not None else []

    def _by_identity(self, work: _Work) -> None:
        rest = [p for p in work.presents.values() if p.uid not in work.headers]
        self._headers(work, rest)
        named: dict[bytes, list[Present]] = defaultdict(list)
        fields: dict[bytes, list[Present]] = defaultdict(list)
        for present in work.presents.values():
            for name in work.names.get(present.uid, ()):
                named[name].append(present)
            seen = work.headers.get(present.uid)
            if seen is not None:
                fields[seen.ident].append(present)
        with_id = [p for p in work.pieces.values() if p.look is not None and p.look.message_id]
        without = [p for p in work.pieces.values() if p.look is not None and not p.look.message_id]

        def candidates(piece: Piece) -> list[Present]:
            look = piece.look
            found = named.get(look.message_id, []) if look is not None else []
            return [
                present
                for present in found
                if present.uid in work.presents and self.same_instant(piece, present)
            ]

        wanted = {p.uid: p for piece in with_id for p in candidates(piece)}
        self._bodies(work, list(wanted.values()))
        self._pair_bodies(work, with_id, candidates, Round.BODY)
        self._by_number(work, with_id, candidates)

        def alike(piece: Piece) -> list[Present]:
            look = piece.look
            found = fields.get(look.ident, []) if look is not None else []
            return [present for present in found if present.uid in work.presents]

        open_ones = [piece for piece in without if piece.key in work.pieces]
        wanted = {p.uid: p for piece in open_ones for p in alike(piece)}
        self._bodies(work, list(wanted.values()))
        self._pair_bodies(work, open_ones, alike, Round.FIELDS)
        if self._target.capabilities.alterations & _OF_OCTETS:
            self._pair_changed(work, [piece for piece in open_ones if piece.key in work.pieces])

    def _pair_changed(self, work: _Work, pieces: list[Piece]) -> None:
        """Without Message-ID, and equal but for what this server is known to change."""
        candidates = {
            present.uid: present
            for piece in pieces
            for present in work.presents.values()
            if self.same_instant(piece, present)
        }
        if not candidates:
            return
        self.bodies_read += len(candidates)
        stored: dict[bytes, list[Present]] = defaultdict(list)
        for present, outcome in self._target.fetch(list(candidates.values())):
            if not isinstance(outcome, Failure | Vanished):
                octets = outcome.octets
                stored[_rest(outcome.chunks() if octets is None else [octets])].append(present)
        for piece in pieces:
            like = stored[_rest(self._read(piece))]
            found = [present for present in like if self.same_instant(piece, present)]
            if found:
                like.remove(found[0])
                work.take(piece, found[0], Round.FIELDS)

    def _pair_bodies(
        self,
        work: _Work,
        pieces: Iterable[Piece],
        candidates: Callable[[Piece], list[Present]],
        round_: Round,
    ) -> None:
        for piece in pieces:
            look = piece.look
            equal = [
                present
                for present in candidates(piece)
                if look is not None
                and (seen := work.bodies.get(present.uid)) is not None
                and seen.body == look.body
            ]
            if equal:
                same = [p for p in equal if p.received.epoch == piece.item.received.epoch]
                work.take(piece, (same or equal)[0], round_)

    def _by_number(
        self, work: _Work, pieces: Iterable[Piece], candidates: Callable[[Piece], list[Present]]
    ) -> None:
        """Same Message-ID and instant, when as many are left on both sides."""
        groups: dict[tuple[bytes, int | None], list[Piece]] = defaultdict(list)
        for piece in pieces:
            if piece.key in work.pieces and piece.look is not None:
                instant = None if self._any_instant(piece) else piece.item.received.epoch
                groups[piece.look.message_id, instant].append(piece)
        for found in groups.values():
            presents = candidates(found[0])
            if len(found) == len(presents):
                for piece, present in zip(found, presents, strict=True):
                    work.take(piece, present, Round.IDENTITY)

    # --- instants -------------------------------------------------------------------------------

    def same_instant(self, piece: Piece, present: Present) -> bool:
        """Whether the target's date can be what became of the archive's."""
        return self._any_instant(piece) or piece.item.received.epoch == present.received.epoch

    def _any_instant(self, piece: Piece) -> bool:
        return changes_instant(piece.item.received.epoch, self._target.capabilities)

    # --- asking the target ----------------------------------------------------------------------

    def _headers(self, work: _Work, presents: list[Present]) -> None:
        if not presents:
            return
        self.headers_read += len(presents)
        for present, header in self._target.headers(presents):
            if isinstance(header, Failure | Vanished):
                if isinstance(header, Vanished):
                    work.presents.pop(present.uid, None)
                continue
            seen = print_of(likeness_of(header), 0, LineEnds.CRLF)
            work.headers[present.uid] = seen
            names = [seen.message_id] if seen.message_id else []
            parent = _PARENT.search(header)
            if parent is not None:
                names.append(re.sub(rb"\r?\n[ \t]", b" ", parent[1]).strip())
            work.names[present.uid] = tuple(names)

    def _bodies(self, work: _Work, presents: list[Present]) -> None:
        asked = [present for present in presents if present.uid not in work.bodies]
        if not asked:
            return
        self.bodies_read += len(asked)
        for present, outcome in self._target.fetch(asked):
            if isinstance(outcome, Vanished):
                work.presents.pop(present.uid, None)
            elif not isinstance(outcome, Failure):
                octets = outcome.octets
                found = likeness(outcome.chunks()) if octets is None else likeness_of(octets)
                work.bodies[present.uid] = print_of(found, 0, LineEnds.CRLF)


class _Work:
    """What is still open while one mailbox is matched."""

    def __init__(self, pieces: Iterable[Piece], presents: Iterable[Present]) -> None:
        self.pieces = {piece.key: piece for piece in pieces}
        self.presents = {present.uid: present for present in presents}
        self.headers: dict[str, Print] = {}
        self.names: dict[str, tuple[bytes, ...]] = {}
        self.bodies: dict[str, Print] = {}
        self.pairs: list[Pair] = []

    def both(self) -> bool:
        """Whether there is anything left to compare."""
        return bool(self.pieces and self.presents)

    def take(self, piece: Piece, present: Present, round_: Round) -> None:
        """These two are one."""
        del self.pieces[piece.key]
        del self.presents[present.uid]
        self.pairs.append((piece, present, round_))


def _rest(chunks: Iterable[bytes]) -> bytes:
    """What no server on the closed lists changes: all but line ends, NUL and octets over 127."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk.translate(_TO_X, b"\r\n"))
    return digest.digest()


def _same_instant(pieces: list[Piece], present: Present) -> Piece:
    for piece in pieces:
        if piece.item.received.epoch == present.received.epoch:
            return piece
    return pieces[0]


def changes_instant(epoch: int | None, capabilities: TargetCapabilities) -> bool:
    """Whether the target is known not to keep this instant (None: the message has none)."""
    if epoch is None:
        return True
    if epoch < EARLIEST and Alteration.EARLY_DATE in capabilities.alterations:
        return True
    return Alteration.FUTURE_DATE in capabilities.alterations and epoch > time.time()
