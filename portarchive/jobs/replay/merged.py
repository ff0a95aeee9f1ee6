"""Merging: messages of the archive that are one on a target, and what of them becomes one there.

A target with memberships has one set of flags and one date for a message, in whatever mailboxes it
is, and it may keep equal octets once (docs/jmap.md has the table). Owns the judgement whether what
is seen is what the messages of the archive come to together. Refuses to excuse anything else: a
flag that is lost, one that none of them has, a date that none of them has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from portarchive import keywords
from portarchive.jobs.replay.pieces import Piece, State
from portarchive.placing import Alteration, Present, TargetCapabilities

FLAGS_MERGED: Final = "flags-merged"
"""It has the flags of other copies too."""
DATE_MERGED: Final = "date-merged"
"""It has the date of another copy."""
COPIES_MERGED: Final = "copies-merged"
"""Another message of the archive is the same one in the same mailbox."""

MERGED: Final = frozenset({FLAGS_MERGED, DATE_MERGED, COPIES_MERGED})
"""Always known, and never a fault: in ``Piece.altered``."""


@dataclass(slots=True)
class _Email:
    """One message of the target that several of the archive are."""

    pieces: dict[int, tuple[Piece, Present]] = field(default_factory=dict)
    heads: dict[str, Piece] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    epochs: set[int | None] = field(default_factory=set)
    placed: bool = False


class Merging:
    """Knows for one run which messages of the archive are one on the target.

    Args:
        capabilities: of the target.
        server_sets: folded flags that no message of the archive needs to have.
        lacks: whether one of the target is without a flag that it is to have.
    """

    def __init__(
        self,
        capabilities: TargetCapabilities,
        server_sets: Collection[str],
        lacks: Callable[[Piece, Present], bool],
    ) -> None:
        self._lacks = lacks
        self._merges = capabilities.memberships or capabilities.merges
        early = Alteration.EARLY_DATE in capabilities.alterations
        self._earliest = capabilities.earliest if early else None
        self._server_sets = frozenset(server_sets)
        # most are alone: of these nothing is kept but themselves
        self._alone: dict[str, tuple[Piece, Present]] = {}
        self._shared: dict[str, _Email] = {}

    def add(self, piece: Piece, present: Present) -> None:
        """This message of the archive is that one of the target."""
        key = present.email_id
        if not self._merges or key is None:
            return
        first = self._alone.setdefault(key, (piece, present))
        if first[0] is piece:
            return
        email = self._shared.get(key)
        if email is None:
            email = self._shared[key] = _Email()
            self._join(email, *first)
        self._join(email, piece, present)

    def _join(self, email: _Email, piece: Piece, present: Present) -> None:
        email.pieces[piece.key] = piece, present
        email.heads.setdefault(piece.folder_id, piece)
        email.flags |= _folded(piece.flags)
        email.epochs.add(piece.epoch)
        early = self._earliest
        if early is not None and piece.epoch is not None and piece.epoch < early:
            email.epochs.add(early)
        email.placed = email.placed or piece.state is State.PLACED

    def judge(self, presents: Iterable[Present]) -> Iterator[Piece]:
        """Name what became one: of all messages of the archive that these are."""
        if not self._merges:
            return
        for key in dict.fromkeys(each.email_id for each in presents if each.email_id):
            email = self._shared.get(key)
            if email is not None:
                for piece, present in email.pieces.values():
                    self._name(piece, present, email)
                    yield piece
            elif (alone := self._alone.get(key)) is not None:
                self._name(*alone, _Email())
                yield alone[0]

    def _name(self, piece: Piece, present: Present, email: _Email) -> None:
        told = dict.fromkeys((*piece.altered, *piece.differs))
        # what was there before this run has its own flags and date, and was joined
        joined = piece.state is State.MERGED and not email.placed
        words = []
        for word in told:
            if word in ("flags", "flags-added"):
                more = _folded(present.flags) - _folded(piece.flags) - self._server_sets
                if self._lacks(piece, present) and word == "flags":
                    continue
                if more and (joined or more <= email.flags):
                    words.append((word, FLAGS_MERGED))
            elif word == "date" and (joined or present.received.epoch in email.epochs):
                words.append((word, DATE_MERGED))
        gone = {word for word, _ in words}
        altered = [word for word in piece.altered if word not in gone]
        piece.differs = tuple(word for word in piece.differs if word not in gone)
        altered += [word for _, word in words]
        if email.heads and email.heads.get(piece.folder_id) is not piece:
            altered.append(COPIES_MERGED)
        piece.altered = tuple(dict.fromkeys(altered))


def _folded(flags: Iterable[str]) -> frozenset[str]:
    return frozenset(map(keywords.fold, flags))
