"""What an export may cost: octets of metadata, and time, per message."""

from __future__ import annotations

from pathlib import Path

import pytest

import archive_facts
from exporting import account, export, mail
from portarchive.archive import durable, folder_file, journal

COUNT = 20_000


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The octets of every write(2) of metadata: journal, folder.json and manifests."""
    sizes: list[int] = []

    def counted(fd: int, octets: bytes) -> None:
        sizes.append(len(octets))
        write_all(fd, octets)

    write_all = durable.write_all
    monkeypatch.setattr(journal, "write_all", counted)
    monkeypatch.setattr(durable, "write_all", counted)
    put = folder_file.FolderFileWriter._put

    def counted_put(self: folder_file.FolderFileWriter, octets: bytes) -> None:
        sizes.append(len(octets))
        put(self, octets)

    monkeypatch.setattr(folder_file.FolderFileWriter, "_put", counted_put)
    return sizes


@pytest.mark.slow
def test_metadata_is_written_about_twice(tmp_path: Path, written: list[int]) -> None:
    """Scenario 19: 20,000 small messages."""
    source = account("lists", INBOX=0)
    for number in range(COUNT):
        source.add(b"Subject: %d\r\n\r\n" % number, flags=["$seen"] if number % 3 else [])
    export(source, tmp_path / "a", fsync=False)
    root = tmp_path / "a"
    names = ["manifest.json", "archive.json", "manifest-sha256.txt", "mail/INBOX/folder.json"]
    final = sum((root / name).stat().st_size for name in names)
    others = sum((root / name).stat().st_size for name in names[:3])
    assert sum(written) > final / 3, "the counting counts"
    assert sum(written) + others <= 3 * final
    written.clear()
    source.add(mail("one more"))
    export(source, tmp_path / "a", fsync=False)
    assert sum(written) + others <= 1.5 * final
    written.clear()
    report = export(source, tmp_path / "a", fsync=False)
    assert not report.published
    assert len(archive_facts.check(root).items["INBOX"]) == COUNT + 1


@pytest.mark.slow
def test_nothing_holds_descriptors(tmp_path: Path) -> None:
    """Three hundred folders, and no more open files than before."""
    source = account("lists", **{f"F{number}": 1 for number in range(300)})
    descriptors = Path("/proc/self/fd")  # elsewhere there is nothing to count
    before = len(list(descriptors.iterdir())) if descriptors.is_dir() else 0
    most = 0

    def look(_: object) -> None:
        nonlocal most
        if before:
            most = max(most, len(list(descriptors.iterdir())))

    source.after_event = look
    export(source, tmp_path / "a", fsync=False)
    after = len(list(descriptors.iterdir())) if before else 0
    assert after == before
    assert most <= before + 80
    archive_facts.check(tmp_path / "a")
