"""Threads: which messages belong together, by the identifiers they name (RFC 5322 §3.6.4).

Works on numbers, so that a million messages fit in memory. Subjects are not looked at: "Re: Hello"
of two strangers is no conversation.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence


class Threads:
    """Joins messages that refer to each other, or to the same one even if that is not there."""

    def __init__(self) -> None:
        self._nodes: dict[int, int] = {}
        self._parent = array("q")
        self._least = array("q")
        self._rows = array("q")

    def add(self, identifiers: Sequence[int]) -> None:
        """The next row: the number of its own identifier (0: none), and those it refers to."""
        own, *others = identifiers
        joined = -1
        for number in (own, *others):
            if number:
                node = self._node(number)
                joined = node if joined < 0 else self._join(joined, node)
        self._rows.append(joined)

    def name(self, row: int) -> str | None:
        """The name of the thread of a row; None if nothing tells.

        The same for the same set of messages, in whatever order they were added.
        """
        node = self._rows[row]
        return None if node < 0 else f"r-{self._least[self._root(node)]:016x}"

    def _node(self, number: int) -> int:
        node = self._nodes.get(number)
        if node is None:
            node = len(self._parent)
            self._nodes[number] = node
            self._parent.append(node)
            self._least.append(number)
        return node

    def _root(self, node: int) -> int:
        parent = self._parent
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def _join(self, one: int, other: int) -> int:
        one, other = self._root(one), self._root(other)
        if one != other:
            # the smaller number on top: no rank is needed, paths are halved on each look
            if self._least[other] < self._least[one]:
                one, other = other, one
            self._parent[other] = one
        return one
