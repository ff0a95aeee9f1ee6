"""What a failed connection means to the person who wanted it: one line and the next step. Pure."""

from __future__ import annotations

import socket
import ssl

from portarchive.connectors.imap import quirks
from portarchive.connectors.imap.responses import Status, parse_status, printable
from portarchive.connectors.imap.settings import ImapSettings
from portarchive.errors import ConnectionLost, ConnectorError, SettingsError, Unreachable


def tls_context(settings: ImapSettings) -> ssl.SSLContext:
    """Verified TLS, against ``ca_file`` if there is one.

    Raises:
        SettingsError: the file cannot be read or holds no certificate.
    """
    try:
        return ssl.create_default_context(
            cafile=None if settings.ca_file is None else str(settings.ca_file)
        )
    except (OSError, ssl.SSLError) as exc:
        raise SettingsError(
            f"the file of trusted certificates cannot be used: {settings.ca_file}",
            hint="--ca-file wants a readable file of certificates in PEM",
        ) from exc


def explain(exc: Exception, settings: ImapSettings) -> ConnectorError:
    """The error for what went wrong before a greeting was read or while TLS was set up."""
    where = f"{settings.host}:{settings.port}"
    if isinstance(exc, ssl.SSLCertVerificationError):
        return Unreachable(
            f"the certificate of {where} is not trusted: {exc.verify_message}",
            hint="if you trust this server, give the certificate of its authority with --ca-file",
        )
    if isinstance(exc, ssl.SSLError):
        reason = (exc.reason or "").replace("_", " ").lower()
        if reason in {"wrong version number", "http request", "record layer failure"}:
            return Unreachable(
                f"{where} does not speak TLS from the first octet",
                hint="if it wants STARTTLS, write imap:// in place of imaps://",
            )
        return Unreachable(f"TLS with {where} failed: {reason or 'unknown reason'}")
    if isinstance(exc, socket.gaierror | UnicodeError):
        return Unreachable(f"there is no host {settings.host}", hint="check the spelling")
    if isinstance(exc, ConnectionRefusedError):
        return Unreachable(
            f"{where} refuses connections", hint="check the port: 993 for imaps://, 143 for imap://"
        )
    if isinstance(exc, TimeoutError):
        return Unreachable(f"{where} does not answer", hint=_silence(settings))
    if isinstance(exc, OverflowError | ValueError):
        return Unreachable(f"{where} is no address that can be connected to")
    if isinstance(exc, OSError):
        return Unreachable(f"{where} cannot be reached: {exc.strerror or type(exc).__name__}")
    if isinstance(exc, ConnectionLost):
        return Unreachable(f"{where} did not greet: {exc.text}", hint=_silence(settings))
    return _greeting(exc, settings)


def not_ready(status: Status, settings: ImapSettings) -> ConnectorError:
    """The error for a server that greeted and then refused CAPABILITY, which none may refuse."""
    return quirks.unwell(status) or Unreachable(
        f"{settings.host}:{settings.port} is not ready: {status.words}", hint="try again later"
    )


def _silence(settings: ImapSettings) -> str | None:
    if settings.tls == "implicit":
        return None
    return "if this port speaks TLS from the first octet, write imaps:// in place of imap://"


def _greeting(exc: Exception, settings: ImapSettings) -> ConnectorError:
    """A greeting that is none, or a BYE: imaplib hands over the line in its error."""
    line = exc.args[0] if exc.args else b""
    octets = line if isinstance(line, bytes) else str(line).encode("utf-8", "replace")
    status = parse_status(octets)
    if status is not None and status.kind == b"BYE":
        return quirks.unwell(status) or ConnectionLost(
            f"the server refuses the connection: {status.words}"
        )
    return Unreachable(
        f"{settings.host}:{settings.port} does not speak IMAP: {printable(octets, 100)}",
        hint="check the port" if settings.tls == "implicit" else _silence(settings),
    )
