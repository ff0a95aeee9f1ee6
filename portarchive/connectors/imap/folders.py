"""Which mailboxes an account has: NAMESPACE, LIST with all that the server can tell at once, LSUB.

The one round trip of LIST-STATUS (RFC 5819) decides for an unchanged account that there is nothing
to do; where a server lacks it, STATUS is asked for every mailbox ahead of the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from portarchive import keywords
from portarchive.connectors.imap import names
from portarchive.connectors.imap.names import Listed, Literal, Named, Prefix
from portarchive.connectors.imap.parser import Token
from portarchive.connectors.imap.responses import Data, Response, Status, number, printable
from portarchive.connectors.imap.session import Session
from portarchive.errors import FolderUnavailable, ServerMisbehaved
from portarchive.records import Folder

AHEAD: Final = 32
"""STATUS commands sent before the first is answered."""

_UNSELECTABLE: Final = frozenset({"\\noselect", "\\nonexistent"})


@dataclass(slots=True)
class Known:
    """What the listing told of one mailbox beyond its record.

    Attributes:
        wire: its name's octets.
        status: MESSAGES, UIDNEXT, UIDVALIDITY, HIGHESTMODSEQ, as far as answered.
    """

    wire: bytes
    status: dict[str, int]


def folder_id(wire: bytes) -> str:
    """The key of a mailbox within a run: its name on the wire, octets that are no UTF-8 escaped."""
    return wire.decode("utf-8", "surrogateescape")


def wire_of(key: str) -> bytes:
    """The inverse of ``folder_id``."""
    return key.encode("utf-8", "surrogateescape")


class _Collector:
    """Takes LIST, LSUB and STATUS responses."""

    def __init__(self) -> None:
        self.listed: dict[bytes, Listed] = {}
        self.subscribed: set[bytes] = set()
        self.status: dict[bytes, dict[str, int]] = {}

    def __call__(self, response: Response) -> None:
        if not isinstance(response, Data):
            return
        if response.kind in {b"LIST", b"LSUB"}:
            entry = _entry(response.tokens())
            if entry is None:
                return
            if response.kind == b"LSUB":
                self.subscribed.add(entry.wire)
                return
            earlier = self.listed.get(entry.wire)
            if earlier is not None:  # a mailbox may be named once more, with less
                merged = dict.fromkeys((*earlier.attributes, *entry.attributes))
                entry = entry._replace(attributes=tuple(merged))
            self.listed[entry.wire] = entry
        elif response.kind == b"STATUS":
            found = response.tokens()
            if len(found) >= 2 and isinstance(found[0], bytes) and isinstance(found[-1], list):
                self.status.setdefault(found[0], {}).update(_numbers(found[-1]))


def _entry(found: list[Token]) -> Listed | None:
    if len(found) < 3 or not isinstance(found[0], list) or isinstance(found[2], list):
        return None
    attributes = tuple(
        item.decode("utf-8", "replace") for item in found[0] if isinstance(item, bytes)
    )
    delimiter = found[1] if isinstance(found[1], bytes) else b""
    wire = b"NIL" if found[2] is None else found[2]  # an atom: a mailbox may well be called so
    if not wire:
        return None
    return Listed(wire, delimiter[:1], attributes)


def _numbers(found: list[Token]) -> Iterable[tuple[str, int]]:
    for name, value in zip(found[::2], found[1::2], strict=False):
        count = number(value)
        if isinstance(name, bytes) and count is not None:
            yield name.decode("ascii", "replace").upper(), count


def namespaces(session: Session) -> list[Prefix] | None:
    """NAMESPACE (RFC 2342), None if the server has it not or refuses."""
    if not {"NAMESPACE", "IMAP4REV2"} & session.capabilities:
        return None
    found: list[Prefix] = []

    def note(response: Response) -> None:
        if not isinstance(response, Data) or response.kind != b"NAMESPACE":
            return
        for kind, group in zip(("personal", "other", "shared"), response.tokens(), strict=False):
            for pair in group if isinstance(group, list) else ():
                if isinstance(pair, list) and len(pair) >= 2 and isinstance(pair[0], bytes):
                    delimiter = pair[1] if isinstance(pair[1], bytes) else b""
                    found.append(Prefix(kind, pair[0], delimiter[:1]))

    status = session.run(b"NAMESPACE", handle=note)
    return found if status.ok else None


def jmap_access(session: Session) -> str | None:
    """Where the account can be had by JMAP (RFC 9698); None if the server does not say."""
    found: list[str] = []

    def note(response: Response) -> None:
        if isinstance(response, Data) and response.kind == b"JMAPACCESS":
            found.extend(printable(url) for url in response.tokens()[:1] if isinstance(url, bytes))

    status = session.run(b"GETJMAPACCESS", handle=note)
    return found[0] if status.ok and found else None


def described(prefixes: Iterable[Prefix], *, utf8: bool) -> dict[str, Any]:
    """Namespaces as ``records.SourceIdentity`` has them."""
    kinds: dict[str, Any] = {"personal": None, "other": None, "shared": None}
    for space in prefixes:
        prefix = names.decode_name(space.prefix, utf8=utf8)[0]
        text = prefix.encode("utf-8", "replace").decode("utf-8")
        delimiter = space.delimiter.decode("ascii", "replace") or None
        entries = kinds[space.kind] or []
        kinds[space.kind] = [*entries, {"prefix": text, "delimiter": delimiter}]
    return kinds


def list_folders(session: Session, prefixes: list[Prefix]) -> tuple[list[Folder], dict[str, Known]]:
    """All mailboxes, parents before children, and what else was told of them.

    Raises:
        ServerMisbehaved: the server refuses LIST.
        TokenExpired, RateLimited, ConnectionLost: see ``Session``.
    """
    collector = _Collector()
    if session.mailbox is not None and {"UNSELECT", "IMAP4REV2"} & session.capabilities:
        session.run(b"UNSELECT")  # of an open mailbox the server may tell what it was when opened
        session.mailbox = None
    patterns = [b"*", *(space.prefix + b"*" for space in prefixes if space.kind != "personal")]
    subscriptions = _list(session, patterns, collector)
    if session.mailbox is not None:
        collector.status.pop(session.mailbox.wire, None)
    listed = list(collector.listed.values())
    if not {"LIST-STATUS", "IMAP4REV2"} & session.capabilities or not collector.status:
        _ask_status(session, [entry for entry in listed if _selectable(entry)], collector)
    places = names.place(listed, prefixes, utf8="UTF8=ACCEPT" in session.enabled)
    made = [
        _folder(entry, place, collector, subscriptions=subscriptions)
        for entry, place in zip(listed, places, strict=True)
    ]
    known = {
        folder_id(entry.wire): Known(entry.wire, collector.status.get(entry.wire, {}))
        for entry in listed
    }
    return sorted(made, key=lambda folder: folder.path), known


def _list(session: Session, patterns: list[bytes], collector: _Collector) -> bool:
    """Run LIST in the richest form the server takes; whether subscriptions are known."""
    for options in _options(session):
        refused = _list_all(session, patterns, options, collector)
        if refused is None:
            return True
    refused = _list_all(session, patterns, b"", collector)
    if refused is not None:
        raise ServerMisbehaved(f"the server does not list its mailboxes: {refused.words}")
    return session.run(b'LSUB "" "*"', handle=collector).ok


def _options(session: Session) -> list[bytes]:
    """The RETURN options to try, richest first (RFC 5258, RFC 5819, RFC 6154)."""
    have = session.capabilities
    if "LIST-EXTENDED" not in have and "IMAP4REV2" not in have:
        return []
    rev2 = "IMAP4REV2" in have
    special = b" SPECIAL-USE" if rev2 or "SPECIAL-USE" in have else b""
    status = b" STATUS (" + _status_items(session) + b")" if rev2 or "LIST-STATUS" in have else b""
    forms = (special + status, special, status, b"")
    return list(dict.fromkeys(b" RETURN (SUBSCRIBED" + form + b")" for form in forms))


def _list_all(
    session: Session, patterns: list[bytes], options: bytes, collector: Callable[[Response], None]
) -> Status | None:
    """None, or why the first pattern was refused; refused others only show less."""
    for at, pattern in enumerate(patterns):
        status = session.run(
            b'LIST "" ', names.argument(pattern, utf8=session.utf8), options, handle=collector
        )
        if not status.ok:
            session.check(status, temporary=False)
            if at == 0:
                return status
    return None


def _status_items(session: Session) -> bytes:
    modseq = b" HIGHESTMODSEQ" if {"CONDSTORE", "QRESYNC"} & session.capabilities else b""
    return b"MESSAGES UIDNEXT UIDVALIDITY" + modseq


def _ask_status(session: Session, entries: list[Listed], collector: _Collector) -> None:
    items = b" (" + _status_items(session) + b")"
    waiting: list[bytes] = []
    for entry in entries:
        try:
            name = names.argument(entry.wire, utf8=session.utf8)
        except FolderUnavailable:
            continue
        if isinstance(name, Literal):  # waits for a "+": nothing may be on its way
            _settle(session, waiting, collector)
        waiting.append(session.send(b"STATUS ", name, items))
        if len(waiting) == AHEAD or isinstance(name, Literal):
            _settle(session, waiting, collector)
    _settle(session, waiting, collector)


def _settle(session: Session, waiting: list[bytes], collector: _Collector) -> None:
    for tag in waiting:
        session.check(session.finish(tag, collector), temporary=False)
    waiting.clear()


def _selectable(entry: Listed) -> bool:
    return _UNSELECTABLE.isdisjoint(attribute.lower() for attribute in entry.attributes)


def _folder(entry: Listed, place: Named, collector: _Collector, *, subscriptions: bool) -> Folder:
    roles = keywords.roles_of(entry.attributes)
    if names.is_inbox(entry.wire):
        roles = tuple(dict.fromkeys(("inbox", *roles)))
    marked = any(attribute.lower() == "\\subscribed" for attribute in entry.attributes)
    subscribed = marked or entry.wire in collector.subscribed
    return Folder(
        folder_id=folder_id(entry.wire),
        path=place.path,
        raw_name=place.raw_name,
        roles=roles,
        subscribed=subscribed if subscriptions else None,
        selectable=_selectable(entry),
        namespace=place.namespace,
        messages=collector.status.get(entry.wire, {}).get("MESSAGES"),
    )
