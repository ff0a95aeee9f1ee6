"""The octets of one message on their way to a reader: in memory, from a download, in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from portarchive.connectors.jmap.transport import Reply
from portarchive.errors import ConnectionLost

PIECE: Final = 1 << 20


class WholeBody:
    """A message that is in memory. See ``records.Body``."""

    __slots__ = ("octets", "size")

    def __init__(self, octets: bytes) -> None:
        self.octets: bytes | None = octets
        self.size = len(octets)

    def chunks(self) -> Iterator[bytes]:
        """The message, in one piece."""
        if self.octets:
            yield self.octets


class StreamedBody:
    """A message that is still coming.

    Args:
        reply: the download.
        size: what the server says the message has, for when the download does not say it.
    """

    __slots__ = ("_reply", "octets", "size")

    def __init__(self, reply: Reply, size: int) -> None:
        self.octets: bytes | None = None
        self.size = size if reply.length is None else reply.length
        self._reply = reply

    def chunks(self) -> Iterator[bytes]:
        """The message as it comes; once.

        Raises:
            ConnectionLost: it ended early.
        """
        return self._reply.chunks()

    def finish(self) -> None:
        """Let go of what nobody read."""
        self._reply.close()


class PiecedBody:
    """A large message out of many answers, where there is no download.

    Args:
        size: of the whole.
        piece: gives the octets from an offset on, at most so many.
    """

    __slots__ = ("_piece", "octets", "size")

    def __init__(self, size: int, piece: Callable[[int, int], bytes]) -> None:
        self.octets: bytes | None = None
        self.size = size
        self._piece = piece

    def chunks(self) -> Iterator[bytes]:
        """The message, piece by piece.

        Raises:
            ConnectionLost: it ended early.
        """
        at = 0
        while at < self.size:
            octets = self._piece(at, min(PIECE, self.size - at))
            if not octets or len(octets) > self.size - at:
                raise ConnectionLost("the octets of a message ended early")
            yield octets
            at += len(octets)

    def finish(self) -> None:
        """Nothing is under way between two pieces."""
