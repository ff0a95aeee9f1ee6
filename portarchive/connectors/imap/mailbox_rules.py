"""What mailbox names may be on a server, and how a path becomes one: prefix, separator, encoding.

Pure. Owns the way from a path to the octets of CREATE; what no form of a name may hold is refused
here, before anything is sent. Rules of single servers are what they were seen to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from portarchive import keywords
from portarchive.connectors.imap import names
from portarchive.connectors.imap.known_changes import Server
from portarchive.connectors.imap.names import Prefix
from portarchive.placing import NameRules
from portarchive.records import Folder

_CONTROLS: Final = "".join(map(chr, range(0x20)))
_NET_UNICODE: Final = _CONTROLS + "".join(map(chr, range(0x7F, 0xA0))) + "\u2028\u2029"
"""What RFC 9051 §5.1 and RFC 5198 §2 leave out of names."""

_FORBIDDEN: Final[Mapping[Server, str]] = MappingProxyType(
    {
        Server.DOVECOT: _CONTROLS,
        Server.CYRUS: _CONTROLS + "\x7f" + '!"%;<>\\^`{|}',
        Server.PYMAP: "\0\r\n",
        Server.GMAIL: _NET_UNICODE + "^",
        Server.EXCHANGE: _NET_UNICODE + "\\",
        Server.OTHER: _NET_UNICODE,
    }
)

_MAX_NAME: Final[Mapping[Server, int]] = MappingProxyType(
    {Server.DOVECOT: 255, Server.GMAIL: 225, Server.EXCHANGE: 255}
)

CYRUS_PATH: Final = 480
"""Octets of a whole name in Cyrus (490 with what it puts in front), the login not counted."""

_SETTABLE: Final = frozenset({"archive", "drafts", "junk", "sent", "trash"})
_ALSO: Final[Mapping[Server, frozenset[str]]] = MappingProxyType(
    {Server.CYRUS: frozenset({"important"})}
)

_CLOSED: Final[Mapping[Server, frozenset[str]]] = MappingProxyType(
    {Server.CYRUS: frozenset({"snoozed"})}
)
"""Roles of mailboxes that take no message: Cyrus 3.6 answers each APPEND with CANNOT."""

_UNSENDABLE: Final = re.compile("[\0\r\n\ud800-\udfff]")


def rules(kind: Server, separator: str, user: str) -> NameRules:
    """What names may be.

    Args:
        kind: of server.
        separator: of the personal namespace, "" for a flat one.
        user: the login, which counts into the length of a name in Cyrus.
    """
    forbidden = _FORBIDDEN[kind]
    if kind is Server.DOVECOT and separator != "/":
        forbidden += "/"  # its mailboxes are directories
    return NameRules(
        separator=separator,
        forbidden="".join(char for char in forbidden if char != separator),
        max_name=_MAX_NAME.get(kind),
        max_path=max(200, CYRUS_PATH - len(user.encode())) if kind is Server.CYRUS else None,
        fold_case=kind in {Server.GMAIL, Server.EXCHANGE},
        trims=kind is Server.GMAIL,
    )


def roles(kind: Server, capabilities: Collection[str]) -> frozenset[str]:
    """The roles that CREATE can give (RFC 6154 §3)."""
    if "CREATE-SPECIAL-USE" not in capabilities:
        return frozenset()
    return _SETTABLE | _ALSO.get(kind, frozenset())


def is_closed(kind: Server, role: str | None) -> bool:
    """Whether a mailbox of that role takes no message: it is neither made nor used."""
    return role in _CLOSED.get(kind, frozenset())


def open_to_mail(kind: Server, folders: Iterable[Folder]) -> list[Folder]:
    """Mailboxes as a target sees them: what takes no message has no role and is not selectable."""
    return [
        replace(folder, roles=(), selectable=False)
        if any(is_closed(kind, role) for role in folder.roles)
        else folder
        for folder in folders
    ]


def personal(prefixes: Sequence[Prefix]) -> Prefix | None:
    """The namespace that new mailboxes go to."""
    return next((space for space in prefixes if space.kind == "personal"), None)


class UnsendableNameError(ValueError):
    """A path that cannot be the name of a mailbox here; its text says why."""


def wire_name(path: Sequence[str], prefix: bytes, separator: str, *, utf8: bool) -> bytes:
    """The octets of a mailbox name, to go through ``names.argument``.

    Args:
        path: names, outermost first.
        prefix: of the personal namespace; INBOX itself goes without.
        separator: "" for a flat namespace.
        utf8: UTF8=ACCEPT is enabled (RFC 6855 §3): names go as they are, else in modified UTF-7.

    Raises:
        UnsendableNameError: no names, an empty one, a separator in one, CR, LF, NUL or a lone
            surrogate.
    """
    if not path or not all(path):
        raise UnsendableNameError("an empty name")
    if any(_UNSENDABLE.search(name) for name in path):
        raise UnsendableNameError("CR, LF, NUL or half a character in a name")
    if (len(path) > 1 and not separator) or any(separator and separator in name for name in path):
        raise UnsendableNameError("a name with the server's separator in it")
    if len(path) == 1 and names.is_inbox(path[0].encode()):
        return b"INBOX"
    encode = str.encode if utf8 else names.encode_utf7
    return prefix + separator.encode("ascii").join(encode(name) for name in path)


def attribute(role: str | None) -> bytes | None:
    """A role as CREATE's USE spells it; None if it has no attribute."""
    spelled = None if role is None else keywords.WIRE_ATTRIBUTES.get(role)
    return None if spelled is None else spelled.encode("ascii")
