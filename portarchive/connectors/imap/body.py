"""The octets of one message on their way to a reader: in memory, from the socket, from a spool."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO

from portarchive.connectors.imap.stream import CHUNK, Stream
from portarchive.errors import ConnectionLost


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
    """A message that is still coming: ``chunks`` reads the socket.

    Args:
        stream: at the first octet of the literal.
        size: of the literal.
        cut: told when the connection ends before the message does.
    """

    __slots__ = ("_cut", "_ended", "_left", "_stream", "octets", "size")

    def __init__(self, stream: Stream, size: int, cut: Callable[[], None]) -> None:
        self.octets: bytes | None = None
        self.size = size
        self._stream = stream
        self._left = size
        self._cut = cut
        self._ended = False

    def chunks(self) -> Iterator[bytes]:
        """The message as it comes; a second call goes on where the first was left.

        Raises:
            ConnectionLost: it ended early.
        """
        try:
            for octets in self._stream.chunks(self._left):
                self._left -= len(octets)
                yield octets
        except ConnectionLost:
            if not self._ended:  # told once, however often it is tried
                self._ended = True
                self._cut()
            raise

    def finish(self) -> None:
        """Read past what nobody took."""
        for _ in self.chunks():
            pass


class SpooledBody:
    """A large message whose description came after it: it was put aside meanwhile."""

    __slots__ = ("_file", "octets", "size")

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.octets: bytes | None = None
        self.size = size
        self._file = file

    def chunks(self) -> Iterator[bytes]:
        """The message, from its beginning."""
        self._file.seek(0)
        while octets := self._file.read(CHUNK):
            yield octets

    def finish(self) -> None:
        """Remove the spool."""
        self._file.close()
