"""One IMAP connection: made, secured, logged in, and commands run on it.

The only place that knows imapclient and imaplib. They connect, read the greeting and start TLS;
everything from the login on runs through ``Session.run`` on the same buffer, because imaplib
refuses long lines, keeps whole answers in memory, and chokes on a challenge that is no base64.
No exception and no log that leaves this module holds a password or a token.
"""

from __future__ import annotations

import contextlib
import imaplib
import logging
import ssl
from typing import Final

import imapclient

import portarchive
from portarchive.connectors.imap import connect, login, quirks, sasl
from portarchive.connectors.imap.channel import Channel
from portarchive.connectors.imap.imap4 import CONNECT_TIMEOUT, Imap4
from portarchive.connectors.imap.names import Literal, Part
from portarchive.connectors.imap.parser import Token
from portarchive.connectors.imap.responses import (
    Data,
    Response,
    Status,
    printable,
)
from portarchive.connectors.imap.settings import ImapSettings
from portarchive.errors import (
    AuthenticationFailed,
    ConnectionLost,
    ConnectorError,
    RateLimited,
    ServerMisbehaved,
    Unreachable,
)

logging.getLogger("imapclient").setLevel(logging.WARNING)  # below that it logs commands

LOGOUT_TIMEOUT: Final = 3.0


class _Client(imapclient.IMAPClient):  # type: ignore[misc]  # imapclient has no types
    """imapclient over ``Imap4``."""

    def __init__(self, settings: ImapSettings, context: ssl.SSLContext | None) -> None:
        self._settings = settings
        super().__init__(
            settings.host,
            settings.port,
            ssl=settings.tls == "implicit",
            ssl_context=context,
            timeout=min(settings.timeout, CONNECT_TIMEOUT),
        )

    def _create_IMAP4(self) -> Imap4:  # noqa: N802  # imapclient's name
        implicit = self._settings.tls == "implicit"
        self.imap4 = Imap4(self._settings, self.ssl_context if implicit else None)
        return self.imap4


def _connect(settings: ImapSettings) -> _Client:
    context = None if settings.tls == "none" else connect.tls_context(settings)
    client: _Client | None = None
    try:
        client = _Client(settings, context)
        if settings.tls == "starttls":
            _start_tls(client, settings, context)
    except (ConnectionLost, OSError, UnicodeError, ValueError, OverflowError) as exc:
        if client is not None:
            client.imap4.shutdown()
        raise connect.explain(exc, settings) from exc
    except ConnectorError:
        if client is not None:
            client.imap4.shutdown()
        raise
    except imaplib.IMAP4.error as exc:
        if client is not None:
            client.imap4.shutdown()
        raise connect.explain(exc, settings) from None
    client.imap4.sock.settimeout(settings.timeout)
    return client


def _start_tls(client: _Client, settings: ImapSettings, context: ssl.SSLContext | None) -> None:
    where = f"{settings.host}:{settings.port}"
    if client.imap4.state == "AUTH":
        raise Unreachable(f"{where} says PREAUTH before TLS, which leaves no way to secure it")
    hint = "use imaps:// if the server has it; cleartext only by --tls none"
    if not client.has_capability("STARTTLS"):
        raise Unreachable(f"{where} offers no STARTTLS", hint=hint)
    try:
        client.starttls(context)
    except imaplib.IMAP4.error as exc:
        refusal = Status(None, b"NO", b"", b"", str(exc).encode("utf-8", "replace"))
        raise quirks.unwell(refusal) or Unreachable(
            f"{where} refuses STARTTLS: {refusal.words}", hint=hint
        ) from None


def _astring(text: str) -> Part:
    """User or password: a quoted string, or a literal of UTF-8 if it has other than ASCII."""
    octets = text.encode()
    if b"\0" in octets:
        raise AuthenticationFailed("user name or password hold a NUL")
    if text.isascii() and text.isprintable():
        return b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return Literal(octets)


def _words(found: list[Token]) -> set[str]:
    return {word.decode("ascii", "replace").upper() for word in found if isinstance(word, bytes)}


