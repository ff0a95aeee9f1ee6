"""Bugs planted in the writer: the validator, which knows nothing of it, finds each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import portarchive
from exporting import account, export, mail
from portarchive.archive import batch, digests, folder_file, folder_header, messages, model
from portarchive.connectors.memory import MemorySource
from portarchive.jobs import edition, ledger
from portarchive.validate.report import Report

Plant = Callable[[pytest.MonkeyPatch], None]


def source() -> MemorySource:
    made = account(INBOX=5, Work=3, work=2, Empty=0)
    made.add(mail("seen"), "INBOX", flags=["$seen", "Projekt"])
    return made


def exported(path: Path) -> Report:
    export(source(), path)
    return portarchive.validate(path)


def wrap(owner: Any, name: str, change: Callable[..., Any]) -> Plant:
    """Let ``change(original, *arguments)`` take the place of a function."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        original = getattr(owner, name)
        patch.setattr(owner, name, lambda *args, **kwargs: change(original, *args, **kwargs))

    return plant


def wrong_digest(original: Any, self: Any, sha256: str, path: str) -> None:
    original(self, sha256[::-1] if path.endswith("1.eml") else sha256, path)


def forgotten_line(original: Any, self: Any, sha256: str, path: str) -> None:
    if not path.endswith("folder.json"):
        original(self, sha256, path)


def lost_entry(original: Any, self: Any, lines: Any) -> None:
    original(self, list(lines)[1:])


def size_off_by_one(original: Any, uid: str, name: str, flags: str, date: str, size: int, *more):
    return original(uid, name, flags, date, size + 1, *more)


def same_uid(original: Any, uid: str, *more: Any, **named: Any) -> str:
    return original("1", *more, **named)


def imap_flags(original: Any, uid: str, name: str, flags: str, *more: Any, **named: Any) -> str:
    return original(uid, name, flags.replace("$seen", "\\\\Seen"), *more, **named)


def no_escape(original: Any, uid: str, name: str, flags: str, *more: Any, **named: Any) -> str:
    return original(uid, name, flags.replace("]", ',"a"b"]'), *more, **named)


def dropped_octet(original: Any, self: Any, name: str, body: Any, epoch: Any) -> Any:
    size, digest = original(self, name, body, epoch)
    path = Path(self.name.decode()) / name
    path.write_bytes(path.read_bytes()[:-1])
    return size, digest


def lower_last_uid(original: Any, *args: Any, last_uid: int | None, **named: Any) -> Any:
    return original(*args, last_uid=1 if last_uid else last_uid, **named)


def one_uid_for_all(original: Any, folder: Any, *args: Any, **named: Any) -> Any:
    return original(dataclasses.replace(folder, uid="Mxyz"), *args, **named)


def one_more_listed(original: Any, self: Any) -> dict[str, Any]:
    entry = original(self)
    return {**entry, "listed": entry["listed"] + 1}


def edited_after(original: Any, manifest: dict[str, Any]) -> bytes:
    octets: bytes = original({**manifest, "archive_id": "another"})
    return octets


def one_less_counted(original: Any, self: Any) -> None:
    original(self)
    self.count -= 1


PLANTS: dict[str, tuple[Plant, str]] = {
    "wrong digest": (wrap(digests.DigestsWriter, "line", wrong_digest), "M-009"),
    "forgotten line": (wrap(digests.DigestsWriter, "line", forgotten_line), "M-012"),
    "miscounted lines": (wrap(digests.DigestsWriter, "close", one_less_counted), "M-015"),
    "lost entry": (wrap(folder_file.FolderFileWriter, "entries", lost_entry), "M-020"),
    "size off by one": (wrap(batch.model, "item_line", size_off_by_one), "M-018"),
    "one uid": (wrap(batch.model, "item_line", same_uid), "C-036"),
    "flags of imap": (wrap(batch.model, "item_line", imap_flags), "C-032"),
    "unescaped text": (wrap(batch.model, "item_line", no_escape), "P-003"),
    "octet dropped": (wrap(messages.MessageDirectory, "store", dropped_octet), "M-009"),
    "last_uid": (wrap(folder_header, "build", lower_last_uid), "P-007b"),
    "uid of folders": (wrap(folder_header, "build", one_uid_for_all), "F-041"),
    "ledger adds up": (wrap(ledger.FolderLedger, "to_json", one_more_listed), "M-021"),
    "always complete": (wrap(edition, "is_complete", lambda _original, _entry: False), "M-022"),
    "mixed archives": (wrap(edition, "manifest_text", edited_after), "M-005"),
}


@pytest.mark.parametrize("name", PLANTS)
def test_planted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, code = PLANTS[name]
    plant(monkeypatch)
    report = exported(tmp_path / "a")
    assert report.counts[code], report.counts
    assert not report.counts["F-001"]


def test_nothing_is_found_where_nothing_is_planted(tmp_path: Path) -> None:
    report = exported(tmp_path / "a")
    assert {found.code for found in report.findings} <= {"E-011", "P-004b"}, report.findings
    assert model.DRAFT.endswith("02")
