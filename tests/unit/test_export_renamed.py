"""A renamed mailbox (same MAILBOXID) is a rename: nothing is fetched again, nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from portarchive.archive.reader import ArchiveReader
from portarchive.connectors.memory import MemorySource
from portarchive.jobs.export import ExportOptions, ExportReport, run_export
from portarchive.progress import silent


def _mail(number: int) -> bytes:
    return b"Message-ID: <%d@example.org>\r\n\r\nletter %d\r\n" % (number, number)


@pytest.fixture
def source() -> MemorySource:
    source = MemorySource()
    source.create_folder("Work")
    source.create_folder("Work/Deep")
    for number in range(8):
        source.add(_mail(number), ["Work"], flags=["$seen"] if number % 2 else [])
    for number in range(8, 12):
        source.add(_mail(number), ["Work/Deep"])
    return source


def _export(source: MemorySource, root: Path, **options: object) -> ExportReport:
    source.reconnect()
    return run_export(source, root, ExportOptions(fsync=False, **options), silent)  # type: ignore[arg-type]


def _contents(root: Path) -> dict[str, tuple[list[tuple[str, str]], list[str]]]:
    reader = ArchiveReader.open(root)
    assert [problem for _, _, problem in reader.check_digests() if problem] == []
    found = {}
    for folder in reader.folders():
        for entry in (*folder.items(), *folder.kept()):
            assert (root / folder.file_of(entry)).exists()
        items = [(item["uid"], item["portarchive:sha256"]) for item in folder.items()]
        found[folder.path] = (items, [entry["uid"] for entry in folder.kept()])
    return found


def _messages_on_disk(root: Path) -> int:
    return sum(1 for _ in root.rglob("*.eml"))


@pytest.mark.parametrize("single_copy", [False, True])
def test_nothing_is_fetched_again(source: MemorySource, tmp_path: Path, single_copy: bool) -> None:
    root = tmp_path / "archive"
    _export(source, root, single_copy=single_copy)
    source.expunge("Work", 1)
    _export(source, root, single_copy=single_copy)
    before = _contents(root)
    source.rename_folder("Work", "Trade")
    source.rename_folder("Work/Deep", "Trade/Deep")
    report = _export(source, root, single_copy=single_copy)
    after = _contents(root)
    assert report.complete
    assert report.totals.fetched == 0
    assert after["Trade"] == before["Work"]
    assert after["Trade"][1] == ["1"]
    assert after["Trade/Deep"] == before["Work/Deep"]
    assert not (root / "mail" / "Work").exists()
    assert _messages_on_disk(root) == 12
    entry = next(entry for entry in report.folders if entry["path"] == "Trade")
    assert {"code": "renamed", "from": "Work"} in entry["notes"]
    assert not _export(source, root, single_copy=single_copy).published


def test_changes_that_came_with_the_rename(source: MemorySource, tmp_path: Path) -> None:
    root = tmp_path / "archive"
    _export(source, root)
    source.rename_folder("Work", "Trade")
    source.expunge("Trade", 2)
    source.set_flags("Trade", 3, ["$flagged"])
    source.add(_mail(50), ["Trade"])
    report = _export(source, root)
    assert report.totals.fetched == 1
    items, kept = _contents(root)["Trade"]
    assert [uid for uid, _ in items] == ["1", "3", "4", "5", "6", "7", "8", "9"]
    assert kept == ["2"]
    # its child kept its old name: the old directory stays as a parent that holds no mail
    assert _contents(root)["Work"] == ([], [])
    assert len(_contents(root)["Work/Deep"][0]) == 4


def test_another_mailbox_of_the_old_name(source: MemorySource, tmp_path: Path) -> None:
    root = tmp_path / "archive"
    _export(source, root)
    source.rename_folder("Work", "Trade")
    source.create_folder("Work")
    source.add(_mail(60), ["Work"])
    report = _export(source, root)
    assert report.complete
    found = _contents(root)
    assert len(found["Trade"][0]) == 8
    assert len(found["Work"][0]) == 1
