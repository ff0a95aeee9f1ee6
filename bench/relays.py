"""Relays on loopback: between a program and a server, they listen to both, or take their time.

What is said is passed on as it is. Who only listens stands in runs that are not timed.
"""

from __future__ import annotations

import contextlib
import queue
import re
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self


class Listener(Protocol):
    """Is told what one side of one connection says, piece by piece."""

    def feed(self, data: bytes) -> None: ...


_Waiting = queue.Queue[tuple[float, bytes]]

_CHUNK = 1 << 16
_AHEAD = 16
"""Pieces that wait where nothing is delayed: whoever is slow holds the other one up."""
_PATIENCE = 10
_LITERAL = re.compile(rb"\{(\d+)\}\r?\n\Z")
_TEXT_LITERAL = re.compile(
    rb"(?:BODY|BINARY|RFC822)[^ ]*(?: \([^)]*\)\])?(?:<\d+>)? ~?\{\d+\}\r?\n\Z"
)


class Relay:
    """Listens on a free loopback port and passes each connection on. A context manager.

    Args:
        host, port: of the server.
        seconds: that each octet is on its way, in either direction; the rate is not limited.
        listener: makes for each connection who is told what the program says.
        far_listener: the same for what the server says.

    Attributes:
        port: where it listens.
        heard: those that ``listener`` made.
        far_heard: those that ``far_listener`` made.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        seconds: float = 0.0,
        listener: Callable[[], Listener] | None = None,
        far_listener: Callable[[], Listener] | None = None,
    ) -> None:
        self._far = (host, port)
        self._seconds = seconds
        self._makes = listener, far_listener
        self.heard: list[Listener] = []
        self.far_heard: list[Listener] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def settle(self) -> None:
        """Wait until all is passed on, once its clients are gone."""
        for thread in list(self._threads):
            thread.join(timeout=_PATIENCE)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._far)
            makes, far_makes = self._makes
            for source, sink, make, heard in (
                (near, far, makes, self.heard),
                (far, near, far_makes, self.far_heard),
            ):
                listener = None if make is None else make()
                if listener is not None:
                    heard.append(listener)
                sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                waiting: _Waiting = queue.Queue(0 if self._seconds else _AHEAD)
                for target, arguments in (
                    (self._take, (source, waiting, listener)),
                    (_give, (sink, waiting)),
                ):
                    thread = threading.Thread(target=target, args=arguments, daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def _take(self, source: socket.socket, waiting: _Waiting, listener: Listener | None) -> None:
        data = b"?"
        while data:
            try:
                data = source.recv(_CHUNK)
            except OSError:
                data = b""
            if listener is not None:
                listener.feed(data)
            waiting.put((time.monotonic() + self._seconds, data))


def _give(sink: socket.socket, waiting: _Waiting) -> None:
    there = True
    data = b"?"
    while data:  # to the end also when nobody is there any more: what waits must not fill up
        due, data = waiting.get()
        if not there:
            continue
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            if data:
                sink.sendall(data)
            else:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            there = False


class Answers:
    """What an IMAP server says: octets altogether, and octets in literals of message text."""

    def __init__(self) -> None:
        self.octets = 0
        self.text_octets = 0
        self._line = b""
        self._literal_left = 0

    def feed(self, data: bytes) -> None:
        self.octets += len(data)
        start = 0
        while start < len(data):
            if self._literal_left:
                step = min(self._literal_left, len(data) - start)
                self._literal_left -= step
                start += step
                continue
            end = data.find(b"\n", start) + 1
            if not end:
                self._line += data[start:]
                return
            line = self._line + data[start:end]
            self._line = b""
            start = end
            if literal := _LITERAL.search(line):
                self._literal_left = int(literal[1])
                if _TEXT_LITERAL.search(line):
                    self.text_octets += self._literal_left


class Requests:
    """What is asked by HTTP: requests, and those for octets of messages by JMAP."""

    def __init__(self) -> None:
        self._said = bytearray()

    def feed(self, data: bytes) -> None:
        self._said += data

    @property
    def count(self) -> int:
        return self._said.count(b" HTTP/1.1\r\n")

    @property
    def blobs(self) -> int:
        return self._said.count(b'"Blob/get"') + self._said.count(b"/download/")
