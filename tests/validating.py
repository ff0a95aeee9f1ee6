"""One small archive with every type of data, ways to spoil it, and the containers it can be in.

For tests of how the validator works. What it must find, code by code, is in the public corpus.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
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


def chain(files: Files) -> None:
    """Give the files their manifests, as they stand."""
    rest = {"archive.json", "manifest.json", "manifest-sha256.txt"}
    lines = [
        f"{hashlib.sha256(octets).hexdigest()}  {name}\n".encode()
        for name, octets in sorted(files.items())
        if name not in rest
    ]
    files["manifest-sha256.txt"] = digests = b"".join(lines)
    ledger = manifest(files)
    ledger["files"] = link("manifest-sha256.txt", digests) | {"count": len(lines)}
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


def partial(files: Files) -> None:
    """An update of the archive ``base`` in which nothing happened."""
    at("archive.json", "dataset/extent", "PARTIAL")(files)
    at("archive.json", "dataset/portarchive:base_id", "base")(files)
    at(FOLDER, "items", [])(files)
    del files[FIRST], files[SECOND]


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


def tarred(files: Files, path: Path, *more: tarfile.TarInfo) -> Path:
    """As a tar file, archive.json first; ``more``: entries without octets at its end."""
    out = path.with_suffix(".tar")
    with tarfile.open(out, "w") as file:
        for name in sorted(files, key=lambda name: (name != "archive.json", name)):
            info = tarfile.TarInfo(name)
            info.size = len(files[name])
            file.addfile(info, io.BytesIO(files[name]))
        for entry in more:
            file.addfile(entry)
    return out
