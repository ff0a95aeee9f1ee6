"""Octets of a message as ``records.Body``: in memory while they are small, else in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

LARGE: Final = 1 << 20
"""Octets above which a message is not taken into memory at once."""

CHUNK: Final = 1 << 18


class Octets:
    """A small message."""

    __slots__ = ("octets", "size")

    def __init__(self, octets: bytes) -> None:
        self.octets: bytes | None = octets
        self.size = len(octets)

    def chunks(self) -> Iterator[bytes]:
        """See ``records.Body``."""
        yield self.octets or b""


class Pieces:
    """A large message.

    Args:
        size: octets.
        read: makes the iterator of its octets; it is asked once.
        close: lets go of what it is read from. Whoever hands the body out calls it afterwards.
    """

    octets: bytes | None = None

    def __init__(
        self,
        size: int,
        read: Callable[[], Iterator[bytes]],
        close: Callable[[], object] = lambda: None,
    ) -> None:
        self.size = size
        self._read = read
        self._close = close
        self._over = False

    def chunks(self) -> Iterator[bytes]:
        """See ``records.Body``.

        Raises:
            ConnectionLost: they end early, or are not what was announced.
            RuntimeError: it is read too late: what it was read from may be another file by now.
        """
        self._check()
        for octets in self._read():
            yield octets
            self._check()

    def _check(self) -> None:
        if self._over:
            raise RuntimeError("a body is to be read before the next message is asked for")

    def close(self) -> None:
        """Let go of what it is read from; it cannot be read any more."""
        if not self._over:
            self._over = True
            self._close()
