"""The validator: over a whole archive beside ``sha256sum -c``, and over one huge folder.json.

Both judge octets that are in the page cache. A run that does not say that it saw every message
and found no error is void.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from measure import Run, RunFailedError, run
from peers import PORTARCHIVE, remove

_EMPTY = hashlib.sha256(b"").hexdigest()
_SCHEMA = "https://id.schemas.pub/o/DTI/PDPArchive/"


def validate(archive: Path, level: str, messages: int, *, watch_memory: bool = False) -> Run:
    """``portarchive validate --level``.

    Raises:
        RunFailedError: it found an error, or did not see every message.
    """
    argv = [PORTARCHIVE, "validate", archive, "--level", level, "--json"]
    made = run(argv, watch_memory=watch_memory)
    told = json.loads(made.stdout)
    seen = told.get("messages")
    if seen != messages or told.get("level") != level:
        raise RunFailedError(f"validate saw {seen} of {messages} messages, level {level}")
    return made


def sha256sum(archive: Path) -> Run:
    """``sha256sum -c`` over the same files, which is one process.

    Raises:
        RunFailedError: a file differs.
    """
    return run(["env", "-C", archive, "sha256sum", "-c", "--quiet", "manifest-sha256.txt"])


def write_folder(archive: Path, items: int) -> int:
    """An archive of one folder whose items have all members that a server can give them.

    Their files are there, and empty: they are looked up, compared in size, and not opened by
    ``--level structure``.

    Returns:
        The octets of folder.json.
    """
    remove(archive)
    inbox = archive / "mail/INBOX"
    inbox.mkdir(parents=True)
    about = {
        "id": "8c0a2f1e-6a55-4b0e-9f5e-1c9a1c1f0f11",
        "name": "One huge folder",
        "timestamp": "2026-11-24T12:00:00Z",
        "version": "draft-ietf-mailmaint-pdparchive-02",
        "generator": "bench",
    }
    dataset = {
        "extent": "FULL",
        "datatypes": ["MAIL"],
        "languagetag": "en",
        "timezone": "Etc/UTC",
    }
    source = {"service": "imaps://imap.example.org", "account": "jane@example.org"}
    whole = {
        "$schema": f"{_SCHEMA}archive",
        "archive": about,
        "dataset": dataset,
        "datasource": source,
    }
    (archive / "archive.json").write_text(json.dumps(whole), encoding="utf-8")
    flags = (["$seen"], ["$seen", "$answered"], [], ["$seen", "$flagged", "Projekt"])
    head = {
        "$schema": f"{_SCHEMA}folder",
        "name": "INBOX",
        "uid": "INBOX",
        "uidvalidity": 1_700_000_000,
        "last_uid": 2 * items,
        "is_subscribed": True,
    }
    path = inbox / "folder.json"
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(head)[:-1] + ',"items":[\n')
        for number in range(items):
            uid = 2 * number + 1  # every other one was expunged
            minute = f"{number // 60 % 24:02d}:{number % 60:02d}"
            name = f"1700000000-{uid:010d}.eml"
            (inbox / name).touch()
            entry = {
                "uid": str(uid),
                "filename": name,
                "flags": flags[number % 4],
                "portarchive:received_at": f"2025-{number % 12 + 1:02d}-17T{minute}:31+02:00",
                "portarchive:size": 0,
                "portarchive:sha256": _EMPTY,
                "portarchive:email_id": f"M{number:032x}",
                "portarchive:thread_id": f"T{number // 3:020x}",
                "portarchive:labels": ["\\Inbox"],
            }
            file.write(json.dumps(entry, separators=(",", ":")))
            file.write(",\n" if number < items - 1 else "\n]}\n")
    return path.stat().st_size
