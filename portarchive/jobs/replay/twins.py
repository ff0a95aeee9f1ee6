"""Twins: which of several messages, equal in all that was looked at, is which.

Owns one choice: those that bear the same flags are pairs, then those that share most and differ
least. So nobody's flags seem to have changed, or are lost, because of another's. Refuses to look at
octets.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from portarchive import keywords
from portarchive.jobs.replay.pieces import Piece
from portarchive.placing import Present

_KINDS: Final = 64
"""Of so many sets of flags the nearest is looked for."""

_Flags = frozenset[str]


def couple(pieces: Sequence[Piece], presents: Sequence[Present]) -> list[tuple[Piece, Present]]:
    """Pairs, as many as the shorter side has; in the given order where flags do not tell.

    Args:
        pieces: messages of the archive, any of which may be any of ``presents``.
        presents: messages of the target.
    """
    if len(pieces) == 1 == len(presents):
        return [(pieces[0], presents[0])]
    if not pieces or not presents:
        return []
    pairs: list[tuple[Piece, Present]] = []
    by_flags: dict[_Flags, deque[Piece]] = defaultdict(deque)
    for piece in pieces:
        by_flags[_folded(piece.flags)].append(piece)
    others: list[tuple[Present, _Flags]] = []
    for present in presents:
        flags = _folded(present.flags)
        if flags in by_flags:
            pairs.append((_next(by_flags, flags), present))
        else:
            others.append((present, flags))
    for present, flags in others:
        if not by_flags:
            break
        nearest = min(
            islice(by_flags, _KINDS), key=lambda some: len(some ^ flags) - len(some & flags)
        )
        pairs.append((_next(by_flags, nearest), present))
    return pairs


def is_just_as(piece: Piece, present: Present) -> bool:
    """Whether instant and flags are the same."""
    if piece.epoch != present.received.epoch:
        return False
    return _folded(piece.flags) == _folded(present.flags)


def _next(by_flags: dict[_Flags, deque[Piece]], flags: _Flags) -> Piece:
    some = by_flags[flags]
    piece = some.popleft()
    if not some:
        del by_flags[flags]
    return piece


def _folded(flags: Iterable[str]) -> _Flags:
    return frozenset(map(keywords.fold, flags)) - {"\\recent"}
