"""The reader: a valid archive, an unfinished one, none, or damage; and it writes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import archive_facts
from exporting import account, export, mail
from portarchive.archive.reader import ArchiveReader
from portarchive.connectors.memory import Fault
from portarchive.errors import (
    ConnectionLost,
    Damaged,
    ExitCode,
    NotAnArchive,
    Unfinished,
    UnsafePath,
)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    source = account("ids", INBOX=3)
    source.create_folder("A/B c")
    source.add(mail("deep"), "A/B c", flags=["$seen"])
    source.expunge("INBOX", 2)
    export(source, tmp_path / "a")
    source.expunge("INBOX", 1)
    export(source, tmp_path / "a")
    return tmp_path / "a"


def test_what_is_in_it(archive: Path) -> None:
    reader = ArchiveReader.open(archive)
    assert reader.fingerprint == archive_facts.sha256((archive / "archive.json").read_bytes())
    assert reader.manifest is not None
    assert reader.manifest["complete"]
    folders = reader.folders()
    assert [(folder.path, folder.names) for folder in folders] == [
        ("A", ("A",)),
        ("A/B c", ("A", "B c")),
        ("INBOX", ("INBOX",)),
    ]
    (item,) = folders[1].items()
    assert (archive / folders[1].file_of(item)).read_bytes() == mail("deep")
    assert [entry["uid"] for entry in folders[2].items()] == ["3"]
    assert [entry["uid"] for entry in folders[2].kept()] == ["1"]
    assert list(folders[2].placeholders()) == []
    checked = list(reader.check_digests())
    assert all(problem is None for _, _, problem in checked)
    assert len(checked) == 3 + 3
    assert sum(octets for path, octets, _ in checked if path.endswith(".eml")) == sum(
        path.stat().st_size for path in archive.rglob("*.eml")
    )


def test_it_writes_nothing(archive: Path) -> None:
    before = archive_facts.files(archive, private=True)
    for path in [archive, *archive.rglob("*")]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    reader = ArchiveReader.open(archive)
    for folder in reader.folders():
        assert list(folder.items()) is not None
    assert len(list(reader.check_digests())) == 6
    assert reader.unchanged()
    assert archive_facts.files(archive, private=True) == before
    for path in [archive, *archive.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)


def test_somebody_publishes_meanwhile(archive: Path) -> None:
    reader = ArchiveReader.open(archive)
    (archive / "archive.json").write_text("{}", "utf-8")
    assert not reader.unchanged()
    (archive / "archive.json").unlink()
    assert not reader.unchanged()


@pytest.mark.parametrize(
    "make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_bytes(b"")]
)
def test_no_archive(tmp_path: Path, make) -> None:
    make(tmp_path / "x")
    with pytest.raises(NotAnArchive) as caught:
        ArchiveReader.open(tmp_path / "x")
    assert caught.value.exit_code == ExitCode.NO_ARCHIVE


def test_unfinished(tmp_path: Path) -> None:
    source = account("lists", INBOX=3)
    source.faults.append(Fault(where="fetch", error=ConnectionLost("x"), after=1))
    with pytest.raises(ConnectionLost):
        export(source, tmp_path / "a", retry=False)
    with pytest.raises(Unfinished) as caught:
        ArchiveReader.open(tmp_path / "a")
    assert caught.value.exit_code == ExitCode.UNFINISHED
    assert "again" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["manifest.json", "manifest-sha256.txt"])
def test_a_chain_that_does_not_hold(archive: Path, name: str) -> None:
    whole = (archive / name).read_bytes()
    for octets in (b"", whole[:-1], whole + b"\n", whole.replace(b"a", b"b", 1)):
        (archive / name).write_bytes(octets)
        with pytest.raises(Damaged) as caught:
            ArchiveReader.open(archive)
        assert caught.value.exit_code == ExitCode.UNFINISHED
    (archive / name).unlink()
    with pytest.raises(Damaged, match="missing"):
        ArchiveReader.open(archive)


@pytest.mark.parametrize(
    "link",
    [
        None,
        {},
        {"path": "../x", "sha256": "0", "bytes": 1},
        {"path": "archive.json", "sha256": "0", "bytes": 1},
        {"path": "manifest.json", "sha256": "0", "bytes": "x"},
        [],
        "manifest.json",
    ],
)
def test_a_link_to_nowhere(archive: Path, link: object) -> None:
    value = json.loads((archive / "archive.json").read_bytes())
    value["archive"]["portarchive:manifest"] = link
    (archive / "archive.json").write_text(json.dumps(value), "utf-8")
    if link is None:  # as another program writes it: no chain, no manifest
        assert ArchiveReader.open(archive).manifest is None
        return
    with pytest.raises(Damaged):
        ArchiveReader.open(archive)


@pytest.mark.parametrize("octets", [b"", b"{", b"[]", b"{}", b'{"archive":[]}', b"\xff", b"null"])
def test_an_archive_json_that_is_none(archive: Path, octets: bytes) -> None:
    (archive / "archive.json").write_bytes(octets)
    with pytest.raises(Damaged):
        ArchiveReader.open(archive)


def test_every_damage_to_a_file_is_named(archive: Path) -> None:
    reader = ArchiveReader.open(archive)
    for path, _, _ in list(reader.check_digests()):
        whole = (archive / path).read_bytes()
        for octets in (whole[:-1], whole + b" ", bytes([whole[0] ^ 1]) + whole[1:]):
            (archive / path).write_bytes(octets)
            wrong = [name for name, _, problem in reader.check_digests() if problem is not None]
            assert wrong == [path]
        (archive / path).unlink()
        (problem,) = [p for _, _, p in reader.check_digests() if p is not None]
        assert "cannot be read" in str(problem)
        (archive / path).write_bytes(whole)


def test_links_and_paths_that_lead_out(archive: Path, tmp_path: Path) -> None:
    reader = ArchiveReader.open(archive)
    secret = tmp_path / "secret"
    secret.write_bytes(b"s")
    (path,) = (archive / "mail/A/B c").glob("*.eml")
    path.unlink()
    path.symlink_to(secret)
    (problem,) = [p for _, _, p in reader.check_digests() if p is not None]
    assert isinstance(problem, UnsafePath)
    folder = reader.folders()[1]
    for filename in (
        "../../../secret",
        "/etc/passwd",
        "..",
        "../..",
        "a/../../../../secret",
        "",
        "a\\b",
    ):
        with pytest.raises(UnsafePath):
            folder.file_of({"filename": filename})
    with pytest.raises(UnsafePath):
        folder.file_of({})
    digests = archive / "manifest-sha256.txt"
    digests.write_text("0" * 64 + "  ../secret\n" + "0" * 64 + "  /etc/passwd\n", "utf-8")
    problems = [p for _, _, p in reader.check_digests()]
    assert all(isinstance(problem, UnsafePath) for problem in problems)
    assert len(problems) == 2


def test_a_device_or_a_pipe_does_not_hang_it(archive: Path) -> None:
    reader = ArchiveReader.open(archive)
    (path,) = (archive / "mail/A/B c").glob("*.eml")
    path.unlink()
    path.mkdir()
    (problem,) = [p for _, _, p in reader.check_digests() if p is not None]
    assert "not a regular file" in str(problem)
    assert path.is_dir()
