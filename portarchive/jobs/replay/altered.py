"""Altered: the rounds of matching for messages whose octets are not as they were sent.

What a target is known to make of a message (``Work.foretold``) counts like the message itself;
everything else that is compared here was changed by a server that is known for nothing of the kind.
Owns rounds 2 to 4; refuses to look for equal octets, and to judge what was changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from portarchive.errors import ArchiveError
from portarchive.jobs.replay.looking import Looker, Round, Work
from portarchive.jobs.replay.pieces import NOTHING, WHOLE, Piece, Print
from portarchive.jobs.replay.twins import couple
from portarchive.placing import Present

Candidates = Callable[[Piece], list[Present]]


class AlteredRounds:
    """Rounds 2 to 4.

    Args:
        looker: asks the target.
        any_instant: whether the target is known not to keep the instant of a message.
        look: reads a message of the archive.
        read: its octets, as this target is known to keep them.
    """

    def __init__(
        self,
        looker: Looker,
        any_instant: Callable[[Piece], bool],
        look: Callable[[Work, Piece], Print | None],
        read: Callable[[Piece], Iterator[bytes]],
    ) -> None:
        self._looker = looker
        self._any_instant = any_instant
        self._look = look
        self._read = read

    def pair(self, work: Work) -> None:
        """Find what was changed on its way.

        Raises:
            ConnectorError: the target is lost.
        """
        self._looker.headers(work, [p for p in self._possible(work) if p.uid not in work.names])
        named: dict[bytes, list[Present]] = defaultdict(list)
        fields: dict[bytes, list[Present]] = defaultdict(list)
        for present in work.presents.values():
            for name in work.names.get(present.uid, ()):
                named[name].append(present)
            seen = work.headers.get(present.uid)
            if seen is not None:
                fields[seen.ident].append(present)
        with_id: list[Piece] = []
        without: list[Piece] = []
        for piece in work.pieces.values():
            if (look := piece.look) is not None:
                (without if look.message_id == NOTHING else with_id).append(piece)

        def of_name(piece: Piece) -> list[Present]:
            found = [p for name in _names(work, piece) for p in named.get(name, ())]
            return [p for p in _once(work, found) if self._same_instant(piece, p)]

        self._looker.bodies(work, [p for piece in with_id for p in of_name(piece)])
        self._bodies(work, with_id, of_name, Round.BODY)
        self._by_number(work, [piece for piece in with_id if piece.key in work.pieces], of_name)

        def of_fields(piece: Piece) -> list[Present]:
            found: list[Present] = []
            for look in work.looks(piece):
                some = fields.get(look.ident, [])
                # where no field tells it from others, or only as it is changed, its date has to
                if look is not piece.look or look.ident == NOTHING:
                    some = [present for present in some if self._same_instant(piece, present)]
                found += some
            return _once(work, found)

        self._looker.bodies(work, [p for piece in without for p in of_fields(piece)])
        self._bodies(work, without, of_fields, Round.FIELDS)

    def _possible(self, work: Work) -> list[Present]:
        """What can be some message of the archive, as far as the listing tells."""
        pieces = work.pieces.values()
        if any(piece.look and piece.look.message_id == NOTHING for piece in pieces) or any(
            map(self._any_instant, pieces)
        ):
            return list(work.presents.values())
        instants = {piece.epoch for piece in pieces}
        return [present for present in work.presents.values() if present.received.epoch in instants]

    def _same_instant(self, piece: Piece, present: Present) -> bool:
        return piece.epoch == present.received.epoch or self._any_instant(piece)

    def _instant(self, piece: Piece) -> int | None:
        return None if self._any_instant(piece) else piece.epoch

    def _bodies(
        self, work: Work, pieces: Iterable[Piece], candidates: Candidates, round_: Round
    ) -> None:
        """Equal bodies: first what has the same instant, then what is left."""

        def equal(piece: Piece) -> list[Present]:
            any_, dated = _body(piece), {look.body for look in work.looks(piece)}
            return [
                present
                for present in candidates(piece)
                if (seen := work.bodies.get(present.uid)) is not None
                and (
                    seen.body == any_ or (seen.body in dated and self._same_instant(piece, present))
                )
            ]

        groups: dict[tuple[object, ...], list[Piece]] = defaultdict(list)
        for piece in pieces:
            looks = [(look.message_id, look.ident, look.body) for look in work.looks(piece)]
            groups[(piece.epoch, *looks)].append(piece)
        for instants in (True, False):
            for group in groups.values():
                left = [piece for piece in group if piece.key in work.pieces]
                if left:
                    epoch = left[0].epoch
                    found = equal(left[0])
                    if instants:
                        found = [present for present in found if present.received.epoch == epoch]
                    for piece, present in couple(left, found):
                        work.take(piece, present, round_)

    # --- Message-ID and instant alone -----------------------------------------------------------

    def _by_number(self, work: Work, pieces: Sequence[Piece], candidates: Candidates) -> None:
        """Same Message-ID and instant, whatever became of the body, when there are enough of them.

        Those that are seen to be other messages, by equal size and header and another body, are
        left out: no server of the closed lists changes a body that way but as it is foretold.
        """
        groups: dict[tuple[frozenset[bytes], int | None], list[Piece]] = defaultdict(list)
        for piece in pieces:
            groups[_names(work, piece), self._instant(piece)].append(piece)
        rivals = _Rivals(work, self._look)
        for (names, instant), group in groups.items():
            presents = candidates(group[0])
            if not presents:
                continue
            kinds = rivals.bodies(names, instant)
            for piece in group:
                kinds.setdefault(_body(piece), piece)
            ones = group
            if len(kinds) > 1:
                ones, presents = self._by_kinship(work, kinds, group, presents)
            there = {_size_and_header(work, p) for p in presents if p.uid in work.bodies}
            shapes = {piece.key: _shapes(work, piece) & there for piece in ones}
            others = {shape for each in shapes.values() for shape in each}
            ones = [piece for piece in ones if not shapes[piece.key]]
            rest = [p for p in presents if _size_and_header(work, p) not in others]
            if len(kinds) > 1 and len(rest) < len(ones):
                continue  # nothing tells which of them these are
            for piece, present in couple(ones, rest):
                work.take(piece, present, Round.IDENTITY)

    def _by_kinship(
        self, work: Work, kinds: dict[bytes, Piece], ones: list[Piece], rest: list[Present]
    ) -> tuple[list[Piece], list[Present]]:
        """Of several messages of one name and instant: pair what has a body and more around it.

        ``kinds`` are, by the digest of the body, all messages of the archive that may be meant.

        Returns:
            What is left; messages of the target that are copies of another one are not.
        """
        bodies = {digest: self._text(piece) for digest, piece in kinds.items()}
        texts = self._looker.texts(rest)
        kin: dict[bytes, list[Present]] = defaultdict(list)
        left = []
        for present in rest:
            digest = _kin(bodies, _body_of(texts.get(present.uid, b"")))
            if digest is None:
                left.append(present)
            else:
                kin[digest].append(present)
        for digest, found in kin.items():
            for piece, present in couple([p for p in ones if _body(p) == digest], found):
                work.take(piece, present, Round.IDENTITY)
        return [piece for piece in ones if piece.key in work.pieces], left

    def _text(self, piece: Piece) -> bytes:
        """The body, with LF for line ends; b"" of what cannot be read or held."""
        if (piece.size or 0) > WHOLE:
            return b""
        try:
            return _body_of(b"".join(self._read(piece)))
        except ArchiveError:
            return b""


class _Rivals:
    """Messages that have a partner already, by the instant: copies of theirs are nobody else's."""

    def __init__(self, work: Work, look: Callable[[Work, Piece], Print | None]) -> None:
        self._work = work
        self._look = look
        self._pairs = list(work.pairs)
        self._by_instant: dict[int | None, list[Piece]] | None = None
        self._looks: dict[int, tuple[frozenset[bytes], bytes]] = {}

    def bodies(self, names: frozenset[bytes], instant: int | None) -> dict[bytes, Piece]:
        """One for each body, of those with one of these names; None: of any instant."""
        if self._by_instant is None:
            self._by_instant = defaultdict(list)
            for piece, _, _ in self._pairs:
                self._by_instant[piece.epoch].append(piece)
        pieces = self._by_instant.get(instant, [])
        if instant is None:
            pieces = [piece for piece, _, _ in self._pairs]
        return {
            known[1]: piece
            for piece in pieces
            if (known := self._known(piece)) is not None and known[0] & names
        }

    def _known(self, piece: Piece) -> tuple[frozenset[bytes], bytes] | None:
        """Names and body; it is read once more, as it was forgotten or never looked at."""
        known = self._looks.get(piece.key)
        if known is None:
            state = piece.look, piece.state, piece.code, piece.text
            look = self._look(self._work, piece)
            if look is not None:
                known = self._looks[piece.key] = _names(self._work, piece), look.body
            piece.look, piece.state, piece.code, piece.text = state
            self._work.foretold.pop(piece.key, None)
        return known


