"""Octets from the socket: one buffer, shared by imaplib's commands and by our streaming ones.

Owns the buffer and nothing above it: it knows lines and counted octets, no IMAP. The hot loops of
``fetch`` and ``listing`` look straight into ``buf[start:end]`` and move ``start`` on.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Final

from portarchive.errors import ConnectionLost, ServerMisbehaved

CAPACITY: Final = 1 << 20
"""Octets the buffer holds in the ordinary case."""

ROOM: Final = 1 << 18
"""No receive call is made with less room than this: 256 KiB."""

MAX_LINE: Final = 1 << 26
"""A line longer than this (64 MiB) is not an answer to anything we ask."""

CHUNK: Final = 1 << 18


class Stream:
    """A buffered reader and plain writer over a connected socket.

    Every failure of the socket, the end of the stream and the timeout are ``ConnectionLost``.

    Attributes:
        buf: the buffer; valid octets are ``buf[start:end]``. Replaced when it grows.
        view: a memoryview of the whole ``buf``.
        received: octets received in all.
    """

    __slots__ = ("_scanned", "_sock", "buf", "end", "received", "start", "view")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.buf = bytearray(CAPACITY)
        self.view = memoryview(self.buf)
        self.start = 0
        self.end = 0
        self.received = 0
        self._scanned = 0  # no LF in buf[start:_scanned]

    @property
    def sock(self) -> socket.socket:
        """The socket below, for TLS to be put on it and for select."""
        return self._sock

    def rebase(self, sock: socket.socket) -> None:
        """Go on with another socket (TLS over the same connection).

        Raises:
            ServerMisbehaved: octets of the old one are still here. They came in cleartext and
                would be taken for protected ones (RFC 3501 §11.1, response injection).
        """
        if self.start != self.end:
            raise ServerMisbehaved("the server sent more than its answer before TLS began")
        self._sock = sock

    def fileno(self) -> int:
        """For selectors."""
        return self._sock.fileno()

    def undelivered(self) -> bool:
        """Whether octets are decrypted already, so that select would not tell of them."""
        pending = getattr(self._sock, "pending", None)
        return pending is not None and bool(pending())

    # --- writing --------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send all of it."""
        try:
            self._sock.sendall(data)
        except OSError as exc:
            raise _lost(exc) from exc

    # --- reading --------------------------------------------------------------------------------

    def fill(self) -> None:
        """One receive call: at least one octet is added to the buffer."""
        if self.start == self.end:
            self.start = self.end = self._scanned = 0
            if len(self.buf) > CAPACITY:
                self._replace(CAPACITY)
        elif len(self.buf) - self.end < ROOM:
            self._make_room()
        try:
            count = self._sock.recv_into(self.view[self.end :])
        except OSError as exc:
            raise _lost(exc) from exc
        if not count:
            raise ConnectionLost("the server closed the connection")
        self.end += count
        self.received += count

    def _make_room(self) -> None:
        held = self.end - self.start
        if held + ROOM > len(self.buf):
            self._replace(max(CAPACITY, 2 * len(self.buf)))
            return
        self.buf[:held] = self.buf[self.start : self.end]
        self._scanned = max(0, self._scanned - self.start)
        self.start, self.end = 0, held

    def _replace(self, capacity: int) -> None:
        held = self.end - self.start
        fresh = bytearray(capacity)
        fresh[:held] = self.view[self.start : self.end]
        self.buf, self.view = fresh, memoryview(fresh)
        self._scanned = max(0, self._scanned - self.start)
        self.start, self.end = 0, held

    def holds_line(self) -> bool:
        """Whether a whole line is in the buffer.

        Raises:
            ServerMisbehaved: the unfinished line is over ``MAX_LINE`` already.
        """
        if self.buf.find(b"\n", max(self.start, self._scanned), self.end) >= 0:
            return True
        self._scanned = self.end
        if self.end - self.start > MAX_LINE:
            raise ServerMisbehaved(f"the server sent a line of more than {MAX_LINE} octets")
        return False

    def line(self) -> bytes:
        """The next line without its end, CR LF or (tolerated) LF alone."""
        while not self.holds_line():
            self.fill()
        at = self.buf.index(b"\n", max(self.start, self._scanned), self.end)
        stop = at - 1 if at > self.start and self.buf[at - 1] == 13 else at
        line = bytes(self.view[self.start : stop])
        self.start = self._scanned = at + 1
        return line

    def take(self, count: int) -> bytes:
        """Exactly so many octets, in memory."""
        held = self.end - self.start
        if held >= count:
            octets = bytes(self.view[self.start : self.start + count])
            self.start += count
            return octets
        return b"".join(self.chunks(count))

    def chunks(self, count: int) -> Iterator[bytes]:
        """Exactly so many octets in pieces, as they come; what is buffered first."""
        left = count
        held = min(left, self.end - self.start)
        if held:
            octets = bytes(self.view[self.start : self.start + held])
            self.start += held
            left -= held
            yield octets
        while left:
            try:
                octets = self._sock.recv(min(left, CHUNK))
            except OSError as exc:
                raise _lost(exc) from exc
            if not octets:
                raise ConnectionLost("the server closed the connection in the middle of a message")
            left -= len(octets)
            self.received += len(octets)
            yield octets

    # --- the two calls of imaplib ---------------------------------------------------------------

    def readline(self) -> bytes:
        """A line with CR LF at its end, whatever the server ended it with."""
        return self.line() + b"\r\n"

    def read(self, count: int) -> bytes:
        """The same as ``take``."""
        return self.take(count)


def _lost(exc: OSError) -> ConnectionLost:
    if isinstance(exc, TimeoutError):
        return ConnectionLost("the server fell silent")
    return ConnectionLost(f"the connection broke: {exc.strerror or exc.__class__.__name__}")
