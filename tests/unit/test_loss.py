"""Which losses are not believed at once: the bounds, exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

import archive_facts
from exporting import account, export
from portarchive.connectors.mbox import open_source
from portarchive.jobs.loss import MANY
from portarchive.jobs.report import ExportReport


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


# --- a move where programs rewrite what is no part of a message's identity


def from_mbox(path: Path, root: Path, *, mirror: bool) -> ExportReport:
    source = open_source(str(path), {})
    try:
        return export(source, root, fsync=False, mirror=mirror)
    finally:
        source.close()


def letter(number: int, field: bytes) -> bytes:
    return (
        b"From 14900000000000000%02d@xxx Sat Jan 03 01:05:34 +0000 2015\n%s\nSubject: %d\n\nx\n\n"
        % (number, field, number)
    )


def labelled(numbers: range, labels: bytes) -> bytes:
    return b"".join(letter(n, b"X-GM-THRID: 7\nX-Gmail-Labels: " + labels) for n in numbers)


@pytest.mark.parametrize("mirror", [False, True])
def test_a_message_of_other_labels_is_no_loss(tmp_path: Path, mirror: bool) -> None:
    box, root = tmp_path / "t.mbox", tmp_path / "a"
    box.write_bytes(labelled(range(30), b"Inbox,Unread") + labelled(range(60, 61), b"Sent"))
    from_mbox(box, root, mirror=mirror)
    box.write_bytes(labelled(range(30), b"Archived,Opened,Work") + labelled(range(60, 61), b"Sent"))
    report = from_mbox(box, root, mirror=mirror)
    assert report.complete
    assert report.notices == []
    facts = archive_facts.check(root)
    assert {path: len(items) for path, items in facts.items.items()} == {
        "INBOX": 0, "Sent": 1, "Work": 30,
    }  # fmt: skip
    assert not any(facts.kept.values())
    assert not from_mbox(box, root, mirror=mirror).published


@pytest.mark.parametrize("mirror", [False, True])
def test_a_message_that_was_read_and_moved_is_no_loss(tmp_path: Path, mirror: bool) -> None:
    """Equal ones are numbered anew in the other folder; what is really gone is told."""
    tree, root = tmp_path / "tree", tmp_path / "a"
    tree.mkdir()

    def status(numbers: range, value: int) -> bytes:
        return b"".join(letter(n, b"X-Mozilla-Status: %04d" % value) for n in numbers)

    (tree / "Inbox").write_bytes(status(range(25), 0) + status(range(1), 0))
    (tree / "Archive").write_bytes(status(range(1), 0) + status(range(40, 60), 0))
    from_mbox(tree, root, mirror=mirror)
    (tree / "Inbox").write_bytes(b"")
    (tree / "Archive").write_bytes(
        status(range(1), 1) * 2 + status(range(40, 60), 0) + status(range(1, 24), 1)
    )
    report = from_mbox(tree, root, mirror=mirror)
    assert report.complete
    assert report.notices == []
    facts = archive_facts.check(root)
    assert len(facts.items["Archive"]) == 45
    assert len(facts.kept.get("Inbox", ())) == (0 if mirror else 1)
