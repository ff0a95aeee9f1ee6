"""The octets of one message on their way to a reader: in memory, from a download, in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from portarchive.connectors.jmap.transport import Reply
from portarchive.errors import ConnectionLost

PIECE: Final = 1 << 20


class Overrun(ConnectionLost):
    """The server sends more octets of a message than it says that the message has.

    For whoever reads a stream it is an octet stream that broke: what came of it is worth nothing.
    """

    def __init__(self) -> None:
        super().__init__("the server sends more octets than it says that the message has")


class Underrun(ConnectionLost):
    """Fewer octets of a message came than it has, and nothing but the end of them said so.

    Where nobody announced a length, a connection that broke looks like the end of the message.
    """

    code = "cut"

    def __init__(self) -> None:
        super().__init__("the octets of a message ended early")


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


_SPARE = 1 << 20


def most(size: int) -> int:
    """Octets that are taken of a message that the server says has so many.

    A server that counts wrongly loses no mail by that: what it sends is kept, and the difference
    noted; fewer octets only if their number was announced. One that never ends is cut off.
    """
    return 2 * size + _SPARE


class StreamedBody:
    """A message that is still coming.

    Args:
        reply: the download.
        size: octets that the server says the message has (RFC 8621 section 4.1.1: as many as one
            would download); None if it does not say.
    """

    __slots__ = ("_least", "_most", "_reply", "octets", "size")

    def __init__(self, reply: Reply, size: int | None) -> None:
        self.octets: bytes | None = None
        self._least = size if size is not None and reply.length is None else 0
        self.size = (size or 0) if reply.length is None else reply.length
        self._most = None if size is None else most(size)
        self._reply = reply

    def chunks(self) -> Iterator[bytes]:
        """The message as it comes; once.

        Raises:
            Overrun: there are far more than it has (``most``); the rest is not read.
            Underrun: there are fewer, and their number was not announced.
            ConnectionLost: it ended early.
        """
        came = 0
        try:
            for chunk in self._reply.chunks():
                came += len(chunk)
                if self._most is not None and came > self._most:
                    raise Overrun
                yield chunk
            if came < self._least:
                raise Underrun
        finally:
            self._reply.close()

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
            Underrun: it ended early.
        """
        at = 0
        while at < self.size:
            octets = self._piece(at, min(PIECE, self.size - at))
            if not octets or len(octets) > self.size - at:
                raise Underrun
            yield octets
            at += len(octets)

    def finish(self) -> None:
        """Nothing is under way between two pieces."""
