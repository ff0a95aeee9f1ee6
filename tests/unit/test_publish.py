"""The commit by itself: whole or to be finished, and nothing of a stranger's redo record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import archive_facts
from portarchive.archive.durable import Durability
from portarchive.archive.publish import Staging, discard, finish_interrupted, publish
from portarchive.errors import Damaged, UnsafePath

QUICK = Durability(False)


def begin(root: Path) -> Staging:
    (root / ".portarchive").mkdir(parents=True, exist_ok=True)
    return Staging(root / ".portarchive")


def staged(root: Path, **files: str) -> Staging:
    staging = begin(root)
    for name, text in files.items():
        staging.place(name.replace("_", "/")).write_text(text, "utf-8")
    return staging


def test_files_come_to_their_places(tmp_path: Path) -> None:
    staging = staged(tmp_path, mail_A_x="1", top="2")
    fingerprint = publish(tmp_path, staging, b"{}", QUICK)
    assert fingerprint == archive_facts.sha256(b"{}")
    assert set(archive_facts.files(tmp_path)) == {"mail/A/x", "top", "archive.json"}
    assert list((tmp_path / ".portarchive").iterdir()) == []
    assert not finish_interrupted(tmp_path, QUICK)


def test_what_was_staged_last_can_be_withdrawn(tmp_path: Path) -> None:
    staging = staged(tmp_path, a="1", b="2")
    staging.withdraw()
    publish(tmp_path, staging, b"{}", QUICK)
    assert set(archive_facts.files(tmp_path)) == {"a", "archive.json"}


def test_dropped_files_go_after_the_commit(tmp_path: Path) -> None:
    publish(tmp_path, staged(tmp_path, mail_x="1"), b"{}", QUICK)
    staging = staged(tmp_path, mail_y="2")
    staging.drops = ["mail/x", "mail/never-there"]
    seen: list[set[str]] = []
    publish(
        tmp_path, staging, b"[]", QUICK, lambda: seen.append(set(archive_facts.files(tmp_path)))
    )
    assert seen == [{"mail/y", "archive.json"}]


def test_what_an_earlier_run_staged_is_gone(tmp_path: Path) -> None:
    staged(tmp_path, old="1", older="2")
    publish(tmp_path, staged(tmp_path, new="3"), b"{}", QUICK)
    assert set(archive_facts.files(tmp_path)) == {"new", "archive.json"}


def test_discarded(tmp_path: Path) -> None:
    staged(tmp_path, old="1")
    (tmp_path / ".portarchive/journal").write_bytes(b"x")
    discard(tmp_path)
    discard(tmp_path)
    assert list((tmp_path / ".portarchive").iterdir()) == []


def test_the_old_state_comes_back_if_a_person_removed_the_record(tmp_path: Path) -> None:
    begin(tmp_path)
    (tmp_path / ".portarchive/archive.json.prev").write_bytes(b"{}")
    assert not finish_interrupted(tmp_path, QUICK)
    assert (tmp_path / "archive.json").read_bytes() == b"{}"


GOOD: dict[str, Any] = {"redo": 1, "archive": "0" * 64, "renames": [], "drops": []}


@pytest.mark.parametrize(
    "change",
    [
        {"renames": [["../../x", "a"]]},
        {"renames": [["000000", "../outside"]]},
        {"renames": [["000000", "/etc/passwd"]]},
        {"renames": [["000000"]]},
        {"renames": [[0, "a"]]},
        {"renames": "ab"},
        {"renames": None},
        {"drops": ["../../outside"]},
        {"drops": ["/outside"]},
        {"drops": [1]},
        {"drops": 1},
        {"archive": "xyz"},
        {"archive": None},
    ],
)
def test_a_record_that_is_none_of_ours(tmp_path: Path, change: dict[str, Any]) -> None:
    root = tmp_path / "deep" / "root"
    begin(root)
    (tmp_path / "outside").write_bytes(b"keep")
    (root / "archive.json").write_bytes(b"{}")
    (root / ".portarchive/redo.json").write_text(json.dumps(GOOD | change), "utf-8")
    before = archive_facts.files(tmp_path, private=True)
    with pytest.raises((Damaged, UnsafePath)):
        finish_interrupted(root, QUICK)
    assert archive_facts.files(tmp_path, private=True) == before


@pytest.mark.parametrize("octets", [b"", b"{", b"[]", b"null", b'{"redo":1}'])
def test_a_record_that_is_no_object(tmp_path: Path, octets: bytes) -> None:
    begin(tmp_path)
    (tmp_path / ".portarchive/redo.json").write_bytes(octets)
    with pytest.raises(Damaged):
        finish_interrupted(tmp_path, QUICK)


def test_a_staged_file_that_is_gone(tmp_path: Path) -> None:
    begin(tmp_path)
    (tmp_path / "archive.json").write_bytes(b"{}")
    redo = GOOD | {"renames": [["000000", "mail/x"]]}
    (tmp_path / ".portarchive/redo.json").write_text(json.dumps(redo), "utf-8")
    with pytest.raises(Damaged, match="is gone"):
        finish_interrupted(tmp_path, QUICK)
