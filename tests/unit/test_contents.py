"""The contents of archives: ours, in every container, and those of the corpus."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import archive_facts
from exporting import account, export, mail
from portarchive.archive.contents import Contents, Extent, Item, open_contents
from portarchive.archive.dialect import QUIRKS
from portarchive.archive.tree import Limits
from portarchive.connectors.memory import MemorySource
from portarchive.errors import (
    ArchiveError,
    Damaged,
    DigestMismatch,
    NotAnArchive,
    StorageFailed,
    Unfinished,
)

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "samples/archive"
CORPUS = ROOT / "tests/corpus"
CASES = sorted(path.parent for path in CORPUS.glob("*/*/*/expected.json"))


def told(case: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((case / "expected.json").read_bytes())
    return value


def opened(case: Path) -> Contents:
    about = told(case)
    limits = dataclasses.replace(Limits(), **about.get("limits", {}))
    return open_contents(case / about["archive"], limits)


def facts(contents: Contents) -> dict[str, list[tuple[Item, bytes]]]:
    """All that an archive holds, by folder."""
    return {
        folder.path: [
            (item, contents.octets(item))
            for kept in (False, True)
            for item in contents.items(folder, kept)
        ]
        for folder in contents.folders()
    }


def zipped(tree: Path, to: Path) -> Path:
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as out:
        for file in sorted(tree.rglob("*")):
            out.write(file, file.relative_to(tree))
    return to


def tarred(mode: str) -> Callable[[Path, Path], Path]:
    def make(tree: Path, to: Path) -> Path:
        with tarfile.open(to, f"w:{mode}") as out:
            out.add(tree, ".")
        return to

    return make


def zstandard(tree: Path, to: Path) -> Path:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    plain = tarred("")(tree, to.with_suffix(".plain"))
    to.write_bytes(zstd.compress(plain.read_bytes()))
    return to


CONTAINERS = {
    ".zip": zipped,
    ".pdpa": zipped,
    ".tar": tarred(""),
    ".tar.gz": tarred("gz"),
    ".tar.zst": zstandard,
}


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """An export with flags, kept messages, a message in two folders, and a parent without mail."""
    source = account("ids", INBOX=4, Sent=2)
    source.create_folder("Sub/Deep")
    source.add(mail("INBOX-1"), "Sub/Deep", flags=["\\Seen", "Work"])
    export(source, tmp_path / "ours")
    source.expunge("INBOX", 3)
    export(source, tmp_path / "ours")
    return tmp_path / "ours"


def test_the_sample_is_what_it_is_without_us() -> None:
    known = archive_facts.read(SAMPLE)
    with open_contents(SAMPLE) as contents:
        assert contents.kind == "directory"
        assert contents.dialect == "ietf-02"
        assert contents.fingerprint == known.fingerprint
        assert contents.archive_id == known.archive["archive"]["id"]
        assert contents.extent is Extent.FULL
        assert contents.selection == {}
        assert contents.service == "imaps://imap.example.org:993"
        assert contents.account == "jane@example.org"
        assert contents.protocol == contents.id_namespace == "imap"
        assert contents.quirks == ()
        assert contents.unchanged()
        folders = contents.folders()
        assert {folder.path for folder in folders} == known.headers.keys()
        assert [f.path.encode() for f in folders] == sorted(f.path.encode() for f in folders)
        for folder in folders:
            header = known.headers[folder.path]
            assert folder.names[-1] == header.get("original_name", header["name"])
            assert folder.header == header
            assert folder.uidvalidity == header.get("uidvalidity")
            assert folder.subscribed == header.get("is_subscribed")
            assert folder.selectable == (header.get("portarchive:noselect") is not True)
            items = list(contents.items(folder))
            assert [(i.uid, i.flags, i.received.text, i.sha256) for i in items] == [
                tuple(item) for item in known.items[folder.path]
            ]
            for item in items:
                octets = contents.octets(item)
                assert octets == (SAMPLE / item.member).read_bytes()
                assert b"".join(contents.chunks(item, 100)) == octets
                assert item.size == len(octets)
                assert item.received_from == "archive"
        roles = {role: folder.path for folder in folders for role in folder.roles}
        assert roles["inbox"] == "INBOX"
        assert roles["trash"] == "Trash"


@pytest.mark.parametrize("single_copy", [False, True], ids=["links", "single-copy"])
def test_what_was_exported_comes_back(tmp_path: Path, single_copy: bool) -> None:
    source = account("ids", INBOX=3, Later=2)
    for number in (1, 2):
        source.copy("INBOX", number, "Later")
    export(source, tmp_path / "a", single_copy=single_copy)
    with open_contents(tmp_path / "a") as contents:
        found = {
            tuple(folder.names): {
                item.uid: (item.flags, contents.octets(item)) for item in contents.items(folder)
            }
            for folder in contents.folders()
        }
        members = [i.member for folder in contents.folders() for i in contents.items(folder)]
    assert found == source.contents()
    assert (len(set(members)) < len(members)) == single_copy


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_every_container_holds_the_same(ours: Path, tmp_path: Path, suffix: str) -> None:
    packed = CONTAINERS[suffix](ours, tmp_path / f"packed{suffix}")
    with open_contents(ours) as plain, open_contents(packed) as contents:
        assert contents.kind == ("zip" if suffix in {".zip", ".pdpa"} else "tar")
        assert facts(contents) == facts(plain)
        assert contents.folders() == plain.folders()
        assert contents.fingerprint == plain.fingerprint
        assert contents.manifest == plain.manifest
        assert contents.quirks == ()
        assert contents.unchanged()
        packed.touch()
        os.utime(packed, ns=(1, 1))
        assert not contents.unchanged()


@pytest.mark.parametrize("suffix", ["", *CONTAINERS])
def test_nothing_is_written(
    ours: Path, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = CONTAINERS[suffix](ours, tmp_path / f"packed{suffix}") if suffix else ours
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)

    def look() -> list[tuple[str, int, int]]:
        return [
            (str(file), file.lstat().st_mtime_ns, file.lstat().st_size)
            for file in sorted(tmp_path.rglob("*"))
            if file != temporary
        ]

    before = look()
    with open_contents(path) as contents:
        facts(contents)
        assert look() == before
    assert look() == before


def test_several_messages_may_be_read_by_turns(ours: Path, tmp_path: Path) -> None:
    for suffix, make in CONTAINERS.items():
        with open_contents(make(ours, tmp_path / f"turns{suffix}")) as contents:
            inbox = next(folder for folder in contents.folders() if folder.path == "INBOX")
            items = list(contents.items(inbox))
            streams = [contents.chunks(item, 7) for item in items]
            read = [b""] * len(items)
            for _ in range(200):
                for number, stream in enumerate(streams):
                    read[number] += next(stream, b"")
            assert read == [contents.octets(item) for item in items]


def test_kept_messages_are_apart(ours: Path) -> None:
    with open_contents(ours) as contents:
        inbox = next(folder for folder in contents.folders() if folder.path == "INBOX")
        assert [item.uid for item in contents.items(inbox)] == ["1", "2", "4"]
        (kept,) = contents.items(inbox, kept=True)
        assert kept.uid == "3"
        assert kept.kept
        assert contents.octets(kept) == mail("INBOX-3")


def test_names_flags_and_parents(ours: Path) -> None:
    with open_contents(ours) as contents:
        folders = {folder.path: folder for folder in contents.folders()}
        assert folders["Sub/Deep"].names == ("Sub", "Deep")
        assert not folders["Sub"].selectable
        (item,) = contents.items(folders["Sub/Deep"])
        assert item.flags == ("$seen", "Work")
        assert folders["INBOX"].roles == ("inbox",)


# --- the corpus ---------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: "/".join(case.parts[-3:]))
def test_the_corpus_opens_or_says_why_not(case: Path) -> None:
    """What ``validate`` accepts opens and gives its items; the rest does too, or one error."""
    about = told(case)
    codes = {one["code"] for one in about["findings"]}
    try:
        contents = opened(case)
    except ArchiveError as error:
        assert case.parts[-3] == "bad", error
        assert "\n" not in error.text
        return
    with contents:
        assert contents.dialect == about["dialect"]
        for folder in contents.folders():
            for kept in (False, True):
                for item in contents.items(folder, kept):
                    try:
                        assert b"".join(contents.chunks(item)) == contents.octets(item)
                    except Damaged:
                        absent = {"C-045", "C-028", "F-060", "F-066"}  # octets lie in a base
                        assert case.parts[-3] == "bad" or codes & absent or "base" in about
        if case.parts[-3] != "bad":
            shows = {quirk.name: quirk.code for quirk in QUIRKS}
            of_mail = {*shows.values()} - {"C-050", "C-053", "C-070"}
            quirks = {*contents.quirks}
            if "P-006b" in codes:
                quirks -= {"no-folder-file"}  # its files are read; validate has a code of its own
            assert {shows[name] for name in quirks} == codes & of_mail


def test_the_oldest_dialect() -> None:
    with opened(CORPUS / "warn/happel-00/F-070_minimal") as contents:
        (folder,) = contents.folders()
        assert folder.names == ("INBOX",)
        assert folder.roles == ("inbox",)
        assert "uids" not in folder.header
        items = list(contents.items(folder))
        assert [(item.uid, item.flags) for item in items] == [("1", ("$seen",)), ("2", ())]
        assert {item.received_from for item in items} == {"date-field"}
        assert not list(contents.items(folder, kept=True))


# --- archives that are not whole ----------------------------------------------------------------


def test_no_archive_and_unfinished(tmp_path: Path) -> None:
    with pytest.raises(NotAnArchive):
        open_contents(tmp_path / "nothing")
    with pytest.raises(NotAnArchive):
        open_contents(tmp_path)
    (tmp_path / "text").write_bytes(b"hello")
    with pytest.raises(NotAnArchive):
        open_contents(tmp_path / "text")
    (tmp_path / ".portarchive").mkdir()
    with pytest.raises(Unfinished) as caught:
        open_contents(tmp_path)
    assert caught.value.exit_code == 16


@pytest.mark.parametrize("name", ["manifest.json", "manifest-sha256.txt", "mail/INBOX/folder.json"])
@pytest.mark.parametrize("suffix", ["", ".zip", ".tar"])
def test_a_chain_that_does_not_hold(ours: Path, tmp_path: Path, name: str, suffix: str) -> None:
    for number, change in enumerate((lambda octets: octets + b"\n", None)):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(ours, copy)
        if change is None:
            (copy / name).unlink()
        else:
            (copy / name).write_bytes(change((copy / name).read_bytes()))
        path = CONTAINERS[suffix](copy, tmp_path / f"c{number}{suffix}") if suffix else copy
        with pytest.raises(Damaged) as caught:
            open_contents(path)
        assert caught.value.code == "chain-broken"
        assert caught.value.exit_code == 16


def test_a_folder_that_is_in_no_manifest(ours: Path) -> None:
    shutil.copytree(ours / "mail/Sent", ours / "mail/Put")
    with pytest.raises(Damaged, match="in no manifest"):
        open_contents(ours)


def test_octets_that_are_missing_or_changed(ours: Path) -> None:
    with open_contents(ours) as contents:
        inbox = next(folder for folder in contents.folders() if folder.path == "INBOX")
        first, second, third = contents.items(inbox)
        (ours / first.member).unlink()
        octets = contents.octets(second)
        (ours / second.member).unlink()  # it may be a hard link
        (ours / second.member).write_bytes(octets.replace(b"INBOX", b"outbX"))
        (ours / third.member).unlink()
        (ours / third.member).symlink_to(SAMPLE / "archive.json")
        assert len(list(contents.items(inbox))) == 3
        for item, error in ((first, Damaged), (second, DigestMismatch), (third, Damaged)):
            with pytest.raises(error):
                contents.octets(item)
            with pytest.raises(error):
                b"".join(contents.chunks(item))
        assert contents.octets(second, verify=False) != octets
        assert b"".join(contents.chunks(second, verify=False)) != octets


def test_an_export_in_between_shows(tmp_path: Path) -> None:
    source = MemorySource()
    source.add(mail("one"), "INBOX")
    export(source, tmp_path / "a")
    with open_contents(tmp_path / "a") as contents:
        assert contents.unchanged()
        source.add(mail("two"), "INBOX")
        export(source, tmp_path / "a")
        assert not contents.unchanged()


def test_no_room_to_unpack(ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = CONTAINERS[".tar.gz"](ours, tmp_path / "a.tar.gz")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(StorageFailed) as caught:
        open_contents(packed)
    assert caught.value.exit_code == 15
    assert "TMPDIR" in (caught.value.hint or "")
