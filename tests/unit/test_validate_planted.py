"""Bugs that a writer might have, each planted in ours, and each found by what it leaves behind.

With those of the archive everything that hashes and counts comes after the bug, so that chain,
digests and ledger agree with what was written: only what the archive says shows it. Those of the
bookkeeping are in what hashes and counts.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import portarchive
from exporting import export
from portarchive import keywords
from portarchive.archive import (
    batch,
    digests,
    folder_file,
    folder_header,
    layout,
    messages,
    model,
    publish,
    stage,
)
from portarchive.connectors.memory import MemorySource
from portarchive.errors import Damaged, UnsafePath
from portarchive.jobs import edition, ledger
from portarchive.records import Failure
from portarchive.validate.codes import Severity, all_codes
from portarchive.validate.report import Report

Plant = Callable[[pytest.MonkeyPatch], None]
Entry = dict[str, Any]


def mail(number: int) -> bytes:
    head = f"From: jane@example.org\r\nDate: Tue, 3 Nov 2026 10:00:0{number} +0000\r\n"
    return f"{head}Subject: {number}\r\n\r\nNumber {number}.\r\n".encode()


def exported(path: Path) -> Report:
    """Two runs: between them two messages go, and another comes that cannot be had."""
    source = MemorySource()
    for name in ("Work", "work", "Up/Down", "Größe"):
        source.create_folder(name, roles=["sent"] if name == "Work" else [])
    for number, name in enumerate(("INBOX", "INBOX", "INBOX", "Work", "work", "Up/Down")):
        source.add(mail(number), name, flags=["$seen", "Projekt"])
    source.add(mail(6), flags=["$draft"])
    export(source, path)
    source.expunge("INBOX", 1, 4)
    source.answer(source.add(mail(7)), Failure("server-refused", "NO"))
    with contextlib.suppress(Damaged, UnsafePath):  # some bugs our own reader does not get over
        export(source, path)
    return portarchive.validate(path)


def wrap(owner: Any, name: str, change: Callable[..., Any]) -> Plant:
    """Let ``change(original, *arguments)`` take the place of a function."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        original = getattr(owner, name)
        patch.setattr(owner, name, lambda *args, **kwargs: change(original, *args, **kwargs))

    return plant


def entries(change: Callable[[Entry], Entry]) -> Plant:
    """Change every entry of a folder.json as it is written."""

    def written(original: Any, self: Any, block: list[bytes]) -> None:
        original(self, [model.dumps(change(json.loads(line))).encode() for line in block])

    return wrap(folder_file.FolderFileWriter, "_entries", written)


def header(change: Callable[[Entry], Entry]) -> Plant:
    """Change the header of every folder.json as it is written."""
    return wrap(model, "ordered_header", lambda original, value: change(original(value)))


def without(name: str) -> Callable[[Entry], Entry]:
    return lambda value: {member: inner for member, inner in value.items() if member != name}


def kept_among_items(original: Any, self: Any, member: str) -> None:
    if member != model.KEPT:
        original(self, member)


def first_item_lost(original: Any, self: Any, journal: Any) -> Iterator[bytes]:
    lines = original(self, journal)
    if self.path == "INBOX":
        next(lines, None)
    return lines


def lines_of_unix(original: Any, self: Any, name: str, body: Any, epoch: Any) -> Any:
    class Converted:
        octets = (body.octets or b"".join(body.chunks())).replace(b"\r\n", b"\n")

    return original(self, name, Converted(), epoch)


def no_parent(original: Any, found: Any, state: Any, folder: Any) -> None:
    if folder.selectable:
        original(found, state, folder)


def leaf_not_written(original: Any, self: Any, state: Any, digests: Any) -> None:
    line = digests.line
    if state.path == "Work":
        digests.line = lambda digest, path: path.endswith("folder.json") or line(digest, path)
    original(self, state, digests)
    if state.path == "Work":
        digests.line = line
        self._out.staging.withdraw()


def digest_before_the_last_line(original: Any, found: Any, archive_id: str, text: bytes) -> Any:
    return original(found, archive_id, text[:-1])


def nothing_dropped(original: Any, root: Path, redo: Entry, *more: Any) -> None:
    original(root, redo | {"drops": []}, *more)


def in_latin1(original: Any, self: Any, octets: bytes) -> None:
    original(self, octets.decode().encode("latin-1"))


def same_directory(_original: Any, children: list[str], _published: Any) -> dict[str, str]:
    return {child: child for child in children}


def numbered_from(entry: Entry) -> Entry:
    return entry | {"uid": int(entry["uid"])}


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


def one_uid_for_all(original: Any, states: Any) -> None:
    original(states)
    for state in states:
        if state.header is not None:
            state.header = model.ordered_header({**state.header, "uid": "Mxyz"})


