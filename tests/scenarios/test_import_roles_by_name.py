"""A real server that gives roles by name: what it, its owner or another archive does to the map."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from holding import Goal, ImapGoal
from replaying import Letter, bring, fresh_directory, made_archive, moment

Folders = dict[str, list[int]]


@pytest.fixture
def goal(goals: Callable[[str], Goal]) -> ImapGoal:
    found = goals("dovecot")
    assert isinstance(found, ImapGoal)
    return found


@pytest.fixture(params=["kept", "deleted"])
def forget(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Path]:
    """The state directory, empty each time or as the last run left it."""

    def state() -> Path:
        if request.param == "deleted":
            fresh_directory(tmp_path / "state")
        return tmp_path / "state"

    return state


def archive(root: Path, folders: Folders, **roles: str) -> Path:
    letters = {
        path: [
            Letter(b"Message-ID: <%d@example.org>\r\n\r\nx\r\n" % n, (), moment(n)) for n in numbers
        ]
        for path, numbers in folders.items()
    }
    named = {name.replace("_", " "): {"role": role} for name, role in roles.items()}
    made_archive(root, letters, named)
    return root


def counts(goal: ImapGoal) -> dict[str, int]:
    server = goal.account
    found = {name: len(server.messages(name)) for name in server.folders()}
    return {name: count for name, count in found.items() if count}


def placed(report: dict[str, Any]) -> int:
    return int(report["totals"]["placed"])


def codes(report: dict[str, Any], path: str) -> list[str]:
    (folder,) = [each for each in report["folders"] if each["path"] == path]
    return [note["code"] for note in folder["notes"]]


def test_a_client_makes_sent(goal: ImapGoal, tmp_path: Path, forget: Callable[[], Path]) -> None:
    old = archive(tmp_path / "a", {"Sent Items": [1, 2], "Sent Items/2019": [3]}, Sent_Items="sent")
    assert placed(bring(old, goal, state=forget())) == 3
    goal.account.create("Sent")
    goal.account.append("Sent", b"Subject: mine\r\n\r\n")
    assert placed(bring(old, goal, state=forget())) == 0
    assert counts(goal) == {"Sent": 1, "Sent Items": 2, "Sent Items/2019": 1}


@pytest.mark.parametrize(
    ("name", "other", "role"), [("Sent", "Gesendet", "sent"), ("Trash", "Papierkorb", "trash")]
)
def test_a_part_then_the_whole(
    goal: ImapGoal, tmp_path: Path, forget: Callable[[], Path], name: str, other: str, role: str
) -> None:
    old = archive(tmp_path / "a", {"INBOX": [1], name: [2], other: [3]}, **{other: role})
    assert placed(bring(old, goal, "--folder", name, state=forget())) == 1
    assert placed(bring(old, goal, state=forget())) == 2
    assert counts(goal) == {"INBOX": 1, name: 1, other: 1}
    goal.account.delete(other)
    assert placed(bring(old, goal, state=forget())) == 1
    assert counts(goal) == {"INBOX": 1, name: 1, other: 1}


@pytest.mark.parametrize(
    "parts",
    [
        [("--folder", "Sent"), ("--folder", "Sent Items")],
        [("--folder", "Sent"), ("--select", "mail/Sent Items/00001.eml")],
        [("--folder", "Sent"), ("--since-date", "2020-09-01", "--exclude", "Sent")],
    ],
)
def test_copies_in_two_folders_brought_in_parts(
    goal: ImapGoal, tmp_path: Path, forget: Callable[[], Path], parts: list[tuple[str, ...]]
) -> None:
    """What is in the mailbox of another folder is that folder's own, brought in this run or not."""
    root = archive(tmp_path / "a", {"Sent": [1, 2], "Sent Items": [1, 3]}, Sent_Items="sent")
    goal.account.create("Sent")
    for words in parts:
        bring(root, goal, *words, state=forget())
    last = len(goal.account.messages("Sent Items"))
    assert last == (1 if "--select" in parts[1] else 2)
    assert placed(bring(root, goal, state=forget())) == 2 - last
    assert counts(goal) == {"Sent": 2, "Sent Items": 2}


def test_two_archives_in_turn(goal: ImapGoal, tmp_path: Path, forget: Callable[[], Path]) -> None:
    one = archive(
        tmp_path / "a", {"Sent Items": [1], "Sent Items/2019": [2], "Junk": [3]},
        Sent_Items="sent", Junk="junk",
    )  # fmt: skip
    two = archive(
        tmp_path / "b", {"Sent": [11], "Gesendet": [12], "Spam": [13]},
        Gesendet="sent", Spam="junk",
    )  # fmt: skip
    assert [placed(bring(each, goal, state=forget())) for each in (one, two)] == [3, 3]
    there = counts(goal)
    for each in (one, two, one):
        assert placed(bring(each, goal, state=forget())) == 0
    assert counts(goal) == there


def test_the_owner_makes_what_went_to_sent(
    goal: ImapGoal, tmp_path: Path, forget: Callable[[], Path]
) -> None:
    old = archive(tmp_path / "a", {"Gesendet": [1, 2], "Gesendet/2019": [3]}, Gesendet="sent")
    goal.account.create("Sent")
    assert placed(bring(old, goal, state=forget())) == 3
    goal.account.create("Gesendet")
    goal.account.create("Gesendet/2019")
    assert placed(bring(old, goal, state=forget())) == 0
    assert counts(goal) == {"Sent": 2, "Sent/2019": 1}


def test_what_is_said_of_roles_and_names(goal: ImapGoal, tmp_path: Path) -> None:
    """The plan leaves open what it cannot know; then the mailbox is looked at."""
    old = archive(tmp_path / "a", {"Sent": [1], "Bin": [2]}, Sent="sent", Bin="trash")
    for extra, said in ((["--dry-run"], ["role-unsure"]), ([], ["role-lost"])):
        report = bring(old, goal, *extra)
        assert codes(report, "Bin") == said
        assert codes(report, "Sent") == (["role-unsure"] if extra else [])
    assert codes(bring(old, goal), "Sent") == []
