"""From SOURCE and the options of access to an open source: the one place where they meet."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from portarchive.access.credentials import Secret, SecretOptions, resolve_secret
from portarchive.access.urls import LocalSource, SourceUrl
from portarchive.cli.safe_text import safe, safe_lines
from portarchive.connectors.base import Source, Target
from portarchive.errors import SettingsError
from portarchive.progress import Observer

if TYPE_CHECKING:
    from portarchive.connectors.registry import LocalAddress, SourceAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessOptions:
    """How to reach an account.

    Attributes:
        secret: where the password or token comes from.
        ca_file: trusted certificates in place of the system's.
        timeout: seconds of silence after which a connection counts as lost.
        connections: for fetching.
        max_wait: seconds of waiting in a row after which it is given up.
        budget: octets of messages for 24 hours; 0: no end; None: what the provider permits.
    """

    secret: SecretOptions = field(default_factory=SecretOptions)
    ca_file: Path | None = None
    timeout: float = 90.0
    connections: int = 1
    max_wait: float = 3600.0
    budget: int | None = None


def connect(
    url: SourceUrl | LocalSource,
    access: AccessOptions,
    *,
    observer: Observer,
    secret: Secret | None = None,
) -> Source:
    """Get the secret unless it is at hand, connect, log in; files need none of it.

    Raises:
        SettingsError: no secret, or it makes no sense.
        ConnectorError: the server cannot be reached, or refuses.
    """
    from portarchive.connectors import registry  # noqa: PLC0415  start-up time

    if isinstance(url, LocalSource):
        # how a new tree is to be laid out is no matter when it is read
        told = {name: value for name, value in url.options.items() if name != "layout"}
        url = dataclasses.replace(url, options=told)
    address = _address(url, access, secret)
    return registry.open_source(address, observer=observer, max_wait=access.max_wait)


def connect_target(
    url: SourceUrl | LocalSource,
    access: AccessOptions,
    *,
    observer: Observer,
    secret: Secret | None = None,
    files: Mapping[str, str] | None = None,
) -> Target:
    """The same for the account that is written to.

    Args:
        url: TARGET.
        access: how to reach it.
        observer: is told when the connection waits.
        secret: if it is at hand.
        files: options of a target of files.

    Raises:
        SettingsError: no secret, or it makes no sense.
        ConnectorError: the server cannot be reached, or refuses.
    """
    from portarchive.connectors import registry  # noqa: PLC0415  start-up time

    address = _address(url, access, secret)
    return registry.open_target(address, observer=observer, max_wait=access.max_wait, options=files)


def _address(
    url: SourceUrl | LocalSource, access: AccessOptions, secret: Secret | None
) -> SourceAddress | LocalAddress:
    from portarchive.connectors import registry  # noqa: PLC0415  start-up time

    if isinstance(url, LocalSource):
        return registry.LocalAddress(scheme=url.scheme, path=url.path, options=url.options)
    if secret is None:
        secret = find_secret(url, access)
    return registry.SourceAddress(
        scheme=url.scheme,
        host=url.host,
        port=url.port,
        tls=url.tls,
        user=url.user,
        secret=secret,
        ca_file=access.ca_file,
        timeout=access.timeout,
        connections=access.connections,
        budget=access.budget,
        options=url.options,
    )


def find_secret(url: SourceUrl, access: AccessOptions) -> Secret:
    """The password or token for a login, from a command, the environment, the keyring, a person.

    Raises:
        SettingsError, AuthenticationFailed: as ``resolve_secret`` says.
    """
    return resolve_secret(
        host=url.host,
        user=url.user,
        options=access.secret,
        environment=os.environ,
        prompt=_prompter(),
        on_stderr=_pass_on,
    )


def _prompter() -> Callable[[str], str] | None:
    """A question without echo, where a person sits in front of both ends."""
    if sys.stdin is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def ask(question: str) -> str:
        from getpass import getpass  # noqa: PLC0415  start-up time

        try:
            return getpass(safe(question) + " ", stream=sys.stderr)
        except EOFError as error:
            raise SettingsError(
                "no password was typed",
                hint="run the command again, or use --password-command",
                code="no-password",
            ) from error

    return ask


def _pass_on(text: str) -> None:
    """What a password command says on stderr."""
    sys.stderr.write(safe_lines(text))
    sys.stderr.flush()