def one_more_listed(original: Any, self: Any) -> dict[str, Any]:
    entry = original(self)
    return {**entry, "listed": entry["listed"] + 1}


def edited_after(original: Any, manifest: dict[str, Any]) -> bytes:
    octets: bytes = original({**manifest, "archive_id": "another"})
    return octets


def one_less_counted(original: Any, self: Any) -> None:
    original(self)
    self.count -= 1


OF_THE_BOOKKEEPING: dict[str, tuple[Plant, str]] = {
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
    "uid of folders": (wrap(folder_header, "settle_ids", one_uid_for_all), "F-041"),
    "ledger adds up": (wrap(ledger.FolderLedger, "to_json", one_more_listed), "M-021"),
    "mixed archives": (wrap(edition, "manifest_text", edited_after), "M-005"),
}
OF_THE_ARCHIVE: dict[str, tuple[Plant, str]] = {
    "a kept message among the items": (
        wrap(folder_file.FolderFileWriter, "section", kept_among_items), "M-020"),
    "an item lost in the merge": (
        wrap(stage.FolderState, "merged_items", first_item_lost), "M-020"),
    "complete with a failure": (wrap(edition, "is_complete", lambda *_: True), "M-022"),
    "the digest of other octets in the chain": (
        wrap(edition, "_archive_json", digest_before_the_last_line), "M-003"),
    "CRLF lost": (wrap(messages.MessageDirectory, "store", lines_of_unix), "E-005"),
    "no folder.json in a parent": (wrap(edition, "_settle_parent", no_parent), "P-006b"),
    "no folder.json in a leaf": (wrap(stage.Stager, "_folder", leaf_not_written), "P-006"),
    "no folder.json of the ledger": (wrap(stage.Stager, "_folder", leaf_not_written), "M-023"),
    "an absolute file name": (
        entries(lambda entry: entry | {"filename": "/" + entry["filename"]}), "C-035"),
    "a file name with ..": (
        entries(lambda entry: entry | {"filename": "../../../" + entry["filename"]}), "C-035"),
    "flags left out": (entries(without("flags")), "F-053"),
    "a flag of the session": (
        entries(lambda entry: entry | {"flags": [*entry["flags"], "\\Recent"]}), "F-052"),
    "flags that differ in case": (
        entries(lambda entry: entry | {"flags": ["Projekt", "projekt"]}), "F-051"),
    "a date of IMAP": (
        entries(lambda entry: entry | {model.RECEIVED_AT: "03-Nov-2026 10:00:00 +0000"}), "F-032"),
    "a date left out": (entries(without(model.RECEIVED_AT)), "F-054"),
    "uids as numbers": (entries(numbered_from), "P-014"),
    "the size of characters": (
        entries(lambda entry: entry | {model.SIZE: entry[model.SIZE] - 1}), "M-018"),
    "the digest of nothing": (
        entries(lambda entry: entry | {model.SHA256: "e3b0c442" + entry[model.SHA256][8:]}),
        "M-019"),
    "uidvalidity left out": (header(without("uidvalidity")), "P-008"),
    "uidvalidity a string": (header(lambda value: value | {"uidvalidity": "7"}), "P-008b"),
    "a folder's uid with a delimiter": (header(lambda value: value | {"uid": "a.b"}), "P-012"),
    "no name": (header(without("name")), "C-020"),
    "special use without a backslash": (
        wrap(keywords, "special_use", lambda original, roles: (original(roles) or "")[1:] or None),
        "C-026"),
    "headers in Latin-1": (wrap(folder_file.FolderFileWriter, "_put", in_latin1), "P-003b"),
    "twins in one directory": (wrap(layout, "assign", same_directory), "F-014"),
    "files that stay behind": (wrap(publish, "_carry_out", nothing_dropped), "M-010"),
    "a local time": (
        wrap(edition, "utc", lambda original, moment: original(moment).rstrip("Z")), "F-030"),
    "a manifest of another form": (
        lambda patch: patch.setattr(model, "MANIFEST_SCHEMA", "urn:portarchive:schema:manifest:0"),
        "M-004"),
}  # fmt: skip
PLANTS = OF_THE_BOOKKEEPING | OF_THE_ARCHIVE


@pytest.mark.parametrize("name", PLANTS)
def test_found(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, code = PLANTS[name]
    plant(monkeypatch)
    report = exported(tmp_path / "a")
    assert report.counts[code], report.counts
    assert not report.counts["F-001"]
    if all_codes()[code].severity is Severity.ERROR:
        assert not report.ok


def test_nothing_is_found_where_nothing_is_planted(tmp_path: Path) -> None:
    report = exported(tmp_path / "a")
    assert set(report.counts) == {"C-021", "M-025"}, report.findings
    assert report.ok
