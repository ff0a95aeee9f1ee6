"""A loopback relay that counts what crosses it, and how much of that is message text.

It stands between a client and an IMAP server for runs that are not timed.
"""

from __future__ import annotations

import re
import socket
import threading
from types import TracebackType
from typing import Self

_LITERAL = re.compile(rb"\{(\d+)\}\r?\n\Z")
_TEXT_LITERAL = re.compile(
    rb"(?:BODY|BINARY|RFC822)[^ ]*(?: \([^)]*\)\])?(?:<\d+>)? ~?\{\d+\}\r?\n\Z"
)
_CHUNK = 1 << 16


class Answers:
    """What a server sent: octets altogether, and octets in literals of message text."""

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


class Relay:
    """Listens on a free loopback port and passes each connection on.

    Attributes:
        port: where it listens.
    """

    def __init__(self, host: str, port: int) -> None:
        self._far = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._answers: list[Answers] = []
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
        self._listener.close()

    def counted(self) -> tuple[int, int]:
        """Octets from the server, and those of message text; once its clients are gone."""
        for thread in list(self._threads):
            thread.join(timeout=10)
        return (
            sum(answers.octets for answers in self._answers),
            sum(answers.text_octets for answers in self._answers),
        )

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._far)
            answers = Answers()
            self._answers.append(answers)
            for source, sink, seen in ((near, far, None), (far, near, answers)):
                thread = threading.Thread(target=_pass_on, args=(source, sink, seen), daemon=True)
                self._threads.append(thread)
                thread.start()


def _pass_on(source: socket.socket, sink: socket.socket, seen: Answers | None) -> None:
    try:
        while data := source.recv(_CHUNK):
            if seen:
                seen.feed(data)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the other side is gone
