"""Commands and answers on one connection, and what the server says in between.

Owns the order of things on the wire: tags, literals, the mailbox that is open, the end by BYE. It
does not know how the connection came to be, nor what a command is for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from portarchive.connectors.imap import quirks
from portarchive.connectors.imap.mailbox import Mailbox
from portarchive.connectors.imap.names import Literal, Part
from portarchive.connectors.imap.responses import (
    Continuation,
    Data,
    Numbered,
    Response,
    Status,
    read_response,
)
from portarchive.connectors.imap.stream import Stream
from portarchive.errors import ConnectionLost, ConnectorError


class Channel:
    """A connection on which commands are run. Not for two threads.

    Attributes:
        stream: the octets.
        mailbox: the one that is examined now, None before and after a reconnect.
        in_flight: commands sent ahead and not answered yet.
        broken: nothing can be sent any more.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.mailbox: Mailbox | None = None
        self.in_flight = 0
        self.broken = False
        self._tags = itertools.count(1)
        self._answers: dict[bytes, Status] = {}

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
        elif isinstance(response, Status) and response.kind == b"BYE":
            self.broken = True
            raise quirks.patience(response) or ConnectionLost(
                f"the server said goodbye: {response.words}"
            )

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
