"""Which mailboxes an account has: LIST with all that the server can tell at once, LSUB.

The one round trip of LIST-STATUS (RFC 5819) decides for an unchanged account that there is nothing
to do; where a server lacks it, STATUS is asked for every mailbox ahead of the answers. A line that
is not understood stands for a mailbox that nobody knows: while there is one, none counts as gone.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from portarchive import keywords
from portarchive.connectors.imap import list_lines, names, quirks
from portarchive.connectors.imap.gmail_labels import own_label
from portarchive.connectors.imap.names import Listed, Literal, Named, Prefix
from portarchive.connectors.imap.parser import Token
from portarchive.connectors.imap.responses import Data, Response, Status, number, printable
from portarchive.connectors.imap.session import Session
from portarchive.errors import FolderUnavailable, ServerMisbehaved
from portarchive.records import Folder

_UNSELECTABLE: Final = frozenset({"\\noselect", "\\nonexistent"})


@dataclass(slots=True)
class Known:
    """What the listing told of one mailbox beyond its record.

    Attributes:
        wire: its name's octets.
        status: MESSAGES, UIDNEXT, UIDVALIDITY, HIGHESTMODSEQ, as far as answered.
        refused: why what it stands for is not listed; None if it is a mailbox.
        code: of that refusal, for the ledger.
        label: the label that it is, on Gmail; see ``gmail_labels``.
    """

    wire: bytes
    status: dict[str, int]
    refused: str | None = None
    code: str = "not-listed"
    label: str | None = None


class Listing(NamedTuple):
    """What an account has.

    Attributes:
        folders: parents before children.
        known: by folder_id, of these and of ``unread``.
        unread: one for each line of LIST that was not understood, ``unlisted``: it may be about
            any mailbox. Not for those who would open or make one.
    """

    folders: list[Folder]
    known: dict[str, Known]
    unread: list[Folder]


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
        self.odd: dict[bytes, None] = {}
        self.odd_subscriptions = False

    def __call__(self, response: Response) -> None:
        if not isinstance(response, Data):
            return
        if response.kind in {b"LIST", b"LSUB"}:
            entry = list_lines.listed(response.parts)
            if entry is None:
                if response.kind == b"LIST":
                    self.odd[list_lines.whole(response.parts)] = None
                else:
                    self.odd_subscriptions = True
                return
            if not entry.wire:  # the root of the hierarchy
                return
            earlier = self.listed.get(entry.wire)
            if response.kind == b"LSUB":
                # one that can be opened, and cannot here, is named for what is in it only
                # (RFC 3501 §6.3.9)
                if earlier is None or _closed(earlier) or not _closed(entry):
                    self.subscribed.add(entry.wire)
                return
            if earlier is not None:  # a mailbox may be named once more, with less
                merged = dict.fromkeys((*earlier.attributes, *entry.attributes))
                entry = entry._replace(attributes=tuple(merged))
            self.listed[entry.wire] = entry
        elif response.kind == b"STATUS":
            counted = list_lines.counted(response.parts)
            if counted is not None:
                self.status.setdefault(counted[0], {}).update(_numbers(counted[1]))


def _closed(entry: Listed) -> bool:
    return "\\noselect" in map(str.lower, entry.attributes)


def _numbers(found: list[Token]) -> Iterable[tuple[str, int]]:
    for name, value in zip(found[::2], found[1::2], strict=False):
        count = number(value)
        if isinstance(name, bytes) and count is not None:
            yield name.decode("ascii", "replace").upper(), count


def jmap_access(session: Session) -> str | None:
    """Where the account can be had by JMAP (RFC 9698); None if the server does not say."""
    found: list[str] = []

    def note(response: Response) -> None:
        if isinstance(response, Data) and response.kind == b"JMAPACCESS":
            found.extend(printable(url) for url in response.tokens()[:1] if isinstance(url, bytes))

    status = session.run(b"GETJMAPACCESS", handle=note)
    return found[0] if status.ok and found else None


def list_folders(session: Session, prefixes: list[Prefix]) -> Listing:
    """All mailboxes, and what else was told of them.

    A namespace that cannot be listed is an ``unlisted`` folder, named by its prefix.

    Raises:
        ServerMisbehaved: the server refuses LIST, or names not even an INBOX that is understood.
        TokenExpired, RateLimited, ConnectionLost: see ``Session``.
    """
    collector = _Collector()
    if session.mailbox is not None and {"UNSELECT", "IMAP4REV2"} & session.capabilities:
        session.run(b"UNSELECT")  # of an open mailbox the server may tell what it was when opened
        session.mailbox = None
    # "*" has named already what has no prefix
    others = [space for space in prefixes if space.kind != "personal" and space.prefix]
    subscriptions, refused = _list(session, others, collector)
    for wire, (space, _) in refused.items():
        collector.listed.setdefault(wire, Listed(wire, space.delimiter, ()))
    if session.mailbox is not None:
        collector.status.pop(session.mailbox.wire, None)
    listed = [
        entry._replace(attributes=()) if entry.wire in refused else entry
        for entry in collector.listed.values()
    ]
    if not {"LIST-STATUS", "IMAP4REV2"} & session.capabilities or not collector.status:
        asked = [entry for entry in listed if _selectable(entry) and entry.wire not in refused]
        _ask_status(session, asked, collector)
    places = names.place(listed, prefixes, utf8="UTF8=ACCEPT" in session.enabled)
    made = [
        _folder(entry, place, collector, subscriptions=subscriptions)
        for entry, place in zip(listed, places, strict=True)
    ]
    made = [
        replace(folder, unlisted=_beginning(folder, refused[wire_of(folder.folder_id)][0]))
        if wire_of(folder.folder_id) in refused
        else folder
        for folder in made
    ]
    gmail, utf8 = "X-GM-EXT-1" in session.capabilities, "UTF8=ACCEPT" in session.enabled
    known = {
        folder_id(entry.wire): Known(
            entry.wire,
            collector.status.get(entry.wire, {}),
            label=own_label(entry, utf8=utf8) if gmail else None,
        )
        for entry in listed
    }
    for wire, (space, status) in refused.items():
        known[folder_id(wire)].refused = _not_listed(space, status)
    unread: list[Folder] = []
    taken = {folder.path for folder in made}
    for line in collector.odd:
        folder = _unread(line, prefixes, taken, utf8=utf8)
        taken.add(folder.path)
        unread.append(folder)
        known[folder.folder_id] = Known(line, {}, not_understood(line), "not-understood")
    return Listing(sorted(made, key=lambda folder: folder.path), known, unread)


def not_understood(line: bytes) -> str:
    """What is said of a line of LIST, fit for a terminal."""
    said = printable(b"* LIST " + line, 200)
    return f"the server names a mailbox in a way that is not understood: {said}"


def _unread(
    line: bytes, prefixes: list[Prefix], taken: Container[tuple[str, ...]], *, utf8: bool
) -> Folder:
    """What stands for the mailbox of such a line: with the name that it seems to have, for show."""
    seems = list_lines.guess(line)
    if seems is None:
        place = Named((printable(b"* LIST " + line, 80),), None, "personal")
    else:
        place = names.place([seems], prefixes, utf8=utf8)[0]
    path = place.path
    if path in taken:  # that one was understood, and keeps it
        path = (*path[:-1], f"{path[-1]}~{hashlib.sha256(line).hexdigest()[:8]}")
    return Folder(
        folder_id="\n" + folder_id(line),  # no name that can be sent to a server has one
        path=path,
        raw_name=place.raw_name if path == place.path else None,
        namespace=place.namespace,
        unlisted="",
    )


def _list(
    session: Session, others: list[Prefix], collector: _Collector
) -> tuple[bool, dict[bytes, tuple[Prefix, Status]]]:
    """Run LIST in the richest form the server takes.

    Returns:
        Whether subscriptions are known; and which of the other namespaces were refused, by the
        name of their root.
    """
    forms = [*_options(session), b""]
    for options in forms:
        collector.odd.clear()
        status = _list_one(session, b"*", options, collector)
        if status.ok and collector.listed:
            break
    else:
        if not status.ok:
            raise quirks.unwell(status) or ServerMisbehaved(
                f"the server does not list its mailboxes: {status.words}"
            )
        if collector.odd:
            raise ServerMisbehaved(not_understood(next(iter(collector.odd))))
        raise ServerMisbehaved("the server lists no mailbox at all, not even an INBOX")
    refused: dict[bytes, tuple[Prefix, Status]] = {}
    for space in others:
        for form in forms[forms.index(options) :]:
            status = _list_one(session, space.prefix + b"*", form, collector)
            if status.ok:
                break
        else:
            bare = space.prefix.removesuffix(space.delimiter) if space.delimiter else space.prefix
            refused[bare or space.prefix] = space, status
    if options:
        return True, refused
    status = session.run(b'LSUB "" "*"', handle=collector)
    session.check(status, temporary=False)
    return status.ok and not collector.odd_subscriptions, refused


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


def _list_one(
    session: Session, pattern: bytes, options: bytes, collector: Callable[[Response], None]
) -> Status:
    status = session.run(
        b'LIST "" ', names.argument(pattern, utf8=session.utf8), options, handle=collector
    )
    if not status.ok:
        session.check(status, temporary=False)
    return status


def _beginning(root: Folder, space: Prefix) -> str:
    """What the paths of a namespace begin with: ``shared/``, or ``~`` (as in ``~joe``)."""
    within = bool(space.delimiter) and space.prefix.endswith(space.delimiter)
    return "/".join(root.path) + "/" * within


def _not_listed(space: Prefix, status: Status) -> str:
    name = printable(space.prefix)
    kind = "shared mailboxes" if space.kind == "shared" else "other users' mailboxes"
    return f"the server does not list the {kind} under {name!r}: {status.words}"


def _status_items(session: Session) -> bytes:
    modseq = b" HIGHESTMODSEQ" if {"CONDSTORE", "QRESYNC"} & session.capabilities else b""
    return b"MESSAGES UIDNEXT UIDVALIDITY" + modseq


def _ask_status(session: Session, entries: list[Listed], collector: _Collector) -> None:
    items = b" (" + _status_items(session) + b")"
    waiting: deque[bytes] = deque()

    def settle(left: int) -> None:
        while len(waiting) > left:
            status = session.finish(waiting.popleft(), collector)
            session.check(status, temporary=False)

    for entry in entries:
        try:
            name = names.argument(entry.wire, utf8=session.utf8)
        except FolderUnavailable:
            continue
        alone = isinstance(name, Literal)  # waits for a "+": nothing else may be on its way
        if alone:
            settle(0)
        while waiting and not session.has_room():
            settle(len(waiting) - 1)
        waiting.append(session.send(b"STATUS ", name, items))
        if alone:
            settle(0)
    settle(0)


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
        subscribed=True if subscribed else (False if subscriptions else None),
        selectable=_selectable(entry),
        namespace=place.namespace,
        messages=collector.status.get(entry.wire, {}).get("MESSAGES"),
    )
