"""What cases are made of: one small archive a type of data, and ways to spoil it.

Knows nothing of the validator: what must be found is written down beside each case by hand.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Files = dict[str, bytes]
Spoil = Callable[[Files], None]
Place = tuple[str, str]
"""(path, JSON pointer or line:column)."""
Found = tuple[str, str, str]
"""(code, path, pointer)."""

SCHEMA = "https://id.schemas.pub/o/DTI/PDPArchive/"
A = "archive.json"
F, SUB = "mail/INBOX/folder.json", "mail/INBOX/Sub/folder.json"
M1, M2 = "mail/INBOX/msg-1.eml", "mail/INBOX/msg-2.eml"
BOOK, CARD = "contacts/books/book.json", "contacts/jane.json"
CALENDAR, EVENT = "calendars/home.json", "calendars/home/dinner.json"
TASK, NOTE, BLOB = "tasks/tax.json", "notes/list.json", "blob/sketch-1"
WHEN = "2026-11-03T10:00:00Z"
NO_MANIFEST: Found = ("M-001", "", "")


@dataclass(frozen=True)
class Case:
    """One archive of the corpus.

    Attributes:
        kind: ``good``, ``warn`` or ``bad``: the worst that is found in it.
        name: its directory: ``<CODE>_<what>``, or what it is.
        about: one sentence for people.
        files: the archive as a tree.
        found: everything that a deep validation finds, in any order.
        dialect: the revision of the draft that it is written in.
        packed: (suffix, octets) of the container in place of a tree.
        base: the full archive that a partial one updates.
        limits: limits other than the default ones.
        unreadable: files and directories that nobody may read; to be made so before it is used.
        beside: files that lie beside the archive.
    """

    kind: str
    name: str
    about: str
    files: Files
    found: tuple[Found, ...]
    dialect: str = "ietf-02"
    packed: tuple[str, bytes] | None = None
    base: Files | None = None
    limits: dict[str, int] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()
    beside: Files = field(default_factory=dict)


def dumped(value: Any) -> bytes:
    """As JSON for people."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def loaded(files: Files, name: str) -> Any:
    return json.loads(files[name])


def message(number: int, more: str = "") -> bytes:
    """A small message; equal numbers give equal octets."""
    head = f"From: Jane <jane@example.org>\r\nDate: Tue, 3 Nov 2026 10:00:0{number} +0000\r\n"
    return f"{head}Subject: Number {number}\r\n\r\nThis is number {number}.\r\n{more}".encode()


def item(number: int, **more: Any) -> dict[str, Any]:
    """The entry of a message. The received date has no member in the draft."""
    return {
        "uid": str(number),
        "filename": f"msg-{number}.eml",
        "flags": ["$seen"],
        "portarchive:received_at": WHEN,
    } | more


def told(number: int, octets: bytes) -> dict[str, Any]:
    """The entry of a message with size and digest."""
    members = {"portarchive:size": len(octets), "portarchive:sha256": sha256(octets)}
    return item(number, **members)


