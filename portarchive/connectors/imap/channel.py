"""Commands and answers on one connection, and what the server says in between.

Owns the order of things on the wire: tags, literals, the mailbox that is open, limits that the
server names, the end by BYE. It does not know how the connection came to be, nor what a command is
for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final

from portarchive.connectors.imap import quirks
from portarchive.connectors.imap.mailbox import Mailbox
from portarchive.connectors.imap.names import Literal, Part
from portarchive.connectors.imap.responses import (
    Continuation,
    Data,
    Numbered,
    Response,
    Status,
    number,
    read_response,
    working,
)
from portarchive.connectors.imap.stream import Stream
from portarchive.errors import ConnectionLost, ConnectorError
from portarchive.progress import Observer, silent

DEPTH: Final = 64
"""Commands on their way at once, where a server is not known to mind."""

AHEAD_OCTETS: Final = 16_000
"""Octets of the commands on their way at once."""


class Channel:
    """A connection on which commands are run. Not for two threads.

    Attributes:
        stream: the octets.
        mailbox: the one that is examined now, None before and after a reconnect.
        broken: nothing can be sent any more.
        depth: commands that may be on their way at once.
        utf8: UTF8=ACCEPT is enabled (RFC 6855).
        uid_only: UIDONLY is enabled (RFC 9586): sequence numbers and ``*`` are errors.
        observer: is told how far the server is with a long command (RFC 9585).
    """

    def __init__(self, stream: Stream, observer: Observer = silent) -> None:
        self.stream = stream
        self.mailbox: Mailbox | None = None
        self.broken = False
        self.depth = DEPTH
        self.utf8 = False
        self.uid_only = False
        self.observer = observer
        self._tags = itertools.count(1)
        self._open: dict[bytes, int] = {}
        self._octets = 0  # of the commands in _open
        self._answers: dict[bytes, Status] = {}
        self._stopped: int | None = None
        self._stops: dict[bytes, int] = {}

    @property
    def in_flight(self) -> int:
        """Commands that were sent and not answered yet."""
        return len(self._open)

    def has_room(self) -> bool:
        """Whether one more command may be sent ahead of the answers.

        Bounded so that what is on its way fits into the buffers in between: a server that waits
        for us to read, while we wait for it to read, would be the end of both.
        """
        return len(self._open) < self.depth and self._octets < AHEAD_OCTETS

    @property
    def top(self) -> bytes:
        """The end of a range of UIDs that goes up to the last one."""
        return b"4294967295" if self.uid_only else b"*"

    def fill(self) -> None:
        """Receive more into the buffer; for the loops that look into it themselves."""
        try:
            self.stream.fill()
        except ConnectorError:
            self.broken = True
            raise

    def send(self, *parts: Part) -> bytes:
        """Send one command; the caller has checked every part's grammar. Returns its tag."""
        tag = b"p%d" % next(self._tags)
        size = sum(len(part.octets) if isinstance(part, Literal) else len(part) for part in parts)
        self._open[tag] = size
        self._octets += size
        line = tag + b" "
        try:
            for part in parts:
                if isinstance(part, Literal):
                    self.stream.send(line + b"{%d}\r\n" % len(part.octets))
                    if not self._continued(tag):
                        return tag
                    line = part.octets
                else:
                    line += part
            self.stream.send(line + b"\r\n")
        except ConnectorError:
            self.broken = True
            raise
        return tag

    def _continued(self, tag: bytes) -> bool:
        """Wait for ``+``; False if the command was refused instead (its answer is kept)."""
        while True:
            response = self.next()
            if isinstance(response, Continuation):
                return True
            if isinstance(response, Status) and response.tag is not None:
                self.keep(response)
                if response.tag == tag:
                    return False

    def next(self) -> Response:
        """The next response; what concerns the open mailbox is noted there.

        Raises:
            ConnectionLost, TokenExpired, RateLimited: also on BYE.
        """
        try:
            response = read_response(self.stream)
        except ConnectorError:
            self.broken = True
            raise
        self.observe(response)
        return response

    def observe(self, response: Response) -> None:
        """Take note of what the server says unasked."""
        if isinstance(response, Numbered | Data):
            if self.mailbox is not None:
                self.mailbox.observe(response)
        elif isinstance(response, Status):
            self._status(response)

    def _status(self, status: Status) -> None:
        if status.tag is not None:
            self._octets -= self._open.pop(status.tag, 0)
            stopped = _limit(status) or self._stopped
            self._stopped = None
            if stopped is not None:
                self._stops[status.tag] = stopped
        elif status.kind == b"BYE":
            self.broken = True
            raise quirks.patience(status) or ConnectionLost(
                f"the server said goodbye: {status.words}"
            )
        elif status.code == b"MESSAGELIMIT":  # beside a tagged OK with another code
            self._stopped = _limit(status)
        elif status.code == b"INPROGRESS":
            event = working(status)
            if event is not None:
                self.observer(event)

    def stopped_at(self, status: Status) -> int | None:
        """The lowest UID that a command came to, if a limit stopped it (RFC 9738 §3.1)."""
        return None if status.tag is None else self._stops.pop(status.tag, None)

    def finish(self, tag: bytes, handle: Callable[[Response], None] | None = None) -> Status:
        """Read until the answer with this tag; hand everything before it to ``handle``."""
        while (status := self.answered(tag)) is None:
            response = self.next()
            if isinstance(response, Status) and response.tag is not None:
                self.keep(response)
            elif handle is not None:
                handle(response)
        return status

    def answered(self, tag: bytes) -> Status | None:
        """The answer with this tag, if it has come already."""
        return self._answers.pop(tag, None)

    def keep(self, status: Status) -> None:
        """Keep a tagged answer for whoever waits for it."""
        if status.tag is not None:
            self._answers[status.tag] = status

    def run(self, *parts: Part, handle: Callable[[Response], None] | None = None) -> Status:
        """Send a command and read its answer, which may be NO or BAD."""
        return self.finish(self.send(*parts), handle)

    def check(self, status: Status, *, temporary: bool = True) -> None:
        """Raise if a refusal is about the account, not about what was asked.

        Raises:
            TokenExpired, RateLimited: see ``quirks.patience``.
        """
        waiting = quirks.patience(status, temporary=temporary)
        if waiting is not None:
            raise waiting


def _limit(status: Status) -> int | None:
    """The lowest UID that was looked at, as MESSAGELIMIT names it."""
    if status.code != b"MESSAGELIMIT":
        return None
    numbers = [number(word) for word in status.args.split()]
    return numbers[1] if len(numbers) == 2 else None
