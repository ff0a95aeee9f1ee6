"""Sets of UIDs: read from the server, kept as ranges, written compactly (``1:5,9``).

A mailbox of 300,000 messages takes a few octets when its UIDs are dense and 16 octets a gap when
they are not; nothing here ever holds one object a message.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

MAX_UID: Final = 0xFFFFFFFF
_SET: Final = re.compile(rb"(?:\d{1,10}(?::\d{1,10})?)(?:,\d{1,10}(?::\d{1,10})?)*\Z")


class UidSet:
    """An immutable ascending set of UIDs (1 … 2^32-1)."""

    __slots__ = ("_count", "_high", "_low")

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        """From numbers in any order; what is no UID is left out."""
        self._low, self._high = array("Q"), array("Q")
        low, high = self._low, self._high
        previous = -1
        ordered = True
        for uid in numbers:
            if uid == previous + 1 and high:
                high[-1] = uid
            elif uid > previous:
                low.append(uid)
                high.append(uid)
            else:
                ordered = ordered and uid == previous
                if not ordered:
                    low.append(uid)
                    high.append(uid)
            previous = uid
        if not ordered or (low and (low[0] < 1 or high[-1] > MAX_UID)):
            self._normalise(zip(low, high, strict=True))
        self._count = sum(self._high) - sum(self._low) + len(self._low)

    @classmethod
    def from_ranges(cls, ranges: Iterable[tuple[int, int]]) -> UidSet:
        """From ranges in any order, overlapping or not, either end first."""
        made = cls()
        made._normalise(ranges)
        made._count = sum(made._high) - sum(made._low) + len(made._low)
        return made

    @classmethod
    def parse(cls, text: bytes) -> UidSet:
        """From a ``sequence-set`` of RFC 9051 without ``*``.

        Raises:
            ValueError: it is none.
        """
        if not _SET.match(text):
            raise ValueError("not a set of UIDs")
        pairs = (item.partition(b":") for item in text.split(b","))
        return cls.from_ranges((int(low), int(high or low)) for low, _, high in pairs)

    def _normalise(self, ranges: Iterable[tuple[int, int]]) -> None:
        swapped = ((high, low) if high < low else (low, high) for low, high in ranges)
        clipped = sorted((max(low, 1), min(high, MAX_UID)) for low, high in swapped)
        self._low, self._high = array("Q"), array("Q")
        for low, high in clipped:
            if high < low:
                continue
            if self._high and low <= self._high[-1] + 1:
                self._high[-1] = max(self._high[-1], high)
            else:
                self._low.append(low)
                self._high.append(high)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        for low, high in zip(self._low, self._high, strict=True):
            yield from range(low, high + 1)

    def __contains__(self, uid: object) -> bool:
        if not isinstance(uid, int) or uid < 0:
            return False
        at = bisect_right(self._low, uid) - 1
        return at >= 0 and uid <= self._high[at]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UidSet):
            return NotImplemented
        return self._low == other._low and self._high == other._high

    __hash__ = None  # type: ignore[assignment]  # a container compared by value, as list is

    def __repr__(self) -> str:
        return f"UidSet({self.text()[:60]!r}, {self._count})"

    def ranges(self) -> Iterator[tuple[int, int]]:
        """First and last of each run, ascending."""
        yield from zip(self._low, self._high, strict=True)

    def first(self) -> int:
        """The lowest UID, 0 for the empty set."""
        return self._low[0] if self._low else 0

    def last(self) -> int:
        """The highest UID, 0 for the empty set."""
        return self._high[-1] if self._high else 0

    def union(self, other: UidSet) -> UidSet:
        """Those in either."""
        return UidSet.from_ranges([*self.ranges(), *other.ranges()])

    @classmethod
    def joined(cls, parts: Iterable[UidSet]) -> UidSet:
        """Those in any of the parts, which seldom overlap."""
        ordered = sorted(filter(len, parts), key=cls.first)
        if len(ordered) == 1:
            return ordered[0]
        made = cls()
        for low, high in chain.from_iterable(part.ranges() for part in ordered):
            if not made._high or low > made._high[-1] + 1:
                made._low.append(low)
                made._high.append(high)
            elif low == made._high[-1] + 1:
                made._high[-1] = high
            else:  # they do overlap
                return cls.from_ranges(pair for part in ordered for pair in part.ranges())
        made._count = sum(map(len, ordered))
        return made

    def within(self, low: int, high: int) -> UidSet:
        """Those from ``low`` to ``high``, both included."""
        return UidSet.from_ranges(
            (max(first, low), min(last, high))
            for first, last in self.ranges()
            if first <= high and last >= low
        )

    def text(self) -> str:
        """Compact, as commands, ledger and manifest have it; empty for the empty set."""
        return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in self.ranges())


def slices(uids: UidSet, size: int) -> Iterator[tuple[int, int, list[int]]]:
    """Windows over a set: first UID, last UID, the UIDs themselves; each of at most ``size``."""
    window: list[int] = []
    for uid in uids:
        window.append(uid)
        if len(window) == size:
            yield window[0], window[-1], window
            window = []
    if window:
        yield window[0], window[-1], window
