"""Small archives, right and wrong: one case for every code that the validator can find.

A case starts from ``good()`` (or ``chained()``), spoils one thing, and names the code that must
come of it. The same cases make the public corpus.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Files = dict[str, bytes]
Spoil = Callable[[Files], None]

SCHEMA = "https://id.schemas.pub/o/DTI/PDPArchive/"
FOLDER = "mail/INBOX/folder.json"
CARD, BOOK = "contacts/jane.json", "contacts/book.json"
CALENDAR, EVENT = "calendars/home.json", "calendars/dinner.json"
TASK, NOTE, BLOB = "tasks/tax.json", "notes/list.json", "blob/sketch-1"
FIRST, SECOND = "mail/INBOX/7-0000000001.eml", "mail/INBOX/7-0000000002.eml"
MESSAGE = b"From: jane@example.org\r\nDate: Tue, 3 Nov 2026 10:00:00 +0000\r\n\r\nNumber %d.\r\n"
WHEN = "2026-11-03T10:00:00Z"


def dumped(value: Any) -> bytes:
    """As JSON, with whatever it holds."""
    return json.dumps(value).encode()


def item(uid: int) -> dict[str, Any]:
    """The entry of message ``uid`` of the inbox."""
    octets = MESSAGE % uid
    return {
        "uid": str(uid),
        "filename": f"7-{uid:010d}.eml",
        "flags": ["$seen"],
        "portarchive:received_at": WHEN,
        "portarchive:size": len(octets),
        "portarchive:sha256": hashlib.sha256(octets).hexdigest(),
    }


def folder(name: str, uid: str, items: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A folder.json of an IMAP mailbox."""
    return {
        "$schema": f"{SCHEMA}folder",
        "name": name,
        "uid": uid,
        "uidvalidity": 7,
        "last_uid": 9,
        "is_subscribed": True,
        **more,
        "items": items,
    }


def good() -> Files:
    """An archive of somebody else's with every type of data; nothing is wrong with it."""
    metadata = {
        "$schema": f"{SCHEMA}archive",
        "archive": {
            "id": "b47c1b85-c085-48b9-ae15-cb1b455422cd",
            "name": "A good one",
            "timestamp": WHEN,
            "version": "draft-ietf-mailmaint-pdparchive-02",
            "generator": "another program",
        },
        "dataset": {
            "extent": "FULL",
            "datatypes": ["MAIL", "CONTACTS", "CALENDARS", "TASKS", "NOTES"],
            "languagetag": "en-CA",
            "timezone": "America/Toronto",
        },
        "datasource": {"service": "imaps://imap.example.org", "account": "jane@example.org"},
    }
    common = {"updated": WHEN}
    return {
        "archive.json": dumped(metadata),
        FOLDER: dumped(folder("INBOX", "M1", [item(1), item(2)])),
        FIRST: MESSAGE % 1,
        SECOND: MESSAGE % 2,
        "mail/INBOX/Sub/folder.json": dumped(folder("Sub", "M2", [])),
        BOOK: dumped(
            {"$schema": f"{SCHEMA}address-book", "@type": "AddressBook", "uid": "book", "id": "b1"}
            | {"name": "Friends"} | common
        ),
        CARD: dumped(
            {"$schema": f"{SCHEMA}pdpa-contact", "@type": "Card", "version": "1.0", "uid": "jane"}
            | {"addressBookIds": {"book": True}} | common
        ),
        CALENDAR: dumped(
            {"$schema": f"{SCHEMA}calendar", "@type": "Calendar", "uid": "cal", "name": "Home"}
            | common
        ),
        EVENT: dumped(
            {"$schema": f"{SCHEMA}event", "@type": "Event", "uid": "dinner", "title": "Dinner"}
            | {"start": "2026-11-24T19:00:00", "calendarIds": {"cal": True}} | common
        ),
        TASK: dumped(
            {"$schema": f"{SCHEMA}task", "@type": "Task", "uid": "tax", "title": "Tax"} | common
        ),
        NOTE: dumped(
            {"$schema": f"{SCHEMA}note", "@type": "Note", "uid": "list", "body": "Bread."}
            | {"links": {"1": {"@type": "Link", "rel": "enclosure", "blobId": "sketch-1"}}}
            | common
        ),
        BLOB: b"not really a sketch",
    }  # fmt: skip