def _names(work: Work, piece: Piece) -> frozenset[bytes]:
    return frozenset(look.message_id for look in work.looks(piece)) - {NOTHING}


def _once(work: Work, presents: Iterable[Present]) -> list[Present]:
    """Those that are still open, each once."""
    return list({p.uid: p for p in presents if p.uid in work.presents}.values())


def _body(piece: Piece) -> bytes:
    return piece.look.body if piece.look is not None else b""


def _shapes(work: Work, piece: Piece) -> set[tuple[int, bytes]]:
    return {(look.size, look.header) for look in work.looks(piece)}


def _size_and_header(work: Work, present: Present) -> tuple[int, bytes]:
    seen = work.headers.get(present.uid)
    return present.size or 0, seen.header if seen is not None else NOTHING


def _body_of(octets: bytes) -> bytes:
    text = octets.replace(b"\r\n", b"\n")
    if text[:1] == b"\n":
        return text.strip(b"\n")
    return text.partition(b"\n\n")[2].strip(b"\n")


def _kin(bodies: dict[bytes, bytes], text: bytes) -> bytes | None:
    """The digest of the longest body that a text begins or ends with, if there is just one."""
    kin = [digest for digest, body in bodies.items() if body and text.startswith(body)]
    kin = kin or [digest for digest, body in bodies.items() if body and text.endswith(body)]
    longest = max((len(bodies[digest]) for digest in kin), default=0)
    kin = [digest for digest in kin if len(bodies[digest]) == longest]
    return kin[0] if len(kin) == 1 else None
