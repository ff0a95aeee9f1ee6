"""What it takes to reach an IMAP account. Holds no secret, reads no keyring, asks no user."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from portarchive.progress import Observer, silent

TlsMode = Literal["implicit", "starttls", "none"]


class Secret(Protocol):
    """How one gets the password or the access token, asked at every login.

    Attributes:
        kind: ``password`` or ``token``.
        mechanism: the SASL mechanism to use (``PLAIN``, ``LOGIN``, ``OAUTHBEARER``, ``XOAUTH2``),
            or None to take the best that the server offers.
    """

    @property
    def kind(self) -> Literal["password", "token"]:
        """What ``reveal`` gives."""
        ...

    @property
    def mechanism(self) -> str | None:
        """The SASL mechanism to use, None for the best."""
        ...

    def reveal(self) -> str:
        """The secret as it is now: a token may be another one at the next login."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapSettings:
    """One account on one server.

    Attributes:
        host: a name or an address, without brackets.
        port: 993 by default for ``implicit``, else 143; named by the caller.
        tls: ``implicit`` (TLS from the first octet), ``starttls`` (required: a server without it
            is refused) or ``none`` (cleartext; the caller has made sure that it is wanted).
        user: the login, any Unicode.
        secret: asked at every login.
        ca_file: trusted certificates in PEM, in place of the system's.
        timeout: seconds without any octet after which a connection counts as lost.
        connections: sessions used for fetching, ≥ 1.
        observer: is told how far the server is with a long command, and of refused ways.
    """

    host: str
    port: int
    user: str
    secret: Secret
    tls: TlsMode = "starttls"
    ca_file: Path | None = None
    timeout: float = 90.0
    connections: int = 1
    observer: Observer = silent

    @property
    def service(self) -> str:
        """The endpoint without user name and password, e.g. ``imaps://imap.example.org:993``."""
        scheme = "imaps" if self.tls == "implicit" else "imap"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"
