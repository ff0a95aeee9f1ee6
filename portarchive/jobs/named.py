"""Which uids a source has named, in little memory: a folder may have a million of them. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_right

_DIGITS = 19
"""Decimal digits of a number that surely fits into 64 bits."""


class Named:
    """A set of uids. Numbers in ascending order, as they mostly come, are kept as ranges."""

    def __init__(self) -> None:
        self._first = array("Q")
        self._last = array("Q")
        self._others: set[str] = set()

    def add(self, uid: str) -> bool:
        """Take in a uid.

        Returns:
            Whether it is new.
        """
        if uid.isdecimal() and uid.isascii() and len(uid) <= _DIGITS and uid[0] != "0":
            number = int(uid)
            if not self._last or number > self._last[-1] + 1:
                self._first.append(number)
                self._last.append(number)
                return True
            if number == self._last[-1] + 1:
                self._last[-1] = number
                return True
            at = bisect_right(self._first, number) - 1
            if at >= 0 and number <= self._last[at]:
                return False
        before = len(self._others)
        self._others.add(uid)
        return len(self._others) > before
