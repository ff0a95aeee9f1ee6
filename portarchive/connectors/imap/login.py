"""How one proves who one is: which mechanism, and what its messages say. No connection here."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Collection
from typing import Final

from portarchive.connectors.imap.responses import Status, printable
from portarchive.connectors.imap.settings import Secret
from portarchive.errors import AuthenticationFailed, SettingsError

PASSWORD_MECHANISMS: Final = ("PLAIN", "LOGIN")
TOKEN_MECHANISMS: Final = ("OAUTHBEARER", "XOAUTH2")

SASL_LOGIN: Final = "AUTHENTICATE LOGIN"
"""The exchange of that name, as against the LOGIN command."""


def choose(secret: Secret, capabilities: Collection[str]) -> str:
    """The mechanism to use with these capabilities (upper case), ``LOGIN`` for the command.

    The LOGIN command must not be sent to a server that says LOGINDISABLED (RFC 9051 §6.2.3).

    Raises:
        SettingsError: the mechanism asked for does not go with the kind of secret.
        AuthenticationFailed: the server offers none that would do.
    """
    known = PASSWORD_MECHANISMS if secret.kind == "password" else TOKEN_MECHANISMS
    asked = secret.mechanism.upper() if secret.mechanism else None
    if asked is not None:
        if asked not in known:
            raise SettingsError(
                f"{printable(asked.encode(), 40)} cannot be used with a {secret.kind}",
                hint=f"use one of {', '.join(known)}",
            )
        if asked != "LOGIN":
            return asked
    for mechanism in known if asked is None else ():
        if f"AUTH={mechanism}" in capabilities:
            return SASL_LOGIN if mechanism == "LOGIN" else mechanism
    if secret.kind == "password" and "LOGINDISABLED" not in capabilities:
        return "LOGIN"
    if asked is not None and "AUTH=LOGIN" in capabilities:
        return SASL_LOGIN
    offered = sorted(name[5:] for name in capabilities if name.startswith("AUTH="))
    raise AuthenticationFailed(
        f"the server offers no login with a {secret.kind} on this connection"
        f" (it offers {printable(', '.join(offered).encode()) or 'none'})",
        hint="LOGINDISABLED means that it wants TLS first"
        if "LOGINDISABLED" in capabilities
        else "use --token-command for a token, or a password if the server wants one",
    )


class Answers:
    """The client's side of a SASL exchange, called with each challenge.

    Attributes:
        refusal: the error document that an OAuth server sent as a challenge (RFC 7628 §3.2.2).
    """

    def __init__(self, *messages: bytes, on_refusal: bytes = b"") -> None:
        self._messages = list(messages)
        self._on_refusal = on_refusal
        self.refusal = b""

    def __call__(self, challenge: bytes) -> bytes:
        """The next message of the client."""
        if self._messages:
            return self._messages.pop(0)
        self.refusal = challenge
        return self._on_refusal


def _plain(user: str, secret: str, host: str, port: int) -> Answers:
    del host, port
    return Answers(f"\0{user}\0{secret}".encode())  # RFC 4616


def _login(user: str, secret: str, host: str, port: int) -> Answers:
    del host, port
    return Answers(user.encode(), secret.encode())  # draft-murchison-sasl-login, in that order


def _oauthbearer(user: str, secret: str, host: str, port: int) -> Answers:
    name = user.replace("=", "=3D").replace(",", "=2C")  # saslname of RFC 5801 §4
    text = f"n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {secret}\x01\x01"
    return Answers(text.encode(), on_refusal=b"\x01")  # RFC 7628 §3.1, §3.2.3


def _xoauth2(user: str, secret: str, host: str, port: int) -> Answers:
    del host, port
    return Answers(f"user={user}\x01auth=Bearer {secret}\x01\x01".encode())


_EXCHANGES: Final[dict[str, Callable[[str, str, str, int], Answers]]] = {
    "PLAIN": _plain,
    SASL_LOGIN: _login,
    "OAUTHBEARER": _oauthbearer,
    "XOAUTH2": _xoauth2,
}


def answers(mechanism: str, user: str, secret: str, host: str, port: int) -> Answers:
    """The exchange of a SASL mechanism.

    Raises:
        AuthenticationFailed: user or secret hold a control that the mechanism is built with.
    """
    if any(mark in user + secret for mark in ("\0", "\x01")):
        raise AuthenticationFailed("user name or secret hold a control character")
    return _EXCHANGES[mechanism](user, secret, host, port)


def hide(words: str, revealed: str) -> str:
    """Words of a server without the secret: as it is, quoted, or within anything in base64."""
    if not revealed:
        return words
    quoted = revealed.replace("\\", "\\\\").replace('"', '\\"')
    for spelled in (revealed, quoted, " ".join(revealed.split())):
        words = words.replace(spelled, "…")
    secret = revealed.encode()
    return _BASE64.sub(lambda found: "…" if secret in _decoded(found[0]) else found[0], words)


def discreet(status: Status, revealed: str) -> Status:
    """An answer without the secret, hidden before its words are cut to their length."""

    def hidden(octets: bytes) -> bytes:
        text = octets.decode("utf-8", "surrogateescape")
        return hide(text, revealed).encode("utf-8", "surrogateescape")

    return status._replace(args=hidden(status.args), text=hidden(status.text))


_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{4,}")


def _decoded(text: str) -> bytes:
    whole = text[:-1] if len(text) % 4 == 1 else text
    return binascii.a2b_base64(whole + "=" * (-len(whole) % 4))


def refused(words: str, secret: Secret, revealed: str) -> AuthenticationFailed:
    """The error for a login that the server refused; never with the secret in it."""
    words = hide(words, revealed)
    hint = (
        "check the user name and the password; many providers want an app password here"
        if secret.kind == "password"
        else "get a fresh token and check that it was made for IMAP and for this user"
    )
    return AuthenticationFailed(f"the server refused the login: {words}", hint=hint)