def sha256(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def folder(name: str, uid: str, items: list[Any], **more: Any) -> dict[str, Any]:
    """A folder.json of an IMAP mailbox."""
    head = {"$schema": f"{SCHEMA}folder", "name": name, "uid": uid}
    imap = {"uidvalidity": 7, "last_uid": 9, "is_subscribed": True}
    return {**head, **imap, **more, "items": items}


def metadata(*datatypes: str) -> dict[str, Any]:
    """An archive.json."""
    return {
        "$schema": f"{SCHEMA}archive",
        "archive": {
            "id": "b47c1b85-c085-48b9-ae15-cb1b455422cd",
            "name": "A small archive",
            "timestamp": WHEN,
            "version": "draft-ietf-mailmaint-pdparchive-02",
            "generator": "an exporter 1.0",
        },
        "dataset": {
            "extent": "FULL",
            "datatypes": list(datatypes),
            "languagetag": "en-CA",
            "timezone": "America/Toronto",
        },
        "datasource": {"service": "imaps://imap.example.org", "account": "jane@example.org"},
    }


def thing(kind: str, schema: str, uid: str, **more: Any) -> bytes:
    """A document of one of the other types of data."""
    head = {"$schema": f"{SCHEMA}{schema}", "@type": kind, "uid": uid, "updated": WHEN}
    return dumped(head | more)


_MAIL = {
    A: dumped(metadata("MAIL")),
    F: dumped(folder("INBOX", "M1", [item(1), item(2)])),
    M1: message(1),
    M2: message(2),
}
_CONTACTS = {
    A: dumped(metadata("CONTACTS")),
    BOOK: thing("AddressBook", "address-book", "book", id="b1", name="Friends"),
    CARD: thing("Card", "pdpa-contact", "jane", version="1.0", addressBookIds={"book": True}),
}
_CALENDARS = {
    A: dumped(metadata("CALENDARS")),
    CALENDAR: thing("Calendar", "calendar", "home", name="Home"),
    EVENT: thing(
        "Event",
        "event",
        "dinner",
        title="Dinner",
        start="2026-11-24T19:00:00",
        calendarIds={"home": True},
    ),
}
_TASKS = {A: dumped(metadata("TASKS")), TASK: thing("Task", "task", "tax", title="Tax return")}
_NOTES = {
    A: dumped(metadata("NOTES")),
    NOTE: thing(
        "Note",
        "note",
        "list",
        body="Bread and butter.",
        links={"1": {"@type": "Link", "rel": "enclosure", "blobId": "sketch-1"}},
    ),
    BLOB: b"a sketch, by its name\n",
}


def spoilt(base: Files, spoils: Iterable[Spoil]) -> Files:
    files = copy.copy(base)
    for spoil in spoils:
        spoil(files)
    return files


def mail(*spoils: Spoil) -> Files:
    """An inbox with two messages, from IMAP; nothing is wrong with it."""
    return spoilt(_MAIL, spoils)


def contacts(*spoils: Spoil) -> Files:
    """An address book with one Card."""
    return spoilt(_CONTACTS, spoils)


def calendars(*spoils: Spoil) -> Files:
    """A calendar with one event."""
    return spoilt(_CALENDARS, spoils)


def tasks(*spoils: Spoil) -> Files:
    """One task."""
    return spoilt(_TASKS, spoils)


def notes(*spoils: Spoil) -> Files:
    """One note with an attachment."""
    return spoilt(_NOTES, spoils)


def everything(*spoils: Spoil) -> Files:
    """All of them in one archive."""
    files = {**_MAIL, **_CONTACTS, **_CALENDARS, **_TASKS, **_NOTES}
    files[A] = dumped(metadata("MAIL", "CONTACTS", "CALENDARS", "TASKS", "NOTES"))
    return spoilt(files, spoils)


# --- spoiling -------------------------------------------------------------------------------------


def at(name: str, pointer: str, value: Any = ...) -> Spoil:
    """Put a value at ``/a/b/0`` of a document; without one the member goes away."""

    def spoil(files: Files) -> None:
        document = inner = loaded(files, name)
        *way, last = pointer[1:].split("/")
        for step in way:
            inner = inner[int(step) if isinstance(inner, list) else step]
        key: Any = int(last) if isinstance(inner, list) else last
        if value is ...:
            del inner[key]
        else:
            inner[key] = value
        files[name] = dumped(document)

    return spoil


def put(name: str, octets: bytes) -> Spoil:
    """A file more, or another one in its place."""
    return lambda files: files.update({name: octets})


def gone(name: str) -> Spoil:
    """A file less."""

    def spoil(files: Files) -> None:
        del files[name]

    return spoil


def moved(name: str, other: str) -> Spoil:
    """A file elsewhere."""
    return lambda files: files.update({other: files.pop(name)})


def copied(name: str, other: str, **members: Any) -> Spoil:
    """A document a second time, with some other members."""
    return lambda files: files.update({other: dumped(loaded(files, name) | members)})


def text(name: str, old: str, new: bytes) -> Spoil:
    """Other octets in a file."""

    def spoil(files: Files) -> None:
        if files[name].count(old.encode()) != 1:
            raise ValueError(f"{old!r} is not once in {name}")
        files[name] = files[name].replace(old.encode(), new)

    return spoil


def place(octets: bytes, needle: bytes) -> str:
    """``line:column`` of the first octet of something, columns counted in characters."""
    before = octets[: octets.index(needle)].decode()
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


# --- cases ----------------------------------------------------------------------------------------


def case(
    kind: str,
    code: str,
    what: str,
    about: str,
    files: Files,
    where: Place | None = None,
    *more: Found,
    chained: bool = False,
    **fields: Any,
) -> Case:
    """The case of a code.

    Args:
        kind, about, files: as of ``Case``.
        code: what must be found, at ``where``.
        what: in a few words.
        where: None for the archive itself.
        more: what must be found beside it.
        chained: whether there is a manifest; without one that is found too.
        fields: others of ``Case``.
    """
    path, pointer = where or ("", "")
    found: list[Found] = [(code, path, pointer), *more]
    if not chained:
        found.append(NO_MANIFEST)
    name = f"{code}_{what.replace(' ', '_')}"
    return Case(kind, name, about, files, tuple(sorted(found)), **fields)


def bad(code: str, what: str, about: str, *rest: Any, **named: Any) -> Case:
    """A case of an error."""
    return case("bad", code, what, about, *rest, **named)


def warn(code: str, what: str, about: str, *rest: Any, **named: Any) -> Case:
    """A case of a warning."""
    return case("warn", code, what, about, *rest, **named)


def good(code: str, what: str, about: str, *rest: Any, **named: Any) -> Case:
    """A case of a note."""
    return case("good", code, what, about, *rest, **named)
