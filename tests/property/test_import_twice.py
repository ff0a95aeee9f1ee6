"""Whatever folders an archive has, a second import finds all of the first, without a ledger."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from importing import letter, octets, place, totals
from portarchive.connectors.base import Target
from portarchive.connectors.maildir.target import MaildirTarget
from portarchive.connectors.mbox.target import MboxTarget
from portarchive.connectors.memory import MemoryAccount, MemoryTarget

Tree = list[tuple[str, str | None, list[str], list[Any]]]
"""Of folders: name, role, the flag of each message, what is below."""

NAMES = ["INBOX", "inbox", "Posteingang", "Sent", "sent", "Trash", "Deleted", "A.B", "a:b", "..",
         "cur", "é", "e\u0301", "x\x01y", "~", "a" * 100, "a" * 300]  # fmt: skip


def _trees(below: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    role = st.sampled_from([None, None, "inbox", "sent", "trash", "scheduled"])
    flags = st.lists(st.sampled_from(["$seen", "\\Deleted"]), max_size=2)
    return st.lists(st.tuples(st.sampled_from(NAMES), role, flags, below), min_size=1, max_size=4)


TREES = _trees(st.just([]) | _trees(st.just([]) | _trees(st.just([]))))


def made(root: Path, tree: Tree) -> int:
    """An archive of these, as another generator makes it; returns how many messages it has."""
    number = 0

    def add(directory: Path, folders: Tree) -> None:
        nonlocal number
        for place_of, (name, role, flags, below) in enumerate(folders):
            own = directory / f"f{place_of}"
            own.mkdir(parents=True)
            items = []
            for uid, flag in enumerate(flags, 1):
                number += 1
                (own / f"{uid}.eml").write_bytes(letter(str(number)))
                received = f"2024-01-01T00:00:{number % 60:02}+00:00"
                items.append(
                    {"uid": str(uid), "filename": f"{uid}.eml", "flags": [flag],
                     "portarchive:received_at": received}
                )  # fmt: skip
            header = {"name": name, "items": items} | ({"role": role} if role else {})
            (own / "folder.json").write_text(json.dumps(header))
            add(own, below)

    metadata = {
        "archive": {"id": "made-by-hand", "version": "draft-ietf-mailmaint-pdparchive-02"},
        "dataset": {"extent": "FULL", "datatypes": ["MAIL"]},
        "datasource": {"service": "imaps://old.example.org", "account": "jane"},
    }
    (root / "mail").mkdir(parents=True)
    (root / "archive.json").write_text(json.dumps(metadata))
    add(root / "mail", tree)
    return number


TARGETS: dict[str, Callable[[Path], Callable[[], Target]]] = {
    "memory": lambda _: partial(MemoryTarget, MemoryAccount()),
    "maildir": lambda path: lambda: MaildirTarget(str(path), fsync=False),
    "maildir in directories": lambda path: (
        lambda: MaildirTarget(str(path), fsync=False, layout="fs")
    ),
    "mbox": lambda path: lambda: MboxTarget(str(path), fsync=False),
}

DEEP: Tree = [("a" * 100, None, ["$seen"], [("a" * 100, None, ["$seen"], [
    ("a" * 100, None, ["$seen"], [("a" * 100, None, ["$seen"], [("b", None, ["$seen"], [])])])
])])]  # fmt: skip


@pytest.mark.parametrize("kind", TARGETS)
@settings(max_examples=15, deadline=None)
@given(tree=TREES, into=st.sampled_from([None, None, ("Old", "Deep")]))
@example(tree=[("Posteingang", "inbox", ["$seen"], [])], into=None)
@example(tree=[("A", None, [], [("é", "inbox", ["$seen"], [])]), ("INBOX", None, ["$seen"], [])],
         into=None)  # fmt: skip
@example(tree=[("Sent", None, ["\\Deleted"], [("..", "trash", ["$seen"], [])]),
               ("Trash", None, ["$seen"], [])], into=None)  # fmt: skip
@example(tree=[("INBOX", "sent", [], [("INBOX", "inbox", [], []),
                                      ("INBOX", "sent", ["$seen"], [])])], into=None)  # fmt: skip
@example(tree=[("é", None, [], [("a" * 300, None, [], [("cur", None, [], []),
                                                      ("cur", None, ["$seen"], [])])])],
         into=None)  # fmt: skip
@example(tree=DEEP, into=None)
@example(tree=DEEP, into=("Old", "Deep"))
@example(tree=[("x\x01y", None, ["$seen"], []), ("x\x01y", None, ["$seen"], [])], into=None)
def test_a_second_import_places_nothing(kind: str, tree: Tree, into) -> None:
    with tempfile.TemporaryDirectory() as directory:
        archive, there = Path(directory, "a"), Path(directory, "t")
        count = made(archive, tree)
        connect = TARGETS[kind](there)
        maps = []
        for run in range(2):
            target = connect()
            report = place(archive, target, into=into)
            target.close()
            maps.append([(folder.path, folder.target) for folder in report.folders])
            told = totals(report)
            assert told.get("placed", 0) == (0 if run else count), (run, maps)
            assert told.get("present", 0) == (count if run else 0)
        assert maps[0] == maps[1]


def test_roles_by_name_draw_nobody_away(tmp_path: Path) -> None:
    """What was made below the inbox has its role by its name only; another folder bears it."""
    below: Tree = [("sent", None, ["$seen"], [("b", "sent", ["$seen"], [])])]
    count = made(tmp_path / "a", [("é", "inbox", [], below)])
    for run in range(2):
        target = MaildirTarget(str(tmp_path / "t"), fsync=False, roles_by_name=True)
        assert totals(place(tmp_path / "a", target)).get("placed", 0) == (0 if run else count)
        target.close()


def test_deleted_messages_stay_inside_of_into(tmp_path: Path) -> None:
    """The target's own trash is not theirs; the archive's is, below it, else one is made there."""
    for number, (tree, trash) in enumerate([
        ([("INBOX", "inbox", ["\\Deleted"], [])], "Old/Trash"),
        ([("INBOX", "inbox", ["\\Deleted"], []), ("Bin", "trash", [], [])], "Old/Bin"),
    ]):  # fmt: skip
        account = MemoryAccount()
        account.create_folder(("Trash",), roles=("trash",))
        made(tmp_path / str(number), tree)
        for _ in range(2):
            place(tmp_path / str(number), MemoryTarget(account), into=("Old",))
            assert octets(account, trash) == [letter("1")]
            assert octets(account, "Trash") == []


def test_the_map_does_not_depend_on_what_is_chosen(tmp_path: Path) -> None:
    """A part first, then all: what was deleted is in the archive's own trash already."""
    from portarchive.jobs.selection import Selection

    made(tmp_path / "a", [("INBOX", "inbox", ["\\Deleted"], []), ("Bin", "trash", [], [])])
    account = MemoryAccount()
    place(tmp_path / "a", MemoryTarget(account), selection=Selection(folders=("INBOX",)))
    assert octets(account, "Bin") == [letter("1")]
    assert totals(place(tmp_path / "a", MemoryTarget(account)))["present"] == 1
