"""What it takes to reach a JMAP account. Holds no secret, reads no keyring, asks no user."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from portarchive.progress import Observer, silent


class Secret(Protocol):
    """How one gets the password or the access token, asked at every connect.

    Attributes:
        kind: ``password`` (sent as Basic, RFC 7617) or ``token`` (Bearer, RFC 6750).
    """

    @property
    def kind(self) -> Literal["password", "token"]:
        """What ``reveal`` gives."""
        ...

    def reveal(self) -> str:
        """The secret as it is now: a token may be another one at the next connect."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JmapSettings:
    """One account on one server.

    Attributes:
        host: a name or an address, without brackets.
        port: 1 to 65535.
        tls: False for plain http (the caller has made sure that it is wanted).
        user: the login, any Unicode.
        secret: asked at every connect.
        account: id or name of the account to read, None for the user's own one.
        allow_hosts: further hosts, lower case, that may see the credentials (see ``origin``).
        ca_file: trusted certificates in PEM, in place of the system's.
        timeout: seconds without any octet after which a connection counts as lost.
        connections: for downloads at least so many at once, as far as the server permits.
        observer: is told what a person should know.
    """

    host: str
    port: int
    user: str
    secret: Secret
    tls: bool = True
    account: str | None = None
    allow_hosts: tuple[str, ...] = ()
    ca_file: Path | None = None
    timeout: float = 90.0
    connections: int = 1
    observer: Observer = silent

    @property
    def origin(self) -> str:
        """``https://imap.example.org:443``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def service(self) -> str:
        """The endpoint without user name and password, e.g. ``jmaps://imap.example.org:443``."""
        return self.origin.replace("http", "jmap", 1)