class Session(Channel):
    """A logged-in connection. Not for two threads.

    Attributes:
        capabilities: upper case, as after the login.
        server: the answer to ID (RFC 2971), lower-case keys.
        enabled: what ENABLE brought (RFC 5161), upper case.
    """

    def __init__(self, settings: ImapSettings) -> None:
        """Connect and log in.

        Raises:
            Unreachable, AuthenticationFailed, RateLimited, ConnectionLost, ServerMisbehaved.
        """
        self.settings = settings
        self.capabilities: frozenset[str] = frozenset()
        self.server: dict[str, str] = {}
        self.enabled: frozenset[str] = frozenset()
        self._client = _connect(settings)
        super().__init__(self._client.imap4.stream, settings.observer)
        try:
            self._log_in()
            self._introduce()
        except BaseException:
            self.drop()
            raise

    # --- the login ------------------------------------------------------------------------------

    def _log_in(self) -> None:
        if self._client.imap4.state == "AUTH":  # PREAUTH
            return
        offered = {name.decode("ascii", "replace") for name in self._client.capabilities()}
        secret, user = self.settings.secret, self.settings.user
        mechanism = login.choose(secret, offered)
        revealed = secret.reveal()
        try:
            self._prove(mechanism, user, revealed, initial="SASL-IR" in offered)
        except ConnectorError as exc:  # a server may repeat what it was sent
            exc.text = login.hide(exc.text, revealed)
            exc.args = (exc.text,)
            goodbye = Status(None, b"BYE", b"", b"", exc.text.encode())
            if isinstance(exc, ConnectionLost) and quirks.unwell(goodbye) is not None:
                raise RateLimited(exc.text) from exc
            raise

    def _prove(self, mechanism: str, user: str, revealed: str, *, initial: bool) -> None:
        settings, told = self.settings, ""
        if mechanism == "LOGIN":
            status = self.run(b"LOGIN ", _astring(user), b" ", _astring(revealed))
        else:
            exchange = login.answers(mechanism, user, revealed, settings.host, settings.port)
            status = sasl.authenticate(self, mechanism, exchange, initial=initial)
            told = login.hide(exchange.refusal.decode("utf-8", "replace"), revealed)
        if status.ok:
            return
        refusal = login.discreet(status, revealed)
        waiting = quirks.unwell(refusal)
        if isinstance(waiting, RateLimited):
            raise waiting
        words = f"{refusal.words} {printable(told.encode(), 120)}".rstrip()
        raise login.refused(words, settings.secret, revealed)

    def _introduce(self) -> None:
        """CAPABILITY, ID and ENABLE, in that order."""
        found: set[str] = set()

        def note(response: Response) -> None:
            if isinstance(response, Data) and response.kind == b"CAPABILITY":
                found.update(_words(response.tokens()))

        status = self.run(b"CAPABILITY", handle=note)
        if not status.ok or not found:  # taken for none, it would give mailboxes other names
            raise quirks.unwell(status) or ServerMisbehaved(
                f"the server does not say what it is capable of: {status.words}"
            )
        self.capabilities = frozenset(found)
        if "ID" in found:
            version = portarchive.__version__.encode("ascii")
            said = b'ID ("name" "portarchive" "version" "' + version + b'")'
            self.check(self.run(said, handle=self._identified))
        self._enable()
        self.depth = quirks.depth(self.server, self.settings.host) or self.depth

    def _identified(self, response: Response) -> None:
        if isinstance(response, Data) and response.kind == b"ID":
            first = next(iter(response.tokens()), None)
            pairs = first if isinstance(first, list) else []
            for key, value in zip(pairs[::2], pairs[1::2], strict=False):
                if isinstance(key, bytes) and isinstance(value, bytes):
                    self.server[printable(key, 60).lower()] = printable(value)

    def _enable(self) -> None:
        if "ENABLE" not in self.capabilities and "IMAP4REV2" not in self.capabilities:
            return
        # UTF8=ACCEPT, because a server may send altered copies of messages without it (RFC 6855
        # §6); QRESYNC brings CONDSTORE with it (RFC 7162 §3.2.3)
        wanted = {"UTF8=ACCEPT", "QRESYNC", "CONDSTORE"} & self.capabilities
        if "UTF8=ONLY" in self.capabilities:
            wanted.add("UTF8=ACCEPT")
        if "QRESYNC" in wanted:
            wanted.discard("CONDSTORE")
        # nothing here needs sequence numbers, and a server may be spared them (RFC 9586)
        newer = {"UIDONLY", "OBJECTID+"} & self.capabilities
        if not (newer and self._enabled(wanted | newer)) and wanted:
            self._enabled(wanted)
        self.uid_only = "UIDONLY" in self.enabled
        self.utf8 = "UTF8=ACCEPT" in self.enabled

    def _enabled(self, wanted: set[str]) -> bool:
        """ENABLE these; False if the server refuses the command."""
        found: set[str] = set()

        def note(response: Response) -> None:
            if isinstance(response, Data) and response.kind == b"ENABLED":
                found.update(_words(response.tokens()))

        status = self.run(b"ENABLE " + " ".join(sorted(wanted)).encode("ascii"), handle=note)
        self.check(status)
        self.enabled = frozenset(found)
        return status.ok

    # --- the end --------------------------------------------------------------------------------

    def close(self) -> None:
        """Log out if that can be done at once; never raises."""
        if not self.broken and not self.in_flight:
            self.stream.sock.settimeout(LOGOUT_TIMEOUT)
            with contextlib.suppress(ConnectorError):  # the BYE that is due, or worse
                self.run(b"LOGOUT")
        self.drop()

    def drop(self) -> None:
        """Close the socket without a word; never raises."""
        self.broken = True
        self.mailbox = None
        with contextlib.suppress(OSError):
            self._client.imap4.shutdown()
