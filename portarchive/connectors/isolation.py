"""Which request breaks the connection: the arithmetic of asking again in smaller pieces.

It owns the queue of what is still unanswered and the strikes against single entries. It refuses to
know what an entry is, to wait, and to talk to anybody.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Entry = TypeVar("Entry")

STRIKES = 3
SHRINK = 64


class Isolation(Generic[Key, Entry]):
    """What is still to be asked for, as requests of a fitting size.

    A request that is lost without an answer shrinks the next one to a 64th, and so on down to a
    single entry: halving would take more losses in a row than ``Patience`` has. A request that ends
    doubles it again. An entry that is lost alone is a suspect: it waits until everything else has
    been asked for, or the next one is lost alone too; is then asked for alone; and is given up with
    the third strike.

    Args:
        entries: distinct keys; consumed as they are asked for.
        largest: entries of one request at most.
    """

    def __init__(self, entries: Iterable[tuple[Key, Entry]], *, largest: int = 1 << 16) -> None:
        self._fresh = iter(entries)
        self._again: dict[Key, Entry] = {}
        self._asked: dict[Key, Entry] = {}
        self._suspects: dict[Key, Entry] = {}
        self._strikes: dict[Key, int] = {}
        self._largest = self._size = largest
        self._count = 0

    def ask(self) -> dict[Key, Entry]:
        """The next request, in order; empty when everything was answered or given up.

        The same dictionary shrinks with ``settle``.
        """
        self._asked = {}
        if len(self._suspects) < 2:
            self._asked = dict(itertools.islice(self._again.items(), self._size))
            for key in self._asked:
                del self._again[key]
            self._asked.update(itertools.islice(self._fresh, self._size - len(self._asked)))
        if not self._asked and self._suspects:
            key = next(iter(self._suspects))
            self._asked[key] = self._suspects.pop(key)
        self._count = len(self._asked)
        return self._asked

    def settle(self, key: Key) -> None:
        """An answer came."""
        self._asked.pop(key, None)

    def ended(self) -> list[tuple[Key, Entry]]:
        """The request ended well; returns what it left without an answer."""
        self._size = min(self._size * 2, self._largest)
        left = list(self._asked.items())
        self._asked = {}
        return left

    def lost(self, *, blame: bool) -> list[tuple[Key, Entry]]:
        """The request was lost; what has no answer will be asked for again.

        ``blame``: nothing but the request itself can be the cause. Returns what is given up.
        """
        left, self._asked = self._asked, {}
        if blame and self._count == 1:
            return [entry for entry in left.items() if self._strike(*entry)]
        if blame:
            self._size = max(1, self._count // SHRINK)
        suspects = {key: entry for key, entry in left.items() if key in self._strikes}
        self._suspects |= suspects
        self._again = {key: left[key] for key in left if key not in suspects} | self._again
        return []

    def accuse(self, key: Key, entry: Entry) -> bool:
        """This answered entry was the cause after all; returns whether it is given up.

        It strikes only if the entry was alone; else it will be asked for alone.
        """
        if self._count == 1:
            return self._strike(key, entry)
        self._strikes.setdefault(key, 0)
        self._suspects[key] = entry
        return False

    def restore(self, key: Key, entry: Entry) -> None:
        """This answer turned out to be none, through no fault of the entry."""
        (self._suspects if key in self._strikes else self._again)[key] = entry

    def _strike(self, key: Key, entry: Entry) -> bool:
        self._strikes[key] = self._strikes.get(key, 0) + 1
        if self._strikes[key] >= STRIKES:
            return True
        self._suspects = {key: entry} | self._suspects  # this one again, until it is decided
        return False
