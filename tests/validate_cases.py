"""The cases of ``validating``: for every code at least one archive that must bear it."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile

from validating import (
    BLOB,
    BOOK,
    CALENDAR,
    CARD,
    EVENT,
    FIRST,
    FOLDER,
    MESSAGE,
    NOTE,
    SECOND,
    TASK,
    WHEN,
    Case,
    Files,
    added,
    also,
    at,
    central,
    chain,
    copied,
    digests,
    dumped,
    folder,
    gone,
    item,
    journal,
    ledger,
    link,
    named,
    not_utf8,
    pipe,
    put,
    set_field,
    share,
    symlink,
    tar_entry,
    tarred,
    text,
    zip_more,
    zip_with,
    zipped,
)

A = "archive.json"
PARTIAL = also(
    at(A, "dataset/extent", "PARTIAL"), at(A, "dataset/portarchive:base_id", "base"), gone(FIRST),
    gone(SECOND), at(FOLDER, "items", []),
)  # fmt: skip
BASE = at(A, "archive/id", "base")


def partial(*spoils) -> dict:
    return {"spoil": also(PARTIAL, *spoils), "base": BASE}


def message(octets: bytes):
    """The first message with these octets, and its item as it should be."""
    told = {**item(1), "portarchive:size": len(octets)}
    told["portarchive:sha256"] = hashlib.sha256(octets).hexdigest()
    return also(put(FIRST, octets), at(FOLDER, "items/0", told))


def header(octets: bytes):
    return message(octets + (MESSAGE % 1))


def nested(files: Files) -> None:
    files[NOTE] = files[NOTE].replace(b'"Bread."', b"[" * 70 + b"]" * 70)


def bigger(files: Files) -> None:
    files[NOTE] = files[NOTE].replace(b"Bread.", b"x" * (17 << 20))


def bare_eml(files: Files) -> None:
    files["mail/Old/1.eml"] = MESSAGE % 3


DRAFT = (
    Case("P-002", "no id", at(A, "archive/id", "")),
    Case("P-003", "no json", text(FOLDER, b'"items":', b'"items"')),
    Case("P-003b", "latin1", text(FOLDER, b"INBOX", b"caf\xe9")),
    Case("P-003c", "bom", text(FOLDER, b"{", b"\xef\xbb\xbf{")),
    Case("P-003d", "name twice", text(FOLDER, b'"uid": "1",', b'"uid": "1", "uid": "2",')),
    Case("P-003e", "lone surrogate", text(FOLDER, b'"INBOX"', b'"\\ud800"')),
    Case("P-003f", "noncharacter", text(FOLDER, b'"INBOX"', b'"\\uffff"')),
    Case("P-003g", "big integer", at(FOLDER, "highest_modseq", 2**53)),
    Case("P-003h", "beyond a double", text(FOLDER, b'"items"', b'"x": 1e999, "items"')),
    Case("P-004", "task twice", copied(TASK, "tasks/again.json")),
    Case("P-004b", "same octets", also(put(SECOND, MESSAGE % 1), at(FOLDER, "items/1", {
        **item(1), "uid": "2", "filename": "7-0000000002.eml"}))),
    Case("P-006", "no folder file", bare_eml),
    Case("P-006b", "parent is no folder", added("mail/Up/Down/folder.json",
         folder("Down", "M3", []))),
    Case("P-006c", "capitals", also(copied(FOLDER, "mail/Old/Folder.json", items=[], uid="M3"))),
    Case("P-007", "no last_uid", at(FOLDER, "last_uid", ...)),
    Case("P-007b", "last_uid too low", at(FOLDER, "last_uid", 1)),
    Case("P-007c", "last_uid no number", at(FOLDER, "last_uid", "9")),
    Case("P-008", "no uidvalidity", at(FOLDER, "uidvalidity", ...)),
    Case("P-008b", "uidvalidity zero", at(FOLDER, "uidvalidity", 0)),
    Case("P-009", "no is_subscribed", at(FOLDER, "is_subscribed", ...)),
    Case("P-009b", "is_subscribed a word", at(FOLDER, "is_subscribed", "yes")),
    Case("P-010", "no items", at(FOLDER, "items", ...)),
    Case("P-010b", "item without file", at(FOLDER, "items/0/filename", ...)),
    Case("P-011", "no folder uid", at(FOLDER, "uid", ...)),
    Case("P-012", "odd folder uid", at(FOLDER, "uid", "urn:x:1")),
    Case("P-013", "tombstone in full", at("mail/INBOX/Sub/folder.json", "deleted_at", WHEN)),
    Case("P-014", "integer uid", at(FOLDER, "items/0/uid", 1)),
    Case("P-016", "card without version", at(CARD, "version", ...)),
    Case("P-017", "card without uid", at(CARD, "uid", ...)),
    Case("P-017b", "card twice", copied(CARD, "contacts/again.json")),
    Case("P-018", "no such book", at(CARD, "addressBookIds/none", True)),
    Case("P-019", "no such card", at(CARD, "relatedTo", {"none": {"relation": {}}})),
    Case("P-020", "book without name", at(BOOK, "name", ...)),
    Case("P-020b", "book twice", copied(BOOK, "contacts/again.json")),
    Case("P-021", "event without uid", at(EVENT, "uid", ...)),
    Case("P-021b", "calendar twice", copied(CALENDAR, "calendars/again.json")),
    Case("P-022", "event without updated", at(EVENT, "updated", ...)),
    Case("P-023", "sequence a word", at(EVENT, "sequence", "1")),
    Case("P-024", "no such type", at(EVENT, "@type", "Meeting")),
    Case("P-025", "expanded", also(*(
        copied(EVENT, f"calendars/{n}.json", start=f"2026-12-0{n}T19:00:00") for n in (1, 2, 3)))),
    Case("P-026", "no calendar named", at(EVENT, "calendarIds", {})),
    Case("P-027", "no such calendar", at(EVENT, "calendarIds/none", True)),
    Case("P-028", "task with odd priority", at(TASK, "priority", 77)),
    Case("P-029", "html note", at(NOTE, "body", "<p>Bread</p>")),
    Case("P-030", "note without body", at(NOTE, "body", ...)),
    Case("P-032", "blob twice", put("calendars/sketch-1", b"another")),
    Case("P-035", "no such enclosure", gone(BLOB)),
    Case("P-035b", "enclosure of other size", at(NOTE, "links/1/size", 3)),
    Case("P-036", "no such blob", also(gone(BLOB), at(NOTE, "links/1/rel", "icon"))),
    Case("P-037", "link to nothing", at(NOTE, "links/1/blobId", ...)),
    Case("P-039", "calendar without name", at(CALENDAR, "name", ...)),
    Case("P-040", "updated with an offset", at(EVENT, "updated", "2026-11-03T10:00:00+02:00")),
    Case("P-051", "folder moved", **partial(
        lambda files: files.update({"mail/Moved/folder.json": files.pop(FOLDER)}))),
    Case("P-053", "uid no name", also(at(FOLDER, "uid", "a:b"), at(FOLDER, "uidvalidity", ...))),
)  # fmt: skip

GAPS = (
    Case("C-003", "service an object", at(A, "datasource/service", {"url": "x"})),
    Case("C-004", "no account", at(A, "datasource/account", ...)),
    Case("C-005", "lower case extent", at(A, "dataset/extent", "full")),
    Case("C-006", "odd datatype",
         at(A, "dataset/datatypes", ["MAIL", "CONTACTS", "CALENDARS", "TASKS", "NOTES", "RUNS"])),
    Case("C-007", "language with underscore", at(A, "dataset/languagetag", "en_ca")),
    Case("C-008", "offset as time zone", at(A, "dataset/timezone", "+02:00")),
    Case("C-009", "archive_id", at(A, "archive/archive_id", "123")),
    Case("C-012", "odd version", at(A, "archive/version", "PDPA v1.0")),
    Case("C-014", "no $schema", at(FOLDER, "$schema", ...)),
    Case("C-015", "other $schema", at(FOLDER, "$schema", "https://example.org/")),
    Case("C-020", "no name", at(FOLDER, "name", ...)),
    Case("C-021", "not from IMAP", also(
        *(at(FOLDER, name, ...) for name in ("last_uid", "uidvalidity", "is_subscribed")),
        at(FOLDER, "items/0/uid", "Ma"))),
    Case("C-024", "removed numbers", **partial(at(FOLDER, "removed", [1]))),
    Case("C-026", "bare special use", at(FOLDER, "special_use", "sent")),
    Case("C-026b", "unknown special use", at(FOLDER, "special_use", "\\Banana")),
    Case("C-027", "deleted_at null", at(FOLDER, "deleted_at", None)),
    Case("C-028", "tombstone with items", at(FOLDER, "deleted_at", WHEN)),
    Case("C-029", "sort_order zero", at(FOLDER, "sort_order", 0)),
    Case("C-030", "modseq zero", at(FOLDER, "highest_modseq", 0)),
    Case("C-031", "relic maps", at(FOLDER, "modseqs", {"1": 5})),
    Case("C-032", "imap flags", at(FOLDER, "items/0/flags", ["\\Seen"])),
    Case("C-035", "filename leads out", at(FOLDER, "items/0/filename", "../../../etc/passwd")),
    Case("C-035b", "single copy", also(
        lambda files: files.update({"mail/INBOX/Sub/1.eml": files.pop(FIRST)}),
        at(FOLDER, "items/0/filename", "Sub/1.eml"))),
    Case("C-036", "uid twice", at(FOLDER, "items/1/uid", "1")),
    Case("C-036b", "file twice", also(gone(SECOND),
         at(FOLDER, "items/1", {**item(1), "uid": "2"}))),
    Case("C-037", "slash in a name", at("mail/INBOX/Sub/folder.json", "name", "INBOX/Sub")),
    Case("C-040", "folder of tasks", added("tasks/folder.json", {"name": "Tasks", "items": []})),
    Case("C-041", "partial of what", at(A, "dataset/extent", "PARTIAL")),
    Case("C-043", "sent twice", also(at(FOLDER, "special_use", "\\Sent"),
         at("mail/INBOX/Sub/folder.json", "special_use", "\\Sent"))),
    Case("C-045", "only flags changed", **partial(at(FOLDER, "items", [item(1) | {"flags": []}]))),
    Case("C-050", "contact card", at(CARD, "@type", "ContactCard")),
    Case("C-052", "set with false", at(CARD, "addressBookIds/book", False)),
    Case("C-053", "reference by id", at(CARD, "addressBookIds", {"b1": True})),
    Case("C-055", "rev of vcard", at(CARD, "rev", "20261103T100000Z")),
    Case("C-057", "urn and bare", also(
        at(BOOK, "uid", "062adcfa-105d-455c-bc60-6db68b69c3f3"),
        at(CARD, "addressBookIds", {"urn:uuid:062adcfa-105d-455c-bc60-6db68b69c3f3": True}))),
    Case("C-058", "one uid two types", also(at(CALENDAR, "uid", "book"),
         at(EVENT, "calendarIds", {"book": True}))),
    Case("C-060", "card of version 4", at(CARD, "version", "4.0")),
    Case("C-070", "group", at(EVENT, "@type", "Group")),
    Case("C-072", "in-progress", at(TASK, "progress", "in-progress")),
    Case("C-073", "event without start", at(EVENT, "start", ...)),
    Case("C-077", "jscalendar 2", at(EVENT, "recurrenceRule", {"frequency": "daily"})),
    Case("C-081", "type with charset", at(NOTE, "contentType", "text/plain; charset=utf-8")),
    Case("C-091", "blobId is a path", at(NOTE, "links/1/blobId", "../x")),
    Case("C-093", "href and blobId", at(NOTE, "links/1/href", "https://example.org/")),
    Case("C-104", "misspelt", at(FOLDER, "coment", "x")),
    Case("C-111", "file missing", gone(FIRST)),
)  # fmt: skip

LINK = tar_entry("mail/INBOX/more.eml", tarfile.SYMTYPE, "/etc/hostname")
OWN = (
    Case("F-003", "too deep", nested),
    Case("F-004", "string too long", bigger),
    Case("F-010", "path upwards", pack=zip_more((named("../x"), b""))),
    Case("F-011", "name not utf-8", disk=not_utf8),
    Case("F-012", "symbolic link", disk=symlink),
    Case("F-012", "symbolic link in tar", pack=tarred(LINK)),
    Case("F-013", "pipe", disk=pipe),
    Case("F-014", "twins", pack=zip_more((named("mail/INBOX/7-0000000001.EML"), b""))),
    Case("F-015", "name twice", pack=zip_more((named(FIRST), MESSAGE % 1))),
    Case("F-017", "bomb", put("blob/zeros", b"\0" * (40 << 20)),
         lambda files, path: deflated(files, path)),  # noqa: PLW0108 - it is further down
    Case("F-019", "file and directory", pack=zip_more((named("mail/INBOX"), b""))),
    Case("F-020", "name for Windows", put("mail/INBOX/con.eml", b"")),
    Case("F-030", "no timestamp", at(A, "archive/timestamp", "yesterday")),
    Case("F-031", "rights a number", at(FOLDER, "myrights", 5)),
    Case("F-032", "flags a word", at(FOLDER, "items/0/flags", "seen")),
    Case("F-034", "event with odd status", at(EVENT, "status", "perhaps")),
    Case("F-036", "no type", added("contacts/x.json", {"@type": "Dog"})),
    Case("F-040", "folder of contacts", added("contacts/folder.json", {"name": "", "items": []})),
    Case("F-041", "folder uid twice", at("mail/INBOX/Sub/folder.json", "uid", "M1")),
    Case("F-042", "removed in full", at(FOLDER, "removed", ["9"])),
    Case("F-043", "file in mail", put("mail/x.eml", b"")),
    Case("F-044", "datatypes too few", at(A, "dataset/datatypes", ["MAIL"])),
    Case("F-045", "datatypes too many", also(gone(TASK))),
    Case("F-046", "password in url", at(A, "datasource/service", "imap://jane:secret@x/")),
    Case("F-050", "flag no atom", at(FOLDER, "items/0/flags", ["a b"])),
    Case("F-051", "flag twice", at(FOLDER, "items/0/flags", ["$Todo", "$todo"])),
    Case("F-052", "recent", at(FOLDER, "items/0/flags", ["\\Recent"])),
    Case("F-053", "no flags", at(FOLDER, "items/0/flags", ...)),
    Case("F-054", "no date", at(FOLDER, "items/0/portarchive:received_at", ...)),
    Case("F-055", "other name", at(FOLDER, "name", "Eingang")),
    Case("F-060", "removed and here", **partial(
        at(FOLDER, "items", [item(1) | {"flags": []}]), at(FOLDER, "removed", ["1"]))),
    Case("F-061", "wrong base", **partial(at(A, "dataset/portarchive:base_id", "x"))),
    Case("F-062", "base is partial", spoil=PARTIAL,
         base=also(BASE, at(A, "dataset/extent", "PARTIAL"))),
    Case("F-063", "other uidvalidity", **partial(at(FOLDER, "uidvalidity", 8))),
    Case("F-064", "removed from nothing", **partial(at(FOLDER, "removed", ["77"]))),
    Case("F-066", "unchanged item", **partial(at(FOLDER, "items", [item(1)]))),
    Case("F-067", "tombstone of nothing", **partial(
        added("mail/Gone/folder.json", folder("Gone", "M9", [], deleted_at=WHEN)))),
    Case("F-068", "full with base", base=BASE),
    Case("F-070", "older", at(A, "archive/version", "draft-ietf-mailmaint-pdparchive-00")),
    Case("F-071", "maps", also(at(FOLDER, "items", ...),
         at(FOLDER, "uids", {"1": "7-0000000001.eml", "2": "7-0000000002.eml"}),
         at(FOLDER, "flags", {"1": ["$seen"]}))),
    Case("F-072", "role", at(FOLDER, "role", "inbox")),
    Case("F-073", "index file", lambda files: files.update({"index.json": files.pop(A)})),
)  # fmt: skip


def deflated(files: Files, path):
    out = path.with_suffix(".zip")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, octets in files.items():
            file.writestr(name, octets)
    return out


def cut(octets: bytearray) -> None:
    del octets[-30:]


def break_directory(octets: bytearray) -> None:
    octets[central(octets, FOLDER)] = 0


def fewer(octets: bytearray) -> None:
    octets[-12] -= 1


def in_front(octets: bytearray) -> None:
    octets[:0] = b"#!/bin/sh\n"


def second_part(octets: bytearray) -> None:
    octets[-18] = 1


def damage(octets: bytearray) -> None:
    where = octets.index(b"Number 1.")
    octets[where] ^= 1


def latin_name(octets: bytearray) -> None:
    for _ in range(2):
        where = octets.index(b"unmarked")
        octets[where] = 0xE9


def last(files: Files, path):
    out = path.with_suffix(".tar")
    with tarfile.open(out, "w") as file:
        for name in sorted(files, key=lambda name: name == A):
            info = tarfile.TarInfo(name)
            info.size = len(files[name])
            file.addfile(info, io.BytesIO(files[name]))
    return out


def sparse(files: Files, path):
    return tarred(tar_entry("mail/INBOX/s.eml", tarfile.GNUTYPE_SPARSE))(files, path)


def inside(files: Files, path):
    return zipped({f"jane/{name}": octets for name, octets in files.items()}, path)


CONTAINERS = (
    Case("Z-001", "cut off", pack=zip_with(cut)),
    Case("Z-002", "directory damaged", pack=zip_with(break_directory)),
    Case("Z-003", "shared octets", pack=zip_with(share)),
    Case("Z-004", "size forged", pack=zip_with(set_field(FIRST, 24, 4, 5))),
    Case("Z-005", "octets damaged", pack=zip_with(damage)),
    Case("Z-006", "encrypted", pack=zip_with(set_field(FIRST, 8, 2, 1))),
    Case("Z-007", "odd method", pack=zip_with(set_field(FIRST, 10, 2, 12))),
    Case("Z-009", "second part", pack=zip_with(second_part)),
    Case("Z-010", "count forged", pack=zip_with(fewer)),
    Case("Z-011", "something before", pack=zip_with(in_front)),
    Case("Z-012", "archive last", pack=last),
    Case("Z-013", "headers disagree", pack=zip_with(set_field(FIRST, 46, 1, 0x4D))),
    Case("Z-014", "tar cut off", pack=tarred(cut=15000)),
    Case("Z-016", "name unmarked", put("mail/INBOX/unmarked.eml", b""), zip_with(latin_name)),
    Case("Z-017", "sparse", pack=sparse),
    Case("Z-018", "linked document", pack=tarred(
        tar_entry("contacts/linked.json", tarfile.LNKTYPE, CARD))),
    Case("Z-019", "private files", put(".portarchive/lock", b""), zipped),
    Case("Z-020", "in a directory", pack=inside),
)  # fmt: skip


def line(name: str) -> bytes:
    return b"%s  %s\n" % (b"a" * 64, name.encode())


def spoil_after_chain(*spoils):
    return also(chain, *spoils)


INTEGRITY = (
    Case("M-001", "no manifest"),
    Case("M-002", "manifest missing", spoil_after_chain(gone("manifest.json"))),
    Case("M-003", "manifest edited", spoil_after_chain(text("manifest.json", b"imap", b"IMAP"))),
    Case("M-004", "manifest not ours", ledger(lambda m: m.update(extra=1))),
    Case("M-005", "other archive", ledger(lambda m: m.update(archive_id="x"))),
    Case("M-006", "no line", digests(lambda octets: octets + b"hello\n")),
    Case("M-007", "unsafe path", digests(lambda octets: octets + line("../x"))),
    Case("M-008", "listed and missing", digests(lambda octets: octets + line("mail/x"))),
    Case("M-009", "flipped", spoil_after_chain(text(BLOB, b"not", b"now"))),
    Case("M-010", "left over", spoil_after_chain(put("mail/INBOX/left.eml", b""))),
    Case("M-011", "left over by a run", put("mail/INBOX/left.eml", b""), disk=journal),
    Case("M-012", "slipped in", spoil_after_chain(copied(CARD, "contacts/x.json", uid="x"))),
    Case("M-013", "of the desktop", put("mail/INBOX/.DS_Store", b"")),
    Case("M-014", "listed twice", digests(lambda octets: octets + octets.splitlines(True)[0])),
    Case("M-015", "count wrong", ledger(lambda m: m["files"].update(count=3))),
    Case("M-016", "covers too much", digests(lambda octets: octets + line("index/x"))),
    Case("M-017", "no chain", also(chain, gone("manifest.json"),
         at(A, "archive/portarchive:manifest", ...))),
    Case("M-018", "item of other size", at(FOLDER, "items/0/portarchive:size", 3)),
    Case("M-019", "item of other octets", at(FOLDER, "items/0/portarchive:sha256", "a" * 64)),
    Case("M-020", "fewer archived", ledger(
        lambda m: m["folders"][0].update(archived=1, listed=1))),
    Case("M-021", "not accounted for", ledger(lambda m: m["folders"][0].update(listed=3))),
    Case("M-022", "not complete", ledger(lambda m: m.update(complete=False))),
    Case("M-023", "folder lost", ledger(lambda m: m["folders"].append(
        {"path": "Lost", "listed": 0, "archived": 0}))),
    Case("M-024", "folder unknown", ledger(lambda m: m["folders"].pop())),
    Case("M-025", "failed", ledger(lambda m: (m.update(complete=False), m["folders"][0].update(
        listed=3, failed=[{"uid": "3", "code": "cut", "text": "x", "stored": False}])))),
    Case("M-027", "uids miscounted", ledger(lambda m: m["folders"][0].update(
        listed=4, skipped=[{"reason": "size", "count": 2, "uids": "3:9"}]))),
)  # fmt: skip

MAIL = (
    Case("E-001", "empty", message(b"")),
    Case("E-002", "no header", message(b"\r\nHello\r\n")),
    Case("E-003", "nul", message((MESSAGE % 1) + b"\0\r\n")),
    Case("E-004", "bare cr", message((MESSAGE % 1) + b"a\rb\r\n")),
    Case("E-005", "bare lf", message((MESSAGE % 1) + b"a\nb\r\n")),
    Case("E-006", "long line", message((MESSAGE % 1) + b"a" * 999 + b"\r\n")),
    Case("E-007", "latin1 header", header(b"Subject: caf\xe9\r\n")),
    Case("E-008", "utf-8 header", header("Subject: café\r\n".encode())),
    Case("E-009", "bom", header(b"\xef\xbb\xbf")),
    Case("E-010", "from line", header(b"From jane Tue Nov  3 10:00:00 2026\r\n")),
    Case("E-011", "no date", message(b"From: x\r\n\r\nHello\r\n")),
)

CASES = (*DRAFT, *GAPS, *OWN, *CONTAINERS, *INTEGRITY, *MAIL)
ELSEWHERE = {
    "F-001": "a bug of ours",
    "F-002": "limit of 1 GiB: tested with a smaller one",
    "F-005": "limit of 64 MiB: tested with a smaller one",
    "F-016": "limit of 5,000,000 entries: tested with a smaller one",
    "F-018": "limit of 1 TiB: tested with a smaller one",
    "M-026": "a file that cannot be read: no such thing for root",
}
"""Codes whose archives would be too large to keep, or cannot be kept at all."""

__all__ = ["CASES", "ELSEWHERE", "dumped", "link"]
