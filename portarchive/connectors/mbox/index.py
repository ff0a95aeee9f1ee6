"""What is remembered of each message of an mbox file: sixty octets, in columns.

A Takeout of a million messages is an index of 60 MB; objects would be ten times that.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

DIGEST: Final = 16
"""Octets of SHA-256 that make a uid, written as 32 hex digits."""


class Fact(NamedTuple):
    """What many messages have in common. ``labels``: None in a file that is no Takeout."""

    flags: tuple[str, ...]
    labels: tuple[str, ...] | None


class Row(NamedTuple):
    """One message while it is being added.

    Attributes:
        start, length: where its octets lie in the file, quoting included.
        size: of the message, without the quoting.
        digest: of its identity, ``DIGEST`` octets.
        epoch: when it was received; None if nothing tells.
        fact: number of its ``Fact``.
        thread, gmail_id: Gmail's numbers, 0 if there are none.
    """

    start: int
    length: int
    size: int
    digest: bytes
    epoch: int | None
    fact: int
    thread: int = 0
    gmail_id: int = 0


class Index:
    """The messages of one file, in its order."""

    def __init__(self) -> None:
        self.starts = array("Q")
        self.lengths = array("Q")
        self.sizes = array("Q")
        self.digests = bytearray()
        self.epochs = array("q")
        self.fact_numbers = array("I")
        self.threads = array("Q")
        self.gmail_ids = array("Q")
        self.facts: list[Fact] = []
        self.ranks: dict[int, int] = {}
        self._fact_numbers: dict[Fact, int] = {}
        self._seen: set[bytes] | None = set()
        self._counts: dict[bytes, int] = {}
        self._rows: dict[str, int] | None = None

    def __len__(self) -> int:
        return len(self.starts)

    def fact(self, fact: Fact) -> int:
        """The number of a fact; a new one if it is new."""
        number = self._fact_numbers.get(fact)
        if number is None:
            number = self._fact_numbers[fact] = len(self.facts)
            self.facts.append(fact)
        return number

    def append(self, row: Row) -> None:
        """Remember a message. The n-th of equal ones has rank n."""
        start, length, size, digest, epoch, fact, thread, gmail_id = row
        self._rank(digest, len(self.starts))
        self.starts.append(start)
        self.lengths.append(length)
        self.sizes.append(size)
        self.digests += digest
        # -1 is none: instants before 1970 are kept as one less
        self.epochs.append(-1 if epoch is None else epoch if epoch >= 0 else epoch - 1)
        self.fact_numbers.append(fact)
        self.threads.append(thread)
        self.gmail_ids.append(gmail_id)
        self._rows = None

    def _rank(self, digest: bytes, number: int) -> None:
        if self._seen is None:
            self._seen = {self.digest(each) for each in range(len(self.digests) // DIGEST)}
        if digest in self._seen:
            rank = self._counts[digest] = self._counts.get(digest, 1) + 1
            self.ranks[number] = rank
        else:
            self._seen.add(digest)

    def state(self) -> dict[str, Any]:
        """Everything but what follows from it, in types that ``marshal`` takes."""
        columns = (self.starts, self.lengths, self.sizes, self.epochs, self.fact_numbers,
                   self.threads, self.gmail_ids)  # fmt: skip
        return {
            "columns": [column.tobytes() for column in columns],
            "digests": bytes(self.digests),
            "facts": [tuple(fact) for fact in self.facts],
        }

    def absorb(self, state: Mapping[str, Any]) -> None:
        """Append what another index found further on in the file."""
        before = len(self.starts)
        columns = (self.starts, self.lengths, self.sizes, self.epochs, self.fact_numbers,
                   self.threads, self.gmail_ids)  # fmt: skip
        for column, octets in zip(columns, state["columns"], strict=True):
            column.frombytes(octets)
        facts = [self.fact(Fact(*told)) for told in state["facts"]]
        for number in range(before, len(self.starts)):
            self.fact_numbers[number] = facts[self.fact_numbers[number]]
        digests = state["digests"]
        for at in range(0, len(digests), DIGEST):
            self._rank(digests[at : at + DIGEST], before + at // DIGEST)
        self.digests += digests
        self._rows = None

    def settle(self) -> None:
        """Nothing more comes for now: give back the memory that only adding needs."""
        self._seen = None

    def pop(self) -> None:
        """Forget the last message: the file went on, and it may be another one now."""
        number = len(self.starts) - 1
        digest = self.digest(number)
        rank = self.ranks.pop(number, None)
        if rank is not None:
            self._counts[digest] = rank - 1
        elif self._seen is not None:
            self._seen.discard(digest)
        del self.digests[-DIGEST:]
        for column in (self.starts, self.lengths, self.sizes, self.threads, self.gmail_ids):
            column.pop()
        self.epochs.pop()
        self.fact_numbers.pop()
        self._rows = None

    def digest(self, number: int) -> bytes:
        """The digest of a message's identity."""
        return bytes(self.digests[DIGEST * number : DIGEST * (number + 1)])

    def epoch(self, number: int) -> int | None:
        """When a message was received; None if nothing tells."""
        kept = self.epochs[number]
        if kept >= 0:
            return kept
        return None if kept == -1 else kept + 1

    def uid(self, number: int, rank: int | None = None) -> str:
        """32 hex digits, and ``-n`` for the n-th equal one (format.md section 3).

        ``rank``: this n; None: of the equal ones of this file.
        """
        digits = self.digests[DIGEST * number : DIGEST * (number + 1)].hex()
        rank = self.rank(number) if rank is None else rank
        return digits if rank == 1 else f"{digits}-{rank}"

    def rank(self, number: int) -> int:
        """The how-manieth of equal ones in this file it is."""
        return self.ranks.get(number, 1)

    def find(self, uid: str) -> int | None:
        """The number of a message; builds a table at the first call."""
        if self._rows is None:
            self._rows = {self.uid(number): number for number in range(len(self))}
        return self._rows.get(uid)
