"""A line with a delay: 50 ms each way on loopback, and who gets through it in what time.

Many folders, few messages each: what counts is how often a program waits for an answer before it
asks the next thing.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from corpus import Mailbox
from measure import Run, RunFailedError, run
from peers import Endpoint

_CHUNK = 1 << 16
_PASSWORD_VARIABLE = "PORTARCHIVE_PASSWORD"  # a variable's name


class DelayLine:
    """Passes connections on, each octet so many seconds later; the rate is not limited.

    Attributes:
        port: where it listens.
    """

    def __init__(self, host: str, port: int, *, seconds: float) -> None:
        self._far = (host, port)
        self._seconds = seconds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

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

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._far)
            for source, sink in ((near, far), (far, near)):
                sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                for work in (
                    lambda source=source, waiting=waiting: self._take(source, waiting),
                    lambda sink=sink, waiting=waiting: _give(sink, waiting),
                ):
                    threading.Thread(target=work, daemon=True).start()

    def _take(self, source: socket.socket, waiting: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        data = b"?"
        while data:
            try:
                data = source.recv(_CHUNK)
            except OSError:
                data = b""
            waiting.put((time.monotonic() + self._seconds, data))


def _give(sink: socket.socket, waiting: queue.SimpleQueue[tuple[float, bytes]]) -> None:
    while True:
        due, data = waiting.get()
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            sink.sendall(data)
        except OSError:
            return


@dataclass(frozen=True, slots=True)
class OneByOne:
    """imapclient, one message a call, one file a message (one_by_one.py), of the first folders.

    A run over the whole account takes ten minutes of waiting: so it is done for some folders, and
    the time of a message holds for all of them.
    """

    endpoint: Endpoint
    mailbox: Mailbox
    target: Path
    folders: int

    def pull(self) -> Run:
        """Bring the messages of the first folders; the time is that of all of them.

        Raises:
            RunFailedError: it failed, or did not bring them all.
        """
        chosen = self.mailbox.folders[: self.folders]
        argv = [
            *(sys.executable, Path(__file__).with_name("one_by_one.py")),
            *(self.endpoint.host, str(self.endpoint.port), self.mailbox.user, _PASSWORD_VARIABLE),
            *(self.target, *(folder for folder, _ in chosen)),
        ]
        made = run(argv, env={_PASSWORD_VARIABLE: self.endpoint.password})
        wanted = sum(count for _, count in chosen)
        if int(made.stdout) != wanted:
            raise RunFailedError(f"imapclient brought {int(made.stdout)} of {wanted}")
        return replace(made, wall=made.wall * self.mailbox.messages / wanted)