def manifest(files: Files) -> dict[str, Any]:
    """The ledger of ``good()``."""
    return {
        "$schema": "urn:portarchive:schema:manifest:1",
        "archive_id": json.loads(files["archive.json"])["archive"]["id"],
        "generator": "another program",
        "created": WHEN,
        "files": {},
        "source": {"protocol": "imap", "service": "imaps://imap.example.org", "account": "jane"},
        "selection": {},
        "folders": [
            {
                "path": path,
                "listed": count,
                "archived": count,
                "skipped": [],
                "vanished": {"count": 0, "uids": ""},
                "failed": [],
            }
            for path, count in (("INBOX", 2), ("INBOX/Sub", 0))
        ],
        "complete": True,
    }


def link(name: str, octets: bytes) -> dict[str, Any]:
    """A link of the chain."""
    return {"path": name, "sha256": hashlib.sha256(octets).hexdigest(), "bytes": len(octets)}


def chain(files: Files, change: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Give the files their manifests, as they stand; ``change`` may spoil manifest.json before."""
    rest = {"archive.json", "manifest.json", "manifest-sha256.txt"}
    lines = [
        f"{hashlib.sha256(octets).hexdigest()}  {name}\n".encode()
        for name, octets in sorted(files.items())
        if name not in rest
    ]
    files["manifest-sha256.txt"] = digests = b"".join(lines)
    ledger = manifest(files)
    ledger["files"] = link("manifest-sha256.txt", digests) | {"count": len(lines)}
    if change is not None:
        change(ledger)
    relink(files, ledger)


def relink(files: Files, ledger: dict[str, Any]) -> None:
    """Write manifest.json, and the link of archive.json to it."""
    files["manifest.json"] = dumped(ledger)
    metadata = json.loads(files["archive.json"])
    metadata["archive"]["portarchive:manifest"] = link("manifest.json", files["manifest.json"])
    files["archive.json"] = dumped(metadata)


def chained() -> Files:
    """``good()`` with its chain."""
    files = good()
    chain(files)
    return files


# --- spoiling -------------------------------------------------------------------------------------


def at(name: str, pointer: str, value: Any) -> Spoil:
    """Put a value at ``a/b/0`` of a document; Ellipsis takes the member away."""

    def spoil(files: Files) -> None:
        document = inner = json.loads(files[name])
        *way, last = pointer.split("/")
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


def text(name: str, old: bytes, new: bytes) -> Spoil:
    """Other octets in a file."""

    def spoil(files: Files) -> None:
        assert old in files[name]
        files[name] = files[name].replace(old, new, 1)

    return spoil


def also(*spoils: Spoil) -> Spoil:
    """One after the other."""

    def spoil(files: Files) -> None:
        for one in spoils:
            one(files)

    return spoil


def ledger(change: Callable[[dict[str, Any]], None]) -> Spoil:
    """A chain that holds over a manifest.json that is wrong."""
    return lambda files: chain(files, change)


def added(name: str, value: dict[str, Any]) -> Spoil:
    """A document more."""
    return put(name, dumped(value))


def copied(name: str, other: str, **members: Any) -> Spoil:
    """A document a second time, with some other members."""

    def spoil(files: Files) -> None:
        files[other] = dumped(json.loads(files[name]) | members)

    return spoil


def digests(change: Callable[[bytes], bytes]) -> Spoil:
    """A chain that holds over a manifest-sha256.txt that is wrong."""

    def spoil(files: Files) -> None:
        chain(files)
        files["manifest-sha256.txt"] = octets = change(files["manifest-sha256.txt"])
        document = json.loads(files["manifest.json"])
        document["files"] |= link("manifest-sha256.txt", octets)
        document["files"]["count"] = octets.count(b"\n")
        relink(files, document)

    return spoil


@dataclass(frozen=True)
class Case:
    """One thing that is wrong.

    Attributes:
        code: what must be found.
        what: in a few words, for a file name.
        spoil: makes it so, starting from ``good()``.
        pack: None for a directory, else what makes the container at a path from the files.
        base: what makes the base of a partial archive, if the case needs one.
        disk: something that only a file system can have.
    """

    code: str
    what: str
    spoil: Spoil = lambda files: None
    pack: Callable[[Files, Path], Path] | None = None
    base: Spoil | None = None
    disk: Callable[[Path], None] | None = None


def write(files: Files, root: Path) -> Path:
    """As a directory."""
    for name, octets in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets)
    return root


def zipped(files: Files, path: Path) -> Path:
    """As a ZIP file, archive.json first."""
    out = path.with_suffix(".zip")
    with zipfile.ZipFile(out, "w") as file:
        for name in sorted(files, key=lambda name: (name != "archive.json", name)):
            file.writestr(zipfile.ZipInfo(name), files[name])
    return out


def zip_with(change: Callable[[bytearray], None]) -> Callable[[Files, Path], Path]:
    """A ZIP file whose octets are changed afterwards."""

    def pack(files: Files, path: Path) -> Path:
        out = zipped(files, path)
        octets = bytearray(out.read_bytes())
        change(octets)
        out.write_bytes(octets)
        return out

    return pack


def zip_more(*entries: tuple[zipfile.ZipInfo, bytes]) -> Callable[[Files, Path], Path]:
    """A ZIP file with entries that no program of ours would write."""

    def pack(files: Files, path: Path) -> Path:
        out = zipped(files, path)
        with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(out, "a") as file:
            for info, octets in entries:
                file.writestr(info, octets)
        return out

    return pack


def named(name: str, **fields: int) -> zipfile.ZipInfo:
    """A ZIP entry with some fields set."""
    info = zipfile.ZipInfo("x")
    info.filename = name
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def tarred(*entries: tarfile.TarInfo, cut: int = 0) -> Callable[[Files, Path], Path]:
    """A tar file with entries more, or ``cut`` octets short."""

    def pack(files: Files, path: Path) -> Path:
        out = path.with_suffix(".tar")
        with tarfile.open(out, "w") as file:
            for name in sorted(files, key=lambda name: (name != "archive.json", name)):
                info = tarfile.TarInfo(name)
                info.size = len(files[name])
                file.addfile(info, io.BytesIO(files[name]))
            for entry in entries:
                file.addfile(entry)
        if cut:
            out.write_bytes(out.read_bytes()[:-cut])
        return out

    return pack


def tar_entry(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    """A tar entry without octets."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


def central(octets: bytearray, name: str) -> int:
    """Where the central directory's entry of a name is."""
    at = octets.index(b"PK\x01\x02")
    while octets[at + 46 : at + 46 + len(name)] != name.encode():
        at = octets.index(b"PK\x01\x02", at + 1)
    return at


def set_field(name: str, offset: int, size: int, value: int) -> Callable[[bytearray], None]:
    """Set a field of the central directory."""

    def change(octets: bytearray) -> None:
        where = central(octets, name) + offset
        octets[where : where + size] = value.to_bytes(size, "little")

    return change


def share(octets: bytearray) -> None:
    """Make one entry a second way to the octets of another."""
    source, target = central(octets, FIRST), central(octets, SECOND)
    offset = octets[source + 42 : source + 46]
    local = struct.unpack_from("<L", octets, source + 42)[0]
    octets[target : target + 46] = octets[source : source + 46]
    octets[target + 46 : target + 46 + len(FIRST)] = FIRST.encode()
    octets[target + 42 : target + 46] = offset
    assert octets[local : local + 4] == b"PK\x03\x04"


def symlink(path: Path) -> None:
    (path / "mail/INBOX/more.eml").symlink_to("/etc/hostname")


def pipe(path: Path) -> None:
    os.mkfifo(path / "mail/INBOX/more.eml")


def not_utf8(path: Path) -> None:
    (path / os.fsdecode(b"mail/INBOX/caf\xe9.eml")).write_bytes(b"")


def journal(path: Path) -> None:
    (path / ".portarchive").mkdir()
    (path / ".portarchive/journal").write_bytes(b"")
