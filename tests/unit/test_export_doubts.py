"""What looks like a loss and is none, what looks sound and is not: doubt on the safe side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import archive_facts
from exporting import account, export, mail
from portarchive.archive.reader import ArchiveReader
from portarchive.connectors.memory import Fault, MemorySource
from portarchive.errors import ConnectionLost, Damaged, ServerMisbehaved
from portarchive.jobs.export import ExportOptions, run_export
from portarchive.progress import silent
from portarchive.records import FolderOpened


def _break(root: Path, how: str) -> None:
    place = root / "mail/Work/folder.json"
    if how == "missing":
        place.unlink()
    elif how == "cut":
        lines = place.read_bytes().splitlines(keepends=True)
        place.write_bytes(b"".join([lines[0], *lines[2:]]))
    elif how == "edited":
        place.write_bytes(place.read_bytes().replace(b'"uid":"1"', b'"uid":"9"'))
    else:
        (root / "mail/Stranger").mkdir()
        (root / "mail/Stranger/folder.json").write_bytes(place.read_bytes())


@pytest.mark.parametrize("how", ["missing", "cut", "edited", "added"])
def test_a_folder_file_that_is_not_the_published_one(tmp_path: Path, how: str) -> None:
    """An update must not build on it, nor call the result complete."""
    root = tmp_path / "a"
    source = account("ids", INBOX=2, Work=4)
    export(source, root)
    _break(root, how)
    before = archive_facts.files(root)
    with pytest.raises(Damaged):
        ArchiveReader.open(root)
    with pytest.raises(Damaged):
        export(source, root)
    assert archive_facts.files(root) == before


def test_a_sudden_loss_of_drafts_is_not_believed_either(tmp_path: Path) -> None:
    root = tmp_path / "a"
    source = MemorySource()
    source.create_folder("Drafts", roles=["drafts"])
    for number in range(30):
        source.add(mail(f"draft-{number}"), "Drafts", flags=["$draft"])
    export(source, root)
    source.expunge("Drafts", *range(1, 31))
    report = export(source, root)
    assert "sudden-loss" in {notice["code"] for notice in report.notices}
    assert len(archive_facts.check(root).kept["Drafts"]) == 30


class _Contradicting(MemorySource):
    """Says of a folder that it has messages, and lists none."""

    def changes(self, wanted: Any) -> Any:
        for event in super().changes(wanted):
            if isinstance(event, FolderOpened) and event.folder.path == ("Work",):
                note = {"code": "count-mismatch", "exists": 0, "listed": 0, "status": 3}
                event = FolderOpened(  # noqa: PLW2901 - the event as it was told
                    folder=event.folder,
                    complete=event.complete,
                    uidvalidity=event.uidvalidity,
                    uidnext=event.uidnext,
                    notes=(note,),
                )
            yield event


def test_a_mirror_holds_a_folder_of_which_the_server_says_two_counts(tmp_path: Path) -> None:
    root = tmp_path / "a"
    source = _Contradicting()
    source.create_folder("Work")
    for number in range(3):
        source.add(mail(f"work-{number}"), "Work")
    export(source, root)
    source.expunge("Work", 1, 2, 3)
    report = export(source, root, mirror=True)
    assert not report.complete
    assert len(archive_facts.check(root).items["Work"]) == 3


def test_an_account_without_any_folder(tmp_path: Path) -> None:
    source = MemorySource()
    source.delete_folder("INBOX")
    with pytest.raises(ServerMisbehaved):
        run_export(source, tmp_path / "a", ExportOptions(fsync=False), silent)
    assert not (tmp_path / "a").exists()


def test_a_new_name_is_reason_enough_to_publish(tmp_path: Path) -> None:
    root = tmp_path / "a"
    source = account("ids", INBOX=2)
    export(source, root)
    report = export(source, root, name="The year 2026", note="before the move")
    assert report.published
    about = ArchiveReader.open(root).archive["archive"]
    assert (about["name"], about["note"]) == ("The year 2026", "before the move")
    assert not export(source, root, name="The year 2026", note="before the move").published
    assert not export(source, root).published


def test_notes_outlive_an_interrupted_run(tmp_path: Path) -> None:
    """The size that a server invents is noted, whichever run had the message."""
    root = tmp_path / "a"

    class Lying(MemorySource):
        def fetch(self, refs: Any) -> Any:
            for ref, outcome in super().fetch(refs):
                yield ref._replace(size=7), outcome

    source = Lying(faults=[Fault(where="fetch", error=ConnectionLost("gone"), after=2)])
    for number in range(4):
        source.add(mail(f"inbox-{number}"), "INBOX")
    with pytest.raises(ConnectionLost):
        run_export(source, root, ExportOptions(fsync=False), silent)
    source.reconnect()
    report = run_export(source, root, ExportOptions(fsync=False), silent)
    assert report.resumed
    assert report.folders[0]["notes"] == [{"code": "size-mismatch", "count": 4, "uids": "1:4"}]
