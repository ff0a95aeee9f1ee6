"""Which losses are not believed at once: the bounds, exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporting import account, export
from portarchive.jobs.loss import MANY


def losing(path: Path, here: dict[str, int], lost: dict[str, int], **roles: str) -> set[str]:
    """The folders that are warned about when so many of each are expunged."""
    source = account("lists", **here)
    for box in source._boxes.values():
        name = box.record.path[0]
        if name in roles:
            box.record = type(box.record)(
                folder_id=box.record.folder_id, path=box.record.path, roles=(roles[name],)
            )
    export(source, path, fsync=False)
    for name, count in lost.items():
        source.expunge(name, *range(1, count + 1))
    report = export(source, path, fsync=False)
    assert report.complete
    return {notice["text"].split(" lost")[0] for notice in report.notices}


@pytest.mark.parametrize(
    ("here", "lost", "named"),
    [
        ({"INBOX": MANY, "B": 90}, {"INBOX": MANY}, {"INBOX"}),
        ({"INBOX": MANY - 1, "B": 90}, {"INBOX": MANY - 1}, set()),
        ({"INBOX": 40, "B": 90}, {"INBOX": 39}, set()),
        ({"INBOX": 40, "B": 40}, {"INBOX": 39, "B": 1}, {"INBOX", "B"}),
        ({"INBOX": 40, "B": 40}, {"INBOX": 38, "B": 1}, set()),
        ({"INBOX": 10, "B": 10}, {"INBOX": 10, "B": 9}, set()),
        ({"INBOX": 10, "B": 10}, {"INBOX": 10, "B": 10}, {"INBOX", "B"}),
        ({"INBOX": 5, "B": 100}, {}, set()),
    ],
)
def test_all_of_a_folder_or_half_of_the_account(
    tmp_path: Path, here: dict[str, int], lost: dict[str, int], named: set[str]
) -> None:
    assert losing(tmp_path / "a", here, lost) == named


@pytest.mark.parametrize("role", ["trash", "junk"])
def test_what_people_empty(tmp_path: Path, role: str) -> None:
    here = {"INBOX": 10, "Bin": 60}
    assert losing(tmp_path / "a", here, {"Bin": 60}, Bin=role) == set()
    assert losing(tmp_path / "b", here, {"Bin": 60}, Bin="archive") == {"Bin"}


def test_a_new_archive_has_lost_nothing(tmp_path: Path) -> None:
    report = export(account("lists", INBOX=30), tmp_path / "a")
    assert report.notices == []


def test_a_deleted_folder_counts(tmp_path: Path) -> None:
    source = account("lists", INBOX=50, Old=30)
    export(source, tmp_path / "a", fsync=False)
    source.delete_folder("Old")
    report = export(source, tmp_path / "a", fsync=False)
    assert [notice["code"] for notice in report.notices] == ["sudden-loss"]
