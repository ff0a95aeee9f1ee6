"""By what an account on a server is known, however its address was spelt: names for a lock.

Two names of a host, ``imap:`` and ``imaps:``, an address in place of a name: as far as this machine
can see that they lead to one place, they share a key. Where in doubt two accounts share one, which
costs waiting; two keys for one account could cost duplicates. Never fails, asks no mail server.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import unicodedata
from typing import Final

from portarchive.loopback import is_loopback

_STANDARD: Final = frozenset({80, 143, 443, 993})
"""Ports of IMAP and JMAP with and without TLS: of one address, they are one server."""

_THIS: Final = "this machine"
_TELLING: Final = 20
"""Characters of a mailbox id that is taken to be like no other one anywhere."""

_MOST: Final = 16
"""Addresses of one name that are taken; more are a pool that no two look-ups show alike."""


def account_keys(
    host: str, port: int, login: str, *, sock: socket.socket | None = None
) -> tuple[str, ...]:
    """Names of an account.

    Args:
        host: as it was asked for.
        port: likewise.
        login: who; case and Unicode form make no other account of it.
        sock: connected to it, if there is one: where the connection really went.

    Returns:
        Distinct texts, each for one way to know the account again: by the host's name, and by each
        address that it has.
    """
    who = unicodedata.normalize("NFC", login).casefold()
    door = "mail" if port in _STANDARD else str(port)
    places = [f"host {host.lower().rstrip('.')}"]
    if sock is not None:
        places += _peer(sock)
    places += _resolved(host, port)
    return tuple(dict.fromkeys(f"{place}\n{door}\n{who}" for place in places))


def inbox_keys(uid: str | None) -> tuple[str, ...]:
    """The name of an account by the id of its inbox, whoever logs in and wherever.

    MAILBOXID (RFC 8474 §4) and JMAP's id are the same where a server gives both (§8). One that is
    short may be another account's too: then there is none.
    """
    return (f"inbox {uid}",) if uid is not None and len(uid) >= _TELLING else ()


def _peer(sock: socket.socket) -> list[str]:
    """The other end. A connection that begins and ends at one address stays on this machine."""
    try:
        there, here = sock.getpeername(), sock.getsockname()
    except OSError:
        return []
    if not isinstance(there, tuple) or not isinstance(here, tuple):
        return []  # of a socket in the file system
    return [_address(str(there[0])), *([_THIS] if there[0] == here[0] else [])]


def _resolved(host: str, port: int) -> list[str]:
    with contextlib.suppress(OSError, UnicodeError, OverflowError):
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return sorted({_address(str(each[4][0])) for each in found})[:_MOST]
    return []


def _address(text: str) -> str:
    """An address in one spelling; all that lead back to this machine are one."""
    if is_loopback(text):
        return _THIS
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)
