"""Which kind of server a target is, and what that kind is known to do to messages.

Owns one closed table. What is not in it is a fault when it is seen after placing; what a server
turns out to do is added here with its proof, never excused elsewhere. Nothing is asked here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from portarchive.placing import Alteration


class Server(StrEnum):
    """Kinds of servers whose ways were tried, or are published by who runs them."""

    DOVECOT = "dovecot"
    CYRUS = "cyrus"
    PYMAP = "pymap"
    GMAIL = "gmail"
    EXCHANGE = "exchange"
    OTHER = "other"


_ANY: Final = frozenset({Alteration.EMPTY, Alteration.OFFSET})

ALTERATIONS: Final[Mapping[Server, frozenset[Alteration]]] = MappingProxyType(
    {
        # 2.3: bare LF becomes CR LF, NUL becomes 0x80, one CR of CR CR LF is lost; dates are kept
        # as 32-bit seconds of UTC, and one before 1970 is read back as one after 2038
        Server.DOVECOT: _ANY
        | {
            Alteration.BARE_LF,
            Alteration.NUL,
            Alteration.CR_RUN,
            Alteration.EARLY_DATE,
            Alteration.FUTURE_DATE,
        },
        # 3.6: refuses all of it but the 8-bit headers, in which ``munge8bit`` writes X
        Server.CYRUS: _ANY
        | {
            Alteration.BARE_LF,
            Alteration.NUL,
            Alteration.NO_HEADER,
            Alteration.EIGHT_BIT_HEADER,
            Alteration.EARLY_DATE,
        },
        # 0.36: keeps dates with their offsets
        Server.PYMAP: frozenset({Alteration.EMPTY, Alteration.LAST_LF}),
        Server.GMAIL: _ANY,
        Server.EXCHANGE: _ANY,
        Server.OTHER: _ANY,
    }
)
"""The closed list. RFC 9051 keeps neither empty messages (§6.3.12) nor offsets (§2.3.3)."""

EARLIEST: Final[Mapping[Server, int]] = MappingProxyType({Server.DOVECOT: 1, Server.CYRUS: 1})
"""The first instant that is kept: Dovecot counts in unsigned 32 bits, Cyrus takes 0 for now."""

_PYMAP: Final = frozenset({"APPENDLIMIT=1000000000", "OBJECTID", "MULTIAPPEND", "BINARY"})
"""Its capabilities in this combination, without ENABLE; it answers ID with NIL."""

_EXCHANGE_HOSTS: Final = ("outlook.com", "office365.com", "hotmail.com")


def recognise(server: Mapping[str, str], capabilities: Collection[str], host: str) -> Server:
    """The kind of server.

    Args:
        server: its answer to ID (RFC 2971), lower-case keys.
        capabilities: upper case, as after the login.
        host: as it was asked for.
    """
    name = server.get("name", "").lower()
    if name == "dovecot":
        return Server.DOVECOT
    if name.startswith("cyrus"):
        return Server.CYRUS
    if "X-GM-EXT-1" in capabilities:
        return Server.GMAIL
    if "exchange" in name or host.lower().rstrip(".").endswith(_EXCHANGE_HOSTS):
        return Server.EXCHANGE
    if not server and set(capabilities) >= _PYMAP and "ENABLE" not in capabilities:
        return Server.PYMAP
    return Server.OTHER
