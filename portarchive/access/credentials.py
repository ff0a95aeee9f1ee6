"""Secrets: where a password or token comes from, in which order.

Order: ``--token-command``, ``--password-command``, ``PORTARCHIVE_SOURCE_PASSWORD`` or
``PORTARCHIVE_TARGET_PASSWORD`` (by the side of the account), ``PORTARCHIVE_PASSWORD``, the keyring
(service ``portarchive:<host>``, user name = the login; set with
``keyring set portarchive:imap.example.org jane@example.org``), a prompt. Never argv. What is meant
for one side is never shown to the other.

Refuses to write a secret anywhere: it is in no ``repr``, no error text, no pickle.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

from portarchive.access.helper_command import first_line
from portarchive.errors import AuthenticationFailed, SettingsError

Kind = Literal["password", "token"]
Side = Literal["source", "target"]

MECHANISMS: Mapping[str, Kind] = {
    "PLAIN": "password",
    "LOGIN": "password",
    "OAUTHBEARER": "token",
    "XOAUTH2": "token",
}
"""SASL mechanisms (RFC 4616, draft-murchison-sasl-login, RFC 7628, Google's) by what they carry."""


class Secret:
    """A password or an access token that shows itself only when it is asked to.

    Attributes:
        kind: ``password`` or ``token``.
        mechanism: the SASL mechanism asked for with ``--auth``; None: what the server offers.
        origin: where it comes from, for messages: ``the keyring``.
    """

    __slots__ = ("_ask", "kind", "mechanism", "origin")

    def __init__(
        self, ask: Callable[[], str], *, kind: Kind, origin: str, mechanism: str | None = None
    ) -> None:
        self._ask = ask
        self.kind: Kind = kind
        self.mechanism = mechanism
        self.origin = origin

    @classmethod
    def known(
        cls, value: str, *, kind: Kind = "password", origin: str, mechanism: str | None = None
    ) -> Secret:
        """A secret that is at hand and does not change."""
        return cls(lambda: value, kind=kind, origin=origin, mechanism=mechanism)

    def reveal(self) -> str:
        """The secret itself; to be called at every login, since a token may be asked for anew.

        Raises:
            AuthenticationFailed: the command that knows it failed.
        """
        return self._ask()

    def __repr__(self) -> str:
        return f"<Secret {self.kind} from {self.origin}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not to be written down")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretOptions:
    """What the command line says about the secret.

    Attributes:
        token_command, password_command: command lines, run without a shell.
        mechanism: a key of ``MECHANISMS``, or None.
        side: whose password it is: mail is read from a source and placed in a target.
        prefix: what the options begin with where a command has two accounts: ``target-`` for
            ``--target-token-command``, ``--target-password-command``, ``--target-auth``.
    """

    token_command: str | None = None
    password_command: str | None = None
    mechanism: str | None = None
    side: Side = "source"
    prefix: Literal["", "target-"] = ""

    def option(self, name: str) -> str:
        """The option as it is typed: ``auth`` becomes ``--auth``, or ``--target-auth``."""
        return f"--{self.prefix}{name}"

    @property
    def variable(self) -> str:
        """The environment variable for this side alone."""
        return f"PORTARCHIVE_{self.side.upper()}_PASSWORD"


def check_options(options: SecretOptions) -> None:
    """See whether the options make sense; nothing is run or asked.

    Raises:
        SettingsError: they contradict each other, or one of them cannot be read.
    """
    mechanism = _mechanism(options)
    wanted: Kind | None = MECHANISMS[mechanism] if mechanism is not None else None
    token, password = options.token_command, options.password_command
    auth, by_token = options.option("auth"), options.option("token-command")
    by_password = options.option("password-command")
    if token is not None and password is not None:
        raise SettingsError(
            f"{by_token} and {by_password} cannot both be given", hint="leave one out"
        )
    if token is not None and wanted == "password":
        raise SettingsError(
            f"{auth} {mechanism} carries a password, and {by_token} gives a token",
            hint=f"use {auth} OAUTHBEARER or XOAUTH2, or leave {auth} out",
        )
    if token is None and wanted == "token":
        raise SettingsError(
            f"{auth} {mechanism} needs an access token",
            hint=f"give the command that prints one with {by_token}",
        )
    if token is not None:
        _words(token, by_token)
    if password is not None:
        _words(password, by_password)


def resolve_secret(
    *,
    host: str,
    user: str,
    options: SecretOptions,
    environment: Mapping[str, str],
    prompt: Callable[[str], str] | None,
    on_stderr: Callable[[str], None],
) -> Secret:
    """Find the secret for a login.

    A password is had at once; a token command is run at each ``reveal``.

    Args:
        host: part of the keyring's service name.
        user: the login.
        options: of the command line.
        environment: normally ``os.environ``.
        prompt: asks a person without echo; None where nobody is there.
        on_stderr: is given what a command writes on stderr, line by line, unchecked.

    Raises:
        SettingsError: the options contradict each other, or no secret is to be had.
        AuthenticationFailed: a command failed.
    """
    check_options(options)
    mechanism = _mechanism(options)
    by_token, by_password = options.option("token-command"), options.option("password-command")
    if options.token_command is not None:
        words = _words(options.token_command, by_token)
        return Secret(
            lambda: first_line(words, option=by_token, on_stderr=on_stderr),
            kind="token",
            origin=by_token,
            mechanism=mechanism,
        )
    if options.password_command is not None:
        words = _words(options.password_command, by_password)
        password = first_line(words, option=by_password, on_stderr=on_stderr)
        return Secret.known(password, origin=by_password, mechanism=mechanism)
    for variable in (options.variable, "PORTARCHIVE_PASSWORD"):
        if environment.get(variable):
            return Secret.known(environment[variable], origin=variable, mechanism=mechanism)
    stored = _from_keyring(f"portarchive:{host}", user)
    if stored:
        return Secret.known(stored, origin="the keyring", mechanism=mechanism)
    if prompt is None:
        raise SettingsError(
            "no password: none was given, and there is no terminal to ask at",
            hint=f"use {by_password}, {by_token}, {options.variable}, or"
            f" store it: keyring set portarchive:{host} {shlex.quote(user)}",
            code="no-password",
        )
    typed = prompt(f"Password of {user} at {host}: ")
    if not typed:
        raise AuthenticationFailed("no password was typed", hint="run the command again")
    return Secret.known(typed, origin="the prompt", mechanism=mechanism)


def _mechanism(options: SecretOptions) -> str | None:
    if options.mechanism is None:
        return None
    mechanism = options.mechanism.upper()
    if mechanism not in MECHANISMS:
        raise SettingsError(
            f"{options.option('auth')} names a mechanism that is not known here",
            hint=f"it takes {', '.join(MECHANISMS)}; left out, the best that the server offers",
        )
    return mechanism


def _words(command: str, option: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SettingsError(
            f"{option} has a quote that does not close", hint="quote it as for a shell"
        ) from error
    if not words:
        raise SettingsError(f"{option} is empty", hint="give a command that prints the secret")
    return words


def _from_keyring(service: str, user: str) -> str | None:
    """The stored password; None also where there is no keyring, or it fails or is locked."""
    if os.environ.get("PYTHON_KEYRING_BACKEND") == "keyring.backends.null.Keyring":
        return None  # saves the import
    try:
        import keyring  # noqa: PLC0415  start-up time

        return keyring.get_password(service, user)
    except Exception:  # noqa: BLE001  backends are plug-ins and raise what they like
        return None
