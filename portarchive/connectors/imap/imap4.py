"""imaplib over our own buffer: the part of the standard library that opens the connection.

Overrides what imaplib documents as overridable, so that it reads from the ``Stream`` which the
rest of the connector reads from too. Its private buffers differ between Python 3.11 and 3.14.
"""

from __future__ import annotations

import imaplib
import re
import socket
import ssl
from typing import Any, Final

from portarchive.connectors.imap import connect
from portarchive.connectors.imap.responses import is_text, parse_status
from portarchive.connectors.imap.settings import ImapSettings
from portarchive.connectors.imap.stream import Stream

CONNECT_TIMEOUT: Final = 30.0
"""Seconds until a server must have greeted."""

_TERSE: Final = re.compile(rb"\S+ (?:OK|NO|BAD)\r\n")


class Imap4(imaplib.IMAP4):
    """imaplib over our ``Stream``, by the methods that it documents as overridable."""

    stream: Stream

    def __init__(self, settings: ImapSettings, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._settings = settings
        self._heard = b""
        super().__init__(
            settings.host, settings.port, timeout=min(settings.timeout, CONNECT_TIMEOUT)
        )

    @property
    def debug(self) -> int:
        """0: imapclient wants 5, and imaplib would then format every line for a log."""
        return 0

    @debug.setter
    def debug(self, value: int) -> None:
        del value

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        """Connect, with TLS from the first octet if there is a context."""
        self.host, self.port = host, port
        sock = socket.create_connection((host, port), timeout)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise
        self.sock = sock
        self.stream = Stream(sock)

    def read(self, size: int) -> bytes:
        """So many octets."""
        return self.stream.read(size)

    def readline(self) -> bytes:
        """One line, with a blank at its end where imaplib would misread it.

        It insists on a blank in a tagged answer without any text, and takes the end of a text
        (``* OK ready {3}``) for the announcement of a literal.
        """
        line = self.stream.readline()
        heard = self._heard = line[:-2]
        odd = _TERSE.fullmatch(line) or (heard.endswith(b"}") and is_text(heard))
        return heard + b" \r\n" if odd else line

    def send(self, data: Any) -> None:
        """All of it."""
        self.stream.send(data)

    def shutdown(self) -> None:
        """Close the socket."""
        self.sock.close()

    def capability(self) -> Any:
        """CAPABILITY; imaplib would take the words of a refusal for capabilities.

        Raises:
            RateLimited, TokenExpired, Unreachable: the server refuses.
        """
        try:
            answer = super().capability()
        except self.error:
            self._refused()
            raise
        if answer[0] != "OK":
            self._refused()
        return answer

    def _refused(self) -> None:
        status = parse_status(self._heard)
        if status is not None and not status.ok:
            raise connect.not_ready(status, self._settings) from None

    def starttls(self, ssl_context: ssl.SSLContext | None = None) -> Any:
        """STARTTLS; what was sent in cleartext after its OK is refused."""
        kind, data = self._simple_command("STARTTLS")
        if kind == "OK" and ssl_context is not None:
            plain = self.sock
            self.stream.rebase(plain)  # refuses if octets came in cleartext after the OK
            self.sock = ssl_context.wrap_socket(plain, server_hostname=self.host)
            self.stream.rebase(self.sock)
            self._get_capabilities()
        return kind, data
